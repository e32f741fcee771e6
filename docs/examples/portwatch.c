/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * portwatch: a complete third-party hook. It raises an alert when somebody
 * opens a TCP connection to a port that nobody should use, and drops the packet.
 *
 *   cc -std=gnu11 -O2 -fPIC -shared -I/usr/include portwatch.c -o portwatch.so
 *
 *   hooks:
 *     - {use: ./portwatch.so, settings: ports.txt}     # one port a line, # comments
 *
 * It shows all a hook needs: settings from a descriptor, state shared by all
 * workers and counters of each, verdicts, events, taking over at a reload.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <halfkey/hook.h>

#define SETTINGS_MAX 65536
#define TCP	     6
#define SYN	     0x02
#define ACK	     0x10

/* Written by one worker alone: a cache line of its own, relaxed loads and stores. */
struct worker {
	__u64 watched;
	__u64 dropped;
} __attribute__((aligned(64)));

struct portwatch {
	unsigned worker_count;
	__u8 refused[65536];			/* by port; never written after create() */
	__u64 carried_watched, carried_dropped; /* of the state before a reload */
	struct worker worker[];
};

static void count(__u64 *counter)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* Settings are input like any other: bounded, and every refusal says where and what. */
static int parse_ports(struct portwatch *watch, char *text, const char *path, char *error, size_t error_size)
{
	char *line, *end, *rest = text;
	unsigned number = 0;
	unsigned long port;

	while ((line = strsep(&rest, "\n"))) {
		number++;
		line[strcspn(line, "#")] = '\0';
		line += strspn(line, " \t\r");
		if (!*line)
			continue;
		port = strtoul(line, &end, 10);
		end += strspn(end, " \t\r");
		if (*end || *line == '-' || port < 1 || port > 65535) {
			snprintf(error, error_size, "%s:%u: \"%.40s\" is no port: write 1..65535, one a line",
				path, number, line);
			return -1;
		}
		watch->refused[port] = 1;
	}
	return 0;
}

static int read_settings(
	struct portwatch *watch, const struct hk_hook_setup *setup, char *error, size_t error_size)
{
	char *text = calloc(1, SETTINGS_MAX + 1);
	size_t used = 0;
	ssize_t got;
	int code = -1;

	if (!text || setup->settings_fd < 0) {
		snprintf(error, error_size, "no list of ports: give one with `settings: FILE`");
		goto out;
	}
	while (used < SETTINGS_MAX && (got = read(setup->settings_fd, text + used, SETTINGS_MAX - used)) > 0)
		used += (size_t)got;
	if (used == SETTINGS_MAX || memchr(text, '\0', used)) {
		snprintf(error, error_size, "%s: no text, or more than %d bytes of it", setup->settings_path,
			SETTINGS_MAX);
		goto out;
	}
	code = parse_ports(watch, text, setup->settings_path, error, error_size);
out:
	free(text);
	return code;
}

static int portwatch_create(struct hk_hook_setup *setup, void **state, char *error, size_t error_size)
{
	size_t size = sizeof(struct portwatch) + setup->worker_count * sizeof(struct worker);
	struct portwatch *watch = aligned_alloc(64, (size + 63) / 64 * 64);

	if (!watch) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	memset(watch, 0, size);
	watch->worker_count = setup->worker_count;
	setup->per_packet = 1; /* no verdicts on whole flows */
	if (read_settings(watch, setup, error, error_size)) {
		free(watch);
		return -1;
	}
	*state = watch;
	return 0;
}

static void report(struct hk_hook_batch *batch, __u32 index, __u16 port)
{
	struct hk_hook_event *event = hk_hook_report(batch, index);

	if (!event)
		return; /* no room: the core counts it as lost */
	event->kind = HK_EVENT_ALERT;
	event->gid = 4000;
	event->sid = port;
	event->rev = 1;
	event->priority = 2;
	event->blocked = 1;
	snprintf(event->message, sizeof(event->message), "connection to watched port %u", port);
	snprintf(event->category, sizeof(event->category), "Potentially Bad Traffic");
}

static int portwatch_process(void *state, unsigned worker, struct hk_hook_batch *batch)
{
	struct portwatch *watch = state;
	struct worker *mine = &watch->worker[worker];
	__u32 i;

	for (i = 0; i < batch->packet_count; i++) {
		struct hk_hook_packet *packet = hk_hook_packet(batch, i);

		if (packet->verdict == HK_VERDICT_DROP) /* an earlier hook's word */
			continue;
		if (packet->protocol != TCP || !(packet->flags & HK_PACKET_PORTS))
			continue;
		if ((packet->tcp_flags & (SYN | ACK)) != SYN)
			continue;
		count(&mine->watched);
		if (!watch->refused[packet->dst_port])
			continue;
		hk_hook_drop(packet, packet->dst_port);
		report(batch, i, packet->dst_port);
		count(&mine->dropped);
	}
	return 0;
}

static void sum(const struct portwatch *watch, __u64 *watched, __u64 *dropped)
{
	unsigned i;

	*watched = __atomic_load_n(&watch->carried_watched, __ATOMIC_RELAXED);
	*dropped = __atomic_load_n(&watch->carried_dropped, __ATOMIC_RELAXED);
	for (i = 0; i < watch->worker_count; i++) {
		*watched += __atomic_load_n(&watch->worker[i].watched, __ATOMIC_RELAXED);
		*dropped += __atomic_load_n(&watch->worker[i].dropped, __ATOMIC_RELAXED);
	}
}

/* The new state may be counting already, so what the old one counted goes beside, not on top. */
static void portwatch_adopt(void *state, void *old_state)
{
	struct portwatch *watch = state;
	__u64 watched, dropped;

	sum(old_state, &watched, &dropped);
	__atomic_store_n(&watch->carried_watched, watched, __ATOMIC_RELAXED);
	__atomic_store_n(&watch->carried_dropped, dropped, __ATOMIC_RELAXED);
}

static size_t portwatch_stats(void *state, struct hk_hook_stat *out, size_t max)
{
	__u64 watched, dropped;

	if (max < 2)
		return 0;
	sum(state, &watched, &dropped);
	snprintf(out[0].name, sizeof(out[0].name), "connections");
	out[0].value = watched;
	snprintf(out[1].name, sizeof(out[1].name), "dropped");
	out[1].value = dropped;
	return 2;
}

static void portwatch_destroy(void *state)
{
	free(state);
}

__attribute__((visibility("default"))) const struct hk_hook hk_hook = {
	.abi = HK_HOOK_ABI,
	.packet_size = sizeof(struct hk_hook_packet),
	.name = "portwatch",
	.summary = "alerts on and drops TCP connections to listed ports",
	.create = portwatch_create,
	.process = portwatch_process,
	.destroy = portwatch_destroy,
	.adopt = portwatch_adopt,
	.stats = portwatch_stats,
};

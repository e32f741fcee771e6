// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inspector's face to the control socket (view.h), and the verdict cache:
 * of all maps the only one whose entries it writes.
 */
#include "user/control/inspector_state.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "maps/layout.h"
#include "user/base/log.h"
#include "user/control/sandbox.h"

static const struct hk_config *view_config(void *context)
{
	return ((struct hk_inspector *)context)->config;
}

static const struct hk_inspection *view_inspection(void *context)
{
	return ((struct hk_inspector *)context)->inspection;
}

static void queue_socket(struct hk_view_queue *row, const struct hk_socket *socket)
{
	struct xdp_statistics statistics = {0};
	socklen_t length = sizeof(statistics);

	row->has_socket = socket->xsk != NULL;
	row->zero_copy = socket->zero_copy;
	if (!row->has_socket || getsockopt(socket->fd, SOL_XDP, XDP_STATISTICS, &statistics, &length))
		return;
	row->rx_dropped = statistics.rx_dropped;
	row->rx_ring_full = statistics.rx_ring_full;
	row->rx_fill_ring_empty = statistics.rx_fill_ring_empty_descs;
	row->rx_invalid = statistics.rx_invalid_descs;
	row->tx_invalid = statistics.tx_invalid_descs;
}

static void queue_fill(
	const struct hk_inspector *inspector, unsigned port, unsigned q, struct hk_view_queue *row)
{
	const struct hk_heartbeat *beat = &hk_loader_beats(inspector->given.loader)[HK_MAP_SLOT(port, q)];
	const struct hk_ledger_worker *worker = &inspector->given.ledger->worker[q];
	__u64 beat_ns = __atomic_load_n(&beat->beat_ns, __ATOMIC_RELAXED);
	__u64 now_ns = hk_worker_clock(CLOCK_MONOTONIC);

	row->beat_age_ms = now_ns > beat_ns ? (now_ns - beat_ns) / 1000000 : 0;
	if (!inspector->given.queues)
		return;
	queue_socket(row, &inspector->given.queues[q]->socket[port]);
	row->frames_total = inspector->given.queues[q]->frames;
	row->frames_free = __atomic_load_n(&worker->frames[HK_FRAME_FREE], __ATOMIC_RELAXED);
	row->frames_held = __atomic_load_n(&worker->frames[HK_FRAME_HELD], __ATOMIC_RELAXED);
}

static void port_fill(const struct hk_inspector *inspector, unsigned port, struct hk_view_port *row)
{
	const struct hk_loader_port *given = hk_loader_port(inspector->given.loader, port);
	unsigned q;

	snprintf(row->name, sizeof(row->name), "%s", given->device.name);
	snprintf(row->driver, sizeof(row->driver), "%s", given->device.driver);
	row->ifindex = given->device.ifindex;
	row->up = inspector->status.link[port].up;
	row->speed_mbit = inspector->status.link[port].speed_mbit;
	row->native = given->attachment.native;
	row->dispatcher = given->attachment.dispatcher;
	row->queues = hk_loader_queues(inspector->given.loader);
	for (q = 0; q < row->queues; q++)
		queue_fill(inspector, port, q, &row->queue[q]);
}

static void view_status(void *context, struct hk_view_status *out)
{
	const struct hk_inspector *inspector = context;
	const struct hk_request_status *status = &inspector->status;
	__u64 now_ns = hk_worker_clock(CLOCK_MONOTONIC);
	unsigned port;

	memset(out, 0, sizeof(*out));
	out->starter = (pid_t)status->starter;
	out->inspector = getpid();
	out->uptime_s = status->started_ns ? (now_ns - status->started_ns) / 1000000000 : 0;
	out->inspector_started_ns = inspector->started_ns;
	out->inspector_age_s = (now_ns - inspector->started_ns) / 1000000000;
	out->restarts = status->restarts;
	out->keys_dropped = status->keys_dropped;
	out->reloads = status->reloads;
	out->reload_failures = status->reload_failures;
	snprintf(out->reload_error, sizeof(out->reload_error), "%s", status->reload_error);
	out->armed = status->armed;
	out->memory_locked = inspector->memory_locked;
	out->calls_refused = hk_sandbox_refused();
	out->crypto = inspector->crypto;
	out->pin_path = hk_loader_directory(inspector->given.loader);
	out->workers = inspector->workers->count;
	out->ports_count = hk_loader_ports(inspector->given.loader);
	for (port = 0; port < out->ports_count; port++)
		port_fill(inspector, port, &out->ports[port]);
}

static void counters_read(int fd, struct hk_counter_value *out)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct hk_counter_value *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	__u32 row;

	for (row = 0; values && row < HK_COUNTER_END; row++) {
		if (bpf_map_lookup_elem(fd, &row, values))
			continue;
		for (cpu = 0; cpu < cpus; cpu++) {
			out[row].packets += values[cpu].packets;
			out[row].bytes += values[cpu].bytes;
			out[row].dropped += values[cpu].dropped;
		}
	}
	free(values);
}

static void view_stats(void *context, struct hk_view_stats *out)
{
	const struct hk_inspector *inspector = context;
	unsigned i;

	memset(out, 0, sizeof(*out));
	counters_read(inspector->counters_fd, out->xdp);
	out->workers = inspector->workers->count;
	for (i = 0; i < out->workers; i++)
		out->worker[i] = &inspector->given.ledger->worker[i].counts;
	out->ring_lost = hk_ledger_lost(inspector->given.ledger);
	out->handed_before = inspector->given.ledger->handed_before;
	if (inspector->given.feeds)
		out->feeds_count = hk_feeds_stats(inspector->given.feeds, out->feeds);
}

static int view_verdict_each(void *context,
	int (*row)(void *arg, const struct hk_verdict_key *key, const struct hk_verdict_value *value),
	void *arg)
{
	const struct hk_inspector *inspector = context;
	struct hk_verdict_key key, next;
	struct hk_verdict_value value;
	unsigned bound = HK_MAP_VERDICTS_MAX;
	bool first = true;
	int stop;

	/* a key that goes away under us begins the walk again: hence the bound */
	while (bound-- && bpf_map_get_next_key(inspector->verdicts_fd, first ? NULL : &key, &next) == 0) {
		key = next;
		first = false;
		if (bpf_map_lookup_elem(inspector->verdicts_fd, &key, &value))
			continue;
		stop = row(arg, &key, &value);
		if (stop)
			return stop;
	}
	return 0;
}

static int verdict_put(void *context, const struct hk_verdict_key *key, const struct hk_verdict_value *value)
{
	const struct hk_inspector *inspector = context;

	if (bpf_map_update_elem(inspector->verdicts_fd, key, value, BPF_ANY) == 0)
		return 0;
	return errno == E2BIG ? -ENOSPC : -errno; /* a full hash says E2BIG */
}

static int verdict_delete(void *context, const struct hk_verdict_key *key)
{
	const struct hk_inspector *inspector = context;

	return bpf_map_delete_elem(inspector->verdicts_fd, key) ? -errno : 0;
}

static int view_keys_change(void *context, const struct hk_view_keys *change, struct hk_key_result *result,
	struct hk_error *error)
{
	return hk_inspector_change_keys(context, change, result, error);
}

static int view_reload(void *context, struct hk_error *error)
{
	const struct hk_inspector *inspector = context;
	const struct hk_request request = {.kind = HK_REQUEST_RELOAD};
	int err = hk_request_send(inspector->given.channel, &request, -1);

	return err ? hk_error_set(error, -err, "the starter takes no request: %s", strerror(-err)) : 0;
}

void hk_inspector_view(struct hk_inspector *inspector)
{
	inspector->view = (struct hk_view){
		.context = inspector,
		.config = view_config,
		.inspection = view_inspection,
		.status = view_status,
		.stats = view_stats,
		.verdict_each = view_verdict_each,
		.verdict_put = verdict_put,
		.verdict_delete = verdict_delete,
		.keys_change = view_keys_change,
		.reload = view_reload,
	};
}

void hk_inspector_verdicts(struct hk_inspector *inspector)
{
	struct hk_worker_verdict wanted;
	unsigned i;

	for (i = 0; i < inspector->workers->count; i++)
		while (hk_worker_verdict_take(inspector->workers->worker[i], &wanted))
			if (verdict_put(inspector, &wanted.key, &wanted.value))
				inspector->verdicts_refused++;
}

struct expiry {
	__u64 now_ns;
	unsigned count;
	struct hk_verdict_key keys[1024];
};

static int expiry_row(void *arg, const struct hk_verdict_key *key, const struct hk_verdict_value *value)
{
	struct expiry *expiry = arg;

	if (value->expires_ns <= expiry->now_ns)
		expiry->keys[expiry->count++] = *key;
	return expiry->count == sizeof(expiry->keys) / sizeof(expiry->keys[0]);
}

void hk_inspector_expire(struct hk_inspector *inspector, __u64 now_ns)
{
	struct expiry expiry = {.now_ns = now_ns};
	unsigned i;

	view_verdict_each(inspector, expiry_row, &expiry);
	for (i = 0; i < expiry.count; i++)
		verdict_delete(inspector, &expiry.keys[i]);
}

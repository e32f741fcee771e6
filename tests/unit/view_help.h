/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up daemon behind a real control socket, for tests of the server and of
 * the commands that ask it. The socket is `path`.
 */
#ifndef TESTS_UNIT_VIEW_HELP_H
#define TESTS_UNIT_VIEW_HELP_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/control/server.h"

#define VERDICTS 2500

static char path[96];
static int listen_fd;
static pthread_t thread;
static int stop_pipe[2];

static struct hk_prefix receivers[] = {
	{.address = {.bytes = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 0}}, .length = 120}};
static struct hk_domain_config domain = {.name = (char *)"east",
	.id = 3,
	.envelope = HK_ENVELOPE_PSP,
	.receivers = receivers,
	.receivers_count = 1};
static struct hk_config config = {.path = (char *)"box.yaml",
	.instance = (char *)"default",
	.mode = HK_MODE_INLINE,
	.domains = &domain,
	.domains_count = 1};
static struct hk_counts counts;
static struct hk_verdict_key put_key, deleted_key;
static struct hk_verdict_value put_value;
/* the reload is taken, and fails when it is done */
static int reload_later_fails;
static __u64 inspector_started_ns = 1000000000;
static int put_code, delete_code, reload_code, reloads, reload_failures;

static const struct hk_config *view_config(void *context)
{
	(void)context;
	return &config;
}

static const struct hk_inspection *inspection;

static const struct hk_inspection *view_inspection(void *context)
{
	(void)context;
	return inspection;
}

static void view_status(void *context, struct hk_view_status *out)
{
	(void)context;
	out->reloads = (unsigned)(reloads - reload_failures);
	out->reload_failures = (unsigned)reload_failures;
	snprintf(out->reload_error, sizeof(out->reload_error), "%s",
		reload_failures ? "box.yaml:3: no good" : "");
	out->starter = 11;
	out->inspector = 12;
	out->inspector_started_ns = inspector_started_ns;
	out->armed = true;
	out->calls_refused = 3;
	out->crypto = "libcrypto";
	out->pin_path = "/sys/fs/bpf/halfkey/v4/default";
	out->workers = 1;
	out->ports_count = 1;
	strcpy(out->ports[0].name, "box-c");
	strcpy(out->ports[0].driver, "veth");
	out->ports[0].up = true;
	out->ports[0].speed_mbit = 2500;
	out->ports[0].native = true;
	out->ports[0].queues = 2;
	out->ports[0].queue[1].frames_total = 8192;
}

static void view_stats(void *context, struct hk_view_stats *out)
{
	(void)context;
	out->xdp[HK_COUNTER_RECEIVED].packets = 10;
	out->xdp[HK_REASON_TO_WORKER].packets = 7;
	out->xdp[HK_REASON_LEGACY].packets = 3;
	out->xdp[HK_REASON_LEGACY].dropped = 1;
	out->workers = 2;
	out->worker[0] = out->worker[1] = &counts;
	out->feeds_count = 1;
	out->feeds[0] = (struct hk_feed_stats){.name = "eve", .written = 5};
}

static int view_each(void *context,
	int (*row)(void *arg, const struct hk_verdict_key *key, const struct hk_verdict_value *value),
	void *arg)
{
	struct hk_verdict_value value = {.expires_ns = ~0ull, .verdict = HK_VERDICT_DROP};
	struct hk_verdict_key key = {
		.envelope = HK_ENVELOPE_PSP, .dst = hk_address_v4((const __u8[]){192, 0, 2, 9})};
	unsigned i;

	(void)context;
	for (i = 0; i < VERDICTS; i++) {
		key.spi = i + 1;
		value.expires_ns = i == 0 ? 1 : ~0ull; /* the first has expired */
		row(arg, &key, &value);
	}
	return 0;
}

static int view_put(void *context, const struct hk_verdict_key *key, const struct hk_verdict_value *value)
{
	(void)context;
	put_key = *key;
	put_value = *value;
	return put_code;
}

static int view_delete(void *context, const struct hk_verdict_key *key)
{
	(void)context;
	deleted_key = *key;
	return delete_code;
}

static int view_reload(void *context, struct hk_error *error)
{
	(void)context;
	reloads++;
	reload_failures += reload_later_fails;
	return reload_code ? hk_error_set(error, -reload_code, "box.yaml:3: no good") : 0;
}

static char keys_text[2048];
static struct hk_view_keys keys_asked;

static int view_keys(void *context, const struct hk_view_keys *change, struct hk_key_result *result,
	struct hk_error *error)
{
	ssize_t got = pread(change->fd, keys_text, sizeof(keys_text) - 1, 0);

	(void)context;
	keys_text[got > 0 ? got : 0] = '\0';
	keys_asked = *change;
	if (strcmp(change->domain, "east") != 0)
		return hk_error_set(error, ENOENT, "there is no such domain");
	*result = (struct hk_key_result){.added = 3, .known = 2, .retired = 1};
	return 0;
}

static const struct hk_view view = {NULL, view_config, view_inspection, view_status, view_stats, view_each,
	view_put, view_delete, view_keys, view_reload};

static void *serve(void *argument)
{
	struct hk_control_server *server = argument;
	struct pollfd fds[2] = {{.fd = hk_control_server_fd(server), .events = POLLIN},
		{.fd = stop_pipe[0], .events = POLLIN}};

	while (poll(fds, 2, -1) >= 0 && !fds[1].revents)
		hk_control_server_run(server);
	hk_control_server_free(server);
	return NULL;
}

static int start(const char *directory)
{
	struct hk_control_server *server;
	struct hk_error error = {""};

	snprintf(path, sizeof(path), "%s/halfkey.sock", directory);
	listen_fd = hk_control_listen(path, &error);
	if (listen_fd < 0 || pipe(stop_pipe) || hk_control_server_new(&server, listen_fd, &view))
		return -1;
	return pthread_create(&thread, NULL, serve, server);
}

static void stop(void)
{
	if (write(stop_pipe[1], "x", 1) != 1)
		abort();
	pthread_join(thread, NULL);
	close(listen_fd);
	close(stop_pipe[0]);
	close(stop_pipe[1]);
}

#endif

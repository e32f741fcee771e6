// SPDX-License-Identifier: GPL-2.0-or-later
/* The inspector's life and its control thread: see inspector.h. */
#include "user/control/inspector_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/control/config.h"
#include "user/control/fit.h"
#include "user/control/privileges.h"
#include "user/control/sandbox.h"

#define TICK_MS	  50
#define SECOND_NS 1000000000ull

/* Everything that takes memory or a right, while we still have both. */
static int memory_make(struct hk_inspector *inspector, struct hk_error *error)
{
	const struct hk_inspector_options *given = &inspector->given;
	const struct hk_config *config = given->config;
	int copies[HK_QUEUES_MAX];
	struct hk_workers_options options = {
		.config = config,
		.count = hk_loader_queues(given->loader),
		.queues = given->queues,
		.copies_fds = config->mode == HK_MODE_MONITOR ? copies : NULL,
		.beats = hk_loader_beats(given->loader),
		.ledger = given->ledger,
		.feeds = given->feeds,
		.frame_max = hk_loader_frame_max(given->loader),
	};
	struct hk_crypto *crypto = hk_crypto_new(config->crypto);
	unsigned i;

	for (i = 0; i < HK_QUEUES_MAX; i++)
		copies[i] = hk_loader_copies(given->loader, i);
	inspector->crypto = crypto ? hk_crypto_name(crypto) : NULL;
	hk_crypto_free(crypto);
	inspector->arena = hk_arena_new(config->keys_max);
	if (!inspector->arena)
		return hk_error_set(error, errno, "keys-max %u: no memory for the key arena: %s",
			config->keys_max, strerror(errno));
	return hk_workers_new(&inspector->workers, &options, error);
}

/* Of the maps we keep the heartbeat's mapping and these two; then every other descriptor goes. */
static int maps_keep(struct hk_inspector *inspector, struct hk_error *error)
{
	inspector->counters_fd = hk_loader_open_counters(inspector->given.loader);
	inspector->verdicts_fd = hk_loader_open_verdicts(inspector->given.loader);
	if (inspector->counters_fd < 0 || inspector->verdicts_fd < 0)
		return hk_error_set(error, EIO, "%s: maps counters and verdicts cannot be opened",
			hk_loader_directory(inspector->given.loader));
	hk_loader_surrender(inspector->given.loader);
	return 0;
}

static int rights_drop(struct hk_inspector *inspector, struct hk_error *error)
{
	int err;

	inspector->memory_locked = hk_privileges_lock_memory() && hk_arena_locked(inspector->arena);
	if (!inspector->memory_locked)
		hk_log_warn("memory cannot be locked: keys may reach swap (CAP_IPC_LOCK, LimitMEMLOCK)");
	err = hk_privileges_drop(inspector->given.uid, inspector->given.gid, error);
	return err ? err : hk_sandbox_enter(inspector->config->seccomp, error);
}

static int inspection_make(struct hk_inspector *inspector, struct hk_error *error)
{
	int err = hk_inspection_new(&inspector->inspection, inspector->config, inspector->given.files,
		inspector->arena, inspector->workers->count, error);

	if (!err)
		err = hk_fit_hooks(inspector->inspection->hooks, error);
	hk_files_close(inspector->given.files);
	return err;
}

/* What came to a dead inspector over the control socket is nowhere else. */
static int keys_restore(struct hk_inspector *inspector, struct hk_error *error)
{
	struct hk_restored restored;

	if (hk_kept_open(inspector->given.kept))
		return hk_error_set(error, ENOMEM, "no memory for the keys of the control socket");
	if (inspector->given.drops_keys)
		inspector->keys_dropped = hk_kept_drop_keys(inspector->given.kept);
	if (inspector->keys_dropped)
		hk_log_error(
			"keys: %u from the control socket dropped, inspectors crashed again and again: push "
			"them again, a few at a time",
			inspector->keys_dropped);
	if (hk_keyring_restore(
		    inspector->inspection->keyring, inspector->given.kept, inspector->config, &restored))
		return hk_error_set(error, ENOMEM,
			"no memory to look which keys of files were retired over the control socket");
	if (restored.keys)
		hk_log_info("keys: %u from the control socket in force again", restored.keys);
	if (restored.words)
		hk_log_info("keys: %u in files stay retired, or keep their end, as the control socket said",
			restored.words);
	if (restored.lost)
		hk_log_error("keys: %u from the control socket lost: push them again (the first: %s)",
			restored.lost, restored.why.text[0] ? restored.why.text : "its record is damaged");
	return 0;
}

static int threads_start(struct hk_inspector *inspector, struct hk_error *error)
{
	int err = 0;

	hk_inspector_view(inspector);
	if (hk_control_server_new(&inspector->server, inspector->given.listen_fd, &inspector->view))
		return hk_error_set(error, ENOMEM, "control socket: cannot be served");
	if (inspector->given.feeds)
		err = hk_feeds_start(inspector->given.feeds, error);
	return err ? err : hk_workers_start(inspector->workers, inspector->inspection, error);
}

static void inspection_log(const struct hk_inspector *inspector)
{
	const struct hk_inspection *inspection = inspector->inspection;
	unsigned domains = inspector->config->domains_count, keys = hk_keyring_count(inspection->keyring), i;

	hk_log_info("crypto %s; %u domain%s, %u key%s; memory %s; running as uid %u without capabilities, "
		    "seccomp "
		    "%s",
		inspector->crypto ? inspector->crypto : "?", domains, hk_plural(domains), keys,
		hk_plural(keys), inspector->memory_locked ? "locked" : "NOT locked", (unsigned)getuid(),
		hk_seccomp_name(inspector->config->seccomp));
	for (i = 0; i < hk_hook_chain_length(inspection->hooks); i++)
		hk_log_info("hook %u: %s: %s", i, hk_hook_chain_name(inspection->hooks, i),
			hk_hook_chain_summary(inspection->hooks, i));
}

struct keyed {
	bool domain[HK_DOMAINS_MAX];
};

static int key_seen(void *context, const struct hk_key_row *row)
{
	struct keyed *keyed = context;

	if (row->domain < HK_DOMAINS_MAX && row->state != HK_KEY_RETIRED && row->state != HK_KEY_EXPIRED)
		keyed->domain[row->domain] = true;
	return 0;
}

void hk_inspector_say_keyless(const struct hk_inspector *inspector)
{
	const struct hk_config *config = inspector->config;
	struct keyed keyed = {0};
	char text[HK_KEYLESS_TEXT];
	unsigned i;

	if (hk_keyring_list(inspector->inspection->keyring, key_seen, &keyed))
		return;
	for (i = 0; i < config->domains_count; i++)
		if (!keyed.domain[config->domains[i].id])
			hk_log_warn("domain %s: %s: until then none of its packets is opened (no-key)",
				config->domains[i].name,
				hk_domain_keyless(&config->domains[i], text, sizeof(text)));
}

void hk_inspector_say_unlocked(struct hk_inspector *inspector)
{
	if (!inspector->memory_locked || hk_arena_locked(inspector->arena))
		return;
	inspector->memory_locked = false;
	hk_log_warn("the children of inline keying lie in memory that cannot be locked: their keys may reach "
		    "swap (CAP_IPC_LOCK, LimitMEMLOCK)");
}

static int begin(struct hk_inspector *inspector, struct hk_error *error)
{
	int err = memory_make(inspector, error);

	if (!err)
		err = maps_keep(inspector, error);
	if (!err)
		err = rights_drop(inspector, error);
	if (!err)
		err = inspection_make(inspector, error);
	if (!err)
		err = keys_restore(inspector, error);
	if (!err)
		err = threads_start(inspector, error);
	if (!err) {
		hk_inspector_say_unlocked(inspector);
		inspection_log(inspector);
		hk_inspector_say_keyless(inspector);
	}
	return err;
}

static void request_obey(struct hk_inspector *inspector, const struct hk_request *request, int fd)
{
	switch (request->kind) {
	case HK_REQUEST_STATUS: inspector->status = request->status; break;
	case HK_REQUEST_FILE: hk_inspector_file(inspector, &request->file, fd); break;
	case HK_REQUEST_CONFIG: hk_inspector_config(inspector, &request->config, fd); break;
	case HK_REQUEST_SWAP: hk_inspector_swap(inspector, request->number.generation); break;
	case HK_REQUEST_KEYS:
	case HK_REQUEST_KEYS_GONE: hk_inspector_keys_file(inspector, &request->keys, fd); break;
	case HK_REQUEST_STOP: inspector->stop = true; break;
	default: break; /* receive() lets nothing else through */
	}
}

static void channel_serve(struct hk_inspector *inspector)
{
	struct hk_request request;
	int fd, result;

	while (!inspector->stop && (result = hk_request_receive(
					    inspector->given.channel, HK_FROM_STARTER, &request, &fd)) != 0) {
		if (result > 0) {
			request_obey(inspector, &request, fd);
			continue;
		}
		hk_log_warn(result == -EPIPE ? "the starter is gone: stopping"
					     : "the starter said something that is in no table: stopping");
		inspector->orphaned = inspector->stop = true;
	}
}

static void stats_feed(struct hk_inspector *inspector, __u64 now_ns)
{
	unsigned interval = inspector->config->feeds.stats_interval_s;
	char *json;

	if (!interval || !inspector->given.feeds || now_ns < inspector->next_stats_ns)
		return;
	inspector->next_stats_ns = now_ns + interval * SECOND_NS;
	json = hk_control_stats_json(&inspector->view);
	if (json)
		hk_feeds_put_stats(inspector->given.feeds, json);
	free(json);
}

static void timers_run(struct hk_inspector *inspector)
{
	__u64 now_ns = hk_worker_clock(CLOCK_MONOTONIC);

	hk_inspector_verdicts(inspector);
	hk_sandbox_say_refused();
	stats_feed(inspector, now_ns);
	if (now_ns >= inspector->next_key_time_ns) {
		inspector->next_key_time_ns = now_ns + SECOND_NS / 4;
		hk_inspector_keys_time(inspector);
	}
	if (now_ns < inspector->next_expiry_ns)
		return;
	inspector->next_expiry_ns = now_ns + SECOND_NS;
	hk_inspector_expire(inspector, now_ns);
	hk_keyring_expire_children(inspector->inspection->keyring, now_ns);
	if (inspector->verdicts_refused)
		hk_log_warn("the kernel's verdict cache is full: %llu verdicts were not put into it",
			(unsigned long long)inspector->verdicts_refused);
	inspector->verdicts_refused = 0;
}

static void control_loop(struct hk_inspector *inspector)
{
	struct pollfd waits[2] = {
		{.fd = inspector->given.channel, .events = POLLIN},
		{.fd = hk_control_server_fd(inspector->server), .events = POLLIN},
	};

	while (!inspector->stop) {
		if (poll(waits, 2, TICK_MS) < 0 && errno != EINTR)
			return;
		if (waits[0].revents)
			channel_serve(inspector);
		if (waits[1].revents && !inspector->stop)
			hk_control_server_run(inspector->server);
		timers_run(inspector);
	}
}

/* The rings first, so that the feeds get what the last packets said. */
static void finish(struct hk_inspector *inspector)
{
	if (inspector->workers)
		hk_workers_stop(inspector->workers);
	if (inspector->workers)
		hk_inspector_verdicts(inspector);
	if (inspector->given.feeds)
		hk_feeds_stop(inspector->given.feeds);
	hk_control_server_free(inspector->server);
	hk_inspector_forget(inspector);
	hk_workers_free(inspector->workers);
	hk_inspection_free(inspector->inspection);
	hk_arena_free(inspector->arena);
	hk_config_free(inspector->own_config);
}

static void say_failed(const struct hk_inspector *inspector, int code, const struct hk_error *error)
{
	struct hk_request request = {.kind = HK_REQUEST_FAILED};

	request.answer.code = code;
	snprintf(request.answer.text, sizeof(request.answer.text), "%s",
		error->text[0] ? error->text : strerror(-code));
	hk_request_send(inspector->given.channel, &request, -1);
}

static void say_ready(const struct hk_inspector *inspector)
{
	struct hk_request request = {.kind = HK_REQUEST_READY};

	request.ready.memory_locked = inspector->memory_locked;
	request.ready.keys_dropped = inspector->keys_dropped;
	hk_request_send(inspector->given.channel, &request, -1);
}

int hk_inspector_run(const struct hk_inspector_options *options)
{
	struct hk_inspector *inspector = calloc(1, sizeof(*inspector));
	struct hk_error error = {0};
	int err;

	if (!inspector)
		return 1;
	prctl(PR_SET_NAME, "hk-inspector", 0, 0, 0);
	inspector->given = *options;
	inspector->config = options->config;
	inspector->counters_fd = inspector->verdicts_fd = -1;
	inspector->started_ns = hk_worker_clock(CLOCK_MONOTONIC);
	err = begin(inspector, &error);
	if (err) {
		hk_sandbox_say_refused();
		say_failed(inspector, err, &error);
		return 1;
	}
	say_ready(inspector);
	control_loop(inspector);
	finish(inspector);
	err = inspector->orphaned;
	free(inspector);
	return err ? 3 : 0;
}

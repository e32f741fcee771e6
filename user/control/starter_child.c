// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inspector as the starter sees it: made, watched, replaced. Between two
 * inspectors the fail policy carries the traffic: the dead one's sockets left
 * the XSKMAP by themselves.
 */
#include "user/control/starter_state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maps/layout.h"
#include "user/base/log.h"
#include "user/control/inspector.h"
#include "user/dataplane/socket.h"
#include "user/dataplane/worker.h"

#define MS_NS	       1000000ull
#define BIND_MS	       3000 /* a queue of a dead inspector may be busy for a moment */
#define BEGIN_NS       (60000 * MS_NS)
#define HANG_NS	       (3000 * MS_NS) /* a heart that stood still for so long will not beat again */
#define HANG_BEATS     10
#define HEALTHY_NS     (30000 * MS_NS)
#define QUICK_ENDS     4 /* in a row, and the pushed keys are under suspicion */
#define STOP_MS	       5000
#define BACKOFF_MS     200
#define BACKOFF_MAX_MS 10000
#define SETTLE_US      2000 /* an XDP program that still looked at the old heartbeat has ended */

static void queues_close(struct hk_queue **queues, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		hk_queue_close(queues[i]);
}

static int queue_make(
	struct hk_starter *starter, unsigned index, struct hk_queue **out, struct hk_error *error)
{
	struct hk_queue_options options = {
		.index = index,
		.ports = hk_loader_ports(starter->loader),
		.frames = starter->config->frames,
		.frame_size = hk_loader_frame_size(starter->loader),
		.deadline_ms = BIND_MS,
	};
	unsigned port;
	int err;

	for (port = 0; port < options.ports; port++) {
		options.name[port] = hk_loader_port(starter->loader, port)->device.name;
		options.native[port] = hk_loader_port(starter->loader, port)->attachment.native;
	}
	err = hk_queue_open(out, &options, error);
	return err ? err : hk_queue_insert(*out, hk_loader_xsks(starter->loader), error);
}

/* Every queue gets its sockets, or none runs. */
static int queues_make(struct hk_starter *starter, struct hk_queue **queues, struct hk_error *error)
{
	unsigned i, count = hk_loader_queues(starter->loader);
	int err = 0;

	for (i = 0; !err && i < count; i++)
		err = queue_make(starter, i, &queues[i], error);
	return err;
}

static void accounts_settle(struct hk_starter *starter)
{
	struct hk_heartbeat *beats = hk_loader_beats(starter->loader);
	unsigned slot;

	for (slot = 0; slot < HK_MAP_SLOTS; slot++)
		__atomic_store_n(&beats[slot].beat_ns, 0, __ATOMIC_RELAXED);
	usleep(SETTLE_US);
	if (starter->was_ready) {
		hk_ledger_settle(starter->ledger, beats, hk_loader_handed(starter->loader),
			hk_loader_counted(starter->loader, HK_REASON_TO_WORKER));
	} else {
		starter->metadata_failed_before = hk_loader_counted(starter->loader, HK_REASON_META_FAILED);
		hk_ledger_begin(starter->ledger, beats, hk_loader_handed(starter->loader),
			hk_loader_counted(starter->loader, HK_REASON_TO_WORKER));
	}
}

/* The child: signals as they were by default, only its own end of the channel. */
static void child_run(struct hk_starter *starter, struct hk_queue **queues, const int ends[2])
{
	struct hk_inspector_options options = {
		.config = starter->config,
		.files = &starter->files,
		.loader = starter->loader,
		.queues = starter->config->mode == HK_MODE_MONITOR ? NULL : queues,
		.ledger = starter->ledger,
		.kept = starter->kept,
		.drops_keys = starter->drops_keys,
		.feeds = starter->feeds,
		.channel = ends[1],
		.listen_fd = starter->listen_fd,
		.uid = starter->uid,
		.gid = starter->gid,
	};
	sigset_t none;

	close(ends[0]);
	close(starter->signals);
	/* Ctrl-C goes to the whole group: the starter decides */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	hk_log_rename("inspector");
	_exit(hk_inspector_run(&options));
}

int hk_starter_spawn(struct hk_starter *starter, struct hk_error *error)
{
	struct hk_queue *queues[HK_QUEUES_MAX] = {0};
	int ends[2] = {-1, -1}, err = 0;

	accounts_settle(starter);
	if (starter->config->mode != HK_MODE_MONITOR)
		err = queues_make(starter, queues, error);
	if (!err)
		err = hk_request_pair(ends);
	if (!err) {
		starter->pid = fork();
		if (starter->pid == 0)
			child_run(starter, queues, ends);
		if (starter->pid < 0)
			err = hk_error_set(error, errno, "no inspector: fork: %s", strerror(errno));
		close(ends[1]);
	}
	/* ours go now: from here on the sockets live and die with the inspector */
	queues_close(queues, HK_QUEUES_MAX);
	if (err) {
		if (ends[0] >= 0)
			close(ends[0]);
		return err;
	}
	starter->channel = ends[0];
	starter->child = HK_CHILD_BEGINNING;
	starter->child_since_ns = hk_worker_clock(CLOCK_MONOTONIC);
	starter->child_error[0] = '\0';
	return 0;
}

static void child_later(struct hk_starter *starter)
{
	__u64 now_ns = hk_worker_clock(CLOCK_MONOTONIC);

	if (now_ns - starter->child_since_ns > HEALTHY_NS || !starter->backoff_ms)
		starter->backoff_ms = BACKOFF_MS;
	else
		starter->backoff_ms =
			starter->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : starter->backoff_ms * 2;
	starter->child_next_ns = now_ns + starter->backoff_ms * MS_NS;
	hk_log_warn(
		"the fail policy carries the traffic; a new inspector begins in %u ms", starter->backoff_ms);
}

static void child_say_end(const struct hk_starter *starter, int status)
{
	if (starter->child_error[0])
		hk_log_error("%s", starter->child_error);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		hk_log_error(
			"the inspector (pid %d) made a system call that none ever makes (another program, "
			"another process's memory, a module ...) and was killed for it: it may have been "
			"broken into; the kernel's log has the call (type=1326)",
			(int)starter->pid);
	else if (WIFSIGNALED(status))
		hk_log_error("the inspector (pid %d) died of signal %d (%s)", (int)starter->pid,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		hk_log_error("the inspector (pid %d) ended with status %d", (int)starter->pid,
			WEXITSTATUS(status));
}

/*
 * Pushed keys survive a crash, so one that causes it would cause the next as well, for ever. Files can be
 * mended by whoever reads the log; what the control socket brought is nowhere but with us.
 */
static void suspect_keys(struct hk_starter *starter)
{
	bool quick = hk_worker_clock(CLOCK_MONOTONIC) - starter->child_since_ns <= HEALTHY_NS;

	starter->quick_ends = quick ? starter->quick_ends + 1 : 0;
	if (starter->quick_ends < QUICK_ENDS)
		return;
	starter->quick_ends = 0;
	starter->drops_keys = true;
	hk_log_error("%u inspectors in a row ended within %llu s: the next one begins with the keys of files "
		     "alone; keys of the control socket may be the cause",
		QUICK_ENDS, (unsigned long long)(HEALTHY_NS / 1000 / MS_NS));
}

static void child_ended(struct hk_starter *starter, int status)
{
	bool stopping = starter->child == HK_CHILD_STOPPING;

	if (!stopping)
		child_say_end(starter, status);
	if (starter->channel >= 0)
		close(starter->channel);
	starter->channel = -1;
	starter->child = HK_CHILD_NONE;
	starter->keys_asked = false; /* and asked again, see starter_keys.c */
	starter->pid = 0;
	if (stopping)
		return;
	if (!starter->was_ready) {
		/* the first one could not even begin: that is a refusal to start, not a crash */
		starter->stop = starter->failed = true;
		return;
	}
	starter->restarts++;
	suspect_keys(starter);
	if (starter->reload_deadline_ns)
		hk_starter_reload_fail(
			starter, "the inspector died of the new configuration, or while it built it");
	child_later(starter);
}

/* How long the slowest worker's heart has stood still. */
static __u64 beat_age(const struct hk_starter *starter, __u64 now_ns)
{
	const struct hk_heartbeat *beats = hk_loader_beats(starter->loader);
	unsigned port, queue;
	__u64 beat_ns, oldest = 0;

	for (port = 0; port < hk_loader_ports(starter->loader); port++)
		for (queue = 0; queue < hk_loader_queues(starter->loader); queue++) {
			beat_ns = __atomic_load_n(&beats[HK_MAP_SLOT(port, queue)].beat_ns, __ATOMIC_RELAXED);
			if (now_ns > beat_ns && now_ns - beat_ns > oldest)
				oldest = now_ns - beat_ns;
		}
	return oldest;
}

static void child_check(struct hk_starter *starter, __u64 now_ns)
{
	__u64 limit = starter->config->heartbeat_ms * HANG_BEATS * MS_NS;
	bool hangs;

	if (limit < HANG_NS)
		limit = HANG_NS;
	hangs = starter->child == HK_CHILD_READY
			? now_ns - starter->child_since_ns > limit && beat_age(starter, now_ns) > limit
			: starter->child == HK_CHILD_BEGINNING && now_ns - starter->child_since_ns > BEGIN_NS;
	if (!hangs)
		return;
	starter->child = HK_CHILD_DYING; /* said once, however long the kernel takes to end it */
	hk_log_error("the inspector (pid %d) hangs: its heart stood still for %llu ms; it is replaced",
		(int)starter->pid, (unsigned long long)(beat_age(starter, now_ns) / MS_NS));
	kill(starter->pid, SIGKILL);
}

/*
 * A driver that carries no metadata shows itself with the first packet for a
 * worker: XDP writes none, and nobody would ever be inspected. That is a refusal
 * to run, said once, and the fail policy carries the traffic.
 */
static void metadata_check(struct hk_starter *starter)
{
	if (starter->metadata_seen || starter->child != HK_CHILD_READY)
		return;
	starter->metadata_seen =
		hk_loader_counted(starter->loader, HK_REASON_TO_WORKER) > starter->ledger->handed_before;
	if (starter->metadata_seen ||
		hk_loader_counted(starter->loader, HK_REASON_META_FAILED) <= starter->metadata_failed_before)
		return;
	hk_log_error("port %s (driver %s): its driver carries no XDP metadata to AF_XDP, so no packet can be "
		     "inspected: use `mode: monitor`, `attach: generic` or another driver",
		hk_loader_port(starter->loader, 0)->device.name,
		hk_loader_port(starter->loader, 0)->device.driver);
	starter->stop = starter->failed = true;
}

/* One that was told to swap may have done it: which configuration it runs is known again with the next one.
 */
static void reload_late(struct hk_starter *starter)
{
	if (starter->reload_swaps) {
		starter->child = HK_CHILD_DYING;
		kill(starter->pid, SIGKILL);
	}
	hk_starter_reload_fail(starter, "the inspector did not build it in time");
}

void hk_starter_watch(struct hk_starter *starter)
{
	__u64 now_ns = hk_worker_clock(CLOCK_MONOTONIC);
	struct hk_error error = {0};
	int status;

	if (starter->pid > 0 && waitpid(starter->pid, &status, WNOHANG) == starter->pid)
		child_ended(starter, status);
	if (starter->stop)
		return;
	hk_starter_watch_ports(starter, now_ns);
	if (starter->child != HK_CHILD_NONE) {
		child_check(starter, now_ns);
		metadata_check(starter);
	} else if (now_ns >= starter->child_next_ns && hk_starter_spawn(starter, &error)) {
		hk_log_error("%s", error.text);
		child_later(starter);
	}
	if (starter->reload_deadline_ns && now_ns > starter->reload_deadline_ns)
		reload_late(starter);
	if (starter->reload_wanted && !starter->reload_deadline_ns)
		hk_starter_reload(starter);
}

void hk_starter_stop_child(struct hk_starter *starter)
{
	struct hk_request request = {.kind = HK_REQUEST_STOP};
	unsigned waited;
	int status;

	if (starter->pid <= 0)
		return;
	starter->child = HK_CHILD_STOPPING;
	hk_request_send(starter->channel, &request, -1);
	for (waited = 0; waited < STOP_MS && waitpid(starter->pid, &status, WNOHANG) == 0; waited += 5)
		usleep(5000);
	if (waited >= STOP_MS) {
		hk_log_warn("the inspector (pid %d) does not end: killed", (int)starter->pid);
		kill(starter->pid, SIGKILL);
		waitpid(starter->pid, &status, 0);
	}
	child_ended(starter, status);
}

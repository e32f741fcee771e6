// SPDX-License-Identifier: GPL-2.0-or-later
/* The starter's life: see starter.h. */
#include "user/control/starter.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/control/config.h"
#include "user/control/fit.h"
#include "user/control/privileges.h"
#include "user/control/server.h"
#include "user/control/starter_state.h"
#include "user/dataplane/worker.h"

#define TICK_MS 100

static int signals_open(struct hk_starter *starter, struct hk_error *error)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	starter->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return starter->signals < 0 ? hk_error_set(error, errno, "signalfd: %s", strerror(errno)) : 0;
}

static int config_open(struct hk_starter *starter, struct hk_error *error)
{
	int err = hk_config_load(&starter->config, starter->path, HK_CONFIG_DAEMON, NULL, error);

	if (!err)
		err = hk_fit_config(starter->config, error);
	if (!err)
		err = hk_privileges_find(starter->config->user, &starter->uid, &starter->gid, error);
	/* watched before they are opened: nothing can happen in between unseen */
	if (!err)
		err = hk_starter_keys_watch(starter, starter->config, error);
	return err ? err : hk_config_open_files(starter->config, &starter->files, error);
}

static void ports_log(const struct hk_starter *starter)
{
	const struct hk_loader_port *port;
	unsigned i;

	for (i = 0; i < hk_loader_ports(starter->loader); i++) {
		port = hk_loader_port(starter->loader, i);
		hk_log_info("port %s: driver %s, MTU %u, %u queue%s, %s XDP by %s%s", port->device.name,
			port->device.driver, port->device.mtu, port->device.queues,
			hk_plural(port->device.queues), port->attachment.native ? "native" : "generic",
			port->attachment.dispatcher ? "libxdp's dispatcher" : "a plain bpf_link",
			port->attachment.adopted ? ", adopted" : "");
		if (!port->attachment.native && starter->config->attach != HK_ATTACH_GENERIC)
			hk_log_warn("port %s: %s", port->device.name,
				port->attachment.adopted ? "its program was in generic mode before, stays "
							   "so, and is slow; after "
							   "`halfkey detach` the next start takes native "
							   "where the driver has it"
							 : "its driver has no native XDP, generic mode is "
							   "slow; `attach: native` "
							   "would refuse it");
	}
	hk_log_info("mode %s; maps in %s (%u adopted)", hk_mode_name(starter->config->mode),
		hk_loader_directory(starter->loader), hk_loader_adopted(starter->loader));
}

static void feeds_log(const struct hk_config *config)
{
	const char *name;
	unsigned i;

	for (i = 0; (name = hk_feed_name(i)); i++)
		if (hk_feed_target(i, config))
			hk_log_info("feed %s: %s", name, hk_feed_target(i, config));
}

static int begin(struct hk_starter *starter, struct hk_error *error)
{
	int err = config_open(starter, error);

	if (!err)
		err = signals_open(starter, error);
	if (!err)
		err = hk_loader_new(&starter->loader, starter->config, error);
	if (err)
		return err;
	starter->ledger = hk_ledger_new(hk_loader_queues(starter->loader));
	if (!starter->ledger)
		return hk_error_set(error, ENOMEM, "no shared memory for the counters");
	starter->kept = hk_kept_new(starter->config->keys_max);
	if (!starter->kept)
		return hk_error_set(error, errno,
			"keys-max %u: no shared memory for keys of the control socket: %s",
			starter->config->keys_max, strerror(errno));
	err = hk_feeds_open(
		&starter->feeds, starter->config, &starter->files, hk_loader_queues(starter->loader), error);
	if (err)
		return err;
	starter->listen_fd = hk_control_listen(starter->config->control, error);
	if (starter->listen_fd < 0)
		return starter->listen_fd;
	ports_log(starter);
	feeds_log(starter->config);
	return hk_starter_spawn(starter, error);
}

void hk_starter_say_status(struct hk_starter *starter)
{
	struct hk_request request = {.kind = HK_REQUEST_STATUS};
	unsigned port;

	if (starter->child != HK_CHILD_READY)
		return;
	request.status.started_ns = starter->started_ns;
	request.status.starter = (__u32)getpid();
	request.status.armed = starter->armed;
	request.status.restarts = starter->restarts;
	request.status.reloads = starter->reloads;
	request.status.reload_failures = starter->reload_failures;
	request.status.keys_dropped = starter->keys_dropped;
	snprintf(request.status.reload_error, sizeof(request.status.reload_error), "%s",
		starter->reload_error);
	for (port = 0; port < HK_PORTS_MAX; port++) {
		request.status.link[port].up = starter->link[port].up;
		request.status.link[port].speed_mbit = starter->link[port].speed_mbit;
	}
	hk_request_send(starter->channel, &request, -1);
}

static void child_ready(struct hk_starter *starter, const struct hk_request_ready *ready)
{
	struct hk_error error = {0};

	starter->child = HK_CHILD_READY;
	starter->was_ready = true;
	starter->keys_dropped += ready->keys_dropped;
	starter->drops_keys = false;
	starter->child_since_ns = hk_worker_clock(CLOCK_MONOTONIC);
	starter->armed = hk_loader_arm(starter->loader, true, &error) == 0;
	if (starter->armed)
		hk_log_info("inspecting: inspector pid %d, memory %s", (int)starter->pid,
			ready->memory_locked ? "locked" : "NOT locked");
	else
		hk_log_error("%s", error.text);
	hk_starter_say_status(starter);
}

static void request_obey(struct hk_starter *starter, const struct hk_request *request)
{
	switch (request->kind) {
	case HK_REQUEST_READY: child_ready(starter, &request->ready); break;
	case HK_REQUEST_FAILED:
		snprintf(starter->child_error, sizeof(starter->child_error), "%s", request->answer.text);
		break;
	case HK_REQUEST_BUILT: hk_starter_built(starter, &request->answer); break;
	case HK_REQUEST_SWAPPED: hk_starter_swapped(starter, &request->answer); break;
	case HK_REQUEST_KEYS_TAKEN: hk_starter_keys_taken(starter, &request->answer); break;
	case HK_REQUEST_RELOAD: hk_starter_reload(starter); break;
	default: break; /* receive() lets nothing else through */
	}
}

/* What the inspector says; one that speaks out of turn is not ours any more. */
static void channel_serve(struct hk_starter *starter)
{
	struct hk_request request;
	int fd, result;

	while (starter->channel >= 0 &&
		(result = hk_request_receive(starter->channel, HK_FROM_INSPECTOR, &request, &fd)) != 0) {
		if (result > 0) {
			request_obey(starter, &request);
			continue;
		}
		if (result != -EPIPE) {
			hk_log_error("the inspector sent what is in no table: it is replaced");
			kill(starter->pid, SIGKILL);
		}
		/* waitpid() says the rest; a closed channel would wake poll() until then */
		close(starter->channel);
		starter->channel = -1;
		return;
	}
}

static void signals_serve(struct hk_starter *starter)
{
	struct signalfd_siginfo info;

	while (read(starter->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			hk_starter_reload(starter);
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			starter->stop = true;
	}
}

static void loop(struct hk_starter *starter)
{
	struct pollfd waits[3] = {{.fd = starter->signals, .events = POLLIN}, {.events = POLLIN},
		{.fd = starter->watch, .events = POLLIN}};
	bool later;

	while (!starter->stop) {
		waits[1].fd = starter->channel; /* negative: poll() leaves it out */
		/* what cannot be done now must not wake us again and again */
		later = starter->keys_asked || starter->reload_deadline_ns ||
			starter->child != HK_CHILD_READY;
		waits[2].fd = later ? -1 : starter->watch;
		if (poll(waits, 3, TICK_MS) < 0 && errno != EINTR)
			return;
		signals_serve(starter);
		channel_serve(starter);
		hk_starter_watch(starter);
		hk_starter_keys_serve(starter);
	}
}

/* Inspection ends first in XDP, then in the inspector; link and maps stay. */
static void finish(struct hk_starter *starter)
{
	struct hk_error error = {0};
	bool fresh = starter->loader && !hk_loader_adopted(starter->loader);
	char instance[64];

	if (starter->loader && hk_loader_arm(starter->loader, false, &error))
		hk_log_error("%s", error.text);
	hk_starter_stop_child(starter);
	if (starter->listen_fd >= 0) {
		close(starter->listen_fd);
		unlink(starter->config->control);
	}
	hk_feeds_free(starter->feeds);
	hk_loader_free(starter->loader);
	if (starter->failed && !starter->was_ready && fresh) {
		/* nothing ever ran here: leave nothing behind */
		snprintf(instance, sizeof(instance), "%s", starter->config->instance);
		hk_loader_detach(instance, NULL);
	} else if (starter->loader) {
		hk_log_info("stopped; the XDP program stays with the fail policy in force "
			    "(`halfkey detach -i %s` removes it)",
			starter->config->instance);
	}
	hk_starter_keys_end(starter);
	hk_ledger_free(starter->ledger);
	hk_kept_free(starter->kept);
	hk_files_close(&starter->files);
	hk_files_close(&starter->next_files);
	hk_config_free(starter->next_config);
	hk_config_free(starter->config);
}

int hk_starter_run(const char *config_path)
{
	struct hk_starter starter = {.path = config_path,
		.listen_fd = -1,
		.channel = -1,
		.signals = -1,
		.watch = -1,
		.asked_fd = -1};
	struct hk_error error = {0};

	starter.started_ns = hk_worker_clock(CLOCK_MONOTONIC);
	if (begin(&starter, &error)) {
		hk_log_error("%s", error.text[0] ? error.text : "cannot start");
		starter.failed = true;
	} else {
		loop(&starter);
	}
	finish(&starter);
	return starter.failed ? 1 : 0;
}

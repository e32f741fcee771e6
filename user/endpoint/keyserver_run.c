// SPDX-License-Identifier: GPL-2.0-or-later
/* The key server's loop: listening, time, signals. One thread, epoll. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/endpoint/keyserver_connection.h"

#define EVENTS	       64
#define OTHER_FILES    64 /* descriptors beside connections */
#define REPORT_EVERY_S 10

static int listen_at(struct hk_ks_server *server, struct hk_error *error)
{
	const char *where = server->ks->config->listen ? server->ks->config->listen : "[::]:" HK_PUSH_PORT;
	const char *colon = strrchr(where, ':');
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST}, *list;
	char host[64] = "";
	bool bracket = where[0] == '[';
	size_t size = colon ? (size_t)(colon - where) : 0;
	int one = 1, code;
	__u64 port;

	if (size > bracket * 2u && size < sizeof(host))
		memcpy(host, where + bracket, size - 2u * bracket);
	if (!*host || hk_number_parse(colon + 1, 65535, &port) || getaddrinfo(host, colon + 1, &hints, &list))
		return hk_error_set(error, EINVAL,
			"listen '%s': must be ADDRESS:PORT or [ADDRESS]:PORT, with a port up to 65535",
			where);
	server->listener = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	code = server->listener < 0 || bind(server->listener, list->ai_addr, list->ai_addrlen) ||
			       listen(server->listener, 256)
		       ? errno
		       : 0;
	freeaddrinfo(list);
	return code ? hk_error_set(error, code, "listen '%s': %s", where, strerror(code)) : 0;
}

static int add_fd(struct hk_ks_server *server, int fd, void *mark)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};

	return fd < 0 || epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* A descriptor for every connection; fewer connections where that is not allowed. */
static unsigned raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return HK_KS_CONNECTIONS_MAX / 2;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= HK_KS_CONNECTIONS_MAX + OTHER_FILES)
		return HK_KS_CONNECTIONS_MAX;
	hk_log_warn("only %llu descriptors are allowed: fewer connections than %d (ulimit -n)",
		(unsigned long long)limit.rlim_cur, HK_KS_CONNECTIONS_MAX);
	return limit.rlim_cur > 2 * OTHER_FILES ? (unsigned)limit.rlim_cur - OTHER_FILES : OTHER_FILES;
}

static int set_up(struct hk_ks_server *server, struct hk_error *error)
{
	struct itimerspec second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_nsec = 1}};
	sigset_t set;
	int status = listen_at(server, error);

	if (status)
		return status;
	server->most = raise_limit();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (server->epoll < 0 || add_fd(server, server->listener, &server->listener) ||
		add_fd(server, server->signals, &server->signals) ||
		add_fd(server, server->timer, &server->timer) ||
		timerfd_settime(server->timer, 0, &second, NULL))
		return hk_error_set(error, errno, "set-up: %s", strerror(errno));
	return 0;
}

static void reload(struct hk_ks_server *server)
{
	struct hk_error error = {{0}};

	if (hk_ks_reload(server, &error))
		hk_log_error("reload refused, everything stays as it was: %s", error.text);
	else
		hk_log_info("reloaded %s", server->path);
}

/* False: time to stop. */
static bool take_signal(struct hk_ks_server *server)
{
	struct signalfd_siginfo info;

	if (read(server->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGHUP)
		reload(server);
	else
		hk_ks_report(server->ks, true);
	return info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGHUP;
}

static void tick(struct hk_ks_server *server)
{
	struct hk_error error = {{0}};
	__u64 expirations;

	if (read(server->timer, &expirations, sizeof(expirations)) < 0)
		return;
	if (server->complaints > HK_KS_COMPLAINTS)
		hk_log_warn("%u more lines like these were left out", server->complaints - HK_KS_COMPLAINTS);
	server->complaints = 0;
	hk_ks_sweep(server);
	if (hk_ks_tick(server->ks, &error))
		hk_ks_complain(server->ks, &error);
	if (server->ks->now - server->reported >= REPORT_EVERY_S) {
		server->reported = server->ks->now;
		hk_ks_report(server->ks, false);
	}
}

/* Connections go while their own event is handled, or when no event is left. */
static bool turn(struct hk_ks_server *server)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(server->epoll, events, EVENTS, -1), i;
	bool come = false, signalled = false, ticked = false, running = true;

	hk_ks_clock(server->ks, time(NULL), hk_ks_monotonic());
	for (i = 0; i < count; i++) {
		if (events[i].data.ptr == &server->listener)
			come = true;
		else if (events[i].data.ptr == &server->signals)
			signalled = true;
		else if (events[i].data.ptr == &server->timer)
			ticked = true;
		else
			hk_ks_handle(server, events[i].data.ptr);
	}
	if (come)
		hk_ks_take_all(server);
	if (ticked)
		tick(server);
	if (signalled)
		running = take_signal(server);
	hk_ks_serve(server->ks);
	hk_ks_flush_all(server);
	return running;
}

int hk_ks_run(struct hk_ks *ks, const char *path, SSL_CTX **tls, struct hk_error *error)
{
	struct hk_ks_server server = {
		.ks = ks, .path = path, .tls = *tls, .epoll = -1, .listener = -1, .signals = -1, .timer = -1};
	int status = set_up(&server, error);

	hk_ks_clock(ks, time(NULL), hk_ks_monotonic());
	if (!status) {
		hk_log_info("ready at %s", ks->config->listen ? ks->config->listen : "[::]:" HK_PUSH_PORT);
		while (turn(&server))
			;
	}
	while (server.all)
		hk_ks_drop(&server, server.all, HK_KS_COUNTER_COUNT, "closed: the server ends");
	close(server.listener);
	close(server.epoll);
	close(server.signals);
	close(server.timer);
	*tls = server.tls;
	return status;
}

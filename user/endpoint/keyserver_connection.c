// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The key server's clients: one thread, epoll, bounded everything. A client that
 * is too slow, too silent, or sends no message of ours loses its connection;
 * none of them can hold up another.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/endpoint/keyserver.h"

#define CONNECTIONS_MAX 2048
#define NEW_MAX		512 /* of them: not through the handshake yet */
#define SAME_NAME_MAX	16
#define OUT_MAX		(4u << 20) /* bytes a client may leave unread */
#define READS_AT_ONCE	16
#define EVENTS		64

struct connection {
	struct hk_ks_client client; /* first: hk_ks_send() finds us by it */
	int fd;
	SSL *ssl;
	bool open, listed, broken;
	time_t deadline, heard, pinged; /* monotonic seconds */
	__u8 in[4 + HK_PUSH_REQUEST];
	size_t in_used;
	__u8 *out;
	size_t out_used, out_room;
	struct connection *next, *previous;
};

struct server {
	struct hk_ks *ks;
	SSL_CTX *tls;
	int epoll, listener, signals, timer;
	struct connection *all;
	unsigned count, fresh;
};

static time_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* --- out -------------------------------------------------------------------------------------- */

static bool out_room(struct connection *connection, size_t more)
{
	size_t room = connection->out_room ? connection->out_room : 4096;
	__u8 *grown;

	if (connection->out_used + more > OUT_MAX)
		return false;
	while (room < connection->out_used + more)
		room *= 2;
	if (room == connection->out_room)
		return true;
	grown = malloc(room);
	if (!grown)
		return false;
	if (connection->out) {
		memcpy(grown, connection->out, connection->out_used);
		hk_wipe(connection->out, connection->out_used);
	}
	free(connection->out);
	connection->out = grown;
	connection->out_room = room;
	return true;
}

void hk_ks_send(struct hk_ks_client *client, json_t *message)
{
	struct connection *connection = (struct connection *)client;
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) : 0;
	__u8 head[4] = {(__u8)(size >> 24), (__u8)(size >> 16), (__u8)(size >> 8), (__u8)size};

	if (!text || size > HK_PUSH_ANSWER || !out_room(connection, size + 4)) {
		connection->broken = true;
	} else {
		if (!connection->out_used)
			connection->deadline = monotonic() + HK_PUSH_PATIENCE;
		memcpy(connection->out + connection->out_used, head, 4);
		memcpy(connection->out + connection->out_used + 4, text, size);
		connection->out_used += size + 4;
	}
	if (text)
		hk_wipe(text, size);
	free(text);
	json_decref(message);
}

/* What the library waits for, as epoll events; 0: the connection is lost. */
static unsigned events_of(struct connection *connection, int result)
{
	switch (SSL_get_error(connection->ssl, result)) {
	case SSL_ERROR_WANT_READ: return EPOLLIN;
	case SSL_ERROR_WANT_WRITE: return EPOLLIN | EPOLLOUT;
	default: return 0;
	}
}

static void watch(struct server *server, struct connection *connection, unsigned events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};

	(void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

static void flush(struct server *server, struct connection *connection)
{
	size_t done = 0;
	unsigned events = EPOLLIN;
	int result;

	if (!connection->open || connection->broken)
		return;
	while (connection->out_used) {
		ERR_clear_error();
		result = SSL_write_ex(connection->ssl, connection->out, connection->out_used, &done);
		if (result != 1) {
			events = events_of(connection, result);
			connection->broken |= !events;
			break;
		}
		memmove(connection->out, connection->out + done, connection->out_used - done);
		hk_wipe(connection->out + connection->out_used - done, done);
		connection->out_used -= done;
		connection->deadline = monotonic() + HK_PUSH_PATIENCE; /* it moves */
	}
	if (!connection->out_used && !connection->in_used)
		connection->deadline = 0;
	watch(server, connection, events);
}

static void flush_all(struct server *server)
{
	struct connection *connection;

	for (connection = server->all; connection; connection = connection->next)
		if (connection->out_used)
			flush(server, connection);
}

/* --- come and go ------------------------------------------------------------------------------ */

static void unlist(struct server *server, struct connection *connection)
{
	struct hk_ks_client **place = &server->ks->clients;

	while (*place && *place != &connection->client)
		place = &(*place)->next;
	if (*place)
		*place = connection->client.next;
}

static void drop(struct server *server, struct connection *connection, unsigned counter, const char *why)
{
	if (counter < HK_KS_COUNTER_COUNT)
		server->ks->counters[counter]++;
	if (connection->listed) {
		hk_log_info("%s %s: %s", hk_push_role_name(connection->client.who.role),
			connection->client.who.name, why);
		unlist(server, connection);
	}
	if (connection->open && !connection->broken)
		(void)SSL_shutdown(connection->ssl);
	ERR_clear_error();
	SSL_free(connection->ssl);
	close(connection->fd);
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		server->all = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	server->count--;
	server->fresh -= !connection->listed;
	if (connection->out) {
		hk_wipe(connection->out, connection->out_room);
		free(connection->out);
	}
	hk_wipe(connection, sizeof(*connection));
	free(connection);
}

static void take(struct server *server, int fd)
{
	struct connection *connection;
	struct epoll_event event = {.events = EPOLLIN};
	int one = 1;

	server->ks->counters[HK_KS_CONNECTIONS]++;
	connection = server->count < CONNECTIONS_MAX && server->fresh < NEW_MAX
			     ? calloc(1, sizeof(*connection))
			     : NULL;
	if (connection)
		connection->ssl = SSL_new(server->tls);
	if (!connection || !connection->ssl || SSL_set_fd(connection->ssl, fd) != 1) {
		server->ks->counters[HK_KS_FULL]++;
		if (connection)
			SSL_free(connection->ssl);
		free(connection);
		close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	SSL_set_accept_state(connection->ssl);
	connection->fd = fd;
	connection->deadline = monotonic() + HK_PUSH_PATIENCE;
	connection->next = server->all;
	if (server->all)
		server->all->previous = connection;
	server->all = connection;
	server->count++;
	server->fresh++;
	event.data.ptr = connection;
	(void)epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void take_all(struct server *server)
{
	unsigned i;
	int fd;

	for (i = 0; i < EVENTS; i++) {
		fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		take(server, fd);
	}
}

/* --- in --------------------------------------------------------------------------------------- */

static unsigned of_same_name(const struct server *server, const struct hk_push_identity *who)
{
	const struct hk_ks_client *client;
	unsigned count = 0;

	for (client = server->ks->clients; client; client = client->next)
		count += client->who.role == who->role && !strcmp(client->who.name, who->name);
	return count;
}

/* The handshake is through: who is it? Negative: to be dropped. */
static int admit(struct server *server, struct connection *connection)
{
	struct hk_error error = {{0}};
	int status = hk_push_identify(connection->ssl, &connection->client.who, &error);

	if (!status && connection->client.who.role == HK_PUSH_SERVER)
		status = hk_error_set(&error, EACCES, "its certificate is that of a server");
	if (status) {
		server->ks->counters[HK_KS_BAD_CERTIFICATE]++;
		hk_log_warn("refused a client: %s", error.text);
		return status;
	}
	if (of_same_name(server, &connection->client.who) >= SAME_NAME_MAX) {
		server->ks->counters[HK_KS_FULL]++;
		return -EBUSY;
	}
	connection->open = connection->listed = true;
	connection->heard = monotonic();
	connection->deadline = 0;
	server->fresh--;
	connection->client.next = server->ks->clients;
	server->ks->clients = &connection->client;
	server->ks->counters[HK_KS_CLIENTS]++;
	hk_log_info("%s %s: connected", hk_push_role_name(connection->client.who.role),
		connection->client.who.name);
	return 0;
}

/* OpenSSL's verdict on a certificate is a refusal like ours. */
static void count_handshake(struct server *server, struct connection *connection)
{
	long verify = SSL_get_verify_result(connection->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (verify != X509_V_OK) {
		server->ks->counters[HK_KS_BAD_CERTIFICATE]++;
		reason = X509_verify_cert_error_string(verify);
	} else {
		server->ks->counters[HK_KS_NO_TLS]++;
	}
	hk_log_warn("refused a client: handshake: %s", reason ? reason : "broken off");
}

static int shake(struct server *server, struct connection *connection)
{
	unsigned events;
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(connection->ssl);
	if (result == 1)
		return admit(server, connection);
	events = events_of(connection, result);
	if (!events) {
		connection->broken = true;
		count_handshake(server, connection);
		return -ECONNRESET;
	}
	watch(server, connection, events);
	return 0;
}

/* Takes whole messages out of the buffer. Negative: to be dropped. */
static int digest(struct server *server, struct connection *connection)
{
	size_t size;
	json_t *request;
	bool go_on;

	while (connection->in_used >= 4) {
		size = (size_t)connection->in[0] << 24 | (size_t)connection->in[1] << 16 |
		       (size_t)connection->in[2] << 8 | connection->in[3];
		if (!size || size > HK_PUSH_REQUEST)
			return -EPROTO;
		if (connection->in_used < 4 + size)
			break;
		request = hk_push_parse((const char *)connection->in + 4, size);
		if (!request)
			return -EPROTO;
		go_on = hk_ks_answer(server->ks, &connection->client, request);
		json_decref(request);
		connection->in_used -= 4 + size;
		memmove(connection->in, connection->in + 4 + size, connection->in_used);
		if (!go_on)
			return -EACCES;
	}
	return 0;
}

static int receive(struct server *server, struct connection *connection)
{
	unsigned i;
	size_t some;
	int status = 0, result;

	for (i = 0; i < READS_AT_ONCE && !status; i++) {
		ERR_clear_error();
		result = SSL_read_ex(connection->ssl, connection->in + connection->in_used,
			sizeof(connection->in) - connection->in_used, &some);
		if (result != 1) {
			if (!events_of(connection, result)) {
				connection->broken =
					SSL_get_error(connection->ssl, result) != SSL_ERROR_ZERO_RETURN;
				return -ECONNRESET;
			}
			break;
		}
		connection->heard = monotonic();
		if (!connection->in_used && !connection->deadline)
			connection->deadline = connection->heard + HK_PUSH_PATIENCE;
		connection->in_used += some;
		status = digest(server, connection);
		if (!connection->in_used && !connection->out_used)
			connection->deadline = 0;
	}
	return status;
}

static void handle(struct server *server, struct connection *connection)
{
	int status = connection->open ? 0 : shake(server, connection);

	if (!status && connection->open)
		status = receive(server, connection);
	if (status == -EACCES)
		flush(server, connection); /* so that it learns why */
	if (status == -EPROTO)
		drop(server, connection, HK_KS_MALFORMED, "closed: not a message");
	else if (status)
		drop(server, connection, HK_KS_COUNTER_COUNT, "disconnected");
}

/* --- loop ------------------------------------------------------------------------------------- */

/* What is wrong with it by now; NULL: nothing. */
static const char *overdue(const struct connection *connection, time_t now, time_t clock)
{
	if (connection->broken)
		return "lost, or it reads too slowly";
	if (connection->deadline && now > connection->deadline)
		return "closed: too slow";
	if (connection->open && now - connection->heard > 3 * HK_PUSH_IDLE_S)
		return "closed: silent";
	if (connection->open && clock > connection->client.who.expires)
		return "closed: its certificate has expired";
	return NULL;
}

static void sweep(struct server *server)
{
	struct connection *connection, *next;
	time_t now = monotonic();
	const char *why;

	for (connection = server->all; connection; connection = next) {
		next = connection->next;
		if (connection->open && now - connection->pinged >= HK_PUSH_IDLE_S / 2) {
			connection->pinged = now;
			hk_ks_send(&connection->client, json_pack("{s:s}", "type", "ping"));
		}
		why = overdue(connection, now, (time_t)server->ks->now);
		if (why)
			drop(server, connection, HK_KS_TIMEOUT, why);
	}
}

static void stats(const struct hk_ks *ks)
{
	static const char *const names[] = {
#define HK_C(id, name, text) name,
		HK_KS_COUNTERS(HK_C)
#undef HK_C
	};
	json_t *all = json_object();
	char *text;
	FILE *file;
	unsigned i;

	for (i = 0; i < HK_KS_COUNTER_COUNT; i++)
		json_object_set_new(all, names[i], json_integer((json_int_t)ks->counters[i]));
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	if (text)
		hk_log_info("counters %s", text);
	file = ks->config->stats && text ? fopen(ks->config->stats, "we") : NULL;
	if (file) {
		fprintf(file, "%s\n", text);
		fclose(file);
	}
	free(text);
}

/* False: time to stop. */
static bool take_signal(struct server *server)
{
	struct signalfd_siginfo info;

	if (read(server->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	stats(server->ks);
	return info.ssi_signo == SIGUSR1;
}

static int tick(struct server *server, struct hk_error *error)
{
	__u64 expirations;

	if (read(server->timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		return hk_error_set(error, errno, "timer: %s", strerror(errno));
	sweep(server);
	return hk_ks_tick(server->ks, error);
}

static int listen_at(struct server *server, struct hk_error *error)
{
	const char *where = server->ks->config->listen ? server->ks->config->listen : "[::]:" HK_PUSH_PORT;
	const char *colon = strrchr(where, ':');
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST}, *list;
	char host[64] = "";
	bool bracket = where[0] == '[';
	size_t size = colon ? (size_t)(colon - where) : 0;
	int one = 1, code;

	if (size > bracket * 2u && size < sizeof(host))
		memcpy(host, where + bracket, size - 2u * bracket);
	if (!*host || getaddrinfo(host, colon + 1, &hints, &list))
		return hk_error_set(
			error, EINVAL, "listen '%s': must be ADDRESS:PORT or [ADDRESS]:PORT", where);
	server->listener = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	code = server->listener < 0 || bind(server->listener, list->ai_addr, list->ai_addrlen) ||
			       listen(server->listener, 256)
		       ? errno
		       : 0;
	freeaddrinfo(list);
	return code ? hk_error_set(error, code, "listen '%s': %s", where, strerror(code)) : 0;
}

static int add_fd(struct server *server, int fd, void *mark)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};

	return fd < 0 || epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int set_up(struct server *server, struct hk_error *error)
{
	struct itimerspec second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_nsec = 1}};
	sigset_t set;
	int status = listen_at(server, error);

	if (status)
		return status;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
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

/* A connection is dropped only while its own event is handled or by the sweep, behind all events. */
static int loop(struct server *server, struct hk_error *error)
{
	struct epoll_event events[EVENTS];
	int count, i, status = 0;
	bool running = true, ticked;

	while (running && !status) {
		count = epoll_wait(server->epoll, events, EVENTS, -1);
		server->ks->now = time(NULL);
		for (i = 0, ticked = false; i < count; i++) {
			if (events[i].data.ptr == &server->listener)
				take_all(server);
			else if (events[i].data.ptr == &server->signals)
				running = take_signal(server);
			else if (events[i].data.ptr == &server->timer)
				ticked = true;
			else
				handle(server, events[i].data.ptr);
		}
		if (ticked)
			status = tick(server, error);
		hk_ks_serve(server->ks);
		flush_all(server);
	}
	return status;
}

int hk_ks_run(struct hk_ks *ks, SSL_CTX *tls, struct hk_error *error)
{
	struct server server = {
		.ks = ks, .tls = tls, .epoll = -1, .listener = -1, .signals = -1, .timer = -1};
	int status = set_up(&server, error);

	ks->now = time(NULL);
	if (!status)
		hk_log_info("ready at %s", ks->config->listen ? ks->config->listen : "[::]:" HK_PUSH_PORT);
	if (!status)
		status = loop(&server, error);
	while (server.all)
		drop(&server, server.all, HK_KS_COUNTER_COUNT, "closed: the server ends");
	close(server.listener);
	close(server.epoll);
	close(server.signals);
	close(server.timer);
	return status;
}

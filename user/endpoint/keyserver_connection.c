// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One client of the key server: its bytes in and out, how it comes and goes. A
 * client that is too slow, too silent, or sends no message of ours loses its
 * connection; none of them can hold up another.
 */
#include "user/endpoint/keyserver_connection.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX	      (4u << 20) /* bytes a client may leave unread */
#define READS_AT_ONCE 16
#define TAKEN_AT_ONCE 64

time_t hk_ks_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* --- out -------------------------------------------------------------------------------------- */

static bool out_room(struct hk_ks_connection *connection, size_t more)
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
	struct hk_ks_connection *connection = (struct hk_ks_connection *)client;
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) : 0;
	__u8 head[4] = {(__u8)(size >> 24), (__u8)(size >> 16), (__u8)(size >> 8), (__u8)size};

	if (size > HK_PUSH_ANSWER)
		hk_log_error(
			"%s %s: its keys are %zu bytes, more than a message holds (%d): divide the domain",
			hk_push_role_name(client->who.role), client->who.name, size, HK_PUSH_ANSWER);
	if (!text || size > HK_PUSH_ANSWER || !out_room(connection, size + 4)) {
		connection->unread = true;
	} else {
		if (!connection->out_used)
			connection->out_by = hk_ks_monotonic() + HK_PUSH_PATIENCE;
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
static unsigned events_of(struct hk_ks_connection *connection, int result)
{
	switch (SSL_get_error(connection->ssl, result)) {
	case SSL_ERROR_WANT_READ: return EPOLLIN;
	case SSL_ERROR_WANT_WRITE: return EPOLLIN | EPOLLOUT;
	default: return 0;
	}
}

static void watch(struct hk_ks_server *server, struct hk_ks_connection *connection, unsigned events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};

	(void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

static void flush(struct hk_ks_server *server, struct hk_ks_connection *connection)
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
		connection->out_by = hk_ks_monotonic() + HK_PUSH_PATIENCE; /* it moves */
	}
	if (!connection->out_used)
		connection->out_by = 0;
	watch(server, connection, events);
}

void hk_ks_flush_all(struct hk_ks_server *server)
{
	struct hk_ks_connection *connection;

	for (connection = server->all; connection; connection = connection->next)
		if (connection->out_used)
			flush(server, connection);
}

/* --- come and go ------------------------------------------------------------------------------ */

static void chain(struct hk_ks_server *server, struct hk_ks_connection *connection)
{
	connection->next = server->all;
	if (server->all)
		server->all->previous = connection;
	else
		server->last = connection;
	server->all = connection;
}

static void unchain(struct hk_ks_server *server, struct hk_ks_connection *connection)
{
	if (server->all == connection)
		server->all = connection->next;
	else
		connection->previous->next = connection->next;
	if (server->last == connection)
		server->last = connection->previous;
	else
		connection->next->previous = connection->previous;
}

static void unlist(struct hk_ks_server *server, struct hk_ks_connection *connection)
{
	struct hk_ks_client **place = &server->ks->clients;

	while (*place && *place != &connection->client)
		place = &(*place)->next;
	if (*place)
		*place = connection->client.next;
}

void hk_ks_drop(
	struct hk_ks_server *server, struct hk_ks_connection *connection, unsigned counter, const char *why)
{
	if (counter < HK_KS_COUNTER_COUNT)
		server->ks->counters[counter]++;
	if (connection->open) {
		hk_log_info("%s %s at %s: %s", hk_push_role_name(connection->client.who.role),
			connection->client.who.name, connection->from, why);
		unlist(server, connection);
		if (!connection->broken)
			(void)SSL_shutdown(connection->ssl);
	}
	ERR_clear_error();
	SSL_free(connection->ssl);
	close(connection->fd);
	unchain(server, connection);
	server->count--;
	server->fresh -= !connection->open;
	if (connection->out) {
		hk_wipe(connection->out, connection->out_room);
		free(connection->out);
	}
	hk_wipe(connection, sizeof(*connection));
	free(connection);
}

static void full(struct hk_ks_server *server, const char *who, const char *why)
{
	server->ks->counters[HK_KS_FULL]++;
	hk_ks_about_stranger(server, "refused %s: %s", who, why);
}

/* The one without certificate that has waited longest makes room. False: there is none. */
static bool put_out(struct hk_ks_server *server)
{
	struct hk_ks_connection *oldest = server->last;

	while (oldest && oldest->open)
		oldest = oldest->previous;
	if (!oldest)
		return false;
	full(server, oldest->from, "too many connections without a handshake: the oldest goes");
	hk_ks_drop(server, oldest, HK_KS_COUNTER_COUNT, "");
	return true;
}

static struct hk_ks_connection *make(struct hk_ks_server *server, int fd, const char *from)
{
	struct hk_ks_connection *connection = calloc(1, sizeof(*connection));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

	if (!connection)
		return NULL;
	connection->fd = fd;
	snprintf(connection->from, sizeof(connection->from), "%s", from);
	connection->ssl = SSL_new(server->tls);
	if (!connection->ssl || SSL_set_fd(connection->ssl, fd) != 1 ||
		epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event)) {
		SSL_free(connection->ssl);
		free(connection);
		return NULL;
	}
	SSL_set_accept_state(connection->ssl);
	connection->in_by = hk_ks_monotonic() + HK_PUSH_PATIENCE;
	return connection;
}

static void take(struct hk_ks_server *server, int fd, const char *from)
{
	bool room = server->fresh < HK_KS_FRESH_MAX && server->count < server->most;
	struct hk_ks_connection *connection;
	int one = 1;

	server->ks->counters[HK_KS_CONNECTIONS]++;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	connection = room || put_out(server) ? make(server, fd, from) : NULL;
	if (!connection) {
		full(server, from, "too many connections");
		close(fd);
		return;
	}
	chain(server, connection);
	server->count++;
	server->fresh++;
}

void hk_ks_take_all(struct hk_ks_server *server)
{
	struct sockaddr_storage address;
	socklen_t size;
	char from[64];
	unsigned i;
	int fd;

	for (i = 0; i < TAKEN_AT_ONCE; i++) {
		size = sizeof(address);
		fd = accept4(
			server->listener, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (getnameinfo(
			    (struct sockaddr *)&address, size, from, sizeof(from), NULL, 0, NI_NUMERICHOST))
			strcpy(from, "?");
		take(server, fd, from);
	}
}

/* --- in --------------------------------------------------------------------------------------- */

static unsigned of_same_name(const struct hk_ks_server *server, const struct hk_push_identity *who)
{
	const struct hk_ks_client *client;
	unsigned count = 0;

	for (client = server->ks->clients; client; client = client->next)
		count += client->who.role == who->role && !strcmp(client->who.name, who->name);
	return count;
}

/* The handshake is through: who is it? Negative: to be dropped. */
static int admit(struct hk_ks_server *server, struct hk_ks_connection *connection)
{
	struct hk_error error = {{0}};
	int status = hk_push_identify(connection->ssl, &connection->client.who, &error);

	if (!status && connection->client.who.role == HK_PUSH_SERVER)
		status = hk_error_set(&error, EACCES, "its certificate is that of a server");
	if (status) {
		server->ks->counters[HK_KS_BAD_CERTIFICATE]++;
		hk_ks_about_stranger(server, "refused %s: %s", connection->from, error.text);
		return status;
	}
	if (of_same_name(server, &connection->client.who) >= HK_KS_SAME_NAME_MAX) {
		server->ks->counters[HK_KS_FULL]++;
		hk_ks_about_stranger(server, "refused %s: %s %s has %d connections already", connection->from,
			hk_push_role_name(connection->client.who.role), connection->client.who.name,
			HK_KS_SAME_NAME_MAX);
		return -EBUSY;
	}
	connection->open = true;
	connection->heard = hk_ks_monotonic();
	connection->in_by = 0;
	server->fresh--;
	connection->client.next = server->ks->clients;
	server->ks->clients = &connection->client;
	server->ks->counters[HK_KS_CLIENTS]++;
	hk_log_info("%s %s at %s: connected", hk_push_role_name(connection->client.who.role),
		connection->client.who.name, connection->from);
	return 0;
}

/* OpenSSL's verdict on a certificate is a refusal like ours. */
static void count_handshake(struct hk_ks_server *server, struct hk_ks_connection *connection)
{
	long verify = SSL_get_verify_result(connection->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (verify != X509_V_OK) {
		server->ks->counters[HK_KS_BAD_CERTIFICATE]++;
		reason = X509_verify_cert_error_string(verify);
	} else {
		server->ks->counters[HK_KS_NO_TLS]++;
	}
	hk_ks_about_stranger(
		server, "refused %s: handshake: %s", connection->from, reason ? reason : "broken off");
}

static int shake(struct hk_ks_server *server, struct hk_ks_connection *connection)
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
static int digest(struct hk_ks_server *server, struct hk_ks_connection *connection)
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
		connection->in_by = connection->heard + HK_PUSH_PATIENCE; /* the next one has its own time */
		if (!go_on)
			return -EACCES;
	}
	return 0;
}

static int receive(struct hk_ks_server *server, struct hk_ks_connection *connection)
{
	unsigned i;
	size_t some;
	int status = 0, result;

	/* What the library has taken from the socket already makes no event. */
	for (i = 0; (i < READS_AT_ONCE || SSL_pending(connection->ssl)) && !status; i++) {
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
		connection->heard = hk_ks_monotonic();
		if (!connection->in_used)
			connection->in_by = connection->heard + HK_PUSH_PATIENCE;
		connection->in_used += some;
		status = digest(server, connection);
		if (!connection->in_used)
			connection->in_by = 0;
	}
	return status;
}

void hk_ks_handle(struct hk_ks_server *server, struct hk_ks_connection *connection)
{
	int status = connection->open ? 0 : shake(server, connection);

	if (!status && connection->open)
		status = receive(server, connection);
	if (status == -EACCES)
		flush(server, connection); /* so that it learns why */
	if (status == -EPROTO)
		hk_ks_drop(server, connection, HK_KS_MALFORMED, "closed: not a message");
	else if (status)
		hk_ks_drop(server, connection, HK_KS_COUNTER_COUNT, "disconnected");
}

/* --- time -------------------------------------------------------------------------------------- */

/* What is wrong with it by now, and which counter that is; NULL: nothing. */
static const char *overdue(
	const struct hk_ks_connection *connection, time_t now, time_t clock, unsigned *counter)
{
	*counter = HK_KS_TIMEOUT;
	if (connection->unread || (connection->out_by && now > connection->out_by))
		return "closed: does not read what is sent";
	if (connection->in_by && now > connection->in_by)
		return "closed: too slow";
	if (connection->open && now - connection->heard > 3 * HK_PUSH_IDLE_S)
		return "closed: silent";
	*counter = HK_KS_EXPIRED;
	if (connection->open && clock > connection->client.who.expires)
		return "closed: its certificate has expired";
	*counter = HK_KS_COUNTER_COUNT;
	return connection->broken ? "disconnected" : NULL;
}

void hk_ks_sweep(struct hk_ks_server *server)
{
	struct hk_ks_connection *connection, *next;
	time_t now = hk_ks_monotonic();
	unsigned counter;
	const char *why;

	for (connection = server->all; connection; connection = next) {
		next = connection->next;
		if (connection->open && now - connection->pinged >= HK_PUSH_IDLE_S / 2) {
			connection->pinged = now;
			hk_ks_send(&connection->client, json_pack("{s:s}", "type", "ping"));
		}
		why = overdue(connection, now, (time_t)server->ks->now, &counter);
		if (why && !connection->open)
			hk_ks_about_stranger(server, "%s: no handshake in time", connection->from);
		if (why)
			hk_ks_drop(server, connection, counter, why);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket's clients: see server.h. A client is served strictly one
 * request after the other: while its answer waits to be taken, nothing more is
 * read from it, so its backlog is one answer. The oldest idle client makes
 * room when all places are taken.
 *
 *   reading ── a whole line ──► answer queued ── all sent ──► reading
 *      └── too long a line ──► refusal queued ── all sent ──► discarding ──► closed
 */
#include "user/control/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/control/answer.h"

#define CLIENTS_MAX 16
#define REQUEST_MAX 4096
#define GIVEN_MAX   4
#define DISCARD_MAX (1u << 20)
#define TURNS_RUN   32 /* of one client in one call: others wait no longer than that */

struct client {
	int fd; /* -1: free */
	__u64 last_turn;
	size_t filled;
	char request[REQUEST_MAX];
	char *answer; /* with its newline, or NULL */
	size_t answer_size, sent;
	bool ending; /* close it when the answer is out */
	/* of an overlong request: bytes that are still thrown away, so that closing does not cut the answer
	 */
	size_t discard;
	int given; /* the descriptor that came with the request, or -1 */
};

struct hk_control_server {
	const struct hk_view *view;
	int listen_fd, epoll_fd;
	uid_t owner; /* who made the socket */
	__u64 turn;
	struct client clients[CLIENTS_MAX];
};

/* A line that waits in our buffer wakes nobody: being able to write does. */
static void watch(struct hk_control_server *server, struct client *client, int how)
{
	bool busy = client->answer || memchr(client->request, '\n', client->filled);
	struct epoll_event event = {.events = busy ? EPOLLOUT : EPOLLIN, .data.ptr = client};

	epoll_ctl(server->epoll_fd, how, client->fd, &event);
}

static void forget_given(struct client *client)
{
	if (client->given >= 0)
		close(client->given);
	client->given = -1;
}

static void drop_client(struct client *client)
{
	close(client->fd); /* leaves the epoll set by itself */
	free(client->answer);
	client->answer = NULL;
	client->fd = -1;
	forget_given(client);
}

static void queue_answer(struct client *client, char *text)
{
	size_t size = text ? strlen(text) : 0;
	char *line = text ? realloc(text, size + 1) : NULL;

	if (!line) {
		free(text);
		client->ending = true;
		return;
	}
	line[size] = '\n'; /* in the place of the NUL: sizes count from here on */
	client->answer = line;
	client->answer_size = size + 1;
	client->sent = 0;
}

static void refuse(struct client *client, const char *sentence)
{
	queue_answer(client, hk_control_refusal(sentence));
	client->ending = true;
}

/* Answers the first whole line of what was read; false when there is none. */
static bool answer_line(struct hk_control_server *server, struct client *client)
{
	char *end = memchr(client->request, '\n', client->filled);
	size_t size;

	if (!end)
		return false;
	size = (size_t)(end - client->request);
	queue_answer(client, hk_control_answer(server->view, client->request, size, client->given));
	forget_given(client);
	client->filled -= size + 1;
	memmove(client->request, end + 1, client->filled);
	return true;
}

/* True while the connection may go on. */
static bool send_answer(struct client *client)
{
	ssize_t sent;

	while (client->answer && client->sent < client->answer_size) {
		sent = send(client->fd, client->answer + client->sent, client->answer_size - client->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN;
		client->sent += (size_t)sent;
	}
	free(client->answer);
	client->answer = NULL;
	if (client->discard)
		shutdown(client->fd, SHUT_WR);
	return !client->ending || client->discard;
}

/* The last one counts; all others are closed. */
static void take_given(struct client *client, struct msghdr *message)
{
	struct cmsghdr *head;
	size_t i, count;
	int fd;

	for (head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
			forget_given(client);
			client->given = fd;
		}
	}
}

/* Reads what is there: 1 more, 0 nothing now, -1 the client has gone. */
static int receive(struct client *client)
{
	union {
		char bytes[CMSG_SPACE(GIVEN_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {
		.iov_base = client->request + client->filled, .iov_len = REQUEST_MAX - client->filled};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got >= 0)
		take_given(client, &message);

	if (got > 0) {
		client->filled += (size_t)got;
		return 1;
	}
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* What else comes of the line that was refused; false when it is enough. */
static bool discard(struct client *client)
{
	if (client->filled >= client->discard)
		return false;
	client->discard -= client->filled;
	client->filled = 0;
	return true;
}

static void serve(struct hk_control_server *server, struct client *client)
{
	unsigned turns = 0;
	bool alive = true;
	int more;

	client->last_turn = server->turn;
	while (alive && turns++ < TURNS_RUN) {
		if (client->answer)
			alive = send_answer(client);
		if (!alive || client->answer)
			break;
		if (!client->ending && answer_line(server, client))
			continue;
		if (!client->ending && client->filled == REQUEST_MAX) {
			client->discard = DISCARD_MAX;
			refuse(client, "the request is longer than 4096 bytes");
			continue;
		}
		if (client->ending && !discard(client)) {
			alive = false;
			break;
		}
		more = receive(client);
		if (more == 0)
			break;
		alive = more > 0;
	}
	if (!alive)
		drop_client(client);
	else
		watch(server, client, EPOLL_CTL_MOD);
}

static struct client *find_place(struct hk_control_server *server)
{
	struct client *oldest = &server->clients[0], *client;
	unsigned i;

	for (i = 0; i < CLIENTS_MAX; i++) {
		client = &server->clients[i];
		if (client->fd < 0)
			return client;
		if (client->last_turn < oldest->last_turn)
			oldest = client;
	}
	drop_client(oldest);
	return oldest;
}

/* root, and whoever made the socket: file modes alone would trust every process that inherits a descriptor.
 */
static bool may_speak(const struct hk_control_server *server, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	return peer.uid == 0 || peer.uid == server->owner;
}

static void accept_clients(struct hk_control_server *server)
{
	struct client *client;
	unsigned i;
	int fd;

	for (i = 0; i < CLIENTS_MAX; i++) {
		fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		client = find_place(server);
		memset(client, 0, sizeof(*client));
		client->fd = fd;
		client->given = -1;
		client->last_turn = server->turn;
		if (!may_speak(server, fd))
			refuse(client, "only root and the user who started halfkeyd may use this socket");
		watch(server, client, EPOLL_CTL_ADD);
	}
}

void hk_control_server_run(struct hk_control_server *server)
{
	struct epoll_event events[CLIENTS_MAX + 1];
	int i, count;

	server->turn++;
	count = epoll_wait(server->epoll_fd, events, CLIENTS_MAX + 1, 0);
	for (i = 0; i < count; i++)
		if (events[i].data.ptr && ((struct client *)events[i].data.ptr)->fd >= 0)
			serve(server, events[i].data.ptr);
	accept_clients(server); /* last: a place may change hands */
}

int hk_control_server_fd(const struct hk_control_server *server)
{
	return server->epoll_fd;
}

int hk_control_server_new(struct hk_control_server **out, int listen_fd, const struct hk_view *view)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct hk_control_server *server = calloc(1, sizeof(*server));
	struct ucred owner;
	socklen_t size = sizeof(owner);
	unsigned i;
	int code;

	*out = NULL;
	if (!server)
		return -ENOMEM;
	for (i = 0; i < CLIENTS_MAX; i++)
		server->clients[i].fd = server->clients[i].given = -1;
	server->view = view;
	server->listen_fd = listen_fd;
	/* a listening socket answers with whom listen() was called by */
	server->owner = getsockopt(listen_fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) ? 0 : owner.uid;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0 || epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, listen_fd, &event)) {
		code = -errno;
		hk_control_server_free(server);
		return code;
	}
	*out = server;
	return 0;
}

void hk_control_server_free(struct hk_control_server *server)
{
	unsigned i;

	if (!server)
		return;
	for (i = 0; i < CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0)
			drop_client(&server->clients[i]);
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	free(server);
}

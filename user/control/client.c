// SPDX-License-Identifier: GPL-2.0-or-later
/* Asking the daemon: see client.h. What it answers is bounded and checked like any input. */
#include "user/control/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (16u << 20)
#define PATIENCE_S 10

static int refuse_connect(const char *path, int code, struct hk_error *error)
{
	if (code == ENOENT || code == ECONNREFUSED)
		return hk_error_set(error, code,
			"%s: no halfkeyd answers: is it running? (-i INSTANCE or -s SOCKET names another)",
			path);
	if (code == EACCES || code == EPERM)
		return hk_error_set(
			error, code, "%s: only root and the user who started halfkeyd may ask", path);
	return hk_error_set(error, code, "%s: %s", path, strerror(code));
}

static int connect_to(const char *path, struct hk_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd, code;

	if (strlen(path) >= sizeof(address.sun_path))
		return hk_error_set(error, ENAMETOOLONG, "%s: is too long for a socket's path", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	code = errno;
	close(fd);
	return refuse_connect(path, code, error);
}

static int send_all(int fd, const char *text, size_t size)
{
	ssize_t sent;

	while (size) {
		sent = send(fd, text, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		text += sent;
		size -= (size_t)sent;
	}
	return 0;
}

/* The first byte, with the descriptor beside it. */
static int send_given(int fd, const char *text, int given)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {.iov_base = (void *)(unsigned long)text, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &given, sizeof(given));
	return sendmsg(fd, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int send_request(int fd, json_t *request, int given)
{
	char *text = json_dumps(request, JSON_COMPACT);
	int code = 0;

	if (!text)
		return -ENOMEM;
	if (given >= 0)
		code = send_given(fd, text, given);
	if (!code)
		code = send_all(fd, text + (given >= 0), strlen(text) - (given >= 0));
	free(text);
	return code ? code : send_all(fd, "\n", 1);
}

/* One line into `*text` (caller frees), without its newline. Its size, or negative errno. */
static ssize_t receive_line(int fd, char **text)
{
	size_t size = 0, room = 0;
	char *larger;
	ssize_t got;

	for (;;) {
		if (size == room) {
			room = room ? 2 * room : 65536;
			larger = room > ANSWER_MAX ? NULL : realloc(*text, room);
			if (!larger)
				return -EMSGSIZE;
			*text = larger;
		}
		got = recv(fd, *text + size, room - size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EPIPE;
		size += (size_t)got;
		if ((*text)[size - 1] == '\n')
			return (ssize_t)size - 1;
	}
}

static json_t *open_answer(const char *path, const char *text, size_t size, struct hk_error *error)
{
	json_t *answer = json_loadb(text, size, 0, NULL), *result = NULL;
	const char *sentence;

	if (json_is_true(json_object_get(answer, "ok")))
		result = json_incref(json_object_get(answer, "result"));
	sentence = json_string_value(json_object_get(answer, "error"));
	if (!result)
		hk_error_set(error, EPROTO, "%s%s", sentence ? "" : path,
			sentence ? sentence : ": the answer is not what halfkeyd says");
	json_decref(answer);
	return result;
}

static json_t *exchange(int fd, const char *path, json_t *request, int given, struct hk_error *error)
{
	char *text = NULL;
	json_t *result = NULL;
	ssize_t size = send_request(fd, request, given);

	/* a refusal may have come, and the socket be closed, before all was sent: read either way */
	if (size == 0 || size == -EPIPE || size == -ECONNRESET)
		size = receive_line(fd, &text);
	if (size >= 0)
		result = open_answer(path, text, (size_t)size, error);
	else if (size == -EAGAIN)
		hk_error_set(error, EAGAIN, "%s: no answer for %u seconds", path, PATIENCE_S);
	else
		hk_error_set(error, (int)-size, "%s: %s", path,
			size == -EPIPE ? "halfkeyd hung up" : strerror((int)-size));
	free(text);
	return result;
}

json_t *hk_control_ask_with(const char *path, json_t *request, int given, struct hk_error *error)
{
	json_t *result = NULL;
	int fd;

	if (!request) {
		hk_error_set(error, ENOMEM, "out of memory");
		return NULL;
	}
	fd = connect_to(path, error);
	if (fd >= 0) {
		result = exchange(fd, path, request, given, error);
		close(fd);
	}
	json_decref(request);
	return result;
}

json_t *hk_control_ask(const char *path, json_t *request, struct hk_error *error)
{
	return hk_control_ask_with(path, request, -1, error);
}

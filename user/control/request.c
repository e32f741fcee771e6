// SPDX-License-Identifier: GPL-2.0-or-later
/* What crosses between starter and inspector: see request.h. */
#include "user/control/request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HEAD	   offsetof(struct hk_request, ready)
#define SEND_LIMIT 5 /* seconds: the other side stands still */
#define FDS_MAX	   4 /* room to see that too many came */

struct request_row {
	size_t size;
	unsigned fds;
	unsigned from;
};

static const struct request_row rows[] = {
#define HK_R(number, id, side, payload, descriptors, text) \
	[number] = {.size = HEAD + sizeof(payload), .fds = descriptors, .from = HK_FROM_##side},
	HK_REQUESTS(HK_R)
#undef HK_R
};

static const struct request_row *row_of(__u32 kind)
{
	return kind < sizeof(rows) / sizeof(rows[0]) && rows[kind].from ? &rows[kind] : NULL;
}

int hk_request_pair(int ends[2])
{
	const struct timeval limit = {.tv_sec = SEND_LIMIT};
	int i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	for (i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return 0;
}

int hk_request_send(int channel, const struct hk_request *request, int fd)
{
	const struct request_row *row = row_of(request->kind);
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {.iov_base = (void *)(unsigned long)request};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *head;

	if (!row || row->fds != (fd >= 0))
		return -EINVAL;
	part.iov_len = row->size;
	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	}
	return sendmsg(channel, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Takes the descriptors out; keeps the first, closes all others. How many came. */
static unsigned fds_take(struct msghdr *message, int *first)
{
	struct cmsghdr *head;
	unsigned count = 0, i, here;
	int fd;

	*first = -1;
	for (head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		here = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < here; i++) {
			memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
			if (count++ == 0)
				*first = fd;
			else
				close(fd);
		}
	}
	return count;
}

/* Texts end where their room ends, whatever was sent. */
static void texts_end(struct hk_request *request)
{
	switch (request->kind) {
	case HK_REQUEST_FILE: request->file.path[HK_REQUEST_PATH - 1] = '\0'; break;
	case HK_REQUEST_CONFIG: request->config.path[HK_REQUEST_PATH - 1] = '\0'; break;
	case HK_REQUEST_STATUS: request->status.reload_error[HK_REQUEST_TEXT - 1] = '\0'; break;
	case HK_REQUEST_KEYS:
	case HK_REQUEST_KEYS_GONE:
		request->keys.domain[sizeof(request->keys.domain) - 1] = '\0';
		request->keys.path[HK_REQUEST_PATH - 1] = '\0';
		break;
	case HK_REQUEST_FAILED:
	case HK_REQUEST_BUILT:
	case HK_REQUEST_KEYS_TAKEN:
	case HK_REQUEST_SWAPPED: request->answer.text[HK_REQUEST_TEXT - 1] = '\0'; break;
	default: break;
	}
}

int hk_request_receive(int channel, enum hk_request_side from, struct hk_request *request, int *fd)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = request, .iov_len = sizeof(*request)};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	const struct request_row *row;
	ssize_t size;
	unsigned fds;

	*fd = -1;
	memset(request, 0, sizeof(*request));
	size = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
	if (size == 0)
		return -EPIPE;
	fds = fds_take(&message, fd);
	row = (size_t)size >= HEAD ? row_of(request->kind) : NULL;
	if (!row || row->from != from || (size_t)size != row->size || fds != row->fds ||
		(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return -EPROTO;
	}
	texts_end(request);
	return 1;
}

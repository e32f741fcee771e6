// SPDX-License-Identifier: GPL-2.0-or-later
/* What crosses between starter and inspector, and what must not. */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "user/control/request.h"

static int ends[2];

static void open_pair(void)
{
	CU_ASSERT_EQUAL_FATAL(hk_request_pair(ends), 0);
}

static void close_pair(void)
{
	close(ends[0]);
	close(ends[1]);
}

static int receive(enum hk_request_side from, struct hk_request *request, int *fd)
{
	return hk_request_receive(ends[1], from, request, fd);
}

static void a_request_arrives_whole(void)
{
	struct hk_request sent = {.kind = HK_REQUEST_BUILT}, got;
	int fd;

	open_pair();
	sent.answer.generation = 7;
	sent.answer.code = -EINVAL;
	strcpy(sent.answer.text, "line 3: no such key");
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &sent, -1), 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_INSPECTOR, &got, &fd), 1);
	CU_ASSERT_EQUAL(got.kind, HK_REQUEST_BUILT);
	CU_ASSERT_EQUAL(got.answer.generation, 7);
	CU_ASSERT_STRING_EQUAL(got.answer.text, "line 3: no such key");
	CU_ASSERT_EQUAL(fd, -1);
	CU_ASSERT_EQUAL(receive(HK_FROM_INSPECTOR, &got, &fd), 0);
	close_pair();
}

/* Who stands still holds nobody up for ever. */
static void no_end_waits_for_ever(void)
{
	struct timeval limit;
	socklen_t size;
	int i;

	open_pair();
	for (i = 0; i < 2; i++) {
		size = sizeof(limit);
		limit = (struct timeval){0};
		CU_ASSERT_EQUAL(getsockopt(ends[i], SOL_SOCKET, SO_SNDTIMEO, &limit, &size), 0);
		CU_ASSERT_TRUE(limit.tv_sec > 0 && limit.tv_sec <= 60);
		CU_ASSERT_EQUAL(fcntl(ends[i], F_GETFD), FD_CLOEXEC);
	}
	close_pair();
}

static void a_descriptor_crosses_with_its_file(void)
{
	struct hk_request sent = {.kind = HK_REQUEST_FILE}, got;
	int fd, null = memfd_create("file", MFD_CLOEXEC);
	struct stat sent_file, got_file;

	open_pair();
	strcpy(sent.file.path, "east.keys");
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &sent, null), 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_STARTER, &got, &fd), 1);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CU_ASSERT_EQUAL(fstat(null, &sent_file), 0);
	CU_ASSERT_EQUAL(fstat(fd, &got_file), 0);
	CU_ASSERT_EQUAL(got_file.st_ino, sent_file.st_ino); /* that one, and no other */
	CU_ASSERT_EQUAL(got_file.st_dev, sent_file.st_dev);
	CU_ASSERT_STRING_EQUAL(got.file.path, "east.keys");
	close(fd);
	close(null);
	close_pair();
}

static const struct {
	__u32 kind;
	enum hk_request_side from;
	bool fds;
	size_t size;
	size_t text, room; /* where its text stands, and how much room that has */
} rows[] = {
#define ROW(number, side, payload, fds, member)                                                           \
	{                                                                                                 \
		number, HK_FROM_##side, fds, offsetof(struct hk_request, ready) + sizeof(struct payload), \
			member                                                                            \
	}
#define NO_TEXT	   0, 0
#define TEXT(path) offsetof(struct hk_request, path), sizeof(((struct hk_request *)0)->path)
	ROW(HK_REQUEST_READY, INSPECTOR, hk_request_ready, 0, NO_TEXT),
	ROW(HK_REQUEST_FAILED, INSPECTOR, hk_request_answer, 0, TEXT(answer.text)),
	ROW(HK_REQUEST_STATUS, STARTER, hk_request_status, 0, TEXT(status.reload_error)),
	ROW(HK_REQUEST_FILE, STARTER, hk_request_file, 1, TEXT(file.path)),
	ROW(HK_REQUEST_CONFIG, STARTER, hk_request_config, 1, TEXT(config.path)),
	ROW(HK_REQUEST_BUILT, INSPECTOR, hk_request_answer, 0, TEXT(answer.text)),
	ROW(HK_REQUEST_SWAP, STARTER, hk_request_number, 0, NO_TEXT),
	ROW(HK_REQUEST_SWAPPED, INSPECTOR, hk_request_answer, 0, TEXT(answer.text)),
	ROW(HK_REQUEST_RELOAD, INSPECTOR, hk_request_number, 0, NO_TEXT),
	ROW(HK_REQUEST_STOP, STARTER, hk_request_number, 0, NO_TEXT),
	ROW(HK_REQUEST_KEYS, STARTER, hk_request_keys, 1, TEXT(keys.path)),
	ROW(HK_REQUEST_KEYS_GONE, STARTER, hk_request_keys, 0, TEXT(keys.path)),
	ROW(HK_REQUEST_KEYS_TAKEN, INSPECTOR, hk_request_answer, 0, TEXT(answer.text)),
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void wrong_descriptors_are_not_sent(void)
{
	static const __u32 unknown[] = {0, HK_REQUEST_KEYS_TAKEN + 1, 99, 0x7fffffff, 0xffffffff};
	struct hk_request request = {.kind = HK_REQUEST_FILE};
	unsigned i;

	open_pair();
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), -EINVAL);
	request.kind = HK_REQUEST_STOP;
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, ends[0]), -EINVAL);
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		request.kind = unknown[i];
		CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), -EINVAL);
		CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, ends[0]), -EINVAL);
	}
	close_pair();
}

/* Every row of the table, both ways, with every text as long as its room and no end. */
static void every_request_crosses(void)
{
	struct hk_request sent, got;
	int fd, given, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	unsigned i;

	open_pair();
	for (i = 0; i < ROWS; i++) {
		memset(&sent, 'x', sizeof(sent));
		sent.kind = rows[i].kind;
		given = rows[i].fds ? null : -1;
		CU_ASSERT_EQUAL(hk_request_send(ends[0], &sent, rows[i].fds ? -1 : null), -EINVAL);
		CU_ASSERT_EQUAL(hk_request_send(ends[0], &sent, given), 0);
		CU_ASSERT_EQUAL(receive(rows[i].from, &got, &fd), 1);
		CU_ASSERT_EQUAL(fd >= 0, rows[i].fds);
		if (fd >= 0)
			close(fd);
		if (rows[i].text) /* the end put there, the rest as it was sent; 0 behind the payload */
			((char *)&sent)[rows[i].text + rows[i].room - 1] = '\0';
		if (rows[i].kind == HK_REQUEST_KEYS || rows[i].kind == HK_REQUEST_KEYS_GONE)
			sent.keys.domain[sizeof(sent.keys.domain) - 1] = '\0';
		memset((char *)&sent + rows[i].size, 0, sizeof(sent) - rows[i].size);
		CU_ASSERT_EQUAL(memcmp(&sent, &got, sizeof(got)), 0);
		/* from the wrong side it is refused, and its descriptor is not ours */
		CU_ASSERT_EQUAL(hk_request_send(ends[0], &sent, given), 0);
		CU_ASSERT_EQUAL(receive(rows[i].from == HK_FROM_STARTER ? HK_FROM_INSPECTOR : HK_FROM_STARTER,
					&got, &fd),
			-EPROTO);
		CU_ASSERT_EQUAL(fd, -1);
	}
	close(null);
	close_pair();
	CU_ASSERT_EQUAL(i, HK_REQUEST_KEYS_TAKEN);
}

/* Standard input's number is as good as any other. */
static void descriptor_0_is_one(void)
{
	struct hk_request request = {.kind = HK_REQUEST_FILE};
	int fd;

	open_pair();
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, 0), 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_STARTER, &request, &fd), 1);
	CU_ASSERT_TRUE(fd > 0);
	close(fd);
	close_pair();
}

/* Nobody there is told from a channel that is none. */
static void what_fails_says_so(void)
{
	struct hk_request request = {.kind = HK_REQUEST_STOP};
	int fd;

	open_pair();
	close(ends[1]);
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), -EPIPE);
	ends[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(receive(HK_FROM_STARTER, &request, &fd), -ENOTSOCK);
	CU_ASSERT_EQUAL(fd, -1);
	close_pair();
}

static void the_wrong_side_is_refused(void)
{
	struct hk_request request = {.kind = HK_REQUEST_STOP};
	int fd;

	open_pair();
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_INSPECTOR, &request, &fd), -EPROTO);
	request.kind = HK_REQUEST_READY;
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_STARTER, &request, &fd), -EPROTO);
	close_pair();
}

static void unknown_kinds_and_sizes_are_refused(void)
{
	struct hk_request request;
	__u8 bytes[sizeof(request) + 8];
	__u32 kind, size;
	unsigned seen = 0;
	bool good;
	int fd;

	open_pair();
	for (kind = 0; kind < 16; kind++)
		for (size = 1; size <= sizeof(bytes); size++) {
			memset(bytes, 0xff, sizeof(bytes));
			memcpy(bytes, &kind, sizeof(kind));
			CU_ASSERT_EQUAL_FATAL(send(ends[0], bytes, size, 0), (ssize_t)size);
			good = kind && kind <= ROWS && rows[kind - 1].from == HK_FROM_INSPECTOR &&
			       size == rows[kind - 1].size;
			CU_ASSERT_EQUAL(receive(HK_FROM_INSPECTOR, &request, &fd), good ? 1 : -EPROTO);
			seen += good;
		}
	CU_ASSERT_EQUAL(seen, 6); /* each that an inspector sends */
	close_pair();
}

static void texts_end_by_force(void)
{
	struct hk_request request = {.kind = HK_REQUEST_FAILED};
	int fd;

	open_pair();
	memset(request.answer.text, 'x', sizeof(request.answer.text));
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_INSPECTOR, &request, &fd), 1);
	CU_ASSERT_EQUAL(strlen(request.answer.text), sizeof(request.answer.text) - 1);
	close_pair();
}

/* Three descriptors where none belongs: refused, and none of them stays open here. */
static void smuggled_descriptors_are_closed(void)
{
	struct hk_request request = {.kind = HK_REQUEST_RELOAD};
	int three[3] = {0, 1, 2}, fd, before = dup(0);
	char control[CMSG_SPACE(sizeof(three))] __attribute__((aligned(8))) = {0};
	struct iovec part = {&request, 16};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	close(before);
	open_pair();
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(three));
	memcpy(CMSG_DATA(head), three, sizeof(three));
	CU_ASSERT_TRUE(sendmsg(ends[0], &message, 0) > 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_INSPECTOR, &request, &fd), -EPROTO);
	CU_ASSERT_EQUAL(fd, -1);
	close_pair();
	fd = dup(0);
	CU_ASSERT_EQUAL(fd, before); /* the lowest free number is what it was */
	close(fd);
}

static void the_other_side_gone_is_seen(void)
{
	struct hk_request request;
	int fd;

	open_pair();
	close(ends[0]);
	CU_ASSERT_EQUAL(receive(HK_FROM_STARTER, &request, &fd), -EPIPE);
	close(ends[1]);
}

int main(void)
{
	static const struct test tests[] = {
		{"a request arrives whole", a_request_arrives_whole},
		{"no end waits for ever", no_end_waits_for_ever},
		{"a descriptor crosses with its file", a_descriptor_crosses_with_its_file},
		{"wrong descriptors are not sent", wrong_descriptors_are_not_sent},
		{"every request crosses", every_request_crosses},
		{"descriptor 0 is one", descriptor_0_is_one},
		{"what fails says so", what_fails_says_so},
		{"the wrong side is refused", the_wrong_side_is_refused},
		{"unknown kinds and sizes are refused", unknown_kinds_and_sizes_are_refused},
		{"texts end by force", texts_end_by_force},
		{"smuggled descriptors are closed", smuggled_descriptors_are_closed},
		{"the other side's end is seen", the_other_side_gone_is_seen},
		{0},
	};

	return run_tests("requests", tests);
}

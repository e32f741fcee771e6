// SPDX-License-Identifier: GPL-2.0-or-later
/* What crosses between starter and inspector, and what must not. */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
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

static void a_descriptor_crosses_with_its_file(void)
{
	struct hk_request sent = {.kind = HK_REQUEST_FILE}, got;
	int fd, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	open_pair();
	strcpy(sent.file.path, "east.keys");
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &sent, null), 0);
	CU_ASSERT_EQUAL(receive(HK_FROM_STARTER, &got, &fd), 1);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CU_ASSERT_STRING_EQUAL(got.file.path, "east.keys");
	close(fd);
	close(null);
	close_pair();
}

static void wrong_descriptors_are_not_sent(void)
{
	struct hk_request request = {.kind = HK_REQUEST_FILE};

	open_pair();
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), -EINVAL);
	request.kind = HK_REQUEST_STOP;
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, ends[0]), -EINVAL);
	request.kind = 99;
	CU_ASSERT_EQUAL(hk_request_send(ends[0], &request, -1), -EINVAL);
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
	int fd;

	open_pair();
	for (kind = 0; kind < 16; kind++)
		for (size = 1; size <= sizeof(bytes); size += size < 64 ? 1 : 61) {
			memset(bytes, 0xff, sizeof(bytes));
			memcpy(bytes, &kind, sizeof(kind));
			CU_ASSERT_EQUAL_FATAL(send(ends[0], bytes, size, 0), (ssize_t)size);
			if (receive(HK_FROM_INSPECTOR, &request, &fd) == 1)
				CU_ASSERT_TRUE(kind == HK_REQUEST_READY || kind == HK_REQUEST_RELOAD ||
					       kind == HK_REQUEST_FAILED || kind == HK_REQUEST_BUILT ||
					       kind == HK_REQUEST_SWAPPED);
		}
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
		{"a descriptor crosses with its file", a_descriptor_crosses_with_its_file},
		{"wrong descriptors are not sent", wrong_descriptors_are_not_sent},
		{"the wrong side is refused", the_wrong_side_is_refused},
		{"unknown kinds and sizes are refused", unknown_kinds_and_sizes_are_refused},
		{"texts end by force", texts_end_by_force},
		{"smuggled descriptors are closed", smuggled_descriptors_are_closed},
		{"the other side's end is seen", the_other_side_gone_is_seen},
		{0},
	};

	return run_tests("requests", tests);
}

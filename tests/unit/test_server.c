// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket: a real one, with a made-up daemon behind it. */
#include "tests/unit/view_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/control/client.h"

static char directory[] = "/tmp/halfkey-server-XXXXXX";

/* --- clients --- */

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {
		.tv_sec = 60}; /* a machine may be busy: a fault takes it all, and no more */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	CU_ASSERT_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* One answer line; "" when the server hung up. */
static const char *hear(int fd)
{
	static char line[1 << 20];
	size_t size = 0, whole;
	ssize_t there;
	char *end = NULL;

	/* looked at before it is taken: what stands behind the line is the next one's */
	while (!end && size < sizeof(line) - 1 &&
		(there = recv(fd, line + size, sizeof(line) - 1 - size, MSG_PEEK)) > 0) {
		end = memchr(line + size, '\n', (size_t)there);
		whole = end ? (size_t)(end + 1 - line) - size : (size_t)there;
		if (recv(fd, line + size, whole, 0) != (ssize_t)whole)
			break;
		size += whole;
	}
	line[size] = '\0';
	return line;
}

static json_t *ask(const char *request, struct hk_error *error)
{
	error->text[0] = '\0';
	return hk_control_ask(path, json_loads(request, 0, NULL), error);
}

static void refused(const char *request, const char *piece)
{
	struct hk_error error;
	json_t *result = ask(request, &error);

	if (result || !strstr(error.text, piece))
		printf("# wanted \"%s\", got \"%s\"\n", piece, error.text);
	CU_ASSERT_PTR_NULL(result);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, piece));
	json_decref(result);
}

static json_int_t number(const json_t *object, const char *a, const char *b, const char *c)
{
	object = json_object_get(object, a);
	object = b ? json_object_get(object, b) : object;
	object = c ? json_object_get(object, c) : object;
	CU_ASSERT(json_is_integer(object));
	return json_integer_value(object);
}

/* --- tests --- */

static unsigned open_descriptors(void)
{
	DIR *open = opendir("/proc/self/fd");
	unsigned count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(open);
	while (readdir(open))
		count++;
	closedir(open);
	return count;
}

static void say_with_descriptors(int fd, const char *text, unsigned count)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {.iov_base = (void *)(unsigned long)text, .iov_len = strlen(text)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
	struct cmsghdr *head = (struct cmsghdr *)(void *)control.bytes;
	int given = open("/dev/null", O_RDONLY | O_CLOEXEC); /* not our end: it would never be gone */
	unsigned i;

	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(head) + i * sizeof(int), &given, sizeof(given));
	CU_ASSERT_EQUAL(sendmsg(fd, &message, 0), (ssize_t)strlen(text));
	close(given);
}

/* Descriptors that nobody asked for, and more than one: each is closed with its request. */
static void descriptors_do_not_pile_up(void)
{
	unsigned before, round;
	int fd = dial(), others[4], i;

	say(fd, "{\"command\":\"status\"}\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	before = open_descriptors();
	for (round = 1; round <= 8; round++) {
		say_with_descriptors(fd, "{\"command\":\"status\"}\n", round);
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	}
	say_with_descriptors(fd, "{\"command\":", 2);
	say_with_descriptors(fd, "\"status\"}\n", 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	CU_ASSERT_EQUAL(open_descriptors(), before);
	/* with half a line and a client that goes, its descriptor goes */
	say_with_descriptors(fd, "{\"command\":", 1);
	close(fd);
	fd = dial();
	say(fd, "{\"command\":\"status\"}\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	CU_ASSERT_EQUAL(open_descriptors(), before);
	/* and none is closed twice: its number is somebody else's by then */
	say_with_descriptors(fd, "{\"command\":\"status\"}\n", 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	for (i = 0; i < 4; i++)
		others[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(fd);
	fd = dial();
	say(fd, "{\"command\":\"status\"}\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	for (i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(close(others[i]), 0);
	close(fd);
}

static void status(void)
{
	struct hk_error error;
	json_t *result = ask("{\"command\": \"status\"}", &error), *port;

	CU_ASSERT_PTR_NOT_NULL_FATAL(result);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(result, "mode")), "inline");
	CU_ASSERT_EQUAL(number(result, "processes", "inspector", NULL), 12);
	CU_ASSERT_EQUAL(number(result, "processes", "inspector_started_ns", NULL), 1000000000);
	CU_ASSERT(json_is_true(json_object_get(result, "armed")));
	port = json_array_get(json_object_get(result, "ports"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(port, "xdp")), "native");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(port, "link")), "up");
	CU_ASSERT_EQUAL(number(port, "speed_mbit", NULL, NULL), 2500);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(port, "queues")), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(result, "seccomp")), "on");
	CU_ASSERT_EQUAL(number(result, "processes", "calls_refused", NULL), 3);
	json_decref(result);
}

static void stats(void)
{
	struct hk_error error;
	json_t *result;
	char *text;

	counts.received = 3;
	counts.reasons[HK_REASON_OK].packets = 3;
	counts.nonce_repeats = 1;
	result = ask("{\"command\": \"stats\"}", &error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(result);
	CU_ASSERT_EQUAL(number(result, "xdp", "received", NULL), 10);
	CU_ASSERT_EQUAL(number(result, "xdp", "counted", NULL), 10);
	CU_ASSERT_EQUAL(number(json_object_get(result, "xdp"), "reasons", "legacy", "dropped"), 1);
	CU_ASSERT_EQUAL(number(json_object_get(result, "xdp"), "reasons", "psp-bit", "packets"), 0);
	CU_ASSERT_EQUAL(number(result, "workers", "received", NULL), 6); /* two workers */
	CU_ASSERT_EQUAL(number(result, "workers", "counted", NULL), 6);
	CU_ASSERT_EQUAL(number(result, "workers", "nonce_repeats", NULL), 2);
	CU_ASSERT_EQUAL(number(json_object_get(result, "workers"), "reasons", "ok", "packets"), 6);
	text = hk_control_stats_json(&view);
	CU_ASSERT(text && text[0] == '{' && !strchr(text, '\n'));
	free(text);
	json_decref(result);
}

static void lists(void)
{
	struct hk_error error;
	json_t *result = ask("{\"command\": \"keys\"}", &error), *rows;

	CU_ASSERT_EQUAL(number(result, "total", NULL, NULL), 0);
	json_decref(result);
	result = ask("{\"command\": \"verdicts\"}", &error);
	CU_ASSERT_EQUAL(number(result, "total", NULL, NULL), VERDICTS - 1);
	rows = json_object_get(result, "verdicts");
	CU_ASSERT_EQUAL(json_array_size(rows), 1000);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_array_get(rows, 0), "spi")), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(rows, 0), "domain")), "east");
	json_decref(result);
	result = ask("{\"command\": \"verdicts\", \"from\": 2000}", &error);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(result, "verdicts")), VERDICTS - 1 - 2000);
	json_decref(result);
	refused("{\"command\": \"verdicts\", \"from\": -1}", "\"from\" is not a whole number");
}

#define FLOW "\"domain\": \"east\", \"src\": \"192.0.2.1\", \"dst\": \"192.0.2.9\", \"spi\": 4096"

static void verdicts(void)
{
	struct hk_error error;
	char text[HK_ADDRESS_TEXT];
	json_t *result;

	put_code = delete_code = 0;
	result = ask(
		"{\"command\": \"verdict-add\", " FLOW ", \"verdict\": \"drop\", \"seconds\": 60}", &error);
	CU_ASSERT_PTR_NOT_NULL(result);
	json_decref(result);
	CU_ASSERT_EQUAL(put_key.envelope, HK_ENVELOPE_PSP);
	CU_ASSERT_EQUAL(put_key.spi, 4096);
	CU_ASSERT_STRING_EQUAL(hk_address_format(&put_key.dst, text), "192.0.2.9");
	CU_ASSERT_EQUAL(put_value.verdict, HK_VERDICT_DROP);
	CU_ASSERT(put_value.expires_ns > 60000000000ull);
	result = ask("{\"command\": \"verdict-delete\", " FLOW "}", &error);
	CU_ASSERT_PTR_NOT_NULL(result);
	json_decref(result);
	CU_ASSERT_EQUAL(memcmp(&deleted_key, &put_key, sizeof(put_key)), 0);
	put_code = -E2BIG;
	refused("{\"command\": \"verdict-add\", " FLOW ", \"verdict\": \"drop\", \"seconds\": 60}", "full");
	put_code = -EPERM;
	refused("{\"command\": \"verdict-add\", " FLOW ", \"verdict\": \"accept\", \"seconds\": 60}",
		"not permitted");
	delete_code = -ENOENT;
	refused("{\"command\": \"verdict-delete\", " FLOW "}", "no verdict for this flow");
}

static void verdict_refusals(void)
{
	refused("{\"command\": \"verdict-add\"}", "\"domain\" is missing");
	refused("{\"command\": \"verdict-add\", \"domain\": 5}", "\"domain\" is missing or not a text");
	refused("{\"command\": \"verdict-add\", \"domain\": \"nord\"}", "no domain \"nord\"");
	refused("{\"command\": \"verdict-add\", \"domain\": \"east\", \"src\": \"1.2.3\"}", "src: \"1.2.3\"");
	refused("{\"command\": \"verdict-add\", \"domain\": \"east\", \"src\": \"::ffff:1.2.3.4\"}",
		"not an IP address");
	refused("{\"command\": \"verdict-add\", \"domain\": \"east\", \"src\": \"1.2.3.4\", \"dst\": "
		"\"2001:db8::1\", "
		"\"spi\": 1}",
		"different IP versions");
	refused("{\"command\": \"verdict-add\", \"domain\": \"east\", \"src\": \"1.2.3.4\", \"dst\": "
		"\"1.2.3.5\", "
		"\"spi\": 4294967296}",
		"\"spi\"");
	refused("{\"command\": \"verdict-add\", \"domain\": \"east\", \"src\": \"192.0.2.9\", \"dst\": "
		"\"198.51.100.1\", \"spi\": 1, \"verdict\": \"drop\", \"seconds\": 1}",
		"198.51.100.1 is not among the domain's receivers");
	refused("{\"command\": \"verdict-add\", " FLOW ", \"verdict\": \"delay\", \"seconds\": 1}",
		"\"delay\"");
	refused("{\"command\": \"verdict-add\", " FLOW ", \"verdict\": \"drop\", \"seconds\": 0}",
		"\"seconds\"");
	refused("{\"command\": \"verdict-add\", " FLOW ", \"verdict\": \"drop\", \"seconds\": \"9\"}",
		"\"seconds\"");
	refused("{\"command\": \"verdict-add\", " FLOW ", \"verdict\": \"drop\"}", "\"seconds\" is missing");
}

static void reload(void)
{
	struct hk_error error;
	json_t *result;

	reload_code = 0;
	result = ask("{\"command\": \"reload\"}", &error);
	CU_ASSERT_PTR_NOT_NULL(result);
	json_decref(result);
	reload_code = -EINVAL;
	refused("{\"command\": \"reload\"}", "box.yaml:3: no good");
	CU_ASSERT_EQUAL(reloads, 2);
}

static void garbage(void)
{
	__u64 seed = 3;
	char bytes[600];
	unsigned round, i;
	int fd;

	refused("{\"command\": \"statsu\"}", "did you mean \"status\"");
	refused("{\"command\": \"frobnicate\"}", "unknown command \"frobnicate\"");
	/* what is quoted is cut within a character */
	refused("{\"command\": \"0123456789012345678901234567890123456789\"}", "unknown command \"0123");
	refused("{\"command\": \"012345678901234567890123456789012345678\303\274\"}",
		"unknown command \"0123");
	refused("{\"command\": 7}", "\"command\" is missing");
	refused("{}", "\"command\" is missing");
	refused("[]", "JSON object");
	fd = dial();
	say(fd, "hello\n{\"a\":1,\"a\":2}\n\n{\"command\":\"status\"}\n");
	for (i = 0; i < 3; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "not JSON"));
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	close(fd);
	for (round = 0; round < 200; round++) {
		fd = dial();
		for (i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)random_next(&seed);
		bytes[sizeof(bytes) - 1] = '\n';
		CU_ASSERT(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":false"));
		close(fd);
	}
}

static void deep_json(void)
{
	char text[4000];
	int fd = dial();

	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = '\0';
	say(fd, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":false"));
	close(fd);
}

static void partial_lines(void)
{
	static const char request[] = "{\"command\": \"status\"}\n";
	int fd = dial();
	unsigned i;

	for (i = 0; request[i]; i++) {
		CU_ASSERT_EQUAL(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
		usleep(200);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	say(fd, "{\"command\": \"sta");
	close(fd); /* in the middle */
	fd = dial();
	say(fd, request);
	shutdown(fd, SHUT_WR); /* as `echo | socat` does */
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	CU_ASSERT_STRING_EQUAL(hear(fd), "");
	close(fd);
}

/* However much of the line comes, the sentence arrives, and the end of the connection is no error. */
static void oversized(void)
{
	static const size_t sizes[] = {4096, 8000, 300000};
	static char text[300000];
	unsigned i;
	int fd;

	memset(text, 'x', sizeof(text));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fd = dial();
		CU_ASSERT_EQUAL(send(fd, text, sizes[i], MSG_NOSIGNAL), (ssize_t)sizes[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "longer than 4096"));
		errno = 0;
		CU_ASSERT_STRING_EQUAL(hear(fd), "");
		CU_ASSERT_EQUAL(errno, 0);
		CU_ASSERT_EQUAL(send(fd, "\n{\"command\": \"reload\"}\n", 23, MSG_NOSIGNAL), 23);
		CU_ASSERT_STRING_EQUAL(hear(fd), "");
		close(fd);
	}
}

/* Nobody is read from for ever: after a megabyte the connection goes. */
static void endless(void)
{
	static char text[1 << 16];
	int fd = dial(), reloads_before = reloads;
	size_t sent = 0;
	ssize_t took;

	memset(text, 'x', sizeof(text));
	while (sent < 8u << 20 && (took = send(fd, text, sizeof(text), MSG_NOSIGNAL)) > 0)
		sent += (size_t)took;
	CU_ASSERT(sent >= 1u << 20);
	CU_ASSERT(sent < 8u << 20);
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "longer than 4096"));
	close(fd);
	CU_ASSERT_EQUAL(reloads, reloads_before);
}

static void many_requests_in_one_write(void)
{
	char text[4096] = "";
	int fd = dial();
	unsigned i;

	for (i = 0; i < 100; i++)
		strcat(text, "{\"command\": \"reload\"}\n");
	say(fd, text);
	for (i = 0; i < 100; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":"));
	close(fd);
}

/* Forty clients where sixteen have room: the oldest idle ones give way, the newest is served. */
static void many_clients(void)
{
	int fds[40];
	unsigned i;

	for (i = 0; i < 40; i++) {
		fds[i] = dial();
		say(fds[i], "{\"command\": \"status\"}\n");
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(fds[i]), "\"ok\":true"));
	}
	CU_ASSERT_STRING_EQUAL(hear(fds[0]), "");
	say(fds[39], "{\"command\": \"status\"}\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fds[39]), "\"ok\":true"));
	for (i = 0; i < 40; i++)
		close(fds[i]);
}

/* One that asks for much and takes nothing must not hold up another. */
static void slow_client(void)
{
	int slow = dial(), other;
	unsigned i;
	char text[4096] = "";

	for (i = 0; i < 100; i++)
		strcat(text, "{\"command\": \"verdicts\"}\n");
	for (i = 0; i < 20; i++)
		if (send(slow, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	for (i = 0; i < 20; i++) {
		other = dial();
		say(other, "{\"command\": \"status\"}\n");
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(other), "\"ok\":true"));
		close(other);
	}
	for (i = 0; i < 50; i++) /* and it gets whole lines when it wakes up */
		CU_ASSERT_PTR_NOT_NULL(strstr(hear(slow), "\"ok\":true"));
	close(slow);
}

static void other_users_are_refused(void)
{
	struct stat status_;
	int result;
	pid_t child;

	CU_ASSERT_EQUAL(stat(path, &status_), 0);
	CU_ASSERT_EQUAL(status_.st_mode & 0777, 0600);
	if (geteuid() != 0) {
		skip_test("becoming another user needs root");
		return;
	}
	CU_ASSERT_EQUAL(chmod(path, 0666), 0); /* even when the file's mode lets them in */
	CU_ASSERT_EQUAL(chmod(directory, 0755), 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		int fd;

		if (setgid(65534) || setuid(65534))
			_exit(1);
		fd = dial();
		if (!strstr(hear(fd), "only root"))
			_exit(2);
		_exit(hear(fd)[0] ? 3 : 0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &result, 0), child);
	CU_ASSERT(WIFEXITED(result) && WEXITSTATUS(result) == 0);
	chmod(path, 0600);
}

static void listening(void)
{
	struct hk_error error = {""};
	char other[80];
	int fd;

	CU_ASSERT_EQUAL(hk_control_listen(path, &error), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "another halfkeyd"));
	snprintf(other, sizeof(other), "%s/file", directory);
	fd = open(other, O_CREAT | O_WRONLY, 0600);
	close(fd);
	error.text[0] = '\0';
	CU_ASSERT_EQUAL(hk_control_listen(other, &error), -EEXIST);
	snprintf(other, sizeof(other), "%s/stale.sock", directory);
	fd = hk_control_listen(other, &error);
	CU_ASSERT(fd >= 0);
	close(fd); /* the file stays: nobody listens */
	fd = hk_control_listen(other, &error);
	CU_ASSERT(fd >= 0);
	close(fd);
	error.text[0] = '\0';
	/* a wrong path is refused, and not made right by a new directory */
	memset(&error, 0, sizeof(error));
	snprintf(other, sizeof(other), "%s/no/x.sock", directory);
	CU_ASSERT_EQUAL(hk_control_listen(other, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "make its directory first"));
	*strrchr(other, '/') = '\0';
	CU_ASSERT_NOT_EQUAL(access(other, F_OK), 0);
}

static void client_sentences(void)
{
	struct hk_error error = {""};

	CU_ASSERT_PTR_NULL(hk_control_ask("/tmp/halfkey-nobody-here.sock", json_object(), &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "is it running?"));
}

int main(void)
{
	static const struct test tests[] = {
		{"descriptors do not pile up", descriptors_do_not_pile_up},
		{"status", status},
		{"stats", stats},
		{"keys and verdicts, by pages", lists},
		{"verdict-add, verdict-delete", verdicts},
		{"verdicts: refusals", verdict_refusals},
		{"reload", reload},
		{"garbage", garbage},
		{"deep JSON", deep_json},
		{"partial lines", partial_lines},
		{"oversized request", oversized},
		{"a request without end is cut off", endless},
		{"a hundred requests in one write", many_requests_in_one_write},
		{"many clients", many_clients},
		{"slow client", slow_client},
		{"other users are refused", other_users_are_refused},
		{"listening: stale, live, in the way", listening},
		{"client: nobody there", client_sentences},
		{0},
	};
	char command[64];
	int code;

	if (!mkdtemp(directory) || start(directory))
		return 2;
	code = run_tests("server", tests);
	stop();
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) ? 2 : code;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Directories of keys and growing logs as the starter watches them: what the inspector is asked
 * to take, one after the other, and what becomes of its answers. The inspector is the test.
 * inotify tells a process of what it did itself at once: nothing is waited for.
 */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/control/starter_state.h"

static char directory[] = "/tmp/halfkey-starterkeys-XXXXXX";
static struct hk_domain_config domains[3];
static struct hk_config config;
static struct hk_starter starter;
static int inspector;
static const char *log_name = "web.log";

/* --- files --- */

static const char *in(const char *name)
{
	static char path[HK_REQUEST_PATH + 128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void put(const char *name, const char *text)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void move(const char *from, const char *to)
{
	char old[HK_REQUEST_PATH + 128];

	snprintf(old, sizeof(old), "%s", in(from));
	CU_ASSERT_EQUAL(rename(old, in(to)), 0);
}

/* --- the inspector's side --- */

/* What it is asked next: "domain path", with " gone" where it is; "" for nothing. Status is no question. */
static const char *asked(void)
{
	static char text[HK_REQUEST_PATH + 128];
	struct hk_request request;
	struct stat given, there;
	int fd, code;

	hk_starter_keys_serve(&starter);
	do
		code = hk_request_receive(inspector, HK_FROM_STARTER, &request, &fd);
	while (code == 1 && request.kind == HK_REQUEST_STATUS);
	if (code != 1)
		return code ? "broken" : "";
	snprintf(text, sizeof(text), "%s %s%s", request.keys.domain, request.keys.path,
		request.kind == HK_REQUEST_KEYS_GONE ? " gone" : "");
	CU_ASSERT_EQUAL(fd >= 0, request.kind == HK_REQUEST_KEYS);
	if (fd >= 0) { /* the file itself, to be read only */
		CU_ASSERT_EQUAL(fstat(fd, &given), 0);
		CU_ASSERT_EQUAL(stat(in(request.keys.path), &there), 0);
		CU_ASSERT_EQUAL(given.st_ino, there.st_ino);
		CU_ASSERT_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		close(fd);
	}
	return text;
}

static void answer(int code, const char *text)
{
	struct hk_request_answer said = {.code = code};

	snprintf(said.text, sizeof(said.text), "%s", text);
	hk_starter_keys_taken(&starter, &said);
}

#define ASKED(text) CU_ASSERT_STRING_EQUAL(asked(), text)

/* --- the scene: a directory, another with a TLS domain, and that one's log --- */

static void begin(void)
{
	struct hk_error error = {""};
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(mkdir(in("east"), 0700) + mkdir(in("web"), 0700), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(in("logs"), 0700), 0);
	put(log_name, "");
	memset(domains, 0, sizeof(domains));
	domains[0] = (struct hk_domain_config){
		.name = (char *)"east", .envelope = HK_ENVELOPE_PSP, .keys_dir = (char *)"east"};
	domains[1] = (struct hk_domain_config){.name = (char *)"web",
		.envelope = HK_ENVELOPE_TLS,
		.keys_dir = (char *)"web",
		.keys = (char *)(unsigned long)log_name};
	domains[2] = (struct hk_domain_config){
		.name = (char *)"plain", .envelope = HK_ENVELOPE_PSP, .keys = (char *)"plain.keys"};
	config = (struct hk_config){.directory = directory, .domains = domains, .domains_count = 3};
	CU_ASSERT_EQUAL_FATAL(hk_request_pair(ends), 0);
	inspector = ends[1];
	memset(&starter, 0, sizeof(starter));
	starter.config = &config;
	starter.channel = ends[0];
	starter.child = HK_CHILD_READY;
	starter.watch = starter.asked_fd = -1;
	CU_ASSERT_EQUAL_FATAL(hk_starter_keys_watch(&starter, &config, &error), 0);
	ASKED("");
}

static void end(void)
{
	char command[128];

	hk_starter_keys_end(&starter);
	hk_files_close(&starter.files);
	close(starter.channel);
	close(inspector);
	snprintf(command, sizeof(command), "rm -rf %s/*", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* --- tests --- */

static void one_after_the_other(void)
{
	int before;

	begin();
	before = dup(0);
	close(before);
	put("east/one.keys", "1");
	put("east/two.keys", "2");
	ASKED("east east/one.keys");
	ASKED(""); /* it has not answered */
	answer(0, "");
	CU_ASSERT_EQUAL(starter.files.count, 1); /* what the next inspector begins with */
	ASKED("east east/two.keys");
	answer(0, "");
	CU_ASSERT_EQUAL(starter.files.count, 2);
	put("east/one.keys", "3"); /* again: in the place of what it said before */
	ASKED("east east/one.keys");
	answer(0, "");
	CU_ASSERT_EQUAL(starter.files.count, 2);
	CU_ASSERT_EQUAL(unlink(in("east/one.keys")), 0);
	ASKED("east east/one.keys gone");
	answer(0, "");
	CU_ASSERT_EQUAL(starter.files.count, 1);
	CU_ASSERT_TRUE(hk_files_get(&starter.files, "east/two.keys") >= 0);
	CU_ASSERT_EQUAL(hk_files_get(&starter.files, "east/one.keys"), -ENOENT);
	CU_ASSERT_EQUAL(chmod(in("east/two.keys"), 0400), 0); /* what was refused may be right by now */
	ASKED("east east/two.keys");
	answer(0, "");
	CU_ASSERT_EQUAL(unlink(in("east/two.keys")), 0);
	ASKED("east east/two.keys gone");
	answer(0, "");
	ASKED("");
	CU_ASSERT_EQUAL(dup(0), before); /* each descriptor went with its file */
	close(before);
	CU_ASSERT_EQUAL(starter.reload_failures, 0);
	end();
}

/* A file that is written elsewhere and moved in place comes whole; only NAME.keys are any. */
static void names(void)
{
	begin();
	put("east/draft", "1");
	put("east/.hidden.keys", "1");
	put("east/.keys", "1");
	put("east/one.keys.new", "1");
	ASKED("");
	move("east/one.keys.new", "east/one.keys");
	ASKED("east east/one.keys");
	answer(0, "");
	move("east/one.keys", "east/two.keys");
	ASKED("east east/one.keys gone");
	answer(0, "");
	ASKED("east east/two.keys");
	answer(0, "");
	move("east/two.keys", "elsewhere");
	ASKED("east east/two.keys gone");
	answer(0, "");
	ASKED("");
	put("plain.keys", "1"); /* of a domain without a directory: read at a reload, and no log */
	ASKED("");
	end();
}

static void what_is_wrong_is_said_and_passed_over(void)
{
	begin();
	put("east/one.keys", "1");
	CU_ASSERT_EQUAL(chmod(in("east/one.keys"), 0644), 0);
	put("east/two.keys", "2");
	ASKED("east east/two.keys");
	CU_ASSERT_TRUE(starter.reload_failures > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(starter.reload_error, "east/one.keys"));
	answer(-EINVAL, "east/two.keys:1: no key at all");
	CU_ASSERT_STRING_EQUAL(starter.reload_error, "east/two.keys:1: no key at all");
	CU_ASSERT_EQUAL(starter.files.count, 0); /* the next inspector does not begin with it */
	put("east/two.keys", "better");
	ASKED("east east/two.keys");
	answer(0, "");
	put("east/two.keys", "worse");
	ASKED("east east/two.keys");
	answer(-EINVAL, "east/two.keys:1: no key at all");
	CU_ASSERT_EQUAL(starter.files.count, 1); /* but with what it said before */
	ASKED("");
	answer(-EINVAL, "nobody asked"); /* is no answer */
	CU_ASSERT_STRING_EQUAL(starter.reload_error, "east/two.keys:1: no key at all");
	end();
}

/* What an inspector dies over is asked of the next one; nothing happens while none is there, or a reload is.
 */
static void who_is_not_there_is_not_asked(void)
{
	begin();
	put("east/one.keys", "1");
	put("east/two.keys", "2");
	starter.child = HK_CHILD_BEGINNING;
	ASKED("");
	starter.child = HK_CHILD_READY;
	starter.reload_deadline_ns = 1;
	ASKED("");
	starter.reload_deadline_ns = 0;
	starter.reload_wanted = true;
	ASKED("");
	starter.reload_wanted = false;
	ASKED("east east/one.keys");
	starter.child = HK_CHILD_NONE; /* it died over that */
	starter.keys_asked = false;
	ASKED("");
	starter.child = HK_CHILD_READY;
	ASKED("east east/one.keys");
	answer(0, "");
	CU_ASSERT_EQUAL(starter.files.count, 1);
	ASKED("east east/two.keys");
	answer(0, "");
	ASKED("");
	end();
}

/* A log is read with each line, whoever holds it open, and under its name when it is begun anew. */
static void a_log_grows(const char *question)
{
	int fd;

	begin();
	fd = open(in(log_name), O_WRONLY | O_APPEND | O_CLOEXEC);
	CU_ASSERT_EQUAL(write(fd, "line\n", 5), 5);
	ASKED(question);
	answer(0, "");
	ASKED("");
	CU_ASSERT_EQUAL(write(fd, "line\n", 5), 5);
	ASKED(question);
	answer(-EINVAL, "web.log:2: bad"); /* said once, counted each time */
	CU_ASSERT_EQUAL(write(fd, "line\n", 5), 5);
	ASKED(question);
	answer(-EINVAL, "web.log:2: bad");
	CU_ASSERT_EQUAL(starter.reload_failures, 2);
	move(log_name, "old.log");
	put(log_name, "anew\n");
	ASKED(question);
	answer(0, "");
	while (*asked()) /* its first line may be told of by its name and by itself */
		answer(0, "");
	put(log_name, "more\n");
	ASKED(question);
	answer(0, "");
	while (*asked())
		answer(0, "");
	CU_ASSERT_EQUAL(write(fd, "late\n", 5), 5); /* into the old one, which is no log of ours */
	ASKED("");
	close(fd);
	ASKED("");
	put("east.log", "not ours\n");
	put("logs/other.log", "nor this\n");
	ASKED("");
	end();
}

static void logs_grow(void)
{
	a_log_grows("web web.log");
	log_name = "logs/web.log"; /* a directory of its own */
	a_log_grows("web logs/web.log");
	log_name = "web.log";
}

/* Key logs of a TLS domain's directory grow, too; files of others are whole when they are closed. */
static void files_that_are_open(void)
{
	int east, web;

	begin();
	east = open(in("east/one.keys"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	web = open(in("web/one.keys"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL(write(east, "half", 4), 4);
	ASKED("");
	CU_ASSERT_EQUAL(write(web, "line\n", 5), 5);
	ASKED("web web/one.keys");
	answer(0, "");
	ASKED("");
	close(east);
	ASKED("east east/one.keys");
	answer(0, "");
	close(web);
	ASKED("web web/one.keys");
	answer(0, "");
	ASKED("");
	end();
}

/* One log that two domains read is asked of both, and each answer counts for its own. */
static void a_log_of_two_domains(void)
{
	struct hk_error error = {""};

	begin();
	domains[2] = domains[1];
	domains[2].name = (char *)"web2";
	domains[2].keys_dir = NULL;
	CU_ASSERT_EQUAL(hk_starter_keys_watch(&starter, &config, &error), 0);
	put("web.log", "line\n");
	ASKED("web web.log");
	answer(0, "");
	ASKED("web2 web.log");
	answer(0, "");
	end();
}

static void what_cannot_be_watched(void)
{
	struct hk_error error = {""};
	char longer[4200];

	begin();
	domains[0].keys_dir = (char *)"nowhere";
	CU_ASSERT_EQUAL(hk_starter_keys_watch(&starter, &config, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "keys-dir nowhere: cannot be watched: No such file"));
	error = (struct hk_error){""};
	domains[0].keys_dir = (char *)"web.log";
	CU_ASSERT_EQUAL(hk_starter_keys_watch(&starter, &config, &error), -ENOTDIR);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	domains[0].keys_dir = longer;
	CU_ASSERT_EQUAL(hk_starter_keys_watch(&starter, &config, &error), -ENAMETOOLONG);
	domains[0].keys_dir = (char *)in("east"); /* a path of its own */
	CU_ASSERT_EQUAL(hk_starter_keys_watch(&starter, &config, &error), 0);
	end();
}

int main(void)
{
	static const struct test tests[] = {
		{"one after the other", one_after_the_other},
		{"names", names},
		{"what is wrong is said and passed over", what_is_wrong_is_said_and_passed_over},
		{"who is not there is not asked", who_is_not_there_is_not_asked},
		{"logs grow", logs_grow},
		{"files that are open", files_that_are_open},
		{"a log of two domains", a_log_of_two_domains},
		{"what cannot be watched", what_cannot_be_watched},
		{0},
	};
	int status;

	if (!mkdtemp(directory))
		return 2;
	hk_log_init(HK_LOG_ERROR, "test");
	status = run_tests("starter_keys", tests);
	rmdir(directory);
	return status;
}

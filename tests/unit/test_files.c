// SPDX-License-Identifier: GPL-2.0-or-later
/* Files a configuration names: rules of each kind, on real files. */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/files.h"

static char directory[] = "/tmp/halfkey-files-XXXXXX";

static const char *inside(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void make(const char *name, mode_t mode, const void *text, size_t size)
{
	int fd = open(inside(name), O_CREAT | O_WRONLY | O_TRUNC, 0600);

	CU_ASSERT(fd >= 0 && write(fd, text, size) == (ssize_t)size);
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	close(fd);
}

/* Opens; the sentence must hold both the file's name and `piece`. */
static int opens(enum hk_file_kind kind, const char *name, const char *piece)
{
	struct hk_files files = {0};
	struct hk_error error = {""};
	int code = hk_files_open(&files, kind, directory, name, &error);

	if (code && (!strstr(error.text, name) || !strstr(error.text, piece)))
		printf("# \"%s\" lacks \"%s\"\n", error.text, piece);
	CU_ASSERT(!code || (strstr(error.text, name) && strstr(error.text, piece)));
	CU_ASSERT_EQUAL(files.count, code ? 0 : 1);
	if (!code)
		CU_ASSERT(fcntl(files.rows[0].fd, F_GETFD) & FD_CLOEXEC);
	hk_files_close(&files);
	return code;
}

static void key_files(void)
{
	static const mode_t loose[] = {0640, 0604, 0610, 0601, 0660, 0644, 0777};
	unsigned i;

	make("k", 0600, "x", 1);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "k", ""), 0);
	CU_ASSERT_EQUAL(chmod(inside("k"), 0400), 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "k", ""), 0);
	for (i = 0; i < sizeof(loose) / sizeof(loose[0]); i++) {
		char mode[8];

		snprintf(mode, sizeof(mode), "%04o", loose[i]);
		CU_ASSERT_EQUAL(chmod(inside("k"), loose[i]), 0);
		CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "k", mode), -EPERM);
		CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "k", "chmod 0600"), -EPERM);
	}
}

static void owner(void)
{
	if (geteuid() != 0) {
		skip_test("changing a file's owner needs root");
		return;
	}
	make("o", 0600, "x", 1);
	CU_ASSERT_EQUAL(chown(inside("o"), 65534, 65534), 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "o", "65534"), -EPERM);
	CU_ASSERT_EQUAL(opens(HK_FILE_SETTINGS, "o", "65534"), -EPERM);
}

static void settings_files(void)
{
	make("s", 0644, "x", 1);
	CU_ASSERT_EQUAL(opens(HK_FILE_SETTINGS, "s", ""), 0);
	CU_ASSERT_EQUAL(chmod(inside("s"), 0664), 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_SETTINGS, "s", "go-w"), -EPERM);
	CU_ASSERT_EQUAL(chmod(inside("s"), 0646), 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_SETTINGS, "s", "0646"), -EPERM);
}

static void links_and_oddities(void)
{
	make("target", 0600, "x", 1);
	CU_ASSERT_EQUAL(symlink("target", inside("link")), 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "link", "symbolic link"), -ELOOP);
	CU_ASSERT_EQUAL(opens(HK_FILE_OUTPUT, "link", "symbolic link"), -ELOOP);
	CU_ASSERT_EQUAL(opens(HK_FILE_SETTINGS, "link", ""), 0);
	CU_ASSERT_EQUAL(mkfifo(inside("fifo"), 0600), 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "fifo", "regular"), -EINVAL);
	CU_ASSERT(opens(HK_FILE_OUTPUT, "fifo", "regular") < 0);
	CU_ASSERT_EQUAL(mkdir(inside("dir"), 0700), 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "dir", "regular"), -EINVAL);
	CU_ASSERT(opens(HK_FILE_OUTPUT, "dir", "") < 0);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "nowhere", "No such file"), -ENOENT);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "nowhere", directory), -ENOENT);
	CU_ASSERT_EQUAL(opens(HK_FILE_KEYS, "/dev/null", "regular"), -EINVAL);
}

static void outputs_append(void)
{
	struct stat status;
	struct hk_files files = {0};
	struct hk_error error = {""};
	mode_t before = umask(0);
	unsigned i;

	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_OUTPUT, directory, "log", &error), 0);
		CU_ASSERT_EQUAL(write(hk_files_get(&files, "log"), "line\n", 5), 5);
		hk_files_close(&files);
	}
	CU_ASSERT_EQUAL(stat(inside("log"), &status), 0);
	CU_ASSERT_EQUAL(status.st_size, 10);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0640);
	umask(before);
}

static void one_row_per_path(void)
{
	struct hk_files files = {0};
	struct hk_error error = {""};

	make("k1", 0600, "x", 1);
	CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_KEYS, directory, "k1", &error), 0);
	CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_KEYS, directory, "k1", &error), 0);
	CU_ASSERT_EQUAL(files.count, 1);
	CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_SETTINGS, directory, "k1", &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "two different"));
	CU_ASSERT_EQUAL(hk_files_get(&files, "other"), -ENOENT);
	CU_ASSERT_EQUAL(hk_files_add(&files, HK_FILE_SETTINGS, "added", dup(0)), 0);
	CU_ASSERT(hk_files_get(&files, "added") >= 0);
	CU_ASSERT_EQUAL(files.count, 2);
	hk_files_close(&files);
	CU_ASSERT_EQUAL(files.count, 0);
}

/* More key files than a process may have open by default: the limit is for others, not for us. */
static void a_directory_of_many(void)
{
	struct hk_files files = {0};
	struct hk_error error = {""};
	struct rlimit before, few;
	char name[32];
	unsigned i;

	CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	CU_ASSERT_FATAL(before.rlim_max >= 400);
	few = (struct rlimit){200, before.rlim_max};
	CU_ASSERT_EQUAL(mkdir(inside("many"), 0700), 0);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "many/%u.keys", i);
		make(name, 0600, "x", 1);
	}
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &few), 0);
	CU_ASSERT_EQUAL(hk_files_open_directory(&files, directory, "many", &error), -EMFILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "Too many open files"));
	hk_files_close(&files);
	hk_files_raise_limit();
	CU_ASSERT_EQUAL(hk_files_open_directory(&files, directory, "many", &error), 0);
	CU_ASSERT_EQUAL(files.count, 300);
	hk_files_close(&files);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "many/%u.keys", i);
		unlink(inside(name));
	}
	CU_ASSERT_EQUAL(rmdir(inside("many")), 0);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void reading(void)
{
	struct hk_files files = {0};
	struct hk_error error = {""};
	static char big[10000];
	size_t size = 0;
	char *text;
	int round;

	memset(big, 'y', sizeof(big));
	make("t", 0600, "hello\n", 6);
	make("z", 0600, "a\0b", 3);
	make("empty", 0600, "", 0);
	make("big", 0600, big, sizeof(big));
	CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_KEYS, directory, "t", &error), 0);
	CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_KEYS, directory, "z", &error), 0);
	CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_KEYS, directory, "big", &error), 0);
	CU_ASSERT_EQUAL(hk_files_open(&files, HK_FILE_KEYS, directory, "empty", &error), 0);
	for (round = 0; round < 2; round++) { /* rewound each time */
		text = hk_files_read(&files, "t", 6, &size, &error);
		CU_ASSERT(text && size == 6 && strcmp(text, "hello\n") == 0);
		free(text);
	}
	text = hk_files_read(&files, "big", sizeof(big), &size, &error);
	CU_ASSERT(text && size == sizeof(big));
	free(text);
	text = hk_files_read(&files, "empty", 100, &size, &error);
	CU_ASSERT(text && size == 0 && !*text);
	free(text);
	CU_ASSERT_PTR_NULL(hk_files_read(&files, "t", 5, &size, &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "longer than 5"));
	error.text[0] = '\0';
	CU_ASSERT_PTR_NULL(hk_files_read(&files, "big", sizeof(big) - 1, &size, &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "big: is longer than 9999"));
	error.text[0] = '\0';
	CU_ASSERT_PTR_NULL(hk_files_read(&files, "z", 100, &size, &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "zero byte"));
	error.text[0] = '\0';
	CU_ASSERT_PTR_NULL(hk_files_read(&files, "unknown", 100, &size, &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "unknown"));
	hk_files_close(&files);
}

int main(void)
{
	static const struct test tests[] = {
		{"key files: mode", key_files},
		{"owner", owner},
		{"settings files: mode", settings_files},
		{"links, pipes, directories", links_and_oddities},
		{"outputs are appended to, mode 0640", outputs_append},
		{"one row per path", one_row_per_path},
		{"a directory of many", a_directory_of_many},
		{"reading is bounded", reading},
		{0},
	};
	char command[64];
	int status;

	if (!mkdtemp(directory))
		return 2;
	status = run_tests("files", tests);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) ? 2 : status;
}

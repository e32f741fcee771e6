// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What receivers remember of the packets they took outlives them: after a restart, also one after a kill,
 * nothing is taken twice and no earlier epoch is; the file is one process's, and what is none is refused.
 */
#include "tests/unit/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/base/bytes.h"
#include "user/endpoint/windows.h"

static char directory[] = "/tmp/halfkey-windows.XXXXXX";
static struct hk_error error;
static const struct hk_address alice = {{[15] = 1}}, mallory = {{[15] = 2}};

static struct hk_windows *open_table(const char *name, int expected)
{
	const struct hk_state_place place = {.directory = directory, .windows = true};
	struct hk_windows *windows = NULL;

	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(hk_windows_open(&windows, &place, name, &error), expected);
	CU_ASSERT_EQUAL(!windows, expected != 0);
	return windows;
}

static struct hk_window *claim(struct hk_windows *windows, unsigned number, const struct hk_address *sender)
{
	__u8 id[8];

	hk_put64(id, 0x1000000ull + number);
	return hk_windows_claim(windows, id, sender);
}

static bool take(struct hk_window *window, __u64 number)
{
	bool fresh = hk_replay_fresh(&window->replay, number);

	if (fresh)
		hk_replay_take(&window->replay, number);
	return fresh;
}

/* A process that takes numbers and is killed; it says over the pipe when it did. */
static void killed_after_taking(const char *name)
{
	struct hk_windows *windows;
	struct hk_window *window;
	int ends[2], status;
	char byte = 0;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	child = fork();
	if (!child) {
		windows = open_table(name, 0);
		window = claim(windows, 1, &alice);
		if (window && take(window, 5000) && take(window, 4990))
			byte = 1;
		(void)!write(ends[1], &byte, 1);
		for (;;)
			pause();
	}
	CU_ASSERT_EQUAL(read(ends[0], &byte, 1), 1);
	CU_ASSERT_EQUAL(byte, 1);
	kill(child, SIGKILL);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	close(ends[0]);
	close(ends[1]);
}

static void outlive_a_kill(void)
{
	struct hk_windows *windows;
	struct hk_window *window;

	killed_after_taking("killed");
	windows = open_table("killed", 0);
	window = claim(windows, 1, &mallory);
	CU_ASSERT_PTR_NOT_NULL_FATAL(window);
	CU_ASSERT_EQUAL(memcmp(&window->sender, &alice, sizeof(alice)), 0);
	CU_ASSERT_FALSE(take(window, 5000));
	CU_ASSERT_FALSE(take(window, 4990));
	CU_ASSERT_FALSE(take(window, 5000 - HK_REPLAY_WINDOW));
	CU_ASSERT_TRUE(take(window, 4991));
	CU_ASSERT_TRUE(take(window, 5001));
	CU_ASSERT_TRUE(take(claim(windows, 2, &mallory), 5000)); /* another series */
	hk_windows_close(windows);
	windows = open_table("killed", 0);
	CU_ASSERT_FALSE(take(claim(windows, 1, &alice), 5001));
	CU_ASSERT_FALSE(take(claim(windows, 2, &alice), 5000));
	hk_windows_close(windows);
}

static void epochs_end_for_good(void)
{
	static const __u8 family[8] = {7}, other[8] = {8};
	struct hk_windows *windows = open_table("epochs", 0);
	struct hk_window *window = claim(windows, 1, &alice);

	window->epoch = 10;
	memcpy(window->family, family, 8);
	CU_ASSERT_TRUE(hk_windows_is_latest(windows, family, 10));
	CU_ASSERT_TRUE(hk_windows_is_latest(windows, other, 1));
	window = claim(windows, 2, &alice);
	window->epoch = 11;
	memcpy(window->family, family, 8);
	hk_windows_end_before(windows, family, 11);
	hk_windows_close(windows);
	windows = open_table("epochs", 0);
	CU_ASSERT_FALSE(hk_windows_is_latest(windows, family, 10));
	CU_ASSERT_TRUE(hk_windows_is_latest(windows, family, 11));
	CU_ASSERT_TRUE(take(claim(windows, 1, &mallory), 1)); /* that window is gone, and is made anew */
	CU_ASSERT_EQUAL(memcmp(&claim(windows, 1, &alice)->sender, &mallory, sizeof(mallory)), 0);
	hk_windows_close(windows);
}

static void a_full_table(void)
{
	struct hk_windows *windows = open_table("full", 0);
	struct hk_window *first;
	unsigned i;

	for (i = 0; i < HK_WINDOWS; i++)
		CU_ASSERT_PTR_NOT_NULL(claim(windows, i, &alice));
	CU_ASSERT_PTR_NULL(claim(windows, i, &alice)); /* all in use: nobody is forgotten */
	CU_ASSERT_PTR_NOT_NULL(claim(windows, 5, &alice));
	first = claim(windows, 9, &alice);
	hk_windows_release(windows, first);
	CU_ASSERT_PTR_EQUAL(claim(windows, i, &mallory), first);
	CU_ASSERT_EQUAL(memcmp(&first->sender, &mallory, sizeof(mallory)), 0);
	hk_windows_close(windows);
	/* in the next process nobody asked for any yet: the oldest gives way, the claimed stay */
	windows = open_table("full", 0);
	claim(windows, 1, &alice)->claimed_s = 1;
	claim(windows, 2, &alice)->claimed_s = 2;
	hk_windows_release(windows, claim(windows, 2, &alice));
	claim(windows, 3, &alice);
	first = claim(windows, HK_WINDOWS + 1, &alice);
	CU_ASSERT_PTR_NOT_NULL(first);
	CU_ASSERT_PTR_NOT_EQUAL(first, claim(windows, 1, &alice));
	hk_windows_close(windows);
}

static void write_file(const char *name, const char *text, off_t size)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_EQUAL(size ? truncate(path, size) : 0, 0);
}

static void refusals(void)
{
	const struct hk_state_place nowhere = {.directory = "/nonexistent/halfkey", .windows = true};
	struct hk_windows *windows = open_table("one", 0), *again = NULL;
	struct stat status;
	char path[128];

	open_table("one", -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "another process receives"));
	snprintf(path, sizeof(path), "%s/one", directory);
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
	write_file("rubbish", "rubbish", status.st_size);
	open_table("rubbish", -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no table of replay windows"));
	write_file("short", "", status.st_size - 1);
	open_table("short", -EUCLEAN);
	snprintf(path, sizeof(path), "%s/link", directory);
	CU_ASSERT_EQUAL(symlink("one", path), 0);
	open_table("link", -ELOOP);
	CU_ASSERT(hk_windows_open(&again, &nowhere, "x", &error) < 0);
	/* a capture's ends with it, and is nobody's file */
	CU_ASSERT_EQUAL_FATAL(hk_windows_open(&again, NULL, "one", &error), 0);
	CU_ASSERT_TRUE(take(claim(again, 1, &alice), 1));
	CU_ASSERT_FALSE(take(claim(again, 1, &alice), 1));
	hk_windows_close(again);
	hk_windows_close(windows);
}

int main(void)
{
	static const struct test tests[] = {
		{"windows outlive a kill", outlive_a_kill},
		{"an epoch that is over stays so", epochs_end_for_good},
		{"a full table", a_full_table},
		{"refusals", refusals},
		{0},
	};
	char command[64];
	int status;

	if (!mkdtemp(directory))
		return 2;
	status = run_tests("windows", tests);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) ? 2 : status;
}

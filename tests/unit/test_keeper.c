// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that opens files for a tunnel without rights: it opens those it was told, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/endpoint/keeper.h"

static char directory[] = "/tmp/halfkey-keeper.XXXXXX", config[64], keys[64], state[64], inside[64];
static struct hk_keeper *keeper;
static struct hk_error error;

static void write_file(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	CU_ASSERT_EQUAL(write(fd, path, strlen(path)), (ssize_t)strlen(path));
	close(fd);
}

/* The descriptor is of that file: what is in it is its path. */
static void is_file(int fd, const char *path)
{
	char text[64] = "";

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0);
	CU_ASSERT_STRING_EQUAL(text, path);
	close(fd);
}

static void make_files(void)
{
	char link[64];

	snprintf(config, sizeof(config), "%s/config", directory);
	snprintf(keys, sizeof(keys), "%s/keys", directory);
	snprintf(state, sizeof(state), "%s/state", directory);
	snprintf(inside, sizeof(inside), "%s/state/a.nonces", directory);
	snprintf(link, sizeof(link), "%s/state/link", directory);
	CU_ASSERT_EQUAL_FATAL(mkdir(state, 0700), 0);
	CU_ASSERT_EQUAL_FATAL(symlink(keys, link), 0);
	write_file(config, 0644);
	write_file(keys, 0600);
	write_file(inside, 0600);
}

static void start(void)
{
	if (!config[0])
		make_files();
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL_FATAL(
		hk_keeper_start(&keeper, &(struct hk_keeper_files){config, keys, state}, &error), 0);
}

static void opens_what_it_was_told(void)
{
	start();
	is_file(hk_keeper_config(keeper, &error), config);
	is_file(hk_keeper_keys(keeper, &error), keys);
	is_file(hk_keeper_state(keeper, "a.nonces"), inside);
	unlink(config); /* by path each time: files are put in the place of one another */
	CU_ASSERT_EQUAL(hk_keeper_config(keeper, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, config));
	write_file(config, 0644);
	is_file(hk_keeper_config(keeper, &error), config);
	hk_keeper_stop(keeper);
}

static void opens_nothing_else(void)
{
	char name[128];

	start();
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, "missing.nonces"), -ENOENT);
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, "../keys"), -EINVAL);
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, "/etc/passwd"), -EINVAL);
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, ".."), -EINVAL);
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, ""), -EINVAL);
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, "link"), -ELOOP);
	memset(name, 'x', sizeof(name));
	name[127] = '\0';
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, name), -ENAMETOOLONG);
	name[63] = '\0';
	CU_ASSERT_EQUAL(hk_keeper_state(keeper, name), -ENOENT);
	hk_keeper_stop(keeper);
}

static void keys_have_their_rules(void)
{
	start();
	CU_ASSERT_EQUAL(chmod(keys, 0644), 0);
	CU_ASSERT_EQUAL(hk_keeper_keys(keeper, &error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "mode 0644"));
	CU_ASSERT_EQUAL(chmod(keys, 0600), 0);
	is_file(hk_keeper_keys(keeper, NULL), keys);
	hk_keeper_stop(keeper);
}

int main(void)
{
	static const struct test tests[] = {
		{"opens what it was told", opens_what_it_was_told},
		{"opens nothing else", opens_nothing_else},
		{"key files have their rules", keys_have_their_rules},
		{0},
	};
	char command[96];
	int status;

	if (!mkdtemp(directory))
		return 2;
	status = run_tests("keeper", tests);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) ? 2 : status;
}

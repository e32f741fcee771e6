/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of the `halfkey` command itself: runs the one that was built beside
 * this test, in a directory of its own that goes away with the test.
 */
#ifndef TESTS_UNIT_RUN_HELP_H
#define TESTS_UNIT_RUN_HELP_H

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/harness.h"

static char run_directory[64];
static char run_program[PATH_MAX];
static char run_output[1 << 20]; /* of the last run: both streams */

static inline int run_begin(void)
{
	char self[PATH_MAX] = "";

	strcpy(run_directory, "/tmp/halfkey-run-XXXXXX");
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || !mkdtemp(run_directory))
		return -1;
	snprintf(run_program, sizeof(run_program), "%.4000s/halfkey", dirname(dirname(self)));
	if (access(run_program, X_OK) == 0)
		return 0;
	printf("not ok %s - is not built: make all\n", run_program);
	return -1;
}

static inline void run_end(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", run_directory);
	if (system(command))
		printf("not ok %s could not be removed\n", run_directory);
}

/* Any shell command, in the directory, `$H` being the program. Its exit status, or -1. */
static inline int run_shell(const char *format, ...)
{
	char command[PATH_MAX + 2048], rest[1024];
	va_list arguments;
	size_t size;
	FILE *pipe;
	int status;

	va_start(arguments, format);
	vsnprintf(rest, sizeof(rest), format, arguments);
	va_end(arguments);
	snprintf(command, sizeof(command), "cd %s && H=%s && { %s; } 2>&1 </dev/null", run_directory,
		run_program, rest);
	pipe = popen(command, "r");
	if (!pipe)
		return -1;
	size = fread(run_output, 1, sizeof(run_output) - 1, pipe);
	run_output[size] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The last run's output holds `piece`. */
static inline bool run_said(const char *piece)
{
	bool said = strstr(run_output, piece) != NULL;

	if (!said)
		printf("# \"%s\" is not in: %s\n", piece, run_output);
	return said;
}

static inline const char *run_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", run_directory, name);
	return path;
}

static inline void run_file(const char *name, mode_t mode, const char *text)
{
	int fd = open(run_path(name), O_CREAT | O_WRONLY | O_TRUNC, 0600);

	CU_ASSERT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	close(fd);
}

/* The last output as JSON; the caller decrefs. */
static inline json_t *run_json(void)
{
	json_error_t error;
	json_t *json = json_loads(run_output, 0, &error);

	if (!json)
		printf("# no JSON: %s: %s\n", error.text, run_output);
	CU_ASSERT_PTR_NOT_NULL(json);
	return json;
}

#endif

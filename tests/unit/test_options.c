// SPDX-License-Identifier: GPL-2.0-or-later
/* Command lines by table: what is taken, what is refused and how, and what --help shows. */
#include "tests/unit/harness.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/options.h"

struct taken {
	const char *file;
	__u32 seconds;
	unsigned long louder;
	bool json, quiet;
};

static int take_seconds(const struct hk_option *row, void *into, const char *text, struct hk_error *error)
{
	struct taken *taken = into;
	__u64 seconds = 0;
	int status = hk_option_number(row, text, 1, 60, &seconds, error);

	taken->seconds = (__u32)seconds;
	return status;
}

/* Twice or more: a count, and what came last. */
static int take_flag(const struct hk_option *row, void *into, const char *text, struct hk_error *error)
{
	struct taken *taken = into;

	(void)error;
	taken->louder += row->place;
	CU_ASSERT_PTR_NULL(text);
	return 0;
}

static const struct hk_option rows[] = {
	{"file", 'f', "PATH", offsetof(struct taken, file), NULL, "the file\nand more about it"},
	{"watch", 'w', "SECONDS", 0, take_seconds, "again"},
	{"json", 'j', NULL, offsetof(struct taken, json), NULL, "as JSON"},
	{"quiet", 0, NULL, offsetof(struct taken, quiet), NULL, "say nothing"},
	{"louder", 'l', NULL, 3, take_flag, "say more"},
	{"with-a-value-of-its-own", 0, "LONG", offsetof(struct taken, file), NULL, "a line\nor two"},
	{0},
};

/* A command line in one text; words must outlive what is taken from them. */
static int read_line(const char *line, struct taken *taken, struct hk_error *error)
{
	static char words[256];
	char *argv[16] = {(char *)"program"}, *rest = NULL, *word;
	int argc = 1;

	memset(taken, 0, sizeof(*taken));
	memset(error, 0, sizeof(*error));
	snprintf(words, sizeof(words), "%s", line);
	for (word = strtok_r(words, " ", &rest); word && argc < 15; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	return hk_options_read(rows, taken, argc, argv, error);
}

static void options_are_taken(void)
{
	struct hk_error error;
	struct taken taken;

	CU_ASSERT_EQUAL(read_line("", &taken, &error), 0);
	CU_ASSERT(!taken.file && !taken.seconds && !taken.json && !taken.quiet);
	CU_ASSERT_EQUAL(read_line("-f a.txt -w 60 -j --quiet word", &taken, &error), 0);
	CU_ASSERT_STRING_EQUAL(taken.file, "a.txt");
	CU_ASSERT_EQUAL(taken.seconds, 60);
	CU_ASSERT(taken.json && taken.quiet);
	CU_ASSERT_EQUAL(optind, 6 + 1);
	CU_ASSERT_EQUAL(read_line("word --file=b.txt --watch 1", &taken, &error), 0);
	CU_ASSERT_STRING_EQUAL(taken.file, "b.txt");
	CU_ASSERT_EQUAL(taken.seconds, 1);
	CU_ASSERT_EQUAL(optind, 4);
	CU_ASSERT_EQUAL(read_line("-ll --louder", &taken, &error), 0);
	CU_ASSERT_EQUAL(taken.louder, 9);
	CU_ASSERT_EQUAL(read_line("-j --help -x", &taken, &error), 1);
	CU_ASSERT_EQUAL(read_line("-h", &taken, &error), 1);
}

static void refusals_name_the_option(void)
{
	static const struct {
		const char *line, *words;
	} bad[] = {
		{"-x", "there is no option -x"},
		{"--nonsense", "there is no option --nonsense"},
		{"-f", "-f needs a value"},
		{"--watch", "--watch needs a value"},
		{"-w 0", "--watch \"0\" is not a number from 1 to 60"},
		{"-w 61", "--watch \"61\" is not a number from 1 to 60"},
		{"-w soon", "--watch \"soon\" is not a number from 1 to 60"},
		{"--json=yes", "there is no option"},
	};
	struct hk_error error;
	struct taken taken;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(read_line(bad[i].line, &taken, &error), -HK_EUSAGE);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, bad[i].words));
	}
	CU_ASSERT_EQUAL(hk_exit_status(-HK_EUSAGE), 2);
	CU_ASSERT_EQUAL(hk_exit_status(-1), 1);
	CU_ASSERT_EQUAL(hk_exit_status(0), 0);
	CU_ASSERT_EQUAL(hk_exit_status(1), 0);
}

static void help_is_aligned(void)
{
	static const char wanted[] = "  -f, --file PATH       the file\n"
				     "                        and more about it\n"
				     "  -w, --watch SECONDS   again\n"
				     "  -j, --json            as JSON\n"
				     "      --quiet           say nothing\n"
				     "  -l, --louder          say more\n"
				     "      --with-a-value-of-its-own LONG\n"
				     "                        a line\n"
				     "                        or two\n";
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	hk_options_print(rows, out);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, wanted);
	free(text);
}

int main(void)
{
	static const struct test tests[] = {
		{"options are taken", options_are_taken},
		{"refusals name the option", refusals_name_the_option},
		{"help is aligned", help_is_aligned},
		{0},
	};
	return run_tests("options", tests);
}

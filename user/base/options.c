// SPDX-License-Identifier: GPL-2.0-or-later
/* Command lines by table: see options.h. */
#include "user/base/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"

#define ROWS_MAX  96
#define LONG_FROM 256 /* what getopt_long() says of row 0's long name */
#define WIDTH_MAX 26  /* of an option beside its help; a longer one has a line of its own */

struct table {
	struct option longs[ROWS_MAX + 2];
	char letters[2 * ROWS_MAX + 3];
};

static void make_table(struct table *table, const struct hk_option *rows)
{
	char *end;
	unsigned i;

	*table = (struct table){.longs = {{"help", no_argument, NULL, 'h'}}, .letters = ":h"};
	end = table->letters + 2;
	for (i = 0; rows[i].name; i++) {
		if (i == ROWS_MAX)
			abort(); /* the table is wrong: no input brings us here */
		table->longs[i + 1] = (struct option){rows[i].name,
			rows[i].value ? required_argument : no_argument, NULL, LONG_FROM + (int)i};
		if (rows[i].letter)
			*end++ = rows[i].letter;
		if (rows[i].letter && rows[i].value)
			*end++ = ':';
	}
}

static const struct hk_option *row_of(const struct hk_option *rows, int found)
{
	if (found >= LONG_FROM)
		return &rows[found - LONG_FROM];
	while (rows->letter != found)
		rows++;
	return rows;
}

static int refuse(int found, char **argv, struct hk_error *error)
{
	if (found == ':')
		return hk_error_set(error, HK_EUSAGE, "%s needs a value", argv[optind - 1]);
	if (optopt && optopt < LONG_FROM)
		return hk_error_set(error, HK_EUSAGE, "there is no option -%c", optopt);
	return hk_error_set(error, HK_EUSAGE, "there is no option %s", argv[optind - 1]);
}

int hk_option_number(const struct hk_option *option, const char *text, __u64 min, __u64 max, __u64 *out,
	struct hk_error *error)
{
	if (hk_number_parse(text, max, out) || *out < min)
		return hk_error_set(error, HK_EUSAGE, "--%s \"%.40s\" is not a number from %llu to %llu",
			option->name, text, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

static int take(const struct hk_option *row, void *into, const char *text, struct hk_error *error)
{
	void *place = (char *)into + row->place;

	if (row->take)
		return row->take(row, into, text, error);
	if (row->value)
		*(const char **)place = text;
	else
		*(bool *)place = true;
	return 0;
}

int hk_options_read(const struct hk_option *rows, void *into, int argc, char **argv, struct hk_error *error)
{
	struct table table;
	int found, status = 0;

	make_table(&table, rows);
	opterr = 0;
	optind = 0; /* whoever read a command line before us */
	while (!status && (found = getopt_long(argc, argv, table.letters, table.longs, NULL)) != -1) {
		if (found == 'h')
			return 1;
		status = found == ':' || found == '?' ? refuse(found, argv, error)
						      : take(row_of(rows, found), into, optarg, error);
	}
	return status;
}

static unsigned width_of(const struct hk_option *row)
{
	return (unsigned)(strlen("  -x, --") + strlen(row->name) + (row->value ? 1 + strlen(row->value) : 0));
}

static void print_row(const struct hk_option *row, unsigned width, FILE *out)
{
	const char *line = row->help, *end = strchrnul(line, '\n');

	if (row->letter)
		fprintf(out, "  -%c, --%s", row->letter, row->name);
	else
		fprintf(out, "      --%s", row->name);
	if (row->value)
		fprintf(out, " %s", row->value);
	if (width_of(row) < width)
		fprintf(out, "%*s%.*s\n", (int)(width - width_of(row)), "", (int)(end - line), line);
	else
		fprintf(out, "\n%*s%.*s\n", (int)width, "", (int)(end - line), line);
	for (line = end; *line; line = end) {
		end = strchrnul(++line, '\n');
		fprintf(out, "%*s%.*s\n", (int)width, "", (int)(end - line), line);
	}
}

void hk_options_print(const struct hk_option *rows, FILE *out)
{
	unsigned width = 0, i;

	for (i = 0; rows[i].name; i++)
		if (width_of(&rows[i]) > width && width_of(&rows[i]) <= WIDTH_MAX)
			width = width_of(&rows[i]);
	for (i = 0; rows[i].name; i++)
		print_row(&rows[i], width + 3, out);
}

void hk_options_help(const char *head, const struct hk_option *rows, const char *tail)
{
	fputs(head, stdout);
	putchar('\n');
	hk_options_print(rows, stdout);
	fputs(tail, stdout);
}

int hk_options_end(int argc, char **argv, struct hk_error *error)
{
	return optind < argc
		       ? hk_error_set(error, HK_EUSAGE, "\"%.40s\" is one argument too many", argv[optind])
		       : 0;
}

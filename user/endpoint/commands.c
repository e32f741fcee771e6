// SPDX-License-Identifier: GPL-2.0-or-later
/* What the command lines of halfkey-endpoint have in common: see commands.h. */
#include "user/endpoint/commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "user/endpoint/wishes.h"

#define OWN_MAX 32

static void print_help(const struct hk_command_line *line)
{
	fputs(line->help, stdout);
	putchar('\n');
	hk_options_print(line->options, stdout);
	hk_wishes_help(line->uses, stdout);
	fputs(line->example, stdout);
}

int hk_command_line_read(
	const struct hk_command_line *line, void *into, int argc, char **argv, struct hk_error *error)
{
	struct hk_option rows[OWN_MAX + HK_WISHES_MAX + 1];
	unsigned count;
	int status;

	for (count = 0; line->options[count].name; count++) {
		if (count == OWN_MAX)
			abort(); /* the table is wrong: no input brings us here */
		rows[count] = line->options[count];
	}
	hk_wish_options(rows + count, line->uses, line->take_wish);
	status = hk_options_read(rows, into, argc, argv, error);
	if (status == 1)
		print_help(line);
	if (!status && !line->words)
		status = hk_options_end(argc, argv, error);
	return status;
}

int hk_command_end(const char *command, int status, const struct hk_error *error)
{
	if (status < 0)
		fprintf(stderr, "halfkey-endpoint %s: %s", command, error->text);
	if (status == -HK_EUSAGE)
		fprintf(stderr, " (halfkey-endpoint %s --help)", command);
	if (status < 0)
		fputc('\n', stderr);
	return hk_exit_status(status);
}

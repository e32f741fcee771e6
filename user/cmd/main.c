// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey`: a table of subcommands, one file each. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "user/base/nearest.h"
#include "user/cmd/command.h"

static const struct hk_command *const commands[] = {
#define HK_C(name) &hk_command_##name,
	HK_COMMANDS(HK_C)
#undef HK_C
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(FILE *out)
{
	unsigned i;

	fputs("usage: halfkey COMMAND [OPTION...]\n\n"
	      "Looks at, checks and steers Halfkey, the inspection box that sees but cannot forge.\n\n",
		out);
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("  version    print the version\n"
	      "  help       this, or `help COMMAND`\n\n"
	      "halfkey COMMAND --help tells more and shows an example; halfkey(1) tells all.\n",
		out);
	return out == stdout ? HK_EXIT_DONE : HK_EXIT_USAGE;
}

static const struct hk_command *find(const char *name)
{
	struct hk_nearest nearest = {0};
	unsigned i;

	for (i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		hk_nearest_offer(&nearest, name, commands[i]->name);
	}
	hk_nearest_offer(&nearest, name, "version");
	hk_nearest_offer(&nearest, name, "help");
	fprintf(stderr, "halfkey: unknown command \"%.40s\"%s%s%s (halfkey help)\n", name,
		nearest.name ? ": did you mean \"" : "", nearest.name ? nearest.name : "",
		nearest.name ? "\"?" : "");
	return NULL;
}

static int help(int argc, char **argv)
{
	const struct hk_command *command;

	if (argc < 3)
		return print_help(stdout);
	command = find(argv[2]);
	if (!command)
		return HK_EXIT_USAGE;
	hk_command_help(command);
	return HK_EXIT_DONE;
}

static int run(int argc, char **argv)
{
	const struct hk_command *command;

	if (argc < 2)
		return print_help(stderr);
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(argc, argv);
	if (!strcmp(argv[1], "version") || !strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return printf("halfkey %s\n", HK_VERSION) < 0;
	command = find(argv[1]);
	return command ? command->run(argc - 1, argv + 1) : HK_EXIT_USAGE;
}

/* An answer that did not arrive whole is a failure; one whose reader had enough is not. */
int main(int argc, char **argv)
{
	int status;

	signal(SIGPIPE, SIG_IGN);
	status = run(argc, argv);
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE) {
		fprintf(stderr, "halfkey: standard output could not be written in full: %s\n",
			strerror(errno));
		return status ? status : HK_EXIT_FAILED;
	}
	return status;
}

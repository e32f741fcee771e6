/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a subcommand of `halfkey` is: one file, one struct, one row of
 * HK_COMMANDS. Exit status of all: 0 done, 1 refused or failed, 2 wrong usage.
 */
#ifndef HK_CMD_COMMAND_H
#define HK_CMD_COMMAND_H

#include <stdbool.h>
#include <getopt.h>
#include <jansson.h>

#include "user/base/error.h"
#include "user/base/options.h"

enum { HK_EXIT_DONE = 0, HK_EXIT_FAILED = 1, HK_EXIT_USAGE = 2 };

struct hk_command {
	const char *name;
	const char *summary;		   /* one line of `halfkey help` */
	const char *help;		   /* what --help prints: usage, what it is for; then the options */
	const struct hk_option *options;   /* into a struct hk_options */
	const char *example;		   /* and this */
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand */
};

#define HK_CONFIG_DEFAULT "/etc/halfkey/halfkey.yaml"

/* C(name), in the order of `halfkey help`; hk_command_<name> stands in a file of its own. */
#define HK_COMMANDS(C) C(open) C(check) C(doctor) C(status) C(stats) C(keys) C(verdicts) C(reload) C(detach)

#define HK_C(name) extern const struct hk_command hk_command_##name;
HK_COMMANDS(HK_C)
#undef HK_C

/* The options of all subcommands; each table has its own. Unset ones are NULL, 0 or false. */
struct hk_options {
	const char *command; /* for messages */
	const char *socket;
	const char *instance;
	const char *config;
	const char *write;
	const char *eve;
	const char *in; /* the word behind the options, where there is one */
	bool json;
	bool all;
	bool prometheus;
	__u32 watch_s;
};

#define HK_AT(member) offsetof(struct hk_options, member)
#define HK_OPTION_JSON                                                     \
	{                                                                  \
		"json", 'j', NULL, HK_AT(json), NULL, "the answer as JSON" \
	}
#define HK_OPTION_INSTANCE                                                                        \
	{                                                                                         \
		"instance", 'i', "NAME", HK_AT(instance), NULL, "its instance (default: default)" \
	}
/* Which daemon is asked. */
#define HK_OPTIONS_DAEMON                                                                             \
	HK_OPTION_INSTANCE, {"socket", 's', "PATH", HK_AT(socket), NULL, "its control socket"},       \
	{                                                                                             \
		"config", 'c', "FILE", HK_AT(config), NULL, "the configuration that names the socket" \
	}

/* Reads argv; -1 and optind behind the options, or a status to exit with (--help: 0). */
int hk_options_parse(struct hk_options *options, const struct hk_command *command, int argc, char **argv);
/* The status for a word behind the last one that is wanted; -1: there is none. */
int hk_refuse_more(const struct hk_options *options, int argc, char **argv);
void hk_command_help(const struct hk_command *command);

/* "halfkey COMMAND: sentence" on standard error; returns HK_EXIT_FAILED. */
int hk_fail(const char *command, const struct hk_error *error);
/* The same for wrong usage, with a hint at --help; returns HK_EXIT_USAGE. */
int hk_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Asks the daemon that the options name. NULL: the sentence was printed. Takes the request. */
json_t *hk_ask_daemon(const struct hk_options *options, json_t *request);
/* The path of that daemon's socket (caller frees), or NULL and a sentence. */
char *hk_socket_path(const struct hk_options *options, struct hk_error *error);
/* Prints JSON, indented, with a newline; returns HK_EXIT_DONE. */
int hk_print_json(const json_t *value);

/* Members of an answer; what is missing or of another type is "" or 0. */
const char *hk_text_of(const json_t *object, const char *key);
long long hk_number_of(const json_t *object, const char *key);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The subcommands of halfkey-endpoint, and what their command lines have in
 * common: argv[0] is the subcommand's name, the result is an exit status.
 */
#ifndef HK_ENDPOINT_COMMANDS_H
#define HK_ENDPOINT_COMMANDS_H

#include <stdbool.h>

#include "user/base/options.h"

int hk_endpoint_keygen(int argc, char **argv);
int hk_endpoint_keys(int argc, char **argv);
int hk_endpoint_keyserver(int argc, char **argv);
int hk_endpoint_seal(int argc, char **argv);
int hk_endpoint_open(int argc, char **argv);
int hk_endpoint_tunnel(int argc, char **argv);

struct hk_command_line {
	const char *help; /* what --help prints: this, the options, the example */
	const char *example;
	const struct hk_option *options; /* its own */
	unsigned uses;			 /* HK_USE_*: the envelopes' options for these, too */
	hk_option_take take_wish;	 /* takes those; `place` is a row of hk_wish_rows() */
	bool words;			 /* words may stand behind the options */
};

/* 0 and optind at the first word; 1: --help was asked for and printed; or -HK_EUSAGE and a sentence. */
int hk_command_line_read(
	const struct hk_command_line *line, void *into, int argc, char **argv, struct hk_error *error);
/* The exit status of a command that ends so; a refusal's sentence goes to standard error. */
int hk_command_end(const char *command, int status, const struct hk_error *error);

#endif

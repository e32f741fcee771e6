/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The subcommands of halfkey-endpoint: argv[0] is the subcommand's name; the result is an exit status. */
#ifndef HK_ENDPOINT_COMMANDS_H
#define HK_ENDPOINT_COMMANDS_H

#include <stdbool.h>

int hk_endpoint_keygen(int argc, char **argv);
int hk_endpoint_keys(int argc, char **argv);
int hk_endpoint_keyserver(int argc, char **argv);
int hk_endpoint_seal(int argc, char **argv);
int hk_endpoint_open(int argc, char **argv);
int hk_endpoint_tunnel(int argc, char **argv);

#endif

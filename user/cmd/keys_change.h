/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `halfkey keys add|rotate|retire|import`: changes to the keys of a running daemon. */
#ifndef HK_CMD_KEYS_CHANGE_H
#define HK_CMD_KEYS_CHANGE_H

#include "user/cmd/command.h"

/* Each takes what stands behind its word. */
int hk_keys_add(const struct hk_options *options, int argc, char **argv);
int hk_keys_rotate(const struct hk_options *options, int argc, char **argv);
int hk_keys_retire(const struct hk_options *options, int argc, char **argv);
int hk_keys_import(const struct hk_options *options, int argc, char **argv);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `halfkey keys pull`: argv[0] is "pull"; the result is an exit status. */
#ifndef HK_CMD_KEYS_PULL_H
#define HK_CMD_KEYS_PULL_H

int hk_keys_pull(int argc, char **argv);

#endif

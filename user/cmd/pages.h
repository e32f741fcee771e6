/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists that the daemon answers a page at a time. */
#ifndef HK_CMD_PAGES_H
#define HK_CMD_PAGES_H

#include "user/cmd/command.h"

/* All rows of `command`'s list, whose member in the answer is `name`. NULL: the sentence was printed. */
json_t *hk_all_pages(const struct hk_options *options, const char *command, const char *name);

#endif

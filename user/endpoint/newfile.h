/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new file with keys, or with configuration beside them: whole, or not there at all. */
#ifndef HK_ENDPOINT_NEWFILE_H
#define HK_ENDPOINT_NEWFILE_H

#include <stddef.h>
#include <sys/types.h>

#include "user/base/error.h"

/*
 * Writes all of `text` to `path` and syncs it. One that exists is refused, a
 * symbolic link as well: keys are never overwritten. 0, or negative errno and a
 * sentence, with nothing of it left.
 */
int hk_newfile_write(const char *path, mode_t mode, const char *text, size_t size, struct hk_error *error);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory of files with keys and with configuration beside them: complete,
 * or not there at all. What exists is never written over.
 */
#ifndef HK_ENDPOINT_NEWDIR_H
#define HK_ENDPOINT_NEWDIR_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "user/base/error.h"

#define HK_NEWDIR_PATH 512

/*
 * A directory in the making, under a name of its own beside the one it will
 * have. Signals that would end the program wait until it is there or gone.
 */
struct hk_newdir {
	char path[HK_NEWDIR_PATH];  /* what it will be */
	char stage[HK_NEWDIR_PATH]; /* what it is now */
	bool begun;
	sigset_t signals; /* as they were */
};

/* `path` must not exist, or be an empty directory. 0, or negative errno and a sentence. */
int hk_newdir_begin(struct hk_newdir *dir, const char *path, struct hk_error *error);
/* `name` must be new in it: a file is not written twice. 0, or negative errno and a sentence. */
int hk_newdir_write(struct hk_newdir *dir, const char *name, mode_t mode, const char *text, size_t size,
	struct hk_error *error);
/* All files appear, at once; mode 0700. On failure nothing does. */
int hk_newdir_finish(struct hk_newdir *dir, struct hk_error *error);
/* Nothing of it is left. After hk_newdir_finish(), or before hk_newdir_begin(): does nothing. */
void hk_newdir_abort(struct hk_newdir *dir);

#endif

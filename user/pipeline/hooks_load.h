/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a hook's code comes from: the built-in table or a shared object. The
 * chain alone uses this. Private to hooks*.c.
 */
#ifndef HK_PIPELINE_HOOKS_LOAD_H
#define HK_PIPELINE_HOOKS_LOAD_H

#include <stdbool.h>
#include <linux/types.h>

#include <halfkey/hook.h>

#include "user/base/error.h"
#include "user/base/files.h"

struct hk_hook_code {
	const struct hk_hook *hook;
	void *handle; /* of the shared object; NULL: built in */
	/* which file the code was copied from: the same code may share state layouts */
	__u64 device, inode, size, changed_ns;
};

/* Finds `use` (a built-in name, or a path in `files`) and checks its ABI. 0, or negative errno and a
 * sentence. */
int hk_hook_code_load(
	struct hk_hook_code *out, const char *use, const struct hk_files *files, struct hk_error *error);
void hk_hook_code_unload(struct hk_hook_code *code);
/* True when both are one build, so that one may read the other's state. */
bool hk_hook_code_same(const struct hk_hook_code *a, const struct hk_hook_code *b);

#endif

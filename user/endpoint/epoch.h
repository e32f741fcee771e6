/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Epochs of derived-key contexts: each start of a sender gets one that is higher
 * than all before, so its numbers may begin anew (docs/wire-formats.md, 3.1).
 *
 * A file in the state directory holds the last epoch given out, with the
 * sender's name; it is on disk before the epoch is used. Epochs start no lower
 * than the clock in seconds, so an old state file brought back does not repeat
 * one. A ContextID belongs to one sender: another is refused.
 */
#ifndef HK_ENDPOINT_EPOCH_H
#define HK_ENDPOINT_EPOCH_H

#include <stdbool.h>
#include <linux/types.h>

#include "user/base/error.h"

/*
 * The next epoch of (mkid, context) for `sender`. `first_use`: makes the state, and
 * refuses when there is any; without it, state that is missing, broken or another
 * sender's is refused. `*fd` keeps it locked until it is closed. 0, or negative
 * errno and a sentence.
 */
int hk_epoch_next(const char *directory, __u32 mkid, __u64 context, const char *sender, bool first_use,
	__u32 *epoch, int *fd, struct hk_error *error);

#endif

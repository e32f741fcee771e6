/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Epochs of derived-key contexts: each start of a sender gets one that is higher
 * than all before, so its numbers may begin anew (docs/wire-formats.md, 3.1).
 *
 * A file in the state directory holds the last epoch given out, with the
 * sender's name; it is on disk before the epoch is used. A copy of it, or an old
 * one brought back, is refused (statefile.h), and epochs start no lower than the
 * clock in seconds besides. A ContextID belongs to one sender: another is refused.
 * A context that a key server gave this process, and nobody else ever, has no file.
 */
#ifndef HK_ENDPOINT_EPOCH_H
#define HK_ENDPOINT_EPOCH_H

#include <linux/types.h>

#include "user/endpoint/statefile.h"

struct hk_epochs; /* of one context, locked */

/*
 * Opens the epochs of (mkid, context) for place->sender. State that is missing,
 * broken or another sender's is refused. 0, or negative errno and a sentence.
 */
int hk_epochs_open(struct hk_epochs **out, const struct hk_state_place *place, __u32 mkid, __u64 context,
	struct hk_error *error);
/* The next one. 0, or negative errno and a sentence. */
int hk_epoch_next(struct hk_epochs *epochs, __u32 *epoch, struct hk_error *error);
/* `undo`: removes the state if this made it and gave no epoch out. NULL is fine. */
void hk_epochs_close(struct hk_epochs *epochs, bool undo);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys that no file holds, for whoever inspects next: what comes over the control
 * socket would be lost with the inspector that took it, in the one moment when
 * nobody is there to push it again.
 *
 *   starter    makes the memory, never looks into it
 *   inspector  writes a record when a key comes, wipes it when the key goes
 *   its heir   reads the records as it reads a file: every one is checked
 *
 * Shared memory of fixed size, locked and kept out of core files in both processes,
 * wiped at the end. It adds no right to anybody: the starter can read every key
 * file anyway, and inspectors hold the same keys one after the other.
 * A record counts when it is marked, so that one that dies in a change leaves no half of it.
 * Control threads only.
 */
#ifndef HK_KEYS_KEPT_H
#define HK_KEYS_KEPT_H

#include "user/keys/keyfile.h"

struct hk_kept;

/* For the starter, before it forks. Room for `keys` records. NULL and errno. */
struct hk_kept *hk_kept_new(unsigned keys);
void hk_kept_free(struct hk_kept *kept); /* wipes */

/* For an inspector that begins: finds the room that is free, and wipes what was never marked. 0 or -ENOMEM.
 */
int hk_kept_open(struct hk_kept *kept);

/* Writes a record that does not count yet; its place, from 1 on, or 0: no room. `line` holds a key. */
__u32 hk_kept_put(struct hk_kept *kept, __u16 domain, const struct hk_key_line *line);
void hk_kept_mark(struct hk_kept *kept, __u32 place);
void hk_kept_retime(struct hk_kept *kept, __u32 place, __u64 not_before, __u64 not_after);
/* Wipes the record. Place 0: nothing. */
void hk_kept_drop(struct hk_kept *kept, __u32 place);

/* The next marked place after `place` (0: the first), or 0. */
__u32 hk_kept_next(const struct hk_kept *kept, __u32 place);
/* A marked record as a line. -EINVAL: it cannot be one. The caller wipes the line. */
int hk_kept_read(const struct hk_kept *kept, __u32 place, __u16 *domain, struct hk_key_line *line);

#endif

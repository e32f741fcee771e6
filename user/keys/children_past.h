/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which SPIs created in band lived and are gone, so that a creation that is
 * played again brings none of them back: a keyed digest of each, and when its
 * time is over. Part of the table of children (children.h) and under its lock;
 * fixed memory. Where a bucket is full the one that was over first is
 * forgotten, and counted: its creation, played again, makes a tentative child.
 */
#ifndef HK_KEYS_CHILDREN_PAST_H
#define HK_KEYS_CHILDREN_PAST_H

#include <stdbool.h>
#include <linux/types.h>

#define HK_CHILDREN_PAST 65536

struct hk_child_past_row {
	__u64 digest; /* 0: free */
	__u64 over_ns;
};

struct hk_child_past {
	struct hk_child_past_row rows[HK_CHILDREN_PAST];
};

/* True: another one was forgotten for it. */
bool hk_child_past_put(struct hk_child_past *past, __u64 digest, __u64 over_ns);
/* Did it live, and when is (was) its time over? */
bool hk_child_past_find(const struct hk_child_past *past, __u64 digest, __u64 *over_ns);

#endif

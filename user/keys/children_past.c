// SPDX-License-Identifier: GPL-2.0-or-later
/* SPIs that lived: see children_past.h. */
#include "user/keys/children_past.h"

#define WAYS	8
#define BUCKETS (HK_CHILDREN_PAST / WAYS)

static __u32 bucket_of(__u64 digest)
{
	return (__u32)(digest >> 32) % BUCKETS * WAYS;
}

bool hk_child_past_put(struct hk_child_past *past, __u64 digest, __u64 over_ns)
{
	struct hk_child_past_row *first = &past->rows[bucket_of(digest)], *row, *worst = first;

	for (row = first; row < first + WAYS; row++) {
		if (row->digest == digest || !row->digest) {
			*row = (struct hk_child_past_row){digest, over_ns};
			return false;
		}
		if (row->over_ns < worst->over_ns)
			worst = row;
	}
	*worst = (struct hk_child_past_row){digest, over_ns};
	return true;
}

bool hk_child_past_find(const struct hk_child_past *past, __u64 digest, __u64 *over_ns)
{
	const struct hk_child_past_row *first = &past->rows[bucket_of(digest)], *row;

	for (row = first; row < first + WAYS; row++) {
		if (row->digest != digest)
			continue;
		*over_ns = row->over_ns;
		return true;
	}
	return false;
}

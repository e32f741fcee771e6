/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the value ranges that selectors name in one field to a sorted list of
 * elementary intervals, each with its row. Private to classifier*.c.
 */
#ifndef HK_HOOKS_CLASSIFIER_RANGES_H
#define HK_HOOKS_CLASSIFIER_RANGES_H

#include "user/hooks/classifier_rows.h"

typedef __uint128_t hk_value;

/* `selector` is satisfied from `first` to `last`, both included. */
struct hk_range {
	hk_value first, last;
	__u32 selector;
};

struct hk_ranges {
	struct hk_range *list;
	size_t count, room;
};

/* Interval i holds values from starts[i] to starts[i + 1] - 1, the last one up to the field's end. */
struct hk_intervals {
	hk_value *starts; /* starts[0] is 0 */
	__u32 *rows;	  /* offsets */
	size_t count;
};

int hk_ranges_add(struct hk_ranges *ranges, hk_value first, hk_value last, __u32 selector);
/* Consumes `ranges`; `end` is the largest value of the field. 0, or -1: no memory, or rows above the bound.
 */
int hk_ranges_compile(struct hk_intervals *out, struct hk_ranges *ranges, hk_value end, struct hk_rows *rows);
void hk_intervals_free(struct hk_intervals *intervals);

#endif

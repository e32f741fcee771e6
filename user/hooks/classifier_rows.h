/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of the classifier: bit vectors over selectors, stored sparse and once
 * each. Private to classifier*.c, used while compiling.
 */
#ifndef HK_HOOKS_CLASSIFIER_ROWS_H
#define HK_HOOKS_CLASSIFIER_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define HK_ROWS_FAILED	  0xffffffffu
#define HK_ROWS_WORDS_MAX 1024

struct hk_rows {
	unsigned words;	    /* of a full vector */
	unsigned summaries; /* words of a row's summary */
	__u64 *arena;	    /* summary, then the words that are not 0 */
	size_t used, room;  /* in words */
	__u32 *index;	    /* hash table of rows: offset + 1 */
	size_t index_size, index_used;
};

int hk_rows_init(struct hk_rows *rows, unsigned words);
/* The offset of a row equal to the full vector `bits`, added if new; HK_ROWS_FAILED: no memory, or above the
 * bound. */
__u32 hk_rows_intern(struct hk_rows *rows, const __u64 *bits);
/* The compiler's part goes; the arena stays. */
void hk_rows_finish(struct hk_rows *rows);
void hk_rows_free(struct hk_rows *rows);

static inline void hk_bits_set(__u64 *bits, __u32 bit)
{
	bits[bit / 64] |= 1ull << bit % 64;
}

static inline void hk_bits_clear(__u64 *bits, __u32 bit)
{
	bits[bit / 64] &= ~(1ull << bit % 64);
}

#endif

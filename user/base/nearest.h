/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean": the name of a list that a mistyped word is closest to. */
#ifndef HK_BASE_NEAREST_H
#define HK_BASE_NEAREST_H

struct hk_nearest {
	const char *name; /* the best so far; NULL: nothing close enough */
	unsigned distance;
};

/* Offers one name; keeps it when it is closer to `word` than what came before. */
void hk_nearest_offer(struct hk_nearest *nearest, const char *word, const char *name);

#endif

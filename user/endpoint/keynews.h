/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A key server pushes all SPIs towards a host again at every change. What a
 * stock stack is told is what is new of them, each once, and what has gone.
 */
#ifndef HK_ENDPOINT_KEYNEWS_H
#define HK_ENDPOINT_KEYNEWS_H

#include "user/endpoint/keyformat.h"

struct hk_key_news {
	struct hk_key_known {
		struct hk_address from, to;
		__u32 spi;
		bool there, fresh;
	} * rows;
	unsigned count, room;
};

/*
 * Writes the keys of `lines` that were not among those of the last call, as
 * hk_key_format() does, and takes those away that are gone (xfrm alone: other
 * forms are tables). 0, or negative errno and a sentence.
 */
int hk_key_news(struct hk_key_news *news, const struct hk_key_formatting *formatting, const char *lines,
	struct hk_error *error);
void hk_key_news_free(struct hk_key_news *news);

#endif

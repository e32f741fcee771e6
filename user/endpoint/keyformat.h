/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Explicit ESP keys for stacks that are not ours: `ip xfrm state` lines, or
 * Wireshark's esp_sa table, which strongSwan's save-keys plugin writes as well.
 */
#ifndef HK_ENDPOINT_KEYFORMAT_H
#define HK_ENDPOINT_KEYFORMAT_H

#include <stdio.h>

#include "user/endpoint/seal.h"

enum hk_key_format { HK_FORMAT_KEYS, HK_FORMAT_XFRM, HK_FORMAT_WIRESHARK };

struct hk_key_formatting {
	unsigned format;	/* enum hk_key_format */
	struct hk_address from; /* the sender, where the text does not say it (`# from=ADDRESS`) */
	bool has_from;
	bool transport; /* xfrm: transport mode */
	bool udp;	/* xfrm: in UDP 4500 */
	unsigned reqid;
	FILE *out;
};

int hk_key_format_by_name(const char *name); /* negative: none of that name */

/*
 * Writes every explicit ESP key of `lines` (key file lines, both sides one behind
 * the other). Master keys and comments are passed over. Number of keys written,
 * or negative errno and a sentence: gcm-split, which no stock stack has; a side
 * that is missing; no sender.
 */
int hk_key_format(const struct hk_key_formatting *formatting, const char *name, const char *lines,
	struct hk_error *error);

/* Takes one SA away again; xfrm alone, nothing in other forms. */
void hk_key_format_gone(const struct hk_key_formatting *formatting, const struct hk_address *from,
	const struct hk_address *to, __u32 spi);

#endif

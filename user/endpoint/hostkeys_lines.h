/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside an end host's keys: between reading them (hostkeys_read.c) and choosing from
 * them (hostkeys.c), for these alone. hostkeys.h is the public face.
 */
#ifndef HK_ENDPOINT_HOSTKEYS_LINES_H
#define HK_ENDPOINT_HOSTKEYS_LINES_H

#include "user/endpoint/hostkeys.h"
#include "user/keys/keyfile.h"

#define HK_HOST_LINES_MAX 4096

/* Who alone sends with these SPIs, or under this id. */
struct hk_host_sender {
	struct hk_address address;
	bool is_id;
	__u32 number, mask;
};

/* Checked: no two lines contradict each other, and split keys have both sides. */
struct hk_host_keys {
	const char *name; /* for messages while reading */
	char levels[HK_KEY_LEVELS][HK_KEY_LEVEL_NAME + 1];
	unsigned levels_count;
	unsigned count, senders_count;
	struct hk_key_line lines[HK_HOST_LINES_MAX];
	struct hk_host_sender senders[HK_HOST_LINES_MAX];
};

static inline bool hk_host_key_is_single(const struct hk_key_line *line)
{
	return line->side == HK_SIDE_SINGLE;
}

/* The line of another side of a split key: same place, same generation or SPI. NULL: missing. */
const struct hk_key_line *hk_host_keys_of_side(
	const struct hk_host_keys *keys, const struct hk_key_line *line, enum hk_side wanted);
/* Of the encryption side the authentication side, and the other way round. */
const struct hk_key_line *hk_host_keys_other_side(
	const struct hk_host_keys *keys, const struct hk_key_line *line);

#endif

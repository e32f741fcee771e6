// SPDX-License-Identifier: GPL-2.0-or-later
/* Names and draws the keys of `halfkey-endpoint keygen`, or combines them of roots: see keygen.h. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "user/crypto/levels.h"
#include "user/endpoint/keygen.h"

#define SPI_BASE       0x1000 /* well above the reserved ones */
#define SPI_GENERATION 17     /* bits below it tell senders and SPIs apart */
#define BOX_KEYS       65536  /* that a box has room for (user/keys/arena.h), two generations at a time */
#define HOST_LINES     4096   /* that a host reads of a key file (hostkeys.c) */

/* SPIs differ by generation, so that none comes back with its slot while packets of it are about. */
__u32 hk_keygen_spi(const struct hk_keygen *keygen, unsigned sender, unsigned serial)
{
	unsigned shift = keygen->row->envelope == HK_ENVELOPE_PSP ? 31 : 29;

	return (keygen->row->slots ? (__u32)keygen->slot << shift : 0) |
	       ((keygen->generation - 1) & 0xfff) << SPI_GENERATION | (SPI_BASE + (sender << 8) + serial);
}

/*
 * The number of two hosts' key, in one direction or in both: another host at the
 * end of the list changes none of them.
 */
static __u32 number_of(const struct hk_keygen *keygen, unsigned sender, unsigned receiver)
{
	__u32 high = sender > receiver ? sender : receiver, low = sender > receiver ? receiver : sender;

	if (keygen->row->share == HK_KEYGEN_BY_PAIR)
		return high * (high - 1) / 2 + low;
	return high * (high - 1) + 2 * low + (sender > receiver);
}

static void add_key(struct hk_keygen *keygen, unsigned sender, unsigned receiver)
{
	struct hk_keygen_key *key = &keygen->keys[keygen->keys_count++];

	key->sender = (__u16)sender;
	key->receiver = (__u16)receiver;
	key->id = keygen->mkid;
	key->root = keygen->roots_before + (__u32)keygen->keys_count;
	if (keygen->row->share == HK_KEYGEN_BY_DIRECTION || keygen->row->share == HK_KEYGEN_BY_PAIR) {
		key->id += number_of(keygen, sender, receiver);
		key->spi = hk_keygen_spi(keygen, sender, 0);
	}
}

/* All keys there are to draw; `keys` NULL: their number alone. */
static size_t name_keys(struct hk_keygen *keygen)
{
	unsigned i, j, count = keygen->hosts_count;
	size_t total = 0;

	for (i = 0; i < count && keygen->row->share == HK_KEYGEN_BY_RECEIVER; i++, total++)
		if (keygen->keys)
			add_key(keygen, HK_KEYGEN_ALL, i);
	for (i = 0; i < count && keygen->row->share != HK_KEYGEN_BY_RECEIVER; i++)
		for (j = keygen->row->share == HK_KEYGEN_BY_PAIR ? i + 1 : 0; j < count; j++) {
			if (!hk_keygen_can_talk(keygen, i, j))
				continue;
			total++;
			if (keygen->keys)
				add_key(keygen, i, j);
		}
	if (keygen->row->share == HK_KEYGEN_BY_DOMAIN) {
		total = 1;
		if (keygen->keys)
			add_key(keygen, HK_KEYGEN_ALL, HK_KEYGEN_ALL);
	}
	return total;
}

/* Where packets have no room for a slot, the next keys have numbers behind the old ones. */
static int judge_ids(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	__u64 first = keygen->mkid, last, old = wishes->peers.old;
	unsigned count = keygen->hosts_count;

	if (!keygen->row->id_max)
		return 0;
	if (keygen->row->ids && !keygen->row->slots && !(wishes->said & HK_KEYGEN_BIT(MKID)) && old)
		first += old * (old - 1) / 2;
	last = first + (keygen->row->ids ? number_of(keygen, count - 1, count - 2) : 0);
	if (last > keygen->row->id_max)
		return hk_error_set(error, EOVERFLOW,
			"mkid '%llu': with it the last MKID would be %llu, and %u is the highest there is: "
			"choose a lower one with --mkid that no packet names any more",
			(unsigned long long)first, (unsigned long long)last, keygen->row->id_max);
	keygen->mkid = (__u32)first;
	return 0;
}

/* What was made must be of use: in a box beside its predecessors, and on hosts. */
static int judge_size(const struct hk_keygen *keygen, size_t total, struct hk_error *error)
{
	unsigned others = keygen->hosts_count ? keygen->hosts_count - 1 : 0;
	size_t lines = 2 + 2 * (keygen->row->derives ? (size_t)keygen->spis * others : 3 * (size_t)others);

	if (2 * total > BOX_KEYS)
		return hk_error_set(error, E2BIG,
			"%u peers: that are %zu keys, and a box has room for %u and their successors: make "
			"two "
			"domains",
			keygen->hosts_count, total, BOX_KEYS / 2);
	if (lines > HOST_LINES)
		return hk_error_set(error, E2BIG,
			"%u peers with %u SPIs each: %zu lines in a host's key file, which has room for %u: "
			"fewer --spis",
			keygen->hosts_count, keygen->spis, lines, HOST_LINES);
	return 0;
}

static int draw_bytes(__u8 *bytes, struct hk_error *error)
{
	return RAND_priv_bytes(bytes, 32) == 1
		       ? 0
		       : hk_error_set(error, EIO, "the system gives no random numbers");
}

static void combine(
	const struct hk_keygen *keygen, const struct hk_keygen_key *key, enum hk_side side, __u8 out[32])
{
	struct hk_kdf_levels levels = {.count = keygen->levels_count};
	bool auth = side == HK_SIDE_AUTH;
	unsigned i;

	for (i = 0; i < levels.count; i++) {
		const struct hk_keygen_level *level = &keygen->levels[i];

		memcpy(levels.id[i], level->name, 16);
		memcpy(levels.root[i], auth ? level->auth : level->enc, 32);
	}
	memcpy(levels.root[levels.count - 1], auth ? key->root_auth : key->root_enc, 32);
	hk_kdf_combine(&levels, side, out);
	hk_wipe(&levels, sizeof(levels));
}

static int draw_key(const struct hk_keygen *keygen, struct hk_keygen_key *key, struct hk_error *error)
{
	bool levels = keygen->levels_count;
	int status = draw_bytes(levels ? key->root_enc : key->enc, error);

	if (!status)
		status = draw_bytes(levels ? key->root_auth : key->auth, error);
	if (!status)
		status = draw_bytes(key->reader, error);
	if (status || !levels)
		return status;
	combine(keygen, key, keygen->profile == HK_PROFILE_SPLIT ? HK_SIDE_ENC : HK_SIDE_SINGLE, key->enc);
	combine(keygen, key, HK_SIDE_AUTH, key->auth);
	return 0;
}

int hk_keygen_draw(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	size_t total = name_keys(keygen), i;
	int status = judge_ids(keygen, wishes, error);

	if (!status)
		status = judge_size(keygen, total, error);
	if (!status)
		status = hk_keygen_levels(keygen, wishes, error);
	if (status)
		return status;
	keygen->keys = hk_secret_new(total * sizeof(*keygen->keys));
	if (!keygen->keys)
		return hk_error_set(error, ENOMEM, "no memory for %zu keys", total);
	name_keys(keygen);
	for (i = 0; i < total && !status; i++)
		status = draw_key(keygen, &keygen->keys[i], error);
	return status;
}

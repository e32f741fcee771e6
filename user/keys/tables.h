/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the keyring, for keyring.c (lookups) and load.c (building). Three
 * tables over one array of entries, all of them hash tables with open
 * addressing that are at most half full:
 *
 *   explicit   (domain, receiver, SPI, variant)       → entry
 *   groups     (domain, id, receiver prefix)          → newest master key per slot
 *   bytes      keyed fingerprint of the key           → entry: finds a key used twice
 *
 * Key bytes lie in the arena; everything here may be in a core file.
 */
#ifndef HK_KEYS_TABLES_H
#define HK_KEYS_TABLES_H

#include "user/base/hash.h"
#include "user/keys/arena.h"

#define HK_KEY_SLOTS 4
#define HK_KEY_NONE  0xffffffffu

/* An explicit key's cell. A master key's is its struct hk_kdf_key. */
struct hk_key_cell {
	__u8 key[32];
	__u8 salt[4];
};

struct hk_key_entry {
	struct hk_key_row row;
	const void *cell;
	__u64 id;
	__u32 epoch; /* see hk_keyring_epoch() */
	__u32 older; /* the next master key of the same group and slot, or HK_KEY_NONE */
	__u32 line;
	__u8 key_size;
	const struct hk_domain_config *domain; /* while loading */
};

struct hk_key_group {
	struct hk_prefix receiver;
	__u32 id;
	__u16 domain;
	__u8 retired;		    /* slots that an earlier keyring had and this one has not, as bits */
	__u32 newest[HK_KEY_SLOTS]; /* highest generation of each slot, or HK_KEY_NONE */
};

struct hk_key_table {
	__u32 *rows; /* an index + 1; 0: free */
	__u32 mask;
};

/* Prefix lengths in use in one domain, longest first: the steps of a longest-prefix match. */
struct hk_key_lengths {
	__u8 count;
	__u8 length[129];
};

struct hk_keyring {
	struct hk_arena_part *part;
	unsigned capacity;
	unsigned count;
	unsigned group_count;
	unsigned explicit_count;
	struct hk_key_entry *entries;
	struct hk_key_group *groups;
	struct hk_key_table explicit_table, group_table, bytes_table;
	struct hk_key_lengths lengths[HK_DOMAINS_MAX];
};

/* The length of what lines without receiver stand under: no real prefix has it. */
#define HK_KEY_WHOLE 255

static inline struct hk_prefix hk_key_group_prefix(const struct hk_key_row *row)
{
	return row->has_receiver ? row->receiver : (struct hk_prefix){.length = HK_KEY_WHOLE};
}

static inline __u32 hk_key_group_hash(__u16 domain, __u32 id, const struct hk_prefix *receiver)
{
	return (__u32)hk_hash_address(
		hk_hash_seed(), &receiver->address, (__u64)id << 32 | (__u32)domain << 8 | receiver->length);
}

static inline __u32 hk_key_explicit_hash(
	__u16 domain, const struct hk_address *receiver, __u32 spi, unsigned variant)
{
	return (__u32)hk_hash_address(
		hk_hash_seed(), receiver, (__u64)domain << 40 | (__u64)variant << 32 | spi);
}

static inline unsigned hk_key_variant(const struct hk_key_row *row)
{
	return row->version >= 0 ? (unsigned)row->version : row->suite;
}

/* Exact matches; an index or HK_KEY_NONE. */
__u32 hk_key_find_group(
	const struct hk_keyring *keyring, __u16 domain, __u32 id, const struct hk_prefix *receiver);
__u32 hk_key_find_explicit(const struct hk_keyring *keyring, __u16 domain, const struct hk_address *receiver,
	__u32 spi, unsigned variant);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the keyring, for keyring.c (lookups), tables.c (places in the tables),
 * load.c (from lines to entries), carry.c (from keyring to keyring) and update.c (changes). Three tables over
 * one array of entries, all of them hash tables with open addressing that are at most half full, so that a
 * lookup takes the same few probes at any size:
 *
 *   explicit   (domain, receiver, SPI, variant)       → entry
 *   groups     (domain, id, receiver prefix)          → master keys per slot
 *   bytes      keyed fingerprint of the key           → entry: finds a key used twice
 *
 * Workers read the first two; the control thread changes them while workers
 * pause. The third is the control thread's own. A key of one SPI that went
 * leaves a tombstone that says why, until its room is needed.
 * Key bytes lie in the arena; everything here may be in a core file.
 */
#ifndef HK_KEYS_TABLES_H
#define HK_KEYS_TABLES_H

#include "user/base/hash.h"
#include "user/crypto/kdf.h"
#include "user/keys/arena.h"
#include "user/keys/kept.h"

#define HK_KEY_SLOTS 4
#define HK_KEY_NONE  0xffffffffu

/* An explicit key's cell. A master key's is its struct hk_kdf_key. */
struct hk_key_cell {
	__u8 key[32];
	__u8 salt[4];
};

/* An EESP root's: a large one. */
struct hk_key_root_cell {
	struct hk_key_cell cell;
	struct hk_hmac_key hmac;
};

/* Where a key came from: its line belongs to this. From HK_SOURCE_FILES on: one file of a keys-dir each. */
enum { HK_SOURCE_KEYS, HK_SOURCE_CONTROL, HK_SOURCE_FILES };

/* What choose() says of an entry at once. */
enum { HK_ENTRY_LIVE, HK_ENTRY_EARLY, HK_ENTRY_EXPIRED, HK_ENTRY_RETIRED };

struct hk_key_entry {
	struct hk_key_row row;
	void *cell;   /* NULL: a tombstone */
	__u64 id;     /* 0: a free entry */
	__u32 older;  /* master, root: the next one of the same list; tombstone, free: the next */
	__u32 before; /* tombstone: the one before */
	__u32 group;  /* master */
	__u32 epoch;  /* master: see hk_keyring_epoch() */
	__u32 used;   /* hk_keyring.now_s of the last packet that asked; 0: never */
	__u32 line;
	__u32 source;
	__u32 kept; /* from the control socket: its record (kept.h), or 0 */
	__u8 state; /* HK_ENTRY_... */
	__u8 key_size;
	bool linked;			       /* in its table or list */
	bool going;			       /* a change that is being prepared takes it away */
	bool taken;			       /* ... makes it its file's */
	const struct hk_domain_config *domain; /* of the inspection this keyring belongs to */
};

struct hk_key_group {
	struct hk_prefix receiver;
	__u32 id;
	__u16 domain;
	__u8 doubles;		       /* slots with two generations in force, as bits */
	__u8 why[HK_KEY_SLOTS];	       /* without a choice: the reason */
	__u32 choice[HK_KEY_SLOTS];    /* what packets get: an entry in force, or HK_KEY_NONE; atomic */
	__u32 newest[HK_KEY_SLOTS];    /* list of the slot's keys, highest generation first */
	__u32 retired_s[HK_KEY_SLOTS]; /* when a generation of it went; 0: never */
	/* without keys it only remembers why, and waits in a list for its place to be needed: the
	 * oldest goes first */
	bool waits;
	__u32 next, before;
};

struct hk_key_table {
	__u32 *rows; /* an index + 1; 0: free */
	__u32 mask;
	__u64 steps; /* rows looked at by those who add and remove: what a change costs */
};

/* Room for `entries`, at most half full. 0 or -ENOMEM. */
int hk_key_table_make(struct hk_key_table *table, unsigned entries);

/* Prefix lengths in use in one domain, longest first: the steps of a longest-prefix match. */
struct hk_key_lengths {
	__u8 count;
	__u8 length[129];
};

struct hk_key_sources {
	char **names; /* from HK_SOURCE_FILES on */
	unsigned count;
};
struct hk_tls_connections;

struct hk_keyring {
	const struct hk_config *config; /* of the inspection it belongs to */
	struct hk_arena_part *part;
	struct hk_tls_connections *tls; /* NULL: no domain has any */
	__u64 serial;
	unsigned capacity;
	unsigned tombs, tombs_max;
	unsigned count; /* keys, those being prepared too; tombstones are none */
	unsigned top;	/* entries ever used */
	unsigned group_count;
	unsigned explicit_count; /* with tombstones */
	unsigned doubles;	 /* slots with two generations in force */
	__u32 retired_s;	 /* when the last generation went from a slot that has others */
	__u32 now_s;		 /* seconds since 1970; atomic */
	__u32 free_first, tomb_first, tomb_last, roots;
	__u32 wait_first, wait_last; /* groups */
	__u64 next_event;	     /* when a key's state changes next; ~0: never */
	struct hk_key_entry *entries;
	struct hk_key_group *groups;
	struct hk_key_table explicit_table, group_table, bytes_table;
	struct hk_key_lengths lengths[HK_DOMAINS_MAX];
	struct hk_key_sources sources;
	struct hk_kept
		*kept; /* records of keys that no file holds; NULL: not in force, or nobody wants them */
	struct hk_children *children; /* the arena's; NULL: no domain has inline keying */
};

#define HK_RETIRED_S 3600 /* for so long, what no generation opens may be of the one that went */

/* The length of what lines without receiver stand under: no real prefix has it. */
#define HK_KEY_WHOLE 255

/* Reader keys stand in groups of their own, beside those of the keys that packets are opened with. */
#define HK_KEY_READERS 0x8000

static inline __u16 hk_key_group_domain(const struct hk_key_row *row)
{
	return row->side == HK_SIDE_READER ? row->domain | HK_KEY_READERS : row->domain;
}

static inline struct hk_prefix hk_key_group_prefix(const struct hk_key_row *row)
{
	return row->has_receiver ? row->receiver : (struct hk_prefix){.length = HK_KEY_WHOLE};
}

static inline __u32 hk_key_group_hash(
	__u16 domain, __u32 id, const struct hk_address *receiver, unsigned length)
{
	return (__u32)hk_hash_address(
		hk_hash_seed(), receiver, (__u64)id << 32 | (__u32)domain << 8 | length);
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

/* tables.c. Control thread; the first four while no worker looks. */
struct hk_key_group *hk_key_need_group(struct hk_keyring *keyring, const struct hk_key_row *row);
/* -EEXIST and the entry that has its place already; -ENOSPC: no room for another receiver. */
int hk_key_link(struct hk_keyring *keyring, __u32 index, __u32 *other);
void hk_key_unlink(struct hk_keyring *keyring, __u32 index);
/* The best entry of each slot becomes what packets get; why, when there is none. */
void hk_key_group_choose(struct hk_keyring *keyring, struct hk_key_group *group);
/* The entry with the same place as `row`, or HK_KEY_NONE. */
__u32 hk_key_find(const struct hk_keyring *keyring, const struct hk_key_row *row);
/* A free entry, all zero, or HK_KEY_NONE. */
__u32 hk_key_entry_new(struct hk_keyring *keyring);
void hk_key_entry_free(struct hk_keyring *keyring, __u32 index); /* drops its cell */
/* Wipes the key of a linked explicit entry, and keeps the entry as `state` while there is room for it. */
void hk_key_entry_bury(struct hk_keyring *keyring, __u32 index, unsigned state);
void hk_key_bytes_add(struct hk_keyring *keyring, __u32 index);
void hk_key_bytes_remove(struct hk_keyring *keyring, __u32 index);
__u32 hk_key_bytes_hash(const struct hk_key_row *row);
/* The key's bytes, whatever kind of cell holds them. */
const __u8 *hk_key_entry_bytes(const struct hk_key_entry *entry);
/* The next time something changes is no later than this entry's. */
void hk_key_note_times(struct hk_keyring *keyring, const struct hk_key_row *row);
const char *hk_key_source_name(const struct hk_keyring *keyring, const struct hk_key_entry *entry);
/* words.c: rows of keys that a file holds and somebody took away: they have no entry. As hk_keyring_list().
 */
int hk_key_words_list(const struct hk_keyring *keyring,
	int (*row)(void *context, const struct hk_key_row *row), void *context);
/* The number of a keys-dir file of a domain; 0: out of memory. */
unsigned hk_key_source(struct hk_keyring *keyring, const char *path);

#endif

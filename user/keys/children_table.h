/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the table of children, for children.c (lookups, and what all need), children_add.c,
 * children_end.c and children_line.c.
 *
 *   slots     what lookups compare, 64 bytes each; 8 to a bucket by name
 *   secrets   beside them: header, keys, place in its family's line
 *   families  parent SAs, by a keyed hash of their secret, so that they outlive a reload
 *   past      what was confirmed and is gone
 *
 * A slot's generation is odd while it changes; a reader that sees it change
 * takes nothing. It never goes back, so a place names one entry for ever.
 */
#ifndef HK_KEYS_CHILDREN_TABLE_H
#define HK_KEYS_CHILDREN_TABLE_H

#include <string.h>

#include "user/base/hash.h"
#include "user/keys/children.h"
#include "user/keys/children_past.h"

#define HK_CHILD_WAYS	    8
#define HK_CHILD_BUCKETS    (HK_CHILDREN_MAX / HK_CHILD_WAYS)
#define HK_CHILD_KEY_WORDS  9 /* key and salt, 4 bytes each */
#define HK_CHILD_LOCK_SPINS 2000
#define HK_CHILD_NONE	    0xffffffffu

struct hk_child_slot {
	__u32 generation; /* odd: being written */
	__u32 used;
	struct hk_child_name name;
	__u16 depth;
	__u32 family;
	__u32 creations; /* under this child's own secret, confirmed */
	__u8 confirmed;
	__u8 misses; /* packets in a row that were not plausible under it */
	__u16 size;  /* of the header */
	__u64 created_ns, expires_ns;
};

/* Its neighbours in its family's line: indexes + 1, 0: none. */
struct hk_child_links {
	__u32 before, after;
	bool confirmed; /* which line */
};

/* Beside the slots, with the lock. */
struct hk_child_secret {
	__u32 key[HK_CHILD_KEY_WORDS];
	struct hk_hmac_key parent;
	__u8 header[HK_CREATION_MAX];
	__u64 digest;		       /* of the creation, under its creator's secret */
	struct hk_child_place creator; /* index HK_CHILD_NONE: the family's root */
	struct hk_child_links links;
};

/* Children of a family, the oldest first. */
struct hk_child_line {
	__u32 first, last; /* indexes + 1, 0: none */
};

struct hk_child_family {
	__u64 identity; /* 0: free */
	__u32 alive;
	__u32 creations;	       /* under the root, confirmed */
	bool kept;		       /* its root is a key still */
	struct hk_child_line lines[2]; /* tentative, confirmed */
};

struct hk_children {
	struct hk_child_slot slots[HK_CHILDREN_MAX];
	struct hk_child_secret secrets[HK_CHILDREN_MAX];
	struct hk_child_family families[HK_CHILD_FAMILIES_MAX];
	struct hk_child_past past;
	__u32 lock;
	__u32 family_count;
	bool locked; /* its memory */
	struct hk_children_counts counts;
};

static inline __u32 hk_child_bucket(const struct hk_child_name *name)
{
	__u64 hash = hk_hash_address(hk_hash_seed(), &name->receiver, (__u64)name->domain << 32 | name->spi);

	return (__u32)(hash % HK_CHILD_BUCKETS) * HK_CHILD_WAYS;
}

static inline bool hk_child_same_name(const struct hk_child_name *a, const struct hk_child_name *b)
{
	return a->spi == b->spi && a->domain == b->domain &&
	       memcmp(&a->receiver, &b->receiver, sizeof(a->receiver)) == 0;
}

static inline void hk_child_count_up(__u64 *count)
{
	__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

/* A worker gives up after `spins`; the control thread may wait. */
bool hk_children_try_lock(struct hk_children *children, unsigned spins);
void hk_children_lock(struct hk_children *children);
void hk_children_unlock(struct hk_children *children);

/* With the lock. */
static inline void hk_child_begin_change(struct hk_child_slot *slot)
{
	__atomic_store_n(&slot->generation, slot->generation + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void hk_child_end_change(struct hk_child_slot *slot)
{
	__atomic_store_n(&slot->generation, slot->generation + 1, __ATOMIC_RELEASE);
}

void hk_child_drop(struct hk_children *children, __u32 index);
/* A new child stands at the end of its family's tentative line; one that goes leaves it. */
void hk_child_line_up(struct hk_children *children, __u32 index, bool confirmed);
void hk_child_line_leave(struct hk_children *children, __u32 index);
/* Which of a family is to go first: tentative before confirmed, then the oldest, and never `spared`. */
__u32 hk_child_line_first(struct hk_children *children, __u32 family, __u32 spared);
/* What is over in the bucket goes now, so that it is remembered before anything else is asked. */
void hk_child_drop_expired(struct hk_children *children, __u32 first, __u64 now_ns);
__u64 hk_child_identity(const struct hk_hmac_key *root);

#endif

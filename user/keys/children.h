/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SPIs created in band (docs/wire-formats.md, section 5): the one table of
 * inline keying. Packets create its entries, so everything here is bounded:
 * allocated once, locked, kept out of core files, never grown.
 *
 *   creation header ── hk_children_add() ──► entry: tentative
 *   plausible packet on it ── hk_child_settle() ──► confirmed
 *   lifetime and grace over, family gone, evicted ──► wiped; once confirmed, remembered
 *
 * Whoever can flip bits can make creations up. So several entries may compete
 * for one SPI: the one whose packets are plausible wins, and an entry that
 * nothing plausible arrived on is the first to go, oldest first. Only what was
 * confirmed counts against the limit of a secret, or making creations up would
 * use it up; and only that is remembered when it goes (children_past.h). Its
 * creation, played again, brings it back for what is left of its time, never longer.
 *
 * Looking up and settling take no lock and may be done by any thread; adding
 * takes one that nobody holds for long, and gives up when it does not get it
 * (the creation header comes again until it is answered).
 */
#ifndef HK_KEYS_CHILDREN_H
#define HK_KEYS_CHILDREN_H

#include "user/crypto/inline.h"

#define HK_CHILDREN_MAX		4096
#define HK_CHILD_FAMILIES_MAX	1024 /* parent SAs that created something */
#define HK_CHILD_DEPTH_MAX	8    /* children of children */
#define HK_CHILDREN_PER_PARENT	256  /* defaults of the configuration */
#define HK_CREATIONS_PER_SECRET 65536

struct hk_children;

struct hk_children *hk_children_new(void); /* NULL and errno */
void hk_children_free(struct hk_children *children);
bool hk_children_locked(const struct hk_children *children); /* its memory never reaches swap */
size_t hk_children_size(void);				     /* bytes of it */

/* What found a packet's key; names the entry as it is now, for hk_child_settle() and hk_children_add(). */
struct hk_child_place {
	__u32 index;
	__u32 generation;
};

struct hk_child_name {
	struct hk_address receiver;
	__u32 spi;
	__u16 domain;
};

/* Copies key(32) and salt(4) of the child that packets of this name most likely belong to. */
bool hk_children_find(const struct hk_children *children, const struct hk_child_name *name, __u64 now_ns,
	__u8 key[36], struct hk_child_place *place);

/* A packet opened under the entry was plausible, or was not. */
void hk_child_settle(struct hk_children *children, const struct hk_child_place *place, bool plausible);

struct hk_child_limits {
	__u32 children;	 /* alive of one parent SA, children of children with them */
	__u32 creations; /* under one secret, in its life: of children that were confirmed */
};

/* Who creates: a parent SA of the keyring, or a child of one. */
struct hk_child_creator {
	const struct hk_hmac_key *root; /* NULL: the child at `place` */
	struct hk_child_place place;
};

enum hk_child_added { HK_CHILD_ADDED, HK_CHILD_KNOWN, HK_CHILD_REFUSED, HK_CHILD_OVER, HK_CHILD_BUSY };

/*
 * `header` was parsed before and is `size` bytes. Nothing changes where it is
 * known already (KNOWN), or lived and is over (OVER).
 */
enum hk_child_added hk_children_add(struct hk_children *children, struct hk_crypto *crypto,
	const struct hk_child_creator *creator, const struct hk_child_name *name, const __u8 *header,
	__u32 size, const struct hk_child_limits *limits, __u64 now_ns);

/* Wipes what is over. Control thread, now and then. */
void hk_children_expire(struct hk_children *children, __u64 now_ns);
/*
 * Wipes the children of parents that are no longer keys: begin, keep for each
 * root that is one, end. Control thread.
 */
void hk_children_retain_begin(struct hk_children *children);
void hk_children_retain_keep(struct hk_children *children, const struct hk_hmac_key *root);
void hk_children_retain_end(struct hk_children *children);
/* Any family at all? */
bool hk_children_used(const struct hk_children *children);

struct hk_children_counts {
	__u64 created, known, refused, over, evicted, expired, confirmed, forgotten;
	__u32 alive;
};
void hk_children_count(const struct hk_children *children, struct hk_children_counts *out);

#endif

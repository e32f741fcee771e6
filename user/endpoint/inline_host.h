/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An end host that speaks inline keying: its parents, its peers, and the
 * children it makes and is given while packets flow.
 *
 *   A                                                     B
 *   parent A to B: packet + creation c1  ───────────────► installs c1
 *   opens what comes on c1               ◄─────────────── c1
 *   parent A to B: c1 again, each second in which packets flow ──► known: c1 it is, still
 *   at 3/4 of the lifetime: c2           ───────────────► installs c2, seals on it from now on
 *   opens c1 until its grace is over
 *
 * Each side does so for the direction towards itself. A creation always travels
 * on a parent, in a packet that goes there anyway or alone, so whoever has the
 * parent's secret and nothing else (a box that was restarted) finds the child again.
 *
 *   who lost its state   until it heals                       which takes
 *   the box              packets on children are no-key       the next repetition: 1 s
 *   the creator          the same, at the creator             one packet, which it sends at its start
 *   the peer             it seals on its parent: no loss      4 repetitions; then there is a new child
 *
 * A host without live children seals on its parent. One thread.
 */
#ifndef HK_ENDPOINT_INLINE_HOST_H
#define HK_ENDPOINT_INLINE_HOST_H

#include "user/endpoint/seal_inline.h"
#include "user/endpoint/statefile.h"

#define HK_INLINE_PARENTS  512 /* towards this host */
#define HK_INLINE_CHILDREN 64  /* of one peer, in each direction */
#define HK_INLINE_LIFETIME 3600
#define HK_INLINE_REPEAT   1000 /* ms */

/* What a child is asked for. */
enum hk_inline_share {
	HK_INLINE_SHARE_HOST,
	HK_INLINE_SHARE_FLOW,
	HK_INLINE_SHARE_RANGE,
	HK_INLINE_SHARE_NONE
};

struct hk_inline_host_options {
	struct hk_crypto *crypto; /* outlives the host */
	struct hk_address local;
	enum hk_inline_share share;
	struct hk_address low, high; /* RANGE: who may send on a child; holds every peer */
	__u8 next_header;	     /* that names a creation header; 0: HK_CREATION_NEXT */
	__u32 lifetime;		     /* of children, seconds; 0: HK_INLINE_LIFETIME */
	__u32 creations;	     /* under one parent's secret; 0: HK_INLINE_CREATIONS */
};

struct hk_inline_host;
struct hk_inline_own; /* a parent towards a peer, and what comes of it */

struct hk_windows;

struct hk_inline_host *hk_inline_host_new(const struct hk_inline_host_options *options); /* NULL and errno */
/* After all its own parents were freed. NULL is fine. */
void hk_inline_host_free(struct hk_inline_host *host);

/* What comes on parents is remembered there, not until the end of the process alone. Takes `windows`; before
 * the first parent. */
void hk_inline_host_remember(struct hk_inline_host *host, struct hk_windows *windows);

/*
 * A parent towards this host; one that is there already stays as it is. Its
 * record of reply nonces is opened in `place`, or made where place->first_use
 * and there is none. NULL: it has none, from any source, and no creation is
 * taken: for whom never seals. Without a record a parent that comes by a reload
 * (place->opener) opens and takes no creation; named again, it looks for it
 * again. 0 or negative errno and a sentence.
 */
int hk_inline_host_receive(struct hk_inline_host *host, __u32 spi, const struct hk_inline_keys *keys,
	const struct hk_state_place *place, struct hk_error *error);
/*
 * Keys changed: forgets the parents towards us that were not named since the
 * last call, with the children made on them; and what was asked for on parents
 * towards peers that are gone since the call before.
 */
void hk_inline_host_sweep(struct hk_inline_host *host);

/* A parent towards the peer `to`. It seals when it was started, which opens its numbers. */
int hk_inline_own_new(struct hk_inline_own **out, struct hk_inline_host *host, const struct hk_address *to,
	__u32 spi, const struct hk_inline_keys *keys, struct hk_error *error);
int hk_inline_own_start(
	struct hk_inline_own *own, const struct hk_state_place *place, struct hk_error *error);
const struct hk_address *hk_inline_own_peer(const struct hk_inline_own *own);
const __u8 *hk_inline_own_fingerprint(const struct hk_inline_own *own); /* 8 bytes */
/* Gives unused numbers back; `undo`: removes state of a first use that came to nothing. NULL is fine. */
void hk_inline_own_free(struct hk_inline_own *own, bool undo);

/*
 * Seals an inner packet on whatever is right: a child of the peer's, else the
 * parent, with a creation when one is due and the packet stays within
 * `inner_max`. The envelope's size, or as hk_inline_seal(); -EOVERFLOW: all
 * numbers are used up; -EROFS: their state cannot be written.
 */
int hk_inline_own_seal(struct hk_inline_own *own, __u64 now_ns, const __u8 *inner, __u32 length,
	__u32 inner_max, __u8 *out, __u32 room);
/*
 * A creation for this peer that no packet took along: its envelope; 0: none is
 * due now. Call it a few times a second, until it returns 0.
 */
int hk_inline_own_due(struct hk_inline_own *own, __u64 now_ns, __u8 *out, __u32 room);

/* enum hk_refusal; as hk_inline_open(), and takes the creations that came. */
unsigned hk_inline_host_open(struct hk_inline_host *host, const struct hk_sealed *sealed, __u64 now_ns,
	__u8 *out, struct hk_opened *opened);

/*
 * A packet that this host sent, read in a capture: the child it asks for is
 * opened from now on. `keys` are the parent's; `out` as for opening, and wiped.
 */
void hk_inline_host_watch(struct hk_inline_host *host, const struct hk_inline_keys *keys,
	const struct hk_sealed *sealed, __u64 now_ns, __u8 *out);

/* What an operator wants to know. X(name, "name") */
#define HK_INLINE_COUNTS(X)                                                                               \
	X(created, "created")	  /* children asked for, renewals with them */                            \
	X(renewed, "renewed")	  /* because the one before comes to its end */                           \
	X(replaced, "replaced")	  /* because nothing comes on the one before */                           \
	X(offered, "offered")	  /* creations sent, first ones and repetitions */                        \
	X(alone, "offered-alone") /* of these, in a packet of their own */                                \
	X(installed, "installed") /* children given by peers */                                           \
	X(known, "known")	  /* creations that came again for a child that lives here */             \
	X(old, "old")		  /* creations seen before whose child is none here: replayed, or lost */ \
	X(not_installed, "not-installed") /* past the limit of a parent, or no record could be made */    \
	X(not_created, "not-created")	  /* past the limit of our parent */                              \
	X(parent_sealed, "sealed-on-parent")                                                              \
	X(child_sealed, "sealed-on-child")                                                                \
	X(parent_opened, "opened-on-parent")                                                              \
	X(child_opened, "opened-on-child")

struct hk_inline_host_counts {
#define HK_INLINE_COUNT(member, name) __u64 member;
	HK_INLINE_COUNTS(HK_INLINE_COUNT)
#undef HK_INLINE_COUNT
};
const struct hk_inline_host_counts *hk_inline_host_counts(const struct hk_inline_host *host);
unsigned hk_inline_host_peers(const struct hk_inline_host *host);
/* Children that live: those that open here, those that seal here. */
void hk_inline_host_alive(const struct hk_inline_host *host, unsigned *opening, unsigned *sealing);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside an end host of inline keying: its state. inline_host.h is the public face. */
#ifndef HK_ENDPOINT_INLINE_PEER_H
#define HK_ENDPOINT_INLINE_PEER_H

#include "user/endpoint/inline_host.h"
#include "user/endpoint/nonces.h"

/* A child that opens here: we asked for it. */
struct hk_inline_asked {
	struct hk_inline *sa;
	const struct hk_inline *parent; /* that its creation goes on; NULL: gone */
	__u32 spi;
	bool current;	 /* the newest of its scope: its creation is repeated */
	bool wanted;	 /* packets flowed since its creation was last sent */
	bool sent;	 /* at least once */
	unsigned silent; /* creations sent since a packet came on it */
	__u64 born_ns, sent_ns;
};

/* A child that seals here: the peer asked for it. */
struct hk_inline_given {
	struct hk_inline *sa;
	const struct hk_inline *parent; /* that its creation came on */
	__u64 next;			/* sequence number */
	__u64 iv;			/* starts at the clock: see inline_given.c */
	__u64 named_ns;			/* when its creation last came */
};

struct hk_inline_peer {
	struct hk_address address;
	unsigned owners;	  /* parents towards it */
	struct hk_inline *parent; /* the one in use: creations go on it. NULL: none was started */
	struct hk_inline_asked asked[HK_INLINE_CHILDREN];
	struct hk_inline_given given[HK_INLINE_CHILDREN];
	unsigned asked_count, given_count;
	__u8 reply_nonce[HK_INLINE_NONCE];	/* the last the peer gave */
	__u64 replace_after_ns, replace_gap_ns; /* when silence may make another child */
	bool greeted, limit_said;
};

struct hk_inline_parent_in {
	struct hk_inline *sa;
	struct hk_inline_seen *seen; /* NULL: it creates nothing */
	bool anyone;		     /* opens from any source: for whom never seals */
	bool named;		     /* since the last sweep */
};

struct hk_inline_own {
	struct hk_inline_host *host;
	struct hk_inline_peer *peer;
	struct hk_inline *sa;
	struct hk_nonce_state *nonces;
};

struct hk_inline_host {
	struct hk_inline_host_options options;
	struct hk_inline_parent_in parents[HK_INLINE_PARENTS];
	unsigned parents_count;
	struct hk_inline_peer **peers;
	unsigned peers_count;
	struct hk_inline_host_counts counts;
	struct hk_windows *windows; /* of parents towards us; NULL: none that outlive them */
};

/* The child to be offered for packets of this flow (NULL: for the peer), made or renewed as needed. NULL:
 * none. */
struct hk_inline_asked *hk_inline_ask(struct hk_inline_host *host, struct hk_inline_peer *peer,
	const struct hk_inline_flow *sent, __u64 now_ns);
/* Is its creation to be sent again now? */
bool hk_inline_ask_due(const struct hk_inline_asked *asked, const struct hk_inline *parent, __u64 now_ns);
/*
 * The parent goes: what was created on it opens on, for what is under way, and
 * is not offered again. When the keys change once more it is dropped.
 */
void hk_inline_ask_orphan(struct hk_inline_peer *peer, const struct hk_inline *parent);
void hk_inline_ask_drop_orphans(struct hk_inline_peer *peer);
/*
 * A packet on `asked` (NULL: on a parent) of this flow, as received: what that
 * says about our children. `offers`: it brought a creation, so it had to be on a parent.
 */
void hk_inline_ask_heard(struct hk_inline_host *host, struct hk_inline_peer *peer,
	struct hk_inline_asked *asked, bool offers, const struct hk_inline_flow *received, __u64 now_ns);
/*
 * The peer may know children that we do not (one of us came new, or it used an
 * SPI that is none here): ours for all its packets is offered.
 */
void hk_inline_ask_stranger(struct hk_inline_host *host, struct hk_inline_peer *peer, __u64 now_ns);
/* A child that somebody else asked for in our name: opens, and is never offered. Takes `sa`. */
void hk_inline_ask_watched(struct hk_inline_peer *peer, struct hk_inline *sa, __u32 spi, __u64 now_ns);
void hk_inline_ask_expire(struct hk_inline_peer *peer, __u64 now_ns);

/* The child of the peer's that may carry this packet; NULL: none. */
struct hk_inline_given *hk_inline_given_for(struct hk_inline_host *host, struct hk_inline_peer *peer,
	const __u8 *inner, __u32 length, __u64 now_ns);
/* A creation came from the peer, under `parent`. */
void hk_inline_given_take(struct hk_inline_host *host, struct hk_inline_peer *peer,
	const struct hk_inline *parent, struct hk_inline_seen *seen, const struct hk_creation *creation,
	__u64 now_ns);
/* The parent goes, and takes along what was created on it. */
void hk_inline_given_drop(struct hk_inline_peer *peer, const struct hk_inline *parent);
void hk_inline_given_expire(struct hk_inline_peer *peer, __u64 now_ns);

#endif

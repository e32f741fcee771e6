/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inline keying at the end host (docs/wire-formats.md, section 5): the SAs.
 *
 *   creator A                                 peer B
 *   parent A to B, secrets s_e, s_a  ──────►  opens, verifies, finds the creation
 *   hk_inline_expect()                        hk_inline_install(): once for each reply nonce
 *   opens the child's packets        ◄──────  seals on the child
 *
 * The endpoint rule: a child that seals is made by hk_inline_install() alone,
 * which asks a record on disk first. Was that record lost, the parent has to be
 * replaced before anything is installed: a creation that is played again would
 * start the child's IVs again. One thread at a time uses an SA.
 *
 * An SA keeps its rules itself, at both ends: a child carries what its scope
 * names and nothing else, seals for its lifetime and opens until the grace is
 * over; no number is accepted twice; a secret makes so many children and no
 * more. `now_ns` is any clock that never goes back, the same in all calls for one SA.
 */
#ifndef HK_ENDPOINT_SEAL_INLINE_H
#define HK_ENDPOINT_SEAL_INLINE_H

#include "user/crypto/inline.h"
#include "user/endpoint/seal.h"
#include "user/endpoint/statefile.h"

#define HK_INLINE_CREATIONS 65536 /* children under one secret, as the box's default */

struct hk_inline;      /* a parent SA, or a child: one direction */
struct hk_inline_seen; /* the reply nonces of one parent */

struct hk_inline_name {
	__u32 spi;
	struct hk_address receiver;
	__u8 next_header; /* that names a creation header; 0: HK_CREATION_NEXT */
	__u32 creations;  /* children under its secret; 0: HK_INLINE_CREATIONS */
};

struct hk_inline_keys {
	__u8 enc[32], auth[32]; /* s_e and s_a; never equal */
};

int hk_inline_parent(struct hk_inline **out, struct hk_crypto *crypto, const struct hk_inline_name *name,
	const struct hk_inline_keys *keys, struct hk_error *error);
void hk_inline_free(struct hk_inline *sa); /* wipes; NULL is fine */

__u32 hk_inline_spi(const struct hk_inline *sa);
/* 8 bytes that name a parent's encryption secret and reveal nothing of it. */
const __u8 *hk_inline_fingerprint(const struct hk_inline *sa);

/*
 * What a parent took is remembered in `windows`, which outlives it, from its next packet
 * on: without, it is forgotten with the SA.
 */
struct hk_windows;
void hk_inline_keep_window(struct hk_inline *parent, struct hk_windows *windows);

/* Fills in a reply nonce that nobody draws twice. 0 or -EIO. */
int hk_inline_draw(struct hk_creation *creation);

/*
 * The creator's end of a child: opens, never seals. `parent` is the SA the
 * creation is sent on, `receiver` the creator's address. 0 or negative errno and
 * a sentence; -EDQUOT: the parent has made all the children it may.
 */
int hk_inline_expect(struct hk_inline **out, struct hk_inline *parent, const struct hk_creation *creation,
	const struct hk_address *receiver, __u64 now_ns, struct hk_error *error);

/*
 * Opens the record of the reply nonces that came under `parent`, and locks it.
 * place->first_use: makes it, and refuses when there is one; else a record that
 * is missing, damaged or a copy is refused: replace the parent.
 */
int hk_inline_seen_open(struct hk_inline_seen **out, const struct hk_state_place *place,
	const struct hk_inline *parent, struct hk_error *error);
void hk_inline_seen_close(struct hk_inline_seen *seen);

/*
 * The peer's end: seals. -EEXIST: installed before, from this nonce; a
 * retransmission changes nothing. -EDQUOT: the parent has made all it may.
 */
int hk_inline_install(struct hk_inline **out, const struct hk_inline *parent, struct hk_inline_seen *seen,
	const struct hk_creation *creation, const struct hk_address *receiver, __u64 now_ns,
	struct hk_error *error);

/* What a child was made of; NULL: a parent. */
const struct hk_creation *hk_inline_creation(const struct hk_inline *sa);
/* False: a child past its lifetime, which seals nothing any more; true for parents. */
bool hk_inline_seals_at(const struct hk_inline *sa, __u64 now_ns);
/* False: a child past lifetime and grace, which opens nothing any more; true for parents. */
bool hk_inline_opens_at(const struct hk_inline *sa, __u64 now_ns);

/* What scopes look at in a packet that is sealed. */
struct hk_inline_flow {
	__u8 protocol;
	bool has_ports;
	__u16 source_port, destination_port;
};
bool hk_inline_flow(const __u8 *inner, __u32 length, struct hk_inline_flow *out); /* false: no IP packet */
/* May the SA carry this inner packet from the outer address `source`? Parents carry everything. */
bool hk_inline_allows(
	const struct hk_inline *sa, const struct hk_address *source, const __u8 *inner, __u32 length);

struct hk_inline_packet {
	const struct hk_creation *creation; /* goes first into the plaintext; NULL: none */
	const __u8 *inner;
	__u32 length;		  /* 0: the creation alone */
	const __u8 *packet_nonce; /* tests only: 16 bytes; NULL: random, as it must be */
	__u64 now_ns;
};

/*
 * The size of the outer packet, or as hk_seal_packet(); -EPERM: this end of the
 * SA does not seal; -ETIME: the child's lifetime is over; -EACCES: not within its scope.
 */
int hk_inline_seal(struct hk_inline *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const struct hk_inline_packet *packet, __u8 *out, __u32 room);
/* The same without outer IP and UDP headers: what a socket sends. Tunnel mode. */
int hk_inline_seal_envelope(struct hk_inline *sa, const struct hk_seal_shape *shape,
	const struct hk_numbers *numbers, const struct hk_inline_packet *packet, __u8 *out, __u32 room);

/*
 * Verifies and opens; enum hk_refusal. `creation->size` is 0 where the packet
 * brought none. HK_REFUSAL_CREATION_ALONE: nothing else was inside. Whoever
 * verified first on a parent is its sender; nobody else may be.
 */
unsigned hk_inline_open(struct hk_inline *sa, const struct hk_sealed *sealed, __u64 now_ns, __u8 *out,
	struct hk_opened *opened, struct hk_creation *creation);

#endif

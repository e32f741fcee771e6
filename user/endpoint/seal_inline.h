/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inline keying at the end host (docs/wire-formats.md, section 5).
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
 */
#ifndef HK_ENDPOINT_SEAL_INLINE_H
#define HK_ENDPOINT_SEAL_INLINE_H

#include "user/crypto/inline.h"
#include "user/endpoint/seal.h"

struct hk_inline;      /* a parent SA, or a child: one direction */
struct hk_inline_seen; /* the reply nonces of one parent */

struct hk_inline_name {
	__u32 spi;
	struct hk_address receiver;
	__u8 next_header; /* that names a creation header; 0: HK_CREATION_NEXT */
};

struct hk_inline_keys {
	__u8 enc[32], auth[32]; /* s_e and s_a; never equal */
};

int hk_inline_parent(struct hk_inline **out, struct hk_crypto *crypto, const struct hk_inline_name *name,
	const struct hk_inline_keys *keys, struct hk_error *error);
void hk_inline_free(struct hk_inline *sa); /* wipes; NULL is fine */

/* Fills in a reply nonce that nobody draws twice. 0 or -EIO. */
int hk_inline_draw(struct hk_creation *creation);

/*
 * The creator's end of a child: opens, never seals. `parent` is the SA the
 * creation is sent on, `receiver` the creator's address. 0 or negative errno and a sentence.
 */
int hk_inline_expect(struct hk_inline **out, const struct hk_inline *parent,
	const struct hk_creation *creation, const struct hk_address *receiver, struct hk_error *error);

/*
 * Opens the record of the reply nonces that came under `parent`, in `directory`,
 * and locks it. `first_use`: makes it, and refuses when there is one; else a
 * record that is missing or damaged is refused: replace the parent.
 */
int hk_inline_seen_open(struct hk_inline_seen **out, const char *directory, const struct hk_inline *parent,
	bool first_use, struct hk_error *error);
void hk_inline_seen_close(struct hk_inline_seen *seen);

/* The peer's end: seals. -EEXIST: installed before, from this nonce; a retransmission changes nothing. */
int hk_inline_install(struct hk_inline **out, const struct hk_inline *parent, struct hk_inline_seen *seen,
	const struct hk_creation *creation, const struct hk_address *receiver, struct hk_error *error);

struct hk_inline_packet {
	const struct hk_creation *creation; /* goes first into the plaintext; NULL: none */
	const __u8 *inner;
	__u32 length;		  /* 0: the creation alone */
	const __u8 *packet_nonce; /* tests only: 16 bytes; NULL: random, as it must be */
};

/* The size of the outer packet, or as hk_seal_packet(); -EPERM: this end of the SA does not seal. */
int hk_inline_seal(struct hk_inline *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const struct hk_inline_packet *packet, __u8 *out, __u32 room);

/*
 * Verifies and opens; enum hk_refusal. `creation->size` is 0 where the packet
 * brought none. HK_REFUSAL_DUMMY with a creation: nothing else was inside.
 */
unsigned hk_inline_open(struct hk_inline *sa, const struct hk_sealed *sealed, __u8 *out,
	struct hk_opened *opened, struct hk_creation *creation);

#endif

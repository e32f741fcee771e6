/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers that never repeat: the IV and sequence number of everything a sender
 * seals under one SPI, over restarts, crashes and power cuts.
 *
 * Each SPI has a file in the state directory, named after the envelope, the SPI
 * and the key's fingerprint. It holds a high-water mark; numbers below it count
 * as used. A block is reserved, and on disk, before the first number of it goes
 * out, so a sender that dies loses numbers and never repeats one. IVs start no
 * lower than the clock in nanoseconds either: a machine put back to an older
 * snapshot, which brings an old state file back with everything else, still
 * does not repeat one.
 *
 * A sender refuses to start where a number could repeat: state missing (unless
 * told that the keys were never used), corrupt, copied or put back, held by a
 * running process, or made by another sender.
 */
#ifndef HK_ENDPOINT_NONCES_H
#define HK_ENDPOINT_NONCES_H

#include "user/endpoint/seal.h"
#include "user/endpoint/statefile.h"

#define HK_NONCES_BLOCK 65536 /* numbers reserved at once */

struct hk_nonce_state;

/*
 * Opens and locks the state of `sa` in its place; place->fresh: see
 * hk_nonce_state_fresh(). 0, or negative errno and a sentence.
 */
int hk_nonce_state_open(struct hk_nonce_state **out, const struct hk_state_place *place,
	const struct hk_sa *sa, struct hk_error *error);

/* The same for what is no SA: whose numbers these are, and how far they go. */
struct hk_nonce_series {
	unsigned envelope;	 /* enum hk_envelope */
	__u32 spi;		 /* in file name and messages */
	const __u8 *fingerprint; /* 8 bytes: one for each series of numbers */
	bool sn_limited;	 /* sequence numbers end at 32 bits */
	__u64 iv_max;		 /* the last IV there is */
	unsigned clock_shift;	 /* IVs start at the clock's nanoseconds >> this */
};
int hk_nonce_state_open_at(struct hk_nonce_state **out, const struct hk_state_place *place,
	const struct hk_nonce_series *series, struct hk_error *error);

/*
 * Numbers of an SPI that a key server has just given out for the first time, to
 * us alone: nothing is kept on disk, because no process will use that SPI again.
 */
int hk_nonce_state_fresh(struct hk_nonce_state **out, const struct hk_sa *sa);

/* The next numbers. 0, -EOVERFLOW: this SPI is used up, take another; -EIO: the state cannot be written. */
int hk_nonce_state_next(struct hk_nonce_state *nonces, struct hk_numbers *out);

/* Gives back what was reserved and not used, and unlocks. NULL is fine. */
void hk_nonce_state_close(struct hk_nonce_state *nonces);

/* Undoes a first use that came to nothing: removes the state if no number of it was given out, and closes. */
void hk_nonce_state_discard(struct hk_nonce_state *nonces);

#endif

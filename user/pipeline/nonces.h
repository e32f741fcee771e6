/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recently seen nonces, to notice one that comes again with another
 * ciphertext: a broken sender, or somebody replaying with changed bits. A small
 * table of fixed size that forgets by being overwritten: a notice, no guard.
 */
#ifndef HK_PIPELINE_NONCES_H
#define HK_PIPELINE_NONCES_H

#include <stdbool.h>
#include <linux/types.h>

#define HK_NONCES 4096

struct hk_nonces {
	struct {
		__u64 nonce;  /* keyed hash of key and nonce; 0: free */
		__u64 packet; /* what went with it */
	} seen[HK_NONCES];
};

static inline void hk_nonces_prefetch(const struct hk_nonces *nonces, __u64 nonce)
{
	__builtin_prefetch(&nonces->seen[(unsigned)(nonce >> 32) % HK_NONCES], 1);
}

/* True when `nonce` was seen with another `packet`. Remembers the pair. */
static inline bool hk_nonces_repeat(struct hk_nonces *nonces, __u64 nonce, __u64 packet)
{
	unsigned at = (unsigned)(nonce >> 32) % HK_NONCES;
	bool repeat = nonces->seen[at].nonce == nonce && nonces->seen[at].packet != packet;

	nonces->seen[at].nonce = nonce;
	nonces->seen[at].packet = packet;
	return repeat;
}

#endif

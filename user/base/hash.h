/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hashing for tables that strangers can fill: a multiply-and-fold mix under a
 * secret of the process, so that nobody outside can aim at one bucket. Equal
 * in all threads, different in every process. Not for cryptography.
 */
#ifndef HK_BASE_HASH_H
#define HK_BASE_HASH_H

#include <string.h>
#include <linux/types.h>

#include <halfkey/address.h>

extern __u64 hk_hash_secret[4]; /* use hk_hash_seed() */

/* The process's secret, 4 words. Any thread. */
static inline const __u64 *hk_hash_seed(void)
{
	return hk_hash_secret;
}

static inline __u64 hk_hash_fold(__u64 a, __u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (__u64)product ^ (__u64)(product >> 64);
}

/*
 * Twice, since one multiplication by a number that stays leaves numbers that follow each other (SPIs
 * do) in runs: under one secret in sixty a table a quarter full took hundreds of steps a lookup.
 */
static inline __u64 hk_hash_address(const __u64 *seed, const struct hk_address *address, __u64 more)
{
	__u64 words[2];

	memcpy(words, address->bytes, sizeof(words));
	more ^= hk_hash_fold(words[0] ^ seed[0], words[1] ^ seed[1]);
	return hk_hash_fold(hk_hash_fold(more, seed[2] | 1), seed[3] | 1);
}

#endif

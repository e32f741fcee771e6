/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expanded GCM keys of recent SPIs. Most of the cost of verifying a short
 * packet under a fresh key is preparing GHASH; a key seen again skips it.
 *
 * Bounded, and a cache only: every packet's key is derived anew and must equal
 * the kept one, in constant time, before the kept schedule is used. So an id
 * that collides, or a key that changed under its id, costs time and nothing else.
 *
 * A key is kept on its second appearance: a flood of new SPIs, or a million
 * live ones, runs through one hot scratch entry and evicts nobody.
 */
#ifndef HK_CRYPTO_GCMCACHE_H
#define HK_CRYPTO_GCMCACHE_H

#include <intel-ipsec-mb.h>

#include <halfkey/crypto.h>

#define HK_GCM_CACHE_SETS 64 /* a power of two */
#define HK_GCM_CACHE_WAYS 4

/* The library's assembler wants its key data aligned; its header does not see to it on every system. */
#define HK_GCM_ALIGNED __attribute__((aligned(64)))

struct hk_gcm_entry {
	struct gcm_key_data expanded HK_GCM_ALIGNED;
	__u8 key[32];
	__u32 key_size;
	__u32 reserved;
};

/* One cache line: whether an id is here is told without a look at the entries. */
struct hk_gcm_set {
	__u64 ids[HK_GCM_CACHE_WAYS]; /* 0: empty */
	__u64 candidate;	      /* seen once; kept if it is the next to miss here */
	__u32 next;		      /* the way to replace */
	__u32 reserved[3];
} __attribute__((aligned(64)));

struct hk_gcm_cache {
	__u64 seed; /* so that nobody outside can aim SPIs at one set */
	struct hk_gcm_set sets[HK_GCM_CACHE_SETS];
	struct hk_gcm_entry entries[HK_GCM_CACHE_SETS][HK_GCM_CACHE_WAYS];
	struct gcm_key_data scratch HK_GCM_ALIGNED;
};

void hk_gcm_cache_init(struct hk_gcm_cache *cache); /* zeroed memory */

/* True: `*place` holds the job's key, expanded. False: the caller expands it into `*place` now. */
bool hk_gcm_cache_find(struct hk_gcm_cache *cache, const struct hk_gcm_job *job, struct gcm_key_data **place);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HMAC keys, and HKDF-Expand with SHA-256 over a batch: T(1) of all jobs, then
 * T(2) of all (RFC 5869, section 2.3). No more blocks than that are wanted.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the one-shot interfaces allocate for each key */
#include <openssl/sha.h>
#include <string.h>

#include "user/crypto/backend.h"

#define BLOCK 64
#define HASH  32

static void pad_state(__u32 out[8], const __u8 *bytes, size_t size, __u8 pad)
{
	SHA256_CTX context;
	__u8 block[BLOCK];
	size_t i;

	memset(block, pad, sizeof(block));
	for (i = 0; i < size; i++)
		block[i] ^= bytes[i];
	SHA256_Init(&context);
	SHA256_Transform(&context, block);
	memcpy(out, context.h, HASH);
	hk_wipe(block, sizeof(block));
	hk_wipe(&context, sizeof(context));
}

void hk_hmac_key_init(struct hk_hmac_key *key, const __u8 *bytes, size_t size)
{
	if (size > BLOCK)
		hk_crypto_broken("HMAC: a key beyond one block");
	pad_state(key->inner, bytes, size, 0x36);
	pad_state(key->outer, bytes, size, 0x5c);
}

static void expand(struct hk_crypto *crypto, const struct hk_hkdf_job *jobs, __u32 count)
{
	__u8 messages[HK_CRYPTO_BATCH_MAX][HASH + HK_HKDF_INFO_MAX + 1];
	struct hk_hmac_job hmac[HK_CRYPTO_BATCH_MAX];
	__u32 i, round, chain;

	for (round = 0; round < HK_HKDF_OUT / HASH; round++) {
		chain = round ? HASH : 0;
		for (i = 0; i < count; i++) {
			if (jobs[i].info_size > HK_HKDF_INFO_MAX)
				hk_crypto_broken("HKDF: an info beyond its room");
			memcpy(messages[i], jobs[i].out, chain);
			memcpy(messages[i] + chain, jobs[i].info, jobs[i].info_size);
			messages[i][chain + jobs[i].info_size] = (__u8)(round + 1);
			hmac[i] = (struct hk_hmac_job){.key = jobs[i].key,
				.message = messages[i],
				.out = jobs[i].out + round * HASH,
				.length = chain + jobs[i].info_size + 1};
		}
		hk_crypto_hmac(crypto, hmac, count);
	}
	hk_wipe(messages, sizeof(messages[0]) * count);
}

void hk_crypto_hkdf(struct hk_crypto *crypto, const struct hk_hkdf_job *jobs, __u32 count)
{
	for (__u32 n; count; jobs += n, count -= n) {
		n = count < HK_CRYPTO_BATCH_MAX ? count : HK_CRYPTO_BATCH_MAX;
		expand(crypto, jobs, n);
	}
}

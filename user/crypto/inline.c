// SPDX-License-Identifier: GPL-2.0-or-later
/* The PRF inputs of inline keying: see inline.h. */
#include "user/crypto/inline.h"

#include <string.h>

#include "user/base/bytes.h"

#define LABEL	 5
#define FIELDS_A 4  /* version to algorithm */
#define FIELDS_B 16 /* Reply-SPI to ports */
#define HASH	 32
#define SEED_MAX (LABEL + 2 * HK_INLINE_NONCE + FIELDS_A + FIELDS_B + HK_CREATION_MAX - HK_CREATION_SIZE)

/* "IKp1e": packets of a parent, r: a child, s: a child as a parent; e and a are the sides */
static void put_label(__u8 out[LABEL], char kind, enum hk_side side)
{
	out[0] = 'I';
	out[1] = 'K';
	out[2] = (__u8)kind;
	out[3] = '1';
	out[4] = side == HK_SIDE_AUTH ? 'a' : 'e';
}

void hk_inline_info(__u8 out[HK_INLINE_INFO], enum hk_side side, const __u8 nonce[HK_INLINE_NONCE], __u32 spi)
{
	put_label(out, 'p', side);
	memcpy(out + LABEL, nonce, HK_INLINE_NONCE);
	hk_put32(out + LABEL + HK_INLINE_NONCE, spi);
}

/* Behind the label: peer nonce || reply nonce || F. */
static __u32 seed(const __u8 *header, __u32 size, __u8 *out)
{
	__u8 *at = out;

	memcpy(at, header + 40, HK_INLINE_NONCE);
	memcpy(at += HK_INLINE_NONCE, header + 24, HK_INLINE_NONCE);
	memcpy(at += HK_INLINE_NONCE, header + 2, FIELDS_A);
	memcpy(at += FIELDS_A, header + 8, FIELDS_B);
	at += FIELDS_B;
	memcpy(at, header + HK_CREATION_SIZE, size - HK_CREATION_SIZE);
	return (__u32)(at - out) + size - HK_CREATION_SIZE;
}

/* T(1), T(2) and the parent secret: the first and the last in one pass. */
void hk_inline_child(struct hk_crypto *crypto, const struct hk_hmac_key *secret, enum hk_side side,
	const __u8 *header, __u32 size, struct hk_child_secrets *out)
{
	__u8 first[SEED_MAX + 1], last[SEED_MAX], second[HASH + SEED_MAX + 1], block[HASH] = {0};
	__u32 length = LABEL + seed(header, size, first + LABEL);
	struct hk_hmac_job jobs[2] = {
		{.key = secret, .message = first, .out = out->key, .length = length + 1},
		{.key = secret, .message = last, .out = out->parent, .length = length},
	};

	put_label(first, 'r', side);
	put_label(last, 's', side);
	memcpy(last + LABEL, first + LABEL, length - LABEL);
	first[length] = 1;
	hk_crypto_hmac(crypto, jobs, 2);
	memcpy(second, out->key, HASH);
	memcpy(second + HASH, first, length);
	second[HASH + length] = 2;
	jobs[0] = (struct hk_hmac_job){
		.key = secret, .message = second, .out = block, .length = HASH + length + 1};
	hk_crypto_hmac(crypto, jobs, 1);
	memcpy(out->salt, block, sizeof(out->salt));
	hk_wipe(second, sizeof(second));
	hk_wipe(block, sizeof(block));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GCM in lanes, opening alone, for lanes_body.h. GHASH's blocks are byte-reversed, its key
 * multiplied by x beforehand, so that products need no shift (Gueron and Kounavis, "Intel
 * Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode", 2010;
 * NIST SP 800-38D).
 */
#ifndef HK_CRYPTO_LANES_GCM_H
#define HK_CRYPTO_LANES_GCM_H

#include "user/crypto/lanes_aes.h"

#define REVERSED   _mm_set_epi32(0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f)
#define POLYNOMIAL _mm_set_epi64x((long long)0xc200000000000000, 1) /* x^128 + x^127 + x^126 + x^121 + 1 */

/* --- GHASH ----------------------------------------------------------------------------------- */

struct product {
	lanes low, middle, high;
};

LANES void add_product(struct product *sum, lanes a, lanes b)
{
	sum->low = lanes_xor(sum->low, lanes_times(a, b, 0x00));
	sum->high = lanes_xor(sum->high, lanes_times(a, b, 0x11));
	sum->middle = lanes_xor(sum->middle, lanes_times(a, b, 0x01));
	sum->middle = lanes_xor(sum->middle, lanes_times(a, b, 0x10));
}

LANES lanes reduce(const struct product *sum)
{
	const lanes polynomial = lanes_both(POLYNOMIAL);
	lanes low = lanes_xor(sum->low, lanes_up(sum->middle, 8));
	lanes high = lanes_xor(sum->high, lanes_down(sum->middle, 8));

	low = lanes_xor(lanes_swap(low), lanes_times(low, polynomial, 0x10));
	low = lanes_xor(lanes_swap(low), lanes_times(low, polynomial, 0x10));
	return lanes_xor(low, high);
}

LANES struct product no_product(void)
{
	const lanes zero = lanes_both(_mm_setzero_si128());

	return (struct product){zero, zero, zero};
}

LANES lanes multiply(lanes a, lanes b)
{
	struct product product = no_product();

	add_product(&product, a, b);
	return reduce(&product);
}

/* Both lanes' sums as one block. */
LANES __m128i gather(struct product *sum)
{
	lanes whole = reduce(sum);

	return _mm_xor_si128(lanes_low(whole), lanes_high(whole));
}

/* E(0), as GHASH needs it: reversed and times x. */
LANES __m128i hash_key(__m128i block)
{
	__m128i key = _mm_shuffle_epi8(block, REVERSED), carry;

	carry = _mm_shuffle_epi32(_mm_srai_epi32(key, 31), 0xff);
	key = _mm_or_si128(_mm_add_epi64(key, key), _mm_slli_si128(_mm_srli_epi64(key, 63), 8));
	return _mm_xor_si128(key, _mm_and_si128(carry, POLYNOMIAL));
}

/* powers[n] = (H^(2n + 2), H^(2n + 1)), so that a pair of blocks meets a pair of powers. */
LANES void make_powers(__u8 (*powers)[32], __m128i key, unsigned pairs)
{
	__m128i square = lanes_low(multiply(lanes_both(key), lanes_both(key)));
	lanes two = lanes_both(square), power = lanes_pair(square, key);
	unsigned i;

	lanes_store(powers[0], power);
	for (i = 1; i < pairs; i++) {
		power = multiply(power, two);
		lanes_store(powers[i], power);
	}
}

LANES __m128i ghash_block(__m128i hash, __m128i block, __m128i key)
{
	return lanes_low(multiply(lanes_both(_mm_xor_si128(hash, block)), lanes_both(key)));
}

LANES __m128i ghash_pairs(__m128i hash, const __u8 *in, const __u8 (*powers)[32], unsigned pairs)
{
	const lanes reversed = lanes_both(REVERSED);
	struct product sum = no_product();
	lanes block = lanes_xor(lanes_bytes(lanes_load(in), reversed), lanes_pair(hash, _mm_setzero_si128()));
	unsigned i;

	add_product(&sum, block, lanes_load(powers[pairs - 1]));
	UNROLL for (i = 1; i < pairs; i++) add_product(
		&sum, lanes_bytes(lanes_load(in + 32 * i), reversed), lanes_load(powers[pairs - 1 - i]));
	return gather(&sum);
}

LANES __m128i padded(const __u8 *from, __u32 size)
{
	return _mm_shuffle_epi8(size < 16 ? load_part(from, size) : load(from), REVERSED);
}

LANES __m128i ghash_bytes(__m128i hash, const __u8 *from, __u32 size, __m128i key)
{
	for (; size > 16; from += 16, size -= 16)
		hash = ghash_block(hash, padded(from, 16), key);
	return size ? ghash_block(hash, padded(from, size), key) : hash;
}

/* 0 to 31 bytes and the block of lengths */
LANES __m128i ghash_end(__m128i hash, const __u8 *from, __u32 size, __m128i lengths, const __u8 (*powers)[32])
{
	const lanes pair = lanes_load(powers[0]);
	const __m128i key = lanes_high(pair);
	struct product sum = no_product();

	if (size > 16)
		hash = ghash_block(hash, padded(from, 16), key);
	if (size > 16) {
		from += 16;
		size -= 16;
	}
	if (!size)
		return ghash_block(hash, lengths, key);
	add_product(&sum, lanes_pair(_mm_xor_si128(hash, padded(from, size)), lengths), pair);
	return gather(&sum);
}

/* --- GCM (NIST SP 800-38D) ------------------------------------------------------------------- */

LANES __m128i nonce_block(const __u8 nonce[12], __u32 last)
{
	__u32 tail;

	memcpy(&tail, nonce + 8, sizeof(tail));
	return _mm_set_epi64x((long long)((__u64)last << 32 | tail), (long long)hk_word(nonce));
}

/* The hash key's powers, as many as this packet needs, and the mask of its tag. */
LANES void gcm_prepare(
	const struct cipher *cipher, const struct hk_gcm_job *job, __u8 (*powers)[32], __u8 mask[16])
{
	unsigned pairs = job->length / 32;
	lanes block[1] = {lanes_pair(_mm_setzero_si128(), nonce_block(job->nonce, 0x01000000))};

	if (pairs > HK_LANES_POWERS / 2)
		pairs = HK_LANES_POWERS / 2;
	encrypt(cipher, PAIRED, block, 1);
	store(mask, lanes_high(block[0]));
	make_powers(powers, hash_key(lanes_low(block[0])), pairs);
}

#define GCM_STEP(pairs)                                      \
	do {                                                 \
		hash = ghash_pairs(hash, in, powers, pairs); \
		CTR_STEP(pairs);                             \
	} while (0)

LANES __m128i gcm_hash(const struct cipher *cipher, const struct hk_gcm_job *job, const __u8 (*powers)[32])
{
	lanes counter = first_counters(nonce_block(job->nonce, 2));
	const __m128i lengths = _mm_set_epi64x((long long)job->aad_length * 8, (long long)job->length * 8);
	__m128i hash = ghash_bytes(
		_mm_setzero_si128(), job->aad, job->aad_length, lanes_high(lanes_load(powers[0])));
	const __u8 *in = job->in;
	__u8 *out = job->out;
	__u32 length = job->length;

	while (length >= 128)
		GCM_STEP(4);
	if (length >= 64)
		GCM_STEP(2);
	if (length >= 32)
		GCM_STEP(1);
	hash = ghash_end(hash, in, length, lengths, powers);
	if (length)
		ctr_end(cipher, &counter, in, out, length);
	return hash;
}

LANES bool gcm_one(const struct cipher *cipher, const struct hk_gcm_job *job, const __u8 (*powers)[32],
	const __u8 mask[16])
{
	const bool half = job->tag_size == HK_GCM_TAG_SIZE / 2;
	/* before anything is written: `out` may overlap it */
	const __m128i expected = half ? _mm_loadl_epi64((const void *)job->tag) : load(job->tag);
	const __m128i hash = gcm_hash(cipher, job, powers);
	__m128i wrong = _mm_xor_si128(_mm_shuffle_epi8(hash, REVERSED), load(mask));

	if (half)
		wrong = _mm_move_epi64(wrong);
	wrong = _mm_xor_si128(wrong, expected);
	return _mm_testz_si128(wrong, wrong);
}

#endif

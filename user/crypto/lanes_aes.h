/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AES in lanes, for lanes_body.h: key schedules, CTR, and CBC as far as opening goes.
 * Blocks lie in registers as in memory.
 */
#ifndef HK_CRYPTO_LANES_AES_H
#define HK_CRYPTO_LANES_AES_H

#include "user/crypto/lanes.h"

#include <string.h>

#include "user/base/bytes.h"

#define UNROLL _Pragma("GCC unroll 16")

#define LAST_WORD    _mm_set1_epi32(0x0f0e0d0c) /* SubWord of an even round key */
#define ROTATED_WORD _mm_set1_epi32(0x0c0f0e0d) /* SubWord and RotWord */
#define BIG_COUNTER  _mm_set_epi32(0x0c0d0e0f, 0x0b0a0908, 0x07060504, 0x03020100)

/* --- bytes ----------------------------------------------------------------------------------- */

LANES __m128i load(const void *from)
{
	return _mm_loadu_si128(from);
}

LANES void store(void *to, __m128i block)
{
	_mm_storeu_si128(to, block);
}

/* 1 to 15 bytes, zeros behind them; nothing beyond them is read. */
LANES __m128i load_part(const __u8 *from, __u32 size)
{
	__u64 low = 0, high = 0;
	__u32 first, last, i;

	if (size >= 8) {
		low = hk_word(from);
		if (size > 8)
			high = hk_word(from + size - 8) >> (128 - 8 * size);
	} else if (size >= 4) {
		memcpy(&first, from, 4);
		memcpy(&last, from + size - 4, 4);
		low = first | (__u64)last << (8 * size - 32);
	} else {
		for (i = 0; i < size; i++)
			low |= (__u64)from[i] << 8 * i;
	}
	return _mm_set_epi64x((long long)high, (long long)low);
}

/* The first `size` bytes of a block, 1 to 15, and none behind them. */
LANES void store_part(__u8 *to, __m128i block, __u32 size)
{
	__u64 low = (__u64)_mm_cvtsi128_si64(block), high = (__u64)_mm_extract_epi64(block, 1);
	__u32 first = (__u32)low, last, i;

	if (size >= 8) {
		hk_put_word(to, low);
		if (size > 8)
			hk_put_word(to + size - 8, low >> (8 * size - 64) | high << (128 - 8 * size));
	} else if (size >= 4) {
		last = (__u32)(low >> (8 * size - 32));
		memcpy(to, &first, 4);
		memcpy(to + size - 4, &last, 4);
	} else {
		for (i = 0; i < size; i++)
			to[i] = (__u8)(low >> 8 * i);
	}
}

/* --- key schedules (FIPS 197, 5.2) ----------------------------------------------------------- */

/* Each word with all words below it. */
LANES lanes spread(lanes key)
{
	key = lanes_xor(key, lanes_up(key, 4));
	return lanes_xor(key, lanes_up(key, 8));
}

/* The last AES round substitutes and adds; with four equal columns its rotation of rows does nothing. */
LANES lanes next_key(lanes key, lanes from, lanes order, lanes constant)
{
	return lanes_xor(spread(key), lanes_last_round(lanes_bytes(from, order), constant));
}

LANES void expand256(__u8 (*round)[32], const __u8 *low, const __u8 *high)
{
	const lanes rotated = lanes_both(ROTATED_WORD), last = lanes_both(LAST_WORD);
	const lanes zero = lanes_both(_mm_setzero_si128());
	lanes even = lanes_pair(load(low), load(high)), odd = lanes_pair(load(low + 16), load(high + 16));
	lanes constant = lanes_both(_mm_set1_epi32(1));
	unsigned i;

	lanes_store(round[0], even);
	lanes_store(round[1], odd);
	for (i = 2; i < 14; i += 2) {
		even = next_key(even, odd, rotated, constant);
		odd = next_key(odd, even, last, zero);
		constant = lanes_add32(constant, constant);
		lanes_store(round[i], even);
		lanes_store(round[i + 1], odd);
	}
	lanes_store(round[14], next_key(even, odd, rotated, constant));
}

LANES void expand128(__u8 (*round)[32], const __u8 *low, const __u8 *high)
{
	const lanes rotated = lanes_both(ROTATED_WORD);
	lanes key = lanes_pair(load(low), load(high));
	lanes constant = lanes_both(_mm_set1_epi32(1));
	unsigned i;

	lanes_store(round[0], key);
	for (i = 1; i < 9; i++) {
		key = next_key(key, key, rotated, constant);
		constant = lanes_add32(constant, constant);
		lanes_store(round[i], key);
	}
	key = next_key(key, key, rotated, lanes_both(_mm_set1_epi32(0x1b)));
	lanes_store(round[9], key);
	lanes_store(round[10], next_key(key, key, rotated, lanes_both(_mm_set1_epi32(0x36))));
}

/* --- one packet's key in use ----------------------------------------------------------------- */

#define PAIRED 32 /* bytes from one round key to the next where two schedules lie side by side ... */
#define ALONE  16 /* ... and where one does not */

struct cipher {
	const __u8 *keys;
	unsigned rounds;
};

#define ROUND(call, number)                                                          \
	do {                                                                         \
		const lanes one = lanes_both(load(key + stride * (number)));         \
		UNROLL for (i = 0; i < pairs; i++) blocks[i] = call(blocks[i], one); \
	} while (0)

LANES void encrypt(const struct cipher *cipher, unsigned stride, lanes *blocks, unsigned pairs)
{
	const __u8 *key = cipher->keys;
	unsigned i, round;

	UNROLL for (i = 0; i < pairs; i++) blocks[i] = lanes_xor(blocks[i], lanes_both(load(key)));
	UNROLL for (round = 1; round < 10; round++) ROUND(lanes_round, round);
	if (cipher->rounds > 10)
		UNROLL for (round = 10; round < 14; round++) ROUND(lanes_round, round);
	ROUND(lanes_last_round, cipher->rounds);
}

/* The next counter blocks, encrypted. In `counter` the low 32 bits are a number, one more in the high lane.
 */
LANES void key_stream(const struct cipher *cipher, lanes *counter, lanes *blocks, unsigned pairs)
{
	const lanes order = lanes_both(BIG_COUNTER), two = lanes_both(_mm_set_epi32(2, 0, 0, 0));
	unsigned i;

	UNROLL for (i = 0; i < pairs; i++)
	{
		blocks[i] = lanes_bytes(*counter, order);
		*counter = lanes_add32(*counter, two);
	}
	encrypt(cipher, PAIRED, blocks, pairs);
}

LANES lanes first_counters(__m128i counter)
{
	return lanes_pair(counter, _mm_add_epi32(counter, _mm_set_epi32(1, 0, 0, 0)));
}

LANES void ctr_pairs(const struct cipher *cipher, lanes *counter, const __u8 *in, __u8 *out, unsigned pairs)
{
	lanes blocks[LANES_WIDE];
	unsigned i;

	key_stream(cipher, counter, blocks, pairs);
	UNROLL for (i = 0; i < pairs; i++)
		lanes_store(out + 32 * i, lanes_xor(blocks[i], lanes_load(in + 32 * i)));
}

LANES void ctr_part(__m128i stream, const __u8 *in, __u8 *out, __u32 length)
{
	if (length >= 16)
		store(out, _mm_xor_si128(load(in), stream));
	else
		store_part(out, _mm_xor_si128(load_part(in, length), stream), length);
}

/* 1 to 31 bytes */
LANES void ctr_end(const struct cipher *cipher, lanes *counter, const __u8 *in, __u8 *out, __u32 length)
{
	lanes blocks[1];

	key_stream(cipher, counter, blocks, 1);
	ctr_part(lanes_low(blocks[0]), in, out, length);
	if (length > 16)
		ctr_part(lanes_high(blocks[0]), in + 16, out + 16, length - 16);
}

/* Steps of a constant number of pairs: the compiler makes registers of them. */
#define CTR_STEP(pairs)                                      \
	do {                                                 \
		ctr_pairs(cipher, &counter, in, out, pairs); \
		in += 32 * (pairs);                          \
		out += 32 * (pairs);                         \
		length -= 32 * (pairs);                      \
	} while (0)

LANES void ctr_one(const struct cipher *cipher, const struct hk_ctr_job *job)
{
	lanes counter = first_counters(_mm_shuffle_epi8(load(job->counter), BIG_COUNTER));
	const __u8 *in = job->in;
	__u8 *out = job->out;
	__u32 length = job->length;

	while (length >= 32 * LANES_WIDE)
		CTR_STEP(LANES_WIDE);
	if (LANES_WIDE > 4 && length >= 128)
		CTR_STEP(4);
	if (length >= 64)
		CTR_STEP(2);
	if (length >= 32)
		CTR_STEP(1);
	if (length)
		ctr_end(cipher, &counter, in, out, length);
}

/* --- CBC (SP 800-38A), opening alone ----------------------------------------------------------- */

/* From round keys to those of the equivalent inverse cipher (FIPS 197, 5.3.5), in the same order. */
LANES void invert256(__u8 (*round)[32])
{
	unsigned i;

	for (i = 1; i < 14; i++)
		lanes_store(round[i], lanes_inverse_key(lanes_load(round[i])));
}

LANES void decrypt256(const struct cipher *cipher, lanes *blocks, unsigned pairs)
{
	const unsigned stride = PAIRED;
	const __u8 *key = cipher->keys;
	unsigned i, round;

	UNROLL for (i = 0; i < pairs; i++) blocks[i] =
		lanes_xor(blocks[i], lanes_both(load(key + stride * 14)));
	UNROLL for (round = 13; round > 0; round--) ROUND(lanes_inverse_round, round);
	ROUND(lanes_last_inverse_round, 0);
}

/* `chain`: the ciphertext block in front. All is read before anything is written. */
LANES __m128i cbc_pairs(const struct cipher *cipher, __m128i chain, const __u8 *in, __u8 *out, unsigned pairs)
{
	lanes blocks[LANES_WIDE], front[LANES_WIDE];
	unsigned i;

	UNROLL for (i = 0; i < pairs; i++)
	{
		blocks[i] = lanes_load(in + 32 * i);
		front[i] = i ? lanes_load(in + 32 * i - 16) : lanes_pair(chain, load(in));
	}
	chain = lanes_high(blocks[pairs - 1]);
	decrypt256(cipher, blocks, pairs);
	UNROLL for (i = 0; i < pairs; i++) lanes_store(out + 32 * i, lanes_xor(blocks[i], front[i]));
	return chain;
}

LANES void cbc_one(const struct cipher *cipher, const struct hk_cbc_job *job)
{
	__m128i chain = load(job->iv);
	const __u8 *in = job->in;
	__u8 *out = job->out;
	__u32 left = job->length;
	lanes last[1];

	for (; left >= 128; left -= 128, in += 128, out += 128)
		chain = cbc_pairs(cipher, chain, in, out, 4);
	for (; left >= 32; left -= 32, in += 32, out += 32)
		chain = cbc_pairs(cipher, chain, in, out, 1);
	if (!left)
		return;
	last[0] = lanes_both(load(in));
	decrypt256(cipher, last, 1);
	store(out, _mm_xor_si128(lanes_low(last[0]), chain));
}

#endif

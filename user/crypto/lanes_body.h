/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work of lanes.h, for whatever a pair of lanes is: included by lanes_*.c
 * alone, behind what they define. Blocks lie in registers as in memory; GHASH's
 * are byte-reversed, its key multiplied by x beforehand, so that products need no
 * shift (Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction and its
 * Usage for Computing the GCM Mode", 2010; NIST SP 800-38D).
 */
#include "user/crypto/lanes.h"

#include <string.h>

#include "user/base/bytes.h"

#define UNROLL _Pragma("GCC unroll 16")

#define LAST_WORD    _mm_set1_epi32(0x0f0e0d0c) /* SubWord of an even round key */
#define ROTATED_WORD _mm_set1_epi32(0x0c0f0e0d) /* SubWord and RotWord */
#define BIG_COUNTER  _mm_set_epi32(0x0c0d0e0f, 0x0b0a0908, 0x07060504, 0x03020100)
#define REVERSED     _mm_set_epi32(0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f)
#define POLYNOMIAL   _mm_set_epi64x((long long)0xc200000000000000, 1) /* x^128 + x^127 + x^126 + x^121 + 1 */

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

/* --- batches --------------------------------------------------------------------------------- */

struct slice {
	unsigned count;
	const __u8 *keys[HK_LANES_SLICE];
	__u32 sizes[HK_LANES_SLICE];
	struct cipher ciphers[HK_LANES_SLICE];
};

LANES void take_key(struct slice *slice, unsigned i, const __u8 *key, __u32 size)
{
	slice->keys[i] = key;
	slice->sizes[i] = size;
	slice->ciphers[i].rounds = size == 32 ? 14 : 10;
}

/* Two neighbours at once; one whose neighbour has another size of key goes with itself. */
LANES void expand_slice(struct hk_lanes_space *space, struct slice *slice)
{
	unsigned i = 0, other, pair;

	for (pair = 0; i < slice->count; pair++) {
		other = i + 1 < slice->count && slice->sizes[i + 1] == slice->sizes[i] ? i + 1 : i;
		if (slice->sizes[i] == 32)
			expand256(space->schedules[pair], slice->keys[i], slice->keys[other]);
		else
			expand128(space->schedules[pair], slice->keys[i], slice->keys[other]);
		slice->ciphers[other].keys = space->schedules[pair][0] + 16;
		slice->ciphers[i].keys = space->schedules[pair][0];
		i = other + 1;
	}
}

LANES_CALL void ctr_slice(struct hk_lanes_space *space, const struct hk_ctr_job *jobs, unsigned count)
{
	struct slice slice = {.count = count};
	unsigned i;

	for (i = 0; i < count; i++)
		take_key(&slice, i, jobs[i].key, jobs[i].key_size);
	expand_slice(space, &slice);
	for (i = 0; i < count; i++)
		ctr_one(&slice.ciphers[i], &jobs[i]);
}

LANES_CALL void cbc_slice(struct hk_lanes_space *space, const struct hk_cbc_job *jobs, unsigned count)
{
	struct slice slice = {.count = count};
	unsigned i;

	for (i = 0; i < count; i++)
		take_key(&slice, i, jobs[i].key, 32);
	expand_slice(space, &slice);
	for (i = 0; i < (count + 1) / 2; i++)
		invert256(space->schedules[i]);
	for (i = 0; i < count; i++)
		cbc_one(&slice.ciphers[i], &jobs[i]);
}

LANES_CALL void gcm_slice(struct hk_lanes_space *space, struct hk_gcm_job *jobs, unsigned count)
{
	struct slice slice = {.count = count};
	unsigned i;

	for (i = 0; i < count; i++)
		take_key(&slice, i, jobs[i].key, jobs[i].key_size);
	expand_slice(space, &slice);
	for (i = 0; i < count; i++)
		gcm_prepare(&slice.ciphers[i], &jobs[i], space->powers[i], space->masks[i]);
	for (i = 0; i < count; i++) {
		jobs[i].verified = gcm_one(&slice.ciphers[i], &jobs[i], space->powers[i], space->masks[i]);
		if (!jobs[i].verified && jobs[i].length)
			memset(jobs[i].out, 0, jobs[i].length);
	}
}

#define IN_SLICES(call)                                              \
	for (__u32 n; count; jobs += n, count -= n) {                \
		n = count < HK_LANES_SLICE ? count : HK_LANES_SLICE; \
		call(space, jobs, n);                                \
	}

static void ctr(struct hk_lanes_space *space, const struct hk_ctr_job *jobs, __u32 count)
{
	IN_SLICES(ctr_slice)
}

static void cbc(struct hk_lanes_space *space, const struct hk_cbc_job *jobs, __u32 count)
{
	IN_SLICES(cbc_slice)
}

static void gcm_open(struct hk_lanes_space *space, struct hk_gcm_job *jobs, __u32 count){IN_SLICES(gcm_slice)}

/* --- CMAC (NIST SP 800-38B) ------------------------------------------------------------------ */

/* Messages stand `step` bytes apart; 0: one message in both lanes. */
LANES void cmac_chains(const struct hk_kdf_key *key, __u32 blocks, const __u8 *messages, size_t step,
	lanes *chains, unsigned pairs)
{
	const struct cipher cipher = {key->schedule, 14};
	const lanes last = lanes_both(load(key->k1)), zero = lanes_both(_mm_setzero_si128());
	__u32 position;
	unsigned i;

	UNROLL for (i = 0; i < pairs; i++) chains[i] = zero;
	for (position = 1; position <= blocks; position++, messages += 16) {
		UNROLL for (i = 0; i < pairs; i++)
		{
			const lanes block = lanes_pair(
				load(messages + 2 * i * step), load(messages + (2 * i + 1) * step));

			chains[i] = lanes_xor(chains[i], lanes_xor(block, position == blocks ? last : zero));
		}
		encrypt(&cipher, ALONE, chains, pairs);
	}
}

LANES_CALL void cmac(const struct hk_kdf_key *key, __u32 count, __u32 blocks, const __u8 *messages, __u8 *out)
{
	const size_t step = (size_t)blocks * 16;
	lanes chains[LANES_WIDE];
	unsigned i;

	for (; count >= 2 * LANES_WIDE; count -= 2 * LANES_WIDE, messages += 2 * LANES_WIDE * step) {
		cmac_chains(key, blocks, messages, step, chains, LANES_WIDE);
		UNROLL for (i = 0; i < LANES_WIDE; i++, out += 32) lanes_store(out, chains[i]);
	}
	for (; count >= 2; count -= 2, messages += 2 * step, out += 32) {
		cmac_chains(key, blocks, messages, step, chains, 1);
		lanes_store(out, chains[0]);
	}
	if (count) {
		cmac_chains(key, blocks, messages, 0, chains, 1);
		store(out, lanes_low(chains[0]));
	}
}

const struct hk_lanes LANES_NAME = {.cmac = cmac, .ctr = ctr, .cbc = cbc, .gcm_open = gcm_open};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work of lanes.h, for whatever a pair of lanes is: included by lanes_*.c
 * alone, behind what they define. Batches and CMAC stand here; lanes_aes.h and
 * lanes_gcm.h say what is done with a packet.
 */
#include "user/crypto/lanes_gcm.h"

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

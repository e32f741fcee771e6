// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fast backend: intel-ipsec-mb, a library made for packets.
 *
 * What makes it fast (tests/bench/memory.c measures it): the KDF blocks of a
 * whole batch go through one ECB job, K1 already folded in; derived keys are
 * expanded for encryption only where CTR needs no more; one burst call takes
 * all CTR jobs of a key size. Bursts refuse ECB jobs in version 1.3, hence the job call.
 *
 * The burst calls check nothing, so nothing unchecked may reach them: lengths
 * and key sizes are set here. Encrypts nothing but KDF blocks.
 */
#include <errno.h>
#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/backend.h"
#include "user/crypto/gcmcache.h"

#define SCHEDULE (15 * 16)

typedef void (*expand_t)(const void *key, void *schedule);

struct ipsecmb {
	struct hk_crypto base;
	IMB_MGR *manager;
	size_t manager_size;
	expand_t expand128, expand256; /* encryption round keys alone */
	IMB_JOB hashes[HK_CRYPTO_BATCH_MAX];
	IMB_JOB jobs[HK_CRYPTO_BATCH_MAX]; /* job i always uses the schedules i */
	__u8 schedules[HK_CRYPTO_BATCH_MAX][SCHEDULE] __attribute__((aligned(64)));
	__u8 inverse[HK_CRYPTO_BATCH_MAX][SCHEDULE] __attribute__((aligned(64)));
	struct gcm_context_data context HK_GCM_ALIGNED;
	struct hk_gcm_cache cache;
};

static struct ipsecmb *self(struct hk_crypto *crypto)
{
	return (struct ipsecmb *)crypto;
}

bool hk_crypto_ipsecmb_suits(__u64 features)
{
	return (features & IMB_CPUFLAGS_SSE) == IMB_CPUFLAGS_SSE && !(features & IMB_FEATURE_AESNI_EMU);
}

static bool choose_expansion(struct ipsecmb *state, IMB_ARCH arch)
{
	switch (arch) {
	case IMB_ARCH_SSE:
		state->expand128 = aes_keyexp_128_enc_sse;
		state->expand256 = aes_keyexp_256_enc_sse;
		return true;
	case IMB_ARCH_AVX:
		state->expand128 = aes_keyexp_128_enc_avx;
		state->expand256 = aes_keyexp_256_enc_avx;
		return true;
	case IMB_ARCH_AVX2:
		state->expand128 = aes_keyexp_128_enc_avx2;
		state->expand256 = aes_keyexp_256_enc_avx2;
		return true;
	case IMB_ARCH_AVX512:
		state->expand128 = aes_keyexp_128_enc_avx512;
		state->expand256 = aes_keyexp_256_enc_avx512;
		return true;
	default: return false; /* emulated AES: neither fast nor constant in time */
	}
}

/* What never changes in the burst jobs is set once. */
static void prepare_jobs(struct ipsecmb *state)
{
	for (unsigned i = 0; i < HK_CRYPTO_BATCH_MAX; i++) {
		IMB_JOB *job = &state->jobs[i];

		job->enc_keys = state->schedules[i];
		job->dec_keys = state->inverse[i];
		job->iv_len_in_bytes = 16;
		job->hash_alg = IMB_AUTH_NULL;
		job->chain_order = IMB_ORDER_CIPHER_HASH;
		job = &state->hashes[i];
		job->cipher_mode = IMB_CIPHER_NULL;
		job->hash_alg = IMB_AUTH_HMAC_SHA_256;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
		job->auth_tag_output_len_in_bytes = 32;
	}
}

static void release(struct ipsecmb *state)
{
	if (state->manager) {
		hk_wipe(state->manager, state->manager_size);
		free(state->manager);
	}
	hk_wipe(state, sizeof(*state));
	free(state);
}

static void destroy(struct hk_crypto *crypto)
{
	release(self(crypto));
}

static void forget(struct hk_crypto *crypto)
{
	struct hk_gcm_cache *cache = &self(crypto)->cache;

	hk_wipe(cache, sizeof(*cache));
	hk_gcm_cache_init(cache);
}

/* The manager lies in memory of our own, so that we can wipe it. */
static int start_manager(struct ipsecmb *state)
{
	IMB_ARCH arch = IMB_ARCH_NONE;
	void *memory;

	state->manager_size = imb_get_mb_mgr_size();
	memory = aligned_alloc(64, (state->manager_size + 63) / 64 * 64);
	if (!memory)
		return ENOMEM;
	memset(memory, 0, state->manager_size);
	state->manager = memory;
	if (!imb_set_pointers_mb_mgr(memory, 0, 1))
		return ENOTSUP;
	init_mb_mgr_auto(state->manager, &arch);
	if (imb_get_errno(state->manager) || !choose_expansion(state, arch))
		return ENOTSUP;
	return 0;
}

static struct hk_crypto *create(void)
{
	struct ipsecmb *state;
	int code;

	if (!hk_crypto_ipsecmb_suits(imb_get_feature_flags())) {
		errno = ENOTSUP;
		return NULL;
	}
	state = aligned_alloc(64, (sizeof(*state) + 63) / 64 * 64);
	if (!state)
		return NULL;
	memset(state, 0, sizeof(*state));
	code = start_manager(state);
	if (code) {
		release(state);
		errno = code;
		return NULL;
	}
	prepare_jobs(state);
	hk_gcm_cache_init(&state->cache);
	return &state->base;
}

static void ecb(struct ipsecmb *state, const struct hk_kdf_key *key, __u8 *blocks, size_t size)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(state->manager);

	job->cipher_mode = IMB_CIPHER_ECB;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->hash_alg = IMB_AUTH_NULL;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->enc_keys = key->schedule;
	job->dec_keys = key->schedule; /* unused */
	job->key_len_in_bytes = 32;
	job->src = blocks;
	job->dst = blocks;
	job->iv = NULL;
	job->iv_len_in_bytes = 0;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = size;
	job = IMB_SUBMIT_JOB_NOCHECK(state->manager);
	if (!job || job->status != IMB_STATUS_COMPLETED)
		hk_crypto_broken("the ECB job");
}

static void cmac(struct hk_crypto *crypto, const struct hk_kdf_key *key, __u32 count, __u32 blocks,
	const __u8 *messages, __u8 *out)
{
	for (__u32 position = 0; position < blocks; position++) {
		hk_crypto_cmac_fold(key, count, blocks, position, messages, out);
		ecb(self(crypto), key, out, (size_t)count * 16);
	}
}

/* One burst hashes several messages side by side. */
static void hmac(struct hk_crypto *crypto, struct hk_hmac_job *jobs, __u32 count)
{
	struct ipsecmb *state = self(crypto);

	for (__u32 i = 0; i < count; i++) {
		IMB_JOB *to = &state->hashes[i];

		to->u.HMAC._hashed_auth_key_xor_ipad = (const uint8_t *)jobs[i].key->inner;
		to->u.HMAC._hashed_auth_key_xor_opad = (const uint8_t *)jobs[i].key->outer;
		to->src = jobs[i].message;
		to->msg_len_to_hash_in_bytes = jobs[i].length;
		to->auth_tag_output = jobs[i].out;
	}
	if (IMB_SUBMIT_HASH_BURST_NOCHECK(state->manager, state->hashes, count, IMB_AUTH_HMAC_SHA_256) !=
		count)
		hk_crypto_broken("a hash burst");
}

static void burst(struct ipsecmb *state, __u32 first, __u32 count, IMB_CIPHER_MODE mode, __u32 key_size)
{
	if (count && IMB_SUBMIT_CIPHER_BURST_NOCHECK(state->manager, &state->jobs[first], count, mode,
			     IMB_DIR_DECRYPT, key_size) != count)
		hk_crypto_broken("a cipher burst");
}

static void ctr_fill(struct ipsecmb *state, __u32 slot, const struct hk_ctr_job *job, __u32 length)
{
	IMB_JOB *to = &state->jobs[slot];

	(job->key_size == 32 ? state->expand256 : state->expand128)(job->key, state->schedules[slot]);
	to->key_len_in_bytes = job->key_size;
	to->src = job->in;
	to->dst = job->out;
	to->iv = job->counter;
	to->msg_len_to_cipher_in_bytes = length;
}

/* Behind the wrap of the counter's low 32 bits; no packet gets here, so it may be slow. */
static void ctr_rest(struct ipsecmb *state, const struct hk_ctr_job *job, __u32 done)
{
	struct hk_ctr_job rest = *job;

	rest.in += done;
	rest.out += done;
	memset(rest.counter + 12, 0, 4);
	ctr_fill(state, 0, &rest, job->length - done);
	burst(state, 0, 1, IMB_CIPHER_CNTR, rest.key_size);
}

/* 256-bit keys fill the job table from its start, 128-bit keys from its end: one burst each. */
static void ctr(struct hk_crypto *crypto, struct hk_ctr_job *jobs, __u32 count)
{
	struct ipsecmb *state = self(crypto);
	__u32 low = 0, high = HK_CRYPTO_BATCH_MAX;
	bool wraps = false;

	for (__u32 i = 0; i < count; i++) {
		const __u32 head = hk_ctr_until_wrap(&jobs[i]);

		wraps |= head != jobs[i].length;
		if (head)
			ctr_fill(state, jobs[i].key_size == 32 ? low++ : --high, &jobs[i], head);
	}
	burst(state, 0, low, IMB_CIPHER_CNTR, 32);
	burst(state, high, HK_CRYPTO_BATCH_MAX - high, IMB_CIPHER_CNTR, 16);
	for (__u32 i = 0; wraps && i < count; i++)
		if (hk_ctr_until_wrap(&jobs[i]) != jobs[i].length)
			ctr_rest(state, &jobs[i], hk_ctr_until_wrap(&jobs[i]));
}

static void cbc(struct hk_crypto *crypto, struct hk_cbc_job *jobs, __u32 count)
{
	struct ipsecmb *state = self(crypto);

	for (__u32 i = 0; i < count; i++) {
		IMB_JOB *to = &state->jobs[i];

		IMB_AES_KEYEXP_256(state->manager, jobs[i].key, state->schedules[i], state->inverse[i]);
		to->key_len_in_bytes = 32;
		to->src = jobs[i].in;
		to->dst = jobs[i].out;
		to->iv = jobs[i].iv;
		to->msg_len_to_cipher_in_bytes = jobs[i].length;
	}
	burst(state, 0, count, IMB_CIPHER_CBC, 32);
}

static void gcm_expand(struct ipsecmb *state, const struct hk_gcm_job *job, struct gcm_key_data *out)
{
	if (job->key_size == 32)
		IMB_AES256_GCM_PRE(state->manager, job->key, out);
	else
		IMB_AES128_GCM_PRE(state->manager, job->key, out);
}

static const struct gcm_key_data *gcm_key(struct ipsecmb *state, const struct hk_gcm_job *job)
{
	struct gcm_key_data *place;

	if (hk_gcm_cache_find(&state->cache, job, &place))
		return place;
	gcm_expand(state, job, place);
	return place;
}

static bool gcm_one(struct ipsecmb *state, struct hk_gcm_job *job)
{
	static const __u8 none[16]; /* the library wants no null pointer, even for nothing */
	const struct gcm_key_data *key = gcm_key(state, job);
	const __u8 *in = job->length ? job->in : none, *aad = job->aad_length ? job->aad : none;
	__u8 nothing[16], tag[HK_GCM_TAG_SIZE] = {0}, expected[HK_GCM_TAG_SIZE];
	__u8 *out = job->length ? job->out : nothing;
	const size_t tag_size = job->tag_size ? job->tag_size : HK_GCM_TAG_SIZE;

	memcpy(expected, job->tag, tag_size); /* `out` may overlap it */
	if (job->key_size == 32)
		IMB_AES256_GCM_DEC(state->manager, key, &state->context, out, in, job->length, job->nonce,
			aad, job->aad_length, tag, sizeof(tag));
	else
		IMB_AES128_GCM_DEC(state->manager, key, &state->context, out, in, job->length, job->nonce,
			aad, job->aad_length, tag, sizeof(tag));
	job->verified = hk_equal(tag, expected, tag_size);
	hk_wipe(tag, sizeof(tag)); /* for this ciphertext it would be a forgery */
	return job->verified;
}

static void gcm_open(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count)
{
	for (__u32 i = 0; i < count; i++)
		if (!gcm_one(self(crypto), &jobs[i]) && jobs[i].length)
			memset(jobs[i].out, 0, jobs[i].length);
}

const struct hk_crypto_backend hk_crypto_ipsecmb = {
	.name = "ipsec-mb",
	.create = create,
	.destroy = destroy,
	.forget = forget,
	.cmac = cmac,
	.hmac = hmac,
	.ctr = ctr,
	.cbc = cbc,
	.gcm_open = gcm_open,
};

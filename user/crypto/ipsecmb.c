// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fast backend: intel-ipsec-mb, a library made for packets, for what it does
 * best (HMAC, a batch in one burst), and lanes.h for AES keys that serve one packet.
 *
 * The burst call checks nothing, so nothing unchecked may reach it: lengths
 * are set here. Encrypts nothing but KDF blocks.
 */
#include <errno.h>
#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/backend.h"
#include "user/crypto/lanes.h"

struct ipsecmb {
	struct hk_crypto base;
	IMB_MGR *manager;
	size_t manager_size;
	const struct hk_lanes *lanes;
	IMB_JOB hashes[HK_CRYPTO_BATCH_MAX];
	struct hk_lanes_space space;
};

static struct ipsecmb *self(struct hk_crypto *crypto)
{
	return (struct ipsecmb *)crypto;
}

bool hk_crypto_ipsecmb_suits(__u64 features)
{
	return (features & IMB_CPUFLAGS_SSE) == IMB_CPUFLAGS_SSE && !(features & IMB_FEATURE_AESNI_EMU);
}

/* What never changes in the burst jobs is set once. */
static void prepare_jobs(struct ipsecmb *state)
{
	for (unsigned i = 0; i < HK_CRYPTO_BATCH_MAX; i++) {
		IMB_JOB *job = &state->hashes[i];

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

void hk_crypto_ipsecmb_use(struct hk_crypto *crypto, const struct hk_lanes *lanes)
{
	self(crypto)->lanes = lanes;
}

static void destroy(struct hk_crypto *crypto)
{
	release(self(crypto));
}

static void forget(struct hk_crypto *crypto)
{
	struct ipsecmb *state = self(crypto);

	hk_wipe(&state->space, sizeof(state->space));
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
	state->lanes = hk_lanes_choose();
	/* emulated AES would be neither fast nor constant in time */
	if (imb_get_errno(state->manager) || arch < IMB_ARCH_SSE || !state->lanes)
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
	return &state->base;
}

static void cmac(struct hk_crypto *crypto, const struct hk_kdf_key *key, __u32 count, __u32 blocks,
	const __u8 *messages, __u8 *out)
{
	self(crypto)->lanes->cmac(key, count, blocks, messages, out);
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

static void ctr(struct hk_crypto *crypto, struct hk_ctr_job *jobs, __u32 count)
{
	self(crypto)->lanes->ctr(&self(crypto)->space, jobs, count);
}

static void gcm_open(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count)
{
	self(crypto)->lanes->gcm_open(&self(crypto)->space, jobs, count);
}

static void cbc(struct hk_crypto *crypto, struct hk_cbc_job *jobs, __u32 count)
{
	self(crypto)->lanes->cbc(&self(crypto)->space, jobs, count);
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

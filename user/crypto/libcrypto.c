// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The portable backend: OpenSSL's libcrypto through EVP. It runs everywhere
 * and is the independent check of the other; speed comes second.
 *
 * Encrypts nothing but KDF blocks: CTR, CBC and GCM are only ever opened.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: the EVP interface allocates for each key */
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/backend.h"

struct libcrypto {
	struct hk_crypto base;
	EVP_CIPHER_CTX *ecb;	/* AES-256, for the KDF */
	EVP_CIPHER_CTX *ctr[2]; /* 128 and 256 bits of key */
	EVP_CIPHER_CTX *gcm[2];
	EVP_CIPHER_CTX *cbc;
};

static struct libcrypto *self(struct hk_crypto *crypto)
{
	return (struct libcrypto *)crypto;
}

static void destroy(struct hk_crypto *crypto)
{
	struct libcrypto *state = self(crypto);

	EVP_CIPHER_CTX_free(state->ecb); /* wipes the schedules inside */
	for (int i = 0; i < 2; i++) {
		EVP_CIPHER_CTX_free(state->ctr[i]);
		EVP_CIPHER_CTX_free(state->gcm[i]);
	}
	EVP_CIPHER_CTX_free(state->cbc);
	free(state);
}

/* A context bound to its cipher, so that only the key changes later. NULL on failure. */
static EVP_CIPHER_CTX *prepare(const EVP_CIPHER *cipher)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (context && EVP_CipherInit_ex2(context, cipher, NULL, NULL, 0, NULL) == 1 &&
		EVP_CIPHER_CTX_set_padding(context, 0) == 1)
		return context;
	EVP_CIPHER_CTX_free(context);
	return NULL;
}

static struct hk_crypto *create(void)
{
	struct libcrypto *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->ecb = prepare(EVP_aes_256_ecb());
	state->ctr[0] = prepare(EVP_aes_128_ctr());
	state->ctr[1] = prepare(EVP_aes_256_ctr());
	state->gcm[0] = prepare(EVP_aes_128_gcm());
	state->gcm[1] = prepare(EVP_aes_256_gcm());
	state->cbc = prepare(EVP_aes_256_cbc());
	if (state->ecb && state->ctr[0] && state->ctr[1] && state->gcm[0] && state->gcm[1] && state->cbc)
		return &state->base;
	destroy(&state->base);
	errno = ENOMEM;
	return NULL;
}

/* Blocks through ECB in place, in pieces that fit the library's int. */
static void ecb(EVP_CIPHER_CTX *context, __u8 *blocks, size_t size)
{
	const size_t piece = 1u << 30;

	while (size) {
		const int now = (int)(size < piece ? size : piece);
		int length = 0;

		if (EVP_EncryptUpdate(context, blocks, &length, blocks, now) != 1 || length != now)
			hk_crypto_broken("AES-ECB");
		blocks += now;
		size -= (size_t)now;
	}
}

static void xor16(__u8 *out, const __u8 *a, const __u8 *b)
{
	__u64 x[2], y[2];

	memcpy(x, a, 16);
	memcpy(y, b, 16);
	x[0] ^= y[0];
	x[1] ^= y[1];
	memcpy(out, x, 16);
}

/* One position of CBC-MAC over a batch: out[i] = block `position` of message i, ^ chain, ^ K1 in the last. */
static void cmac_fold(const struct hk_kdf_key *key, __u32 count, __u32 blocks, __u32 position,
	const __u8 *messages, __u8 *out)
{
	const __u8 *block = messages + (size_t)position * 16;
	const size_t stride = (size_t)blocks * 16;
	static const __u8 nothing[16];
	const __u8 *last = position + 1 == blocks ? key->k1 : nothing;

	for (__u32 i = 0; i < count; i++, block += stride, out += 16) {
		xor16(out, position ? out : nothing, block);
		xor16(out, out, last);
	}
}

static void cmac(struct hk_crypto *crypto, const struct hk_kdf_key *key, __u32 count, __u32 blocks,
	const __u8 *messages, __u8 *out)
{
	EVP_CIPHER_CTX *context = self(crypto)->ecb;

	/* The first two round keys are the key itself. */
	if (EVP_EncryptInit_ex2(context, NULL, key->schedule, NULL, NULL) != 1)
		hk_crypto_broken("AES key expansion");
	for (__u32 position = 0; position < blocks; position++) {
		cmac_fold(key, count, blocks, position, messages, out);
		ecb(context, out, (size_t)count * 16);
	}
}

/* Goes on from a state that has taken one block in. */
static void sha256_from(
	const __u32 state[8], const __u8 *message, size_t length, __u8 out[SHA256_DIGEST_LENGTH])
{
	SHA256_CTX context;

	SHA256_Init(&context);
	memcpy(context.h, state, sizeof(context.h));
	context.Nl = SHA256_CBLOCK * 8;
	if (SHA256_Update(&context, message, length) != 1 || SHA256_Final(out, &context) != 1)
		hk_crypto_broken("SHA-256");
	hk_wipe(&context, sizeof(context));
}

static void hmac(struct hk_crypto *crypto, struct hk_hmac_job *jobs, __u32 count)
{
	__u8 digest[SHA256_DIGEST_LENGTH];

	(void)crypto;
	for (__u32 i = 0; i < count; i++) {
		sha256_from(jobs[i].key->inner, jobs[i].message, jobs[i].length, digest);
		sha256_from(jobs[i].key->outer, digest, sizeof(digest), jobs[i].out);
	}
	hk_wipe(digest, sizeof(digest));
}

static void ctr_run(EVP_CIPHER_CTX *context, const __u8 *key, const __u8 counter[16], const __u8 *in,
	__u8 *out, __u32 size)
{
	int length = 0;

	if (EVP_DecryptInit_ex2(context, NULL, key, counter, NULL) != 1 ||
		EVP_DecryptUpdate(context, out, &length, in, (int)size) != 1 || (__u32)length != size)
		hk_crypto_broken("AES-CTR");
}

/*
 * How many bytes of a CTR job come before the counter's low 32 bits start again
 * at 0. The library would carry into the nonce there, so the job is split.
 */
static __u32 until_wrap(const struct hk_ctr_job *job)
{
	const __u8 *low = job->counter + 12;
	const __u64 counter = (__u32)low[0] << 24 | (__u32)low[1] << 16 | (__u32)low[2] << 8 | low[3];
	const __u64 bytes = (0x100000000ull - counter) * 16;

	return job->length < bytes ? job->length : (__u32)bytes;
}

static void ctr_one(EVP_CIPHER_CTX *context, const struct hk_ctr_job *job)
{
	const __u32 head = until_wrap(job);
	__u8 counter[16];

	if (job->length > INT_MAX)
		hk_crypto_broken("AES-CTR: a message beyond 2 GiB");
	ctr_run(context, job->key, job->counter, job->in, job->out, head);
	if (head == job->length)
		return;
	memcpy(counter, job->counter, 12);
	memset(counter + 12, 0, 4);
	ctr_run(context, job->key, counter, job->in + head, job->out + head, job->length - head);
}

static void ctr(struct hk_crypto *crypto, struct hk_ctr_job *jobs, __u32 count)
{
	for (__u32 i = 0; i < count; i++)
		if (jobs[i].length)
			ctr_one(self(crypto)->ctr[jobs[i].key_size == 32], &jobs[i]);
}

static void cbc(struct hk_crypto *crypto, struct hk_cbc_job *jobs, __u32 count)
{
	EVP_CIPHER_CTX *context = self(crypto)->cbc;

	for (__u32 i = 0; i < count; i++) {
		int length = 0;

		if (EVP_DecryptInit_ex2(context, NULL, jobs[i].key, jobs[i].iv, NULL) != 1 ||
			EVP_DecryptUpdate(context, jobs[i].out, &length, jobs[i].in, (int)jobs[i].length) !=
				1 ||
			(__u32)length != jobs[i].length)
			hk_crypto_broken("AES-CBC");
	}
}

static bool gcm_one(EVP_CIPHER_CTX *context, const struct hk_gcm_job *job)
{
	const int tag_size = job->tag_size ? job->tag_size : HK_GCM_TAG_SIZE;
	__u8 tag[HK_GCM_TAG_SIZE];
	int length;

	memcpy(tag, job->tag, (size_t)tag_size);
	return EVP_DecryptInit_ex2(context, NULL, job->key, job->nonce, NULL) == 1 &&
	       (!job->aad_length ||
		       EVP_DecryptUpdate(context, NULL, &length, job->aad, (int)job->aad_length) == 1) &&
	       (!job->length ||
		       EVP_DecryptUpdate(context, job->out, &length, job->in, (int)job->length) == 1) &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_size, tag) == 1 &&
	       EVP_DecryptFinal_ex(context, tag, &length) == 1;
}

static void gcm_open(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count)
{
	for (__u32 i = 0; i < count; i++) {
		jobs[i].verified = gcm_one(self(crypto)->gcm[jobs[i].key_size == 32], &jobs[i]);
		if (!jobs[i].verified && jobs[i].length)
			hk_wipe(jobs[i].out, jobs[i].length);
	}
}

const struct hk_crypto_backend hk_crypto_libcrypto = {
	.name = "libcrypto",
	.create = create,
	.destroy = destroy,
	.cmac = cmac,
	.hmac = hmac,
	.ctr = ctr,
	.cbc = cbc,
	.gcm_open = gcm_open,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two backends against each other, the fast one with the best lanes of this CPU and with those of
 * older ones: thousands of seeded random batches of
 * every count, lengths 0..2000 and a few up to 65535, any alignment, in place
 * and not; and reads that end exactly where memory ends.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "tests/unit/harness.h"
#include "user/crypto/backend.h"
#include "user/crypto/lanes.h"

#define BATCH  HK_CRYPTO_BATCH_MAX
#define SLOT   (65535 + 64) /* room for the longest message at any alignment */
#define CANARY 0xc7

static struct hk_crypto *fast, *plain;
static struct hk_crypto *kinds[2]; /* of `fast` */
static __u64 seed = 20221117;
static __u8 *input, *output[2];
static __u8 keys[BATCH][32], ivs[BATCH][16], tags[BATCH][16];

static __u32 below(__u32 limit)
{
	return (__u32)(random_next(&seed) % limit);
}

static void fill(void *bytes, size_t size)
{
	__u8 *to = bytes;

	for (; size; to++, size--)
		*to = (__u8)random_next(&seed);
}

static bool ready(void)
{
	if (fast)
		return true;
	skip_test("this CPU cannot run ipsec-mb: no AES or carry-less multiplication instructions");
	return false;
}

/* Counts 1..64 in turn, so that each comes up equally often. */
static __u32 batch_size(unsigned round)
{
	return round % BATCH + 1;
}

static __u32 message_size(unsigned round)
{
	return round % 97 == 0 ? below(65536) : below(2001);
}

/* Where job `slot` of one backend puts its output: over a copy of the input, or apart from it. */
static __u8 *place(__u32 slot, unsigned backend, __u32 length)
{
	__u8 *out = output[backend] + (size_t)slot * SLOT + below(32);

	out[length] = CANARY;
	return out;
}

static const __u8 *source(__u32 slot)
{
	return input + (size_t)slot * SLOT + below(32);
}

/* The same job for both backends, each with buffers and alignment of its own. */
static void ctr_batch(unsigned round)
{
	struct hk_ctr_job jobs[2][BATCH];
	const __u32 count = batch_size(round);

	for (__u32 i = 0; i < count; i++) {
		struct hk_ctr_job job = {.key = keys[i],
			.key_size = below(2) ? 32 : 16,
			.length = message_size(round * BATCH + i)};

		fill(job.counter, 16);
		if (below(4) == 0)
			memset(job.counter + 12, 0xff, 3); /* close to the wrap */
		job.in = source(i);
		for (unsigned b = 0; b < 2; b++) {
			jobs[b][i] = job;
			jobs[b][i].out = place(i, b, job.length);
			if (below(2)) { /* in place */
				memcpy(jobs[b][i].out, job.in, job.length);
				jobs[b][i].in = jobs[b][i].out;
			}
		}
	}
	hk_crypto_ctr(fast, jobs[0], count);
	hk_crypto_ctr(plain, jobs[1], count);
	for (__u32 i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(memcmp(jobs[0][i].out, jobs[1][i].out, jobs[0][i].length), 0);
		CU_ASSERT_EQUAL(jobs[0][i].out[jobs[0][i].length], CANARY);
		CU_ASSERT_EQUAL(jobs[1][i].out[jobs[1][i].length], CANARY);
	}
}

static void cbc_batch(unsigned round)
{
	struct hk_cbc_job jobs[2][BATCH];
	const __u32 count = batch_size(round);

	for (__u32 i = 0; i < count; i++) {
		struct hk_cbc_job job = {
			.key = keys[i], .iv = ivs[i], .in = source(i), .length = (1 + below(125)) * 16};

		for (unsigned b = 0; b < 2; b++) {
			jobs[b][i] = job;
			jobs[b][i].out = place(i, b, job.length);
		}
	}
	hk_crypto_cbc(fast, jobs[0], count);
	hk_crypto_cbc(plain, jobs[1], count);
	for (__u32 i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(memcmp(jobs[0][i].out, jobs[1][i].out, jobs[0][i].length), 0);
		CU_ASSERT_EQUAL(jobs[0][i].out[jobs[0][i].length], CANARY);
	}
}

/* The tag a sender would put there. */
static void tag_of(const struct hk_gcm_job *job, __u8 tag[16])
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	__u8 *text = malloc(job->length + 1), *cipher = malloc(job->length + 1);
	int length;

	/* Encrypting the ciphertext gives the plaintext; encrypting that gives the tag of the ciphertext. */
	for (unsigned pass = 0; pass < 2; pass++) {
		EVP_EncryptInit_ex(context, job->key_size == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), NULL,
			job->key, job->nonce);
		if (job->aad_length)
			EVP_EncryptUpdate(context, NULL, &length, job->aad, (int)job->aad_length);
		if (job->length)
			EVP_EncryptUpdate(context, pass ? cipher : text, &length, pass ? text : job->in,
				(int)job->length);
		EVP_EncryptFinal_ex(context, cipher, &length);
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag);
	}
	EVP_CIPHER_CTX_free(context);
	free(text);
	free(cipher);
}

static bool all_zero(const __u8 *bytes, __u32 size)
{
	__u8 any = 0;

	while (size--)
		any |= *bytes++;
	return !any;
}

static void gcm_batch(unsigned round)
{
	struct hk_gcm_job jobs[2][BATCH];
	const __u32 count = batch_size(round);
	bool good[BATCH];

	for (__u32 i = 0; i < count; i++) {
		struct hk_gcm_job job = {.key = keys[below(BATCH)],
			.key_size = below(2) ? 32 : 16,
			.length = message_size(round * BATCH + i),
			.aad_length = below(65),
			.tag = tags[i],
			.aad = input + below(SLOT),
			.in = source(i)};

		fill(job.nonce, 12);
		good[i] = below(4) != 0;
		for (unsigned b = 0; b < 2; b++) {
			jobs[b][i] = job;
			jobs[b][i].out = place(i, b, job.length);
		}
		tag_of(&jobs[0][i], tags[i]);
		if (!good[i])
			tags[i][below(16)] ^= (__u8)(1u << below(8));
	}
	hk_crypto_gcm_open(fast, jobs[0], count);
	hk_crypto_gcm_open(plain, jobs[1], count);
	for (__u32 i = 0; i < count; i++) {
		const __u32 length = jobs[0][i].length;

		CU_ASSERT_EQUAL(jobs[0][i].verified, good[i]);
		CU_ASSERT_EQUAL(jobs[1][i].verified, good[i]);
		CU_ASSERT_EQUAL(memcmp(jobs[0][i].out, jobs[1][i].out, length), 0);
		CU_ASSERT_EQUAL(jobs[0][i].out[length], CANARY);
		if (!good[i])
			CU_ASSERT_TRUE(all_zero(jobs[0][i].out, length));
	}
}

static void cmac_batch(unsigned round)
{
	__u8 messages[2][1000 * 16], out[2][1000 * 16];
	const __u32 blocks = 1 + below(5), count = 1 + below(1000 / blocks);
	struct hk_kdf_key key;

	CU_ASSERT_EQUAL(hk_kdf_key_init(&key, keys[round % BATCH]), 0);
	fill(messages[0], (size_t)count * blocks * 16);
	memcpy(messages[1], messages[0], sizeof(messages[1]));
	hk_crypto_cmac(fast, &key, count, blocks, messages[0], out[0]);
	hk_crypto_cmac(plain, &key, count, blocks, messages[1], out[1]);
	CU_ASSERT_EQUAL(memcmp(out[0], out[1], (size_t)count * 16), 0);
	CU_ASSERT_TRUE(all_zero(messages[0], count * blocks * 16));
}

static void batches(void (*run)(unsigned round), unsigned rounds)
{
	if (!ready())
		return;
	for (unsigned round = 0; round < rounds; round++) {
		fast = kinds[round / BATCH % 2];
		fill(keys, sizeof(keys));
		fill(ivs, sizeof(ivs));
		run(round);
	}
}

static void ctr_agree(void)
{
	batches(ctr_batch, 3000);
}

static void cbc_agree(void)
{
	batches(cbc_batch, 1500);
}

static void gcm_agree(void)
{
	batches(gcm_batch, 1500);
}

static void cmac_agree(void)
{
	batches(cmac_batch, 1500);
}

/* The last byte of a page whose neighbour must not be touched, before and behind. */
static __u8 *fenced_page(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	__u8 *area = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(area != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(mprotect(area + page, page, PROT_READ | PROT_WRITE), 0);
	return area + page;
}

/* Every length 0..600 with its end, then its start, at the fence; keys, IVs and tags too. */
static void at_the_fence(struct hk_crypto *crypto)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	__u8 *in = fenced_page(), *out = fenced_page(), *key = fenced_page(), *small = fenced_page();

	for (__u32 length = 0; length <= 600; length++)
		for (unsigned start = 0; start < 2; start++) {
			const size_t at = start ? 0 : page - length;
			const __u32 key_size = length & 1 ? 32 : 16;
			struct hk_ctr_job ctr = {.key = key + page - key_size,
				.key_size = key_size,
				.in = in + at,
				.out = out + at,
				.length = length};
			struct hk_gcm_job gcm = {.key = ctr.key,
				.key_size = key_size,
				.in = in + at,
				.out = out + at,
				.length = length,
				.tag = small + page - 16,
				.aad = small + page - length % 40,
				.aad_length = length % 40};
			struct hk_cbc_job cbc = {.key = key + page - 32,
				.in = in + (start ? 0 : page - (length & ~15u)),
				.out = out + (start ? 0 : page - (length & ~15u)),
				.length = length & ~15u,
				.iv = small + page - 16};

			hk_crypto_ctr(crypto, &ctr, 1);
			hk_crypto_gcm_open(crypto, &gcm, 1);
			CU_ASSERT_FALSE(gcm.verified);
			if (cbc.length)
				hk_crypto_cbc(crypto, &cbc, 1);
		}
	munmap(in - page, 3 * page);
	munmap(out - page, 3 * page);
	munmap(key - page, 3 * page);
	munmap(small - page, 3 * page);
}

static void nothing_beyond_the_end(void)
{
	at_the_fence(plain);
	for (unsigned i = 0; i < 2 && ready(); i++)
		at_the_fence(kinds[i]);
}

/* More jobs than one burst takes are split, not cut off. */
static void oversized_batch(void)
{
	struct hk_ctr_job jobs[3 * BATCH + 5];
	const unsigned count = sizeof(jobs) / sizeof(jobs[0]);

	if (!ready())
		return;
	for (unsigned i = 0; i < count; i++)
		jobs[i] = (struct hk_ctr_job){.key = keys[i % BATCH],
			.key_size = 32,
			.in = input,
			.out = output[0] + i * 64,
			.length = 64,
			.counter = {(__u8)i}};
	hk_crypto_ctr(fast, jobs, count);
	for (unsigned i = 0; i < count; i++)
		jobs[i].out = output[1] + i * 64;
	hk_crypto_ctr(plain, jobs, count);
	CU_ASSERT_EQUAL(memcmp(output[0], output[1], count * 64), 0);
}

int main(void)
{
	static const struct test tests[] = {
		{"CMAC", cmac_agree},
		{"CTR", ctr_agree},
		{"CBC", cbc_agree},
		{"GCM", gcm_agree},
		{"a batch beyond the burst size", oversized_batch},
		{"nothing is touched beyond a buffer's end", nothing_beyond_the_end},
		{0},
	};
	int result;

	input = malloc((size_t)BATCH * SLOT);
	output[0] = malloc((size_t)BATCH * SLOT);
	output[1] = malloc((size_t)BATCH * SLOT);
	plain = hk_crypto_new("libcrypto");
	kinds[0] = fast = hk_crypto_new("ipsec-mb");
	kinds[1] = hk_crypto_new("ipsec-mb");
	if (kinds[1])
		hk_crypto_ipsecmb_use(kinds[1], &hk_lanes_aesni);
	if (!input || !output[0] || !output[1] || !plain)
		return 2;
	fill(input, (size_t)BATCH * SLOT);
	result = run_tests("backends", tests);
	hk_crypto_free(kinds[0]);
	hk_crypto_free(kinds[1]);
	hk_crypto_free(plain);
	free(input);
	free(output[0]);
	free(output[1]);
	return result;
}

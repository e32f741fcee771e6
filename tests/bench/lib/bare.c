// SPDX-License-Identifier: GPL-2.0-or-later
/* The bare crypto library at its best: see bare.h. */
#include "tests/bench/lib/bare.h"

#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/kdf.h"
#include "user/envelope/envelope.h"

#define BATCH	HK_CRYPTO_BATCH_MAX
#define ALIGNED __attribute__((aligned(64)))

struct bare {
	IMB_MGR *manager;
	void (*expand)(const void *key, void *schedule);
	struct hk_kdf_key master;
	unsigned each, blocks;		   /* PRF messages a packet, and blocks in each */
	__u8 template[HK_KDF_MESSAGE_MAX]; /* messages with the SPI left out, K1 folded into the last blocks
					    */
	unsigned spi_at;		   /* in the block that holds it; the same block of every message */
	IMB_JOB jobs[BATCH];
	__u8 chain[BATCH * 3 * 16] ALIGNED; /* PRF outputs, back to back: each * 16 bytes a packet */
	__u8 schedules[BATCH][15 * 16] ALIGNED;
	__u8 inverse[BATCH][15 * 16] ALIGNED;
	__u8 counters[BATCH][16];
	__u8 plain[BATCH][STREAM_FRAME_SIZE] ALIGNED;
	struct gcm_key_data key ALIGNED;
	struct gcm_context_data context ALIGNED;
	__u8 kept[32]; /* the key that `key` was made from */
};

static void choose_expansion(struct bare *bare, IMB_ARCH arch, bool wide)
{
	if (arch == IMB_ARCH_AVX512)
		bare->expand = wide ? aes_keyexp_256_enc_avx512 : aes_keyexp_128_enc_avx512;
	else if (arch == IMB_ARCH_AVX2)
		bare->expand = wide ? aes_keyexp_256_enc_avx2 : aes_keyexp_128_enc_avx2;
	else if (arch == IMB_ARCH_AVX)
		bare->expand = wide ? aes_keyexp_256_enc_avx : aes_keyexp_128_enc_avx;
	else
		bare->expand = wide ? aes_keyexp_256_enc_sse : aes_keyexp_128_enc_sse;
}

static void prepare_template(struct bare *bare, const struct bench_case *kind)
{
	const struct hk_address receiver = hk_address_v4(stream_receiver);
	const bool psp = kind->envelope == HK_ENVELOPE_PSP;
	__u8 context[HK_KDF108_CONTEXT];

	bare->each = psp ? kind->key_size / 16 : HK_KDF108_MESSAGES;
	bare->blocks = psp ? HK_KDF_PSP_BLOCKS : HK_KDF108_BLOCKS;
	bare->spi_at = psp ? 8 : 6 + 4; /* in the first block */
	hk_kdf_esp_context(context, kind->variant, 0, STREAM_MKID, 0, &receiver);
	for (unsigned n = 0; n < bare->each; n++) {
		__u8 *message = bare->template + n * bare->blocks * 16;
		__u8 *last = message + (bare->blocks - 1) * 16;

		if (psp)
			hk_kdf_psp_message(message, kind->variant, 0, n + 1);
		else
			hk_kdf108_message(message, hk_kdf_label(HK_SIDE_ENC), context, (__u8)(n + 1));
		for (unsigned i = 0; i < 16; i++)
			last[i] ^= bare->master.k1[i];
	}
}

struct bare *bare_new(const struct bench_case *kind)
{
	struct bare *bare = aligned_alloc(64, (sizeof(*bare) + 63) / 64 * 64);
	IMB_ARCH arch = IMB_ARCH_NONE;

	if (!bare)
		return NULL;
	memset(bare, 0, sizeof(*bare));
	bare->manager = alloc_mb_mgr(0);
	if (bare->manager)
		init_mb_mgr_auto(bare->manager, &arch);
	if (arch < IMB_ARCH_SSE || hk_kdf_key_init(&bare->master, stream_master)) {
		bare_free(bare);
		return NULL;
	}
	choose_expansion(bare, arch, kind->key_size == 32);
	prepare_template(bare, kind);
	for (unsigned i = 0; i < BATCH; i++) {
		bare->jobs[i].enc_keys = bare->schedules[i];
		bare->jobs[i].dec_keys = bare->inverse[i];
		bare->jobs[i].key_len_in_bytes = kind->key_size;
		bare->jobs[i].iv = bare->counters[i];
		bare->jobs[i].iv_len_in_bytes = 16;
		bare->jobs[i].dst = bare->plain[i];
	}
	return bare;
}

void bare_free(struct bare *bare)
{
	if (bare && bare->manager)
		free_mb_mgr(bare->manager);
	free(bare);
}

const __u8 *bare_plain(const struct bare *bare, unsigned index)
{
	return bare->plain[index];
}

static void ecb(struct bare *bare, size_t size)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(bare->manager);

	job->cipher_mode = IMB_CIPHER_ECB;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->hash_alg = IMB_AUTH_NULL;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->enc_keys = bare->master.schedule;
	job->key_len_in_bytes = 32;
	job->src = bare->chain;
	job->dst = bare->chain;
	job->iv_len_in_bytes = 0;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = size;
	if (!IMB_SUBMIT_JOB_NOCHECK(bare->manager))
		abort();
}

static void derive(struct bare *bare, const struct stream *stream, unsigned first)
{
	const unsigned each = bare->each;
	const size_t stride = (size_t)bare->blocks * 16;

	for (unsigned i = 0; i < BATCH; i++)
		for (unsigned n = 0; n < each; n++) {
			__u8 *block = bare->chain + (i * each + n) * 16;

			__u32 spi, folded;

			memcpy(block, bare->template + n * stride, 16);
			memcpy(&spi, stream->frames[first + i].data + stream->layout.spi_offset, 4);
			memcpy(&folded, block + bare->spi_at, 4);
			folded ^= spi; /* K1 may lie there already */
			memcpy(block + bare->spi_at, &folded, 4);
		}
	ecb(bare, (size_t)BATCH * each * 16);
	if (bare->blocks == 1)
		return;
	for (unsigned i = 0; i < BATCH * each; i++) {
		__u64 a[2], b[2];

		memcpy(a, bare->chain + i * 16, 16);
		memcpy(b, bare->template + i % each * stride + 16, 16);
		a[0] ^= b[0];
		a[1] ^= b[1];
		memcpy(bare->chain + i * 16, a, 16);
	}
	ecb(bare, (size_t)BATCH * each * 16);
}

static const __u8 *material(const struct bare *bare, unsigned index)
{
	return bare->chain + (size_t)index * bare->each * 16;
}

static void nonce(
	const struct bare *bare, const struct stream *stream, const __u8 *frame, unsigned index, __u8 *out)
{
	if (stream->kind->envelope == HK_ENVELOPE_PSP)
		memcpy(out, frame + stream->layout.spi_offset, 4);
	else
		memcpy(out, material(bare, index) + 32, 4);
	memcpy(out + 4, frame + stream->layout.iv_offset, 8);
	memset(out + 12, 0, 3);
	out[15] = stream->kind->envelope == HK_ENVELOPE_ESP && stream->kind->variant == HK_SUITE_CTR_HMAC ? 1
													  : 2;
}

static void burst(struct bare *bare, const struct stream *stream, unsigned first)
{
	const bool cbc = stream->kind->cipher == HK_CIPHER_CBC;

	for (unsigned i = 0; i < BATCH; i++) {
		const __u8 *frame = stream->frames[first + i].data;

		if (cbc) {
			IMB_AES_KEYEXP_256(
				bare->manager, material(bare, i), bare->schedules[i], bare->inverse[i]);
			bare->jobs[i].iv = frame + stream->layout.iv_offset;
		} else {
			bare->expand(material(bare, i), bare->schedules[i]);
			nonce(bare, stream, frame, i, bare->counters[i]);
		}
		bare->jobs[i].src = frame + stream->layout.cipher_offset;
		bare->jobs[i].msg_len_to_cipher_in_bytes = stream->layout.cipher_length;
	}
	if (IMB_SUBMIT_CIPHER_BURST_NOCHECK(bare->manager, bare->jobs, BATCH,
		    cbc ? IMB_CIPHER_CBC : IMB_CIPHER_CNTR, IMB_DIR_DECRYPT, stream->kind->key_size) != BATCH)
		abort();
}

/* The expanded key is kept while the same key comes again: a bare program would do that too. */
static void gcm_key(struct bare *bare, const __u8 *key, unsigned size)
{
	if (memcmp(bare->kept, key, size) == 0)
		return;
	memcpy(bare->kept, key, size);
	if (size == 32)
		IMB_AES256_GCM_PRE(bare->manager, key, &bare->key);
	else
		IMB_AES128_GCM_PRE(bare->manager, key, &bare->key);
}

static unsigned gcm(struct bare *bare, const struct stream *stream, unsigned first)
{
	const struct stream_layout *l = &stream->layout;
	unsigned bad = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		const __u8 *frame = stream->frames[first + i].data;
		__u8 tag[16];

		gcm_key(bare, material(bare, i), stream->kind->key_size);
		nonce(bare, stream, frame, i, bare->counters[i]);
		if (stream->kind->key_size == 32)
			IMB_AES256_GCM_DEC(bare->manager, &bare->key, &bare->context, bare->plain[i],
				frame + l->cipher_offset, l->cipher_length, bare->counters[i],
				frame + l->aad_offset, l->aad_length, tag, 16);
		else
			IMB_AES128_GCM_DEC(bare->manager, &bare->key, &bare->context, bare->plain[i],
				frame + l->cipher_offset, l->cipher_length, bare->counters[i],
				frame + l->aad_offset, l->aad_length, tag, 16);
		bad += memcmp(tag, frame + l->tag_offset, 16) != 0;
	}
	return bad;
}

unsigned bare_run(struct bare *bare, const struct stream *stream, unsigned first)
{
	derive(bare, stream, first);
	if (stream->kind->cipher == HK_CIPHER_GCM)
		return gcm(bare, stream, first);
	burst(bare, stream, first);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealed packets for the benchmark: see stream.h. */
#include "tests/bench/lib/stream.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/kdf.h"
#include "user/envelope/envelope.h"

const struct bench_case bench_cases[] = {
	{"psp-0", HK_ENVELOPE_PSP, HK_PSP_GCM_128, HK_PROFILE_SINGLE, 16, HK_CIPHER_GCM},
	{"psp-1", HK_ENVELOPE_PSP, HK_PSP_GCM_256, HK_PROFILE_SINGLE, 32, HK_CIPHER_GCM},
	{"psp-4", HK_ENVELOPE_PSP, HK_PSP_SPLIT_128, HK_PROFILE_SPLIT, 16, HK_CIPHER_CTR},
	{"psp-5", HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, HK_PROFILE_SPLIT, 32, HK_CIPHER_CTR},
	{"esp-gcm", HK_ENVELOPE_ESP, HK_SUITE_GCM, HK_PROFILE_SINGLE, 32, HK_CIPHER_GCM},
	{"esp-gcm-split", HK_ENVELOPE_ESP, HK_SUITE_GCM_SPLIT, HK_PROFILE_SPLIT, 32, HK_CIPHER_CTR},
	{"esp-ctr-hmac", HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC, HK_PROFILE_SPLIT, 32, HK_CIPHER_CTR},
	{"esp-cbc-hmac", HK_ENVELOPE_ESP, HK_SUITE_CBC_HMAC, HK_PROFILE_SPLIT, 32, HK_CIPHER_CBC},
};
const unsigned bench_cases_count = sizeof(bench_cases) / sizeof(bench_cases[0]);

const __u8 stream_master[32] = {0x34, 0x44, 0x8a, 0x06, 0x42, 0x92, 0x60, 0x1b, 0x11, 0xa0, 0x97, 0x8f, 0x56,
	0xa2, 0xd3, 0x4c, 0xf3, 0xfc, 0x35, 0xed, 0xe1, 0xa6, 0xbc, 0x04, 0xf8, 0xdb, 0x3e, 0x52, 0x43, 0xa2,
	0xb0, 0xca};
const __u8 stream_receiver[4] = {192, 0, 2, 9};

#define ETHERNET 14
#define OUTER	 (ETHERNET + 20) /* behind Ethernet and IPv4 */

static void put(__u8 *out, __u64 value, unsigned size)
{
	while (size--) {
		out[size] = (__u8)value;
		value >>= 8;
	}
}

static __u16 ip_checksum(const __u8 *header)
{
	__u32 sum = 0;

	for (unsigned i = 0; i < 20; i += 2)
		sum += (__u32)header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16) ~((sum & 0xffff) + (sum >> 16));
}

static void put_ip(__u8 *out, __u32 length, __u8 protocol, const __u8 from[4], const __u8 to[4])
{
	memset(out, 0, 20);
	out[0] = 0x45;
	put(out + 2, length, 2);
	out[6] = 0x40;
	out[8] = 64;
	out[9] = protocol;
	memcpy(out + 12, from, 4);
	memcpy(out + 16, to, 4);
	put(out + 10, ip_checksum(out), 2);
}

/* IPv4 and UDP of one of the inner flows, with a payload of letters. */
static void put_inner(__u8 *out, __u32 size, __u32 flow)
{
	static const __u8 from[4] = {10, 1, 0, 1}, to[4] = {10, 1, 0, 2};

	put_ip(out, size, 17, from, to);
	put(out + 20, 1024 + flow, 2);
	put(out + 22, 4789, 2);
	put(out + 24, size - 20, 2);
	put(out + 26, 0, 2);
	memset(out + 28, 'h', size - 28);
}

static void layout_psp(struct stream *s)
{
	struct stream_layout *l = &s->layout;
	const __u16 header = OUTER + 8;

	l->spi_offset = header + 4;
	l->iv_offset = header + 8;
	l->iv_size = 8;
	l->aad_offset = header;
	l->aad_length = HK_PSP_HEADER_SIZE;
	l->cipher_offset = header + HK_PSP_HEADER_SIZE;
	l->cipher_length = (__u16)s->inner_size;
}

static void layout_esp(struct stream *s)
{
	struct stream_layout *l = &s->layout;
	const bool cbc = s->kind->cipher == HK_CIPHER_CBC;
	const __u32 align = cbc ? 16 : 4;

	l->spi_offset = OUTER;
	l->iv_offset = OUTER + HK_ESP_HEADER_SIZE;
	l->iv_size = cbc ? HK_ESP_CBC_IV_SIZE : HK_ESP_IV_SIZE;
	l->aad_offset = OUTER;
	l->aad_length = HK_ESP_HEADER_SIZE;
	l->cipher_offset = (__u16)(l->iv_offset + l->iv_size);
	l->cipher_length = (__u16)((s->inner_size + 2 + align - 1) / align * align);
}

int stream_new(struct stream *stream, const struct bench_case *kind, __u32 inner_size, __u32 spis)
{
	*stream = (struct stream){.kind = kind, .inner_size = inner_size, .spis = spis};
	stream->memory = aligned_alloc(64, (size_t)STREAM_CHUNK * STREAM_FRAME_SIZE);
	if (!stream->memory)
		return -1;
	memset(stream->memory, 0, (size_t)STREAM_CHUNK * STREAM_FRAME_SIZE);
	if (kind->envelope == HK_ENVELOPE_PSP)
		layout_psp(stream);
	else
		layout_esp(stream);
	stream->layout.tag_offset = (__u16)(stream->layout.cipher_offset + stream->layout.cipher_length);
	stream->layout.frame_length = stream->layout.tag_offset + HK_PSP_ICV_SIZE;
	return 0;
}

void stream_free(struct stream *stream)
{
	free(stream->memory);
	stream->memory = NULL;
}

/* SPIs in an order that no cache likes: an odd multiplier permutes a power of two. */
static __u32 spi_of(const struct stream *s, __u64 sequence)
{
	if (s->spis == 1)
		return 0x1001;
	return 0x100000 + (__u32)((sequence * 0x9e3779b1u) & (s->spis - 1));
}

static void put_outer(const struct stream *s, __u8 *frame)
{
	static const __u8 from[4] = {192, 0, 2, 1};
	const __u32 length = s->layout.frame_length;
	const bool psp = s->kind->envelope == HK_ENVELOPE_PSP;

	memcpy(frame, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0", ETHERNET);
	put_ip(frame + ETHERNET, length - ETHERNET, psp ? 17 : 50, from, stream_receiver);
	if (!psp)
		return;
	put(frame + OUTER, 40000, 2);
	put(frame + OUTER + 2, HK_UDP_PORT_PSP, 2);
	put(frame + OUTER + 4, length - OUTER, 2);
	put(frame + OUTER + 6, 0, 2);
}

/* Everything but the encryption: headers, SPI, IV and the plaintext in its place. */
static void put_clear(const struct stream *s, __u8 *frame, __u64 sequence)
{
	const struct stream_layout *l = &s->layout;
	const __u32 pad = l->cipher_length - s->inner_size - 2;

	put_outer(s, frame);
	put(frame + l->spi_offset, spi_of(s, sequence), 4);
	put(frame + l->iv_offset, 0, l->iv_size);
	put(frame + l->iv_offset + l->iv_size - 8, sequence + 1, 8);
	put_inner(frame + l->cipher_offset, s->inner_size, (__u32)(sequence % STREAM_FLOWS));
	if (s->kind->envelope == HK_ENVELOPE_PSP) {
		memcpy(frame + OUTER + 8, "\x04\x01\x00\x01", 4);
		frame[OUTER + 8 + 3] |= (__u8)(s->kind->variant << 2);
		return;
	}
	put(frame + l->spi_offset + 4, sequence + 1, 4);
	for (__u32 i = 0; i < pad; i++)
		frame[l->cipher_offset + s->inner_size + i] = (__u8)(i + 1);
	frame[l->cipher_offset + l->cipher_length - 2] = (__u8)pad;
	frame[l->cipher_offset + l->cipher_length - 1] = 4;
}

/* Key material of a batch: 48 bytes each, as both KDFs fit in them. */
static void derive(const struct stream *s, struct hk_crypto *crypto, __u64 first, __u8 material[][48])
{
	const struct hk_address receiver = hk_address_v4(stream_receiver);
	const bool psp = s->kind->envelope == HK_ENVELOPE_PSP;
	const __u32 blocks = psp ? HK_KDF_PSP_BLOCKS : HK_KDF108_BLOCKS, each = 3;
	static __u8 messages[HK_CRYPTO_BATCH_MAX * 3 * 32];
	static struct hk_kdf_key key;
	static bool ready;
	__u8 context[HK_KDF108_CONTEXT], *message = messages;

	if (!ready && hk_kdf_key_init(&key, stream_master))
		abort();
	ready = true;
	for (__u32 i = 0; i < HK_CRYPTO_BATCH_MAX; i++) {
		const __u32 spi = spi_of(s, first + i);

		for (__u8 n = 1; n <= each; n++, message += blocks * 16) {
			hk_kdf_esp_context(context, s->kind->variant, 0, STREAM_MKID, spi, &receiver);
			if (psp)
				hk_kdf_psp_message(message, s->kind->variant, spi, n);
			else
				hk_kdf108_message(message, hk_kdf_label(HK_SIDE_ENC), context, n);
		}
	}
	hk_crypto_cmac(crypto, &key, HK_CRYPTO_BATCH_MAX * each, blocks, messages, material[0]);
}

/* GCM: 12 bytes, SPI || IV or salt || IV. CTR: the same and the first counter. CBC: the IV. */
static void nonce_of(const struct stream *s, const __u8 *frame, const __u8 *material, __u8 nonce[16])
{
	memset(nonce, 0, 16);
	if (s->kind->cipher == HK_CIPHER_CBC) {
		memcpy(nonce, frame + s->layout.iv_offset, 16);
		return;
	}
	if (s->kind->envelope == HK_ENVELOPE_PSP)
		memcpy(nonce, frame + s->layout.spi_offset, 4);
	else
		memcpy(nonce, material + 32, 4);
	memcpy(nonce + 4, frame + s->layout.iv_offset, 8);
	nonce[15] = s->kind->envelope == HK_ENVELOPE_ESP && s->kind->variant == HK_SUITE_CTR_HMAC ? 1 : 2;
}

static void seal(const struct stream *s, __u8 *frame, const __u8 *key, const __u8 *nonce)
{
	static EVP_CIPHER_CTX *contexts[2][4];
	EVP_CIPHER_CTX **kept = &contexts[s->kind->key_size == 32][s->kind->cipher], *context = *kept;
	const EVP_CIPHER *const ciphers[2][4] = {{NULL, EVP_aes_128_ctr(), EVP_aes_128_gcm(), NULL},
		{NULL, EVP_aes_256_ctr(), EVP_aes_256_gcm(), EVP_aes_256_cbc()}};
	const EVP_CIPHER *cipher = ciphers[s->kind->key_size == 32][s->kind->cipher];
	__u8 *text = frame + s->layout.cipher_offset;
	int length, ok;

	if (!context) {
		context = *kept = EVP_CIPHER_CTX_new();
		EVP_EncryptInit_ex(context, cipher, NULL, NULL, NULL);
		EVP_CIPHER_CTX_set_padding(context, 0);
	}
	ok = EVP_EncryptInit_ex(context, NULL, NULL, key, nonce) == 1;
	if (s->kind->cipher == HK_CIPHER_GCM)
		ok &= EVP_EncryptUpdate(context, NULL, &length, frame + s->layout.aad_offset,
			      s->layout.aad_length) == 1;
	ok &= EVP_EncryptUpdate(context, text, &length, text, s->layout.cipher_length) == 1;
	if (s->kind->cipher == HK_CIPHER_GCM) {
		ok &= EVP_EncryptFinal_ex(context, text + length, &length) == 1;
		ok &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, frame + s->layout.tag_offset) ==
		      1;
	}
	if (!ok)
		abort();
}

void stream_refill(struct stream *stream, struct hk_crypto *crypto, const struct hk_outer *outer)
{
	static __u8 material[HK_CRYPTO_BATCH_MAX][48];
	__u8 nonce[16];

	for (__u32 i = 0; i < STREAM_CHUNK; i++, stream->sequence++) {
		__u8 *at = stream->memory + (size_t)i * STREAM_FRAME_SIZE;
		struct hk_frame *frame = &stream->frames[i];
		unsigned reason;

		if (i % HK_CRYPTO_BATCH_MAX == 0)
			derive(stream, crypto, stream->sequence, material);
		put_clear(stream, at, stream->sequence);
		nonce_of(stream, at, material[i % HK_CRYPTO_BATCH_MAX], nonce);
		seal(stream, at, material[i % HK_CRYPTO_BATCH_MAX], nonce);
		frame->data = at;
		frame->length = stream->layout.frame_length;
		frame->wall_ns = 1;
		reason = outer ? hk_outer_parse(outer, at, frame->length, 0, &frame->meta)
			       : HK_REASON_TO_WORKER;
		if (reason != HK_REASON_TO_WORKER) {
			fprintf(stderr, "bench: %s: a sealed frame is not for the box: reason %u\n",
				stream->kind->name, reason);
			exit(1);
		}
	}
}

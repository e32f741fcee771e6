// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: PSP, ESP, TSS and inline keying from the outer parser to the
 * inner packet, and a packet behind it that takes its plan over with other ends.
 * The ciphers are stand-ins that copy, so that the fuzzer writes the plaintext
 * itself. Frames lie in memory of exactly their size.
 *
 *   input: kind, choices, end of the second packet(2), what stands behind IP
 *
 * SOURCES: user/envelope/outer.c user/envelope/receivers.c user/base/text.c user/envelope/psp.c
 * SOURCES: user/envelope/esp.c user/envelope/tss.c user/envelope/inline.c user/envelope/rebuild.c
 * SOURCES: user/crypto/kdf.c user/crypto/tss.c user/crypto/inline.c user/crypto/creation.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "tests/bpf/cases.h"
#include "user/envelope/openers.h"
#include "user/envelope/outer.h"

#define FRONT 4
#define LIMIT 2048

/* What the first byte chooses: a receiver of frames.h, and how its domain opens. */
static const struct kind {
	__u8 envelope, profile, suite, protocol;
	__u8 receiver[4];
} kinds[] = {
	{HK_ENVELOPE_PSP, HK_PROFILE_SINGLE, 0, 17, {192, 0, 2, 9}},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, 17, {192, 0, 2, 9}},
	{HK_ENVELOPE_ESP, HK_PROFILE_SINGLE, HK_SUITE_GCM, 50, {198, 51, 100, 9}},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, 50, {198, 51, 100, 9}},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CBC_HMAC, 50, {203, 0, 113, 9}},
	{HK_ENVELOPE_TSS, HK_PROFILE_SINGLE, 0, 253, {100, 64, 0, 9}},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0, 254, {100, 64, 1, 9}},
	{HK_ENVELOPE_INLINE, HK_PROFILE_SPLIT, 0, 50, {100, 64, 2, 9}},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct hk_kdf_key master;
static const struct hk_hmac_key root;
static const __u8 zeros[64];
static const struct kind *chosen;
static __u8 choices;

/* As the rules of key files have it: one SPI's keys are PSP's and ESP's, roots are inline keying's. */
unsigned hk_keyring_choose(
	const struct hk_keyring *keyring, const struct hk_key_request *request, struct hk_key_choice *out)
{
	(void)keyring;
	(void)request;
	*out = (struct hk_key_choice){.id = 1};
	if ((choices & 3) == 3)
		return HK_REASON_NO_KEY;
	if (chosen->envelope == HK_ENVELOPE_INLINE)
		out->root = &root;
	else if (chosen->envelope != HK_ENVELOPE_TSS && (choices & 3) == 2)
		out->key = out->salt = zeros;
	else
		out->master = &master;
	return HK_REASON_OK;
}

bool hk_keyring_only_masters(const struct hk_keyring *keyring)
{
	return !keyring;
}

__u32 *hk_keyring_epoch(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	static __u32 epoch;

	(void)keyring;
	(void)choice;
	epoch = choices & 8 ? HK_KEY_EPOCH | 7 : 0;
	return &epoch;
}

struct hk_children *hk_keyring_children(const struct hk_keyring *keyring)
{
	(void)keyring;
	return (struct hk_children *)(choices & 16 ? &choices : NULL);
}

bool hk_children_find(const struct hk_children *children, const struct hk_child_name *name, __u64 now_ns,
	__u8 key[36], struct hk_child_place *place)
{
	(void)children;
	(void)name;
	(void)now_ns;
	memset(key, 1, 36);
	memset(place, 0, sizeof(*place));
	return choices & 32;
}

void hk_child_settle(struct hk_children *children, const struct hk_child_place *place, bool plausible)
{
	(void)children;
	(void)place;
	(void)plausible;
}

enum hk_child_added hk_children_add(struct hk_children *children, struct hk_crypto *crypto,
	const struct hk_child_creator *creator, const struct hk_child_name *name, const __u8 *header,
	__u32 size, const struct hk_child_limits *limits, __u64 now_ns)
{
	struct hk_creation creation;

	(void)children;
	(void)crypto;
	(void)creator;
	(void)name;
	(void)limits;
	(void)now_ns;
	if (hk_creation_parse(header, size, &creation) != HK_REASON_OK || creation.size != size)
		abort(); /* what was kept is not what was parsed */
	return HK_CHILD_ADDED;
}

void hk_crypto_hmac(struct hk_crypto *crypto, struct hk_hmac_job *jobs, __u32 count)
{
	(void)crypto;
	for (; count; count--, jobs++)
		memset(jobs->out, 0, 32);
}

__u32 hk_crypto_cmac_pad(const struct hk_kdf_key *key, __u8 *message, __u32 length)
{
	(void)key;
	memset(message + length, 0, (16 - length % 16) % 16);
	return (length + 15) / 16;
}

#ifndef WRITE_SEEDS
/* What a cipher is given: spans in the frame, and lengths it can take. */
static void check_spans(const struct hk_opening *opening)
{
	__u32 length = opening->frame_length, end = opening->cipher_offset + (__u32)opening->cipher_length;

	demand(opening->cipher == HK_CIPHER_CTR || opening->cipher == HK_CIPHER_GCM ||
			opening->cipher == HK_CIPHER_CBC,
		"no cipher");
	demand((__u32)opening->clear_offset + opening->clear_length <= length, "the clear part ends outside");
	demand(end <= opening->meta->end_offset, "the ciphertext ends outside");
	demand(opening->tag_offset + 16u <= opening->meta->end_offset, "the ICV ends outside");
	demand(opening->cipher != HK_CIPHER_CBC ||
			(opening->cipher_length && opening->cipher_length % 16 == 0),
		"CBC off its block");
	demand(opening->messages * opening->blocks * 16u <= HK_KDF_MESSAGE_MAX, "too much to derive");
}

static void open_packet(struct hk_opening *opening)
{
	static __u8 material[HK_KDF108_OUTPUT + HK_HKDF_OUT];
	__u32 room = HK_OPEN_HEADROOM + opening->clear_length + opening->cipher_length;
	__u8 *plain = calloc(1, room);
	unsigned reason;

	opening->material = material;
	opening->plain = plain + HK_OPEN_HEADROOM;
	opening->plain_length = (__u32)opening->clear_length + opening->cipher_length;
	memcpy(opening->plain, opening->frame + opening->clear_offset, opening->clear_length);
	opening->ops->cipher(opening);
	if (opening->cipher == HK_CIPHER_GCM && !opening->aad)
		demand((__u32)opening->aad_offset + opening->aad_length <= opening->frame_length,
			"the AAD ends outside");
	memcpy(opening->plain + opening->clear_length, opening->frame + opening->cipher_offset,
		opening->cipher_length);
	opening->auth = opening->cipher == HK_CIPHER_GCM ? HK_AUTH_VERIFIED : HK_AUTH_NONE;
	reason = opening->ops->rebuild(opening);
	if (reason == HK_REASON_OK)
		demand(opening->inner >= plain && opening->inner + opening->inner_length <=
							  opening->plain + opening->plain_length,
			"the inner packet lies outside");
	if (reason == HK_REASON_OK && opening->ops->settle)
		opening->ops->settle(opening, choices & 64);
	free(plain);
}

/* The second one: the same headers, another end and SPI. */
static void open_behind(struct hk_opening *first, const struct hk_meta *meta, __u16 end)
{
	static __u8 message[HK_KDF_MESSAGE_MAX];
	struct hk_meta other = *meta;
	struct hk_opening second = *first;

	other.end_offset = end;
	other.spi ^= end;
	if (!first->ops->again || !first->key.master || end < meta->payload_offset ||
		end > first->frame_length)
		return;
	second.before = first;
	second.meta = &other;
	second.message = message;
	if (!first->ops->again(&second))
		return;
	check_spans(&second);
	open_packet(&second);
}

static __u32 build(const struct kind *kind, const uint8_t *data, size_t size, __u8 *frame)
{
	__u32 ip = choices & 128 && kind->envelope != HK_ENVELOPE_PSP ? 24 : 20;

	memset(frame, 2, 14);
	frame[12] = 8, frame[13] = 0;
	memset(frame + 14, 0, ip);
	frame[14] = (__u8)(0x40 | ip / 4);
	frame[16] = (__u8)((ip + size) >> 8), frame[17] = (__u8)(ip + size);
	frame[23] = kind->protocol;
	frame[26] = 10;
	memcpy(frame + 30, kind->receiver, 4);
	memcpy(frame + 14 + ip, data, size);
	return 14 + ip + (__u32)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static __u8 message[HK_KDF_MESSAGE_MAX], expanded[HK_HKDF_OUT];
	static struct hk_outer *outer;
	const __u64 now = 1;
	struct hk_domain_config domain = {
		.inline_keying = {.next_header = HK_CREATION_NEXT}, .tss = {.mode = HK_TSS_CLUSTER}};
	struct hk_meta meta;
	struct hk_opening opening = {
		.meta = &meta, .domain = &domain, .message = message, .expanded = expanded, .now_ns = &now};
	__u32 length;
	__u8 *frame;

	if (!outer)
		outer = hk_outer_new(frames_config());
	if (size < FRONT || size > LIMIT)
		return 0;
	chosen = &kinds[data[0] % KINDS];
	choices = data[1];
	domain.envelope = chosen->envelope;
	domain.profile = chosen->profile;
	domain.suite = chosen->suite;
	domain.tss.ssi = chosen->receiver[2] == 1;
	domain.tss.mode = choices & 16 ? HK_TSS_DIRECT : HK_TSS_CLUSTER;
	frame = malloc(14 + 24 + size);
	length = build(chosen, data + FRONT, size - FRONT, frame);
	frame = realloc(frame, length);
	opening.frame = frame;
	opening.frame_length = length;
	opening.ops = hk_envelope_ops(chosen->envelope);
	if (hk_outer_parse(outer, frame, length, 0, &meta) == HK_REASON_TO_WORKER &&
		opening.ops->plan(&opening, NULL) == HK_REASON_OK) {
		check_spans(&opening);
		open_behind(&opening, &meta, (__u16)(data[2] << 8 | data[3]));
		open_packet(&opening);
	}
	free(frame);
	return 0;
}

const struct hk_envelope_ops *hk_envelope_ops(unsigned envelope)
{
	switch (envelope) {
	case HK_ENVELOPE_PSP: return &hk_psp_ops;
	case HK_ENVELOPE_ESP: return &hk_esp_ops;
	case HK_ENVELOPE_TSS: return &hk_tss_ops;
	default: return &hk_inline_ops;
	}
}
#else
/* A packet of each kind around an inner one, in three of the ways keys come. */
static size_t seed_of(const struct kind *kind, __u8 *out)
{
	static const __u8 psp[24] = {17, 1, 0, 5, [7] = 9}, tss[16] = {[4] = 8, [7] = 9};
	static const __u8 esp[32] = {0, 0, 1}, creation[] = {4, 6, 0x10, 2, 0, 20, 0, 0, 0, 0, 2};
	static const __u8 inner[36] = {
		0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, [33] = 2, 4};
	const __u8 udp[8] = {0x9c, 0x40, 1000 >> 8, 1000 & 0xff, 0, 8 + 16 + 36 + 16};
	size_t at = 0;

	memset(out, 0, 256);
	if (kind->envelope == HK_ENVELOPE_PSP) {
		memcpy(out, udp, at = 8);
		memcpy(out + at, psp, 16);
		out[at] = 4;
		out[at + 3] = kind->profile == HK_PROFILE_SPLIT ? 5 << 2 | 1 : 1 << 2 | 1;
		at += 16;
	} else if (kind->envelope == HK_ENVELOPE_TSS) {
		memcpy(out, tss, 16);
		out[4] = kind->receiver[2] == 1 ? 12 : 8;
		at = kind->receiver[2] == 1 ? 20 : 16;
	} else {
		memcpy(out, esp, 16);
		at = kind->suite == HK_SUITE_CBC_HMAC ? 24 : kind->envelope == HK_ENVELOPE_INLINE ? 32 : 16;
	}
	if (kind->envelope == HK_ENVELOPE_INLINE) {
		memcpy(out + at, creation, sizeof(creation));
		at += 56;
	}
	memcpy(out + at, inner, sizeof(inner));
	out[at + 34] = 0;
	out[at + 35] = kind->envelope == HK_ENVELOPE_INLINE ? 254 : 4;
	return at + (kind->suite == HK_SUITE_CBC_HMAC ? 32 : 36) + 16;
}

int main(int argc, char **argv)
{
	static const __u8 ways[] = {0x00, 0x01, 0x32, 0x33};
	unsigned kind, way;
	__u8 seed[4 + 256];
	size_t size;

	for (kind = 0; argc > 1 && kind < KINDS; kind++)
		for (way = 0; way < 4; way++) {
			size = seed_of(&kinds[kind], seed + 4);
			seed[0] = (__u8)kind;
			seed[1] = ways[way];
			seed[2] = 0;
			seed[3] = (__u8)(14 + 20 + size - 4);
			if (write_seed(argv[1], kind * 4 + way, seed, 4 + size))
				return 1;
		}
	return 0;
}

const struct hk_envelope_ops *hk_envelope_ops(unsigned envelope)
{
	(void)envelope;
	return NULL;
}
#endif

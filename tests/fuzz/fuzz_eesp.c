// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: EESP and WESP from the outer parser to the inner packet. The
 * ciphers are stand-ins that copy, so that the fuzzer writes the plaintext
 * itself; key material is zeros, so that a KCV of zeros is right.
 *
 * SOURCES: user/envelope/outer.c user/envelope/receivers.c user/base/text.c user/envelope/eesp.c
 * SOURCES: user/envelope/wesp.c user/envelope/dkc.c user/envelope/esp.c user/envelope/rebuild.c
 * SOURCES: user/crypto/kdf.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/bpf/cases.h"
#include "user/envelope/openers.h"
#include "user/envelope/outer.h"

#define HEADERS 34
#define LIMIT	2048

static const struct hk_kdf_key master;
static const struct hk_hmac_key root;

unsigned hk_keyring_choose(
	const struct hk_keyring *keyring, const struct hk_key_request *request, struct hk_key_choice *out)
{
	bool explicit_key = request->variant == HK_SUITE_NONE;

	(void)keyring;
	*out = (struct hk_key_choice){
		.master = explicit_key ? NULL : &master, .root = explicit_key ? &root : NULL, .id = 1};
	return request->id == 7 ? HK_REASON_NO_KEY : HK_REASON_OK;
}

const struct hk_kdf_key *hk_keyring_reader(
	const struct hk_keyring *keyring, const struct hk_key_request *request)
{
	(void)keyring;
	return request->slot & 1 ? &master : NULL;
}

bool hk_keyring_only_masters(const struct hk_keyring *keyring)
{
	return !keyring;
}

bool hk_equal(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size) == 0;
}

#ifndef WRITE_SEEDS
/* Every span lies in the frame, in order. */
static void check_spans(const struct hk_opening *opening, __u32 length)
{
	__u32 end = opening->cipher_offset + (__u32)opening->cipher_length;

	demand((__u32)opening->aad_offset + opening->aad_length <= length, "the AAD ends outside");
	demand((__u32)opening->clear_offset + opening->clear_length <= length, "the clear part ends outside");
	demand(end <= length, "the ciphertext ends outside");
	demand(opening->cipher == HK_CIPHER_NONE || opening->tag_offset + 16u <= length,
		"the ICV ends outside");
	demand(opening->cipher == HK_CIPHER_NONE || opening->iv_offset + 8u <= opening->cipher_offset,
		"the IV is not in front of the ciphertext");
	demand(!opening->reader || end + HK_DKC_READER_SIZE <= opening->tag_offset,
		"no room for the reader tag");
}

static void open_frame(
	const struct hk_envelope_ops *ops, struct hk_opening *opening, __u8 *plain, __u32 length)
{
	static __u8 zeros[HK_HKDF_OUT], messages[HK_KDF_MESSAGE_MAX], readers[HK_KDF_MESSAGE_MAX];
	unsigned reason;

	opening->message = messages;
	opening->reader_message = readers;
	reason = ops->plan(opening, NULL);
	if (reason != HK_REASON_OK) {
		demand(reason != HK_REASON_META_INVALID, "the parser's own metadata is refused");
		return;
	}
	check_spans(opening, length);
	opening->material = opening->reader_material = zeros;
	opening->plain = plain + HK_OPEN_HEADROOM;
	opening->plain_length = (__u32)opening->clear_length + opening->cipher_length;
	memcpy(opening->plain, opening->frame + opening->clear_offset, opening->clear_length);
	memcpy(opening->plain + opening->clear_length, opening->frame + opening->cipher_offset,
		opening->cipher_length);
	ops->cipher(opening);
	if (opening->refused || ops->rebuild(opening) != HK_REASON_OK)
		return;
	demand(opening->inner >= plain &&
			opening->inner + opening->inner_length <= opening->plain + opening->plain_length,
		"the inner packet lies outside");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hk_outer *outer;
	static const __u8 ip[20] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 192, 0, 2, 1, 198, 18, 0, 9};
	struct hk_domain_config domain = {.eesp = {.sn = true, .iv = true}};
	struct hk_meta meta;
	struct hk_opening opening = {.meta = &meta, .domain = &domain};
	__u32 length = (__u32)size - 1 + HEADERS;
	__u8 *frame, *plain;

	if (!outer)
		outer = hk_outer_new(frames_config());
	if (!size || size > LIMIT)
		return 0;
	domain.envelope = data[0] & 1 ? HK_ENVELOPE_WESP : HK_ENVELOPE_EESP;
	domain.profile = data[0] & 2 ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE;
	domain.eesp.sn = !(data[0] & 4);
	frame = malloc(length);
	plain = malloc(HK_OPEN_HEADROOM + size);
	memset(frame, 2, 14);
	frame[12] = 8, frame[13] = 0;
	memcpy(frame + 14, ip, sizeof(ip));
	frame[14 + 2] = (__u8)((length - 14) >> 8), frame[14 + 3] = (__u8)(length - 14);
	frame[14 + 9] = data[0] & 1 ? HK_WESP_PROTOCOL : 253;
	memcpy(frame + HEADERS, data + 1, size - 1);
	opening.frame = frame;
	opening.frame_length = length;
	if (hk_outer_parse(outer, frame, length, 0, &meta) == HK_REASON_TO_WORKER)
		open_frame(domain.envelope == HK_ENVELOPE_WESP ? &hk_wesp_ops : &hk_eesp_ops, &opening, plain,
			length);
	free(plain);
	free(frame);
	return 0;
}
#else
static int write_kind(const char *folder, unsigned number, __u8 kind, const __u8 *bytes, size_t size)
{
	__u8 seed[1 + 128] = {kind};

	memcpy(seed + 1, bytes, size);
	return write_seed(folder, number, seed, 1 + size);
}

int main(int argc, char **argv)
{
	static const __u8 inner[32] = {
		0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1};
	__u8 sub[96] = {0x80, 0, 0, 7, 0xc0, 0xff, 0xee, 1};
	__u8 context[128] = {0x80, 24, 0, 0, 0xc0, 0xff, 0xee, 1, 0xe0, 22, 1, 0xf0, 0, 0, 0, 42};
	__u8 derived[128] = {0, 28, 16, 0x68, 0x11, 0x50, 0, 0, 0, 0, 0, 42, [28] = 0x40};
	__u8 null[96] = {4, 12, 16, 0, 0, 0, 1, 0, 0, 0, 0, 1};
	unsigned i;

	if (argc < 2)
		return 1;
	memcpy(sub + 24, inner, sizeof(inner));
	memcpy(context + 48, inner, sizeof(inner));
	memcpy(derived + 44, inner, sizeof(inner));
	memcpy(null + 12, inner, sizeof(inner));
	derived[44 + 33] = 4, null[12 + 33] = 4;
	for (i = 0; i < 4; i++) {
		if (write_kind(argv[1], 4 * i, (__u8)(i << 1), sub, 24 + 32 + 16) ||
			write_kind(argv[1], 4 * i + 1, (__u8)(i << 1), context, 48 + 32 + 16) ||
			write_kind(argv[1], 4 * i + 2, (__u8)(i << 1 | 1), derived, 44 + 34 + 2 + 16) ||
			write_kind(argv[1], 4 * i + 3, (__u8)(i << 1 | 1), null, 12 + 34 + 16))
			return 1;
		context[11] = i & 1 ? 0xfa : 0xe0;
		context[3] = 8 * (__u8)i;
	}
	(void)master;
	(void)root;
	return 0;
}
#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the DTLS opener, from any UDP payload. The ciphers are
 * stand-ins that copy, so that the fuzzer writes the plaintext itself; they
 * touch every byte they are given, so that the sanitizers see each span.
 *
 * SOURCES: user/envelope/dtls.c user/crypto/kdf.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "user/envelope/openers.h"

#define HEADERS 42
#define LIMIT	2048

unsigned hk_keyring_choose(
	const struct hk_keyring *keyring, const struct hk_key_request *request, struct hk_key_choice *out)
{
	static const struct hk_kdf_key master;

	(void)keyring;
	*out = (struct hk_key_choice){.master = &master, .id = 1};
	return request->id == 7 ? HK_REASON_NO_KEY : HK_REASON_OK;
}

/* Two generations in every slot. */
bool hk_keyring_other(const struct hk_keyring *keyring, const struct hk_key_choice *choice, unsigned n,
	struct hk_key_choice *other)
{
	(void)keyring;
	*other = *choice;
	other->id = 2;
	return n == 0;
}

void hk_keyring_prefer(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	(void)keyring;
	demand(choice->id == 2, "a generation preferred that did not open anything");
}

bool hk_keyring_retired(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	(void)choice;
	return !keyring;
}

bool hk_equal(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size) == 0;
}

bool hk_keyring_only_masters(const struct hk_keyring *keyring)
{
	return !keyring;
}

void hk_crypto_cmac(struct hk_crypto *crypto, const struct hk_kdf_key *key, __u32 count, __u32 blocks,
	__u8 *messages, __u8 *out)
{
	(void)crypto;
	memset(out, key ? messages[count * blocks * 16 - 1] : 0, count * 16);
}

void hk_crypto_ctr(struct hk_crypto *crypto, struct hk_ctr_job *jobs, __u32 count)
{
	(void)crypto;
	for (; count; count--, jobs++)
		memcpy(jobs->out, jobs->in, jobs->length);
}

void hk_crypto_gcm_open(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count)
{
	__u8 sum;
	__u32 i;

	(void)crypto;
	for (; count; count--, jobs++) {
		memcpy(jobs->out, jobs->in, jobs->length);
		for (sum = 0, i = 0; i < 16; i++)
			sum |= jobs->tag[i];
		jobs->verified = sum != 0;
	}
}

#ifndef WRITE_SEEDS
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hk_domain_config domain = {.envelope = HK_ENVELOPE_DTLS};
	struct hk_meta meta = {.envelope_offset = HEADERS, .payload_offset = HEADERS};
	struct hk_opening opening = {.meta = &meta, .domain = &domain};
	unsigned reason;
	__u8 *frame;

	if (!size || size > LIMIT)
		return 0;
	domain.profile = data[0] & 1 ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE;
	data++, size--;
	frame = malloc(HEADERS + size);
	opening.plain = malloc(size + 1);
	memset(frame, 0, HEADERS);
	memcpy(frame + HEADERS, data, size);
	meta.end_offset = (__u16)(HEADERS + size);
	opening.frame = frame;
	opening.frame_length = meta.end_offset;
	reason = hk_dtls_ops.plan(&opening, NULL);
	demand(reason == HK_REASON_OK, "plan refuses");
	hk_dtls_ops.cipher(&opening);
	reason = hk_dtls_ops.rebuild(&opening);
	if (reason == HK_REASON_OK) {
		demand(opening.inner == opening.plain && opening.inner_length < size,
			"more came out than went in");
		demand(opening.not_ip, "a payload taken for a packet");
		demand(opening.has_record, "a nonce that nobody watches");
		demand((opening.auth == HK_AUTH_VERIFIED) == (domain.profile == HK_PROFILE_SINGLE),
			"wrong mark");
	}
	free(opening.plain);
	free(frame);
	return 0;
}
#else
#define SEED_RECORDS 20

int main(int argc, char **argv)
{
	static const uint8_t record[] = {25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0xd1, 2, 0, 1, 1, 2, 3, 4, 5,
		6, 7, 8, 0, 30, [33] = 'a', 'b', 23, [54] = 1};
	static const uint8_t hello[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
	uint8_t seed[1 + SEED_RECORDS * (sizeof(hello) + sizeof(record))];
	unsigned count, first;
	size_t size;

	for (count = 0; argc > 1 && count < SEED_RECORDS; count++) {
		seed[0] = count & 1;
		for (size = 1, first = 0; first < count; first++) {
			if (first % 5 == 2) {
				memcpy(seed + size, hello, sizeof(hello));
				size += sizeof(hello);
			}
			memcpy(seed + size, record, sizeof(record));
			size += sizeof(record);
		}
		if (write_seed(argv[1], count, seed, size))
			return 1;
	}
	return 0;
}
#endif

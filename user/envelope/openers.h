/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The openers, for the table of envelope.c alone. */
#ifndef HK_ENVELOPE_OPENERS_H
#define HK_ENVELOPE_OPENERS_H

#include <endian.h>
#include <string.h>

#include <halfkey/reason.h>

#include "user/base/bytes.h"
#include "user/envelope/envelope.h"

extern const struct hk_envelope_ops hk_psp_ops;
extern const struct hk_envelope_ops hk_esp_ops;
extern const struct hk_envelope_ops hk_inline_ops;
extern const struct hk_envelope_ops hk_tss_ops;
extern const struct hk_envelope_ops hk_dtls_ops;
extern const struct hk_envelope_ops hk_eesp_ops;
extern const struct hk_envelope_ops hk_wesp_ops;

/* The nonce: salt, IV and block counter, in pieces as large as those that it is read in. */
static inline void hk_opening_nonce(
	struct hk_opening *opening, const __u8 salt[4], const __u8 iv[8], __u32 counter)
{
	__u32 first;
	__u64 rest = le64toh(hk_word(iv));

	memcpy(&first, salt, sizeof(first));
	hk_put_word(opening->nonce, htole64(le32toh(first) | rest << 32));
	hk_put_word(opening->nonce + 8, htole64(rest >> 32 | (__u64)__builtin_bswap32(counter) << 32));
}

/* The inner packet in front of an ESP trailer that ends `length` bytes into the plaintext (at least 2). */
unsigned hk_esp_rebuild_trailer(struct hk_opening *opening, __u32 length);
extern const struct hk_envelope_ops hk_tls_ops;

/*
 * Chooses the key; neighbours in a batch mostly share receiver and slot, so
 * theirs is looked at first. `id`: the packet's own master key number, or the domain's.
 */
static inline unsigned hk_opening_choose_id(
	struct hk_opening *opening, const struct hk_keyring *keyring, unsigned slot, __u32 id)
{
	const struct hk_opening *before = opening->before;
	struct hk_key_request request;

	opening->slot = (__u8)slot;
	opening->key_id = id;
	if (before && before->slot == slot && before->key_id == id &&
		before->meta->domain == opening->meta->domain &&
		memcmp(&before->outer_dst, &opening->outer_dst, sizeof(opening->outer_dst)) == 0 &&
		hk_keyring_only_masters(keyring)) {
		opening->key = before->key;
		return HK_REASON_OK;
	}
	request = (struct hk_key_request){.receiver = &opening->outer_dst,
		.spi = opening->meta->spi,
		.id = id,
		.domain = opening->meta->domain,
		.slot = (__u8)slot,
		.variant = opening->variant};
	return hk_keyring_choose(keyring, &request, &opening->key);
}

static inline unsigned hk_opening_choose(
	struct hk_opening *opening, const struct hk_keyring *keyring, unsigned slot)
{
	return hk_opening_choose_id(opening, keyring, slot, opening->domain->mkid);
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ESP packets (docs/wire-formats.md, section 4), derived and explicit keys,
 * over IP protocol 50 or UDP 4500. The domain says the suite: nothing in the
 * packet does.
 *
 *   SPI | SN | IV | ciphertext: inner, padding, pad length, next header | ICV
 *
 * In `split` no verdict depends on the padding: its bytes are not looked at, in
 * tunnel mode not even its length is (the inner packet has its own), and in
 * transport mode an impossible length counts as none.
 */
#include "user/envelope/openers.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/base/text.h"

#include "user/envelope/rebuild.h"

#define TRAILER 2 /* pad length and next header */

static unsigned check_suite(struct hk_opening *opening)
{
	const struct hk_domain_config *domain = opening->domain;

	if (hk_suite_profile(domain->suite) != domain->profile)
		return HK_REASON_PROFILE_MISMATCH;
	if (domain->suite == HK_SUITE_GCM && domain->esn)
		return HK_REASON_UNVERIFIABLE;
	opening->variant = domain->suite;
	opening->key_size = 32;
	opening->iv_size = domain->suite == HK_SUITE_CBC_HMAC ? HK_ESP_CBC_IV_SIZE : HK_ESP_IV_SIZE;
	switch (domain->suite) {
	case HK_SUITE_GCM: opening->cipher = HK_CIPHER_GCM; break;
	case HK_SUITE_CBC_HMAC: opening->cipher = HK_CIPHER_CBC; break;
	default: opening->cipher = HK_CIPHER_CTR; break;
	}
	return HK_REASON_OK;
}

static unsigned place_spans(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;
	__u32 start = meta->payload_offset + opening->iv_size;
	__u32 length, block = opening->cipher == HK_CIPHER_CBC ? 16 : 4;

	if (meta->envelope_offset + HK_ESP_HEADER_SIZE != meta->payload_offset)
		return HK_REASON_META_INVALID;
	if (start + TRAILER + HK_ESP_ICV_SIZE > meta->end_offset)
		return HK_REASON_ESP_SHORT;
	length = meta->end_offset - HK_ESP_ICV_SIZE - start;
	if (length % block)
		return HK_REASON_ESP_ALIGN;
	opening->aad_offset = meta->envelope_offset;
	opening->aad_length = HK_ESP_HEADER_SIZE;
	opening->clear_offset = meta->payload_offset;
	opening->clear_length = 0;
	opening->cipher_offset = (__u16)start;
	opening->cipher_length = (__u16)length;
	opening->tag_offset = (__u16)(start + length);
	return HK_REASON_OK;
}

static unsigned choose_key(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	__u32 spi = opening->meta->spi;
	unsigned reason = hk_opening_choose(opening, keyring, spi >> 29 & 3);

	/* bit 31 is free for exported keys; a derived one has it clear */
	if (reason == HK_REASON_OK && opening->key.master && spi >> 31)
		return HK_REASON_ESP_SPI;
	return reason;
}

static void plan_key(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;
	__u8 context[HK_KDF108_CONTEXT];
	unsigned i;

	opening->messages = 0;
	opening->blocks = HK_KDF108_BLOCKS;
	if (!opening->key.master)
		return;
	/* CBC takes no salt: two messages are the whole key */
	opening->messages = opening->cipher == HK_CIPHER_CBC ? 2 : HK_KDF108_MESSAGES;
	hk_kdf_esp_context(context, opening->variant, meta->spi >> 29 & 3, (__u16)opening->domain->mkid,
		meta->spi, &opening->outer_dst);
	for (i = 0; i < opening->messages; i++)
		hk_kdf108_message(
			opening->message + 32 * i, hk_kdf_label(HK_SIDE_ENC), context, (__u8)(i + 1));
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	unsigned reason = check_suite(opening);

	if (reason == HK_REASON_OK)
		reason = place_spans(opening);
	if (reason == HK_REASON_OK)
		reason = choose_key(opening, keyring);
	if (reason == HK_REASON_OK)
		plan_key(opening);
	return reason;
}

/* The domain says everything else; only slot and end are to be checked. */
static bool again(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;
	__u32 length = meta->end_offset - HK_ESP_ICV_SIZE - opening->cipher_offset, i;

	if (meta->spi >> 29 != opening->slot ||
		opening->cipher_offset + TRAILER + HK_ESP_ICV_SIZE > meta->end_offset ||
		length % (opening->cipher == HK_CIPHER_CBC ? 16 : 4))
		return false;
	opening->tag_offset = (__u16)(meta->end_offset - HK_ESP_ICV_SIZE);
	opening->cipher_length = (__u16)length;
	for (i = 0; i < opening->messages; i++)
		hk_kdf_esp_message_like(
			opening->message + 32 * i, opening->before->message + 32 * i, meta->spi);
	return true;
}

/* salt || IV || counter: GCM's payload counts from 2 (RFC 4106), plain CTR from 1 (RFC 3686). */
static void cipher(struct hk_opening *opening)
{
	const __u8 *iv = opening->frame + opening->meta->payload_offset;
	const __u8 *salt = opening->key.master ? opening->material + 32 : opening->key.salt;

	opening->cipher_key = opening->key.master ? opening->material : opening->key.key;
	if (opening->cipher == HK_CIPHER_CBC) {
		memcpy(opening->nonce, iv, HK_ESP_CBC_IV_SIZE);
		return;
	}
	hk_opening_nonce(opening, salt, iv, opening->variant == HK_SUITE_CTR_HMAC ? 1 : 2);
}

unsigned hk_esp_rebuild_trailer(struct hk_opening *opening, __u32 length)
{
	__u32 padding;

	length -= TRAILER;
	padding = opening->plain[length];

	opening->next_header = opening->plain[length + 1];
	if (opening->next_header == HK_ESP_DUMMY)
		return HK_REASON_DUMMY;
	if (opening->next_header != HK_NEXT_IP4 && opening->next_header != HK_NEXT_IP6 && padding <= length)
		length -= padding;
	return hk_rebuild(opening, opening->plain, length);
}

static unsigned rebuild(struct hk_opening *opening)
{
	return hk_esp_rebuild_trailer(opening, opening->plain_length);
}

const struct hk_envelope_ops hk_esp_ops = {
	.plan = plan, .again = again, .cipher = cipher, .rebuild = rebuild};

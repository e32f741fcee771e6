// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PSP packets (docs/wire-formats.md, section 1): versions 0 and 1 with one key,
 * versions 4 and 5 split.
 *
 *   0           16                      (HEL+1)*8
 *   | base, IV  | cookie, extensions    | inner packet               | ICV |
 *   |           |<- crypt offset * 4 ->|<- ciphertext --------------->|
 *
 * The crypt offset counts from the end of the IV, so it may end inside the
 * cookie (then part of the cookie is encrypted, and skipped when opened) or
 * inside the inner packet (then that much of it is sent in the clear).
 */
#include "user/envelope/openers.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/envelope/rebuild.h"

#define CRYPT_OFFSET(header) (((header)[2] & 0x3fu) * 4)
#define VERSION(header)	     ((header)[3] >> 2 & 0xfu)

static unsigned check_version(struct hk_opening *opening, unsigned version)
{
	bool split = version == HK_PSP_SPLIT_128 || version == HK_PSP_SPLIT_256;

	if (!hk_kdf_psp_key_size(version))
		return HK_REASON_PSP_VERSION;
	if (split != (opening->domain->profile == HK_PROFILE_SPLIT))
		return HK_REASON_PROFILE_MISMATCH;
	opening->variant = (__u8)version;
	opening->cipher = split ? HK_CIPHER_CTR : HK_CIPHER_GCM;
	opening->key_size = (__u8)hk_kdf_psp_key_size(version);
	return HK_REASON_OK;
}

/* Metadata came by way of shared memory: what it says of the header must be what the header says. */
static unsigned place_spans(struct hk_opening *opening, const __u8 *header)
{
	const struct hk_meta *meta = opening->meta;
	__u32 header_length = (header[1] + 1u) * 8, icv, start;

	if (meta->end_offset - meta->envelope_offset < HK_PSP_HEADER_SIZE + HK_PSP_ICV_SIZE)
		return HK_REASON_PSP_SHORT;
	icv = meta->end_offset - HK_PSP_ICV_SIZE;
	start = meta->envelope_offset + HK_PSP_HEADER_SIZE + CRYPT_OFFSET(header);
	if (header_length < HK_PSP_HEADER_SIZE ||
		meta->envelope_offset + header_length != meta->payload_offset)
		return HK_REASON_META_INVALID;
	if (meta->payload_offset > icv)
		return HK_REASON_PSP_HEL_LENGTH;
	if (start > icv)
		return HK_REASON_PSP_OFFSET;
	opening->aad_offset = meta->envelope_offset;
	opening->aad_length = (__u16)(start - meta->envelope_offset);
	opening->cipher_offset = (__u16)start;
	opening->cipher_length = (__u16)(icv - start);
	opening->tag_offset = (__u16)icv;
	opening->clear_offset = meta->payload_offset;
	opening->clear_length = start > meta->payload_offset ? (__u16)(start - meta->payload_offset) : 0;
	opening->skip_length = start < meta->payload_offset ? (__u16)(meta->payload_offset - start) : 0;
	return HK_REASON_OK;
}

static void plan_key(struct hk_opening *opening)
{
	unsigned i;

	opening->messages = opening->key.master ? opening->key_size / 16 : 0;
	opening->blocks = HK_KDF_PSP_BLOCKS;
	for (i = 0; i < opening->messages; i++)
		hk_kdf_psp_message(opening->message + 16 * i, opening->variant, opening->meta->spi, i + 1);
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	const struct hk_meta *meta = opening->meta;
	const __u8 *header = opening->frame + meta->envelope_offset;
	unsigned reason;

	if (meta->end_offset - meta->envelope_offset < HK_PSP_HEADER_SIZE + HK_PSP_ICV_SIZE)
		return HK_REASON_PSP_SHORT;
	reason = check_version(opening, VERSION(header));
	if (reason == HK_REASON_OK)
		reason = place_spans(opening, header);
	if (reason == HK_REASON_OK)
		reason = hk_opening_choose(opening, keyring, meta->spi & HK_PSP_SPI_SLOT ? 1 : 0);
	if (reason != HK_REASON_OK)
		return reason;
	opening->next_header = header[0];
	memcpy(&opening->head, header, sizeof(opening->head));
	plan_key(opening);
	return HK_REASON_OK;
}

/* Equal in next header, length, crypt offset and version: only the end is to be checked. */
static bool again(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;
	__u32 head, i;

	memcpy(&head, opening->frame + meta->envelope_offset, sizeof(head));
	if (head != opening->head || meta->spi >> 31 != opening->slot ||
		meta->end_offset < meta->payload_offset + HK_PSP_ICV_SIZE ||
		meta->end_offset < opening->cipher_offset + HK_PSP_ICV_SIZE)
		return false;
	opening->tag_offset = (__u16)(meta->end_offset - HK_PSP_ICV_SIZE);
	opening->cipher_length = (__u16)(opening->tag_offset - opening->cipher_offset);
	for (i = 0; i < opening->messages; i++)
		hk_kdf_psp_message_like(
			opening->message + 16 * i, opening->before->message + 16 * i, meta->spi);
	return true;
}

/* The nonce is SPI || IV, as it stands in the header; payload blocks count from 2 (SP 800-38D). */
static void cipher(struct hk_opening *opening)
{
	const __u8 *spi = opening->frame + opening->meta->envelope_offset + 4;

	hk_opening_nonce(opening, spi, spi + 4, 2);
	opening->cipher_key = opening->key.master ? opening->material : opening->key.key;
}

static unsigned rebuild(struct hk_opening *opening)
{
	__u32 length = opening->plain_length - opening->skip_length;
	unsigned reason = hk_rebuild(opening, opening->plain + opening->skip_length, length);

	/* PSP has no padding: bytes behind a tunnelled packet are legal, but nobody sends them */
	if (reason == HK_REASON_OK)
		opening->suspect = opening->inner_length < length;
	return reason;
}

const struct hk_envelope_ops hk_psp_ops = {
	.plan = plan, .again = again, .cipher = cipher, .rebuild = rebuild};

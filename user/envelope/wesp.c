// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * WESP packets (docs/wire-formats.md, section 4): ESP-NULL, which is read as it
 * is, and version 01, encrypted under a derived-key context.
 *
 *   [2] WESP | [pad] | SPI SN IV | payload, padding, pad length, next header | ICV
 *   [2] WESP | [pad] | context 24 | SPI SN IV | ciphertext of the same | [reader tag 8] | ICV 16
 *
 * In UDP the word 2 stands in front.
 */
#include "user/envelope/openers.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/base/bytes.h"
#include "user/envelope/dkc.h"

#define MARKER	4
#define PAD	4
#define PADDED	0x10
#define VERSION 0x40
#define TRAILER 2

/* Where the WESP header begins, and ESP behind it and its padding. */
static const __u8 *find_header(const struct hk_opening *opening, __u32 *esp)
{
	const __u8 *header = opening->frame + opening->meta->envelope_offset;

	if (opening->meta->flags & HK_META_UDP)
		header += MARKER;
	*esp = HK_WESP_HEADER_SIZE + (header[3] & PADDED ? PAD : 0);
	return header;
}

/* ESP-NULL has an ICV that only the ends can verify; nothing is encrypted, and nothing derived. */
static unsigned plan_null(struct hk_opening *opening, const __u8 *header)
{
	const struct hk_meta *meta = opening->meta;
	__u32 icv;

	if (header + header[1] != opening->frame + meta->payload_offset)
		return HK_REASON_META_INVALID;
	if (meta->end_offset < meta->payload_offset + header[2] + TRAILER)
		return HK_REASON_WESP_SHORT;
	icv = (__u32)meta->end_offset - header[2];
	if (opening->domain->profile != HK_PROFILE_SPLIT)
		return HK_REASON_UNVERIFIABLE;
	if (opening->frame[icv - 1] != header[0])
		return HK_REASON_WESP_NEXT_HEADER;
	opening->variant = HK_SUITE_NONE;
	opening->cipher = HK_CIPHER_NONE;
	opening->clear_offset = meta->payload_offset;
	opening->clear_length = (__u16)(icv - meta->payload_offset);
	opening->cipher_offset = opening->tag_offset = (__u16)icv;
	opening->cipher_length = 0;
	return HK_REASON_OK;
}

static unsigned place_spans(struct hk_opening *opening, const __u8 *header, __u32 esp)
{
	const struct hk_meta *meta = opening->meta;
	__u32 context = (__u32)(header - opening->frame) + esp;
	bool reader = header[esp + 1] & HK_DKC_READER;
	__u32 tail = HK_ESP_ICV_SIZE + (reader ? HK_DKC_READER_SIZE : 0);
	__u32 start = meta->payload_offset + HK_ESP_IV_SIZE;

	if (context + HK_DKC_SIZE + HK_ESP_HEADER_SIZE != meta->payload_offset)
		return HK_REASON_META_INVALID;
	if (start + TRAILER + tail > meta->end_offset)
		return HK_REASON_WESP_SHORT;
	if ((meta->end_offset - tail - start) % 4)
		return HK_REASON_ESP_ALIGN;
	opening->iv_offset = meta->payload_offset;
	opening->aad_offset = (__u16)context;
	opening->aad_length = HK_DKC_SIZE + HK_ESP_HEADER_SIZE;
	opening->clear_offset = meta->payload_offset;
	opening->clear_length = 0;
	opening->cipher_offset = (__u16)start;
	opening->cipher_length = (__u16)(meta->end_offset - tail - start);
	opening->tag_offset = (__u16)(meta->end_offset - HK_ESP_ICV_SIZE);
	return HK_REASON_OK;
}

static unsigned plan_derived(
	struct hk_opening *opening, const struct hk_keyring *keyring, const __u8 *header, __u32 esp)
{
	const __u8 *fields = header + esp;
	struct hk_dkc dkc = {.fields = fields,
		.mkid = fields + 4,
		.context_id = fields + 8,
		.epoch = fields + 16,
		.kcv = fields + 20,
		.carrier = HK_DKC_PROFILE_WESP};
	unsigned reason;

	/* neither is covered by the ICV, so both must be what they always are */
	if (hk_get16(fields + 2) || (esp > HK_WESP_HEADER_SIZE && hk_get32(header + HK_WESP_HEADER_SIZE)))
		return HK_REASON_WESP_RESERVED;
	if (HK_DKC_KDF(fields) != HK_DKC_KDF108)
		return HK_REASON_DKC_KDF;
	reason = place_spans(opening, header, esp);
	return reason == HK_REASON_OK ? hk_dkc_plan(opening, keyring, &dkc) : reason;
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	const struct hk_meta *meta = opening->meta;
	__u32 esp, marker = meta->flags & HK_META_UDP ? MARKER : 0;
	const __u8 *header;

	if (meta->payload_offset < meta->envelope_offset + marker + HK_WESP_HEADER_SIZE + HK_ESP_HEADER_SIZE)
		return HK_REASON_META_INVALID;
	header = find_header(opening, &esp);
	opening->tail_length = 0;
	if (!(header[3] & VERSION))
		return plan_null(opening, header);
	if (meta->payload_offset < meta->envelope_offset + marker + esp + HK_DKC_SIZE + HK_ESP_HEADER_SIZE)
		return HK_REASON_META_INVALID;
	return plan_derived(opening, keyring, header, esp);
}

static void cipher(struct hk_opening *opening)
{
	if (opening->cipher != HK_CIPHER_NONE)
		hk_dkc_cipher(opening, opening->frame + opening->iv_offset);
}

static unsigned rebuild(struct hk_opening *opening)
{
	return hk_esp_rebuild_trailer(opening, opening->plain_length - opening->tail_length);
}

const struct hk_envelope_ops hk_wesp_ops = {.plan = plan, .cipher = cipher, .rebuild = rebuild};

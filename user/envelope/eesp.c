// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * EESP packets (docs/wire-formats.md, section 3), with keys of sub-SAs or of a
 * derived-key context.
 *
 *   base | options | [SN64] | [IV64] | data: exposed part, ciphertext | [reader tag 8] | ICV 16
 *
 * Optimized format: the data is an IP packet. Full format: four bytes stand in
 * front of it (0 and reserved, next header, pad length), the padding behind it.
 * The first four bits tell them apart, where no context says which it must be.
 */
#include "user/envelope/openers.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/base/bytes.h"
#include "user/envelope/dkc.h"
#include "user/envelope/rebuild.h"

#define OPTION_PAD1   0
#define OPTION_OFFSET 2
#define OFFSET_BITS   0x3f /* of the crypt offset's first byte; the others are reserved */
#define PAYLOAD_INFO  4	   /* the full format's bytes in front of the payload */

/* What the options say. */
struct options {
	const __u8 *dkc; /* option 0xE0, when it is the first */
	bool has_offset;
	__u32 crypt_offset; /* bytes behind SN and IV that are sent in the clear */
};

static unsigned read_offset(struct options *out, const __u8 *option)
{
	if (out->has_offset)
		return HK_REASON_EESP_OPTION;
	if (option[1] != 2 && option[1] != 4)
		return HK_REASON_EESP_OFFSET;
	out->has_offset = true;
	out->crypt_offset = (option[2] & OFFSET_BITS) * 4u;
	return HK_REASON_OK;
}

static unsigned read_context(struct options *out, const __u8 *option)
{
	if (option[1] != HK_DKC_SIZE - 2)
		return HK_REASON_DKC_LENGTH;
	out->dkc = option;
	return HK_REASON_OK;
}

/* Unknown options, PadN and private ones of others are skipped: only their length counts. */
static unsigned read_options(struct options *out, const __u8 *bytes, __u32 length)
{
	unsigned reason = HK_REASON_OK;
	__u32 at = 0;

	memset(out, 0, sizeof(*out));
	while (at < length && reason == HK_REASON_OK) {
		if (bytes[at] == OPTION_PAD1) {
			at++;
			continue;
		}
		if (length - at < 2 || length - at - 2 < bytes[at + 1])
			return HK_REASON_EESP_OPTION;
		if (bytes[at] == OPTION_OFFSET)
			reason = read_offset(out, bytes + at);
		else if (bytes[at] == HK_DKC_OPTION && at == 0)
			reason = read_context(out, bytes);
		at += 2u + bytes[at + 1];
	}
	return reason;
}

/* Which of SN and IV stand behind the options: the context says it, else the configuration. */
static bool has_sn(const struct hk_opening *opening, const struct options *options)
{
	return options->dkc ? options->dkc[3] & HK_DKC_SN : opening->domain->eesp.sn;
}

static bool has_iv(const struct hk_opening *opening, const struct options *options)
{
	return options->dkc ? options->dkc[3] & HK_DKC_IV : opening->domain->eesp.iv;
}

static unsigned place_spans(struct hk_opening *opening, const struct options *options)
{
	const struct hk_meta *meta = opening->meta;
	bool reader = options->dkc && (options->dkc[3] & HK_DKC_READER);
	__u32 data = meta->payload_offset, tail = HK_EESP_ICV_SIZE + (reader ? HK_DKC_READER_SIZE : 0);

	/* the IV comes last; without one the sequence number is the IV */
	data += (has_sn(opening, options) ? 8 : 0) + (has_iv(opening, options) ? 8 : 0);
	if (data + tail > meta->end_offset)
		return HK_REASON_EESP_SHORT;
	if (options->crypt_offset > meta->end_offset - tail - data)
		return HK_REASON_EESP_OFFSET;
	opening->iv_offset = (__u16)(data - 8);
	opening->aad_offset = meta->envelope_offset;
	opening->aad_length = (__u16)(data + options->crypt_offset - meta->envelope_offset);
	opening->clear_offset = (__u16)data;
	opening->clear_length = (__u16)options->crypt_offset;
	opening->cipher_offset = (__u16)(data + options->crypt_offset);
	opening->cipher_length = (__u16)(meta->end_offset - tail - opening->cipher_offset);
	opening->tag_offset = (__u16)(meta->end_offset - HK_EESP_ICV_SIZE);
	opening->tail_length = 0;
	return HK_REASON_OK;
}

/* Keys of a sub-SA: HKDF-Expand(root, Session ID) gives key and salt. */
static unsigned plan_sub_sa(struct hk_opening *opening, const struct hk_keyring *keyring, const __u8 *header)
{
	unsigned reason;

	opening->variant = HK_SUITE_NONE; /* roots stand under none; a context's keys are no roots */
	reason = hk_opening_choose(opening, keyring, 0);
	if (reason != HK_REASON_OK)
		return reason;
	if (!opening->key.root)
		return HK_REASON_NO_KEY;
	opening->variant = opening->domain->profile == HK_PROFILE_SPLIT ? HK_SUITE_GCM_SPLIT : HK_SUITE_GCM;
	opening->cipher = opening->variant == HK_SUITE_GCM ? HK_CIPHER_GCM : HK_CIPHER_CTR;
	opening->key_size = 32;
	opening->info_size = 2;
	opening->info[0] = header[2];
	opening->info[1] = header[3];
	return HK_REASON_OK;
}

static unsigned plan_context(
	struct hk_opening *opening, const struct hk_keyring *keyring, const __u8 *header, const __u8 *option)
{
	struct hk_dkc dkc = {.fields = option + 2,
		.mkid = option + 4,
		.context_id = option + 8,
		.epoch = option + 16,
		.kcv = option + 20,
		.session = hk_get16(header + 2),
		.carrier = HK_DKC_PROFILE_EESP};

	opening->format = option[3] & HK_DKC_TUNNEL ? HK_EESP_OPTIMIZED : HK_EESP_FULL;
	return hk_dkc_plan(opening, keyring, &dkc);
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	const struct hk_meta *meta = opening->meta;
	const __u8 *header = opening->frame + meta->envelope_offset;
	struct options options;
	unsigned reason;

	if (meta->payload_offset < meta->envelope_offset + HK_EESP_HEADER_SIZE ||
		meta->envelope_offset + HK_EESP_HEADER_SIZE + header[1] != meta->payload_offset)
		return HK_REASON_META_INVALID;
	reason = read_options(&options, header + HK_EESP_HEADER_SIZE, header[1]);
	opening->format = HK_EESP_EITHER;
	if (reason == HK_REASON_OK && options.dkc && HK_DKC_KDF(options.dkc + 2) != HK_DKC_KDF108)
		reason = HK_REASON_DKC_KDF; /* what its other fields mean is not known */
	if (reason == HK_REASON_OK)
		reason = place_spans(opening, &options);
	if (reason != HK_REASON_OK)
		return reason;
	return options.dkc ? plan_context(opening, keyring, header, options.dkc)
			   : plan_sub_sa(opening, keyring, header);
}

static void cipher(struct hk_opening *opening)
{
	const __u8 *iv = opening->frame + opening->iv_offset;

	if (!opening->info_size) {
		hk_dkc_cipher(opening, iv);
		return;
	}
	opening->cipher_key = opening->material;
	hk_opening_nonce(opening, opening->material + 32, iv, 2);
}

/* In `split` no verdict depends on the padding: an impossible length counts as none. */
static unsigned rebuild_full(struct hk_opening *opening, __u32 length)
{
	__u8 *info = opening->plain;
	__u32 payload, padding;

	if (length < PAYLOAD_INFO || info[0] >> 4)
		return HK_REASON_IMPLAUSIBLE;
	payload = length - PAYLOAD_INFO;
	padding = info[3];
	opening->next_header = info[2];
	if (opening->next_header == HK_ESP_DUMMY)
		return HK_REASON_DUMMY;
	if (opening->next_header != HK_NEXT_IP4 && opening->next_header != HK_NEXT_IP6 && padding <= payload)
		payload -= padding;
	return hk_rebuild(opening, info + PAYLOAD_INFO, payload);
}

static unsigned rebuild_optimized(struct hk_opening *opening, __u32 length)
{
	unsigned version = length ? opening->plain[0] >> 4 : 0;

	if (version != 4 && version != 6)
		return HK_REASON_IMPLAUSIBLE;
	opening->next_header = version == 4 ? HK_NEXT_IP4 : HK_NEXT_IP6;
	return hk_rebuild(opening, opening->plain, length);
}

static unsigned rebuild(struct hk_opening *opening)
{
	__u32 length = opening->plain_length - opening->tail_length;
	bool full = opening->format == HK_EESP_FULL ||
		    (opening->format == HK_EESP_EITHER && length && !(opening->plain[0] >> 4));

	return full ? rebuild_full(opening, length) : rebuild_optimized(opening, length);
}

const struct hk_envelope_ops hk_eesp_ops = {.plan = plan, .cipher = cipher, .rebuild = rebuild};

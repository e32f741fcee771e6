// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TSS packets (docs/wire-formats.md, section 2), over UDP 4793 and behind the
 * entropy header of native IP. What is inside is PDS, no IP packet.
 *
 *   [entropy] | first word, [SSI], TSC | ciphertext | ICV
 *
 * Stale epochs, without a table of senders: an epoch belongs to the secure
 * domain, so one number per key is enough. In `single` it is the highest epoch
 * of packets that verified under the key. In `split` no packet can be believed
 * (one forged far ahead would make every genuine one stale), so only the
 * configured epoch counts.
 *
 * In `split` a payload that begins with no PDS type is implausible: that is all
 * there is to tell a wrong key by.
 */
#include "user/envelope/openers.h"

#include <string.h>

#include <halfkey/reason.h>

static const __u8 *header_of(const struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;

	return opening->frame + meta->envelope_offset + (meta->flags & HK_META_UDP ? 0 : HK_TSS_ENTROPY_SIZE);
}

static struct hk_tss_packet packet_of(const struct hk_opening *opening)
{
	return (struct hk_tss_packet){.options = &opening->domain->tss,
		.source = &opening->outer_src,
		.destination = &opening->outer_dst,
		.header = header_of(opening)};
}

/* Metadata came by way of shared memory: what it says of the header must be what the header says. */
static unsigned check_header(const struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;
	__u32 front = meta->flags & HK_META_UDP ? 0 : HK_TSS_ENTROPY_SIZE;
	const __u8 *header = header_of(opening);

	if ((__u32)(meta->end_offset - meta->envelope_offset) < front + HK_TSS_HEADER_SIZE + HK_TSS_ICV_SIZE)
		return HK_REASON_TSS_SHORT;
	if (header[0] >> 3 != HK_TSS_TYPE)
		return HK_REASON_TSS_TYPE;
	if (header[0] & HK_TSS_RESERVED)
		return HK_REASON_TSS_RESERVED;
	if (!(header[0] & HK_TSS_SP) == opening->domain->tss.ssi)
		return HK_REASON_TSS_SSI;
	if (meta->envelope_offset + front + hk_tss_header_size(header) != meta->payload_offset)
		return HK_REASON_META_INVALID;
	return meta->payload_offset + HK_TSS_ICV_SIZE > meta->end_offset ? HK_REASON_TSS_SHORT : HK_REASON_OK;
}

static void place_spans(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;

	opening->clear_offset = meta->payload_offset;
	opening->clear_length = 0;
	opening->cipher_offset = meta->payload_offset;
	opening->tag_offset = (__u16)(meta->end_offset - HK_TSS_ICV_SIZE);
	opening->cipher_length = (__u16)(opening->tag_offset - opening->cipher_offset);
}

static unsigned check_epoch(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	const struct hk_tss_options *options = &opening->domain->tss;
	__u16 epoch = hk_tss_epoch(header_of(opening));
	__u32 highest;

	if (options->has_epoch && hk_tss_is_stale(epoch, options->epoch))
		return HK_REASON_TSS_EPOCH;
	if (opening->domain->profile != HK_PROFILE_SINGLE)
		return HK_REASON_OK;
	opening->epoch = hk_keyring_epoch(keyring, &opening->key);
	highest = __atomic_load_n(opening->epoch, __ATOMIC_RELAXED);
	return highest && hk_tss_is_stale(epoch, (__u16)highest) ? HK_REASON_TSS_EPOCH : HK_REASON_OK;
}

static void plan_key(struct hk_opening *opening)
{
	struct hk_tss_packet packet = packet_of(opening);

	if (opening->domain->tss.mode == HK_TSS_DIRECT)
		return; /* messages is 0: the key as it is */
	opening->messages = HK_KDF_TSS_MESSAGES;
	opening->blocks = (__u8)hk_kdf_tss_messages(opening->message, opening->key.master, &packet);
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	bool single = opening->domain->profile == HK_PROFILE_SINGLE;
	unsigned reason = check_header(opening);
	const __u8 *header = header_of(opening);

	if (reason != HK_REASON_OK)
		return reason;
	opening->variant = single ? HK_SUITE_GCM : HK_SUITE_GCM_SPLIT;
	opening->cipher = single ? HK_CIPHER_GCM : HK_CIPHER_CTR;
	opening->key_size = 32;
	place_spans(opening);
	reason = hk_opening_choose_id(opening, keyring, header[0] & HK_TSS_AN, hk_tss_sdi(header));
	if (reason == HK_REASON_OK)
		reason = check_epoch(opening, keyring);
	if (reason == HK_REASON_OK)
		plan_key(opening);
	return reason;
}

/* Everything the key is derived from, where the ends are the same: hk_kdf_tss_message(). */
static bool same_key(const struct hk_tss_options *options, const __u8 *a, const __u8 *b)
{
	__u32 front = HK_TSS_HEADER_SIZE - HK_TSS_TSC_SIZE + (a[0] & HK_TSS_SP ? HK_TSS_SSI_SIZE : 0);

	return memcmp(a, b, front + 2) == 0 && hk_tss_rekey(options, a) == hk_tss_rekey(options, b);
}

/*
 * One sender's packets under one key follow each other: what was derived for one
 * opens the next. The header is equal but for the counter, so only the end is to
 * be checked.
 */
static bool again(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;

	if (meta->payload_offset + HK_TSS_ICV_SIZE > meta->end_offset ||
		!same_key(&opening->domain->tss, header_of(opening), header_of(opening->before)))
		return false;
	opening->tag_offset = (__u16)(meta->end_offset - HK_TSS_ICV_SIZE);
	opening->cipher_length = (__u16)(opening->tag_offset - opening->cipher_offset);
	opening->epoch = opening->before->epoch;
	opening->material = opening->before->material;
	opening->has_material = true;
	return true;
}

/* The AAD is not in one piece in the frame, so it is put together in front of the plaintext. */
static void cipher(struct hk_opening *opening)
{
	struct hk_tss_packet packet = packet_of(opening);
	bool direct = opening->domain->tss.mode == HK_TSS_DIRECT;
	const __u8 *entropy =
		opening->meta->flags & HK_META_UDP ? NULL : opening->frame + opening->meta->envelope_offset;
	__u8 *aad = opening->plain - HK_OPEN_HEADROOM;

	/* the first two round keys are the key itself (FIPS 197) */
	opening->cipher_key = direct ? opening->key.master->schedule : opening->material;
	hk_tss_iv(opening->nonce, &packet, direct ? NULL : opening->material + HK_KDF_TSS_MASK);
	memcpy(opening->nonce + HK_TSS_IV, (const __u8[]){0, 0, 0, 2}, 4);
	if (opening->cipher != HK_CIPHER_GCM)
		return;
	opening->aad_length = (__u16)hk_tss_aad(aad, &packet, entropy);
	opening->aad = aad;
}

/* Workers race here once per epoch: whoever is further ahead wins. */
static void raise_epoch(struct hk_opening *opening)
{
	__u16 epoch = hk_tss_epoch(header_of(opening));
	__u32 highest = __atomic_load_n(opening->epoch, __ATOMIC_RELAXED);

	while (!highest || (__s16)(__u16)(epoch - (__u16)highest) > 0)
		if (__atomic_compare_exchange_n(opening->epoch, &highest, HK_KEY_EPOCH | epoch, true,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return;
}

static bool is_pds(const __u8 *plain, __u32 length)
{
	return length && plain[0] >> 3 >= HK_PDS_TYPE_FIRST && plain[0] >> 3 <= HK_PDS_TYPE_LAST;
}

static unsigned rebuild(struct hk_opening *opening)
{
	if (opening->auth == HK_AUTH_VERIFIED)
		raise_epoch(opening);
	else if (!is_pds(opening->plain, opening->plain_length))
		return HK_REASON_IMPLAUSIBLE;
	opening->not_ip = 1;
	opening->inner = opening->plain;
	opening->inner_length = opening->plain_length;
	return HK_REASON_OK;
}

const struct hk_envelope_ops hk_tss_ops = {
	.plan = plan, .again = again, .cipher = cipher, .rebuild = rebuild};

_Static_assert(HK_TSS_AAD_MAX <= HK_OPEN_HEADROOM, "the AAD fits in front of the plaintext");

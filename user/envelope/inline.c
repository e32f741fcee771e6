// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inline keying (docs/wire-formats.md, section 5): packets of parent SAs, each
 * under a key of its own, and of children that packets before them created.
 *
 *   parent   SPI | SN | packet nonce | IV | [creation header] inner, trailer | ICV
 *   child    SPI | SN | IV               | [creation header] inner, trailer | ICV
 *
 * A creation takes effect when the packet that brought it turns out to be
 * plausible as a whole. Like ESP in `split`, nothing depends on the padding.
 */
#include "user/envelope/openers.h"

#include <string.h>

#include "bpf/parse/inline.h"
#include "user/crypto/inline.h"
#include "user/base/bytes.h"
#include "user/envelope/rebuild.h"
#include "user/keys/children.h"

#define TRAILER	 2  /* pad length and next header */
#define NO_NEXT	 59 /* nothing behind the creation header */
#define MATERIAL 36 /* key and salt */

static bool is_parent(const struct hk_opening *opening)
{
	return opening->key.root;
}

static unsigned place_spans(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;
	__u32 aad = HK_ESP_HEADER_SIZE + (is_parent(opening) ? HK_INLINE_NONCE : 0);
	__u32 start = meta->envelope_offset + aad + HK_ESP_IV_SIZE;

	if (meta->envelope_offset + HK_ESP_HEADER_SIZE != meta->payload_offset)
		return HK_REASON_META_INVALID;
	if (start + TRAILER + HK_ESP_ICV_SIZE > meta->end_offset)
		return HK_REASON_INLINE_SHORT;
	opening->tag_offset = (__u16)(meta->end_offset - HK_ESP_ICV_SIZE);
	opening->cipher_length = (__u16)(opening->tag_offset - start);
	if (opening->cipher_length % HK_ESP_ALIGN)
		return HK_REASON_INLINE_ALIGN;
	opening->aad_offset = meta->envelope_offset;
	opening->aad_length = (__u16)aad;
	opening->clear_offset = meta->payload_offset;
	opening->clear_length = 0;
	opening->cipher_offset = (__u16)start;
	return HK_REASON_OK;
}

static unsigned find_child(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	const struct hk_children *children = hk_keyring_children(keyring);
	struct hk_child_name name = {
		.receiver = opening->outer_dst, .spi = opening->meta->spi, .domain = opening->meta->domain};

	if (!children ||
		!hk_children_find(children, &name, *opening->now_ns, opening->expanded, &opening->child))
		return HK_REASON_NO_KEY;
	/* generations never come back, so this is the key's own number, and no key line's */
	opening->key.id = 1ull << 63 | (__u64)opening->child.generation << 16 | opening->child.index;
	return HK_REASON_OK;
}

/* The parent's root, else a child; without either, why there is no root. */
static unsigned find_key(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	struct hk_key_request request = {
		.receiver = &opening->outer_dst, .spi = opening->meta->spi, .domain = opening->meta->domain};
	unsigned reason;

	memset(&opening->key, 0, sizeof(opening->key));
	reason = hk_keyring_choose(keyring, &request, &opening->key);
	if (reason == HK_REASON_OK)
		return opening->key.root ? HK_REASON_OK : HK_REASON_NO_KEY;
	return find_child(opening, keyring) == HK_REASON_OK ? HK_REASON_OK : reason;
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	unsigned reason;

	if (opening->domain->profile != HK_PROFILE_SPLIT)
		return HK_REASON_PROFILE_MISMATCH;
	opening->keyring = keyring;
	opening->variant = HK_SUITE_GCM_SPLIT;
	opening->cipher = HK_CIPHER_CTR;
	opening->key_size = 32;
	opening->aad = NULL;
	reason = find_key(opening, keyring);
	if (reason == HK_REASON_OK)
		reason = place_spans(opening);
	if (reason == HK_REASON_OK && is_parent(opening)) {
		opening->info_size = HK_INLINE_INFO;
		hk_inline_info(opening->info, HK_SIDE_ENC, opening->frame + opening->meta->payload_offset,
			opening->meta->spi);
	}
	if (reason != HK_REASON_OK)
		hk_wipe(opening->expanded, MATERIAL); /* a child's key may be there already */
	return reason;
}

/* salt || IV || 2 */
static void cipher(struct hk_opening *opening)
{
	opening->cipher_key = opening->expanded;
	hk_opening_nonce(
		opening, opening->expanded + 32, opening->frame + opening->cipher_offset - HK_ESP_IV_SIZE, 2);
}

/* The creation header stays in the headroom: a rebuilt IP header may be written over its place. */
static __u8 *kept_header(const struct hk_opening *opening)
{
	return opening->plain - HK_OPEN_HEADROOM;
}

/* The creator is the child's receiver: this packet's source. */
static void create(struct hk_opening *opening)
{
	const struct hk_inline_options *options = &opening->domain->inline_keying;
	struct hk_child_limits limits = {.children = options->children, .creations = options->creations};
	struct hk_child_creator creator = {.root = opening->key.root, .place = opening->child};
	const __u8 *header = kept_header(opening);
	struct hk_child_name name = {
		.receiver = opening->outer_src, .spi = hk_get32(header + 8), .domain = opening->meta->domain};

	hk_children_add(hk_keyring_children(opening->keyring), opening->crypto, &creator, &name, header,
		opening->creation_size, &limits, *opening->now_ns);
}

/* Protocols that plausibility can check: for the others noise may pass, and says nothing about a key. */
static bool is_telling(__u8 next_header)
{
	switch (next_header) {
	case HK_NEXT_IP4:
	case HK_NEXT_IP6:
	case 1:	 /* ICMP */
	case 6:	 /* TCP */
	case 17: /* UDP */
	case 58: /* ICMPv6 */ return true;
	default: return false;
	}
}

static void settle(struct hk_opening *opening, bool plausible)
{
	if (!is_parent(opening) && (!plausible || is_telling(opening->next_header)))
		hk_child_settle(hk_keyring_children(opening->keyring), &opening->child, plausible);
	if (plausible && opening->creation_size)
		create(opening);
}

static unsigned take_creation(struct hk_opening *opening, __u32 length)
{
	struct hk_creation creation;
	unsigned reason = hk_creation_parse(opening->plain, length, &creation);

	if (reason != HK_REASON_OK)
		return reason;
	opening->creation_size = creation.size;
	opening->next_header = creation.next_header;
	memcpy(kept_header(opening), opening->plain, creation.size);
	return HK_REASON_OK;
}

static unsigned open_payload(struct hk_opening *opening)
{
	__u32 length = opening->plain_length - TRAILER, padding = opening->plain[length];
	unsigned reason = HK_REASON_OK;

	opening->next_header = opening->plain[length + 1];
	if (opening->next_header == HK_ESP_DUMMY)
		return HK_REASON_DUMMY;
	if (opening->next_header == opening->domain->inline_keying.next_header)
		reason = take_creation(opening, length);
	if (reason != HK_REASON_OK)
		return reason;
	length -= opening->creation_size;
	if (opening->creation_size && opening->next_header == NO_NEXT) {
		create(opening);
		return HK_REASON_DUMMY;
	}
	if (opening->next_header != HK_NEXT_IP4 && opening->next_header != HK_NEXT_IP6 && padding <= length)
		length -= padding;
	return hk_rebuild(opening, opening->plain + opening->creation_size, length);
}

static unsigned rebuild(struct hk_opening *opening)
{
	unsigned reason;

	hk_wipe(opening->expanded, MATERIAL);
	opening->creation_size = 0;
	reason = open_payload(opening);
	if (reason != HK_REASON_OK && reason != HK_REASON_DUMMY)
		settle(opening, false);
	return reason;
}

const struct hk_envelope_ops hk_inline_ops = {
	.plan = plan, .cipher = cipher, .rebuild = rebuild, .settle = settle};

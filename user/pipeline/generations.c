// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Slots with several keys. A slot number comes back with its second rotation, so
 * for a while it means two generations, or three where no other slot is used; the packet does not say which.
 * In `single` the ICV decides, in `split` plausibility does. The one that opened is tried first from then on
 * (per receiver and slot), so that a rotation costs a second try of a few packets. What neither opens is
 * stale where a generation went lately.
 *
 * Runs only while the keyring has such slots. DTLS decides for itself, record by record.
 */
#include "user/pipeline/internal.h"

#include <netinet/in.h>
#include <string.h>

#include <halfkey/reason.h>

#include "user/pipeline/inner.h"
#include "user/pipeline/plausible.h"

/* Reasons that a wrong key can have, and right ones, too. */
static bool may_be_wrong_key(unsigned reason)
{
	switch (reason) {
	case HK_REASON_OK:
	case HK_REASON_BAD_ICV:
	case HK_REASON_WRONG_KCV:
	case HK_REASON_IMPLAUSIBLE:
	case HK_REASON_NEXT_HEADER:
	case HK_REASON_READER_TAG:
	case HK_REASON_DUMMY: return true;
	default: return false;
	}
}

/* UDP may go without a checksum, and a fragment's covers what is not here: neither proves anything. */
static bool has_no_sum(const __u8 *data, const struct hk_hook_packet *packet)
{
	const __u8 *udp = data + packet->l4_offset;

	if (packet->flags & HK_PACKET_FRAGMENT)
		return true;
	return packet->protocol == IPPROTO_UDP && packet->l4_offset &&
	       packet->data_length - packet->l4_offset >= 8 && !udp[6] && !udp[7];
}

/* `strict`: it has to prove itself by its transport checksum, which noise behind clear headers has not. */
static bool is_sensible(const struct hk_opening *opening, bool strict)
{
	struct hk_hook_packet packet;

	if (opening->auth == HK_AUTH_VERIFIED || opening->not_ip)
		return true;
	memset(&packet, 0, sizeof(packet));
	return !hk_packet_parse(opening->inner, opening->inner_length, &packet) &&
	       hk_plausible(opening->inner, &packet, opening->suspect || strict) &&
	       !(strict && has_no_sum(opening->inner, &packet));
}

static bool opens_with(struct hk_pipeline *pipeline, unsigned i, const struct hk_key_choice *key)
{
	return hk_pipeline_open_with(pipeline, i, key) == HK_REASON_OK &&
	       is_sensible(&pipeline->openings[i], false);
}

/*
 * Each other generation is tried once. What proves itself wins; without a proof the
 * generation tried first, then the highest that makes sense. True: it is open now.
 */
static bool try_others(struct hk_pipeline *pipeline, unsigned i, bool opened)
{
	const struct hk_keyring *keyring = pipeline->inspection->keyring;
	struct hk_key_choice first = pipeline->openings[i].key, other, likely = {.id = 0};
	unsigned n;

	for (n = 0; hk_keyring_other(keyring, &first, n, &other); n++) {
		if (!opens_with(pipeline, i, &other))
			continue;
		if (is_sensible(&pipeline->openings[i], true)) {
			hk_keyring_prefer(keyring, &other);
			return true;
		}
		if (!likely.id)
			likely = other;
	}
	if (opened || likely.id)
		return !n || opens_with(pipeline, i, opened ? &first : &likely);
	pipeline->openings[i].key = first;
	return false;
}

static void decide(struct hk_pipeline *pipeline, unsigned i)
{
	const struct hk_keyring *keyring = pipeline->inspection->keyring;
	struct hk_opening *opening = &pipeline->openings[i];
	struct hk_key_choice first = opening->key;
	unsigned reason = pipeline->reasons[i];
	bool opened = reason == HK_REASON_OK && is_sensible(opening, false);

	if (opened && is_sensible(opening, true))
		return;
	if (reason == HK_REASON_OK)
		reason = HK_REASON_IMPLAUSIBLE;
	if (try_others(pipeline, i, opened))
		reason = HK_REASON_OK;
	else if (reason != HK_REASON_DUMMY && hk_keyring_retired(keyring, &first))
		reason = HK_REASON_STALE_KEY;
	pipeline->reasons[i] = (__u8)reason;
}

void hk_pipeline_generations(struct hk_pipeline *pipeline)
{
	const struct hk_opening *opening;
	struct hk_key_choice other;
	unsigned i;

	for (i = 0; i < pipeline->count; i++) {
		opening = &pipeline->openings[i];
		if (!may_be_wrong_key(pipeline->reasons[i]) || !opening->key.master || !opening->messages)
			continue;
		if (!hk_keyring_other(pipeline->inspection->keyring, &opening->key, 0, &other) &&
			!hk_keyring_retired(pipeline->inspection->keyring, &opening->key))
			continue;
		decide(pipeline, i);
	}
}

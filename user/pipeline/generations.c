// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Slots with two keys. A slot number comes back with its second rotation, so
 * for a while it means two generations; the packet does not say which. In
 * `single` the ICV decides, in `split` plausibility does. The one that opened is tried
 * first from then on (per receiver and slot), so that a rotation costs a second
 * try of a few packets. What neither opens is stale where a generation went lately.
 *
 * Runs only while the keyring has such slots.
 */
#include "user/pipeline/internal.h"

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

static bool is_sensible(const struct hk_opening *opening)
{
	struct hk_hook_packet packet;

	if (opening->auth == HK_AUTH_VERIFIED || opening->not_ip)
		return true;
	memset(&packet, 0, sizeof(packet));
	return !hk_packet_parse(opening->inner, opening->inner_length, &packet) &&
	       hk_plausible(opening->inner, &packet, opening->suspect);
}

static void try_other(struct hk_pipeline *pipeline, unsigned i, unsigned reason)
{
	const struct hk_keyring *keyring = pipeline->inspection->keyring;
	struct hk_opening *opening = &pipeline->openings[i];
	struct hk_key_choice first = opening->key, other;

	if (hk_keyring_other(keyring, &first, &other) &&
		hk_pipeline_open_with(pipeline, i, &other) == HK_REASON_OK && is_sensible(opening)) {
		pipeline->reasons[i] = HK_REASON_OK;
		hk_keyring_prefer(keyring, &other);
		return;
	}
	opening->key = first;
	if (reason != HK_REASON_DUMMY && hk_keyring_retired(keyring, &first))
		reason = HK_REASON_STALE_KEY;
	pipeline->reasons[i] = (__u8)reason;
}

void hk_pipeline_generations(struct hk_pipeline *pipeline)
{
	const struct hk_opening *opening;
	struct hk_key_choice other;
	unsigned i, reason;

	for (i = 0; i < pipeline->count; i++) {
		opening = &pipeline->openings[i];
		reason = pipeline->reasons[i];
		if (!may_be_wrong_key(reason) || !opening->key.master || !opening->messages)
			continue;
		if (!hk_keyring_other(pipeline->inspection->keyring, &opening->key, &other) &&
			!hk_keyring_retired(pipeline->inspection->keyring, &opening->key))
			continue;
		if (reason == HK_REASON_OK && is_sensible(opening))
			continue;
		if (reason == HK_REASON_OK)
			reason = HK_REASON_IMPLAUSIBLE;
		try_other(pipeline, i, reason);
	}
}

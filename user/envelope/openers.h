/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The openers, for the table of envelope.c alone. */
#ifndef HK_ENVELOPE_OPENERS_H
#define HK_ENVELOPE_OPENERS_H

#include <string.h>

#include <halfkey/reason.h>

#include "user/envelope/envelope.h"

extern const struct hk_envelope_ops hk_psp_ops;
extern const struct hk_envelope_ops hk_esp_ops;

/* Chooses the key; neighbours in a batch mostly share receiver and slot, so theirs is looked at first. */
static inline unsigned hk_opening_choose(
	struct hk_opening *opening, const struct hk_keyring *keyring, unsigned slot)
{
	const struct hk_opening *before = opening->before;

	opening->slot = (__u8)slot;
	if (before && before->slot == slot && before->meta->domain == opening->meta->domain &&
		memcmp(&before->outer_dst, &opening->outer_dst, sizeof(opening->outer_dst)) == 0 &&
		hk_keyring_only_masters(keyring)) {
		opening->key = before->key;
		return HK_REASON_OK;
	}
	return hk_keyring_choose(keyring, opening->meta->domain, &opening->outer_dst, opening->meta->spi,
		slot, opening->variant, &opening->key);
}

#endif

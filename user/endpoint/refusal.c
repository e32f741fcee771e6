// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of the refusals: see refusal.h. */
#include "user/endpoint/refusal.h"

#include <stddef.h>

static const char *const names[] = {
#define HK_R(id, name, text) name,
	HK_REFUSALS(HK_R)
#undef HK_R
};

static const char *const texts[] = {
#define HK_R(id, name, text) text,
	HK_REFUSALS(HK_R)
#undef HK_R
};

const char *hk_refusal_name(unsigned refusal)
{
	return refusal < HK_REFUSAL_COUNT ? names[refusal] : NULL;
}

const char *hk_refusal_text(unsigned refusal)
{
	return refusal < HK_REFUSAL_COUNT ? texts[refusal] : NULL;
}

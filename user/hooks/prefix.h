/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prefixes and numbers in the settings of this folder's hooks. The core has the
 * like in user/base/text.h, but a hook knows only <halfkey/hook.h>.
 */
#ifndef HK_HOOKS_PREFIX_H
#define HK_HOOKS_PREFIX_H

#include <stdbool.h>

#include <halfkey/address.h>

/* An address or address/length, bits behind the length 0. NULL, or why not, to follow the quoted text. */
const char *hk_hooks_prefix_read(const char *text, struct hk_prefix *out);
/* Whether the address is in the prefix; never across IP versions. */
bool hk_hooks_prefix_holds(const struct hk_prefix *prefix, const struct hk_address *address);
/* Decimal digits alone, at most `max`. 0 or -1. */
int hk_hooks_number_read(const char *text, unsigned long max, unsigned long *out);

#endif

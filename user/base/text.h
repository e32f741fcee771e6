/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text to values and back: addresses, prefixes, numbers, hex. Every parser
 * takes the whole string or refuses it. 0 or -EINVAL.
 */
#ifndef HK_BASE_TEXT_H
#define HK_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include <halfkey/address.h>

#define HK_ADDRESS_TEXT 46
#define HK_PREFIX_TEXT	50

/* "192.0.2.1" or "2001:db8::1"; IPv4-mapped IPv6 is refused. */
int hk_address_parse(const char *text, struct hk_address *out);
/* An address, or address/length; bits behind the length must be 0. */
int hk_prefix_parse(const char *text, struct hk_prefix *out);
const char *hk_address_format(const struct hk_address *address, char out[HK_ADDRESS_TEXT]);
const char *hk_prefix_format(const struct hk_prefix *prefix, char out[HK_PREFIX_TEXT]);
/* IPv6 prefixes hold no IPv4 address: not ::/0 either, although it covers ::ffff:0:0/96. */
bool hk_prefix_holds(const struct hk_prefix *prefix, const struct hk_address *address);

/* Decimal or 0x hexadecimal in [0, max]. */
int hk_number_parse(const char *text, __u64 max, __u64 *out);

/* Exactly `size` bytes of hex. Constant time in the digits' values: keys pass here. */
int hk_hex_parse(const char *text, size_t text_length, __u8 *out, size_t size);
void hk_hex_format(const __u8 *bytes, size_t size, char *out /* 2 * size + 1 */);

/* "1 key", "2 keys": what "%u key%s" wants behind the number. */
const char *hk_plural(unsigned long long count);

/* Names of the X-macro lists; NULL or -1 for what is not in them. */
const char *hk_reason_name(unsigned reason);
const char *hk_reason_text(unsigned reason);
unsigned hk_reason_policy(unsigned reason); /* enum hk_policy */
const char *hk_policy_name(unsigned policy);
unsigned hk_policy_default(unsigned policy); /* enum hk_action */
const char *hk_envelope_name(unsigned envelope);
const char *hk_suite_name(unsigned suite);
const char *hk_auth_name(unsigned auth); /* the mark of opened packets */
int hk_auth_by_name(const char *name);
const char *hk_profile_name(unsigned profile);
const char *hk_mode_name(unsigned mode);
const char *hk_seccomp_name(unsigned seccomp);
int hk_envelope_by_name(const char *name);
int hk_suite_by_name(const char *name);
unsigned hk_suite_profile(unsigned suite);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* Text to values and back: see text.h. */
#include "user/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/config.h>
#include <halfkey/envelope.h>
#include <halfkey/hook.h>
#include <halfkey/reason.h>

int hk_address_parse(const char *text, struct hk_address *out)
{
	__u8 bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1) {
		*out = hk_address_v4(bytes);
		return 0;
	}
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return -EINVAL;
	*out = hk_address_v6(bytes);
	return hk_address_is_v4(out) ? -EINVAL : 0;
}

int hk_prefix_parse(const char *text, struct hk_prefix *out)
{
	char address[HK_ADDRESS_TEXT];
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);
	__u64 length = 0;
	unsigned base;

	if (size >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, size);
	address[size] = '\0';
	if (hk_address_parse(address, &out->address))
		return -EINVAL;
	base = hk_address_is_v4(&out->address) ? 96 : 0;
	if (!slash)
		length = 128 - base;
	else if (hk_number_parse(slash + 1, 128 - base, &length))
		return -EINVAL;
	out->length = (__u8)(base + length);
	return hk_prefix_is_clear(out) ? 0 : -EINVAL;
}

const char *hk_address_format(const struct hk_address *address, char out[HK_ADDRESS_TEXT])
{
	bool v4 = hk_address_is_v4(address);

	return inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? 12 : 0), out, HK_ADDRESS_TEXT);
}

const char *hk_prefix_format(const struct hk_prefix *prefix, char out[HK_PREFIX_TEXT])
{
	unsigned base = hk_address_is_v4(&prefix->address) ? 96 : 0;
	char address[HK_ADDRESS_TEXT];

	hk_address_format(&prefix->address, address);
	if (prefix->length == 128)
		snprintf(out, HK_PREFIX_TEXT, "%s", address);
	else
		snprintf(out, HK_PREFIX_TEXT, "%s/%u", address, prefix->length - base);
	return out;
}

bool hk_prefix_holds(const struct hk_prefix *prefix, const struct hk_address *address)
{
	unsigned whole = prefix->length / 8, rest = prefix->length % 8;
	__u8 mask = (__u8)(0xff00 >> rest);

	if (prefix->length < 96 && hk_address_is_v4(address))
		return false;
	if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
		return false;
	return !rest || ((prefix->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

int hk_number_parse(const char *text, __u64 max, __u64 *out)
{
	int base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
	const char *digits = base == 16 ? text + 2 : text;
	unsigned long long value;
	char *end;

	if (strspn(digits, base == 16 ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits) ||
		!*digits)
		return -EINVAL;
	errno = 0;
	value = strtoull(digits, &end, base);
	if (errno || *end || value > max)
		return -EINVAL;
	*out = value;
	return 0;
}

/* The value of one hex digit, or a number with a high bit set; no branch or table on `c`. */
static unsigned hex_digit(unsigned c)
{
	unsigned digit = c - '0', upper = c - 'A', lower = c - 'a';
	unsigned is_digit = (digit - 10u) >> 31 & ~(digit >> 31);
	unsigned is_upper = (upper - 6u) >> 31 & ~(upper >> 31);
	unsigned is_lower = (lower - 6u) >> 31 & ~(lower >> 31);
	unsigned valid = (is_digit | is_upper | is_lower) & 1;

	return (digit & -(is_digit & 1)) | ((upper + 10) & -(is_upper & 1)) |
	       ((lower + 10) & -(is_lower & 1)) | ((valid - 1) & 0x100);
}

int hk_hex_parse(const char *text, size_t text_length, __u8 *out, size_t size)
{
	unsigned bad = 0, high, low;
	size_t i;

	if (text_length != 2 * size)
		return -EINVAL;
	for (i = 0; i < size; i++) {
		high = hex_digit((unsigned char)text[2 * i]);
		low = hex_digit((unsigned char)text[2 * i + 1]);
		bad |= (high | low) & 0x100;
		out[i] = (__u8)(high << 4 | low);
	}
	return bad ? -EINVAL : 0;
}

void hk_hex_format(const __u8 *bytes, size_t size, char *out)
{
	size_t i;

	for (i = 0; i < size; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
	out[2 * size] = '\0';
}

struct reason_row {
	const char *name;
	const char *text;
	unsigned policy;
};

static const struct reason_row reasons[HK_REASON_COUNT] = {
#define HK_R(number, id, label, class, words) \
	[number] = {.name = label, .text = words, .policy = HK_POLICY_##class},
	HK_REASONS(HK_R)
#undef HK_R
};

struct policy_row {
	const char *name;
	unsigned action;
};

static const struct policy_row policies[HK_POLICY_COUNT] = {
#define HK_P(id, key, default_action, words) \
	[HK_POLICY_##id] = {.name = key, .action = HK_ACTION_##default_action},
	HK_POLICIES(HK_P)
#undef HK_P
};

static const char *const envelopes[HK_ENVELOPE_MAX] = {
#define HK_E(number, id, name, text) [number] = name,
	HK_ENVELOPES(HK_E)
#undef HK_E
};

struct suite_row {
	const char *name;
	unsigned profile;
};

static const struct suite_row suites[] = {
#define HK_S(number, id, label, its_profile, text) \
	[number] = {.name = label, .profile = HK_PROFILE_##its_profile},
	HK_SUITES(HK_S)
#undef HK_S
};

static const char *const auths[] = {
#define HK_A(number, id, name, text) [number] = (name),
	HK_AUTHS(HK_A)
#undef HK_A
};

const char *hk_auth_name(unsigned auth)
{
	return auth < HK_AUTH_COUNT ? auths[auth] : NULL;
}

int hk_auth_by_name(const char *name)
{
	int i;

	for (i = 0; i < HK_AUTH_COUNT; i++)
		if (strcmp(auths[i], name) == 0)
			return i;
	return -1;
}

const char *hk_reason_name(unsigned reason)
{
	return reason < HK_REASON_COUNT ? reasons[reason].name : NULL;
}

const char *hk_reason_text(unsigned reason)
{
	return reason < HK_REASON_COUNT ? reasons[reason].text : NULL;
}

unsigned hk_reason_policy(unsigned reason)
{
	return reason < HK_REASON_COUNT ? reasons[reason].policy : HK_POLICY_NONE;
}

const char *hk_policy_name(unsigned policy)
{
	return policy < HK_POLICY_COUNT ? policies[policy].name : NULL;
}

unsigned hk_policy_default(unsigned policy)
{
	return policy < HK_POLICY_COUNT ? policies[policy].action : HK_ACTION_DROP;
}

const char *hk_envelope_name(unsigned envelope)
{
	return envelope < HK_ENVELOPE_MAX ? envelopes[envelope] : NULL;
}

const char *hk_suite_name(unsigned suite)
{
	return suite < sizeof(suites) / sizeof(suites[0]) ? suites[suite].name : NULL;
}

unsigned hk_suite_profile(unsigned suite)
{
	return suite < sizeof(suites) / sizeof(suites[0]) ? suites[suite].profile : 0;
}

const char *hk_profile_name(unsigned profile)
{
	static const char *const names[] = {[HK_PROFILE_SPLIT] = "split", [HK_PROFILE_SINGLE] = "single"};

	return profile < sizeof(names) / sizeof(names[0]) ? names[profile] : NULL;
}

const char *hk_mode_name(unsigned mode)
{
	static const char *const names[] = {
		[HK_MODE_INLINE] = "inline", [HK_MODE_MONITOR] = "monitor", [HK_MODE_PASSIVE] = "passive"};

	return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : NULL;
}

const char *hk_seccomp_name(unsigned seccomp)
{
	static const char *const names[] = {
		[HK_SECCOMP_ON] = "on", [HK_SECCOMP_LOG] = "log", [HK_SECCOMP_OFF] = "off"};

	return seccomp < sizeof(names) / sizeof(names[0]) ? names[seccomp] : NULL;
}

const char *hk_plural(unsigned long long count)
{
	return count == 1 ? "" : "s";
}

int hk_envelope_by_name(const char *name)
{
	int i;

	for (i = 0; i < HK_ENVELOPE_MAX; i++)
		if (envelopes[i] && strcmp(envelopes[i], name) == 0)
			return i;
	return -1;
}

int hk_suite_by_name(const char *name)
{
	int i;

	for (i = 0; i < (int)(sizeof(suites) / sizeof(suites[0])); i++)
		if (suites[i].name && strcmp(suites[i].name, name) == 0)
			return i;
	return -1;
}

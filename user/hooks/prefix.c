// SPDX-License-Identifier: GPL-2.0-or-later
/* Prefixes and numbers: see prefix.h. */
#include "user/hooks/prefix.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

int hk_hooks_number_read(const char *text, unsigned long max, unsigned long *out)
{
	size_t digits = strspn(text, "0123456789");

	if (digits < 1 || digits > 10 || text[digits])
		return -1;
	*out = strtoul(text, NULL, 10);
	return *out > max ? -1 : 0;
}

static int parse_address(const char *text, struct hk_address *out)
{
	__u8 bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1) {
		*out = hk_address_v4(bytes);
		return 0;
	}
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return -1;
	*out = hk_address_v6(bytes);
	return hk_address_is_v4(out) ? -1 : 0;
}

const char *hk_hooks_prefix_read(const char *text, struct hk_prefix *out)
{
	char address[64];
	size_t size = strcspn(text, "/");
	unsigned long length;
	unsigned base;

	if (size >= sizeof(address))
		return "is no address or prefix";
	memcpy(address, text, size);
	address[size] = '\0';
	if (parse_address(address, &out->address))
		return "is no address or prefix: write 192.0.2.0/24 or 2001:db8::/32";
	base = hk_address_is_v4(&out->address) ? 96 : 0;
	length = 128 - base;
	if (text[size] && hk_hooks_number_read(text + size + 1, 128 - base, &length))
		return base ? "has no length of 0..32" : "has no length of 0..128";
	out->length = (__u8)(base + length);
	return hk_prefix_is_clear(out) ? NULL
				       : "has bits behind its length: clear them or lengthen the prefix";
}

bool hk_hooks_prefix_holds(const struct hk_prefix *prefix, const struct hk_address *address)
{
	unsigned whole = prefix->length / 8, rest = prefix->length % 8;
	__u8 mask = (__u8)(0xff00 >> rest);

	if (hk_address_is_v4(&prefix->address) != hk_address_is_v4(address))
		return false;
	if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
		return false;
	return !rest || ((prefix->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

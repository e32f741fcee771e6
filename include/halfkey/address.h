/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * One address type for both IP versions: 16 bytes, network order, IPv4 as
 * ::ffff:a.b.c.d. A packet or a configuration that names ::ffff:0:0/96 as an
 * IPv6 address is refused, so the two never meet.
 */
#ifndef HALFKEY_ADDRESS_H
#define HALFKEY_ADDRESS_H

#include <linux/types.h>

struct hk_address {
	__u8 bytes[16];
};

/* `length` counts bits of the 16-byte form: an IPv4 /24 is 96 + 24. */
struct hk_prefix {
	struct hk_address address;
	__u8 length;
};

/* Made of two words: what is written in smaller pieces is slow to read back whole. */
static inline struct hk_address hk_address_v4(const __u8 *four_bytes)
{
	struct hk_address address;
	__u64 half[2] = {0, 0};
	__u32 last;

	__builtin_memcpy(&last, four_bytes, sizeof(last));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	half[1] = (__u64)last << 32 | 0xffff0000;
#else
	half[1] = 0xffff00000000 | last;
#endif
	__builtin_memcpy(&address, half, sizeof(address));
	return address;
}

static inline struct hk_address hk_address_v6(const __u8 *sixteen_bytes)
{
	struct hk_address address;

	__builtin_memcpy(address.bytes, sixteen_bytes, 16);
	return address;
}

static inline int hk_address_is_v4(const struct hk_address *address)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

	return __builtin_memcmp(address->bytes, mapped, 12) == 0;
}

/* No bit is set behind its length. */
static inline int hk_prefix_is_clear(const struct hk_prefix *prefix)
{
	unsigned bit;

	for (bit = prefix->length; bit < 128; bit++)
		if (prefix->address.bytes[bit / 8] & (0x80 >> (bit % 8)))
			return 0;
	return 1;
}

#endif

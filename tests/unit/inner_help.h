/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inner packets for tests, with checksums that hold: IPv4 and IPv6, TCP, UDP, ICMP. */
#ifndef TESTS_UNIT_INNER_HELP_H
#define TESTS_UNIT_INNER_HELP_H

#include <netinet/in.h>
#include <string.h>
#include <linux/types.h>

#include "user/base/bytes.h"
#include "user/envelope/rebuild.h"

static inline void fix_checksum(__u8 *field, __u32 sum)
{
	__u16 checksum;

	memset(field, 0, 2);
	checksum = hk_checksum_fold(sum);
	memcpy(field, &checksum, 2);
}

static inline void fix_ip4(__u8 *packet)
{
	memset(packet + 10, 0, 2);
	fix_checksum(packet + 10, hk_checksum_add(0, packet, (packet[0] & 15) * 4u));
}

/* The transport checksum at `field` (from the packet), transport at `l4` up to `length`. */
static inline void fix_transport(__u8 *packet, __u32 length, __u32 l4, __u8 protocol, __u32 field)
{
	const __u8 tail[4] = {0, protocol, (__u8)((length - l4) >> 8), (__u8)(length - l4)};
	int v4 = packet[0] >> 4 == 4;
	__u32 sum = 0;

	memset(packet + field, 0, 2);
	if (protocol != IPPROTO_ICMP) {
		sum = hk_checksum_add(0, packet + (v4 ? 12 : 8), v4 ? 8 : 32);
		sum = hk_checksum_add(sum, tail, 4);
	}
	fix_checksum(packet + field, hk_checksum_add(sum, packet + l4, length - l4));
}

/* An IP header for `size` bytes of transport; its length. 10.1.0.1 → 10.1.0.2 or fd00::1 → fd00::2. */
static inline __u32 make_ip(__u8 *packet, int version, __u8 protocol, __u32 size)
{
	__u32 header = version == 4 ? 20 : 40;

	memset(packet, 0, header);
	if (version == 4) {
		packet[0] = 0x45;
		hk_put16(packet + 2, header + size);
		packet[6] = 0x40;
		packet[8] = 64;
		packet[9] = protocol;
		memcpy(packet + 12, (const __u8[]){10, 1, 0, 1, 10, 1, 0, 2}, 8);
		fix_ip4(packet);
	} else {
		packet[0] = 0x60;
		hk_put16(packet + 4, size);
		packet[6] = protocol;
		packet[7] = 64;
		packet[8] = packet[24] = 0xfd;
		packet[23] = 1;
		packet[39] = 2;
	}
	return header;
}

/* TCP 1000 → 80 with `size` bytes of payload; the packet's length. */
static inline __u32 make_tcp(__u8 *packet, int version, __u8 flags, __u32 size)
{
	__u32 l4 = make_ip(packet, version, IPPROTO_TCP, 20 + size);

	memset(packet + l4, 0, 20);
	hk_put16(packet + l4, 1000);
	hk_put16(packet + l4 + 2, 80);
	packet[l4 + 12] = 0x50;
	packet[l4 + 13] = flags;
	memset(packet + l4 + 20, 'x', size);
	fix_transport(packet, l4 + 20 + size, l4, IPPROTO_TCP, l4 + 16);
	return l4 + 20 + size;
}

/* UDP from → to port with `size` bytes of payload; the packet's length. */
static inline __u32 make_udp(__u8 *packet, int version, __u16 from, __u16 to, __u32 size)
{
	__u32 l4 = make_ip(packet, version, IPPROTO_UDP, 8 + size);

	hk_put16(packet + l4, from);
	hk_put16(packet + l4 + 2, to);
	hk_put16(packet + l4 + 4, 8 + size);
	memset(packet + l4 + 8, 'u', size);
	fix_transport(packet, l4 + 8 + size, l4, IPPROTO_UDP, l4 + 6);
	return l4 + 8 + size;
}

/* The same packet sent back: addresses and ports change places. Checksums stay right. */
static inline void turn_around(__u8 *packet)
{
	int v4 = packet[0] >> 4 == 4;
	__u32 size = v4 ? 4 : 16, at = v4 ? 12 : 8, l4 = v4 ? 20 : 40;
	__u8 spare[16];

	memcpy(spare, packet + at, size);
	memcpy(packet + at, packet + at + size, size);
	memcpy(packet + at + size, spare, size);
	memcpy(spare, packet + l4, 2);
	memcpy(packet + l4, packet + l4 + 2, 2);
	memcpy(packet + l4 + 2, spare, 2);
}

#endif

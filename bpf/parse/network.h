/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * IPv4 with options, IPv6, and its extension headers one at a time. The cursor
 * ends up behind what was read; its limit is the IP packet's own end, never the
 * frame's.
 *
 * A fragment ends here with `fragment` set: its first bytes may belong to the
 * middle of a datagram. An "atomic" IPv6 fragment (offset 0, no more to come:
 * RFC 6946) is a whole packet and goes on, so that it cannot evade inspection.
 */
#ifndef HALFKEY_BPF_PARSE_NETWORK_H
#define HALFKEY_BPF_PARSE_NETWORK_H

#include "bpf/parse/link.h"

#define HK_IP4_HEADER_SIZE	20
#define HK_IP4_FRAGMENT_BITS	0x3fff /* more-fragments and the offset */
#define HK_IP6_HEADER_SIZE	40
#define HK_IP6_EXTENSIONS_MAX	8      /* real packets carry one or two */
#define HK_IP6_EXTENSION_SIZE	8      /* the smallest; the unit of its length field */
#define HK_IP6_FRAGMENT_BITS	0xfff9 /* the offset and more-fragments */
#define HK_IP_PROTOCOL_HOPBYHOP 0
#define HK_IP_PROTOCOL_UDP	17
#define HK_IP_PROTOCOL_ROUTING	43
#define HK_IP_PROTOCOL_FRAGMENT 44
#define HK_IP_PROTOCOL_ESP	50
#define HK_IP_PROTOCOL_ICMP6	58
#define HK_IP_PROTOCOL_OPTIONS	60
#define HK_IP_PROTOCOL_MOBILITY 135
#define HK_IP_PROTOCOL_HIP	139
#define HK_IP_PROTOCOL_SHIM6	140

/* hk_address_v4() byte by byte: its constant would become a map of its own in the BPF object. */
HK_PARSE void hk_network_map_ip4(struct hk_address *address, const __u8 *four_bytes)
{
	__builtin_memset(address->bytes, 0, 10);
	address->bytes[10] = 0xff;
	address->bytes[11] = 0xff;
	__builtin_memcpy(address->bytes + 12, four_bytes, 4);
}

HK_PARSE unsigned hk_network_parse_ip4(struct hk_cursor *cursor, struct hk_packet *packet)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_IP4_HEADER_SIZE);
	__u32 header_length, total_length;

	if (!header)
		return HK_REASON_SHORT_FRAME;
	header_length = (header[0] & 0x0f) * 4u;
	total_length = hk_load16(header + 2);
	if (header[0] >> 4 != 4 || header_length < HK_IP4_HEADER_SIZE)
		return HK_REASON_IP_HEADER;
	if (header_length > hk_cursor_left(cursor))
		return HK_REASON_SHORT_FRAME;
	if (total_length < header_length)
		return HK_REASON_IP_HEADER;
	packet->version = 4;
	packet->protocol = header[9];
	packet->fragment = (hk_load16(header + 6) & HK_IP4_FRAGMENT_BITS) != 0;
	hk_network_map_ip4(&packet->src, header + 12);
	hk_network_map_ip4(&packet->dst, header + 16);
	if (hk_cursor_narrow(cursor, total_length) || hk_cursor_skip(cursor, header_length))
		return HK_REASON_IP_HEADER;
	return HK_REASON_OK;
}

/* ::ffff:0:0/96 never stands in a packet; here it would meet the IPv4 receivers. */
HK_PARSE int hk_network_is_mapped(const __u8 *address)
{
	return !(hk_load32(address) | hk_load32(address + 4)) && hk_load32(address + 8) == 0xffff;
}

/*
 * True when an extension header comes next. All but the fragment header share
 * one form: next header, length in 8-byte units behind the first.
 */
HK_PARSE int hk_network_has_extension(const struct hk_packet *packet)
{
	__u8 protocol = packet->protocol;

	if (packet->version != 6 || packet->fragment)
		return 0;
	return protocol == HK_IP_PROTOCOL_FRAGMENT || protocol == HK_IP_PROTOCOL_HOPBYHOP ||
	       protocol == HK_IP_PROTOCOL_ROUTING || protocol == HK_IP_PROTOCOL_OPTIONS ||
	       protocol == HK_IP_PROTOCOL_MOBILITY || protocol == HK_IP_PROTOCOL_HIP ||
	       protocol == HK_IP_PROTOCOL_SHIM6;
}

/* One extension header. `first`: nothing but the fixed header is in front, where hop-by-hop may stand. */
HK_PARSE unsigned hk_network_parse_extension(struct hk_cursor *cursor, struct hk_packet *packet, int first)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_IP6_EXTENSION_SIZE);
	__u32 size = HK_IP6_EXTENSION_SIZE;

	if (!header || (packet->protocol == HK_IP_PROTOCOL_HOPBYHOP && !first))
		return HK_REASON_IP6_EXTENSIONS;
	if (packet->protocol == HK_IP_PROTOCOL_FRAGMENT)
		packet->fragment = (hk_load16(header + 2) & HK_IP6_FRAGMENT_BITS) != 0;
	else
		size += header[1] * 8u;
	if (hk_cursor_skip(cursor, size))
		return HK_REASON_IP6_EXTENSIONS;
	packet->protocol = header[0];
	return HK_REASON_OK;
}

HK_PARSE unsigned hk_network_parse_ip6(struct hk_cursor *cursor, struct hk_packet *packet)
{
	const __u8 *header = hk_cursor_take(cursor, HK_IP6_HEADER_SIZE);

	if (!header)
		return HK_REASON_SHORT_FRAME;
	if (header[0] >> 4 != 6)
		return HK_REASON_IP_HEADER;
	packet->version = 6;
	packet->protocol = header[6];
	packet->src = hk_address_v6(header + 8);
	packet->dst = hk_address_v6(header + 24);
	if (hk_cursor_narrow(cursor, hk_load16(header + 4)))
		return HK_REASON_IP_HEADER;
	if (hk_network_is_mapped(header + 8) || hk_network_is_mapped(header + 24))
		return HK_REASON_MAPPED_ADDRESS;
	return HK_REASON_OK;
}

/* Multicast of either version, and IPv4's limited broadcast. */
HK_PARSE int hk_network_is_group(const struct hk_packet *packet)
{
	const __u8 *bytes = packet->dst.bytes;

	if (packet->version == 6)
		return bytes[0] == 0xff;
	return bytes[12] >> 4 == 0xe || hk_load32(bytes + 12) == 0xffffffff;
}

HK_PARSE unsigned hk_network_parse(struct hk_cursor *cursor, struct hk_packet *packet)
{
	unsigned reason = packet->ethertype == HK_ETHERTYPE_IP4 ? hk_network_parse_ip4(cursor, packet)
								: hk_network_parse_ip6(cursor, packet);

	if (reason == HK_REASON_OK && packet->group && hk_network_is_group(packet))
		return HK_REASON_CONTROL;
	return reason;
}

#endif

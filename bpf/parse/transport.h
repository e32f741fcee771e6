/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Behind IP, in whole packets only: UDP, and the ICMPv6 messages that keep the
 * link alive. Everything else is left as it is.
 *
 * After a UDP header the cursor's limit is the datagram's end. Bytes of the IP
 * packet behind it are only noted here: they are legal for others (UDP options,
 * RFC 9868) and refused for envelopes.
 */
#ifndef HALFKEY_BPF_PARSE_TRANSPORT_H
#define HALFKEY_BPF_PARSE_TRANSPORT_H

#include "bpf/parse/network.h"

#define HK_UDP_HEADER_SIZE 8

HK_PARSE unsigned hk_transport_parse_udp(struct hk_cursor *cursor, struct hk_packet *packet)
{
	const __u8 *header = hk_cursor_take(cursor, HK_UDP_HEADER_SIZE);
	__u32 length, left;

	if (!header)
		return HK_REASON_UDP_LENGTH;
	length = hk_load16(header + 4);
	left = hk_cursor_left(cursor);
	if (length < HK_UDP_HEADER_SIZE || hk_cursor_narrow(cursor, length - HK_UDP_HEADER_SIZE))
		return HK_REASON_UDP_LENGTH;
	packet->udp = 1;
	packet->dst_port = hk_load16(header + 2);
	packet->padded = length - HK_UDP_HEADER_SIZE < left;
	return HK_REASON_OK;
}

/* Neighbour discovery (RFC 4861: 133..137) and multicast listener discovery (130..132, 143). */
HK_PARSE unsigned hk_transport_parse_icmp6(const struct hk_cursor *cursor)
{
	const __u8 *type = hk_cursor_peek(cursor, 1);

	if (type && ((*type >= 130 && *type <= 137) || *type == 143))
		return HK_REASON_CONTROL;
	return HK_REASON_LEGACY;
}

HK_PARSE unsigned hk_transport_parse(struct hk_cursor *cursor, struct hk_packet *packet)
{
	if (packet->protocol == HK_IP_PROTOCOL_UDP)
		return hk_transport_parse_udp(cursor, packet);
	if (packet->version == 6 && packet->protocol == HK_IP_PROTOCOL_ICMP6)
		return hk_transport_parse_icmp6(cursor);
	return HK_REASON_OK;
}

#endif

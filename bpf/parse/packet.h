/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * What the parsers learn about a frame on the way in, and what they answer.
 *
 * Every stage returns a reason: HK_REASON_OK goes on to the next stage,
 * anything else is the frame's classification and ends the parse.
 */
#ifndef HALFKEY_BPF_PARSE_PACKET_H
#define HALFKEY_BPF_PARSE_PACKET_H

#include <halfkey/address.h>
#include <halfkey/reason.h>

struct hk_packet {
	__u32 at; /* the cursor's place and limit between two stages */
	__u32 limit;
	struct hk_address src; /* outer */
	struct hk_address dst;
	__u16 ethertype; /* behind the VLAN tags */
	__u16 l3_offset;
	__u16 dst_port; /* UDP only */
	__u8 version;	/* 4 or 6 */
	__u8 protocol;	/* behind the IPv6 extension headers */
	__u8 fragment;	/* 1: a piece of a packet; nothing behind the IP header was looked at */
	__u8 group;	/* 1: the destination MAC is a group's */
	__u8 udp;	/* 1: a UDP header was read */
	__u8 padded;	/* 1: the IP packet goes on behind its UDP datagram */
};

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Ethernet and up to two VLAN tags (802.1Q, 802.1ad and the older 0x9100).
 * What is not IP keeps the link alive (ARP, spanning tree, LLDP): `control`. So
 * do IP packets to a group, which their IP destination says, too: a group MAC
 * alone is no passport, since hosts take unicast packets that come with one.
 */
#ifndef HALFKEY_BPF_PARSE_LINK_H
#define HALFKEY_BPF_PARSE_LINK_H

#include "bpf/parse/cursor.h"
#include "bpf/parse/packet.h"

#define HK_ETHERNET_SIZE     14
#define HK_VLAN_TAG_SIZE     4
#define HK_VLAN_TAGS_MAX     2
#define HK_ETHERTYPE_IP4     0x0800
#define HK_ETHERTYPE_IP6     0x86dd
#define HK_ETHERTYPE_VLAN    0x8100
#define HK_ETHERTYPE_QINQ    0x88a8
#define HK_ETHERTYPE_QINQ_91 0x9100
#define HK_ETHERTYPE_MIN     0x0600 /* below it stands a length, and LLC follows */
#define HK_ETHERTYPE_TEB     0x6558 /* Ethernet in Ethernet */
#define HK_ETHERTYPE_MPLS    0x8847
#define HK_ETHERTYPE_MPLS_MC 0x8848
#define HK_ETHERTYPE_PPPOE   0x8864 /* its sessions; discovery has another one */
#define HK_ETHERTYPE_PBB     0x88e7
#define HK_ETHERTYPE_NSH     0x894f
#define HK_LLC_SIZE	     8 /* with SNAP: DSAP, SSAP, control, OUI(3), EtherType(2) */
#define HK_LLC_SAP_IP	     0x06
#define HK_LLC_SAP_SNAP	     0xaa

HK_PARSE int hk_link_is_vlan(__u16 ethertype)
{
	return ethertype == HK_ETHERTYPE_VLAN || ethertype == HK_ETHERTYPE_QINQ ||
	       ethertype == HK_ETHERTYPE_QINQ_91;
}

HK_PARSE int hk_link_is_ip(__u16 ethertype)
{
	return ethertype == HK_ETHERTYPE_IP4 || ethertype == HK_ETHERTYPE_IP6;
}

/* IP behind LLC, by its own SAP or by SNAP, with or without a VLAN tag in between. */
HK_PARSE int hk_link_llc_has_ip(const struct hk_cursor *cursor)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_LLC_SIZE);
	__u16 ethertype;

	if (!header || (header[0] & 0xfe) == HK_LLC_SAP_IP)
		return header != 0;
	ethertype = hk_load16(header + 6);
	return (header[0] & 0xfe) == HK_LLC_SAP_SNAP &&
	       (hk_link_is_ip(ethertype) || hk_link_is_vlan(ethertype));
}

HK_PARSE int hk_link_wraps_ip(const struct hk_cursor *cursor, __u16 ethertype)
{
	if (ethertype < HK_ETHERTYPE_MIN)
		return hk_link_llc_has_ip(cursor);
	return ethertype == HK_ETHERTYPE_MPLS || ethertype == HK_ETHERTYPE_MPLS_MC ||
	       ethertype == HK_ETHERTYPE_PPPOE || ethertype == HK_ETHERTYPE_TEB ||
	       ethertype == HK_ETHERTYPE_PBB || ethertype == HK_ETHERTYPE_NSH;
}

HK_PARSE unsigned hk_link_parse(struct hk_cursor *cursor, struct hk_packet *packet)
{
	const __u8 *header = hk_cursor_take(cursor, HK_ETHERNET_SIZE);
	const __u8 *tag;
	int i;

	if (!header)
		return HK_REASON_SHORT_FRAME;
	packet->group = header[0] & 1;
	packet->ethertype = hk_load16(header + 12);
#pragma GCC unroll 2
	for (i = 0; i < HK_VLAN_TAGS_MAX; i++) {
		if (!hk_link_is_vlan(packet->ethertype))
			break;
		tag = hk_cursor_take(cursor, HK_VLAN_TAG_SIZE);
		if (!tag)
			return HK_REASON_SHORT_FRAME;
		packet->ethertype = hk_load16(tag + 2);
	}
	if (hk_link_is_vlan(packet->ethertype))
		return HK_REASON_VLAN_DEPTH;
	if (!hk_link_is_ip(packet->ethertype))
		return hk_link_wraps_ip(cursor, packet->ethertype) ? HK_REASON_LEGACY : HK_REASON_CONTROL;
	packet->l3_offset = (__u16)cursor->at;
	return HK_REASON_OK;
}

#endif

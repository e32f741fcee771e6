// SPDX-License-Identifier: GPL-2.0-or-later
/* From a decrypted payload to the inner IP packet: see rebuild.h. */
#include "user/envelope/rebuild.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/base/bytes.h"

#define IP4_HEADER    20
#define IP6_HEADER    40
#define UDP_HEADER    8
#define LINK_HEADROOM 14 /* of the headroom, kept free for a link header */

__u32 hk_checksum_add(__u32 sum, const __u8 *bytes, __u32 length)
{
	__u64 total = sum;
	__u32 word, at;

	for (at = 0; at + 4 <= length; at += 4) {
		memcpy(&word, bytes + at, 4);
		total += word;
	}
	if (at < length) {
		word = 0;
		memcpy(&word, bytes + at, length - at);
		total += word;
	}
	total = (total & 0xffffffff) + (total >> 32);
	return (__u32)((total & 0xffffffff) + (total >> 32));
}

/* Sums stand in memory order, so the result goes back by memcpy on any machine. */
__u16 hk_checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16) ~((sum & 0xffff) + (sum >> 16));
}

/*
 * What a transport-mode packet may carry: transport protocols and what else
 * stacks put under IPsec. A random byte, as a wrong key gives, is mostly none.
 */
static bool is_carried(__u8 next_header, bool v6)
{
	switch (next_header) {
	case 1: /* ICMP */
	case 2: /* IGMP */ return !v6;
	case 58: /* ICMPv6 */
	case 0:	 /* hop-by-hop, routing, fragment, options, mobility */
	case 43:
	case 44:
	case 60:
	case 135: return v6;
	case 6:	  /* TCP */
	case 17:  /* UDP */
	case 33:  /* DCCP */
	case 46:  /* RSVP */
	case 47:  /* GRE */
	case 50:  /* ESP */
	case 51:  /* AH */
	case 88:  /* EIGRP */
	case 89:  /* OSPF */
	case 103: /* PIM */
	case 108: /* IPComp */
	case 112: /* VRRP */
	case 115: /* L2TP */
	case 132: /* SCTP */
	case 136: /* UDP-Lite */
	case 137: /* MPLS */
	case 143: /* Ethernet */ return true;
	default: return false;
	}
}

/* Bytes behind the inner packet are legal (traffic flow padding): the packet's own length counts. */
static unsigned rebuild_tunnel(struct hk_opening *opening, __u8 *body, __u32 length)
{
	bool v6 = opening->next_header == HK_NEXT_IP6;
	__u32 header = v6 ? IP6_HEADER : IP4_HEADER, inner;

	if (length < header || body[0] >> 4 != (v6 ? 6 : 4))
		return HK_REASON_IMPLAUSIBLE;
	inner = v6 ? IP6_HEADER + hk_get16(body + 4) : hk_get16(body + 2);
	if (inner < header || inner > length)
		return HK_REASON_IMPLAUSIBLE;
	opening->inner = body;
	opening->inner_length = inner;
	return HK_REASON_OK;
}

/*
 * Walks the outer extension headers up to the envelope; the offset of the byte
 * that names it, or 0 when the chain does not end there.
 */
static __u32 last_next_header(const __u8 *header, __u32 length)
{
	__u32 field = 6, at = IP6_HEADER, size;

	while (at < length) {
		if (length - at < 8)
			return 0;
		size = header[field] == 44 ? 8 : 8 + header[at + 1] * 8u;
		field = at;
		at += size;
	}
	return at == length ? field : 0;
}

static void patch_ip4(__u8 *header, __u32 header_length, __u32 total, __u8 protocol)
{
	__u16 checksum;

	hk_put16(header + 2, total);
	header[9] = protocol;
	header[10] = header[11] = 0;
	checksum = hk_checksum_fold(hk_checksum_add(0, header, header_length));
	memcpy(header + 10, &checksum, sizeof(checksum));
}

static unsigned rebuild_ip4(struct hk_opening *opening, __u8 *body, __u32 length, __u32 header_length)
{
	const __u8 *outer = opening->frame + opening->meta->l3_offset;

	if (header_length != (outer[0] & 0x0f) * 4u || header_length < IP4_HEADER)
		return HK_REASON_META_INVALID;
	if (length + header_length > 0xffff)
		return HK_REASON_IMPLAUSIBLE;
	opening->inner = body - header_length;
	opening->inner_length = header_length + length;
	memcpy(opening->inner, outer, header_length);
	patch_ip4(opening->inner, header_length, opening->inner_length, opening->next_header);
	return HK_REASON_OK;
}

/* A chain of extension headers too long for the headroom is left out: the inner packet keeps its meaning. */
static unsigned rebuild_ip6(struct hk_opening *opening, __u8 *body, __u32 length, __u32 header_length)
{
	const __u8 *outer = opening->frame + opening->meta->l3_offset;
	__u32 field;

	if (header_length < IP6_HEADER)
		return HK_REASON_META_INVALID;
	field = last_next_header(outer, header_length);
	if (!field || header_length > HK_OPEN_HEADROOM - LINK_HEADROOM) {
		header_length = IP6_HEADER;
		field = 6;
	}
	if (length + header_length - IP6_HEADER > 0xffff)
		return HK_REASON_IMPLAUSIBLE;
	opening->inner = body - header_length;
	opening->inner_length = header_length + length;
	memcpy(opening->inner, outer, header_length);
	opening->inner[field] = opening->next_header;
	hk_put16(opening->inner + 4, opening->inner_length - IP6_HEADER);
	return HK_REASON_OK;
}

static unsigned rebuild_transport(struct hk_opening *opening, __u8 *body, __u32 length)
{
	const struct hk_meta *meta = opening->meta;
	bool v6 = meta->flags & HK_META_OUTER_V6;
	__u32 end = meta->envelope_offset - (meta->flags & HK_META_UDP ? UDP_HEADER : 0u);

	/* what the ICV vouches for is no accident, however rare */
	if (opening->auth != HK_AUTH_VERIFIED && !is_carried(opening->next_header, v6))
		return HK_REASON_NEXT_HEADER;
	return v6 ? rebuild_ip6(opening, body, length, end - meta->l3_offset)
		  : rebuild_ip4(opening, body, length, end - meta->l3_offset);
}

unsigned hk_rebuild(struct hk_opening *opening, __u8 *body, __u32 length)
{
	if (opening->next_header == HK_NEXT_IP4 || opening->next_header == HK_NEXT_IP6)
		return rebuild_tunnel(opening, body, length);
	return rebuild_transport(opening, body, length);
}

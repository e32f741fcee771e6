// SPDX-License-Identifier: GPL-2.0-or-later
/* Inner IP packets: see inner.h. */
#include "user/endpoint/inner.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static int parse_v4(const __u8 *packet, __u32 length, struct hk_inner_ip *out)
{
	if (length < 20)
		return -EINVAL;
	out->header_size = (__u16)((packet[0] & 15) * 4);
	if (out->header_size < 20 || out->header_size > length || hk_get16(packet + 2) != length)
		return -EINVAL;
	out->protocol = packet[9];
	out->fragment = hk_get16(packet + 6) & 0x3fff;
	out->source = hk_address_v4(packet + 12);
	out->destination = hk_address_v4(packet + 16);
	return 0;
}

static int parse_v6(const __u8 *packet, __u32 length, struct hk_inner_ip *out)
{
	if (length < 40 || hk_get16(packet + 4) + 40u != length)
		return -EINVAL;
	out->header_size = 40;
	out->protocol = packet[6];
	out->fragment = packet[6] == IPPROTO_FRAGMENT;
	out->source = hk_address_v6(packet + 8);
	out->destination = hk_address_v6(packet + 24);
	/* ::ffff:0:0/96 would be confused with IPv4 in keys and rules. */
	return hk_address_is_v4(&out->source) || hk_address_is_v4(&out->destination) ? -EINVAL : 0;
}

int hk_inner_ip_parse(const __u8 *packet, __u32 length, struct hk_inner_ip *out)
{
	memset(out, 0, sizeof(*out));
	if (!length)
		return -EINVAL;
	out->version = packet[0] >> 4;
	if (out->version == 4)
		return parse_v4(packet, length, out);
	return out->version == 6 ? parse_v6(packet, length, out) : -EINVAL;
}

bool hk_inner_fits_transport(const struct hk_inner_ip *inner, unsigned envelope)
{
	if (inner->fragment || (inner->version == 4 && inner->header_size != 20))
		return false;
	switch (inner->protocol) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6: return false;		       /* reads as tunnel mode */
	case IPPROTO_NONE: return envelope != HK_ENVELOPE_ESP; /* reads as a dummy */
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH: return false;
	case 0: return inner->version == 4; /* IPv6 hop-by-hop options belong to the outer packet */
	default: return true;
	}
}

__u16 hk_ip_checksum(const __u8 *header, __u32 size)
{
	__u32 sum = 0, i;

	for (i = 0; i + 1 < size; i += 2)
		sum += hk_get16(header + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

void hk_udp_checksum(__u8 *packet)
{
	bool v4 = packet[0] >> 4 == 4;
	__u32 addresses = v4 ? 8 : 32, i;
	__u8 *udp = packet + (v4 ? 20 : 40);
	__u32 length = hk_get16(udp + 4), sum = IPPROTO_UDP + length;

	hk_put16(udp + 6, 0);
	for (i = 0; i < addresses; i += 2)
		sum += hk_get16(udp - addresses + i);
	for (i = 0; i < length; i++)
		sum += i & 1 ? udp[i] : (__u32)udp[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	hk_put16(udp + 6, sum == 0xffff ? 0xffff : (__u16)~sum);
}

unsigned hk_datagram_deliver(const struct hk_sealed *sealed, __u16 source_port, __u16 port,
	const __u8 *payload, __u32 length, __u8 *out, struct hk_opened *opened)
{
	int size = hk_outer_build(&sealed->source, &sealed->destination, IPPROTO_UDP, source_port, port,
		payload, length, out, HK_OPEN_ROOM(sealed->length));

	if (size < 0)
		return HK_REFUSAL_NEXT_HEADER;
	hk_udp_checksum(out);
	opened->inner = out;
	opened->length = (__u32)size;
	return HK_REFUSAL_NONE;
}

static __u32 mix(__u32 hash, const __u8 *bytes, __u32 size)
{
	while (size--)
		hash = (hash ^ *bytes++) * 16777619u; /* FNV-1a */
	return hash;
}

__u32 hk_inner_hash(const __u8 *inner, __u32 length)
{
	struct hk_inner_ip header;
	__u32 hash = 2166136261u;

	if (hk_inner_ip_parse(inner, length, &header))
		return 0;
	hash = mix(hash, header.source.bytes, 16);
	hash = mix(hash, header.destination.bytes, 16);
	hash = mix(hash, &header.protocol, 1);
	if (!header.fragment && header.header_size + 4u <= length &&
		(header.protocol == IPPROTO_TCP || header.protocol == IPPROTO_UDP))
		hash = mix(hash, inner + header.header_size, 4);
	return hash ^ hash >> 16;
}

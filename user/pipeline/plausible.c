// SPDX-License-Identifier: GPL-2.0-or-later
/* Packet or noise: see plausible.h. */
#include "user/pipeline/plausible.h"

#include <netinet/in.h>
#include <string.h>

#include "user/base/bytes.h"
#include "user/envelope/rebuild.h"

#define TCP_HEADER     20
#define UDP_HEADER     8
#define ICMP_HEADER    4
#define SCTP_HEADER    12
#define PROTOCOL_EIGRP 88
#define PROTOCOL_OSPF  89
#define PROTOCOL_VRRP  112

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10 };

/* Over `length` bytes from the transport header and the pseudo header. Correct when the sum is all ones. */
static bool checksum_holds(const __u8 *data, const struct hk_hook_packet *packet, __u32 length, bool pseudo)
{
	const __u8 tail[4] = {0, packet->protocol, (__u8)(length >> 8), (__u8)length};
	bool v4 = packet->ip_version == 4;
	__u32 sum = 0;

	if (pseudo) {
		sum = hk_checksum_add(0, data + (v4 ? 12 : 8), v4 ? 8 : 32);
		sum = hk_checksum_add(sum, tail, sizeof(tail));
	}
	return hk_checksum_fold(hk_checksum_add(sum, data + packet->l4_offset, length)) == 0;
}

/* One of SYN, FIN, RST at most, and ACK in everything behind the first packet; no reserved bits. */
static bool tcp_is_rare(const __u8 *header)
{
	__u8 flags = header[13], one = flags & (SYN | FIN | RST);

	if (header[12] & 0x0e)
		return true;
	if (one & (one - 1))
		return true;
	return !(flags & ACK) && !(one & (SYN | RST));
}

static bool plausible_tcp(const __u8 *data, const struct hk_hook_packet *packet, __u32 length, bool suspect)
{
	/* without a payload offset the header's own length is impossible */
	if (length < TCP_HEADER || !packet->payload_offset)
		return false;
	if (!suspect && !tcp_is_rare(data + packet->l4_offset))
		return true;
	return checksum_holds(data, packet, length, true);
}

static bool plausible_udp(const __u8 *data, const struct hk_hook_packet *packet, __u32 length, bool suspect)
{
	const __u8 *header = data + packet->l4_offset;
	__u32 said;

	if (length < UDP_HEADER)
		return false;
	said = hk_get16(header + 4);
	if (said > length || (said < UDP_HEADER && !(said == 0 && packet->ip_version == 6)))
		return false;
	if (said == length && !suspect)
		return true;
	return !hk_get16(header + 6) || checksum_holds(data, packet, said ? said : length, true);
}

static bool plausible_sctp(const __u8 *header, __u32 length)
{
	__u32 chunk = length >= SCTP_HEADER + 4 ? hk_get16(header + SCTP_HEADER + 2) : 0;

	return chunk >= 4 && chunk <= length - SCTP_HEADER;
}

/*
 * Protocols without a checksum of the transport kind: the version or reserved
 * fields that their receivers insist on.
 */
static bool plausible_other(__u8 protocol, const __u8 *header, __u32 length)
{
	__u32 covered;

	if (length < 8)
		return true; /* too short to tell anything by */
	switch (protocol) {
	case IPPROTO_GRE: return !(header[0] & 0x40) && (header[1] & 7) <= 1 && hk_get16(header + 2) >= 0x600;
	case IPPROTO_RSVP: return header[0] >> 4 == 1;
	case PROTOCOL_EIGRP: return header[0] == 2;
	case IPPROTO_ESP: return hk_get32(header) >= 256;
	case IPPROTO_AH: return !hk_get16(header + 2) && (header[1] + 2u) * 4 <= length;
	case PROTOCOL_OSPF: return (header[0] == 2 || header[0] == 3) && hk_get16(header + 2) <= length;
	case IPPROTO_PIM: return header[0] >> 4 == 2;
	case IPPROTO_COMP: return header[1] == 0;
	case PROTOCOL_VRRP: return header[0] == 0x21 || header[0] == 0x31;
	case IPPROTO_SCTP: return plausible_sctp(header, length);
	case IPPROTO_DCCP: return header[4] * 4u >= 12 && header[4] * 4u <= length;
	case IPPROTO_UDPLITE:
		covered = hk_get16(header + 4);
		return covered == 0 || (covered >= UDP_HEADER && covered <= length);
	default: return true;
	}
}

static bool plausible_transport(const __u8 *data, const struct hk_hook_packet *packet, bool suspect)
{
	__u32 length = packet->data_length - packet->l4_offset;

	switch (packet->protocol) {
	case IPPROTO_TCP: return plausible_tcp(data, packet, length, suspect);
	case IPPROTO_UDP: return plausible_udp(data, packet, length, suspect);
	case IPPROTO_IGMP:
	case IPPROTO_ICMP: return length >= ICMP_HEADER && checksum_holds(data, packet, length, false);
	case IPPROTO_ICMPV6:
		return length >= ICMP_HEADER && checksum_holds(data, packet, length, packet->ip_version == 6);
	default: return !suspect && plausible_other(packet->protocol, data + packet->l4_offset, length);
	}
}

static bool plausible_network(const __u8 *data, const struct hk_hook_packet *packet)
{
	if (packet->ip_version == 6)
		return packet->src.bytes[0] != 0xff;
	/* a group never sends */
	if (packet->src.bytes[12] >> 4 == 14)
		return false;
	return hk_checksum_header_holds(data, (data[0] & 0x0f) * 4u);
}

bool hk_plausible(const __u8 *data, const struct hk_hook_packet *packet, bool suspect)
{
	if (!plausible_network(data, packet))
		return false;
	if (packet->flags & HK_PACKET_FRAGMENT)
		return true; /* its checksum covers what we do not see */
	if (!packet->l4_offset)
		return !suspect;
	return plausible_transport(data, packet, suspect);
}

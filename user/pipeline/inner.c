// SPDX-License-Identifier: GPL-2.0-or-later
/* The inner packet's headers: see inner.h. */
#include "user/pipeline/inner.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "user/base/hash.h"
#include "user/base/bytes.h"

#define IP4_HEADER	  20
#define IP6_HEADER	  40
#define IP6_EXTENSION	  8
#define FRAGMENT_OFFSET4  0x1fff
#define FRAGMENT_BITS4	  0x3fff /* more-fragments and the offset */
#define FRAGMENT_OFFSET6  0xfff8
#define FRAGMENT_BITS6	  0xfff9
#define TCP_HEADER	  20
#define UDP_HEADER	  8
#define SCTP_HEADER	  12
#define ICMP_HEADER	  4
#define PORTS		  4
#define PROTOCOL_MOBILITY 135
#define PROTOCOL_HIP	  139
#define PROTOCOL_SHIM6	  140

static void set_payload(struct hk_hook_packet *packet, __u32 at, __u32 length)
{
	packet->payload_offset = (__u16)at;
	packet->payload_length = length;
}

static void parse_tcp(struct hk_hook_packet *packet, const __u8 *header, __u32 left)
{
	__u32 size;

	if (left < TCP_HEADER)
		return;
	packet->tcp_flags = header[13];
	size = (header[12] >> 4) * 4u;
	if (size >= TCP_HEADER && size <= left)
		set_payload(packet, packet->l4_offset + size, left - size);
}

static void parse_udp(struct hk_hook_packet *packet, const __u8 *header, __u32 left)
{
	__u32 length;

	if (left < UDP_HEADER)
		return;
	length = hk_get16(header + 4);
	if (length > left || length < UDP_HEADER)
		length = left; /* jumbograms say 0 */
	set_payload(packet, packet->l4_offset + UDP_HEADER, length - UDP_HEADER);
}

static void parse_icmp(struct hk_hook_packet *packet, const __u8 *header, __u32 left)
{
	if (left < ICMP_HEADER)
		return;
	packet->flags |= HK_PACKET_PORTS;
	packet->src_port = header[0];
	packet->dst_port = header[1];
	set_payload(packet, packet->l4_offset + ICMP_HEADER, left - ICMP_HEADER);
}

/* Ports stand first in all of them, so a first fragment that ends behind them still shows them. */
static void parse_ports(struct hk_hook_packet *packet, const __u8 *header, __u32 left)
{
	if (left < PORTS)
		return;
	packet->flags |= HK_PACKET_PORTS;
	packet->src_port = hk_get16(header);
	packet->dst_port = hk_get16(header + 2);
	if (packet->protocol == IPPROTO_TCP)
		parse_tcp(packet, header, left);
	else if (packet->protocol == IPPROTO_UDP)
		parse_udp(packet, header, left);
	else if (packet->protocol == IPPROTO_SCTP && left >= SCTP_HEADER)
		set_payload(packet, packet->l4_offset + SCTP_HEADER, left - SCTP_HEADER);
}

static void parse_transport(struct hk_hook_packet *packet, const __u8 *data, __u32 at)
{
	__u32 left = packet->data_length - at;

	packet->l4_offset = (__u16)at;
	switch (packet->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE: parse_ports(packet, data + at, left); break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: parse_icmp(packet, data + at, left); break;
	case IPPROTO_NONE: packet->l4_offset = 0; break;
	default: set_payload(packet, at, left); break;
	}
}

static int parse_ip4(const __u8 *data, __u32 length, struct hk_hook_packet *packet)
{
	__u32 header = (data[0] & 0x0f) * 4u, total = hk_get16(data + 2), fragment = hk_get16(data + 6);

	if (header < IP4_HEADER || total < header || total > length)
		return -EINVAL;
	packet->ip_version = 4;
	packet->data_length = total;
	packet->protocol = data[9];
	packet->src = hk_address_v4(data + 12);
	packet->dst = hk_address_v4(data + 16);
	if (fragment & FRAGMENT_BITS4)
		packet->flags |= HK_PACKET_FRAGMENT;
	if (!(fragment & FRAGMENT_OFFSET4))
		parse_transport(packet, data, header);
	return 0;
}

static int is_extension(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6: return 1;
	default: return 0;
	}
}

static __u32 extension_size(__u8 protocol, const __u8 *header)
{
	switch (protocol) {
	case IPPROTO_FRAGMENT: return IP6_EXTENSION;
	case IPPROTO_AH: return (header[1] + 2u) * 4;
	default: return (header[1] + 1u) * 8;
	}
}

/* No bound but the packet's end: each step is 8 bytes at least, and hosts take any number. */
static int walk_extensions(const __u8 *data, struct hk_hook_packet *packet)
{
	__u32 at = IP6_HEADER, left, size, fragment = 0;
	__u8 protocol;

	while (is_extension(packet->protocol)) {
		left = packet->data_length - at;
		if (left < IP6_EXTENSION)
			return -EINVAL;
		protocol = packet->protocol;
		size = extension_size(protocol, data + at);
		if (size > left)
			return -EINVAL;
		packet->protocol = data[at];
		if (protocol == IPPROTO_FRAGMENT) {
			fragment = hk_get16(data + at + 2);
			if (fragment & FRAGMENT_BITS6)
				packet->flags |= HK_PACKET_FRAGMENT;
			if (fragment & FRAGMENT_OFFSET6)
				return 0; /* what follows is the middle of something */
		}
		at += size;
	}
	parse_transport(packet, data, at);
	return 0;
}

static int parse_ip6(const __u8 *data, __u32 length, struct hk_hook_packet *packet)
{
	__u32 total = IP6_HEADER + hk_get16(data + 4);

	if (total > length)
		return -EINVAL;
	packet->ip_version = 6;
	packet->data_length = total;
	packet->protocol = data[6];
	packet->src = hk_address_v6(data + 8);
	packet->dst = hk_address_v6(data + 24);
	/* the mapped form would meet IPv4 addresses in rules and flows */
	if (hk_address_is_v4(&packet->src) || hk_address_is_v4(&packet->dst))
		return -EINVAL;
	return walk_extensions(data, packet);
}

/* Echo requests and replies carry one identifier; it tells their flows apart. */
static __u16 echo_identifier(const __u8 *data, const struct hk_hook_packet *packet)
{
	bool v4 = packet->protocol == IPPROTO_ICMP, v6 = packet->protocol == IPPROTO_ICMPV6;
	__u8 type;

	if ((!v4 && !v6) || !packet->l4_offset || packet->data_length - packet->l4_offset < 8u)
		return 0;
	type = data[packet->l4_offset];
	if (v4 ? type != 0 && type != 8 : type != 128 && type != 129)
		return 0;
	return hk_get16(data + packet->l4_offset + 4);
}

static inline void order(__u64 *low, __u64 *high, bool swapped)
{
	__u64 kept = *low;

	*low = swapped ? *high : *low;
	*high = swapped ? kept : *high;
}

/* Address and port, mixed one after the other: nobody can trade bits of one for bits of the other. */
static __u64 hash_end(const __u64 *seed, __u64 a0, __u64 a1, __u64 port)
{
	return hk_hash_fold(hk_hash_fold(a0 ^ seed[0], a1 ^ seed[1]) ^ port, seed[2] | 1);
}

/* A sum of both ends, so that neither direction comes first. */
static __u64 hash_ends(__u64 a, __u64 b, const struct hk_hook_packet *packet)
{
	__u64 hash = (a + b) ^ ((__u64)packet->protocol << 16 | packet->domain);

	hash = hk_hash_fold(hash, hk_hash_seed()[3] | 1);
	return hash ? hash : 1;
}

/*
 * Any order of the ends will do that both directions agree in: here that of the
 * addresses as memory has them. All of it in words: what was written in small
 * pieces is slow to read back whole.
 */
__u64 hk_packet_flow(
	const __u8 *data, const struct hk_hook_packet *packet, struct hk_flow_key *key, __u8 *swapped)
{
	const __u64 *seed = hk_hash_seed();
	__u64 a0 = hk_word(packet->src.bytes), a1 = hk_word(packet->src.bytes + 8);
	__u64 b0 = hk_word(packet->dst.bytes), b1 = hk_word(packet->dst.bytes + 8);
	__u64 a_port = packet->src_port, b_port = packet->dst_port, hash;
	bool above;

	if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6)
		a_port = b_port = echo_identifier(data, packet);
	hash = hash_ends(hash_end(seed, a0, a1, a_port), hash_end(seed, b0, b1, b_port), packet);
	if (!key)
		return hash;
	above = a1 > b1 || (a1 == b1 && (a0 > b0 || (a0 == b0 && a_port > b_port)));
	order(&a0, &b0, above);
	order(&a1, &b1, above);
	order(&a_port, &b_port, above);
	hk_put_word(key->low.bytes, a0);
	hk_put_word(key->low.bytes + 8, a1);
	hk_put_word(key->high.bytes, b0);
	hk_put_word(key->high.bytes + 8, b1);
	key->low_port = (__u16)a_port;
	key->high_port = (__u16)b_port;
	key->domain = packet->domain;
	key->protocol = packet->protocol;
	key->reserved = 0;
	*swapped = above;
	return hash;
}

void hk_packet_describe_payload(
	const __u8 *envelope, unsigned protocol, __u32 length, struct hk_hook_packet *packet)
{
	const __u8 *udp = envelope - UDP_HEADER;

	packet->flags |= HK_PACKET_NOT_IP;
	packet->data_length = packet->payload_length = length;
	packet->src = packet->outer_src;
	packet->dst = packet->outer_dst;
	packet->protocol = (__u8)protocol;
	if (protocol != IPPROTO_UDP)
		return;
	packet->flags |= HK_PACKET_PORTS;
	packet->src_port = hk_get16(udp);
	packet->dst_port = hk_get16(udp + 2);
}

void hk_packet_describe_tcp(__u32 ports, struct hk_hook_packet *packet)
{
	packet->protocol = IPPROTO_TCP;
	packet->flags |= HK_PACKET_PORTS;
	packet->src_port = (__u16)(ports >> 16);
	packet->dst_port = (__u16)ports;
}

int hk_packet_parse(const __u8 *data, __u32 length, struct hk_hook_packet *packet)
{
	if (length < IP4_HEADER)
		return -EINVAL;
	if (data[0] >> 4 == 4)
		return parse_ip4(data, length, packet);
	if (data[0] >> 4 != 6 || length < IP6_HEADER)
		return -EINVAL;
	return parse_ip6(data, length, packet);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Envelopes into packets at the end host: outer IP packet to inner IP packet.
 * Everything read here is an attacker's until the ICV is verified; lengths come
 * from the IP and UDP headers, checked against each other. See seal.h.
 */
#include <netinet/in.h>
#include <string.h>

#include "user/endpoint/inner.h"

/* The IP layer of an outer packet. */
struct outer {
	const __u8 *payload;
	__u32 length;
	__u8 protocol;
};

static unsigned outer_v4(const __u8 *ip, __u32 length, struct hk_sealed *out, struct outer *outer)
{
	__u32 header, total;

	if (length < 20)
		return HK_REFUSAL_IP_HEADER;
	header = (ip[0] & 15) * 4u;
	total = hk_get16(ip + 2);
	if (header < 20 || total < header || total > length)
		return HK_REFUSAL_IP_HEADER;
	if (hk_get16(ip + 6) & 0x3fff)
		return HK_REFUSAL_FRAGMENT;
	out->source = hk_address_v4(ip + 12);
	out->destination = hk_address_v4(ip + 16);
	*outer = (struct outer){.payload = ip + header, .length = total - header, .protocol = ip[9]};
	return HK_REFUSAL_NONE;
}

static unsigned outer_v6(const __u8 *ip, __u32 length, struct hk_sealed *out, struct outer *outer)
{
	if (length < 40 || hk_get16(ip + 4) + 40u > length)
		return HK_REFUSAL_IP_HEADER;
	if (ip[6] == IPPROTO_FRAGMENT)
		return HK_REFUSAL_FRAGMENT;
	out->source = hk_address_v6(ip + 8);
	out->destination = hk_address_v6(ip + 24);
	if (hk_address_is_v4(&out->source) || hk_address_is_v4(&out->destination))
		return HK_REFUSAL_IP_HEADER;
	*outer = (struct outer){.payload = ip + 40, .length = hk_get16(ip + 4), .protocol = ip[6]};
	return HK_REFUSAL_NONE;
}

/* UDP 4500 carries more than ESP: RFC 3948. */
static bool is_ike(const __u8 *data, __u32 length)
{
	static const __u8 marker[4];

	return length < 4 || memcmp(data, marker, 4) == 0;
}

unsigned hk_sealed_read(unsigned envelope, const __u8 *data, __u32 length, struct hk_sealed *out)
{
	out->envelope = (__u8)envelope;
	out->data = data;
	out->length = length;
	if (envelope == HK_ENVELOPE_PSP)
		return hk_psp_check(data, length, out);
	if (out->udp && is_ike(data, length))
		return HK_REFUSAL_NOT_SEALED;
	return hk_esp_check(data, length, out);
}

static unsigned read_udp(const struct outer *outer, struct hk_sealed *out)
{
	const __u8 *udp = outer->payload;
	__u16 port;

	/* Bytes behind the datagram would be a second message in one packet. */
	if (outer->length < 8 || hk_get16(udp + 4) != outer->length)
		return HK_REFUSAL_IP_HEADER;
	out->udp = 1;
	port = hk_get16(udp + 2);
	if (port == HK_UDP_PORT_PSP)
		return hk_sealed_read(HK_ENVELOPE_PSP, udp + 8, outer->length - 8, out);
	if (port == HK_UDP_PORT_ESP)
		return hk_sealed_read(HK_ENVELOPE_ESP, udp + 8, outer->length - 8, out);
	return HK_REFUSAL_NOT_SEALED;
}

unsigned hk_sealed_ip(const __u8 *packet, __u32 length, struct hk_sealed *out, __u8 *protocol)
{
	unsigned refusal = HK_REFUSAL_IP_HEADER;
	struct outer outer = {0};

	if (length && packet[0] >> 4 == 4)
		refusal = outer_v4(packet, length, out, &outer);
	else if (length && packet[0] >> 4 == 6)
		refusal = outer_v6(packet, length, out, &outer);
	out->data = outer.payload;
	out->length = outer.length;
	*protocol = outer.protocol;
	return refusal;
}

static unsigned read_ip(const __u8 *packet, __u32 length, struct hk_sealed *out, struct outer *outer)
{
	memset(out, 0, sizeof(*out));
	out->ip = packet;
	if (length && packet[0] >> 4 == 4)
		return outer_v4(packet, length, out, outer);
	return length && packet[0] >> 4 == 6 ? outer_v6(packet, length, out, outer) : HK_REFUSAL_IP_HEADER;
}

unsigned hk_sealed_outer(const __u8 *packet, __u32 length, struct hk_sealed *out, __u8 *protocol)
{
	struct outer outer;
	unsigned refusal = read_ip(packet, length, out, &outer);

	if (refusal)
		return refusal;
	out->data = outer.payload;
	out->length = outer.length;
	*protocol = outer.protocol;
	return HK_REFUSAL_NONE;
}

unsigned hk_sealed_parse(const __u8 *packet, __u32 length, struct hk_sealed *out)
{
	struct outer outer;
	unsigned refusal = read_ip(packet, length, out, &outer);

	if (refusal)
		return refusal;
	if (outer.protocol == IPPROTO_UDP)
		return read_udp(&outer, out);
	if (outer.protocol == IPPROTO_ESP)
		return hk_sealed_read(HK_ENVELOPE_ESP, outer.payload, outer.length, out);
	return HK_REFUSAL_NOT_SEALED;
}

/* Transport mode: the outer header, put back in front of the payload. `data` has 40 bytes of room before it.
 */
static unsigned rebuild(
	const struct hk_sealed *sealed, const struct hk_payload *payload, struct hk_opened *opened)
{
	bool v4 = sealed->ip && sealed->ip[0] >> 4 == 4;
	__u32 header = v4 ? 20 : 40, total = header + payload->length;
	__u8 *ip = payload->data - header;

	if (!sealed->ip || total > 65535)
		return HK_REFUSAL_NEXT_HEADER;
	memcpy(ip, sealed->ip, header);
	if (v4) {
		ip[0] = 0x45; /* the outer packet's options stay outside */
		hk_put16(ip + 2, (__u16)total);
		ip[9] = payload->next_header;
		hk_put16(ip + 10, 0);
		hk_put16(ip + 10, hk_ip_checksum(ip, 20));
	} else {
		hk_put16(ip + 4, (__u16)payload->length);
		ip[6] = payload->next_header;
	}
	opened->inner = ip;
	opened->length = total;
	return HK_REFUSAL_NONE;
}

/* Tunnel mode: the payload is the packet; ESP may carry traffic-flow padding behind it (RFC 4303 2.7). */
static unsigned unwrap(
	unsigned envelope, unsigned version, const struct hk_payload *payload, struct hk_opened *opened)
{
	const __u8 *ip = payload->data;
	__u32 length;
	struct hk_inner_ip inner;

	if (payload->length < 20 || ip[0] >> 4 != version)
		return HK_REFUSAL_INNER;
	length = version == 4 ? hk_get16(ip + 2) : hk_get16(ip + 4) + 40u;
	if (length > payload->length || (envelope == HK_ENVELOPE_PSP && length != payload->length))
		return HK_REFUSAL_INNER;
	if (hk_inner_ip_parse(ip, length, &inner))
		return HK_REFUSAL_INNER;
	opened->inner = payload->data;
	opened->length = length;
	return HK_REFUSAL_NONE;
}

/* The inner packet that an opened payload is. */
unsigned hk_payload_deliver(
	const struct hk_sealed *sealed, const struct hk_payload *payload, struct hk_opened *opened)
{
	opened->numbers = payload->numbers;
	if (payload->next_header == IPPROTO_IPIP)
		return unwrap(sealed->envelope, 4, payload, opened);
	if (payload->next_header == IPPROTO_IPV6)
		return unwrap(sealed->envelope, 6, payload, opened);
	if (payload->next_header == HK_ESP_DUMMY && sealed->envelope != HK_ENVELOPE_PSP)
		return HK_REFUSAL_DUMMY;
	return rebuild(sealed, payload, opened);
}

unsigned hk_open_packet(struct hk_sa *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	struct hk_payload payload;
	unsigned refusal;

	if (sealed->spi != sa->name.spi || sealed->envelope != sa->name.envelope)
		return HK_REFUSAL_NO_KEY;
	if (sealed->envelope == HK_ENVELOPE_PSP && sealed->version != sa->name.variant)
		return HK_REFUSAL_DOWNGRADE;
	out += HK_OPEN_ROOM(0) - 16; /* 48 bytes: a rebuilt IP header, aligned */
	if (sealed->envelope == HK_ENVELOPE_PSP)
		refusal = hk_psp_open(sa, sealed, out, &payload);
	else
		refusal = hk_esp_open(sa, sealed, out, &payload);
	if (refusal)
		return refusal;
	refusal = hk_payload_deliver(sealed, &payload, opened);
	if (refusal)
		hk_wipe(out, sealed->length);
	return refusal;
}

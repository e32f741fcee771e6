// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Envelopes into packets at the end host: outer IP packet to inner IP packet.
 * Everything read here is an attacker's until the ICV is verified; lengths come
 * from the IP and UDP headers, checked against each other. See seal.h.
 */
#include <netinet/in.h>
#include <string.h>

#include "user/endpoint/inner.h"

static unsigned outer_v4(const __u8 *ip, __u32 length, struct hk_sealed *out)
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
	out->protocol = ip[9];
	out->data = ip + header;
	out->length = total - header;
	return HK_REFUSAL_NONE;
}

static unsigned outer_v6(const __u8 *ip, __u32 length, struct hk_sealed *out)
{
	if (length < 40 || hk_get16(ip + 4) + 40u > length)
		return HK_REFUSAL_IP_HEADER;
	if (ip[6] == IPPROTO_FRAGMENT)
		return HK_REFUSAL_FRAGMENT;
	out->source = hk_address_v6(ip + 8);
	out->destination = hk_address_v6(ip + 24);
	if (hk_address_is_v4(&out->source) || hk_address_is_v4(&out->destination))
		return HK_REFUSAL_IP_HEADER;
	out->protocol = ip[6];
	out->data = ip + 40;
	out->length = hk_get16(ip + 4);
	return HK_REFUSAL_NONE;
}

unsigned hk_sealed_outer(const __u8 *packet, __u32 length, struct hk_sealed *out)
{
	unsigned refusal = HK_REFUSAL_IP_HEADER;

	memset(out, 0, sizeof(*out));
	out->ip = packet;
	if (length && packet[0] >> 4 == 4)
		refusal = outer_v4(packet, length, out);
	else if (length && packet[0] >> 4 == 6)
		refusal = outer_v6(packet, length, out);
	if (refusal || out->protocol != IPPROTO_UDP)
		return refusal;
	/* Bytes behind the datagram would be a second message in one packet. */
	if (out->length < 8 || hk_get16(out->data + 4) != out->length)
		return HK_REFUSAL_IP_HEADER;
	out->source_port = hk_get16(out->data);
	out->port = hk_get16(out->data + 2);
	out->data += 8;
	out->length -= 8;
	return HK_REFUSAL_NONE;
}

/* UDP 4500 carries more than ESP: RFC 3948. */
static bool is_ike(const __u8 *data, __u32 length)
{
	static const __u8 marker[4];

	return length < 4 || memcmp(data, marker, 4) == 0;
}

unsigned hk_sealed_read(struct hk_sealed *sealed)
{
	bool udp = sealed->protocol == IPPROTO_UDP;

	if (udp && sealed->port == HK_UDP_PORT_PSP) {
		sealed->envelope = HK_ENVELOPE_PSP;
		return hk_psp_check(sealed->data, sealed->length, sealed);
	}
	if (udp ? sealed->port != HK_UDP_PORT_ESP || is_ike(sealed->data, sealed->length)
		: sealed->protocol != IPPROTO_ESP)
		return HK_REFUSAL_NOT_SEALED;
	sealed->envelope = HK_ENVELOPE_ESP;
	return hk_esp_check(sealed->data, sealed->length, sealed);
}

unsigned hk_sealed_parse(const __u8 *packet, __u32 length, struct hk_sealed *out)
{
	unsigned refusal = hk_sealed_outer(packet, length, out);

	return refusal ? refusal : hk_sealed_read(out);
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

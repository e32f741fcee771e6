// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets into envelopes: inner IP packet to outer IP packet. See seal.h.
 *
 *   tunnel     | outer IP | [UDP] | envelope( inner IP packet ) |
 *   transport  | inner IP header, changed | [UDP] | envelope( inner payload ) |
 */
#include "user/endpoint/seal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "user/endpoint/inner.h"

#define ENTROPY_BASE 49152 /* outer source ports: the dynamic range of RFC 6335 */

/* The parsed packet and what of it goes into the envelope. */
struct task {
	struct hk_inner_ip inner;
	const __u8 *payload;
	__u32 length;
	__u8 next_header;
};

static int plan(const struct hk_sa *sa, bool transport, const __u8 *packet, __u32 length, struct task *task)
{
	if (hk_inner_ip_parse(packet, length, &task->inner))
		return -EINVAL;
	/* PSP implementations refuse IPv4 options in what they seal. */
	if (sa->name.envelope == HK_ENVELOPE_PSP && task->inner.version == 4 && task->inner.header_size != 20)
		return -EINVAL;
	if (transport && !hk_inner_fits_transport(&task->inner, sa->name.envelope))
		return -EINVAL;
	if (transport && memcmp(&task->inner.destination, &sa->name.receiver, sizeof(struct hk_address)) != 0)
		return -EINVAL;
	task->payload = transport ? packet + task->inner.header_size : packet;
	task->length = transport ? length - task->inner.header_size : length;
	if (transport)
		task->next_header = task->inner.protocol;
	else
		task->next_header = task->inner.version == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	return 0;
}

static int seal_payload(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const struct task *task, __u8 *out, __u32 room)
{
	if (sa->name.envelope == HK_ENVELOPE_PSP)
		return hk_psp_seal(
			sa, shape, numbers, task->next_header, task->payload, task->length, out, room);
	return hk_esp_seal(sa, shape, numbers, task->next_header, task->payload, task->length, out, room);
}

int hk_seal_envelope(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	struct task task;

	if (plan(sa, false, inner, length, &task))
		return -EINVAL;
	return seal_payload(sa, shape, numbers, &task, out, room);
}

static void header_v4(const struct hk_address *source, const struct hk_address *destination, __u8 protocol,
	__u32 total, __u8 *out)
{
	memset(out, 0, 20);
	out[0] = 0x45;
	hk_put16(out + 2, (__u16)total);
	out[6] = 0x40; /* never fragmented: fragments are never opened */
	out[8] = 64;
	out[9] = protocol;
	memcpy(out + 12, source->bytes + 12, 4);
	memcpy(out + 16, destination->bytes + 12, 4);
	hk_put16(out + 10, hk_ip_checksum(out, 20));
}

static void header_v6(const struct hk_address *source, const struct hk_address *destination, __u8 protocol,
	__u32 payload, __u8 *out)
{
	memset(out, 0, 40);
	out[0] = 0x60;
	hk_put16(out + 4, (__u16)payload);
	out[6] = protocol;
	out[7] = 64;
	memcpy(out + 8, source->bytes, 16);
	memcpy(out + 24, destination->bytes, 16);
}

/* Writes IP (and UDP) headers for `size` bytes of envelope; header bytes written, or -EMSGSIZE. */
static int write_headers(const struct hk_address *source, const struct hk_address *destination, bool udp,
	__u8 protocol, __u16 source_port, __u16 destination_port, __u32 size, __u8 *out)
{
	bool v4 = hk_address_is_v4(destination);
	__u32 ip = v4 ? 20 : 40, payload = size + (udp ? 8 : 0);

	if ((v4 ? ip : 0) + payload > 65535)
		return -EMSGSIZE;
	if (v4)
		header_v4(source, destination, protocol, ip + payload, out);
	else
		header_v6(source, destination, protocol, payload, out);
	if (!udp)
		return (int)ip;
	hk_put16(out + ip, source_port);
	hk_put16(out + ip + 2, destination_port);
	hk_put16(out + ip + 4, (__u16)payload);
	hk_put16(out + ip + 6, 0); /* legal in tunnels, RFC 6935; the ICV is the check */
	return (int)ip + 8;
}

int hk_outer_build(const struct hk_address *source, const struct hk_address *destination, __u8 protocol,
	__u16 source_port, __u16 destination_port, const __u8 *payload, __u32 length, __u8 *out, __u32 room)
{
	bool udp = protocol == IPPROTO_UDP;
	__u32 headers = (hk_address_is_v4(destination) ? 20 : 40) + (udp ? 8 : 0);
	int size;

	if (hk_address_is_v4(source) != hk_address_is_v4(destination))
		return -EINVAL;
	if (length > 65535 || headers + length > room)
		return -EMSGSIZE;
	size = write_headers(source, destination, udp, protocol, source_port, destination_port, length, out);
	if (size < 0)
		return size;
	memcpy(out + size, payload, length);
	return size + (int)length;
}

/* In transport mode the inner header's own service, lifetime and flow label stay visible. */
void hk_outer_keep_inner(__u8 *outer, const __u8 *inner)
{
	if (outer[0] >> 4 == 6) {
		memcpy(outer, inner, 4);
		outer[7] = inner[7];
		return;
	}
	outer[1] = inner[1];
	memcpy(outer + 4, inner + 4, 5); /* identification, flags, TTL */
	hk_put16(outer + 10, 0);
	hk_put16(outer + 10, hk_ip_checksum(outer, 20));
}

static __u16 source_port(
	const struct hk_sa *sa, const struct hk_seal_shape *shape, const __u8 *inner, __u32 length)
{
	if (shape->source_port)
		return shape->source_port;
	if (sa->name.envelope == HK_ENVELOPE_ESP)
		return HK_UDP_PORT_ESP;
	return (__u16)(ENTROPY_BASE + (hk_inner_hash(inner, length) & 0x3fff));
}

int hk_seal_packet(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	bool psp = sa->name.envelope == HK_ENVELOPE_PSP, udp = psp || shape->udp;
	const struct hk_address *source = &shape->source;
	__u32 headers = (hk_address_is_v4(&sa->name.receiver) ? 20 : 40) + (udp ? 8 : 0);
	struct task task;
	int size, status;

	if (plan(sa, shape->transport, inner, length, &task))
		return -EINVAL;
	if (shape->transport)
		source = &task.inner.source;
	if (hk_address_is_v4(source) != hk_address_is_v4(&sa->name.receiver))
		return -EINVAL;
	if (room < headers)
		return -EMSGSIZE;
	size = seal_payload(sa, shape, numbers, &task, out + headers, room - headers);
	if (size < 0)
		return size;
	status = write_headers(source, &sa->name.receiver, udp, udp ? IPPROTO_UDP : IPPROTO_ESP,
		source_port(sa, shape, inner, length), psp ? HK_UDP_PORT_PSP : HK_UDP_PORT_ESP, (__u32)size,
		out);
	if (status < 0)
		return status;
	if (shape->transport)
		hk_outer_keep_inner(out, inner);
	return status + size;
}

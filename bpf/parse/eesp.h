/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * EESP (draft-ietf-ipsecme-eesp-04) in UDP destination 4500, and as the IP
 * protocol that the receiver's domain names (none is assigned).
 *
 *   0             1        2..3        4..7  8..
 *   1 V4 R3       Opt Len  Session ID  SPI   options  [SN64] [IV64]  ciphertext  ICV(16)
 *
 * In UDP 4500 the first bit tells EESP from ESP where a domain of the receiver
 * speaks EESP; elsewhere bit 31 of an ESP SPI stays ESP's. That is enough,
 * since no explicit ESP key of such a receiver may have that bit set: the
 * keyring refuses it. Options are the opener's: a walk over up to 255 of them
 * has no place here, and nothing behind this needs them.
 */
#ifndef HALFKEY_BPF_PARSE_EESP_H
#define HALFKEY_BPF_PARSE_EESP_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/transport.h"
#include "maps/receivers.h"

#define HK_EESP_VERSION_BITS  0x78
#define HK_EESP_RESERVED_BITS 0x07
#define HK_EESP_SPI_RESERVED  256

/* HK_REASON_TO_WORKER: this envelope's packet. HK_REASON_OK: not. */
HK_PARSE unsigned hk_eesp_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	const __u8 *header;
	__u16 carrier;

	if (!receiver || receiver->domain[HK_ENVELOPE_EESP] == HK_NO_DOMAIN)
		return HK_REASON_OK;
	carrier = receiver->carrier[HK_ENVELOPE_EESP];
	if (!packet->udp)
		return carrier && packet->protocol == carrier ? HK_REASON_TO_WORKER : HK_REASON_OK;
	if (packet->dst_port != HK_UDP_PORT_ESP || hk_cursor_left(cursor) < 2)
		return HK_REASON_OK; /* a single byte is a keepalive */
	header = hk_cursor_peek(cursor, 1);
	return header && (header[0] & 0x80) ? HK_REASON_TO_WORKER : HK_REASON_OK;
}

/* HK_REASON_TO_WORKER with spi and payload_offset (behind the options) in `meta`, or the refusal. */
HK_PARSE unsigned hk_eesp_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_EESP_HEADER_SIZE);
	__u32 header_length;

	(void)receiver;
	if (!header)
		return HK_REASON_EESP_SHORT;
	if (!(header[0] & 0x80) || (header[0] & HK_EESP_VERSION_BITS))
		return HK_REASON_EESP_VERSION;
	if (header[0] & HK_EESP_RESERVED_BITS)
		return HK_REASON_EESP_RESERVED;
	header_length = HK_EESP_HEADER_SIZE + header[1];
	if (hk_cursor_left(cursor) < header_length + HK_EESP_ICV_SIZE)
		return HK_REASON_EESP_SHORT;
	meta->spi = hk_load32(header + 4);
	if (meta->spi < HK_EESP_SPI_RESERVED)
		return HK_REASON_EESP_SPI;
	meta->payload_offset = (__u16)(cursor->at + header_length);
	return HK_REASON_TO_WORKER;
}

#endif

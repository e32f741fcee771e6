/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * PSP (PSP Architecture Specification, 2022-11-17) over UDP destination 1000.
 *
 *   0            1            2                  3                       4..7  8..15  16..
 *   next header  Hdr Ext Len  R2 CryptOffset6    S1 D1 Version4 V1 1     SPI   IV     [cookie8] ...  ICV(16)
 *
 * Lengths come from the UDP length. The checks stand in the order that
 * the wire format document gives; each refusal has its own reason.
 */
#ifndef HALFKEY_BPF_PARSE_PSP_H
#define HALFKEY_BPF_PARSE_PSP_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/transport.h"
#include "maps/receivers.h"

#define HK_PSP_COOKIE_SIZE 8

/* HK_REASON_TO_WORKER: this envelope's packet. HK_REASON_OK: not. Else: known, and not for a worker. */
HK_PARSE unsigned hk_psp_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	(void)cursor; /* the port says it all */
	(void)receiver;
	return packet->udp && packet->dst_port == HK_UDP_PORT_PSP ? HK_REASON_TO_WORKER : HK_REASON_OK;
}

/* The lengths, in the order of the specification; `length` is that of the UDP payload. */
HK_PARSE unsigned hk_psp_check_lengths(const __u8 *header, __u32 length)
{
	__u32 header_length = (header[1] + 1u) * 8;
	__u32 crypt_offset = (header[2] & 0x3f) * 4u;

	if (!header[1])
		return HK_REASON_PSP_HEL_ZERO;
	if (header_length > length - HK_PSP_ICV_SIZE)
		return HK_REASON_PSP_HEL_LENGTH;
	if (HK_PSP_HEADER_SIZE + crypt_offset > length - HK_PSP_ICV_SIZE)
		return HK_REASON_PSP_OFFSET;
	return HK_REASON_OK;
}

HK_PARSE unsigned hk_psp_check_fields(const __u8 *header)
{
	unsigned version = (header[3] >> 2) & 0x0f;

	if (!(header[3] & 1))
		return HK_REASON_PSP_BIT;
	if (version > HK_PSP_SPLIT_256)
		return HK_REASON_PSP_VERSION;
	if (!(hk_load32(header + 4) & ~HK_PSP_SPI_SLOT))
		return HK_REASON_PSP_SPI;
	if ((header[3] & 2) && (header[1] + 1u) * 8 < HK_PSP_HEADER_SIZE + HK_PSP_COOKIE_SIZE)
		return HK_REASON_PSP_COOKIE;
	if (version == HK_PSP_GMAC_128 || version == HK_PSP_GMAC_256)
		return HK_REASON_PSP_GMAC;
	return HK_REASON_OK;
}

/* HK_REASON_TO_WORKER with spi and payload_offset in `meta`, or the refusal. */
HK_PARSE unsigned hk_psp_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_PSP_HEADER_SIZE);
	__u32 length = hk_cursor_left(cursor);
	unsigned reason;

	(void)receiver; /* the version field of each packet says it */
	if (!header || length < HK_PSP_HEADER_SIZE + HK_PSP_ICV_SIZE)
		return HK_REASON_PSP_SHORT;
	reason = hk_psp_check_lengths(header, length);
	if (reason == HK_REASON_OK)
		reason = hk_psp_check_fields(header);
	if (reason != HK_REASON_OK)
		return reason;
	meta->spi = hk_load32(header + 4);
	meta->payload_offset = (__u16)(cursor->at + (header[1] + 1u) * 8);
	return HK_REASON_TO_WORKER;
}

#endif

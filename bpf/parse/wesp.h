/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * WESP (RFC 5840) as IP protocol 141, and behind the word 2 in UDP destination 4500.
 *
 *   next header  HdrLen  TrailerLen  VV2 E P Rsvd4   [pad4 if P]
 *
 *   VV 00, E 0   ESP-NULL follows; HdrLen leads to the payload, TrailerLen is the ICV's
 *   VV 00, E 1   encrypted ESP follows: nothing here says by which keys (passed by policy)
 *   VV 01, E 1   ours: the derived-key context follows (24 bytes), then ESP; HdrLen leads to
 *                the SPI, TrailerLen is 16, the first reserved bit is set
 */
#ifndef HALFKEY_BPF_PARSE_WESP_H
#define HALFKEY_BPF_PARSE_WESP_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/transport.h"
#include "maps/receivers.h"

#define HK_WESP_VERSION(flags) ((flags) >> 6)
#define HK_WESP_ENCRYPTED      0x20
#define HK_WESP_PADDED	       0x10
#define HK_WESP_DERIVED	       0x08 /* VV 01: a derived-key context follows */
#define HK_WESP_RESERVED       0x0f
#define HK_WESP_PAD_SIZE       4
#define HK_WESP_ICV_SIZE       16 /* VV 01 */
#define HK_WESP_TRAILER_SIZE   2  /* ESP's pad length and next header */

/* HK_REASON_TO_WORKER: this envelope's packet. HK_REASON_OK: not. */
HK_PARSE unsigned hk_wesp_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	const __u8 *marker;

	(void)receiver;
	if (packet->protocol == HK_WESP_PROTOCOL)
		return HK_REASON_TO_WORKER;
	if (!packet->udp || packet->dst_port != HK_UDP_PORT_ESP)
		return HK_REASON_OK;
	marker = hk_cursor_peek(cursor, 4);
	return marker && hk_load32(marker) == HK_WESP_MARKER ? HK_REASON_TO_WORKER : HK_REASON_OK;
}

/* ESP-NULL: `esp` is where ESP begins, as HdrLen counts, `length` the rest from the WESP header on. */
HK_PARSE unsigned hk_wesp_check_null(const __u8 *header, __u32 esp, __u32 length)
{
	if (header[3] & HK_WESP_RESERVED)
		return HK_REASON_WESP_RESERVED;
	if (header[1] < esp + HK_ESP_HEADER_SIZE)
		return HK_REASON_WESP_LENGTH;
	if (length < (__u32)header[1] + header[2] + HK_WESP_TRAILER_SIZE)
		return HK_REASON_WESP_SHORT;
	return HK_REASON_OK;
}

HK_PARSE unsigned hk_wesp_check_derived(const __u8 *header, __u32 esp, __u32 length)
{
	if (!(header[3] & HK_WESP_ENCRYPTED) || (header[3] & HK_WESP_RESERVED) != HK_WESP_DERIVED ||
		header[0])
		return HK_REASON_WESP_RESERVED;
	if (header[1] != esp + HK_DKC_SIZE || header[2] != HK_WESP_ICV_SIZE)
		return HK_REASON_WESP_LENGTH;
	if (length < esp + HK_DKC_SIZE + HK_ESP_HEADER_SIZE + HK_ESP_IV_SIZE + HK_WESP_TRAILER_SIZE +
			     HK_WESP_ICV_SIZE)
		return HK_REASON_WESP_SHORT;
	return HK_REASON_OK;
}

/* HK_REASON_TO_WORKER with spi and payload_offset in `meta`, or the refusal. */
HK_PARSE unsigned hk_wesp_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	struct hk_cursor at = *cursor;
	const __u8 *header, *spi;
	__u32 length, esp = HK_WESP_HEADER_SIZE, hdr_len;
	unsigned reason;
	__u8 version;

	(void)receiver;
	if (meta->flags & HK_META_UDP) /* behind the word 2 */
		hk_cursor_skip(&at, 4);
	length = hk_cursor_left(&at);
	header = hk_cursor_peek(&at, HK_WESP_HEADER_SIZE);
	if (!header)
		return HK_REASON_WESP_SHORT;
	version = HK_WESP_VERSION(header[3]);
	if (version > 1)
		return HK_REASON_WESP_VERSION;
	if (!version && (header[3] & HK_WESP_ENCRYPTED))
		return HK_REASON_WESP_ENCRYPTED;
	if (header[3] & HK_WESP_PADDED)
		esp += HK_WESP_PAD_SIZE;
	hdr_len = header[1];
	reason = version ? hk_wesp_check_derived(header, esp, length)
			 : hk_wesp_check_null(header, esp, length);
	if (reason != HK_REASON_OK)
		return reason;
	hk_cursor_skip(&at, version ? esp + HK_DKC_SIZE : esp);
	spi = hk_cursor_peek(&at, 4);
	if (!spi)
		return HK_REASON_WESP_SHORT;
	meta->spi = hk_load32(spi);
	if (meta->spi < HK_ESP_SPI_RESERVED)
		return HK_REASON_WESP_SPI;
	meta->payload_offset = (__u16)(version ? at.at + HK_ESP_HEADER_SIZE : at.at - esp + hdr_len);
	return HK_REASON_TO_WORKER;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * ESP (RFC 4303) as IP protocol 50 and in UDP destination 4500 (RFC 3948).
 *
 *   SPI(4)  SN(4)  IV(8; 16 for CBC)  ciphertext: ... pad, pad length(1), next header(1)  ICV(16)
 *
 * UDP 4500 is shared: IKE behind four zero bytes and one-byte keepalives are
 * control traffic, as is UDP 500; WESP and EESP claim theirs before ESP is asked.
 * Whether bit 31 of the SPI may be set depends on the key (explicit ones
 * may use it), so the opener checks that.
 */
#ifndef HALFKEY_BPF_PARSE_ESP_H
#define HALFKEY_BPF_PARSE_ESP_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/transport.h"
#include "maps/receivers.h"

#define HK_ESP_KEEPALIVE    0xff
#define HK_ESP_MARKER_IKE   0
#define HK_ESP_TRAILER_SIZE 2  /* pad length and next header */
#define HK_ESP_ALIGN	    4  /* RFC 4303 2.4 */
#define HK_ESP_CBC_ALIGN    16 /* the cipher's block */

HK_PARSE unsigned hk_esp_claim_udp(const struct hk_cursor *cursor)
{
	__u32 length = hk_cursor_left(cursor);
	const __u8 *marker = hk_cursor_peek(cursor, 4);
	const __u8 *byte = hk_cursor_peek(cursor, 1);

	if (length == 1 && byte && *byte == HK_ESP_KEEPALIVE)
		return HK_REASON_IKE;
	if (marker && hk_load32(marker) == HK_ESP_MARKER_IKE)
		return HK_REASON_IKE;
	return HK_REASON_TO_WORKER;
}

/* HK_REASON_TO_WORKER: this envelope's packet. HK_REASON_OK: not. Else: known, and not for a worker. */
HK_PARSE unsigned hk_esp_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	(void)receiver;
	if (packet->protocol == HK_IP_PROTOCOL_ESP)
		return HK_REASON_TO_WORKER;
	if (packet->udp && packet->dst_port == HK_UDP_PORT_IKE)
		return HK_REASON_IKE;
	if (packet->udp && packet->dst_port == HK_UDP_PORT_ESP)
		return hk_esp_claim_udp(cursor);
	return HK_REASON_OK;
}

/* HK_REASON_TO_WORKER with spi and payload_offset in `meta`, or the refusal. */
HK_PARSE unsigned hk_esp_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	unsigned suite = receiver->suite[HK_ENVELOPE_ESP];
	const __u8 *header = hk_cursor_peek(cursor, HK_ESP_HEADER_SIZE);
	__u32 fixed = HK_ESP_HEADER_SIZE + HK_ESP_ICV_SIZE;
	__u32 length = hk_cursor_left(cursor);
	__u32 align = suite == HK_SUITE_CBC_HMAC ? HK_ESP_CBC_ALIGN : HK_ESP_ALIGN;

	fixed += suite == HK_SUITE_CBC_HMAC ? HK_ESP_CBC_IV_SIZE : HK_ESP_IV_SIZE;
	if (!header || length < fixed + HK_ESP_TRAILER_SIZE)
		return HK_REASON_ESP_SHORT;
	meta->spi = hk_load32(header);
	if (meta->spi < HK_ESP_SPI_RESERVED)
		return HK_REASON_ESP_SPI;
	if ((length - fixed) & (align - 1))
		return HK_REASON_ESP_ALIGN;
	meta->payload_offset = (__u16)(cursor->at + HK_ESP_HEADER_SIZE);
	return HK_REASON_TO_WORKER;
}

#endif

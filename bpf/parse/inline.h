/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Inline keying: ESP whose SPIs are created in band, as IP protocol 50 and in
 * UDP destination 4500, for receivers of a domain with envelope inline.
 *
 *   parent   SPI(4)  SN(4)  packet nonce(16)  IV(8)  ciphertext  ICV(16)
 *   child    SPI(4)  SN(4)  IV(8)  ciphertext  ICV(16)
 *
 * Nothing in a packet tells one from the other: its SPI does, which the opener
 * knows. So what is asked for here holds for both.
 */
#ifndef HALFKEY_BPF_PARSE_INLINE_H
#define HALFKEY_BPF_PARSE_INLINE_H

#include "bpf/parse/esp.h"

#define HK_INLINE_CHILD_FIXED (HK_ESP_HEADER_SIZE + HK_ESP_IV_SIZE + HK_ESP_ICV_SIZE)

/* ESP's packets and its neighbours on UDP 4500, where the receiver is ours. */
HK_PARSE unsigned hk_inline_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	if (!receiver || receiver->domain[HK_ENVELOPE_INLINE] == HK_NO_DOMAIN)
		return HK_REASON_OK;
	return hk_esp_claim(cursor, packet, receiver);
}

HK_PARSE unsigned hk_inline_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_ESP_HEADER_SIZE);
	__u32 length = hk_cursor_left(cursor);

	(void)receiver;
	if (!header || length < HK_INLINE_CHILD_FIXED + HK_ESP_TRAILER_SIZE)
		return HK_REASON_INLINE_SHORT;
	meta->spi = hk_load32(header);
	if (meta->spi < HK_ESP_SPI_RESERVED)
		return HK_REASON_INLINE_SPI;
	if ((length - HK_INLINE_CHILD_FIXED) & (HK_ESP_ALIGN - 1))
		return HK_REASON_INLINE_ALIGN;
	meta->payload_offset = (__u16)(cursor->at + HK_ESP_HEADER_SIZE);
	return HK_REASON_TO_WORKER;
}

#endif

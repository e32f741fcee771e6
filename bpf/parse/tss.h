/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * UEC Transport Security Sublayer (UE Specification 1.0.x) over UDP destination
 * 4793, and over IP alone under a protocol number of the domain's choice.
 *
 *   [entropy(2) reserved(2)]  type5 SP1 0 AN1  SDI(3)  [SSI(4)]  epoch(2) counter(6)  ciphertext  ICV(16)
 *    over IP alone            byte 0                    SP = 1    TSC
 *
 * Packets that are not sealed (types 2..14, the packet delivery sublayer) come
 * by the same port and protocol. The entropy header's reserved bytes are
 * ignored: the format does not demand zeros, and the AAD covers them. What the
 * worker calls the SPI is the first word as it stands, which is never 0.
 */
#ifndef HALFKEY_BPF_PARSE_TSS_H
#define HALFKEY_BPF_PARSE_TSS_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/transport.h"
#include "maps/receivers.h"

/* Over IP alone only where a domain receives: the protocol number is the domain's. */
HK_PARSE int hk_tss_is_native(const struct hk_packet *packet, const struct hk_receiver_value *receiver)
{
	__u16 protocol;

	if (packet->udp || !receiver || receiver->domain[HK_ENVELOPE_TSS] == HK_NO_DOMAIN)
		return 0;
	protocol = receiver->carrier[HK_ENVELOPE_TSS];
	return packet->protocol == (protocol ? protocol : HK_IP_PROTOCOL_TSS);
}

HK_PARSE int hk_tss_is_pds(const __u8 *first)
{
	return *first >> 3 >= HK_PDS_TYPE_FIRST && *first >> 3 <= HK_PDS_TYPE_LAST;
}

/* HK_REASON_TO_WORKER: this envelope's packet. HK_REASON_OK: not. Else: known, and not for a worker. */
HK_PARSE unsigned hk_tss_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	const __u8 *bytes;

	if (packet->udp && packet->dst_port == HK_UDP_PORT_TSS) {
		bytes = hk_cursor_peek(cursor, 1);
		return bytes && hk_tss_is_pds(bytes) ? HK_REASON_TSS_PDS : HK_REASON_TO_WORKER;
	}
	if (!hk_tss_is_native(packet, receiver))
		return HK_REASON_OK;
	bytes = hk_cursor_peek(cursor, HK_TSS_ENTROPY_SIZE + 1);
	return bytes && hk_tss_is_pds(bytes + HK_TSS_ENTROPY_SIZE) ? HK_REASON_TSS_PDS : HK_REASON_TO_WORKER;
}

/* The first byte, which says what the rest is. `ssi`: the domain's packets carry one. */
HK_PARSE unsigned hk_tss_check_first(__u8 first, int ssi)
{
	if (first >> 3 != HK_TSS_TYPE)
		return HK_REASON_TSS_TYPE;
	if (first & HK_TSS_RESERVED)
		return HK_REASON_TSS_RESERVED;
	return !(first & HK_TSS_SP) == !ssi ? HK_REASON_OK : HK_REASON_TSS_SSI;
}

/* HK_REASON_TO_WORKER with spi and payload_offset in `meta`, or the refusal. */
HK_PARSE unsigned hk_tss_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	struct hk_cursor inside = *cursor;
	__u32 size = HK_TSS_HEADER_SIZE;
	const __u8 *header;
	unsigned reason;

	if (!(meta->flags & HK_META_UDP) && hk_cursor_skip(&inside, HK_TSS_ENTROPY_SIZE))
		return HK_REASON_TSS_SHORT;
	header = hk_cursor_peek(&inside, HK_TSS_HEADER_SIZE);
	if (!header)
		return HK_REASON_TSS_SHORT;
	reason = hk_tss_check_first(header[0], receiver->options[HK_ENVELOPE_TSS] & HK_TSS_OPTION_SSI);
	if (reason != HK_REASON_OK)
		return reason;
	if (header[0] & HK_TSS_SP)
		size += HK_TSS_SSI_SIZE;
	if (hk_cursor_left(&inside) < size + HK_TSS_ICV_SIZE)
		return HK_REASON_TSS_SHORT;
	meta->spi = hk_load32(header);
	meta->payload_offset = (__u16)(inside.at + size);
	return HK_REASON_TO_WORKER;
}

#endif

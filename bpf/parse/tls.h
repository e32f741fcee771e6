/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * TLS over TCP ports of the domain's choice, at either end of the connection.
 * The XDP program looks at the TCP header alone: records are the worker's, who
 * puts the stream together. Segments without data but SYN and RST are no news.
 */
#ifndef HALFKEY_BPF_PARSE_TLS_H
#define HALFKEY_BPF_PARSE_TLS_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/transport.h"
#include "maps/receivers.h"

#define HK_IP_PROTOCOL_TCP 6
#define HK_TCP_HEADER_SIZE 20
#define HK_TCP_SYN	   0x02
#define HK_TCP_RST	   0x04
#define HK_TCP_ACK	   0x10

HK_PARSE int hk_tls_is_port(const __u16 *ports, __u32 port)
{
	unsigned i;

	for (i = 0; i < HK_TLS_PORTS_MAX && ports[i]; i++)
		if (ports[i] == port)
			return 1;
	return 0;
}

HK_PARSE unsigned hk_tls_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	const __u8 *header;

	if (packet->protocol != HK_IP_PROTOCOL_TCP || !receiver || !receiver->tls_ports[0])
		return HK_REASON_OK;
	header = hk_cursor_peek(cursor, 4);
	if (!header || hk_tls_is_port(receiver->tls_ports, hk_load16(header)) ||
		hk_tls_is_port(receiver->tls_ports, hk_load16(header + 2)))
		return HK_REASON_TO_WORKER;
	return HK_REASON_OK;
}

/* HK_REASON_TO_WORKER with both ports as spi, and payload_offset in `meta`, or the refusal. */
HK_PARSE unsigned hk_tls_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_TCP_HEADER_SIZE);
	__u32 left = hk_cursor_left(cursor), size;

	(void)receiver;
	if (!header)
		return HK_REASON_TLS_TCP;
	size = (header[12] >> 4) * 4u;
	if (size < HK_TCP_HEADER_SIZE || size > left)
		return HK_REASON_TLS_TCP;
	if (size == left && !(header[13] & (HK_TCP_SYN | HK_TCP_RST)))
		return HK_REASON_TLS_CONTROL;
	meta->spi = hk_load32(header);
	meta->payload_offset = (__u16)(cursor->at + size);
	return HK_REASON_TO_WORKER;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * DTLS 1.2 (RFC 6347) over a UDP port of the domain's choice, at either end of
 * the connection. What can be opened without a session are the tls12_cid records
 * of RFC 9146 whose connection id carries a derived-key context:
 *
 *   0     1        3      5        11                                    23      25        33
 *   25    FE FD    epoch  sequence D1 | flags | MKID16 | ContextID64     length  nonce(8)  ciphertext tag(16)
 *
 * A datagram may hold several records. The XDP program looks at the first; the
 * opener walks all of them with the same hk_dtls_read_record(). Its answer for
 * a record in the clear is HK_REASON_DTLS_CONTROL. In `split` the nonce begins
 * with the key check value of the record's context.
 */
#ifndef HALFKEY_BPF_PARSE_DTLS_H
#define HALFKEY_BPF_PARSE_DTLS_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/transport.h"
#include "maps/receivers.h"

#define HK_DTLS_HEADER_SIZE	13 /* of a record without connection id */
#define HK_DTLS_CID_SIZE	12
#define HK_DTLS_CID_HEADER_SIZE (HK_DTLS_HEADER_SIZE + HK_DTLS_CID_SIZE)
#define HK_DTLS_CID_MARK	0xd1
#define HK_DTLS_NONCE_SIZE	8
#define HK_DTLS_KCV_SIZE	2
#define HK_DTLS_TAG_SIZE	16
#define HK_DTLS_RECORDS_MAX	16
#define HK_DTLS_VERSION_10	0xfeff /* what a ClientHello's record may still say */
#define HK_DTLS_VERSION_12	0xfefd

enum hk_dtls_type {
	HK_DTLS_CCS = 20,
	HK_DTLS_ALERT = 21,
	HK_DTLS_HANDSHAKE = 22,
	HK_DTLS_DATA = 23,
	HK_DTLS_HEARTBEAT = 24,
	HK_DTLS_TYPE_CID = 25,
};

/* Flags in the connection id. Bit 1 is ours: it keeps a record of one profile from being read as the other's.
 */
#define HK_DTLS_FLAG_SERVER 0x01 /* the server writes; else the client */
#define HK_DTLS_FLAG_SPLIT  0x02 /* gcm-split: the tag is made under Ak */
#define HK_DTLS_FLAGS	    (HK_DTLS_FLAG_SERVER | HK_DTLS_FLAG_SPLIT)

/* The port at either end: the receivers map was asked about the destination alone. */
HK_PARSE unsigned hk_dtls_claim(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver)
{
	__u16 port = receiver ? receiver->carrier[HK_ENVELOPE_DTLS] : 0;
	struct hk_cursor udp = *cursor;
	const __u8 *header;

	if (!port || !packet->udp)
		return HK_REASON_OK;
	if (packet->dst_port == port)
		return HK_REASON_TO_WORKER;
	udp.at = cursor->at - HK_UDP_HEADER_SIZE;
	header = hk_cursor_peek(&udp, 2);
	return header && hk_load16(header) == port ? HK_REASON_TO_WORKER : HK_REASON_OK;
}

/* What a tls12_cid record is refused for; `left` counts from its first byte. */
HK_PARSE unsigned hk_dtls_check_cid(const __u8 *header, __u32 left)
{
	__u32 length = hk_load16(header + 23);

	if (hk_load16(header + 1) != HK_DTLS_VERSION_12)
		return HK_REASON_DTLS_VERSION;
	if (header[11] != HK_DTLS_CID_MARK)
		return HK_REASON_DTLS_CID;
	if (header[12] & ~HK_DTLS_FLAGS)
		return HK_REASON_DTLS_FLAGS;
	if (!hk_load16(header + 3))
		return HK_REASON_DTLS_EPOCH;
	/* the content type is encrypted with the content: one byte at least */
	if (length < HK_DTLS_NONCE_SIZE + 1 + HK_DTLS_TAG_SIZE || length > left - HK_DTLS_CID_HEADER_SIZE)
		return HK_REASON_DTLS_LENGTH;
	return HK_REASON_TO_WORKER;
}

HK_PARSE unsigned hk_dtls_check_clear(const __u8 *header, __u32 left)
{
	__u32 version = hk_load16(header + 1);

	if (header[0] >= HK_DTLS_DATA)
		return HK_REASON_DTLS_NO_CID;
	if (version != HK_DTLS_VERSION_12 && version != HK_DTLS_VERSION_10)
		return HK_REASON_DTLS_VERSION;
	if (hk_load16(header + 3))
		return HK_REASON_DTLS_NO_CID;
	if (hk_load16(header + 11) > left - HK_DTLS_HEADER_SIZE)
		return HK_REASON_DTLS_LENGTH;
	return HK_REASON_DTLS_CONTROL;
}

/*
 * Where a record ends whose length stands at `at`, if it has the form of one: then a receiver
 * that cannot read it passes over it, whatever its type. Else 0: nobody can say.
 */
HK_PARSE __u32 hk_dtls_end(const __u8 *header, __u32 at, __u32 left)
{
	__u32 version = hk_load16(header + 1), size = at + 2 + hk_load16(header + at);

	if ((version != HK_DTLS_VERSION_12 && version != HK_DTLS_VERSION_10) || size > left)
		return 0;
	return size;
}

/*
 * The record at the cursor. HK_REASON_TO_WORKER: one that can be opened;
 * HK_REASON_DTLS_CONTROL: one in the clear; else the refusal. Its whole size, or 0
 * where nobody can say where the next one begins.
 */
HK_PARSE unsigned hk_dtls_read_record(const struct hk_cursor *cursor, __u32 *size)
{
	const __u8 *header = hk_cursor_peek(cursor, HK_DTLS_HEADER_SIZE);
	__u32 left = hk_cursor_left(cursor);
	const __u8 *first = hk_cursor_peek(cursor, 1);
	int is_13 = first && (*first & 0xe0) == 0x20; /* unified header, RFC 9147 */

	*size = 0;
	if (!header)
		return is_13 ? HK_REASON_DTLS_13 : HK_REASON_DTLS_SHORT;
	if (header[0] == HK_DTLS_TYPE_CID) {
		header = hk_cursor_peek(cursor, HK_DTLS_CID_HEADER_SIZE);
		if (!header)
			return HK_REASON_DTLS_SHORT;
		*size = hk_dtls_end(header, HK_DTLS_CID_HEADER_SIZE - 2, left);
		return hk_dtls_check_cid(header, left);
	}
	*size = hk_dtls_end(header, HK_DTLS_HEADER_SIZE - 2, left);
	if (is_13)
		return HK_REASON_DTLS_13;
	if (header[0] < HK_DTLS_CCS || header[0] > HK_DTLS_HEARTBEAT)
		return HK_REASON_LEGACY; /* STUN, RTP and others share ports with DTLS: RFC 7983 */
	return hk_dtls_check_clear(header, left);
}

/* HK_REASON_TO_WORKER with spi and payload_offset in `meta`, or why the datagram is not for a worker. */
HK_PARSE unsigned hk_dtls_parse(
	const struct hk_cursor *cursor, const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	__u32 size;
	unsigned reason = hk_dtls_read_record(cursor, &size);
	const __u8 *header;

	(void)receiver;
	meta->payload_offset = (__u16)cursor->at;
	if (reason != HK_REASON_TO_WORKER && size && size < hk_cursor_left(cursor))
		return HK_REASON_TO_WORKER; /* records behind it may be for hooks */
	if (reason != HK_REASON_TO_WORKER)
		return reason;
	header = hk_cursor_peek(cursor, HK_DTLS_CID_HEADER_SIZE);
	if (!header)
		return HK_REASON_DTLS_SHORT;
	meta->spi = hk_load32(header + 19); /* the ContextID's low half */
	return HK_REASON_TO_WORKER;
}

#endif

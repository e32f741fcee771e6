/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of cases.h: DTLS. */
#ifndef TESTS_BPF_CASES_DTLS_H
#define TESTS_BPF_CASES_DTLS_H

#include "tests/bpf/cases/places.h"

/*
 * A datagram to the DTLS domain: so many bytes, full of one, but for what is
 * named. 0xd1 is what our connection ids begin with, so that a record full of
 * it is good where type, version, flags and length are.
 */
#define DATAGRAM(text, why, to, size, full_of, ...)                                                  \
	{                                                                                            \
		.name = text, .reason = why, .dst = DTLS, .port = to, .payload = RAW, .bytes = size, \
		.byte = full_of, .pokes = {                                                          \
			__VA_ARGS__                                                                  \
		}                                                                                    \
	}
#define CID			25 /* content types */
#define HANDSHAKE		22
#define DATA			23
#define RECORD(type, version)	BYTE_AT(0, type), BYTE_AT(1, (version) >> 8), BYTE_AT(2, (version)&0xff)
#define WITH_CID(flags, length) BYTE_AT(12, flags), BYTE_AT(23, 0), BYTE_AT(24, length)
#define IN_CLEAR(length)	BYTE_AT(12, length)

static const struct packet_case cases_dtls[] = {
	DATAGRAM("DTLS", GOOD, DTLS_PORT, 64, 0xd1, RECORD(CID, 0xfefd), WITH_CID(0, 39)),
	DATAGRAM(
		"DTLS, another port", HK_REASON_LEGACY, 4434, 64, 0xd1, RECORD(CID, 0xfefd), WITH_CID(0, 39)),
	DATAGRAM("DTLS with a record behind it", GOOD, DTLS_PORT, 64, 0xd1, RECORD(CID, 0xfefd),
		WITH_CID(0, 30)),
	DATAGRAM("DTLS of 12 bytes", HK_REASON_DTLS_SHORT, DTLS_PORT, 12, 0xd1, RECORD(CID, 0xfefd)),
	DATAGRAM("DTLS of 24 bytes", HK_REASON_DTLS_SHORT, DTLS_PORT, 24, 0xd1, RECORD(CID, 0xfefd),
		BYTE_AT(12, 0), BYTE_AT(23, 0)),
	DATAGRAM("DTLS version", HK_REASON_DTLS_VERSION, DTLS_PORT, 64, 0xd1, RECORD(CID, 0xfefe),
		WITH_CID(0, 39)),
	DATAGRAM("DTLS flags", HK_REASON_DTLS_FLAGS, DTLS_PORT, 64, 0xd1, RECORD(CID, 0xfefd),
		WITH_CID(4, 39)),
	DATAGRAM("DTLS record past the end", HK_REASON_DTLS_LENGTH, DTLS_PORT, 64, 0xd1, RECORD(CID, 0xfefd),
		WITH_CID(0, 40)),
	DATAGRAM("DTLS record too short", HK_REASON_DTLS_LENGTH, DTLS_PORT, 49, 0xd1, RECORD(CID, 0xfefd),
		WITH_CID(0, 24)),
	DATAGRAM("DTLS record too short, another behind it", GOOD, DTLS_PORT, 64, 0xd1, RECORD(CID, 0xfefd),
		WITH_CID(0, 24)),
	DATAGRAM("DTLS data without a connection id", HK_REASON_DTLS_NO_CID, DTLS_PORT, 64, 0xd1,
		RECORD(DATA, 0xfefd), WITH_CID(0, 39)),
	DATAGRAM("DTLS 1.3", HK_REASON_DTLS_13, DTLS_PORT, 64, 0xd1, RECORD(0x2f, 0xfefd), WITH_CID(0, 39)),
	DATAGRAM("STUN beside DTLS", HK_REASON_LEGACY, DTLS_PORT, 64, 0xd1, RECORD(1, 0xfefd),
		WITH_CID(0, 39)),
	DATAGRAM("DTLS foreign connection id", HK_REASON_DTLS_CID, DTLS_PORT, 64, 0x25, RECORD(CID, 0xfefd)),
	DATAGRAM("DTLS connection id in epoch 0", HK_REASON_DTLS_EPOCH, DTLS_PORT, 25, 0, RECORD(CID, 0xfefd),
		BYTE_AT(11, 0xd1)),
	DATAGRAM("DTLS connection id in epoch 0, a record behind it", GOOD, DTLS_PORT, 64, 0,
		RECORD(CID, 0xfefd), BYTE_AT(11, 0xd1)),
	DATAGRAM("DTLS handshake", HK_REASON_DTLS_CONTROL, DTLS_PORT, 40, 0, RECORD(HANDSHAKE, 0xfeff),
		IN_CLEAR(27)),
	DATAGRAM("DTLS handshake with a record behind it", GOOD, DTLS_PORT, 40, 0, RECORD(HANDSHAKE, 0xfefd),
		IN_CLEAR(26)),
	DATAGRAM("DTLS handshake past the end", HK_REASON_DTLS_LENGTH, DTLS_PORT, 40, 0,
		RECORD(HANDSHAKE, 0xfefd), IN_CLEAR(28)),
	DATAGRAM("DTLS from the server's port", GOOD, 40001, 40, 0, RECORD(HANDSHAKE, 0xfefd), IN_CLEAR(26),
		{AT_TRANSPORT, 0, 4433 >> 8}, {AT_TRANSPORT, 1, 4433 & 0xff}),
	DATAGRAM("DTLS change of cipher", HK_REASON_DTLS_CONTROL, DTLS_PORT, 14, 0, RECORD(20, 0xfefd),
		IN_CLEAR(1)),
	DATAGRAM("the content type below DTLS's", HK_REASON_LEGACY, DTLS_PORT, 14, 0, RECORD(19, 0xfefd),
		IN_CLEAR(1)),
	DATAGRAM("the content type behind DTLS's", HK_REASON_LEGACY, DTLS_PORT, 14, 0, RECORD(26, 0xfefd),
		IN_CLEAR(1)),
	DATAGRAM("DTLS heartbeat", HK_REASON_DTLS_NO_CID, DTLS_PORT, 14, 0, RECORD(24, 0xfefd), IN_CLEAR(1)),
	DATAGRAM("DTLS handshake of a later epoch", HK_REASON_DTLS_NO_CID, DTLS_PORT, 14, 0,
		RECORD(HANDSHAKE, 0xfefd), BYTE_AT(4, 1), IN_CLEAR(1)),
	DATAGRAM("DTLS 1.3 of one byte", HK_REASON_DTLS_13, DTLS_PORT, 1, 0x2f, {0}),
};

#undef DATAGRAM
#undef CID
#undef HANDSHAKE
#undef DATA
#undef RECORD
#undef WITH_CID
#undef IN_CLEAR

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of cases.h: TLS. */
#ifndef TESTS_BPF_CASES_TLS_H
#define TESTS_BPF_CASES_TLS_H

#include "tests/bpf/cases/places.h"

/* A TCP segment of `size` bytes to the TLS domain: zeros but for what is named. */
#define SEGMENT(text, why, size, ...)                                                                  \
	{                                                                                              \
		.name = text, .reason = why, .dst = TLS, .protocol = 6, .payload = RAW, .bytes = size, \
		.pokes = {                                                                             \
			__VA_ARGS__                                                                    \
		}                                                                                      \
	}
#define FROM(port)  BYTE_AT(0, (port) >> 8), BYTE_AT(1, (port)&0xff)
#define TO(port)    BYTE_AT(2, (port) >> 8), BYTE_AT(3, (port)&0xff)
#define WORDS(n)    BYTE_AT(12, (n) << 4) /* of the header */
#define FLAGS(bits) BYTE_AT(13, bits)
#define FIN	    0x01
#define SYN	    0x02
#define RST	    0x04
#define PSH	    0x08
#define ACK	    0x10

static const struct packet_case cases_tls[] = {
	SEGMENT("TLS TCP data to the server", GOOD, 64, TO(8443), WORDS(5), FLAGS(PSH | ACK)),
	SEGMENT("TLS TCP data to the domain's other port", GOOD, 64, TO(443), WORDS(5), FLAGS(PSH | ACK)),
	SEGMENT("TLS TCP data from the server", GOOD, 64, FROM(8443), WORDS(5), FLAGS(PSH | ACK)),
	SEGMENT("TLS TCP data behind options", GOOD, 64, TO(8443), WORDS(15)),
	SEGMENT("TLS TCP, another port", HK_REASON_LEGACY, 64, TO(8444), WORDS(5)),
	SEGMENT("TLS SYN", GOOD, 20, TO(8443), WORDS(5), FLAGS(SYN)),
	SEGMENT("TLS RST", GOOD, 20, TO(8443), WORDS(5), FLAGS(RST)),
	SEGMENT("TLS ACK", HK_REASON_TLS_CONTROL, 20, TO(8443), WORDS(5), FLAGS(ACK)),
	SEGMENT("TLS FIN behind options", HK_REASON_TLS_CONTROL, 60, TO(8443), WORDS(15), FLAGS(FIN | ACK)),
	SEGMENT("TLS TCP of 19 bytes", HK_REASON_TLS_TCP, 19, TO(8443)),
	SEGMENT("TLS TCP of 3 bytes", HK_REASON_TLS_TCP, 3, BYTE_AT(2, 8443 >> 8)),
	SEGMENT("TLS TCP header of 16 bytes", HK_REASON_TLS_TCP, 64, TO(8443), WORDS(4)),
	SEGMENT("TLS TCP header past the end", HK_REASON_TLS_TCP, 59, TO(8443), WORDS(15)),
	SEGMENT("the ports of another TCP connection, and no more", HK_REASON_LEGACY, 4, TO(8444)),
};

#undef SEGMENT
#undef FROM
#undef TO
#undef WORDS
#undef FLAGS
#undef FIN
#undef SYN
#undef RST
#undef PSH
#undef ACK

#endif

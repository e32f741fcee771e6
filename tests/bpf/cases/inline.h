/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of cases.h: inline keying. */
#ifndef TESTS_BPF_CASES_INLINE_H
#define TESTS_BPF_CASES_INLINE_H

#include "tests/bpf/cases/places.h"

static const struct packet_case cases_inline[] = {
	/* inline keying: what parents and children have in common */
	{.name = "inline keying over IPv4", .reason = GOOD, .dst = EDGE, .payload = ESP, .protocol = 50},
	{.name = "inline keying over IPv6", .reason = GOOD, .dst = V6_EDGE, .payload = ESP, .protocol = 50},
	{.name = "inline keying in UDP", .reason = GOOD, .dst = EDGE, .payload = ESP},
	{.name = "inline keying, shortest", .reason = GOOD, .dst = EDGE, .payload = ESP, .size = 28},
	{.name = "inline keying, too short",
		.reason = HK_REASON_INLINE_SHORT,
		.dst = EDGE,
		.payload = ESP,
		.protocol = 50,
		.size = 25},
	{.name = "inline keying, nothing but a header",
		.reason = HK_REASON_INLINE_SHORT,
		.dst = EDGE,
		.payload = RAW,
		.protocol = 50,
		.bytes = 7,
		.byte = 0x20},
	{.name = "inline keying, alignment",
		.reason = HK_REASON_INLINE_ALIGN,
		.dst = EDGE,
		.payload = ESP,
		.protocol = 50,
		.size = 49},
	{.name = "inline keying, SPI 255",
		.reason = HK_REASON_INLINE_SPI,
		.dst = EDGE,
		.payload = ESP,
		.protocol = 50,
		.pokes = {{AT_ENVELOPE, 0, 0}, {AT_ENVELOPE, 1, 0}, {AT_ENVELOPE, 2, 0},
			{AT_ENVELOPE, 3, 255}}},
	{.name = "inline keying, SPI 256",
		.reason = GOOD,
		.dst = EDGE,
		.payload = ESP,
		.protocol = 50,
		.pokes = {{AT_ENVELOPE, 0, 0}, {AT_ENVELOPE, 1, 0}, {AT_ENVELOPE, 2, 1},
			{AT_ENVELOPE, 3, 0}}},
	{.name = "IKE beside inline keying",
		.reason = HK_REASON_IKE,
		.dst = EDGE,
		.port = 4500,
		.payload = RAW,
		.bytes = 64,
		.byte = 0},
	{.name = "NAT keepalive beside inline keying",
		.reason = HK_REASON_IKE,
		.dst = EDGE,
		.port = 4500,
		.payload = RAW,
		.bytes = 1,
		.byte = 0xff},
	{.name = "PSP to a receiver of inline keying", .reason = HK_REASON_NO_DOMAIN, .dst = EDGE},
};

#endif

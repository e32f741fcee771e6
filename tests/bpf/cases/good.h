/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of cases.h: what opens as it should, of the first envelopes. */
#ifndef TESTS_BPF_CASES_GOOD_H
#define TESTS_BPF_CASES_GOOD_H

#include "tests/bpf/cases/places.h"

static const struct packet_case cases_good[] = {
	/* good packets */
	{.name = "PSP over IPv4", .reason = GOOD},
	{.name = "PSP over IPv6", .reason = GOOD, .dst = V6_EAST},
	{.name = "PSP version 1", .reason = GOOD, .version = 1},
	{.name = "PSP version 4", .reason = GOOD, .version = 4},
	{.name = "PSP version 5", .reason = GOOD, .version = 5},
	{.name = "PSP with empty ciphertext", .reason = GOOD, .size = 16},
	{.name = "PSP with the longest possible header", .reason = GOOD, .hel = 7, .size = 64},
	{.name = "PSP with a cookie", .reason = GOOD, .hel = 2, .pokes = {{AT_ENVELOPE, 3, 0x03}}},
	{.name = "PSP with the crypt offset at the end", .reason = GOOD, .pokes = {{AT_ENVELOPE, 2, 8}}},
	{.name = "PSP reserved bits of byte 2 are ignored",
		.reason = GOOD,
		.pokes = {{AT_ENVELOPE, 2, 0xc0}}},
	{.name = "PSP S and D bits", .reason = GOOD, .pokes = {{AT_ENVELOPE, 3, 0xc1}}},
	{.name = "PSP SPI of slot 1", .reason = GOOD, .pokes = {{AT_ENVELOPE, 4, 0x92}}},
	{.name = "ESP in UDP", .reason = GOOD, .dst = WEST, .payload = ESP},
	{.name = "ESP over IPv4", .reason = GOOD, .dst = WEST, .payload = ESP, .protocol = 50},
	{.name = "ESP over IPv6", .reason = GOOD, .dst = V6_WEST, .payload = ESP, .protocol = 50},
	{.name = "ESP with CBC", .reason = GOOD, .dst = SOUTH, .payload = ESP, .protocol = 50, .size = 64},
	{.name = "ESP shortest", .reason = GOOD, .dst = WEST, .payload = ESP, .protocol = 50, .size = 28},
	{.name = "PSP to a receiver of both", .reason = GOOD, .dst = BOTH},
	{.name = "ESP to a receiver of both", .reason = GOOD, .dst = BOTH, .payload = ESP},
};

#endif

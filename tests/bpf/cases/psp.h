/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of cases.h: PSP. */
#ifndef TESTS_BPF_CASES_PSP_H
#define TESTS_BPF_CASES_PSP_H

#include "tests/bpf/cases/places.h"

static const struct packet_case cases_psp[] = {
	/* PSP refusals */
	{.name = "PSP 31 bytes", .reason = HK_REASON_PSP_SHORT, .size = 15},
	{.name = "PSP one byte", .reason = HK_REASON_PSP_SHORT, .payload = RAW, .port = 1000, .bytes = 1},
	{.name = "PSP no byte", .reason = HK_REASON_PSP_SHORT, .payload = RAW, .port = 1000},
	{.name = "PSP HEL 0", .reason = HK_REASON_PSP_HEL_ZERO, .pokes = {{AT_ENVELOPE, 1, 0}}},
	{.name = "PSP HEL past the ICV", .reason = HK_REASON_PSP_HEL_LENGTH, .hel = 6},
	{.name = "PSP HEL 255", .reason = HK_REASON_PSP_HEL_LENGTH, .hel = 255},
	{.name = "PSP crypt offset one past the end",
		.reason = HK_REASON_PSP_OFFSET,
		.pokes = {{AT_ENVELOPE, 2, 9}}},
	{.name = "PSP crypt offset 63", .reason = HK_REASON_PSP_OFFSET, .pokes = {{AT_ENVELOPE, 2, 63}}},
	{.name = "PSP bit 0 clear", .reason = HK_REASON_PSP_BIT, .pokes = {{AT_ENVELOPE, 3, 0x00}}},
	{.name = "PSP version 6", .reason = HK_REASON_PSP_VERSION, .version = 6},
	{.name = "PSP version 15", .reason = HK_REASON_PSP_VERSION, .version = 15},
	{.name = "PSP version 2", .reason = HK_REASON_PSP_GMAC, .version = 2},
	{.name = "PSP version 3", .reason = HK_REASON_PSP_GMAC, .version = 3},
	{.name = "PSP SPI 0",
		.reason = HK_REASON_PSP_SPI,
		.pokes = {{AT_ENVELOPE, 4, 0}, {AT_ENVELOPE, 5, 0}, {AT_ENVELOPE, 6, 0},
			{AT_ENVELOPE, 7, 0}}},
	{.name = "PSP SPI with the slot bit alone",
		.reason = HK_REASON_PSP_SPI,
		.pokes = {{AT_ENVELOPE, 4, 0x80}, {AT_ENVELOPE, 5, 0}, {AT_ENVELOPE, 6, 0},
			{AT_ENVELOPE, 7, 0}}},
	{.name = "PSP V without room", .reason = HK_REASON_PSP_COOKIE, .pokes = {{AT_ENVELOPE, 3, 0x03}}},
	{.name = "PSP length is UDP's, not the frame's",
		.reason = HK_REASON_PSP_SHORT,
		.size = 15,
		.behind_packet = 64},
	/* the documented order: length, HEL, HEL length, offset */
	{.name = "PSP HEL 0 before offset",
		.reason = HK_REASON_PSP_HEL_ZERO,
		.pokes = {{AT_ENVELOPE, 1, 0}, {AT_ENVELOPE, 2, 63}}},
	{.name = "PSP HEL length before offset",
		.reason = HK_REASON_PSP_HEL_LENGTH,
		.hel = 9,
		.pokes = {{AT_ENVELOPE, 2, 63}}},
	{.name = "PSP offset before bit 0",
		.reason = HK_REASON_PSP_OFFSET,
		.pokes = {{AT_ENVELOPE, 2, 63}, {AT_ENVELOPE, 3, 0}}},
};

#endif

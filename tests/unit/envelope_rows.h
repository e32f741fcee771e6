/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One row for each shape of each envelope: a packet that opens (envelope_scene.h
 * has the seal side make it), and what must become of it when its payload is cut
 * to any length, with all lengths around it put right, or when a reserved field
 * is set. The unit test runs the rows through parser and worker, the BPF test
 * through XDP.
 *
 * The inner packet is full of FILL and names no protocol where a cut ESP
 * trailer would read one, so that in `split`, too, each cut has one right answer.
 */
#ifndef TESTS_UNIT_ENVELOPE_ROWS_H
#define TESTS_UNIT_ENVELOPE_ROWS_H

#include <halfkey/envelope.h>
#include <halfkey/reason.h>

#include "user/endpoint/seal_eesp.h"

#define ROW_FILL     0xee
#define ROW_INNER    80 /* bytes of the inner packet */
#define ROW_CUTS     7
#define ROW_FLIPS    17
#define ROW_PORT     4433 /* DTLS, TLS */
#define ROW_SPI	     0x00c0ff01u
#define ROW_HIGH_SPI 0xc0ffee01u /* as ESP cannot have it under a derived key */
#define ROW_MKID     171	 /* an SDI, too */
#define ROW_WHOLE    0xffffu
#define ROW_SPLIT    HK_PROFILE_SPLIT
#define ROW_SINGLE   HK_PROFILE_SINGLE

/* Lengths below `below` that no cut before it took; with `step`, those off base + n * step alone. */
struct row_cut {
	unsigned below, reason;
	unsigned step, base;
};

/* Bits of the payload's byte `at`, each set on its own, and the reason for all of them. */
struct row_flip {
	unsigned at, bits, reason;
};

struct envelope_row {
	const char *name;
	__u8 envelope, profile, suite;
	bool udp, v6;
	__u8 version; /* PSP */
	bool ssi;     /* TSS */
	struct hk_eesp_name eesp;
	struct hk_eesp_shape shape; /* EESP and WESP */
	__u32 spi;		    /* what the parser makes of the packet, */
	unsigned payload;	    /* and where it says that the payload begins, behind IP and UDP */
	unsigned whole;		    /* the reason of the packet as it is; 0: ok */
	struct row_cut cuts[ROW_CUTS];
	struct row_flip flips[ROW_FLIPS];
};

static const struct envelope_row envelope_rows[] = {
	{.name = "PSP version 1",
		.spi = ROW_SPI,
		.payload = 16,
		.envelope = HK_ENVELOPE_PSP,
		.profile = ROW_SINGLE,
		.udp = true,
		.version = HK_PSP_GCM_256,
		.cuts = {{32, HK_REASON_PSP_SHORT}, {ROW_WHOLE, HK_REASON_BAD_ICV}},
		.flips = {{2, 0xc0, HK_REASON_BAD_ICV}, {2, 0x20, HK_REASON_PSP_OFFSET},
			{3, 0x01, HK_REASON_PSP_BIT}, {3, 0x20, HK_REASON_PSP_VERSION},
			{3, 0x08, HK_REASON_PSP_GMAC}, {3, 0x10, HK_REASON_PROFILE_MISMATCH},
			{3, 0x02, HK_REASON_PSP_COOKIE}, {3, 0xc0, HK_REASON_BAD_ICV},
			{1, 0x80, HK_REASON_PSP_HEL_LENGTH}, {1, 0x01, HK_REASON_PSP_HEL_ZERO}}},
	{.name = "PSP version 5 with cookie and crypt offset",
		.spi = ROW_SPI,
		.payload = 24,
		.envelope = HK_ENVELOPE_PSP,
		.profile = ROW_SPLIT,
		.udp = true,
		.v6 = true,
		.version = HK_PSP_SPLIT_256,
		.shape = {.crypt_offset = 5},
		.cuts = {{32, HK_REASON_PSP_SHORT}, {40, HK_REASON_PSP_HEL_LENGTH},
			{52, HK_REASON_PSP_OFFSET}, {ROW_WHOLE, HK_REASON_IMPLAUSIBLE}},
		.flips = {{2, 0xc0, HK_REASON_OK}, {3, 0xc0, HK_REASON_OK}, {3, 0x01, HK_REASON_PSP_BIT},
			{3, 0x20, HK_REASON_PSP_VERSION}, {3, 0x10, HK_REASON_PROFILE_MISMATCH}}},
	{.name = "ESP gcm",
		.spi = ROW_SPI,
		.payload = 8,
		.envelope = HK_ENVELOPE_ESP,
		.profile = ROW_SINGLE,
		.suite = HK_SUITE_GCM,
		.cuts = {{34, HK_REASON_ESP_SHORT}, {ROW_WHOLE, HK_REASON_ESP_ALIGN, 4, 32},
			{ROW_WHOLE, HK_REASON_BAD_ICV}},
		.flips = {{0, 0x80, HK_REASON_ESP_SPI}, {0, 0x60, HK_REASON_NO_KEY}}},
	{.name = "ESP ctr-hmac in UDP",
		.spi = ROW_SPI,
		.payload = 8,
		.envelope = HK_ENVELOPE_ESP,
		.profile = ROW_SPLIT,
		.suite = HK_SUITE_CTR_HMAC,
		.udp = true,
		.cuts = {{34, HK_REASON_ESP_SHORT}, {ROW_WHOLE, HK_REASON_ESP_ALIGN, 4, 32},
			{ROW_WHOLE, HK_REASON_NEXT_HEADER}},
		.flips = {{0, 0x80, HK_REASON_ESP_SPI}}},
	{.name = "ESP gcm-split over IPv6",
		.spi = ROW_SPI,
		.payload = 8,
		.envelope = HK_ENVELOPE_ESP,
		.profile = ROW_SPLIT,
		.suite = HK_SUITE_GCM_SPLIT,
		.v6 = true,
		.cuts = {{34, HK_REASON_ESP_SHORT}, {ROW_WHOLE, HK_REASON_ESP_ALIGN, 4, 32},
			{37, HK_REASON_NEXT_HEADER}, {41, HK_REASON_IMPLAUSIBLE},
			{ROW_WHOLE, HK_REASON_NEXT_HEADER}}},
	{.name = "ESP cbc-hmac",
		.spi = ROW_SPI,
		.payload = 8,
		.envelope = HK_ENVELOPE_ESP,
		.profile = ROW_SPLIT,
		.suite = HK_SUITE_CBC_HMAC,
		.cuts = {{42, HK_REASON_ESP_SHORT}, {ROW_WHOLE, HK_REASON_ESP_ALIGN, 16, 40},
			{ROW_WHOLE, HK_REASON_NEXT_HEADER}}},
	{.name = "TSS over UDP",
		.spi = 0x080000ab,
		.payload = 12,
		.envelope = HK_ENVELOPE_TSS,
		.profile = ROW_SPLIT,
		.udp = true,
		.cuts = {{28, HK_REASON_TSS_SHORT}, {29, HK_REASON_IMPLAUSIBLE}, {ROW_WHOLE, HK_REASON_OK}},
		.flips = {{0, 0x02, HK_REASON_TSS_RESERVED}, {0, 0x04, HK_REASON_TSS_SSI},
			{0, 0x01, HK_REASON_NO_KEY}, {0, 0x08, HK_REASON_TSS_TYPE},
			{0, 0x80, HK_REASON_TSS_TYPE}, {0, 0x70, HK_REASON_TSS_PDS},
			{3, 0xff, HK_REASON_NO_KEY}}},
	{.name = "TSS over IPv6 alone, with SSI",
		.spi = 0x0c0000ab,
		.payload = 20,
		.envelope = HK_ENVELOPE_TSS,
		.profile = ROW_SINGLE,
		.v6 = true,
		.ssi = true,
		.cuts = {{36, HK_REASON_TSS_SHORT}, {ROW_WHOLE, HK_REASON_BAD_ICV}},
		.flips = {{2, 0xff, HK_REASON_BAD_ICV}, {3, 0xff, HK_REASON_BAD_ICV},
			{4, 0x02, HK_REASON_TSS_RESERVED}, {4, 0x04, HK_REASON_TSS_SSI}}},
	{.name = "EESP of a sub-SA in UDP",
		.spi = ROW_HIGH_SPI,
		.payload = 8,
		.envelope = HK_ENVELOPE_EESP,
		.profile = ROW_SPLIT,
		.udp = true,
		.eesp = {.split = true, .sn = true, .iv = true},
		.cuts = {{2, HK_REASON_NO_DOMAIN}, {40, HK_REASON_EESP_SHORT},
			{ROW_WHOLE, HK_REASON_IMPLAUSIBLE}},
		.flips = {{0, 0x07, HK_REASON_EESP_RESERVED}, {0, 0x78, HK_REASON_EESP_VERSION}}},
	{.name = "EESP of a sub-SA, full format, without IV, with a crypt offset",
		.spi = ROW_HIGH_SPI,
		.payload = 12,
		.envelope = HK_ENVELOPE_EESP,
		.profile = ROW_SINGLE,
		.v6 = true,
		.eesp = {.sn = true, .transport = true},
		.shape = {.offset_size = 2, .crypt_offset = 1},
		.cuts = {{36, HK_REASON_EESP_SHORT}, {40, HK_REASON_EESP_OFFSET},
			{ROW_WHOLE, HK_REASON_BAD_ICV}},
		.flips = {{0, 0x80, HK_REASON_EESP_VERSION}, {0, 0x07, HK_REASON_EESP_RESERVED},
			{10, 0xc0, HK_REASON_BAD_ICV}, {11, 0xff, HK_REASON_BAD_ICV},
			{9, 0x01, HK_REASON_EESP_OPTION}, {9, 0x02, HK_REASON_EESP_OFFSET},
			{20, 0x0f, HK_REASON_BAD_ICV}, {21, 0xff, HK_REASON_BAD_ICV}}},
	{.name = "EESP with context and reader tag",
		.spi = ROW_HIGH_SPI,
		.payload = 32,
		.envelope = HK_ENVELOPE_EESP,
		.profile = ROW_SPLIT,
		.eesp = {.derived = true, .split = true, .reader = true, .iv = true, .slot = 2},
		.cuts = {{64, HK_REASON_EESP_SHORT}, {ROW_WHOLE, HK_REASON_READER_TAG}},
		.flips = {{0, 0x07, HK_REASON_EESP_RESERVED}, {10, 0x0e, HK_REASON_DKC_KDF},
			{10, 0xf0, HK_REASON_DKC_CARRIER}, {11, 0x01, HK_REASON_DKC_RESERVED},
			{11, 0x40, HK_REASON_DKC_RESERVED}, {11, 0x10, HK_REASON_PROFILE_MISMATCH},
			{11, 0x06, HK_REASON_NO_KEY}, {28, 0xff, HK_REASON_WRONG_KCV}}},
	{.name = "EESP with context in UDP",
		.spi = ROW_HIGH_SPI,
		.payload = 32,
		.envelope = HK_ENVELOPE_EESP,
		.profile = ROW_SINGLE,
		.udp = true,
		.v6 = true,
		.eesp = {.derived = true, .sn = true, .iv = true},
		.cuts = {{2, HK_REASON_NO_DOMAIN}, {64, HK_REASON_EESP_SHORT},
			{ROW_WHOLE, HK_REASON_BAD_ICV}},
		.flips = {{11, 0x01, HK_REASON_DKC_RESERVED}, {11, 0x28, HK_REASON_WRONG_KCV}}},
	{.name = "EESP with context, full format",
		.spi = ROW_HIGH_SPI,
		.payload = 32,
		.envelope = HK_ENVELOPE_EESP,
		.profile = ROW_SPLIT,
		.udp = true,
		.eesp = {.derived = true, .split = true, .sn = true, .transport = true},
		.cuts = {{2, HK_REASON_NO_DOMAIN}, {56, HK_REASON_EESP_SHORT},
			{ROW_WHOLE, HK_REASON_IMPLAUSIBLE}},
		.flips = {{40, 0xf0, HK_REASON_IMPLAUSIBLE}, {40, 0x0f, HK_REASON_OK},
			{41, 0xff, HK_REASON_OK}, {42, 0x08, HK_REASON_NEXT_HEADER},
			{43, 0x80, HK_REASON_OK}}},
	{.name = "WESP with context in UDP",
		.spi = ROW_SPI,
		.payload = 40,
		.envelope = HK_ENVELOPE_WESP,
		.profile = ROW_SPLIT,
		.udp = true,
		.eesp = {.derived = true, .split = true},
		.cuts = {{4, HK_REASON_NO_DOMAIN}, {66, HK_REASON_WESP_SHORT},
			{ROW_WHOLE, HK_REASON_ESP_ALIGN, 4, 64}, {ROW_WHOLE, HK_REASON_NEXT_HEADER}},
		.flips = {{3, 0x02, HK_REASON_IKE}, {3, 0x01, HK_REASON_NO_DOMAIN},
			{4, 0xff, HK_REASON_WESP_RESERVED}, {5, 0xff, HK_REASON_WESP_LENGTH},
			{6, 0xff, HK_REASON_WESP_LENGTH}, {7, 0x0f, HK_REASON_WESP_RESERVED},
			{7, 0x10, HK_REASON_WESP_LENGTH}, {7, 0x20, HK_REASON_WESP_RESERVED},
			{7, 0x80, HK_REASON_WESP_VERSION}, {8, 0x0e, HK_REASON_DKC_KDF},
			{8, 0xf0, HK_REASON_DKC_CARRIER}, {9, 0x01, HK_REASON_DKC_RESERVED},
			{9, 0xe0, HK_REASON_DKC_RESERVED}, {10, 0xff, HK_REASON_WESP_RESERVED},
			{11, 0xff, HK_REASON_WESP_RESERVED}, {9, 0x08, HK_REASON_WRONG_KCV}}},
	{.name = "WESP with context and padding over IPv6",
		.spi = ROW_SPI,
		.payload = 40,
		.envelope = HK_ENVELOPE_WESP,
		.profile = ROW_SINGLE,
		.v6 = true,
		.eesp = {.derived = true},
		.shape = {.pad = true},
		.cuts = {{66, HK_REASON_WESP_SHORT}, {ROW_WHOLE, HK_REASON_ESP_ALIGN, 4, 64},
			{ROW_WHOLE, HK_REASON_BAD_ICV}},
		.flips = {{3, 0x0f, HK_REASON_WESP_RESERVED}, {4, 0xff, HK_REASON_WESP_RESERVED},
			{5, 0xff, HK_REASON_WESP_RESERVED}, {6, 0xff, HK_REASON_WESP_RESERVED},
			{7, 0xff, HK_REASON_WESP_RESERVED}, {10, 0xff, HK_REASON_WESP_RESERVED},
			{11, 0xff, HK_REASON_WESP_RESERVED}}},
	{.name = "WESP around ESP-NULL",
		.spi = 0x100,
		.payload = 12,
		.envelope = HK_ENVELOPE_WESP,
		.profile = ROW_SPLIT,
		.cuts = {{30, HK_REASON_WESP_SHORT}, {ROW_WHOLE, HK_REASON_WESP_NEXT_HEADER}},
		.flips = {{3, 0x0f, HK_REASON_WESP_RESERVED}, {3, 0x10, HK_REASON_WESP_LENGTH},
			{3, 0x20, HK_REASON_WESP_ENCRYPTED}, {3, 0x40, HK_REASON_WESP_RESERVED},
			{3, 0x80, HK_REASON_WESP_VERSION}, {0, 0xff, HK_REASON_WESP_NEXT_HEADER},
			{1, 0x80, HK_REASON_WESP_SHORT}, {1, 0x70, HK_REASON_IMPLAUSIBLE},
			{1, 0x0c, HK_REASON_WESP_LENGTH}, {2, 0x80, HK_REASON_WESP_SHORT}}},
	{.name = "inline keying",
		.spi = ROW_SPI,
		.payload = 8,
		.envelope = HK_ENVELOPE_INLINE,
		.profile = ROW_SPLIT,
		.cuts = {{34, HK_REASON_INLINE_SHORT}, {ROW_WHOLE, HK_REASON_INLINE_ALIGN, 4, 32},
			{50, HK_REASON_INLINE_SHORT}, {ROW_WHOLE, HK_REASON_NEXT_HEADER}}},
	{.name = "inline keying in UDP over IPv6",
		.spi = ROW_SPI,
		.payload = 8,
		.envelope = HK_ENVELOPE_INLINE,
		.profile = ROW_SPLIT,
		.udp = true,
		.v6 = true,
		.cuts = {{34, HK_REASON_INLINE_SHORT}, {ROW_WHOLE, HK_REASON_INLINE_ALIGN, 4, 32},
			{50, HK_REASON_INLINE_SHORT}, {53, HK_REASON_NEXT_HEADER},
			{57, HK_REASON_IMPLAUSIBLE}, {ROW_WHOLE, HK_REASON_NEXT_HEADER}}},
	{.name = "DTLS",
		.spi = 5,
		.payload = 0,
		.envelope = HK_ENVELOPE_DTLS,
		.profile = ROW_SPLIT,
		.udp = true,
		.cuts = {{25, HK_REASON_DTLS_SHORT}, {ROW_WHOLE, HK_REASON_DTLS_LENGTH}},
		.flips = {{1, 0xff, HK_REASON_DTLS_VERSION}, {2, 0xff, HK_REASON_DTLS_VERSION},
			{4, 0x01, HK_REASON_DTLS_EPOCH}, {11, 0xff, HK_REASON_DTLS_CID},
			{12, 0xfc, HK_REASON_DTLS_FLAGS}, {12, 0x02, HK_REASON_PROFILE_MISMATCH},
			{13, 0xff, HK_REASON_NO_KEY}, {23, 0xff, HK_REASON_DTLS_LENGTH}}},
	{.name = "DTLS over IPv6",
		.spi = 5,
		.payload = 0,
		.envelope = HK_ENVELOPE_DTLS,
		.profile = ROW_SINGLE,
		.udp = true,
		.v6 = true,
		.cuts = {{25, HK_REASON_DTLS_SHORT}, {ROW_WHOLE, HK_REASON_DTLS_LENGTH}},
		.flips = {{5, 0xff, HK_REASON_BAD_ICV}, {12, 0x01, HK_REASON_BAD_ICV},
			{12, 0x02, HK_REASON_PROFILE_MISMATCH}, {12, 0xfc, HK_REASON_DTLS_FLAGS}}},
	{.name = "TLS",
		.spi = 0x9c401151,
		.payload = 20,
		.envelope = HK_ENVELOPE_TLS,
		.profile = ROW_SINGLE,
		.whole = HK_REASON_NO_KEY,
		.cuts = {{20, HK_REASON_TLS_TCP}, {21, HK_REASON_TLS_CONTROL}, {25, HK_REASON_TLS_GAP},
			{ROW_WHOLE, HK_REASON_TLS_PARTIAL}},
		.flips = {{12, 0x0f, HK_REASON_NO_KEY}, {12, 0x10, HK_REASON_TLS_TCP},
			{12, 0x40, HK_REASON_TLS_TCP}, {12, 0xa0, HK_REASON_TLS_GAP}}},
};
#define ENVELOPE_ROWS (sizeof(envelope_rows) / sizeof(envelope_rows[0]))

#endif

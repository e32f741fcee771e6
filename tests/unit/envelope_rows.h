/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One row for each shape of each envelope: a packet that opens, sealed by the
 * seal side, and what must become of it when its payload is cut to any length,
 * with all lengths around it put right, or when a reserved field is set. The
 * unit test runs the rows through parser and worker, the BPF test through XDP.
 *
 * The inner packet is full of FILL and names no protocol where a cut ESP
 * trailer would read one, so that in `split`, too, each cut has one right answer.
 */
#ifndef TESTS_UNIT_ENVELOPE_ROWS_H
#define TESTS_UNIT_ENVELOPE_ROWS_H

#include "tests/unit/box_help.h"
#include "user/crypto/inline.h"
#include "user/endpoint/seal_dtls.h"
#include "user/endpoint/seal_eesp.h"
#include "user/endpoint/seal_inline.h"
#include "user/endpoint/tss.h"

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

/* --- the box and the packet of a row ------------------------------------------------------------ */

struct row_scene {
	const struct envelope_row *row;
	const char *words; /* more of them in the key's line; NULL: none */
	struct box box;
	struct master master;
	__u8 reader[32];
	struct hk_address source, receiver;
	__u8 inner[ROW_INNER];
	__u8 frame[BOX_FRAME];
	__u32 length; /* of the whole frame */
	__u32 front;  /* of link, IP and UDP headers */
};

static inline __u32 row_spi(const struct envelope_row *row)
{
	return row->envelope == HK_ENVELOPE_EESP ? ROW_HIGH_SPI : ROW_SPI;
}

static inline void row_inner(struct row_scene *scene)
{
	struct hk_address from = address("10.1.0.200"), to = address("10.2.0.201");
	__u64 seed = 1;

	if (scene->row->eesp.transport) {
		from = scene->source;
		to = scene->receiver;
	}
	inner_udp(&from, &to, &seed, ROW_INNER - (hk_address_is_v4(&from) ? 28 : 48), scene->inner);
	memset(scene->inner + (hk_address_is_v4(&from) ? 28 : 48), ROW_FILL,
		ROW_INNER - (hk_address_is_v4(&from) ? 28 : 48));
	/* port and checksum are no protocol's number; the fragment offset is hop-by-hop's, which IPv6 may
	 * carry */
	scene->inner[hk_address_is_v4(&from) ? 23 : 43] = 200;
	memset(scene->inner + (hk_address_is_v4(&from) ? 26 : 46), ROW_FILL, 2);
}

static inline bool row_has_root(const struct envelope_row *row)
{
	return row->envelope == HK_ENVELOPE_INLINE ||
	       (row->envelope == HK_ENVELOPE_EESP && !row->eesp.derived);
}

/* The lines the box's key file has: its side alone. */
static inline void row_keys(const struct row_scene *scene, char *text, size_t room)
{
	const struct envelope_row *row = scene->row;
	const char *side = row->profile == ROW_SPLIT ? "enc" : "single";
	const char *receiver = row->v6 ? "2001:db8::9" : "192.0.2.9";
	const char *words = scene->words ? scene->words : "";
	char front[128], hex[65];

	text[0] = '\0';
	if (row->envelope == HK_ENVELOPE_TLS)
		return;
	if (row_has_root(row)) {
		hk_hex_format(scene->master.enc, 32, hex);
		snprintf(text, room, "receiver=%s spi=0x%x side=%s root=%s%s\n", receiver, row_spi(row), side,
			hex, words);
		return;
	}
	if (row->envelope == HK_ENVELOPE_PSP)
		snprintf(front, sizeof(front), "receiver=%s slot=0 generation=1 side=%s%s", receiver, side,
			words);
	else if (row->envelope == HK_ENVELOPE_ESP)
		snprintf(front, sizeof(front), "slot=0 generation=1 side=%s%s", side, words);
	else
		snprintf(front, sizeof(front), "id=%u slot=%u generation=1 side=%s%s", ROW_MKID,
			row->eesp.slot, side, words);
	key_line(text, room, front, scene->master.enc);
	snprintf(front, sizeof(front), "id=%u slot=%u generation=1 side=reader", ROW_MKID, row->eesp.slot);
	if (row->eesp.reader)
		key_line(text, room, front, scene->reader);
}

/* `given`: the key file's text; NULL: what the packet needs. */
static inline void row_box(struct row_scene *scene, const char *backend, const char *given)
{
	const struct envelope_row *row = scene->row;
	struct hk_domain_config *domain;
	char keys[512];

	row_keys(scene, keys, sizeof(keys));
	box_init(&scene->box);
	domain = box_domain(&scene->box, row->envelope, row->profile, row->suite, given ? given : keys);
	domain->eesp = (struct hk_eesp_options){.sn = row->eesp.sn, .iv = row->eesp.iv};
	domain->tss = (struct hk_tss_options){.mode = HK_TSS_CLUSTER, .ssi = row->ssi};
	domain->tls = (struct hk_tls_options){.memory = 4u << 20, .ports = {ROW_PORT}};
	domain->inline_keying = (struct hk_inline_options){
		.next_header = HK_CREATION_NEXT, .children = 16, .creations = 1000};
	domain->options = row->ssi ? HK_TSS_OPTION_SSI : 0;
	if (row->envelope == HK_ENVELOPE_EESP || row->envelope == HK_ENVELOPE_TSS)
		domain->carrier = 253;
	if (row->envelope == HK_ENVELOPE_DTLS)
		domain->carrier = ROW_PORT;
	CU_ASSERT_EQUAL_FATAL(box_build(&scene->box, backend, BOX_FRAME, 0), 0);
}

static inline int row_seal_sa(struct row_scene *scene, struct hk_crypto *crypto, __u8 *out)
{
	const struct envelope_row *row = scene->row;
	struct hk_sa_name name = {
		.envelope = row->envelope, .mkid = 1, .spi = row_spi(row), .receiver = scene->receiver};
	struct hk_seal_shape shape = {.udp = row->udp,
		.source = scene->source,
		.cookie = row->shape.crypt_offset,
		.crypt_offset = row->shape.crypt_offset};
	struct hk_numbers numbers = {1, 1};
	struct hk_sa *sa;
	int size;

	name.variant = row->envelope == HK_ENVELOPE_PSP ? row->version : row->suite;
	sa = sa_of(crypto, &name, &scene->master);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	size = hk_seal_packet(sa, &shape, &numbers, scene->inner, ROW_INNER, out, BOX_FRAME - 14);
	hk_sa_free(sa);
	return size;
}

static inline int row_seal_tss(struct row_scene *scene, __u8 *out)
{
	struct hk_tss_setup setup = {.options = scene->box.domains[0].tss, .protocol = 253};
	struct hk_tss_shape shape = {.source = scene->source,
		.destination = scene->receiver,
		.udp = scene->row->udp,
		.entropy = 40000,
		.ssi = 7};
	const __u8 *auth = scene->row->profile == ROW_SPLIT ? scene->master.auth : NULL;
	struct hk_tss *tss = NULL;
	int size;

	memset(scene->inner, ROW_FILL, sizeof(scene->inner));
	scene->inner[0] = 2 << 3;
	CU_ASSERT_EQUAL_FATAL(hk_tss_new(&tss, &setup, ROW_MKID, 0, scene->master.enc, auth, NULL), 0);
	size = hk_tss_seal(tss, &shape, 1, 1, scene->inner, ROW_INNER, out, BOX_FRAME - 14);
	hk_tss_free(tss);
	return size;
}

static inline int row_seal_eesp(struct row_scene *scene, struct hk_crypto *crypto, __u8 *out)
{
	const struct envelope_row *row = scene->row;
	struct hk_eesp_name name = row->eesp;
	struct hk_eesp_shape shape = row->shape;
	struct hk_eesp_numbers numbers = {1, 1};
	struct hk_eesp_keys keys = {.enc = scene->master.enc};
	struct hk_error error = {{0}};
	struct hk_eesp *sa = NULL;
	int size;

	name.envelope = row->envelope;
	name.spi = row_spi(row);
	name.mkid = row->eesp.derived ? ROW_MKID : 0;
	name.context = row->eesp.derived ? 5 : 0;
	if (row->envelope == HK_ENVELOPE_EESP)
		name.session = 7;
	keys.auth = name.split ? scene->master.auth : NULL;
	keys.reader = name.reader ? scene->reader : NULL;
	shape.source = scene->source;
	shape.destination = scene->receiver;
	shape.protocol = row->udp ? 17 : row->envelope == HK_ENVELOPE_WESP ? HK_WESP_PROTOCOL : 253;
	CU_ASSERT_EQUAL_FATAL(hk_eesp_new(&sa, crypto, &name, &keys, &error), 0);
	size = hk_eesp_seal(sa, &shape, &numbers, scene->inner, ROW_INNER, out, BOX_FRAME - 14);
	hk_eesp_free(sa);
	return size;
}

/* WESP header, SPI, SN, the inner packet, its trailer, an ICV. */
static inline int row_seal_null(struct row_scene *scene, __u8 *out)
{
	__u8 packet[12 + ROW_INNER + 4 + 16] = {4, 12, 16, 0, 0, 0, 1, 0, 0, 0, 0, 1};

	memcpy(packet + 12, scene->inner, ROW_INNER);
	memcpy(packet + 12 + ROW_INNER, (const __u8[]){1, 2, 2, 4}, 4);
	return hk_outer_build(&scene->source, &scene->receiver, HK_WESP_PROTOCOL, 0, 0, packet,
		sizeof(packet), out, BOX_FRAME - 14);
}

static inline int row_seal_inline(struct row_scene *scene, struct hk_crypto *crypto, __u8 *out)
{
	struct hk_inline_name name = {.spi = row_spi(scene->row), .receiver = scene->receiver};
	struct hk_seal_shape shape = {.udp = scene->row->udp, .source = scene->source};
	struct hk_inline_packet packet = {.inner = scene->inner, .length = ROW_INNER};
	struct hk_numbers numbers = {1, 1};
	struct hk_error error = {{0}};
	struct hk_inline_keys keys;
	struct hk_inline *parent;
	int size;

	memcpy(keys.enc, scene->master.enc, 32);
	memcpy(keys.auth, scene->master.auth, 32);
	CU_ASSERT_EQUAL_FATAL(hk_inline_parent(&parent, crypto, &name, &keys, &error), 0);
	size = hk_inline_seal(parent, &shape, &numbers, &packet, out, BOX_FRAME - 14);
	hk_inline_free(parent);
	return size;
}

static inline int row_seal_dtls(struct row_scene *scene, struct hk_crypto *crypto, __u8 *out)
{
	struct hk_dtls_name name = {
		.context = 5, .mkid = ROW_MKID, .epoch = 1, .split = scene->row->profile == ROW_SPLIT};
	struct hk_error error = {{0}};
	struct hk_dtls *dtls = NULL;
	__u8 record[BOX_FRAME];
	int size;

	CU_ASSERT_EQUAL_FATAL(hk_dtls_new(&dtls, crypto, &name, &scene->master.enc_key,
				      name.split ? &scene->master.auth_key : NULL, &error),
		0);
	size = hk_dtls_seal(dtls, 23, scene->inner, ROW_INNER, 0, record, sizeof(record));
	hk_dtls_free(dtls);
	return hk_outer_build(&scene->source, &scene->receiver, IPPROTO_UDP, 40000, ROW_PORT, record,
		(__u32)size, out, BOX_FRAME - 14);
}

/* One encrypted record in a segment of a connection whose beginning nobody saw. */
static inline int row_seal_tls(struct row_scene *scene, __u8 *out)
{
	__u8 segment[20 + 5 + 60] = {0x9c, 0x40, ROW_PORT >> 8, ROW_PORT & 0xff, [12] = 0x50, 0x18};

	memset(segment + 20, ROW_FILL, 65);
	memcpy(segment + 20, (const __u8[]){23, 3, 3, 0, 60}, 5);
	return hk_outer_build(&scene->source, &scene->receiver, IPPROTO_TCP, 0, 0, segment, sizeof(segment),
		out, BOX_FRAME - 14);
}

static inline int row_seal(struct row_scene *scene, struct hk_crypto *crypto, __u8 *out)
{
	switch (scene->row->envelope) {
	case HK_ENVELOPE_TSS: return row_seal_tss(scene, out);
	case HK_ENVELOPE_INLINE: return row_seal_inline(scene, crypto, out);
	case HK_ENVELOPE_DTLS: return row_seal_dtls(scene, crypto, out);
	case HK_ENVELOPE_TLS: return row_seal_tls(scene, out);
	case HK_ENVELOPE_WESP:
		if (!scene->row->eesp.derived)
			return row_seal_null(scene, out);
		return row_seal_eesp(scene, crypto, out);
	case HK_ENVELOPE_EESP: return row_seal_eesp(scene, crypto, out);
	default: return row_seal_sa(scene, crypto, out);
	}
}

static inline void row_begin_with(
	struct row_scene *scene, const struct envelope_row *row, const char *backend, const char *words)
{
	struct hk_crypto *crypto = hk_crypto_new("libcrypto");
	__u64 seed = 77;
	int size;

	CU_ASSERT_PTR_NOT_NULL_FATAL(crypto);
	memset(scene, 0, sizeof(*scene));
	scene->row = row;
	scene->words = words;
	scene->source = address(row->v6 ? "2001:db8::1" : "192.0.2.1");
	scene->receiver = address(row->v6 ? "2001:db8::9" : "192.0.2.9");
	master_random(&scene->master, &seed);
	random_fill(&seed, scene->reader, 32);
	row_inner(scene);
	row_box(scene, backend, NULL);
	size = row_seal(scene, crypto, scene->frame + 14);
	CU_ASSERT_FATAL(size > 0);
	scene->length = frame_around(scene->frame, (__u32)size);
	scene->front = 14 + (row->v6 ? 40 : 20) + (row->udp ? 8 : 0);
	hk_crypto_free(crypto);
}

static inline void row_begin(struct row_scene *scene, const struct envelope_row *row)
{
	row_begin_with(scene, row, "libcrypto", NULL);
}

static inline void row_end(struct row_scene *scene)
{
	box_free(&scene->box);
}

/* --- what is done to it ------------------------------------------------------------------------- */

static inline void row_put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

/* The frame with `length` bytes of payload, all lengths right; the frame's length. */
static inline __u32 row_cut_frame(const struct row_scene *scene, __u32 length, __u8 *frame)
{
	__u32 whole = scene->front + length;

	memcpy(frame, scene->frame, whole);
	if (scene->row->v6)
		row_put16(frame + 14 + 4, whole - 14 - 40);
	else
		row_put16(frame + 14 + 2, whole - 14);
	if (scene->row->udp)
		row_put16(frame + scene->front - 4, length + 8);
	if (scene->row->envelope == HK_ENVELOPE_TLS && length >= 2)
		row_put16(frame + scene->front, 40000 + length); /* a connection of its own */
	return whole;
}

static inline unsigned row_cut_reason(const struct envelope_row *row, __u32 length)
{
	const struct row_cut *cut;

	for (cut = row->cuts; cut < row->cuts + ROW_CUTS; cut++)
		if (length < cut->below && (!cut->step || (length - cut->base) % cut->step))
			return cut->reason;
	return HK_REASON_COUNT;
}

/*
 * Calls `run` with each cut and each flip: the frame, what must become of it,
 * and a number that says which it is.
 */
typedef void row_run(
	struct row_scene *scene, const __u8 *frame, __u32 length, unsigned reason, unsigned what);

static inline void row_each_cut(struct row_scene *scene, row_run *run)
{
	__u32 whole = scene->length - scene->front, length;
	__u8 frame[BOX_FRAME];

	for (length = 0; length < whole; length++)
		run(scene, frame, row_cut_frame(scene, length, frame), row_cut_reason(scene->row, length),
			length);
	run(scene, scene->frame, scene->length, scene->row->whole, whole);
}

static inline void row_each_flip(struct row_scene *scene, row_run *run)
{
	const struct row_flip *flip;
	__u8 frame[BOX_FRAME];
	unsigned bit;

	for (flip = scene->row->flips; flip < scene->row->flips + ROW_FLIPS; flip++)
		for (bit = 0; bit < 8; bit++) {
			if (!(flip->bits >> bit & 1))
				continue;
			memcpy(frame, scene->frame, scene->length);
			if (scene->row->envelope == HK_ENVELOPE_TLS)
				row_put16(frame + scene->front, 50000 + bit);
			frame[scene->front + flip->at] ^= (__u8)(1 << bit);
			run(scene, frame, scene->length, flip->reason, flip->at << 8 | bit);
		}
}

/*
 * The frame itself ends early, its headers say otherwise: 14 bytes are the least
 * that can be run. Then the UDP length alone is short, which IP's contradicts.
 */
static inline void row_each_stump(struct row_scene *scene, row_run *run)
{
	__u32 headers = 14 + (scene->row->v6 ? 40 : 20), length;
	__u8 frame[BOX_FRAME];
	unsigned reason;

	for (length = 14; length < scene->length; length++)
		run(scene, scene->frame, length,
			length < headers ? HK_REASON_SHORT_FRAME : HK_REASON_IP_HEADER, length);
	if (!scene->row->udp)
		return;
	memcpy(frame, scene->frame, scene->length);
	for (length = 0; length < scene->length - headers; length++) {
		row_put16(frame + scene->front - 4, length);
		reason = length < 8 ? HK_REASON_UDP_LENGTH : row_cut_reason(scene->row, length - 8);
		if (reason != HK_REASON_UDP_LENGTH && reason != HK_REASON_NO_DOMAIN)
			reason = HK_REASON_DATAGRAM_PADDING;
		run(scene, frame, scene->length, reason, length);
	}
}

#endif

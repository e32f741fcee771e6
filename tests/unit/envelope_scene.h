/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The box of a row of envelope_rows.h, its keys, and the packet that the seal side makes for it. */
#ifndef TESTS_UNIT_ENVELOPE_SCENE_H
#define TESTS_UNIT_ENVELOPE_SCENE_H

#include "tests/unit/box_help.h"
#include "tests/unit/envelope_rows.h"
#include "user/crypto/inline.h"
#include "user/endpoint/seal_dtls.h"
#include "user/endpoint/seal_inline.h"
#include "user/endpoint/tss.h"

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
	static const __u8 iv[HK_ESP_CBC_IV_SIZE] = "the same always";
	struct hk_seal_shape shape = {.udp = row->udp,
		.source = scene->source,
		.cookie = row->shape.crypt_offset,
		.crypt_offset = row->shape.crypt_offset,
		.cbc_iv = iv};
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

#endif

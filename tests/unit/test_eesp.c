// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * EESP and WESP: what the seal side makes is what the vectors say, and what it
 * makes at random opens in the box with each backend and at the receiving host.
 */
#include "tests/unit/eesp_help.h"

/* --- vectors --- */

static void vector_sealed(const json_t *vector)
{
	const char *title = json_string_value(json_object_get(vector, "name"));
	bool wesp = strncmp(title, "wesp", 4) == 0, sub = strstr(title, "sub-sa") != NULL;
	struct hk_eesp_name name = DERIVED(.sn = true, .iv = true, .split = strstr(title, "split") != NULL);
	struct hk_eesp_shape shape = {.protocol = wesp ? 141 : 17};
	struct hk_eesp_numbers numbers = {1, 1};
	__u8 outer[512], inner[256], out[512], enc[32], auth[32];
	size_t outer_size = vector_bytes(vector, "outer_ip", outer, sizeof(outer));
	size_t inner_size = vector_bytes(vector, "inner_ip", inner, sizeof(inner));
	struct hk_eesp_keys keys = {.enc = enc, .auth = name.split ? auth : NULL};
	struct hk_error error = {{0}};
	struct hk_eesp *sa = NULL;

	name.envelope = wesp ? HK_ENVELOPE_WESP : HK_ENVELOPE_EESP;
	name.derived = !sub;
	name.session = sub ? 7 : 0;
	name.spi = wesp ? 0x40ffee01 : SPI;
	vector_bytes(vector, !sub ? "mk_e" : name.split ? "root_e" : "root", enc, 32);
	if (name.split)
		vector_bytes(vector, sub ? "root_a" : "mk_a", auth, 32);
	if (sub && !name.split)
		numbers = (struct hk_eesp_numbers){2, 2};
	shape.pad = outer[0] >> 4 == 6;
	shape.source = shape.pad ? hk_address_v6(outer + 8) : hk_address_v4(outer + 12);
	shape.destination = shape.pad ? hk_address_v6(outer + 24) : hk_address_v4(outer + 16);
	CU_ASSERT_EQUAL_FATAL(hk_eesp_new(&sa, crypto, &name, &keys, &error), 0);
	CU_ASSERT_EQUAL(hk_eesp_seal(sa, &shape, &numbers, inner, (__u32)inner_size, out, sizeof(out)),
		(int)outer_size);
	CU_ASSERT_EQUAL(memcmp(out + (shape.pad ? 40 : 28), outer + (shape.pad ? 40 : 28),
				outer_size - (shape.pad ? 40 : 28)),
		0);
	hk_eesp_free(sa);
}

static void vectors_are_sealed(void)
{
	json_t *vectors = load_vectors("packets.json"), *vector;
	unsigned count = 0;
	size_t i;

	json_array_foreach(vectors, i, vector)
	{
		const char *name = json_string_value(json_object_get(vector, "name"));

		if (strncmp(name, "eesp-", 5) != 0 && strncmp(name, "wesp-", 5) != 0)
			continue;
		vector_sealed(vector);
		count++;
	}
	CU_ASSERT_EQUAL(count, 5);
	json_decref(vectors);
}

/* --- round trips --- */

/* Options that nobody must trip over: Pad1, PadN, unknown, private of somebody else. */
static const __u8 odd_options[] = {0, 0, 1, 3, 9, 9, 9, 77, 2, 1, 2, 224, 0, 255, 1, 0xaa, 0};

static void shape_draw(struct talk *talk)
{
	struct hk_eesp_shape *shape = &talk->shape;
	bool wesp = talk->name.envelope == HK_ENVELOPE_WESP;
	static const __u8 padding[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

	shape->protocol = random_next(&talk->seed) & 1 ? 17 : wesp ? 141 : 253;
	shape->pad = random_next(&talk->seed) & 1;
	shape->offset_size = (__u8)(random_next(&talk->seed) % 3 * 2);
	shape->crypt_offset = shape->offset_size ? (__u8)(random_next(&talk->seed) % 8) : 0;
	shape->options = random_next(&talk->seed) & 1 ? odd_options : NULL;
	shape->options_size = sizeof(odd_options);
	shape->padding = padding;
	shape->padding_size = (__u8)(random_next(&talk->seed) % 17);
}

static void round_trip(const struct hk_eesp_name *base, const char *backend, unsigned packets)
{
	unsigned auth = base->reader ? HK_AUTH_READER : base->split ? HK_AUTH_NONE : HK_AUTH_VERIFIED;
	struct talk talk;
	unsigned i;

	talk_start(&talk, base, backend, base->reader);
	for (i = 0; i < packets; i++) {
		talk.name.session =
			base->envelope == HK_ENVELOPE_EESP ? (__u16)(random_next(&talk.seed) % 3) : 0;
		talk.name.context = base->derived ? base->context + random_next(&talk.seed) % 4 : 0;
		if (base->derived && base->envelope == HK_ENVELOPE_EESP) {
			talk.name.sn = random_next(&talk.seed) & 1;
			talk.name.iv = !talk.name.sn || random_next(&talk.seed) & 1;
		}
		if (!base->derived || base->envelope == HK_ENVELOPE_EESP)
			talk.name.transport = random_next(&talk.seed) & 1;
		shape_draw(&talk);
		talk_seal(&talk, 100 + i, 40 + (__u32)(random_next(&talk.seed) % 1200));
		expect_opened(&talk, auth);
		CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	}
	talk_end(&talk);
}

static void round_trips(const char *backend)
{
	unsigned i;

	if (!backend_or_skip(backend))
		return;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		round_trip(&kinds[i], backend, 300);
}

static void through_ipsec_mb(void)
{
	round_trips("ipsec-mb");
}

static void through_libcrypto(void)
{
	round_trips("libcrypto");
}

/* 64 packets of different sub-SAs and contexts in one batch: each gets its own key. */
static void one_batch(void)
{
	static struct talk talks[2];
	static __u8 frames[64][2048], inners[64][256];
	struct hk_frame batch[64];
	struct hk_fate fates[64];
	__u32 lengths[64];
	unsigned i, t;

	for (t = 0; t < 2; t++) {
		talk_start(&talks[t], &kinds[t ? 6 : 0], NULL, true);
		for (i = 0; i < 64; i++) {
			talks[t].name.session = (__u16)i;
			talks[t].name.context = i;
			if (t)
				talks[t].name.sn = true;
			talk_seal(&talks[t], i + 1, 100);
			memcpy(frames[i], talks[t].frame, talks[t].length);
			memcpy(inners[i], talks[t].inner, talks[t].inner_length);
			lengths[i] = talks[t].length;
			batch[i] = (struct hk_frame){.data = frames[i], .length = lengths[i]};
		}
		box_run_frames(&talks[t].box, batch, 64, fates);
		for (i = 0; i < 64; i++) {
			CU_ASSERT_EQUAL(fates[i].reason, HK_REASON_OK);
			CU_ASSERT_EQUAL(fates[i].auth, t ? HK_AUTH_READER : HK_AUTH_NONE);
			CU_ASSERT_TRUE(
				fates[i].opened && !memcmp(fates[i].inner, inners[i], fates[i].inner_length));
		}
		talk_end(&talks[t]);
	}
}

/* --- reader tags --- */

static void reader_tags(void)
{
	struct talk talk;

	/* without the reader key: opened, unauthenticated */
	talk_start(&talk, &kinds[6], NULL, false);
	talk.name.sn = true;
	talk_seal(&talk, 1, 60);
	expect_opened(&talk, HK_AUTH_NONE);
	talk_end(&talk);
	/* with it, each bit of tag and ciphertext counts */
	talk_start(&talk, &kinds[9], NULL, true);
	talk_seal(&talk, 1, 60);
	expect_opened(&talk, HK_AUTH_READER);
	talk.frame[talk.length - 17] ^= 1;
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_READER_TAG);
	talk.frame[talk.length - 17] ^= 1;
	talk.frame[talk.length - 40] ^= 1;
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_READER_TAG);
	talk.frame[talk.length - 40] ^= 1;
	talk.frame[talk.length - 1] ^= 1; /* the ICV is not the reader's */
	expect_opened(&talk, HK_AUTH_READER);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	talk_end(&talk);
}

/* --- WESP around ESP-NULL --- */

static __u32 make_null(struct talk *talk, __u8 next_header, __u8 trailer, __u8 icv)
{
	struct hk_address from = address("10.1.0.1"), to = address("10.2.0.1");
	__u8 packet[512] = {4, 12, icv, 0, 0, 0, 1, 0, 0, 0, 0, 1};
	struct hk_address source = address("192.0.2.1"), destination = address("192.0.2.9");
	__u32 length;

	talk->inner_length = inner_udp(&from, &to, &talk->seed, 50, talk->inner);
	packet[0] = next_header;
	memcpy(packet + 12, talk->inner, talk->inner_length);
	length = 12 + talk->inner_length;
	packet[length] = 1, packet[length + 1] = 1, packet[length + 2] = trailer;
	length += 3u + icv;
	return frame_around(talk->frame, (__u32)hk_outer_build(&source, &destination, 141, 0, 0, packet,
						 length, talk->frame + 14, PACKET));
}

static void esp_null(void)
{
	struct talk talk;

	talk_start(&talk, &kinds[7], NULL, false);
	talk.length = make_null(&talk, 4, 4, 16);
	expect_opened(&talk, HK_AUTH_NONE);
	expect_opened(&talk, HK_AUTH_NONE); /* no nonce that could repeat */
	CU_ASSERT_EQUAL(talk.box.counts.nonce_repeats, 0);
	talk.length = make_null(&talk, 4, 4, 0);
	expect_opened(&talk, HK_AUTH_NONE);
	talk.length = make_null(&talk, 4, 41, 12);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_WESP_NEXT_HEADER);
	talk.length = make_null(&talk, 59, 59, 16);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_DUMMY);
	talk.length = make_null(&talk, 4, 4, 16);
	talk.frame[14 + 20 + 3] = 0x20;
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_WESP_ENCRYPTED);
	talk_end(&talk);
	/* `single` promises what is verified, which nobody but the ends can */
	talk_start(&talk, &kinds[8], NULL, false);
	talk.length = make_null(&talk, 4, 4, 16);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_UNVERIFIABLE);
	talk_end(&talk);
}

/* XDP tells EESP from ESP by the first bit alone: an ESP key that could be in between is refused. */
static void ambiguous_spis(void)
{
	static const char *const keys[] = {
		"receiver=192.0.2.9 spi=0x80000100 suite=ctr-hmac side=enc salt=01020304 key="
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
		"receiver=192.0.2.9 spi=0x7f000100 suite=ctr-hmac side=enc salt=01020304 key="
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
	};
	struct box box;
	unsigned i;

	for (i = 0; i < 2; i++) {
		box_init(&box);
		box_domain(&box, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, keys[i])->config =
			&box.config;
		box_domain(&box, HK_ENVELOPE_EESP, HK_PROFILE_SPLIT, 0, "# none\n")->config = &box.config;
		CU_ASSERT_EQUAL(box_build(&box, NULL, 2048, 0) == 0, i == 1);
		if (!i)
			CU_ASSERT_PTR_NOT_NULL(strstr(box.error.text, "would be read as EESP"));
		box_free(&box);
	}
	/* nobody else's packets, and nobody's at that address, are in between */
	box_init(&box);
	box_domain(&box, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, keys[0])->config = &box.config;
	box_domain(&box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "# none\n")->config = &box.config;
	box_domain(&box, HK_ENVELOPE_EESP, HK_PROFILE_SPLIT, 0, "# none\n")->receivers++;
	box.domains[2].receivers_count--;
	CU_ASSERT_EQUAL(box_build(&box, NULL, 2048, 0), 0);
	box_free(&box);
}

static void names_are_checked(void)
{
	__u8 key[32] = {1}, other[32] = {2}, room[256];
	struct hk_eesp_keys both = {key, other, NULL}, one = {key, NULL, NULL};
	struct hk_eesp_name reads = kinds[6];
	struct hk_error error;
	struct hk_eesp *sa = NULL;

	reads.sn = true;
	CU_ASSERT_NOT_EQUAL(hk_eesp_new(&sa, crypto, &kinds[0], &one, &error), 0);
	CU_ASSERT_NOT_EQUAL(hk_eesp_new(&sa, crypto, &kinds[1], &both, &error), 0);
	CU_ASSERT_EQUAL_FATAL(
		hk_eesp_new(&sa, crypto, &reads, &both, &error), 0); /* no reader key: opens only */
	CU_ASSERT_EQUAL(hk_eesp_seal(sa, &(struct hk_eesp_shape){0}, &(struct hk_eesp_numbers){0}, key, 32,
				room, sizeof(room)),
		-EPERM);
	hk_eesp_free(sa);
	sa = NULL;
	CU_ASSERT_NOT_EQUAL(
		hk_eesp_new(&sa, crypto, &DERIVED(.envelope = HK_ENVELOPE_EESP), &one, &error), 0);
	CU_ASSERT_NOT_EQUAL(
		hk_eesp_new(&sa, crypto,
			&(struct hk_eesp_name){.envelope = HK_ENVELOPE_WESP, .derived = true, .spi = 255},
			&one, &error),
		0);
	CU_ASSERT_NOT_EQUAL(
		hk_eesp_new(&sa, crypto,
			&(struct hk_eesp_name){.envelope = HK_ENVELOPE_WESP, .spi = 300, .iv = true}, &one,
			&error),
		0);
}

int main(void)
{
	static const struct test tests[] = {
		{"the seal side makes the vectors", vectors_are_sealed},
		{"3000 packets, host to box (ipsec-mb) to host", through_ipsec_mb},
		{"3000 packets, host to box (libcrypto) to host", through_libcrypto},
		{"64 sub-SAs and contexts in one batch", one_batch},
		{"reader tags", reader_tags},
		{"WESP around ESP-NULL", esp_null},
		{"ESP keys that EESP would hide", ambiguous_spis},
		{"names that cannot be sealed", names_are_checked},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "eesp", tests);
}

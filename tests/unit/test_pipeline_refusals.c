// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pipeline's refusals: wrong keys, profiles, ICVs and trailers each have their
 * reason, and neither hostile metadata nor hostile frames lead it outside.
 */
#include "tests/unit/pipeline_help.h"

/* From user/endpoint/sa.h, which cannot stand beside the inner helpers. */
int hk_esp_seal(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	__u8 next_header, const __u8 *payload, __u32 length, __u8 *out, __u32 room);

static void no_key(void)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	__u8 frame[BOX_FRAME], inner[200];
	struct talk talk;
	struct hk_sa *sa;
	__u32 length, size = make_udp(inner, 4, 7, 9, 20);

	talk_init(&talk, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0);
	talk_build(&talk, NULL);
	sa = talk_sa(&talk, HK_ENVELOPE_PSP, 4, 5, "192.0.2.10");
	length = seal(&talk, sa, &shape, inner, size, frame);
	expect(&talk, frame, length, HK_REASON_NO_KEY, HK_ACTION_PASS);
	talk.box.config.policy[HK_REASON_NO_KEY] = HK_ACTION_DROP;
	expect(&talk, frame, length, HK_REASON_NO_KEY, HK_ACTION_DROP);
	hk_sa_free(sa);
	talk_free(&talk);
}

static void a_wrong_key_is_noise_in_split(void)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	unsigned suite, i, implausible, next_header, dummy;
	__u8 frame[BOX_FRAME], inner[200];
	struct talk talk;
	struct hk_sa *sa;
	__u32 length, size = make_udp(inner, 4, 7, 9, 60);
	struct hk_fate fate;
	__u64 seed = 99;

	talk_init(&talk, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0);
	talk_build(&talk, NULL);
	master_random(&talk.master[0], &seed); /* the hosts agree on other keys than the box has */
	sa = talk_sa(&talk, HK_ENVELOPE_PSP, 5, 5, "192.0.2.9");
	for (i = 0; i < 200; i++) {
		length = seal(&talk, sa, &shape, inner, size, frame);
		expect(&talk, frame, length, HK_REASON_IMPLAUSIBLE, HK_ACTION_PASS);
	}
	hk_sa_free(sa);
	talk_free(&talk);
	for (suite = HK_SUITE_GCM_SPLIT; suite <= HK_SUITE_CBC_HMAC; suite++) {
		talk_init(&talk, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, suite);
		talk_build(&talk, NULL);
		master_random(&talk.master[0], &seed);
		sa = talk_sa(&talk, HK_ENVELOPE_ESP, suite, 500, "192.0.2.9");
		implausible = next_header = dummy = 0;
		for (i = 0; i < 200; i++) {
			length = seal(&talk, sa, &shape, inner, size, frame);
			fate = run_counted(&talk, frame, length);
			CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
			implausible += fate.reason == HK_REASON_IMPLAUSIBLE;
			next_header += fate.reason == HK_REASON_NEXT_HEADER;
			dummy += fate.reason == HK_REASON_DUMMY;
		}
		CU_ASSERT_TRUE(implausible + next_header > 180);
		CU_ASSERT_TRUE(next_header > 100);
		hk_sa_free(sa);
		talk_free(&talk);
	}
}

/* Every byte of the ICV, and of header, IV and ciphertext: nothing opens. */
static void check_each_byte(struct talk *talk, struct hk_sa *sa, __u32 skip)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	__u8 frame[BOX_FRAME], inner[200];
	__u32 length = seal(talk, sa, &shape, inner, make_udp(inner, 4, 7, 9, 20), frame), at;
	struct hk_fate fate;

	expect(talk, frame, length, HK_REASON_OK, HK_ACTION_PASS);
	for (at = skip; at < length; at++) {
		frame[at] ^= 0x04;
		fate = run_counted(talk, frame, length);
		CU_ASSERT_EQUAL(fate.reason, HK_REASON_BAD_ICV);
		CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
		CU_ASSERT_FALSE(fate.opened);
		frame[at] ^= 0x04;
	}
}

static void a_bad_icv_never_opens(void)
{
	unsigned backend, version;
	struct talk talk;
	struct hk_sa *sa;

	for (backend = 0; backend < BACKENDS; backend++) {
		if (!backend_runs(backends[backend]))
			continue;
		for (version = 0; version < 2; version++) {
			talk_init(&talk, HK_ENVELOPE_PSP, HK_PROFILE_SINGLE, 0);
			talk_build(&talk, backends[backend]);
			sa = talk_sa(&talk, HK_ENVELOPE_PSP, version, 5, "192.0.2.9");
			check_each_byte(&talk, sa, 14 + 28 + 8); /* from the IV on */
			hk_sa_free(sa);
			talk_free(&talk);
		}
		talk_init(&talk, HK_ENVELOPE_ESP, HK_PROFILE_SINGLE, HK_SUITE_GCM);
		talk_build(&talk, backends[backend]);
		sa = talk_sa(&talk, HK_ENVELOPE_ESP, HK_SUITE_GCM, 500, "192.0.2.9");
		check_each_byte(&talk, sa, 14 + 20 + 4); /* from the sequence number on */
		hk_sa_free(sa);
		talk_free(&talk);
	}
}

/* 16 bytes of header, no ciphertext, 16 bytes of anything: the tag counts all the same. */
static __u32 empty_psp(__u8 *frame, unsigned version)
{
	struct hk_address from = address("192.0.2.1"), to = address("192.0.2.9");
	__u8 payload[32] = {4, 1, 0, (__u8)(version << 2 | 1), 0, 0, 0, 5};
	int size;

	memset(payload + 16, 0x5a, 16);
	size = hk_outer_build(
		&from, &to, IPPROTO_UDP, 50000, 1000, payload, sizeof(payload), frame + 14, 200);
	CU_ASSERT_FATAL(size > 0);
	return frame_around(frame, (__u32)size);
}

static void a_forged_icv_over_nothing_is_refused(void)
{
	__u8 frame[BOX_FRAME];
	struct talk talk;
	unsigned backend;
	__u32 length;

	for (backend = 0; backend < BACKENDS; backend++) {
		if (!backend_runs(backends[backend]))
			continue;
		talk_init(&talk, HK_ENVELOPE_PSP, HK_PROFILE_SINGLE, 0);
		talk_build(&talk, backends[backend]);
		length = empty_psp(frame, 0);
		expect(&talk, frame, length, HK_REASON_BAD_ICV, HK_ACTION_DROP);
		length = empty_psp(frame, 1);
		expect(&talk, frame, length, HK_REASON_BAD_ICV, HK_ACTION_DROP);
		talk_free(&talk);
	}
	talk_init(&talk, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0);
	talk_build(&talk, NULL);
	length = empty_psp(frame, 4);
	expect(&talk, frame, length, HK_REASON_IMPLAUSIBLE, HK_ACTION_PASS);
	talk_free(&talk);
}

static void the_other_profile_is_a_mismatch(void)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	unsigned version, profile;
	__u8 frame[BOX_FRAME], inner[200];
	__u32 length, size = make_udp(inner, 4, 7, 9, 20);
	struct talk talk;
	struct hk_sa *sa;

	for (version = 0; version < 6; version++) {
		if (version == 2 || version == 3)
			continue;
		profile = version >= 4 ? HK_PROFILE_SINGLE : HK_PROFILE_SPLIT;
		talk_init(&talk, HK_ENVELOPE_PSP, profile, 0);
		talk_build(&talk, NULL);
		sa = talk_sa(&talk, HK_ENVELOPE_PSP, version, 5, "192.0.2.9");
		length = seal(&talk, sa, &shape, inner, size, frame);
		expect(&talk, frame, length, HK_REASON_PROFILE_MISMATCH, HK_ACTION_DROP);
		hk_sa_free(sa);
		talk_free(&talk);
	}
	/* a configuration that says gcm in a split domain would never load; the opener does not trust that */
	talk_init(&talk, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC);
	talk_build(&talk, NULL);
	talk.box.domains[0].suite = HK_SUITE_GCM;
	sa = talk_sa(&talk, HK_ENVELOPE_ESP, HK_SUITE_GCM, 500, "192.0.2.9");
	length = seal(&talk, sa, &shape, inner, size, frame);
	expect(&talk, frame, length, HK_REASON_PROFILE_MISMATCH, HK_ACTION_DROP);
	hk_sa_free(sa);
	talk_free(&talk);
}

static void esn_is_unverifiable(void)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	__u8 frame[BOX_FRAME], inner[200];
	struct talk talk;
	struct hk_sa *sa;
	__u32 length;

	talk_init(&talk, HK_ENVELOPE_ESP, HK_PROFILE_SINGLE, HK_SUITE_GCM);
	talk.box.domains[0].esn = true;
	talk_build(&talk, NULL);
	sa = talk_sa(&talk, HK_ENVELOPE_ESP, HK_SUITE_GCM, 500, "192.0.2.9");
	length = seal(&talk, sa, &shape, inner, make_udp(inner, 4, 7, 9, 20), frame);
	expect(&talk, frame, length, HK_REASON_UNVERIFIABLE, HK_ACTION_DROP);
	hk_sa_free(sa);
	talk_free(&talk);
}

/* An ESP packet with a next header of our choice. */
static __u32 esp_with(
	struct talk *talk, struct hk_sa *sa, __u8 next_header, const __u8 *payload, __u32 length, __u8 *frame)
{
	struct hk_address from = address("192.0.2.1"), to = address("192.0.2.9");
	struct hk_numbers numbers = {.iv = ++talk->iv, .sn = 1};
	struct hk_seal_shape shape = {0};
	__u8 sealed[BOX_FRAME];
	int size = hk_esp_seal(sa, &shape, &numbers, next_header, payload, length, sealed, sizeof(sealed));

	CU_ASSERT_FATAL(size > 0);
	size = hk_outer_build(&from, &to, IPPROTO_ESP, 0, 0, sealed, (__u32)size, frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	return frame_around(frame, (__u32)size);
}

static void dummies_and_strange_next_headers(void)
{
	__u8 frame[BOX_FRAME], payload[100] = {0};
	struct talk talk;
	struct hk_sa *sa;
	unsigned suite;

	for (suite = HK_SUITE_GCM; suite <= HK_SUITE_CBC_HMAC; suite++) {
		talk_init(&talk, HK_ENVELOPE_ESP, hk_suite_profile(suite), suite);
		talk_build(&talk, NULL);
		sa = talk_sa(&talk, HK_ENVELOPE_ESP, suite, 500, "192.0.2.9");
		expect(&talk, frame, esp_with(&talk, sa, 59, payload, 100, frame), HK_REASON_DUMMY,
			HK_ACTION_PASS);
		expect(&talk, frame, esp_with(&talk, sa, 59, payload, 0, frame), HK_REASON_DUMMY,
			HK_ACTION_PASS);
		if (suite != HK_SUITE_GCM)
			expect(&talk, frame, esp_with(&talk, sa, 200, payload, 50, frame),
				HK_REASON_NEXT_HEADER, HK_ACTION_PASS);
		/* tunnel mode with nothing in the tunnel, and with the other IP version in it */
		expect(&talk, frame, esp_with(&talk, sa, 4, payload, 0, frame), HK_REASON_IMPLAUSIBLE,
			HK_ACTION_PASS);
		payload[0] = 0x45;
		expect(&talk, frame, esp_with(&talk, sa, 41, payload, 100, frame), HK_REASON_IMPLAUSIBLE,
			HK_ACTION_PASS);
		payload[0] = 0;
		hk_sa_free(sa);
		talk_free(&talk);
	}
}

/* Flipping padding bits changes nothing a sender of flipped packets could see. */
static void padding_decides_nothing_in_split(void)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	__u8 frame[BOX_FRAME], inner[200];
	__u32 length, size = make_udp(inner, 4, 7, 9, 21), at;
	struct hk_fate fate;
	struct talk talk;
	struct hk_sa *sa;

	talk_init(&talk, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC);
	talk_build(&talk, NULL);
	sa = talk_sa(&talk, HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC, 500, "192.0.2.9");
	length = seal(&talk, sa, &shape, inner, size, frame);
	/* ICV 16, next header 1: pad length and the padding in front of it */
	for (at = length - 16 - 2; at >= 14 + 20 + 16 + size; at--) {
		frame[at] ^= 0xff;
		fate = run_counted(&talk, frame, length);
		CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
		CU_ASSERT_EQUAL(fate.inner_length, size);
		frame[at] ^= 0xff;
	}
	hk_sa_free(sa);
	talk_free(&talk);
}

static void bit_31_belongs_to_explicit_esp_keys(void)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	struct hk_sa_name name = {
		.envelope = HK_ENVELOPE_ESP, .variant = HK_SUITE_CTR_HMAC, .spi = 0x80000500};
	struct hk_sa_keys keys = {.key_size = 32, .enc = {1}, .auth = {2}, .salt_enc = {1, 2, 3, 4}};
	__u8 frame[BOX_FRAME], inner[200];
	char text[512] = "";
	struct hk_sa *sa = NULL;
	struct talk talk;
	__u32 length;

	talk_init(&talk, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC);
	talk_build(&talk, NULL);
	name.receiver = address("192.0.2.9");
	CU_ASSERT_EQUAL_FATAL(hk_sa_from_keys(&sa, &name, &keys, &talk.box.error), 0);
	length = seal(&talk, sa, &shape, inner, make_udp(inner, 4, 7, 9, 20), frame);
	expect(&talk, frame, length, HK_REASON_ESP_SPI, HK_ACTION_DROP);
	talk_free(&talk);

	key_line(text, sizeof(text),
		"receiver=192.0.2.9 spi=0x80000500 suite=ctr-hmac side=enc salt=01020304", keys.enc);
	memset(&talk, 0, sizeof(talk));
	box_init(&talk.box);
	box_domain(&talk.box, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, text);
	talk_build(&talk, NULL);
	expect(&talk, frame, length, HK_REASON_OK, HK_ACTION_PASS);
	hk_sa_free(sa);
	talk_free(&talk);
}

/* --- hostile metadata and frames ----------------------------------------------------------------- */

static void metadata_is_not_believed(void)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	__u8 frame[BOX_FRAME], inner[200];
	struct hk_frame good = {.data = frame}, bad;
	struct hk_fate fate;
	struct talk talk;
	struct hk_sa *sa;

	talk_init(&talk, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0);
	talk_build(&talk, NULL);
	sa = talk_sa(&talk, HK_ENVELOPE_PSP, 4, 5, "192.0.2.9");
	good.length = seal(&talk, sa, &shape, inner, make_udp(inner, 4, 7, 9, 20), frame);
	box_run_frames(&talk.box, &good, 1, &fate);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
#define BAD(change, expected)                                                                     \
	do {                                                                                      \
		bad = good;                                                                       \
		bad.change;                                                                       \
		hk_pipeline_run(talk.box.pipeline, talk.box.inspection, &bad, 1, BOX_NOW, &fate); \
		CU_ASSERT_EQUAL(fate.reason, expected);                                           \
		CU_ASSERT_FALSE(fate.opened);                                                     \
	} while (0)
	BAD(meta.version = 0, HK_REASON_META_INVALID);
	BAD(meta.version++, HK_REASON_META_INVALID);
	BAD(meta.envelope = 0, HK_REASON_META_INVALID);
	BAD(meta.envelope = 200, HK_REASON_META_INVALID);
	BAD(meta.envelope = HK_ENVELOPE_ESP, HK_REASON_NO_KEY);
	BAD(meta.domain = 1, HK_REASON_NO_KEY);
	BAD(meta.domain = 0xffff, HK_REASON_META_INVALID);
	BAD(meta.l3_offset = 13, HK_REASON_META_INVALID);
	BAD(meta.l3_offset += 1, HK_REASON_META_INVALID);
	BAD(meta.flags |= HK_META_OUTER_V6, HK_REASON_META_INVALID);
	BAD(meta.payload_offset += 1, HK_REASON_META_INVALID);
	BAD(meta.end_offset = (__u16)(good.length + 1), HK_REASON_META_INVALID);
	BAD(meta.end_offset = bad.meta.envelope_offset, HK_REASON_META_INVALID);
	BAD(length = BOX_FRAME + 1, HK_REASON_FRAME_SIZE);
	BAD(length = 0, HK_REASON_META_INVALID);
#undef BAD
	hk_sa_free(sa);
	talk_free(&talk);
}

/* Random metadata over random bytes in an exact block: whatever happens, it happens inside the frame. */
static void random_metadata_stays_inside(void)
{
	unsigned suite, round, i;
	struct hk_frame frame = {0};
	struct hk_fate fate;
	struct talk talk;
	__u64 seed = 3;
	__u8 *exact;

	for (suite = HK_SUITE_NONE; suite <= HK_SUITE_CBC_HMAC; suite++) {
		unsigned envelope = suite ? HK_ENVELOPE_ESP : HK_ENVELOPE_PSP;

		talk_init(&talk, envelope, suite ? hk_suite_profile(suite) : HK_PROFILE_SPLIT, suite);
		talk_build(&talk, NULL);
		for (round = 0; round < 20000; round++) {
			frame.length = (__u32)(random_next(&seed) % 200);
			exact = malloc(frame.length + 1);
			for (i = 0; i < frame.length; i++)
				exact[i] = (__u8)(random_next(&seed) >> 13);
			frame.data = exact;
			frame.meta = (struct hk_meta){.version = HK_META_VERSION,
				.envelope = (__u8)envelope,
				.flags = (__u8)(random_next(&seed) % 4),
				.l3_offset = 14,
				.spi = (__u32)random_next(&seed),
				.envelope_offset = (__u16)(34 + random_next(&seed) % 60)};
			frame.meta.payload_offset =
				(__u16)(frame.meta.envelope_offset + random_next(&seed) % 40);
			frame.meta.end_offset = (__u16)(frame.meta.payload_offset + random_next(&seed) % 120);
			if (suite && round % 2)
				frame.meta.payload_offset = (__u16)(frame.meta.envelope_offset + 8);
			if (!suite && round % 2 && frame.meta.envelope_offset + 4u < frame.length) {
				exact[frame.meta.envelope_offset] =
					(const __u8[]){4, 41, 6, 17}[round / 2 % 4];
				exact[frame.meta.envelope_offset + 1] = 1;
				exact[frame.meta.envelope_offset + 3] = 0x11;
				frame.meta.payload_offset = (__u16)(frame.meta.envelope_offset + 16);
			}
			/* the keyring knows this receiver */
			if (frame.length >= 34 && round % 4)
				memcpy(exact + 30, (const __u8[]){192, 0, 2, 9}, 4);
			hk_pipeline_run(talk.box.pipeline, talk.box.inspection, &frame, 1, BOX_NOW, &fate);
			CU_ASSERT_TRUE(fate.reason < HK_REASON_COUNT);
			free(exact);
		}
		talk_free(&talk);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"no key", no_key},
		{"a wrong key is noise in split", a_wrong_key_is_noise_in_split},
		{"a bad ICV never opens", a_bad_icv_never_opens},
		{"a forged ICV over nothing is refused", a_forged_icv_over_nothing_is_refused},
		{"the other profile is a mismatch", the_other_profile_is_a_mismatch},
		{"ESN is unverifiable", esn_is_unverifiable},
		{"dummies and strange next headers", dummies_and_strange_next_headers},
		{"padding decides nothing in split", padding_decides_nothing_in_split},
		{"bit 31 belongs to explicit ESP keys", bit_31_belongs_to_explicit_esp_keys},
		{"metadata is not believed", metadata_is_not_believed},
		{"random metadata stays inside", random_metadata_stays_inside},
		{0},
	};
	return run_tests("pipeline refusals", tests);
}

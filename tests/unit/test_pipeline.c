// SPDX-License-Identifier: GPL-2.0-or-later
/* The pipeline: every shape that the seal side makes opens to the byte, alone and in batches. */
#include "tests/unit/pipeline_help.h"

static void check_shape(struct talk *talk, struct hk_sa *sa, const struct hk_seal_shape *shape,
	const __u8 *inner, __u32 length)
{
	unsigned profile = talk->box.domains[0].profile;
	__u8 frame[BOX_FRAME];
	__u32 size = seal(talk, sa, shape, inner, length, frame);
	struct hk_fate fate = run_counted(talk, frame, size);

	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.auth, profile == HK_PROFILE_SINGLE ? HK_AUTH_VERIFIED : HK_AUTH_NONE);
	CU_ASSERT_EQUAL_FATAL(fate.opened, 1);
	CU_ASSERT_EQUAL_FATAL(fate.inner_length, length);
	CU_ASSERT_EQUAL(memcmp(fate.inner, inner, length), 0);
}

/* An inner packet that may travel in transport mode: the outer addresses are its own. */
static __u32 transport_inner(__u8 *inner, int version, __u32 size)
{
	__u64 seed = 5;
	struct hk_address from = address(version == 4 ? "192.0.2.1" : "2001:db8::1");
	struct hk_address to = address(version == 4 ? "192.0.2.9" : "2001:db8::9");

	return inner_udp(&from, &to, &seed, size, inner);
}

static void psp_shapes(unsigned backend, unsigned version, const char *receiver)
{
	bool split = version >= 4, v6 = strchr(receiver, ':') != NULL;
	struct hk_seal_shape shape = tunnel(v6 ? "2001:db8::1" : "192.0.2.1");
	struct talk talk;
	struct hk_sa *sa;
	__u8 inner[1500];
	char keys[512] = "", front[96];
	unsigned slot, offset;
	__u64 seed = 42;

	memset(&talk, 0, sizeof(talk));
	talk.crypto = hk_crypto_new(NULL);
	box_init(&talk.box);
	for (slot = 0; slot < 2; slot++) {
		master_random(&talk.master[slot], &seed);
		snprintf(front, sizeof(front), "slot=%u generation=1 side=%s receiver=%s", slot,
			split ? "enc" : "single", receiver);
		key_line(keys, sizeof(keys), front, talk.master[slot].enc);
	}
	box_domain(&talk.box, HK_ENVELOPE_PSP, split ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE, 0, keys);
	the_hook = NULL;
	talk_build(&talk, backends[backend]);
	for (slot = 0; slot < 2; slot++) {
		sa = talk_sa(&talk, HK_ENVELOPE_PSP, version, slot << 31 | 0x1234, receiver);
		shape.transport = false;
		for (offset = 0; offset < 16; offset++) {
			shape.cookie = offset >= 2;
			shape.crypt_offset = (__u8)offset;
			check_shape(&talk, sa, &shape, inner, make_tcp(inner, 4, 0x18, 40 + offset));
			check_shape(&talk, sa, &shape, inner, make_udp(inner, 6, 7, 9, 1300 - offset));
			shape.cookie = false;
			check_shape(&talk, sa, &shape, inner, make_udp(inner, 4, 7, 9, 50));
		}
		shape.transport = true;
		shape.crypt_offset = 0;
		check_shape(&talk, sa, &shape, inner, transport_inner(inner, v6 ? 6 : 4, 33));
		hk_sa_free(sa);
	}
	talk_free(&talk);
}

static void every_psp_shape_opens(void)
{
	static const unsigned versions[] = {0, 1, 4, 5};
	unsigned backend, i;

	for (backend = 0; backend < BACKENDS; backend++)
		for (i = 0; i < 4 && backend_runs(backends[backend]); i++) {
			psp_shapes(backend, versions[i], "192.0.2.9");
			psp_shapes(backend, versions[i], "2001:db8::9");
		}
}

static void esp_shapes(unsigned backend, unsigned suite, const char *receiver)
{
	bool v6 = strchr(receiver, ':') != NULL;
	struct hk_seal_shape shape = tunnel(v6 ? "2001:db8::1" : "192.0.2.1");
	struct talk talk;
	struct hk_sa *sa;
	__u8 inner[1500];
	unsigned slot, size;

	talk_init(&talk, HK_ENVELOPE_ESP, hk_suite_profile(suite), suite);
	talk_build(&talk, backends[backend]);
	for (slot = 0; slot < 2; slot++) {
		sa = talk_sa(&talk, HK_ENVELOPE_ESP, suite, slot << 29 | 0x1234, receiver);
		for (size = 0; size < 40; size++) {
			shape.udp = size & 1;
			shape.transport = false;
			check_shape(&talk, sa, &shape, inner, make_tcp(inner, 4, 0x18, size));
			check_shape(&talk, sa, &shape, inner, make_udp(inner, 6, 7, 9, 1200 + size));
			shape.transport = true;
			check_shape(&talk, sa, &shape, inner, transport_inner(inner, v6 ? 6 : 4, size));
		}
		hk_sa_free(sa);
	}
	talk_free(&talk);
}

static void every_esp_shape_opens(void)
{
	unsigned backend, suite;

	for (backend = 0; backend < BACKENDS; backend++)
		for (suite = HK_SUITE_GCM; suite <= HK_SUITE_CBC_HMAC && backend_runs(backends[backend]);
			suite++) {
			esp_shapes(backend, suite, "192.0.2.9");
			esp_shapes(backend, suite, "2001:db8::9");
		}
}

/* A full batch of different SPIs, slots and sizes: each opens to its own packet, in its own place. */
static void a_batch_of_many_spis(unsigned backend)
{
	static __u8 frames[64][BOX_FRAME], inner[64][BOX_FRAME];
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	struct hk_frame batch[64] = {{0}};
	struct hk_fate fates[64];
	__u32 lengths[64];
	struct talk talk;
	struct hk_sa *sa;
	unsigned i;

	talk_init(&talk, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0);
	talk_build(&talk, backends[backend]);
	for (i = 0; i < 64; i++) {
		sa = talk_sa(&talk, HK_ENVELOPE_PSP, i % 3 ? 5 : 4, (i % 2) << 31 | (100 + i), "192.0.2.9");
		lengths[i] = make_udp(inner[i], i % 5 ? 4 : 6, (__u16)(i + 1), 9, i * 20);
		batch[i].data = frames[i];
		batch[i].length = seal(&talk, sa, &shape, inner[i], lengths[i], frames[i]);
		hk_sa_free(sa);
	}
	frames[7][14 + 28 + 30] ^= 1;	/* a ciphertext byte: opens to something else */
	frames[9][14 + 28 + 3] ^= 0x10; /* version 5 → 1: another profile */
	box_run_frames(&talk.box, batch, 64, fates);
	for (i = 0; i < 64; i++) {
		if (i == 7)
			continue;
		if (i == 9) {
			CU_ASSERT_EQUAL(fates[i].reason, HK_REASON_PROFILE_MISMATCH);
			continue;
		}
		CU_ASSERT_EQUAL(fates[i].reason, HK_REASON_OK);
		CU_ASSERT_EQUAL_FATAL(fates[i].inner_length, lengths[i]);
		CU_ASSERT_EQUAL(memcmp(fates[i].inner, inner[i], lengths[i]), 0);
	}
	talk_free(&talk);
}

static void many_spis_in_one_batch(void)
{
	unsigned backend;

	for (backend = 0; backend < BACKENDS; backend++)
		if (backend_runs(backends[backend]))
			a_batch_of_many_spis(backend);
}

int main(void)
{
	static const struct test tests[] = {
		{"every PSP shape opens", every_psp_shape_opens},
		{"every ESP shape opens", every_esp_shape_opens},
		{"many SPIs in one batch", many_spis_in_one_batch},
		{0},
	};
	return run_tests("pipeline", tests);
}

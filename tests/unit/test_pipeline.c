// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pipeline from frame to fate: every shape that the seal side makes opens
 * to the byte, every refusal has its reason, and verdicts have the force they
 * should. The hook chain is this file's own, so that the core stands alone.
 */
#include "tests/unit/box_help.h"
#include "tests/unit/envelope_rows.h"
#include "tests/unit/inner_help.h"
#include "user/crypto/kdf.h"

/* From user/endpoint/sa.h, which cannot stand beside the inner helpers. */
int hk_esp_seal(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	__u8 next_header, const __u8 *payload, __u32 length, __u8 *out, __u32 room);

/* --- a hook chain of one hook, which is a function of the test ---------------------------------- */

struct hk_hook_chain {
	int unused;
};

static struct hk_hook_chain the_chain;
static bool hook_is_per_packet;
static int (*the_hook)(struct hk_hook_batch *batch);
static unsigned hook_packets; /* that the hook was shown */

int hk_hook_chain_new(struct hk_hook_chain **out, const struct hk_config *config,
	const struct hk_files *files, unsigned workers, struct hk_error *error)
{
	(void)config, (void)files, (void)workers, (void)error;
	*out = &the_chain;
	return 0;
}

void hk_hook_chain_adopt(struct hk_hook_chain *now, struct hk_hook_chain *previous)
{
	(void)now, (void)previous;
}

void hk_hook_chain_free(struct hk_hook_chain *chain)
{
	(void)chain;
}

unsigned hk_hook_chain_length(const struct hk_hook_chain *chain)
{
	(void)chain;
	return the_hook ? 1 : 0;
}

unsigned hk_hook_chain_classes(const struct hk_hook_chain *chain)
{
	(void)chain;
	return 4;
}

bool hk_hook_chain_flow_verdicts(const struct hk_hook_chain *chain)
{
	(void)chain;
	return !hook_is_per_packet;
}

int hk_hook_chain_run(struct hk_hook_chain *chain, unsigned worker, struct hk_hook_batch *batch,
	struct hk_counts *counts, __u8 *decided, __u8 *reported)
{
	unsigned i;

	(void)chain, (void)worker, (void)counts;
	hook_packets += batch->packet_count;
	if (the_hook(batch))
		return 1;
	for (i = 0; i < batch->packet_count; i++)
		if (hk_hook_packet(batch, i)->verdict)
			decided[i] = 0;
	for (i = 0; i < batch->event_count; i++)
		reported[i] = 0;
	return 0;
}

/* --- a box and the hosts that talk through it --------------------------------------------------- */

static const char *const backends[] = {"ipsec-mb", "libcrypto"};
#define BACKENDS 2

struct talk {
	struct box box;
	struct hk_crypto *crypto;
	struct master master[2]; /* by slot */
	__u64 iv;
};

static bool backend_runs(unsigned index)
{
	struct hk_crypto *crypto = hk_crypto_new(backends[index]);

	hk_crypto_free(crypto);
	return crypto != NULL;
}

/* Keys of both slots: for 192.0.2.9 and (another pair) 2001:db8::9 in PSP, for the domain in ESP. */
static void talk_keys(struct talk *talk, char *text, size_t room, unsigned envelope, bool split)
{
	char front[128];
	unsigned slot;

	text[0] = '\0';
	for (slot = 0; slot < 2; slot++) {
		snprintf(front, sizeof(front), "slot=%u generation=1 side=%s%s", slot,
			split ? "enc" : "single", envelope == HK_ENVELOPE_PSP ? " receiver=192.0.2.9" : "");
		key_line(text, room, front, talk->master[slot].enc);
	}
}

static void talk_init(struct talk *talk, unsigned envelope, unsigned profile, unsigned suite)
{
	__u64 seed = 42;
	char keys[1024];

	memset(talk, 0, sizeof(*talk));
	talk->crypto = hk_crypto_new(NULL);
	master_random(&talk->master[0], &seed);
	master_random(&talk->master[1], &seed);
	box_init(&talk->box);
	talk_keys(talk, keys, sizeof(keys), envelope, profile == HK_PROFILE_SPLIT);
	box_domain(&talk->box, envelope, profile, suite, keys);
	the_hook = NULL;
	hook_packets = 0;
}

static void talk_build(struct talk *talk, const char *backend)
{
	CU_ASSERT_EQUAL_FATAL(box_build(&talk->box, backend, BOX_FRAME, 1 << 20), 0);
	hk_feed_queue_want(talk->box.queue, ~0u);
}

static void talk_free(struct talk *talk)
{
	box_free(&talk->box);
	hk_crypto_free(talk->crypto);
}

static struct hk_sa *talk_sa(
	struct talk *talk, unsigned envelope, unsigned variant, __u32 spi, const char *receiver)
{
	struct hk_sa_name name = {
		.envelope = (__u8)envelope, .variant = (__u8)variant, .mkid = 1, .spi = spi};
	unsigned slot = envelope == HK_ENVELOPE_PSP ? spi >> 31 : spi >> 29 & 3;
	struct hk_sa *sa;

	name.receiver = address(receiver);
	sa = sa_of(talk->crypto, &name, &talk->master[slot & 1]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	return sa;
}

/* Seals `inner` into a frame; the frame's length. */
static __u32 seal(struct talk *talk, struct hk_sa *sa, const struct hk_seal_shape *shape, const __u8 *inner,
	__u32 length, __u8 *frame)
{
	struct hk_numbers numbers = {.iv = ++talk->iv, .sn = (__u32)talk->iv};
	int size = hk_seal_packet(sa, shape, &numbers, inner, length, frame + 14, BOX_FRAME - 14);

	CU_ASSERT_FATAL(size > 0);
	return frame_around(frame, (__u32)size);
}

static struct hk_seal_shape tunnel(const char *source)
{
	return (struct hk_seal_shape){.source = address(source)};
}

/* Runs one frame as a worker does, counting where it ends. */
static struct hk_fate run_counted(struct talk *talk, const __u8 *frame, __u32 length)
{
	struct hk_counts *counts = &talk->box.counts;
	struct hk_fate fate = box_run(&talk->box, frame, length);

	hk_count_raise(&counts->received, 1);
	hk_count_reason(counts, fate.reason, length, fate.action == HK_ACTION_DROP);
	return fate;
}

static void expect(struct talk *talk, const __u8 *frame, __u32 length, unsigned reason, unsigned action)
{
	const struct hk_count *count = &talk->box.counts.reasons[reason];
	__u64 before = count->packets, dropped = count->dropped;
	struct hk_fate fate = run_counted(talk, frame, length);

	CU_ASSERT_EQUAL(fate.reason, reason);
	CU_ASSERT_EQUAL(fate.action, action);
	CU_ASSERT_EQUAL(count->packets, before + 1);
	CU_ASSERT_EQUAL(count->dropped, dropped + (action == HK_ACTION_DROP));
	if (reason != HK_REASON_OK && reason >= HK_REASON_CONTROL)
		CU_ASSERT_FALSE(fate.opened);
}

/* --- every shape ------------------------------------------------------------------------------- */

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
		for (i = 0; i < 4 && backend_runs(backend); i++) {
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
		for (suite = HK_SUITE_GCM; suite <= HK_SUITE_CBC_HMAC && backend_runs(backend); suite++) {
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
		if (backend_runs(backend))
			a_batch_of_many_spis(backend);
}

/* --- refusals ---------------------------------------------------------------------------------- */

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
		if (!backend_runs(backend))
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
		if (!backend_runs(backend))
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

/* --- verdicts ---------------------------------------------------------------------------------- */

static __u8 wanted_verdict, wanted_flow;
static __u32 wanted_lifetime;

static int verdict_hook(struct hk_hook_batch *batch)
{
	struct hk_hook_packet *packet;
	struct hk_hook_event *event;
	unsigned i;

	for (i = 0; i < batch->packet_count; i++) {
		packet = hk_hook_packet(batch, i);
		if (wanted_verdict == HK_VERDICT_DROP)
			hk_hook_drop(packet, 17);
		if (wanted_verdict == HK_VERDICT_DELAY)
			hk_hook_delay(packet, 2, batch->now_ns + 1000);
		packet->flow_verdict = wanted_flow;
		packet->flow_lifetime_ms = wanted_lifetime;
		event = hk_hook_report(batch, i);
		event->kind = HK_EVENT_ALERT;
		event->sid = 1001;
	}
	return 0;
}

static int failing_hook(struct hk_hook_batch *batch)
{
	(void)batch;
	return -1;
}

/* A connection between two hosts of one domain: frames there and back. */
struct pair {
	struct talk talk;
	struct hk_sa *sa;
	__u8 frame[BOX_FRAME];
};

static void pair_init(struct pair *pair, unsigned profile)
{
	unsigned version = profile == HK_PROFILE_SPLIT ? 4 : 0;

	talk_init(&pair->talk, HK_ENVELOPE_PSP, profile, 0);
	pair->talk.box.domains[0].flow_per_spi = true;
	talk_build(&pair->talk, NULL);
	pair->sa = talk_sa(&pair->talk, HK_ENVELOPE_PSP, version, 5, "192.0.2.9");
	the_hook = verdict_hook;
	wanted_verdict = wanted_flow = HK_VERDICT_ACCEPT;
	wanted_lifetime = 0;
}

static void pair_free(struct pair *pair)
{
	hk_sa_free(pair->sa);
	talk_free(&pair->talk);
	the_hook = NULL;
}

/* Both directions may use the one SA: the test is about inner flows. */
static struct hk_fate pair_send(struct pair *pair, __u16 port, bool back)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	__u8 inner[200];
	__u32 size = make_udp(inner, 4, port, 53, 20), length;

	if (back)
		turn_around(inner);
	length = seal(&pair->talk, pair->sa, &shape, inner, size, pair->frame);
	return run_counted(&pair->talk, pair->frame, length);
}

static void hooks_accept_drop_and_delay(void)
{
	struct hk_fate fate;
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SPLIT);
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.release_ns, 0);
	wanted_verdict = HK_VERDICT_DELAY;
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
	CU_ASSERT_EQUAL(fate.release_ns, BOX_NOW + 1000);
	CU_ASSERT_EQUAL(fate.delay_class, 2);
	wanted_verdict = HK_VERDICT_DROP;
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
	CU_ASSERT_EQUAL(fate.opened, 1);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 0);
	CU_ASSERT_EQUAL(pair.talk.box.counts.events, 3);
	the_hook = failing_hook;
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_HOOK_ERROR);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
	pair.talk.box.config.policy[HK_REASON_HOOK_ERROR] = HK_ACTION_DROP;
	CU_ASSERT_EQUAL(pair_send(&pair, 1, false).action, HK_ACTION_DROP);
	pair_free(&pair);
}

static struct hk_hook_packet hook_saw;
static __u8 hook_saw_data[ROW_INNER];

static int copying_hook(struct hk_hook_batch *batch)
{
	hook_saw = *hk_hook_packet(batch, 0);
	memcpy(hook_saw_data, hk_hook_data(batch, &hook_saw), sizeof(hook_saw_data));
	return 0;
}

/* TSS and DTLS carry no IP packet: hooks and feeds get a payload between the outer ends. */
static void payload_of(const struct envelope_row *row)
{
	static struct row_scene scene;
	const struct hk_hook_packet *p = &hook_saw;
	struct hk_fate fate;

	row_begin(&scene, row);
	the_hook = copying_hook;
	memset(&hook_saw, 0, sizeof(hook_saw));
	fate = box_run(&scene.box, scene.frame, scene.length);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.not_ip, 1);
	CU_ASSERT_EQUAL(p->data_length, ROW_INNER);
	CU_ASSERT_EQUAL(p->payload_length, ROW_INNER);
	CU_ASSERT(p->payload_offset == 0 && p->l4_offset == 0 && p->ip_version == 0);
	CU_ASSERT_EQUAL(memcmp(hook_saw_data, scene.inner, ROW_INNER), 0);
	CU_ASSERT_EQUAL(p->flags, HK_PACKET_NOT_IP | (row->udp ? HK_PACKET_PORTS : 0));
	CU_ASSERT_EQUAL(p->protocol, row->udp ? 17 : 253);
	CU_ASSERT(memcmp(&p->src, &scene.source, 16) == 0 && memcmp(&p->dst, &scene.receiver, 16) == 0);
	CU_ASSERT_EQUAL(memcmp(&p->outer_src, &scene.source, 16), 0);
	CU_ASSERT_EQUAL(memcmp(&p->outer_dst, &scene.receiver, 16), 0);
	CU_ASSERT_EQUAL(p->src_port, row->udp ? 40000 : 0);
	CU_ASSERT_EQUAL(p->dst_port, !row->udp ? 0 : row->envelope == HK_ENVELOPE_TSS ? 4793 : ROW_PORT);
	CU_ASSERT_EQUAL(p->auth, row->profile == ROW_SINGLE ? HK_AUTH_VERIFIED : HK_AUTH_NONE);
	row_end(&scene);
}

static void payloads_that_are_no_packets(void)
{
	const struct envelope_row *row;
	unsigned rows = 0;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++)
		if (row->envelope == HK_ENVELOPE_TSS || row->envelope == HK_ENVELOPE_DTLS) {
			payload_of(row);
			rows++;
		}
	the_hook = NULL;
	CU_ASSERT_EQUAL(rows, 4);
}

static void unauthenticated_accepts_stay_out_of_the_tables(void)
{
	struct hk_fate fate;
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SPLIT);
	wanted_lifetime = 60000;
	pair_send(&pair, 1, false);
	pair_send(&pair, 1, true);
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 0);
	CU_ASSERT_EQUAL(hook_packets, 3);
	pair_free(&pair);
}

static void unauthenticated_drops_wait_for_the_answer(void)
{
	struct hk_fate fate;
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SPLIT);
	wanted_verdict = wanted_flow = HK_VERDICT_DROP;
	wanted_lifetime = 60000;
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 0);
	/* tentative: the hook is asked again, and nothing was told to the kernel */
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_HOOK_DROP);
	fate = pair_send(&pair, 1, true);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_FLOW_DROP);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
	CU_ASSERT_EQUAL(fate.kernel_verdict, HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 60000);
	/* the kernel is told once for each direction's SPI */
	fate = pair_send(&pair, 1, true);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 0);
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_FLOW_DROP);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 60000);
	CU_ASSERT_EQUAL(hook_packets, 2);
	/* another flow is another matter */
	wanted_verdict = wanted_flow = HK_VERDICT_ACCEPT;
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).reason, HK_REASON_OK);
	pair.talk.box.now_ns += 61000000000ull;
	CU_ASSERT_EQUAL(pair_send(&pair, 1, false).reason, HK_REASON_OK);
	pair_free(&pair);
}

static void verified_verdicts_hold_at_once(void)
{
	struct hk_fate fate;
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SINGLE);
	wanted_lifetime = 60000;
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.kernel_verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 60000);
	fate = pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_FLOW_ACCEPT);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
	CU_ASSERT_EQUAL(hook_packets, 1);
	wanted_verdict = wanted_flow = HK_VERDICT_DROP;
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).reason, HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).reason, HK_REASON_FLOW_DROP);
	pair_free(&pair);
}

/* No hook decides on flows and no feed takes flow records: none is kept until one does. */
static void flows_nobody_wants_are_not_kept(void)
{
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SINGLE);
	hook_is_per_packet = true;
	hk_feed_queue_want(pair.talk.box.queue, HK_RECORD_WANTS(HK_RECORD_EVENT));
	CU_ASSERT_EQUAL(pair_send(&pair, 1, false).reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(pair.talk.box.counts.flows, 0);
	hk_feed_queue_want(pair.talk.box.queue, HK_RECORD_WANTS(HK_RECORD_FLOW));
	CU_ASSERT_EQUAL(pair_send(&pair, 1, false).reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(pair.talk.box.counts.flows, 1);
	hk_feed_queue_want(pair.talk.box.queue, 0);
	hook_is_per_packet = false;
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(pair.talk.box.counts.flows, 2);
	pair_free(&pair);
}

static void the_kernel_is_asked_only_where_an_spi_is_a_flow(void)
{
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SINGLE);
	pair.talk.box.domains[0].flow_per_spi = false;
	wanted_verdict = wanted_flow = HK_VERDICT_DROP;
	wanted_lifetime = 60000;
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).kernel_lifetime_ms, 0);
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).kernel_lifetime_ms, 0);
	pair_free(&pair);
}

static void a_drop_beats_an_accept_for_the_flow(void)
{
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SINGLE);
	wanted_verdict = HK_VERDICT_DROP;
	wanted_flow = HK_VERDICT_ACCEPT;
	wanted_lifetime = 60000;
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).reason, HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(pair_send(&pair, 2, false).reason, HK_REASON_HOOK_DROP);
	pair_free(&pair);
}

/* A batch in which some flows are decided already: hooks see the others only, in order. */
static __u16 seen_ports[64];

static int ports_hook(struct hk_hook_batch *batch)
{
	unsigned i;

	for (i = 0; i < batch->packet_count; i++)
		seen_ports[i] = hk_hook_packet(batch, i)->src_port;
	return 0;
}

static void decided_flows_leave_the_batch_in_order(void)
{
	static __u8 frames[8][BOX_FRAME];
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	struct hk_frame batch[8] = {{0}};
	struct hk_fate fates[8];
	struct pair pair;
	__u8 inner[200];
	__u32 size;
	unsigned i;

	pair_init(&pair, HK_PROFILE_SINGLE);
	wanted_verdict = wanted_flow = HK_VERDICT_DROP;
	wanted_lifetime = 60000;
	pair_send(&pair, 102, false);
	pair_send(&pair, 105, false);
	the_hook = ports_hook;
	for (i = 0; i < 8; i++) {
		size = make_udp(inner, 4, (__u16)(100 + i), 53, 10 * i);
		batch[i].data = frames[i];
		batch[i].length = seal(&pair.talk, pair.sa, &shape, inner, size, frames[i]);
	}
	box_run_frames(&pair.talk.box, batch, 8, fates);
	for (i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(fates[i].reason, i == 2 || i == 5 ? HK_REASON_FLOW_DROP : HK_REASON_OK);
		CU_ASSERT_EQUAL(fates[i].inner_length, 28 + 10 * i);
		CU_ASSERT_EQUAL(hk_get16(fates[i].inner + 20), 100 + i);
	}
	CU_ASSERT_EQUAL(seen_ports[0], 100);
	CU_ASSERT_EQUAL(seen_ports[2], 103);
	CU_ASSERT_EQUAL(seen_ports[3], 104);
	CU_ASSERT_EQUAL(seen_ports[5], 107);
	pair_free(&pair);
}

/* --- records ----------------------------------------------------------------------------------- */

static unsigned records(struct box *box, unsigned kind, struct hk_record *last)
{
	const struct hk_record *record;
	unsigned count = 0;

	while ((record = hk_feed_queue_next(box->queue))) {
		if (record->kind != kind)
			continue;
		count++;
		memcpy(last, record, hk_record_header_size(kind));
	}
	hk_feed_queue_release(box->queue);
	return count;
}

static void nonces_that_repeat_are_an_anomaly(void)
{
	struct hk_record record;
	struct pair pair;
	__u32 length;

	pair_init(&pair, HK_PROFILE_SPLIT);
	pair_send(&pair, 1, false);
	length = 14 + 20 + 8 + 16 + 48 + 16;
	run_counted(&pair.talk, pair.frame, length); /* the same packet again: a duplicate, nothing more */
	CU_ASSERT_EQUAL(pair.talk.box.counts.nonce_repeats, 0);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_ANOMALY, &record), 0);
	pair.frame[length - 20] ^= 1; /* payload, and the ICV that a forger would have to change with it */
	pair.frame[length - 1] ^= 1;
	run_counted(&pair.talk, pair.frame, length);
	CU_ASSERT_EQUAL(pair.talk.box.counts.nonce_repeats, 1);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_ANOMALY, &record), 1);
	CU_ASSERT_EQUAL(record.reason, HK_REASON_NONCE_REPEAT);
	CU_ASSERT_EQUAL(record.spi, 5);
	pair_free(&pair);
}

static void records_tell_inner_and_outer(void)
{
	struct hk_address source = address("192.0.2.1");
	struct hk_record record;
	struct pair pair;

	pair_init(&pair, HK_PROFILE_SPLIT);
	pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_PACKET, &record), 1);
	CU_ASSERT_EQUAL(record.data_length, 48);
	CU_ASSERT_EQUAL(record.inner_src_port, 1);
	CU_ASSERT_EQUAL(record.inner_dst_port, 53);
	CU_ASSERT_EQUAL(record.variant, 4);
	CU_ASSERT_EQUAL(record.auth, HK_AUTH_NONE);
	CU_ASSERT_EQUAL(memcmp(&record.outer_src, &source, 16), 0);
	pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_EVENT, &record), 1);
	CU_ASSERT_EQUAL(record.event.sid, 1001);
	CU_ASSERT_EQUAL(record.hook, 0);
	wanted_verdict = HK_VERDICT_DROP;
	pair_send(&pair, 1, true);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_DROP, &record), 1);
	CU_ASSERT_EQUAL(record.reason, HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(record.rule, 17);
	CU_ASSERT_EQUAL(record.data_length, 40); /* the inner header, no more */
	CU_ASSERT_EQUAL(pair.talk.box.counts.flows, 1);
	hk_pipeline_tick(pair.talk.box.pipeline, pair.talk.box.now_ns, 0, 1);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_FLOW, &record), 1);
	CU_ASSERT_EQUAL(record.flow.packets[0], 2);
	CU_ASSERT_EQUAL(record.flow.packets[1], 1);
	CU_ASSERT_EQUAL(record.flow.answered, 1);
	CU_ASSERT_EQUAL(record.flow.alerted, 1);
	CU_ASSERT_EQUAL(record.inner_src_port, 1);
	CU_ASSERT_EQUAL(pair.talk.box.counts.flows, 0);
	CU_ASSERT_EQUAL(pair.talk.box.counts.feed_lost, 0);
	pair_free(&pair);
}

static void a_full_queue_loses_and_counts(void)
{
	struct pair pair;
	unsigned i;

	pair_init(&pair, HK_PROFILE_SPLIT);
	for (i = 0; i < 5000; i++)
		pair_send(&pair, (__u16)i, false);
	CU_ASSERT_TRUE(pair.talk.box.counts.feed_lost > 0);
	CU_ASSERT_TRUE(pair.talk.box.counts.feed_records > 0);
	CU_ASSERT_EQUAL(pair.talk.box.counts.reasons[HK_REASON_OK].packets, 5000);
	CU_ASSERT_TRUE(pair.talk.box.counts.flows <= 64);
	CU_ASSERT_EQUAL(pair.talk.box.counts.flows_evicted, 5000 - pair.talk.box.counts.flows);
	pair_free(&pair);
}

int main(void)
{
	static const struct test tests[] = {
		{"every PSP shape opens", every_psp_shape_opens},
		{"every ESP shape opens", every_esp_shape_opens},
		{"many SPIs in one batch", many_spis_in_one_batch},
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
		{"hooks accept, drop and delay", hooks_accept_drop_and_delay},
		{"unauthenticated accepts stay out of the tables",
			unauthenticated_accepts_stay_out_of_the_tables},
		{"unauthenticated drops wait for the answer", unauthenticated_drops_wait_for_the_answer},
		{"verified verdicts hold at once", verified_verdicts_hold_at_once},
		{"flows nobody wants are not kept", flows_nobody_wants_are_not_kept},
		{"the kernel is asked only where an SPI is a flow",
			the_kernel_is_asked_only_where_an_spi_is_a_flow},
		{"a drop beats an accept for the flow", a_drop_beats_an_accept_for_the_flow},
		{"decided flows leave the batch in order", decided_flows_leave_the_batch_in_order},
		{"nonces that repeat are an anomaly", nonces_that_repeat_are_an_anomaly},
		{"records tell inner and outer", records_tell_inner_and_outer},
		{"payloads that are no IP packets", payloads_that_are_no_packets},
		{"a full queue loses and counts", a_full_queue_loses_and_counts},
		{0},
	};
	return run_tests("pipeline", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two end hosts that speak inline keying: who seals on what, renewals, one child
 * for each flow, limits.
 */
#include "tests/unit/inline_wire.h"

static void a_child_in_two_packets(void)
{
	struct wire wire;
	unsigned opening, sealing;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	hk_inline_host_alive(wire.a.host, &opening, &sealing);
	CU_ASSERT_EQUAL(opening, 1);
	CU_ASSERT_EQUAL(sealing, 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->created, 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->installed, 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->parent_sealed, 1);
	CU_ASSERT_EQUAL(counts(&wire.b)->child_opened, 1);
	wire_close(&wire);
}

static void renewal_loses_nothing(void)
{
	struct wire wire;
	unsigned on_parent;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	on_parent = talk(&wire, 10 * LIFETIME);
	CU_ASSERT_EQUAL(counts(&wire.a)->renewed, 10 * LIFETIME / (LIFETIME / 4 * 3));
	CU_ASSERT_EQUAL(counts(&wire.b)->renewed, counts(&wire.a)->renewed);
	CU_ASSERT_EQUAL(counts(&wire.a)->installed, counts(&wire.b)->created);
	CU_ASSERT_EQUAL(counts(&wire.a)->replaced, 0);
	/* parents carry the creations and nothing else: once a second each way, and when one is new */
	CU_ASSERT_TRUE(on_parent <= 2 * (10 * LIFETIME + 10 * 2));
	CU_ASSERT_EQUAL(counts(&wire.a)->known, counts(&wire.b)->offered - counts(&wire.a)->installed);
	wire_close(&wire);
}

/* One side only receives: its creations travel alone, and are renewed all the same. */
static void one_way(void)
{
	struct wire wire;
	struct passed passed;
	unsigned i, alone = 0, on_parent = 0;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	for (i = 0; i < 30 * LIFETIME; i++) {
		wire.now_ns += SECOND / 10;
		passed = pass(&wire, &wire.b);
		CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
		on_parent += !is_child(&passed);
		alone += tick(&wire, &wire.a);
	}
	CU_ASSERT_TRUE(alone >= 3 * LIFETIME - 3 && alone <= 3 * LIFETIME + 3);
	CU_ASSERT_TRUE(counts(&wire.a)->renewed >= 3);
	CU_ASSERT_TRUE(on_parent <= 3 * LIFETIME + 3); /* B's own creations */
	/* and where nothing flows nothing is sent */
	wire.now_ns += 100 * SECOND;
	tick(&wire, &wire.a);
	wire.now_ns += 100 * SECOND;
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 0);
	wire_close(&wire);
}

/* After the lifetime nothing is sealed on a child that was not renewed. */
static void idle(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	wire.now_ns += LIFETIME * SECOND;
	passed = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(passed.spi, B_TO_A);
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, A_TO_B); /* each with a new creation */
	passed = pass(&wire, &wire.a);
	CU_ASSERT_TRUE(is_child(&passed));
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* No room behind the packet: it goes out without the creation, which follows alone. */
static void full_packets(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	seal_size(&wire, &wire.a, INNER_MAX - 28 - HK_CREATION_SIZE + 1, &passed);
	CU_ASSERT_EQUAL(counts(&wire.a)->offered, 0);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->alone, 1);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	wire.now_ns += SECOND;
	seal_size(&wire, &wire.a, INNER_MAX - 28 - HK_CREATION_SIZE, &passed);
	CU_ASSERT_EQUAL(counts(&wire.a)->offered, 2);
	wire_close(&wire);
}

/* A packet a second takes a creation along each time, and so goes on the parent: that is no silence. */
static void slow(void)
{
	struct wire wire;
	unsigned i;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	for (i = 0; i < 30; i++) {
		wire.now_ns += SECOND;
		CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
		CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NONE);
	}
	CU_ASSERT_EQUAL(counts(&wire.a)->parent_opened, 30);
	CU_ASSERT_EQUAL(counts(&wire.a)->replaced, 0);
	wire_close(&wire);
}

/* A child for each flow: one flow's packets never go on another's. */
static void flows(void)
{
	struct wire wire;
	struct passed first, second, turn;
	unsigned i, opening, sealing;

	wire_open(&wire, HK_INLINE_SHARE_FLOW);
	settle(&wire);
	first = pass(&wire, &wire.b);
	wire.port = 0x4321;
	turn = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(turn.spi, B_TO_A); /* not on the first's child */
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, A_TO_B);
	second = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&second));
	CU_ASSERT_NOT_EQUAL(first.spi, second.spi);
	wire.port = 0x1234;
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).spi, first.spi);
	/* more flows than a peer has children for */
	for (i = 0; i < 2 * HK_INLINE_CHILDREN; i++) {
		wire.port = 0x5000 + i;
		CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
		CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NONE);
		wire.now_ns++;
	}
	hk_inline_host_alive(wire.a.host, &opening, &sealing);
	CU_ASSERT_EQUAL(opening, HK_INLINE_CHILDREN);
	CU_ASSERT_EQUAL(sealing, HK_INLINE_CHILDREN);
	wire_close(&wire);
}

/* At the limit of a secret both ends go on with their parents. */
static void limited(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	host_stop(&wire.b);
	wire.b.options.creations = 2;
	host_start(&wire, &wire.b, false);
	settle(&wire);
	talk(&wire, 3 * LIFETIME);
	CU_ASSERT_EQUAL(counts(&wire.b)->created, 2);
	CU_ASSERT_TRUE(counts(&wire.b)->not_created > 0);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2);
	CU_ASSERT_TRUE(counts(&wire.b)->not_installed > 0);
	CU_ASSERT_TRUE(
		counts(&wire.a)->replaced > 0 && counts(&wire.a)->replaced < 8); /* ever longer apart */
	passed = pass(&wire, &wire.a);
	CU_ASSERT_EQUAL(passed.spi, A_TO_B);
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

static void without_children(void)
{
	struct wire wire;

	wire_open(&wire, HK_INLINE_SHARE_NONE);
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, A_TO_B);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 0);
	talk(&wire, 5);
	CU_ASSERT_EQUAL(counts(&wire.a)->created, 0);
	CU_ASSERT_EQUAL(counts(&wire.b)->parent_opened, 51);
	wire_close(&wire);
}

/* In a capture: who only opens finds its children in what it sent. */
static void watched(void)
{
	struct hk_inline_host *reader;
	struct hk_sealed sealed = {.protocol = IPPROTO_UDP, .port = HK_UDP_PORT_ESP};
	struct hk_error error = {{0}};
	struct passed first, second, third;
	struct hk_opened opened;
	struct wire wire;
	static __u8 out[HK_OPEN_ROOM(BOX_FRAME)];

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	first = pass(&wire, &wire.a); /* with A's creation */
	second = pass(&wire, &wire.b);
	third = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(!is_child(&second) && is_child(&third));
	reader = hk_inline_host_new(&wire.a.options);
	CU_ASSERT_EQUAL_FATAL(hk_inline_host_receive(reader, B_TO_A, &wire.keys[1], NULL, &error), 0);
	sealed.source = wire.a.options.local;
	sealed.destination = wire.b.options.local;
	sealed.data = first.envelope;
	sealed.length = (__u32)first.size;
	CU_ASSERT_EQUAL(hk_sealed_read(&sealed), HK_REFUSAL_NONE);
	hk_inline_host_watch(reader, &wire.keys[0], &sealed, wire.now_ns, out);
	sealed.source = wire.b.options.local;
	sealed.destination = wire.a.options.local;
	sealed.data = second.envelope;
	sealed.length = (__u32)second.size;
	CU_ASSERT_EQUAL(hk_sealed_read(&sealed), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(hk_inline_host_open(reader, &sealed, wire.now_ns, out, &opened), HK_REFUSAL_NONE);
	sealed.data = third.envelope;
	sealed.length = (__u32)third.size;
	CU_ASSERT_EQUAL(hk_sealed_read(&sealed), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(hk_inline_host_open(reader, &sealed, wire.now_ns, out, &opened), HK_REFUSAL_NONE);
	hk_inline_host_free(reader);
	wire_close(&wire);
}

/* --- the row ---------------------------------------------------------------------------------- */

static int plan_with(struct hk_speech **out, const char *name, const char *value, struct hk_error *error)
{
	const struct hk_speaker *speaker = hk_speaker_find("inline", error);
	struct hk_address local = address("192.0.2.1");
	struct hk_wishes wishes = {0};
	unsigned count, i;
	const struct hk_wish *rows = hk_wish_rows(&count);
	int status;

	CU_ASSERT_PTR_NOT_NULL_FATAL(speaker);
	for (i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			hk_wish_set(&wishes, i, value);
	status = hk_speech_plan(out, speaker, &wishes, HK_USE_TUNNEL, &local, error);
	hk_wishes_clear(&wishes);
	return status;
}

/* Options that mean nothing, and keys that a server cannot give. */
static void refused_options(void)
{
	static const char *const wrong[][2] = {{"children", "some"}, {"children", "range"},
		{"range", "192.0.2.1-192.0.2.9"}, {"lifetime", "0"}, {"lifetime", "86401"},
		{"creations", "0"}, {"next-header", "255"}, {"carrier", "pigeon"}, {"suite", "gcm"}};
	struct hk_state_place place = {.directory = "/nonexistent", .sender = "test"};
	struct hk_receiver *receiver;
	struct hk_speech *speech;
	struct hk_error error;
	unsigned i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memset(&error, 0, sizeof(error));
		CU_ASSERT_EQUAL(plan_with(&speech, wrong[i][0], wrong[i][1], &error), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, wrong[i][0]));
	}
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL_FATAL(plan_with(&speech, "children", "flow", &error), 0);
	CU_ASSERT_EQUAL(hk_receiver_new(&receiver, speech, NULL, &place, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "--keys"));
	hk_speech_end(speech);
}

int main(void)
{
	static const struct test tests[] = {
		{"a child in two packets", a_child_in_two_packets},
		{"renewals lose nothing", renewal_loses_nothing},
		{"who only receives renews too", one_way},
		{"nothing on a child past its lifetime", idle},
		{"a creation that does not fit follows alone", full_packets},
		{"a packet a second", slow},
		{"a child for each flow", flows},
		{"the limit of a secret", limited},
		{"without children", without_children},
		{"a capture of both ends", watched},
		{"options that mean nothing", refused_options},
		{0},
	};

	return run_tests_with(&crypto, NULL, "inline-host", tests);
}

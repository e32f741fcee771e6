// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a change of keys ends and what it leaves: graces, roots of levels, time
 * boxes at their edges, and changes that fail half way.
 */
#include "tests/unit/ring_help.h"

#include <time.h>

static int rotate(struct ring *ring, unsigned grace_s, const char *text)
{
	return change_with(ring, &(struct hk_key_update){.domain = &ring->box.domains[0],
					 .name = "update",
					 .text = text,
					 .rotate = true,
					 .grace_s = grace_s});
}

/* A rotation shortens what older generations have, and never gives them more. */
static void a_grace_is_no_gift(void)
{
	__u64 now = (__u64)time(NULL) + 1000;
	struct ring ring;
	char text[512];

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, TWO);
	tick(&ring, now);
	snprintf(text, sizeof(text), "slot=1 generation=1 side=enc key=" KEY("01") R1 " not-after=%llu\n",
		now + 10);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	/* the same generation in another slot is no older one */
	CU_ASSERT_EQUAL(rotate(&ring, 60, "slot=1 generation=2 side=enc key=" KEY("12") R1 "\n"), 0);
	CU_ASSERT_EQUAL(ring.result.graced, 0);
	CU_ASSERT_EQUAL(rotate(&ring, 60, "slot=1 generation=3 side=enc key=" KEY("03") R1 "\n"), 0);
	CU_ASSERT_EQUAL(ring.result.graced, 2);
	CU_ASSERT_EQUAL(tick(&ring, now + 10), 1);
	CU_ASSERT_EQUAL(ring.result.expired, 1);
	CU_ASSERT_EQUAL(tick(&ring, now + 59), 0);
	CU_ASSERT_EQUAL(tick(&ring, now + 60), 1);
	CU_ASSERT_EQUAL(ring.result.expired, 2);
	CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_KEY_EXPIRED);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_OK);
	ring_free(&ring);
}

/* Given to the box first, and rotated to afterwards: the elders end all the same. */
static void a_rotation_to_what_is_there(void)
{
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, ONE);
	CU_ASSERT_EQUAL(change(&ring, TWO), 0);
	CU_ASSERT_EQUAL(rotate(&ring, 60, TWO), 0);
	CU_ASSERT_EQUAL(ring.result.known, 1);
	CU_ASSERT_EQUAL(ring.result.graced, 1);
	CU_ASSERT_EQUAL(rotate(&ring, 60, ONE), 0);
	CU_ASSERT_EQUAL(ring.result.graced, 0);
	ring_free(&ring);
}

#define CHANGES 100000

static unsigned receiver_reason(struct ring *ring, unsigned i)
{
	char receiver[64];

	snprintf(receiver, sizeof(receiver), "2001:db8::%x:%x", i >> 16, i & 0xffff);
	return reason_at(ring, 0, receiver, 1, 0, 4);
}

/* Receivers come and go without end: each change costs a few steps, and the oldest memory gives way. */
static void receivers_come_and_go(void)
{
	struct ring ring;
	char text[512];
	__u64 steps;
	unsigned i;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc key=" KEY("01") " receiver=2001:db8::0:0\n");
	for (i = 1; i <= 200; i++) { /* until every place is taken */
		snprintf(text, sizeof(text),
			"retire slot=0 generation=1 receiver=2001:db8::0:%x\n"
			"slot=0 generation=1 side=enc key=%064x receiver=2001:db8::0:%x\n",
			i - 1, i + 1000, i);
		CU_ASSERT_EQUAL_FATAL(change(&ring, text), 0);
	}
	steps = ring.keyring->group_table.steps + ring.keyring->bytes_table.steps;
	for (; i <= CHANGES; i++) {
		snprintf(text, sizeof(text),
			"retire slot=0 generation=1 receiver=2001:db8::%x:%x\n"
			"slot=0 generation=1 side=enc key=%064x receiver=2001:db8::%x:%x\n",
			(i - 1) >> 16, (i - 1) & 0xffff, i + 1000, i >> 16, i & 0xffff);
		CU_ASSERT_EQUAL_FATAL(change(&ring, text), 0);
	}
	steps = ring.keyring->group_table.steps + ring.keyring->bytes_table.steps - steps;
	CU_ASSERT_TRUE(steps < 20ull * CHANGES);
	CU_ASSERT_EQUAL(receiver_reason(&ring, CHANGES), HK_REASON_OK);
	for (i = 1; i <= 64; i++)
		CU_ASSERT_EQUAL(receiver_reason(&ring, CHANGES - i), HK_REASON_STALE_KEY);
	CU_ASSERT_EQUAL(receiver_reason(&ring, CHANGES - 65), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
	ring_free(&ring);
}

static void a_key_goes_once(void)
{
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, ONE TWO);
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=1" R1 "\nretire slot=0 generation=1" R1 "\n"),
		-ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "update:2: retire: there is no such key"));
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 2);
	CU_ASSERT_TRUE(hk_keyring_watched(ring.keyring));
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=1" R1 "\n"), 0);
	/* one key for the slot, and nobody late any more: nothing to look out for */
	tick(&ring, (__u64)time(NULL) + HK_RETIRED_S + 5);
	CU_ASSERT_FALSE(hk_keyring_watched(ring.keyring));
	ring_free(&ring);
}

/* A salt is part of the key: with another one the place is taken by another key. */
static void another_salt_is_another_key(void)
{
	static const char line[] =
		"receiver=192.0.2.1 spi=4096 suite=ctr-hmac side=enc key=" KEY("01") " salt=";
	char text[256];
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, "");
	snprintf(text, sizeof(text), "%s00000001\n", line);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	CU_ASSERT_EQUAL(ring.result.known, 1);
	snprintf(text, sizeof(text), "%s00000002\n", line);
	CU_ASSERT_EQUAL(change(&ring, text), -EINVAL);
	ring_free(&ring);
}

/* Two domains whose levels have the same names: each combines its own roots. */
static void levels_belong_to_their_domain(void)
{
	static const char levels[2][17] = {"eu", "ops"};
	struct hk_keyring *keyring = NULL;
	struct hk_domain_config *domain;
	struct ring ring;
	unsigned i;

	memset(&ring, 0, sizeof(ring));
	box_init(&ring.box);
	for (i = 0; i < 2; i++) {
		domain = box_domain(&ring.box, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC,
			i ? "level=eu generation=1 side=enc key=" KEY(
				    "03") "\n"
					  "slot=0 generation=1 side=enc from=1/1\n"
			  : "level=eu generation=1 side=enc key=" KEY(
				    "01") "\n"
					  "level=ops generation=1 side=enc key=" KEY(
						  "02") "\n"
							"slot=0 generation=1 side=enc from=1/1\n");
		memcpy(domain->levels, levels, sizeof(levels));
		domain->levels_count = 2;
	}
	CU_ASSERT_EQUAL(
		hk_keyring_new(&keyring, ring.box.arena, &ring.box.config, &ring.box.files, &ring.box.error),
		-ENOENT);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ring.box.error.text, "1.keys:2: from=: there is no generation 1 of level 'ops'"));
	box_free(&ring.box);
}

#define ROOT(level, generation, n) "level=" level " generation=" generation " side=enc key=" KEY(n) "\n"

/* A new root ends the older ones of its own level and domain. */
static void a_root_ends_its_own_level(void)
{
	static const char levels[2][17] = {"eu", "ops"};
	struct hk_domain_config *domain;
	struct ring ring;
	unsigned i;

	memset(&ring, 0, sizeof(ring));
	box_init(&ring.box);
	for (i = 0; i < 2; i++) {
		domain = box_domain(&ring.box, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC,
			i ? ROOT("eu", "1", "03") ROOT("ops", "1", "04")
			  : ROOT("eu", "1", "01") ROOT("ops", "1", "02"));
		memcpy(domain->levels, levels, sizeof(levels));
		domain->levels_count = 2;
	}
	CU_ASSERT_EQUAL_FATAL(hk_keyring_new(&ring.keyring, ring.box.arena, &ring.box.config, &ring.box.files,
				      &ring.box.error),
		0);
	CU_ASSERT_EQUAL(rotate(&ring, 60, ROOT("eu", "2", "05")), 0);
	CU_ASSERT_EQUAL(ring.result.graced, 1);
	CU_ASSERT_EQUAL(rotate(&ring, 60, ROOT("ops", "2", "06")), 0);
	CU_ASSERT_EQUAL(ring.result.graced, 1);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 6);
	ring_free(&ring);
}

static void a_key_that_ends_now_comes_too_late(void)
{
	__u64 now = (__u64)time(NULL) + 1000;
	struct ring ring;
	char text[256];

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, ONE);
	tick(&ring, now);
	snprintf(text, sizeof(text), "slot=1 generation=2 side=enc key=" KEY("02") R1 " not-after=%llu\n",
		now);
	CU_ASSERT_EQUAL(change(&ring, text), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "update:1: not-after= is in the past"));
	snprintf(text, sizeof(text),
		"slot=1 generation=2 side=enc key=" KEY("02") R1 " not-before=%llu not-after=%llu\n", now,
		now + 1);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_OK);
	/* the clock goes back: what was opened stays open, and ends when it is to end */
	tick(&ring, now - 500);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_OK);
	tick(&ring, now + 1);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_KEY_EXPIRED);
	tick(&ring, now - 500);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_KEY_EXPIRED);
	ring_free(&ring);
}

/* A change that fails half way, in preparing or in force, leaves each key in its place. */
static void a_failed_change_leaves_no_trace(void)
{
	struct ring ring;
	unsigned last;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		ONE "receiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("09") "\n");
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=1" R1 "\nretire spi=9 version=5" R1 "\n" TWO
				      "slot=0 generation=2 side=enc key=" KEY("22") R1 "\n"),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "update:4"));
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 1, 0, 4, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 1);
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 9, 0, 5, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 9);
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=1" R1 "\nnonsense\n"), -EINVAL);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 2);
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=1" R1 "\nretire spi=9 version=5" R1 "\n"), 0);
	CU_ASSERT_EQUAL(ring.result.retired, 2);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 0);
	ring_free(&ring);
}

static void a_file_says_a_key_once(void)
{
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "");
	CU_ASSERT_EQUAL(whole(&ring, "a.keys", ONE ONE), -EINVAL);
	CU_ASSERT_EQUAL(whole(&ring, "a.keys", ONE), 0);
	CU_ASSERT_EQUAL(whole(&ring, "a.keys", ONE ONE), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "a.keys:2"));
	CU_ASSERT_EQUAL(whole(&ring, "b.keys", ONE), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "a.keys"));
	CU_ASSERT_EQUAL(whole(&ring, "a.keys", ONE), 0);
	CU_ASSERT_EQUAL(ring.result.known, 1);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
	ring_free(&ring);
}

#define FROM_BOTH "slot=0 generation=1 side=enc from=1/1" R1 "\n"

static int ring_of_levels(struct ring *ring, const char *text)
{
	static const char levels[2][17] = {"eu", "ops"};
	struct hk_domain_config *domain;

	memset(ring, 0, sizeof(*ring));
	box_init(&ring->box);
	domain = box_domain(&ring->box, HK_ENVELOPE_EESP, HK_PROFILE_SPLIT, 0, text);
	memcpy(domain->levels, levels, sizeof(levels));
	domain->levels_count = 2;
	return hk_keyring_new(
		&ring->keyring, ring->box.arena, &ring->box.config, &ring->box.files, &ring->box.error);
}

/* A combined key lives no longer, and no earlier, than each of its roots; and it is of their side. */
static void a_combined_key_lives_with_its_roots(void)
{
	static const struct {
		const char *first, *second, *own;
		unsigned not_before, not_after; /* behind `now` */
	} cases[] = {
		{" not-before=%llu not-after=%llu", "", "", 10, 40},
		{"", " not-before=%llu not-after=%llu", "", 10, 40},
		{" not-before=%llu not-after=%llu", "", " not-before=3000000000 not-after=4000000000", 0, 0},
		{"", "", " not-before=%llu not-after=%llu", 10, 40},
		{" not-before=%llu not-after=%llu", "", " not-before=1000 not-after=4000000000", 10, 40},
		{" not-before=%llu not-after=%llu", " not-before=1000 not-after=4000000000", "", 10, 40},
	};
	__u64 now = (__u64)time(NULL) + 1000;
	char format[1024], text[1024];
	struct ring ring;
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(format, sizeof(format),
			"level=eu generation=1 side=enc key=" KEY("01") "%s\nlevel=ops generation=1 side=enc "
									"key=" KEY(
										"02") "%s\nslot=0 "
										      "generation=1 side=enc "
										      "from=1/1" R1 "%s\n",
			cases[i].first, cases[i].second, cases[i].own);
		snprintf(text, sizeof(text), format, now + 10, now + 40);
		CU_ASSERT_EQUAL_FATAL(ring_of_levels(&ring, text), 0);
		if (!cases[i].not_after) { /* no time that both allow */
			tick(&ring, now + 39);
			CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_KEY_NOT_YET);
			tick(&ring, now + 40);
			CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_KEY_EXPIRED);
			ring_free(&ring);
			continue;
		}
		tick(&ring, now + cases[i].not_before - 1);
		CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_KEY_NOT_YET);
		tick(&ring, now + cases[i].not_before);
		CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_OK);
		tick(&ring, now + cases[i].not_after - 1);
		CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_OK);
		tick(&ring, now + cases[i].not_after);
		CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_KEY_EXPIRED);
		ring_free(&ring);
	}
	CU_ASSERT_EQUAL(
		ring_of_levels(&ring, ROOT("eu", "1", "01") "level=ops generation=1 side=reader key=" KEY(
					      "02") "\n" FROM_BOTH),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ring.box.error.text, "0.keys:3: from=: the root on line 2 is of the other side"));
	box_free(&ring.box);
}

/* What time was to do, and was not done, is still to be done. */
static void what_is_due_stays_due(void)
{
	__u64 now = (__u64)time(NULL) + 1000;
	struct hk_key_change *due;
	struct ring ring;
	char text[256];

	snprintf(text, sizeof(text), "slot=0 generation=1 side=enc key=" KEY("01") R1 " not-after=%llu\n",
		now);
	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, text);
	due = hk_keyring_due(ring.keyring, now);
	CU_ASSERT_PTR_NOT_NULL(due);
	hk_key_change_free(due); /* the workers did not stop for it */
	CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(tick(&ring, now), 1);
	CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_KEY_EXPIRED);
	ring_free(&ring);
}

int main(void)
{
	static const struct test tests[] = {
		{"a grace is no gift", a_grace_is_no_gift},
		{"receivers come and go", receivers_come_and_go},
		{"a rotation to what is there", a_rotation_to_what_is_there},
		{"a key goes once", a_key_goes_once},
		{"another salt is another key", another_salt_is_another_key},
		{"levels belong to their domain", levels_belong_to_their_domain},
		{"a root ends its own level", a_root_ends_its_own_level},
		{"a key that ends now comes too late", a_key_that_ends_now_comes_too_late},
		{"a failed change leaves no trace", a_failed_change_leaves_no_trace},
		{"a file says a key once", a_file_says_a_key_once},
		{"a combined key lives with its roots", a_combined_key_lives_with_its_roots},
		{"what is due stays due", what_is_due_stays_due},
		{0},
	};

	return run_tests("keyends", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The frame account and the delay queues: nothing leaks, nothing is owned twice, order is kept. */
#include "tests/unit/harness.h"

#include <halfkey/hook.h>

#include "maps/layout.h"
#include "user/dataplane/delay.h"
#include "user/dataplane/frames.h"
#include "user/dataplane/ledger.h"

#define FRAMES 64
#define SIZE   2048

static void new_account_is_all_free(void)
{
	struct hk_frames frames;

	CU_ASSERT_EQUAL_FATAL(hk_frames_init(&frames, FRAMES, SIZE), 0);
	CU_ASSERT_EQUAL(frames.count[HK_FRAME_FREE], FRAMES);
	CU_ASSERT_TRUE(hk_frames_balanced(&frames));
	hk_frames_fini(&frames);
}

static void takes_each_frame_once(void)
{
	struct hk_frames frames;
	bool seen[FRAMES] = {0};
	__u64 address;
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(hk_frames_init(&frames, FRAMES, SIZE), 0);
	for (i = 0; i < FRAMES; i++) {
		CU_ASSERT_TRUE_FATAL(hk_frames_take(&frames, HK_FRAME_KERNEL_1, &address));
		CU_ASSERT_TRUE_FATAL(address % SIZE == 0 && address / SIZE < FRAMES);
		CU_ASSERT_FALSE(seen[address / SIZE]);
		seen[address / SIZE] = true;
	}
	CU_ASSERT_FALSE(hk_frames_take(&frames, HK_FRAME_KERNEL_1, &address));
	CU_ASSERT_TRUE(hk_frames_balanced(&frames));
	hk_frames_fini(&frames);
}

static void refuses_what_the_owner_does_not_have(void)
{
	struct hk_frames frames;
	__u64 address;

	CU_ASSERT_EQUAL_FATAL(hk_frames_init(&frames, FRAMES, SIZE), 0);
	CU_ASSERT_TRUE_FATAL(hk_frames_take(&frames, HK_FRAME_KERNEL_0, &address));
	CU_ASSERT_FALSE(hk_frames_move(&frames, address, HK_FRAME_KERNEL_1, HK_FRAME_BATCH));
	CU_ASSERT_FALSE(hk_frames_move(&frames, (__u64)FRAMES * SIZE, HK_FRAME_KERNEL_0, HK_FRAME_BATCH));
	CU_ASSERT_FALSE(hk_frames_move(&frames, ~0ull, HK_FRAME_KERNEL_0, HK_FRAME_BATCH));
	CU_ASSERT_TRUE(hk_frames_move(&frames, address + 256, HK_FRAME_KERNEL_0, HK_FRAME_BATCH));
	CU_ASSERT_TRUE(hk_frames_move(&frames, address, HK_FRAME_BATCH, HK_FRAME_FREE));
	CU_ASSERT_FALSE(hk_frames_move(&frames, address, HK_FRAME_BATCH, HK_FRAME_FREE));
	CU_ASSERT_EQUAL(frames.count[HK_FRAME_FREE], FRAMES);
	CU_ASSERT_EQUAL(frames.errors, 4);
	CU_ASSERT_FALSE(hk_frames_balanced(&frames));
	hk_frames_fini(&frames);
}

/* 10^5 random moves, right and wrong ones: the counts always agree with the owners. */
static void any_walk_stays_balanced(void)
{
	struct hk_frames frames;
	__u64 seed = 7, address;
	unsigned i, from, to;

	CU_ASSERT_EQUAL_FATAL(hk_frames_init(&frames, FRAMES, SIZE), 0);
	for (i = 0; i < 100000; i++) {
		from = (unsigned)(random_next(&seed) % HK_FRAME_OWNERS);
		to = (unsigned)(random_next(&seed) % HK_FRAME_OWNERS);
		if (from == HK_FRAME_FREE) {
			if (to != HK_FRAME_FREE)
				hk_frames_take(&frames, to, &address);
			continue;
		}
		hk_frames_move(&frames, random_next(&seed) % (2 * FRAMES * SIZE), from, to);
	}
	frames.errors = 0;
	CU_ASSERT_TRUE(hk_frames_balanced(&frames));
	hk_frames_fini(&frames);
}

static void delays_in_order_and_in_time(void)
{
	static __u32 queued[HK_DELAY_CLASSES_MAX];
	struct hk_delayed packet = {0}, out;
	struct hk_delay delay;
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(hk_delay_init(&delay, FRAMES, 4, queued), 0);
	CU_ASSERT_EQUAL(hk_delay_next(&delay), ~0ull);
	for (i = 0; i < 4; i++) {
		packet.address = i;
		packet.release_ns = 100 + i / 2 * 50;
		CU_ASSERT_TRUE(hk_delay_put(&delay, i, 3, &packet));
	}
	CU_ASSERT_FALSE(hk_delay_put(&delay, 9, 3, &packet)); /* full */
	CU_ASSERT_EQUAL(queued[3], 4);
	CU_ASSERT_EQUAL(hk_delay_next(&delay), 100);
	CU_ASSERT_FALSE(hk_delay_take(&delay, 99, &out));
	for (i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(hk_delay_take(&delay, 120, &out));
		CU_ASSERT_EQUAL(out.address, i);
	}
	CU_ASSERT_FALSE(hk_delay_take(&delay, 120, &out));
	CU_ASSERT_TRUE(hk_delay_take(&delay, ~0ull, &out));
	CU_ASSERT_TRUE(hk_delay_take(&delay, ~0ull, &out));
	CU_ASSERT_EQUAL(out.address, 3);
	CU_ASSERT_EQUAL(queued[3], 0);
	CU_ASSERT_EQUAL(delay.waiting, 0);
	hk_delay_fini(&delay);
}

static void a_class_nobody_has_is_refused(void)
{
	static __u32 queued[HK_DELAY_CLASSES_MAX];
	struct hk_delayed packet = {0};
	struct hk_delay delay;

	CU_ASSERT_EQUAL_FATAL(hk_delay_init(&delay, FRAMES, 4, queued), 0);
	CU_ASSERT_FALSE(hk_delay_put(&delay, 0, HK_DELAY_CLASSES_MAX, &packet));
	CU_ASSERT_TRUE(hk_delay_put(&delay, 0, HK_DELAY_CLASSES_MAX - 1, &packet));
	hk_delay_fini(&delay);
}

/* An inspector that died with work in hand: every packet still ends under one reason. */
static void a_dead_inspector_is_settled(void)
{
	static struct hk_heartbeat beats[HK_MAP_SLOTS];
	static struct hk_handed handed[HK_MAP_SLOTS];
	struct hk_ledger *ledger = hk_ledger_new(1);
	struct hk_counts *counts;

	CU_ASSERT_PTR_NOT_NULL_FATAL(ledger);
	handed[0].packets = 1000;
	hk_ledger_begin(ledger, beats, handed, 1000);
	CU_ASSERT_EQUAL(beats[0].taken, 1000);
	handed[0].packets = 1100;
	counts = &ledger->worker[0].counts;
	counts->received = 80;
	counts->received_bytes = 8000;
	counts->reasons[HK_REASON_OK] = (struct hk_count){.packets = 70, .bytes = 7000};
	ledger->worker[0].ring_lost[0] = 5;
	beats[0].beat_ns = 123;
	beats[0].taken = 1081; /* it died before it raised the count of one */
	hk_ledger_settle(ledger, beats, handed, 1100);
	CU_ASSERT_EQUAL(counts->reasons[HK_REASON_SHUTDOWN].packets, 10);
	CU_ASSERT_EQUAL(counts->reasons[HK_REASON_SHUTDOWN].dropped, 10);
	CU_ASSERT_EQUAL(counts->reasons[HK_REASON_SHUTDOWN].bytes, 1000);
	CU_ASSERT_EQUAL(hk_ledger_lost(ledger), 20);
	CU_ASSERT_EQUAL(1100, ledger->handed_before + counts->received + hk_ledger_lost(ledger));
	CU_ASSERT_EQUAL(beats[0].taken, 1100);
	CU_ASSERT_EQUAL(beats[0].beat_ns, 0);
	hk_ledger_free(ledger);
}

int main(void)
{
	static const struct test tests[] = {
		{"a new account is all free", new_account_is_all_free},
		{"each frame is taken once", takes_each_frame_once},
		{"a move from another owner is refused and counted", refuses_what_the_owner_does_not_have},
		{"any walk stays balanced", any_walk_stays_balanced},
		{"delayed packets leave in order and in time", delays_in_order_and_in_time},
		{"a delay class that does not exist is refused", a_class_nobody_has_is_refused},
		{"a dead inspector's accounts are settled", a_dead_inspector_is_settled},
		{0},
	};

	return run_tests("frames", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every envelope through the XDP program, cut to every length and with every
 * reserved field set (tests/unit/envelope_rows.h): it counts the reason that
 * the userspace parser gives, does what that reason's policy says, and hands to
 * workers, with the same metadata, what they are to refuse or open.
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "tests/bpf/fixture.h"
#include "tests/unit/envelope_sweeps.h"

static struct fixture fixture;

static int fate_of(unsigned reason)
{
	bool dropped = hk_policy_default(hk_reason_policy(reason)) == HK_ACTION_DROP;

	return reason != HK_REASON_TO_WORKER && dropped ? XDP_DROP : XDP_REDIRECT;
}

/* The reasons that are the parser's; all others are a worker's, and XDP hands the frame over. */
static unsigned expected(
	const struct row_scene *scene, const __u8 *frame, __u32 length, unsigned reason, struct hk_meta *meta)
{
	unsigned parsed = hk_outer_parse(scene->box.outer, frame, length, 0, meta);

	return parsed == HK_REASON_TO_WORKER ? parsed : reason;
}

static void run(struct row_scene *scene, const __u8 *frame, __u32 length, unsigned reason, unsigned what)
{
	struct hk_counter_value before, after;
	struct outcome outcome;
	struct hk_meta meta;

	reason = expected(scene, frame, length, reason, &meta);
	fixture.handed[HK_MAP_SLOT(0, 0)].packets = 0;
	before = fixture_counter(&fixture, reason);
	CU_ASSERT_EQUAL_FATAL(fixture_run(&fixture, frame, length, 0, 0, &outcome), 0);
	after = fixture_counter(&fixture, reason);
	if (after.packets != before.packets + 1)
		printf("# %s, 0x%x: not counted as %s\n", scene->row->name, what, hk_reason_name(reason));
	CU_ASSERT_EQUAL(after.packets, before.packets + 1);
	CU_ASSERT_EQUAL(after.bytes, before.bytes + length);
	CU_ASSERT_EQUAL(after.dropped, before.dropped + (fate_of(reason) == XDP_DROP));
	CU_ASSERT_EQUAL(outcome.fate, fate_of(reason));
	CU_ASSERT_EQUAL(outcome.has_meta, reason == HK_REASON_TO_WORKER);
	if (outcome.has_meta)
		CU_ASSERT_EQUAL(memcmp(&outcome.meta, &meta, sizeof(meta)), 0);
	CU_ASSERT(outcome.length == length && memcmp(outcome.frame, frame, length) == 0);
}

static void each_row(void (*each)(struct row_scene *scene, row_run *run))
{
	static struct row_scene scene;
	unsigned reason;
	size_t i;

	fixture_reset(&fixture);
	for (reason = 0; reason < HK_REASON_COUNT; reason++)
		fixture_policy(&fixture, reason, hk_policy_default(hk_reason_policy(reason)));
	for (i = 0; i < ENVELOPE_ROWS; i++) {
		row_begin(&scene, &envelope_rows[i]);
		CU_ASSERT_EQUAL_FATAL(fixture_receivers(&fixture, &scene.box.config), 0);
		each(&scene, run);
		row_end(&scene);
	}
}

/* So no frame was counted under a second reason, too. */
static void conservation(void)
{
	struct totals totals;
	__u64 packets = 0;
	unsigned row;

	fixture_totals(&fixture, &totals);
	for (row = 0; row < HK_REASON_COUNT; row++)
		packets += totals.rows[row].packets;
	CU_ASSERT(packets > 5000);
	CU_ASSERT_EQUAL(totals.rows[HK_COUNTER_RECEIVED].packets, packets);
}

int main(void)
{
	static const struct test tests[] = {
		{"cut to every length", cut_to_every_length},
		{"every reserved field", reserved_fields},
		{"frames and datagrams that end too early", stumps},
		{"each frame was counted once", conservation},
		{0},
	};
	int status;

	if (fixture_start(&fixture, "xdp envelopes"))
		return 0;
	status = run_tests("xdp envelopes", tests);
	fixture_stop(&fixture);
	return status;
}

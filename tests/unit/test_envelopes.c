// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every envelope, cut to every length and with every reserved field set: parser
 * and worker together give the one right reason, count it once, and do what its
 * policy says. Frames lie in memory of exactly their size, for the sanitizers.
 */
#include "tests/unit/envelope_rows.h"

static struct hk_fate run_worker(struct row_scene *scene, const __u8 *bytes, __u32 length, unsigned *reason)
{
	__u8 *copy = malloc(length);
	struct hk_frame frame = {.data = copy, .length = length, .wall_ns = 1700000000000000000ull};
	struct hk_fate fate = {0};

	memcpy(copy, bytes, length);
	*reason = hk_outer_parse(scene->box.outer, copy, length, 0, &frame.meta);
	if (*reason == HK_REASON_TO_WORKER) {
		hk_pipeline_run(
			scene->box.pipeline, scene->box.inspection, &frame, 1, scene->box.now_ns, &fate);
		*reason = fate.reason;
		CU_ASSERT_EQUAL(fate.action,
			fate.reason == HK_REASON_OK ? HK_ACTION_PASS : scene->box.config.policy[fate.reason]);
	}
	CU_ASSERT_EQUAL(memcmp(copy, bytes, length), 0);
	free(copy);
	return fate;
}

static void run(struct row_scene *scene, const __u8 *bytes, __u32 length, unsigned wanted, unsigned what)
{
	struct hk_fate fate;
	unsigned reason;

	fate = run_worker(scene, bytes, length, &reason);
	if (reason != wanted)
		printf("# %s, 0x%x: %s, not %s\n", scene->row->name, what, hk_reason_name(reason),
			hk_reason_name(wanted) ? hk_reason_name(wanted) : "-");
	CU_ASSERT_EQUAL(reason, wanted);
	CU_ASSERT_EQUAL(fate.opened, reason == HK_REASON_OK);
}

static void each_row(void (*each)(struct row_scene *scene, row_run *run))
{
	static struct row_scene scene;
	size_t i;

	for (i = 0; i < ENVELOPE_ROWS; i++) {
		row_begin(&scene, &envelope_rows[i]);
		each(&scene, run);
		row_end(&scene);
	}
}

static void cut_to_every_length(void)
{
	each_row(row_each_cut);
}

static void reserved_fields(void)
{
	each_row(row_each_flip);
}

static void stumps(void)
{
	each_row(row_each_stump);
}

int main(void)
{
	static const struct test tests[] = {
		{"cut to every length", cut_to_every_length},
		{"every reserved field", reserved_fields},
		{"frames and datagrams that end too early", stumps},
		{0},
	};

	return run_tests("envelopes", tests);
}

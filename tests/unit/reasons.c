// SPDX-License-Identifier: GPL-2.0-or-later
/* The reasons a test program met: see reasons.h. */
#include "tests/unit/reasons.h"

#include <stdbool.h>
#include <stdio.h>

#include <halfkey/reason.h>

#include "user/base/text.h"
#include "user/envelope/outer.h"
#include "user/pipeline/pipeline.h"

static bool met[HK_REASON_COUNT];

/* The linker's names for what it wraps. NOLINTBEGIN(bugprone-reserved-identifier) */
unsigned __real_hk_outer_parse(
	const struct hk_outer *outer, const __u8 *frame, __u32 length, unsigned port, struct hk_meta *meta);
unsigned __wrap_hk_outer_parse(
	const struct hk_outer *outer, const __u8 *frame, __u32 length, unsigned port, struct hk_meta *meta);
void __real_hk_pipeline_run(struct hk_pipeline *pipeline, struct hk_inspection *inspection,
	const struct hk_frame *frames, unsigned count, __u64 now_ns, struct hk_fate *fates);
void __wrap_hk_pipeline_run(struct hk_pipeline *pipeline, struct hk_inspection *inspection,
	const struct hk_frame *frames, unsigned count, __u64 now_ns, struct hk_fate *fates);

void reason_met(unsigned reason)
{
	if (reason < HK_REASON_COUNT)
		met[reason] = true;
}

unsigned __wrap_hk_outer_parse(
	const struct hk_outer *outer, const __u8 *frame, __u32 length, unsigned port, struct hk_meta *meta)
{
	unsigned reason = __real_hk_outer_parse(outer, frame, length, port, meta);

	reason_met(reason);
	return reason;
}

void __wrap_hk_pipeline_run(struct hk_pipeline *pipeline, struct hk_inspection *inspection,
	const struct hk_frame *frames, unsigned count, __u64 now_ns, struct hk_fate *fates)
{
	unsigned i;

	__real_hk_pipeline_run(pipeline, inspection, frames, count, now_ns, fates);
	for (i = 0; i < count && i < HK_PIPELINE_BATCH; i++)
		reason_met(fates[i].reason);
}
/* NOLINTEND(bugprone-reserved-identifier) */

__attribute__((destructor)) static void print_met(void)
{
	unsigned reason;
	bool any = false;

	for (reason = 0; reason < HK_REASON_COUNT; reason++) {
		if (!met[reason] || !hk_reason_name(reason))
			continue;
		printf("%s%s", any ? " " : "# met: ", hk_reason_name(reason));
		any = true;
	}
	if (any)
		printf("\n");
	fflush(stdout);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of each frame: from reason and verdicts to the action the
 * worker carries out, and to what the kernel's verdict cache should know.
 */
#include "user/pipeline/internal.h"

#include <string.h>

#include <halfkey/reason.h>

static unsigned action_of(const struct hk_config *config, unsigned reason)
{
	if (reason == HK_REASON_OK)
		return HK_ACTION_PASS;
	switch (reason) {
	case HK_REASON_FLOW_ACCEPT: return HK_ACTION_PASS;
	case HK_REASON_HOOK_DROP:
	case HK_REASON_FLOW_DROP: return HK_ACTION_DROP;
	default: return config->policy[reason];
	}
}

/*
 * One flow an SPI: the flow's verdict is the SPI's, and the kernel can act on
 * it. Wished once for each SPI; the flow table goes on deciding until then. A
 * datagram that begins with a record in the clear has none: what the kernel was
 * told of it would hold for every such datagram of the two hosts.
 */
static void wish_kernel(struct hk_pipeline *pipeline, const struct hk_parsed *parsed, struct hk_fate *fate)
{
	const struct hk_opening *opening = &pipeline->openings[parsed->frame];
	struct hk_flow *flow = parsed->flow;
	__u64 left;
	unsigned verdict;

	if (!flow || flow->verdict_until_ns <= pipeline->now_ns || !opening->domain->flow_per_spi ||
		!opening->meta->spi)
		return;
	verdict = hk_flow_verdict(flow, opening->auth, pipeline->now_ns);
	if (verdict == HK_FLOW_NO_VERDICT || flow->told_spi[parsed->flow_direction] == opening->meta->spi)
		return;
	left = (flow->verdict_until_ns - pipeline->now_ns) / 1000000;
	fate->kernel_lifetime_ms = left ? (__u32)left : 1;
	fate->kernel_verdict = (__u8)verdict;
	flow->told_spi[parsed->flow_direction] = opening->meta->spi;
}

static void decide_opened(struct hk_pipeline *pipeline, unsigned place, struct hk_fate *fate)
{
	const struct hk_hook_packet *packet = hk_pipeline_packet(pipeline, place);
	const struct hk_opening *opening = &pipeline->openings[pipeline->parsed[place].frame];

	fate->opened = 1;
	fate->auth = opening->auth;
	fate->not_ip = opening->not_ip;
	fate->inner = opening->inner;
	fate->inner_length = packet->data_length;
	wish_kernel(pipeline, &pipeline->parsed[place], fate);
	if (packet->verdict != HK_VERDICT_DELAY ||
		(fate->reason != HK_REASON_OK && fate->reason != opening->part_refused))
		return;
	fate->delay_class = packet->delay_class;
	fate->release_ns = packet->release_ns ? packet->release_ns : 1;
}

void hk_pipeline_decide(struct hk_pipeline *pipeline, struct hk_fate *fates)
{
	unsigned i;

	for (i = 0; i < pipeline->count; i++) {
		fates[i] = (struct hk_fate){.reason = pipeline->reasons[i]};
		fates[i].action = (__u8)action_of(pipeline->inspection->config, pipeline->reasons[i]);
		if (pipeline->place[i] != HK_PIPELINE_NOBODY)
			decide_opened(pipeline, pipeline->place[i], &fates[i]);
	}
}

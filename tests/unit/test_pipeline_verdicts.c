// SPDX-License-Identifier: GPL-2.0-or-later
/* What hooks decide in the pipeline, and what force it has: packets, flows, the kernel. */
#include "tests/unit/envelope_scene.h"
#include "tests/unit/pipeline_help.h"

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

int main(void)
{
	static const struct test tests[] = {
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
		{"payloads that are no IP packets", payloads_that_are_no_packets},
		{0},
	};
	return run_tests("pipeline verdicts", tests);
}

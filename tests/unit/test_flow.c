// SPDX-License-Identifier: GPL-2.0-or-later
/* The inner-flow table: bounds, eviction, tentative state, verdicts and their strength, lifetimes. */
#include <stdlib.h>

#include "tests/unit/harness.h"
#include "tests/unit/inner_help.h"
#include "user/pipeline/flow.h"

#define SECOND 1000000000ull
#define T0     (1000 * SECOND)

struct ended {
	unsigned count, evicted;
	struct hk_flow last;
};

static void on_end(void *context, struct hk_flow *flow, bool evicted)
{
	struct ended *ended = context;

	ended->count++;
	ended->evicted += evicted;
	ended->last = *flow;
}

struct one {
	struct hk_hook_packet packet;
	struct hk_flow_key key;
	__u64 hash;
	__u8 swapped;
};

static void packet_of(struct one *one, __u16 port, bool back)
{
	__u8 data[128];
	__u32 length = make_udp(data, 4, port, 53, 10);

	if (back)
		turn_around(data);
	memset(one, 0, sizeof(*one));
	CU_ASSERT_EQUAL_FATAL(hk_packet_parse(data, length, &one->packet), 0);
	one->hash = hk_packet_flow(data, &one->packet, &one->key, &one->swapped);
}

static struct hk_flow *see(struct hk_flow_table *table, const struct one *one, __u64 now)
{
	struct hk_flow *flow = hk_flow_get(table, &one->key, one->hash, HK_FLOW_NO_PLACE, now);

	if (!flow->record.packets[0])
		flow->swapped = one->swapped;
	hk_flow_count_packet(flow, one->swapped != flow->swapped, &one->packet, now, now + 5);
	return flow;
}

static void both_directions_are_counted(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(64, on_end, &ended);
	struct one there, back;
	struct hk_flow *flow;

	packet_of(&there, 1000, false);
	packet_of(&back, 1000, true);
	flow = see(table, &there, T0);
	CU_ASSERT_FALSE(flow->record.answered);
	CU_ASSERT_PTR_EQUAL(see(table, &there, T0 + 1), flow);
	CU_ASSERT_PTR_EQUAL(see(table, &back, T0 + 2), flow);
	CU_ASSERT_TRUE(flow->record.answered);
	CU_ASSERT_EQUAL(flow->record.packets[0], 2);
	CU_ASSERT_EQUAL(flow->record.packets[1], 1);
	CU_ASSERT_EQUAL(flow->record.bytes[0], 76);
	CU_ASSERT_EQUAL(flow->record.first_ns, T0 + 5);
	CU_ASSERT_EQUAL(flow->record.last_ns, T0 + 7);
	CU_ASSERT_EQUAL(hk_flow_count(table), 1);
	hk_flow_end_all(table);
	CU_ASSERT_EQUAL(ended.count, 1);
	CU_ASSERT_EQUAL(ended.evicted, 0);
	CU_ASSERT_EQUAL(hk_flow_count(table), 0);
	hk_flow_table_free(table);
}

static void the_table_never_grows(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(64, on_end, &ended);
	struct one one;
	unsigned i;

	for (i = 0; i < 5000; i++) {
		packet_of(&one, (__u16)(i + 1), false);
		see(table, &one, T0 + i);
		CU_ASSERT_TRUE(hk_flow_count(table) <= 64);
	}
	CU_ASSERT_EQUAL(ended.evicted, 5000 - hk_flow_count(table));
	CU_ASSERT_EQUAL(ended.count, ended.evicted);
	hk_flow_table_free(table);
}

/* One bucket: strangers push out strangers, never a flow that answered while there are others. */
static void strangers_leave_first(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(8, on_end, &ended);
	struct one kept, back, dropped, one;
	unsigned i;

	packet_of(&kept, 1, false);
	packet_of(&back, 1, true);
	packet_of(&dropped, 2, false);
	see(table, &kept, T0);
	see(table, &back, T0);
	hk_flow_decide(see(table, &dropped, T0), HK_VERDICT_DROP, HK_AUTH_VERIFIED, 60000, T0);
	for (i = 3; i < 100; i++) {
		packet_of(&one, (__u16)i, false);
		see(table, &one, T0 + i);
	}
	CU_ASSERT_EQUAL(hk_flow_count(table), 8);
	CU_ASSERT_EQUAL(see(table, &kept, T0 + 200)->record.packets[0], 2);
	CU_ASSERT_EQUAL(
		hk_flow_verdict(see(table, &dropped, T0 + 200), HK_AUTH_NONE, T0 + 200), HK_VERDICT_DROP);
	hk_flow_table_free(table);
}

/* Ended before answered before judged, and of each kind the one that was silent longest. */
static void who_gives_way(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(8, on_end, &ended);
	struct one one, back;
	unsigned i;

	packet_of(&one, 1, false);
	hk_flow_decide(see(table, &one, T0), HK_VERDICT_DROP, HK_AUTH_VERIFIED, 1000, T0);
	for (i = 2; i <= 8; i++) {
		packet_of(&one, (__u16)i, false);
		packet_of(&back, (__u16)i, true);
		if (i == 8) {
			one.packet.protocol = back.packet.protocol = IPPROTO_TCP;
			one.packet.tcp_flags = back.packet.tcp_flags = 0x01;
		}
		see(table, &one, T0 + i * 8);
		see(table, &back, T0 + i * 8);
	}
	CU_ASSERT_EQUAL(ended.count, 0);
	for (i = 9; i <= 10; i++) { /* the closed one, then the stranger that took its place */
		packet_of(&one, (__u16)i, false);
		see(table, &one, T0 + i * 8);
		CU_ASSERT_EQUAL(ended.evicted, i - 8);
		CU_ASSERT_EQUAL(ended.last.key.low_port + ended.last.key.high_port, 53 + i - 1);
	}
	packet_of(&back, 10, true); /* now all have answered but the one with a verdict */
	see(table, &back, T0 + 88);
	packet_of(&one, 11, false);
	see(table, &one, T0 + 96);
	CU_ASSERT_EQUAL(ended.last.key.low_port + ended.last.key.high_port, 53 + 2);
	packet_of(&back, 11, true);
	see(table, &back, T0 + 104);
	/* a verdict that is over keeps nobody */
	packet_of(&one, 12, false);
	see(table, &one, T0 + SECOND);
	CU_ASSERT_EQUAL(ended.last.key.low_port + ended.last.key.high_port, 53 + 1);
	CU_ASSERT_EQUAL(ended.evicted, 4);
	CU_ASSERT_EQUAL(hk_flow_evictions(table), 4);
	hk_flow_end_all(table);
	CU_ASSERT_EQUAL(ended.count, 4 + 8);
	hk_flow_table_free(table);
}

/* A place is a hint from before the batch: it may be another flow's by now, or nobody's. */
static void places_are_hints(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(8, on_end, &ended);
	struct one one, other;
	struct hk_flow *flow;
	__u32 place;

	packet_of(&one, 1, false);
	packet_of(&other, 2, false);
	CU_ASSERT_EQUAL(hk_flow_prefetch_named(table, one.hash), HK_FLOW_NO_PLACE);
	flow = see(table, &one, T0);
	see(table, &other, T0);
	place = hk_flow_prefetch_named(table, one.hash);
	CU_ASSERT_NOT_EQUAL_FATAL(place, HK_FLOW_NO_PLACE);
	CU_ASSERT_PTR_EQUAL(hk_flow_get(table, &one.key, one.hash, place, T0), flow);
	CU_ASSERT_PTR_EQUAL(hk_flow_get(table, &other.key, other.hash, place, T0), see(table, &other, T0));
	CU_ASSERT_EQUAL(hk_flow_count(table), 2);
	hk_flow_end_all(table);
	CU_ASSERT_EQUAL(hk_flow_prefetch_named(table, one.hash), HK_FLOW_NO_PLACE);
	flow = hk_flow_get(table, &one.key, one.hash, place, T0 + 1);
	CU_ASSERT_EQUAL(hk_flow_count(table), 1);
	CU_ASSERT_EQUAL(flow->record.packets[0], 0); /* begun anew */
	CU_ASSERT_EQUAL(flow->last_ns, T0 + 1);
	hk_flow_table_free(table);
}

static void an_unauthenticated_accept_is_ignored(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(8, on_end, &ended);
	struct one there, back;
	struct hk_flow *flow;

	packet_of(&there, 1, false);
	packet_of(&back, 1, true);
	see(table, &there, T0);
	flow = see(table, &back, T0);
	hk_flow_decide(flow, HK_VERDICT_ACCEPT, HK_AUTH_NONE, 60000, T0);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, T0), HK_FLOW_NO_VERDICT);
	hk_flow_decide(flow, HK_VERDICT_ACCEPT, HK_AUTH_VERIFIED, 60000, T0);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_VERIFIED, T0), HK_VERDICT_ACCEPT);
	/* a verified accept does not let an unverified packet of the same flow pass */
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, T0), HK_FLOW_NO_VERDICT);
	hk_flow_table_free(table);
}

static void an_unauthenticated_drop_waits_for_the_answer(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(8, on_end, &ended);
	struct one there, back;
	struct hk_flow *flow;

	packet_of(&there, 1, false);
	packet_of(&back, 1, true);
	flow = see(table, &there, T0);
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_NONE, 60000, T0);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, T0), HK_FLOW_NO_VERDICT);
	see(table, &back, T0 + 1);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, T0 + 1), HK_VERDICT_DROP);
	hk_flow_table_free(table);
}

static void verdicts_end_and_never_weaken(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(8, on_end, &ended);
	struct one one;
	struct hk_flow *flow;

	packet_of(&one, 1, false);
	flow = see(table, &one, T0);
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_VERIFIED, 1000, T0);
	hk_flow_decide(flow, HK_VERDICT_ACCEPT, HK_AUTH_VERIFIED, 60000, T0);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_VERIFIED, T0), HK_VERDICT_DROP);
	/* the same verdict again for less time does not shorten it */
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_NONE, 1, T0);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_VERIFIED, T0 + SECOND - 1), HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_VERIFIED, T0 + SECOND), HK_FLOW_NO_VERDICT);
	hk_flow_decide(flow, HK_VERDICT_ACCEPT, HK_AUTH_VERIFIED, 1000, T0 + SECOND);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_VERIFIED, T0 + SECOND), HK_VERDICT_ACCEPT);
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_VERIFIED, 1000, T0 + SECOND);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_VERIFIED, T0 + SECOND), HK_VERDICT_DROP);
	hk_flow_table_free(table);
}

/* Each verdict has the time it was given, up to a day, and what it was based on. */
static void a_verdict_has_its_own_time(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(8, on_end, &ended);
	__u64 now = T0, day = 86400 * SECOND;
	struct hk_flow *flow;
	struct one one;

	packet_of(&one, 1, false);
	flow = see(table, &one, now);
	hk_flow_decide(
		flow, HK_VERDICT_DELAY, HK_AUTH_VERIFIED, 60000, now); /* of one packet, not of a flow */
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_VERIFIED, now), HK_FLOW_NO_VERDICT);
	hk_flow_decide(flow, HK_VERDICT_ACCEPT, HK_AUTH_VERIFIED, 60000, now);
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_VERIFIED, 1000, now); /* not the accept's minute */
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, now + SECOND - 1), HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, now + SECOND), HK_FLOW_NO_VERDICT);
	now += SECOND;
	/* the verified one is over: an unverified one is no stronger for it, nor for the accept before */
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_NONE, 1000, now);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, now), HK_FLOW_NO_VERDICT);
	now += SECOND;
	hk_flow_decide(flow, HK_VERDICT_ACCEPT, HK_AUTH_VERIFIED, 1000, now);
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_NONE, 1000, now);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, now), HK_FLOW_NO_VERDICT);
	now += SECOND;
	hk_flow_decide(flow, HK_VERDICT_DROP, HK_AUTH_VERIFIED, 0xffffffff, now);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, now + day - 1), HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(hk_flow_verdict(flow, HK_AUTH_NONE, now + day), HK_FLOW_NO_VERDICT);
	hk_flow_table_free(table);
}

static void sweep_for(struct hk_flow_table *table, __u64 from, unsigned seconds)
{
	unsigned i;

	for (i = 0; i <= seconds * 10; i++)
		hk_flow_sweep(table, from + i * SECOND / 10);
}

static void idle_flows_end(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(64, on_end, &ended);
	struct one stranger, there, back, dropped;

	packet_of(&stranger, 1, false);
	packet_of(&there, 2, false);
	packet_of(&back, 2, true);
	packet_of(&dropped, 3, false);
	see(table, &stranger, T0);
	see(table, &there, T0);
	see(table, &back, T0);
	hk_flow_decide(see(table, &dropped, T0), HK_VERDICT_DROP, HK_AUTH_VERIFIED, 600000, T0);
	sweep_for(table, T0, 29);
	CU_ASSERT_EQUAL(ended.count, 0);
	sweep_for(table, T0 + 29 * SECOND, 5);
	CU_ASSERT_EQUAL(ended.count, 1);
	CU_ASSERT_EQUAL(ended.last.key.low_port + ended.last.key.high_port, 1 + 53);
	sweep_for(table, T0 + 34 * SECOND, 280);
	CU_ASSERT_EQUAL(ended.count, 2);
	/* a verdict in force keeps its flow */
	CU_ASSERT_EQUAL(hk_flow_count(table), 1);
	sweep_for(table, T0 + 590 * SECOND, 20);
	CU_ASSERT_EQUAL(ended.count, 3);
	CU_ASSERT_EQUAL(ended.evicted, 0);
	hk_flow_table_free(table);
}

/* To the nanosecond: who is over when `limit` has passed since `from`, and not before. */
static bool ends_behind(struct hk_flow_table *table, const struct ended *ended, __u64 from, __u64 limit)
{
	unsigned before = ended->count, i;
	bool early;

	for (i = 0; i < 2; i++) /* the first call may look at a part only; the second is a period later */
		hk_flow_sweep(table, from + limit - SECOND + i * SECOND);
	early = ended->count != before;
	hk_flow_sweep(table, from + limit + SECOND);
	return !early && ended->count == before + 1;
}

static void each_kind_has_its_limit(void)
{
	static const struct {
		__u8 there, back, protocol;
		unsigned seconds;
		bool answers;
	} rows[] = {
		{0, 0, IPPROTO_UDP, 30, false},
		{0, 0, IPPROTO_UDP, 300, true},
		{0x05, 0x05, IPPROTO_UDP, 300, true}, /* these flags are none of UDP's */
		{0x01, 0x10, IPPROTO_TCP, 300, true}, /* half closed */
		{0x10, 0x01, IPPROTO_TCP, 300, true},
		{0x01, 0x01, IPPROTO_TCP, 5, true},
		{0x10, 0x04, IPPROTO_TCP, 5, true},
		{0x04, 0, IPPROTO_TCP, 5, false},
	};
	struct ended ended = {0};
	struct hk_flow_table *table;
	struct one one, back;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		table = hk_flow_table_new(64, on_end, &ended);
		packet_of(&one, 1, false);
		packet_of(&back, 1, true);
		one.packet.protocol = back.packet.protocol = rows[i].protocol;
		one.packet.tcp_flags = rows[i].there;
		back.packet.tcp_flags = rows[i].back;
		see(table, &one, T0);
		if (rows[i].answers)
			see(table, &back, T0);
		/* what was said once stays said, and silence begins with the last packet */
		one.packet.tcp_flags = back.packet.tcp_flags = 0x10;
		see(table, &one, T0 + 4 * SECOND);
		CU_ASSERT_TRUE(ends_behind(table, &ended, T0 + 4 * SECOND, rows[i].seconds * SECOND));
		hk_flow_table_free(table);
	}
}

/* In about a period every bucket is looked at, however short the steps. */
static void a_period_reaches_all(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(4096, on_end, &ended);
	struct one one;
	unsigned i, all;

	for (i = 0; i < 2000; i++) {
		packet_of(&one, (__u16)(i + 1), false);
		see(table, &one, T0);
	}
	hk_flow_sweep(table, T0);
	hk_flow_sweep(table, T0 + 30 * SECOND);
	all = hk_flow_count(table);
	CU_ASSERT_EQUAL(ended.count, ended.evicted);
	for (i = 1; i <= 500; i++) /* a part of one bucket each: the parts add up, and no more than them */
		hk_flow_sweep(table, T0 + 30 * SECOND + i * SECOND / 1000);
	CU_ASSERT_TRUE(hk_flow_count(table) > all / 4 && hk_flow_count(table) < all * 3 / 4);
	for (; i <= 1100; i++)
		hk_flow_sweep(table, T0 + 30 * SECOND + i * SECOND / 1000);
	CU_ASSERT_EQUAL(hk_flow_count(table), 0);
	hk_flow_table_free(table);
}

static void closed_connections_end_soon(void)
{
	struct ended ended = {0};
	struct hk_flow_table *table = hk_flow_table_new(64, on_end, &ended);
	struct one there, back;

	packet_of(&there, 2, false);
	packet_of(&back, 2, true);
	there.packet.protocol = back.packet.protocol = IPPROTO_TCP;
	there.packet.tcp_flags = 0x11;
	back.packet.tcp_flags = 0x11;
	see(table, &there, T0);
	see(table, &back, T0);
	sweep_for(table, T0, 10);
	CU_ASSERT_EQUAL(ended.count, 1);
	CU_ASSERT_EQUAL(ended.last.record.tcp_flags[1], 0x11);
	hk_flow_table_free(table);
}

int main(void)
{
	static const struct test tests[] = {
		{"both directions are counted", both_directions_are_counted},
		{"the table never grows", the_table_never_grows},
		{"strangers leave first", strangers_leave_first},
		{"who gives way", who_gives_way},
		{"places are hints", places_are_hints},
		{"an unauthenticated accept is ignored", an_unauthenticated_accept_is_ignored},
		{"an unauthenticated drop waits for the answer",
			an_unauthenticated_drop_waits_for_the_answer},
		{"verdicts end and never weaken", verdicts_end_and_never_weaken},
		{"a verdict has its own time", a_verdict_has_its_own_time},
		{"each kind has its limit", each_kind_has_its_limit},
		{"a period reaches all", a_period_reaches_all},
		{"idle flows end", idle_flows_end},
		{"closed connections end soon", closed_connections_end_soon},
		{0},
	};
	return run_tests("flow", tests);
}

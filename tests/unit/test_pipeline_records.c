// SPDX-License-Identifier: GPL-2.0-or-later
/* What the pipeline hands to the feeds, and what it notices on the way. */
#include "tests/unit/pipeline_help.h"

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

static bool is_address(const struct hk_address *is, const char *text)
{
	struct hk_address wanted = address(text);

	return memcmp(is, &wanted, sizeof(wanted)) == 0;
}

static void records_tell_inner_and_outer(void)
{
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
	CU_ASSERT(is_address(&record.outer_src, "192.0.2.1") && is_address(&record.outer_dst, "192.0.2.9"));
	CU_ASSERT(is_address(&record.inner_src, "10.1.0.1") && is_address(&record.inner_dst, "10.1.0.2"));
	CU_ASSERT(record.has_inner && record.inner_version == 4 && record.inner_protocol == IPPROTO_UDP);
	CU_ASSERT_EQUAL(record.outer_protocol, IPPROTO_UDP);
	CU_ASSERT(record.envelope == HK_ENVELOPE_PSP && record.domain == 0 && record.spi == 5);
	pair_send(&pair, 1, false);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_EVENT, &record), 1);
	CU_ASSERT_EQUAL(record.event.sid, 1001);
	CU_ASSERT_EQUAL(record.hook, 0);
	wanted_verdict = HK_VERDICT_DROP;
	pair_send(&pair, 1, true);
	CU_ASSERT_EQUAL(records(&pair.talk.box, HK_RECORD_DROP, &record), 1);
	CU_ASSERT_EQUAL(record.reason, HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(record.rule, 17);
	CU_ASSERT(is_address(&record.inner_src, "10.1.0.2") && is_address(&record.inner_dst, "10.1.0.1"));
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
		{"nonces that repeat are an anomaly", nonces_that_repeat_are_an_anomaly},
		{"records tell inner and outer", records_tell_inner_and_outer},
		{"a full queue loses and counts", a_full_queue_loses_and_counts},
		{0},
	};
	return run_tests("pipeline records", tests);
}

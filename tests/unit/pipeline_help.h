/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline from frame to fate, for its tests: a box, hosts that talk through
 * it, and a hook chain of one hook, which is a function of the test, so that the
 * core stands alone.
 */
#ifndef TESTS_UNIT_PIPELINE_HELP_H
#define TESTS_UNIT_PIPELINE_HELP_H

#include "tests/unit/box_help.h"
#include "tests/unit/inner_help.h"
#include "user/crypto/kdf.h"

/* --- a hook chain of one hook, which is a function of the test ---------------------------------- */

struct hk_hook_chain {
	int unused;
};

static struct hk_hook_chain the_chain;
static bool hook_is_per_packet;
static int (*the_hook)(struct hk_hook_batch *batch);
static unsigned hook_packets __attribute__((unused)); /* that the hook was shown */

int hk_hook_chain_new(struct hk_hook_chain **out, const struct hk_config *config,
	const struct hk_files *files, unsigned workers, struct hk_error *error)
{
	(void)config, (void)files, (void)workers, (void)error;
	*out = &the_chain;
	return 0;
}

void hk_hook_chain_adopt(struct hk_hook_chain *now, struct hk_hook_chain *previous)
{
	(void)now, (void)previous;
}

void hk_hook_chain_free(struct hk_hook_chain *chain)
{
	(void)chain;
}

unsigned hk_hook_chain_length(const struct hk_hook_chain *chain)
{
	(void)chain;
	return the_hook ? 1 : 0;
}

unsigned hk_hook_chain_classes(const struct hk_hook_chain *chain)
{
	(void)chain;
	return 4;
}

bool hk_hook_chain_flow_verdicts(const struct hk_hook_chain *chain)
{
	(void)chain;
	return !hook_is_per_packet;
}

int hk_hook_chain_run(struct hk_hook_chain *chain, unsigned worker, struct hk_hook_batch *batch,
	struct hk_counts *counts, __u8 *decided, __u8 *reported)
{
	unsigned i;

	(void)chain, (void)worker, (void)counts;
	hook_packets += batch->packet_count;
	if (the_hook(batch))
		return 1;
	for (i = 0; i < batch->packet_count; i++)
		if (hk_hook_packet(batch, i)->verdict)
			decided[i] = 0;
	for (i = 0; i < batch->event_count; i++)
		reported[i] = 0;
	return 0;
}

/* --- a box and the hosts that talk through it --------------------------------------------------- */

static const char *const backends[] = {"ipsec-mb", "libcrypto"};
#define BACKENDS 2

struct talk {
	struct box box;
	struct hk_crypto *crypto;
	struct master master[2]; /* by slot */
	__u64 iv;
};

/* Keys of both slots: for 192.0.2.9 and (another pair) 2001:db8::9 in PSP, for the domain in ESP. */
static inline void talk_keys(struct talk *talk, char *text, size_t room, unsigned envelope, bool split)
{
	char front[128];
	unsigned slot;

	text[0] = '\0';
	for (slot = 0; slot < 2; slot++) {
		snprintf(front, sizeof(front), "slot=%u generation=1 side=%s%s", slot,
			split ? "enc" : "single", envelope == HK_ENVELOPE_PSP ? " receiver=192.0.2.9" : "");
		key_line(text, room, front, talk->master[slot].enc);
	}
}

static inline void talk_init(struct talk *talk, unsigned envelope, unsigned profile, unsigned suite)
{
	__u64 seed = 42;
	char keys[1024];

	memset(talk, 0, sizeof(*talk));
	talk->crypto = hk_crypto_new(NULL);
	master_random(&talk->master[0], &seed);
	master_random(&talk->master[1], &seed);
	box_init(&talk->box);
	talk_keys(talk, keys, sizeof(keys), envelope, profile == HK_PROFILE_SPLIT);
	box_domain(&talk->box, envelope, profile, suite, keys);
	the_hook = NULL;
	hook_packets = 0;
}

static inline void talk_build(struct talk *talk, const char *backend)
{
	CU_ASSERT_EQUAL_FATAL(box_build(&talk->box, backend, BOX_FRAME, 1 << 20), 0);
	hk_feed_queue_want(talk->box.queue, ~0u);
}

static inline void talk_free(struct talk *talk)
{
	box_free(&talk->box);
	hk_crypto_free(talk->crypto);
}

static inline struct hk_sa *talk_sa(
	struct talk *talk, unsigned envelope, unsigned variant, __u32 spi, const char *receiver)
{
	struct hk_sa_name name = {
		.envelope = (__u8)envelope, .variant = (__u8)variant, .mkid = 1, .spi = spi};
	unsigned slot = envelope == HK_ENVELOPE_PSP ? spi >> 31 : spi >> 29 & 3;
	struct hk_sa *sa;

	name.receiver = address(receiver);
	sa = sa_of(talk->crypto, &name, &talk->master[slot & 1]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	return sa;
}

/* Seals `inner` into a frame, the same in every run; the frame's length. */
static inline __u32 seal(struct talk *talk, struct hk_sa *sa, const struct hk_seal_shape *shape,
	const __u8 *inner, __u32 length, __u8 *frame)
{
	struct hk_numbers numbers = {.iv = ++talk->iv, .sn = (__u32)talk->iv};
	struct hk_seal_shape drawn = *shape;
	__u8 iv[HK_ESP_CBC_IV_SIZE];
	__u64 seed = talk->iv;
	int size;

	random_fill(&seed, iv, sizeof(iv));
	drawn.cbc_iv = iv;
	size = hk_seal_packet(sa, &drawn, &numbers, inner, length, frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	return frame_around(frame, (__u32)size);
}

static inline struct hk_seal_shape tunnel(const char *source)
{
	return (struct hk_seal_shape){.source = address(source)};
}

/* Runs one frame as a worker does, counting where it ends. */
static inline struct hk_fate run_counted(struct talk *talk, const __u8 *frame, __u32 length)
{
	struct hk_counts *counts = &talk->box.counts;
	struct hk_fate fate = box_run(&talk->box, frame, length);

	hk_count_raise(&counts->received, 1);
	hk_count_reason(counts, fate.reason, length, fate.action == HK_ACTION_DROP);
	return fate;
}

static inline void expect(
	struct talk *talk, const __u8 *frame, __u32 length, unsigned reason, unsigned action)
{
	const struct hk_count *count = &talk->box.counts.reasons[reason];
	__u64 before = count->packets, dropped = count->dropped;
	struct hk_fate fate = run_counted(talk, frame, length);

	CU_ASSERT_EQUAL(fate.reason, reason);
	CU_ASSERT_EQUAL(fate.action, action);
	CU_ASSERT_EQUAL(count->packets, before + 1);
	CU_ASSERT_EQUAL(count->dropped, dropped + (action == HK_ACTION_DROP));
	if (reason != HK_REASON_OK && reason >= HK_REASON_CONTROL)
		CU_ASSERT_FALSE(fate.opened);
}

/* --- two hosts in one domain, and a hook that decides ------------------------------------------ */

static __u8 wanted_verdict, wanted_flow;
static __u32 wanted_lifetime;

static inline int verdict_hook(struct hk_hook_batch *batch)
{
	struct hk_hook_packet *packet;
	struct hk_hook_event *event;
	unsigned i;

	for (i = 0; i < batch->packet_count; i++) {
		packet = hk_hook_packet(batch, i);
		if (wanted_verdict == HK_VERDICT_DROP)
			hk_hook_drop(packet, 17);
		if (wanted_verdict == HK_VERDICT_DELAY)
			hk_hook_delay(packet, 2, batch->now_ns + 1000);
		packet->flow_verdict = wanted_flow;
		packet->flow_lifetime_ms = wanted_lifetime;
		event = hk_hook_report(batch, i);
		event->kind = HK_EVENT_ALERT;
		event->sid = 1001;
	}
	return 0;
}

static inline int failing_hook(struct hk_hook_batch *batch)
{
	(void)batch;
	return -1;
}

/* A connection between two hosts of one domain: frames there and back. */
struct pair {
	struct talk talk;
	struct hk_sa *sa;
	__u8 frame[BOX_FRAME];
};

static inline void pair_init(struct pair *pair, unsigned profile)
{
	unsigned version = profile == HK_PROFILE_SPLIT ? 4 : 0;

	talk_init(&pair->talk, HK_ENVELOPE_PSP, profile, 0);
	pair->talk.box.domains[0].flow_per_spi = true;
	talk_build(&pair->talk, NULL);
	pair->sa = talk_sa(&pair->talk, HK_ENVELOPE_PSP, version, 5, "192.0.2.9");
	the_hook = verdict_hook;
	wanted_verdict = wanted_flow = HK_VERDICT_ACCEPT;
	wanted_lifetime = 0;
}

static inline void pair_free(struct pair *pair)
{
	hk_sa_free(pair->sa);
	talk_free(&pair->talk);
	the_hook = NULL;
}

/* Both directions may use the one SA: the test is about inner flows. */
static inline struct hk_fate pair_send(struct pair *pair, __u16 port, bool back)
{
	struct hk_seal_shape shape = tunnel("192.0.2.1");
	__u8 inner[200];
	__u32 size = make_udp(inner, 4, port, 53, 20), length;

	if (back)
		turn_around(inner);
	length = seal(&pair->talk, pair->sa, &shape, inner, size, pair->frame);
	return run_counted(&pair->talk, pair->frame, length);
}

#endif

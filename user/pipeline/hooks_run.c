// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Running a batch through the chain: see hooks.h. On the packet path: no
 * allocation, no lock, no system call.
 *
 * A hook's output is checked before it counts. What it weakened is restored;
 * what makes no sense (an unknown verdict, a delay class of another hook, an
 * event for no packet) makes the whole batch a hook error.
 */
#include <string.h>

#include "user/pipeline/hooks_chain.h"

#define NOBODY 0xff

/* What hooks decided about a packet so far: the OUT fields of struct hk_hook_packet, as they lie there. */
struct decision {
	__u64 release_ns;
	__u32 rule;
	__u16 delay_class;
	__u8 verdict;
	__u8 flow_verdict;
	__u32 flow_lifetime_ms;
	__u8 reserved[4];
};

#define OUT(field) (offsetof(struct hk_hook_packet, field) - offsetof(struct hk_hook_packet, release_ns))

_Static_assert(OUT(rule) == offsetof(struct decision, rule), "layout");
_Static_assert(OUT(delay_class) == offsetof(struct decision, delay_class), "layout");
_Static_assert(OUT(verdict) == offsetof(struct decision, verdict), "layout");
_Static_assert(OUT(flow_verdict) == offsetof(struct decision, flow_verdict), "layout");
_Static_assert(OUT(flow_lifetime_ms) == offsetof(struct decision, flow_lifetime_ms), "layout");

static void save(struct decision *to, const struct hk_hook_packet *packet)
{
	memcpy(to, &packet->release_ns, sizeof(*to));
}

/* Most hooks say nothing about most packets: seen at a glance. */
static bool is_unchanged(const struct hk_hook_packet *packet, const struct decision *before)
{
	__u64 now[sizeof(*before) / sizeof(__u64)], then[sizeof(*before) / sizeof(__u64)];

	memcpy(now, &packet->release_ns, sizeof(now));
	memcpy(then, before, sizeof(then));
	return !((now[0] ^ then[0]) | (now[1] ^ then[1]) | (now[2] ^ then[2]));
}

static void restore(struct hk_hook_packet *packet, const struct decision *from)
{
	packet->release_ns = from->release_ns;
	packet->rule = from->rule;
	packet->delay_class = from->delay_class;
	packet->verdict = from->verdict;
}

static void restore_flow(struct hk_hook_packet *packet, const struct decision *from)
{
	packet->flow_verdict = from->flow_verdict;
	packet->flow_lifetime_ms = from->flow_lifetime_ms;
}

static bool makes_sense(
	const struct hk_hook_packet *packet, const struct decision *before, const struct hk_hook_place *place)
{
	bool changed = packet->verdict != before->verdict || packet->delay_class != before->delay_class;

	if (packet->verdict > HK_VERDICT_DROP)
		return false;
	if (packet->flow_lifetime_ms && packet->flow_verdict != HK_VERDICT_ACCEPT &&
		packet->flow_verdict != HK_VERDICT_DROP)
		return false;
	if (packet->verdict == HK_VERDICT_DELAY && changed)
		return packet->delay_class - place->class_base < place->class_count;
	return true;
}

/* True when the hook made its mark: a stronger verdict, or a later release. */
static bool keep_strongest(struct hk_hook_packet *packet, const struct decision *before)
{
	bool flow_dropped = before->flow_lifetime_ms && before->flow_verdict == HK_VERDICT_DROP;

	if (flow_dropped && !(packet->flow_lifetime_ms && packet->flow_verdict == HK_VERDICT_DROP))
		restore_flow(packet, before);
	if (packet->verdict > before->verdict)
		return true;
	if (packet->verdict == HK_VERDICT_DELAY && before->verdict == HK_VERDICT_DELAY &&
		packet->release_ns > before->release_ns)
		return true;
	if (packet->verdict < before->verdict || before->verdict != HK_VERDICT_ACCEPT)
		restore(packet, before);
	return false;
}

static bool check_events(struct hk_hook_batch *batch, __u32 from, unsigned place, __u8 *reported)
{
	__u32 e;

	if (batch->event_count < from || batch->event_count > batch->event_capacity)
		return false;
	for (e = from; e < batch->event_count; e++) {
		struct hk_hook_event *event = (struct hk_hook_event *)((char *)batch + batch->event_offset +
								       (size_t)e * batch->event_stride);

		if (event->packet >= batch->packet_count)
			return false;
		event->message[sizeof(event->message) - 1] = '\0';
		event->category[sizeof(event->category) - 1] = '\0';
		reported[e] = (__u8)place;
	}
	return true;
}

/* The header is the core's but for the two event counters. */
static void restore_header(struct hk_hook_batch *batch, const struct hk_hook_batch *before)
{
	__u32 events = batch->event_count, lost = batch->event_lost;

	*batch = *before;
	batch->event_count = events;
	batch->event_lost = lost;
}

/* `decisive` becomes true when the hook wrote to a packet. */
static bool run_place(const struct hk_hook_place *place, unsigned index, unsigned worker,
	struct hk_hook_batch *batch, __u8 *decided, __u8 *reported, bool *decisive)
{
	struct decision before[HK_HOOK_BATCH_MAX];
	struct hk_hook_batch header = *batch;
	__u32 count = batch->packet_count, i;
	bool good;

	for (i = 0; i < count; i++)
		save(&before[i], hk_hook_packet(batch, i));
	good = place->code.hook->process(place->state, worker, batch) >= 0;
	restore_header(batch, &header);
	good = good && check_events(batch, header.event_count, index, reported);
	for (i = 0; i < count && good; i++) {
		struct hk_hook_packet *packet = hk_hook_packet(batch, i);

		if (is_unchanged(packet, &before[i]))
			continue;
		*decisive = true;
		good = makes_sense(packet, &before[i], place);
		if (good && keep_strongest(packet, &before[i]))
			decided[i] = (__u8)index;
	}
	if (!good)
		batch->event_count = header.event_count;
	return good;
}

static void count_decided(struct hk_hook_batch *batch, struct hk_counts *counts, const __u8 *decided)
{
	__u32 i;

	for (i = 0; i < batch->packet_count; i++) {
		struct hk_hook_packet *packet = hk_hook_packet(batch, i);

		/* one hook's "let this flow pass" ends where another drops or delays it */
		if (packet->verdict != HK_VERDICT_ACCEPT && packet->flow_verdict == HK_VERDICT_ACCEPT)
			packet->flow_lifetime_ms = 0;
		if (decided[i] == NOBODY)
			continue;
		if (packet->verdict == HK_VERDICT_DROP)
			hk_count_raise(&counts->hook_drops[decided[i]], 1);
		else
			hk_count_raise(&counts->hook_delays[decided[i]], 1);
	}
}

int hk_hook_chain_run(struct hk_hook_chain *chain, unsigned worker, struct hk_hook_batch *batch,
	struct hk_counts *counts, __u8 *decided, __u8 *reported)
{
	bool decisive = false;
	unsigned place;

	memset(decided, NOBODY, batch->packet_count);
	for (place = 0; place < chain->length; place++) {
		if (run_place(&chain->places[place], place, worker, batch, decided, reported, &decisive))
			continue;
		hk_count_raise(&counts->hook_errors[place], 1);
		return (int)place + 1;
	}
	if (decisive)
		count_decided(batch, counts, decided);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Inner flows: see flow.h. */
#include "user/pipeline/flow.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define WAYS	       8
#define SECOND	       1000000000ull
#define SWEEP_PERIOD   SECOND /* the whole table is looked at this often */
#define SWEEP_MAX      1024   /* buckets in one call */
#define IDLE_TENTATIVE (30 * SECOND)
#define IDLE_ANSWERED  (300 * SECOND)
#define IDLE_CLOSING   (5 * SECOND)
#define LIFETIME_MAX   86400000u /* a day, in ms: what a hook may ask for */

enum { FIN = 0x01, RST = 0x04 };

struct hk_flow_table {
	__u32 *tags; /* WAYS a bucket; 0: free */
	struct hk_flow *flows;
	__u32 buckets; /* a power of two */
	__u32 count;
	__u32 sweep_at;
	__u64 swept_ns;
	__u64 evictions;
	hk_flow_end *end;
	void *context;
};

static __u32 tag_of(__u64 hash)
{
	__u32 tag = (__u32)(hash >> 32);

	return tag ? tag : 1;
}

static __u32 bucket_of(const struct hk_flow_table *table, __u64 hash)
{
	return (__u32)hash & (table->buckets - 1);
}

struct hk_flow_table *hk_flow_table_new(unsigned flows_max, hk_flow_end *end, void *context)
{
	struct hk_flow_table *table = calloc(1, sizeof(*table));
	size_t slots;

	if (!table)
		return NULL;
	for (table->buckets = 1; (__u64)table->buckets * WAYS * 2 <= flows_max; table->buckets *= 2)
		;
	slots = (size_t)table->buckets * WAYS;
	table->end = end;
	table->context = context;
	table->tags = aligned_alloc(64, (slots * sizeof(*table->tags) + 63) / 64 * 64);
	table->flows = aligned_alloc(64, slots * sizeof(*table->flows));
	if (!table->tags || !table->flows) {
		hk_flow_table_free(table);
		return NULL;
	}
	/* touched now, so that no packet pays for a page fault */
	memset(table->tags, 0, slots * sizeof(*table->tags));
	memset(table->flows, 0, slots * sizeof(*table->flows));
	return table;
}

void hk_flow_table_free(struct hk_flow_table *table)
{
	if (!table)
		return;
	free(table->tags);
	free(table->flows);
	free(table);
}

unsigned hk_flow_count(const struct hk_flow_table *table)
{
	return table->count;
}

__u64 hk_flow_evictions(const struct hk_flow_table *table)
{
	return table->evictions;
}

void hk_flow_prefetch(const struct hk_flow_table *table, __u64 hash)
{
	__builtin_prefetch(&table->tags[bucket_of(table, hash) * WAYS]);
}

__u32 hk_flow_prefetch_named(const struct hk_flow_table *table, __u64 hash)
{
	__u32 slot = bucket_of(table, hash) * WAYS, tag = tag_of(hash), end = slot + WAYS;
	const char *flow;

	while (slot < end && table->tags[slot] != tag)
		slot++;
	if (slot == end)
		return HK_FLOW_NO_PLACE;
	flow = (const char *)&table->flows[slot];
	for (unsigned line = 0; line < sizeof(struct hk_flow); line += 64)
		__builtin_prefetch(flow + line, 1);
	return slot;
}

static void end_flow(struct hk_flow_table *table, __u32 slot, bool evicted)
{
	table->tags[slot] = 0;
	table->count--;
	table->end(table->context, &table->flows[slot], evicted);
}

/* Whom to push out: the lower, the sooner. Drops in force stay longest, strangers leave first. */
static __u64 worth(const struct hk_flow *flow, __u64 now_ns)
{
	__u64 rank = 0;

	if (flow->record.answered && !flow->closing)
		rank = 1;
	if (flow->verdict_until_ns > now_ns)
		rank = 2;
	return rank << 62 | (flow->last_ns >> 2);
}

static __u32 make_room(struct hk_flow_table *table, __u32 first, __u64 now_ns)
{
	__u32 slot, victim = first;

	for (slot = first; slot < first + WAYS; slot++) {
		if (!table->tags[slot])
			return slot;
		if (worth(&table->flows[slot], now_ns) < worth(&table->flows[victim], now_ns))
			victim = slot;
	}
	table->evictions++;
	end_flow(table, victim, true);
	return victim;
}

static struct hk_flow *find_or_make(
	struct hk_flow_table *table, const struct hk_flow_key *key, __u64 hash, __u64 now_ns)
{
	__u32 first = bucket_of(table, hash) * WAYS, tag = tag_of(hash), slot;
	struct hk_flow *flow;

	for (slot = first; slot < first + WAYS; slot++) {
		flow = &table->flows[slot];
		if (table->tags[slot] == tag && hk_flow_key_equal(&flow->key, key))
			return flow;
	}
	slot = make_room(table, first, now_ns);
	table->tags[slot] = tag;
	table->count++;
	flow = &table->flows[slot];
	memset(flow, 0, sizeof(*flow));
	flow->key = *key;
	flow->hash = hash;
	flow->last_ns = now_ns;
	return flow;
}

struct hk_flow *hk_flow_get(
	struct hk_flow_table *table, const struct hk_flow_key *key, __u64 hash, __u32 place, __u64 now_ns)
{
	if (place != HK_FLOW_NO_PLACE && table->tags[place] == tag_of(hash) &&
		hk_flow_key_equal(&table->flows[place].key, key))
		return &table->flows[place];
	return find_or_make(table, key, hash, now_ns);
}

static void note_tcp(struct hk_flow *flow, unsigned direction, __u8 flags)
{
	__u8 *seen = flow->record.tcp_flags;

	seen[direction] |= flags;
	/* a new handshake after the end is a new connection of the same name */
	flow->closing = (seen[0] | seen[1]) & RST || (seen[0] & seen[1] & FIN);
}

void hk_flow_count_packet(struct hk_flow *flow, unsigned direction, const struct hk_hook_packet *packet,
	__u64 now_ns, __u64 wall_ns)
{
	struct hk_record_flow *record = &flow->record;

	if (!record->packets[0])
		record->first_ns = wall_ns;
	record->last_ns = wall_ns;
	record->packets[direction]++;
	record->bytes[direction] += packet->data_length;
	if (direction)
		record->answered = 1;
	if (packet->protocol == IPPROTO_TCP && packet->tcp_flags)
		note_tcp(flow, direction, packet->tcp_flags);
	flow->last_ns = now_ns;
}

unsigned hk_flow_verdict(const struct hk_flow *flow, unsigned auth, __u64 now_ns)
{
	if (flow->verdict_until_ns <= now_ns)
		return HK_FLOW_NO_VERDICT;
	if (flow->record.verdict == HK_VERDICT_ACCEPT)
		return flow->verdict_verified && auth == HK_AUTH_VERIFIED ? HK_VERDICT_ACCEPT
									  : HK_FLOW_NO_VERDICT;
	return flow->verdict_verified || flow->record.answered ? flow->record.verdict : HK_FLOW_NO_VERDICT;
}

void hk_flow_decide(struct hk_flow *flow, unsigned verdict, unsigned auth, __u32 lifetime_ms, __u64 now_ns)
{
	bool verified = auth == HK_AUTH_VERIFIED, standing = flow->verdict_until_ns > now_ns;
	__u64 until;

	if (verdict != HK_VERDICT_DROP && !(verdict == HK_VERDICT_ACCEPT && verified))
		return;
	if (standing && flow->record.verdict == HK_VERDICT_DROP && verdict != HK_VERDICT_DROP)
		return;
	if (lifetime_ms > LIFETIME_MAX)
		lifetime_ms = LIFETIME_MAX;
	until = now_ns + (__u64)lifetime_ms * 1000000;
	if (standing && flow->record.verdict == verdict && until < flow->verdict_until_ns)
		until = flow->verdict_until_ns;
	flow->verdict_verified =
		verified || (standing && flow->record.verdict == verdict && flow->verdict_verified);
	flow->record.verdict = (__u8)verdict;
	flow->verdict_until_ns = until;
}

static bool is_idle(const struct hk_flow *flow, __u64 now_ns)
{
	__u64 limit = flow->record.answered ? IDLE_ANSWERED : IDLE_TENTATIVE;

	if (flow->closing)
		limit = IDLE_CLOSING;
	return now_ns > flow->last_ns + limit && now_ns > flow->verdict_until_ns;
}

void hk_flow_sweep(struct hk_flow_table *table, __u64 now_ns)
{
	__u64 passed = now_ns - table->swept_ns, share;
	__u32 slot, first;

	share = table->swept_ns && passed < SWEEP_PERIOD ? table->buckets * passed / SWEEP_PERIOD
							 : table->buckets;
	if (!share && table->swept_ns)
		return; /* too early for even one bucket: the time adds up */
	table->swept_ns = now_ns;
	for (share = share > SWEEP_MAX ? SWEEP_MAX : share; share; share--) {
		first = table->sweep_at * WAYS;
		table->sweep_at = (table->sweep_at + 1) & (table->buckets - 1);
		for (slot = first; slot < first + WAYS; slot++)
			if (table->tags[slot] && is_idle(&table->flows[slot], now_ns))
				end_flow(table, slot, false);
	}
}

void hk_flow_end_all(struct hk_flow_table *table)
{
	__u32 slot;

	for (slot = 0; slot < table->buckets * WAYS; slot++)
		if (table->tags[slot])
			end_flow(table, slot, false);
}

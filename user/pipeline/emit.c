// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records for the feeds. Built in one place of the pipeline's own and copied
 * into the worker's queue; without room a record is lost and counted, nothing
 * waits. What nobody wants is not built.
 */
#include "user/pipeline/internal.h"

#include <netinet/in.h>
#include <string.h>

#include <halfkey/reason.h>

#include "user/base/text.h"
#include "user/envelope/hello.h"

#define FLOW_ID_BITS 53 /* what JSON readers hold exactly */
#define DROP_HEADER  40 /* of a dropped packet: its IP header, without options */

static __u64 flow_id(__u64 hash)
{
	return hash & ((1ull << FLOW_ID_BITS) - 1);
}

static bool wanted(const struct hk_pipeline *pipeline, unsigned kind)
{
	return pipeline->wants & HK_RECORD_WANTS(kind);
}

static bool find_name(const struct hk_record *record, bool swapped, struct hk_hello *out)
{
	const struct hk_tls_tuple tuple = {.client = swapped ? record->inner_dst : record->inner_src,
		.server = swapped ? record->inner_src : record->inner_dst,
		.client_port = swapped ? record->inner_dst_port : record->inner_src_port,
		.server_port = swapped ? record->inner_src_port : record->inner_dst_port,
		.domain = record->domain};

	return hk_hello_get(&tuple, out) && out->has_client;
}

/* TLS: the data is the server's name, from the client's hello. `hello` holds it. */
static const void *name_server(struct hk_record *record, struct hk_hello *hello)
{
	record->data_length = 0;
	if (!find_name(record, false, hello) && !find_name(record, true, hello))
		return NULL;
	record->data_length = hello->server_name_length;
	return hello->server_name;
}

static void put(struct hk_pipeline *pipeline, const void *data)
{
	struct hk_hello hello;
	bool taken;

	if (hk_record_has_name(&pipeline->record))
		data = name_server(&pipeline->record, &hello);
	taken = hk_feed_put(pipeline->options.feed, &pipeline->record, data);
	hk_count_raise(
		taken ? &pipeline->options.counts->feed_records : &pipeline->options.counts->feed_lost, 1);
}

/* The parser claims each envelope by one protocol of IP, or in UDP. */
unsigned hk_pipeline_outer_protocol(const struct hk_opening *opening)
{
	const struct hk_domain_config *domain = opening->domain;

	if (opening->meta->flags & HK_META_UDP)
		return IPPROTO_UDP;
	switch (opening->meta->envelope) {
	case HK_ENVELOPE_ESP:
	case HK_ENVELOPE_INLINE: return IPPROTO_ESP;
	case HK_ENVELOPE_WESP: return HK_WESP_PROTOCOL;
	case HK_ENVELOPE_TLS: return IPPROTO_TCP;
	case HK_ENVELOPE_TSS: return domain && domain->carrier ? domain->carrier : HK_IP_PROTOCOL_TSS;
	default: return domain ? domain->carrier : 0;
	}
}

static void fill_inner(struct hk_record *record, const struct hk_hook_packet *packet, __u64 hash)
{
	record->has_inner = 1;
	record->inner_version = packet->ip_version;
	record->inner_protocol = packet->protocol;
	record->inner_src = packet->src;
	record->inner_dst = packet->dst;
	record->inner_src_port = packet->src_port;
	record->inner_dst_port = packet->dst_port;
	record->rule = packet->rule;
	record->flow_id = flow_id(hash);
}

/* Everything but event and flow, which are large and mostly not there. */
static struct hk_record *fill(struct hk_pipeline *pipeline, unsigned i, unsigned kind, unsigned reason)
{
	const struct hk_opening *opening = &pipeline->openings[i];
	const struct hk_meta *meta = &pipeline->frames[i].meta;
	struct hk_record *record = &pipeline->record;
	unsigned place = pipeline->place[i];

	memset(record, 0, offsetof(struct hk_record, event));
	record->kind = (__u16)kind;
	record->wall_ns = pipeline->frames[i].wall_ns;
	record->reason = (__u8)reason;
	record->hook = HK_PIPELINE_NOBODY;
	record->direction = meta->port;
	record->envelope = meta->envelope;
	record->domain = meta->domain;
	record->spi = meta->spi;
	if (opening->frame) { /* its metadata fits, so the outer addresses were read */
		record->variant = opening->variant;
		record->auth = opening->auth;
		record->outer_src = opening->outer_src;
		record->outer_dst = opening->outer_dst;
		record->outer_protocol = (__u8)hk_pipeline_outer_protocol(opening);
	}
	if (place == HK_PIPELINE_NOBODY)
		return record;
	fill_inner(record, hk_pipeline_packet(pipeline, place), pipeline->parsed[place].flow_hash);
	if (place < pipeline->hooked)
		record->hook = pipeline->decided[place];
	return record;
}

void hk_pipeline_emit_anomaly(struct hk_pipeline *pipeline, unsigned frame, unsigned reason)
{
	if (!wanted(pipeline, HK_RECORD_ANOMALY))
		return;
	fill(pipeline, frame, HK_RECORD_ANOMALY, reason);
	put(pipeline, NULL);
}

static void emit_packet(struct hk_pipeline *pipeline, unsigned i, const struct hk_fate *fate)
{
	struct hk_record *record = fill(pipeline, i, HK_RECORD_PACKET, fate->reason);

	record->action = fate->action;
	record->data_length = (__u16)fate->inner_length;
	put(pipeline, fate->inner);
}

/* The IP header of what was dropped goes along: the inner one, or the outer one of what did not open. */
static void emit_drop(struct hk_pipeline *pipeline, unsigned i, const struct hk_fate *fate)
{
	struct hk_record *record = fill(pipeline, i, HK_RECORD_DROP, fate->reason);
	const struct hk_opening *opening = &pipeline->openings[i];
	const __u8 *header = fate->inner;
	__u32 length = fate->opened ? fate->inner_length : 0;

	if (!fate->opened && opening->frame) {
		header = opening->frame + opening->meta->l3_offset;
		length = opening->frame_length - opening->meta->l3_offset;
	}
	record->action = fate->action;
	record->data_length = (__u16)(length < DROP_HEADER ? length : DROP_HEADER);
	put(pipeline, header);
}

/* Which reasons say something odd about the traffic, whatever the policy does with it. */
static bool is_anomaly(unsigned reason)
{
	switch (hk_reason_policy(reason)) {
	case HK_POLICY_MALFORMED:
	case HK_POLICY_PROFILE_MISMATCH:
	case HK_POLICY_BAD_ICV:
	case HK_POLICY_UNVERIFIABLE:
	case HK_POLICY_STREAM:
	case HK_POLICY_IMPLAUSIBLE: return true;
	default: return false;
	}
}

static void emit_frame(struct hk_pipeline *pipeline, unsigned i, const struct hk_fate *fate)
{
	if (fate->opened && wanted(pipeline, HK_RECORD_PACKET))
		emit_packet(pipeline, i, fate);
	if (fate->action == HK_ACTION_DROP && wanted(pipeline, HK_RECORD_DROP))
		emit_drop(pipeline, i, fate);
	if (fate->reason != HK_REASON_OK && is_anomaly(fate->reason))
		hk_pipeline_emit_anomaly(pipeline, i, fate->reason);
}

static void emit_event(struct hk_pipeline *pipeline, unsigned index, const struct hk_fate *fates)
{
	const struct hk_hook_event *event = &hk_pipeline_events(pipeline)[index];
	const struct hk_fate *fate;
	struct hk_record *record;
	struct hk_flow *flow;
	unsigned i;

	if (event->packet >= pipeline->hooked)
		return;
	i = pipeline->parsed[event->packet].frame;
	flow = pipeline->parsed[event->packet].flow;
	if (flow && event->kind == HK_EVENT_ALERT)
		flow->record.alerted = 1;
	fate = &fates[i];
	record = fill(pipeline, i, HK_RECORD_EVENT, fate->reason);
	record->action = fate->action;
	record->hook = pipeline->reported[index];
	record->event = *event;
	put(pipeline, NULL);
}

static void emit_events(struct hk_pipeline *pipeline, const struct hk_fate *fates)
{
	unsigned count = hk_pipeline_batch(pipeline)->event_count, index;

	if (count > HK_PIPELINE_EVENTS)
		count = HK_PIPELINE_EVENTS;
	for (index = 0; index < count; index++)
		emit_event(pipeline, index, fates);
}

void hk_pipeline_emit(struct hk_pipeline *pipeline, const struct hk_fate *fates)
{
	unsigned i;

	if (!pipeline->wants)
		return;
	if (wanted(pipeline, HK_RECORD_EVENT))
		emit_events(pipeline, fates);
	for (i = 0; i < pipeline->count; i++)
		emit_frame(pipeline, i, &fates[i]);
}

/* A flow's addresses in the direction of its first packet. */
static void fill_flow(struct hk_record *record, const struct hk_flow *flow)
{
	const struct hk_flow_key *key = &flow->key;

	memset(record, 0, offsetof(struct hk_record, event));
	record->kind = HK_RECORD_FLOW;
	record->wall_ns = flow->record.last_ns;
	record->flow_id = flow_id(flow->hash);
	record->hook = HK_PIPELINE_NOBODY;
	record->auth = flow->auth;
	record->direction = flow->port;
	record->envelope = flow->envelope;
	record->variant = flow->variant;
	record->domain = flow->domain;
	record->spi = flow->spi;
	record->outer_src = flow->outer_src;
	record->outer_dst = flow->outer_dst;
	record->outer_protocol = flow->outer_protocol;
	record->has_inner = 1;
	record->inner_version = flow->ip_version;
	record->inner_protocol = key->protocol;
	record->inner_src = flow->swapped ? key->high : key->low;
	record->inner_dst = flow->swapped ? key->low : key->high;
	record->inner_src_port = flow->src_port;
	record->inner_dst_port = flow->dst_port;
	record->flow = flow->record;
}

void hk_pipeline_emit_flow(void *context, struct hk_flow *flow, bool evicted)
{
	struct hk_pipeline *pipeline = context;

	if (evicted)
		hk_count_raise(&pipeline->options.counts->flows_evicted, 1);
	if (!wanted(pipeline, HK_RECORD_FLOW))
		return;
	flow->record.evicted = evicted;
	fill_flow(&pipeline->record, flow);
	put(pipeline, NULL);
}

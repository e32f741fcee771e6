// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inspect stage: from rebuilt inner packets to verdicts. Parses them into
 * the hook area, sorts out noise, finds their flows, and runs the hooks over
 * those that no flow verdict has decided already.
 */
#include "user/pipeline/internal.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/base/hash.h"
#include "user/pipeline/inner.h"
#include "user/pipeline/plausible.h"

static void describe(
	struct hk_pipeline *pipeline, const struct hk_opening *opening, struct hk_hook_packet *packet)
{
	packet->data_offset = (__u32)(opening->inner - pipeline->area);
	packet->auth = opening->auth;
	packet->direction = opening->meta->port;
	packet->envelope = opening->meta->envelope;
	packet->domain = opening->meta->domain;
	packet->spi = opening->meta->spi;
	packet->outer_src = opening->outer_src;
	packet->outer_dst = opening->outer_dst;
}

/* What is inside: an IP packet, or with HK_PACKET_NOT_IP a payload between the outer ends. */
static bool parse_inner(const struct hk_opening *opening, struct hk_hook_packet *packet)
{
	const struct hk_meta *meta = opening->meta;

	if (opening->not_ip) {
		hk_packet_describe_payload(opening->frame + meta->envelope_offset,
			hk_pipeline_outer_protocol(opening), opening->inner_length, packet);
		if (meta->envelope == HK_ENVELOPE_TLS)
			hk_packet_describe_tcp(meta->spi, packet);
		return true;
	}
	return !hk_packet_parse(opening->inner, opening->inner_length, packet) &&
	       hk_plausible(opening->inner, packet, opening->suspect);
}

static unsigned parse_frame(struct hk_pipeline *pipeline, unsigned i)
{
	struct hk_opening *opening = &pipeline->openings[i];
	unsigned place = pipeline->parsed_count;
	struct hk_hook_packet *packet = hk_pipeline_packet(pipeline, place);
	struct hk_parsed *parsed = &pipeline->parsed[place];
	bool plausible;

	memset(packet, 0, sizeof(*packet));
	describe(pipeline, opening, packet);
	plausible = parse_inner(opening, packet);
	if (opening->ops->settle)
		opening->ops->settle(opening, plausible);
	if (!plausible)
		return HK_REASON_IMPLAUSIBLE;
	parsed->frame = (__u8)i;
	parsed->flow_hash = hk_packet_flow(
		opening->inner, packet, pipeline->keeps_flows ? &parsed->flow_key : NULL, &parsed->swapped);
	packet->flow_hash = (__u32)parsed->flow_hash;
	parsed->flow = NULL;
	if (pipeline->keeps_flows)
		hk_flow_prefetch(pipeline->flows, parsed->flow_hash);
	pipeline->place[i] = (__u8)place;
	pipeline->parsed_count++;
	return HK_REASON_OK;
}

/* The nonce under its key; its place in the table is looked at when all are hashed. */
static void hash_nonce(struct hk_pipeline *pipeline, unsigned place)
{
	struct hk_parsed *parsed = &pipeline->parsed[place];
	const struct hk_opening *opening = &pipeline->openings[parsed->frame];
	const __u64 *seed = hk_hash_seed();
	__u64 nonce[2], receiver[2], hash;

	if (opening->cipher == HK_CIPHER_NONE && !opening->has_record) {
		parsed->nonce_hash = 0; /* nothing was encrypted, so there is no nonce */
		return;
	}
	memcpy(nonce, opening->nonce, sizeof(nonce));
	memcpy(receiver, &opening->outer_dst, sizeof(receiver));
	hash = hk_hash_fold(nonce[0] ^ seed[0], nonce[1] ^ seed[1]) ^
	       hk_hash_fold(receiver[0] ^ seed[2], receiver[1] ^ seed[3]);
	hash = hk_hash_fold(hash ^ opening->key.id << 32 ^ opening->meta->spi, seed[3] | 1);
	parsed->nonce_hash = hash | 1;
	hk_nonces_prefetch(pipeline->nonces, parsed->nonce_hash);
}

/* With the nonce, the packet's end: ciphertexts that differ anywhere differ in the ICV. */
static void watch_nonce(struct hk_pipeline *pipeline, unsigned place)
{
	const struct hk_parsed *parsed = &pipeline->parsed[place];
	const struct hk_opening *opening = &pipeline->openings[parsed->frame];
	const __u64 *seed = hk_hash_seed();
	__u64 icv[2];

	memcpy(icv, opening->has_record ? opening->record_icv : opening->frame + opening->tag_offset,
		sizeof(icv));
	if (!hk_nonces_repeat(
		    pipeline->nonces, parsed->nonce_hash, hk_hash_fold(icv[0] ^ seed[0], icv[1] ^ seed[1])))
		return;
	hk_count_raise(&pipeline->options.counts->nonce_repeats, 1);
	hk_pipeline_emit_anomaly(pipeline, parsed->frame, HK_REASON_NONCE_REPEAT);
}

static void begin_flow(struct hk_flow *flow, const struct hk_parsed *parsed,
	const struct hk_hook_packet *packet, const struct hk_opening *opening)
{
	flow->swapped = parsed->swapped;
	flow->spi = packet->spi;
	flow->domain = packet->domain;
	flow->auth = packet->auth;
	flow->envelope = packet->envelope;
	flow->variant = opening->variant;
	flow->port = packet->direction;
	flow->ip_version = packet->ip_version;
	flow->src_port = packet->src_port;
	flow->dst_port = packet->dst_port;
	flow->outer_src = packet->outer_src;
	flow->outer_dst = packet->outer_dst;
	flow->outer_protocol = (__u8)hk_pipeline_outer_protocol(opening);
}

static void find_flow(struct hk_pipeline *pipeline, unsigned place)
{
	struct hk_parsed *parsed = &pipeline->parsed[place];
	const struct hk_hook_packet *packet = hk_pipeline_packet(pipeline, place);
	const struct hk_opening *opening = &pipeline->openings[parsed->frame];
	struct hk_flow *flow = hk_flow_get(
		pipeline->flows, &parsed->flow_key, parsed->flow_hash, parsed->flow_place, pipeline->now_ns);

	if (!flow->record.packets[0])
		begin_flow(flow, parsed, packet, opening);
	parsed->flow = flow;
	parsed->flow_direction = parsed->swapped != flow->swapped;
	hk_flow_count_packet(flow, parsed->flow_direction, packet, pipeline->now_ns,
		pipeline->frames[parsed->frame].wall_ns);
}

/*
 * A later packet of the batch may have pushed a flow out, so pointers are only
 * good while they still name the flow they were found for.
 */
static void find_flows(struct hk_pipeline *pipeline)
{
	__u64 evictions = hk_flow_evictions(pipeline->flows);
	struct hk_parsed *parsed = pipeline->parsed;
	unsigned place;

	for (place = 0; place < pipeline->parsed_count; place++)
		parsed[place].flow_place = hk_flow_prefetch_named(pipeline->flows, parsed[place].flow_hash);
	for (place = 0; place < pipeline->parsed_count; place++)
		find_flow(pipeline, place);
	if (hk_flow_evictions(pipeline->flows) == evictions)
		return;
	for (place = 0; place < pipeline->parsed_count; place++)
		if (!hk_flow_key_equal(&parsed[place].flow->key, &parsed[place].flow_key))
			parsed[place].flow = NULL;
}

static unsigned flow_reason(struct hk_pipeline *pipeline, unsigned place)
{
	const struct hk_flow *flow = pipeline->parsed[place].flow;

	if (!flow || flow->verdict_until_ns <= pipeline->now_ns)
		return HK_REASON_OK;
	switch (hk_flow_verdict(flow, hk_pipeline_packet(pipeline, place)->auth, pipeline->now_ns)) {
	case HK_VERDICT_ACCEPT: return HK_REASON_FLOW_ACCEPT;
	case HK_VERDICT_DROP: return HK_REASON_FLOW_DROP;
	default: return HK_REASON_OK;
	}
}

static void put_place(struct hk_pipeline *pipeline, unsigned place, const struct hk_hook_packet *packet,
	const struct hk_parsed *parsed)
{
	*hk_pipeline_packet(pipeline, place) = *packet;
	pipeline->parsed[place] = *parsed;
	pipeline->place[parsed->frame] = (__u8)place;
}

/* Moves packets that a flow verdict decided behind those for the hooks; order is kept, streams need it. */
static void apply_flow_verdicts(struct hk_pipeline *pipeline)
{
	unsigned place, reason, decided = 0, i;

	pipeline->hooked = 0;
	for (place = 0; place < pipeline->parsed_count; place++) {
		reason = flow_reason(pipeline, place);
		if (reason != HK_REASON_OK) {
			pipeline->reasons[pipeline->parsed[place].frame] = (__u8)reason;
			pipeline->spare_packets[decided] = *hk_pipeline_packet(pipeline, place);
			pipeline->spare_parsed[decided++] = pipeline->parsed[place];
			continue;
		}
		if (decided)
			put_place(pipeline, pipeline->hooked, hk_pipeline_packet(pipeline, place),
				&pipeline->parsed[place]);
		pipeline->hooked++;
	}
	for (i = 0; i < decided; i++)
		put_place(pipeline, pipeline->hooked + i, &pipeline->spare_packets[i],
			&pipeline->spare_parsed[i]);
}

static void head_batch(struct hk_pipeline *pipeline)
{
	unsigned classes = hk_hook_chain_classes(pipeline->inspection->hooks), id;
	__u32 *queued = (__u32 *)(pipeline->area + pipeline->class_offset);
	unsigned known = pipeline->options.queued ? pipeline->options.queued_count : 0;

	if (classes > known)
		classes = known;
	for (id = 0; id < classes; id++)
		queued[id] = __atomic_load_n(&pipeline->options.queued[id], __ATOMIC_RELAXED);
	*hk_pipeline_batch(pipeline) = (struct hk_hook_batch){
		.abi = HK_HOOK_ABI,
		.area_size = pipeline->area_size,
		.packet_count = pipeline->hooked,
		.packet_offset = sizeof(struct hk_hook_batch),
		.packet_stride = sizeof(struct hk_hook_packet),
		.event_offset = (__u32)((__u8 *)hk_pipeline_events(pipeline) - pipeline->area),
		.event_stride = sizeof(struct hk_hook_event),
		.event_capacity = HK_PIPELINE_EVENTS,
		.class_offset = pipeline->class_offset,
		.class_count = classes,
		.now_ns = pipeline->now_ns,
		.wall_ns = pipeline->frames[0].wall_ns,
	};
}

static void run_hooks(struct hk_pipeline *pipeline)
{
	struct hk_hook_batch *batch = hk_pipeline_batch(pipeline);
	unsigned place;

	memset(pipeline->decided, HK_PIPELINE_NOBODY, sizeof(pipeline->decided));
	head_batch(pipeline);
	if (!pipeline->hooked || !hk_hook_chain_length(pipeline->inspection->hooks))
		return;
	if (!hk_hook_chain_run(pipeline->inspection->hooks, pipeline->options.worker, batch,
		    pipeline->options.counts, pipeline->decided, pipeline->reported))
		return;
	for (place = 0; place < pipeline->hooked; place++)
		pipeline->reasons[pipeline->parsed[place].frame] = HK_REASON_HOOK_ERROR;
}

/* What the hooks said about the rest of the flow, and what they did to the packet. */
static void take_verdict(struct hk_pipeline *pipeline, unsigned place)
{
	const struct hk_hook_packet *packet = hk_pipeline_packet(pipeline, place);
	struct hk_parsed *parsed = &pipeline->parsed[place];

	if (!(packet->verdict | packet->flow_lifetime_ms) || pipeline->reasons[parsed->frame] != HK_REASON_OK)
		return;
	if (packet->verdict == HK_VERDICT_DROP)
		pipeline->reasons[parsed->frame] = HK_REASON_HOOK_DROP;
	if (!packet->flow_lifetime_ms || !parsed->flow)
		return;
	if (packet->verdict == HK_VERDICT_DROP && packet->flow_verdict == HK_VERDICT_ACCEPT)
		return; /* one hook's accept does not outlive another one's drop */
	hk_flow_decide(
		parsed->flow, packet->flow_verdict, packet->auth, packet->flow_lifetime_ms, pipeline->now_ns);
}

/* Hooks saw what opened of it and did not mind: the part that did not decides. */
static void blame_part(struct hk_pipeline *pipeline, unsigned place)
{
	unsigned i = pipeline->parsed[place].frame, part = pipeline->openings[i].part_refused;

	if (part && (pipeline->reasons[i] == HK_REASON_OK || pipeline->reasons[i] == HK_REASON_FLOW_ACCEPT))
		pipeline->reasons[i] = (__u8)part;
}

void hk_pipeline_inspect(struct hk_pipeline *pipeline)
{
	unsigned i, place;

	pipeline->keeps_flows = pipeline->wants & HK_RECORD_WANTS(HK_RECORD_FLOW) ||
				hk_hook_chain_flow_verdicts(pipeline->inspection->hooks);
	pipeline->parsed_count = 0;
	for (i = 0; i < pipeline->count; i++) {
		pipeline->place[i] = HK_PIPELINE_NOBODY;
		if (pipeline->reasons[i] != HK_REASON_OK)
			continue;
		pipeline->reasons[i] = (__u8)parse_frame(pipeline, i);
		if (pipeline->reasons[i] == HK_REASON_OK)
			hash_nonce(pipeline, pipeline->place[i]);
	}
	for (place = 0; place < pipeline->parsed_count; place++)
		if (pipeline->parsed[place].nonce_hash)
			watch_nonce(pipeline, place);
	pipeline->hooked = pipeline->parsed_count;
	if (pipeline->keeps_flows) {
		find_flows(pipeline);
		apply_flow_verdicts(pipeline);
	}
	run_hooks(pipeline);
	for (place = 0; place < pipeline->hooked; place++)
		take_verdict(pipeline, place);
	for (place = 0; place < pipeline->parsed_count; place++)
		blame_part(pipeline, place);
}

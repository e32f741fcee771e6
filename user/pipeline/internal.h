/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline's own state, shared by its stages and by nobody else:
 *
 *   open.c      plan → derive → decrypt → rebuild      openings[i], reasons[i]
 *   generations.c  a slot's other key, where one did not open
 *   inspect.c   parse → plausible → flows → hooks      parsed[p], the hook area
 *   fate.c      what becomes of each frame             fates[i]
 *   emit.c      records for the feeds
 *
 * Frames are numbered i as they came. Those that opened to a packet are
 * numbered p; the first `hooked` of them go to the hooks, the others have a
 * flow verdict already.
 */
#ifndef HK_PIPELINE_INTERNAL_H
#define HK_PIPELINE_INTERNAL_H

#include "user/envelope/envelope.h"
#include "user/envelope/streams.h"
#include "user/pipeline/flow.h"
#include "user/pipeline/nonces.h"
#include "user/pipeline/pipeline.h"

#define HK_PIPELINE_EVENTS	 (4 * HK_PIPELINE_BATCH)
#define HK_PIPELINE_NOBODY	 0xff
#define HK_PIPELINE_STREAM_PLAIN (1u << 20) /* of a batch: records may be much larger than frames */

/* A packet that opened. Its hook packet stands at the same place in the area. */
struct hk_parsed {
	__u64 flow_hash;
	struct hk_flow_key flow_key;
	struct hk_flow *flow; /* NULL: none kept, or pushed out again within the batch */
	__u64 nonce_hash;
	__u32 flow_place; /* where the flow probably is */
	__u8 frame;	  /* i */
	__u8 swapped;
	__u8 flow_direction;
	__u8 suspect;
};

struct hk_pipeline {
	struct hk_pipeline_options options;
	struct hk_crypto *crypto;
	struct hk_flow_table *flows;
	struct hk_nonces *nonces;
	struct hk_streams *streams; /* or NULL */
	struct hk_streams *spare;   /* what is in force next, or was before */
	__u64 spare_bytes;
	unsigned wants;	  /* of the feeds, read once a batch */
	bool keeps_flows; /* somebody wants flow records, or a hook gives flow verdicts */
	__u64 wall_ns;	  /* for flows that end between batches */

	/* the batch in work */
	const struct hk_inspection *inspection;
	const struct hk_frame *frames;
	unsigned count;
	__u64 now_ns;
	unsigned parsed_count;
	unsigned hooked;
	__u8 reasons[HK_PIPELINE_BATCH];
	__u8 decided[HK_PIPELINE_BATCH];
	__u8 reported[HK_PIPELINE_EVENTS];
	__u8 place[HK_PIPELINE_BATCH]; /* p of frame i, HK_PIPELINE_NOBODY: did not open */
	struct hk_parsed parsed[HK_PIPELINE_BATCH];
	struct hk_opening openings[HK_PIPELINE_BATCH];

	/* one area: hooks see nothing else */
	__u8 *area;
	__u32 area_size;
	__u32 class_offset;
	__u32 plain_offset;
	__u32 plain_stride;

	/* PRF messages of the batch back to back, and their outputs in the same order */
	__u8 messages[(HK_PIPELINE_BATCH + 1) * HK_KDF_MESSAGE_MAX] __attribute__((aligned(64)));
	__u8 derived[HK_PIPELINE_BATCH * HK_KDF108_OUTPUT] __attribute__((aligned(64)));
	unsigned messages_end, derived_end; /* bytes in use */
	/* for batches of more than one master key: one group's messages and outputs */
	__u8 group_messages[HK_PIPELINE_BATCH * HK_KDF_MESSAGE_MAX] __attribute__((aligned(64)));
	__u8 group_derived[HK_PIPELINE_BATCH * HK_KDF108_OUTPUT] __attribute__((aligned(64)));
	/* EESP roots and reader keys, by frame; counted, so that batches without any pay nothing */
	unsigned roots, readers;
	__u8 expanded[HK_PIPELINE_BATCH][HK_HKDF_OUT] __attribute__((aligned(64)));
	__u8 reader_messages[HK_PIPELINE_BATCH][HK_KDF_MESSAGE_MAX];
	__u8 reader_derived[HK_PIPELINE_BATCH][HK_KDF108_OUTPUT];
	struct hk_hkdf_job hkdf[HK_PIPELINE_BATCH];
	const struct hk_opening *last; /* with a derived key; NULL: none in the batch */
	bool one_master;	       /* all of the batch's keys come from one, in messages of one size */
	struct {
		unsigned ctr_count, gcm_count, cbc_count;
		struct hk_ctr_job ctr[HK_PIPELINE_BATCH];
		struct hk_gcm_job gcm[HK_PIPELINE_BATCH];
		struct hk_cbc_job cbc[HK_PIPELINE_BATCH];
		__u8 gcm_frame[HK_PIPELINE_BATCH];
	} jobs;
	struct hk_hook_packet spare_packets[HK_PIPELINE_BATCH];
	struct hk_parsed spare_parsed[HK_PIPELINE_BATCH];
	struct hk_record record;
};

static inline struct hk_hook_batch *hk_pipeline_batch(struct hk_pipeline *pipeline)
{
	return (struct hk_hook_batch *)pipeline->area;
}

static inline struct hk_hook_packet *hk_pipeline_packet(struct hk_pipeline *pipeline, unsigned place)
{
	return (struct hk_hook_packet *)(pipeline->area + sizeof(struct hk_hook_batch)) + place;
}

static inline struct hk_hook_event *hk_pipeline_events(struct hk_pipeline *pipeline)
{
	return (struct hk_hook_event *)hk_pipeline_packet(pipeline, HK_PIPELINE_BATCH);
}

static inline __u8 *hk_pipeline_plain(struct hk_pipeline *pipeline, unsigned frame)
{
	return pipeline->area + pipeline->plain_offset + (size_t)frame * pipeline->plain_stride;
}

/* What the outer IP header of an opening says, behind its extension headers; 0: not known. */
unsigned hk_pipeline_outer_protocol(const struct hk_opening *opening);

void hk_pipeline_open(struct hk_pipeline *pipeline);
/* One frame again, with this key: the reason of that. */
unsigned hk_pipeline_open_with(struct hk_pipeline *pipeline, unsigned i, const struct hk_key_choice *key);
/* Frames that did not open with the generation tried first: the other one, or stale. */
void hk_pipeline_generations(struct hk_pipeline *pipeline);
void hk_pipeline_inspect(struct hk_pipeline *pipeline);
void hk_pipeline_decide(struct hk_pipeline *pipeline, struct hk_fate *fates);
void hk_pipeline_emit(struct hk_pipeline *pipeline, const struct hk_fate *fates);
/* `reason` stands in the record; the packet itself goes on. */
void hk_pipeline_emit_anomaly(struct hk_pipeline *pipeline, unsigned frame, unsigned reason);
/* hk_flow_end of the pipeline's table; `context` is the pipeline. */
void hk_pipeline_emit_flow(void *context, struct hk_flow *flow, bool evicted);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* The pipeline's life and its batches: see pipeline.h; the stages stand in the files internal.h names. */
#include "user/pipeline/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/keys/connections.h"

#define CACHE_LINE  64u
#define PLAIN_SLACK 64u /* a cipher may write whole vectors at the end */

static __u32 round_up(__u32 size)
{
	return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/* The figure in hook.h, with the plaintext of frame i at plain_offset + i * plain_stride. */
static int make_area(struct hk_pipeline *pipeline)
{
	const struct hk_pipeline_options *options = &pipeline->options;
	size_t size;

	pipeline->class_offset = sizeof(struct hk_hook_batch) +
				 HK_PIPELINE_BATCH * sizeof(struct hk_hook_packet) +
				 HK_PIPELINE_EVENTS * sizeof(struct hk_hook_event);
	pipeline->plain_offset =
		round_up(pipeline->class_offset + options->queued_count * (__u32)sizeof(__u32));
	pipeline->plain_stride = round_up(HK_OPEN_HEADROOM + options->frame_max + PLAIN_SLACK);
	/* an even number of cache lines would put all packets' first lines into few cache sets */
	if (pipeline->plain_stride / CACHE_LINE % 2 == 0)
		pipeline->plain_stride += CACHE_LINE;
	/* there from the start, so that hooks have one area whatever a reload brings */
	size = pipeline->plain_offset + (size_t)HK_PIPELINE_BATCH * pipeline->plain_stride +
	       HK_PIPELINE_STREAM_PLAIN;
	pipeline->area = aligned_alloc(CACHE_LINE, size);
	if (!pipeline->area)
		return -ENOMEM;
	memset(pipeline->area, 0, size);
	pipeline->area_size = (__u32)size;
	return 0;
}

static int check_options(const struct hk_pipeline_options *options, struct hk_error *error)
{
	if (options->frame_max < 64 || options->frame_max > 1u << 20)
		return hk_error_set(error, EINVAL, "frame_max is %u: 64 to 1048576 bytes are possible",
			options->frame_max);
	if (options->queued_count > 65536)
		return hk_error_set(
			error, EINVAL, "%u delay classes: at most 65536 are possible", options->queued_count);
	return 0;
}

/* Opened records lie at the area's end: hooks see them there as they see packets. */
static int make_streams(
	struct hk_pipeline *pipeline, __u64 bytes, struct hk_streams **out, struct hk_error *error)
{
	__u8 *plain = hk_pipeline_plain(pipeline, HK_PIPELINE_BATCH);

	*out = NULL;
	if (!bytes)
		return 0;
	*out = hk_streams_new(
		bytes, plain, HK_PIPELINE_STREAM_PLAIN, &pipeline->options.counts->streams_evicted);
	return *out ? 0
		    : hk_error_set(error, ENOMEM,
			      "no memory for TCP streams: %llu bytes wanted by each worker (tls.memory)",
			      (unsigned long long)bytes);
}

static void use_streams(struct hk_pipeline *pipeline, struct hk_streams *streams)
{
	unsigned i;

	pipeline->streams = streams;
	for (i = 0; i < HK_PIPELINE_BATCH; i++)
		pipeline->openings[i].streams = streams;
}

int hk_pipeline_prepare(struct hk_pipeline *pipeline, const struct hk_config *config, struct hk_error *error)
{
	hk_pipeline_drop_spare(pipeline);
	pipeline->spare_bytes = hk_pipeline_stream_bytes(config);
	if (pipeline->spare_bytes == pipeline->options.stream_bytes)
		return 0;
	return make_streams(pipeline, pipeline->spare_bytes, &pipeline->spare, error);
}

void hk_pipeline_adopt(struct hk_pipeline *pipeline)
{
	struct hk_streams *before = pipeline->streams;

	if (pipeline->spare_bytes == pipeline->options.stream_bytes)
		return;
	pipeline->options.stream_bytes = pipeline->spare_bytes;
	use_streams(pipeline, pipeline->spare);
	pipeline->spare = before;
}

void hk_pipeline_drop_spare(struct hk_pipeline *pipeline)
{
	hk_streams_free(pipeline->spare);
	pipeline->spare = NULL;
}

__u64 hk_pipeline_stream_bytes(const struct hk_config *config)
{
	__u64 bytes = 0;
	unsigned i;

	for (i = 0; i < config->domains_count; i++)
		if (config->domains[i].envelope == HK_ENVELOPE_TLS)
			bytes += config->domains[i].tls.memory;
	return bytes;
}

/* A dropped segment comes again: its stream must not be completed by that. */
static void block_streams(struct hk_pipeline *pipeline, const struct hk_fate *fates)
{
	unsigned place, frame;

	for (place = 0; hk_streams_noted(pipeline->streams, place, &frame); place++)
		if (fates[frame].action == HK_ACTION_DROP)
			hk_streams_block(pipeline->streams, place, pipeline->now_ns);
}

static int make_parts(struct hk_pipeline *pipeline, struct hk_error *error)
{
	struct hk_streams *streams;
	unsigned i;
	int result;

	pipeline->crypto = hk_crypto_new(pipeline->options.crypto);
	if (!pipeline->crypto)
		return hk_error_set(error, errno ? errno : ENOTSUP, "no crypto backend '%s' on this machine",
			pipeline->options.crypto ? pipeline->options.crypto : "(any)");
	for (i = 0; i < HK_PIPELINE_BATCH; i++) {
		pipeline->openings[i].crypto = pipeline->crypto;
		pipeline->openings[i].now_ns = &pipeline->now_ns;
		pipeline->openings[i].expanded = pipeline->expanded[i];
		pipeline->openings[i].index = i;
	}
	pipeline->flows = hk_flow_table_new(pipeline->options.flows_max, hk_pipeline_emit_flow, pipeline);
	pipeline->nonces = calloc(1, sizeof(*pipeline->nonces));
	if (!pipeline->flows || !pipeline->nonces || make_area(pipeline))
		return hk_error_set(error, ENOMEM,
			"no memory for a pipeline with %u flows and frames of %u bytes",
			pipeline->options.flows_max, pipeline->options.frame_max);
	memset(pipeline->nonces, 0, sizeof(*pipeline->nonces)); /* touches its pages */
	result = make_streams(pipeline, pipeline->options.stream_bytes, &streams, error);
	use_streams(pipeline, streams);
	return result;
}

int hk_pipeline_new(
	struct hk_pipeline **out, const struct hk_pipeline_options *options, struct hk_error *error)
{
	struct hk_pipeline *pipeline;
	int result = check_options(options, error);

	if (result)
		return result;
	pipeline = aligned_alloc(CACHE_LINE, (sizeof(*pipeline) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
	if (!pipeline)
		return hk_error_set(error, ENOMEM, "no memory for a pipeline");
	memset(pipeline, 0, sizeof(*pipeline));
	pipeline->options = *options;
	result = make_parts(pipeline, error);
	if (result) {
		hk_pipeline_free(pipeline);
		return result;
	}
	*out = pipeline;
	return 0;
}

void hk_pipeline_free(struct hk_pipeline *pipeline)
{
	if (!pipeline)
		return;
	hk_crypto_free(pipeline->crypto);
	hk_flow_table_free(pipeline->flows);
	hk_streams_free(pipeline->streams);
	hk_streams_free(pipeline->spare);
	free(pipeline->nonces);
	if (pipeline->area)
		hk_wipe(pipeline->area, pipeline->area_size);
	free(pipeline->area);
	hk_wipe(pipeline, sizeof(*pipeline));
	free(pipeline);
}

static void read_wants(struct hk_pipeline *pipeline)
{
	pipeline->wants = pipeline->options.feed ? hk_feed_wants(pipeline->options.feed) : 0;
}

static void count_batch(struct hk_pipeline *pipeline)
{
	struct hk_counts *counts = pipeline->options.counts;
	const struct hk_hook_batch *batch = hk_pipeline_batch(pipeline);

	if (batch->event_count)
		hk_count_raise(&counts->events, batch->event_count);
	if (batch->event_lost)
		hk_count_raise(&counts->events_lost, batch->event_lost);
	__atomic_store_n(&counts->flows, hk_flow_count(pipeline->flows), __ATOMIC_RELAXED);
}

void hk_pipeline_run(struct hk_pipeline *pipeline, struct hk_inspection *inspection,
	const struct hk_frame *frames, unsigned count, __u64 now_ns, struct hk_fate *fates)
{
	if (!count)
		return;
	pipeline->inspection = inspection;
	pipeline->frames = frames;
	pipeline->count = count < HK_PIPELINE_BATCH ? count : HK_PIPELINE_BATCH;
	pipeline->now_ns = now_ns;
	pipeline->hooked = 0;
	read_wants(pipeline);
	if (pipeline->streams)
		hk_streams_begin(pipeline->streams);
	hk_pipeline_open(pipeline);
	hk_pipeline_inspect(pipeline);
	hk_pipeline_decide(pipeline, fates);
	if (pipeline->streams)
		block_streams(pipeline, fates);
	hk_pipeline_emit(pipeline, fates);
	count_batch(pipeline);
}

static bool holds_key(const void *keyring, const struct hk_stream *stream)
{
	return hk_keyring_tls_holds(keyring, stream->key_place, stream->key_id);
}

void hk_pipeline_forget_keys(struct hk_pipeline *pipeline, const struct hk_keyring *keyring)
{
	hk_crypto_forget(pipeline->crypto);
	if (pipeline->streams)
		hk_streams_forget(pipeline->streams, holds_key, keyring);
}

void hk_pipeline_tick(struct hk_pipeline *pipeline, __u64 now_ns, __u64 wall_ns, int final)
{
	(void)wall_ns; /* a flow's record tells of its own packets */
	read_wants(pipeline);
	if (final)
		hk_flow_end_all(pipeline->flows);
	else
		hk_flow_sweep(pipeline->flows, now_ns);
	__atomic_store_n(&pipeline->options.counts->flows, hk_flow_count(pipeline->flows), __ATOMIC_RELAXED);
}

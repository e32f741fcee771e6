// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A capture through the pipeline: see replay.h. Frames are gathered until a
 * batch is full; those that are for no worker are counted at once, as the XDP
 * program would. Time is the capture's, so shapers and idle flows behave as
 * they would have.
 */
#include "user/cmd/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "user/control/config.h"
#include "user/envelope/outer.h"
#include "user/feed/feed.h"
#include "user/feed/frame.h"
#include "user/pipeline/pipeline.h"

#define PROGRESS_NS 200000000ull

struct hk_replay {
	struct hk_config *config;
	struct hk_files files;
	struct hk_arena *arena;
	struct hk_inspection *inspection;
	struct hk_outer *outer;
	struct hk_pipeline *pipeline;
	struct hk_feeds *feeds;
	struct hk_replay_options options;
	struct hk_replay_result *result;
	__u8 *buffers; /* HK_PIPELINE_BATCH frames */
	struct hk_frame frames[HK_PIPELINE_BATCH];
	struct hk_fate fates[HK_PIPELINE_BATCH];
	unsigned count;
	__u64 now_ns; /* never goes back, whatever the capture says */
	__u64 shown_ns;
};

/* --- making it --- */

/* A key line is longer than its 32 hex digits: the files' sizes bound their number. */
struct hk_arena *hk_replay_arena(
	const struct hk_config *config, const struct hk_files *files, struct hk_error *error)
{
	struct hk_arena *arena;
	struct stat status;
	__u64 bytes = 0;
	unsigned i, keys;

	for (i = 0; i < files->count; i++)
		if (files->rows[i].kind == HK_FILE_KEYS && fstat(files->rows[i].fd, &status) == 0)
			bytes += (__u64)status.st_size * config->domains_count;
	keys = bytes / 32 + 16 < config->keys_max ? (unsigned)(bytes / 32 + 16) : config->keys_max;
	arena = hk_arena_new(keys);
	if (!arena)
		hk_error_set(error, errno, "no memory for %u keys: %s", keys, strerror(errno));
	return arena;
}

static int open_feeds(struct hk_replay *replay, struct hk_error *error)
{
	struct hk_config feeding = *replay->config; /* the daemon's own feeds are not ours to write */

	if (!replay->options.eve)
		return 0;
	feeding.directory = NULL; /* the path is of the command line, not of the configuration */
	memset(&feeding.feeds, 0, sizeof(feeding.feeds));
	feeding.feeds.eve_path = (char *)replay->options.eve;
	return hk_feeds_open(&replay->feeds, &feeding, &replay->files, 1, error);
}

static int make_pipeline(struct hk_replay *replay, struct hk_error *error)
{
	struct hk_pipeline_options options = {
		.frame_max = HK_CAPTURE_FRAME_MAX,
		.flows_max = replay->config->flows_max,
		.stream_bytes = hk_pipeline_stream_bytes(replay->config),
		.crypto = replay->config->crypto,
		.feed = replay->feeds ? hk_feeds_queue(replay->feeds, 0) : NULL,
		.counts = &replay->result->counts,
	};

	return hk_pipeline_new(&replay->pipeline, &options, error);
}

static int make_parts(struct hk_replay *replay, struct hk_error *error)
{
	int code = hk_config_open_files(replay->config, &replay->files, error);

	if (code)
		return code;
	replay->arena = hk_replay_arena(replay->config, &replay->files, error);
	if (!replay->arena)
		return -ENOMEM;
	code = hk_inspection_new(
		&replay->inspection, replay->config, &replay->files, replay->arena, 1, error);
	if (!code)
		code = open_feeds(replay, error);
	if (code)
		return code;
	replay->outer = hk_outer_new(replay->config);
	if (!replay->outer)
		return hk_error_set(error, ENOMEM, "out of memory");
	return make_pipeline(replay, error);
}

int hk_replay_new(struct hk_replay **out, struct hk_config *config, const struct hk_replay_options *options,
	struct hk_error *error)
{
	struct hk_replay *replay = calloc(1, sizeof(*replay));
	int code = -ENOMEM;

	*out = NULL;
	if (!replay)
		return hk_error_set(error, ENOMEM, "out of memory");
	replay->config = config;
	replay->options = *options;
	replay->buffers = malloc((size_t)HK_PIPELINE_BATCH * HK_CAPTURE_FRAME_MAX);
	replay->result = aligned_alloc(64, (sizeof(*replay->result) + 63) / 64 * 64);
	if (replay->result)
		memset(replay->result, 0, sizeof(*replay->result));
	if (replay->result && replay->buffers)
		code = make_parts(replay, error);
	if (!code) {
		*out = replay;
		return 0;
	}
	hk_replay_free(replay);
	return hk_error_set(error, -code, "out of memory");
}

/* --- running it --- */

static void count(struct hk_replay *replay, unsigned reason, __u32 length, bool dropped)
{
	hk_count_reason(&replay->result->counts, reason, length, dropped);
}

static void write_opened(struct hk_capture_out *out, const struct hk_frame *frame, const struct hk_fate *fate)
{
	__u8 *start = (__u8 *)fate->inner - HK_FRAME_HEADER; /* ours to write, says pipeline.h */

	hk_frame_header(start, frame->meta.port, fate->inner, fate->not_ip ? 0 : fate->inner_length);
	hk_capture_write(out, start, HK_FRAME_HEADER + fate->inner_length, frame->wall_ns);
}

static void run_batch(struct hk_replay *replay, struct hk_capture_out *out)
{
	struct hk_replay_result *result = replay->result;
	const struct hk_fate *fate;
	unsigned i;

	if (!replay->count)
		return;
	hk_pipeline_run(replay->pipeline, replay->inspection, replay->frames, replay->count, replay->now_ns,
		replay->fates);
	for (i = 0; i < replay->count; i++) {
		fate = &replay->fates[i];
		count(replay, fate->reason, replay->frames[i].length, fate->action == HK_ACTION_DROP);
		result->opened += fate->opened;
		if (fate->opened && fate->auth < HK_AUTH_COUNT)
			result->auth[fate->auth]++;
		if (fate->opened && out)
			write_opened(out, &replay->frames[i], fate);
	}
	replay->count = 0;
	hk_pipeline_tick(replay->pipeline, replay->now_ns, replay->frames[0].wall_ns, 0);
	if (replay->feeds)
		hk_feeds_drain(replay->feeds);
}

static void note_time(struct hk_replay *replay, const struct hk_captured *captured)
{
	struct hk_replay_result *result = replay->result;

	if (!result->counts.received)
		result->first_ns = captured->wall_ns;
	result->last_ns = captured->wall_ns;
	if (captured->wall_ns > replay->now_ns)
		replay->now_ns = captured->wall_ns;
}

/* Counts what is for no worker; what is joins the batch. */
static void take(struct hk_replay *replay, const struct hk_captured *captured)
{
	struct hk_frame *frame = &replay->frames[replay->count];
	unsigned reason;

	note_time(replay, captured);
	hk_count_raise(&replay->result->counts.received, 1);
	hk_count_raise(&replay->result->counts.received_bytes, captured->length);
	replay->result->cut += captured->cut;
	frame->data = captured->data;
	frame->length = captured->length;
	frame->wall_ns = captured->wall_ns;
	reason = captured->too_long
			 ? HK_REASON_FRAME_SIZE
			 : hk_outer_parse(replay->outer, frame->data, frame->length, 0, &frame->meta);
	if (reason == HK_REASON_TO_WORKER)
		replay->count++;
	else
		count(replay, reason, frame->length, replay->config->policy[reason] == HK_ACTION_DROP);
}

static void show_progress(struct hk_replay *replay, const struct hk_capture *in, bool last)
{
	unsigned long long packets = replay->result->counts.received;
	struct timespec now;
	__u64 now_ns;
	int percent;

	if (!replay->options.progress || (!last && packets % 1024))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
	if (!replay->shown_ns)
		replay->shown_ns = now_ns + 4 * PROGRESS_NS; /* nothing at all for short runs */
	if (last && replay->shown_ns <= now_ns)
		fputs("\r\033[K", stderr);
	if (last || now_ns < replay->shown_ns)
		return;
	replay->shown_ns = now_ns + PROGRESS_NS;
	percent = hk_capture_percent(in);
	if (percent >= 0)
		fprintf(stderr, "\r%llu packets, %d %%\033[K", packets, percent);
	else
		fprintf(stderr, "\r%llu packets\033[K", packets);
}

int hk_replay_run(
	struct hk_replay *replay, struct hk_capture *in, struct hk_capture_out *out, struct hk_error *error)
{
	struct hk_captured captured = {0};
	int code;

	for (;;) {
		captured.data = replay->buffers + (size_t)replay->count * HK_CAPTURE_FRAME_MAX;
		code = hk_capture_next(in, &captured, error);
		if (code <= 0)
			break;
		take(replay, &captured);
		if (replay->count == HK_PIPELINE_BATCH)
			run_batch(replay, out);
		show_progress(replay, in, false);
	}
	run_batch(replay, out);
	hk_pipeline_tick(replay->pipeline, replay->now_ns, replay->result->last_ns, 1);
	if (replay->feeds)
		hk_feeds_drain(replay->feeds);
	show_progress(replay, in, true);
	return code;
}

const struct hk_replay_result *hk_replay_result(const struct hk_replay *replay)
{
	return replay->result;
}

const struct hk_inspection *hk_replay_inspection(const struct hk_replay *replay)
{
	return replay->inspection;
}

void hk_replay_free(struct hk_replay *replay)
{
	if (!replay)
		return;
	hk_pipeline_free(replay->pipeline);
	hk_outer_free(replay->outer);
	if (replay->inspection)
		hk_inspection_free(replay->inspection);
	if (replay->arena)
		hk_arena_free(replay->arena);
	if (replay->feeds)
		hk_feeds_free(replay->feeds);
	hk_files_close(&replay->files);
	free(replay->result);
	free(replay->buffers);
	free(replay);
}

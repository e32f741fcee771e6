// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the pipeline costs for the packets of captures, in memory, one core:
 *
 *   captures [-q] [-o FILE.json] NAME=CONFIG,CAPTURE...
 *
 * CONFIG is a box's configuration, CAPTURE an Ethernet capture whose packets it
 * opens. All captures are timed in turns, so that whatever else the machine does
 * meets all of them alike; the last column is the time beside the first one's.
 * A packet that does not open ends the benchmark: refusing is fast.
 */
#include <errno.h>
#include <getopt.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/lib/measure.h"
#include "user/base/text.h"
#include "user/control/config.h"
#include "user/envelope/outer.h"
#include "user/pipeline/pipeline.h"

#define BATCH	  HK_PIPELINE_BATCH
#define FRAMES	  512 /* of a capture, a multiple of the batch */
#define FRAME_MAX 2048
#define TRACKS	  24

struct track {
	const char *name;
	struct hk_config *config;
	struct hk_files files;
	struct hk_arena *arena;
	struct hk_inspection *inspection;
	struct hk_pipeline *pipeline;
	struct hk_counts counts;
	struct hk_frame frames[FRAMES];
	unsigned count;
	__u64 bytes;
	__u8 *memory;
	struct samples turns, runs;
};

_Noreturn static void die(const struct track *track, const char *sentence)
{
	fprintf(stderr, "bench: %s: %s\n", track->name, sentence);
	exit(1);
}

static void make_box(struct track *track, const char *path)
{
	const struct hk_pipeline_options options = {
		.frame_max = FRAME_MAX, .flows_max = 65536, .counts = &track->counts};
	struct hk_error error = {""};

	if (hk_config_load(&track->config, path, HK_CONFIG_OPEN, NULL, &error) ||
		hk_config_open_files(track->config, &track->files, &error))
		die(track, error.text);
	track->arena = hk_arena_new(64);
	if (!track->arena)
		die(track, "no memory for keys");
	if (hk_inspection_new(&track->inspection, track->config, &track->files, track->arena, 1, &error) ||
		hk_pipeline_new(&track->pipeline, &options, &error))
		die(track, error.text);
}

/* The frames that XDP would hand to a worker; whole batches of them. */
static void read_frames(struct track *track, const char *path)
{
	struct hk_outer *outer = hk_outer_new(track->config);
	char error[PCAP_ERRBUF_SIZE] = "no memory";
	pcap_t *capture = outer ? pcap_open_offline(path, error) : NULL;
	struct pcap_pkthdr *header;
	const u_char *data;

	track->memory = aligned_alloc(4096, (size_t)FRAMES * FRAME_MAX);
	if (!capture || !track->memory)
		die(track, error);
	while (track->count < FRAMES && pcap_next_ex(capture, &header, &data) == 1) {
		struct hk_frame *frame = &track->frames[track->count];

		if (header->caplen > FRAME_MAX)
			continue;
		frame->data = memcpy(track->memory + (size_t)track->count * FRAME_MAX, data, header->caplen);
		frame->length = header->caplen;
		if (hk_outer_parse(outer, frame->data, frame->length, 0, &frame->meta) != HK_REASON_TO_WORKER)
			continue;
		track->bytes += frame->length;
		track->count++;
	}
	pcap_close(capture);
	hk_outer_free(outer);
	if (track->count < FRAMES)
		die(track, "fewer packets for a worker in the capture than are needed");
}

static void run_batch(struct track *track, unsigned first, struct hk_fate *fates)
{
	static __u64 now_ns = 1000000;

	hk_pipeline_run(
		track->pipeline, track->inspection, track->frames + first, BATCH, now_ns += 1000, fates);
}

static void verify(struct track *track)
{
	struct hk_fate fates[BATCH];
	char sentence[128];
	unsigned first, i;

	for (first = 0; first < FRAMES; first += BATCH) {
		run_batch(track, first, fates);
		for (i = 0; i < BATCH; i++) {
			if (fates[i].opened)
				continue;
			snprintf(sentence, sizeof(sentence), "packet %u of the capture did not open: %s",
				first + i, hk_reason_name(fates[i].reason));
			die(track, sentence);
		}
	}
}

/* NAME=CONFIG,CAPTURE */
static void make_track(struct track *track, char *text)
{
	char *config = strchr(text, '='), *capture = config ? strchr(config, ',') : NULL;

	track->name = text;
	if (!capture)
		die(track, "must be NAME=CONFIG,CAPTURE");
	*config++ = *capture++ = '\0';
	make_box(track, config);
	read_frames(track, capture);
	verify(track);
}

/* The first half warms the caches that the other captures' turns left cold. */
static void turn(struct track *track)
{
	struct hk_fate fates[BATCH];
	__u64 start = 0;
	unsigned first;

	for (first = 0; first < FRAMES; first += BATCH) {
		if (first == FRAMES / 2)
			start = measure_now_ns();
		run_batch(track, first, fates);
	}
	samples_add(&track->turns, (double)(measure_now_ns() - start) / (FRAMES - FRAMES / 2));
}

static void measure(struct track *tracks, unsigned count, unsigned runs, unsigned turns)
{
	unsigned run, i, t;

	for (run = 0; run < runs; run++) {
		for (i = 0; i < turns; i++)
			for (t = 0; t < count; t++)
				turn(&tracks[t]);
		for (t = 0; t < count; t++) {
			samples_add(&tracks[t].runs, samples_quiet(&tracks[t].turns));
			tracks[t].turns.count = 0;
		}
	}
}

static json_t *report(struct track *tracks, unsigned count)
{
	const double reference = samples_median(&tracks[0].runs);
	json_t *rows = json_array();
	unsigned t;

	printf("%-22s %6s %8s %7s %9s\n", "ns a packet", "frame", "pipeline", "Mpps", "of first");
	for (t = 0; t < count; t++) {
		const double ns = samples_median(&tracks[t].runs);
		const unsigned size = (unsigned)(tracks[t].bytes / FRAMES);

		printf("%-22s %6u %8.1f %7.2f %9.2f\n", tracks[t].name, size, ns, 1000 / ns, ns / reference);
		json_array_append_new(
			rows, json_pack("{s:s, s:i, s:f, s:f}", "case", tracks[t].name, "frame_bytes",
				      (int)size, "pipeline_ns", ns, "of_first", ns / reference));
	}
	return rows;
}

static void free_track(struct track *track)
{
	hk_pipeline_free(track->pipeline);
	hk_inspection_free(track->inspection);
	hk_arena_free(track->arena);
	hk_files_close(&track->files);
	hk_config_free(track->config);
	free(track->memory);
}

int main(int argc, char **argv)
{
	static struct track tracks[TRACKS];
	const char *output = "build/bench/captures.json";
	unsigned runs = 7, turns = 200, count, t;
	json_t *root;
	int c;

	while ((c = getopt(argc, argv, "qo:")) != -1) {
		if (c == 'q') {
			runs = 3;
			turns = 40;
		} else if (c == 'o') {
			output = optarg;
		} else {
			return 2;
		}
	}
	count = (unsigned)(argc - optind);
	if (!count || count > TRACKS) {
		fprintf(stderr, "usage: captures [-q] [-o FILE] NAME=CONFIG,CAPTURE... (1 to %d of them)\n",
			TRACKS);
		return 2;
	}
	for (t = 0; t < count; t++)
		make_track(&tracks[t], argv[optind + (int)t]);
	measure(tracks, count, runs, turns);
	root = json_pack("{s:s, s:i, s:o, s:o}", "benchmark", "captures", "runs", (int)runs, "machine",
		measure_machine(), "rows", report(tracks, count));
	for (t = 0; t < count; t++)
		free_track(&tracks[t]);
	return measure_write(root, output) ? 1 : 0;
}

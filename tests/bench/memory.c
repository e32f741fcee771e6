// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the pipeline costs beside the bare crypto library, in memory, one core:
 *
 *   memory [-q] [-r RUNS] [-c CASE] [-s BYTES] [-p HOOK.so] [-o FILE.json]
 *   memory -l LOOPS -c CASE -s BYTES     the pipeline alone, for a profiler
 *
 * For each envelope and packet size four things are timed in turn on freshly
 * sealed frames: the library and the pipeline, with one SPI and with a million.
 * Turns are short, so that whatever else the machine does meets all four alike;
 * ratios are therefore more to be trusted than times.
 *
 * Every packet must be opened, and to the plaintext the library finds: a
 * pipeline that drops packets would be fast.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/lib/bare.h"
#include "tests/bench/lib/measure.h"
#include "tests/bench/lib/stream.h"
#include "user/base/text.h"
#include "user/envelope/envelope.h"

#define BATCH	HK_PIPELINE_BATCH
#define WARM_UP STREAM_FLOWS /* frames of a chunk, untimed: every inner flow comes by once */

struct options {
	unsigned runs;
	unsigned chunks; /* in a run, per stream */
	const char *only;
	unsigned size;
	const char *hook;
	const char *output;
	unsigned loops;
};

/* The box for one case: everything between metadata and fate. */
struct box {
	struct hk_config config;
	struct hk_domain_config domain;
	struct hk_prefix receiver;
	struct hk_hook_config hook;
	struct hk_files files;
	struct hk_arena *arena;
	struct hk_inspection *inspection;
	struct hk_pipeline *pipeline;
	struct hk_outer *outer;
	struct hk_counts counts;
	struct hk_fate fates[BATCH];
};

/* One stream's measurements: nanoseconds a packet. */
struct track {
	struct stream stream;
	struct samples bare_turns, pipeline_turns; /* of the run at hand */
	struct samples bare, pipeline, ratio;	   /* a median a run */
};

_Noreturn static void die(const char *what, const struct hk_error *error)
{
	fprintf(stderr, "bench: %s: %s\n", what, error && error->text[0] ? error->text : strerror(errno));
	exit(1);
}

static void write_key(struct box *box, const struct bench_case *kind)
{
	const int fd = memfd_create("bench.keys", MFD_CLOEXEC);
	char hex[65];
	struct hk_error error = {""};

	hk_hex_format(stream_master, sizeof(stream_master), hex);
	if (fd < 0 || fchmod(fd, 0600) ||
		dprintf(fd, "slot=0 generation=1 side=%s key=%s%s\n",
			kind->profile == HK_PROFILE_SINGLE ? "single" : "enc", hex,
			kind->envelope == HK_ENVELOPE_PSP ? " receiver=192.0.2.9" : "") < 0 ||
		hk_files_add(&box->files, HK_FILE_KEYS, box->domain.keys, fd))
		die("the key file", &error);
}

static void configure(struct box *box, const struct bench_case *kind, const struct options *options)
{
	memset(box, 0, sizeof(*box));
	box->receiver = (struct hk_prefix){hk_address_v4(stream_receiver), 128};
	box->domain = (struct hk_domain_config){.name = "bench",
		.id = 0,
		.envelope = kind->envelope,
		.profile = kind->profile,
		.mkid = STREAM_MKID,
		.receivers = &box->receiver,
		.receivers_count = 1,
		.keys = "bench.keys"};
	if (kind->envelope == HK_ENVELOPE_ESP)
		box->domain.suite = kind->variant;
	box->hook.use = (char *)options->hook;
	box->config = (struct hk_config){.path = "bench",
		.directory = ".",
		.instance = "bench",
		.mode = HK_MODE_INLINE,
		.queues = 1,
		.frames = 8192,
		.keys_max = 16,
		.flows_max = 65536,
		.domains = &box->domain,
		.domains_count = 1,
		.hooks = &box->hook,
		.hooks_count = 1};
	for (unsigned reason = 0; reason < HK_REASON_COUNT; reason++)
		box->config.policy[reason] = HK_ACTION_PASS;
}

static void box_up(struct box *box, const struct bench_case *kind, const struct options *options)
{
	const struct hk_pipeline_options pipeline = {
		.frame_max = STREAM_FRAME_SIZE, .flows_max = 65536, .counts = &box->counts};
	struct hk_error error = {""};

	configure(box, kind, options);
	write_key(box, kind);
	if (hk_files_open(&box->files, HK_FILE_SETTINGS, ".", options->hook, &error))
		die("the no-op hook", &error);
	box->arena = hk_arena_new(box->config.keys_max);
	if (!box->arena ||
		hk_inspection_new(&box->inspection, &box->config, &box->files, box->arena, 1, &error))
		die("the inspection", &error);
	if (hk_pipeline_new(&box->pipeline, &pipeline, &error))
		die("the pipeline", &error);
	box->outer = hk_outer_new(&box->config);
	if (!box->outer)
		die("the outer parser", &error);
}

static void box_down(struct box *box)
{
	hk_outer_free(box->outer);
	hk_pipeline_free(box->pipeline);
	hk_inspection_free(box->inspection);
	hk_arena_free(box->arena);
	hk_files_close(&box->files);
}

static void run_pipeline(struct box *box, const struct stream *stream, unsigned first)
{
	static __u64 now = 1000000;

	hk_pipeline_run(
		box->pipeline, box->inspection, stream->frames + first, BATCH, now += 1000, box->fates);
}

/* The box must have found what the bare library finds; the library, what was sealed. */
static void verify(struct box *box, struct bare *bare, const struct stream *stream)
{
	if (bare_run(bare, stream, 0))
		die(stream->kind->name, &(struct hk_error){"the bare library refused a genuine ICV"});
	run_pipeline(box, stream, 0);
	for (unsigned i = 0; i < BATCH; i++) {
		const struct hk_fate *fate = &box->fates[i];

		if (fate->reason != HK_REASON_OK || !fate->opened ||
			fate->inner_length != stream->inner_size ||
			memcmp(fate->inner, bare_plain(bare, i), stream->inner_size) != 0) {
			fprintf(stderr, "bench: %s, packet %u: %s, %u bytes: not what the library opened\n",
				stream->kind->name, i, hk_reason_name(fate->reason), fate->inner_length);
			exit(1);
		}
	}
}

static void run_batches(struct box *box, struct bare *bare, const struct stream *stream, bool with_bare,
	unsigned from, unsigned to)
{
	for (unsigned first = from; first < to; first += BATCH) {
		if (with_bare)
			bare_run(bare, stream, first);
		else
			run_pipeline(box, stream, first);
	}
}

/* Sealing and the other half's turn left cold caches that a worker at work never has: half a chunk warms
 * them. */
static void turn(struct box *box, struct bare *bare, struct track *track, bool bare_first)
{
	const struct stream *stream = &track->stream;
	__u64 start, times[2];

	for (unsigned half = 0; half < 2; half++) {
		const bool with_bare = (half == 0) == bare_first;

		run_batches(box, bare, stream, with_bare, 0, WARM_UP);
		start = measure_now_ns();
		run_batches(box, bare, stream, with_bare, WARM_UP, STREAM_CHUNK);
		times[with_bare] = measure_now_ns() - start;
	}
	samples_add(&track->bare_turns, (double)times[1] / (STREAM_CHUNK - WARM_UP));
	samples_add(&track->pipeline_turns, (double)times[0] / (STREAM_CHUNK - WARM_UP));
}

/* One chunk over and over: what a profiler should see. Prints the fastest time, not the median. */
static void loop(struct box *box, const struct stream *stream, unsigned loops)
{
	__u64 start, best = ~0ull, time;

	for (unsigned i = 0; i < loops; i++) {
		start = measure_now_ns();
		for (unsigned first = 0; first < STREAM_CHUNK; first += BATCH)
			run_pipeline(box, stream, first);
		time = measure_now_ns() - start;
		best = time < best ? time : best;
	}
	printf("%s %u: %.1f ns a packet\n", stream->kind->name, stream->inner_size,
		(double)best / STREAM_CHUNK);
}

static void end_run(struct track *track)
{
	const double bare = samples_quiet(&track->bare_turns),
		     pipeline = samples_quiet(&track->pipeline_turns);

	samples_add(&track->bare, bare);
	samples_add(&track->pipeline, pipeline);
	samples_add(&track->ratio, bare / pipeline);
	track->bare_turns.count = track->pipeline_turns.count = 0;
}

static json_t *track_json(struct track *track)
{
	const double pipeline = samples_median(&track->pipeline), bare = samples_median(&track->bare);
	json_t *runs = json_array();

	for (unsigned i = 0; i < track->pipeline.count; i++)
		json_array_append_new(runs, json_real(track->pipeline.values[i]));
	return json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:o}", "spis", (int)track->stream.spis, "bare_ns",
		bare, "pipeline_ns", pipeline, "mpps", 1000 / pipeline, "gbit_per_s",
		track->stream.inner_size * 8 / pipeline, "of_bare", samples_median(&track->ratio),
		"pipeline_ns_runs", runs);
}

static void print_row(const struct bench_case *kind, unsigned size, struct track *one, struct track *million,
	double million_of_one)
{
	const double ns = samples_median(&one->pipeline);

	printf("%-14s %5u  %8.1f %8.1f %7.2f %7.1f %7.2f   %8.1f %8.1f %7.2f   %7.2f\n", kind->name, size,
		samples_median(&one->bare), ns, 1000 / ns, size * 8 / ns, samples_median(&one->ratio),
		samples_median(&million->bare), samples_median(&million->pipeline),
		samples_median(&million->ratio), million_of_one);
	fflush(stdout);
}

static json_t *measure(
	const struct bench_case *kind, unsigned size, const struct options *options, struct hk_crypto *sealer)
{
	struct track *tracks = calloc(2, sizeof(*tracks));
	struct bare *bare = bare_new(kind);
	struct box *box = calloc(1, sizeof(*box));
	struct samples spread = {0};
	json_t *row;

	if (!tracks || !box || !bare)
		die("the bare library", &(struct hk_error){"ipsec-mb does not run on this CPU"});
	box_up(box, kind, options);
	for (unsigned t = 0; t < 2; t++) {
		if (stream_new(&tracks[t].stream, kind, size, t ? STREAM_MILLION : 1))
			die("frames", NULL);
		stream_refill(&tracks[t].stream, sealer, box->outer);
		verify(box, bare, &tracks[t].stream);
		if (options->loops)
			loop(box, &tracks[t].stream, options->loops);
	}
	if (options->loops)
		exit(0);
	for (unsigned run = 0; run < options->runs; run++) {
		for (unsigned chunk = 0; chunk < options->chunks; chunk++)
			for (unsigned t = 0; t < 2; t++) {
				stream_refill(&tracks[t].stream, sealer, box->outer);
				turn(box, bare, &tracks[t], chunk % 2);
			}
		end_run(&tracks[0]);
		end_run(&tracks[1]);
		samples_add(&spread, tracks[0].pipeline.values[run] / tracks[1].pipeline.values[run]);
	}
	row = json_pack("{s:s, s:i, s:f, s:[o,o]}", "case", kind->name, "inner_bytes", (int)size,
		"million_of_one", samples_median(&spread), "spis", track_json(&tracks[0]),
		track_json(&tracks[1]));
	print_row(kind, size, &tracks[0], &tracks[1], samples_median(&spread));
	stream_free(&tracks[0].stream);
	stream_free(&tracks[1].stream);
	box_down(box);
	bare_free(bare);
	free(box);
	free(tracks);
	return row;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	int c;

	while ((c = getopt(argc, argv, "qr:c:s:p:o:l:")) != -1) {
		switch (c) {
		case 'q':
			options->runs = 3;
			options->chunks = 20;
			break;
		case 'r': options->runs = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'c': options->only = optarg; break;
		case 's': options->size = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'p': options->hook = optarg; break;
		case 'o': options->output = optarg; break;
		case 'l': options->loops = (unsigned)strtoul(optarg, NULL, 10); break;
		default:
			fprintf(stderr,
				"usage: memory [-q] [-r RUNS] [-c CASE] [-s BYTES] [-p HOOK.so] [-o FILE]\n");
			exit(2);
		}
	}
	if (options->runs == 0 || options->runs > SAMPLES_MAX)
		options->runs = 1;
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = {64, 512, 1400};
	struct options options = {
		.runs = 7, .chunks = 300, .hook = "build/bench/noop.so", .output = "build/bench/memory.json"};
	struct hk_crypto *sealer = hk_crypto_new(NULL);
	json_t *rows = json_array(), *root;

	parse_options(argc, argv, &options);
	if (!sealer)
		die("crypto", NULL);
	printf("ns a packet; Mpps and Gbit/s of inner bytes on one core; `of bare` is bare / pipeline\n");
	printf("%-14s %5s  %8s %8s %7s %7s %7s   %8s %8s %7s   %7s\n", "", "inner", "one SPI", "", "", "",
		"of", "million", "SPIs", "of", "million");
	printf("%-14s %5s  %8s %8s %7s %7s %7s   %8s %8s %7s   %7s\n", "case", "bytes", "bare", "pipeline",
		"Mpps", "Gbit/s", "bare", "bare", "pipeline", "bare", "/ one");
	for (unsigned i = 0; i < bench_cases_count; i++)
		for (unsigned s = 0; s < 3; s++)
			if ((!options.only || !strcmp(options.only, bench_cases[i].name)) &&
				(!options.size || options.size == sizes[s]))
				json_array_append_new(
					rows, measure(&bench_cases[i], sizes[s], &options, sealer));
	root = json_pack("{s:s, s:i, s:i, s:o, s:o}", "benchmark", "memory", "runs", (int)options.runs,
		"packets_per_run", (int)(options.chunks * STREAM_CHUNK), "machine", measure_machine(), "rows",
		rows);
	hk_crypto_free(sealer);
	return measure_write(root, options.output) ? 1 : 0;
}

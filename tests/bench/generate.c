// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The load generator of the veth benchmark:
 *
 *   generate key                                  the key file line's key
 *   generate IFACE SECONDS CASE BYTES one|many    sends sealed packets out of IFACE
 *
 * BPF_PROG_RUN with live frames, in the namespace it is started in: several
 * million genuine packets a second from one core, which nothing that sends
 * through a socket reaches. Frames come from a ring of STREAM_CHUNK sealed ones.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/lib/measure.h"
#include "tests/bench/lib/stream.h"
#include "tests/bench/lib/xdp.h"
#include "user/base/text.h"

#define REPEAT (1u << 17) /* frames in a call, which costs milliseconds to set up */

static const struct bench_case *case_by_name(const char *name)
{
	for (unsigned i = 0; i < bench_cases_count; i++)
		if (!strcmp(bench_cases[i].name, name))
			return &bench_cases[i];
	fprintf(stderr, "generate: no case \"%s\"\n", name);
	exit(2);
}

static int fill_map(struct stream *stream)
{
	const int map =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench_frames", 4, STREAM_FRAME_SIZE, STREAM_CHUNK, NULL);

	if (map < 0) {
		fprintf(stderr, "generate: no map: %s\n", strerror(-map));
		exit(1);
	}
	for (__u32 i = 0; i < STREAM_CHUNK; i++)
		if (bpf_map_update_elem(map, &i, stream->memory + (size_t)i * STREAM_FRAME_SIZE, 0))
			exit(1);
	return map;
}

static __u64 send_for(int program, const struct stream *stream, double seconds)
{
	const __u64 end = measure_now_ns() + (__u64)(seconds * 1e9);
	__u64 sent = 0;
	int code;

	while (measure_now_ns() < end) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = stream->memory,
			.data_size_in = stream->layout.frame_length, .repeat = REPEAT,
			.flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);

		code = bpf_prog_test_run_opts(program, &run);
		if (code && code != -EINTR && code != -EAGAIN) {
			fprintf(stderr, "generate: BPF_PROG_RUN: %s\n", strerror(-code));
			exit(1);
		}
		sent += REPEAT;
	}
	return sent;
}

static int print_key(void)
{
	char hex[65];

	hk_hex_format(stream_master, sizeof(stream_master), hex);
	puts(hex);
	return 0;
}

int main(int argc, char **argv)
{
	struct hk_crypto *crypto = hk_crypto_new(NULL);
	static struct stream stream;
	__u64 started, sent;
	unsigned ifindex;
	int program;

	if (argc == 2 && !strcmp(argv[1], "key"))
		return print_key();
	if (argc != 6) {
		fprintf(stderr, "usage: generate IFACE SECONDS CASE BYTES one|many\n       generate key\n");
		return 2;
	}
	ifindex = if_nametoindex(argv[1]);
	if (!ifindex || !crypto ||
		stream_new(&stream, case_by_name(argv[3]), (__u32)strtoul(argv[4], NULL, 10),
			strcmp(argv[5], "one") ? STREAM_MILLION : 1)) {
		fprintf(stderr, "generate: no interface \"%s\"\n", argv[1]);
		return 1;
	}
	stream_refill(&stream, crypto, NULL);
	program = xdp_sender(fill_map(&stream), STREAM_CHUNK, stream.layout.frame_length, ifindex);
	if (program < 0)
		return 1;
	started = measure_now_ns();
	sent = send_for(program, &stream, strtod(argv[2], NULL));
	printf("%.3f\n", (double)sent * 1000 / (double)(measure_now_ns() - started));
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sealed packets for the benchmark: a small ring of frames that is sealed anew
 * between measurements, so that a million SPIs need no more memory than one,
 * and every ICV of a `single` envelope is genuine. Sealing is never timed.
 *
 * The tags of the split suites are noise: they are the end hosts' and the box
 * never looks at them.
 */
#ifndef TESTS_BENCH_STREAM_H
#define TESTS_BENCH_STREAM_H

#include <stdbool.h>

#include <halfkey/crypto.h>

#include "user/envelope/outer.h"
#include "user/pipeline/pipeline.h"

#define STREAM_CHUNK	  512 /* frames; a multiple of the batch */
#define STREAM_FRAME_SIZE 2048
#define STREAM_FLOWS	  256 /* inner flows, the same for every SPI count */
#define STREAM_MILLION	  (1u << 20)

/* What is measured: one row of the table. */
struct bench_case {
	const char *name;
	__u8 envelope; /* enum hk_envelope */
	__u8 variant;  /* PSP version or enum hk_suite */
	__u8 profile;  /* enum hk_profile */
	__u8 key_size;
	__u8 cipher; /* enum hk_cipher */
};

extern const struct bench_case bench_cases[];
extern const unsigned bench_cases_count;

/* The same for all frames of a stream: what the bare library works with. */
struct stream_layout {
	__u16 spi_offset, iv_offset, iv_size, aad_offset, aad_length, cipher_offset, cipher_length,
		tag_offset;
	__u32 frame_length;
};

struct stream {
	const struct bench_case *kind;
	struct stream_layout layout;
	__u32 inner_size, spis;
	__u64 sequence;
	__u8 *memory;
	struct hk_frame frames[STREAM_CHUNK];
};

extern const __u8 stream_master[32];  /* the box's key of every case */
extern const __u8 stream_receiver[4]; /* IPv4 destination */
#define STREAM_MKID 1

int stream_new(struct stream *stream, const struct bench_case *kind, __u32 inner_size, __u32 spis);
void stream_free(struct stream *stream);
/* Seals STREAM_CHUNK new packets; ends the program when `outer` (or NULL) says that one is not for the box.
 */
void stream_refill(struct stream *stream, struct hk_crypto *crypto, const struct hk_outer *outer);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline: what happens to a batch of frames wherever it came from —
 * an AF_XDP ring, a ring buffer, a capture file.
 *
 *   metadata → keyring → derive → open (+ verify) → plausibility → inner parse
 *            → hooks, any drop wins → flow table → feeds → fate
 *
 * One pipeline per worker thread; everything it needs is allocated and touched
 * when it is made. The frames are only read: plaintext goes to a side buffer.
 */
#ifndef HK_PIPELINE_PIPELINE_H
#define HK_PIPELINE_PIPELINE_H

#include <halfkey/config.h>
#include <halfkey/crypto.h>
#include <halfkey/meta.h>

#include "user/feed/feed.h"
#include "user/pipeline/counts.h"
#include "user/pipeline/inspection.h"

#define HK_PIPELINE_BATCH HK_HOOK_BATCH_MAX

struct hk_pipeline;

struct hk_pipeline_options {
	unsigned worker;	    /* 0.. */
	__u32 frame_max;	    /* the largest frame, bytes */
	unsigned flows_max;	    /* inner flows kept */
	__u64 stream_bytes;	    /* memory for TCP streams: hk_pipeline_stream_bytes(); 0: none */
	const char *crypto;	    /* backend name or NULL */
	struct hk_feed_queue *feed; /* or NULL */
	struct hk_counts *counts;   /* the worker's; the pipeline adds all but `received` and `reasons` */
	const __u32 *queued;	    /* packets waiting per delay class, all workers; NULL: none ever waits */
	unsigned queued_count;
};

struct hk_frame {
	const __u8 *data; /* the Ethernet frame; meta's offsets count from here */
	__u32 length;
	struct hk_meta meta; /* a copy: the shared area may change under us */
	__u64 wall_ns;	     /* CLOCK_REALTIME, for feeds */
};

/* What became of a frame. The caller carries it out and counts the reason where it ends. */
struct hk_fate {
	__u8 reason; /* enum hk_reason */
	__u8 action; /* enum hk_action */
	__u8 auth;   /* enum hk_auth */
	__u8 opened; /* 1: inner and inner_length are valid until the next run */
	__u16 delay_class;
	__u8 not_ip; /* 1: inner is a payload, no IP packet */
	__u8 reserved;
	__u64 release_ns;  /* nonzero: hold the frame until then, then send it */
	const __u8 *inner; /* the inner IP packet; 14 bytes in front of it are free to write */
	__u32 inner_length;
	/* a verdict for the kernel's cache, when kernel_lifetime_ms is nonzero: the whole sealed flow */
	__u32 kernel_lifetime_ms;
	__u8 kernel_verdict;
};

/* What the TLS domains of a configuration ask for. */
__u64 hk_pipeline_stream_bytes(const struct hk_config *config);

int hk_pipeline_new(
	struct hk_pipeline **out, const struct hk_pipeline_options *options, struct hk_error *error);
void hk_pipeline_free(struct hk_pipeline *pipeline);

/*
 * A configuration that comes asks for other memory for TCP streams: prepare() takes
 * it beside what is in use (0, or negative errno and a sentence), adopt() puts it in
 * force between two batches, and drop_spare() gives back what is not used. Streams
 * that were followed in memory of another size are followed no more.
 */
int hk_pipeline_prepare(struct hk_pipeline *pipeline, const struct hk_config *config, struct hk_error *error);
void hk_pipeline_adopt(struct hk_pipeline *pipeline);
void hk_pipeline_drop_spare(struct hk_pipeline *pipeline);

/* Runs up to HK_PIPELINE_BATCH frames. `now_ns` is CLOCK_MONOTONIC, taken once by the caller. */
void hk_pipeline_run(struct hk_pipeline *pipeline, struct hk_inspection *inspection,
	const struct hk_frame *frames, unsigned count, __u64 now_ns, struct hk_fate *fates);

/* Between batches: wipes what is left of keys used, and what streams keep of those that `keyring` does not
 * hold. */
void hk_pipeline_forget_keys(struct hk_pipeline *pipeline, const struct hk_keyring *keyring);

/* Between batches: ends idle flows (a bounded number per call). `final`: ends all of them. */
void hk_pipeline_tick(struct hk_pipeline *pipeline, __u64 now_ns, __u64 wall_ns, int final);

#endif

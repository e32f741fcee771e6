/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker: one thread that owns queue q of all ports and carries every packet
 * from an rx ring (monitor: a ring buffer) through the pipeline to its fate.
 *
 *      ┌──────────────────────────── a turn ─────────────────────────────┐
 *      │ beat ► port 0: batch ► pipeline ► fates ► port 1: the same       │
 *      │      ► delayed packets that are due ► completions ► refill ► kick│
 *      └────────── nothing received: poll, never longer than a beat ──────┘
 *
 * On this path nothing is allocated, locked or logged; system calls are those
 * AF_XDP itself needs. The group of workers (workers.h) starts and stops them
 * and swaps the inspection between two turns.
 */
#ifndef HK_DATAPLANE_WORKER_H
#define HK_DATAPLANE_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include <halfkey/config.h>

#include "maps/heartbeat.h"
#include "maps/verdicts.h"
#include "user/dataplane/copies.h"
#include "user/dataplane/delay.h"
#include "user/dataplane/frames.h"
#include "user/dataplane/ledger.h"
#include "user/dataplane/socket.h"
#include "user/pipeline/pipeline.h"

#define HK_WORKER_VERDICTS 256 /* kernel verdicts on their way to the control thread; a power of two */
#define HK_WORKER_STACK	   (1u << 20)

struct hk_worker_verdict {
	struct hk_verdict_key key;
	struct hk_verdict_value value;
};

/* What the control thread asks of all workers. */
enum hk_worker_order { HK_WORKER_RUN, HK_WORKER_PAUSE, HK_WORKER_STOP };

struct hk_worker_orders {
	unsigned order;			  /* enum hk_worker_order, atomic */
	struct hk_inspection *inspection; /* changed only while all workers pause */
};

struct hk_worker {
	unsigned index;
	__u8 mode; /* enum hk_mode */
	unsigned ports;
	__u64 wait_ns;		    /* the longest it waits for packets: its heart beats in between */
	struct hk_queue *queue;	    /* NULL in monitor mode */
	struct hk_copies *copies;   /* monitor mode, else NULL */
	struct hk_heartbeat *beats; /* the whole map */
	struct hk_ledger_worker *ledger;
	const struct hk_worker_orders *orders;
	struct hk_inspection *inspection;
	struct hk_pipeline *pipeline;
	struct hk_frames frames;
	struct hk_delay delay;
	unsigned paused;  /* atomic: the order it obeys now */
	unsigned stopped; /* atomic: the thread is about to end */
	/* one turn's work */
	struct hk_frame batch[HK_PIPELINE_BATCH];
	struct hk_fate fates[HK_PIPELINE_BATCH];
	__u64 addresses[HK_PIPELINE_BATCH];
	__u32 submitted[HK_PORTS_MAX]; /* tx descriptors written and not yet published */
	__u64 lost_seen[HK_PORTS_MAX];
	__u64 now_ns;
	__u64 wall_ns;
	__u64 next_tick_ns;
	__u64 next_statistics_ns;
	/* single producer (this thread), single consumer (the control thread) */
	struct hk_worker_verdict verdicts[HK_WORKER_VERDICTS];
	__u32 verdicts_head, verdicts_tail;
	void *stack;
	pthread_t thread;
	bool started;
};

struct hk_worker_options {
	unsigned index;
	unsigned workers;
	const struct hk_config *config;
	struct hk_queue *queue;
	int copies_fd; /* monitor mode: the ring buffer, else -1 */
	struct hk_heartbeat *beats;
	struct hk_ledger_worker *ledger;
	const struct hk_worker_orders *orders;
	struct hk_feed_queue *feed;
	__u32 *queued; /* [HK_DELAY_CLASSES_MAX], shared by all workers */
	__u32 frame_max;
};

/* All memory a worker will ever use. 0, or negative errno and a sentence. */
int hk_worker_new(struct hk_worker **out, const struct hk_worker_options *options, struct hk_error *error);
int hk_worker_start(struct hk_worker *worker, struct hk_error *error);
/* Has it begun, so that XDP may hand it packets? */
bool hk_worker_has_beaten(const struct hk_worker *worker);
/* The thread has ended. */
void hk_worker_free(struct hk_worker *worker);
/* Control thread: the next kernel verdict a worker wants; false: none. */
bool hk_worker_verdict_take(struct hk_worker *worker, struct hk_worker_verdict *out);

/* worker.c to its halves */
__u64 hk_worker_clock(clockid_t clock);
/* Counts a packet's end: what a mode that sends nothing calls `ok` is `inspected` there. */
void hk_worker_count(struct hk_worker *worker, unsigned reason, __u32 length, bool dropped);
/* Hands a fate's kernel verdict on, if it has one that may stand. */
void hk_worker_verdict_put(
	struct hk_worker *worker, const struct hk_frame *frame, const struct hk_fate *fate);
/* One turn over the rings; how many packets it received. */
unsigned hk_worker_turn_sockets(struct hk_worker *worker);
unsigned hk_worker_turn_copies(struct hk_worker *worker);
/* Waits for packets, at most `wait_ns`. */
void hk_worker_wait_sockets(struct hk_worker *worker, __u64 wait_ns);
void hk_worker_wait_copies(struct hk_worker *worker, __u64 wait_ns);
/* Gives back what is delayed and sends what is submitted. */
void hk_worker_finish_sockets(struct hk_worker *worker);

#endif

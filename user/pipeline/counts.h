/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker's counters: written by that worker alone, read by anyone at any
 * time, so plain stores with relaxed atomics suffice. Every packet a worker
 * received is in exactly one row of `reasons`.
 */
#ifndef HK_PIPELINE_COUNTS_H
#define HK_PIPELINE_COUNTS_H

#include <linux/types.h>

#include <halfkey/config.h>
#include <halfkey/reason.h>

struct hk_count {
	__u64 packets;
	__u64 bytes;
	__u64 dropped; /* of packets */
};

struct hk_counts {
	__u64 received;
	__u64 received_bytes;
	struct hk_count reasons[HK_REASON_COUNT];
	__u64 hook_drops[HK_HOOKS_MAX]; /* by place in the configuration */
	__u64 hook_delays[HK_HOOKS_MAX];
	__u64 hook_errors[HK_HOOKS_MAX];
	__u64 events;	    /* alerts and log lines of hooks */
	__u64 events_lost;  /* no room in a batch */
	__u64 feed_records; /* handed to the feed thread */
	__u64 feed_lost;    /* its queue had no room */
	__u64 flows;	    /* inner flows in the table now */
	__u64 flows_evicted;
	__u64 streams_evicted; /* TCP streams and windows that gave way to others */
	__u64 nonce_repeats;   /* one nonce, two ciphertexts: anomaly */
	__u64 verdicts_lost;   /* kernel verdicts wanted, no room on the way */
} __attribute__((aligned(64)));

static inline void hk_count_raise(__u64 *counter, __u64 by)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

static inline void hk_count_reason(struct hk_counts *counts, unsigned reason, __u32 bytes, int dropped)
{
	hk_count_raise(&counts->reasons[reason].packets, 1);
	hk_count_raise(&counts->reasons[reason].bytes, bytes);
	hk_count_raise(&counts->reasons[reason].dropped, dropped ? 1 : 0);
}

#endif

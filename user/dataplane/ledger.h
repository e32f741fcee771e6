/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives an inspector: the workers' counters, in memory that starter
 * and inspector share, so that a crash loses no count. Written by the worker
 * it belongs to; settled by the starter while no inspector lives.
 */
#ifndef HK_DATAPLANE_LEDGER_H
#define HK_DATAPLANE_LEDGER_H

#include <linux/types.h>

#include <halfkey/config.h>

#include "maps/heartbeat.h"
#include "user/dataplane/frames.h"
#include "user/pipeline/counts.h"

struct hk_ledger_worker {
	struct hk_counts counts;
	__u64 ring_lost[HK_PORTS_MAX]; /* handed, and lost by the kernel on the way (XDP_STATISTICS) */
	__u64 frame_errors;	       /* see hk_frames.errors */
	__u32 frames[HK_FRAME_OWNERS];
} __attribute__((aligned(64)));

struct hk_ledger {
	__u64 handed_before; /* to workers of earlier daemons */
	__u64 ring_lost;     /* handed, and gone with the rings of a dead inspector */
	unsigned workers;
	struct hk_ledger_worker worker[HK_QUEUES_MAX];
};

/* Shared, zeroed memory; NULL and errno. */
struct hk_ledger *hk_ledger_new(unsigned workers);
void hk_ledger_free(struct hk_ledger *ledger);

/*
 * Settles the accounts of a dead inspector, while no worker beats: what a worker
 * had received and not finished counts as `shutdown`; what was handed and never
 * received is ring_lost; `taken` catches up with `handed`. Both maps are mapped,
 * HK_MAP_SLOTS entries each; `to_worker` is the sum of the XDP counter.
 */
void hk_ledger_settle(struct hk_ledger *ledger, struct hk_heartbeat *beats,
	const volatile struct hk_handed *handed, __u64 to_worker);
/* The same for the first inspector of a daemon, which owes nothing for its predecessors. */
void hk_ledger_begin(struct hk_ledger *ledger, struct hk_heartbeat *beats,
	const volatile struct hk_handed *handed, __u64 to_worker);
/* All that was handed to workers of this daemon and never reached one. */
__u64 hk_ledger_lost(const struct hk_ledger *ledger);

#endif

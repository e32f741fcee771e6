/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All workers of an inspector: made before it drops its rights, started
 * afterwards, and handed a new inspection between two batches. Every call is
 * the control thread's.
 */
#ifndef HK_DATAPLANE_WORKERS_H
#define HK_DATAPLANE_WORKERS_H

#include "user/dataplane/worker.h"

struct hk_workers {
	unsigned count;
	struct hk_worker *worker[HK_QUEUES_MAX];
	struct hk_worker_orders orders;
	__u32 queued[HK_DELAY_CLASSES_MAX];
	bool started;
};

struct hk_workers_options {
	const struct hk_config *config;
	unsigned count;
	struct hk_queue *const *queues; /* by worker; NULL in monitor mode */
	const int *copies_fds;		/* by worker; monitor mode, else NULL */
	struct hk_heartbeat *beats;
	struct hk_ledger *ledger;
	struct hk_feeds *feeds; /* or NULL */
	__u32 frame_max;
};

int hk_workers_new(struct hk_workers **out, const struct hk_workers_options *options, struct hk_error *error);
/* Puts `inspection` in force and runs: every worker is at its rings when this returns. */
int hk_workers_start(struct hk_workers *workers, struct hk_inspection *inspection, struct hk_error *error);
/*
 * Swaps the inspection: all workers pause between two batches with their
 * hearts beating, `next` adopts what should survive, all go on. Afterwards
 * nobody uses the old one. -ETIMEDOUT: a worker did not pause; nothing changed.
 */
int hk_workers_swap(struct hk_workers *workers, struct hk_inspection *next, struct hk_error *error);
/*
 * The same for a change within the inspection: `change` runs while all workers
 * pause, with `context`. What it returns: negative errno, 0, or 1 when keys went,
 * and workers wipe what they keep of keys. -ETIMEDOUT: it was not called.
 */
int hk_workers_change(
	struct hk_workers *workers, int (*change)(void *context), void *context, struct hk_error *error);
/* Takes what is still in the rings, drops what is delayed, ends the threads. */
void hk_workers_stop(struct hk_workers *workers);
void hk_workers_free(struct hk_workers *workers);

#endif

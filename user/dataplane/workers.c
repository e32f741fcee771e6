// SPDX-License-Identifier: GPL-2.0-or-later
/* All workers of an inspector: see workers.h. */
#include "user/dataplane/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define SWAP_NS	      (2ull * 1000 * 1000 * 1000)
#define FIRST_BEAT_NS (30ull * 1000 * 1000 * 1000)

int hk_workers_new(struct hk_workers **out, const struct hk_workers_options *options, struct hk_error *error)
{
	struct hk_workers *workers = calloc(1, sizeof(*workers));
	int err = 0;
	unsigned i;

	if (!workers)
		return hk_error_set(error, ENOMEM, "workers: out of memory");
	for (i = 0; !err && i < options->count; i++) {
		struct hk_worker_options one = {
			.index = i,
			.workers = options->count,
			.config = options->config,
			.queue = options->queues ? options->queues[i] : NULL,
			.copies_fd = options->copies_fds ? options->copies_fds[i] : -1,
			.beats = options->beats,
			.ledger = &options->ledger->worker[i],
			.orders = &workers->orders,
			.feed = options->feeds ? hk_feeds_queue(options->feeds, i) : NULL,
			.queued = workers->queued,
			.frame_max = options->frame_max,
		};

		err = hk_worker_new(&workers->worker[i], &one, error);
		if (!err)
			workers->count++;
	}
	if (err) {
		hk_workers_free(workers);
		return err;
	}
	*out = workers;
	return 0;
}

static bool all_beat(const struct hk_workers *workers)
{
	unsigned i;

	for (i = 0; i < workers->count; i++)
		if (!hk_worker_has_beaten(workers->worker[i]))
			return false;
	return true;
}

/* Who says that inspection runs while a worker waits for its first turn has packets go by it. */
static int wait_beats(const struct hk_workers *workers, struct hk_error *error)
{
	static const struct timespec pause = {.tv_nsec = 200 * 1000};
	__u64 deadline = hk_worker_clock(CLOCK_MONOTONIC) + FIRST_BEAT_NS;

	while (!all_beat(workers)) {
		if (hk_worker_clock(CLOCK_MONOTONIC) > deadline)
			return hk_error_set(error, ETIMEDOUT, "a worker got no processor time to begin with");
		nanosleep(&pause, NULL);
	}
	return 0;
}

int hk_workers_start(struct hk_workers *workers, struct hk_inspection *inspection, struct hk_error *error)
{
	unsigned i;
	int err = 0;

	workers->orders.inspection = inspection;
	workers->started = true;
	for (i = 0; !err && i < workers->count; i++)
		err = hk_worker_start(workers->worker[i], error);
	return err ? err : wait_beats(workers, error);
}

static void order_set(struct hk_workers *workers, unsigned order)
{
	__atomic_store_n(&workers->orders.order, order, __ATOMIC_RELEASE);
}

static bool all_paused(struct hk_workers *workers, unsigned paused)
{
	unsigned i;

	for (i = 0; i < workers->count; i++)
		if (__atomic_load_n(&workers->worker[i]->paused, __ATOMIC_ACQUIRE) != paused)
			return false;
	return true;
}

static int wait_paused(struct hk_workers *workers, unsigned paused)
{
	static const struct timespec pause = {.tv_nsec = 200 * 1000};
	__u64 deadline = hk_worker_clock(CLOCK_MONOTONIC) + SWAP_NS;

	while (!all_paused(workers, paused)) {
		if (hk_worker_clock(CLOCK_MONOTONIC) > deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* What is left of the keys of packets before: they may be gone. */
static void forget_keys(struct hk_workers *workers)
{
	unsigned i;

	for (i = 0; i < workers->count; i++)
		hk_pipeline_forget_keys(workers->worker[i]->pipeline, workers->orders.inspection->keyring);
}

int hk_workers_change(
	struct hk_workers *workers, int (*change)(void *context), void *context, struct hk_error *error)
{
	int err, result = 0;

	order_set(workers, HK_WORKER_PAUSE);
	err = wait_paused(workers, 1);
	if (!err) {
		result = change(context);
		if (result > 0)
			forget_keys(workers);
	}
	order_set(workers, HK_WORKER_RUN);
	wait_paused(workers, 0);
	return err ? hk_error_set(error, -err, "a worker did not finish its batch in time") : result;
}

/* What the next configuration needs of memory, beside what is in use. */
static int prepare(struct hk_workers *workers, const struct hk_config *config, struct hk_error *error)
{
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < workers->count; i++)
		err = hk_pipeline_prepare(workers->worker[i]->pipeline, config, error);
	return err;
}

static void drop_spares(struct hk_workers *workers)
{
	unsigned i;

	for (i = 0; i < workers->count; i++)
		hk_pipeline_drop_spare(workers->worker[i]->pipeline);
}

static void adopt(struct hk_workers *workers)
{
	unsigned i;

	for (i = 0; i < workers->count; i++)
		hk_pipeline_adopt(workers->worker[i]->pipeline);
}

int hk_workers_swap(struct hk_workers *workers, struct hk_inspection *next, struct hk_error *error)
{
	int err = prepare(workers, next->config, error);

	if (err) {
		drop_spares(workers);
		return err;
	}
	order_set(workers, HK_WORKER_PAUSE);
	err = wait_paused(workers, 1);
	if (!err) {
		adopt(workers);
		hk_inspection_adopt(next, workers->orders.inspection);
		__atomic_store_n(&workers->orders.inspection, next, __ATOMIC_RELEASE);
		forget_keys(workers);
	}
	order_set(workers, HK_WORKER_RUN);
	wait_paused(workers, 0); /* so that the next pause cannot see this one's answer */
	drop_spares(workers);
	return err ? hk_error_set(error, -err, "a worker did not finish its batch in time") : 0;
}

void hk_workers_stop(struct hk_workers *workers)
{
	unsigned i;

	if (!workers->started)
		return;
	order_set(workers, HK_WORKER_STOP);
	for (i = 0; i < workers->count; i++)
		if (workers->worker[i]->started)
			pthread_join(workers->worker[i]->thread, NULL);
	workers->started = false;
}

void hk_workers_free(struct hk_workers *workers)
{
	unsigned i;

	if (!workers)
		return;
	for (i = 0; i < workers->count; i++)
		hk_worker_free(workers->worker[i]);
	free(workers);
}

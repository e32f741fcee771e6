// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The feed thread: takes records out of all queues, in turn, and hands them to
 * the feeds. It sleeps a millisecond when all are empty, rather than be woken:
 * that costs this thread a little and the workers nothing at all.
 */
#include "user/feed/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DRAIN_FLUSH_NS 10000000
#define DRAIN_TURN     64      /* records of one queue before the next has its turn */
#define DRAIN_NAP_NS   1000000 /* the queues hold what comes in this time */

static unsigned drain_queue(struct hk_feeds *feeds, struct hk_feed_queue *queue)
{
	const struct hk_record *record;
	unsigned count = 0;

	while (count < DRAIN_TURN && (record = hk_feed_queue_next(queue))) {
		hk_feeds_write(feeds, record);
		count++;
	}
	if (count)
		hk_feed_queue_release(queue);
	return count;
}

static unsigned drain_stats(struct hk_feeds *feeds)
{
	char *json;

	pthread_mutex_lock(&feeds->stats_lock);
	json = feeds->stats_json;
	feeds->stats_json = NULL;
	pthread_mutex_unlock(&feeds->stats_lock);
	if (!json)
		return 0;
	hk_feeds_write_stats(feeds, json);
	free(json);
	return 1;
}

static __u64 monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

/* What was gathered is written when nothing more waits, and in steady traffic often enough for those who
 * watch. */
static void drain_flush(struct hk_feeds *feeds, unsigned count)
{
	__u64 now = monotonic_ns();

	if (count && now - feeds->flushed_ns < DRAIN_FLUSH_NS)
		return;
	hk_feeds_flush(feeds);
	feeds->flushed_ns = now;
}

/* Who locks again at once would never let a reload in. */
static void drain_let_in(const struct hk_feeds *feeds)
{
	const struct timespec nap = {.tv_nsec = DRAIN_NAP_NS};

	while (__atomic_load_n(&feeds->reopening, __ATOMIC_ACQUIRE))
		nanosleep(&nap, NULL);
}

/* One turn through all queues; 0: nothing waited, and all feeds are flushed. */
static unsigned drain_turn(struct hk_feeds *feeds)
{
	unsigned i, count = 0;

	drain_let_in(feeds);
	pthread_mutex_lock(&feeds->lock);
	for (i = 0; i < feeds->workers; i++)
		count += drain_queue(feeds, feeds->queues[i]);
	count += drain_stats(feeds);
	drain_flush(feeds, count);
	pthread_mutex_unlock(&feeds->lock);
	return count;
}

void hk_feeds_drain(struct hk_feeds *feeds)
{
	while (drain_turn(feeds))
		;
}

static void *drain_thread(void *argument)
{
	const struct timespec nap = {.tv_nsec = DRAIN_NAP_NS};
	struct hk_feeds *feeds = argument;

	while (!__atomic_load_n(&feeds->stopping, __ATOMIC_ACQUIRE))
		if (!drain_turn(feeds))
			nanosleep(&nap, NULL);
	hk_feeds_drain(feeds);
	return NULL;
}

int hk_feeds_start(struct hk_feeds *feeds, struct hk_error *error)
{
	sigset_t all, before;
	unsigned i;
	int code;

	for (i = 0; i < feeds->workers; i++)
		hk_feed_queue_touch(feeds->queues[i]);
	feeds->stopping = false;
	/* Signals are the control thread's; but a system call refused is the thread's own, or its end. */
	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&feeds->thread, NULL, drain_thread, feeds);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code)
		return hk_error_set(error, code, "feeds: cannot start their thread: %s", strerror(code));
	feeds->running = true;
	return 0;
}

void hk_feeds_stop(struct hk_feeds *feeds)
{
	if (!feeds->running)
		return;
	__atomic_store_n(&feeds->stopping, true, __ATOMIC_RELEASE);
	pthread_join(feeds->thread, NULL);
	feeds->running = false;
}

/* The newest is kept when the thread has not taken the one before: both would say much the same. */
void hk_feeds_put_stats(struct hk_feeds *feeds, const char *json)
{
	char *copy = strdup(json);

	if (!copy)
		return;
	pthread_mutex_lock(&feeds->stats_lock);
	free(feeds->stats_json);
	feeds->stats_json = copy;
	pthread_mutex_unlock(&feeds->stats_lock);
}

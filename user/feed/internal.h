/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What feed.c (the feeds' life) and drain.c (the thread that moves records) share. Nobody else's business. */
#ifndef HK_FEED_INTERNAL_H
#define HK_FEED_INTERNAL_H

#include <pthread.h>

#include "user/feed/feeds.h"
#include "user/feed/queue.h"

enum {
#define HK_F(name) HK_FEED_ROW_##name,
	HK_FEED_TABLE(HK_F)
#undef HK_F
		HK_FEED_ROWS
};

/* The feeds of one configuration: a reload opens the next set and swaps. */
struct hk_feed_set {
	void *state[HK_FEED_ROWS]; /* NULL: off */
	struct hk_feed_names *names;
};

struct hk_feeds {
	struct hk_feed_queue *queues[HK_QUEUES_MAX];
	unsigned workers;
	pthread_mutex_t lock; /* `set`: held by who writes records, and by a reload's swap */
	struct hk_feed_set set;
	struct hk_feed_counters counters[HK_FEED_ROWS]; /* live longer than the states */
	pthread_mutex_t stats_lock;			/* `stats_json` */
	char *stats_json;				/* the stats record that waits to be written */
	pthread_t thread;
	bool running;
	bool stopping;	  /* atomic */
	bool reopening;	  /* atomic: the feed thread leaves `lock` to a reload */
	__u64 flushed_ns; /* the feed thread's, CLOCK_MONOTONIC */
};

/* With `lock` held. */
void hk_feeds_write(struct hk_feeds *feeds, const struct hk_record *record);
void hk_feeds_write_stats(struct hk_feeds *feeds, const char *json);
void hk_feeds_flush(struct hk_feeds *feeds);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the room: what a feed is to feed.c. A feed is one file with one
 * struct hk_feed_ops, and one row of HK_FEED_TABLE. Its functions run on
 * one thread at a time: they need no locks, and may block for a moment.
 */
#ifndef HK_FEED_FEEDS_H
#define HK_FEED_FEEDS_H

#include "user/feed/feed.h"

/* Written by the feed thread alone, read by any: relaxed atomics. */
struct hk_feed_counters {
	__u64 written;
	__u64 lost;
	__u64 errors;
	__u64 said_ns; /* when the last log line was written, CLOCK_MONOTONIC */
};

void hk_feed_raise(__u64 *counter, __u64 by);
/* Counts an error, and logs it unless one was logged less than a second ago. */
void hk_feed_failed(struct hk_feed_counters *counters, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Names for the numbers in records, copied from the configuration. NULL: no such. */
struct hk_feed_names {
	char *domains[HK_DOMAINS_MAX];
	char *ports[HK_PORTS_MAX];
	char *hooks[HK_HOOKS_MAX];
};

struct hk_feed_setup {
	const struct hk_config *config;
	const struct hk_files *files;
	const struct hk_feed_names *names; /* outlives the feed's state */
	struct hk_feed_counters *counters;
	void *previous; /* at a reload: the state that this one will replace, or NULL */
	bool first;	/* not a reload: this process may have rights */
};

/* A descriptor of our own for an output the files hold; negative errno and a sentence. */
int hk_feed_output_fd(
	const struct hk_feed_setup *setup, const char *name, const char *path, struct hk_error *error);

struct hk_feed_ops {
	const char *name;
	unsigned wants; /* HK_RECORD_WANTS() */
	bool is_file;	/* what it writes to is a path, opened as HK_FILE_OUTPUT; else it makes it itself */
	/* What the configuration tells it to write to; NULL: it is off */
	const char *(*target)(const struct hk_config *config);
	int (*open)(void **state, const struct hk_feed_setup *setup, struct hk_error *error);
	void (*write)(void *state, const struct hk_record *record, const __u8 *data);
	void (*stats)(void *state, const char *json, __u64 wall_ns); /* or NULL */
	void (*flush)(void *state);				     /* or NULL */
	void (*close)(void *state);
};

/* F(name): hk_feed_<name> stands in a file of its own. */
#define HK_FEED_TABLE(F) F(eve) F(mirror) F(pcapng)

#define HK_F(name) extern const struct hk_feed_ops hk_feed_##name;
HK_FEED_TABLE(HK_F)
#undef HK_F

#endif

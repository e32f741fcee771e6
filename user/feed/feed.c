// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of feeds, and their life: opened where rights are, opened anew at a
 * reload or log rotation, counted, closed. The thread that moves records is in
 * drain.c. Nothing here runs on a worker.
 */
#include "user/feed/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/base/log.h"

/* At 1 Mpps of 1400 bytes this holds more than two of the feed thread's naps. */
#define FEED_QUEUE_SIZE (4u << 20)

static const struct hk_feed_ops *const table[HK_FEED_ROWS] = {
#define HK_F(name) &hk_feed_##name,
	HK_FEED_TABLE(HK_F)
#undef HK_F
};

_Static_assert(HK_FEED_ROWS <= HK_FEEDS_MAX, "hk_feeds_stats() has room for all");

const char *hk_feed_name(unsigned index)
{
	return index < HK_FEED_ROWS ? table[index]->name : NULL;
}

const char *hk_feed_target(unsigned index, const struct hk_config *config)
{
	return index < HK_FEED_ROWS ? table[index]->target(config) : NULL;
}

void hk_feed_raise(__u64 *counter, __u64 by)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

static __u64 now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

void hk_feed_failed(struct hk_feed_counters *counters, const char *format, ...)
{
	__u64 now = now_ns(CLOCK_MONOTONIC);
	va_list arguments;
	char text[512];

	hk_feed_raise(&counters->errors, 1);
	if (counters->said_ns && now - counters->said_ns < 1000000000ull)
		return;
	counters->said_ns = now;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	hk_log_error("%s", text);
}

int hk_feed_output_fd(
	const struct hk_feed_setup *setup, const char *name, const char *path, struct hk_error *error)
{
	int fd = setup->files ? hk_files_get(setup->files, path) : -ENOENT;

	if (fd < 0)
		return hk_error_set(
			error, ENOENT, "%s: '%s' was not opened: restart to begin writing it", name, path);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? hk_error_set(error, errno, "%s: '%s': %s", name, path, strerror(errno)) : fd;
}

static void names_free(struct hk_feed_names *names)
{
	unsigned i;

	if (!names)
		return;
	for (i = 0; i < HK_DOMAINS_MAX; i++)
		free(names->domains[i]);
	for (i = 0; i < HK_PORTS_MAX; i++)
		free(names->ports[i]);
	for (i = 0; i < HK_HOOKS_MAX; i++)
		free(names->hooks[i]);
	free(names);
}

static bool name_copy(char **out, const char *name)
{
	free(*out);
	*out = name ? strdup(name) : NULL;
	return !name || *out;
}

/* The configuration may be gone while records still name its domains by number: hence copies. */
static struct hk_feed_names *names_new(const struct hk_config *config)
{
	struct hk_feed_names *names = calloc(1, sizeof(*names));
	bool whole = names != NULL;
	unsigned i;

	for (i = 0; whole && i < config->domains_count; i++)
		if (config->domains[i].id < HK_DOMAINS_MAX)
			whole = name_copy(&names->domains[config->domains[i].id], config->domains[i].name);
	for (i = 0; whole && i < config->ports_count && i < HK_PORTS_MAX; i++)
		whole = name_copy(&names->ports[i], config->ports[i]);
	for (i = 0; whole && i < config->hooks_count && i < HK_HOOKS_MAX; i++)
		whole = name_copy(&names->hooks[i], config->hooks[i].use);
	if (whole)
		return names;
	names_free(names);
	return NULL;
}

static void set_close(struct hk_feed_set *set)
{
	unsigned i;

	for (i = 0; i < HK_FEED_ROWS; i++)
		if (set->state[i])
			table[i]->close(set->state[i]);
	names_free(set->names);
	memset(set, 0, sizeof(*set));
}

/* All feeds of a configuration, or none and a sentence. */
static int set_open(struct hk_feed_set *set, struct hk_feeds *feeds, const struct hk_config *config,
	const struct hk_files *files, const struct hk_feed_set *previous, struct hk_error *error)
{
	struct hk_feed_setup setup = {.config = config, .files = files};
	int code = 0;
	unsigned i;

	memset(set, 0, sizeof(*set));
	set->names = names_new(config);
	if (!set->names)
		return hk_error_set(error, ENOMEM, "feeds: out of memory");
	setup.names = set->names;
	for (i = 0; i < HK_FEED_ROWS && !code; i++) {
		setup.counters = &feeds->counters[i];
		setup.first = previous == NULL;
		setup.previous = previous ? previous->state[i] : NULL;
		if (table[i]->target(config))
			code = table[i]->open(&set->state[i], &setup, error);
	}
	if (code)
		set_close(set);
	return code;
}

static void feeds_want(struct hk_feeds *feeds)
{
	unsigned i, wants = 0;

	for (i = 0; i < HK_FEED_ROWS; i++)
		if (feeds->set.state[i])
			wants |= table[i]->wants;
	for (i = 0; i < feeds->workers; i++)
		hk_feed_queue_want(feeds->queues[i], wants);
}

/* NULL: no memory. */
static struct hk_feeds *feeds_new(unsigned workers)
{
	struct hk_feeds *feeds = calloc(1, sizeof(*feeds));

	if (!feeds)
		return NULL;
	pthread_mutex_init(&feeds->lock, NULL);
	pthread_mutex_init(&feeds->stats_lock, NULL);
	for (; feeds->workers < workers; feeds->workers++) {
		feeds->queues[feeds->workers] = hk_feed_queue_new(FEED_QUEUE_SIZE);
		if (!feeds->queues[feeds->workers]) {
			hk_feeds_free(feeds);
			return NULL;
		}
	}
	return feeds;
}

static int feeds_open_files(const struct hk_config *config, struct hk_files *files, struct hk_error *error)
{
	const char *path;
	unsigned i;
	int code = 0;

	for (i = 0; i < HK_FEED_ROWS && !code; i++) {
		path = table[i]->is_file ? table[i]->target(config) : NULL;
		if (path)
			code = hk_files_open(files, HK_FILE_OUTPUT, config->directory, path, error);
	}
	return code;
}

int hk_feeds_open(struct hk_feeds **out, const struct hk_config *config, struct hk_files *files,
	unsigned workers, struct hk_error *error)
{
	struct hk_feeds *feeds;
	int code;

	*out = NULL;
	if (workers > HK_QUEUES_MAX)
		return hk_error_set(error, EINVAL, "feeds: %u workers are more than the %u there may be",
			workers, HK_QUEUES_MAX);
	feeds = feeds_new(workers);
	if (!feeds)
		return hk_error_set(error, ENOMEM, "feeds: no memory for the queues of %u workers", workers);
	code = feeds_open_files(config, files, error);
	if (!code)
		code = set_open(&feeds->set, feeds, config, files, NULL, error);
	if (code) {
		hk_feeds_free(feeds);
		return code;
	}
	feeds_want(feeds);
	*out = feeds;
	return 0;
}

int hk_feeds_reopen(struct hk_feeds *feeds, const struct hk_config *config, const struct hk_files *files,
	struct hk_error *error)
{
	struct hk_feed_set next, before;
	int code = set_open(&next, feeds, config, files, &feeds->set, error);

	if (code)
		return code;
	__atomic_store_n(&feeds->reopening, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&feeds->lock);
	before = feeds->set;
	feeds->set = next;
	feeds_want(feeds);
	set_close(&before);
	pthread_mutex_unlock(&feeds->lock);
	__atomic_store_n(&feeds->reopening, false, __ATOMIC_RELEASE);
	return 0;
}

struct hk_feed_queue *hk_feeds_queue(struct hk_feeds *feeds, unsigned worker)
{
	return worker < feeds->workers ? feeds->queues[worker] : NULL;
}

unsigned hk_feeds_stats(const struct hk_feeds *feeds, struct hk_feed_stats out[HK_FEEDS_MAX])
{
	const struct hk_feed_counters *counters;
	unsigned i, count = 0;

	for (i = 0; i < HK_FEED_ROWS; i++) {
		counters = &feeds->counters[i];
		if (!feeds->set.state[i])
			continue;
		out[count].name = table[i]->name;
		out[count].written = __atomic_load_n(&counters->written, __ATOMIC_RELAXED);
		out[count].lost = __atomic_load_n(&counters->lost, __ATOMIC_RELAXED);
		out[count++].errors = __atomic_load_n(&counters->errors, __ATOMIC_RELAXED);
	}
	return count;
}

void hk_feeds_free(struct hk_feeds *feeds)
{
	unsigned i;

	if (!feeds)
		return;
	hk_feeds_stop(feeds);
	set_close(&feeds->set);
	for (i = 0; i < feeds->workers; i++)
		hk_feed_queue_free(feeds->queues[i]);
	pthread_mutex_destroy(&feeds->lock);
	pthread_mutex_destroy(&feeds->stats_lock);
	free(feeds->stats_json);
	free(feeds);
}

/* A record goes to every feed that wants its kind. */
void hk_feeds_write(struct hk_feeds *feeds, const struct hk_record *record)
{
	unsigned i;

	for (i = 0; i < HK_FEED_ROWS; i++)
		if (feeds->set.state[i] && (table[i]->wants & HK_RECORD_WANTS(record->kind)))
			table[i]->write(feeds->set.state[i], record, hk_record_data(record));
}

void hk_feeds_flush(struct hk_feeds *feeds)
{
	unsigned i;

	for (i = 0; i < HK_FEED_ROWS; i++)
		if (feeds->set.state[i] && table[i]->flush)
			table[i]->flush(feeds->set.state[i]);
}

void hk_feeds_write_stats(struct hk_feeds *feeds, const char *json)
{
	unsigned i;

	for (i = 0; i < HK_FEED_ROWS; i++)
		if (feeds->set.state[i] && table[i]->stats)
			table[i]->stats(feeds->set.state[i], json, now_ns(CLOCK_REALTIME));
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The file of EVE records: written in time, full disks, rotation. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/eve_help.h"

static void thread_writes_all_before_it_stops(void)
{
	struct hk_record record = record_v4(HK_RECORD_DROP);
	struct hk_error error = {0};
	struct bench bench;
	unsigned i, put = 0, lines = 0;
	char *text, *at;

	bench_open(&bench, memfd_create("eve", 0));
	CU_ASSERT_EQUAL(hk_feeds_start(bench.feeds, &error), 0);
	for (i = 0; i < 20000; i++)
		put += hk_feed_put(bench.queue, &record, NULL);
	hk_feeds_stop(bench.feeds);
	text = bench_text(&bench);
	for (at = text; (at = strchr(at, '\n')); at++)
		lines++;
	CU_ASSERT_EQUAL(lines, put);
	CU_ASSERT_EQUAL(bench_stats(&bench).written, put);
	free(text);
	bench_close(&bench);
}

static void disk_full_is_counted(void)
{
	struct hk_record record = record_v4(HK_RECORD_DROP);
	struct bench bench;
	unsigned i;

	bench_open(&bench, open("/dev/full", O_WRONLY));
	for (i = 0; i < 10; i++)
		CU_ASSERT_TRUE(hk_feed_put(bench.queue, &record, NULL));
	hk_feeds_drain(bench.feeds);
	CU_ASSERT_EQUAL(bench_stats(&bench).written, 0);
	CU_ASSERT_EQUAL(bench_stats(&bench).lost, 10);
	CU_ASSERT_EQUAL(bench_stats(&bench).errors, 1);
	bench_close(&bench);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static unsigned valid_lines(char *text)
{
	unsigned lines = 0;
	char *line, *save = NULL;
	json_t *root;

	CU_ASSERT_TRUE(!*text || text[strlen(text) - 1] == '\n');
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), lines++) {
		root = json_loads(line, 0, NULL);
		CU_ASSERT_PTR_NOT_NULL(root);
		json_decref(root);
	}
	return lines;
}

/* The file may grow to a point in the middle of a line, then again to its full size. */
static void full_in_the_middle(rlim_t bytes, bool recovers)
{
	struct hk_record record = record_v4(HK_RECORD_DROP);
	struct hk_feed_stats stats;
	struct bench bench;
	unsigned i, put = 0;
	char *text;

	bench_open(&bench, memfd_create("eve", 0));
	limit_file_size(bytes);
	for (i = 0; i < 30; i++) {
		put += hk_feed_put(bench.queue, &record, NULL);
		if (i % 7 == 0)
			hk_feeds_drain(bench.feeds);
	}
	hk_feeds_drain(bench.feeds);
	if (recovers) {
		limit_file_size(RLIM_INFINITY);
		put += hk_feed_put(bench.queue, &record, NULL);
		hk_feeds_drain(bench.feeds);
	}
	stats = bench_stats(&bench);
	hk_feeds_free(bench.feeds); /* takes a torn line off again */
	limit_file_size(RLIM_INFINITY);
	text = bench_text(&bench);
	CU_ASSERT_TRUE(stats.lost > 0 && stats.errors > 0);
	CU_ASSERT_EQUAL(valid_lines(text), stats.written);
	CU_ASSERT_TRUE(
		stats.written + stats.lost == put || (!recovers && stats.written + stats.lost + 1 == put));
	free(text);
	hk_files_close(&bench.files);
	close(bench.fd);
}

static void disk_full_never_tears_a_line(void)
{
	rlim_t bytes;

	signal(SIGXFSZ, SIG_IGN);
	for (bytes = 1000; bytes < 1500; bytes += 37) {
		full_in_the_middle(bytes, true);
		full_in_the_middle(bytes, false);
	}
}

static void reopen_rotates(void)
{
	struct hk_record record = record_v4(HK_RECORD_DROP);
	struct hk_error error = {0};
	struct hk_files next = {0};
	struct bench bench;
	int rotated = memfd_create("rotated", 0), copy = dup(rotated);

	bench_open(&bench, memfd_create("eve", 0));
	CU_ASSERT_EQUAL(hk_feeds_start(bench.feeds, &error), 0);
	CU_ASSERT_TRUE(hk_feed_put(bench.queue, &record, NULL));
	hk_files_add(&next, HK_FILE_OUTPUT, "eve.json", rotated);
	hk_feeds_stop(bench.feeds);
	CU_ASSERT_EQUAL(hk_feeds_start(bench.feeds, &error), 0);
	CU_ASSERT_EQUAL(hk_feeds_reopen(bench.feeds, &config, &next, &error), 0);
	hk_files_close(&next);
	CU_ASSERT_TRUE(hk_feed_put(bench.queue, &record, NULL));
	CU_ASSERT_TRUE(hk_feed_put(bench.queue, &record, NULL));
	hk_feeds_stop(bench.feeds);
	CU_ASSERT_EQUAL(bench_stats(&bench).written, 3);
	CU_ASSERT_EQUAL(lseek(copy, 0, SEEK_END), 2 * lseek(bench.fd, 0, SEEK_END));
	close(copy);
	bench_close(&bench);
}

struct traffic {
	struct hk_feed_queue *queue;
	__u64 put;
	bool stop;
};

static void *send_traffic(void *argument)
{
	struct hk_record record = record_v4(HK_RECORD_DROP);
	struct traffic *traffic = argument;

	while (!__atomic_load_n(&traffic->stop, __ATOMIC_ACQUIRE))
		if (hk_feed_put(traffic->queue, &record, NULL))
			traffic->put++;
		else
			sched_yield();
	return NULL;
}

#define ROTATIONS 10

/* Under load that never rests a rotation gets through, and no line is lost or cut. */
static void reopen_under_load(void)
{
	int fds[ROTATIONS];
	struct hk_error error = {0};
	struct hk_files next = {0};
	struct traffic traffic = {0};
	struct bench bench;
	pthread_t thread;
	__u64 lines = 0;
	char *text;
	unsigned i;

	bench_open(&bench, memfd_create("eve", 0));
	traffic.queue = bench.queue;
	CU_ASSERT_EQUAL(hk_feeds_start(bench.feeds, &error), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, send_traffic, &traffic), 0);
	for (i = 0; i < ROTATIONS; i++) {
		int fd = memfd_create("rotated", 0);

		usleep(5000);
		fds[i] = dup(fd);
		hk_files_add(&next, HK_FILE_OUTPUT, "eve.json", fd);
		CU_ASSERT_EQUAL(hk_feeds_reopen(bench.feeds, &config, &next, &error), 0);
		hk_files_close(&next);
		memset(&next, 0, sizeof(next));
	}
	__atomic_store_n(&traffic.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	hk_feeds_stop(bench.feeds);
	CU_ASSERT_EQUAL(bench_stats(&bench).written, traffic.put);
	for (i = 0; i < ROTATIONS + 1; i++) {
		text = bench_text(&bench);
		lines += valid_lines(text);
		free(text);
		if (i < ROTATIONS)
			dup2(fds[i], bench.fd);
	}
	CU_ASSERT_EQUAL(lines, traffic.put);
	for (i = 0; i < ROTATIONS; i++)
		close(fds[i]);
	bench_close(&bench);
}

/* An alert in the middle of traffic that never rests is written soon all the same. */
static void steady_traffic_is_written_in_time(void)
{
	struct hk_record alert = record_v4(HK_RECORD_EVENT), filler = record_v4(HK_RECORD_PACKET);
	struct hk_error error = {0};
	struct bench bench;
	unsigned i;

	bench_open(&bench, memfd_create("eve", 0));
	CU_ASSERT_EQUAL(hk_feeds_start(bench.feeds, &error), 0);
	CU_ASSERT_TRUE(hk_feed_put(bench.queue, &alert, NULL));
	for (i = 0; i < 1000000000 && lseek(bench.fd, 0, SEEK_END) == 0; i++)
		(void)hk_feed_put(bench.queue, &filler, NULL);
	CU_ASSERT_TRUE(lseek(bench.fd, 0, SEEK_END) > 0);
	hk_feeds_stop(bench.feeds);
	bench_close(&bench);
}

static void refused_reopen_changes_nothing(void)
{
	struct hk_record record = record_v4(HK_RECORD_DROP);
	struct hk_error error = {0};
	struct hk_files none = {0};
	struct bench bench;
	off_t size;

	bench_open(&bench, memfd_create("eve", 0));
	CU_ASSERT_EQUAL(hk_feeds_reopen(bench.feeds, &config, &none, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "'eve.json'"));
	CU_ASSERT_TRUE(hk_feed_put(bench.queue, &record, NULL));
	hk_feeds_drain(bench.feeds);
	size = lseek(bench.fd, 0, SEEK_END);
	CU_ASSERT_TRUE(size > 200);
	bench_close(&bench);
}

static void nothing_configured_wants_nothing(void)
{
	struct hk_error error = {0};
	struct hk_feed_stats stats[HK_FEEDS_MAX];
	struct hk_files files = {0};
	struct hk_feeds *feeds;

	config.feeds.eve_path = NULL;
	CU_ASSERT_EQUAL_FATAL(hk_feeds_open(&feeds, &config, &files, 2, &error), 0);
	CU_ASSERT_EQUAL(hk_feed_wants(hk_feeds_queue(feeds, 1)), 0);
	CU_ASSERT_PTR_NULL(hk_feeds_queue(feeds, 2));
	CU_ASSERT_EQUAL(hk_feeds_stats(feeds, stats), 0);
	hk_feeds_drain(feeds);
	hk_feeds_free(feeds);
}

int main(void)
{
	static const struct test tests[] = {
		{"the thread writes all before it stops", thread_writes_all_before_it_stops},
		{"a full disk is counted", disk_full_is_counted},
		{"a full disk never tears a line", disk_full_never_tears_a_line},
		{"reopen rotates", reopen_rotates},
		{"reopen under load loses nothing", reopen_under_load},
		{"steady traffic is written in time", steady_traffic_is_written_in_time},
		{"a refused reopen changes nothing", refused_reopen_changes_nothing},
		{"nothing configured wants nothing", nothing_configured_wants_nothing},
		{0},
	};

	setenv("TZ", "UTC", 1);
	hk_log_init(HK_LOG_ERROR, "test");
	return run_tests("eve files", tests);
}

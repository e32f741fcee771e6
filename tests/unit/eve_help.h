/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EVE records: written through the feeds' own door, read back with jansson. */
#ifndef TESTS_UNIT_EVE_HELP_H
#define TESTS_UNIT_EVE_HELP_H

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/base/log.h"
#include "user/base/text.h"
#include "user/feed/feed.h"

#define WALL 1767225600123456789ull /* 2026-01-01T00:00:00.123456789Z */

static struct hk_domain_config domains[] = {
	{.name = (char *)"east", .id = 3},
	{.name = (char *)"we\"st\xff", .id = 4},
};
static struct hk_hook_config hooks[] = {{.use = (char *)"firewall"}, {.use = (char *)"signatures"}};
static struct hk_config config = {
	.ports = {(char *)"box-c", (char *)"box-s"},
	.ports_count = 2,
	.domains = domains,
	.domains_count = 2,
	.hooks = hooks,
	.hooks_count = 2,
};

struct bench {
	struct hk_feeds *feeds;
	struct hk_feed_queue *queue;
	struct hk_files files;
	int fd; /* what the feed writes to, for reading back */
};

/* `fd`: where EVE goes; the bench keeps a duplicate. */
static inline void bench_open(struct bench *bench, int fd)
{
	struct hk_error error = {0};

	memset(bench, 0, sizeof(*bench));
	bench->fd = dup(fd);
	config.feeds.eve_path = (char *)"eve.json";
	CU_ASSERT_EQUAL_FATAL(hk_files_add(&bench->files, HK_FILE_OUTPUT, "eve.json", fd), 0);
	CU_ASSERT_EQUAL_FATAL(hk_feeds_open(&bench->feeds, &config, &bench->files, 1, &error), 0);
	bench->queue = hk_feeds_queue(bench->feeds, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bench->queue);
}

static inline void bench_close(struct bench *bench)
{
	hk_feeds_free(bench->feeds);
	hk_files_close(&bench->files);
	close(bench->fd);
}

static inline struct hk_feed_stats bench_stats(struct bench *bench)
{
	struct hk_feed_stats stats[HK_FEEDS_MAX] = {0};

	CU_ASSERT_EQUAL(hk_feeds_stats(bench->feeds, stats), 1);
	CU_ASSERT_STRING_EQUAL(stats[0].name, "eve");
	return stats[0];
}

static inline char *bench_text(struct bench *bench)
{
	off_t size = lseek(bench->fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	CU_ASSERT_EQUAL(pread(bench->fd, text, (size_t)size, 0), size);
	return text;
}

static inline struct hk_address address(const char *text)
{
	struct hk_address out = {0};

	CU_ASSERT_EQUAL(hk_address_parse(text, &out), 0);
	return out;
}

static inline struct hk_record record_v4(unsigned kind)
{
	return (struct hk_record){
		.kind = (__u16)kind,
		.wall_ns = WALL,
		.flow_id = 0xfff8000000000042ull,
		.direction = 1,
		.envelope = HK_ENVELOPE_PSP,
		.variant = HK_PSP_SPLIT_256,
		.hook = 1,
		.has_inner = 1,
		.domain = 3,
		.inner_src_port = 40000,
		.inner_dst_port = 80,
		.inner_version = 4,
		.inner_protocol = IPPROTO_TCP,
		.outer_protocol = IPPROTO_UDP,
		.spi = 0x80000001,
		.outer_src = address("192.0.2.1"),
		.outer_dst = address("192.0.2.2"),
		.inner_src = address("10.0.0.1"),
		.inner_dst = address("10.0.0.2"),
	};
}

/* One record through queue, feed and file; the line read back as JSON. */
static inline json_t *through(const struct hk_record *record, const void *data)
{
	struct bench bench;
	json_error_t error;
	json_t *root;
	char *text;

	bench_open(&bench, memfd_create("eve", 0));
	CU_ASSERT_TRUE(hk_feed_put(bench.queue, record, data));
	hk_feeds_drain(bench.feeds);
	text = bench_text(&bench);
	CU_ASSERT_EQUAL(bench_stats(&bench).written, 1);
	CU_ASSERT_EQUAL(bench_stats(&bench).lost, 0);
	CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
	root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		printf("# %s at %d of: %s\n", error.text, error.position, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	free(text);
	bench_close(&bench);
	return root;
}

static inline const json_t *member(const json_t *root, const char *object, const char *key)
{
	return json_object_get(object ? json_object_get(root, object) : root, key);
}

static inline void says(const json_t *root, const char *object, const char *key, const char *wanted)
{
	const char *text = json_string_value(member(root, object, key));

	if (!text || strcmp(text, wanted) != 0)
		printf("# %s.%s is '%s', wanted '%s'\n", object ? object : "", key, text ? text : "(none)",
			wanted);
	CU_ASSERT_TRUE(text && strcmp(text, wanted) == 0);
}

static inline void counts(const json_t *root, const char *object, const char *key, long long wanted)
{
	const json_t *value = member(root, object, key);

	if (!json_is_integer(value) || json_integer_value(value) != wanted)
		printf("# %s.%s is not %lld\n", object ? object : "", key, wanted);
	CU_ASSERT_TRUE(json_is_integer(value) && json_integer_value(value) == wanted);
}

static inline void lacks(const json_t *root, const char *object, const char *key)
{
	CU_ASSERT_PTR_NULL(member(root, object, key));
}

#endif

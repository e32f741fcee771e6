/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A box in memory for tests: configuration, key text, keyring, outer parser and
 * pipeline, and the seal side to feed it. Without hooks: a test that wants some
 * brings a chain of its own.
 */
#ifndef TESTS_UNIT_BOX_HELP_H
#define TESTS_UNIT_BOX_HELP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/seal_help.h"
#include "user/base/files.h"
#include "user/envelope/outer.h"
#include "user/feed/queue.h"
#include "user/pipeline/pipeline.h"

#define BOX_DOMAINS 4
#define BOX_FRAME   2048
#define BOX_NOW	    1000000000000ull /* CLOCK_MONOTONIC of the first batch */

struct box {
	struct hk_config config;
	struct hk_domain_config domains[BOX_DOMAINS];
	struct hk_prefix receivers[BOX_DOMAINS][2];
	struct hk_hook_config hook;
	char names[BOX_DOMAINS][16];
	char keys[BOX_DOMAINS][16];
	struct hk_files files;
	struct hk_error error;
	struct hk_arena *arena;
	struct hk_inspection *inspection;
	struct hk_outer *outer;
	struct hk_pipeline *pipeline;
	struct hk_counts counts;
	struct hk_feed_queue *queue;
	__u64 now_ns;
};

/* A domain that both receivers belong to; `keys` is the key file's text. */
static inline struct hk_domain_config *box_domain(
	struct box *box, unsigned envelope, unsigned profile, unsigned suite, const char *keys)
{
	unsigned id = box->config.domains_count++;
	struct hk_domain_config *domain = &box->domains[id];
	int fd = memfd_create("keys", MFD_CLOEXEC);

	snprintf(box->names[id], sizeof(box->names[id]), "domain%u", id);
	snprintf(box->keys[id], sizeof(box->keys[id]), "%u.keys", id);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, keys, strlen(keys)) == (ssize_t)strlen(keys));
	CU_ASSERT_FATAL(hk_files_add(&box->files, HK_FILE_KEYS, box->keys[id], fd) == 0);
	box->receivers[id][0] = (struct hk_prefix){.address = address("192.0.2.0"), .length = 96 + 24};
	box->receivers[id][1] = (struct hk_prefix){.address = address("2001:db8::"), .length = 32};
	*domain = (struct hk_domain_config){.name = box->names[id],
		.id = (__u16)id,
		.envelope = (__u8)envelope,
		.profile = (__u8)profile,
		.suite = (__u8)suite,
		.mkid = 1,
		.receivers = box->receivers[id],
		.receivers_count = 2,
		.keys = box->keys[id]};
	return domain;
}

static inline void box_init(struct box *box)
{
	unsigned reason;

	memset(box, 0, sizeof(*box));
	for (reason = 0; reason < HK_REASON_COUNT; reason++)
		box->config.policy[reason] = (__u8)hk_policy_default(hk_reason_policy(reason));
	box->config.mode = HK_MODE_INLINE;
	box->config.domains = box->domains;
	box->config.keys_max = 64;
	box->config.flows_max = 64;
	box->config.frames = 8192;
	box->now_ns = BOX_NOW;
	box->arena = hk_arena_new(box->config.keys_max);
	CU_ASSERT_PTR_NOT_NULL_FATAL(box->arena);
}

/* A firewall with these rules is the one hook. */
static inline void box_firewall(struct box *box, const char *rules)
{
	int fd = memfd_create("rules", MFD_CLOEXEC);

	CU_ASSERT_FATAL(write(fd, rules, strlen(rules)) == (ssize_t)strlen(rules));
	CU_ASSERT_EQUAL_FATAL(hk_files_add(&box->files, HK_FILE_SETTINGS, "rules.yaml", fd), 0);
	box->hook = (struct hk_hook_config){.use = (char *)"firewall", .settings = (char *)"rules.yaml"};
	box->config.hooks = &box->hook;
	box->config.hooks_count = 1;
}

/* Builds everything behind the configuration. `feed_size`: 0 for no feed. */
static inline int box_build(struct box *box, const char *backend, unsigned frame_max, size_t feed_size)
{
	struct hk_pipeline_options options = {.frame_max = frame_max,
		.flows_max = box->config.flows_max,
		.stream_bytes = hk_pipeline_stream_bytes(&box->config),
		.crypto = backend,
		.counts = &box->counts};
	int result =
		hk_inspection_new(&box->inspection, &box->config, &box->files, box->arena, 1, &box->error);

	if (result)
		return result;
	if (feed_size)
		options.feed = box->queue = hk_feed_queue_new(feed_size);
	box->outer = hk_outer_new(&box->config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(box->outer);
	return hk_pipeline_new(&box->pipeline, &options, &box->error);
}

static inline void box_free(struct box *box)
{
	hk_pipeline_free(box->pipeline);
	hk_inspection_free(box->inspection);
	hk_outer_free(box->outer);
	hk_arena_free(box->arena);
	hk_files_close(&box->files);
	if (box->queue)
		hk_feed_queue_free(box->queue);
}

/* An Ethernet header for an IP packet that stands 14 bytes behind `frame`; the frame's length. */
static inline __u32 frame_around(__u8 *frame, __u32 ip_length)
{
	memset(frame, 2, 12);
	frame[12] = frame[14] >> 4 == 4 ? 0x08 : 0x86;
	frame[13] = frame[14] >> 4 == 4 ? 0x00 : 0xdd;
	return 14 + ip_length;
}

/* Runs frames as XDP and worker would. Frames the parser keeps from workers fail the test. */
static inline void box_run_frames(
	struct box *box, struct hk_frame *frames, unsigned count, struct hk_fate *fates)
{
	unsigned i, reason;

	for (i = 0; i < count; i++) {
		memset(&frames[i].meta, 0, sizeof(frames[i].meta));
		reason = hk_outer_parse(box->outer, frames[i].data, frames[i].length, 0, &frames[i].meta);
		CU_ASSERT_EQUAL_FATAL(reason, HK_REASON_TO_WORKER);
		if (!frames[i].wall_ns)
			frames[i].wall_ns = 1700000000000000000ull;
	}
	hk_pipeline_run(box->pipeline, box->inspection, frames, count, box->now_ns, fates);
}

static inline struct hk_fate box_run(struct box *box, const __u8 *frame, __u32 length)
{
	struct hk_frame one = {.data = frame, .length = length};
	struct hk_fate fate;

	box_run_frames(box, &one, 1, &fate);
	return fate;
}

static inline void key_line(char *text, size_t room, const char *front, const __u8 *key)
{
	size_t used = strlen(text);

	snprintf(text + used, room - used, "%s key=", front);
	used = strlen(text);
	hk_hex_format(key, 32, text + used);
	strcat(text, "\n");
}

#endif

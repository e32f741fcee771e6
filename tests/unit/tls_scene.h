/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TLS connection (tls_help.h) through the box: which reasons its segments had, and what was heard. */
#ifndef TESTS_UNIT_TLS_SCENE_H
#define TESTS_UNIT_TLS_SCENE_H

#include "tests/unit/tls_help.h"
#include "user/envelope/streams.h"

#define AES128 "ECDHE-ECDSA-AES128-GCM-SHA256"
#define AES256 "ECDHE-ECDSA-AES256-GCM-SHA384"

struct scene {
	struct box box;
	__u64 reasons[HK_REASON_COUNT];
	__u8 heard[2][TALK_DATA];
	__u32 heard_length[2];
};

static struct talk talk;
static struct scene scene;

/* Everything but box_build(): a test may add to it. */
static inline void scene_prepare(const char *keys, __u64 memory)
{
	struct hk_domain_config *domain;

	memset(&scene, 0, sizeof(scene));
	box_init(&scene.box);
	domain = box_domain(&scene.box, HK_ENVELOPE_TLS, HK_PROFILE_SINGLE, 0, keys);
	domain->tls.ports[0] = TALK_PORT;
	domain->tls.memory = memory;
}

static inline void scene_init(const char *backend, const char *keys, __u64 memory)
{
	scene_prepare(keys, memory);
	CU_ASSERT_EQUAL_FATAL(box_build(&scene.box, backend, BOX_FRAME, 0), 0);
}

/* For `talk`: a hook drops all that goes to the server. */
static inline void scene_dropping(void)
{
	static const char rules[] =
		"rules:\n  - {match: {protocol: tcp, destination-port: 8443}, action: drop}\n";

	scene_prepare(talk.log, HK_STREAMS_MIN);
	box_firewall(&scene.box, rules);
	CU_ASSERT_EQUAL_FATAL(box_build(&scene.box, NULL, BOX_FRAME, 0), 0);
}

static inline void hear(const struct segment_of *segment, const struct hk_fate *fate)
{
	bool server = segment->server;

	scene.reasons[fate->reason]++;
	if (fate->reason != HK_REASON_OK) {
		CU_ASSERT_EQUAL(fate->opened, 0);
		return;
	}
	CU_ASSERT_EQUAL(fate->auth, HK_AUTH_VERIFIED);
	CU_ASSERT_EQUAL(fate->not_ip, 1);
	CU_ASSERT_FATAL(scene.heard_length[server] + fate->inner_length <= TALK_DATA);
	memcpy(scene.heard[server] + scene.heard_length[server], fate->inner, fate->inner_length);
	scene.heard_length[server] += fate->inner_length;
}

/* `count` segments as one batch (at most 64). */
static inline void run_batch(const struct segment_of *segments, unsigned count)
{
	static __u8 bytes[64][BOX_FRAME], before[64][BOX_FRAME];
	static struct hk_frame frames[64];
	struct hk_fate fates[64];
	unsigned i;

	for (i = 0; i < count; i++) {
		frames[i] = (struct hk_frame){.data = bytes[i], .length = talk_frame(&segments[i], bytes[i])};
		memcpy(before[i], bytes[i], frames[i].length);
	}
	box_run_frames(&scene.box, frames, count, fates);
	for (i = 0; i < count; i++) {
		hear(&segments[i], &fates[i]);
		CU_ASSERT_EQUAL(memcmp(before[i], bytes[i], frames[i].length), 0);
	}
}

static inline void run_all(unsigned batch)
{
	unsigned i, count;

	for (i = 0; i < talk.count; i += count) {
		count = talk.count - i < batch ? talk.count - i : batch;
		run_batch(&talk.segments[i], count);
	}
}

static inline bool heard_all(void)
{
	unsigned side;

	for (side = 0; side < 2; side++)
		if (scene.heard_length[side] != talk.data_length[side] ||
			memcmp(scene.heard[side], talk.data[side], talk.data_length[side]) != 0)
			return false;
	return true;
}

static inline void chat(void)
{
	unsigned i;

	for (i = 0; i < 20; i++) {
		talk_say(&talk, false, 1 + (__u32)(random_next(&talk.seed) % 3000));
		talk_say(&talk, true, 1 + (__u32)(random_next(&talk.seed) % 20000));
	}
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The XDP program in a network namespace of the test's own: loaded, armed,
 * with an AF_XDP socket and a living worker (the test writes the heartbeat).
 * Frames go through BPF_PROG_RUN; nothing is pinned or attached, so nothing is
 * left behind.
 *
 * Ports are the two ends of a veth pair with two queues each. Both end with the
 * process, as the namespace does.
 */
#ifndef TESTS_BPF_FIXTURE_H
#define TESTS_BPF_FIXTURE_H

#include <linux/types.h>

#include <halfkey/config.h>
#include <halfkey/meta.h>

#include "halfkey.skel.h"
#include "maps/counters.h"
#include "maps/heartbeat.h"
#include "maps/settings.h"
#include "maps/verdicts.h"

#define FIXTURE_FRAME_MAX  1800
#define FIXTURE_RING_LIMIT 1000

struct fixture {
	struct halfkey_bpf *bpf;
	struct hk_settings settings;
	struct hk_heartbeat *heartbeat; /* mapped, HK_MAP_SLOTS rows */
	struct hk_handed *handed;	/* mapped */
	int ifindex[2];
	int program;
};

struct outcome {
	int fate; /* enum xdp_action */
	int has_meta;
	struct hk_meta meta;
	unsigned length; /* of the frame that came out */
	__u8 frame[4096];
};

struct totals {
	struct hk_counter_value rows[HK_COUNTER_END];
};

/* 0, or 1 after printing a `skip` line: this machine cannot run it. */
int fixture_start(struct fixture *fixture, const char *suite);
void fixture_stop(struct fixture *fixture);

/* All maps as they were at start: inline, armed, beating, empty ledger, policy pass, no verdicts. */
void fixture_reset(struct fixture *fixture);
void fixture_put_settings(struct fixture *fixture);
void fixture_beat(struct fixture *fixture);
/* The receivers of `config` in the place of those before. 0 or negative errno. */
int fixture_receivers(struct fixture *fixture, const struct hk_config *config);
void fixture_policy(struct fixture *fixture, unsigned reason, unsigned action);

/* Runs one frame through the program as if it came in by `port` and `queue`. 0 or negative errno. */
int fixture_run(struct fixture *fixture, const void *frame, unsigned length, unsigned port, unsigned queue,
	struct outcome *out);

struct hk_counter_value fixture_counter(struct fixture *fixture, __u32 row);
void fixture_totals(struct fixture *fixture, struct totals *totals);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a running inspector shows of itself and lets an operator do: the one
 * place where the control socket (server.c, JSON) meets the daemon
 * (inspector.c, facts). Plain data; filled on the inspector's control thread.
 */
#ifndef HK_CONTROL_VIEW_H
#define HK_CONTROL_VIEW_H

#include <stdbool.h>
#include <linux/types.h>
#include <sys/types.h>

#include <halfkey/config.h>
#include "maps/counters.h"
#include "maps/verdicts.h"

#include "user/base/error.h"
#include "user/feed/feed.h"
#include "user/keys/update.h"
#include "user/pipeline/counts.h"
#include "user/pipeline/inspection.h"

struct hk_view_queue {
	bool has_socket;
	bool zero_copy;
	__u64 beat_age_ms;
	/* XDP_STATISTICS, summed over restarts of the socket is not attempted: of this socket */
	__u64 rx_dropped;
	__u64 rx_ring_full;
	__u64 rx_fill_ring_empty;
	__u64 rx_invalid;
	__u64 tx_invalid;
	/* the frame account: fill + rx + held + tx + completion + free = total */
	__u32 frames_total;
	__u32 frames_free;
	__u32 frames_held; /* delayed packets */
};

struct hk_view_port {
	char name[16];
	__u32 ifindex;
	char driver[32];
	bool up;	  /* the link */
	__u32 speed_mbit; /* 0: not told */
	bool native;	  /* else generic (skb) mode */
	bool dispatcher;  /* attached through libxdp's dispatcher, else a plain bpf_link */
	unsigned queues;
	struct hk_view_queue queue[HK_QUEUES_MAX];
};

struct hk_view_status {
	pid_t starter;
	pid_t inspector;
	__u64 uptime_s; /* of the starter */
	__u64 inspector_age_s;
	__u64 inspector_started_ns; /* CLOCK_MONOTONIC: tells it from another one of the same number */
	unsigned restarts;	    /* inspectors replaced after a crash */
	unsigned keys_dropped;	    /* of the control socket, since inspectors crashed again and again */
	unsigned reloads;	    /* that took effect */
	unsigned reload_failures;
	char reload_error[512]; /* of the last failed one; empty: none */
	bool armed;
	bool memory_locked;
	__u64 calls_refused; /* system calls, by seccomp */
	const char *crypto;
	const char *pin_path;
	unsigned workers;
	unsigned ports_count;
	struct hk_view_port ports[HK_PORTS_MAX];
};

struct hk_view_stats {
	struct hk_counter_value xdp[HK_COUNTER_END]; /* summed over CPUs */
	unsigned workers;
	const struct hk_counts *worker[HK_QUEUES_MAX];
	__u64 ring_lost; /* handed to workers, lost before they took them (XDP_STATISTICS, dead inspectors) */
	__u64 handed_before; /* of xdp[HK_REASON_TO_WORKER]: to workers of earlier daemons with these maps */
	unsigned feeds_count;
	struct hk_feed_stats feeds[HK_FEEDS_MAX];
};

struct hk_view_keys {
	const char *domain; /* its name */
	int fd;
	bool rotate;
	__u32 grace_s;
};

/* Implemented by inspector.c; `context` is the inspector. */
struct hk_view {
	void *context;
	const struct hk_config *(*config)(void *context);
	const struct hk_inspection *(*inspection)(void *context);
	void (*status)(void *context, struct hk_view_status *out);
	void (*stats)(void *context, struct hk_view_stats *out);
	/* verdict cache; -ENOENT, -ENOSPC as the map says */
	int (*verdict_each)(void *context,
		int (*row)(void *arg, const struct hk_verdict_key *key, const struct hk_verdict_value *value),
		void *arg);
	int (*verdict_put)(
		void *context, const struct hk_verdict_key *key, const struct hk_verdict_value *value);
	int (*verdict_delete)(void *context, const struct hk_verdict_key *key);
	/* a change of keys whose text is in `change->fd`; waits until it is in force */
	int (*keys_change)(void *context, const struct hk_view_keys *change, struct hk_key_result *result,
		struct hk_error *error);
	/* asks the starter to reload, as SIGHUP does; the result shows in status */
	int (*reload)(void *context, struct hk_error *error);
};

#endif

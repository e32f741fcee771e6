/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inner flows a worker remembers: a bounded, set-associative table, so that
 * strangers can fill it but never make it grow or slow. Used for flow records
 * and for verdicts on the rest of a flow; nothing is opened by it.
 *
 * A flow is tentative until its reverse direction answers. An unauthenticated
 * packet's verdict on a tentative flow waits for that answer: whoever can flip
 * bits can name any flow, but cannot make its other end reply. It is never an
 * accept.
 *
 *   tags   | hash hash hash ... 8 to a bucket, one cache line |
 *   flows  | struct hk_flow x 8                               |
 */
#ifndef HK_PIPELINE_FLOW_H
#define HK_PIPELINE_FLOW_H

#include <stdbool.h>

#include <halfkey/hook.h>

#include "user/feed/feed.h"
#include "user/pipeline/inner.h"

struct hk_flow {
	struct hk_flow_key key;
	__u64 hash;
	__u64 last_ns;		/* CLOCK_MONOTONIC */
	__u64 verdict_until_ns; /* 0: no verdict */
	__u32 told_spi[2];	/* the SPI whose verdict the kernel has, by direction; 0: none */
	__u32 spi;		/* from here: of the packet seen first */
	__u16 domain;
	__u8 swapped;
	__u8 auth;
	__u8 envelope;
	__u8 variant;
	__u8 port;
	__u8 ip_version;
	__u8 verdict_verified; /* the verdict came from an authenticated packet */
	__u8 closing;	       /* RST, or FIN in both directions */
	__u8 outer_protocol;
	__u16 src_port; /* as hooks see them: ICMP type and code */
	__u16 dst_port;
	struct hk_address outer_src;
	struct hk_address outer_dst;
	struct hk_record_flow record;
};

struct hk_flow_table;

/* What a flow that leaves the table is told to. `evicted`: it was pushed out. */
typedef void hk_flow_end(void *context, struct hk_flow *flow, bool evicted);

struct hk_flow_table *hk_flow_table_new(unsigned flows_max, hk_flow_end *end, void *context);
void hk_flow_table_free(struct hk_flow_table *table);
unsigned hk_flow_count(const struct hk_flow_table *table);

/*
 * In three steps, a batch each: the bucket's tags, then the flow that they name
 * (a place for hk_flow_get() to look at first), then the flow of this key, new if
 * it was not there (`record.packets` are both 0 then).
 */
void hk_flow_prefetch(const struct hk_flow_table *table, __u64 hash);
__u32 hk_flow_prefetch_named(const struct hk_flow_table *table, __u64 hash);
struct hk_flow *hk_flow_get(
	struct hk_flow_table *table, const struct hk_flow_key *key, __u64 hash, __u32 place, __u64 now_ns);
#define HK_FLOW_NO_PLACE 0xffffffffu
/* Flows pushed out so far: while it stays, what hk_flow_get() returned stays. */
__u64 hk_flow_evictions(const struct hk_flow_table *table);
/* Counts a packet of `direction` (0: that of the first packet). */
void hk_flow_count_packet(struct hk_flow *flow, unsigned direction, const struct hk_hook_packet *packet,
	__u64 now_ns, __u64 wall_ns);

/* The verdict in force for a packet marked `auth`, or HK_FLOW_NO_VERDICT. */
#define HK_FLOW_NO_VERDICT 0xff
unsigned hk_flow_verdict(const struct hk_flow *flow, unsigned auth, __u64 now_ns);
/* A hook's verdict on the flow, given on a packet marked `auth`. A drop in force is never weakened. */
void hk_flow_decide(struct hk_flow *flow, unsigned verdict, unsigned auth, __u32 lifetime_ms, __u64 now_ns);

/* Ends idle flows. Looks at a share of the table that suits the time since the last call. */
void hk_flow_sweep(struct hk_flow_table *table, __u64 now_ns);
void hk_flow_end_all(struct hk_flow_table *table);

#endif

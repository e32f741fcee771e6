/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The maps as the BPF object declares them. What they mean stands in maps/, one
 * header each. A map's name is its pin's name.
 */
#ifndef HALFKEY_BPF_MAPS_H
#define HALFKEY_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "maps/counters.h"
#include "maps/heartbeat.h"
#include "maps/layout.h"
#include "maps/policy.h"
#include "maps/receivers.h"
#include "maps/rings.h"
#include "maps/settings.h"
#include "maps/verdicts.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hk_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HK_REASON_COUNT);
	__type(key, __u32);
	__type(value, struct hk_policy_value);
} policy SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, HK_MAP_RECEIVERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hk_receiver_key);
	__type(value, struct hk_receiver_value);
} receivers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HK_MAP_VERDICTS_MAX);
	__type(key, struct hk_verdict_key);
	__type(value, struct hk_verdict_value);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HK_COUNTER_END);
	__type(key, __u32);
	__type(value, struct hk_counter_value);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HK_MAP_SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hk_heartbeat);
} heartbeat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HK_MAP_SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hk_handed);
} handed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, HK_MAP_SLOTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, HK_MAP_PORTS_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} tx_ports SEC(".maps");

struct hk_copy_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, HK_COPY_RING_SIZE);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HK_MAP_QUEUES_MAX);
	__type(key, __u32);
	__array(values, struct hk_copy_ring);
} copies SEC(".maps");

#endif

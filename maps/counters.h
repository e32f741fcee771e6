/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Map `counters` (per-CPU array, key: enum hk_reason, or HK_COUNTER_* behind
 * the reasons): every packet the XDP program saw, once. Conservation:
 *
 *   received = sum over all reasons (HK_REASON_TO_WORKER among them)
 *
 * and in monitor mode copies are counted apart. Written by the XDP program at
 * its one exit; read by everyone.
 */
#ifndef HALFKEY_MAPS_COUNTERS_H
#define HALFKEY_MAPS_COUNTERS_H

#include <linux/types.h>

#include <halfkey/reason.h>

enum hk_counter {
	HK_COUNTER_RECEIVED = HK_REASON_COUNT, /* packets that entered */
	HK_COUNTER_COPIED,		       /* monitor: copies handed to a worker */
	HK_COUNTER_COPY_LOST,		       /* monitor: no room in the ring buffer */
	HK_COUNTER_END
};

struct hk_counter_value {
	__u64 packets;
	__u64 bytes;
	__u64 dropped; /* of packets: those the policy or verdict dropped */
};

_Static_assert(sizeof(struct hk_counter_value) == 24, "map ABI");

#endif

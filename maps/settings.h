/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Map `settings` (array, 1 entry): how the XDP program runs.
 * Written by the starter; read by the XDP program and by tools.
 */
#ifndef HALFKEY_MAPS_SETTINGS_H
#define HALFKEY_MAPS_SETTINGS_H

#include <linux/types.h>

#include "layout.h"

struct hk_settings {
	__u32 version; /* HK_MAPS_VERSION */
	__u8 mode;     /* enum hk_mode */
	__u8 armed;    /* 1: hand packets to workers; 0: every candidate is `disarmed` */
	__u8 ports;    /* 1 or 2 */
	__u8 queues;   /* queues of each port */
	__u32 ifindex[HK_MAP_PORTS_MAX];
	__u32 ring_limit;   /* packets handed and not yet taken, per slot, before `ring-full` */
	__u32 frame_max;    /* the largest frame a worker can take, in bytes */
	__u64 heartbeat_ns; /* a beat older than this is a dead worker */
};

_Static_assert(sizeof(struct hk_settings) == 32, "map ABI");

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Map `heartbeat` (array, mmapable, key: HK_MAP_SLOT(port, queue)): that the
 * packet loop of a worker lives, and how far it is. Written by that loop
 * through its mapping, never by a timer; read by the XDP program.
 * Map `handed` (array, same key): the XDP program's side of the same ledger.
 * handed - taken is what waits in the ring: at settings.ring_limit the reason
 * is ring-full. The worker alone writes its side. XDP raises its side with an
 * atomic add: generic XDP may run one queue on several CPUs. A new worker
 * begins its ledger with taken = handed, before it is armed.
 */
#ifndef HALFKEY_MAPS_HEARTBEAT_H
#define HALFKEY_MAPS_HEARTBEAT_H

#include <linux/types.h>

struct hk_heartbeat {
	__u64 beat_ns;	   /* CLOCK_MONOTONIC of the last turn of the loop; 0: never */
	__u64 taken;	   /* packets taken off the ring, and those the kernel says it lost */
	__u64 reserved[6]; /* a cache line of its own */
};

struct hk_handed {
	__u64 packets;
};

_Static_assert(sizeof(struct hk_heartbeat) == 64, "map ABI");

#endif

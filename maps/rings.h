/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Maps that hold no struct of ours and cannot be dumped:
 *
 *   xsks      XSKMAP, key HK_MAP_SLOT(port, queue): the worker's AF_XDP socket
 *   tx_ports  DEVMAP, key: the port a frame came in by; value: the other port's ifindex
 *   copies    ARRAY_OF_MAPS of ring buffers, key: queue; monitor mode. A record is
 *             struct hk_copy followed by the frame.
 */
#ifndef HALFKEY_MAPS_RINGS_H
#define HALFKEY_MAPS_RINGS_H

#include <linux/types.h>

#include <halfkey/meta.h>

#define HK_COPY_RING_SIZE (8u << 20)

struct hk_copy {
	struct hk_meta meta;
	__u32 length; /* of the frame that follows */
	__u64 time_ns; /* CLOCK_MONOTONIC */
};

#endif

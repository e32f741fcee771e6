/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Maps that hold no struct of ours and cannot be dumped:
 *
 *   xsks      XSKMAP, key HK_MAP_SLOT(port, queue): the worker's AF_XDP socket
 *   tx_ports  DEVMAP, key: the port a frame came in by; value: the other port's ifindex
 *   copies    ARRAY_OF_MAPS of ring buffers, key: queue; monitor mode. A record is
 *             struct hk_copy followed by the frame; records come in a few
 *             sizes (256, 640, 1600 and HK_COPY_FRAME_MAX bytes of frame), so the frame's
 *             end is `length`, not the record's end.
 */
#ifndef HALFKEY_MAPS_RINGS_H
#define HALFKEY_MAPS_RINGS_H

#include <linux/types.h>

#include <halfkey/meta.h>

#define HK_COPY_RING_SIZE (8u << 20)
#define HK_COPY_FRAME_MAX 3584 /* the largest size class of a record */

struct hk_copy {
	struct hk_meta meta;
	__u32 length;  /* of the frame that follows */
	__u64 time_ns; /* CLOCK_MONOTONIC */
};

_Static_assert(sizeof(struct hk_copy) == 40, "map ABI");

#endif

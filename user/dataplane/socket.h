/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AF_XDP: queue q of all ports as one thing. One UMEM in shared memory, so
 * that a frame received on one port is sent on the other without a copy, and
 * one socket with its four rings per port.
 *
 *        port 0, queue q                        port 1, queue q
 *     fill │ rx     tx │ completion          fill │ rx     tx │ completion
 *          └────┬──────┘                          └────┬──────┘
 *               └───────────── one UMEM ───────────────┘
 *
 * Made by the starter, which has the rights; inherited over fork by the
 * inspector, which alone uses the rings. The starter closes its side after the
 * fork: then a dead inspector's sockets leave the XSKMAP by themselves.
 */
#ifndef HK_DATAPLANE_SOCKET_H
#define HK_DATAPLANE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <xdp/xsk.h>

#include <halfkey/config.h>

#include "user/base/error.h"

struct hk_socket {
	struct xsk_socket *xsk; /* NULL: not open */
	struct xsk_ring_cons rx;
	struct xsk_ring_prod tx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	int fd;
	bool zero_copy;
};

struct hk_queue {
	unsigned index;
	unsigned ports;
	__u32 frames;
	__u32 frame_size;
	__u32 ring_size; /* rx, tx and completion; the fill ring has twice that */
	__u8 *area;	 /* frames * frame_size bytes */
	struct xsk_umem *umem;
	struct hk_socket socket[HK_PORTS_MAX];
};

struct hk_queue_options {
	unsigned index;
	unsigned ports;
	const char *name[HK_PORTS_MAX]; /* interfaces */
	bool native[HK_PORTS_MAX];
	__u32 frames; /* a power of two, at least 256 */
	__u32 frame_size;
	unsigned deadline_ms; /* how long a queue that is still busy is tried again */
};

/* The largest Ethernet frame a frame of `frame_size` bytes can take. */
static inline __u32 hk_queue_frame_max(__u32 frame_size)
{
	return frame_size - 256; /* XDP_PACKET_HEADROOM */
}

/* The rx ring's size for a number of frames. */
static inline __u32 hk_queue_ring_size(__u32 frames)
{
	return frames / 4;
}

/* All ports' sockets or none. 0, or negative errno and a sentence. */
int hk_queue_open(struct hk_queue **out, const struct hk_queue_options *options, struct hk_error *error);
/* Puts the sockets into the XSKMAP. */
int hk_queue_insert(const struct hk_queue *queue, int xsks_fd, struct hk_error *error);
/* This process's side: descriptors, rings, memory. NULL is fine. */
void hk_queue_close(struct hk_queue *queue);
/* Packets the kernel lost on their way into this socket's rx ring, since it was opened. */
__u64 hk_socket_lost(const struct hk_socket *socket);
/* Wakes the kernel to send what the tx ring holds; bounded retries. False: something is left in the ring. */
bool hk_socket_kick(struct hk_socket *socket);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame account of one UMEM: who owns each frame right now.
 *
 *      FREE ──► KERNEL ──► BATCH ──► TX ──► FREE        forwarded
 *       ▲      (fill, rx)    ├─────────────► FREE        dropped, or only looked at
 *       │                    └──► HELD ──► TX ──► FREE   delayed
 *
 * A frame moves only from the owner it really has; a move from another one is
 * refused and counted, so a frame can neither leak nor be filled twice:
 *
 *      free + kernel[0] + kernel[1] + batch + held + tx = total
 *
 * One thread owns an account; others read the counts.
 */
#ifndef HK_DATAPLANE_FRAMES_H
#define HK_DATAPLANE_FRAMES_H

#include <stdbool.h>
#include <linux/types.h>

enum hk_frame_owner {
	HK_FRAME_FREE,
	HK_FRAME_KERNEL_0, /* port 0's fill ring, the kernel, or its rx ring */
	HK_FRAME_KERNEL_1,
	HK_FRAME_BATCH, /* taken off an rx ring, not decided yet */
	HK_FRAME_HELD,	/* delayed */
	HK_FRAME_TX,	/* a tx ring, the kernel, or a completion ring */
	HK_FRAME_OWNERS
};

struct hk_frames {
	__u32 total;
	__u32 shift; /* a frame has 1 << shift bytes */
	__u32 count[HK_FRAME_OWNERS];
	__u64 errors; /* moves refused: any is a bug or a kernel that lies */
	__u32 *free;  /* a stack of count[HK_FRAME_FREE] frame numbers */
	__u8 *owner;  /* enum hk_frame_owner by frame number */
};

/* `frame_size` is a power of two. 0 or -ENOMEM. */
int hk_frames_init(struct hk_frames *frames, __u32 total, __u32 frame_size);
void hk_frames_fini(struct hk_frames *frames);

static inline __u32 hk_frames_number(const struct hk_frames *frames, __u64 address)
{
	return (__u32)(address >> frames->shift);
}

/* A free frame's address for `owner`; false when none is free. */
bool hk_frames_take(struct hk_frames *frames, enum hk_frame_owner owner, __u64 *address);
/* Moves the frame that holds `address` (anywhere inside it); false: it was not `from`'s. */
bool hk_frames_move(
	struct hk_frames *frames, __u64 address, enum hk_frame_owner from, enum hk_frame_owner to);
/* True when the equation above holds, counts and owners agree and nothing was refused. */
bool hk_frames_balanced(const struct hk_frames *frames);

#endif

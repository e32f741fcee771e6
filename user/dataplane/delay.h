/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker's delayed packets: one FIFO per delay class, linked through the
 * frames' own numbers, so that holding a packet allocates nothing. Within a
 * class packets leave in the order they came. One thread owns it; `queued`
 * counts the packets of each class over all workers and is shared.
 */
#ifndef HK_DATAPLANE_DELAY_H
#define HK_DATAPLANE_DELAY_H

#include <stdbool.h>
#include <linux/types.h>

#define HK_DELAY_CLASSES_MAX 1024

struct hk_delayed {
	__u64 address; /* in the UMEM */
	__u64 release_ns;
	__u32 length;
	__u32 next;  /* frame number, HK_DELAY_END: the last */
	__u8 port;   /* it came in by */
	__u8 reason; /* what it will be counted as */
	__u8 reserved[6];
};

#define HK_DELAY_END (~0u)

struct hk_delay {
	struct hk_delayed *rows; /* by frame number */
	__u32 head[HK_DELAY_CLASSES_MAX];
	__u32 tail[HK_DELAY_CLASSES_MAX];
	__u32 *queued; /* [HK_DELAY_CLASSES_MAX], shared */
	__u32 waiting;
	__u32 limit;
	__u32 classes; /* one past the highest class ever used */
};

/* At most `limit` packets wait at a time. 0 or -ENOMEM. */
int hk_delay_init(struct hk_delay *delay, __u32 frames, __u32 limit, __u32 *queued);
void hk_delay_fini(struct hk_delay *delay);
/* False when the class does not exist or there is no room. `number` is the frame's. */
bool hk_delay_put(struct hk_delay *delay, __u32 number, __u32 delay_class, const struct hk_delayed *packet);
/* Takes a packet whose time has come; false when none. */
bool hk_delay_take(struct hk_delay *delay, __u64 now_ns, struct hk_delayed *out);
/* When the next one is due; ~0: none waits. */
__u64 hk_delay_next(const struct hk_delay *delay);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* The frame account of one UMEM: see frames.h. */
#include "user/dataplane/frames.h"

#include <errno.h>
#include <stdlib.h>

static void count_change(struct hk_frames *frames, unsigned owner, int by)
{
	__atomic_store_n(&frames->count[owner], frames->count[owner] + (__u32)by, __ATOMIC_RELAXED);
}

int hk_frames_init(struct hk_frames *frames, __u32 total, __u32 frame_size)
{
	__u32 i;

	*frames = (struct hk_frames){.total = total, .shift = (__u32)__builtin_ctz(frame_size)};
	frames->free = calloc(total, sizeof(*frames->free));
	frames->owner = calloc(total, sizeof(*frames->owner));
	if (!frames->free || !frames->owner) {
		hk_frames_fini(frames);
		return -ENOMEM;
	}
	for (i = 0; i < total; i++)
		frames->free[i] = total - 1 - i;
	frames->count[HK_FRAME_FREE] = total;
	return 0;
}

void hk_frames_fini(struct hk_frames *frames)
{
	free(frames->free);
	free(frames->owner);
	*frames = (struct hk_frames){0};
}

bool hk_frames_take(struct hk_frames *frames, enum hk_frame_owner owner, __u64 *address)
{
	__u32 number;

	if (!frames->count[HK_FRAME_FREE])
		return false;
	number = frames->free[frames->count[HK_FRAME_FREE] - 1];
	count_change(frames, HK_FRAME_FREE, -1);
	count_change(frames, owner, 1);
	frames->owner[number] = (__u8)owner;
	*address = (__u64)number << frames->shift;
	return true;
}

bool hk_frames_move(struct hk_frames *frames, __u64 address, enum hk_frame_owner from, enum hk_frame_owner to)
{
	__u64 number = address >> frames->shift;

	if (number >= frames->total || frames->owner[number] != from) {
		frames->errors++;
		return false;
	}
	frames->owner[number] = (__u8)to;
	count_change(frames, from, -1);
	if (to == HK_FRAME_FREE)
		frames->free[frames->count[HK_FRAME_FREE]] = (__u32)number;
	count_change(frames, to, 1);
	return true;
}

bool hk_frames_balanced(const struct hk_frames *frames)
{
	__u32 seen[HK_FRAME_OWNERS] = {0}, sum = 0, i;

	for (i = 0; i < frames->total; i++)
		seen[frames->owner[i] < HK_FRAME_OWNERS ? frames->owner[i] : HK_FRAME_FREE]++;
	for (i = 0; i < HK_FRAME_OWNERS; i++) {
		if (seen[i] != frames->count[i])
			return false;
		sum += frames->count[i];
	}
	return sum == frames->total && !frames->errors;
}

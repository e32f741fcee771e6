// SPDX-License-Identifier: GPL-2.0-or-later
/* The replay window: see replay.h. */
#include "user/endpoint/replay.h"

#include <string.h>

static __u64 *word(struct hk_replay *replay, __u64 number)
{
	return &replay->seen[number % HK_REPLAY_WINDOW / 64];
}

bool hk_replay_fresh(const struct hk_replay *replay, __u64 number)
{
	if (!replay->used || number > replay->top)
		return true;
	if (replay->top - number >= HK_REPLAY_WINDOW)
		return false;
	return !(replay->seen[number % HK_REPLAY_WINDOW / 64] >> (number % 64) & 1);
}

/* Numbers between the old top and the new one were not seen: their bits are stale. */
static void advance(struct hk_replay *replay, __u64 number)
{
	__u64 at = replay->top + 1;
	bool far = !replay->used || number - replay->top >= HK_REPLAY_WINDOW;

	replay->top = number;
	replay->used = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* in this order, for whoever dies in between */
	if (far)
		memset(replay->seen, 0, sizeof(replay->seen));
	else
		for (; at != number; at++)
			*word(replay, at) &= ~(1ull << at % 64);
}

void hk_replay_take(struct hk_replay *replay, __u64 number)
{
	if (!replay->used || number > replay->top)
		advance(replay, number);
	*word(replay, number) |= 1ull << number % 64;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A receiver's replay window (RFC 4303 3.4.3, with 64-bit numbers so that PSP's
 * IV fits too). Only numbers of verified packets enter it.
 */
#ifndef HK_ENDPOINT_REPLAY_H
#define HK_ENDPOINT_REPLAY_H

#include <stdbool.h>
#include <linux/types.h>

#define HK_REPLAY_WINDOW 1024

struct hk_replay {
	__u64 top; /* highest number accepted; bit n % WINDOW of `seen` stands for number n */
	__u64 seen[HK_REPLAY_WINDOW / 64];
	__u64 used; /* 1: anything accepted yet */
};

/* False: seen before, or too old to tell. */
bool hk_replay_fresh(const struct hk_replay *replay, __u64 number);
/* Marks a fresh number. Who dies on the way leaves a window that takes too little, never too much. */
void hk_replay_take(struct hk_replay *replay, __u64 number);

#endif

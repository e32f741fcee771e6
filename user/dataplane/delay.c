// SPDX-License-Identifier: GPL-2.0-or-later
/* Delayed packets, a FIFO per class: see delay.h. */
#include "user/dataplane/delay.h"

#include <errno.h>
#include <stdlib.h>

int hk_delay_init(struct hk_delay *delay, __u32 frames, __u32 limit, __u32 *queued)
{
	unsigned i;

	delay->rows = calloc(frames, sizeof(*delay->rows));
	if (!delay->rows)
		return -ENOMEM;
	for (i = 0; i < HK_DELAY_CLASSES_MAX; i++)
		delay->head[i] = delay->tail[i] = HK_DELAY_END;
	delay->queued = queued;
	delay->limit = limit;
	delay->waiting = 0;
	delay->classes = 0;
	return 0;
}

void hk_delay_fini(struct hk_delay *delay)
{
	free(delay->rows);
	delay->rows = NULL;
}

bool hk_delay_put(struct hk_delay *delay, __u32 number, __u32 delay_class, const struct hk_delayed *packet)
{
	if (delay_class >= HK_DELAY_CLASSES_MAX || delay->waiting >= delay->limit)
		return false;
	delay->rows[number] = *packet;
	delay->rows[number].next = HK_DELAY_END;
	if (delay->head[delay_class] == HK_DELAY_END)
		delay->head[delay_class] = number;
	else
		delay->rows[delay->tail[delay_class]].next = number;
	delay->tail[delay_class] = number;
	delay->waiting++;
	if (delay_class >= delay->classes)
		delay->classes = delay_class + 1;
	__atomic_fetch_add(&delay->queued[delay_class], 1, __ATOMIC_RELAXED);
	return true;
}

bool hk_delay_take(struct hk_delay *delay, __u64 now_ns, struct hk_delayed *out)
{
	unsigned i;
	__u32 number;

	for (i = 0; delay->waiting && i < delay->classes; i++) {
		number = delay->head[i];
		if (number == HK_DELAY_END || delay->rows[number].release_ns > now_ns)
			continue;
		*out = delay->rows[number];
		delay->head[i] = out->next;
		delay->waiting--;
		__atomic_fetch_sub(&delay->queued[i], 1, __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

__u64 hk_delay_next(const struct hk_delay *delay)
{
	__u64 next = ~0ull;
	unsigned i;

	for (i = 0; delay->waiting && i < delay->classes; i++)
		if (delay->head[i] != HK_DELAY_END && delay->rows[delay->head[i]].release_ns < next)
			next = delay->rows[delay->head[i]].release_ns;
	return next;
}

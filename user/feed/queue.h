/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker's queue to the feed thread: one producer, one consumer, a ring of
 * bytes with records back to back. The producer never waits and makes no
 * system call: the consumer looks again after a short sleep (drain.c).
 *
 *   buffer │ free … │ tail: released │ cursor: read │ head: written │ … free │
 *
 * Positions only grow; their low bits are the offset. A record is always in
 * one piece: where the end of the buffer is too near, a skip record (kind 0)
 * fills it up.
 */
#ifndef HK_FEED_QUEUE_H
#define HK_FEED_QUEUE_H

#include <stddef.h>

#include "user/feed/feed.h"

/* `size` is a power of two, at least 4096. NULL: no memory. */
struct hk_feed_queue *hk_feed_queue_new(size_t size);
void hk_feed_queue_free(struct hk_feed_queue *queue);
/* Touches the memory, so that the first packets pay no page faults. Call when nobody uses the queue. */
void hk_feed_queue_touch(struct hk_feed_queue *queue);
void hk_feed_queue_want(struct hk_feed_queue *queue, unsigned wants);

/* Consumer: the next record, valid until released; NULL: none waits. */
const struct hk_record *hk_feed_queue_next(struct hk_feed_queue *queue);
/* Consumer: gives the room of all records taken so far back to the producer. */
void hk_feed_queue_release(struct hk_feed_queue *queue);

/* A record carries only that part of the struct which its kind uses. */
static inline size_t hk_record_header_size(unsigned kind)
{
	if (kind == HK_RECORD_EVENT)
		return sizeof(struct hk_record);
	if (kind == HK_RECORD_FLOW)
		return offsetof(struct hk_record, flow) + sizeof(struct hk_record_flow);
	return offsetof(struct hk_record, event);
}

/* The data of a record that came out of a queue. */
static inline const __u8 *hk_record_data(const struct hk_record *record)
{
	return (const __u8 *)record + hk_record_header_size(record->kind);
}

#endif

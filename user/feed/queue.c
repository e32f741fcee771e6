// SPDX-License-Identifier: GPL-2.0-or-later
/* The queue between a worker and the feed thread: see queue.h. Must not log, lock or call the kernel in
 * put(). */
#include "user/feed/queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Each side writes its own cache line; each keeps a stale copy of the other's position. */
struct hk_feed_queue {
	/* read by both */
	__u8 *buffer;
	size_t size;
	unsigned wants;
	__u8 padding0[44];
	/* written by the producer */
	__u64 head;
	__u64 tail_seen;
	__u8 padding1[48];
	/* written by the consumer */
	__u64 tail;
	__u64 cursor;
	__u64 head_seen;
	__u8 padding2[40];
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct hk_feed_queue, head) == 64, "the producer's own cache line");
_Static_assert(offsetof(struct hk_feed_queue, tail) == 128, "the consumer's own cache line");
_Static_assert(offsetof(struct hk_record, event) % 8 == 0, "data of a record starts aligned");
_Static_assert(sizeof(struct hk_record_flow) % 8 == 0, "data of a record starts aligned");
_Static_assert(sizeof(struct hk_record) % 8 == 0, "data of a record starts aligned");

struct hk_feed_queue *hk_feed_queue_new(size_t size)
{
	struct hk_feed_queue *queue = aligned_alloc(64, sizeof(*queue));

	if (!queue)
		return NULL;
	memset(queue, 0, sizeof(*queue));
	queue->size = size;
	queue->buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (queue->buffer == MAP_FAILED) {
		free(queue);
		return NULL;
	}
	/* Opened packets pass here: they stay out of core files. A kernel without the call loses that only.
	 */
	(void)madvise(queue->buffer, size, MADV_DONTDUMP);
	return queue;
}

void hk_feed_queue_free(struct hk_feed_queue *queue)
{
	if (!queue)
		return;
	munmap(queue->buffer, queue->size);
	free(queue);
}

void hk_feed_queue_touch(struct hk_feed_queue *queue)
{
	volatile __u8 *page = queue->buffer;
	size_t at;
	__u8 byte;

	/* Rewrites what is there: records may already wait. */
	for (at = 0; at < queue->size; at += 4096) {
		byte = page[at];
		page[at] = byte;
	}
}

void hk_feed_queue_want(struct hk_feed_queue *queue, unsigned wants)
{
	__atomic_store_n(&queue->wants, wants, __ATOMIC_RELAXED);
}

unsigned hk_feed_wants(const struct hk_feed_queue *queue)
{
	return __atomic_load_n(&queue->wants, __ATOMIC_RELAXED);
}

static bool queue_has_room(struct hk_feed_queue *queue, size_t size)
{
	if (queue->head + size - queue->tail_seen <= queue->size)
		return true;
	queue->tail_seen = __atomic_load_n(&queue->tail, __ATOMIC_ACQUIRE);
	return queue->head + size - queue->tail_seen <= queue->size;
}

/* A record of kind 0 that fills the end of the buffer: only its size and kind are read. */
static void queue_skip(__u8 *at, size_t size)
{
	const __u32 skip_size = (__u32)size;

	memset(at, 0, 8);
	memcpy(at, &skip_size, sizeof(skip_size));
}

bool hk_feed_put(struct hk_feed_queue *queue, const struct hk_record *record, const void *data)
{
	size_t header = hk_record_header_size(record->kind);
	size_t size = (header + record->data_length + 7) & ~(size_t)7;
	size_t offset = (size_t)queue->head & (queue->size - 1);
	size_t skip = size > queue->size - offset ? queue->size - offset : 0;
	const __u32 record_size = (__u32)size;
	__u8 *at;

	if (!queue_has_room(queue, skip + size))
		return false;
	if (skip)
		queue_skip(queue->buffer + offset, skip);
	at = queue->buffer + (skip ? 0 : offset);
	memcpy(at, record, header);
	memcpy(at + offsetof(struct hk_record, size), &record_size, sizeof(record_size));
	if (record->data_length)
		memcpy(at + header, data, record->data_length);
	__atomic_store_n(&queue->head, queue->head + skip + size, __ATOMIC_RELEASE);
	return true;
}

const struct hk_record *hk_feed_queue_next(struct hk_feed_queue *queue)
{
	const struct hk_record *record;

	do {
		if (queue->cursor == queue->head_seen)
			queue->head_seen = __atomic_load_n(&queue->head, __ATOMIC_ACQUIRE);
		if (queue->cursor == queue->head_seen)
			return NULL;
		record = (const struct hk_record *)(queue->buffer + (queue->cursor & (queue->size - 1)));
		queue->cursor += record->size;
	} while (record->kind == 0);
	return record;
}

void hk_feed_queue_release(struct hk_feed_queue *queue)
{
	__atomic_store_n(&queue->tail, queue->cursor, __ATOMIC_RELEASE);
}

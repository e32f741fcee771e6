// SPDX-License-Identifier: GPL-2.0-or-later
/* A ring buffer's consumer for batches: see copies.h. */
#include "user/dataplane/copies.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct hk_copies {
	int fd;
	unsigned long *consumer;       /* a page we may write */
	const unsigned long *producer; /* a page, then the data, twice */
	const __u8 *data;
	size_t page;
	unsigned long at; /* how far hk_copies_peek() went */
};

int hk_copies_open(struct hk_copies **out, int fd, struct hk_error *error)
{
	struct hk_copies *copies = calloc(1, sizeof(*copies));
	void *consumer = MAP_FAILED, *producer = MAP_FAILED;

	if (!copies)
		return hk_error_set(error, ENOMEM, "ring buffer: out of memory");
	copies->fd = fd;
	copies->page = (size_t)sysconf(_SC_PAGESIZE);
	consumer = mmap(NULL, copies->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (consumer != MAP_FAILED)
		producer = mmap(NULL, copies->page + 2ul * HK_COPY_RING_SIZE, PROT_READ, MAP_SHARED, fd,
			(off_t)copies->page);
	copies->consumer = consumer == MAP_FAILED ? NULL : consumer;
	copies->producer = producer == MAP_FAILED ? NULL : producer;
	if (!copies->consumer || !copies->producer) {
		int err = hk_error_set(error, errno, "ring buffer: cannot be mapped: %s", strerror(errno));

		hk_copies_close(copies);
		return err;
	}
	copies->data = (const __u8 *)copies->producer + copies->page;
	copies->at = __atomic_load_n(copies->producer, __ATOMIC_ACQUIRE);
	hk_copies_release(copies);
	*out = copies;
	return 0;
}

void hk_copies_close(struct hk_copies *copies)
{
	if (!copies)
		return;
	if (copies->consumer)
		munmap(copies->consumer, copies->page);
	if (copies->producer)
		munmap((void *)(unsigned long)copies->producer, copies->page + 2ul * HK_COPY_RING_SIZE);
	free(copies);
}

int hk_copies_fd(const struct hk_copies *copies)
{
	return copies->fd;
}

unsigned hk_copies_peek(struct hk_copies *copies, const struct hk_copy **records, unsigned max)
{
	unsigned long end = __atomic_load_n(copies->producer, __ATOMIC_ACQUIRE);
	unsigned count = 0;

	while (count < max && copies->at < end) {
		const __u8 *header = copies->data + (copies->at & (HK_COPY_RING_SIZE - 1));
		__u32 word = __atomic_load_n((const __u32 *)(const void *)header, __ATOMIC_ACQUIRE);
		__u32 length = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		const struct hk_copy *copy = (const void *)(header + BPF_RINGBUF_HDR_SZ);

		if (word & BPF_RINGBUF_BUSY_BIT)
			break;
		copies->at += (length + BPF_RINGBUF_HDR_SZ + 7) & ~7ul;
		if (!(word & BPF_RINGBUF_DISCARD_BIT) && length >= sizeof(*copy) &&
			copy->length <= length - sizeof(*copy))
			records[count++] = copy;
	}
	return count;
}

void hk_copies_release(struct hk_copies *copies)
{
	__atomic_store_n(copies->consumer, copies->at, __ATOMIC_RELEASE);
}

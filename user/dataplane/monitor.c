// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's turn in monitor mode: the frame itself went out of the other port
 * already; its copy is opened and looked at. A verdict acts on later packets,
 * through the kernel's verdict cache. See worker.h.
 */
#include "user/dataplane/worker.h"

#include <poll.h>
#include <time.h>

static void frame_of(struct hk_frame *frame, const struct hk_copy *copy, __u64 wall_offset)
{
	frame->data = (const __u8 *)(copy + 1);
	frame->length = copy->length;
	frame->meta = copy->meta;
	frame->meta.port &= 1;
	frame->wall_ns = copy->time_ns + wall_offset;
}

unsigned hk_worker_turn_copies(struct hk_worker *worker)
{
	const struct hk_copy *records[HK_PIPELINE_BATCH];
	struct hk_counts *counts = &worker->ledger->counts;
	unsigned count = hk_copies_peek(worker->copies, records, HK_PIPELINE_BATCH), i;
	__u64 bytes = 0;

	for (i = 0; i < count; i++) {
		frame_of(&worker->batch[i], records[i], worker->wall_ns - worker->now_ns);
		bytes += worker->batch[i].length;
	}
	hk_count_raise(&counts->received, count);
	hk_count_raise(&counts->received_bytes, bytes);
	if (count)
		hk_pipeline_run(worker->pipeline, worker->inspection, worker->batch, count, worker->now_ns,
			worker->fates);
	for (i = 0; i < count; i++) {
		hk_worker_verdict_put(worker, &worker->batch[i], &worker->fates[i]);
		hk_worker_count(worker, worker->fates[i].reason, worker->batch[i].length, false);
	}
	hk_copies_release(worker->copies);
	return count;
}

void hk_worker_wait_copies(struct hk_worker *worker, __u64 wait_ns)
{
	struct pollfd wait = {.fd = hk_copies_fd(worker->copies), .events = POLLIN};
	struct timespec timeout = {
		.tv_sec = (time_t)(wait_ns / 1000000000ull), .tv_nsec = (long)(wait_ns % 1000000000ull)};

	ppoll(&wait, 1, &timeout, NULL);
}

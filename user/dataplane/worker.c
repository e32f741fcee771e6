// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's thread: the loop around the turns, its heartbeat and its orders;
 * see worker.h. What a turn does with AF_XDP stands in forward.c, with the
 * copies of monitor mode in monitor.c.
 */
#include "user/dataplane/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "maps/layout.h"
#include "user/base/log.h"

#define TICK_NS	       (100ull * 1000 * 1000)
#define QUIESCE_NS     (20ull * 1000 * 1000)  /* stopping: this long without a packet is rest */
#define QUIESCE_MAX_NS (300ull * 1000 * 1000) /* and this is the longest it takes */
#define IDLE_TURNS     4
#define WAIT_MAX_NS    (50ull * 1000 * 1000) /* no order waits longer for an idle worker */
#define PAUSE_NS       (200ull * 1000)

__u64 hk_worker_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

static void worker_beat(struct hk_worker *worker)
{
	unsigned port;

	worker->now_ns = hk_worker_clock(CLOCK_MONOTONIC);
	for (port = 0; port < worker->ports; port++)
		__atomic_store_n(&worker->beats[HK_MAP_SLOT(port, worker->index)].beat_ns, worker->now_ns,
			__ATOMIC_RELAXED);
}

static void worker_publish(struct hk_worker *worker)
{
	unsigned i;

	for (i = 0; i < HK_FRAME_OWNERS; i++)
		__atomic_store_n(&worker->ledger->frames[i], worker->frames.count[i], __ATOMIC_RELAXED);
	__atomic_store_n(&worker->ledger->frame_errors, worker->frames.errors, __ATOMIC_RELAXED);
}

void hk_worker_count(struct hk_worker *worker, unsigned reason, __u32 length, bool dropped)
{
	if (worker->mode != HK_MODE_INLINE) {
		dropped = false; /* it went its way without us */
		if (reason == HK_REASON_OK)
			reason = HK_REASON_INSPECTED;
	}
	hk_count_reason(&worker->ledger->counts, reason, length, dropped);
}

static bool outer_addresses(const struct hk_frame *frame, struct hk_verdict_key *key)
{
	const __u8 *ip = frame->data + frame->meta.l3_offset;

	if (!(frame->meta.flags & HK_META_OUTER_V6)) {
		if (frame->meta.l3_offset + 20u > frame->length)
			return false;
		key->src = hk_address_v4(ip + 12);
		key->dst = hk_address_v4(ip + 16);
		return true;
	}
	if (frame->meta.l3_offset + 40u > frame->length)
		return false;
	key->src = hk_address_v6(ip + 8);
	key->dst = hk_address_v6(ip + 24);
	return true;
}

void hk_worker_verdict_put(struct hk_worker *worker, const struct hk_frame *frame, const struct hk_fate *fate)
{
	__u32 head = worker->verdicts_head;
	struct hk_worker_verdict *row = &worker->verdicts[head % HK_WORKER_VERDICTS];

	if (!fate->kernel_lifetime_ms)
		return;
	/* an unauthenticated packet never installs an allow */
	if (fate->kernel_verdict != HK_VERDICT_DROP && fate->auth != HK_AUTH_VERIFIED)
		return;
	if (head - __atomic_load_n(&worker->verdicts_tail, __ATOMIC_ACQUIRE) >= HK_WORKER_VERDICTS) {
		hk_count_raise(&worker->ledger->counts.verdicts_lost, 1);
		return;
	}
	memset(row, 0, sizeof(*row));
	if (!outer_addresses(frame, &row->key))
		return;
	row->key.spi = frame->meta.spi;
	row->key.envelope = frame->meta.envelope;
	row->value.verdict = fate->kernel_verdict;
	row->value.expires_ns = worker->now_ns + fate->kernel_lifetime_ms * 1000000ull;
	__atomic_store_n(&worker->verdicts_head, head + 1, __ATOMIC_RELEASE);
}

bool hk_worker_verdict_take(struct hk_worker *worker, struct hk_worker_verdict *out)
{
	__u32 tail = worker->verdicts_tail;

	if (tail == __atomic_load_n(&worker->verdicts_head, __ATOMIC_ACQUIRE))
		return false;
	*out = worker->verdicts[tail % HK_WORKER_VERDICTS];
	__atomic_store_n(&worker->verdicts_tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

static unsigned worker_turn(struct hk_worker *worker)
{
	worker_beat(worker);
	worker->wall_ns = hk_worker_clock(CLOCK_REALTIME);
	worker->inspection = __atomic_load_n(&worker->orders->inspection, __ATOMIC_ACQUIRE);
	return worker->copies ? hk_worker_turn_copies(worker) : hk_worker_turn_sockets(worker);
}

static void worker_tick(struct hk_worker *worker)
{
	if (worker->now_ns < worker->next_tick_ns)
		return;
	worker->next_tick_ns = worker->now_ns + TICK_NS;
	hk_pipeline_tick(worker->pipeline, worker->now_ns, worker->wall_ns, 0);
	worker_publish(worker);
}

static void worker_wait(struct hk_worker *worker)
{
	__u64 due = hk_delay_next(&worker->delay), wait = worker->wait_ns;

	if (due != ~0ull)
		wait = due <= worker->now_ns ? 0 : due - worker->now_ns < wait ? due - worker->now_ns : wait;
	if (worker->copies)
		hk_worker_wait_copies(worker, wait);
	else
		hk_worker_wait_sockets(worker, wait);
}

/* Between two turns, with the heart beating: the control thread changes what is in force. */
static void worker_pause(struct hk_worker *worker)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NS};

	__atomic_store_n(&worker->paused, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&worker->orders->order, __ATOMIC_ACQUIRE) == HK_WORKER_PAUSE) {
		worker_beat(worker);
		nanosleep(&pause, NULL);
	}
	__atomic_store_n(&worker->paused, 0, __ATOMIC_RELEASE);
}

/* Takes what is still on its way to us, then ends: nothing more is coming, the program is disarmed. */
static void worker_quiesce(struct hk_worker *worker)
{
	__u64 begin, last;

	worker_beat(worker);
	begin = last = worker->now_ns;
	while (worker->now_ns - last < QUIESCE_NS && worker->now_ns - begin < QUIESCE_MAX_NS) {
		if (worker_turn(worker))
			last = worker->now_ns;
		else if (worker->copies)
			hk_worker_wait_copies(worker, QUIESCE_NS / 10);
		else
			hk_worker_wait_sockets(worker, QUIESCE_NS / 10);
	}
	if (!worker->copies)
		hk_worker_finish_sockets(worker);
	hk_pipeline_tick(worker->pipeline, worker->now_ns, worker->wall_ns, 1);
	worker_publish(worker);
	if (!hk_frames_balanced(&worker->frames) || worker->frames.count[HK_FRAME_BATCH] ||
		worker->frames.count[HK_FRAME_HELD])
		hk_log_error("worker %u: its frame account does not balance (%llu moves refused): please "
			     "report this",
			worker->index, (unsigned long long)worker->frames.errors);
}

static void *worker_main(void *argument)
{
	struct hk_worker *worker = argument;
	unsigned idle = 0, order;
	char name[16];

	snprintf(name, sizeof(name), "hk-worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name); /* of another thread it would be a file to write */
	for (;;) {
		order = __atomic_load_n(&worker->orders->order, __ATOMIC_ACQUIRE);
		if (order == HK_WORKER_STOP)
			break;
		if (order == HK_WORKER_PAUSE)
			worker_pause(worker);
		idle = worker_turn(worker) ? 0 : idle + 1;
		worker_tick(worker);
		if (idle >= IDLE_TURNS)
			worker_wait(worker);
	}
	worker_quiesce(worker);
	__atomic_store_n(&worker->stopped, 1, __ATOMIC_RELEASE);
	return NULL;
}

static int worker_pipeline(
	struct hk_worker *worker, const struct hk_worker_options *options, struct hk_error *error)
{
	struct hk_pipeline_options wanted = {
		.worker = options->index,
		.frame_max = options->frame_max,
		.flows_max = options->config->flows_max,
		.stream_bytes = hk_pipeline_stream_bytes(options->config),
		.crypto = options->config->crypto,
		.feed = options->feed,
		.counts = &options->ledger->counts,
		.queued = options->queued,
		.queued_count = HK_DELAY_CLASSES_MAX,
	};

	return hk_pipeline_new(&worker->pipeline, &wanted, error);
}

static int worker_memory(
	struct hk_worker *worker, const struct hk_worker_options *options, struct hk_error *error)
{
	struct hk_queue *queue = options->queue;
	__u32 frames = queue ? queue->frames : 2, size = queue ? queue->frame_size : 2048;

	worker->stack = mmap(NULL, HK_WORKER_STACK, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_POPULATE, -1, 0);
	if (worker->stack == MAP_FAILED)
		worker->stack = NULL;
	if (!worker->stack || hk_frames_init(&worker->frames, frames, size) ||
		hk_delay_init(&worker->delay, frames, frames / 2, options->queued))
		return hk_error_set(error, ENOMEM, "worker %u: out of memory", options->index);
	return options->copies_fd < 0 ? 0 : hk_copies_open(&worker->copies, options->copies_fd, error);
}

int hk_worker_new(struct hk_worker **out, const struct hk_worker_options *options, struct hk_error *error)
{
	struct hk_worker *worker = calloc(1, sizeof(*worker));
	int err;

	if (!worker)
		return hk_error_set(error, ENOMEM, "worker %u: out of memory", options->index);
	worker->index = options->index;
	worker->mode = options->config->mode;
	worker->ports = options->config->ports_count;
	worker->wait_ns = options->config->heartbeat_ms * 1000000ull / 4;
	if (worker->wait_ns > WAIT_MAX_NS)
		worker->wait_ns = WAIT_MAX_NS;
	worker->queue = options->queue;
	worker->beats = options->beats;
	worker->ledger = options->ledger;
	worker->orders = options->orders;
	err = worker_memory(worker, options, error);
	if (!err)
		err = worker_pipeline(worker, options, error);
	if (err) {
		hk_worker_free(worker);
		return err;
	}
	*out = worker;
	return 0;
}

int hk_worker_start(struct hk_worker *worker, struct hk_error *error)
{
	pthread_attr_t attributes;
	int err;

	pthread_attr_init(&attributes);
	err = pthread_attr_setstack(&attributes, worker->stack, HK_WORKER_STACK);
	if (!err)
		err = pthread_create(&worker->thread, &attributes, worker_main, worker);
	pthread_attr_destroy(&attributes);
	if (err)
		return hk_error_set(error, err, "worker %u: no thread: %s", worker->index, strerror(err));
	worker->started = true;
	return 0;
}

bool hk_worker_has_beaten(const struct hk_worker *worker)
{
	return __atomic_load_n(&worker->beats[HK_MAP_SLOT(0, worker->index)].beat_ns, __ATOMIC_RELAXED) != 0;
}

void hk_worker_free(struct hk_worker *worker)
{
	if (!worker)
		return;
	hk_pipeline_free(worker->pipeline);
	hk_copies_close(worker->copies);
	hk_delay_fini(&worker->delay);
	hk_frames_fini(&worker->frames);
	if (worker->stack) {
		explicit_bzero(worker->stack, HK_WORKER_STACK);
		munmap(worker->stack, HK_WORKER_STACK);
	}
	free(worker);
}

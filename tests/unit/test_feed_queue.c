// SPDX-License-Identifier: GPL-2.0-or-later
/* The queue between a worker and the feed thread: order, content, wrap, loss, and no system call in put(). */
#include "user/feed/queue.h"

#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/harness.h"

#define RECORDS	   2000000
#define SMALL_SIZE 4096

static void fill(__u8 *data, size_t size, __u64 seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		data[i] = (__u8)(seed + i);
}

static bool filled(const __u8 *data, size_t size, __u64 seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (data[i] != (__u8)(seed + i))
			return false;
	return true;
}

static bool put(struct hk_feed_queue *queue, __u64 number, unsigned length)
{
	struct hk_record record = {.kind = HK_RECORD_PACKET, .data_length = (__u16)length, .flow_id = number};
	__u8 data[2048];

	fill(data, length, number);
	return hk_feed_put(queue, &record, data);
}

static void empty_queue_has_nothing(void)
{
	struct hk_feed_queue *queue = hk_feed_queue_new(SMALL_SIZE);

	CU_ASSERT_PTR_NULL(hk_feed_queue_next(queue));
	hk_feed_queue_release(queue);
	CU_ASSERT_PTR_NULL(hk_feed_queue_next(queue));
	CU_ASSERT_EQUAL(hk_feed_wants(queue), 0);
	hk_feed_queue_want(queue, HK_RECORD_WANTS(HK_RECORD_FLOW));
	CU_ASSERT_EQUAL(hk_feed_wants(queue), 1u << HK_RECORD_FLOW);
	hk_feed_queue_free(queue);
}

static void record_comes_out_as_it_went_in(void)
{
	struct hk_feed_queue *queue = hk_feed_queue_new(SMALL_SIZE);
	struct hk_record record = {.kind = HK_RECORD_EVENT, .spi = 7, .domain = 3, .data_length = 5};
	const struct hk_record *out;

	memset(&record.event, 0x5a, sizeof(record.event));
	CU_ASSERT_TRUE(hk_feed_put(queue, &record, "hello"));
	record.kind = HK_RECORD_FLOW;
	record.data_length = 0;
	record.flow.bytes[1] = 99;
	record.flow.alerted = 1;
	CU_ASSERT_TRUE(hk_feed_put(queue, &record, NULL));
	out = hk_feed_queue_next(queue);
	CU_ASSERT_EQUAL(out->spi, 7);
	CU_ASSERT_EQUAL(out->size, sizeof(record) + 8);
	CU_ASSERT_EQUAL(out->event.category[71], 0x5a);
	CU_ASSERT_EQUAL(memcmp(hk_record_data(out), "hello", 5), 0);
	out = hk_feed_queue_next(queue);
	CU_ASSERT_EQUAL(out->flow.bytes[1], 99);
	CU_ASSERT_EQUAL(out->flow.alerted, 1);
	CU_ASSERT_PTR_NULL(hk_feed_queue_next(queue));
	hk_feed_queue_free(queue);
}

static void full_queue_refuses_until_released(void)
{
	struct hk_feed_queue *queue = hk_feed_queue_new(SMALL_SIZE);
	unsigned fitted = 0, i;

	while (put(queue, fitted, 200))
		fitted++;
	CU_ASSERT_TRUE(fitted >= 8 && fitted < 20);
	CU_ASSERT_PTR_NOT_NULL(hk_feed_queue_next(queue));
	CU_ASSERT_FALSE(put(queue, 1000, 200)); /* taken, not released: the reader still looks at it */
	hk_feed_queue_release(queue);
	CU_ASSERT_TRUE(put(queue, fitted, 200) || fitted == 0);
	for (i = 1; i <= fitted; i++) {
		const struct hk_record *out = hk_feed_queue_next(queue);

		CU_ASSERT_PTR_NOT_NULL_FATAL(out);
		CU_ASSERT_EQUAL(out->flow_id, i);
		CU_ASSERT_TRUE(filled(hk_record_data(out), out->data_length, i));
	}
	CU_ASSERT_PTR_NULL(hk_feed_queue_next(queue));
	hk_feed_queue_free(queue);
}

static void record_larger_than_the_queue_is_refused(void)
{
	struct hk_feed_queue *queue = hk_feed_queue_new(SMALL_SIZE);
	static const __u8 data[65535];
	struct hk_record record = {.kind = HK_RECORD_PACKET, .data_length = 65535};

	CU_ASSERT_FALSE(hk_feed_put(queue, &record, data));
	CU_ASSERT_TRUE(put(queue, 1, 2048));
	CU_ASSERT_PTR_NOT_NULL(hk_feed_queue_next(queue));
	hk_feed_queue_free(queue);
}

static void every_offset_wraps(void)
{
	struct hk_feed_queue *queue = hk_feed_queue_new(SMALL_SIZE);
	const struct hk_record *out;
	unsigned length, bad = 0;
	__u64 number = 0;

	for (length = 0; length < 2000; length++) {
		if (!put(queue, number, length % 700) || !put(queue, number + 1, (length * 7) % 900))
			bad++;
		for (; (out = hk_feed_queue_next(queue)); number++)
			if (out->flow_id != number || !filled(hk_record_data(out), out->data_length, number))
				bad++;
		hk_feed_queue_release(queue);
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(number, 4000);
	hk_feed_queue_free(queue);
}

struct race {
	struct hk_feed_queue *queue;
	__u64 put;
	__u64 lost;
	bool done;
};

static void *produce(void *argument)
{
	struct race *race = argument;
	__u64 state = 1, i;

	for (i = 0; i < RECORDS; i++) {
		if (put(race->queue, i, random_next(&state) % 40))
			race->put++;
		else if (++race->lost % 64 == 0)
			sched_yield();
	}
	__atomic_store_n(&race->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Takes all that comes until the producer is done; how many records were wrong goes to `bad`. */
static __u64 consume(struct race *race, __u64 *bad)
{
	const struct hk_record *record;
	__u64 taken = 0, next = 0;
	bool done;

	do {
		done = __atomic_load_n(&race->done, __ATOMIC_ACQUIRE);
		while ((record = hk_feed_queue_next(race->queue))) {
			*bad += record->flow_id < next || record->kind != HK_RECORD_PACKET ||
				!filled(hk_record_data(record), record->data_length, record->flow_id);
			next = record->flow_id + 1;
			if (++taken % 16 == 0)
				hk_feed_queue_release(race->queue);
		}
		hk_feed_queue_release(race->queue);
	} while (!done);
	return taken;
}

static void two_threads_lose_nothing_uncounted(void)
{
	struct race race = {.queue = hk_feed_queue_new(64 * 1024)};
	pthread_t thread;
	__u64 taken, bad = 0;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, produce, &race), 0);
	taken = consume(&race, &bad);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(taken, race.put);
	CU_ASSERT_EQUAL(race.put + race.lost, RECORDS);
	hk_feed_queue_free(race.queue);
}

/* In strict seccomp any system call but read, write and exit kills. */
static void put_makes_no_system_call(void)
{
	struct hk_feed_queue *queue = hk_feed_queue_new(SMALL_SIZE);
	int status = -1, i;
	pid_t child;

	hk_feed_queue_touch(queue);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		for (i = 0; i < 1000; i++)
			put(queue, (__u64)i, 100); /* soon full: refusals are free of calls as well */
		syscall(SYS_exit, 0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	hk_feed_queue_free(queue);
}

int main(void)
{
	static const struct test tests[] = {{"an empty queue has nothing", empty_queue_has_nothing},
		{"a record comes out as it went in", record_comes_out_as_it_went_in},
		{"a full queue refuses until room is released", full_queue_refuses_until_released},
		{"a record larger than the queue is refused", record_larger_than_the_queue_is_refused},
		{"records wrap at every offset", every_offset_wraps},
		{"two threads: order kept, nothing lost uncounted", two_threads_lose_nothing_uncounted},
		{"put makes no system call", put_makes_no_system_call}, {0}};

	return run_tests("feed queue", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The shaper hook in virtual time: rate, burst, queue limit, two workers, reload, refusals. */
#include "tests/unit/harness.h"
#include "tests/unit/hook_batch.h"
#include "tests/unit/hook_settings.h"

#include <pthread.h>

#include "user/hooks/builtin.h"

#define MS	1000000ull
#define SECOND	1000000000ull
#define WAITING 4096

static void *make(unsigned workers, const char *text)
{
	void *state = NULL;

	if (hook_make(&hk_shaper_hook, &state, workers, text))
		printf("# said: %s\n", hook_error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(state);
	return state;
}

/* The core's part: packets of one class that wait for their release. */
struct queue {
	__u64 release[WAITING];
	unsigned first, count;
	__u64 sent, dropped, last_release;
	unsigned longest;
};

static void release_due(struct queue *queue, __u64 now)
{
	while (queue->count && queue->release[queue->first % WAITING] <= now) {
		queue->first++;
		queue->count--;
		queue->sent++;
	}
}

/* One packet of `size` bytes at `now`; the class is 3, as hook_settings.h bases them. */
static struct hk_hook_packet *offer(
	void *state, unsigned worker, struct batch_area *area, struct queue *queue, __u64 now, __u32 size)
{
	struct hk_hook_packet *p;
	static const __u8 payload[2048];

	release_due(queue, now);
	batch_clear(area);
	p = batch_add(area, 6, "10.0.0.1", 9, "10.0.0.2", 80, payload, size - 28);
	area->batch.now_ns = now;
	area->queued[3] = queue->count;
	CU_ASSERT_EQUAL(hk_shaper_hook.process(state, worker, &area->batch), 0);
	if (p->verdict == HK_VERDICT_ACCEPT) {
		CU_ASSERT_EQUAL(queue->count, 0);
		queue->sent++;
	} else if (p->verdict == HK_VERDICT_DROP) {
		queue->dropped++;
	} else {
		CU_ASSERT(
			p->delay_class == 3 && p->release_ns >= now && p->release_ns >= queue->last_release);
		queue->last_release = p->release_ns;
		queue->release[(queue->first + queue->count++) % WAITING] = p->release_ns;
	}
	if (queue->count > queue->longest)
		queue->longest = queue->count;
	return p;
}

/* Offers twice the rate for ten seconds; what leaves is the rate, within a percent. */
static void hold_rate(const char *settings, __u64 bits_per_second, __u32 size, unsigned workers)
{
	void *state = make(workers, settings);
	struct batch_area *area = batch_new();
	struct queue *queue = calloc(1, sizeof(*queue));
	__u64 step = size * 8ull * SECOND / (2 * bits_per_second), now = SECOND, i, bits;
	__u64 packets = 10 * SECOND / step > 200000 ? 200000 : 10 * SECOND / step;

	for (i = 0; i < packets; i++, now += step)
		offer(state, (unsigned)(i % workers), area, queue, now, size);
	release_due(queue, now);
	bits = queue->sent * size * 8;
	CU_ASSERT(bits * SECOND / (now - SECOND) > bits_per_second - bits_per_second / 100);
	CU_ASSERT(bits * SECOND / (now - SECOND) < bits_per_second + bits_per_second / 100);
	CU_ASSERT_EQUAL(queue->sent + queue->dropped + queue->count, packets);
	hk_shaper_hook.destroy(state);
	free(queue);
	free(area);
}

static void rate_is_held(void)
{
	hold_rate("classes: [{name: a, rate: 10mbit, burst: 3000, queue: 100}]", 10000000, 1400, 1);
	hold_rate("classes: [{name: a, rate: 1gbit, burst: 64k, queue: 100}]", 1000000000, 1400, 1);
	hold_rate("classes: [{name: a, rate: 64kbit, burst: 200, queue: 20}]", 64000, 100, 1);
	hold_rate("classes: [{name: a, rate: 125kbyte, burst: 3000, queue: 1}]", 1000000, 777, 1);
}

static void two_workers_share_a_rate(void)
{
	hold_rate("classes: [{name: a, rate: 10mbit, burst: 3000, queue: 100}]", 10000000, 1400, 2);
}

static void below_the_rate_nothing_waits(void)
{
	void *state = make(1, "classes: [{name: a, rate: 10mbit, burst: 3000, queue: 100}]");
	struct batch_area *area = batch_new();
	struct queue *queue = calloc(1, sizeof(*queue));
	unsigned i;

	for (i = 0; i < 5000; i++)
		CU_ASSERT_EQUAL(offer(state, 0, area, queue, SECOND + i * 1150000ull, 1400)->verdict,
			HK_VERDICT_ACCEPT);
	hk_shaper_hook.destroy(state);
	free(queue);
	free(area);
}

static void burst_goes_at_once(void)
{
	void *state = make(1, "classes: [{name: a, rate: 8mbit, burst: 10000, queue: 100}]");
	struct batch_area *area = batch_new();
	struct queue *queue = calloc(1, sizeof(*queue));
	struct hk_hook_packet *p;
	unsigned i;

	for (i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(offer(state, 0, area, queue, SECOND, 1000)->verdict, HK_VERDICT_ACCEPT);
	p = offer(state, 0, area, queue, SECOND, 1000); /* 1000 bytes at 8 Mbit/s: a millisecond */
	CU_ASSERT(p->verdict == HK_VERDICT_DELAY && p->release_ns == SECOND + MS);
	p = offer(state, 0, area, queue, SECOND, 500);
	CU_ASSERT(p->verdict == HK_VERDICT_DELAY && p->release_ns == SECOND + MS + MS / 2);
	/* ten seconds later the bucket is full again, and no fuller than its burst */
	for (i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(offer(state, 0, area, queue, 11 * SECOND, 1000)->verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(offer(state, 0, area, queue, 11 * SECOND, 1000)->verdict, HK_VERDICT_DELAY);
	hk_shaper_hook.destroy(state);
	free(queue);
	free(area);
}

static void drops_only_when_full(void)
{
	void *state = make(1, "classes: [{name: a, rate: 8mbit, burst: 1000, queue: 20}]");
	struct batch_area *area = batch_new();
	struct queue *queue = calloc(1, sizeof(*queue));
	unsigned i;

	for (i = 0; i < 21; i++)
		CU_ASSERT_NOT_EQUAL(offer(state, 0, area, queue, SECOND, 1000)->verdict, HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(queue->count, 20);
	CU_ASSERT_EQUAL(offer(state, 0, area, queue, SECOND, 1000)->verdict, HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(area->packets[0].rule, 1);
	/* what was dropped took no tokens: one leaves, one fits, released right behind the others */
	CU_ASSERT_EQUAL(offer(state, 0, area, queue, SECOND + MS, 1000)->release_ns, SECOND + 21 * MS);
	hk_shaper_hook.destroy(state);
	free(queue);
	free(area);
}

/* The limit holds inside one batch too, where the core's count is still the old one. */
static void a_batch_counts_itself(void)
{
	void *state = make(1, "classes: [{name: a, rate: 8mbit, burst: 1000, queue: 20}]");
	struct batch_area *area = batch_new();
	unsigned i, delayed = 0, dropped = 0;

	for (i = 0; i < 64; i++)
		batch_add(area, 6, "10.0.0.1", 9, "10.0.0.2", 80, area->events, 972);
	area->queued[3] = 5;
	CU_ASSERT_EQUAL(hk_shaper_hook.process(state, 0, &area->batch), 0);
	for (i = 0; i < 64; i++) {
		delayed += area->packets[i].verdict == HK_VERDICT_DELAY;
		dropped += area->packets[i].verdict == HK_VERDICT_DROP;
	}
	CU_ASSERT_EQUAL(delayed, 15); /* the first has tokens, but others wait: it queues behind them */
	CU_ASSERT_EQUAL(dropped, 49);
	hk_shaper_hook.destroy(state);
	free(area);
}

static void classes_match_in_order(void)
{
	void *state = make(1, "classes:\n - {name: a, match: {destination-port: 80}, rate: 1kbit, burst: 1}\n"
			      " - {name: b, match: {protocol: tcp}, rate: 1kbit, burst: 1}\n");
	struct batch_area *area = batch_new();
	struct hk_hook_packet *p = area->packets;
	struct hk_hook_stat stats[6];

	CU_ASSERT_EQUAL(hook_setup.class_count, 2);
	CU_ASSERT_EQUAL(hook_setup.delayed_max, 1000);
	batch_add(area, 6, "10.0.0.1", 9, "10.0.0.2", 80, "", 0);
	batch_add(area, 6, "10.0.0.1", 9, "10.0.0.2", 81, "", 0);
	batch_add(area, 17, "10.0.0.1", 9, "10.0.0.2", 81, "", 0);
	batch_add(area, 6, "10.0.0.1", 9, "10.0.0.2", 80, "", 0)->verdict = HK_VERDICT_DROP;
	CU_ASSERT_EQUAL(hk_shaper_hook.process(state, 0, &area->batch), 0);
	CU_ASSERT(p[0].verdict == HK_VERDICT_DELAY && p[0].delay_class == 3);
	CU_ASSERT(p[1].verdict == HK_VERDICT_DELAY && p[1].delay_class == 4);
	CU_ASSERT_EQUAL(p[2].verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT(p[3].verdict == HK_VERDICT_DROP && p[3].release_ns == 0);
	CU_ASSERT_EQUAL_FATAL(hk_shaper_hook.stats(state, stats, 6), 6);
	CU_ASSERT_STRING_EQUAL(stats[4].name, "class.b.delayed");
	CU_ASSERT(stats[1].value == 1 && stats[4].value == 1 && stats[2].value == 0);
	CU_ASSERT_EQUAL(hk_shaper_hook.stats(state, stats, 5), 3);
	hk_shaper_hook.destroy(state);
	free(area);
}

struct racer {
	void *state;
	unsigned worker;
	__u64 last;
};

static void *race(void *argument)
{
	struct racer *racer = argument;
	struct batch_area *area = batch_new();
	unsigned i, j;

	for (i = 0; i < 200; i++) {
		batch_clear(area);
		for (j = 0; j < 64; j++)
			batch_add(area, 6, "10.0.0.1", 9, "10.0.0.2", 80, "", 0)->data_length = 1000;
		area->batch.now_ns = SECOND;
		hk_shaper_hook.process(racer->state, racer->worker, &area->batch);
		for (j = 0; j < 64; j++)
			if (area->packets[j].release_ns > racer->last)
				racer->last = area->packets[j].release_ns;
	}
	free(area);
	return NULL;
}

/* No packet's tokens are lost or given twice: the last release is that of all packets together. */
static void threads_lose_no_tokens(void)
{
	void *state = make(2, "classes: [{name: a, rate: 8mbit, burst: 1000, queue: 60000}]");
	struct racer racers[2] = {{.state = state, .worker = 0}, {.state = state, .worker = 1}};
	pthread_t thread;
	__u64 last;

	CU_ASSERT_EQUAL(hook_setup.delayed_max, 60064);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, race, &racers[0]), 0);
	race(&racers[1]);
	pthread_join(thread, NULL);
	last = racers[0].last > racers[1].last ? racers[0].last : racers[1].last;
	CU_ASSERT_EQUAL(last, SECOND + (2 * 200 * 64 - 1) * MS);
	hk_shaper_hook.destroy(state);
}

static void a_reload_keeps_the_level(void)
{
	static const char text[] = "classes: [{name: a, rate: 8mbit, burst: 10000, queue: 100}]";
	void *old = make(1, text), *now = make(1, text), *other;
	struct batch_area *area = batch_new();
	struct queue *queue = calloc(1, sizeof(*queue));
	struct hk_hook_stat stats[3];
	unsigned i;

	for (i = 0; i < 8; i++)
		offer(old, 0, area, queue, SECOND, 1000);
	hk_shaper_hook.adopt(now, old);
	for (i = 0; i < 2; i++) /* 2000 of 10000 bytes are left */
		CU_ASSERT_EQUAL(offer(now, 0, area, queue, SECOND, 1000)->verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(offer(now, 0, area, queue, SECOND, 1000)->release_ns, SECOND + MS);
	CU_ASSERT_EQUAL(hk_shaper_hook.stats(now, stats, 3), 3);
	CU_ASSERT(stats[0].value == 10 && stats[1].value == 1);
	/* half the rate: the same 2000 bytes, then twice the time */
	other = make(1, "classes: [{name: a, rate: 4mbit, burst: 10000, queue: 100}]");
	queue->count = 0;
	queue->last_release = 0;
	hk_shaper_hook.adopt(other, old);
	for (i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(offer(other, 0, area, queue, SECOND, 1000)->verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(offer(other, 0, area, queue, SECOND, 1000)->release_ns, SECOND + 2 * MS);
	hk_shaper_hook.destroy(old);
	hk_shaper_hook.destroy(now);
	hk_shaper_hook.destroy(other);
	free(queue);
	free(area);
}

static void mistakes_are_named(void)
{
	static const char *const rows[][3] = {
		{"classes: []", "Insufficient entries", "line: 1"},
		{"classes: [{name: a}]", "rate", "line: 1"},
		{"classes: [{rate: 1mbit}]", "name", "line: 1"},
		{"classes: [{name: a, rate: 10}]", "class 1 (a)", "\"10\""},
		{"classes: [{name: a, rate: 10mbps}]", "rate", "\"10mbps\""},
		{"classes: [{name: a, rate: 0mbit}]", "rate", "\"0mbit\""},
		{"classes: [{name: a, rate: 401gbit}]", "rate", "\"401gbit\""},
		{"classes: [{name: a, rate: 999999999999gbit}]", "rate", "999999999999gbit"},
		{"classes: [{name: a, rate: -1mbit}]", "rate", "\"-1mbit\""},
		{"classes: [{name: a, rate: 1mbit, burst: 0}]", "burst", "\"0\""},
		{"classes: [{name: a, rate: 1mbit, burst: 2048m}]", "burst", "\"2048m\""},
		{"classes: [{name: a, rate: 1mbit, queue: 0}]", "queue", "\"0\""},
		{"classes: [{name: a, rate: 1mbit, queue: many}]", "queue", "\"many\""},
		{"classes: [{name: a, rate: 1mbit}, {name: a, rate: 1mbit}]", "\"a\"", "twice"},
		{"classes: [{name: \"a b\", rate: 1mbit}]", "name", "\"a b\""},
		{"classes: [{name: a, rate: 1mbit, match: {source: x}}]", "class 1 (a): source", "\"x\""},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		hook_refuses(&hk_shaper_hook, rows[i][0], rows[i][1], rows[i][2]);
}

static void hostile_files_are_refused(void)
{
	hook_refuses_hostile(&hk_shaper_hook);
}

int main(void)
{
	static const struct test tests[] = {
		{"the rate is held within a percent", rate_is_held},
		{"two workers share one rate", two_workers_share_a_rate},
		{"below the rate nothing waits", below_the_rate_nothing_waits},
		{"a burst goes at once, the next waits exactly", burst_goes_at_once},
		{"nothing is dropped until the queue is full", drops_only_when_full},
		{"the limit holds inside a batch", a_batch_counts_itself},
		{"the first class that matches counts", classes_match_in_order},
		{"two threads lose no tokens", threads_lose_no_tokens},
		{"a reload keeps level and counters", a_reload_keeps_the_level},
		{"mistakes are named", mistakes_are_named},
		{"hostile files are refused", hostile_files_are_refused},
		{0},
	};

	return run_tests("shaper", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shaper hook: a token bucket per class that delays, and drops only when
 * the class's queue is full.
 *
 * A bucket is one number, the time at which it will be (or was) empty: virtual
 * scheduling, the generic cell rate algorithm of ITU-T I.371 with bytes for
 * cells. A packet of n bytes moves it by n / rate:
 *
 *        empty_at' = max(empty_at, now - burst / rate) + n / rate
 *
 *   empty_at' <= now   tokens were there: the packet goes at once
 *   empty_at' >  now   it goes then: release time
 *
 * All workers move it by compare-and-swap, so the rate is that of the class
 * over all of them, without a lock. Release times of a class only rise, so its
 * packets keep their order. Lengths are those of the inner IP packet.
 *
 * The core holds delayed packets and counts them per class; other workers may
 * add up to a batch each before that count shows it, and delayed_max says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/hook.h>

#include "user/hooks/builtin.h"
#include "user/hooks/classifier.h"
#include "user/hooks/shaper_classes.h"

#define TICKS	   64 /* a nanosecond: a u64 of them lasts nine years */
#define COST_SHIFT 20

struct bucket {
	__u64 empty_at;	 /* ticks; shared by all workers, atomic */
	__u64 burst;	 /* ticks: burst / rate */
	__u64 byte_cost; /* ticks << COST_SHIFT */
} __attribute__((aligned(64)));

struct counters {
	__u64 passed, delayed, dropped;
};

struct worker {
	struct counters *counters; /* [class]; no cache line is shared with another worker */
};

struct shaper {
	struct hk_shaper_classes classes;
	struct hk_classifier *classifier;
	struct bucket *buckets;
	struct worker *workers;
	struct counters *carried; /* [class]: of the state before a reload */
	unsigned workers_count;
	__u32 class_base;
	__u64 last_now_ns; /* of any worker; for handing over */
};

/* --- the packet path ------------------------------------------------------------------------- */

static __u64 cost_of(const struct bucket *bucket, __u64 bytes)
{
	return (__u64)(((__uint128_t)bytes * bucket->byte_cost + (1 << (COST_SHIFT - 1))) >> COST_SHIFT);
}

static __u64 after(const struct bucket *bucket, __u64 empty_at, __u64 now, __u64 cost)
{
	__u64 full = now > bucket->burst ? now - bucket->burst : 0;

	return (empty_at > full ? empty_at : full) + cost;
}

/*
 * Takes the tokens for `cost`; returns when they are there. With `only_now`
 * nothing is taken, and 0 returned, unless they are there at `now`.
 */
static __u64 take(struct bucket *bucket, __u64 now, __u64 cost, bool only_now)
{
	__u64 empty_at = __atomic_load_n(&bucket->empty_at, __ATOMIC_RELAXED), next;

	do {
		next = after(bucket, empty_at, now, cost);
		if (only_now && next > now)
			return 0;
	} while (!__atomic_compare_exchange_n(
		&bucket->empty_at, &empty_at, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return next;
}

static void count(__u64 *counter)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* `added`: what this batch put into the class's queue. */
static void shape(struct shaper *shaper, unsigned worker, struct hk_hook_batch *batch,
	struct hk_hook_packet *packet, unsigned class, __u32 *added)
{
	struct counters *counters = &shaper->workers[worker].counters[class];
	struct bucket *bucket = &shaper->buckets[class];
	__u64 now = batch->now_ns * TICKS, at;
	__u32 waiting = hk_hook_queued(batch, shaper->class_base + class) + *added;

	at = take(bucket, now, cost_of(bucket, packet->data_length),
		waiting >= shaper->classes.classes[class].queue);
	if (!at) {
		hk_hook_drop(packet, class + 1);
		count(&counters->dropped);
		return;
	}
	if (at <= now && !waiting) {
		count(&counters->passed);
		return;
	}
	/* behind those that wait, even where its own tokens are there: order is kept */
	hk_hook_delay(packet, (__u16)(shaper->class_base + class),
		at <= now ? batch->now_ns : (at + TICKS - 1) / TICKS);
	++*added;
	count(&counters->delayed);
}

static int shaper_process(void *state, unsigned worker, struct hk_hook_batch *batch)
{
	struct shaper *shaper = state;
	__u32 added[HK_SHAPER_CLASSES_MAX];
	struct hk_classifier_key key;
	__u32 i;
	int class;

	memset(added, 0, shaper->classes.count * sizeof(*added));
	if (batch->now_ns > __atomic_load_n(&shaper->last_now_ns, __ATOMIC_RELAXED))
		__atomic_store_n(&shaper->last_now_ns, batch->now_ns, __ATOMIC_RELAXED);
	for (i = 0; i < batch->packet_count; i++) {
		struct hk_hook_packet *packet = hk_hook_packet(batch, i);

		if (packet->verdict == HK_VERDICT_DROP)
			continue;
		hk_classifier_look_up(shaper->classifier, packet, &key);
		class = hk_classifier_next(shaper->classifier, &key, 0);
		if (class >= 0)
			shape(shaper, worker, batch, packet, (unsigned)class, &added[class]);
	}
	return 0;
}

/* --- making, handing over, showing ----------------------------------------------------------- */

static void shaper_destroy(void *state)
{
	struct shaper *shaper = state;
	unsigned i;

	for (i = 0; i < shaper->workers_count && shaper->workers; i++)
		free(shaper->workers[i].counters);
	free(shaper->workers);
	free(shaper->carried);
	free(shaper->buckets);
	hk_classifier_free(shaper->classifier);
	hk_shaper_classes_free(&shaper->classes);
	free(shaper);
}

static void *aligned_zeroed(size_t size)
{
	void *memory = aligned_alloc(64, (size + 63) / 64 * 64);

	return memory ? memset(memory, 0, size) : NULL;
}

static int make_buckets(struct shaper *shaper)
{
	unsigned i;

	shaper->buckets = aligned_zeroed(shaper->classes.count * sizeof(*shaper->buckets));
	shaper->carried = calloc(shaper->classes.count, sizeof(*shaper->carried));
	shaper->workers = calloc(shaper->workers_count, sizeof(*shaper->workers));
	for (i = 0; i < shaper->workers_count && shaper->workers; i++) {
		shaper->workers[i].counters = aligned_zeroed(shaper->classes.count * sizeof(struct counters));
		if (!shaper->workers[i].counters)
			return -1;
	}
	if (!shaper->buckets || !shaper->carried || !shaper->workers)
		return -1;
	for (i = 0; i < shaper->classes.count; i++) {
		const struct hk_shaper_class *class = &shaper->classes.classes[i];
		struct bucket *bucket = &shaper->buckets[i];

		bucket->byte_cost = (__u64)(((__uint128_t)8000000000u * TICKS << COST_SHIFT) / class->rate);
		bucket->burst = cost_of(bucket, class->burst);
	}
	return 0;
}

static int shaper_create(struct hk_hook_setup *setup, void **state, char *error, size_t error_size)
{
	struct hk_hooks_refusal refusal = {.text = error, .size = error_size, .path = setup->settings_path};
	struct shaper *shaper = calloc(1, sizeof(*shaper));
	unsigned i;

	if (!shaper)
		return hk_hooks_refuse(&refusal, "out of memory");
	shaper->workers_count = setup->worker_count;
	shaper->class_base = setup->class_base;
	if (hk_shaper_classes_load(&shaper->classes, setup, &refusal) ||
		hk_classifier_new(
			&shaper->classifier, shaper->classes.selectors, shaper->classes.count, &refusal) ||
		(make_buckets(shaper) && hk_hooks_refuse(&refusal, "out of memory"))) {
		shaper_destroy(shaper);
		return -1;
	}
	setup->class_count = shaper->classes.count;
	setup->per_packet = 1;
	setup->delayed_max = (setup->worker_count - 1) * HK_HOOK_BATCH_MAX;
	for (i = 0; i < shaper->classes.count; i++)
		setup->delayed_max += shaper->classes.classes[i].queue;
	*state = shaper;
	return 0;
}

/*
 * The old bucket's level in the new one's terms: debts stay as they are (those
 * packets have their release times), tokens are bytes and cost what they cost now.
 */
static __u64 carry_level(const struct bucket *to, const struct bucket *from, __u64 now)
{
	__u64 empty_at = __atomic_load_n(&from->empty_at, __ATOMIC_RELAXED), credit, cost;

	if (empty_at >= now)
		return empty_at;
	credit = now - empty_at < from->burst ? now - empty_at : from->burst;
	cost = (__u64)((__uint128_t)credit * to->byte_cost / (from->byte_cost ? from->byte_cost : 1));
	return now > cost ? now - cost : 0;
}

static void raise_to(__u64 *value, __u64 least)
{
	__u64 now = __atomic_load_n(value, __ATOMIC_RELAXED);

	while (now < least &&
		!__atomic_compare_exchange_n(value, &now, least, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static struct counters sum_of(const struct shaper *shaper, unsigned class)
{
	struct counters sum = {
		.passed = __atomic_load_n(&shaper->carried[class].passed, __ATOMIC_RELAXED),
		.delayed = __atomic_load_n(&shaper->carried[class].delayed, __ATOMIC_RELAXED),
		.dropped = __atomic_load_n(&shaper->carried[class].dropped, __ATOMIC_RELAXED),
	};
	unsigned i;

	for (i = 0; i < shaper->workers_count; i++) {
		const struct counters *one = &shaper->workers[i].counters[class];

		sum.passed += __atomic_load_n(&one->passed, __ATOMIC_RELAXED);
		sum.delayed += __atomic_load_n(&one->delayed, __ATOMIC_RELAXED);
		sum.dropped += __atomic_load_n(&one->dropped, __ATOMIC_RELAXED);
	}
	return sum;
}

static void adopt_class(struct shaper *now, unsigned to, const struct shaper *old, unsigned from)
{
	struct counters sum = sum_of(old, from);
	__u64 time = __atomic_load_n(&old->last_now_ns, __ATOMIC_RELAXED) * TICKS;

	raise_to(&now->buckets[to].empty_at, carry_level(&now->buckets[to], &old->buckets[from], time));
	__atomic_store_n(&now->carried[to].passed, sum.passed, __ATOMIC_RELAXED);
	__atomic_store_n(&now->carried[to].delayed, sum.delayed, __ATOMIC_RELAXED);
	__atomic_store_n(&now->carried[to].dropped, sum.dropped, __ATOMIC_RELAXED);
}

static void shaper_adopt(void *state, void *old_state)
{
	struct shaper *now = state;
	const struct shaper *old = old_state;
	unsigned i, j;

	for (i = 0; i < now->classes.count; i++)
		for (j = 0; j < old->classes.count; j++)
			if (strcmp(now->classes.classes[i].name, old->classes.classes[j].name) == 0)
				adopt_class(now, i, old, j);
}

static size_t shaper_stats(void *state, struct hk_hook_stat *out, size_t max)
{
	static const char *const names[] = {"passed", "delayed", "dropped"};
	const struct shaper *shaper = state;
	size_t used = 0, i;
	unsigned class;

	for (class = 0; class < shaper->classes.count && used + 3 <= max; class ++) {
		struct counters sum = sum_of(shaper, class);
		__u64 values[] = {sum.passed, sum.delayed, sum.dropped};

		for (i = 0; i < 3; i++) {
			snprintf(out[used].name, sizeof(out[used].name), "class.%s.%s",
				shaper->classes.classes[class].name, names[i]);
			out[used++].value = values[i];
		}
	}
	return used;
}

const struct hk_hook hk_shaper_hook = {
	.abi = HK_HOOK_ABI,
	.packet_size = sizeof(struct hk_hook_packet),
	.name = "shaper",
	.summary = "a token bucket per class: delays, drops when its queue is full",
	.create = shaper_create,
	.process = shaper_process,
	.destroy = shaper_destroy,
	.adopt = shaper_adopt,
	.stats = shaper_stats,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The firewall hook: ordered rules, the first that accepts or drops decides.
 *
 * A rule with action `log` writes a line and the search goes on; `log: yes`
 * beside accept or drop writes a line for what was decided. Packets that an
 * earlier hook dropped are not looked at. It keeps no state of connections:
 * answers need rules of their own, unless a rule gives its flow a lifetime.
 *
 * process() reads an immutable classifier and writes its worker's counters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/hook.h>

#include "user/hooks/builtin.h"
#include "user/hooks/classifier.h"
#include "user/hooks/firewall_rules.h"

#define PRIORITY_DROP 2
#define PRIORITY_LOG  3

struct firewall {
	struct hk_firewall_rules rules;
	struct hk_classifier *classifier;
	unsigned workers;
	__u64 **hits;	/* [worker][rule], the default's at [count] */
	__u64 *carried; /* [rule]: of the state before a reload */
};

/* --- the packet path ------------------------------------------------------------------------- */

static void hit(struct firewall *firewall, unsigned worker, unsigned rule)
{
	__u64 *counter = &firewall->hits[worker][rule];

	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static char *append(char *to, const char *end, const char *text)
{
	while (*text && to + 1 < end)
		*to++ = *text++;
	*to = '\0';
	return to;
}

static void report(
	struct hk_hook_batch *batch, __u32 index, const struct hk_firewall_rule *rule, unsigned number)
{
	static const char *const words[] = {" accepted", " dropped", " matched"};
	struct hk_hook_event *event = hk_hook_report(batch, index);
	char *at;

	if (!event)
		return;
	event->kind = HK_EVENT_LOG;
	event->sid = number;
	event->blocked = rule->action == HK_FIREWALL_DROP;
	event->priority = event->blocked ? PRIORITY_DROP : PRIORITY_LOG;
	at = append(event->message, event->message + sizeof(event->message), "firewall rule ");
	at = append(at, event->message + sizeof(event->message), rule->name);
	append(at, event->message + sizeof(event->message), words[rule->action]);
	append(event->category, event->category + sizeof(event->category), "firewall");
}

static void decide(struct hk_hook_packet *packet, const struct hk_firewall_rule *rule, unsigned number)
{
	if (rule->action == HK_FIREWALL_DROP)
		hk_hook_drop(packet, number);
	if (!rule->flow_ms)
		return;
	packet->flow_verdict = rule->action == HK_FIREWALL_DROP ? HK_VERDICT_DROP : HK_VERDICT_ACCEPT;
	packet->flow_lifetime_ms = rule->flow_ms;
}

static void judge(struct firewall *firewall, unsigned worker, struct hk_hook_batch *batch, __u32 index,
	const struct hk_classifier_key *key)
{
	const struct hk_firewall_rule *rule;
	unsigned from = 0, place;
	int found;

	do {
		found = hk_classifier_next(firewall->classifier, key, from);
		place = found < 0 ? firewall->rules.count : (unsigned)found;
		rule = found < 0 ? &firewall->rules.otherwise : &firewall->rules.rules[found];
		hit(firewall, worker, place);
		if (rule->log)
			report(batch, index, rule, found < 0 ? 0 : place + 1);
		from = place + 1;
	} while (rule->action == HK_FIREWALL_LOG);
	decide(hk_hook_packet(batch, index), rule, found < 0 ? 0 : place + 1);
}

static int firewall_process(void *state, unsigned worker, struct hk_hook_batch *batch)
{
	struct hk_classifier_key keys[HK_HOOK_BATCH_MAX];
	struct firewall *firewall = state;
	__u32 i;

	for (i = 0; i < batch->packet_count; i++)
		if (hk_hook_packet(batch, i)->verdict != HK_VERDICT_DROP)
			hk_classifier_look_up(firewall->classifier, hk_hook_packet(batch, i), &keys[i]);
	for (i = 0; i < batch->packet_count; i++)
		if (hk_hook_packet(batch, i)->verdict != HK_VERDICT_DROP)
			judge(firewall, worker, batch, i, &keys[i]);
	return 0;
}

/* --- making, handing over, showing ----------------------------------------------------------- */

static void firewall_destroy(void *state)
{
	struct firewall *firewall = state;
	unsigned i;

	for (i = 0; i < firewall->workers && firewall->hits; i++)
		free(firewall->hits[i]);
	free(firewall->hits);
	free(firewall->carried);
	hk_classifier_free(firewall->classifier);
	hk_firewall_rules_free(&firewall->rules);
	free(firewall);
}

/* A worker's counters share no cache line with another's. */
static int make_counters(struct firewall *firewall)
{
	size_t size = ((firewall->rules.count + 1) * sizeof(__u64) + 63) / 64 * 64;
	unsigned i;

	firewall->carried = calloc(1, size);
	firewall->hits = calloc(firewall->workers, sizeof(*firewall->hits));
	for (i = 0; i < firewall->workers && firewall->hits; i++) {
		firewall->hits[i] = aligned_alloc(64, size);
		if (!firewall->hits[i])
			return -1;
		memset(firewall->hits[i], 0, size);
	}
	return firewall->carried && firewall->hits ? 0 : -1;
}

static bool gives_flow_verdicts(const struct hk_firewall_rules *rules)
{
	unsigned i;

	for (i = 0; i < rules->count; i++)
		if (rules->rules[i].flow_ms)
			return true;
	return false;
}

static int firewall_create(struct hk_hook_setup *setup, void **state, char *error, size_t error_size)
{
	struct hk_hooks_refusal refusal = {.text = error, .size = error_size, .path = setup->settings_path};
	struct firewall *firewall = calloc(1, sizeof(*firewall));

	if (!firewall)
		return hk_hooks_refuse(&refusal, "out of memory");
	firewall->workers = setup->worker_count;
	if (hk_firewall_rules_load(&firewall->rules, setup, &refusal) ||
		hk_classifier_new(
			&firewall->classifier, firewall->rules.selectors, firewall->rules.count, &refusal) ||
		(make_counters(firewall) && hk_hooks_refuse(&refusal, "out of memory"))) {
		firewall_destroy(firewall);
		return -1;
	}
	setup->per_packet = !gives_flow_verdicts(&firewall->rules);
	*state = firewall;
	return 0;
}

static __u64 hits_of(const struct firewall *firewall, unsigned rule)
{
	__u64 sum = __atomic_load_n(&firewall->carried[rule], __ATOMIC_RELAXED);
	unsigned i;

	for (i = 0; i < firewall->workers; i++)
		sum += __atomic_load_n(&firewall->hits[i][rule], __ATOMIC_RELAXED);
	return sum;
}

struct named {
	const char *name;
	unsigned place;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Counters of rules that kept their name. */
static void firewall_adopt(void *state, void *old_state)
{
	struct firewall *now = state, *old = old_state;
	struct named *names = malloc((old->rules.count + 1) * sizeof(*names));
	unsigned count = 0, i;

	if (!names)
		return; /* counters start anew */
	for (i = 0; i < old->rules.count; i++)
		if (old->rules.rules[i].named)
			names[count++] = (struct named){.name = old->rules.rules[i].name, .place = i};
	qsort(names, count, sizeof(*names), by_name);
	for (i = 0; i < now->rules.count; i++) {
		struct named key = {.name = now->rules.rules[i].name};
		const struct named *found = bsearch(&key, names, count, sizeof(*names), by_name);

		if (found)
			__atomic_store_n(&now->carried[i], hits_of(old, found->place), __ATOMIC_RELAXED);
	}
	__atomic_store_n(&now->carried[now->rules.count], hits_of(old, old->rules.count), __ATOMIC_RELAXED);
	free(names);
}

/* The default first, then rules in order; where not all have room, those that were hit. */
static size_t firewall_stats(void *state, struct hk_hook_stat *out, size_t max)
{
	const struct firewall *firewall = state;
	bool all = firewall->rules.count < max;
	size_t count = 0;
	unsigned i;

	if (!max)
		return 0;
	snprintf(out[count].name, sizeof(out[count].name), "default.hits");
	out[count++].value = hits_of(firewall, firewall->rules.count);
	for (i = 0; i < firewall->rules.count && count < max; i++) {
		__u64 hits = hits_of(firewall, i);

		if (!all && !hits)
			continue;
		snprintf(out[count].name, sizeof(out[count].name), "rule.%s.hits",
			firewall->rules.rules[i].name);
		out[count++].value = hits;
	}
	return count;
}

const struct hk_hook hk_firewall_hook = {
	.abi = HK_HOOK_ABI,
	.packet_size = sizeof(struct hk_hook_packet),
	.name = "firewall",
	.summary = "ordered rules on inner addresses, protocol, ports, domain and mark",
	.create = firewall_create,
	.process = firewall_process,
	.destroy = firewall_destroy,
	.adopt = firewall_adopt,
	.stats = firewall_stats,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The signatures hook: rules in Suricata's syntax, matched per packet.
 *
 * All contents and regular expressions of all rules are one Hyperscan database
 * in block mode: a packet's payload is scanned once, whatever the number of
 * rules. Each rule with a pattern that must be there is filed under the longest
 * of them, its anchor; only rules whose anchor was seen are looked at closer.
 * Rules without such a pattern (header alone, or only negated ones) are looked
 * at for every packet.
 *
 *   scan ──► seen[pattern] ──► rules by anchor ──► header? all seen? none negated seen?
 *                                                   pass: silence · drop: drop · alert: report
 *
 * Nothing is kept from one packet to the next: a text that is split over two
 * packets is not found. process() works in its worker's own scratch memory.
 */
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/hook.h>

#include "user/hooks/builtin.h"
#include "user/hooks/signatures_rules.h"

#define FILE_MAX   (16u << 20)
#define ALERTS_MAX 15 /* of one packet, as Suricata bounds them; the others are counted */
#define NO_PATTERN 0xffffffffu

/* One worker's: allocated and sized in create(). */
struct worker {
	hs_scratch_t *scratch;
	__u32 *seen; /* [pattern]: the turn in which it was last seen */
	__u32 turn;  /* a number a packet; at 0 all of `seen` is cleared */
	__u32 *candidates;
	__u32 candidates_count;
	__u64 scanned, matched, dropped, passed, suppressed;
} __attribute__((aligned(64)));

struct signatures {
	struct hk_signatures rules;
	hs_database_t *database; /* NULL: no rule has a pattern */
	const char **expressions;
	unsigned *flags;
	unsigned *ids;
	unsigned patterns_count;
	/* rules by anchor: those of pattern p are by_anchor[anchor_first[p]] up to anchor_first[p + 1] */
	__u32 *anchor_first;
	__u32 *by_anchor;
	__u32 *always; /* rules without an anchor */
	__u32 always_count;
	struct worker *workers;
	unsigned workers_count;
	__u64 carried[5]; /* of the state before a reload */
};

/* --- the packet path ------------------------------------------------------------------------- */

struct scan {
	const struct signatures *signatures;
	struct worker *worker;
};

static void raise_by(__u64 *counter, __u64 by)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

/* A rule has one anchor and a pattern is seen once a turn: `candidates` has room for every rule. */
static int on_match(
	unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context)
{
	struct scan *scan = context;
	struct worker *worker = scan->worker;
	const struct signatures *s = scan->signatures;
	__u32 i;

	(void)from;
	(void)to;
	(void)flags;
	if (worker->seen[id] == worker->turn)
		return 0;
	worker->seen[id] = worker->turn;
	for (i = s->anchor_first[id]; i < s->anchor_first[id + 1]; i++)
		worker->candidates[worker->candidates_count++] = s->by_anchor[i];
	return 0;
}

/*
 * What is searched: the payload behind the transport header; where there is
 * none, what lies behind the last header known. Never past the packet's end.
 */
static const __u8 *find_payload(
	const struct hk_hook_batch *batch, const struct hk_hook_packet *packet, __u32 *length)
{
	__u32 start = packet->payload_offset ? packet->payload_offset : packet->l4_offset;
	__u32 most = start < packet->data_length ? packet->data_length - start : 0;

	*length = packet->payload_offset && packet->payload_length < most ? packet->payload_length : most;
	return hk_hook_data(batch, packet) + (most ? start : 0);
}

static void next_turn(const struct signatures *s, struct worker *worker)
{
	if (++worker->turn == 0) {
		memset(worker->seen, 0, s->patterns_count * sizeof(*worker->seen));
		worker->turn = 1;
	}
	worker->candidates_count = 0;
}

static bool rule_matches(
	const struct hk_signature *rule, const struct worker *worker, const struct hk_hook_packet *packet)
{
	unsigned i;

	for (i = 0; i < rule->patterns_count; i++) {
		bool seen = worker->seen[rule->patterns[i].id] == worker->turn;

		if (seen == rule->patterns[i].negated)
			return false;
	}
	return hk_signature_header_matches(rule, packet);
}

/* The rules that fired for one packet: what to do, and the alerts worth most. */
struct outcome {
	bool pass;
	__u32 drop; /* sid of the first rule in the file that drops; 0: none */
	__u32 drop_rule;
	unsigned count, kept;
	__u32 best[ALERTS_MAX]; /* drops first, then by priority, then as in the file */
};

static bool goes_before(const struct signatures *s, __u32 a, __u32 b)
{
	const struct hk_signature *x = &s->rules.list[a], *y = &s->rules.list[b];

	if (x->action != y->action)
		return x->action < y->action;
	return x->priority != y->priority ? x->priority < y->priority : a < b;
}

static void keep(const struct signatures *s, struct outcome *outcome, __u32 rule)
{
	unsigned at;

	outcome->count++;
	if (outcome->kept == ALERTS_MAX) {
		if (!goes_before(s, rule, outcome->best[ALERTS_MAX - 1]))
			return;
		outcome->kept--;
	}
	for (at = outcome->kept++; at && goes_before(s, rule, outcome->best[at - 1]); at--)
		outcome->best[at] = outcome->best[at - 1];
	outcome->best[at] = rule;
}

static void weigh(const struct signatures *s, const struct worker *worker,
	const struct hk_hook_packet *packet, __u32 number, struct outcome *outcome)
{
	const struct hk_signature *rule = &s->rules.list[number];

	if (!rule_matches(rule, worker, packet))
		return;
	if (rule->action == HK_SIGNATURE_PASS) {
		outcome->pass = true;
		return;
	}
	if (rule->action == HK_SIGNATURE_DROP && (!outcome->drop || number < outcome->drop_rule)) {
		outcome->drop = rule->sid;
		outcome->drop_rule = number;
	}
	keep(s, outcome, number);
}

static void copy_text(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = '\0';
}

static void report(struct hk_hook_batch *batch, __u32 index, const struct hk_signature *rule, bool dropped)
{
	struct hk_hook_event *event = hk_hook_report(batch, index);

	if (!event)
		return;
	event->kind = HK_EVENT_ALERT;
	event->gid = rule->gid;
	event->sid = rule->sid;
	event->rev = rule->rev;
	event->priority = rule->priority;
	event->blocked = dropped;
	copy_text(event->message, sizeof(event->message), rule->message);
	copy_text(event->category, sizeof(event->category), rule->category ? rule->category : "");
}

static void act(const struct signatures *s, struct worker *worker, struct hk_hook_batch *batch, __u32 index,
	const struct outcome *outcome)
{
	unsigned i;

	if (outcome->pass) {
		raise_by(&worker->passed, 1);
		return;
	}
	if (!outcome->count)
		return;
	raise_by(&worker->matched, 1);
	raise_by(&worker->suppressed, outcome->count - outcome->kept);
	for (i = 0; i < outcome->kept; i++)
		report(batch, index, &s->rules.list[outcome->best[i]], outcome->drop != 0);
	if (outcome->drop) {
		hk_hook_drop(hk_hook_packet(batch, index), outcome->drop);
		raise_by(&worker->dropped, 1);
	}
}

static int inspect(
	const struct signatures *s, struct worker *worker, struct hk_hook_batch *batch, __u32 index)
{
	struct scan scan = {.signatures = s, .worker = worker};
	const struct hk_hook_packet *packet = hk_hook_packet(batch, index);
	struct outcome outcome = {.pass = false};
	const __u8 *payload;
	__u32 length, i;

	next_turn(s, worker);
	raise_by(&worker->scanned, 1);
	payload = find_payload(batch, packet, &length);
	if (s->database && length &&
		hs_scan(s->database, (const char *)payload, length, 0, worker->scratch, on_match, &scan) !=
			HS_SUCCESS)
		return -1;
	for (i = 0; i < worker->candidates_count; i++)
		weigh(s, worker, packet, worker->candidates[i], &outcome);
	for (i = 0; i < s->always_count; i++)
		weigh(s, worker, packet, s->always[i], &outcome);
	act(s, worker, batch, index, &outcome);
	return 0;
}

static int signatures_process(void *state, unsigned worker, struct hk_hook_batch *batch)
{
	struct signatures *signatures = state;
	__u32 i;

	for (i = 0; i < batch->packet_count; i++)
		if (hk_hook_packet(batch, i)->verdict != HK_VERDICT_DROP &&
			inspect(signatures, &signatures->workers[worker], batch, i))
			return -1;
	return 0;
}

/* --- compiling ------------------------------------------------------------------------------- */

static unsigned count_patterns(const struct hk_signatures *rules)
{
	unsigned count = 0, i;

	for (i = 0; i < rules->count; i++)
		count += rules->list[i].patterns_count;
	return count;
}

struct entry {
	struct hk_signature_pattern *pattern;
};

static int by_expression(const void *a, const void *b)
{
	const struct hk_signature_pattern *x = ((const struct entry *)a)->pattern;
	const struct hk_signature_pattern *y = ((const struct entry *)b)->pattern;

	if (x->flags != y->flags)
		return x->flags < y->flags ? -1 : 1;
	return strcmp(x->expression, y->expression);
}

/* Gives equal patterns one id and lists each once. */
static int number_patterns(struct signatures *s)
{
	unsigned total = count_patterns(&s->rules), used = 0, i, j;
	struct entry *all = calloc(total + 1, sizeof(*all));

	s->expressions = calloc(total + 1, sizeof(*s->expressions));
	s->flags = calloc(total + 1, sizeof(*s->flags));
	s->ids = calloc(total + 1, sizeof(*s->ids));
	if (!all || !s->expressions || !s->flags || !s->ids) {
		free(all);
		return -1;
	}
	for (i = 0; i < s->rules.count; i++)
		for (j = 0; j < s->rules.list[i].patterns_count; j++)
			all[used++].pattern = &s->rules.list[i].patterns[j];
	qsort(all, used, sizeof(*all), by_expression);
	for (i = 0; i < used; i++) {
		if (!i || by_expression(&all[i - 1], &all[i]) != 0) {
			s->expressions[s->patterns_count] = all[i].pattern->expression;
			s->flags[s->patterns_count] = all[i].pattern->flags;
			s->ids[s->patterns_count] = s->patterns_count;
			s->patterns_count++;
		}
		all[i].pattern->id = s->patterns_count - 1;
	}
	free(all);
	return 0;
}

/* The longest content that must be there, or the first regular expression, or none. */
static __u32 anchor_of(const struct hk_signature *rule)
{
	const struct hk_signature_pattern *best = NULL;
	unsigned i;

	for (i = 0; i < rule->patterns_count; i++)
		if (!rule->patterns[i].negated && (!best || rule->patterns[i].length > best->length))
			best = &rule->patterns[i];
	return best ? best->id : NO_PATTERN;
}

static int file_by_anchor(struct signatures *s)
{
	unsigned i, p;

	s->anchor_first = calloc(s->patterns_count + 2, sizeof(*s->anchor_first));
	s->by_anchor = calloc(s->rules.count + 1, sizeof(*s->by_anchor));
	s->always = calloc(s->rules.count + 1, sizeof(*s->always));
	if (!s->anchor_first || !s->by_anchor || !s->always)
		return -1;
	/* counting sort: sizes, then starts; placing moves each start to the next one's */
	for (i = 0; i < s->rules.count; i++) {
		p = anchor_of(&s->rules.list[i]);
		if (p == NO_PATTERN)
			s->always[s->always_count++] = i;
		else
			s->anchor_first[p + 2]++;
	}
	for (p = 2; p < s->patterns_count + 2; p++)
		s->anchor_first[p] += s->anchor_first[p - 1];
	for (i = 0; i < s->rules.count; i++) {
		p = anchor_of(&s->rules.list[i]);
		if (p != NO_PATTERN)
			s->by_anchor[s->anchor_first[p + 1]++] = i;
	}
	return 0;
}

static unsigned line_of_pattern(const struct signatures *s, int id)
{
	unsigned i, j;

	for (i = 0; i < s->rules.count; i++)
		for (j = 0; j < s->rules.list[i].patterns_count; j++)
			if (id >= 0 && s->rules.list[i].patterns[j].id == (unsigned)id)
				return s->rules.list[i].line;
	return 0;
}

static int compile(struct signatures *s, struct hk_hooks_refusal *refusal)
{
	hs_compile_error_t *error = NULL;

	if (number_patterns(s) || file_by_anchor(s))
		return hk_hooks_refuse(refusal, "out of memory");
	if (!s->patterns_count)
		return 0;
	if (hs_valid_platform() != HS_SUCCESS)
		return hk_hooks_refuse(refusal, "Hyperscan does not run on this processor: it needs SSSE3");
	if (hs_compile_multi(s->expressions, s->flags, s->ids, s->patterns_count, HS_MODE_BLOCK, NULL,
		    &s->database, &error) != HS_SUCCESS) {
		hk_hooks_refuse(refusal, "line %u: Hyperscan refuses the pattern: %.200s",
			line_of_pattern(s, error ? error->expression : -1),
			error ? error->message : "no reason given");
		hs_free_compile_error(error);
		return -1;
	}
	return 0;
}

static int make_worker(struct signatures *s, struct worker *worker)
{
	worker->seen = calloc((size_t)s->patterns_count + 1, sizeof(*worker->seen));
	worker->candidates = calloc((size_t)s->rules.count + 1, sizeof(*worker->candidates));
	if (!worker->seen || !worker->candidates)
		return -1;
	return s->database && hs_alloc_scratch(s->database, &worker->scratch) != HS_SUCCESS ? -1 : 0;
}

static int make_workers(struct signatures *s, unsigned count, struct hk_hooks_refusal *refusal)
{
	unsigned i;

	s->workers = aligned_alloc(64, count * sizeof(*s->workers));
	if (!s->workers)
		return hk_hooks_refuse(refusal, "out of memory");
	memset(s->workers, 0, count * sizeof(*s->workers));
	s->workers_count = count;
	for (i = 0; i < count; i++)
		if (make_worker(s, &s->workers[i]))
			return hk_hooks_refuse(refusal, "out of memory");
	return 0;
}

/* --- making, handing over, showing ----------------------------------------------------------- */

static void signatures_destroy(void *state)
{
	struct signatures *s = state;
	unsigned i;

	for (i = 0; i < s->workers_count; i++) {
		hs_free_scratch(s->workers[i].scratch);
		free(s->workers[i].seen);
		free(s->workers[i].candidates);
	}
	free(s->workers);
	hs_free_database(s->database);
	free(s->expressions);
	free(s->flags);
	free(s->ids);
	free(s->anchor_first);
	free(s->by_anchor);
	free(s->always);
	hk_signatures_free(&s->rules);
	free(s);
}

static int signatures_create(struct hk_hook_setup *setup, void **state, char *error, size_t error_size)
{
	struct hk_hooks_refusal refusal = {.text = error, .size = error_size, .path = setup->settings_path};
	struct signatures *s = calloc(1, sizeof(*s));
	size_t size;
	char *text;
	int code;

	if (!s)
		return hk_hooks_refuse(&refusal, "out of memory");
	text = hk_settings_read(setup, FILE_MAX, &size, &refusal);
	code = text ? hk_signatures_parse(&s->rules, text, &refusal) : -1;
	free(text);
	if (code || compile(s, &refusal) || make_workers(s, setup->worker_count, &refusal)) {
		signatures_destroy(s);
		return -1;
	}
	setup->per_packet = 1;
	*state = s;
	return 0;
}

static void sum_up(const struct signatures *s, __u64 sums[5])
{
	unsigned i, j;

	for (j = 0; j < 5; j++)
		sums[j] = __atomic_load_n(&s->carried[j], __ATOMIC_RELAXED);
	for (i = 0; i < s->workers_count; i++) {
		const struct worker *worker = &s->workers[i];
		const __u64 *counters[5] = {&worker->scanned, &worker->matched, &worker->dropped,
			&worker->passed, &worker->suppressed};

		for (j = 0; j < 5; j++)
			sums[j] += __atomic_load_n(counters[j], __ATOMIC_RELAXED);
	}
}

static void signatures_adopt(void *state, void *old_state)
{
	struct signatures *s = state;
	__u64 sums[5];
	unsigned i;

	sum_up(old_state, sums);
	for (i = 0; i < 5; i++)
		__atomic_store_n(&s->carried[i], sums[i], __ATOMIC_RELAXED);
}

static size_t signatures_stats(void *state, struct hk_hook_stat *out, size_t max)
{
	static const char *const names[] = {"packets", "matched", "dropped", "passed", "alerts-suppressed"};
	const struct signatures *s = state;
	__u64 sums[5];
	size_t i;

	sum_up(s, sums);
	for (i = 0; i < 5 && i < max; i++) {
		snprintf(out[i].name, sizeof(out[i].name), "%s", names[i]);
		out[i].value = sums[i];
	}
	if (i < max) {
		snprintf(out[i].name, sizeof(out[i].name), "rules");
		out[i++].value = s->rules.count;
	}
	return i;
}

const struct hk_hook hk_signatures_hook = {
	.abi = HK_HOOK_ABI,
	.packet_size = sizeof(struct hk_hook_packet),
	.name = "signatures",
	.summary = "rules in Suricata's syntax, matched per packet through Hyperscan",
	.create = signatures_create,
	.process = signatures_process,
	.destroy = signatures_destroy,
	.adopt = signatures_adopt,
	.stats = signatures_stats,
};

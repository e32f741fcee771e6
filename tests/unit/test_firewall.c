// SPDX-License-Identifier: GPL-2.0-or-later
/* The firewall hook: meaning of rules, refusals, and compiled against linear evaluation. */
#include "tests/unit/harness.h"
#include "tests/unit/hook_batch.h"
#include "tests/unit/hook_settings.h"

#include <halfkey/envelope.h>

#include "user/hooks/builtin.h"
#include "user/hooks/classifier.h"

static const char RULES[] =
	"default: accept\n"
	"rules:\n"
	"  - {name: watch, match: {protocol: udp}, action: log}\n"
	"  - {name: telnet, match: {protocol: tcp, destination-port: 23}, action: drop, log: yes}\n"
	"  - {name: lab, match: {source: \"10.1.0.0/16, 2001:db8::/32\"}, action: accept, flow: 30s}\n"
	"  - {name: inner, match: {source: 10.0.0.0/8, destination-port: 1000-2000}, action: drop}\n"
	"  - {name: unsure, match: {domain: east, auth: unauthenticated}, action: drop, flow: 5m}\n"
	"  - {match: {protocol: icmp}, action: drop}\n"
	"  - {match: {domain: east, auth: reader-ok}, action: drop}\n";

static void *make(const char *text)
{
	void *state = NULL;

	if (hook_make(&hk_firewall_hook, &state, 2, text))
		printf("# said: %s\n", hook_error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(state);
	return state;
}

static void first_match_decides(void)
{
	void *state = make(RULES);
	struct batch_area *area = batch_new();
	struct hk_hook_packet *p = area->packets;

	batch_add(area, 6, "10.1.0.1", 5, "192.0.2.1", 23, "", 0);
	batch_add(area, 6, "10.1.0.1", 5, "192.0.2.1", 1500, "", 0);
	batch_add(area, 6, "10.2.0.1", 5, "192.0.2.1", 1500, "", 0);
	batch_add(area, 6, "10.2.0.1", 5, "192.0.2.1", 2001, "", 0);
	batch_add(area, 6, "2001:db8::9", 5, "2001:db8:1::1", 1500, "", 0);
	batch_add(area, 1, "192.0.2.9", 8, "192.0.2.1", 23, "", 0);
	batch_add(area, 6, "192.0.2.9", 8, "192.0.2.1", 80, "", 0)->domain = 7;
	batch_add(area, 6, "192.0.2.9", 8, "192.0.2.1", 80, "", 0)->domain = 7;
	p[7].auth = HK_AUTH_VERIFIED;
	batch_add(area, 6, "192.0.2.9", 8, "192.0.2.1", 80, "", 0)->domain = 7;
	p[8].auth = HK_AUTH_READER;
	CU_ASSERT_EQUAL(hk_firewall_hook.process(state, 0, &area->batch), 0);
	CU_ASSERT(p[0].verdict == HK_VERDICT_DROP && p[0].rule == 2);
	CU_ASSERT(p[1].verdict == HK_VERDICT_ACCEPT && p[1].flow_lifetime_ms == 30000);
	CU_ASSERT(p[1].flow_verdict == HK_VERDICT_ACCEPT);
	CU_ASSERT(p[2].verdict == HK_VERDICT_DROP && p[2].rule == 4 && p[2].flow_lifetime_ms == 0);
	CU_ASSERT(p[3].verdict == HK_VERDICT_ACCEPT && p[3].flow_lifetime_ms == 0);
	CU_ASSERT(p[4].verdict == HK_VERDICT_ACCEPT && p[4].flow_lifetime_ms == 30000);
	CU_ASSERT(p[5].verdict == HK_VERDICT_DROP && p[5].rule == 6);
	CU_ASSERT(p[6].verdict == HK_VERDICT_DROP && p[6].rule == 5);
	CU_ASSERT(p[6].flow_verdict == HK_VERDICT_DROP && p[6].flow_lifetime_ms == 300000);
	CU_ASSERT(p[7].verdict == HK_VERDICT_ACCEPT);
	CU_ASSERT(p[8].verdict == HK_VERDICT_DROP && p[8].rule == 7);
	hk_firewall_hook.destroy(state);
	free(area);
}

static void log_lines_go_on(void)
{
	void *state = make(RULES);
	struct batch_area *area = batch_new();

	batch_add(area, 17, "10.2.0.1", 5, "192.0.2.1", 1500, "", 0);
	batch_add(area, 6, "10.2.0.1", 5, "192.0.2.1", 23, "", 0);
	CU_ASSERT_EQUAL(hk_firewall_hook.process(state, 1, &area->batch), 0);
	CU_ASSERT_EQUAL_FATAL(area->batch.event_count, 2);
	CU_ASSERT_STRING_EQUAL(area->events[0].message, "firewall rule watch matched");
	CU_ASSERT(area->events[0].kind == HK_EVENT_LOG && area->events[0].packet == 0);
	CU_ASSERT(area->events[0].sid == 1 && area->events[0].blocked == 0);
	CU_ASSERT_STRING_EQUAL(area->events[1].message, "firewall rule telnet dropped");
	CU_ASSERT(area->events[1].packet == 1 && area->events[1].blocked == 1);
	CU_ASSERT(area->packets[0].verdict == HK_VERDICT_DROP && area->packets[0].rule == 4);
	hk_firewall_hook.destroy(state);
	free(area);
}

static void default_drops_and_logs(void)
{
	void *state = make("default: drop\nlog-default: yes\nrules: []\n");
	struct batch_area *area = batch_new();

	batch_add(area, 17, "10.2.0.1", 5, "192.0.2.1", 1500, "", 0);
	batch_add(area, 17, "10.2.0.1", 5, "192.0.2.1", 1500, "", 0)->verdict = HK_VERDICT_DROP;
	area->packets[1].rule = 77;
	CU_ASSERT_EQUAL(hk_firewall_hook.process(state, 1, &area->batch), 0);
	CU_ASSERT(area->packets[0].verdict == HK_VERDICT_DROP && area->packets[0].rule == 0);
	CU_ASSERT_EQUAL(area->packets[1].rule, 77);
	CU_ASSERT_EQUAL_FATAL(area->batch.event_count, 1);
	CU_ASSERT_STRING_EQUAL(area->events[0].message, "firewall rule default dropped");
	hk_firewall_hook.destroy(state);
	free(area);
}

static void ports_need_a_header(void)
{
	void *state = make("rules:\n - {match: {destination-port: 0-65535}, action: drop}\n");
	struct batch_area *area = batch_new();

	batch_add(area, 17, "10.2.0.1", 5, "192.0.2.1", 53, "", 0)->flags = HK_PACKET_FRAGMENT;
	batch_add(area, 1, "10.2.0.1", 8, "192.0.2.1", 0, "", 0);
	batch_add(area, 132, "10.2.0.1", 8, "192.0.2.1", 0, "", 0);
	CU_ASSERT_EQUAL(hk_firewall_hook.process(state, 0, &area->batch), 0);
	CU_ASSERT_EQUAL(area->packets[0].verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(area->packets[1].verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(area->packets[2].verdict, HK_VERDICT_DROP);
	hk_firewall_hook.destroy(state);
	free(area);
}

static void families_stay_apart(void)
{
	void *state = make(
		"rules:\n - {match: {source: \"::/0\"}, action: drop}\n - {match: {destination: 0.0.0.0/0, "
		"protocol: udp}, action: drop}\n");
	struct batch_area *area = batch_new();

	batch_add(area, 6, "10.2.0.1", 5, "192.0.2.1", 53, "", 0);
	batch_add(area, 6, "::1", 5, "2001:db8::1", 53, "", 0);
	batch_add(area, 17, "255.255.255.255", 5, "0.0.0.0", 53, "", 0);
	CU_ASSERT_EQUAL(hk_firewall_hook.process(state, 0, &area->batch), 0);
	CU_ASSERT_EQUAL(area->packets[0].verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(area->packets[1].rule, 1);
	CU_ASSERT_EQUAL(area->packets[2].rule, 2);
	hk_firewall_hook.destroy(state);
	free(area);
}

static __u64 stat(void *state, const char *name)
{
	struct hk_hook_stat stats[16];
	size_t count = hk_firewall_hook.stats(state, stats, 16), i;

	for (i = 0; i < count; i++)
		if (strcmp(stats[i].name, name) == 0)
			return stats[i].value;
	return ~0ull;
}

static void hits_are_counted_and_kept(void)
{
	void *old = make(RULES), *now;
	struct batch_area *area = batch_new();
	struct hk_hook_stat few[2];

	batch_add(area, 17, "10.2.0.1", 5, "192.0.2.1", 1500, "", 0);
	batch_add(area, 6, "10.9.0.1", 5, "192.0.2.1", 99, "", 0);
	hk_firewall_hook.process(old, 0, &area->batch);
	area->packets[0].verdict = HK_VERDICT_ACCEPT;
	hk_firewall_hook.process(old, 1, &area->batch);
	CU_ASSERT_EQUAL(stat(old, "rule.watch.hits"), 2);
	CU_ASSERT_EQUAL(stat(old, "rule.inner.hits"), 2);
	CU_ASSERT_EQUAL(stat(old, "rule.#6.hits"), 0);
	CU_ASSERT_EQUAL(stat(old, "default.hits"), 2);
	CU_ASSERT_EQUAL(hk_firewall_hook.stats(old, few, 2), 2);
	CU_ASSERT_STRING_EQUAL(few[1].name, "rule.watch.hits");
	CU_ASSERT_EQUAL(hk_firewall_hook.stats(old, few, 0), 0);
	now = make("rules:\n - {name: inner, action: drop}\n - {action: accept}\n");
	hk_firewall_hook.adopt(now, old);
	CU_ASSERT_EQUAL(stat(now, "rule.inner.hits"), 2);
	CU_ASSERT_EQUAL(stat(now, "rule.#2.hits"), 0);
	CU_ASSERT_EQUAL(stat(now, "default.hits"), 2);
	hk_firewall_hook.destroy(old);
	hk_firewall_hook.destroy(now);
	free(area);
}

#define RULE(text) "rules:\n - {action: drop}\n - {" text "}\n"

static void mistakes_are_named(void)
{
	static const char *const rows[][3] = {
		{RULE("match: {}"), "action", "line: 3"},
		{RULE("action: reject"), "rule 2", "\"reject\""},
		{"default: log", "default", "\"log\""},
		{RULE("action: drop, colour: red"), "colour", "line: 3"},
		{RULE("action: drop, match: {port: 3}"), "port", "line: 3"},
		{RULE("action: drop, match: {source: 10.0.0.1/8}"), "rule 2: source", "\"10.0.0.1/8\""},
		{RULE("action: drop, match: {source: 10.0.0.0/33}"), "\"10.0.0.0/33\"", "0..32"},
		{RULE("action: drop, match: {source: \"::ffff:1.2.3.4\"}"), "source", "::ffff:1.2.3.4"},
		{RULE("action: drop, match: {destination: host.example}"), "destination", "\"host.example\""},
		{RULE("action: drop, match: {destination: \"10.0.0.1,\"}"), "destination", "\"\""},
		{RULE("action: drop, match: {destination-port: 65536}"), "destination-port", "\"65536\""},
		{RULE("action: drop, match: {source-port: 20-10}"), "source-port", "\"20-10\""},
		{RULE("action: drop, match: {source-port: \"-1\"}"), "source-port", "\"-1\""},
		{RULE("action: drop, match: {protocol: tpc}"), "protocol", "\"tpc\""},
		{RULE("action: drop, match: {protocol: 256}"), "protocol", "\"256\""},
		{RULE("action: drop, match: {domain: north}"), "domain", "\"north\""},
		{RULE("action: drop, match: {auth: maybe}"), "auth", "\"maybe\""},
		{RULE("action: drop, match: {protocol: icmp, source-port: 3}"), "rule 2", "never match"},
		{RULE("action: drop, match: {source: 10.0.0.0/8, destination: \"::/0\"}"), "rule 2",
			"never match"},
		{RULE("action: drop, flow: forever"), "flow", "\"forever\""},
		{RULE("action: drop, flow: 25h"), "flow", "\"25h\""},
		{RULE("action: log, flow: 3s"), "flow", "\"3s\""},
		{RULE("action: drop, name: \"a b\""), "name", "\"a b\""},
		{RULE("action: drop, name: \"#1\""), "name", "\"#1\""},
		{"rules:\n - {action: drop, name: a}\n - {action: drop, name: a}\n", "\"a\"", "twice"},
		{"just text\n", "a mapping of keys to values, not a single value", "top level"},
		{"rules: all\n", "a list, not a single value", "line: 1"},
		{"default: drop\n---\ndefault: accept\n", "second document", "---"},
		{"default: &a drop\nlog-default: *a\n", "alias", "line: 2"},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		hook_refuses(&hk_firewall_hook, rows[i][0], rows[i][1], rows[i][2]);
}

static void hostile_files_are_refused(void)
{
	hook_refuses_hostile(&hk_firewall_hook);
}

/* --- compiled against linear ------------------------------------------------------------------ */

static __u64 seed;

static unsigned below(unsigned limit)
{
	return (unsigned)(random_next(&seed) % limit);
}

/* Few distinct bits, so that prefixes nest and packets hit. */
static struct hk_address random_address(bool v4)
{
	__u8 bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
	unsigned i;

	for (i = v4 ? 0 : 4; i < (v4 ? 4u : 16u); i++)
		bytes[i] = (__u8)(below(3) ? below(2) * 0x80 + below(2) : random_next(&seed));
	return v4 ? hk_address_v4(bytes) : hk_address_v6(bytes);
}

static struct hk_prefix random_prefix(void)
{
	bool v4 = below(2);
	struct hk_prefix prefix = {.address = random_address(v4)};
	unsigned base = v4 ? 96 : 0, bit;

	prefix.length = (__u8)(below(4) ? base + below(129 - base) : 128);
	for (bit = prefix.length; bit < 128; bit++)
		prefix.address.bytes[bit / 8] &= (__u8) ~(0x80 >> bit % 8);
	return prefix;
}

static void random_prefixes(struct hk_prefix **list, __u16 *count)
{
	unsigned i;

	if (below(3) == 0)
		return;
	*count = (__u16)(1 + below(4));
	*list = malloc(*count * sizeof(**list));
	for (i = 0; i < *count; i++)
		(*list)[i] = random_prefix();
}

static void random_ports(struct hk_port_range **list, __u16 *count)
{
	unsigned i;

	if (below(2))
		return;
	*count = (__u16)(1 + below(3));
	*list = malloc(*count * sizeof(**list));
	for (i = 0; i < *count; i++) {
		__u16 first = (__u16)(below(8) ? below(40) : 65535 - below(10));
		unsigned last = first + (below(2) ? 0 : below(20));

		(*list)[i] =
			(struct hk_port_range){.first = first, .last = (__u16)(last > 65535 ? 65535 : last)};
	}
}

static void random_selector(struct hk_selector *s)
{
	static const __u8 protocols[] = {1, 6, 17, 58, 132};
	unsigned i, n = below(3);

	memset(s, 0, sizeof(*s));
	random_prefixes(&s->sources, &s->sources_count);
	random_prefixes(&s->destinations, &s->destinations_count);
	random_ports(&s->source_ports, &s->source_ports_count);
	random_ports(&s->destination_ports, &s->destination_ports_count);
	s->any_protocol = n == 0;
	for (i = 0; i < n; i++) {
		__u8 protocol = protocols[below(5)];

		s->protocols[protocol / 8] |= (__u8)(1 << protocol % 8);
	}
	s->auth = (__u8)(below(3) ? HK_SELECTOR_ANY_AUTH : 1u << below(HK_AUTH_COUNT));
	if (below(4) == 0) {
		s->domains_count = 1;
		s->domains = malloc(sizeof(*s->domains));
		s->domains[0] = (__u16)below(4);
	}
}

static void random_packet(struct hk_hook_packet *p)
{
	static const __u8 protocols[] = {1, 6, 17, 58, 132, 200};
	bool v4 = below(2);

	memset(p, 0, sizeof(*p));
	p->src = random_address(v4);
	p->dst = random_address(v4);
	p->ip_version = v4 ? 4 : 6;
	p->protocol = protocols[below(6)];
	p->flags = below(8) ? HK_PACKET_PORTS : HK_PACKET_FRAGMENT;
	p->src_port = (__u16)(below(8) ? below(60) : 65535 - below(10));
	p->dst_port = (__u16)(below(8) ? below(60) : 65535 - below(10));
	p->auth = (__u8)below(HK_AUTH_COUNT);
	p->domain = (__u16)below(6);
}

static int linear(
	const struct hk_selector *list, unsigned count, const struct hk_hook_packet *p, unsigned from)
{
	for (; from < count; from++)
		if (hk_selector_matches(&list[from], p))
			return (int)from;
	return -1;
}

static unsigned compare_set(unsigned count, unsigned packets, unsigned *matched)
{
	struct hk_selector *list = calloc(count + 1, sizeof(*list));
	struct hk_hooks_refusal refusal = {.text = hook_error, .size = sizeof(hook_error)};
	struct hk_classifier *c;
	struct hk_classifier_key key;
	struct hk_hook_packet p;
	unsigned i, from, wrong = 0;

	for (i = 0; i < count; i++)
		random_selector(&list[i]);
	CU_ASSERT_EQUAL_FATAL(hk_classifier_new(&c, list, count, &refusal), 0);
	for (i = 0; i < packets; i++) {
		int a, b;

		random_packet(&p);
		hk_classifier_look_up(c, &p, &key);
		for (from = 0;; from = (unsigned)a + 1) {
			a = linear(list, count, &p, from);
			b = hk_classifier_next(c, &key, from);
			wrong += a != b;
			if (a < 0 || a != b)
				break;
			++*matched;
		}
	}
	hk_classifier_free(c);
	for (i = 0; i < count; i++)
		hk_selector_free(&list[i]);
	free(list);
	return wrong;
}

static void compiled_equals_linear(void)
{
	unsigned i, wrong = 0, matched = 0;

	seed = 42;
	for (i = 0; i < 3000; i++)
		wrong += compare_set(below(20), 20, &matched);
	for (i = 0; i < 200; i++)
		wrong += compare_set(60 + below(140), 40, &matched);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(matched > 10000); /* the sets do meet their packets */
}

static void large_sets_equal_linear(void)
{
	unsigned wrong = 0, matched = 0;

	seed = 43;
	wrong += compare_set(4096, 200, &matched);
	wrong += compare_set(6000, 200, &matched);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(matched > 1000);
}

/* One file of 10 000 rules through YAML; the last one is found, and nothing in between. */
static void ten_thousand_rules_load(void)
{
	char *text = malloc(2 << 20), *at = text;
	struct batch_area *area = batch_new();
	void *state;
	unsigned i;

	at += sprintf(at, "rules:\n");
	for (i = 0; i < 10000; i++)
		at += sprintf(at,
			"  - {match: {source: 10.%u.%u.0/24, protocol: tcp, destination-port: %u}, action: "
			"drop}\n",
			i >> 8, i & 255, 1 + i);
	state = make(text);
	batch_add(area, 6, "10.39.15.77", 5, "192.0.2.1", 10000, "", 0);
	batch_add(area, 6, "10.39.15.77", 5, "192.0.2.1", 9999, "", 0);
	hk_firewall_hook.process(state, 0, &area->batch);
	CU_ASSERT_EQUAL(area->packets[0].rule, 10000);
	CU_ASSERT_EQUAL(area->packets[1].verdict, HK_VERDICT_ACCEPT);
	hk_firewall_hook.destroy(state);
	free(area);
	free(text);
}

int main(void)
{
	static const struct test tests[] = {
		{"the first rule that accepts or drops decides", first_match_decides},
		{"log writes a line and goes on", log_lines_go_on},
		{"the default drops and logs", default_drops_and_logs},
		{"ports need a transport header", ports_need_a_header},
		{"prefixes match their own IP version", families_stay_apart},
		{"hits are counted, bounded and kept over a reload", hits_are_counted_and_kept},
		{"mistakes are named", mistakes_are_named},
		{"hostile files are refused", hostile_files_are_refused},
		{"compiled rules equal linear evaluation", compiled_equals_linear},
		{"large rule sets equal linear evaluation", large_sets_equal_linear},
		{"10 000 rules load and match", ten_thousand_rules_load},
		{0},
	};

	return run_tests("firewall", tests);
}

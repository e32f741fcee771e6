// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What firewall rules cost: the hook alone, over batches of parsed packets,
 * with 10 to 10 000 rules.
 *
 *   firewall [-q] [-o FILE.json]
 *
 * Rules are random prefixes, protocols and port ranges; half of the packets are
 * drawn to meet a rule anywhere in the list, the others miss most of them. The
 * sizes take turns, so that ratios hold on a busy machine.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/lib/measure.h"
#include "tests/unit/hook_batch.h"
#include "user/hooks/builtin.h"

#define BATCHES 64
#define SETS	4

static const unsigned rule_counts[SETS] = {10, 100, 1000, 10000};

struct rule {
	__u32 source, destination; /* host order, masked */
	unsigned source_bits, destination_bits;
	unsigned protocol, port;
};

struct rule_set {
	struct rule *rules;
	void *state;
	struct samples turns, runs;
};

static __u64 seed = 4;

static __u32 below(__u32 limit)
{
	__u64 z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (__u32)((z ^ (z >> 31)) % limit);
}

static __u32 prefix(unsigned bits)
{
	return (10u << 24 | below(1u << 24)) & (bits ? ~0u << (32 - bits) : 0);
}

static struct rule random_rule(void)
{
	static const unsigned lengths[] = {8, 16, 24, 28, 32};
	struct rule rule = {.protocol = below(2) ? 6 : 17, .port = 1 + below(60000)};

	rule.source_bits = lengths[below(5)];
	rule.destination_bits = lengths[1 + below(4)];
	rule.source = prefix(rule.source_bits);
	rule.destination = prefix(rule.destination_bits);
	return rule;
}

static void address(__u32 value, char out[16])
{
	snprintf(out, 16, "%u.%u.%u.%u", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
}

static void write_rules(int fd, const struct rule *rules, unsigned count)
{
	char source[16], destination[16];

	dprintf(fd, "default: accept\nrules:\n");
	for (unsigned i = 0; i < count; i++) {
		address(rules[i].source, source);
		address(rules[i].destination, destination);
		dprintf(fd,
			"  - {match: {source: %s/%u, destination: %s/%u, protocol: %s, destination-port: "
			"%u-%u}, "
			"action: %s}\n",
			source, rules[i].source_bits, destination, rules[i].destination_bits,
			rules[i].protocol == 6 ? "tcp" : "udp", rules[i].port, rules[i].port + below(500),
			i % 2 ? "drop" : "accept");
	}
}

static int no_domain(void *core, const char *name)
{
	(void)core;
	(void)name;
	return -1;
}

static void make(struct rule_set *set, unsigned count)
{
	struct hk_hook_setup setup = {.abi = HK_HOOK_ABI,
		.worker_count = 1,
		.mode = HK_MODE_INLINE,
		.settings_path = "bench rules",
		.domain_id = no_domain};
	char error[416] = "";

	set->rules = calloc(count, sizeof(*set->rules));
	for (unsigned i = 0; i < count; i++)
		set->rules[i] = random_rule();
	setup.settings_fd = memfd_create("rules", 0);
	write_rules(setup.settings_fd, set->rules, count);
	lseek(setup.settings_fd, 0, SEEK_SET);
	if (hk_firewall_hook.create(&setup, &set->state, error, sizeof(error))) {
		fprintf(stderr, "bench: %u rules: %s\n", count, error);
		exit(1);
	}
	close(setup.settings_fd);
}

/* A packet that meets rule `rule` if no earlier one does, or any packet. */
static void add_packet(struct batch_area *area, const struct rule *rule)
{
	const bool aimed = below(2);
	char source[16], destination[16];

	address(aimed ? rule->source : 10u << 24 | below(1u << 24), source);
	address(aimed ? rule->destination : 10u << 24 | below(1u << 24), destination);
	batch_add(area, (__u8)rule->protocol, source, (__u16)(1024 + below(60000)), destination,
		(__u16)(aimed ? rule->port : 1 + below(60000)), "", 0);
}

static void clear_verdicts(struct batch_area *area)
{
	for (unsigned i = 0; i < area->batch.packet_count; i++) {
		area->packets[i].verdict = HK_VERDICT_ACCEPT;
		area->packets[i].rule = 0;
		area->packets[i].flow_lifetime_ms = 0;
	}
}

static void turn(struct rule_set *set, unsigned count, struct batch_area **areas)
{
	__u64 start, time;

	for (unsigned b = 0; b < BATCHES; b++) {
		batch_clear(areas[b]);
		for (unsigned i = 0; i < HK_HOOK_BATCH_MAX; i++)
			add_packet(areas[b], &set->rules[below(count)]);
		clear_verdicts(areas[b]);
	}
	start = measure_now_ns();
	for (unsigned b = 0; b < BATCHES; b++)
		if (hk_firewall_hook.process(set->state, 0, &areas[b]->batch) < 0)
			exit(1);
	time = measure_now_ns() - start;
	samples_add(&set->turns, (double)time / (BATCHES * HK_HOOK_BATCH_MAX));
}

int main(int argc, char **argv)
{
	static struct rule_set sets[SETS];
	static struct samples ratios;
	const char *output = "build/bench/firewall.json";
	struct batch_area *areas[BATCHES];
	unsigned turns = 40, runs = 7;
	json_t *rows = json_array(), *root;
	int c;

	while ((c = getopt(argc, argv, "qo:")) != -1) {
		if (c == 'q')
			runs = 3;
		else if (c == 'o')
			output = optarg;
		else
			return 2;
	}
	for (unsigned b = 0; b < BATCHES; b++)
		areas[b] = batch_new();
	for (unsigned s = 0; s < SETS; s++)
		make(&sets[s], rule_counts[s]);
	for (unsigned run = 0; run < runs; run++) {
		for (unsigned t = 0; t < turns; t++)
			for (unsigned s = 0; s < SETS; s++)
				turn(&sets[s], rule_counts[s], areas);
		for (unsigned s = 0; s < SETS; s++) {
			samples_add(&sets[s].runs, samples_median(&sets[s].turns));
			sets[s].turns.count = 0;
		}
		samples_add(&ratios, sets[SETS - 1].runs.values[run] / sets[0].runs.values[run]);
	}
	printf("firewall hook, ns a packet\n");
	for (unsigned s = 0; s < SETS; s++) {
		const double ns = samples_median(&sets[s].runs);

		printf("%6u rules  %7.1f\n", rule_counts[s], ns);
		json_array_append_new(rows, json_pack("{s:i, s:f}", "rules", (int)rule_counts[s], "ns", ns));
		hk_firewall_hook.destroy(sets[s].state);
		free(sets[s].rules);
	}
	printf("10 000 rules cost %.2f times what 10 cost\n", samples_median(&ratios));
	for (unsigned b = 0; b < BATCHES; b++)
		free(areas[b]);
	root = json_pack("{s:s, s:i, s:o, s:f, s:o}", "benchmark", "firewall", "runs", (int)runs, "machine",
		measure_machine(), "ten_thousand_of_ten", samples_median(&ratios), "rows", rows);
	return measure_write(root, output) ? 1 : 0;
}

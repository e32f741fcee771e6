// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the firewall's rules and the shaper's classes, and with them
 * selectors, prefixes, port ranges, durations and rates. A refusal names the
 * file; what is taken keeps within its bounds.
 *
 * SOURCES: user/hooks/firewall_rules.c user/hooks/shaper_classes.c user/hooks/selector.c
 * SOURCES: user/hooks/settings.c user/hooks/prefix.c user/base/complaint.c user/base/error.c
 * SOURCES: user/base/names.c user/base/text.c
 * SOURCES: -lcyaml -lyaml
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "user/hooks/firewall_rules.h"
#include "user/hooks/prefix.h"
#include "user/hooks/shaper_classes.h"

#ifdef WRITE_SEEDS

int main(int argc, char **argv)
{
	static const char *const seeds[] = {
		"default: drop\nlog-default: yes\nrules:\n - {name: web, action: accept, flow: 30s, match: "
		"{source: \"10.0.0.0/8, 2001:db8::/32\", destination-port: \"80, 8000-8099\", "
		"protocol: tcp}}\n - {action: log}\n",
		"rules:\n - {action: drop, log: true, match: {destination: 192.0.2.1, protocol: \"udp, 47\", "
		"source-port: 1-1023, domain: east, auth: \"verified, none\"}}\n",
		"classes:\n - {name: bulk, rate: 10mbit, burst: 64k, queue: 200, match: {destination-port: "
		"\"443\"}}\n - {name: rest, rate: 1gbyte}\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static int settings = -1;

static void put(const uint8_t *data, size_t size)
{
	if (settings < 0)
		settings = memfd_create("rules", MFD_CLOEXEC);
	demand(ftruncate(settings, 0) == 0 && pwrite(settings, data, size, 0) == (ssize_t)size, "no file");
}

static int domain_id(void *core, const char *name)
{
	(void)core;
	return strcmp(name, "east") == 0 ? 7 : -1;
}

static void check_prefixes(const struct hk_prefix *prefixes, unsigned count)
{
	unsigned i;

	demand(!prefixes == !count, "a list without its elements");
	for (i = 0; i < count; i++)
		demand(prefixes[i].length <= 128 && hk_hooks_prefix_holds(&prefixes[i], &prefixes[i].address),
			"a prefix that does not hold its own address");
}

static void check_ports(const struct hk_port_range *ranges, unsigned count)
{
	unsigned i;

	demand(!ranges == !count, "a list without its elements");
	for (i = 0; i < count; i++)
		demand(ranges[i].first <= ranges[i].last, "a range that ends before it begins");
}

static void check_selector(const struct hk_selector *selector)
{
	check_prefixes(selector->sources, selector->sources_count);
	check_prefixes(selector->destinations, selector->destinations_count);
	check_ports(selector->source_ports, selector->source_ports_count);
	check_ports(selector->destination_ports, selector->destination_ports_count);
	demand(selector->auth && !(selector->auth & ~HK_SELECTOR_ANY_AUTH), "a mark that nobody defines");
}

static void check_firewall(const struct hk_firewall_rules *rules)
{
	unsigned i;

	demand(rules->otherwise.action <= HK_FIREWALL_DROP, "a default that decides nothing");
	for (i = 0; i < rules->count; i++) {
		demand(rules->rules[i].action <= HK_FIREWALL_LOG, "an action that nobody defines");
		demand(rules->rules[i].name[0] && memchr(rules->rules[i].name, '\0', 32), "no name");
		demand(rules->rules[i].flow_ms <= 86400000, "a lifetime beyond its bound");
		check_selector(&rules->selectors[i]);
	}
}

static void check_shaper(const struct hk_shaper_classes *classes)
{
	unsigned i;

	demand(classes->count <= HK_SHAPER_CLASSES_MAX, "too many classes");
	for (i = 0; i < classes->count; i++) {
		demand(classes->classes[i].name[0] && memchr(classes->classes[i].name, '\0', 32), "no name");
		demand(classes->classes[i].rate >= 1000 && classes->classes[i].burst &&
				classes->classes[i].queue,
			"a class that lets nothing through");
		check_selector(&classes->selectors[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char sentence[400] = "";
	struct hk_hooks_refusal refusal = {.text = sentence, .size = sizeof(sentence), .path = "fuzz.yaml"};
	struct hk_hook_setup setup = {.abi = HK_HOOK_ABI, .domain_id = domain_id};
	struct hk_firewall_rules rules;
	struct hk_shaper_classes classes;

	put(data, size);
	setup.settings_fd = settings;
	if (hk_firewall_rules_load(&rules, &setup, &refusal))
		demand(strncmp(sentence, "fuzz.yaml: ", 11) == 0, "a refusal without its file");
	else
		check_firewall(&rules);
	hk_firewall_rules_free(&rules);
	sentence[0] = '\0';
	if (hk_shaper_classes_load(&classes, &setup, &refusal))
		demand(strncmp(sentence, "fuzz.yaml: ", 11) == 0, "a refusal without its file");
	else
		check_shaper(&classes);
	hk_shaper_classes_free(&classes);
	return 0;
}

#endif

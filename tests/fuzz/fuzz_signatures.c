// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: a signatures file, which often comes from a third party's
 * feed. A refusal names file and line; of what is taken every rule is whole, no
 * two have one number, and no packet makes a rule look outside its lists.
 *
 * SOURCES: user/hooks/signatures_parse.c user/hooks/signatures_header.c
 * SOURCES: user/hooks/signatures_options.c user/hooks/signatures_classes.c
 * SOURCES: user/hooks/settings.c user/hooks/prefix.c user/base/complaint.c user/base/error.c
 * SOURCES: -lcyaml -lhs
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/hooks/signatures_rules.h"

#ifdef WRITE_SEEDS

int main(int argc, char **argv)
{
	static const char *const seeds[] = {
		"# comment \\\nalert tcp any any -> any any (msg:\"a\\;b\"; content:\"a|0d 0A|b\"; sid:1;)\n",
		"var HOME [10.0.0.0/8,!10.1.0.0/16,2001:db8::/32]\nvar\tWEB [80,8000:8100,!8080]\r\n"
		"drop udp $HOME !$WEB <> !$HOME [1024:,:7] (sid:2; gid:3; rev:4; priority:5;)\n",
		"pass icmp !192.0.2.1 any -> [any,!::1] any ( sid:4294967295; classtype:trojan-activity; \\\n"
		"  reference:url,example.com; metadata:a b;)",
		"alert ip any any -> any any (content:!\"no\"; nocase; pcre:\"/a.*b[0-9]{2}/smi\"; "
		"pcre:!\"/^x$/\"; sid:7;)\nalert ip any any -> any any (sid:7;)\n",
		"alert ip [[10.0.0.0/8,[!10.2.0.0/16]],1.1.1.1] 1:2 -> any any (sid:1;sid:2;)\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static void check_pattern(const struct hk_signature_pattern *pattern)
{
	demand(pattern->expression && *pattern->expression, "a pattern without its expression");
	demand(pattern->length <= 255, "a content beyond its bound");
	demand(!pattern->length || strlen(pattern->expression) == 4 * pattern->length,
		"a content whose length is another");
}

static void check_lists(
	const struct hk_signature_addresses *addresses, const struct hk_signature_port_set *ports)
{
	unsigned i;

	for (i = 0; i < addresses->in_count; i++)
		demand(addresses->in[i].length <= 128, "a prefix longer than an address");
	for (i = 0; i < addresses->out_count; i++)
		demand(addresses->out[i].length <= 128, "a prefix longer than an address");
	for (i = 0; i < ports->in_count; i++)
		demand(ports->in[i].first <= ports->in[i].last, "a range that ends before it begins");
	for (i = 0; i < ports->out_count; i++)
		demand(ports->out[i].first <= ports->out[i].last, "a range that ends before it begins");
}

static void check_matching(const struct hk_signature *rule)
{
	struct hk_hook_packet there = {
		.protocol = 6, .flags = HK_PACKET_PORTS, .src_port = 80, .dst_port = 7};
	struct hk_hook_packet back = {.protocol = 6, .flags = HK_PACKET_PORTS, .src_port = 7, .dst_port = 80};
	static const __u8 v4[4] = {10, 1, 2, 3}, v6[16] = {0x20, 0x01, 0x0d, 0xb8};

	there.src = back.dst = hk_address_v4(v4);
	there.dst = back.src = hk_address_v6(v6);
	if (rule->both_ways)
		demand(hk_signature_header_matches(rule, &there) == hk_signature_header_matches(rule, &back),
			"a rule for both ways that means one");
	if (rule->protocol == 1 || rule->protocol == 17)
		demand(!hk_signature_header_matches(rule, &there), "a rule of another protocol");
}

static void check_rule(const struct hk_signature *rule, unsigned lines)
{
	unsigned i;

	demand(rule->action <= HK_SIGNATURE_ALERT, "an action that nobody defines");
	demand(rule->protocol == 0 || rule->protocol == 1 || rule->protocol == 6 || rule->protocol == 17,
		"a protocol that nobody wrote");
	demand(rule->sid && rule->gid && rule->priority && rule->priority <= 255, "half a rule");
	demand(rule->line && rule->line <= lines, "a line that the file does not have");
	demand(rule->message[0] && memchr(rule->message, '\0', sizeof(rule->message)),
		"a message without an end, or none");
	demand(rule->protocol != 1 || !(rule->src_ports.in_count + rule->src_ports.out_count +
					      rule->dst_ports.in_count + rule->dst_ports.out_count),
		"ICMP with ports");
	for (i = 0; i < rule->patterns_count; i++)
		check_pattern(&rule->patterns[i]);
	check_lists(&rule->src, &rule->src_ports);
	check_lists(&rule->dst, &rule->dst_ports);
	check_matching(rule);
}

static void check_numbers(const struct hk_signatures *rules)
{
	unsigned i, j;

	for (i = 0; i < rules->count; i++)
		for (j = i + 1; j < rules->count; j++)
			demand(rules->list[i].sid != rules->list[j].sid ||
					rules->list[i].gid != rules->list[j].gid,
				"two rules of one number");
}

static void check_refusal(const char *sentence, unsigned lines)
{
	unsigned line;

	demand(sscanf(sentence, "fuzz.rules: line %u:", &line) == 1, "a refusal without its place");
	demand(line && line <= lines, "a refusal of a line that the file does not have");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), sentence[400] = "";
	struct hk_hooks_refusal refusal = {.text = sentence, .size = sizeof(sentence), .path = "fuzz.rules"};
	struct hk_signatures rules;
	unsigned lines = 1, i;

	for (i = 0; i < size; i++)
		lines += data[i] == '\n';
	memcpy(text, data, size);
	text[size] = '\0';
	if (memchr(data, '\0', size)) { /* hk_settings_read() takes no such file */
		free(text);
		return 0;
	}
	if (hk_signatures_parse(&rules, text, &refusal)) {
		check_refusal(sentence, lines);
		demand(!rules.list && !rules.count, "rules of a file that was refused");
	} else {
		for (i = 0; i < rules.count; i++)
			check_rule(&rules.list[i], lines);
		check_numbers(&rules);
		hk_signatures_free(&rules);
	}
	free(text);
	return 0;
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading the firewall's rules: see firewall_rules.h; the format is in docs/hooks.md. */
#include "user/hooks/firewall_rules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/hooks/classifier.h"

#define FILE_MAX (16u << 20)

struct rule_text {
	char *name;
	struct hk_selector_text *match;
	char *action;
	bool log;
	char *flow;
};

struct file_text {
	char *otherwise;
	bool log_default;
	struct rule_text *rules;
	unsigned rules_count;
};

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_field_t rule_schema[] = {
	CYAML_FIELD_STRING_PTR("name", OPTIONAL, struct rule_text, name, 1, 31),
	CYAML_FIELD_MAPPING_PTR("match", OPTIONAL, struct rule_text, match, hk_selector_schema),
	CYAML_FIELD_STRING_PTR("action", CYAML_FLAG_POINTER, struct rule_text, action, 0, 32),
	CYAML_FIELD_BOOL("log", CYAML_FLAG_OPTIONAL, struct rule_text, log),
	CYAML_FIELD_STRING_PTR("flow", OPTIONAL, struct rule_text, flow, 0, 32),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t rule_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule_text, rule_schema)};

static const cyaml_schema_field_t file_schema[] = {
	CYAML_FIELD_STRING_PTR("default", OPTIONAL, struct file_text, otherwise, 0, 32),
	CYAML_FIELD_BOOL("log-default", CYAML_FLAG_OPTIONAL, struct file_text, log_default),
	CYAML_FIELD_SEQUENCE("rules", OPTIONAL, struct file_text, rules, &rule_value, 0, HK_CLASSIFIER_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t file_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_text, file_schema)};

static int parse_action(const char *text, const char *who, bool terminal, struct hk_hooks_refusal *refusal)
{
	if (strcmp(text, "accept") == 0)
		return HK_FIREWALL_ACCEPT;
	if (strcmp(text, "drop") == 0)
		return HK_FIREWALL_DROP;
	if (strcmp(text, "log") == 0 && !terminal)
		return HK_FIREWALL_LOG;
	return hk_hooks_refuse(refusal, "%s: action \"%.40s\": write %s", who, text,
		terminal ? "accept or drop" : "accept, drop or log");
}

static int parse_name(struct hk_firewall_rule *rule, const struct rule_text *text, const char *who,
	struct hk_hooks_refusal *refusal)
{
	const char *c;

	for (c = text->name; c && *c; c++)
		if (!isgraph((unsigned char)*c))
			return hk_hooks_refuse(refusal, "%s: name \"%s\": use printable ASCII without spaces",
				who, text->name);
	rule->named = text->name && text->name[0] != '#';
	if (text->name && !rule->named)
		return hk_hooks_refuse(refusal, "%s: name \"%s\" begins with '#', as rules without a name do",
			who, text->name);
	if (rule->named)
		snprintf(rule->name, sizeof(rule->name), "%s", text->name);
	return 0;
}

static int parse_rule(struct hk_firewall_rules *out, unsigned place, const struct rule_text *text,
	const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal)
{
	struct hk_firewall_rule *rule = &out->rules[place];
	char who[64];
	int action;

	snprintf(rule->name, sizeof(rule->name), "#%u", place + 1);
	snprintf(who, sizeof(who), "rule %u", place + 1);
	if (parse_name(rule, text, who, refusal))
		return -1;
	if (rule->named)
		snprintf(who, sizeof(who), "rule %u (%s)", place + 1, rule->name);
	action = parse_action(text->action, who, false, refusal);
	if (action < 0)
		return -1;
	rule->action = (__u8)action;
	rule->log = text->log || action == HK_FIREWALL_LOG;
	if (text->flow && action == HK_FIREWALL_LOG)
		return hk_hooks_refuse(refusal,
			"%s: flow \"%.40s\" beside action log, which decides nothing: remove one", who,
			text->flow);
	if (text->flow && hk_duration_parse(text->flow, &rule->flow_ms))
		return hk_hooks_refuse(refusal,
			"%s: flow \"%.40s\" is no lifetime: write 500ms, 30s, 5m or 1h, up to 24h", who,
			text->flow);
	return hk_selector_parse(&out->selectors[place], text->match, who, setup, refusal);
}

struct entry {
	const struct hk_firewall_rule *rule;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->rule->name, ((const struct entry *)b)->rule->name);
}

static int check_names(const struct hk_firewall_rules *rules, struct hk_hooks_refusal *refusal)
{
	struct entry *sorted = malloc((rules->count + 1) * sizeof(*sorted));
	int code = 0;
	unsigned i;

	if (!sorted)
		return hk_hooks_refuse(refusal, "out of memory");
	for (i = 0; i < rules->count; i++)
		sorted[i].rule = &rules->rules[i];
	qsort(sorted, rules->count, sizeof(*sorted), by_name);
	for (i = 1; i < rules->count && !code; i++)
		if (strcmp(sorted[i - 1].rule->name, sorted[i].rule->name) == 0)
			code = hk_hooks_refuse(refusal, "the name \"%s\" is given twice: rename one rule",
				sorted[i].rule->name);
	free(sorted);
	return code;
}

static int parse_file(
	void *whole, const void *file, const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal)
{
	const struct file_text *text = file;
	struct hk_firewall_rules *out = whole;
	int action = HK_FIREWALL_ACCEPT;
	unsigned i;

	if (text->otherwise)
		action = parse_action(text->otherwise, "default", true, refusal);
	if (action < 0)
		return -1;
	out->otherwise = (struct hk_firewall_rule){
		.name = "default", .action = (__u8)action, .log = text->log_default, .named = true};
	out->rules = calloc(text->rules_count + 1, sizeof(*out->rules));
	out->selectors = calloc(text->rules_count + 1, sizeof(*out->selectors));
	if (!out->rules || !out->selectors)
		return hk_hooks_refuse(refusal, "%u rules: out of memory", text->rules_count);
	for (i = 0; i < text->rules_count; i++) {
		if (parse_rule(out, i, &text->rules[i], setup, refusal))
			return -1;
		out->count++;
	}
	return check_names(out, refusal);
}

int hk_firewall_rules_load(
	struct hk_firewall_rules *out, const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal)
{
	int code;

	memset(out, 0, sizeof(*out));
	code = hk_settings_parse(setup, FILE_MAX, &file_value, parse_file, out, refusal);
	if (code)
		hk_firewall_rules_free(out);
	return code;
}

void hk_firewall_rules_free(struct hk_firewall_rules *rules)
{
	hk_selectors_free(rules->selectors, rules->count);
	free(rules->rules);
	memset(rules, 0, sizeof(*rules));
}

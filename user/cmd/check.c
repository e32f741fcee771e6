// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey check`: reads a configuration with everything it names, as the
 * daemon will, and says what each part of it does.
 */
#include "user/cmd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/cmd/replay.h"
#include "user/cmd/table.h"
#include "user/control/config.h"
#include "user/control/fit.h"
#include "user/control/privileges.h"
#include "user/feed/feed.h"

#define NOTES_MAX 32

struct checked {
	struct hk_config *config;
	struct hk_files files;
	struct hk_arena *arena;
	struct hk_inspection *inspection;
	unsigned keys[HK_DOMAINS_MAX]; /* by domain id */
	char *notes[NOTES_MAX];
	unsigned notes_count;
};

/* --- what is allowed, but worth a second look --- */

static void note(struct checked *checked, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct checked *checked, const char *format, ...)
{
	va_list arguments;

	if (checked->notes_count == NOTES_MAX)
		return;
	va_start(arguments, format);
	if (vasprintf(&checked->notes[checked->notes_count], format, arguments) >= 0)
		checked->notes_count++;
	va_end(arguments);
}

static void note_domain(struct checked *checked, const struct hk_domain_config *domain)
{
	const __u8 *policy = checked->config->policy;
	char text[HK_KEYLESS_TEXT];

	if (!checked->keys[domain->id])
		note(checked, "domain %s: %s: until then all its packets are `no-key`", domain->name,
			hk_domain_keyless(domain, text, sizeof(text)));
	if (domain->esn && domain->suite == HK_SUITE_GCM)
		note(checked,
			"domain %s: gcm with esn: the ICV covers bits that are not sent: its packets will be "
			"`unverifiable` (%s)",
			domain->name, policy[HK_REASON_UNVERIFIABLE] ? "dropped" : "passed unopened");
	if (domain->profile == HK_PROFILE_SPLIT && policy[HK_REASON_IMPLAUSIBLE] == HK_ACTION_DROP)
		note(checked,
			"domain %s: `implausible: drop` in a split domain lets whoever flips bits on the "
			"wire "
			"learn from what is dropped",
			domain->name);
}

static void note_policy(struct checked *checked)
{
	const __u8 *policy = checked->config->policy;

	if (policy[HK_REASON_BAD_ICV] == HK_ACTION_PASS)
		note(checked,
			"policy: `bad-icv: pass` sends on what does not verify, unopened and uninspected");
	if (policy[HK_REASON_CONTROL] == HK_ACTION_DROP)
		note(checked,
			"policy: `control: drop` takes ARP and neighbour discovery away: the link goes down");
	if (!checked->config->domains_count)
		note(checked, "no `domains`: nothing will ever be opened");
}

static void take_notes(struct checked *checked)
{
	unsigned i;

	for (i = 0; i < checked->config->domains_count; i++)
		note_domain(checked, &checked->config->domains[i]);
	note_policy(checked);
}

/* --- reading all of it --- */

static int count_key(void *context, const struct hk_key_row *row)
{
	struct checked *checked = context;

	if (row->domain < HK_DOMAINS_MAX)
		checked->keys[row->domain]++;
	return 0;
}

static int read_everything(
	struct checked *checked, const char *path, enum hk_config_use use, struct hk_error *error)
{
	int code = hk_config_load(&checked->config, path, use, NULL, error);
	uid_t uid;
	gid_t gid;

	if (!code)
		code = hk_fit_config(checked->config, error);
	if (!code)
		code = hk_privileges_find(checked->config->user, &uid, &gid, error);
	if (!code)
		code = hk_config_open_files(checked->config, &checked->files, error);
	if (code)
		return code;
	checked->arena = hk_replay_arena(checked->config, &checked->files, error);
	if (!checked->arena)
		return -1;
	code = hk_inspection_new(&checked->inspection, checked->config, &checked->files, checked->arena,
		checked->config->queues ? checked->config->queues : 1, error);
	if (!code)
		code = hk_fit_hooks(checked->inspection->hooks, error);
	if (code)
		return code;
	hk_keyring_list(checked->inspection->keyring, count_key, checked);
	take_notes(checked);
	return 0;
}

static void free_everything(struct checked *checked)
{
	unsigned i;

	if (checked->inspection)
		hk_inspection_free(checked->inspection);
	if (checked->arena)
		hk_arena_free(checked->arena);
	hk_files_close(&checked->files);
	hk_config_free(checked->config);
	for (i = 0; i < checked->notes_count; i++)
		free(checked->notes[i]);
}

/* --- what a policy does with a packet, in this mode --- */

static const char *effect(const struct hk_config *config, unsigned reason)
{
	bool drop = config->policy[reason] == HK_ACTION_DROP;

	if (config->mode == HK_MODE_PASSIVE)
		return "counted: nothing is forwarded";
	if (config->mode == HK_MODE_MONITOR && reason >= 48)
		return "counted: was forwarded already";
	return drop ? "dropped" : "forwarded uninspected";
}

static bool is_decided(unsigned reason)
{
	return hk_reason_name(reason) && hk_reason_policy(reason) != HK_POLICY_NONE;
}

/* --- for people --- */

static void print_head(const struct hk_config *config)
{
	unsigned i;

	printf("mode       %s\nports      ", hk_mode_name(config->mode));
	for (i = 0; i < config->ports_count; i++)
		printf("%s%s", i ? " <-> " : "", config->ports[i]);
	printf("%s\ninstance   %s\n", config->ports_count ? "" : "-", config->instance);
	printf("control    %s\nuser       %s\n", config->control, config->user);
	if (config->queues)
		printf("queues     %u\n", config->queues);
	printf("frames     %u per queue\n", config->frames);
}

/* Where `suite` means nothing the profile says it, but PSP packets and TLS connections say their own. */
static const char *suite_text(const struct hk_domain_config *domain)
{
	if (domain->suite)
		return hk_suite_name(domain->suite);
	if (domain->envelope == HK_ENVELOPE_PSP)
		return "by packet";
	if (domain->envelope == HK_ENVELOPE_TLS)
		return "by connection";
	return hk_suite_name(domain->profile == HK_PROFILE_SPLIT ? HK_SUITE_GCM_SPLIT : HK_SUITE_GCM);
}

static const char *key_file(const struct hk_domain_config *domain)
{
	return domain->keys ? domain->keys : "-";
}

static void print_domains(const struct checked *checked)
{
	const struct hk_domain_config *domain;
	char receiver[HK_PREFIX_TEXT];
	struct hk_table table;
	unsigned i;

	if (!checked->config->domains_count)
		return;
	hk_table_start(&table, "domain|envelope|profile|suite|receivers|keys|key file");
	for (i = 0; i < checked->config->domains_count; i++) {
		domain = &checked->config->domains[i];
		hk_prefix_format(&domain->receivers[0], receiver);
		if (domain->receivers_count == 1)
			hk_table_add(&table, "%s|%s|%s|%s|%s|%u|%s", domain->name,
				hk_envelope_name(domain->envelope), hk_profile_name(domain->profile),
				suite_text(domain), receiver, checked->keys[domain->id], key_file(domain));
		else
			hk_table_add(&table, "%s|%s|%s|%s|%s and %u more|%u|%s", domain->name,
				hk_envelope_name(domain->envelope), hk_profile_name(domain->profile),
				suite_text(domain), receiver, domain->receivers_count - 1,
				checked->keys[domain->id], key_file(domain));
	}
	putchar('\n');
	hk_table_print(&table, 0);
}

static void print_hooks(const struct checked *checked)
{
	const struct hk_hook_chain *chain = checked->inspection->hooks;
	const struct hk_hook_config *hook;
	struct hk_table table;
	unsigned i;

	if (!checked->config->hooks_count)
		return;
	hk_table_start(&table, "hook|its file|what it does");
	for (i = 0; i < hk_hook_chain_length(chain); i++) {
		hook = &checked->config->hooks[i];
		hk_table_add(&table, "%s|%s|%s", hk_hook_chain_name(chain, i),
			hook->settings ? hook->settings : "-",
			hk_hook_chain_summary(chain, i) ? hk_hook_chain_summary(chain, i) : "");
	}
	putchar('\n');
	hk_table_print(&table, 0);
}

static void print_feeds(const struct hk_config *config)
{
	const char *name, *target;
	unsigned i;

	printf("\nfeeds      ");
	for (i = 0; (name = hk_feed_name(i)); i++) {
		target = hk_feed_target(i, config);
		printf("%s%s %s", i ? ", " : "", name, target ? target : "off");
	}
	putchar('\n');
}

static void print_policy(const struct hk_config *config)
{
	struct hk_table table;
	unsigned i;

	hk_table_start(&table, "reason|policy|action|effect|what happened");
	for (i = 0; i < HK_REASON_COUNT; i++)
		if (is_decided(i))
			hk_table_add(&table, "%s|%s|%s|%s|%s", hk_reason_name(i),
				hk_policy_name(hk_reason_policy(i)), config->policy[i] ? "drop" : "pass",
				effect(config, i), hk_reason_text(i));
	putchar('\n');
	hk_table_print(&table, 0);
}

static int print_text(const struct checked *checked)
{
	unsigned i;

	print_head(checked->config);
	print_domains(checked);
	print_hooks(checked);
	print_feeds(checked->config);
	print_policy(checked->config);
	putchar('\n');
	for (i = 0; i < checked->notes_count; i++)
		printf("note: %s\n", checked->notes[i]);
	printf("%s: fine\n", checked->config->path);
	return HK_EXIT_DONE;
}

/* --- for programs --- */

static json_t *domains_json(const struct checked *checked)
{
	const struct hk_domain_config *domain;
	json_t *domains = json_array(), *row, *receivers;
	char text[HK_PREFIX_TEXT];
	unsigned i, r;

	for (i = 0; i < checked->config->domains_count; i++) {
		domain = &checked->config->domains[i];
		receivers = json_array();
		for (r = 0; r < domain->receivers_count; r++)
			json_array_append_new(
				receivers, json_string(hk_prefix_format(&domain->receivers[r], text)));
		row = json_pack("{s:s, s:s, s:s, s:o, s:s?, s:i}", "name", domain->name, "envelope",
			hk_envelope_name(domain->envelope), "profile", hk_profile_name(domain->profile),
			"receivers", receivers, "key_file", domain->keys, "keys",
			(int)checked->keys[domain->id]);
		json_object_set_new(row, "suite", json_string(suite_text(domain)));
		json_array_append_new(domains, row);
	}
	return domains;
}

static json_t *policy_json(const struct hk_config *config)
{
	json_t *policy = json_object();
	unsigned i;

	for (i = 0; i < HK_REASON_COUNT; i++)
		if (is_decided(i))
			json_object_set_new(policy, hk_reason_name(i),
				json_pack("{s:s, s:s, s:s}", "class", hk_policy_name(hk_reason_policy(i)),
					"action", config->policy[i] ? "drop" : "pass", "effect",
					effect(config, i)));
	return policy;
}

static int print_checked_json(const struct checked *checked)
{
	json_t *json = json_object(), *hooks = json_array(), *notes = json_array();
	unsigned i;

	for (i = 0; i < hk_hook_chain_length(checked->inspection->hooks); i++)
		json_array_append_new(hooks, json_string(hk_hook_chain_name(checked->inspection->hooks, i)));
	for (i = 0; i < checked->notes_count; i++)
		json_array_append_new(notes, json_string(checked->notes[i]));
	json_object_set_new(json, "ok", json_true());
	json_object_set_new(json, "mode", json_string(hk_mode_name(checked->config->mode)));
	json_object_set_new(json, "instance", json_string(checked->config->instance));
	json_object_set_new(json, "control", json_string(checked->config->control));
	json_object_set_new(json, "domains", domains_json(checked));
	json_object_set_new(json, "hooks", hooks);
	json_object_set_new(json, "policy", policy_json(checked->config));
	json_object_set_new(json, "notes", notes);
	hk_print_json(json);
	json_decref(json);
	return HK_EXIT_DONE;
}

static int refuse(const struct hk_options *options, const struct hk_error *error)
{
	json_t *json;

	if (!options->json)
		return hk_fail("check", error);
	json = json_pack("{s:b, s:s}", "ok", 0, "error", error->text);
	hk_print_json(json);
	json_decref(json);
	return HK_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
	struct checked checked = {0};
	struct hk_error error = {""};
	struct hk_options options;
	int status = hk_options_parse(&options, &hk_command_check, argc, argv);

	if (status >= 0)
		return status;
	if (!options.config && optind < argc)
		options.config = argv[optind++];
	if (!options.config)
		options.config = HK_CONFIG_DEFAULT;
	status = hk_refuse_more(&options, argc, argv);
	if (status >= 0)
		return status;
	hk_log_init(HK_LOG_WARN, "check");
	if (read_everything(&checked, options.config, HK_CONFIG_DAEMON, &error))
		status = refuse(&options, &error);
	else
		status = options.json ? print_checked_json(&checked) : print_text(&checked);
	free_everything(&checked);
	return status;
}

static const struct hk_option rows[] = {
	{"config", 'c', "FILE", HK_AT(config), NULL,
		"the configuration (default: /etc/halfkey/halfkey.yaml)"},
	{"json", 'j', NULL, HK_AT(json), NULL, "the result as JSON"},
	{0},
};

const struct hk_command hk_command_check = {
	.name = "check",
	.summary = "check a configuration and show what it does",
	.help = "usage: halfkey check [-c FILE] [-j]\n"
		"\n"
		"Reads a configuration with the key files and hook files it names, exactly as\n"
		"halfkeyd will, and shows domains, hooks, and what happens to a packet for every\n"
		"reason there is. Exit status 0: halfkeyd would take it; 1: refused, and why.\n"
		"\n"
		"It touches nothing: what only the machine can refuse (interfaces and their queues,\n"
		"MTU and driver, a control socket or output file that cannot be made, a mirror's name\n"
		"that is taken, memory) it cannot see. `halfkey doctor` looks at most of that.\n",
	.options = rows,
	.example = "\n"
		   "example: halfkey check -c /etc/halfkey/box.yaml && systemctl reload halfkeyd\n",
	.run = run,
};

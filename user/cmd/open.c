// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey open`: opens a capture with the box's keys, and says what became of each packet. */
#include "user/cmd/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/cmd/capture.h"
#include "user/cmd/replay.h"
#include "user/cmd/table.h"
#include "user/control/config.h"

/* --- the result, for people --- */

static void print_reasons(const struct hk_config *config, const struct hk_counts *counts)
{
	const struct hk_count *row;
	struct hk_table table;
	unsigned i;

	hk_table_start(&table, "reason|packets|bytes|dropped|policy|what happened");
	for (i = 0; i < HK_REASON_COUNT; i++) {
		row = &counts->reasons[i];
		if (!row->packets || !hk_reason_name(i))
			continue;
		hk_table_add(&table, "%s|%llu|%llu|%llu|%s|%s", hk_reason_name(i),
			(unsigned long long)row->packets, (unsigned long long)row->bytes,
			(unsigned long long)row->dropped,
			hk_reason_policy(i) == HK_POLICY_NONE ? "-"
			: config->policy[i]		      ? "drop"
							      : "pass",
			hk_reason_text(i));
	}
	hk_table_print(&table, 0);
}

static void print_hooks(const struct hk_inspection *inspection, const struct hk_counts *counts)
{
	struct hk_table table;
	unsigned i, length = hk_hook_chain_length(inspection->hooks);

	if (!length)
		return;
	putchar('\n');
	hk_table_start(&table, "hook|drops|delays|errors");
	for (i = 0; i < length; i++)
		hk_table_add(&table, "%s|%llu|%llu|%llu", hk_hook_chain_name(inspection->hooks, i),
			(unsigned long long)counts->hook_drops[i], (unsigned long long)counts->hook_delays[i],
			(unsigned long long)counts->hook_errors[i]);
	hk_table_print(&table, 0);
}

static int print_text(const struct hk_config *config, const struct hk_replay *replay)
{
	const struct hk_replay_result *result = hk_replay_result(replay);
	const struct hk_counts *counts = &result->counts;
	unsigned i;

	print_reasons(config, counts);
	print_hooks(hk_replay_inspection(replay), counts);
	printf("\n%llu packet%s, %llu opened (", (unsigned long long)counts->received,
		hk_plural(counts->received), (unsigned long long)result->opened);
	for (i = 0; i < HK_AUTH_COUNT; i++)
		printf("%s%llu %s", i ? ", " : "", (unsigned long long)result->auth[i], hk_auth_name(i));
	printf("), %llu event%s of hooks\n", (unsigned long long)counts->events, hk_plural(counts->events));
	if (counts->nonce_repeats)
		printf("%llu nonce%s came twice with different ciphertext: a sender is broken, or somebody "
		       "forges\n",
			(unsigned long long)counts->nonce_repeats, hk_plural(counts->nonce_repeats));
	if (result->cut)
		printf("%llu packet%s came only in part (snap length): capture with -s 0\n",
			(unsigned long long)result->cut, hk_plural(result->cut));
	return HK_EXIT_DONE;
}

/* --- and for programs --- */

static json_t *json_of(__u64 value)
{
	return json_integer((json_int_t)value);
}

static json_t *reasons_json(const struct hk_counts *counts)
{
	json_t *reasons = json_object();
	const struct hk_count *row;
	unsigned i;

	for (i = 0; i < HK_REASON_COUNT; i++) {
		row = &counts->reasons[i];
		if (row->packets && hk_reason_name(i))
			json_object_set_new(reasons, hk_reason_name(i),
				json_pack("{s:o, s:o, s:o}", "packets", json_of(row->packets), "bytes",
					json_of(row->bytes), "dropped", json_of(row->dropped)));
	}
	return reasons;
}

static json_t *hooks_json(const struct hk_inspection *inspection, const struct hk_counts *counts)
{
	json_t *hooks = json_array();
	unsigned i;

	for (i = 0; i < hk_hook_chain_length(inspection->hooks); i++)
		json_array_append_new(hooks,
			json_pack("{s:s, s:o, s:o, s:o}", "name", hk_hook_chain_name(inspection->hooks, i),
				"drops", json_of(counts->hook_drops[i]), "delays",
				json_of(counts->hook_delays[i]), "errors", json_of(counts->hook_errors[i])));
	return hooks;
}

static int print_result_json(const struct hk_options *options, const struct hk_replay *replay)
{
	const struct hk_replay_result *result = hk_replay_result(replay);
	const struct hk_counts *counts = &result->counts;
	json_t *json = json_object();
	unsigned i;

	json_object_set_new(json, "file", json_string(options->in));
	json_object_set_new(json, "packets", json_of(counts->received));
	json_object_set_new(json, "bytes", json_of(counts->received_bytes));
	json_object_set_new(json, "opened", json_of(result->opened));
	for (i = 0; i < HK_AUTH_COUNT; i++)
		json_object_set_new(json, hk_auth_name(i), json_of(result->auth[i]));
	json_object_set_new(json, "cut", json_of(result->cut));
	json_object_set_new(json, "events", json_of(counts->events));
	json_object_set_new(json, "nonce_repeats", json_of(counts->nonce_repeats));
	json_object_set_new(json, "seconds",
		json_real(result->last_ns > result->first_ns
				  ? (double)(result->last_ns - result->first_ns) / 1e9
				  : 0));
	json_object_set_new(json, "reasons", reasons_json(counts));
	json_object_set_new(json, "hooks", hooks_json(hk_replay_inspection(replay), counts));
	hk_print_json(json);
	json_decref(json);
	return HK_EXIT_DONE;
}

/* --- the run --- */

static int run_capture(const struct hk_options *options, const struct hk_config *config,
	struct hk_replay *replay, struct hk_capture *in, struct hk_capture_out *out)
{
	struct hk_error broken = {""}, unwritten = {""};
	int status, code = hk_replay_run(replay, in, out, &broken);

	if (options->json)
		status = print_result_json(options, replay);
	else
		status = print_text(config, replay);
	if (code < 0)
		status = hk_fail("open", &broken);
	if (hk_capture_finish(out, &unwritten))
		status = hk_fail("open", &unwritten);
	return status;
}

static int with_capture(
	const struct hk_options *options, const struct hk_config *config, struct hk_replay *replay)
{
	struct hk_capture_out *out = NULL;
	struct hk_error error = {""};
	struct hk_capture *in;
	int status;

	if (hk_capture_open(&in, options->in, &error))
		return hk_fail("open", &error);
	if (options->write && hk_capture_create(&out, options->write, in, &error))
		status = hk_fail("open", &error);
	else
		status = run_capture(options, config, replay, in, out);
	hk_capture_close(in);
	return status;
}

static int with_config(const struct hk_options *options)
{
	struct hk_replay_options how = {
		.eve = options->eve, .progress = !options->json && isatty(STDERR_FILENO)};
	struct hk_error error = {""};
	struct hk_config *config;
	struct hk_replay *replay;
	int status;

	if (hk_config_load(&config, options->config, HK_CONFIG_OPEN, NULL, &error))
		return hk_fail("open", &error);
	if (hk_replay_new(&replay, config, &how, &error)) {
		status = hk_fail("open", &error);
	} else {
		status = with_capture(options, config, replay);
		hk_replay_free(replay);
	}
	hk_config_free(config);
	return status;
}

static int run(int argc, char **argv)
{
	struct hk_options options;
	int status = hk_options_parse(&options, &hk_command_open, argc, argv);

	if (status >= 0)
		return status;
	if (!options.config)
		options.config = HK_CONFIG_DEFAULT;
	if (optind == argc)
		return hk_usage("open", "which capture? Name a file, or - for standard input");
	if (optind + 1 < argc)
		return hk_usage("open", "\"%s\" is one capture too many", argv[optind + 1]);
	hk_log_init(HK_LOG_WARN, "open");
	options.in = argv[optind];
	return with_config(&options);
}

static const struct hk_option rows[] = {
	{"config", 'c', "FILE", HK_AT(config), NULL,
		"configuration (default: /etc/halfkey/halfkey.yaml);\n`ports` and `feeds` are not needed"},
	{"write", 'w', "FILE", HK_AT(write), NULL,
		"write the opened packets there: pcap, Ethernet frames around\nthe inner packets, in order, "
		"timestamps kept. It holds\nplaintext and is made with mode 0600"},
	{"eve", 'e', "FILE", HK_AT(eve), NULL, "append alerts, flows, drops and anomalies as EVE JSON"},
	{"json", 'j', NULL, HK_AT(json), NULL, "the result as JSON"},
	{0},
};

const struct hk_command hk_command_open = {
	.name = "open",
	.summary = "open a capture file with the box's keys",
	.help = "usage: halfkey open [-c FILE] [-w OUT.pcap] [-e EVE.json] [-j] IN.pcap\n"
		"\n"
		"Runs a capture through the box's own parser, keys, ciphers and hooks, without\n"
		"root, and prints what became of every packet. A bad packet never stops the run.\n",
	.options = rows,
	.example =
		"  IN.pcap             pcap or pcapng; Ethernet, raw IP, Linux cooked; - reads\n"
		"                      standard input\n"
		"\n"
		"example: halfkey open -c box.yaml -w opened.pcap sealed.pcap && tcpdump -nr opened.pcap\n",
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey stats`: every counter of a running halfkeyd, and whether the sums are equal. */
#include "user/cmd/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/cmd/prometheus.h"
#include "user/cmd/table.h"

static void add_reasons(struct hk_table *table, const char *stage, const json_t *reasons, bool all)
{
	const json_t *row;
	unsigned i;

	for (i = 0; i < 256; i++) {
		row = hk_reason_name(i) ? json_object_get(reasons, hk_reason_name(i)) : NULL;
		if (!row || (!all && !hk_number_of(row, "packets")))
			continue;
		hk_table_add(table, "%s|%s|%lld|%lld|%lld|%s", stage, hk_reason_name(i),
			hk_number_of(row, "packets"), hk_number_of(row, "bytes"),
			hk_number_of(row, "dropped"), hk_reason_text(i));
	}
}

static void print_balance(const json_t *xdp, const json_t *workers)
{
	long long xdp_gap = hk_number_of(xdp, "received") - hk_number_of(xdp, "counted");
	long long handed = hk_number_of(workers, "handed") - hk_number_of(workers, "handed_before") -
			   hk_number_of(workers, "ring_lost");
	long long worker_gap = hk_number_of(workers, "received") - hk_number_of(workers, "counted");

	printf("\nxdp      received %lld, counted %lld%s\n", hk_number_of(xdp, "received"),
		hk_number_of(xdp, "counted"), xdp_gap ? " (in flight)" : "");
	printf("workers  handed %lld, lost in rings %lld, received %lld%s, counted %lld%s\n",
		hk_number_of(workers, "handed"), hk_number_of(workers, "ring_lost"),
		hk_number_of(workers, "received"),
		handed != hk_number_of(workers, "received") ? " (in flight)" : "",
		hk_number_of(workers, "counted"), worker_gap ? " (in flight)" : "");
	if (hk_number_of(xdp, "copied") || hk_number_of(xdp, "copy_lost"))
		printf("copies   %lld, lost %lld\n", hk_number_of(xdp, "copied"),
			hk_number_of(xdp, "copy_lost"));
}

static void print_rest(const json_t *workers)
{
	printf("flows    %lld, evicted %lld; events %lld, lost %lld; feed records %lld, lost %lld\n",
		hk_number_of(workers, "flows"), hk_number_of(workers, "flows_evicted"),
		hk_number_of(workers, "events"), hk_number_of(workers, "events_lost"),
		hk_number_of(workers, "feed_records"), hk_number_of(workers, "feed_lost"));
	if (hk_number_of(workers, "nonce_repeats"))
		printf("nonces   %lld came twice with different ciphertext\n",
			hk_number_of(workers, "nonce_repeats"));
}

static void add_hook(struct hk_table *table, json_t *row)
{
	json_t *counters = json_object_get(row, "counters");
	void *at;

	hk_table_add(table, "%s|%lld|%lld|%lld", hk_text_of(row, "name"), hk_number_of(row, "drops"),
		hk_number_of(row, "delays"), hk_number_of(row, "errors"));
	for (at = json_object_iter(counters); at; at = json_object_iter_next(counters, at))
		hk_table_add(table, "  %s|%lld||", json_object_iter_key(at),
			(long long)json_integer_value(json_object_iter_value(at)));
}

static void print_hooks(const json_t *hooks)
{
	struct hk_table table;
	size_t i;

	if (!json_array_size(hooks))
		return;
	hk_table_start(&table, "hook|drops|delays|errors");
	for (i = 0; i < json_array_size(hooks); i++)
		add_hook(&table, json_array_get(hooks, i));
	putchar('\n');
	hk_table_print(&table, 0);
}

static void print_feeds(const json_t *feeds)
{
	struct hk_table table;
	const json_t *row;
	size_t i;

	if (!json_array_size(feeds))
		return;
	hk_table_start(&table, "feed|written|lost|errors");
	for (i = 0; i < json_array_size(feeds); i++) {
		row = json_array_get(feeds, i);
		hk_table_add(&table, "%s|%lld|%lld|%lld", hk_text_of(row, "name"),
			hk_number_of(row, "written"), hk_number_of(row, "lost"), hk_number_of(row, "errors"));
	}
	putchar('\n');
	hk_table_print(&table, 0);
}

/* SPIs of inline keying; absent where no domain has it. */
static void print_children(json_t *children)
{
	struct hk_table table;
	void *at;

	if (!children)
		return;
	hk_table_start(&table, "children of inline keying|count");
	for (at = json_object_iter(children); at; at = json_object_iter_next(children, at))
		hk_table_add(&table, "%s|%lld", json_object_iter_key(at),
			(long long)json_integer_value(json_object_iter_value(at)));
	putchar('\n');
	hk_table_print(&table, 0);
}

static void print_stats(const json_t *stats, bool all)
{
	const json_t *xdp = json_object_get(stats, "xdp"), *workers = json_object_get(stats, "workers");
	struct hk_table table;

	hk_table_start(&table, "where|reason|packets|bytes|dropped|what happened");
	add_reasons(&table, "xdp", json_object_get(xdp, "reasons"), all);
	add_reasons(&table, "worker", json_object_get(workers, "reasons"), all);
	hk_table_print(&table, 0);
	print_balance(xdp, workers);
	print_rest(workers);
	print_hooks(json_object_get(stats, "hooks"));
	print_feeds(json_object_get(stats, "feeds"));
	print_children(json_object_get(stats, "children"));
}

static int show_metrics(const struct hk_options *options, const json_t *stats)
{
	json_t *status = hk_ask_daemon(options, json_pack("{s:s}", "command", "status"));

	if (!status)
		return HK_EXIT_FAILED;
	hk_prometheus_print(stdout, status, stats);
	json_decref(status);
	return HK_EXIT_DONE;
}

static int show_once(const struct hk_options *options)
{
	json_t *stats = hk_ask_daemon(options, json_pack("{s:s}", "command", "stats"));
	int status = HK_EXIT_DONE;

	if (!stats)
		return HK_EXIT_FAILED;
	if (options->watch_s && isatty(STDOUT_FILENO) && !options->json)
		fputs("\033[H\033[J", stdout);
	if (options->prometheus) {
		status = show_metrics(options, stats);
	} else if (options->json && options->watch_s) {
		json_dumpf(stats, stdout, JSON_COMPACT); /* a stream: one line each */
		putchar('\n');
	} else if (options->json) {
		hk_print_json(stats);
	} else {
		print_stats(stats, options->all);
	}
	json_decref(stats);
	return fflush(stdout) ? HK_EXIT_FAILED : status;
}

static int run(int argc, char **argv)
{
	struct hk_options options;
	int status = hk_options_parse(&options, &hk_command_stats, argc, argv);

	if (status < 0 && options.prometheus && (options.json || options.watch_s || options.all))
		return hk_usage("stats", "--prometheus prints all counters once: without -a, -j and -w");
	if (status < 0)
		status = hk_refuse_more(&options, argc, argv);
	if (status >= 0)
		return status;
	do
		status = show_once(&options);
	while (status == HK_EXIT_DONE && options.watch_s && !sleep(options.watch_s));
	return status;
}

static int take_seconds(const struct hk_option *row, void *into, const char *text, struct hk_error *error)
{
	struct hk_options *options = into;
	__u64 seconds = 0;
	int status = hk_option_number(row, text, 1, 86400, &seconds, error);

	options->watch_s = (__u32)seconds;
	return status;
}

static const struct hk_option rows[] = {
	{"all", 'a', NULL, HK_AT(all), NULL, "also the reasons that never happened"},
	{"watch", 'w', "SECONDS", HK_AT(watch_s), take_seconds, "again and again; with -j one line each"},
	HK_OPTION_JSON,
	{"prometheus", 'p', NULL, HK_AT(prometheus), NULL, "as Prometheus text, for a textfile collector"},
	HK_OPTIONS_DAEMON,
	{0},
};

const struct hk_command hk_command_stats = {
	.name = "stats",
	.summary = "show every counter of a running halfkeyd",
	.help = "usage: halfkey stats [-i INSTANCE | -s SOCKET | -c FILE] [-j] [-a] [-w SECONDS]\n"
		"       halfkey stats [-i INSTANCE | -s SOCKET | -c FILE] -p\n"
		"\n"
		"Packets per reason in the XDP program and in the workers, the sums that must be\n"
		"equal, hooks and feeds. Every packet is counted exactly once in each place.\n",
	.options = rows,
	.example = "\n"
		   "example: halfkey stats --json | jq '.workers.reasons.ok.packets'\n",
	.run = run,
};

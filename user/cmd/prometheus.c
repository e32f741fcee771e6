// SPDX-License-Identifier: GPL-2.0-or-later
/* Counters as Prometheus text: see prometheus.h. */
#include "user/cmd/prometheus.h"

#include <string.h>

#include "user/cmd/command.h"

struct metrics {
	FILE *out;
	const char *instance;
};

/* Rows of one metric stand together, behind one heading. */
static void heading(const struct metrics *metrics, const char *name, const char *type, const char *help)
{
	fprintf(metrics->out, "# HELP halfkey_%s %s\n# TYPE halfkey_%s %s\n", name, help, name, type);
}

static void print_label(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
}

/* name{instance="...",label="..."[,label="..."]} value; labels end with NULL */
static void print_row(
	const struct metrics *metrics, const char *name, const char *const *labels, long long value)
{
	fprintf(metrics->out, "halfkey_%s{instance=\"", name);
	print_label(metrics->out, metrics->instance);
	for (; *labels; labels += 2) {
		fprintf(metrics->out, "\",%s=\"", labels[0]);
		print_label(metrics->out, labels[1]);
	}
	fprintf(metrics->out, "\"} %lld\n", value);
}

static void print_one(
	const struct metrics *metrics, const char *name, const char *type, const char *help, long long value)
{
	heading(metrics, name, type, help);
	print_row(metrics, name, (const char *const[]){NULL}, value);
}

static void print_reasons(const struct metrics *metrics, const json_t *stats, const char *name,
	const char *member, const char *help)
{
	static const char *const stages[] = {"xdp", "workers"};
	unsigned stage;

	heading(metrics, name, "counter", help);
	for (stage = 0; stage < 2; stage++) {
		json_t *reasons = json_object_get(json_object_get(stats, stages[stage]), "reasons");
		void *at;

		for (at = json_object_iter(reasons); at; at = json_object_iter_next(reasons, at))
			print_row(metrics, name,
				(const char *const[]){
					"stage", stages[stage], "reason", json_object_iter_key(at), NULL},
				hk_number_of(json_object_iter_value(at), member));
	}
}

/* What an array of hooks or feeds counts under `member`, one row each. */
static void print_named(const struct metrics *metrics, const json_t *list, const char *label,
	const char *member, const char *name, const char *help)
{
	size_t i;

	heading(metrics, name, "counter", help);
	for (i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);

		print_row(metrics, name, (const char *const[]){label, hk_text_of(row, "name"), NULL},
			hk_number_of(row, member));
	}
}

static void print_hook_counters(const struct metrics *metrics, const json_t *hooks)
{
	size_t i;
	void *at;

	heading(metrics, "hook_counter_total", "counter",
		"What a hook counts itself, a rule's hits for one.");
	for (i = 0; i < json_array_size(hooks); i++) {
		const json_t *row = json_array_get(hooks, i);
		json_t *counters = json_object_get(row, "counters");

		for (at = json_object_iter(counters); at; at = json_object_iter_next(counters, at))
			print_row(metrics, "hook_counter_total",
				(const char *const[]){"hook", hk_text_of(row, "name"), "counter",
					json_object_iter_key(at), NULL},
				json_integer_value(json_object_iter_value(at)));
	}
}

static void print_status(const struct metrics *metrics, const json_t *status)
{
	const json_t *processes = json_object_get(status, "processes");
	const json_t *reloads = json_object_get(status, "reloads");
	const json_t *inspection = json_object_get(status, "inspection");

	print_one(metrics, "armed", "gauge", "1: XDP hands packets to the workers.",
		json_is_true(json_object_get(status, "armed")));
	print_one(metrics, "memory_locked", "gauge", "1: key memory cannot reach swap.",
		json_is_true(json_object_get(status, "memory_locked")));
	print_one(metrics, "uptime_seconds", "gauge", "Since the starter began.",
		hk_number_of(processes, "uptime_s"));
	print_one(metrics, "inspector_restarts_total", "counter", "Inspectors that crashed or hung.",
		hk_number_of(processes, "restarts"));
	print_one(metrics, "pushed_keys_dropped_total", "counter",
		"Keys of the control socket that went after repeated crashes.",
		hk_number_of(processes, "keys_dropped"));
	print_one(metrics, "reloads_total", "counter", "Reloads that took force.",
		hk_number_of(reloads, "done"));
	print_one(metrics, "reload_failures_total", "counter", "Reloads that were refused.",
		hk_number_of(reloads, "failed"));
	print_one(metrics, "keys", "gauge", "Keys in force.", hk_number_of(inspection, "keys"));
}

/* Members of "xdp" or "workers" that count something that has no reason. */
static void print_totals(const struct metrics *metrics, const json_t *stats)
{
	static const struct {
		const char *stage, *member, *name, *help;
	} totals[] = {
		{"xdp", "received", "xdp_received_total", "Packets that XDP saw."},
		{"xdp", "received_bytes", "xdp_received_bytes_total", "Bytes that XDP saw."},
		{"xdp", "copied", "xdp_copied_total", "Copies for the inspector, in monitor mode."},
		{"xdp", "copy_lost", "xdp_copy_lost_total", "Copies that had no room."},
		{"workers", "handed", "workers_handed_total", "Packets that XDP handed to workers."},
		{"workers", "received", "workers_received_total", "Packets that workers took."},
		{"workers", "received_bytes", "workers_received_bytes_total", "Bytes that workers took."},
		{"workers", "ring_lost", "ring_lost_total", "Packets lost between XDP and worker."},
		{"workers", "flows_evicted", "flows_evicted_total", "Flow records that gave way to others."},
		{"workers", "events", "events_total", "Events of the hooks."},
		{"workers", "events_lost", "events_lost_total", "Events that had no room."},
		{"workers", "feed_records", "feed_records_total", "Records for the feeds."},
		{"workers", "feed_lost", "feed_records_lost_total", "Records that had no room."},
		{"workers", "nonce_repeats", "nonce_repeats_total", "Nonces that came twice."},
		{"workers", "streams_evicted", "streams_evicted_total", "TLS streams that gave way."},
		{"workers", "verdicts_lost", "verdicts_lost_total", "Kernel verdicts that had no room."},
	};
	unsigned i;

	for (i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
		print_one(metrics, totals[i].name, "counter", totals[i].help,
			hk_number_of(json_object_get(stats, totals[i].stage), totals[i].member));
	print_one(metrics, "flows", "gauge", "Inner flows that are known.",
		hk_number_of(json_object_get(stats, "workers"), "flows"));
}

/* SPIs of inline keying; absent where no domain has it. */
static void print_children(const struct metrics *metrics, const json_t *children)
{
	static const struct {
		const char *member, *name, *help;
	} totals[] = {
		{"created", "children_created_total", "SPIs created in band."},
		{"confirmed", "children_confirmed_total", "Of these, confirmed by a plausible packet."},
		{"known", "children_known_total", "Creations that came again."},
		{"refused", "children_refused_total", "Creations past a limit."},
		{"over", "children_over_total", "Creations played again after their time."},
		{"evicted", "children_evicted_total", "SPIs that gave way to others."},
		{"expired", "children_expired_total", "SPIs whose time was over."},
		{"forgotten", "children_forgotten_total", "SPIs of the past that are not remembered."},
	};
	unsigned i;

	if (!children)
		return;
	for (i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
		print_one(metrics, totals[i].name, "counter", totals[i].help,
			hk_number_of(children, totals[i].member));
	print_one(metrics, "children", "gauge", "SPIs created in band that live.",
		hk_number_of(children, "alive"));
}

void hk_prometheus_print(FILE *out, const json_t *status, const json_t *stats)
{
	const struct metrics metrics = {.out = out, .instance = hk_text_of(status, "instance")};
	const json_t *hooks = json_object_get(stats, "hooks"), *feeds = json_object_get(stats, "feeds");

	print_status(&metrics, status);
	print_reasons(&metrics, stats, "packets_total", "packets", "Packets by what happened to them.");
	print_reasons(&metrics, stats, "bytes_total", "bytes", "Bytes by what happened to their packets.");
	print_reasons(&metrics, stats, "dropped_total", "dropped", "Packets of a reason that were dropped.");
	print_totals(&metrics, stats);
	print_named(&metrics, hooks, "hook", "drops", "hook_drops_total", "Packets that a hook dropped.");
	print_named(&metrics, hooks, "hook", "delays", "hook_delays_total", "Packets that a hook delayed.");
	print_named(&metrics, hooks, "hook", "errors", "hook_errors_total", "Batches that a hook failed at.");
	print_hook_counters(&metrics, hooks);
	print_named(&metrics, feeds, "feed", "written", "feed_written_total", "Records a feed wrote.");
	print_named(&metrics, feeds, "feed", "lost", "feed_lost_total", "Records a feed lost.");
	print_named(&metrics, feeds, "feed", "errors", "feed_errors_total", "Writes that failed.");
	print_children(&metrics, json_object_get(stats, "children"));
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `status` and `stats` as JSON: facts of the view, named. Every reason is
 * always there, zero or not, so that a reader can rely on the shape.
 */
#include "user/control/answer.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/keys/children.h"
#include "user/keys/connections.h"

static void set(json_t *object, const char *key, __u64 value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* --- status --- */

static json_t *report_queue(const struct hk_view_queue *queue)
{
	json_t *row = json_pack("{s:b, s:b}", "socket", queue->has_socket, "zero_copy", queue->zero_copy);
	json_t *frames = json_object(), *kernel = json_object();

	set(row, "beat_age_ms", queue->beat_age_ms);
	set(frames, "total", queue->frames_total);
	set(frames, "free", queue->frames_free);
	set(frames, "held", queue->frames_held);
	set(kernel, "rx_dropped", queue->rx_dropped);
	set(kernel, "rx_ring_full", queue->rx_ring_full);
	set(kernel, "rx_fill_ring_empty", queue->rx_fill_ring_empty);
	set(kernel, "rx_invalid", queue->rx_invalid);
	set(kernel, "tx_invalid", queue->tx_invalid);
	json_object_set_new(row, "frames", frames);
	json_object_set_new(row, "kernel", kernel);
	return row;
}

static json_t *report_port(const struct hk_view_port *port)
{
	json_t *queues = json_array();
	unsigned i;

	for (i = 0; i < port->queues && i < HK_QUEUES_MAX; i++)
		json_array_append_new(queues, report_queue(&port->queue[i]));
	return json_pack("{s:s#, s:i, s:s, s:i, s:s#, s:s, s:s, s:o}", "name", port->name,
		(int)strnlen(port->name, sizeof(port->name)), "ifindex", (int)port->ifindex, "link",
		port->up ? "up" : "down", "speed_mbit", (int)port->speed_mbit, "driver", port->driver,
		(int)strnlen(port->driver, sizeof(port->driver)), "xdp", port->native ? "native" : "generic",
		"attached_by", port->dispatcher ? "libxdp dispatcher" : "bpf link", "queues", queues);
}

static json_t *report_hooks(const struct hk_inspection *inspection)
{
	json_t *hooks = json_array();
	unsigned i;

	if (!inspection || !inspection->hooks)
		return hooks;
	for (i = 0; i < hk_hook_chain_length(inspection->hooks); i++)
		json_array_append_new(hooks, json_string(hk_hook_chain_name(inspection->hooks, i)));
	return hooks;
}

static json_t *report_inspection(const struct hk_view *view)
{
	const struct hk_config *config = view->config(view->context);
	const struct hk_inspection *inspection = view->inspection(view->context);
	json_t *names = json_array(), *report = json_object();
	unsigned i;

	for (i = 0; i < config->domains_count; i++)
		json_array_append_new(names, json_string(config->domains[i].name));
	json_object_set_new(report, "domains", names);
	json_object_set_new(report, "hooks", report_hooks(inspection));
	set(report, "keys", inspection && inspection->keyring ? hk_keyring_count(inspection->keyring) : 0);
	set(report, "next_key_time",
		inspection && inspection->keyring ? hk_keyring_next_event(inspection->keyring) : 0);
	return report;
}

static json_t *report_processes(const struct hk_view_status *status)
{
	json_t *report = json_object();

	set(report, "starter", (__u64)status->starter);
	set(report, "inspector", (__u64)status->inspector);
	set(report, "uptime_s", status->uptime_s);
	set(report, "inspector_age_s", status->inspector_age_s);
	set(report, "inspector_started_ns", status->inspector_started_ns);
	set(report, "restarts", status->restarts);
	set(report, "keys_dropped", status->keys_dropped);
	set(report, "workers", status->workers);
	set(report, "calls_refused", status->calls_refused);
	return report;
}

static json_t *report_reloads(const struct hk_view_status *status)
{
	json_t *report = json_object();

	set(report, "done", status->reloads);
	set(report, "failed", status->reload_failures);
	json_object_set_new(report, "last_error",
		status->reload_error[0] ? hk_control_text(status->reload_error) : json_null());
	return report;
}

static json_t *report_ports(const struct hk_view_status *status)
{
	json_t *ports = json_array();
	unsigned i;

	for (i = 0; i < status->ports_count && i < HK_PORTS_MAX; i++)
		json_array_append_new(ports, report_port(&status->ports[i]));
	return ports;
}

json_t *hk_control_report_status(const struct hk_view *view)
{
	struct hk_view_status *status = calloc(1, sizeof(*status)); /* large: 2 x 64 queues */
	const struct hk_config *config = view->config(view->context);
	json_t *report;

	if (!status)
		return NULL;
	view->status(view->context, status);
	report = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:s?, s:s?, s:s}", "version", HK_VERSION,
		"instance", config->instance, "mode", hk_mode_name(config->mode), "configuration",
		config->path, "armed", status->armed, "memory_locked", status->memory_locked, "crypto",
		status->crypto, "pins", status->pin_path, "seccomp", hk_seccomp_name(config->seccomp));
	json_object_set_new(report, "processes", report_processes(status));
	json_object_set_new(report, "reloads", report_reloads(status));
	json_object_set_new(report, "inspection", report_inspection(view));
	json_object_set_new(report, "ports", report_ports(status));
	free(status);
	return report;
}

/* --- stats --- */

static json_t *report_count(__u64 packets, __u64 bytes, __u64 dropped)
{
	json_t *row = json_object();

	set(row, "packets", packets);
	set(row, "bytes", bytes);
	set(row, "dropped", dropped);
	return row;
}

static json_t *report_xdp(const struct hk_view_stats *stats)
{
	const struct hk_counter_value *row = stats->xdp;
	json_t *report = json_object(), *reasons = json_object();
	__u64 counted = 0;
	unsigned i;

	/* from 64 on: the workers' reasons and those that both can give */
	for (i = 0; i < HK_REASON_COUNT; i++) {
		counted += row[i].packets;
		if (hk_reason_name(i) && (i == HK_REASON_TO_WORKER || (i >= 16 && i < 64) || row[i].packets ||
						 (i < 64 && hk_reason_policy(i) != HK_POLICY_NONE)))
			json_object_set_new(reasons, hk_reason_name(i),
				report_count(row[i].packets, row[i].bytes, row[i].dropped));
	}
	set(report, "received", row[HK_COUNTER_RECEIVED].packets);
	set(report, "received_bytes", row[HK_COUNTER_RECEIVED].bytes);
	set(report, "counted", counted);
	set(report, "copied", row[HK_COUNTER_COPIED].packets);
	set(report, "copy_lost", row[HK_COUNTER_COPY_LOST].packets);
	json_object_set_new(report, "reasons", reasons);
	return report;
}

/* Workers write while we read: each value is whole, their sum may be a packet apart. */
static __u64 load(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_worker(struct hk_counts *sum, const struct hk_counts *worker)
{
	const __u64 *from = (const __u64 *)worker;
	__u64 *to = (__u64 *)sum;
	size_t i;

	_Static_assert(sizeof(struct hk_counts) % sizeof(__u64) == 0, "all counters");
	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += load(&from[i]);
}

static json_t *report_reasons(const struct hk_counts *sum, __u64 *counted)
{
	json_t *reasons = json_object();
	unsigned i;

	for (i = 0; i < HK_REASON_COUNT; i++) {
		*counted += sum->reasons[i].packets;
		if (hk_reason_name(i) && (i < 16 || i >= 64 || sum->reasons[i].packets))
			json_object_set_new(reasons, hk_reason_name(i),
				report_count(sum->reasons[i].packets, sum->reasons[i].bytes,
					sum->reasons[i].dropped));
	}
	return reasons;
}

static json_t *report_workers(const struct hk_view_stats *stats, const struct hk_counts *sum)
{
	json_t *report = json_object(), *reasons;
	__u64 counted = 0;

	reasons = report_reasons(sum, &counted);
	set(report, "handed", stats->xdp[HK_REASON_TO_WORKER].packets);
	set(report, "ring_lost", stats->ring_lost);
	set(report, "handed_before", stats->handed_before);
	set(report, "received", sum->received);
	set(report, "received_bytes", sum->received_bytes);
	set(report, "counted", counted);
	set(report, "events", sum->events);
	set(report, "events_lost", sum->events_lost);
	set(report, "feed_records", sum->feed_records);
	set(report, "feed_lost", sum->feed_lost);
	set(report, "flows", sum->flows);
	set(report, "flows_evicted", sum->flows_evicted);
	set(report, "nonce_repeats", sum->nonce_repeats);
	set(report, "streams_evicted", sum->streams_evicted);
	set(report, "verdicts_lost", sum->verdicts_lost);
	json_object_set_new(report, "reasons", reasons);
	return report;
}

static json_t *report_hook_stats(
	const struct hk_hook_chain *chain, unsigned place, const struct hk_counts *sum)
{
	struct hk_hook_stat *own = calloc(HK_CONTROL_ROWS_MAX, sizeof(*own));
	json_t *row = json_object(), *counters = json_object();
	size_t count, i;

	json_object_set_new(row, "name", json_string(hk_hook_chain_name(chain, place)));
	set(row, "drops", sum->hook_drops[place]);
	set(row, "delays", sum->hook_delays[place]);
	set(row, "errors", sum->hook_errors[place]);
	count = own ? hk_hook_chain_stats(chain, place, own, HK_CONTROL_ROWS_MAX) : 0;
	for (i = 0; i < count && i < HK_CONTROL_ROWS_MAX; i++) {
		own[i].name[sizeof(own[i].name) - 1] = '\0';
		json_object_set_new(counters, own[i].name, json_integer((json_int_t)own[i].value));
	}
	json_object_set_new(row, "counters", counters);
	free(own);
	return row;
}

static json_t *report_hooks_stats(const struct hk_inspection *inspection, const struct hk_counts *sum)
{
	json_t *hooks = json_array();
	unsigned i;

	if (!inspection || !inspection->hooks)
		return hooks;
	for (i = 0; i < hk_hook_chain_length(inspection->hooks) && i < HK_HOOKS_MAX; i++)
		json_array_append_new(hooks, report_hook_stats(inspection->hooks, i, sum));
	return hooks;
}

static json_t *report_feeds(const struct hk_view_stats *stats)
{
	json_t *feeds = json_array(), *row;
	unsigned i;

	for (i = 0; i < stats->feeds_count && i < HK_FEEDS_MAX; i++) {
		row = json_pack("{s:s?}", "name", stats->feeds[i].name);
		set(row, "written", stats->feeds[i].written);
		set(row, "lost", stats->feeds[i].lost);
		set(row, "errors", stats->feeds[i].errors);
		json_array_append_new(feeds, row);
	}
	return feeds;
}

/* SPIs created in band; absent where no domain has inline keying. */
static void report_children(json_t *report, const struct hk_inspection *inspection)
{
	const struct hk_children *children =
		inspection && inspection->keyring ? hk_keyring_children(inspection->keyring) : NULL;
	struct hk_children_counts counts;
	json_t *row;

	if (!children)
		return;
	hk_children_count(children, &counts);
	row = json_object();
	set(row, "alive", counts.alive);
	set(row, "created", counts.created);
	set(row, "confirmed", counts.confirmed);
	set(row, "known", counts.known);
	set(row, "refused", counts.refused);
	set(row, "over", counts.over);
	set(row, "forgotten", counts.forgotten);
	set(row, "evicted", counts.evicted);
	set(row, "expired", counts.expired);
	json_object_set_new(report, "children", row);
}

/* Keys of TLS connections; absent where no domain has any. */
static void report_connections(json_t *report, const struct hk_inspection *inspection)
{
	const struct hk_keyring *keyring = inspection ? inspection->keyring : NULL;
	json_t *row;

	if (!keyring || !hk_keyring_has_tls(keyring))
		return;
	row = json_object();
	set(row, "keys", hk_keyring_tls_count(keyring));
	set(row, "evicted", hk_keyring_tls_evicted(keyring));
	json_object_set_new(report, "connections", row);
}

json_t *hk_control_report_stats(const struct hk_view *view)
{
	struct hk_view_stats *stats = calloc(1, sizeof(*stats));
	struct hk_counts *sum = aligned_alloc(_Alignof(struct hk_counts), sizeof(*sum));
	json_t *report = NULL;
	unsigned i;

	if (!stats || !sum)
		goto out;
	memset(sum, 0, sizeof(*sum));
	view->stats(view->context, stats);
	for (i = 0; i < stats->workers && i < HK_QUEUES_MAX; i++)
		if (stats->worker[i])
			add_worker(sum, stats->worker[i]);
	report = json_object();
	json_object_set_new(report, "xdp", report_xdp(stats));
	json_object_set_new(report, "workers", report_workers(stats, sum));
	json_object_set_new(report, "hooks", report_hooks_stats(view->inspection(view->context), sum));
	json_object_set_new(report, "feeds", report_feeds(stats));
	report_children(report, view->inspection(view->context));
	report_connections(report, view->inspection(view->context));
out:
	free(stats);
	free(sum);
	return report;
}

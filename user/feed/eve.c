// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The EVE feed: alert, flow, drop, anomaly and stats records as JSON lines, in
 * the shape that readers of Suricata's eve.json know (docs/feeds.md). The tuple
 * on top is that of the inner packet; the outer one stands in `tunnel`. Text
 * from hooks and all that a packet says is hostile: json.c escapes it.
 */
#include "user/feed/output.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <halfkey/envelope.h>
#include <halfkey/reason.h>

#include "user/base/text.h"
#include "user/feed/json.h"

#define EVE_NAME_MAX 256   /* of a domain, port or hook name; longer ones are cut */
#define EVE_LINE_MAX 16384 /* all text of a record, escaped, fits */

struct eve {
	struct hk_output *output;
	struct hk_feed_counters *counters;
	const struct hk_feed_names *names;
	char line[EVE_LINE_MAX];
};

/* 2026-01-31T12:34:56.123456+0100 */
static void eve_time(struct hk_json *json, const char *key, __u64 wall_ns)
{
	time_t seconds = (time_t)(wall_ns / 1000000000u);
	char day_text[32], zone[8], text[64];
	struct tm day;

	localtime_r(&seconds, &day);
	strftime(day_text, sizeof(day_text), "%Y-%m-%dT%H:%M:%S", &day);
	strftime(zone, sizeof(zone), "%z", &day);
	snprintf(text, sizeof(text), "%s.%06u%s", day_text, (unsigned)(wall_ns % 1000000000u / 1000u), zone);
	hk_json_string(json, key, text, sizeof(text));
}

static void eve_address(struct hk_json *json, const char *key, const struct hk_address *address)
{
	char text[HK_ADDRESS_TEXT];

	hk_address_format(address, text);
	hk_json_string(json, key, text, sizeof(text));
}

static void eve_name(struct hk_json *json, const char *key, const char *name)
{
	if (name)
		hk_json_string(json, key, name, EVE_NAME_MAX);
}

/* The names Suricata uses; the others by number, as it does. */
static void eve_protocol(struct hk_json *json, unsigned protocol)
{
	static const char *const names[256] = {
		[IPPROTO_ICMP] = "ICMP",
		[IPPROTO_TCP] = "TCP",
		[IPPROTO_UDP] = "UDP",
		[IPPROTO_GRE] = "GRE",
		[IPPROTO_ESP] = "ESP",
		[IPPROTO_AH] = "AH",
		[IPPROTO_ICMPV6] = "IPv6-ICMP",
		[IPPROTO_SCTP] = "SCTP",
	};
	char number[8];

	snprintf(number, sizeof(number), "%03u", protocol & 0xff);
	hk_json_string(json, "proto", names[protocol & 0xff] ? names[protocol & 0xff] : number, 16);
}

static bool has_ports(unsigned protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

static bool is_icmp(unsigned protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static void eve_inner(struct hk_json *json, const struct hk_record *record)
{
	bool ports = has_ports(record->inner_protocol);

	eve_address(json, "src_ip", &record->inner_src);
	if (ports)
		hk_json_number(json, "src_port", record->inner_src_port);
	eve_address(json, "dest_ip", &record->inner_dst);
	if (ports)
		hk_json_number(json, "dest_port", record->inner_dst_port);
	eve_protocol(json, record->inner_protocol);
	if (is_icmp(record->inner_protocol)) {
		hk_json_number(json, "icmp_type", record->inner_src_port);
		hk_json_number(json, "icmp_code", record->inner_dst_port);
	}
}

/* What stands for an SPI in the records of TLS are the ports; else there is none to tell. */
static void eve_outer(struct hk_json *json, const struct hk_record *record)
{
	bool ports = record->envelope == HK_ENVELOPE_TLS;

	eve_address(json, "src_ip", &record->outer_src);
	if (ports)
		hk_json_number(json, "src_port", record->spi >> 16);
	eve_address(json, "dest_ip", &record->outer_dst);
	if (ports)
		hk_json_number(json, "dest_port", record->spi & 0xffff);
	eve_protocol(json, record->outer_protocol);
}

/* Who speaks to whom: inside if we know, else outside. */
static void eve_tuple(struct hk_json *json, const struct hk_record *record)
{
	if (record->has_inner) {
		eve_inner(json, record);
		return;
	}
	eve_outer(json, record);
}

static void eve_tunnel(struct eve *eve, struct hk_json *json, const struct hk_record *record)
{
	char spi[16];

	hk_json_open(json, "tunnel");
	eve_outer(json, record);
	eve_name(json, "envelope", hk_envelope_name(record->envelope));
	if (record->envelope == HK_ENVELOPE_PSP)
		hk_json_number(json, "version", record->variant);
	else
		eve_name(json, "suite", hk_suite_name(record->variant));
	if (record->envelope != HK_ENVELOPE_TLS) {
		snprintf(spi, sizeof(spi), "0x%08x", record->spi);
		hk_json_string(json, "spi", spi, sizeof(spi));
	}
	if (record->domain < HK_DOMAINS_MAX)
		eve_name(json, "domain", eve->names->domains[record->domain]);
	if (hk_record_not_ip(record))
		hk_json_string(json, "inner", "not-ip", 8);
	eve_name(json, "auth", hk_auth_name(record->auth));
	hk_json_close(json);
}

/* Of what was opened: other versions never are. */
static void eve_tls(struct hk_json *json, const struct hk_record *record, const __u8 *data)
{
	if (!record->has_inner ||
		(record->envelope != HK_ENVELOPE_TLS && record->envelope != HK_ENVELOPE_DTLS))
		return;
	hk_json_open(json, "tls");
	if (hk_record_has_name(record) && record->data_length)
		hk_json_string(json, "sni", (const char *)data, record->data_length);
	hk_json_string(json, "version", record->envelope == HK_ENVELOPE_TLS ? "TLS 1.2" : "DTLS 1.2", 16);
	hk_json_close(json);
}

/* Which hook and which of its rules. */
static void eve_hook(struct eve *eve, struct hk_json *json, const struct hk_record *record)
{
	const char *name = record->hook < HK_HOOKS_MAX ? eve->names->hooks[record->hook] : NULL;

	if (!name)
		return;
	hk_json_open(json, "hook");
	eve_name(json, "name", name);
	if (record->rule)
		hk_json_number(json, "rule", record->rule);
	hk_json_close(json);
}

static void eve_alert(struct hk_json *json, const struct hk_record *record, const __u8 *data)
{
	const struct hk_hook_event *event = &record->event;

	(void)data;
	hk_json_open(json, "alert");
	hk_json_string(json, "action", event->blocked ? "blocked" : "allowed", 8);
	hk_json_number(json, "gid", event->gid ? event->gid : 1);
	hk_json_number(json, "signature_id", event->sid);
	hk_json_number(json, "rev", event->rev);
	hk_json_string(json, "signature", event->message, sizeof(event->message));
	hk_json_string(json, "category", event->category, sizeof(event->category));
	hk_json_number(json, "severity", event->priority ? event->priority : 3);
	if (event->kind == HK_EVENT_LOG)
		hk_json_raw(json, "metadata", "{\"kind\":[\"log\"]}");
	hk_json_close(json);
}

/* Of a dropped packet we have the IP header (feed.h), and say of it what Suricata says. */
static void eve_drop_header(struct hk_json *json, const __u8 *data, unsigned length)
{
	if (length >= 20 && data[0] >> 4 == 4) {
		hk_json_number(json, "len", (unsigned)data[2] << 8 | data[3]);
		hk_json_number(json, "tos", data[1]);
		hk_json_number(json, "ttl", data[8]);
		hk_json_number(json, "ipid", (unsigned)data[4] << 8 | data[5]);
	} else if (length >= 40 && data[0] >> 4 == 6) {
		hk_json_number(json, "len", ((unsigned)data[4] << 8 | data[5]) + 40);
		hk_json_number(json, "tc", (data[0] & 0x0fu) << 4 | data[1] >> 4);
		hk_json_number(json, "hoplimit", data[7]);
		hk_json_number(json, "flowlbl", (data[1] & 0x0fu) << 16 | (unsigned)data[2] << 8 | data[3]);
	}
}

static void eve_drop(struct hk_json *json, const struct hk_record *record, const __u8 *data)
{
	hk_json_open(json, "drop");
	if (!hk_record_not_ip(record))
		eve_drop_header(json, data, record->data_length);
	eve_name(json, "reason", hk_reason_name(record->reason));
	hk_json_close(json);
}

static void eve_anomaly(struct hk_json *json, const struct hk_record *record, const __u8 *data)
{
	const char *reason = hk_reason_name(record->reason);
	char event[80];

	(void)data;
	snprintf(event, sizeof(event), "halfkey.%s", reason ? reason : "unknown");
	hk_json_open(json, "anomaly");
	hk_json_string(json, "type", "decode", 8);
	hk_json_string(json, "event", event, sizeof(event));
	hk_json_close(json);
}

static bool flow_closed(const struct hk_record_flow *flow)
{
	return ((flow->tcp_flags[0] | flow->tcp_flags[1]) & TH_RST) ||
	       (flow->tcp_flags[0] & flow->tcp_flags[1] & TH_FIN);
}

static const char *flow_state(const struct hk_record *record)
{
	if (record->inner_protocol == IPPROTO_TCP && flow_closed(&record->flow))
		return "closed";
	return record->flow.answered ? "established" : "new";
}

static void eve_tcp(struct hk_json *json, const struct hk_record_flow *flow)
{
	static const char *const names[8] = {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"};
	unsigned all = flow->tcp_flags[0] | flow->tcp_flags[1], i;
	char text[8];

	hk_json_open(json, "tcp");
	snprintf(text, sizeof(text), "%02x", all);
	hk_json_string(json, "tcp_flags", text, sizeof(text));
	snprintf(text, sizeof(text), "%02x", flow->tcp_flags[0]);
	hk_json_string(json, "tcp_flags_ts", text, sizeof(text));
	snprintf(text, sizeof(text), "%02x", flow->tcp_flags[1]);
	hk_json_string(json, "tcp_flags_tc", text, sizeof(text));
	for (i = 0; i < 8; i++)
		if (all & (1u << i))
			hk_json_bool(json, names[i], true);
	hk_json_string(json, "state",
		flow_closed(flow) ? "closed"
		: flow->answered  ? "established"
				  : "syn_sent",
		16);
	hk_json_close(json);
}

static void eve_flow(struct hk_json *json, const struct hk_record *record, const __u8 *data)
{
	const struct hk_record_flow *flow = &record->flow;

	(void)data;
	hk_json_open(json, "flow");
	hk_json_number(json, "pkts_toserver", flow->packets[0]);
	hk_json_number(json, "pkts_toclient", flow->packets[1]);
	hk_json_number(json, "bytes_toserver", flow->bytes[0]);
	hk_json_number(json, "bytes_toclient", flow->bytes[1]);
	eve_time(json, "start", flow->first_ns);
	eve_time(json, "end", flow->last_ns);
	hk_json_number(json, "age",
		flow->last_ns > flow->first_ns ? (flow->last_ns - flow->first_ns) / 1000000000u : 0);
	hk_json_string(json, "state", flow_state(record), 16);
	hk_json_string(json, "reason", flow->evicted ? "forced" : "timeout", 16);
	hk_json_bool(json, "alerted", flow->alerted != 0);
	if (flow->verdict == HK_VERDICT_DROP)
		hk_json_string(json, "action", "drop", 8);
	hk_json_close(json);
	if (record->inner_protocol == IPPROTO_TCP && !hk_record_not_ip(record))
		eve_tcp(json, flow); /* of what TLS carries nobody knows the flags */
}

struct eve_kind {
	const char *name;
	void (*body)(struct hk_json *json, const struct hk_record *record, const __u8 *data);
};

static const struct eve_kind kinds[] = {
	[HK_RECORD_EVENT] = {"alert", eve_alert},
	[HK_RECORD_DROP] = {"drop", eve_drop},
	[HK_RECORD_FLOW] = {"flow", eve_flow},
	[HK_RECORD_ANOMALY] = {"anomaly", eve_anomaly},
};

static void eve_head(struct eve *eve, struct hk_json *json, const struct hk_record *record, const char *kind)
{
	hk_json_open(json, NULL);
	eve_time(json, "timestamp", record->wall_ns);
	/* 51 bits, as Suricata does: all that fits a JavaScript number */
	if (record->flow_id)
		hk_json_number(json, "flow_id", record->flow_id & 0x7ffffffffffffull);
	if (record->direction < HK_PORTS_MAX)
		eve_name(json, "in_iface", eve->names->ports[record->direction]);
	hk_json_string(json, "event_type", kind, 16);
	eve_tuple(json, record);
}

static void eve_write(void *state, const struct hk_record *record, const __u8 *data)
{
	struct eve *eve = state;
	struct hk_json json;

	if (record->kind >= sizeof(kinds) / sizeof(kinds[0]) || !kinds[record->kind].body)
		return;
	hk_json_init(&json, eve->line, sizeof(eve->line));
	eve_head(eve, &json, record, kinds[record->kind].name);
	kinds[record->kind].body(&json, record, data);
	eve_tunnel(eve, &json, record);
	eve_tls(&json, record, data);
	eve_hook(eve, &json, record);
	hk_json_close(&json);
	if (hk_json_line(&json))
		hk_output_append(eve->output, eve->line, json.used);
	else
		hk_feed_raise(&eve->counters->lost, 1);
}

static void eve_stats(void *state, const char *text, __u64 wall_ns)
{
	struct eve *eve = state;
	size_t size = strlen(text) + 256;
	char *line = malloc(size);
	struct hk_json json;

	if (!line) {
		hk_feed_raise(&eve->counters->lost, 1);
		return;
	}
	hk_json_init(&json, line, size);
	hk_json_open(&json, NULL);
	eve_time(&json, "timestamp", wall_ns);
	hk_json_string(&json, "event_type", "stats", 8);
	hk_json_raw(&json, "stats", text);
	hk_json_close(&json);
	hk_json_line(&json);
	hk_output_append(eve->output, line, json.used);
	free(line);
}

static void eve_flush(void *state)
{
	hk_output_flush(((struct eve *)state)->output);
}

static void eve_close(void *state)
{
	struct eve *eve = state;

	hk_output_free(eve->output);
	free(eve);
}

static int eve_open(void **state, const struct hk_feed_setup *setup, struct hk_error *error)
{
	const char *path = setup->config->feeds.eve_path;
	int fd = hk_feed_output_fd(setup, "eve", path, error);
	struct eve *eve;

	if (fd < 0)
		return fd;
	eve = calloc(1, sizeof(*eve));
	if (!eve) {
		close(fd);
		return hk_error_set(error, ENOMEM, "eve: out of memory");
	}
	eve->names = setup->names;
	eve->counters = setup->counters;
	eve->output = hk_output_new(fd, "eve", path, setup->counters);
	if (!eve->output) {
		free(eve);
		return hk_error_set(error, ENOMEM, "eve: out of memory");
	}
	*state = eve;
	return 0;
}

static const char *eve_target(const struct hk_config *config)
{
	return config->feeds.eve_path;
}

const struct hk_feed_ops hk_feed_eve = {
	.name = "eve",
	.wants = HK_RECORD_WANTS(HK_RECORD_EVENT) | HK_RECORD_WANTS(HK_RECORD_DROP) |
		 HK_RECORD_WANTS(HK_RECORD_FLOW) | HK_RECORD_WANTS(HK_RECORD_ANOMALY),
	.is_file = true,
	.target = eve_target,
	.open = eve_open,
	.write = eve_write,
	.stats = eve_stats,
	.flush = eve_flush,
	.close = eve_close,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* EVE records: what each kind says, hostile text included. */
#include <halfkey/reason.h>

#include "tests/unit/eve_help.h"

static void alert_is_suricatas(void)
{
	struct hk_record record = record_v4(HK_RECORD_EVENT);
	json_t *root;

	record.event = (struct hk_hook_event){.gid = 1,
		.sid = 2000001,
		.rev = 3,
		.priority = 2,
		.kind = HK_EVENT_ALERT,
		.blocked = 1,
		.message = "ATTACK seen",
		.category = "Bad Traffic"};
	record.rule = 12;
	root = through(&record, NULL);
	says(root, NULL, "timestamp", "2026-01-01T00:00:00.123456+0000");
	says(root, NULL, "event_type", "alert");
	says(root, NULL, "in_iface", "box-s");
	counts(root, NULL, "flow_id", 0x42);
	says(root, NULL, "src_ip", "10.0.0.1");
	counts(root, NULL, "src_port", 40000);
	says(root, NULL, "dest_ip", "10.0.0.2");
	counts(root, NULL, "dest_port", 80);
	says(root, NULL, "proto", "TCP");
	says(root, "alert", "action", "blocked");
	counts(root, "alert", "gid", 1);
	counts(root, "alert", "signature_id", 2000001);
	counts(root, "alert", "rev", 3);
	says(root, "alert", "signature", "ATTACK seen");
	says(root, "alert", "category", "Bad Traffic");
	counts(root, "alert", "severity", 2);
	lacks(root, "alert", "metadata");
	says(root, "hook", "name", "signatures");
	counts(root, "hook", "rule", 12);
	json_decref(root);
}

static void tunnel_says_what_was_outside(void)
{
	struct hk_record record = record_v4(HK_RECORD_EVENT);
	json_t *root = through(&record, NULL);

	says(root, "tunnel", "src_ip", "192.0.2.1");
	says(root, "tunnel", "dest_ip", "192.0.2.2");
	says(root, "tunnel", "proto", "UDP");
	says(root, "tunnel", "envelope", "psp");
	counts(root, "tunnel", "version", 5);
	says(root, "tunnel", "spi", "0x80000001");
	says(root, "tunnel", "domain", "east");
	says(root, "tunnel", "auth", "unauthenticated");
	json_decref(root);

	record.envelope = HK_ENVELOPE_ESP;
	record.outer_protocol = IPPROTO_ESP;
	record.variant = HK_SUITE_GCM;
	record.auth = HK_AUTH_VERIFIED;
	record.outer_src = address("2001:db8::1");
	record.domain = 77; /* unknown */
	root = through(&record, NULL);
	says(root, "tunnel", "src_ip", "2001:db8::1");
	says(root, "tunnel", "proto", "ESP");
	says(root, "tunnel", "suite", "gcm");
	says(root, "tunnel", "auth", "authenticated");
	lacks(root, "tunnel", "domain");
	lacks(root, "tunnel", "version");
	json_decref(root);
}

/* Every envelope by its own name, in what really carried it. */
static void envelopes_and_carriers(void)
{
	static const struct {
		unsigned envelope, protocol;
		const char *name, *says;
	} rows[] = {
		{HK_ENVELOPE_ESP, IPPROTO_UDP, "esp", "UDP"},
		{HK_ENVELOPE_EESP, IPPROTO_UDP, "eesp", "UDP"},
		{HK_ENVELOPE_EESP, 254, "eesp", "254"},
		{HK_ENVELOPE_WESP, HK_WESP_PROTOCOL, "wesp", "141"},
		{HK_ENVELOPE_TSS, 253, "tss", "253"},
		{HK_ENVELOPE_INLINE, IPPROTO_ESP, "inline", "ESP"},
		{HK_ENVELOPE_DTLS, IPPROTO_UDP, "dtls", "UDP"},
	};
	struct hk_record record = record_v4(HK_RECORD_EVENT);
	json_t *root;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		record.envelope = (__u8)rows[i].envelope;
		record.outer_protocol = (__u8)rows[i].protocol;
		root = through(&record, NULL);
		says(root, "tunnel", "envelope", rows[i].name);
		says(root, "tunnel", "proto", rows[i].says);
		says(root, "tunnel", "spi", "0x80000001");
		says(root, NULL, "proto", "TCP"); /* inside */
		json_decref(root);
	}
}

static struct hk_record tls_record(unsigned kind)
{
	struct hk_record record = record_v4(kind);

	record.envelope = HK_ENVELOPE_TLS;
	record.outer_protocol = record.inner_protocol = IPPROTO_TCP;
	record.variant = record.inner_version = 0;
	record.spi = 40000u << 16 | 443;
	record.inner_src = record.outer_src;
	record.inner_dst = record.outer_dst;
	record.inner_dst_port = 443;
	record.auth = HK_AUTH_VERIFIED;
	return record;
}

/* A payload between two ends: no IP packet inside, no SPI, nobody's TCP flags. */
static void tls_is_a_payload(void)
{
	struct hk_record record = tls_record(HK_RECORD_EVENT);
	json_t *root = through(&record, NULL);

	says(root, NULL, "src_ip", "192.0.2.1");
	counts(root, NULL, "dest_port", 443);
	says(root, NULL, "proto", "TCP");
	says(root, "tls", "version", "TLS 1.2");
	says(root, "tunnel", "envelope", "tls");
	says(root, "tunnel", "inner", "not-ip");
	says(root, "tunnel", "auth", "authenticated");
	counts(root, "tunnel", "src_port", 40000);
	counts(root, "tunnel", "dest_port", 443);
	lacks(root, "tunnel", "spi");
	lacks(root, "tunnel", "suite");
	lacks(root, "tls", "sni");
	json_decref(root);
	record = tls_record(HK_RECORD_FLOW);
	record.data_length = 11;
	root = through(&record, "www.example and more");
	says(root, "tls", "sni", "www.example");
	json_decref(root);
	record = tls_record(HK_RECORD_DROP); /* has the name as well, where others have a header */
	record.data_length = 2;
	root = through(&record, "\"\n");
	says(root, "tls", "sni", "\"\n");
	lacks(root, "drop", "len");
	json_decref(root);
	record = tls_record(HK_RECORD_FLOW);
	root = through(&record, NULL);
	lacks(root, NULL, "tcp");
	json_decref(root);
	record = tls_record(HK_RECORD_DROP); /* did not open */
	record.has_inner = 0;
	record.reason = HK_REASON_FLOW_DROP;
	root = through(&record, NULL);
	counts(root, NULL, "src_port", 40000);
	counts(root, NULL, "dest_port", 443);
	says(root, NULL, "proto", "TCP");
	says(root, "drop", "reason", "flow-drop");
	lacks(root, NULL, "tls");
	json_decref(root);
	record = tls_record(HK_RECORD_EVENT);
	record.envelope = HK_ENVELOPE_DTLS;
	record.outer_protocol = record.inner_protocol = IPPROTO_UDP;
	root = through(&record, NULL);
	says(root, "tls", "version", "DTLS 1.2");
	says(root, "tunnel", "spi", "0x9c4001bb");
	json_decref(root);
}

static void log_lines_are_marked(void)
{
	struct hk_record record = record_v4(HK_RECORD_EVENT);
	json_t *root;

	record.event.kind = HK_EVENT_LOG;
	root = through(&record, NULL);
	says(root, NULL, "event_type", "alert");
	says(root, "alert", "action", "allowed");
	counts(root, "alert", "severity", 3);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(
				       json_object_get(member(root, "alert", "metadata"), "kind"), 0)),
		"log");
	json_decref(root);
}

static void flow_has_both_directions(void)
{
	struct hk_record record = record_v4(HK_RECORD_FLOW);
	json_t *root;

	record.flow = (struct hk_record_flow){.first_ns = WALL,
		.last_ns = WALL + 61000000000ull,
		.packets = {5, 4},
		.bytes = {500, 4000},
		.tcp_flags = {0x1b, 0x13},
		.answered = 1};
	root = through(&record, NULL);
	says(root, NULL, "event_type", "flow");
	counts(root, "flow", "pkts_toserver", 5);
	counts(root, "flow", "pkts_toclient", 4);
	counts(root, "flow", "bytes_toserver", 500);
	counts(root, "flow", "bytes_toclient", 4000);
	says(root, "flow", "start", "2026-01-01T00:00:00.123456+0000");
	says(root, "flow", "end", "2026-01-01T00:01:01.123456+0000");
	counts(root, "flow", "age", 61);
	says(root, "flow", "state", "closed");
	says(root, "flow", "reason", "timeout");
	CU_ASSERT_TRUE(json_is_false(member(root, "flow", "alerted")));
	says(root, "tcp", "tcp_flags", "1b");
	says(root, "tcp", "tcp_flags_tc", "13");
	CU_ASSERT_TRUE(json_is_true(member(root, "tcp", "syn")));
	lacks(root, "tcp", "rst");
	json_decref(root);
}

static void flow_states_and_reasons(void)
{
	struct hk_record record = record_v4(HK_RECORD_FLOW);
	json_t *root;

	record.inner_protocol = IPPROTO_UDP;
	record.flow = (struct hk_record_flow){.evicted = 1, .alerted = 1, .verdict = HK_VERDICT_DROP};
	root = through(&record, NULL);
	says(root, "flow", "state", "new");
	says(root, "flow", "reason", "forced");
	says(root, "flow", "action", "drop");
	CU_ASSERT_TRUE(json_is_true(member(root, "flow", "alerted")));
	lacks(root, NULL, "tcp");
	json_decref(root);
	record.flow.answered = 1;
	root = through(&record, NULL);
	says(root, "flow", "state", "established");
	json_decref(root);
}

static void drop_says_why(void)
{
	static const __u8 packet[28] = {0x45, 0x10, 0, 28, 0x12, 0x34, 0, 0, 63, 17};
	struct hk_record record = record_v4(HK_RECORD_DROP);
	json_t *root;

	record.reason = HK_REASON_HOOK_DROP;
	record.hook = 0;
	record.rule = 2;
	record.data_length = sizeof(packet);
	root = through(&record, packet);
	says(root, NULL, "event_type", "drop");
	counts(root, "drop", "len", 28);
	counts(root, "drop", "tos", 16);
	counts(root, "drop", "ttl", 63);
	counts(root, "drop", "ipid", 0x1234);
	says(root, "drop", "reason", "hook-drop");
	says(root, "hook", "name", "firewall");
	json_decref(root);
}

static void drop_reads_ipv6_headers(void)
{
	static const __u8 packet[40] = {0x62, 0x1a, 0xbc, 0xde, 0x05, 0x00, 17, 61};
	struct hk_record record = record_v4(HK_RECORD_DROP);
	json_t *root;

	record.data_length = sizeof(packet);
	root = through(&record, packet);
	counts(root, "drop", "len", 1320);
	counts(root, "drop", "tc", 0x21);
	counts(root, "drop", "hoplimit", 61);
	counts(root, "drop", "flowlbl", 0xabcde);
	json_decref(root);
	record.data_length = 39; /* cut: nothing is read past it */
	root = through(&record, packet);
	lacks(root, "drop", "len");
	json_decref(root);
}

static void unopened_packets_show_the_outer_tuple(void)
{
	struct hk_record record = record_v4(HK_RECORD_DROP);
	json_t *root;

	record.has_inner = 0;
	record.hook = 0xff;
	record.reason = HK_REASON_BAD_ICV;
	root = through(&record, NULL);
	says(root, NULL, "src_ip", "192.0.2.1");
	says(root, NULL, "dest_ip", "192.0.2.2");
	says(root, NULL, "proto", "UDP");
	says(root, "drop", "reason", "bad-icv");
	lacks(root, NULL, "src_port");
	lacks(root, NULL, "hook");
	json_decref(root);
}

static void anomalies_have_a_type_and_an_event(void)
{
	struct hk_record record = record_v4(HK_RECORD_ANOMALY);
	json_t *root;

	record.reason = HK_REASON_IMPLAUSIBLE;
	root = through(&record, NULL);
	says(root, NULL, "event_type", "anomaly");
	says(root, "anomaly", "type", "decode");
	says(root, "anomaly", "event", "halfkey.implausible");
	json_decref(root);
	record.reason = HK_REASON_NONCE_REPEAT;
	root = through(&record, NULL);
	says(root, "anomaly", "event", "halfkey.nonce-repeat");
	json_decref(root);
	record.reason = 95; /* nobody's */
	root = through(&record, NULL);
	says(root, "anomaly", "event", "halfkey.unknown");
	json_decref(root);
}

static void every_protocol_in_both_versions(void)
{
	static const struct {
		unsigned number;
		const char *name;
		bool ports;
	} rows[] = {{IPPROTO_TCP, "TCP", true}, {IPPROTO_UDP, "UDP", true}, {IPPROTO_SCTP, "SCTP", true},
		{IPPROTO_ICMP, "ICMP", false}, {IPPROTO_ICMPV6, "IPv6-ICMP", false},
		{IPPROTO_GRE, "GRE", false}, {IPPROTO_ESP, "ESP", false}, {IPPROTO_AH, "AH", false},
		{89, "089", false}, {0, "000", false}, {255, "255", false}};
	struct hk_record record;
	unsigned i;
	json_t *root;

	for (i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		record = record_v4(HK_RECORD_ANOMALY);
		record.inner_protocol = (__u8)rows[i / 2].number;
		if (i % 2) {
			record.inner_version = 6;
			record.inner_src = address("2001:db8::a");
			record.inner_dst = address("::1");
		}
		root = through(&record, NULL);
		says(root, NULL, "proto", rows[i / 2].name);
		says(root, NULL, "src_ip", i % 2 ? "2001:db8::a" : "10.0.0.1");
		says(root, NULL, "dest_ip", i % 2 ? "::1" : "10.0.0.2");
		CU_ASSERT_EQUAL(member(root, NULL, "src_port") != NULL, rows[i / 2].ports);
		json_decref(root);
	}
}

static void icmp_has_type_and_code(void)
{
	struct hk_record record = record_v4(HK_RECORD_EVENT);
	json_t *root;

	record.inner_protocol = IPPROTO_ICMP;
	record.inner_src_port = 8;
	record.inner_dst_port = 0;
	root = through(&record, NULL);
	counts(root, NULL, "icmp_type", 8);
	counts(root, NULL, "icmp_code", 0);
	lacks(root, NULL, "src_port");
	json_decref(root);
}

static void hostile_text_stays_inside_its_string(void)
{
	static const char *const texts[][2] = {
		{"\",\"event_type\":\"x\"}\n{", "\",\"event_type\":\"x\"}\n{"},
		{"\\\"\t\x01\x7f", "\\\"\t\x01\x7f"},
		{"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc0\xaf\xe0\x80\x80",
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},  /* overlong */
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},		  /* a surrogate */
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* past U+10FFFF */
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91",
			"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91"},
		{"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
	};
	struct hk_record record = record_v4(HK_RECORD_EVENT);
	unsigned i;
	json_t *root;

	record.domain = 4; /* its name is hostile as well */
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(record.event.message, 0, sizeof(record.event.message));
		memcpy(record.event.message, texts[i][0], strlen(texts[i][0]));
		root = through(&record, NULL);
		says(root, "alert", "signature", texts[i][1]);
		says(root, "tunnel", "domain", "we\"st\xef\xbf\xbd");
		json_decref(root);
	}
}

/* No NUL anywhere, every byte value, random kinds: always one line of valid JSON. */
static void random_records_are_always_json(void)
{
	struct hk_record record;
	__u64 state = 42;
	unsigned i;
	size_t at;

	for (i = 0; i < 300; i++) {
		for (at = 0; at < sizeof(record); at++)
			((__u8 *)&record)[at] = (__u8)(random_next(&state) | (i % 3 == 0 ? 0x80 : 1));
		record.kind = (__u16)(HK_RECORD_EVENT + i % 4);
		record.data_length = 0;
		json_decref(through(&record, NULL));
	}
}

static void stats_are_embedded(void)
{
	struct bench bench;
	json_t *root;
	char *text;

	bench_open(&bench, memfd_create("eve", 0));
	hk_feeds_put_stats(bench.feeds, "{\"uptime\":1}");
	hk_feeds_put_stats(bench.feeds, "{\"uptime\":2,\n \"a\":{\"b\":3}}");
	hk_feeds_drain(bench.feeds);
	text = bench_text(&bench);
	root = json_loads(text, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	says(root, NULL, "event_type", "stats");
	counts(root, "stats", "uptime", 2);
	CU_ASSERT_EQUAL(strlen(json_string_value(member(root, NULL, "timestamp"))), 31);
	CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
	json_decref(root);
	free(text);
	bench_close(&bench);
}

int main(void)
{
	static const struct test tests[] = {
		{"an alert is as Suricata's", alert_is_suricatas},
		{"the tunnel says what was outside", tunnel_says_what_was_outside},
		{"envelopes and what carried them", envelopes_and_carriers},
		{"TLS is a payload between two ends", tls_is_a_payload},
		{"log lines are marked", log_lines_are_marked},
		{"a flow has both directions", flow_has_both_directions},
		{"flow states and reasons", flow_states_and_reasons},
		{"a drop says why", drop_says_why},
		{"a drop reads IPv6 headers", drop_reads_ipv6_headers},
		{"unopened packets show the outer tuple", unopened_packets_show_the_outer_tuple},
		{"anomalies have a type and an event", anomalies_have_a_type_and_an_event},
		{"every protocol in both versions", every_protocol_in_both_versions},
		{"ICMP has type and code", icmp_has_type_and_code},
		{"hostile text stays inside its string", hostile_text_stays_inside_its_string},
		{"random records are always JSON", random_records_are_always_json},
		{"stats are embedded", stats_are_embedded},
		{0},
	};

	setenv("TZ", "UTC", 1);
	hk_log_init(HK_LOG_ERROR, "test");
	return run_tests("eve", tests);
}

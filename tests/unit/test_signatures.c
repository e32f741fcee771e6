// SPDX-License-Identifier: GPL-2.0-or-later
/* The signatures hook: each keyword, each refusal, hostile payloads, Hyperscan against memmem. */
#include "tests/unit/harness.h"
#include "tests/unit/hook_batch.h"
#include "tests/unit/hook_settings.h"

#include <ctype.h>

#include "user/hooks/builtin.h"
#include "user/hooks/signatures_rules.h"

static void *make(const char *text)
{
	void *state = NULL;

	if (hook_make(&hk_signatures_hook, &state, 2, text))
		printf("# %.60s: said %s\n", text, hook_error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(state);
	return state;
}

static struct batch_area *area;

/* Runs one packet; afterwards its events and verdict are in `area`. Returns the number of events. */
static unsigned run(void *state, __u8 protocol, const char *src, __u16 src_port, const char *dst,
	__u16 dst_port, const void *payload, size_t length)
{
	batch_clear(area);
	batch_add(area, protocol, src, src_port, dst, dst_port, payload, (__u32)length);
	CU_ASSERT_EQUAL(hk_signatures_hook.process(state, 0, &area->batch), 0);
	return area->batch.event_count;
}

static unsigned run_tcp(void *state, const char *payload)
{
	return run(state, 6, "10.0.0.1", 1024, "10.0.0.2", 80, payload, strlen(payload));
}

/* How many events a rule with these options gives on this payload. */
static unsigned fires(const char *options, const void *payload, size_t length)
{
	char text[2048];
	void *state;
	unsigned count;

	snprintf(text, sizeof(text), "alert ip any any -> any any (%s sid:1;)\n", options);
	state = make(text);
	count = run(state, 6, "10.0.0.1", 1024, "10.0.0.2", 80, payload, length);
	hk_signatures_hook.destroy(state);
	return count;
}

#define FIRES(options, payload) fires(options, payload, sizeof(payload) - 1)

static void contents_match(void)
{
	CU_ASSERT_EQUAL(FIRES("content:\"abc\";", "xxabcxx"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"abc\";", "xxaBcxx"), 0);
	CU_ASSERT_EQUAL(FIRES("content:\"abc\"; nocase;", "xxaBcxx"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"a|00 ff|b\";", "..a\x00\xff"
							"b"),
		1);
	CU_ASSERT_EQUAL(FIRES("content:\"|41 42 43|\";", "ABC"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"|4142|C\";", "ABC"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"a\\;b\\\"c\\\\d\\:e\";", "a;b\"c\\d:e"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"a;b)\";", "a;b)"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\".*\";", "abc"), 0);
	CU_ASSERT_EQUAL(FIRES("content:\"one\"; content:\"two\";", "two one"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"one\"; content:\"two\";", "one"), 0);
	CU_ASSERT_EQUAL(FIRES("content:\"one\"; content:!\"two\";", "one"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"one\"; content:!\"two\";", "one two"), 0);
	CU_ASSERT_EQUAL(FIRES("content:!\"two\";", ""), 1);
	CU_ASSERT_EQUAL(FIRES("content:! \"two\";", "two"), 0);
	CU_ASSERT_EQUAL(FIRES("content:\"one\"; nocase; content:\"Two\";", "ONE Two"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"one\"; nocase; content:\"Two\";", "ONE two"), 0);
	CU_ASSERT_EQUAL(FIRES("", "anything"), 1);
}

static void expressions_match(void)
{
	CU_ASSERT_EQUAL(FIRES("pcre:\"/ab+c/\";", "xabbbcx"), 1);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/ab+c/\";", "xABBcx"), 0);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/ab+c/i\";", "xABBcx"), 1);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/a.c/\";", "a\nc"), 0);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/a.c/s\";", "a\nc"), 1);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/^b/\";", "a\nb"), 0);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/^b/m\";", "a\nb"), 1);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/A.B/smi\";", "a\nb"), 1);
	CU_ASSERT_EQUAL(FIRES("pcre:!\"/ab/\"; content:\"c\";", "c"), 1);
	CU_ASSERT_EQUAL(FIRES("pcre:!\"/ab/\"; content:\"c\";", "abc"), 0);
	CU_ASSERT_EQUAL(FIRES("pcre:\"/\\x00[\\x80-\\xff]{2}\\/end\\;/\";", "\x00\x80\xff/end;"), 1);
	CU_ASSERT_EQUAL(FIRES("content:\"GET\"; pcre:\"/pass(word)?=/i\";", "GET /?PASS=1"), 1);
}

static unsigned header(
	const char *text, __u8 protocol, const char *src, __u16 src_port, const char *dst, __u16 dst_port)
{
	char rule[512];
	void *state;
	unsigned count;

	snprintf(rule, sizeof(rule),
		"var NET [10.0.0.0/8,2001:db8::/32]\nvar WEB [80,8000:8100]\nalert %s (sid:1;)\n", text);
	state = make(rule);
	count = run(state, protocol, src, src_port, dst, dst_port, "x", 1);
	hk_signatures_hook.destroy(state);
	return count;
}

static void protocols_match(void)
{
	CU_ASSERT_EQUAL(header("tcp any any -> any any", 6, "10.0.0.1", 1, "10.0.0.2", 2), 1);
	CU_ASSERT_EQUAL(header("tcp any any -> any any", 17, "10.0.0.1", 1, "10.0.0.2", 2), 0);
	CU_ASSERT_EQUAL(header("udp any any -> any any", 17, "10.0.0.1", 1, "10.0.0.2", 2), 1);
	CU_ASSERT_EQUAL(header("icmp any any -> any any", 1, "10.0.0.1", 8, "10.0.0.2", 0), 1);
	CU_ASSERT_EQUAL(header("icmp any any -> any any", 58, "::1", 128, "::2", 0), 1);
	CU_ASSERT_EQUAL(header("icmp any any -> any any", 6, "::1", 128, "::2", 0), 0);
	CU_ASSERT_EQUAL(header("ip any any -> any any", 47, "10.0.0.1", 0, "10.0.0.2", 0), 1);
}

static void addresses_match(void)
{
	CU_ASSERT_EQUAL(header("ip 10.0.0.1 any -> any any", 6, "10.0.0.1", 1, "10.0.0.2", 2), 1);
	CU_ASSERT_EQUAL(header("ip 10.0.0.1 any -> any any", 6, "10.0.0.3", 1, "10.0.0.2", 2), 0);
	CU_ASSERT_EQUAL(header("ip !10.0.0.1 any -> any any", 6, "10.0.0.3", 1, "10.0.0.2", 2), 1);
	CU_ASSERT_EQUAL(header("ip !10.0.0.1 any -> any any", 6, "10.0.0.1", 1, "10.0.0.2", 2), 0);
	CU_ASSERT_EQUAL(
		header("ip any any -> [192.0.2.0/24, 2001:db8::/32] any", 6, "::1", 1, "2001:db8::7", 2), 1);
	CU_ASSERT_EQUAL(
		header("ip any any -> [192.0.2.0/24,2001:db8::/32] any", 6, "::1", 1, "2001:db9::7", 2), 0);
	CU_ASSERT_EQUAL(
		header("ip [10.0.0.0/8,!10.1.0.0/16] any -> any any", 6, "10.2.0.1", 1, "10.0.0.2", 2), 1);
	CU_ASSERT_EQUAL(
		header("ip [10.0.0.0/8,!10.1.0.0/16] any -> any any", 6, "10.1.0.1", 1, "10.0.0.2", 2), 0);
	CU_ASSERT_EQUAL(
		header("ip ![10.0.0.1,[10.0.0.3]] any -> any any", 6, "10.0.0.3", 1, "10.0.0.2", 2), 0);
	CU_ASSERT_EQUAL(header("ip [any,10.0.0.1] any -> any any", 6, "10.0.0.3", 1, "10.0.0.2", 2), 1);
	CU_ASSERT_EQUAL(header("ip $NET any -> !$NET any", 6, "10.0.0.3", 1, "192.0.2.1", 2), 1);
	CU_ASSERT_EQUAL(header("ip $NET any -> !$NET any", 6, "10.0.0.3", 1, "10.0.2.1", 2), 0);
	CU_ASSERT_EQUAL(header("ip [$NET,192.0.2.1] any -> any any", 6, "192.0.2.1", 1, "10.0.2.1", 2), 1);
	CU_ASSERT_EQUAL(header("ip 0.0.0.0/0 any -> any any", 6, "::1", 1, "::2", 2), 0);
}

static void ports_match(void)
{
	CU_ASSERT_EQUAL(header("tcp any any -> any 80", 6, "10.0.0.1", 1, "10.0.0.2", 80), 1);
	CU_ASSERT_EQUAL(header("tcp any any -> any 80", 6, "10.0.0.1", 1, "10.0.0.2", 81), 0);
	CU_ASSERT_EQUAL(header("tcp any any -> any !80", 6, "10.0.0.1", 1, "10.0.0.2", 81), 1);
	CU_ASSERT_EQUAL(header("tcp any any -> any 80:90", 6, "10.0.0.1", 1, "10.0.0.2", 90), 1);
	CU_ASSERT_EQUAL(header("tcp any any -> any 80:90", 6, "10.0.0.1", 1, "10.0.0.2", 91), 0);
	CU_ASSERT_EQUAL(header("tcp any :1023 -> any 1024:", 6, "10.0.0.1", 0, "10.0.0.2", 65535), 1);
	CU_ASSERT_EQUAL(header("tcp any :1023 -> any 1024:", 6, "10.0.0.1", 1024, "10.0.0.2", 1024), 0);
	CU_ASSERT_EQUAL(header("tcp any any -> any [80,100:200,!150]", 6, "10.0.0.1", 1, "10.0.0.2", 151), 1);
	CU_ASSERT_EQUAL(header("tcp any any -> any [80,100:200,!150]", 6, "10.0.0.1", 1, "10.0.0.2", 150), 0);
	CU_ASSERT_EQUAL(header("tcp any any -> any $WEB", 6, "10.0.0.1", 1, "10.0.0.2", 8050), 1);
	CU_ASSERT_EQUAL(header("tcp any any -> any !$WEB", 6, "10.0.0.1", 1, "10.0.0.2", 8050), 0);
	CU_ASSERT_EQUAL(header("ip any any -> any 3", 1, "10.0.0.1", 8, "10.0.0.2", 3), 0);
	CU_ASSERT_EQUAL(header("ip any any -> any !3", 1, "10.0.0.1", 8, "10.0.0.2", 4), 0);
}

static void directions_match(void)
{
	CU_ASSERT_EQUAL(header("tcp 10.0.0.1 any -> 10.0.0.2 80", 6, "10.0.0.2", 80, "10.0.0.1", 5), 0);
	CU_ASSERT_EQUAL(header("tcp 10.0.0.1 any <> 10.0.0.2 80", 6, "10.0.0.2", 80, "10.0.0.1", 5), 1);
	CU_ASSERT_EQUAL(header("tcp 10.0.0.1 any <> 10.0.0.2 80", 6, "10.0.0.1", 5, "10.0.0.2", 80), 1);
	CU_ASSERT_EQUAL(header("tcp 10.0.0.1 any <> 10.0.0.2 80", 6, "10.0.0.1", 80, "10.0.0.2", 5), 0);
}

static void alerts_say_what_the_rule_says(void)
{
	void *state =
		make("# a comment \\\n\n"
		     "alert tcp any any -> any any (msg:\"two \\\"words\\\"\\; more\"; content:\"evil\"; \\\n"
		     "   reference:url,example.test/a; metadata:created_at 2020, by me; \\\r\n"
		     "   classtype:trojan-activity; gid:5; sid:77; rev:3;)\r\n"
		     "alert tcp any any -> any any (content:\"bad\"; classtype:misc-activity; priority:2; "
		     "sid:78;)\n"
		     "   alert tcp any any -> any any ( content:\"meh\" ; priority : 4 ; "
		     "classtype:misc-activity;sid:79; )");

	CU_ASSERT_EQUAL_FATAL(run_tcp(state, "evil"), 1);
	CU_ASSERT_STRING_EQUAL(area->events[0].message, "two \"words\"; more");
	CU_ASSERT_STRING_EQUAL(area->events[0].category, "A Network Trojan was detected");
	CU_ASSERT(area->events[0].gid == 5 && area->events[0].sid == 77 && area->events[0].rev == 3);
	CU_ASSERT(area->events[0].priority == 1 && area->events[0].kind == HK_EVENT_ALERT);
	CU_ASSERT(area->events[0].blocked == 0 && area->packets[0].verdict == HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL_FATAL(run_tcp(state, "bad"), 1);
	CU_ASSERT(area->events[0].gid == 1 && area->events[0].priority == 2 && area->events[0].rev == 0);
	CU_ASSERT_STRING_EQUAL(area->events[0].message, "signature 78");
	CU_ASSERT_EQUAL_FATAL(run_tcp(state, "meh"), 1);
	CU_ASSERT_EQUAL(area->events[0].priority, 4);
	hk_signatures_hook.destroy(state);
}

static void drop_and_pass_act(void)
{
	void *state = make("alert tcp any any -> any any (content:\"x\"; priority:1; sid:1;)\n"
			   "drop tcp any any -> any any (content:\"kill\"; priority:3; sid:2;)\n"
			   "pass tcp any any -> any any (content:\"friend\"; sid:3;)\n"
			   "drop tcp any any -> any any (content:\"killer\"; sid:4;)\n");
	struct hk_hook_stat stats[8];

	CU_ASSERT_EQUAL_FATAL(run_tcp(state, "x killer"), 3);
	CU_ASSERT(area->packets[0].verdict == HK_VERDICT_DROP && area->packets[0].rule == 2);
	CU_ASSERT(area->events[0].sid == 2 && area->events[1].sid == 4 && area->events[2].sid == 1);
	CU_ASSERT(area->events[0].blocked == 1 && area->events[2].blocked == 1);
	CU_ASSERT_EQUAL(run_tcp(state, "x killer friend"), 0);
	CU_ASSERT_EQUAL(area->packets[0].verdict, HK_VERDICT_ACCEPT);
	batch_clear(area);
	batch_add(area, 6, "10.0.0.1", 1, "10.0.0.2", 2, "kill", 4)->verdict = HK_VERDICT_DROP;
	CU_ASSERT_EQUAL(hk_signatures_hook.process(state, 1, &area->batch), 0);
	CU_ASSERT_EQUAL(area->batch.event_count, 0);
	CU_ASSERT_EQUAL_FATAL(hk_signatures_hook.stats(state, stats, 8), 6);
	CU_ASSERT(stats[0].value == 2 && stats[1].value == 1 && stats[2].value == 1 && stats[3].value == 1);
	hk_signatures_hook.destroy(state);
}

static void alerts_of_one_packet_are_bounded(void)
{
	char text[8192];
	size_t used = 0;
	struct hk_hook_stat stats[8];
	void *state;
	unsigned i;

	for (i = 1; i <= 40; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%s tcp any any -> any any (content:\"a\"; priority:%u; sid:%u;)\n",
			i == 40 ? "drop" : "alert", 41 - i, i);
	state = make(text);
	CU_ASSERT_EQUAL(run_tcp(state, "a"), 15);
	CU_ASSERT_EQUAL(area->packets[0].verdict, HK_VERDICT_DROP);
	CU_ASSERT(area->events[0].sid == 40 && area->events[1].sid == 39 && area->events[14].sid == 26);
	CU_ASSERT_EQUAL(hk_signatures_hook.stats(state, stats, 8), 6);
	CU_ASSERT_EQUAL(stats[4].value, 25);
	hk_signatures_hook.destroy(state);
}

#define RULE(options) \
	"alert tcp any any -> any any (msg:\"first\"; sid:1;)\nalert tcp any any -> any any (" options ")\n"

static void mistakes_are_named(void)
{
	static const char *const rows[][3] = {
		{RULE("content:\"a\"; depth:3; sid:2;"), "line 2", "\"depth\""},
		{RULE("flow:established; sid:2;"), "line 2", "\"flow\""},
		{RULE("msg:\"m\"; \\\n content:\"a\"; \\\n within:3; sid:2;"), "line 4", "\"within\""},
		{RULE("content:\"a\"; fast_pattern; sid:2;"), "line 2", "\"fast_pattern\""},
		{RULE("http.uri; content:\"a\"; sid:2;"), "line 2", "\"http.uri\""},
		{RULE("msg:\"m\";"), "line 2", "\"sid\" is missing"},
		{RULE("sid:1;"), "line 2: sid 1", "line 1"},
		{RULE("sid:0;"), "line 2", "sid \"0\""},
		{RULE("sid:4294967296;"), "line 2", "4294967296"},
		{RULE("sid:x;"), "line 2", "sid \"x\""},
		{RULE("sid:2; sid:3;"), "line 2", "\"sid\" is given twice"},
		{RULE("rev:-1; sid:2;"), "line 2", "rev \"-1\""},
		{RULE("priority:0; sid:2;"), "line 2", "priority \"0\""},
		{RULE("priority:256; sid:2;"), "line 2", "priority \"256\""},
		{RULE("classtype:nonsense; sid:2;"), "line 2", "classtype \"nonsense\""},
		{RULE("content:\"\"; sid:2;"), "line 2", "content is empty"},
		{RULE("content:abc; sid:2;"), "line 2", "double quotes"},
		{RULE("content:\"|4|\"; sid:2;"), "line 2", "hex"},
		{RULE("content:\"|41\"; sid:2;"), "line 2", "hex"},
		{RULE("content:\"|zz|\"; sid:2;"), "line 2", "hex"},
		{RULE("content:\"a\\nb\"; sid:2;"), "line 2", "escape"},
		{RULE("content; sid:2;"), "line 2", "needs a value"},
		{RULE("content:\"a\"; nocase:1; sid:2;"), "line 2", "takes no value"},
		{RULE("nocase; sid:2;"), "line 2", "nocase"},
		{RULE("pcre:\"/a/\"; nocase; sid:2;"), "line 2", "nocase"},
		{RULE("pcre:\"abc\"; sid:2;"), "line 2", "slashes"},
		{RULE("pcre:\"/abc/R\"; sid:2;"), "line 2", "'R'"},
		{RULE("pcre:\"/a(/\"; sid:2;"), "line 2", "Hyperscan"},
		{RULE("pcre:\"/(a)\\1/\"; sid:2;"), "line 2", "Hyperscan"},
		{RULE("pcre:\"/a*/\"; sid:2;"), "line 2", "empty"},
		{RULE("msg:\"a\x01\"; sid:2;"), "line 2", "control"},
		{RULE("content:\"a\\\nb\"; sid:2;"), "line 2", "line's end"},
		{RULE("sid:2"), "line 2", "';'"},
		{RULE("msg:\"open; sid:2;"), "line 2", "quote"},
		{"alert tcp any any -> any any (sid:1;\n", "line 1", "')'"},
		{"reject tcp any any -> any any (sid:1;)\n", "line 1", "\"reject\""},
		{"alert http any any -> any any (sid:1;)\n", "line 1", "\"http\""},
		{"alert tcp any any <- any any (sid:1;)\n", "line 1", "\"<-\""},
		{"alert tcp any any => any any (sid:1;)\n", "line 1", "\"=>\""},
		{"alert tcp any any any any (sid:1;)\n", "line 1", "\"any\""},
		{"alert tcp $HOME_NET any -> any any (sid:1;)\n", "line 1", "\"$HOME_NET\""},
		{"alert tcp !any any -> any any (sid:1;)\n", "line 1", "negated"},
		{"alert tcp [10.0.0.1 any -> any any (sid:1;)\n", "line 1", "']'"},
		{"alert tcp ![!10.0.0.1] any -> any any (sid:1;)\n", "line 1", "'!'"},
		{"alert tcp [] any -> any any (sid:1;)\n", "line 1", "source address"},
		{"alert tcp 10.0.0.1/8 any -> any any (sid:1;)\n", "line 1", "\"10.0.0.1/8\""},
		{"alert tcp any 65536 -> any any (sid:1;)\n", "line 1", "source port \"65536\""},
		{"alert tcp any any -> any 9:1 (sid:1;)\n", "line 1", "\"9:1\""},
		{"alert tcp any any -> any : (sid:1;)\n", "line 1", "\":\""},
		{"alert icmp any any -> any 80 (sid:1;)\n", "line 1", "icmp has no ports"},
		{"alert tcp any any -> any\n", "line 1", "port"},
		{"alert\n", "line 1", "protocol"},
		{"var A $A\nalert tcp $A any -> any any (sid:1;)\n", "line 2", "deeper"},
		{"var A\n", "line 1", "var"},
		{"var A-B 1\n", "line 1", "\"A-B\""},
		{"\n\n#x\nnonsense\n", "line 4", "\"nonsense\""},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		hook_refuses(&hk_signatures_hook, rows[i][0], rows[i][1], rows[i][2]);
}

static void limits_are_named(void)
{
	char *text = malloc(200000), *at = text;
	unsigned i;

	at += sprintf(at, "alert tcp any any -> any any (content:\"");
	for (i = 0; i < 256; i++)
		*at++ = 'a';
	sprintf(at, "\"; sid:1;)");
	hook_refuses(&hk_signatures_hook, text, "line 1", "255");
	at = text + sprintf(text, "alert tcp any any -> any any (");
	for (i = 0; i < 65; i++)
		at += sprintf(at, "content:\"%u\"; ", i);
	sprintf(at, "sid:1;)");
	hook_refuses(&hk_signatures_hook, text, "line 1", "64 patterns");
	at = text + sprintf(text, "alert tcp any any -> any any (msg:\"");
	for (i = 0; i < 160; i++)
		*at++ = 'm';
	sprintf(at, "\"; sid:1;)");
	hook_refuses(&hk_signatures_hook, text, "line 1", "159");
	at = text + sprintf(text, "alert tcp ");
	for (i = 0; i < 100000; i++)
		*at++ = '[';
	sprintf(at, " any -> any any (sid:1;)");
	hook_refuses(&hk_signatures_hook, text, "line 1", "nest");
	free(text);
}

static void hostile_files_are_refused(void)
{
	hook_refuses_hostile(&hk_signatures_hook);
}

/* A good file, cut anywhere and with any byte changed: accepted or refused, never worse. */
static void damaged_files_do_no_harm(void)
{
	static const char good[] =
		"var N [10.0.0.0/8,!10.1.0.0/16]\n"
		"alert tcp $N any <> any [80,90:99,!95] (msg:\"a\\\"b\"; content:!\"a|00 ff|b\"; nocase; \\\n"
		" pcre:\"/x[yz]{2}/i\"; classtype:misc-attack; sid:1; rev:2;) # no\n";
	char text[sizeof(good)];
	__u64 seed = 7;
	void *state;
	unsigned i;

	for (i = 0; i < 3000; i++) {
		size_t size = sizeof(good) - 1;

		memcpy(text, good, sizeof(good));
		if (i < size)
			size = i;
		else
			text[random_next(&seed) % size] = (char)(1 + random_next(&seed) % 255);
		if (hook_make_sized(&hk_signatures_hook, &state, 1, text, size) == 0)
			hk_signatures_hook.destroy(state);
		else
			CU_ASSERT(hook_error[0] != '\0');
	}
}

/* Offsets that a broken core might give never lead past the packet. */
static void hostile_packets_stay_inside(void)
{
	void *state = make("alert ip any any -> any any (content:\"secret\"; sid:1;)\n");
	struct hk_hook_packet *packet;

	batch_clear(area);
	packet = batch_add(area, 6, "10.0.0.1", 1, "10.0.0.2", 2, "abc", 3);
	memcpy(area->data + area->data_used, "secret", 6); /* right behind it */
	packet->payload_length = 1000;
	CU_ASSERT_EQUAL(hk_signatures_hook.process(state, 0, &area->batch), 0);
	packet->payload_offset = 60000;
	CU_ASSERT_EQUAL(hk_signatures_hook.process(state, 0, &area->batch), 0);
	packet->payload_offset = 0;
	packet->l4_offset = 65535;
	CU_ASSERT_EQUAL(hk_signatures_hook.process(state, 0, &area->batch), 0);
	CU_ASSERT_EQUAL(area->batch.event_count, 0);
	packet->l4_offset = 0; /* no header known: all of it is looked at */
	packet->data_length += 6;
	CU_ASSERT_EQUAL(hk_signatures_hook.process(state, 0, &area->batch), 0);
	CU_ASSERT_EQUAL(area->batch.event_count, 1);
	hk_signatures_hook.destroy(state);
}

/* --- Hyperscan against memmem ----------------------------------------------------------------- */

#define NAIVE_RULES 60

struct naive {
	char contents[3][8];
	bool negated[3], nocase[3];
	unsigned count;
};

static bool naive_find(const struct naive *rule, unsigned i, const char *payload, size_t length)
{
	size_t size = strlen(rule->contents[i]), at, j;

	for (at = 0; at + size <= length; at++) {
		for (j = 0; j < size; j++) {
			char a = payload[at + j], b = rule->contents[i][j];

			if (rule->nocase[i] ? tolower(a) != tolower(b) : a != b)
				break;
		}
		if (j == size)
			return true;
	}
	return false;
}

static bool naive_matches(const struct naive *rule, const char *payload, size_t length)
{
	unsigned i;

	for (i = 0; i < rule->count; i++)
		if (naive_find(rule, i, payload, length) == rule->negated[i])
			return false;
	return true;
}

static char *naive_rules(struct naive *rules, __u64 *seed)
{
	char *text = malloc(NAIVE_RULES * 256), *at = text;
	unsigned i, j, k;

	for (i = 0; i < NAIVE_RULES; i++) {
		struct naive *rule = &rules[i];

		memset(rule, 0, sizeof(*rule));
		rule->count = 1 + (unsigned)(random_next(seed) % 3);
		at += sprintf(at, "alert ip any any -> any any (");
		for (j = 0; j < rule->count; j++) {
			rule->negated[j] = random_next(seed) % 4 == 0;
			rule->nocase[j] = random_next(seed) % 2;
			for (k = 0; k < 1 + random_next(seed) % 5; k++)
				rule->contents[j][k] = "abAB."[random_next(seed) % 5];
			if (!rule->contents[j][0])
				rule->contents[j][0] = 'a';
			at += sprintf(at, "content:%s\"%s\"; %s", rule->negated[j] ? "!" : "",
				rule->contents[j], rule->nocase[j] ? "nocase; " : "");
		}
		at += sprintf(at, "sid:%u;)\n", i + 1);
	}
	return text;
}

static unsigned compare_payload(void *state, const struct naive *rules, const char *payload, size_t length)
{
	bool expected[NAIVE_RULES + 1] = {false};
	unsigned i, count = 0, wrong = 0, got = run(state, 6, "10.0.0.1", 1, "10.0.0.2", 2, payload, length);

	for (i = 0; i < NAIVE_RULES; i++)
		if (naive_matches(&rules[i], payload, length)) {
			expected[i + 1] = true;
			count++;
		}
	wrong += got != (count > 15 ? 15 : count);
	for (i = 0; i < got; i++)
		wrong += !expected[area->events[i].sid];
	return wrong;
}

static void scanning_equals_memmem(void)
{
	struct naive rules[NAIVE_RULES];
	char payload[64];
	__u64 seed = 99;
	unsigned set, i, j, wrong = 0;

	for (set = 0; set < 30; set++) {
		char *text = naive_rules(rules, &seed);
		void *state = make(text);

		for (i = 0; i < 100; i++) {
			size_t length = random_next(&seed) % sizeof(payload);

			for (j = 0; j < length; j++)
				payload[j] = "abAB.c\0x"[random_next(&seed) % 8];
			wrong += compare_payload(state, rules, payload, length);
		}
		hk_signatures_hook.destroy(state);
		free(text);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void the_example_file_loads(void)
{
	char *text = calloc(1, 65536);
	FILE *file = fopen("docs/examples/local.rules", "r");
	void *state;

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT(fread(text, 1, 65535, file) > 0);
	fclose(file);
	state = make(text);
	CU_ASSERT_EQUAL(run_tcp(state, "GET /ETC/passwd HTTP/1.1"), 1);
	CU_ASSERT_EQUAL(run_tcp(state, "POST / x&Password=hunter2"), 1);
	CU_ASSERT_EQUAL(run(state, 17, "10.0.0.1", 9, "192.0.2.1", 53,
				"..\x07"
				"example\x04"
				"test\x00",
				16),
		1);
	CU_ASSERT_EQUAL(run(state, 17, "10.0.0.1", 9, "10.0.0.2", 53,
				"..\x07"
				"example\x04"
				"test\x00",
				16),
		0);
	hk_signatures_hook.destroy(state);
	free(text);
}

int main(void)
{
	static const struct test tests[] = {
		{"contents match: hex, escapes, nocase, negation", contents_match},
		{"regular expressions match: flags i, s, m, negation", expressions_match},
		{"protocols match", protocols_match},
		{"addresses match: prefixes, lists, negation, variables", addresses_match},
		{"ports match: ranges, lists, negation, variables", ports_match},
		{"directions match", directions_match},
		{"alerts say what the rule says", alerts_say_what_the_rule_says},
		{"drop drops and pass silences", drop_and_pass_act},
		{"alerts of one packet are bounded, the best are kept", alerts_of_one_packet_are_bounded},
		{"mistakes are named by line and keyword", mistakes_are_named},
		{"limits are named", limits_are_named},
		{"hostile files are refused", hostile_files_are_refused},
		{"damaged files do no harm", damaged_files_do_no_harm},
		{"hostile packets are not read past their end", hostile_packets_stay_inside},
		{"Hyperscan equals a naive search", scanning_equals_memmem},
		{"the example file loads", the_example_file_loads},
		{0},
	};
	int status;

	area = batch_new();
	status = run_tests("signatures", tests);
	free(area);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey open` on captures made of the packet vectors: what it says of each
 * packet, what it writes, and that no capture makes it stumble.
 */
#include "tests/unit/run_help.h"

#include <pcap/pcap.h>

#define START_NS 1700000000123456789ull
#define STEP_NS	 1000000007ull

static json_t *vectors;

/* --- captures --- */

struct capture {
	pcap_t *dead;
	pcap_dumper_t *dumper;
	int link_type;
	unsigned count;
};

static void capture_start(struct capture *capture, const char *name, int link_type)
{
	*capture = (struct capture){.link_type = link_type};
	capture->dead = pcap_open_dead_with_tstamp_precision(link_type, 65535, PCAP_TSTAMP_PRECISION_NANO);
	capture->dumper = pcap_dump_open(capture->dead, run_path(name));
	CU_ASSERT_PTR_NOT_NULL_FATAL(capture->dumper);
}

static void capture_raw(struct capture *capture, const __u8 *bytes, __u32 size, __u32 was)
{
	__u64 at = START_NS + STEP_NS * capture->count++;
	struct pcap_pkthdr header = {.caplen = size, .len = was};

	header.ts.tv_sec = (time_t)(at / 1000000000ull);
	header.ts.tv_usec = (suseconds_t)(at % 1000000000ull);
	pcap_dump((u_char *)capture->dumper, &header, bytes);
}

/* An IP packet behind the link header of the capture's type. */
static void capture_ip(struct capture *capture, const __u8 *packet, size_t size)
{
	__u8 bytes[2048] = {0};
	bool v6 = packet[0] >> 4 == 6;
	__u16 type = v6 ? 0x86dd : 0x0800;
	unsigned header = 0;

	switch (capture->link_type) {
	case DLT_EN10MB:
		header = 14;
		memset(bytes, 0x02, 12);
		bytes[12] = (__u8)(type >> 8);
		bytes[13] = (__u8)type;
		break;
	case DLT_LINUX_SLL:
		header = 16;
		bytes[14] = (__u8)(type >> 8);
		bytes[15] = (__u8)type;
		break;
	case DLT_LINUX_SLL2:
		header = 20;
		bytes[0] = (__u8)(type >> 8);
		bytes[1] = (__u8)type;
		break;
	case DLT_NULL:
		header = 4;
		bytes[0] = v6 ? 10 : 2;
		break;
	}
	memcpy(bytes + header, packet, size);
	capture_raw(capture, bytes, header + (__u32)size, header + (__u32)size);
}

static size_t vector(const char *name, const char *member, __u8 *out, size_t max)
{
	json_t *row;
	size_t i;

	json_array_foreach(
		vectors, i, row) if (strcmp(json_string_value(json_object_get(row, "name")), name) ==
				     0) return vector_bytes(row, member, out, max);
	return 0;
}

static void capture_vector(struct capture *capture, const char *name)
{
	__u8 packet[1024];
	size_t size = vector(name, "outer_ip", packet, sizeof(packet));

	CU_ASSERT_FATAL(size > 0);
	capture_ip(capture, packet, size);
}

static void capture_end(struct capture *capture)
{
	pcap_dump_close(capture->dumper);
	pcap_close(capture->dead);
}

/* --- boxes --- */

static const char *hex_of(const char *name, const char *member)
{
	json_t *row;
	size_t i;

	json_array_foreach(
		vectors, i, row) if (strcmp(json_string_value(json_object_get(row, "name")), name) ==
				     0) return json_string_value(json_object_get(row, member));
	return "";
}

static void write_box(const char *domain, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text),
		"domains:\n - {name: east, %s, receivers: [192.0.2.0/24, \"2001:db8::/32\"], keys: "
		"east.keys}\n%s",
		domain, more);
	run_file("box.yaml", 0600, text);
}

/* Master keys of both slots: a pair belongs to one receiver, so a box is for the vectors of one. */
static void psp_box(const char *profile, const char *side, const char *mk0, const char *mk1,
	const char *receiver, const char *more)
{
	char keys[1024], domain[64];

	snprintf(keys, sizeof(keys),
		"slot=0 generation=1 side=%s key=%s receiver=%s\nslot=1 generation=1 side=%s key=%s "
		"receiver=%s\n",
		side, mk0, receiver, side, mk1, receiver);
	run_file("east.keys", 0600, keys);
	snprintf(domain, sizeof(domain), "envelope: psp, profile: %s", profile);
	write_box(domain, more);
}

static void single_box(const char *more)
{
	psp_box("single", "single", hex_of("psp-v0-transport", "mk0"), hex_of("psp-v0-transport", "mk1"),
		"192.0.2.9", more);
}

static void split_box(const char *receiver)
{
	psp_box("split", "enc", hex_of("psp-v5-split", "mk0_e"), hex_of("psp-v5-split", "mk1_e"), receiver,
		"");
}

/* --- looking at results --- */

static long long reason(const json_t *result, const char *name, const char *member)
{
	return json_integer_value(
		json_object_get(json_object_get(json_object_get(result, "reasons"), name), member));
}

static long long top(const json_t *result, const char *name)
{
	return json_integer_value(json_object_get(result, name));
}

/* Packet `place` of an output file: its inner packet is the vector's, its time that of input packet `input`.
 */
static void expect_opened(const char *file, unsigned place, const char *name, unsigned input)
{
	__u64 at = START_NS + STEP_NS * input;
	char problem[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header = NULL;
	const u_char *bytes = NULL;
	__u8 inner[1024];
	size_t size = vector(name, "inner_ip", inner, sizeof(inner));
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(run_path(file), PCAP_TSTAMP_PRECISION_NANO, problem);
	unsigned i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pcap);
	CU_ASSERT_EQUAL(pcap_datalink(pcap), DLT_EN10MB);
	for (i = 0; i <= place; i++)
		CU_ASSERT_EQUAL_FATAL(pcap_next_ex(pcap, &header, &bytes), 1);
	CU_ASSERT_EQUAL_FATAL(header->caplen, 14 + size);
	CU_ASSERT_EQUAL(memcmp(bytes + 14, inner, size), 0);
	CU_ASSERT_EQUAL(bytes[12] << 8 | bytes[13], inner[0] >> 4 == 6 ? 0x86dd : 0x0800);
	CU_ASSERT_EQUAL((__u64)header->ts.tv_sec * 1000000000ull + (__u64)header->ts.tv_usec, at);
	pcap_close(pcap);
}

static unsigned packets_in(const char *file)
{
	char problem[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *bytes;
	pcap_t *pcap = pcap_open_offline(run_path(file), problem);
	unsigned count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pcap);
	while (pcap_next_ex(pcap, &header, &bytes) == 1)
		count++;
	pcap_close(pcap);
	return count;
}

/* --- tests --- */

/* Good, legacy, control, forged, broken: every one is counted, none stops the run. */
static void make_mixed(const char *name, int link_type)
{
	static const __u8 arp[60] = {[0] = 0xff,
		[1] = 0xff,
		[2] = 0xff,
		[3] = 0xff,
		[4] = 0xff,
		[5] = 0xff,
		[12] = 0x08,
		[13] = 0x06};
	__u8 packet[1024];
	struct capture capture;
	size_t size;

	capture_start(&capture, name, link_type);
	capture_vector(&capture, "psp-v0-transport");
	size = vector("psp-v0-transport", "inner_ip", packet, sizeof(packet));
	capture_ip(&capture, packet, size); /* legacy */
	size = vector("psp-v0-transport", "outer_ip", packet, sizeof(packet));
	packet[size - 1] ^= 1;
	capture_ip(&capture, packet, size); /* forged */
	capture_raw(&capture, arp, link_type == DLT_EN10MB ? 60 : 3, link_type == DLT_EN10MB ? 60 : 3);
	capture_vector(&capture, "psp-v1-tunnel-vc");
	capture_raw(&capture, packet, 1, 1500); /* cut, and next to nothing */
	capture_vector(&capture, "psp-v0-transport");
	capture_end(&capture);
}

static void single_profile(void)
{
	json_t *result;

	single_box("");
	make_mixed("in.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -j -w out.pcap in.pcap"), 0);
	result = run_json();
	CU_ASSERT_EQUAL(top(result, "packets"), 7);
	CU_ASSERT_EQUAL(top(result, "opened"), 3);
	CU_ASSERT_EQUAL(top(result, "authenticated"), 3);
	CU_ASSERT_EQUAL(top(result, "cut"), 1);
	CU_ASSERT_EQUAL(reason(result, "ok", "packets"), 3);
	CU_ASSERT_EQUAL(reason(result, "legacy", "packets"), 1);
	CU_ASSERT_EQUAL(reason(result, "legacy", "dropped"), 0);
	CU_ASSERT_EQUAL(reason(result, "bad-icv", "packets"), 1);
	CU_ASSERT_EQUAL(reason(result, "bad-icv", "dropped"), 1);
	CU_ASSERT_EQUAL(reason(result, "control", "packets"), 1);
	CU_ASSERT_EQUAL(reason(result, "short-frame", "packets"), 1);
	json_decref(result);
	CU_ASSERT_EQUAL(packets_in("out.pcap"), 3);
	expect_opened("out.pcap", 0, "psp-v0-transport", 0);
	expect_opened("out.pcap", 1, "psp-v1-tunnel-vc", 4);
	expect_opened("out.pcap", 2, "psp-v0-transport", 6);
}

static void split_profile(void)
{
	struct capture capture;
	json_t *result;

	split_box("192.0.2.9");
	capture_start(&capture, "in.pcap", DLT_EN10MB);
	capture_vector(&capture, "psp-v5-split");
	capture_vector(&capture, "psp-v0-transport");	   /* of the other profile */
	capture_vector(&capture, "psp-v4-split-slot1-v6"); /* for a receiver without keys here */
	capture_vector(&capture, "psp-v5-split");
	capture_end(&capture);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -j -w out.pcap in.pcap"), 0);
	result = run_json();
	CU_ASSERT_EQUAL(top(result, "opened"), 2);
	CU_ASSERT_EQUAL(top(result, "authenticated"), 0);
	CU_ASSERT_EQUAL(reason(result, "profile-mismatch", "dropped"), 1);
	CU_ASSERT_EQUAL(reason(result, "no-key", "packets"), 1);
	json_decref(result);
	expect_opened("out.pcap", 0, "psp-v5-split", 0);
	CU_ASSERT_EQUAL(packets_in("out.pcap"), 2);
	expect_opened("out.pcap", 1, "psp-v5-split", 3);
}

static void over_ipv6(void)
{
	struct capture capture;
	unsigned i;

	for (i = 0; i < 2; i++) {
		if (i)
			split_box("2001:db8::9");
		else
			psp_box("single", "single", hex_of("psp-v0-transport-v6", "mk0"),
				hex_of("psp-v0-transport-v6", "mk1"), "2001:db8::9", "");
		capture_start(&capture, "in.pcap", i ? DLT_RAW : DLT_EN10MB);
		capture_vector(&capture, i ? "psp-v4-split-slot1-v6" : "psp-v0-transport-v6");
		capture_end(&capture);
		CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -w out.pcap in.pcap"), 0);
		expect_opened("out.pcap", 0, i ? "psp-v4-split-slot1-v6" : "psp-v0-transport-v6", 0);
	}
}

static void esp_suites(void)
{
	static const char *const names[] = {"esp-gcm", "esp-gcm-split", "esp-ctr-hmac", "esp-cbc-hmac"};
	struct capture capture;
	char keys[256], domain[96];
	json_t *result;
	unsigned i;

	for (i = 0; i < 4; i++) {
		snprintf(keys, sizeof(keys), "slot=1 generation=1 side=%s key=%s\n", i ? "enc" : "single",
			hex_of(names[i], "mk_e"));
		run_file("east.keys", 0600, keys);
		snprintf(domain, sizeof(domain), "envelope: esp, profile: %s, suite: %s, mkid: 1",
			i ? "split" : "single", hex_of(names[i], "suite"));
		write_box(domain, "");
		capture_start(&capture, "in.pcap", DLT_EN10MB);
		capture_vector(&capture, names[i]);
		capture_end(&capture);
		CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -j -w out.pcap in.pcap"), 0);
		result = run_json();
		CU_ASSERT_EQUAL(top(result, "opened"), 1);
		CU_ASSERT_EQUAL(top(result, "authenticated"), i ? 0 : 1);
		json_decref(result);
		expect_opened("out.pcap", 0, names[i], 0);
	}
}

static void link_types(void)
{
	static const int types[] = {DLT_RAW, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL};
	json_t *result;
	unsigned i;

	single_box("");
	for (i = 0; i < 4; i++) {
		make_mixed("in.pcap", types[i]);
		CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -j -w out.pcap in.pcap"), 0);
		result = run_json();
		CU_ASSERT_EQUAL(top(result, "packets"), 7);
		CU_ASSERT_EQUAL(reason(result, "ok", "packets"), 3);
		CU_ASSERT_EQUAL(reason(result, "bad-icv", "packets"), 1);
		CU_ASSERT_EQUAL(reason(result, "legacy", "packets"), 1);
		json_decref(result);
		expect_opened("out.pcap", 1, "psp-v1-tunnel-vc", 4);
		expect_opened("out.pcap", 2, "psp-v0-transport", 6);
	}
	make_mixed("in.pcap", DLT_IEEE802_11);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml in.pcap"), 1);
	CU_ASSERT(run_said("in.pcap: link type"));
}

static void many_batches(void)
{
	struct capture capture;
	json_t *result;
	unsigned i;

	single_box("");
	capture_start(&capture, "in.pcap", DLT_EN10MB);
	for (i = 0; i < 1000; i++)
		capture_vector(&capture, i % 3 ? "psp-v1-tunnel-vc" : "psp-v0-transport");
	capture_end(&capture);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -j -w out.pcap in.pcap"), 0);
	result = run_json();
	CU_ASSERT_EQUAL(reason(result, "ok", "packets"), 1000);
	json_decref(result);
	CU_ASSERT_EQUAL(packets_in("out.pcap"), 1000);
	for (i = 0; i < 1000; i += 37)
		expect_opened("out.pcap", i, i % 3 ? "psp-v1-tunnel-vc" : "psp-v0-transport", i);
}

static void table_for_people(void)
{
	single_box("");
	make_mixed("in.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml in.pcap"), 0);
	CU_ASSERT(run_said("bad-icv"));
	CU_ASSERT(run_said("the ICV does not verify"));
	CU_ASSERT(run_said("7 packets, 3 opened (0 unauthenticated, 3 authenticated, 0 reader-ok)"));
	CU_ASSERT(run_said("only in part"));
}

static void policy_decides_drops(void)
{
	json_t *result;

	single_box("policy: {legacy: drop, bad-icv: pass}\n");
	make_mixed("in.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -j -w out.pcap in.pcap"), 0);
	result = run_json();
	CU_ASSERT_EQUAL(reason(result, "legacy", "dropped"), 1);
	CU_ASSERT_EQUAL(reason(result, "bad-icv", "dropped"), 0);
	json_decref(result);
	CU_ASSERT_EQUAL(
		packets_in("out.pcap"), 3); /* what does not verify is not opened, whatever the policy */
}

static void eve_file(void)
{
	json_t *line;
	char *text, *rest, *one;
	unsigned drops = 0, others = 0;

	single_box("");
	make_mixed("in.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -e eve.json in.pcap && cat eve.json"), 0);
	text = rest = strdup(strchr(run_output, '{') ? strchr(run_output, '{') : "");
	while ((one = strsep(&rest, "\n"))) {
		if (!*one)
			continue;
		line = json_loads(one, 0, NULL);
		CU_ASSERT_PTR_NOT_NULL(line);
		if (!strcmp(json_string_value(json_object_get(line, "event_type")), "drop"))
			drops++;
		else
			others++;
		json_decref(line);
	}
	free(text);
	CU_ASSERT(drops >= 1);
	CU_ASSERT(others >= 1); /* flows */
}

static void broken_captures(void)
{
	single_box("");
	make_mixed("whole.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(run_shell("head -c 300 whole.pcap > in.pcap; $H open -c box.yaml in.pcap"), 1);
	CU_ASSERT(run_said("breaks off"));
	CU_ASSERT(run_said("2 packets, 1 opened")); /* what was there is told all the same */
	CU_ASSERT_EQUAL(
		run_shell("echo this is no capture at all, is it > in.pcap; $H open -c box.yaml in.pcap"), 1);
	CU_ASSERT(run_said("in.pcap"));
	CU_ASSERT_EQUAL(run_shell(": > in.pcap; $H open -c box.yaml in.pcap"), 1);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml nowhere.pcap"), 1);
	CU_ASSERT(run_said("nowhere.pcap: No such file"));
	CU_ASSERT_EQUAL(run_shell("head -c 24 whole.pcap > in.pcap; $H open -c box.yaml in.pcap"), 0);
	CU_ASSERT(run_said("0 packets"));
}

/* Every bit of noise a capture can hold: counted, and the sum is whole. */
static void mutated_packets(void)
{
	static const char *const names[] = {"psp-v0-transport", "psp-v1-tunnel-vc", "psp-v0-transport-v6"};
	struct capture capture;
	json_t *result, *row;
	__u8 packet[1024];
	const char *key;
	long long sum = 0;
	__u64 seed = 11;
	size_t size;
	unsigned i;

	single_box("");
	capture_start(&capture, "in.pcap", DLT_EN10MB);
	for (i = 0; i < 3000; i++) {
		size = vector(names[i % 3], "outer_ip", packet, sizeof(packet));
		packet[random_next(&seed) % size] ^= (__u8)random_next(&seed);
		if (i % 5 == 0)
			size = random_next(&seed) % size + 1;
		capture_ip(&capture, packet, size);
	}
	capture_end(&capture);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -j -w out.pcap in.pcap"), 0);
	result = run_json();
	json_object_foreach(json_object_get(result, "reasons"), key, row) sum +=
		json_integer_value(json_object_get(row, "packets"));
	CU_ASSERT_EQUAL(top(result, "packets"), 3000);
	CU_ASSERT_EQUAL(sum, 3000);
	CU_ASSERT_EQUAL(packets_in("out.pcap"), top(result, "opened"));
	json_decref(result);
}

static void output_is_guarded(void)
{
	struct stat status;

	single_box("");
	make_mixed("in.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(run_shell("rm -f out.pcap; umask 0; $H open -c box.yaml -w out.pcap in.pcap"), 0);
	CU_ASSERT_EQUAL(stat(run_path("out.pcap"), &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(run_shell("ln -f in.pcap link.pcap; $H open -c box.yaml -w link.pcap in.pcap"), 1);
	CU_ASSERT(run_said("is the file that is being read"));
	CU_ASSERT_EQUAL(packets_in("in.pcap"), 7);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -w /nonexistent/out.pcap in.pcap"), 1);
	CU_ASSERT(run_said("/nonexistent/out.pcap: cannot be written"));
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -w /dev/full in.pcap"), 1);
	CU_ASSERT(run_said("could not be written in full"));
}

static void key_files_are_guarded(void)
{
	single_box("");
	make_mixed("in.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(chmod(run_path("east.keys"), 0644), 0);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml in.pcap"), 1);
	CU_ASSERT(run_said("chmod 0600"));
	run_file("east.keys", 0600, "slot=0 generation=1 side=enc key=zz receiver=192.0.2.9\n");
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml in.pcap"), 1);
	CU_ASSERT(run_said("east.keys"));
}

static void without_root(void)
{
	single_box("");
	make_mixed("in.pcap", DLT_EN10MB);
	if (geteuid() != 0) {
		skip_test("becoming nobody needs root");
		return;
	}
	if (run_shell("setpriv --reuid 65534 --regid 65534 --clear-groups $H version") != 0) {
		skip_test("nobody may not reach the build directory");
		return;
	}
	CU_ASSERT_EQUAL(
		run_shell("chown -R 65534:65534 .; setpriv --reuid 65534 --regid 65534 --clear-groups "
			  "--bounding-set -all --no-new-privs $H open -c box.yaml -w out2.pcap in.pcap"),
		0);
	CU_ASSERT(run_said("3 opened"));
	CU_ASSERT_EQUAL(run_shell("chown -R 0:0 ."), 0);
}

static void other_tools_read_it(void)
{
	single_box("");
	make_mixed("in.pcap", DLT_EN10MB);
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml -w out.pcap in.pcap"), 0);
	if (run_shell("command -v tcpdump") || run_shell("command -v tshark")) {
		skip_test("tcpdump or tshark is not installed");
		return;
	}
	CU_ASSERT_EQUAL(run_shell("cp out.pcap /dev/stdout | tcpdump -tt -nr - 2>/dev/null"), 0);
	CU_ASSERT(run_said("10.1.0.1.4660 > 10.1.0.2.53"));
	CU_ASSERT_EQUAL(
		run_shell("tshark -n -r out.pcap -T fields -e frame.time_epoch -e ip.dst 2>/dev/null"), 0);
	CU_ASSERT(run_said("1700000000.123456789\t192.0.2.9"));
	CU_ASSERT(run_said("1700000004.123456817\t10.1.0.2"));
}

static void usage(void)
{
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml"), 2);
	CU_ASSERT(run_said("which capture"));
	CU_ASSERT_EQUAL(run_shell("$H open -c box.yaml a b"), 2);
	CU_ASSERT(run_said("\"b\" is one capture too many"));
	CU_ASSERT_EQUAL(run_shell("$H open -x"), 2);
	CU_ASSERT(run_said("no option -x"));
	CU_ASSERT_EQUAL(run_shell("$H open -c"), 2);
	CU_ASSERT(run_said("-c needs a value"));
	CU_ASSERT_EQUAL(run_shell("$H open -c nowhere.yaml in.pcap"), 1);
	CU_ASSERT(run_said("nowhere.yaml"));
	CU_ASSERT_EQUAL(run_shell("$H open --help"), 0);
	CU_ASSERT(run_said("example: halfkey open"));
}

int main(void)
{
	static const struct test tests[] = {
		{"single: authenticated, order and times kept", single_profile},
		{"split: opened, unauthenticated", split_profile},
		{"IPv6, outer and inner", over_ipv6},
		{"every ESP suite", esp_suites},
		{"raw IP, Linux cooked, null captures", link_types},
		{"many batches stay in order", many_batches},
		{"a table for people", table_for_people},
		{"policy decides drops", policy_decides_drops},
		{"EVE file", eve_file},
		{"broken captures", broken_captures},
		{"mutated packets: every one counted", mutated_packets},
		{"what it writes is guarded", output_is_guarded},
		{"key files are guarded", key_files_are_guarded},
		{"without root", without_root},
		{"tcpdump and tshark read it", other_tools_read_it},
		{"usage", usage},
		{0},
	};
	int status;

	if (run_begin())
		return 2;
	vectors = load_vectors("packets.json");
	status = run_tests("open", tests);
	json_decref(vectors);
	run_end();
	return status;
}

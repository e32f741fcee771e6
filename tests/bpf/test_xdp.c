// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The XDP program through BPF_PROG_RUN: each test asserts what becomes of the
 * frame and which counter rose, and after all of them received = sum of reasons.
 */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "maps/rings.h"
#include "tests/bpf/cases.h"
#include "tests/bpf/fixture.h"
#include "tests/unit/harness.h"
#include "user/envelope/outer.h"

static struct fixture fixture;
static struct outcome outcome;
static struct frame frame;

static const struct packet_case good_psp = {.name = "psp"};
static const struct packet_case good_psp_v6 = {.name = "psp", .dst = V6_EAST};
static const struct packet_case legacy = {.name = "legacy", .port = 53};

static unsigned rose(const struct totals *before, const struct totals *after, __u32 row)
{
	return (unsigned)(after->rows[row].packets - before->rows[row].packets);
}

/* Exactly one reason rose, by one packet of `length` bytes; which one? HK_REASON_COUNT: not so. */
static unsigned counted_reason(
	const struct totals *before, const struct totals *after, unsigned length, unsigned dropped)
{
	unsigned row, found = HK_REASON_COUNT, sum = 0;

	for (row = 0; row < HK_REASON_COUNT; row++) {
		sum += rose(before, after, row);
		if (rose(before, after, row) == 1)
			found = row;
	}
	if (sum != 1 || rose(before, after, HK_COUNTER_RECEIVED) != 1)
		return HK_REASON_COUNT;
	if (after->rows[found].bytes - before->rows[found].bytes != length ||
		after->rows[found].dropped - before->rows[found].dropped != dropped)
		return HK_REASON_COUNT;
	return found;
}

/* Runs the frame and asserts reason, fate, and the counter of the reason: packets, bytes, dropped. */
static void expect_on(unsigned port, unsigned queue, unsigned reason, int fate, int dropped)
{
	struct totals before, after;
	unsigned counted;

	fixture_totals(&fixture, &before);
	CU_ASSERT_EQUAL_FATAL(fixture_run(&fixture, frame.data, frame.length, port, queue, &outcome), 0);
	fixture_totals(&fixture, &after);
	counted = counted_reason(&before, &after, frame.length, (unsigned)dropped);
	if (counted != reason || outcome.fate != fate)
		printf("# counted %s, fate %d; expected %s, fate %d\n",
			hk_reason_name(counted) ? hk_reason_name(counted) : "not once", outcome.fate,
			hk_reason_name(reason), fate);
	CU_ASSERT_EQUAL(counted, reason);
	CU_ASSERT_EQUAL(outcome.fate, fate);
	CU_ASSERT_EQUAL(outcome.length, frame.length);
	CU_ASSERT(memcmp(outcome.frame, frame.data, frame.length) == 0);
}

static void expect(unsigned reason, int fate, int dropped)
{
	expect_on(0, 0, reason, fate, dropped);
}

static void start(const struct packet_case *c)
{
	fixture_reset(&fixture);
	frame_build(&frame, c);
}

static void every_case_passes_by_policy(void)
{
	size_t i;

	for (i = 0; packet_case(i); i++) {
		start(packet_case(i));
		expect(packet_case(i)->reason, XDP_REDIRECT, 0);
		CU_ASSERT_EQUAL(outcome.has_meta, packet_case(i)->reason == HK_REASON_TO_WORKER);
	}
}

static void every_refusal_drops_by_policy(void)
{
	size_t i;

	for (i = 0; packet_case(i); i++) {
		if (packet_case(i)->reason == HK_REASON_TO_WORKER)
			continue;
		start(packet_case(i));
		fixture_policy(&fixture, packet_case(i)->reason, HK_ACTION_DROP);
		expect(packet_case(i)->reason, XDP_DROP, 1);
	}
}

/* A policy is for its own reason alone: legacy dropped, control still bridged. */
static void policies_are_apart(void)
{
	const struct packet_case arp = {.ethertype = 0x0806},
				 ike = {.payload = RAW, .port = 500, .bytes = 60};

	start(&arp);
	fixture_policy(&fixture, HK_REASON_LEGACY, HK_ACTION_DROP);
	expect(HK_REASON_CONTROL, XDP_REDIRECT, 0);
	frame_build(&frame, &ike);
	expect(HK_REASON_IKE, XDP_REDIRECT, 0);
	frame_build(&frame, &good_psp);
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
}

static void to_worker_carries_metadata(void)
{
	struct hk_outer *outer = hk_outer_new(frames_config());
	struct hk_meta same;

	start(&good_psp_v6);
	expect_on(1, 0, HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
	CU_ASSERT(outcome.has_meta);
	CU_ASSERT_EQUAL(outcome.meta.port, 1);
	CU_ASSERT_EQUAL(outcome.meta.queue, 0);
	CU_ASSERT(hk_meta_fits(&outcome.meta, frame.length));
	CU_ASSERT_EQUAL(hk_outer_parse(outer, frame.data, frame.length, 1, &same), HK_REASON_TO_WORKER);
	CU_ASSERT(memcmp(&same, &outcome.meta, sizeof(same)) == 0);
	CU_ASSERT_EQUAL(fixture.handed[HK_MAP_SLOT(1, 0)].packets, 1);
	CU_ASSERT_EQUAL(fixture.handed[HK_MAP_SLOT(0, 0)].packets, 0);
	hk_outer_free(outer);
}

static void disarmed(void)
{
	start(&good_psp);
	fixture.settings.armed = 0;
	fixture_put_settings(&fixture);
	expect(HK_REASON_DISARMED, XDP_REDIRECT, 0);
	CU_ASSERT(!outcome.has_meta);
	fixture_policy(&fixture, HK_REASON_DISARMED, HK_ACTION_DROP);
	expect(HK_REASON_DISARMED, XDP_DROP, 1);
	CU_ASSERT_EQUAL(fixture.handed[HK_MAP_SLOT(0, 0)].packets, 0);
}

static void no_socket(void)
{
	start(&good_psp);
	expect_on(0, 1, HK_REASON_NO_SOCKET, XDP_REDIRECT, 0);
	fixture_policy(&fixture, HK_REASON_NO_SOCKET, HK_ACTION_DROP);
	expect_on(0, 1, HK_REASON_NO_SOCKET, XDP_DROP, 1);
	CU_ASSERT_EQUAL(fixture.handed[HK_MAP_SLOT(0, 1)].packets, 0);
}

static void stale_heartbeat(void)
{
	start(&good_psp);
	fixture.settings.heartbeat_ns = 1000000;
	fixture_put_settings(&fixture);
	fixture.heartbeat[HK_MAP_SLOT(0, 0)].beat_ns -= 1000000000;
	expect(HK_REASON_HEARTBEAT, XDP_REDIRECT, 0);
	fixture_policy(&fixture, HK_REASON_HEARTBEAT, HK_ACTION_DROP);
	expect(HK_REASON_HEARTBEAT, XDP_DROP, 1);
	fixture.heartbeat[HK_MAP_SLOT(0, 0)].beat_ns = 0; /* never */
	expect(HK_REASON_HEARTBEAT, XDP_DROP, 1);
	fixture.heartbeat[HK_MAP_SLOT(0, 0)].beat_ns =
		~0ull >> 1; /* written after the program took its time */
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
}

static void ring_full(void)
{
	start(&good_psp);
	fixture.handed[HK_MAP_SLOT(0, 0)].packets = FIXTURE_RING_LIMIT + 41;
	fixture.heartbeat[HK_MAP_SLOT(0, 0)].taken = 42;
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0); /* the last one with room */
	expect(HK_REASON_RING_FULL, XDP_REDIRECT, 0);
	CU_ASSERT(!outcome.has_meta);
	fixture_policy(&fixture, HK_REASON_RING_FULL, HK_ACTION_DROP);
	expect(HK_REASON_RING_FULL, XDP_DROP, 1);
	CU_ASSERT_EQUAL(fixture.handed[HK_MAP_SLOT(0, 0)].packets, FIXTURE_RING_LIMIT + 42);
	fixture.heartbeat[HK_MAP_SLOT(0, 0)].taken++;
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
	fixture.heartbeat[HK_MAP_SLOT(0, 0)].taken = 1u << 30; /* a worker ahead of us is no full ring */
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
}

static void frame_size(void)
{
	const struct packet_case fits = {.behind_packet = FIXTURE_FRAME_MAX - 106};
	const struct packet_case larger = {.behind_packet = FIXTURE_FRAME_MAX - 105};

	start(&fits);
	CU_ASSERT_EQUAL(frame.length, FIXTURE_FRAME_MAX);
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
	start(&larger);
	expect(HK_REASON_FRAME_SIZE, XDP_REDIRECT, 0);
	fixture_policy(&fixture, HK_REASON_FRAME_SIZE, HK_ACTION_DROP);
	expect(HK_REASON_FRAME_SIZE, XDP_DROP, 1);
}

static struct hk_verdict_key verdict_key(void)
{
	struct hk_verdict_key key = {.spi = 0x12345678, .envelope = HK_ENVELOPE_PSP};

	hk_address_parse("192.0.2.200", &key.src);
	hk_address_parse("192.0.2.9", &key.dst);
	return key;
}

static void put_verdict(const struct hk_verdict_key *key, unsigned verdict, __u64 expires_ns)
{
	struct hk_verdict_value value = {.expires_ns = expires_ns, .verdict = (__u8)verdict};

	CU_ASSERT_EQUAL(
		bpf_map_update_elem(bpf_map__fd(fixture.bpf->maps.verdicts), key, &value, BPF_ANY), 0);
}

static void verdict_cache(void)
{
	struct hk_verdict_key key = verdict_key();

	start(&good_psp);
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	expect(HK_REASON_VERDICT_DROP, XDP_DROP, 1);
	put_verdict(&key, HK_VERDICT_ACCEPT, ~0ull);
	expect(HK_REASON_VERDICT_ACCEPT, XDP_REDIRECT, 0);
	CU_ASSERT(!outcome.has_meta);
	put_verdict(&key, HK_VERDICT_DROP, 1); /* expired */
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
	put_verdict(&key, HK_VERDICT_DELAY, ~0ull); /* nothing the kernel can do */
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
}

static void verdict_is_for_its_flow_alone(void)
{
	struct hk_verdict_key key = verdict_key();

	start(&good_psp);
	key.spi ^= 1;
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	key = verdict_key();
	key.envelope = HK_ENVELOPE_ESP;
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	key = verdict_key();
	key.src.bytes[15] ^= 1;
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	key = verdict_key();
	key.dst.bytes[15] ^= 1;
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
}

/* A restart or two reloads give a domain another number: its flows are the same. */
static void verdict_outlives_a_domains_number(void)
{
	struct hk_config config = *frames_config();
	struct hk_domain_config domains[HK_DOMAINS_MAX];
	struct hk_verdict_key key = verdict_key();
	unsigned i;

	memcpy(domains, config.domains, config.domains_count * sizeof(domains[0]));
	for (i = 0; i < config.domains_count; i++)
		domains[i].id += 100;
	config.domains = domains;
	start(&good_psp);
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	CU_ASSERT_EQUAL_FATAL(fixture_receivers(&fixture, &config), 0);
	expect(HK_REASON_VERDICT_DROP, XDP_DROP, 1);
	CU_ASSERT_EQUAL_FATAL(fixture_receivers(&fixture, frames_config()), 0);
}

/* An operator's verdict holds while nobody inspects, whatever the fail policy. */
static void verdict_holds_without_a_worker(void)
{
	struct hk_verdict_key key = verdict_key();

	start(&good_psp);
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	fixture.settings.armed = 0;
	fixture_put_settings(&fixture);
	expect(HK_REASON_VERDICT_DROP, XDP_DROP, 1);
	put_verdict(&key, HK_VERDICT_ACCEPT, ~0ull);
	fixture_policy(&fixture, HK_REASON_DISARMED, HK_ACTION_DROP);
	expect(HK_REASON_VERDICT_ACCEPT, XDP_REDIRECT, 0);
}

static void set_mode(unsigned mode)
{
	fixture.settings.mode = (__u8)mode;
	fixture_put_settings(&fixture);
}

static int see_record(void *context, void *data, size_t size)
{
	struct hk_copy *copy = data;
	unsigned *seen = context;

	CU_ASSERT_FATAL(size >= sizeof(*copy) + copy->length);
	CU_ASSERT_EQUAL(copy->length, frame.length);
	CU_ASSERT(memcmp(copy + 1, frame.data, frame.length) == 0);
	CU_ASSERT_EQUAL(copy->meta.domain, DOMAIN_EAST);
	CU_ASSERT(hk_meta_fits(&copy->meta, copy->length));
	CU_ASSERT(copy->time_ns != 0);
	(*seen)++;
	return 0;
}

/* Reads all records of queue 0's ring. */
static unsigned read_copies(void)
{
	__u32 queue = 0, id = 0;
	struct ring_buffer *ring;
	unsigned seen = 0;
	int fd;

	CU_ASSERT_EQUAL(bpf_map_lookup_elem(bpf_map__fd(fixture.bpf->maps.copies), &queue, &id), 0);
	fd = bpf_map_get_fd_by_id(id);
	ring = ring_buffer__new(fd, see_record, &seen, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	close(fd);
	return seen;
}

static void monitor_copies_and_forwards(void)
{
	static const unsigned sizes[] = {
		0, 149, 150, 151, 533, 534, 535, 1493, 1494, 1495, FIXTURE_FRAME_MAX - 106};
	struct packet_case c = {0};
	struct totals before, after;
	unsigned i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		c.behind_packet = sizes[i];
		start(&c);
		set_mode(HK_MODE_MONITOR);
		fixture_totals(&fixture, &before);
		expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
		fixture_totals(&fixture, &after);
		CU_ASSERT(!outcome.has_meta);
		CU_ASSERT_EQUAL(rose(&before, &after, HK_COUNTER_COPIED), 1);
		CU_ASSERT_EQUAL(rose(&before, &after, HK_COUNTER_COPY_LOST), 0);
		CU_ASSERT_EQUAL(read_copies(), 1);
	}
}

static void monitor_loses_copies_not_packets(void)
{
	struct totals before, after;
	unsigned i;

	start(&good_psp);
	set_mode(HK_MODE_MONITOR);
	for (i = 0; i < 13; i++) /* 4096 bytes hold 13 records of 8 + 40 + 256 */
		expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
	fixture_totals(&fixture, &before);
	expect(HK_REASON_RING_FULL, XDP_REDIRECT, 0);
	fixture_totals(&fixture, &after);
	CU_ASSERT_EQUAL(rose(&before, &after, HK_COUNTER_COPY_LOST), 1);
	CU_ASSERT_EQUAL(rose(&before, &after, HK_COUNTER_COPIED), 0);
	fixture_policy(&fixture, HK_REASON_RING_FULL, HK_ACTION_DROP);
	expect(HK_REASON_RING_FULL, XDP_DROP, 1);
	CU_ASSERT_EQUAL(read_copies(), 13);
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
	CU_ASSERT_EQUAL(read_copies(), 1);
}

static void monitor_without_a_worker(void)
{
	start(&good_psp);
	set_mode(HK_MODE_MONITOR);
	expect_on(0, 1, HK_REASON_NO_SOCKET, XDP_REDIRECT, 0); /* no ring buffer on queue 1 */
	fixture.heartbeat[HK_MAP_SLOT(0, 0)].beat_ns = 0;
	expect(HK_REASON_HEARTBEAT, XDP_REDIRECT, 0);
	fixture.settings.armed = 0;
	fixture_put_settings(&fixture);
	expect(HK_REASON_DISARMED, XDP_REDIRECT, 0);
	CU_ASSERT_EQUAL(read_copies(), 0);
}

/* A verdict acts on later packets in monitor mode, too, and saves their copies. */
static void monitor_obeys_verdicts(void)
{
	struct hk_verdict_key key = verdict_key();

	start(&good_psp);
	set_mode(HK_MODE_MONITOR);
	put_verdict(&key, HK_VERDICT_DROP, ~0ull);
	expect(HK_REASON_VERDICT_DROP, XDP_DROP, 1);
	put_verdict(&key, HK_VERDICT_ACCEPT, ~0ull);
	expect(HK_REASON_VERDICT_ACCEPT, XDP_REDIRECT, 0);
	CU_ASSERT_EQUAL(read_copies(), 0);
}

static void passive_lets_nothing_through(void)
{
	struct hk_verdict_key key = verdict_key();

	start(&good_psp);
	set_mode(HK_MODE_PASSIVE);
	expect(HK_REASON_TO_WORKER, XDP_REDIRECT, 0);
	CU_ASSERT(outcome.has_meta);
	put_verdict(&key, HK_VERDICT_ACCEPT, ~0ull);
	expect(HK_REASON_VERDICT_ACCEPT, XDP_DROP, 0);
	frame_build(&frame, &legacy);
	expect(HK_REASON_LEGACY, XDP_DROP, 0); /* taken off the wire: not a drop of the policy's */
	fixture_policy(&fixture, HK_REASON_LEGACY, HK_ACTION_DROP);
	expect(HK_REASON_LEGACY, XDP_DROP, 1);
}

/* What cannot go out of the other port is counted as dropped. */
static void no_other_port(void)
{
	__u32 port = 0, other = (__u32)fixture.ifindex[1];
	int map = bpf_map__fd(fixture.bpf->maps.tx_ports);

	start(&legacy);
	CU_ASSERT_EQUAL(bpf_map_delete_elem(map, &port), 0);
	expect(HK_REASON_LEGACY, XDP_DROP, 1);
	CU_ASSERT_EQUAL(bpf_map_update_elem(map, &port, &other, BPF_ANY), 0);
	expect(HK_REASON_LEGACY, XDP_REDIRECT, 0);
}

static void conservation(void)
{
	struct totals totals;
	__u64 packets = 0, bytes = 0, dropped = 0, runs = 0;
	unsigned row;

	fixture_totals(&fixture, &totals);
	for (row = 0; row < HK_REASON_COUNT; row++) {
		packets += totals.rows[row].packets;
		bytes += totals.rows[row].bytes;
		dropped += totals.rows[row].dropped;
	}
	for (row = 0; packet_case(row); row++) /* each ran once, and each refusal again */
		runs += packet_case(row)->reason == HK_REASON_TO_WORKER ? 1 : 2;
	CU_ASSERT(packets > runs);
	CU_ASSERT_EQUAL(totals.rows[HK_COUNTER_RECEIVED].packets, packets);
	CU_ASSERT_EQUAL(totals.rows[HK_COUNTER_RECEIVED].bytes, bytes);
	CU_ASSERT_EQUAL(totals.rows[HK_COUNTER_RECEIVED].dropped, dropped);
}

/* The ABI that other programs rely on: names, and type information wherever our structs are. */
static void maps_are_readable(void)
{
	struct bpf_map_info info;
	struct bpf_map *map;
	unsigned maps = 0, typed = 0;
	__u32 size;

	bpf_object__for_each_map(map, fixture.bpf->obj)
	{
		size = sizeof(info);
		memset(&info, 0, sizeof(info));
		CU_ASSERT_EQUAL(bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size), 0);
		CU_ASSERT_STRING_EQUAL(info.name, bpf_map__name(map)); /* not truncated */
		maps++;
		typed += info.btf_value_type_id != 0;
	}
	CU_ASSERT_EQUAL(maps, 10);
	CU_ASSERT_EQUAL(typed, 7);
}

int main(void)
{
	static const struct test tests[] = {
		{"every case is counted and passes by policy", every_case_passes_by_policy},
		{"every refusal drops by policy", every_refusal_drops_by_policy},
		{"each policy is for its own reason", policies_are_apart},
		{"to-worker carries the metadata", to_worker_carries_metadata},
		{"disarmed", disarmed},
		{"no socket on the queue", no_socket},
		{"stale heartbeat", stale_heartbeat},
		{"ring full", ring_full},
		{"frame larger than a worker's", frame_size},
		{"verdict cache", verdict_cache},
		{"a verdict is for its flow alone", verdict_is_for_its_flow_alone},
		{"a verdict holds without a worker", verdict_holds_without_a_worker},
		{"a verdict outlives its domain's number", verdict_outlives_a_domains_number},
		{"monitor copies and forwards", monitor_copies_and_forwards},
		{"monitor loses copies, not packets", monitor_loses_copies_not_packets},
		{"monitor without a worker", monitor_without_a_worker},
		{"monitor obeys verdicts", monitor_obeys_verdicts},
		{"passive lets nothing through", passive_lets_nothing_through},
		{"no other port", no_other_port},
		{"received is the sum of all reasons", conservation},
		{"maps have names and types", maps_are_readable},
		{0},
	};
	int status;

	if (fixture_start(&fixture, "xdp"))
		return 0;
	status = run_tests("xdp", tests);
	fixture_stop(&fixture);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The outer parser in userspace: every row of cases.h, the vectors, and truncation at every byte. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bpf/cases.h"
#include "tests/unit/harness.h"
#include "user/envelope/outer.h"

static struct hk_outer *outer;

/* Parses from an allocation of exactly the frame's size, so that a sanitizer sees any read past it. */
static unsigned parse(const __u8 *bytes, unsigned length, struct hk_meta *meta)
{
	__u8 *copy = malloc(length ? length : 1);
	unsigned reason;

	memcpy(copy, bytes, length);
	reason = hk_outer_parse(outer, copy, length, 1, meta);
	free(copy);
	return reason;
}

static void every_case(void)
{
	struct hk_meta meta;
	struct frame frame;
	unsigned reason;
	size_t i;

	for (i = 0; packet_case(i); i++) {
		frame_build(&frame, packet_case(i));
		reason = parse(frame.data, frame.length, &meta);
		if (reason != packet_case(i)->reason)
			printf("# %s: %s, not %s\n", packet_case(i)->name, hk_reason_name(reason),
				hk_reason_name(packet_case(i)->reason));
		CU_ASSERT_EQUAL(reason, packet_case(i)->reason);
		if (reason == HK_REASON_TO_WORKER)
			CU_ASSERT(hk_meta_fits(&meta, frame.length));
	}
}

static void metadata_of_psp(void)
{
	const struct packet_case c = {.tags = 2, .options = 12, .hel = 2, .behind_packet = 9};
	struct hk_meta meta;
	struct frame frame;

	frame_build(&frame, &c);
	CU_ASSERT_EQUAL(parse(frame.data, frame.length, &meta), HK_REASON_TO_WORKER);
	CU_ASSERT_EQUAL(meta.version, HK_META_VERSION);
	CU_ASSERT_EQUAL(meta.envelope, HK_ENVELOPE_PSP);
	CU_ASSERT_EQUAL(meta.flags, HK_META_UDP);
	CU_ASSERT_EQUAL(meta.port, 1);
	CU_ASSERT_EQUAL(meta.l3_offset, 22);
	CU_ASSERT_EQUAL(meta.envelope_offset, 22 + 32 + 8);
	CU_ASSERT_EQUAL(meta.payload_offset, meta.envelope_offset + 24);
	CU_ASSERT_EQUAL(meta.end_offset, frame.length - 9);
	CU_ASSERT_EQUAL(meta.domain, DOMAIN_EAST);
	CU_ASSERT_EQUAL(meta.queue, 0);
	CU_ASSERT_EQUAL(meta.spi, 0x12345678);
	CU_ASSERT_EQUAL(meta.reserved, 0);
}

static void metadata_of_esp(void)
{
	const struct packet_case c = {.dst = V6_WEST,
		.payload = ESP,
		.protocol = 50,
		.extension_count = 2,
		.extensions = {0, 60},
		.behind_packet = 5};
	struct hk_meta meta;
	struct frame frame;

	frame_build(&frame, &c);
	CU_ASSERT_EQUAL(parse(frame.data, frame.length, &meta), HK_REASON_TO_WORKER);
	CU_ASSERT_EQUAL(meta.envelope, HK_ENVELOPE_ESP);
	CU_ASSERT_EQUAL(meta.flags, HK_META_OUTER_V6);
	CU_ASSERT_EQUAL(meta.l3_offset, 14);
	CU_ASSERT_EQUAL(meta.envelope_offset, 14 + 40 + 16);
	CU_ASSERT_EQUAL(meta.payload_offset, meta.envelope_offset + 8);
	CU_ASSERT_EQUAL(meta.end_offset, frame.length - 5);
	CU_ASSERT_EQUAL(meta.domain, DOMAIN_WEST);
	CU_ASSERT_EQUAL(meta.spi, 0x20345679);
}

static void hash_tells_flows_apart(void)
{
	struct packet_case c = {0};
	struct hk_meta one, other;
	struct frame frame;

	frame_build(&frame, &c);
	parse(frame.data, frame.length, &one);
	frame.data[frame.envelope + 8] ^= 1; /* the IV is not part of it */
	parse(frame.data, frame.length, &other);
	CU_ASSERT_EQUAL(one.flow_hash, other.flow_hash);
	frame.data[frame.envelope + 7] ^= 1; /* the SPI is */
	parse(frame.data, frame.length, &other);
	CU_ASSERT_NOT_EQUAL(one.flow_hash, other.flow_hash);
	frame.data[frame.envelope + 7] ^= 1;
	frame.data[frame.ip + 15] ^= 1; /* and the addresses are */
	parse(frame.data, frame.length, &other);
	CU_ASSERT_NOT_EQUAL(one.flow_hash, other.flow_hash);
	frame.data[frame.ip + 15] ^= 1;
	frame.data[frame.ip + 19] ^= 1;
	CU_ASSERT_EQUAL(parse(frame.data, frame.length, &other), HK_REASON_TO_WORKER);
	CU_ASSERT_NOT_EQUAL(one.flow_hash, other.flow_hash);
}

/* No good packet stays good when it is cut, whatever its lengths say. */
static void truncation(void)
{
	struct hk_meta meta;
	struct frame frame;
	unsigned length;
	size_t i;

	for (i = 0; packet_case(i); i++) {
		frame_build(&frame, packet_case(i));
		for (length = 0; length < frame.length; length++) {
			if (parse(frame.data, length, &meta) == HK_REASON_TO_WORKER)
				CU_ASSERT(hk_meta_fits(&meta, length));
			if (length < frame.length - packet_case(i)->behind_packet)
				CU_ASSERT_NOT_EQUAL(parse(frame.data, length, &meta), HK_REASON_TO_WORKER);
		}
	}
}

static void longest_prefix_decides(void)
{
	const struct packet_case east = {.dst = "192.0.2.127"}, both = {.dst = "192.0.2.128"};
	const struct packet_case esp = {.dst = "192.0.2.128", .payload = ESP, .protocol = 50};
	const struct packet_case no_esp = {.dst = "192.0.2.127", .payload = ESP, .protocol = 50};
	struct hk_meta meta;
	struct frame frame;

	frame_build(&frame, &east);
	CU_ASSERT_EQUAL(parse(frame.data, frame.length, &meta), HK_REASON_TO_WORKER);
	CU_ASSERT_EQUAL(meta.domain, DOMAIN_EAST);
	frame_build(&frame, &both);
	CU_ASSERT_EQUAL(parse(frame.data, frame.length, &meta), HK_REASON_TO_WORKER);
	CU_ASSERT_EQUAL(meta.domain, DOMAIN_EAST);
	frame_build(&frame, &esp);
	CU_ASSERT_EQUAL(parse(frame.data, frame.length, &meta), HK_REASON_TO_WORKER);
	CU_ASSERT_EQUAL(meta.domain, DOMAIN_WEST);
	frame_build(&frame, &no_esp);
	CU_ASSERT_EQUAL(parse(frame.data, frame.length, &meta), HK_REASON_NO_DOMAIN);
}

/* A capture can hold IP packets whose end does not fit the metadata's 16 bits. */
static void largest_packet(void)
{
	static __u8 bytes[14 + 65535 + 100];
	struct packet_case c = {0};
	struct hk_meta meta;
	struct frame frame;

	frame_build(&frame, &c);
	memcpy(bytes, frame.data, frame.length);
	bytes[frame.ip + 2] = bytes[frame.ip + 3] = 0xff;
	bytes[frame.transport + 4] = (65535 - 20) >> 8;
	bytes[frame.transport + 5] = (65535 - 20) & 0xff;
	CU_ASSERT_EQUAL(parse(bytes, sizeof(bytes), &meta), HK_REASON_FRAME_SIZE);
	bytes[frame.ip + 3] = 0xff - 14;
	bytes[frame.transport + 5] -= 14;
	CU_ASSERT_EQUAL(parse(bytes, sizeof(bytes), &meta), HK_REASON_TO_WORKER);
	CU_ASSERT(hk_meta_fits(&meta, sizeof(bytes)));
	CU_ASSERT_EQUAL(meta.end_offset, 65535);
}

static int vector_domain(const char *name)
{
	if (strncmp(name, "psp-", 4) == 0)
		return HK_ENVELOPE_PSP;
	return strncmp(name, "esp-", 4) == 0 ? HK_ENVELOPE_ESP : 0;
}

/* A domain of `envelope` around every address, with the vector's suite. */
static struct hk_outer *outer_around_all(unsigned envelope, int suite)
{
	static struct hk_prefix all[2] = {
		{.length = 0}, {.length = 96, .address = {.bytes = {[10] = 0xff, [11] = 0xff}}}};
	struct hk_domain_config domain = {.id = 3,
		.envelope = (__u8)envelope,
		.suite = (__u8)(suite < 0 ? 0 : suite),
		.receivers = all,
		.receivers_count = 2};
	const struct hk_config config = {.domains = &domain, .domains_count = 1};

	return hk_outer_new(&config);
}

static void check_vector(const json_t *vector, unsigned envelope)
{
	const char *suite = json_string_value(json_object_get(vector, "suite"));
	__u8 frame[2048] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00};
	size_t size = vector_bytes(vector, "outer_ip", frame + 14, sizeof(frame) - 14);
	struct hk_outer *all = outer_around_all(envelope, suite ? hk_suite_by_name(suite) : 0);
	struct hk_meta meta;

	if (frame[14] >> 4 == 6)
		frame[12] = 0x86, frame[13] = 0xdd;
	CU_ASSERT_EQUAL(hk_outer_parse(all, frame, (__u32)size + 14, 0, &meta), HK_REASON_TO_WORKER);
	CU_ASSERT_EQUAL(meta.envelope, envelope);
	CU_ASSERT_EQUAL(meta.domain, 3);
	CU_ASSERT_EQUAL(meta.end_offset, size + 14);
	hk_outer_free(all);
}

static void vectors_are_for_a_worker(void)
{
	json_t *vectors = load_vectors("packets.json"), *vector;
	unsigned seen = 0, envelope;
	size_t i;

	json_array_foreach(vectors, i, vector)
	{
		envelope = (unsigned)vector_domain(json_string_value(json_object_get(vector, "name")));
		if (!envelope)
			continue;
		check_vector(vector, envelope);
		seen++;
	}
	CU_ASSERT_EQUAL(seen, 10);
	json_decref(vectors);
}

int main(void)
{
	static const struct test tests[] = {
		{"every refusal and every good packet", every_case},
		{"metadata of a PSP packet", metadata_of_psp},
		{"metadata of an ESP packet", metadata_of_esp},
		{"the flow hash covers addresses and SPI", hash_tells_flows_apart},
		{"a cut packet is never good", truncation},
		{"the longest prefix decides", longest_prefix_decides},
		{"the largest IP packet", largest_packet},
		{"the vectors are for a worker", vectors_are_for_a_worker},
		{0},
	};
	int status;

	outer = hk_outer_new(frames_config());
	status = outer ? run_tests("outer", tests) : 2;
	hk_outer_free(outer);
	return status;
}

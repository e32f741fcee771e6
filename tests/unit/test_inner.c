// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inner parser on good packets and on hostile ones. Hostile packets are
 * copied into exact heap blocks, so that the sanitizer build sees every read
 * beyond them.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/harness.h"
#include "tests/unit/inner_help.h"
#include "user/base/text.h"
#include "user/pipeline/inner.h"
#include "user/pipeline/plausible.h"

static int parse(const __u8 *data, __u32 length, struct hk_hook_packet *packet)
{
	memset(packet, 0, sizeof(*packet));
	return hk_packet_parse(data, length, packet);
}

static void tcp_is_read(void)
{
	struct hk_hook_packet packet;
	__u8 data[256];
	int version;

	for (version = 4; version <= 6; version += 2) {
		__u32 length = make_tcp(data, version, 0x18, 30), l4 = version == 4 ? 20 : 40;

		CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
		CU_ASSERT_EQUAL(packet.ip_version, version);
		CU_ASSERT_EQUAL(packet.protocol, IPPROTO_TCP);
		CU_ASSERT_EQUAL(packet.data_length, length);
		CU_ASSERT_EQUAL(packet.l4_offset, l4);
		CU_ASSERT_EQUAL(packet.payload_offset, l4 + 20);
		CU_ASSERT_EQUAL(packet.payload_length, 30);
		CU_ASSERT_EQUAL(packet.tcp_flags, 0x18);
		CU_ASSERT_EQUAL(packet.flags, HK_PACKET_PORTS);
		CU_ASSERT_EQUAL(packet.src_port, 1000);
		CU_ASSERT_EQUAL(packet.dst_port, 80);
		CU_ASSERT_EQUAL(packet.src.bytes[15], 1);
		CU_ASSERT_EQUAL(packet.dst.bytes[15], 2);
	}
}

static void bytes_behind_the_packet_do_not_count(void)
{
	struct hk_hook_packet packet;
	__u8 data[256];
	__u32 length = make_udp(data, 4, 53, 53, 10);

	CU_ASSERT_EQUAL(parse(data, length + 50, &packet), 0);
	CU_ASSERT_EQUAL(packet.data_length, length);
	CU_ASSERT_EQUAL(packet.payload_length, 10);
}

/* What UDP says of its length counts where it can be: less than the packet, and more than its own header. */
static void udp_says_how_long_it_is(void)
{
	static const struct {
		unsigned says, payload;
	} rows[] = {{310, 302}, {309, 301}, {308, 300}, {257, 249}, {9, 1}, {8, 0}, {7, 302}, {0, 302},
		{311, 302}, {65535, 302}};
	struct hk_hook_packet packet;
	__u8 data[512];
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__u32 length = make_udp(data, 4, 53, 53, 302);

		hk_put16(data + 24, rows[i].says);
		CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
		CU_ASSERT_EQUAL(packet.payload_offset, 28);
		CU_ASSERT_EQUAL(packet.payload_length, rows[i].payload);
	}
}

/* Nothing but a header is a packet, too. */
static void the_shortest_packets(void)
{
	struct hk_hook_packet packet;
	__u8 data[64];

	make_ip(data, 4, IPPROTO_UDP, 0);
	CU_ASSERT_EQUAL(parse(data, 20, &packet), 0);
	CU_ASSERT_EQUAL(packet.data_length, 20);
	CU_ASSERT_EQUAL(packet.flags, 0);
	CU_ASSERT_EQUAL(parse(data, 19, &packet), -EINVAL);
	make_ip(data, 6, IPPROTO_UDP, 0);
	CU_ASSERT_EQUAL(parse(data, 40, &packet), 0);
	CU_ASSERT_EQUAL(packet.data_length, 40);
	CU_ASSERT_EQUAL(parse(data, 39, &packet), -EINVAL);
	make_udp(data, 4, 1, 2, 0);
	CU_ASSERT_EQUAL(parse(data, 28, &packet), 0);
	CU_ASSERT_EQUAL(packet.payload_offset, 28);
	CU_ASSERT_EQUAL(packet.payload_length, 0);
}

static void options_and_extensions_are_walked(void)
{
	struct hk_hook_packet packet;
	__u8 data[256];

	/* IPv4 with 8 bytes of options */
	make_udp(data, 4, 7, 9, 4);
	memmove(data + 28, data + 20, 12);
	memset(data + 20, 1, 8);
	data[0] = 0x47;
	hk_put16(data + 2, 40);
	CU_ASSERT_EQUAL(parse(data, 40, &packet), 0);
	CU_ASSERT_EQUAL(packet.l4_offset, 28);
	CU_ASSERT_EQUAL(packet.dst_port, 9);
	/* IPv6: hop-by-hop, destination options of 16 bytes, atomic fragment, UDP */
	make_ip(data, 6, 0, 8 + 16 + 8 + 8 + 4);
	memset(data + 40, 0, 64);
	data[40] = 60;
	data[48] = 44;
	data[49] = 1;
	data[64] = IPPROTO_UDP;
	hk_put16(data + 74, 99);
	hk_put16(data + 76, 12);
	CU_ASSERT_EQUAL(parse(data, 84, &packet), 0);
	CU_ASSERT_EQUAL(packet.protocol, IPPROTO_UDP);
	CU_ASSERT_EQUAL(packet.l4_offset, 72);
	CU_ASSERT_EQUAL(packet.dst_port, 99);
	CU_ASSERT_EQUAL(packet.payload_length, 4);
	CU_ASSERT_FALSE(packet.flags & HK_PACKET_FRAGMENT);
}

static void fragments_show_ports_in_the_first_only(void)
{
	struct hk_hook_packet packet;
	__u8 data[256];
	__u32 length = make_udp(data, 4, 7, 9, 16);

	data[6] = 0x20; /* more fragments, offset 0 */
	CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
	CU_ASSERT_EQUAL(packet.flags, HK_PACKET_FRAGMENT | HK_PACKET_PORTS);
	data[7] = 2;
	CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
	CU_ASSERT_EQUAL(packet.flags, HK_PACKET_FRAGMENT);
	CU_ASSERT_EQUAL(packet.l4_offset, 0);
	CU_ASSERT_EQUAL(packet.src_port, 0);
	/* IPv6, second fragment */
	make_ip(data, 6, 44, 8 + 16);
	memset(data + 40, 0, 24);
	data[40] = IPPROTO_TCP;
	data[43] = 0x08;
	CU_ASSERT_EQUAL(parse(data, 64, &packet), 0);
	CU_ASSERT_EQUAL(packet.flags, HK_PACKET_FRAGMENT);
	CU_ASSERT_EQUAL(packet.protocol, IPPROTO_TCP);
	CU_ASSERT_EQUAL(packet.l4_offset, 0);
}

static void what_no_host_reads_is_refused(void)
{
	struct hk_hook_packet packet;
	__u8 data[256];
	__u32 length = make_udp(data, 4, 7, 9, 16);

	CU_ASSERT_NOT_EQUAL(parse(data, 19, &packet), 0);
	CU_ASSERT_NOT_EQUAL(parse(data, length - 1, &packet), 0);
	data[0] = 0x44;
	CU_ASSERT_NOT_EQUAL(parse(data, length, &packet), 0);
	data[0] = 0x4f; /* a header longer than the packet */
	hk_put16(data + 2, 44);
	CU_ASSERT_NOT_EQUAL(parse(data, 44, &packet), 0);
	data[0] = 0x55;
	CU_ASSERT_NOT_EQUAL(parse(data, length, &packet), 0);
	length = make_udp(data, 6, 7, 9, 16);
	CU_ASSERT_NOT_EQUAL(parse(data, length - 1, &packet), 0);
	data[6] = 60; /* destination options longer than the packet */
	data[41] = 200;
	CU_ASSERT_NOT_EQUAL(parse(data, length, &packet), 0);
	length = make_udp(data, 6, 7, 9, 16);
	memset(data + 8, 0, 16);
	data[18] = data[19] = 0xff;
	CU_ASSERT_NOT_EQUAL(parse(data, length, &packet), 0);
}

/* Whatever the parser says must lie inside the packet. */
static void check_bounds(const struct hk_hook_packet *packet, __u32 length)
{
	CU_ASSERT_TRUE(packet->data_length <= length);
	CU_ASSERT_TRUE(packet->l4_offset <= packet->data_length);
	CU_ASSERT_TRUE(packet->payload_offset <= packet->data_length);
	CU_ASSERT_TRUE(packet->payload_offset + packet->payload_length <= packet->data_length);
}

static void parse_exact(const __u8 *data, __u32 length)
{
	__u8 *exact = malloc(length ? length : 1);
	struct hk_hook_packet packet;
	struct hk_flow_key key;
	__u8 swapped;

	memcpy(exact, data, length);
	if (parse(exact, length, &packet) == 0) {
		check_bounds(&packet, length);
		hk_plausible(exact, &packet, false);
		hk_plausible(exact, &packet, true);
		hk_packet_flow(exact, &packet, &key, &swapped);
	}
	free(exact);
}

static __u32 make_nested(__u8 *data)
{
	make_ip(data, 6, 0, 8 + 8 + 12 + 24);
	memset(data + 40, 0, 52);
	data[40] = 43;
	data[48] = 51;
	data[56] = IPPROTO_TCP;
	data[57] = 1;
	data[68 + 12] = 0x50;
	return 92;
}

/* Every packet kind cut at every byte, once with its length as it was and once with it fitted. */
static void every_truncation_is_safe(void)
{
	__u8 data[256], cut[256];
	__u32 length, size;
	unsigned kind;

	for (kind = 0; kind < 5; kind++) {
		length = kind == 0   ? make_tcp(data, 4, 2, 20)
			 : kind == 1 ? make_tcp(data, 6, 2, 20)
			 : kind == 2 ? make_udp(data, 4, 1, 2, 20)
			 : kind == 3 ? make_udp(data, 6, 1, 2, 20)
				     : make_nested(data);
		for (size = 0; size <= length; size++) {
			parse_exact(data, size);
			memcpy(cut, data, sizeof(cut));
			if (cut[0] >> 4 == 4)
				hk_put16(cut + 2, size);
			else if (size >= 40)
				hk_put16(cut + 4, size - 40);
			parse_exact(cut, size);
		}
	}
}

static void random_packets_are_safe(void)
{
	__u64 seed = 7;
	__u8 data[128];
	unsigned round, i;
	__u32 length;

	for (round = 0; round < 50000; round++) {
		length = (__u32)(random_next(&seed) % (sizeof(data) + 1));
		for (i = 0; i < sizeof(data); i++)
			data[i] = (__u8)random_next(&seed);
		data[0] = (__u8)(round % 2 ? 0x60 | (data[0] & 15) : 0x40 | (data[0] & 15));
		if (round % 3 && length >= 40) {
			hk_put16(data + (round % 2 ? 4 : 2), round % 2 ? length - 40 : length);
			/* extension headers are where loops could run away */
			data[6] = (const __u8[]){0, 43, 44, 51, 60, 6, 17, 58}[data[6] % 8];
		}
		parse_exact(data, length);
	}
}

static void both_directions_are_one_flow(void)
{
	struct hk_hook_packet packet;
	struct hk_flow_key there, back;
	__u8 data[256], swapped_there, swapped_back;
	__u64 hash;
	int version;

	for (version = 4; version <= 6; version += 2) {
		__u32 length = make_tcp(data, version, 2, 5);

		CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
		packet.domain = 3;
		hash = hk_packet_flow(data, &packet, &there, &swapped_there);
		turn_around(data);
		CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
		packet.domain = 3;
		CU_ASSERT_EQUAL(hk_packet_flow(data, &packet, &back, &swapped_back), hash);
		CU_ASSERT_EQUAL(memcmp(&there, &back, sizeof(there)), 0);
		CU_ASSERT_NOT_EQUAL(swapped_there, swapped_back);
		packet.domain = 4;
		CU_ASSERT_NOT_EQUAL(hk_packet_flow(data, &packet, &back, &swapped_back), hash);
	}
}

/* One flow of these ends, whichever comes first, and another one for each thing that differs. */
static void ends_that_are_nearly_alike(void)
{
	static const struct {
		const char *from, *to;
		__u16 from_port, to_port;
	} rows[] = {
		{"fd00::1", "fd00::1", 1000, 80},
		{"fd00::1", "fd00::1", 80, 1000},
		{"fd00::1", "fd01::1", 80, 1000}, /* the same host in two networks */
		{"fd01::1", "fd00::1", 80, 1000},
		{"fd00::1", "fd00::2", 80, 80},
		{"fd00::1", "fd00::2", 80, 1000},
		{"fd00::1", "fd00::2", 1000, 80},
	};
	struct hk_flow_key keys[sizeof(rows) / sizeof(rows[0])], back;
	__u8 data[128], swapped_there, swapped_back;
	struct hk_hook_packet packet;
	struct hk_address end;
	unsigned i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__u32 length = make_udp(data, 6, rows[i].from_port, rows[i].to_port, 4);

		CU_ASSERT_EQUAL(hk_address_parse(rows[i].from, &end), 0);
		memcpy(data + 8, end.bytes, 16);
		CU_ASSERT_EQUAL(hk_address_parse(rows[i].to, &end), 0);
		memcpy(data + 24, end.bytes, 16);
		CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
		hk_packet_flow(data, &packet, &keys[i], &swapped_there);
		turn_around(data);
		CU_ASSERT_EQUAL(parse(data, length, &packet), 0);
		hk_packet_flow(data, &packet, &back, &swapped_back);
		CU_ASSERT_EQUAL(memcmp(&keys[i], &back, sizeof(back)), 0);
		CU_ASSERT_EQUAL(swapped_there + swapped_back, 1);
		for (j = 0; j < i; j++) /* the first two are each other's answers */
			CU_ASSERT_EQUAL(memcmp(&keys[j], &keys[i], sizeof(back)) == 0, i == 1 && j == 0);
	}
}

static void a_ping_and_its_answer_are_one_flow(void)
{
	struct hk_hook_packet packet;
	struct hk_flow_key there, back;
	__u8 data[64], swapped;
	__u64 hash;

	make_ip(data, 4, IPPROTO_ICMP, 8);
	memcpy(data + 20, (const __u8[]){8, 0, 0, 0, 0x12, 0x34, 0, 1}, 8);
	CU_ASSERT_EQUAL(parse(data, 28, &packet), 0);
	CU_ASSERT_EQUAL(packet.src_port, 8);
	hash = hk_packet_flow(data, &packet, &there, &swapped);
	memcpy(data + 12, (const __u8[]){10, 1, 0, 2, 10, 1, 0, 1}, 8);
	data[20] = 0;
	CU_ASSERT_EQUAL(parse(data, 28, &packet), 0);
	CU_ASSERT_EQUAL(hk_packet_flow(data, &packet, &back, &swapped), hash);
	CU_ASSERT_EQUAL(memcmp(&there, &back, sizeof(there)), 0);
	data[25] = 0x35;
	CU_ASSERT_NOT_EQUAL(hk_packet_flow(data, &packet, &back, &swapped), hash);
	CU_ASSERT_EQUAL(back.low_port, 0x1235);
	CU_ASSERT_EQUAL(back.high_port, 0x1235);
}

/* What is no echo, or too short for one, has no identifier: all of it between two hosts is one flow. */
static void other_icmp_has_no_identifier(void)
{
	static const struct {
		int version;
		__u8 protocol, type;
		__u32 size;
		__u16 port;
	} rows[] = {
		{4, IPPROTO_ICMP, 0, 8, 0x1234},
		{4, IPPROTO_ICMP, 8, 8, 0x1234},
		{4, IPPROTO_ICMP, 8, 7, 0},
		{4, IPPROTO_ICMP, 3, 8, 0},
		{4, IPPROTO_ICMP, 128, 8, 0},
		{4, IPPROTO_ICMPV6, 128, 8, 0x1234},
		{6, IPPROTO_ICMPV6, 128, 8, 0x1234},
		{6, IPPROTO_ICMPV6, 129, 8, 0x1234},
		{6, IPPROTO_ICMPV6, 129, 7, 0},
		{6, IPPROTO_ICMPV6, 135, 8, 0},
		{6, IPPROTO_ICMPV6, 8, 8, 0},
	};
	struct hk_hook_packet packet;
	struct hk_flow_key key;
	__u8 data[64], swapped;
	__u32 l4;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		l4 = make_ip(data, rows[i].version, rows[i].protocol, rows[i].size);
		memcpy(data + l4, (const __u8[]){rows[i].type, 7, 0, 0, 0x12, 0x34, 0, 1}, 8);
		CU_ASSERT_EQUAL(parse(data, l4 + rows[i].size, &packet), 0);
		CU_ASSERT_EQUAL(packet.src_port, rows[i].type);
		CU_ASSERT_EQUAL(packet.dst_port, 7);
		hk_packet_flow(data, &packet, &key, &swapped);
		CU_ASSERT_EQUAL(key.low_port, rows[i].port);
		CU_ASSERT_EQUAL(key.high_port, rows[i].port);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"TCP is read", tcp_is_read},
		{"bytes behind the packet do not count", bytes_behind_the_packet_do_not_count},
		{"UDP says how long it is", udp_says_how_long_it_is},
		{"the shortest packets", the_shortest_packets},
		{"options and extension headers are walked", options_and_extensions_are_walked},
		{"fragments show ports in the first only", fragments_show_ports_in_the_first_only},
		{"what no host reads is refused", what_no_host_reads_is_refused},
		{"every truncation is safe", every_truncation_is_safe},
		{"random packets are safe", random_packets_are_safe},
		{"both directions are one flow", both_directions_are_one_flow},
		{"ends that are nearly alike", ends_that_are_nearly_alike},
		{"other ICMP has no identifier", other_icmp_has_no_identifier},
		{"a ping and its answer are one flow", a_ping_and_its_answer_are_one_flow},
		{0},
	};
	return run_tests("inner", tests);
}

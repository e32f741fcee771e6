// SPDX-License-Identifier: GPL-2.0-or-later
/* Packet or noise: what an end host would take is plausible, noise is not. */
#include <stdbool.h>

#include "tests/unit/harness.h"
#include "tests/unit/inner_help.h"
#include "user/pipeline/inner.h"
#include "user/pipeline/plausible.h"

enum { EIGRP = 88, OSPF = 89, VRRP = 112 }; /* which <netinet/in.h> does not name */

static bool plausible(const __u8 *data, __u32 length, bool suspect)
{
	struct hk_hook_packet packet = {0};

	return hk_packet_parse(data, length, &packet) == 0 && hk_plausible(data, &packet, suspect);
}

static void good_packets_pass(void)
{
	__u8 data[256];
	int version;

	for (version = 4; version <= 6; version += 2) {
		CU_ASSERT_TRUE(plausible(data, make_tcp(data, version, 0x02, 0), false));
		CU_ASSERT_TRUE(plausible(data, make_tcp(data, version, 0x18, 7), true));
		CU_ASSERT_TRUE(plausible(data, make_tcp(data, version, 0x04, 0), false));
		CU_ASSERT_TRUE(plausible(data, make_udp(data, version, 1, 2, 0), false));
		CU_ASSERT_TRUE(plausible(data, make_udp(data, version, 1, 2, 9), true));
	}
}

static void the_ip4_checksum_must_hold(void)
{
	__u8 data[256];
	__u32 length = make_udp(data, 4, 1, 2, 9), bit;

	for (bit = 0; bit < 20 * 8; bit++) {
		data[bit / 8] ^= (__u8)(1 << bit % 8);
		CU_ASSERT_FALSE(plausible(data, length, false));
		data[bit / 8] ^= (__u8)(1 << bit % 8);
	}
}

static void a_group_never_sends(void)
{
	__u8 data[256];
	__u32 length = make_udp(data, 4, 1, 2, 9);

	data[12] = 224;
	fix_ip4(data);
	CU_ASSERT_FALSE(plausible(data, length, false));
	length = make_udp(data, 6, 1, 2, 9);
	data[8] = 0xff;
	CU_ASSERT_FALSE(plausible(data, length, false));
}

static void tcp_that_no_host_takes(void)
{
	__u8 data[256];
	__u32 length = make_tcp(data, 4, 0x10, 20);

	data[32] = 0x40; /* data offset 16 */
	CU_ASSERT_FALSE(plausible(data, length, false));
	data[32] = 0xf0; /* behind the end */
	CU_ASSERT_FALSE(plausible(data, length, false));
	length = make_ip(data, 4, IPPROTO_TCP, 19) + 19;
	CU_ASSERT_FALSE(plausible(data, length, false));
}

/* Reserved bits and odd flags are legal: with a right checksum they must be inspected like any packet. */
static void rare_tcp_proves_itself_by_its_checksum(void)
{
	__u8 data[256];
	int version;

	for (version = 4; version <= 6; version += 2) {
		__u32 l4 = version == 4 ? 20 : 40, length = make_tcp(data, version, 0x00, 11);

		CU_ASSERT_TRUE(plausible(data, length, false));
		data[length - 1] ^= 1;
		CU_ASSERT_FALSE(plausible(data, length, false));
		length = make_tcp(data, version, 0x13, 11); /* SYN, FIN and ACK */
		CU_ASSERT_TRUE(plausible(data, length, false));
		data[l4 + 4] ^= 0x80;
		CU_ASSERT_FALSE(plausible(data, length, false));
		length = make_tcp(data, version, 0x10, 11);
		data[l4 + 12] |= 0x0e;
		fix_transport(data, length, l4, IPPROTO_TCP, l4 + 16);
		CU_ASSERT_TRUE(plausible(data, length, false));
		data[l4 + 12] = 0x54;
		CU_ASSERT_FALSE(plausible(data, length, false));
	}
}

static void udp_lengths(void)
{
	__u8 data[256];
	__u32 length = make_udp(data, 4, 1, 2, 20);

	hk_put16(data + 24, 7);
	CU_ASSERT_FALSE(plausible(data, length, false));
	hk_put16(data + 24, 29);
	CU_ASSERT_FALSE(plausible(data, length, false));
	/* shorter than the packet: hosts cut it, so it counts when its checksum holds */
	hk_put16(data + 24, 18);
	CU_ASSERT_FALSE(plausible(data, length, false));
	fix_transport(data, 38, 20, IPPROTO_UDP, 26);
	CU_ASSERT_TRUE(plausible(data, length, false));
	length = make_ip(data, 4, IPPROTO_UDP, 7) + 7;
	CU_ASSERT_FALSE(plausible(data, length, false));
}

static void icmp_checksums(void)
{
	__u8 data[64];
	__u32 length;

	length = make_ip(data, 4, IPPROTO_ICMP, 12) + 12;
	memset(data + 20, 8, 12);
	fix_transport(data, length, 20, IPPROTO_ICMP, 22);
	CU_ASSERT_TRUE(plausible(data, length, false));
	data[30] ^= 1;
	CU_ASSERT_FALSE(plausible(data, length, false));
	length = make_ip(data, 6, IPPROTO_ICMPV6, 12) + 12;
	memset(data + 40, 8, 12);
	fix_transport(data, length, 40, IPPROTO_ICMPV6, 42);
	CU_ASSERT_TRUE(plausible(data, length, false));
	data[50] ^= 1;
	CU_ASSERT_FALSE(plausible(data, length, false));
}

static void suspects_must_have_a_checksum(void)
{
	__u8 data[256];
	__u32 length = make_tcp(data, 6, 0x10, 30);

	data[length - 1] ^= 1;
	CU_ASSERT_TRUE(plausible(data, length, false)); /* hosts check it, the box need not */
	data[40 + 13] = 0x11;
	CU_ASSERT_TRUE(plausible(data, length, false)); /* the end of a connection is no rarer */
	data[40 + 13] = 0x15;
	CU_ASSERT_FALSE(plausible(data, length, false));
	data[40 + 13] = 0x10;
	CU_ASSERT_FALSE(plausible(data, length, true));
	length = make_ip(data, 6, 200, 30) + 30;
	CU_ASSERT_TRUE(plausible(data, length, false));
	CU_ASSERT_FALSE(plausible(data, length, true));
}

static void other_protocols_by_their_fixed_fields(void)
{
	static const struct {
		__u8 protocol;
		__u8 good[16], bad[16]; /* the first of 44 bytes; the others are 0 */
	} cases[] = {
		{IPPROTO_GRE, {0x20, 0, 0x08, 0}, {0x20, 3, 0x08, 0}},
		{IPPROTO_GRE, {0x30, 1, 0x88, 0x0b}, {0x70, 1, 0x88, 0x0b}},
		{IPPROTO_GRE, {0, 0, 0x06, 0}, {0, 0, 0x05, 0xff}},
		{IPPROTO_ESP, {0, 0, 1, 0}, {0, 0, 0, 9}},
		{IPPROTO_AH, {6, 4, 0, 0}, {6, 4, 0, 1}},
		{IPPROTO_AH, {6, 9, 0, 0}, {6, 10, 0, 0}},
		{OSPF, {2, 1, 0, 40}, {4, 1, 0, 40}},
		{OSPF, {3, 1, 0, 44}, {3, 1, 0, 45}},
		{VRRP, {0x21}, {0x51}},
		{VRRP, {0x31}, {0x20}},
		{EIGRP, {2}, {3}},
		{IPPROTO_PIM, {0x20}, {0x30}},
		{IPPROTO_COMP, {6, 0, 9}, {6, 1}},
		{IPPROTO_DCCP, {[4] = 3, 0xff}, {[4] = 2}},
		{IPPROTO_DCCP, {[4] = 11}, {[4] = 12}},
		{IPPROTO_SCTP, {[15] = 4}, {[15] = 3}},
		{IPPROTO_SCTP, {[15] = 32}, {[15] = 33}},
		{IPPROTO_UDPLITE, {0, 1, 0, 2, 0, 8}, {0, 1, 0, 2, 0, 7}},
		{IPPROTO_UDPLITE, {0, 1, 0, 2, 0, 44}, {0, 1, 0, 2, 0, 45}},
		{IPPROTO_UDPLITE, {0, 1, 0, 2}, {0, 1, 0, 2, 0, 1}},
		{IPPROTO_RSVP, {0x10}, {0x20}},
	};
	__u8 data[128];
	unsigned i;
	__u32 l4;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		l4 = make_ip(data, 4, cases[i].protocol, 44);
		memset(data + l4, 0, 44);
		memcpy(data + l4, cases[i].good, 16);
		CU_ASSERT_TRUE(plausible(data, l4 + 44, false));
		memcpy(data + l4, cases[i].bad, 16);
		CU_ASSERT_FALSE(plausible(data, l4 + 44, false));
	}
}

/* Noise behind a right-looking header, as a wrong key gives in transport mode. */
static unsigned noise(int version, __u8 protocol, unsigned rounds)
{
	__u64 seed = 11;
	__u8 data[256];
	unsigned round, i, taken = 0;
	__u32 l4;

	for (round = 0; round < rounds; round++) {
		l4 = make_ip(data, version, protocol, 64);
		for (i = 0; i < 64; i++)
			data[l4 + i] = (__u8)(random_next(&seed) >> 16);
		taken += plausible(data, l4 + 64, false);
	}
	return taken;
}

static void noise_is_told_from_packets(void)
{
	const unsigned rounds = 20000;

	CU_ASSERT_TRUE(noise(4, IPPROTO_TCP, rounds) < rounds / 20);
	CU_ASSERT_TRUE(noise(6, IPPROTO_TCP, rounds) < rounds / 20);
	CU_ASSERT_TRUE(noise(4, IPPROTO_UDP, rounds) < rounds / 1000);
	CU_ASSERT_TRUE(noise(4, IPPROTO_ICMP, rounds) < rounds / 1000);
}

int main(void)
{
	static const struct test tests[] = {
		{"good packets pass", good_packets_pass},
		{"the IPv4 checksum must hold", the_ip4_checksum_must_hold},
		{"a group never sends", a_group_never_sends},
		{"TCP that no host takes", tcp_that_no_host_takes},
		{"rare TCP proves itself by its checksum", rare_tcp_proves_itself_by_its_checksum},
		{"UDP lengths", udp_lengths},
		{"ICMP checksums", icmp_checksums},
		{"suspects must have a checksum", suspects_must_have_a_checksum},
		{"other protocols by their fixed fields", other_protocols_by_their_fixed_fields},
		{"noise is told from packets", noise_is_told_from_packets},
		{0},
	};
	return run_tests("plausible", tests);
}

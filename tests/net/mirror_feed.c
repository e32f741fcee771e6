// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drives the mirror alone, for test_mirror.sh: opens the feeds as halfkeyd's
 * starter does, gives up all rights as its inspector does, and plays traffic
 * that a hostile tunnel could carry. Commands, one a line, on standard input;
 * `done` after each on standard output, when the feed has done with it:
 *
 *   http PORT       an HTTP exchange, both directions, from client port PORT
 *   udp ADDRESS P   a datagram to ADDRESS (IPv4 or IPv6) and port P
 *   flood COUNT     datagrams as fast as the feed takes them
 *   quit
 *   stats           a line `written N lost N errors N`
 *
 *   mirror_feed TAP
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/feed/feed.h"

#define CLIENT "192.0.2.10"
#define SERVER "198.51.100.20"

static struct hk_feeds *feeds;
static unsigned offered, lost;

static __u64 wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

static void put(const __u8 *packet, size_t size, unsigned direction)
{
	struct hk_record record = {.kind = HK_RECORD_PACKET,
		.data_length = (__u16)size,
		.wall_ns = wall_ns(),
		.direction = (__u8)direction};

	if (hk_feed_put(hk_feeds_queue(feeds, 0), &record, packet))
		offered++;
	else
		lost++;
}

/* Until the feed thread has written, or lost, what it was offered; ten seconds are enough for anything. */
static void settle(void)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	struct hk_feed_stats rows[HK_FEEDS_MAX] = {0};
	unsigned patience = 10000;

	do {
		nanosleep(&nap, NULL);
		hk_feeds_stats(feeds, rows);
	} while (rows[0].written + rows[0].lost < offered && patience--);
}

static __u16 sum16(const void *bytes, size_t size)
{
	const __u8 *at = bytes;
	__u32 sum = 0;

	for (; size > 1; at += 2, size -= 2)
		sum += (__u32)at[0] << 8 | at[1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((__u16)~sum);
}

static void ip4(__u8 *packet, const char *src, const char *dst, unsigned protocol, size_t size)
{
	struct iphdr header = {.version = 4, .ihl = 5, .ttl = 64, .protocol = (__u8)protocol};

	header.tot_len = htons((__u16)size);
	inet_pton(AF_INET, src, &header.saddr);
	inet_pton(AF_INET, dst, &header.daddr);
	header.check = sum16(&header, sizeof(header));
	memcpy(packet, &header, sizeof(header));
}

/* The checksum stays 0, as opened copies may have it wrong: readers are told not to check. */
static void segment(bool to_server, unsigned port, __u32 seq, __u32 ack, unsigned flags, const char *text)
{
	struct tcphdr tcp = {.doff = 5, .window = htons(65000)};
	size_t size = 40 + strlen(text);
	__u8 packet[1500];

	tcp.source = htons((__u16)(to_server ? port : 80));
	tcp.dest = htons((__u16)(to_server ? 80 : port));
	tcp.seq = htonl(seq);
	tcp.ack_seq = htonl(ack);
	((__u8 *)&tcp)[13] = (__u8)flags;
	ip4(packet, to_server ? CLIENT : SERVER, to_server ? SERVER : CLIENT, IPPROTO_TCP, size);
	memcpy(packet + 20, &tcp, sizeof(tcp));
	memcpy(packet + 40, text, strlen(text));
	put(packet, size, to_server ? 0 : 1);
}

static void http(unsigned port)
{
	static const char request[] = "GET /secret HTTP/1.1\r\nHost: example.com\r\nUser-Agent: t\r\n\r\n";
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nforbidden";
	__u32 c = 1000, s = 5000, c_end = c + 1 + sizeof(request) - 1, s_end = s + 1 + sizeof(answer) - 1;

	segment(true, port, c, 0, TH_SYN, "");
	segment(false, port, s, c + 1, TH_SYN | TH_ACK, "");
	segment(true, port, c + 1, s + 1, TH_ACK, "");
	segment(true, port, c + 1, s + 1, TH_ACK | TH_PUSH, request);
	segment(false, port, s + 1, c_end, TH_ACK | TH_PUSH, answer);
	segment(true, port, c_end, s_end, TH_ACK | TH_FIN, "");
	segment(false, port, s_end, c_end + 1, TH_ACK | TH_FIN, "");
	segment(true, port, c_end + 1, s_end + 1, TH_ACK, "");
}

static __u16 udp6_sum(const __u8 *packet, size_t udp_size)
{
	__u8 pseudo[40 + 512] = {0};

	memcpy(pseudo, packet + 8, 32);
	pseudo[35] = (__u8)udp_size;
	pseudo[39] = IPPROTO_UDP;
	memcpy(pseudo + 40, packet + 40, udp_size);
	return sum16(pseudo, 40 + ((udp_size + 1) & ~(size_t)1));
}

/* Valid in every respect (checksums too): what the stack would take if it saw it. */
static void udp(const char *address, unsigned port)
{
	static const char text[] = "injected";
	struct udphdr header = {.source = htons(53), .dest = htons((__u16)port)};
	bool v6 = strchr(address, ':') != NULL;
	size_t ip = v6 ? 40 : 20, size = sizeof(header) + sizeof(text) - 1;
	__u8 packet[128] = {0x60};

	header.len = htons((__u16)size);
	memcpy(packet + ip, &header, sizeof(header));
	memcpy(packet + ip + sizeof(header), text, sizeof(text) - 1);
	if (!v6) {
		ip4(packet, "203.0.113.5", address, IPPROTO_UDP, ip + size);
		put(packet, ip + size, 0);
		put(packet, ip + size, 1);
		return;
	}
	packet[5] = (__u8)size;
	packet[6] = IPPROTO_UDP;
	packet[7] = 64;
	inet_pton(AF_INET6, "2001:db8::5", packet + 8);
	inet_pton(AF_INET6, address, packet + 24);
	header.check = udp6_sum(packet, size);
	memcpy(packet + ip + 6, &header.check, 2);
	put(packet, ip + size, 0);
	put(packet, ip + size, 1);
}

static void flood(unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		udp("192.0.2.77", 7777);
		if (i % 500 == 499)
			settle();
	}
}

static void stats(void)
{
	struct hk_feed_stats rows[HK_FEEDS_MAX] = {0};

	hk_feeds_stats(feeds, rows);
	printf("written %llu lost %llu errors %llu\n", (unsigned long long)rows[0].written,
		(unsigned long long)rows[0].lost + lost, (unsigned long long)rows[0].errors);
}

static void command(const char *line)
{
	char address[64];
	unsigned number;

	if (sscanf(line, "http %u", &number) == 1)
		http(number);
	else if (sscanf(line, "udp %63s %u", address, &number) == 2)
		udp(address, number);
	else if (sscanf(line, "flood %u", &number) == 1)
		flood(number);
	else if (strncmp(line, "stats", 5) == 0)
		stats();
	settle();
	printf("done\n");
	fflush(stdout);
}

/* From here on no capability and nobody's user: feeds must not need either. */
static int drop_rights(void)
{
	cap_t none = cap_init();
	int code = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setgid(65534) || setuid(65534) ||
		   cap_set_proc(none);

	cap_free(none);
	return code;
}

int main(int argc, char **argv)
{
	struct hk_config config = {.feeds.mirror_tap = argc > 1 ? argv[1] : (char *)"insp0"};
	struct hk_error error = {0};
	struct hk_files files = {0};
	char line[128];

	if (hk_feeds_open(&feeds, &config, &files, 1, &error)) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	if (drop_rights() || hk_feeds_start(feeds, &error)) {
		fprintf(stderr, "cannot start: %s\n", error.text);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && strncmp(line, "quit", 4) != 0)
		command(line);
	hk_feeds_free(feeds);
	return 0;
}

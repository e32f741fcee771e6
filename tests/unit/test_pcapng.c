// SPDX-License-Identifier: GPL-2.0-or-later
/* The pcapng feed and the frames in it, read back with libpcap and with the programs people use. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/base/log.h"
#include "user/feed/feed.h"
#include "user/feed/frame.h"

#define WALL 1767225600123456789ull /* 2026-01-01T00:00:00.123456789Z */

static char directory[64], path[96];
static struct hk_config config = {
	.directory = directory,
	.ports = {(char *)"box-c", (char *)"box-s"},
	.ports_count = 2,
	.feeds.pcapng_max_bytes = 1 << 20,
};

static struct hk_feeds *feeds_open(struct hk_files *files)
{
	struct hk_error error = {0};
	struct hk_feeds *feeds = NULL;

	config.feeds.pcapng_path = (char *)"out.pcapng";
	CU_ASSERT_EQUAL_FATAL(hk_feeds_open(&feeds, &config, files, 1, &error), 0);
	return feeds;
}

static void feeds_close(struct hk_feeds *feeds, struct hk_files *files)
{
	hk_feeds_free(feeds);
	hk_files_close(files);
	memset(files, 0, sizeof(*files));
}

static struct hk_feed_stats stats_of(const struct hk_feeds *feeds)
{
	struct hk_feed_stats stats[HK_FEEDS_MAX] = {0};

	CU_ASSERT_EQUAL(hk_feeds_stats(feeds, stats), 1);
	CU_ASSERT_STRING_EQUAL(stats[0].name, "pcapng");
	return stats[0];
}

/* A packet whose bytes follow from its number: IPv4 or, where odd, IPv6. */
static size_t packet_make(__u8 *packet, unsigned number)
{
	size_t size = 60 + number % 1400, i;

	for (i = 0; i < size; i++)
		packet[i] = (__u8)(number + i);
	packet[0] = number % 2 ? 0x60 : 0x45;
	return size;
}

static bool put(struct hk_feeds *feeds, unsigned number)
{
	__u8 packet[2048];
	size_t size = packet_make(packet, number);
	struct hk_record record = {.kind = HK_RECORD_PACKET,
		.data_length = (__u16)size,
		.direction = number % 3 == 0,
		.wall_ns = WALL + number};
	bool fits = hk_feed_put(hk_feeds_queue(feeds, 0), &record, packet);

	hk_feeds_drain(feeds);
	return fits;
}

static bool frame_is(const struct pcap_pkthdr *header, const __u8 *frame, unsigned number)
{
	__u8 packet[2048], head[HK_FRAME_HEADER];
	size_t size = packet_make(packet, number);
	__u64 ns = (__u64)header->ts.tv_sec * 1000000000ull + (__u64)header->ts.tv_usec;

	hk_frame_header(head, number % 3 == 0, packet, (__u32)size);
	return header->caplen == size + sizeof(head) && header->len == header->caplen &&
	       ns == WALL + number && memcmp(frame, head, sizeof(head)) == 0 &&
	       memcmp(frame + sizeof(head), packet, size) == 0;
}

/* Reads the file with libpcap: packets first, first + 1, ... all as they were. How many; -1: broken. */
static int read_back(unsigned first)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
	struct pcap_pkthdr *header;
	const __u8 *frame;
	int code, count = 0;

	if (!pcap)
		return -1;
	CU_ASSERT_EQUAL(pcap_datalink(pcap), DLT_EN10MB);
	for (; (code = pcap_next_ex(pcap, &header, &frame)) == 1; count++)
		CU_ASSERT_TRUE(frame_is(header, frame, first + (unsigned)count));
	if (code != PCAP_ERROR_BREAK)
		printf("# %s\n", pcap_geterr(pcap));
	pcap_close(pcap);
	return code == PCAP_ERROR_BREAK ? count : -1;
}

static void frames_tell_sides_and_versions(void)
{
	__u8 packet[64] = {0x45}, a[HK_FRAME_HEADER], b[HK_FRAME_HEADER];

	hk_frame_header(a, 0, packet, 20);
	hk_frame_header(b, 1, packet, 20);
	CU_ASSERT_EQUAL(memcmp(a, b + 6, 6), 0);
	CU_ASSERT_EQUAL(memcmp(a + 6, b, 6), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, 6), 0);
	CU_ASSERT_EQUAL(a[0] & 3, 2); /* locally administered, unicast */
	CU_ASSERT_TRUE(a[12] == 0x08 && a[13] == 0x00);
	hk_frame_header(a, 0, packet, 19);
	CU_ASSERT_TRUE(a[12] == 0x88 && a[13] == 0xb5);
	packet[0] = 0x60;
	hk_frame_header(a, 0, packet, 40);
	CU_ASSERT_TRUE(a[12] == 0x86 && a[13] == 0xdd);
	hk_frame_header(a, 0, packet, 39);
	CU_ASSERT_TRUE(a[12] == 0x88 && a[13] == 0xb5);
	hk_frame_header(a, 0, NULL, 0);
	CU_ASSERT_TRUE(a[12] == 0x88 && a[13] == 0xb5);
}

static void packets_come_back_whole(void)
{
	struct hk_files files = {0};
	struct hk_feeds *feeds = feeds_open(&files);
	struct stat status;
	unsigned i;

	for (i = 0; i < 200; i++)
		CU_ASSERT_TRUE(put(feeds, i));
	CU_ASSERT_EQUAL(stats_of(feeds).written, 200);
	CU_ASSERT_EQUAL(stats_of(feeds).lost, 0);
	CU_ASSERT_EQUAL(read_back(0), 200);
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 0777, 0640);
	feeds_close(feeds, &files);
	unlink(path);
}

static void file_is_continued(void)
{
	struct hk_files files = {0};
	struct hk_feeds *feeds;
	unsigned i;

	for (i = 0; i < 6; i++) {
		feeds = feeds_open(&files);
		CU_ASSERT_TRUE(put(feeds, 2 * i));
		CU_ASSERT_TRUE(put(feeds, 2 * i + 1));
		feeds_close(feeds, &files);
	}
	CU_ASSERT_EQUAL(read_back(0), 12);
	unlink(path);
}

static void nothing_seen_nothing_written(void)
{
	struct hk_files files = {0};
	struct stat status;

	feeds_close(feeds_open(&files), &files);
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT_EQUAL(status.st_size, 0);
	unlink(path);
}

static void writing_ends_at_the_limit(void)
{
	struct hk_files files = {0};
	struct hk_feeds *feeds;
	struct stat status;
	unsigned i;

	config.feeds.pcapng_max_bytes = 20000;
	feeds = feeds_open(&files);
	for (i = 0; i < 300; i++)
		CU_ASSERT_TRUE(put(feeds, i));
	CU_ASSERT_TRUE(stats_of(feeds).lost > 0);
	CU_ASSERT_EQUAL(stats_of(feeds).written + stats_of(feeds).lost, 300);
	feeds_close(feeds, &files);
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT_TRUE(status.st_size <= 20000 && status.st_size > 18000);
	/* and a restart does not begin anew */
	feeds = feeds_open(&files);
	for (i = 0; i < 20; i++)
		put(feeds, 1000 + i);
	CU_ASSERT_EQUAL(stats_of(feeds).written, 0);
	CU_ASSERT_EQUAL(stats_of(feeds).lost, 20);
	feeds_close(feeds, &files);
	config.feeds.pcapng_max_bytes = 1 << 20;
	CU_ASSERT_TRUE(read_back(0) > 0);
	unlink(path);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
}

/* Full anywhere, in the section's header or in a packet: what is on the file stays readable. */
static void disk_full_never_tears_a_block(void)
{
	struct hk_files files = {0};
	struct hk_feeds *feeds;
	__u64 written;
	rlim_t bytes;

	signal(SIGXFSZ, SIG_IGN);
	for (bytes = 1; bytes < 600; bytes += 13) {
		feeds = feeds_open(&files);
		limit_file_size(bytes);
		put(feeds, 0);
		put(feeds, 1);
		put(feeds, 2);
		put(feeds, 3);
		put(feeds, 4);
		written = stats_of(feeds).written;
		CU_ASSERT_TRUE(stats_of(feeds).errors > 0);
		feeds_close(feeds, &files);
		limit_file_size(RLIM_INFINITY);
		CU_ASSERT_EQUAL(read_back(0), written ? (int)written : -1); /* an empty file is none */
		unlink(path);
	}
}

static void writing_resumes_after_a_full_disk(void)
{
	struct hk_files files = {0};
	struct hk_feeds *feeds = feeds_open(&files);

	limit_file_size(100);
	put(feeds, 0); /* torn: its rest waits */
	limit_file_size(RLIM_INFINITY);
	put(feeds, 1);
	CU_ASSERT_EQUAL(stats_of(feeds).written, 2);
	CU_ASSERT_EQUAL(stats_of(feeds).lost, 0);
	CU_ASSERT_EQUAL(read_back(0), 2);
	feeds_close(feeds, &files);
	unlink(path);
}

static void program_says(const char *program, const char *arguments, const char *wanted)
{
	char command[512], out[1024] = "";
	FILE *pipe;
	size_t size;

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	if (system(command)) {
		skip_test(program);
		return;
	}
	snprintf(command, sizeof(command), "TZ=UTC %s %s 2>/dev/null", program, arguments);
	pipe = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
	size = fread(out, 1, sizeof(out) - 1, pipe);
	out[size] = '\0';
	CU_ASSERT_EQUAL(pclose(pipe), 0);
	if (!strstr(out, wanted))
		printf("# %s says: %s\n", command, out);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, wanted));
}

static void programs_read_it(void)
{
	struct hk_files files = {0};
	struct hk_feeds *feeds = feeds_open(&files);
	char arguments[300];

	put(feeds, 0);
	put(feeds, 1);
	feeds_close(feeds, &files);
	snprintf(arguments, sizeof(arguments), "-e -nn -r %s", path);
	program_says("tcpdump", arguments,
		"00:00:00.123456 02:48:4b:00:00:01 > 02:48:4b:00:00:00, ethertype IPv4");
	snprintf(arguments, sizeof(arguments), "-c -M -t %s", path);
	program_says("capinfos", arguments, "Number of packets:   2");
	snprintf(arguments, sizeof(arguments),
		"-r %s -T fields -e frame.time_epoch -e frame.interface_name -e eth.src", path);
	program_says("tshark", arguments,
		"1767225600.123456789\tbox-s\t02:48:4b:00:00:01\n"
		"1767225600.123456790\tbox-c\t02:48:4b:00:00:00\n");
	unlink(path);
}

int main(void)
{
	static const struct test tests[] = {
		{"frames tell sides and IP versions", frames_tell_sides_and_versions},
		{"packets come back whole, to the nanosecond", packets_come_back_whole},
		{"a file is continued after a restart", file_is_continued},
		{"nothing seen, nothing written", nothing_seen_nothing_written},
		{"writing ends at the limit", writing_ends_at_the_limit},
		{"a full disk never tears a block", disk_full_never_tears_a_block},
		{"writing resumes after a full disk", writing_resumes_after_a_full_disk},
		{"tcpdump, capinfos and tshark read it", programs_read_it}, {0}};
	int code;

	snprintf(directory, sizeof(directory), "/tmp/halfkey-pcapng.XXXXXX");
	if (!mkdtemp(directory))
		return 2;
	snprintf(path, sizeof(path), "%s/out.pcapng", directory);
	code = run_tests("pcapng", tests);
	unlink(path);
	rmdir(directory);
	return code;
}

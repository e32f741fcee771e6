// SPDX-License-Identifier: GPL-2.0-or-later
/* Capture files: see capture.h. Every byte read here is hostile. */
#include "user/cmd/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ETHERNET    14
#define SLL_HEADER  16
#define SLL2_HEADER 20
#define NULL_HEADER 4

struct hk_capture {
	pcap_t *pcap;
	const char *path;
	int link_type;
	struct stat status;
};

struct hk_capture_out {
	pcap_t *dead;
	pcap_dumper_t *dumper;
	char *path;
};

/* --- in --- */

static bool is_known(int link_type)
{
	switch (link_type) {
	case DLT_EN10MB:
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
	case DLT_LINUX_SLL:
#ifdef DLT_LINUX_SLL2
	case DLT_LINUX_SLL2:
#endif
	case DLT_NULL:
	case DLT_LOOP: return true;
	default: return false;
	}
}

static int check_link_type(struct hk_capture *capture, struct hk_error *error)
{
	const char *name = pcap_datalink_val_to_name(capture->link_type);

	if (is_known(capture->link_type))
		return 0;
	return hk_error_set(error, ENOTSUP,
		"%s: link type %d%s%s%s is not read: Ethernet, raw IP, Linux cooked and null are",
		capture->path, capture->link_type, name ? " (" : "", name ? name : "", name ? ")" : "");
}

int hk_capture_open(struct hk_capture **out, const char *path, struct hk_error *error)
{
	char reason[PCAP_ERRBUF_SIZE] = "";
	struct hk_capture *capture = calloc(1, sizeof(*capture));
	int code;

	*out = NULL;
	if (!capture)
		return hk_error_set(error, ENOMEM, "%s: out of memory", path);
	capture->path = path;
	capture->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, reason);
	if (!capture->pcap) {
		free(capture);
		return hk_error_set(error, EINVAL, "%s%s%s", strncmp(reason, path, strlen(path)) ? path : "",
			strncmp(reason, path, strlen(path)) ? ": " : "", reason);
	}
	capture->link_type = pcap_datalink(capture->pcap);
	fstat(fileno(pcap_file(capture->pcap)), &capture->status);
	code = check_link_type(capture, error);
	if (code) {
		hk_capture_close(capture);
		return code;
	}
	*out = capture;
	return 0;
}

static __u16 ethertype_of_ip(const __u8 *packet, __u32 length)
{
	return length && packet[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
}

/* The protocol family of BSD's loopback: 2 is IPv4 everywhere, IPv6 is 10, 24, 28 or 30, in either byte
 * order. */
static __u16 ethertype_of_family(const __u8 *header)
{
	__u8 family = header[0] ? header[0] : header[3];

	return family == 2 ? ETH_P_IP : ETH_P_IPV6;
}

/* How many bytes stand in front of the network header, and what they say that is; false: too short. */
static bool read_link(int link_type, const __u8 *bytes, __u32 length, __u32 *header, __u16 *ethertype)
{
	switch (link_type) {
	case DLT_LINUX_SLL:
		*header = SLL_HEADER;
		*ethertype = length >= SLL_HEADER ? (__u16)(bytes[14] << 8 | bytes[15]) : 0;
		break;
#ifdef DLT_LINUX_SLL2
	case DLT_LINUX_SLL2:
		*header = SLL2_HEADER;
		*ethertype = length >= SLL2_HEADER ? (__u16)(bytes[0] << 8 | bytes[1]) : 0;
		break;
#endif
	case DLT_NULL:
	case DLT_LOOP:
		*header = NULL_HEADER;
		*ethertype = length >= NULL_HEADER ? ethertype_of_family(bytes) : 0;
		break;
	default: *header = 0; *ethertype = ethertype_of_ip(bytes, length);
	}
	return length >= *header;
}

static void take_bytes(struct hk_captured *captured, const __u8 *bytes, __u32 length, __u32 at)
{
	__u32 room = HK_CAPTURE_FRAME_MAX - at;

	if (length > room) {
		captured->cut = captured->too_long = true;
		length = room;
	}
	memcpy(captured->data + at, bytes, length);
	captured->length = at + length;
}

/* A frame that is shorter than its own link header stays short: the parser says so. */
static void make_frame(int link_type, struct hk_captured *captured, const __u8 *bytes, __u32 length)
{
	__u16 ethertype;
	__u32 header;

	if (link_type == DLT_EN10MB || !read_link(link_type, bytes, length, &header, &ethertype)) {
		take_bytes(captured, bytes,
			link_type == DLT_EN10MB || length < ETHERNET ? length : ETHERNET - 1, 0);
		return;
	}
	memset(captured->data, 0, ETHERNET - 2);
	captured->data[0] = captured->data[6] = 0x02; /* locally administered: a capture without addresses */
	captured->data[5] = 1;
	ethertype = htons(ethertype);
	memcpy(captured->data + ETHERNET - 2, &ethertype, 2);
	take_bytes(captured, bytes + header, length - header, ETHERNET);
}

int hk_capture_next(struct hk_capture *capture, struct hk_captured *captured, struct hk_error *error)
{
	struct pcap_pkthdr *header;
	const u_char *bytes;
	int code = pcap_next_ex(capture->pcap, &header, &bytes);

	if (code == PCAP_ERROR_BREAK)
		return 0;
	if (code != 1)
		return hk_error_set(
			error, EIO, "%s: breaks off: %s", capture->path, pcap_geterr(capture->pcap));
	captured->cut = header->caplen < header->len;
	captured->too_long = false;
	captured->wall_ns = (__u64)header->ts.tv_sec * 1000000000ull + (__u64)header->ts.tv_usec;
	make_frame(capture->link_type, captured, bytes, header->caplen);
	return 1;
}

int hk_capture_percent(const struct hk_capture *capture)
{
	long at = ftell(pcap_file(capture->pcap));

	if (!S_ISREG(capture->status.st_mode) || capture->status.st_size <= 0 || at < 0)
		return -1;
	return (int)((long long)at * 100 / capture->status.st_size);
}

void hk_capture_close(struct hk_capture *capture)
{
	if (!capture)
		return;
	pcap_close(capture->pcap);
	free(capture);
}

/* --- out --- */

/* The file we read would be emptied under us. */
static int check_distinct(int fd, const char *path, const struct hk_capture *in, struct hk_error *error)
{
	struct stat status;

	if (fstat(fd, &status))
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	if (status.st_dev == in->status.st_dev && status.st_ino == in->status.st_ino)
		return hk_error_set(error, EINVAL, "%s: is the file that is being read: name another", path);
	if (S_ISREG(status.st_mode) && ftruncate(fd, 0))
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int start_dump(struct hk_capture_out *out, int fd, struct hk_error *error)
{
	FILE *file = fdopen(fd, "wb");

	if (!file) {
		close(fd);
		return hk_error_set(error, errno, "%s: %s", out->path, strerror(errno));
	}
	out->dead = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 262144, PCAP_TSTAMP_PRECISION_NANO);
	out->dumper = out->dead ? pcap_dump_fopen(out->dead, file) : NULL;
	if (out->dumper)
		return 0;
	fclose(file);
	return hk_error_set(
		error, EIO, "%s: %s", out->path, out->dead ? pcap_geterr(out->dead) : "out of memory");
}

int hk_capture_create(
	struct hk_capture_out **out, const char *path, const struct hk_capture *in, struct hk_error *error)
{
	struct hk_capture_out *made = calloc(1, sizeof(*made));
	int fd, code;

	*out = NULL;
	if (!made)
		return hk_error_set(error, ENOMEM, "%s: out of memory", path);
	made->path = strdup(path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		code = hk_error_set(error, errno, "%s: cannot be written: %s", path, strerror(errno));
	else
		code = check_distinct(fd, path, in, error);
	if (!code)
		code = start_dump(made, fd, error);
	else if (fd >= 0)
		close(fd);
	if (!code) {
		*out = made;
		return 0;
	}
	if (made->dead)
		pcap_close(made->dead);
	free(made->path);
	free(made);
	return code;
}

void hk_capture_write(struct hk_capture_out *out, const __u8 *frame, __u32 length, __u64 wall_ns)
{
	struct pcap_pkthdr header = {.caplen = length, .len = length};

	header.ts.tv_sec = (time_t)(wall_ns / 1000000000ull);
	header.ts.tv_usec = (suseconds_t)(wall_ns % 1000000000ull); /* nanoseconds: see start_dump() */
	pcap_dump((u_char *)out->dumper, &header, frame);
}

int hk_capture_finish(struct hk_capture_out *out, struct hk_error *error)
{
	int code = 0;

	if (!out)
		return 0;
	errno = 0;
	if (pcap_dump_flush(out->dumper) || ferror(pcap_dump_file(out->dumper)))
		code = hk_error_set(error, EIO, "%s: could not be written in full: %s", out->path,
			strerror(errno ? errno : EIO));
	pcap_dump_close(out->dumper);
	pcap_close(out->dead);
	free(out->path);
	free(out);
	return code;
}

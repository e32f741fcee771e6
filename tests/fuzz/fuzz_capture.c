// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: capture files as `halfkey open` reads them, pcap and pcapng,
 * of every link type. Each frame keeps within its buffer and says when it was
 * cut; a file that breaks off says so, and never reads on for ever.
 *
 * SOURCES: user/cmd/capture.c user/base/error.c
 * SOURCES: -lpcap
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "user/cmd/capture.h"

#ifdef WRITE_SEEDS

#define LE32(n)	   (n) & 0xff, (n) >> 8 & 0xff, (n) >> 16 & 0xff, (n) >> 24 & 0xff
#define HEAD(link) 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, LE32(0), LE32(0), LE32(65535), LE32(link)
#define IPV4	   0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2
#define PACKET(n)  LE32(1), LE32(2), LE32(n), LE32(n)

static int write_bytes(const char *folder, unsigned number, const uint8_t *bytes, size_t size)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%u", folder, number);
	file = fopen(path, "wb");
	return !file || fwrite(bytes, 1, size, file) != size || fclose(file);
}

/* Raw IP, BSD null, Linux cooked 1 and 2, Ethernet; cut, and a pcapng. */
int main(int argc, char **argv)
{
	static const uint8_t raw[] = {HEAD(101), PACKET(20), IPV4, PACKET(20), IPV4};
	static const uint8_t null[] = {HEAD(0), PACKET(24), 2, 0, 0, 0, IPV4, PACKET(3), 0, 0, 0};
	static const uint8_t sll[] = {HEAD(113), PACKET(36), [54] = 8, 0, IPV4};
	static const uint8_t sll2[] = {HEAD(276), PACKET(40), 8, 0, [60] = IPV4};
	static const uint8_t ether[] = {HEAD(1), PACKET(34), [52] = 8, 0, IPV4, LE32(9), LE32(9)};
	static const uint8_t next[] = {LE32(0x0a0d0d0a), LE32(28), LE32(0x1a2b3c4d), 1, 0, 0, 0, LE32(~0u),
		LE32(~0u), LE32(28), LE32(1), LE32(20), 101, 0, 0, 0, LE32(65535), LE32(20), LE32(6),
		LE32(52), LE32(0), LE32(0), LE32(1), LE32(20), LE32(20), IPV4, LE32(52)};

	return argc != 2 || write_bytes(argv[1], 0, raw, sizeof(raw)) ||
	       write_bytes(argv[1], 1, null, sizeof(null)) || write_bytes(argv[1], 2, sll, sizeof(sll)) ||
	       write_bytes(argv[1], 3, sll2, sizeof(sll2)) || write_bytes(argv[1], 4, ether, sizeof(ether)) ||
	       write_bytes(argv[1], 5, next, sizeof(next));
}

#else

static void read_all(struct hk_capture *capture, size_t size)
{
	static __u8 room[HK_CAPTURE_FRAME_MAX];
	struct hk_captured captured = {.data = room};
	struct hk_error error = {""};
	size_t count = 0;
	int status, percent;

	while ((status = hk_capture_next(capture, &captured, &error)) == 1) {
		demand(captured.length <= HK_CAPTURE_FRAME_MAX, "a frame beyond its room");
		demand(!captured.too_long || captured.cut, "a frame too long that is not cut");
		percent = hk_capture_percent(capture);
		demand(percent >= -1 && percent <= 100, "further than the end");
		demand(++count <= size, "more frames than bytes");
	}
	demand((status < 0) == (error.text[0] != '\0'), "an end without its sentence");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file = -1;
	struct hk_error error = {""};
	struct hk_capture *capture;
	char path[64];

	if (file < 0)
		file = memfd_create("capture", MFD_CLOEXEC);
	demand(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size, "no file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (hk_capture_open(&capture, path, &error)) {
		demand(!capture && strncmp(error.text, path, strlen(path)) == 0,
			"a refusal without its file");
		return 0;
	}
	read_all(capture, size);
	hk_capture_close(capture);
	return 0;
}

#endif

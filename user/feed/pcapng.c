// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pcapng feed: opened packets as Ethernet frames, one interface per port,
 * nanosecond timestamps (IETF draft-ietf-opsawg-pcapng). Every start and every
 * reopening begins a section of its own, so that a file may be continued.
 * Writing ends at the configured size; what comes later is lost and counted.
 */
#include "user/feed/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/feed/frame.h"

#define BLOCK_SECTION	0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET	6u

#define OPTION_END	     0
#define OPTION_USER_APPL     4 /* of a section */
#define OPTION_IF_NAME	     2
#define OPTION_IF_RESOLUTION 9

#define PCAPNG_NAME_MAX 64
/* A section, two interfaces with their names, and the longest packet. */
#define PCAPNG_BLOCKS_MAX (1024 + 64 + HK_FRAME_HEADER + 65536)

struct pcapng {
	struct hk_output *output;
	struct hk_feed_counters *counters;
	const struct hk_feed_names *names;
	__u64 max_bytes;
	size_t used;	    /* of blocks[] */
	size_t block_start; /* of the block under construction */
	__u8 blocks[PCAPNG_BLOCKS_MAX];
};

/* Everything in pcapng is padded to 4 bytes. PCAPNG_BLOCKS_MAX holds whatever comes: sizes are bounded above.
 */
static void put_bytes(struct pcapng *pcapng, const void *bytes, size_t size)
{
	memcpy(pcapng->blocks + pcapng->used, bytes, size);
	pcapng->used += size;
	while (pcapng->used % 4)
		pcapng->blocks[pcapng->used++] = 0;
}

static void put_u32(struct pcapng *pcapng, __u32 value)
{
	put_bytes(pcapng, &value, sizeof(value));
}

static void put_option(struct pcapng *pcapng, __u16 code, const void *value, size_t size)
{
	put_u32(pcapng, code | (__u32)size << 16);
	put_bytes(pcapng, value, size);
}

static void block_begin(struct pcapng *pcapng, __u32 type)
{
	pcapng->block_start = pcapng->used;
	put_u32(pcapng, type);
	put_u32(pcapng, 0); /* the length, known at the end */
}

static void block_end(struct pcapng *pcapng)
{
	__u32 size = (__u32)(pcapng->used - pcapng->block_start) + 4;

	memcpy(pcapng->blocks + pcapng->block_start + 4, &size, sizeof(size));
	put_u32(pcapng, size);
}

static void put_interface(struct pcapng *pcapng, unsigned port)
{
	static const char *const unnamed[HK_PORTS_MAX] = {"port0", "port1"};
	static const __u8 nanoseconds = 9; /* 10^-9 s */
	const char *name = pcapng->names->ports[port] ? pcapng->names->ports[port] : unnamed[port];

	block_begin(pcapng, BLOCK_INTERFACE);
	put_u32(pcapng, 1); /* LINKTYPE_ETHERNET, reserved */
	put_u32(pcapng, 0); /* no limit on the captured length */
	put_option(pcapng, OPTION_IF_NAME, name, strnlen(name, PCAPNG_NAME_MAX));
	put_option(pcapng, OPTION_IF_RESOLUTION, &nanoseconds, sizeof(nanoseconds));
	put_u32(pcapng, OPTION_END);
	block_end(pcapng);
}

static void put_section(struct pcapng *pcapng)
{
	static const char writer[] = "Halfkey";
	unsigned port;

	block_begin(pcapng, BLOCK_SECTION);
	put_u32(pcapng, 0x1a2b3c4d); /* byte-order magic: ours */
	put_u32(pcapng, 1);	     /* version 1.0 */
	put_u32(pcapng, 0xffffffff); /* section length: not said */
	put_u32(pcapng, 0xffffffff);
	put_option(pcapng, OPTION_USER_APPL, writer, sizeof(writer) - 1);
	put_u32(pcapng, OPTION_END);
	block_end(pcapng);
	for (port = 0; port < HK_PORTS_MAX; port++)
		put_interface(pcapng, port);
}

static void put_packet(struct pcapng *pcapng, const struct hk_record *record, const __u8 *data)
{
	__u32 length = HK_FRAME_HEADER + (__u32)record->data_length;
	__u8 header[HK_FRAME_HEADER];

	hk_frame_header(header, record->direction, data, hk_record_not_ip(record) ? 0 : record->data_length);
	block_begin(pcapng, BLOCK_PACKET);
	put_u32(pcapng, record->direction ? 1 : 0);
	put_u32(pcapng, (__u32)(record->wall_ns >> 32));
	put_u32(pcapng, (__u32)record->wall_ns);
	put_u32(pcapng, length); /* captured */
	put_u32(pcapng, length); /* on the wire */
	memcpy(pcapng->blocks + pcapng->used, header, sizeof(header));
	pcapng->used += sizeof(header);
	put_bytes(pcapng, data, record->data_length);
	block_end(pcapng);
}

static void pcapng_write(void *state, const struct hk_record *record, const __u8 *data)
{
	struct pcapng *pcapng = state;

	pcapng->used = 0;
	if (hk_output_untouched(pcapng->output))
		put_section(pcapng);
	put_packet(pcapng, record, data);
	if (hk_output_size(pcapng->output) + pcapng->used > pcapng->max_bytes) {
		hk_feed_raise(&pcapng->counters->lost, 1);
		return;
	}
	hk_output_append(pcapng->output, pcapng->blocks, pcapng->used);
}

static void pcapng_flush(void *state)
{
	hk_output_flush(((struct pcapng *)state)->output);
}

static void pcapng_close(void *state)
{
	struct pcapng *pcapng = state;

	hk_output_free(pcapng->output);
	free(pcapng);
}

static int pcapng_open(void **state, const struct hk_feed_setup *setup, struct hk_error *error)
{
	const char *path = setup->config->feeds.pcapng_path;
	int fd = hk_feed_output_fd(setup, "pcapng", path, error);
	struct pcapng *pcapng;

	if (fd < 0)
		return fd;
	pcapng = calloc(1, sizeof(*pcapng));
	if (!pcapng) {
		close(fd);
		return hk_error_set(error, ENOMEM, "pcapng: out of memory");
	}
	pcapng->names = setup->names;
	pcapng->counters = setup->counters;
	pcapng->max_bytes = setup->config->feeds.pcapng_max_bytes;
	pcapng->output = hk_output_new(fd, "pcapng", path, setup->counters);
	if (!pcapng->output) {
		free(pcapng);
		return hk_error_set(error, ENOMEM, "pcapng: out of memory");
	}
	*state = pcapng;
	return 0;
}

static const char *pcapng_target(const struct hk_config *config)
{
	return config->feeds.pcapng_path;
}

const struct hk_feed_ops hk_feed_pcapng = {
	.name = "pcapng",
	.wants = HK_RECORD_WANTS(HK_RECORD_PACKET),
	.is_file = true,
	.target = pcapng_target,
	.open = pcapng_open,
	.write = pcapng_write,
	.flush = pcapng_flush,
	.close = pcapng_close,
};

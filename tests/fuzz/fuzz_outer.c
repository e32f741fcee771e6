// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the outer parser, which is the XDP program's, too.
 * With WRITE_SEEDS it is the program that writes the corpus to begin with:
 * every row of cases.h, one file each.
 *
 * SOURCES: user/envelope/outer.c user/envelope/receivers.c user/base/text.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/bpf/cases.h"
#include "user/base/text.h"
#include "user/envelope/outer.h"

#define FRAME_LIMIT 2048

static void check_meta(const struct hk_meta *meta, size_t size)
{
	demand(hk_meta_fits(meta, (__u32)size), "metadata does not fit the frame");
	demand(hk_envelope_name(meta->envelope) != NULL, "no such envelope");
	demand(meta->domain == DOMAIN_EAST || meta->domain == DOMAIN_WEST || meta->domain == DOMAIN_SOUTH ||
			meta->domain == DOMAIN_CORE || meta->domain == DOMAIN_RIM ||
			meta->domain == DOMAIN_DTLS || meta->domain == DOMAIN_TLS ||
			meta->domain == DOMAIN_EDGE ||
			(meta->domain >= DOMAIN_NORTH && meta->domain <= DOMAIN_NORTH + 2),
		"no such domain");
	if (meta->envelope == HK_ENVELOPE_DTLS || meta->envelope == HK_ENVELOPE_TLS)
		return; /* nothing of fixed size, and spi is what it is */
	/* WESP around ESP-NULL says itself how long its ICV is */
	demand(meta->envelope == HK_ENVELOPE_WESP || meta->end_offset - meta->payload_offset >= 16,
		"no room for the ICV");
	demand(meta->spi != 0, "SPI 0");
}

/* Ethernet padding is nobody's: it must not change what a good packet is. */
static void check_padding(const struct hk_outer *outer, const uint8_t *data, size_t size)
{
	struct hk_meta plain, padded;
	__u8 longer[FRAME_LIMIT + 32];

	memcpy(longer, data, size);
	memset(longer + size, 0x45, 32);
	hk_outer_parse(outer, data, (__u32)size, 0, &plain);
	demand(hk_outer_parse(outer, longer, (__u32)size + 32, 0, &padded) == HK_REASON_TO_WORKER,
		"padding changes the reason");
	demand(memcmp(&plain, &padded, sizeof(plain)) == 0, "padding changes the metadata");
}

#ifndef WRITE_SEEDS
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hk_outer *outer;
	struct hk_meta meta;
	unsigned reason;

	if (!outer)
		outer = hk_outer_new(frames_config());
	if (size > FRAME_LIMIT)
		return 0;
	reason = hk_outer_parse(outer, data, (__u32)size, 0, &meta);
	demand(hk_reason_name(reason) != NULL, "a reason that nobody defines");
	demand(reason != HK_REASON_OK, "neither for a worker nor refused");
	if (reason != HK_REASON_TO_WORKER)
		return 0;
	check_meta(&meta, size);
	check_padding(outer, data, size);
	return 0;
}
#else
int main(int argc, char **argv)
{
	struct frame frame;
	unsigned i;

	for (i = 0; argc > 1 && packet_case(i); i++) {
		frame_build(&frame, packet_case(i));
		if (write_seed(argv[1], i, frame.data, frame.length))
			return 1;
	}
	(void)check_meta;
	(void)check_padding;
	return 0;
}
#endif

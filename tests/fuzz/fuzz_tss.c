// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: what TSS packets make of their headers, behind the outer
 * parser, in every mode and switch: derivation messages, IV and AAD, each in a
 * buffer of exactly the size the header promises. With WRITE_SEEDS it writes the
 * corpus to begin with: the rows of cases.h that are TSS.
 *
 * SOURCES: user/envelope/outer.c user/envelope/receivers.c user/crypto/tss.c user/base/text.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/bpf/cases.h"
#include "user/crypto/tss.h"
#include "user/envelope/outer.h"

#define FRAME_LIMIT 2048

/* The padding alone: what the subkeys do to it is the crypto room's test. */
__u32 hk_crypto_cmac_pad(const struct hk_kdf_key *key, __u8 *message, __u32 length)
{
	(void)key;
	memset(message + length, 0, (16 - length % 16) % 16);
	return (length + 15) / 16;
}

#ifndef WRITE_SEEDS
static void layouts(const struct hk_tss_packet *packet, const __u8 *entropy)
{
	__u8 *messages = malloc(HK_KDF_TSS_MESSAGES * HK_KDF_TSS_BLOCKS * 16), *aad = malloc(HK_TSS_AAD_MAX);
	__u8 iv[HK_TSS_IV], mask[HK_TSS_IV] = {1};
	unsigned blocks = hk_kdf_tss_messages(messages, NULL, packet), size;

	demand(blocks >= 1 && blocks <= HK_KDF_TSS_BLOCKS, "blocks");
	demand(messages[0] == 1 && messages[blocks * 16] == 2 && messages[blocks * 32] == 3, "counters");
	hk_tss_iv(iv, packet, NULL);
	hk_tss_iv(iv, packet, mask);
	size = hk_tss_aad(aad, packet, entropy);
	demand(size >= hk_tss_header_size(packet->header) && size <= HK_TSS_AAD_MAX, "AAD");
	free(messages);
	free(aad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hk_outer *outer;
	struct hk_address source, destination;
	struct hk_tss_options options = {0};
	struct hk_tss_packet packet = {&options, &source, &destination, NULL};
	struct hk_meta meta;
	unsigned choice, front;

	if (!outer)
		outer = hk_outer_new(frames_config());
	if (size > FRAME_LIMIT || hk_outer_parse(outer, data, (__u32)size, 0, &meta) != HK_REASON_TO_WORKER ||
		meta.envelope != HK_ENVELOPE_TSS)
		return 0;
	front = meta.flags & HK_META_UDP ? 0 : HK_TSS_ENTROPY_SIZE;
	packet.header = data + meta.envelope_offset + front;
	demand(meta.envelope_offset + front + hk_tss_header_size(packet.header) == meta.payload_offset,
		"header size");
	demand(meta.end_offset - meta.payload_offset >= HK_TSS_ICV_SIZE, "no room for the ICV");
	demand(meta.spi != 0 && meta.domain == (packet.header[0] & HK_TSS_SP ? DOMAIN_RIM : DOMAIN_CORE),
		"domain or SPI");
	data += meta.l3_offset;
	source = meta.flags & HK_META_OUTER_V6 ? hk_address_v6(data + 8) : hk_address_v4(data + 12);
	destination = meta.flags & HK_META_OUTER_V6 ? hk_address_v6(data + 24) : hk_address_v4(data + 16);
	for (choice = 0; choice < 3 * 16; choice++) {
		options.mode = (__u8)(1 + choice / 16);
		options.long_length = choice & 1;
		options.iv_sdi = choice & 2;
		options.small_context = choice & 4;
		options.header_aad = choice & 8;
		options.rekey_mask = choice & 1 ? 0xffff00000000 : 0;
		options.rekey_shift = 32;
		options.servers[0] = (struct hk_prefix){.address = source, .length = 128};
		options.servers_count = choice & 1;
		layouts(&packet, front ? packet.header - front : NULL);
	}
	return 0;
}
#else
int main(int argc, char **argv)
{
	struct frame frame;
	unsigned i;

	for (i = 0; argc > 1 && packet_case(i); i++) {
		if (packet_case(i)->payload != TSS)
			continue;
		frame_build(&frame, packet_case(i));
		if (write_seed(argv[1], i, frame.data, frame.length))
			return 1;
	}
	return 0;
}
#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the inner parser and the plausibility rules, over what an
 * attacker who flips ciphertext bits can make of a packet. With WRITE_SEEDS it
 * writes packets of each kind to begin with.
 *
 * SOURCES: user/pipeline/inner.c user/pipeline/plausible.c user/envelope/rebuild.c user/base/hash.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/inner_help.h"
#include "user/pipeline/inner.h"
#include "user/pipeline/plausible.h"

#ifdef WRITE_SEEDS

int main(int argc, char **argv)
{
	unsigned number = 0;
	__u8 data[256];
	int version, failed = 0;

	if (argc != 2)
		return 1;
	for (version = 4; version <= 6; version += 2) {
		failed |= write_seed(argv[1], number++, data, make_tcp(data, version, 0x02, 20));
		failed |= write_seed(argv[1], number++, data, make_udp(data, version, 7, 9, 20));
	}
	make_ip(data, 6, 0, 72);
	memset(data + 40, 0, 72);
	data[40] = 43, data[48] = 44, data[56] = 51, data[64] = 60, data[65] = 1, data[80] = 6;
	return failed | write_seed(argv[1], number, data, 112);
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hk_hook_packet packet = {0};
	struct hk_flow_key key;
	__u8 swapped;

	if (hk_packet_parse(data, (__u32)size, &packet))
		return 0;
	demand(packet.data_length <= size, "longer than what there is");
	demand(packet.l4_offset <= packet.data_length, "transport header behind the end");
	demand(packet.payload_offset + packet.payload_length <= packet.data_length, "payload behind the end");
	demand(packet.payload_offset == 0 || packet.payload_offset >= packet.l4_offset,
		"payload before its header");
	hk_plausible(data, &packet, false);
	hk_plausible(data, &packet, true);
	demand(hk_packet_flow(data, &packet, &key, &swapped) != 0, "a flow without a hash");
	return 0;
}

#endif

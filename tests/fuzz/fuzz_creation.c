// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the creation header of inline keying, which stands in
 * plaintext that nobody vouches for. What is accepted must be what would be
 * written for it, to the byte: two headers never mean the same child. With
 * WRITE_SEEDS it writes one header of each scope to begin with.
 *
 * SOURCES: user/crypto/creation.c user/base/text.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/reason.h>

#include "tests/fuzz/fuzz.h"
#include "user/base/text.h"
#include "user/crypto/inline.h"

#ifdef WRITE_SEEDS

int main(int argc, char **argv)
{
	struct hk_creation creation = {.next_header = 17, .spi = 0x2002, .lifetime = 600};
	__u8 header[HK_CREATION_MAX];
	unsigned seed;
	__u32 size;

	for (seed = 0; argc == 2 && seed < 5; seed++) {
		creation.scope = (__u8)(seed < 4 ? seed + 1 : HK_SCOPE_RANGE);
		hk_address_parse(seed < 4 ? "192.0.2.1" : "2001:db8::1", &creation.low);
		hk_address_parse(seed < 4 ? "192.0.2.9" : "2001:db8::9", &creation.high);
		creation.protocol = creation.scope >= HK_SCOPE_PROTOCOL ? 17 : 0;
		size = hk_creation_write(&creation, header);
		if (write_seed(argv[1], seed, header, size))
			return 1;
	}
	return argc != 2;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hk_creation creation;
	__u8 again[HK_CREATION_MAX];
	unsigned reason;

	if (size > 4096)
		return 0;
	reason = hk_creation_parse(data, (__u32)size, &creation);
	if (reason != HK_REASON_OK) {
		demand(reason >= HK_REASON_CREATION_SHORT && reason <= HK_REASON_CREATION_SPI,
			"a reason of somebody else");
		return 0;
	}
	demand(creation.size <= size && creation.size <= HK_CREATION_MAX, "longer than it is");
	demand(creation.spi >= 256, "a reserved SPI");
	demand(hk_creation_write(&creation, again) == creation.size, "another size when written");
	demand(memcmp(again, data, creation.size) == 0, "not what would be written");
	return 0;
}

#endif

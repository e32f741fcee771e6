// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: addresses, prefixes, numbers and hex. What is taken comes
 * out again as it is meant; the core and the hooks, which have readers of their
 * own, take the same prefixes.
 *
 * SOURCES: user/base/text.c user/hooks/prefix.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/base/text.h"
#include "user/hooks/prefix.h"

#ifdef WRITE_SEEDS

int main(int argc, char **argv)
{
	static const char *const seeds[] = {"192.0.2.0/24", "2001:db8::/32", "::/0", "0.0.0.0/0", "10.1.2.3",
		"::ffff:1.2.3.4", "fe80::1/128", "18446744073709551615", "0xffffffff", "00ff7A"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static void check_prefix(const char *text)
{
	struct hk_prefix prefix, again, hooks;
	char out[HK_PREFIX_TEXT];

	if (hk_prefix_parse(text, &prefix)) {
		demand(hk_hooks_prefix_read(text, &hooks) != NULL, "a prefix that a hook alone reads");
		return;
	}
	demand(prefix.length <= 128 && hk_prefix_holds(&prefix, &prefix.address),
		"a prefix that does not hold its own address");
	demand(hk_prefix_parse(hk_prefix_format(&prefix, out), &again) == 0 &&
			memcmp(&prefix, &again, sizeof(prefix)) == 0,
		"a prefix that does not come out as it went in");
	if (!strstr(text, "/0x")) /* the hooks' files know decimal numbers alone */
		demand(hk_hooks_prefix_read(text, &hooks) == NULL &&
				memcmp(&prefix, &hooks, sizeof(prefix)) == 0,
			"a prefix that a hook reads otherwise");
}

static void check_address(const char *text)
{
	struct hk_address address, again;
	char out[HK_ADDRESS_TEXT];

	if (hk_address_parse(text, &address) == 0)
		demand(hk_address_parse(hk_address_format(&address, out), &again) == 0 &&
				memcmp(&address, &again, sizeof(address)) == 0,
			"an address that does not come out as it went in");
}

static void check_number(const char *text)
{
	__u64 number, again;
	char out[32];

	if (hk_number_parse(text, ~0ull, &number))
		return;
	snprintf(out, sizeof(out), "%llu", (unsigned long long)number);
	demand(hk_number_parse(out, number, &again) == 0 && again == number, "another number");
	demand(!number || hk_number_parse(out, number - 1, &again), "a number beyond its bound");
}

static void check_hex(const char *text, size_t length)
{
	size_t size = length / 2, i;
	__u8 *bytes = malloc(size + 1);
	char *out = malloc(2 * size + 1);

	if (hk_hex_parse(text, length, bytes, size) == 0) {
		demand(length == 2 * size, "half a byte");
		hk_hex_format(bytes, size, out);
		for (i = 0; i < length; i++)
			demand((text[i] | 0x20) == out[i] || text[i] == out[i], "another byte");
	}
	free(bytes);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	check_prefix(text);
	check_address(text);
	check_number(text);
	check_hex(text, size);
	free(text);
	return 0;
}

#endif

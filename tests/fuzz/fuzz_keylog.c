// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the reader of key logs. What is refused has a sentence, and
 * no sentence shows what may be a key.
 *
 * SOURCES: user/keys/keylog.c user/base/text.c user/base/error.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "user/keys/keylog.h"

#define LIMIT 4096

void hk_wipe(void *memory, size_t size);

#ifndef WRITE_SEEDS
static int take(void *context, const struct hk_tls_secret *secret, unsigned line, struct hk_error *error)
{
	(void)context;
	(void)error;
	demand(line > 0, "line 0");
	demand(secret->retire || !secret->is_tuple || secret->key_size == 16 || secret->key_size == 32,
		"a key of no size");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hk_error error = {{0}};
	char text[LIMIT + 1];
	struct hk_keylog_reading reading = {.name = "log", .text = text, .take = take};
	int result;

	if (size > LIMIT)
		return 0;
	reading.kind = size % 2 ? HK_KEYLOG_UPDATE : HK_KEYLOG_FILE;
	memcpy(text, data, size);
	text[size] = '\0';
	result = hk_keylog_read(&reading, &error);
	hk_keylog_is(text);
	demand(result == 0 || error.text[0], "refused without a sentence");
	return 0;
}
#else
int main(int argc, char **argv)
{
	static const char *const logs[] = {
		"CLIENT_RANDOM 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff "
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabbccdd"
		"eeff\n",
		"# c\n\nTLS_KEYS 10.0.0.1 1 10.0.0.2 443 00112233445566778899aabbccddeeff 00112233 "
		"00112233445566778899aabbccddeeff 44556677\r\n",
		"CLIENT_TRAFFIC_SECRET_0 00 11\nEXPORTER_SECRET 0 0\n",
		"TLS_KEYS fd00::1 1 fd00::2 443 a b c d\n",
		"retire client=fd00::1 client-port=1 server=fd00::2 server-port=443\n",
		"retire client-random=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"};

	return write_texts(argc, argv, logs, sizeof(logs) / sizeof(logs[0]));
}
#endif

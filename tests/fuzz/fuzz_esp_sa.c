// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: Wireshark's esp_sa table. A refusal names file and line;
 * what is taken are lines the key file reader knows the form of, and none of
 * them carries an authentication key.
 *
 * SOURCES: user/keys/esp_sa.c user/keys/keyfile.c user/keys/keyfile_fields.c
 * SOURCES: user/base/text.c user/base/error.c user/crypto/kdf.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "user/keys/esp_sa.h"
#include "user/keys/keyfile.h"

#ifdef WRITE_SEEDS

#define KEY "0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

int main(int argc, char **argv)
{
	static const char *const seeds[] = {
		"# comment\n\"IPv4\",\"192.0.2.1\",\"192.0.2.9\",\"0x00001000\",\"AES-CTR [RFC3686]\",\"" KEY
		"01020304\",\"HMAC-SHA-256-128 [RFC4868]\",\"" KEY "\"\n",
		"\"IPv6\",\"*\",\"2001:db8::9\",\"4096\",\"AES-CBC [RFC3602]\",\"" KEY
		"\",\"HMAC-SHA-256-128 [RFC4868]\",\"0x\",\"32-bit\"\r\n",
		"\"IPv4\",\"192.0.2.1\",\"192.0.2.9\",\"0x80001000\",\"AES-GCM with 16 octet ICV "
		"[RFC4106]\",\"" KEY "01020304\",\"NULL\",\"\"\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static int take(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	(void)context, (void)error;
	demand(line->is_explicit && line->has_receiver && line->key_size == 32, "another kind of line");
	demand(line->side == HK_SIDE_ENC || line->side == HK_SIDE_SINGLE, "a side the box may not have");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum hk_suite gcm = size & 1 ? HK_SUITE_GCM : HK_SUITE_GCM_SPLIT;
	struct hk_error error = {{0}};
	char *text = malloc(size + 1);
	struct hk_esp_sa table;

	memcpy(text, data, size);
	text[size] = '\0';
	if (hk_esp_sa_read(&table, "esp_sa", text, gcm, &error)) {
		demand(strncmp(error.text, "esp_sa:", 7) == 0, "a refusal without its place");
		demand(!table.lines, "lines of a table that was refused");
	} else {
		demand(table.lines[table.size] == '\0', "lines without an end");
		hk_keyfile_read("lines", table.lines, &error, take, NULL);
		hk_esp_sa_free(&table);
	}
	free(text);
	return 0;
}

#endif

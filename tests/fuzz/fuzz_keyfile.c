// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the key file reader. A refusal has a sentence that names
 * the file; a line that is taken is whole. With WRITE_SEEDS it writes one file
 * of each kind of line.
 *
 * SOURCES: user/keys/keyfile.c user/keys/keyfile_fields.c
 * SOURCES: user/base/text.c user/base/error.c user/crypto/kdf.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/crypto.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "user/keys/keyfile.h"

#ifdef WRITE_SEEDS

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

int main(int argc, char **argv)
{
	static const char *const seeds[] = {"# comment\nslot=0 generation=1 side=enc key=" KEY
					    " receiver=192.0.2.0/24\n",
		"receiver=2001:db8::9 spi=0x80000001 version=5 side=enc key=" KEY "\n",
		"receiver=192.0.2.9 spi=256 suite=gcm side=single key=" KEY " salt=01020304\r\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static int take(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	(void)context, (void)error;
	demand(line->side >= HK_SIDE_ENC && line->side <= HK_SIDE_SINGLE, "no such side");
	demand(line->key_size == 32 || (line->is_explicit && line->key_size == 16), "a key of another size");
	demand(line->slot < 4, "no such slot");
	if (!line->is_explicit)
		return 0;
	demand(line->has_receiver && line->receiver.length == 128, "an explicit key without its receiver");
	demand((line->version >= 0) != (line->suite != HK_SUITE_NONE), "neither PSP nor ESP, or both");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hk_error error = {{0}};
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (hk_keyfile_read("fuzz.keys", text, &error, take, NULL))
		demand(strncmp(error.text, "fuzz.keys:", 10) == 0, "a refusal without its place");
	free(text);
	return 0;
}

#endif

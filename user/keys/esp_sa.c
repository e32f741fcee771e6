// SPDX-License-Identifier: GPL-2.0-or-later
/* Wireshark's esp_sa table: see esp_sa.h. */
#include "user/keys/esp_sa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/address.h>
#include <halfkey/crypto.h>

#include "user/base/text.h"

#define LINE_MAX_BYTES 1024
#define FIELD_MAX      160
#define LINE_ROOM      320 /* of one key line */

enum { PROTOCOL, SOURCE, DESTINATION, SPI, CIPHER, KEY, MAC, MAC_KEY, NEEDED, EXTENDED = NEEDED, FIELDS };

struct reader {
	const char *name;
	unsigned number;
	enum hk_suite gcm;
	struct hk_error *error;
	struct hk_esp_sa *out;
	char fields[FIELDS][FIELD_MAX];
	unsigned count;
};

static const struct algorithm {
	const char *name;
	enum hk_suite suite;
	size_t salt; /* bytes behind the key */
} algorithms[] = {
	{"AES-CTR [RFC3686]", HK_SUITE_CTR_HMAC, 4},
	{"AES-CBC [RFC3602]", HK_SUITE_CBC_HMAC, 0},
	{"AES-GCM [RFC4106]", HK_SUITE_GCM, 4},
	{"AES-GCM with 16 octet ICV [RFC4106]", HK_SUITE_GCM, 4},
};

/* Names of what leaves a 16-byte ICV. Which key it has is none of our business. */
static const char *const macs[] = {"HMAC-SHA-256-128 [RFC4868]", "ANY 128 bit authentication [no checking]",
	"ANY 128 bit of authentication [no checking]"};

static int refuse(const struct reader *reader, const char *sentence)
{
	return hk_error_set(reader->error, EINVAL, "%s:%u: %s", reader->name, reader->number, sentence);
}

/* One field in double quotes; returns what stands behind it, or NULL. */
static const char *take_field(struct reader *reader, const char *at)
{
	const char *end;
	size_t size;

	if (*at != '"' || reader->count == FIELDS)
		return NULL;
	end = strchr(++at, '"');
	size = end ? (size_t)(end - at) : FIELD_MAX;
	if (size >= FIELD_MAX)
		return NULL;
	memcpy(reader->fields[reader->count], at, size);
	reader->fields[reader->count++][size] = '\0';
	return end + 1;
}

static int split(struct reader *reader, const char *line)
{
	reader->count = 0;
	for (;;) {
		line = take_field(reader, line);
		if (!line)
			return refuse(reader, "is no row of Wireshark's esp_sa table: eight or nine texts in "
					      "double quotes with commas between them");
		if (!*line)
			break;
		if (*line++ != ',')
			return refuse(reader, "has something other than a comma between two texts");
	}
	return reader->count >= NEEDED ? 0 : refuse(reader, "ends before the row's eighth text");
}

static const struct algorithm *find_algorithm(const struct reader *reader)
{
	unsigned i;

	for (i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strcmp(algorithms[i].name, reader->fields[CIPHER]) == 0)
			return &algorithms[i];
	return NULL;
}

static int check_mac(const struct reader *reader, const struct algorithm *algorithm)
{
	unsigned i;

	if (algorithm->suite == HK_SUITE_GCM)
		return 0; /* it authenticates itself, whatever the column says */
	for (i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
		if (strcmp(macs[i], reader->fields[MAC]) == 0)
			return 0;
	return hk_error_set(reader->error, EINVAL,
		"%s:%u: \"%.40s\" cannot be opened here: of integrity algorithms, HMAC-SHA-256-128 is known",
		reader->name, reader->number, reader->fields[MAC]);
}

static int check_names(const struct reader *reader, struct hk_address *receiver, __u64 *spi,
	const struct algorithm *algorithm)
{
	if (!algorithm)
		return hk_error_set(reader->error, EINVAL,
			"%s:%u: \"%.40s\" cannot be opened here: AES-CTR, AES-CBC and AES-GCM with 256-bit "
			"keys can",
			reader->name, reader->number, reader->fields[CIPHER]);
	if (hk_address_parse(reader->fields[DESTINATION], receiver))
		return hk_error_set(reader->error, EINVAL,
			"%s:%u: the destination \"%.46s\" is not one address: a key belongs to one receiver",
			reader->name, reader->number, reader->fields[DESTINATION]);
	if (hk_address_is_v4(receiver) != (strcmp(reader->fields[PROTOCOL], "IPv4") == 0))
		return refuse(reader, "the protocol is not the destination's IP version");
	if (hk_number_parse(reader->fields[SPI], 0xffffffff, spi))
		return hk_error_set(reader->error, EINVAL, "%s:%u: the SPI \"%.20s\" is not one number",
			reader->name, reader->number, reader->fields[SPI]);
	return 0;
}

/* 256-bit key and salt, as hexadecimal digits behind 0x. */
static int check_key(const struct reader *reader, const struct algorithm *algorithm)
{
	const char *key = reader->fields[KEY];

	if (strncmp(key, "0x", 2) != 0 || strlen(key + 2) != 2 * (32 + algorithm->salt) ||
		strspn(key + 2, "0123456789abcdefABCDEF") != strlen(key + 2))
		return refuse(reader,
			"the encryption key must be 0x and 64 hexadecimal digits, and 8 more of salt behind "
			"them for AES-CTR and AES-GCM");
	return 0;
}

static int put_line(const struct reader *reader, const struct algorithm *algorithm,
	const struct hk_address *receiver, __u64 spi)
{
	enum hk_suite suite = algorithm->suite == HK_SUITE_GCM ? reader->gcm : algorithm->suite;
	const char *key = reader->fields[KEY] + 2;
	char text[HK_ADDRESS_TEXT];
	int length;

	length = snprintf(reader->out->lines + reader->out->size, LINE_ROOM,
		"receiver=%s spi=0x%08llx suite=%s side=%s key=%.64s%s%.8s\n",
		hk_address_format(receiver, text), (unsigned long long)spi, hk_suite_name(suite),
		suite == HK_SUITE_GCM ? "single" : "enc", key, algorithm->salt ? " salt=" : "",
		algorithm->salt ? key + 64 : "");
	if (length < 0 || length >= LINE_ROOM)
		return refuse(reader, "makes a key line that is too long");
	reader->out->size += (size_t)length;
	reader->out->rows++;
	return 0;
}

static int read_row(struct reader *reader, const char *line)
{
	const struct algorithm *algorithm;
	struct hk_address receiver;
	__u64 spi = 0;
	int result = split(reader, line);

	if (result)
		return result;
	if (reader->fields[MAC_KEY][0] && strcmp(reader->fields[MAC_KEY], "0x") != 0)
		reader->out->dropped++;
	hk_wipe(reader->fields[MAC_KEY], FIELD_MAX);
	algorithm = find_algorithm(reader);
	result = check_names(reader, &receiver, &spi, algorithm);
	if (!result)
		result = check_mac(reader, algorithm);
	if (!result)
		result = check_key(reader, algorithm);
	return result ? result : put_line(reader, algorithm, &receiver, spi);
}

static int read_line(struct reader *reader, const char *text, size_t size)
{
	char line[LINE_MAX_BYTES];
	int result = 0;

	if (size >= sizeof(line))
		return refuse(reader, "the line is longer than 1023 bytes");
	memcpy(line, text, size);
	line[size] = '\0';
	while (size && strchr(" \t\r", line[size - 1]))
		line[--size] = '\0';
	if (size && line[0] != '#')
		result = read_row(reader, line);
	hk_wipe(line, sizeof(line));
	return result;
}

static size_t count_lines(const char *text)
{
	size_t lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

int hk_esp_sa_read(
	struct hk_esp_sa *out, const char *name, const char *text, enum hk_suite gcm, struct hk_error *error)
{
	struct reader reader = {.name = name, .gcm = gcm, .error = error, .out = out};
	size_t size;
	int result = 0;

	*out = (struct hk_esp_sa){.lines = calloc(count_lines(text) + 1, LINE_ROOM)};
	if (!out->lines)
		return hk_error_set(error, ENOMEM, "%s: out of memory", name);
	while (*text && !result) {
		size = strcspn(text, "\n");
		reader.number++;
		result = read_line(&reader, text, size);
		text += size + (text[size] == '\n');
	}
	hk_wipe(reader.fields, sizeof(reader.fields));
	if (result)
		hk_esp_sa_free(out);
	return result;
}

void hk_esp_sa_free(struct hk_esp_sa *table)
{
	if (table->lines) {
		hk_wipe(table->lines, table->size + 1);
		free(table->lines);
	}
	*table = (struct hk_esp_sa){0};
}

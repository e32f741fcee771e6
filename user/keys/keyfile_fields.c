// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The words of key files: one row of `fields` per word a line may hold. Messages
 * quote names and short public values, never anything that could be a key put in
 * the wrong place.
 */
#include "user/keys/keyfile_fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <halfkey/crypto.h>

#include "user/base/text.h"

#define QUOTE_MAX 16 /* a misplaced key is at least 32 digits: it is never quoted */

struct field {
	const char *name;
	int (*parse)(struct hk_key_reader *reader, const char *value);
	const char *expected;
};

static const char *quotable(const char *value)
{
	return strlen(value) <= QUOTE_MAX ? value : "(a longer text)";
}

static int parse_u32(const char *value, __u64 max, __u32 *out)
{
	__u64 number;

	if (hk_number_parse(value, max, &number))
		return -EINVAL;
	*out = (__u32)number;
	return 0;
}

static int parse_slot(struct hk_key_reader *reader, const char *value)
{
	__u32 slot;

	if (parse_u32(value, 3, &slot))
		return -EINVAL;
	reader->line.slot = (__u8)slot;
	return 0;
}

static int parse_generation(struct hk_key_reader *reader, const char *value)
{
	return parse_u32(value, 0xffffffff, &reader->line.generation);
}

static int parse_side(struct hk_key_reader *reader, const char *value)
{
	static const char *const sides[] = {[HK_SIDE_ENC] = "enc",
		[HK_SIDE_AUTH] = "auth",
		[HK_SIDE_SINGLE] = "single",
		[HK_SIDE_READER] = "reader"};
	unsigned i;

	for (i = HK_SIDE_ENC; i <= HK_SIDE_READER; i++)
		if (strcmp(sides[i], value) == 0)
			reader->line.side = i;
	return reader->line.side ? 0 : -EINVAL;
}

static int parse_key(struct hk_key_reader *reader, const char *value)
{
	size_t digits = strlen(value);

	if (digits != 32 && digits != 64)
		return -EINVAL;
	reader->line.key_size = (__u8)(digits / 2);
	return hk_hex_parse(value, digits, reader->line.key, digits / 2);
}

static int parse_receiver(struct hk_key_reader *reader, const char *value)
{
	reader->line.has_receiver = true;
	return hk_prefix_parse(value, &reader->line.receiver);
}

static int parse_spi(struct hk_key_reader *reader, const char *value)
{
	return parse_u32(value, 0xffffffff, &reader->line.spi);
}

static int parse_version(struct hk_key_reader *reader, const char *value)
{
	__u32 version;

	if (parse_u32(value, 15, &version))
		return -EINVAL;
	if (version != HK_PSP_GCM_128 && version != HK_PSP_GCM_256 && version != HK_PSP_SPLIT_128 &&
		version != HK_PSP_SPLIT_256)
		return -EINVAL;
	reader->line.version = (int)version;
	return 0;
}

static int parse_suite(struct hk_key_reader *reader, const char *value)
{
	int suite = hk_suite_by_name(value);

	if (suite <= 0)
		return -EINVAL;
	reader->line.suite = (enum hk_suite)suite;
	return 0;
}

static int parse_salt(struct hk_key_reader *reader, const char *value)
{
	reader->line.has_salt = true;
	return hk_hex_parse(value, strlen(value), reader->line.salt, sizeof(reader->line.salt));
}

static int parse_id(struct hk_key_reader *reader, const char *value)
{
	reader->line.has_id = true;
	return parse_u32(value, 0xffffffff, &reader->line.id);
}

static int parse_level(struct hk_key_reader *reader, const char *value)
{
	size_t i, length = strlen(value);

	if (!length || length > HK_KEY_LEVEL_NAME)
		return -EINVAL;
	for (i = 0; i < length; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", value[i]))
			return -EINVAL;
	memcpy(reader->line.level, value, length);
	return 0;
}

static int parse_from(struct hk_key_reader *reader, const char *value)
{
	struct hk_key_line *line = &reader->line;
	char number[12];
	size_t length;

	for (;;) {
		length = strcspn(value, "/");
		if (line->from_count == HK_KEY_LEVELS || length >= sizeof(number))
			return -EINVAL;
		memcpy(number, value, length);
		number[length] = '\0';
		if (parse_u32(number, 0xffffffff, &line->from[line->from_count++]))
			return -EINVAL;
		if (!value[length])
			return 0;
		value += length + 1;
	}
}

/* 2026-11-21T15:00:00Z; every field must be what the calendar says. */
static int parse_date(const char *value, __u64 *out)
{
	struct tm date = {0}, again;
	char text[21];
	time_t seconds;

	if (strlen(value) != 20 || sscanf(value, "%4d-%2d-%2dT%2d:%2d:%2dZ", &date.tm_year, &date.tm_mon,
					   &date.tm_mday, &date.tm_hour, &date.tm_min, &date.tm_sec) != 6)
		return -EINVAL;
	date.tm_year -= 1900;
	date.tm_mon -= 1;
	seconds = timegm(&date);
	if (seconds <= 0 || !gmtime_r(&seconds, &again) ||
		!strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &again) || strcmp(text, value) != 0)
		return -EINVAL;
	*out = (__u64)seconds;
	return 0;
}

#define TIME_MAX 0xffffffffffull

static int parse_time(const char *value, __u64 *out)
{
	if (!hk_number_parse(value, TIME_MAX, out))
		return *out ? 0 : -EINVAL;
	return parse_date(value, out);
}

static int parse_not_before(struct hk_key_reader *reader, const char *value)
{
	return parse_time(value, &reader->line.not_before);
}

static int parse_not_after(struct hk_key_reader *reader, const char *value)
{
	return parse_time(value, &reader->line.not_after);
}

static int parse_root(struct hk_key_reader *reader, const char *value)
{
	return strlen(value) == 64 ? parse_key(reader, value) : -EINVAL;
}

static int parse_sender(struct hk_key_reader *reader, const char *value)
{
	return hk_address_parse(value, &reader->line.sender);
}

/* 0x00001000/0xffffff00: which SPIs, and which of their bits say so */
static int parse_spis(struct hk_key_reader *reader, const char *value)
{
	const char *slash = strchr(value, '/');
	char number[12];

	if (!slash || (size_t)(slash - value) >= sizeof(number))
		return -EINVAL;
	memcpy(number, value, (size_t)(slash - value));
	number[slash - value] = '\0';
	if (parse_u32(number, 0xffffffff, &reader->line.spi) ||
		parse_u32(slash + 1, 0xffffffff, &reader->line.mask))
		return -EINVAL;
	return reader->line.spi & ~reader->line.mask ? -EINVAL : 0;
}

static const struct field fields[FIELD_COUNT] = {
	[FIELD_SLOT] = {"slot", parse_slot, "0, 1, 2 or 3"},
	[FIELD_GENERATION] = {"generation", parse_generation, "a number from 0 to 4294967295"},
	[FIELD_SIDE] = {"side", parse_side, "enc, auth, single or reader"},
	[FIELD_KEY] = {"key", parse_key, "64 hexadecimal digits (32 for an explicit 128-bit key)"},
	[FIELD_RECEIVER] = {"receiver", parse_receiver,
		"an address, or a prefix without bits behind its length (IPv4-mapped IPv6 is refused)"},
	[FIELD_SPI] = {"spi", parse_spi, "a number from 0 to 0xffffffff"},
	[FIELD_VERSION] = {"version", parse_version, "0, 1, 4 or 5"},
	[FIELD_SUITE] = {"suite", parse_suite, "gcm, gcm-split, ctr-hmac or cbc-hmac"},
	[FIELD_SALT] = {"salt", parse_salt, "8 hexadecimal digits"},
	[FIELD_ID] = {"id", parse_id, "a number from 0 to 4294967295"},
	[FIELD_LEVEL] = {"level", parse_level, "up to 16 letters, digits, '-', '_' and '.'"},
	[FIELD_FROM] = {"from", parse_from, "up to three generations, with '/' between them"},
	[FIELD_NOT_BEFORE] = {"not-before", parse_not_before,
		"seconds since 1970, or like 2026-11-21T15:00:00Z"},
	[FIELD_NOT_AFTER] = {"not-after", parse_not_after,
		"seconds since 1970, or like 2026-11-21T15:00:00Z"},
	[FIELD_ROOT] = {"root", parse_root, "64 hexadecimal digits"},
	[FIELD_SENDER] = {"sender", parse_sender, "an IPv4 or IPv6 address"},
	[FIELD_SPIS] = {"spis", parse_spis, "a number and a mask that covers it: 0x00001000/0xffffff00"},
};

int hk_key_line_refuse(struct hk_key_reader *reader, const char *sentence)
{
	return hk_error_set(reader->error, EINVAL, "%s:%u: %s", reader->name, reader->number, sentence);
}

/* A bad value is quoted only where it cannot be a key: short, or visibly an address. */
static int refuse_value(struct hk_key_reader *reader, const struct field *field, const char *value)
{
	const char *quote = quotable(value);

	if (field == &fields[FIELD_RECEIVER] && strpbrk(value, ".:") && strlen(value) < HK_PREFIX_TEXT)
		quote = value;
	if (field == &fields[FIELD_KEY] || field == &fields[FIELD_SALT] || field == &fields[FIELD_ROOT])
		return hk_error_set(reader->error, EINVAL, "%s:%u: %s= must be %s", reader->name,
			reader->number, field->name, field->expected);
	return hk_error_set(reader->error, EINVAL, "%s:%u: %s=%s must be %s", reader->name, reader->number,
		field->name, quote, field->expected);
}

int hk_key_field_read(struct hk_key_reader *reader, char *word)
{
	char *value = strchr(word, '=');
	unsigned id;

	if (!value)
		return hk_key_line_refuse(reader, "a word that is not of the form field=value");
	*value++ = '\0';
	for (id = 0; id < FIELD_COUNT; id++)
		if (strcmp(fields[id].name, word) == 0)
			break;
	if (id == FIELD_COUNT)
		return hk_error_set(reader->error, EINVAL,
			"%s:%u: unknown field '%s' (known: slot generation side key receiver spi version "
			"suite salt id level from not-before not-after root sender spis)",
			reader->name, reader->number, quotable(word));
	if (reader->seen & SEEN(id))
		return hk_error_set(reader->error, EINVAL, "%s:%u: %s= stands twice on the line",
			reader->name, reader->number, word);
	reader->seen |= SEEN(id);
	return fields[id].parse(reader, value) ? refuse_value(reader, &fields[id], value) : 0;
}

const char *hk_key_field_name(enum hk_key_field id)
{
	return fields[id].name;
}

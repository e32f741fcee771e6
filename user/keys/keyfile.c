// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key files, line by line: see keyfile.h. One row of `fields` per word a line
 * may hold, then one check of the whole line. Messages quote names and short
 * public values, never anything that could be a key put in the wrong place.
 */
#include "user/keys/keyfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <halfkey/crypto.h>

#include "user/base/text.h"

#define LINE_MAX_BYTES 512
#define QUOTE_MAX      16 /* a misplaced key is at least 32 digits: it is never quoted */

enum field_id {
	FIELD_SLOT,
	FIELD_GENERATION,
	FIELD_SIDE,
	FIELD_KEY,
	FIELD_RECEIVER,
	FIELD_SPI,
	FIELD_VERSION,
	FIELD_SUITE,
	FIELD_SALT,
	FIELD_ID,
	FIELD_LEVEL,
	FIELD_FROM,
	FIELD_NOT_BEFORE,
	FIELD_NOT_AFTER,
	FIELD_ROOT,
	FIELD_SENDER,
	FIELD_SPIS,
	FIELD_COUNT
};

#define SEEN(id) (1u << (id))

struct reader {
	const char *name;
	struct hk_error *error;
	unsigned number; /* of the line */
	unsigned seen;	 /* SEEN() of each field on the line */
	bool update;	 /* "retire" may stand in front */
	struct hk_key_line line;
};

struct field {
	const char *name;
	int (*parse)(struct reader *reader, const char *value);
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

static int parse_slot(struct reader *reader, const char *value)
{
	__u32 slot;

	if (parse_u32(value, 3, &slot))
		return -EINVAL;
	reader->line.slot = (__u8)slot;
	return 0;
}

static int parse_generation(struct reader *reader, const char *value)
{
	return parse_u32(value, 0xffffffff, &reader->line.generation);
}

static int parse_side(struct reader *reader, const char *value)
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

static int parse_key(struct reader *reader, const char *value)
{
	size_t digits = strlen(value);

	if (digits != 32 && digits != 64)
		return -EINVAL;
	reader->line.key_size = (__u8)(digits / 2);
	return hk_hex_parse(value, digits, reader->line.key, digits / 2);
}

static int parse_receiver(struct reader *reader, const char *value)
{
	reader->line.has_receiver = true;
	return hk_prefix_parse(value, &reader->line.receiver);
}

static int parse_spi(struct reader *reader, const char *value)
{
	return parse_u32(value, 0xffffffff, &reader->line.spi);
}

static int parse_version(struct reader *reader, const char *value)
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

static int parse_suite(struct reader *reader, const char *value)
{
	int suite = hk_suite_by_name(value);

	if (suite <= 0)
		return -EINVAL;
	reader->line.suite = (enum hk_suite)suite;
	return 0;
}

static int parse_salt(struct reader *reader, const char *value)
{
	reader->line.has_salt = true;
	return hk_hex_parse(value, strlen(value), reader->line.salt, sizeof(reader->line.salt));
}

static int parse_id(struct reader *reader, const char *value)
{
	reader->line.has_id = true;
	return parse_u32(value, 0xffffffff, &reader->line.id);
}

static int parse_level(struct reader *reader, const char *value)
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

static int parse_from(struct reader *reader, const char *value)
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

static int parse_not_before(struct reader *reader, const char *value)
{
	return parse_time(value, &reader->line.not_before);
}

static int parse_not_after(struct reader *reader, const char *value)
{
	return parse_time(value, &reader->line.not_after);
}

static int parse_root(struct reader *reader, const char *value)
{
	return strlen(value) == 64 ? parse_key(reader, value) : -EINVAL;
}

static int parse_sender(struct reader *reader, const char *value)
{
	return hk_address_parse(value, &reader->line.sender);
}

/* 0x00001000/0xffffff00: which SPIs, and which of their bits say so */
static int parse_spis(struct reader *reader, const char *value)
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

static int refuse(struct reader *reader, const char *sentence)
{
	return hk_error_set(reader->error, EINVAL, "%s:%u: %s", reader->name, reader->number, sentence);
}

/* A bad value is quoted only where it cannot be a key: short, or visibly an address. */
static int refuse_value(struct reader *reader, const struct field *field, const char *value)
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

static int read_word(struct reader *reader, char *word)
{
	char *value = strchr(word, '=');
	unsigned id;

	if (!value)
		return refuse(reader, "a word that is not of the form field=value");
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

/* What a key is, as opposed to what names it. */
#define CONTENT                                                                                        \
	(SEEN(FIELD_SIDE) | SEEN(FIELD_KEY) | SEEN(FIELD_ROOT) | SEEN(FIELD_SALT) | SEEN(FIELD_FROM) | \
		SEEN(FIELD_NOT_BEFORE) | SEEN(FIELD_NOT_AFTER))

static int require(struct reader *reader, unsigned wanted, const char *kind)
{
	unsigned id;

	if (reader->line.retire)
		wanted &= ~CONTENT;
	for (id = 0; id < FIELD_COUNT; id++)
		if (wanted & ~reader->seen & SEEN(id))
			return hk_error_set(reader->error, EINVAL, "%s:%u: %s= is missing: %s needs it",
				reader->name, reader->number, fields[id].name, kind);
	return 0;
}

static int forbid(struct reader *reader, unsigned unwanted, const char *kind)
{
	unsigned id;

	for (id = 0; id < FIELD_COUNT; id++)
		if (unwanted & reader->seen & SEEN(id))
			return hk_error_set(reader->error, EINVAL, "%s:%u: %s= does not belong to %s",
				reader->name, reader->number, fields[id].name, kind);
	return 0;
}

#define OF_ONE_SPI \
	(SEEN(FIELD_SPI) | SEEN(FIELD_VERSION) | SEEN(FIELD_SUITE) | SEEN(FIELD_SALT) | SEEN(FIELD_ROOT))

static int check_level(struct reader *reader)
{
	static const char kind[] = "the root of a level";
	int error = require(reader, SEEN(FIELD_GENERATION) | SEEN(FIELD_SIDE) | SEEN(FIELD_KEY), kind);

	if (!error)
		error = forbid(reader,
			OF_ONE_SPI | SEEN(FIELD_SLOT) | SEEN(FIELD_RECEIVER) | SEEN(FIELD_ID) |
				SEEN(FIELD_FROM),
			kind);
	if (!error && !reader->line.retire && reader->line.key_size != 32)
		error = refuse(reader, "a root has 64 hexadecimal digits");
	return error;
}

/* Who sends with an SPI or under an id: no key, and nothing that one has. */
static int check_sender(struct reader *reader)
{
	static const char kind[] = "a line that names a sender";
	const unsigned own = SEEN(FIELD_SENDER) | SEEN(FIELD_SPIS) | SEEN(FIELD_ID);
	int error = forbid(reader, ~own, kind);

	if (!error)
		error = require(reader, SEEN(FIELD_SENDER), kind);
	if (!error && !(reader->seen & SEEN(FIELD_SPIS)) == !(reader->seen & SEEN(FIELD_ID)))
		error = refuse(reader, "a line that names a sender has either spis= or id=");
	if (!error && reader->line.retire)
		error = refuse(reader, "a line that names a sender cannot be retired: it holds no key");
	return error;
}

static int check_combined(struct reader *reader)
{
	static const char kind[] = "a combined master key";
	int error = require(reader, SEEN(FIELD_SLOT) | SEEN(FIELD_GENERATION) | SEEN(FIELD_SIDE), kind);

	return error ? error : forbid(reader, OF_ONE_SPI | SEEN(FIELD_KEY), kind);
}

static int check_master(struct reader *reader)
{
	static const char kind[] = "a master key";
	int error;

	error = require(
		reader, SEEN(FIELD_SLOT) | SEEN(FIELD_GENERATION) | SEEN(FIELD_SIDE) | SEEN(FIELD_KEY), kind);
	if (!error)
		error = forbid(reader,
			SEEN(FIELD_VERSION) | SEEN(FIELD_SUITE) | SEEN(FIELD_SALT) | SEEN(FIELD_ROOT), kind);
	if (!error && !reader->line.retire && reader->line.key_size != 32)
		error = refuse(reader, "a master key has 64 hexadecimal digits");
	return error;
}

static int check_psp(struct reader *reader)
{
	const struct hk_key_line *line = &reader->line;

	if (forbid(reader, SEEN(FIELD_SALT) | SEEN(FIELD_SUITE), "an explicit PSP key"))
		return -EINVAL;
	if (!(line->spi & ~HK_PSP_SPI_SLOT))
		return refuse(reader, "a PSP SPI whose low 31 bits are 0 is reserved");
	if (line->retire)
		return 0;
	if (line->key_size != hk_kdf_psp_key_size((unsigned)line->version))
		return refuse(reader, "the key's length is not the version's: 32 hexadecimal digits for PSP "
				      "versions 0 and 4, 64 for 1 and 5");
	if ((line->side == HK_SIDE_SINGLE) != (line->version <= HK_PSP_GCM_256))
		return refuse(reader, "PSP versions 0 and 1 take side=single, 4 and 5 side=enc or side=auth");
	return 0;
}

static int check_esp(struct reader *reader)
{
	const struct hk_key_line *line = &reader->line;

	if (line->spi < HK_ESP_SPI_RESERVED)
		return refuse(reader, "ESP SPIs 0 to 255 are reserved");
	if (line->retire)
		return 0;
	if (line->key_size != 32)
		return refuse(reader, "an ESP key has 64 hexadecimal digits");
	if (line->suite == HK_SUITE_CBC_HMAC)
		return forbid(reader, SEEN(FIELD_SALT), "suite cbc-hmac") ? -EINVAL : 0;
	/* an HMAC key has no salt; every counter-mode key has one */
	if (line->side == HK_SIDE_AUTH && line->suite == HK_SUITE_CTR_HMAC)
		return 0;
	return require(reader, SEEN(FIELD_SALT), "this suite");
}

static int check_explicit_key(struct reader *reader, unsigned key, unsigned other)
{
	static const char kind[] = "an explicit key";
	int error;

	error = require(reader, SEEN(FIELD_RECEIVER) | SEEN(FIELD_SPI) | SEEN(FIELD_SIDE) | key, kind);
	if (!error)
		error = forbid(
			reader, SEEN(FIELD_SLOT) | SEEN(FIELD_GENERATION) | SEEN(FIELD_ID) | other, kind);
	if (error)
		return error;
	if (reader->line.receiver.length != 128)
		return refuse(
			reader, "an explicit key belongs to one receiver: receiver= must be an address");
	if (reader->line.side == HK_SIDE_READER)
		return refuse(reader, "side=reader is of master keys: no SPI has a reader key of its own");
	return 0;
}

static int check_explicit(struct reader *reader)
{
	return check_explicit_key(reader, SEEN(FIELD_KEY), SEEN(FIELD_ROOT));
}

/* The root of an EESP SA: the keys of its sub-SAs are expanded from it. */
static int check_root(struct reader *reader)
{
	int error = check_explicit_key(reader, SEEN(FIELD_ROOT),
		SEEN(FIELD_KEY) | SEEN(FIELD_VERSION) | SEEN(FIELD_SUITE) | SEEN(FIELD_SALT));

	if (error)
		return error;
	if (reader->line.spi < HK_ESP_SPI_RESERVED)
		return refuse(reader, "EESP SPIs 0 to 255 are reserved");
	return 0;
}

static int check_explicit_psp(struct reader *reader)
{
	int error = check_explicit(reader);

	return error ? error : check_psp(reader);
}

static int check_explicit_esp(struct reader *reader)
{
	const struct hk_key_line *line = &reader->line;
	int error = check_explicit(reader);

	if (error)
		return error;
	if (!line->retire && (line->side == HK_SIDE_SINGLE) != (line->suite == HK_SUITE_GCM))
		return refuse(reader, "suite gcm takes side=single, every other suite side=enc or side=auth");
	return check_esp(reader);
}

/* A line that retires an EESP SA does not repeat its root. */
static int check_formless(struct reader *reader)
{
	int error;

	if (reader->line.retire)
		return check_root(reader);
	error = check_explicit(reader);

	return error ? error
		     : refuse(reader,
			       "an explicit key needs version= (PSP) or suite= (ESP); an EESP SA has root=");
}

/* The first form whose marks are all on the line is the line's. */
static const struct form {
	unsigned marks;
	bool is_explicit; /* one SPI's key */
	enum hk_key_form form;
	int (*check)(struct reader *reader);
} forms[] = {
	{SEEN(FIELD_SENDER), false, HK_KEY_SENDER, check_sender},
	{SEEN(FIELD_SPIS), false, HK_KEY_SENDER, check_sender},
	{SEEN(FIELD_SPI) | SEEN(FIELD_ROOT), true, HK_KEY_ROOT, check_root},
	{SEEN(FIELD_SPI) | SEEN(FIELD_VERSION), true, HK_KEY_PSP, check_explicit_psp},
	{SEEN(FIELD_SPI) | SEEN(FIELD_SUITE), true, HK_KEY_ESP, check_explicit_esp},
	{SEEN(FIELD_SPI), true, HK_KEY_ROOT, check_formless},
	{SEEN(FIELD_LEVEL), false, HK_KEY_LEVEL, check_level},
	{SEEN(FIELD_FROM), false, HK_KEY_COMBINED, check_combined},
	{0, false, HK_KEY_MASTER, check_master},
};

static int check_line(struct reader *reader)
{
	const struct form *form = forms;

	while (form->marks & ~reader->seen)
		form++;
	reader->line.form = form->form;
	reader->line.is_explicit = form->is_explicit;
	if (reader->line.retire && forbid(reader, CONTENT & ~SEEN(FIELD_SIDE), "a line that retires a key"))
		return -EINVAL;
	if (reader->line.not_after && reader->line.not_before >= reader->line.not_after)
		return refuse(reader, "not-before= is not before not-after=");
	return form->check(reader);
}

/* Splits one line into words in place. 0 also for an empty line: `seen` stays 0. */
static int read_line(struct reader *reader, char *text)
{
	char *rest = NULL, *word;
	int error;

	for (word = strtok_r(text, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
		if (word[0] == '#')
			break;
		if (reader->update && !reader->seen && !reader->line.retire && !strcmp(word, "retire")) {
			reader->line.retire = true;
			continue;
		}
		error = read_word(reader, word);
		if (error)
			return error;
	}
	if (!reader->seen)
		return reader->line.retire ? refuse(reader, "retire needs to be told which key") : 0;
	return check_line(reader);
}

static int read_text(const char *name, const char *text, bool update, struct hk_error *error,
	int (*take)(void *context, const struct hk_key_line *line, struct hk_error *error), void *context)
{
	struct reader reader = {.name = name, .error = error, .update = update};
	char line[LINE_MAX_BYTES];
	size_t size;
	int result = 0;

	while (*text && !result) {
		size = strcspn(text, "\n");
		reader.number++;
		reader.seen = 0;
		memset(&reader.line, 0, sizeof(reader.line));
		reader.line.line = reader.number;
		reader.line.version = -1;
		if (size >= sizeof(line)) {
			result = refuse(&reader, "the line is longer than 511 bytes");
			break;
		}
		memcpy(line, text, size);
		line[size] = '\0';
		result = read_line(&reader, line);
		if (!result && reader.seen)
			result = take(context, &reader.line, error);
		text += size + (text[size] == '\n');
	}
	hk_wipe(line, sizeof(line));
	hk_wipe(&reader.line, sizeof(reader.line));
	return result;
}

int hk_keyfile_read(const char *name, const char *text, struct hk_error *error,
	int (*take)(void *context, const struct hk_key_line *line, struct hk_error *error), void *context)
{
	return read_text(name, text, false, error, take, context);
}

int hk_keyfile_read_update(const char *name, const char *text, struct hk_error *error,
	int (*take)(void *context, const struct hk_key_line *line, struct hk_error *error), void *context)
{
	return read_text(name, text, true, error, take, context);
}

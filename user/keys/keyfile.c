// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key files, line by line: see keyfile.h. keyfile_fields.c takes the words, one
 * by one; here is what a whole line must have, by its form.
 */
#include "user/keys/keyfile.h"

#include <errno.h>
#include <string.h>

#include <halfkey/crypto.h>

#include "user/keys/keyfile_fields.h"

#define LINE_MAX_BYTES 512

/* What a key is, as opposed to what names it. */
#define CONTENT                                                                                        \
	(SEEN(FIELD_SIDE) | SEEN(FIELD_KEY) | SEEN(FIELD_ROOT) | SEEN(FIELD_SALT) | SEEN(FIELD_FROM) | \
		SEEN(FIELD_NOT_BEFORE) | SEEN(FIELD_NOT_AFTER))

static int require(struct hk_key_reader *reader, unsigned wanted, const char *kind)
{
	unsigned id;

	if (reader->line.retire)
		wanted &= ~CONTENT;
	for (id = 0; id < FIELD_COUNT; id++)
		if (wanted & ~reader->seen & SEEN(id))
			return hk_error_set(reader->error, EINVAL, "%s:%u: %s= is missing: %s needs it",
				reader->name, reader->number, hk_key_field_name(id), kind);
	return 0;
}

static int forbid(struct hk_key_reader *reader, unsigned unwanted, const char *kind)
{
	unsigned id;

	for (id = 0; id < FIELD_COUNT; id++)
		if (unwanted & reader->seen & SEEN(id))
			return hk_error_set(reader->error, EINVAL, "%s:%u: %s= does not belong to %s",
				reader->name, reader->number, hk_key_field_name(id), kind);
	return 0;
}

#define OF_ONE_SPI \
	(SEEN(FIELD_SPI) | SEEN(FIELD_VERSION) | SEEN(FIELD_SUITE) | SEEN(FIELD_SALT) | SEEN(FIELD_ROOT))

static int check_level(struct hk_key_reader *reader)
{
	static const char kind[] = "the root of a level";
	int error = require(reader, SEEN(FIELD_GENERATION) | SEEN(FIELD_SIDE) | SEEN(FIELD_KEY), kind);

	if (!error)
		error = forbid(reader,
			OF_ONE_SPI | SEEN(FIELD_SLOT) | SEEN(FIELD_RECEIVER) | SEEN(FIELD_ID) |
				SEEN(FIELD_FROM),
			kind);
	if (!error && !reader->line.retire && reader->line.key_size != 32)
		error = hk_key_line_refuse(reader, "a root has 64 hexadecimal digits");
	return error;
}

/* Who sends with an SPI or under an id: no key, and nothing that one has. */
static int check_sender(struct hk_key_reader *reader)
{
	static const char kind[] = "a line that names a sender";
	const unsigned own = SEEN(FIELD_SENDER) | SEEN(FIELD_SPIS) | SEEN(FIELD_ID);
	int error = forbid(reader, ~own, kind);

	if (!error)
		error = require(reader, SEEN(FIELD_SENDER), kind);
	if (!error && !(reader->seen & SEEN(FIELD_SPIS)) == !(reader->seen & SEEN(FIELD_ID)))
		error = hk_key_line_refuse(reader, "a line that names a sender has either spis= or id=");
	if (!error && reader->line.retire)
		error = hk_key_line_refuse(
			reader, "a line that names a sender cannot be retired: it holds no key");
	return error;
}

static int check_combined(struct hk_key_reader *reader)
{
	static const char kind[] = "a combined master key";
	int error = require(reader, SEEN(FIELD_SLOT) | SEEN(FIELD_GENERATION) | SEEN(FIELD_SIDE), kind);

	return error ? error : forbid(reader, OF_ONE_SPI | SEEN(FIELD_KEY), kind);
}

static int check_master(struct hk_key_reader *reader)
{
	static const char kind[] = "a master key";
	int error;

	error = require(
		reader, SEEN(FIELD_SLOT) | SEEN(FIELD_GENERATION) | SEEN(FIELD_SIDE) | SEEN(FIELD_KEY), kind);
	if (!error)
		error = forbid(reader,
			SEEN(FIELD_VERSION) | SEEN(FIELD_SUITE) | SEEN(FIELD_SALT) | SEEN(FIELD_ROOT), kind);
	if (!error && !reader->line.retire && reader->line.key_size != 32)
		error = hk_key_line_refuse(reader, "a master key has 64 hexadecimal digits");
	return error;
}

static int check_psp(struct hk_key_reader *reader)
{
	const struct hk_key_line *line = &reader->line;

	if (forbid(reader, SEEN(FIELD_SALT) | SEEN(FIELD_SUITE), "an explicit PSP key"))
		return -EINVAL;
	if (!(line->spi & ~HK_PSP_SPI_SLOT))
		return hk_key_line_refuse(reader, "a PSP SPI whose low 31 bits are 0 is reserved");
	if (line->retire)
		return 0;
	if (line->key_size != hk_kdf_psp_key_size((unsigned)line->version))
		return hk_key_line_refuse(reader,
			"the key's length is not the version's: 32 hexadecimal digits for PSP "
			"versions 0 and 4, 64 for 1 and 5");
	if ((line->side == HK_SIDE_SINGLE) != (line->version <= HK_PSP_GCM_256))
		return hk_key_line_refuse(
			reader, "PSP versions 0 and 1 take side=single, 4 and 5 side=enc or side=auth");
	return 0;
}

static int check_esp(struct hk_key_reader *reader)
{
	const struct hk_key_line *line = &reader->line;

	if (line->spi < HK_ESP_SPI_RESERVED)
		return hk_key_line_refuse(reader, "ESP SPIs 0 to 255 are reserved");
	if (line->retire)
		return 0;
	if (line->key_size != 32)
		return hk_key_line_refuse(reader, "an ESP key has 64 hexadecimal digits");
	if (line->suite == HK_SUITE_CBC_HMAC)
		return forbid(reader, SEEN(FIELD_SALT), "suite cbc-hmac") ? -EINVAL : 0;
	/* an HMAC key has no salt; every counter-mode key has one */
	if (line->side == HK_SIDE_AUTH && line->suite == HK_SUITE_CTR_HMAC)
		return 0;
	return require(reader, SEEN(FIELD_SALT), "this suite");
}

static int check_explicit_key(struct hk_key_reader *reader, unsigned key, unsigned other)
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
		return hk_key_line_refuse(
			reader, "an explicit key belongs to one receiver: receiver= must be an address");
	if (reader->line.side == HK_SIDE_READER)
		return hk_key_line_refuse(
			reader, "side=reader is of master keys: no SPI has a reader key of its own");
	return 0;
}

static int check_explicit(struct hk_key_reader *reader)
{
	return check_explicit_key(reader, SEEN(FIELD_KEY), SEEN(FIELD_ROOT));
}

/* The root of an EESP SA: the keys of its sub-SAs are expanded from it. */
static int check_root(struct hk_key_reader *reader)
{
	int error = check_explicit_key(reader, SEEN(FIELD_ROOT),
		SEEN(FIELD_KEY) | SEEN(FIELD_VERSION) | SEEN(FIELD_SUITE) | SEEN(FIELD_SALT));

	if (error)
		return error;
	if (reader->line.spi < HK_ESP_SPI_RESERVED)
		return hk_key_line_refuse(reader, "EESP SPIs 0 to 255 are reserved");
	return 0;
}

static int check_explicit_psp(struct hk_key_reader *reader)
{
	int error = check_explicit(reader);

	return error ? error : check_psp(reader);
}

static int check_explicit_esp(struct hk_key_reader *reader)
{
	const struct hk_key_line *line = &reader->line;
	int error = check_explicit(reader);

	if (error)
		return error;
	if (!line->retire && (line->side == HK_SIDE_SINGLE) != (line->suite == HK_SUITE_GCM))
		return hk_key_line_refuse(
			reader, "suite gcm takes side=single, every other suite side=enc or side=auth");
	return check_esp(reader);
}

/* A line that retires an EESP SA does not repeat its root. */
static int check_formless(struct hk_key_reader *reader)
{
	int error;

	if (reader->line.retire)
		return check_root(reader);
	error = check_explicit(reader);

	return error ? error
		     : hk_key_line_refuse(reader,
			       "an explicit key needs version= (PSP) or suite= (ESP); an EESP SA has root=");
}

/* The first form whose marks are all on the line is the line's. */
static const struct form {
	unsigned marks;
	bool is_explicit; /* one SPI's key */
	enum hk_key_form form;
	int (*check)(struct hk_key_reader *reader);
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

static int check_line(struct hk_key_reader *reader)
{
	const struct form *form = forms;

	while (form->marks & ~reader->seen)
		form++;
	reader->line.form = form->form;
	reader->line.is_explicit = form->is_explicit;
	if (reader->line.retire && forbid(reader, CONTENT & ~SEEN(FIELD_SIDE), "a line that retires a key"))
		return -EINVAL;
	if (reader->line.not_after && reader->line.not_before >= reader->line.not_after)
		return hk_key_line_refuse(reader, "not-before= is not before not-after=");
	return form->check(reader);
}

/* Splits one line into words in place. 0 also for an empty line: `seen` stays 0. */
static int read_line(struct hk_key_reader *reader, char *text)
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
		error = hk_key_field_read(reader, word);
		if (error)
			return error;
	}
	if (!reader->seen)
		return reader->line.retire ? hk_key_line_refuse(reader, "retire needs to be told which key")
					   : 0;
	return check_line(reader);
}

static int read_text(const char *name, const char *text, bool update, struct hk_error *error,
	int (*take)(void *context, const struct hk_key_line *line, struct hk_error *error), void *context)
{
	struct hk_key_reader reader = {.name = name, .error = error, .update = update};
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
			result = hk_key_line_refuse(&reader, "the line is longer than 511 bytes");
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

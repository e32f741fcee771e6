/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of a key file's line: what each field=value has to be, and where it
 * goes. keyfile.c reads lines with it, and knows what a whole one must have.
 */
#ifndef HK_KEYS_KEYFILE_FIELDS_H
#define HK_KEYS_KEYFILE_FIELDS_H

#include "user/keys/keyfile.h"

enum hk_key_field {
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

/* A text, line by line: the line that is being read. */
struct hk_key_reader {
	const char *name;
	struct hk_error *error;
	unsigned number; /* of the line */
	unsigned seen;	 /* SEEN() of each field on the line */
	bool update;	 /* "retire" may stand in front */
	struct hk_key_line line;
};

/* Takes one word of the line, field=value, apart in place. 0, or -EINVAL and a sentence. */
int hk_key_field_read(struct hk_key_reader *reader, char *word);
const char *hk_key_field_name(enum hk_key_field id);
/* -EINVAL, and the sentence behind file and line. */
int hk_key_line_refuse(struct hk_key_reader *reader, const char *sentence);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The levels whose roots keys are combined of, for `halfkey-endpoint keygen`.
 *
 * All keys of a domain share the roots of every level but the last: they are
 * drawn here, or come from whoever drew them before. Of the last level each key
 * has a root of its own, always a new one, so that every key is new and no
 * two receivers have one key. A root is named by its level and its generation.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/files.h"
#include "user/endpoint/keygen.h"
#include "user/keys/keyfile.h"

#define FILE_MAX (16u << 20)

/* The newest root of one level in a file. */
struct search {
	const char *level;
	bool split;
	bool enc, auth; /* found, of `generation` */
	__u32 generation;
	struct hk_keygen_level *out; /* NULL: the generation alone */
};

static int take_line(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct search *search = context;
	bool auth = line->side == HK_SIDE_AUTH;

	(void)error;
	if (line->form != HK_KEY_LEVEL || strcmp(line->level, search->level) != 0 ||
		((search->enc || search->auth) && line->generation < search->generation) ||
		(!auth && line->side != (search->split ? HK_SIDE_ENC : HK_SIDE_SINGLE)))
		return 0;
	if (line->generation != search->generation)
		search->enc = search->auth = false;
	search->generation = line->generation;
	*(auth ? &search->auth : &search->enc) = true;
	if (search->out)
		memcpy(auth ? search->out->auth : search->out->enc, line->key, 32);
	return 0;
}

static int read_file(struct search *search, const char *path, struct hk_error *error)
{
	struct hk_files files = {0};
	size_t size = 0;
	char *text = NULL;
	int status = hk_files_open(&files, HK_FILE_KEYS, ".", path, error);

	if (!status)
		text = hk_files_read(&files, path, FILE_MAX, &size, error);
	hk_files_close(&files);
	if (!text)
		return status ? status : -EINVAL;
	status = hk_keyfile_read(path, text, error, take_line, search);
	hk_wipe(text, size);
	free(text);
	if (!status && (!search->enc || (search->split && !search->auth)))
		status = hk_error_set(error, ENOKEY,
			"%s: no root of level '%s' with both its sides (take a levels.keys, not a box's "
			"file)",
			path, search->level);
	return status;
}

static int read_root(const struct hk_keygen *keygen, struct hk_keygen_level *level, const char *path,
	struct hk_error *error)
{
	struct search search = {
		.level = level->name, .split = keygen->profile == HK_PROFILE_SPLIT, .out = level};
	int status = read_file(&search, path, error);

	level->generation = search.generation;
	return status;
}

static int draw_root(struct hk_keygen_level *level, struct hk_error *error)
{
	level->generation++;
	level->fresh = true;
	if (RAND_priv_bytes(level->enc, 32) != 1 || RAND_priv_bytes(level->auth, 32) != 1)
		return hk_error_set(error, EIO, "the system gives no random numbers");
	return 0;
}

static int add_level(struct hk_keygen *keygen, const char *wish, struct hk_error *error)
{
	struct hk_keygen_level *level = &keygen->levels[keygen->levels_count];
	size_t length = strcspn(wish, "="), i;

	if (keygen->levels_count == HK_KEYGEN_LEVELS)
		return hk_error_set(error, E2BIG, "level '%.40s': at most %u levels", wish, HK_KEYGEN_LEVELS);
	if (!length || length > HK_KEY_LEVEL_NAME ||
		strspn(wish, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != length)
		return hk_error_set(error, EINVAL,
			"level '%.40s': a name is up to %u letters, digits, '-', '_' and '.'", wish,
			HK_KEY_LEVEL_NAME);
	memcpy(level->name, wish, length);
	for (i = 0; i < keygen->levels_count; i++)
		if (strcmp(keygen->levels[i].name, level->name) == 0)
			return hk_error_set(error, EINVAL, "level '%s' stands twice", level->name);
	keygen->levels_count++;
	return 0;
}

/* Whether `wish`, NAME or NAME=FILE, is about this level. */
static bool is_about(const char *wish, const char *name)
{
	size_t length = strlen(name);

	return strncmp(wish, name, length) == 0 && (!wish[length] || wish[length] == '=');
}

/* What --level says of a level behind its name: "" or "=FILE"; NULL: nothing. */
static const char *wish_for(
	const struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, const char *name)
{
	unsigned i;

	for (i = keygen->next ? wishes->levels.old : 0; i < wishes->levels.count; i++)
		if (is_about(wishes->levels.row[i], name))
			return wishes->levels.row[i] + strlen(name);
	return NULL;
}

static int check_wishes(
	const struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	unsigned i, k, last = keygen->levels_count - 1;
	const char *wish;

	if (!last)
		return hk_error_set(error, EINVAL,
			"level '%s': one level alone combines nothing; name two or three",
			keygen->levels[0].name);
	for (i = wishes->levels.old; keygen->next && i < wishes->levels.count; i++) {
		for (k = 0; k <= last; k++)
			if (is_about(wishes->levels.row[i], keygen->levels[k].name))
				break;
		if (k > last)
			return hk_error_set(error, EINVAL, "level '%.40s' is none of those of %s",
				wishes->levels.row[i], keygen->next);
	}
	wish = wish_for(keygen, wishes, keygen->levels[last].name);
	if (wish && *wish)
		return hk_error_set(error, EINVAL,
			"level '%s': each key gets a root of its own of the last level, so there is no file "
			"to "
			"take it from",
			keygen->levels[last].name);
	return 0;
}

/* The same generation with another root, or an older one: the box would refuse it, or combine with what it
 * has. */
static int check_newer(const struct hk_keygen_level *before, struct hk_keygen_level *level, const char *path,
	struct hk_error *error)
{
	level->fresh = level->generation != before->generation;
	if (level->generation > before->generation ||
		(!level->fresh && hk_equal(level->enc, before->enc, 32) &&
			hk_equal(level->auth, before->auth, 32)))
		return 0;
	return hk_error_set(error, EINVAL,
		"%s: generation %u of level '%s' is not what follows generation %u that is in use", path,
		level->generation, level->name, before->generation);
}

/* The root of a level that is shared, from where it is, or drawn. */
static int find_root(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes,
	struct hk_keygen_level *level, const char *old, struct hk_error *error)
{
	const char *wish = wish_for(keygen, wishes, level->name);
	struct hk_keygen_level before;
	int status = 0;

	if (keygen->next)
		status = read_root(keygen, level, old, error);
	before = *level;
	if (!status && wish && *wish) {
		status = read_root(keygen, level, wish + 1, error);
		level->fresh = true;
		if (!status && keygen->next)
			status = check_newer(&before, level, wish + 1, error);
	} else if (!status && (wish || !keygen->next)) {
		status = draw_root(level, error);
	}
	hk_wipe(&before, sizeof(before));
	return status;
}

int hk_keygen_levels(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	unsigned i, count = keygen->next ? wishes->levels.old : wishes->levels.count;
	char old[HK_NEWDIR_PATH + 32];
	struct search search = {.split = keygen->profile == HK_PROFILE_SPLIT};
	int status = 0;

	if (!wishes->levels.count)
		return 0;
	if (!count)
		return hk_error_set(error, EINVAL, "--level with --next: %s has no levels", keygen->next);
	for (i = 0; i < count && !status; i++)
		status = add_level(keygen, wishes->levels.row[i], error);
	if (!status)
		status = check_wishes(keygen, wishes, error);
	if (status)
		return status;
	snprintf(old, sizeof(old), "%.*s/levels.keys", HK_NEWDIR_PATH, keygen->next ? keygen->next : "");
	for (i = 0; i + 1 < count && !status; i++)
		status = find_root(keygen, wishes, &keygen->levels[i], old, error);
	search.level = keygen->levels[count - 1].name;
	if (!status && keygen->next)
		status = read_file(&search, old, error);
	keygen->roots_before = search.generation;
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads an end host's key file, and refuses one whose lines contradict each other or
 * lack a side: see hostkeys.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/files.h"
#include "user/base/text.h"
#include "user/crypto/levels.h"
#include "user/endpoint/hostkeys_lines.h"
#include "user/endpoint/secret.h"

#define FILE_MAX (1u << 20)

/* Same receiver as written, or both without one. */
static bool same_receiver(const struct hk_key_line *a, const struct hk_key_line *b)
{
	return a->has_receiver == b->has_receiver &&
	       (!a->has_receiver || (a->receiver.length == b->receiver.length &&
					    memcmp(&a->receiver.address, &b->receiver.address, 16) == 0));
}

/* One SPI, or one slot of one receiver: where two lines must not contradict each other. */
static bool same_place(const struct hk_key_line *a, const struct hk_key_line *b)
{
	if (a->form == HK_KEY_LEVEL || b->form == HK_KEY_LEVEL)
		return a->form == b->form && strcmp(a->level, b->level) == 0;
	if (a->is_explicit != b->is_explicit || !same_receiver(a, b))
		return false;
	if (a->is_explicit)
		return a->spi == b->spi && (a->version >= 0) == (b->version >= 0) &&
		       (a->form == HK_KEY_ROOT) == (b->form == HK_KEY_ROOT);
	return a->slot == b->slot && a->has_id == b->has_id && a->id == b->id;
}

static int check_pair(const char *name, const struct hk_key_line *old, const struct hk_key_line *line,
	struct hk_error *error)
{
	if (old->side != line->side && old->key_size == line->key_size &&
		hk_equal(old->key, line->key, line->key_size))
		return hk_error_set(error, EINVAL,
			"%s:%u: the key of line %u in another role: whoever holds one of them could forge; "
			"use a key "
			"of its own for each side",
			name, line->line, old->line);
	if (!same_place(old, line))
		return 0;
	if (hk_host_key_is_single(old) != hk_host_key_is_single(line))
		return hk_error_set(error, EINVAL,
			"%s:%u: side=single beside split keys of the same receiver on line %u: a master key "
			"belongs to "
			"one profile for life",
			name, line->line, old->line);
	if (old->side == line->side && (line->is_explicit || old->generation == line->generation))
		return hk_error_set(error, EINVAL, "%s:%u: the same key place as line %u: remove one", name,
			line->line, old->line);
	return 0;
}

/* A key lives within the times of all that it is made of. */
static void narrow(struct hk_key_line *line, const struct hk_key_line *other)
{
	if (other->not_before > line->not_before)
		line->not_before = other->not_before;
	if (other->not_after && (!line->not_after || other->not_after < line->not_after))
		line->not_after = other->not_after;
}

/* --- levels --------------------------------------------------------------------------------------- */

static const struct hk_key_line *find_level(
	const struct hk_host_keys *keys, const char *level, __u32 generation, enum hk_side side)
{
	unsigned i;

	for (i = 0; i < keys->count; i++)
		if (keys->lines[i].form == HK_KEY_LEVEL && keys->lines[i].generation == generation &&
			keys->lines[i].side == side && strcmp(keys->lines[i].level, level) == 0)
			return &keys->lines[i];
	return NULL;
}

static int check_level(
	const struct hk_host_keys *keys, const struct hk_key_line *line, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < keys->levels_count; i++)
		if (strcmp(keys->levels[i], line->level) == 0)
			return 0;
	return hk_error_set(error, EINVAL, "%s:%u: level=%s is not among the levels named (levels)",
		keys->name, line->line, line->level);
}

/* from=: the master key that the roots make, as the box makes it (user/keys/load.c). */
static int combine(const struct hk_host_keys *keys, struct hk_key_line *line, struct hk_error *error)
{
	struct hk_kdf_levels levels = {.count = keys->levels_count};
	const struct hk_key_line *root;
	int status = 0;
	unsigned i;

	if (line->from_count != keys->levels_count)
		return hk_error_set(error, EINVAL, "%s:%u: from= names %u levels, %u are named (levels)",
			keys->name, line->line, line->from_count, keys->levels_count);
	for (i = 0; i < levels.count && !status; i++) {
		root = find_level(keys, keys->levels[i], line->from[i], line->side);
		if (!root) {
			status = hk_error_set(error, ENOENT,
				"%s:%u: from=: there is no generation %u of level '%s' of this side (its "
				"line must stand before this one)",
				keys->name, line->line, line->from[i], keys->levels[i]);
			continue;
		}
		memcpy(levels.root[i], root->key, sizeof(levels.root[i]));
		memcpy(levels.id[i], keys->levels[i], sizeof(levels.id[i]));
		narrow(line, root);
	}
	if (!status) {
		hk_kdf_combine(&levels, line->side, line->key);
		line->key_size = 32;
		line->form = HK_KEY_MASTER;
	}
	hk_wipe(&levels, sizeof(levels));
	return status;
}

static int name_levels(struct hk_host_keys *keys, const char *levels, struct hk_error *error)
{
	const char *at = levels ? levels : "";
	size_t length;

	for (; *at; at += length + (at[length] == ',')) {
		length = strcspn(at, ",");
		if (!length || length > HK_KEY_LEVEL_NAME || keys->levels_count == HK_KEY_LEVELS)
			return hk_error_set(error, EINVAL,
				"levels '%s': up to %d names of at most %d characters, joined by ','", levels,
				HK_KEY_LEVELS, HK_KEY_LEVEL_NAME);
		memcpy(keys->levels[keys->levels_count++], at, length);
	}
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

static void take_sender(struct hk_host_keys *keys, const struct hk_key_line *line)
{
	keys->senders[keys->senders_count++] = (struct hk_host_sender){.address = line->sender,
		.is_id = line->has_id,
		.number = line->has_id ? line->id : line->spi,
		.mask = line->has_id ? 0xffffffff : line->mask};
}

static int take(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct hk_host_keys *keys = context;
	struct hk_key_line *row = &keys->lines[keys->count];
	int status = 0;
	unsigned i;

	if (keys->count == HK_HOST_LINES_MAX || keys->senders_count == HK_HOST_LINES_MAX)
		return hk_error_set(error, EFBIG, "%s:%u: more than %u keys or senders in one file",
			keys->name, line->line, HK_HOST_LINES_MAX);
	if (line->form == HK_KEY_SENDER) {
		take_sender(keys, line);
		return 0;
	}
	*row = *line;
	if (row->form == HK_KEY_LEVEL)
		status = check_level(keys, row, error);
	if (row->form == HK_KEY_COMBINED)
		status = combine(keys, row, error);
	for (i = 0; i < keys->count && !status; i++)
		status = check_pair(keys->name, &keys->lines[i], row, error);
	if (status)
		hk_wipe(row, sizeof(*row));
	else
		keys->count++;
	return status;
}

const struct hk_key_line *hk_host_keys_of_side(
	const struct hk_host_keys *keys, const struct hk_key_line *line, enum hk_side wanted)
{
	unsigned i;

	for (i = 0; i < keys->count; i++) {
		const struct hk_key_line *other = &keys->lines[i];

		if (other->side == wanted && same_place(other, line) &&
			other->generation == line->generation && other->version == line->version &&
			other->suite == line->suite)
			return other;
	}
	return NULL;
}

const struct hk_key_line *hk_host_keys_other_side(
	const struct hk_host_keys *keys, const struct hk_key_line *line)
{
	return hk_host_keys_of_side(keys, line, line->side == HK_SIDE_ENC ? HK_SIDE_AUTH : HK_SIDE_ENC);
}

static int check_sides(struct hk_host_keys *keys, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < keys->count; i++) {
		struct hk_key_line *line = &keys->lines[i];
		const struct hk_key_line *other =
			hk_host_key_is_single(line) ? NULL : hk_host_keys_other_side(keys, line);

		if (other)
			narrow(line, other);
		if (!hk_host_key_is_single(line) && !other)
			return hk_error_set(error, EINVAL,
				"%s:%u: side=%s without its side=%s: an end host needs both (is this the "
				"box's file?)",
				keys->name, line->line, line->side == HK_SIDE_ENC ? "enc" : "auth",
				line->side == HK_SIDE_ENC ? "auth" : "enc");
	}
	if (!keys->count)
		return hk_error_set(error, EINVAL, "%s: no keys in it", keys->name);
	return 0;
}

int hk_host_keys_parse(struct hk_host_keys **out, const char *name, const char *text, const char *levels,
	struct hk_error *error)
{
	struct hk_host_keys *keys = hk_secret_new(sizeof(*keys));
	int status;

	if (!keys)
		return hk_error_set(error, ENOMEM, "no memory for the keys of %s", name);
	keys->name = name;
	status = name_levels(keys, levels, error);
	if (!status)
		status = hk_keyfile_read(name, text, error, take, keys);
	if (!status)
		status = check_sides(keys, error);
	keys->name = NULL;
	if (status)
		hk_host_keys_free(keys);
	else
		*out = keys;
	return status;
}

/* Reads what `files` has of `path`, and closes it. */
static int load(struct hk_host_keys **out, const char *path, struct hk_files *files, const char *levels,
	struct hk_error *error)
{
	size_t size = 0;
	char *text = hk_files_read(files, path, FILE_MAX, &size, error);
	int status;

	hk_files_close(files);
	if (!text)
		return -EINVAL;
	status = hk_host_keys_parse(out, path, text, levels, error);
	hk_wipe(text, size);
	free(text);
	return status;
}

int hk_host_keys_load(struct hk_host_keys **out, const char *path, const char *levels, struct hk_error *error)
{
	struct hk_files files = {0};
	int status = hk_files_open(&files, HK_FILE_KEYS, ".", path, error);

	return status ? status : load(out, path, &files, levels, error);
}

int hk_host_keys_load_fd(
	struct hk_host_keys **out, const char *path, int fd, const char *levels, struct hk_error *error)
{
	struct hk_files files = {0};
	int status = hk_files_add(&files, HK_FILE_KEYS, path, fd);

	return status ? hk_error_set(error, -status, "%s: no memory for a file", path)
		      : load(out, path, &files, levels, error);
}

void hk_host_keys_free(struct hk_host_keys *keys)
{
	hk_secret_free(keys, sizeof(*keys));
}

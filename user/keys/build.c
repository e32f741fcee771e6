// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole keyrings, from the key files that a configuration names. See keyring.h; lines are load.c's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <halfkey/crypto.h>

#include "user/keys/connections.h"
#include "user/keys/load.h"

#define LINE_BYTES 512 /* what a key file may hold for each key that fits */

static int take_line(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	return hk_key_take_line(context, line, error);
}

static int load_file(struct hk_key_loader *loader, const struct hk_files *files, struct hk_error *error)
{
	size_t size = 0, max = ((size_t)loader->keyring->capacity + 64) * LINE_BYTES;
	char *text = hk_files_read(files, loader->name, max, &size, error);
	int result;

	if (!text)
		return hk_error_set(error, errno ? errno : EIO, "%s: cannot be read", loader->name);
	if (strlen(text) != size)
		result = hk_error_set(error, EINVAL, "%s: holds a NUL byte: not a key file", loader->name);
	else if (loader->domain->envelope == HK_ENVELOPE_TLS)
		result = hk_keyring_load_tls(loader->keyring, loader->domain, loader->name, text, error);
	else
		result = hk_keyfile_read(loader->name, text, error, take_line, loader);
	hk_wipe(text, size);
	free(text);
	return result;
}

static bool in_directory(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	while (length > 1 && directory[length - 1] == '/')
		length--;
	return strncmp(path, directory, length) == 0 && path[length] == '/' &&
	       !strchr(path + length + strspn(path + length, "/"), '/');
}

/* The files that whoever opened them found in keys-dir. */
static int load_directory(struct hk_key_loader *loader, const struct hk_files *files, struct hk_error *error)
{
	unsigned i;
	int result = 0;

	for (i = 0; i < files->count && !result; i++) {
		if (files->rows[i].kind != HK_FILE_KEYS ||
			!in_directory(files->rows[i].path, loader->domain->keys_dir))
			continue;
		loader->name = files->rows[i].path;
		loader->source = hk_key_source(loader->keyring, loader->name);
		result = loader->source ? load_file(loader, files, error)
					: hk_error_set(error, ENOMEM, "%s: out of memory", loader->name);
	}
	return result;
}

static int load_domain(struct hk_keyring *keyring, const struct hk_domain_config *domain,
	const struct hk_files *files, struct hk_error *error)
{
	struct hk_key_loader loader = {
		.keyring = keyring, .domain = domain, .name = domain->keys, .source = HK_SOURCE_KEYS};
	int result = 0;

	if (domain->id >= HK_DOMAINS_MAX)
		return hk_error_set(error, EINVAL, "domain '%s' has number %u: there are at most %u domains",
			domain->name, domain->id, HK_DOMAINS_MAX);
	if (domain->keys)
		result = load_file(&loader, files, error);
	if (!result && domain->keys_dir)
		result = load_directory(&loader, files, error);
	return result;
}

static struct hk_keyring *make_keyring(struct hk_arena *arena)
{
	struct hk_keyring *keyring = calloc(1, sizeof(*keyring));
	unsigned room;

	if (!keyring)
		return NULL;
	keyring->capacity = hk_arena_keys(arena);
	hk_key_serial(keyring);
	keyring->tombs_max = keyring->capacity / 4;
	keyring->free_first = keyring->tomb_first = keyring->tomb_last = keyring->roots = HK_KEY_NONE;
	keyring->wait_first = keyring->wait_last = HK_KEY_NONE;
	keyring->next_event = ~0ull;
	room = keyring->capacity + keyring->tombs_max + 1;
	keyring->entries = calloc(room, sizeof(*keyring->entries));
	keyring->groups = calloc(keyring->capacity + 1, sizeof(*keyring->groups));
	if (keyring->entries && keyring->groups && !hk_key_table_make(&keyring->explicit_table, room) &&
		!hk_key_table_make(&keyring->group_table, keyring->capacity + 1) &&
		!hk_key_table_make(&keyring->bytes_table, keyring->capacity + 1))
		return keyring;
	hk_keyring_free(keyring);
	return NULL;
}

static int need_children(struct hk_keyring *keyring, struct hk_arena *arena, const struct hk_config *config,
	struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < config->domains_count && !keyring->children; i++) {
		if (config->domains[i].envelope != HK_ENVELOPE_INLINE)
			continue;
		keyring->children = hk_arena_children(arena);
		if (!keyring->children)
			return hk_error_set(error, ENOMEM, "no memory for the SPIs of inline keying");
	}
	return 0;
}

int hk_keyring_new(struct hk_keyring **out, struct hk_arena *arena, const struct hk_config *config,
	const struct hk_files *files, struct hk_error *error)
{
	struct hk_keyring *keyring;
	unsigned i;
	int result = 0;

	if (hk_key_fingerprints_begin())
		return hk_error_set(error, EIO, "the kernel's random generator gave no bytes");
	keyring = make_keyring(arena);
	if (!keyring)
		return hk_error_set(
			error, ENOMEM, "no memory for a keyring of %u keys", hk_arena_keys(arena));
	keyring->config = config;
	keyring->now_s = (__u32)time(NULL);
	keyring->part = hk_arena_take(arena);
	if (!keyring->part)
		result = hk_error_set(error, EBUSY, "the key arena holds two keyrings already; try again");
	if (!result)
		result = need_children(keyring, arena, config, error);
	for (i = 0; i < config->domains_count && !result; i++)
		result = load_domain(keyring, &config->domains[i], files, error);
	if (!result)
		result = hk_keyring_settle(keyring);
	if (result) {
		hk_keyring_free(keyring);
		return result;
	}
	*out = keyring;
	return 0;
}

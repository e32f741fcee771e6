// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From key lines to entries: each line against its domain (rules.h), then
 * against all other lines, then into the arena. Where an entry stands in the
 * tables is tables.c's; whole keyrings are build.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <halfkey/reason.h>

#include "user/crypto/levels.h"
#include "user/keys/load.h"
#include "user/keys/rules.h"

static __u64 last_id;
static __u64 last_serial; /* control thread only */

static const __u8 *instance_key(void)
{
	static __u8 key[32];
	static int ready;

	/* control thread only, as all building of keyrings */
	if (!ready && getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key))
		ready = 1;
	return ready ? key : NULL;
}

int hk_key_fingerprints_begin(void)
{
	return instance_key() ? 0 : -EIO;
}

void hk_key_fingerprint(const __u8 *key, size_t size, __u8 out[8])
{
	hk_crypto_fingerprint(instance_key(), key, size, out);
}

void hk_key_serial(struct hk_keyring *keyring)
{
	keyring->serial = ++last_serial;
}

static int refuse_pair(const struct hk_key_loader *loader, const struct hk_key_line *line,
	const struct hk_key_entry *other, struct hk_error *error, const char *why)
{
	return hk_error_set(error, EINVAL, "%s:%u: the same key as %s:%u: %s", loader->name, line->line,
		hk_key_source_name(loader->keyring, other), other->line, why);
}

static bool same_receiver(const struct hk_key_row *a, const struct hk_key_row *b)
{
	return a->has_receiver == b->has_receiver && a->receiver.length == b->receiver.length &&
	       memcmp(&a->receiver.address, &b->receiver.address, sizeof(a->receiver.address)) == 0;
}

/* What decides about keys and nonces of a TSS domain; not which epochs count. */
static bool same_tss(const struct hk_tss_options *a, const struct hk_tss_options *b)
{
	return a->mode == b->mode && a->ssi == b->ssi && a->long_length == b->long_length &&
	       a->iv_sdi == b->iv_sdi && a->small_context == b->small_context &&
	       a->rekey_shift == b->rekey_shift && a->rekey_mask == b->rekey_mask;
}

/* Neither SDI nor AN is part of a TSS key's derivation, and direct mode has none. */
static bool may_share_tss(
	const struct hk_key_loader *loader, const struct hk_key_row *row, const struct hk_key_entry *other)
{
	if (loader->domain->envelope != other->domain->envelope)
		return loader->domain->envelope != HK_ENVELOPE_TSS &&
		       other->domain->envelope != HK_ENVELOPE_TSS;
	return loader->domain->envelope != HK_ENVELOPE_TSS ||
	       (row->id == other->row.id && row->slot == other->row.slot &&
		       same_tss(&loader->domain->tss, &other->domain->tss));
}

/* Two lines with the same key bytes: which of that repeats a nonce or crosses a profile? */
static int check_shared(const struct hk_key_loader *loader, const struct hk_key_line *line,
	const struct hk_key_row *row, const struct hk_key_entry *other, struct hk_error *error)
{
	bool psp = loader->domain->envelope == HK_ENVELOPE_PSP || other->domain->envelope == HK_ENVELOPE_PSP;

	if (loader->domain->profile != other->domain->profile)
		return refuse_pair(loader, line, other, error,
			"a key belongs to one profile for life; make a new one for this domain");
	if (row->is_level != other->row.is_level ||
		(row->is_level && strcmp(row->level, other->row.level) != 0))
		return refuse_pair(loader, line, other, error,
			"the root of a level is the root of this level and nothing else");
	if (row->is_level && (row->domain != other->row.domain || row->generation == other->row.generation))
		return 0;
	if (row->is_level)
		return refuse_pair(loader, line, other, error, "a new generation needs a new key");
	if (row->is_explicit != other->row.is_explicit)
		return refuse_pair(loader, line, other, error,
			"a master key and the key of one SPI must never be equal");
	if (row->is_explicit)
		return refuse_pair(loader, line, other, error, "two SPIs with one key can repeat a nonce");
	if (row->side != other->row.side &&
		(row->side == HK_SIDE_READER || other->row.side == HK_SIDE_READER))
		return refuse_pair(loader, line, other, error, "a reader key must be a key of its own");
	if (!may_share_tss(loader, row, other))
		return refuse_pair(loader, line, other, error,
			"a TSS key belongs to one SDI, one slot and one way to derive: another repeats "
			"nonces");
	if (psp && !same_receiver(row, &other->row))
		return refuse_pair(loader, line, other, error,
			"two receivers with one PSP master key repeat nonces; make a pair for each receiver "
			"address");
	if (row->domain == other->row.domain && row->id == other->row.id && row->slot == other->row.slot &&
		row->generation != other->row.generation && same_receiver(row, &other->row))
		return refuse_pair(loader, line, other, error, "a new generation needs a new key");
	return 0;
}

static int check_bytes(const struct hk_key_loader *loader, const struct hk_key_line *line,
	const struct hk_key_row *row, struct hk_error *error)
{
	const struct hk_key_table *table = &loader->keyring->bytes_table;
	__u32 hash = hk_key_bytes_hash(row), at;
	const struct hk_key_entry *other;
	int result = 0;

	for (; !result && (at = table->rows[hash & table->mask]); hash++) {
		other = &loader->keyring->entries[at - 1];
		if (other->key_size == line->key_size &&
			hk_equal(hk_key_entry_bytes(other), line->key, line->key_size))
			result = check_shared(loader, line, row, other, error);
	}
	return result;
}

int hk_key_refuse_twice(const struct hk_key_loader *loader, const struct hk_key_line *line,
	const struct hk_key_entry *other, struct hk_error *error)
{
	const char *what = line->is_explicit	    ? "receiver, SPI and version or suite"
			   : line->level[0] != '\0' ? "level and generation"
			   : line->has_id	    ? "id, receiver, slot and generation"
						    : "receiver, slot and generation";

	return hk_error_set(error, EINVAL, "%s:%u: the same %s as %s:%u: keep one of the two lines",
		loader->name, line->line, what, hk_key_source_name(loader->keyring, other), other->line);
}

void hk_key_fill_row(
	struct hk_key_row *row, const struct hk_domain_config *domain, const struct hk_key_line *line)
{
	*row = (struct hk_key_row){
		.domain = domain->id,
		.is_explicit = line->is_explicit,
		.is_root = line->form == HK_KEY_ROOT,
		.is_level = line->form == HK_KEY_LEVEL,
		.has_receiver = line->has_receiver,
		.receiver = line->receiver,
		.slot = line->slot,
		.side = (__u8)line->side,
		.version = line->version,
		.suite = (__u8)line->suite,
		.generation = line->generation,
		.spi = line->spi,
		.has_id = line->has_id,
		.id = line->has_id ? line->id : domain->mkid,
		.not_before = line->not_before,
		.not_after = line->not_after,
	};
	memcpy(row->level, line->level, sizeof(row->level));
}

enum hk_key_form hk_key_row_form(const struct hk_key_row *row)
{
	if (row->is_level)
		return HK_KEY_LEVEL;
	if (!row->is_explicit)
		return HK_KEY_MASTER;
	if (row->is_root)
		return HK_KEY_ROOT;
	return row->version >= 0 ? HK_KEY_PSP : HK_KEY_ESP;
}

static void *make_cell(struct hk_arena_part *part, const struct hk_key_line *line, int *result)
{
	bool root = line->form == HK_KEY_ROOT, large = !line->is_explicit && line->form != HK_KEY_LEVEL;
	void *memory = large || root ? hk_arena_cell(part) : hk_arena_small(part);
	struct hk_key_cell *cell = memory;

	*result = memory ? 0 : -ENOSPC;
	if (memory && large)
		*result = hk_kdf_key_init(memory, line->key);
	if (memory && !large) {
		memcpy(cell->key, line->key, sizeof(cell->key));
		memcpy(cell->salt, line->salt, sizeof(cell->salt));
	}
	if (memory && root)
		hk_hmac_key_init(&((struct hk_key_root_cell *)memory)->hmac, line->key, sizeof(line->key));
	return memory;
}

unsigned hk_key_state_at(const struct hk_key_row *row, __u64 now_s)
{
	if (row->not_after && row->not_after <= now_s)
		return HK_ENTRY_EXPIRED;
	return row->not_before > now_s ? HK_ENTRY_EARLY : HK_ENTRY_LIVE;
}

static int refuse_room(
	const struct hk_key_loader *loader, const struct hk_key_line *line, struct hk_error *error)
{
	return hk_error_set(error, ENOSPC,
		"%s:%u: no room for another key: keys_max is %u%s; raise it and restart", loader->name,
		line->line, loader->keyring->capacity,
		loader->keyring->capacity > HK_ARENA_CELLS_MAX ? ", at most 65536 of them master keys" : "");
}

static int fill_entry(
	struct hk_key_loader *loader, const struct hk_key_line *line, __u32 index, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	struct hk_key_entry *entry = &keyring->entries[index];
	int result;

	hk_key_fill_row(&entry->row, loader->domain, line);
	hk_key_fingerprint(line->key, line->key_size, entry->row.fingerprint);
	entry->domain = loader->domain;
	entry->line = line->line;
	entry->source = loader->source;
	entry->key_size = line->key_size;
	entry->older = HK_KEY_NONE;
	entry->state = (__u8)hk_key_state_at(&entry->row, keyring->now_s);
	result = check_bytes(loader, line, &entry->row, error);
	if (result)
		return result;
	entry->cell = make_cell(keyring->part, line, &result);
	if (result == -ENOSPC)
		return refuse_room(loader, line, error);
	return result ? hk_error_set(error, -result, "%s:%u: the key cannot be prepared: %s", loader->name,
				line->line, strerror(-result))
		      : 0;
}

/* What no file holds leaves a record for the next inspector; it counts from the commit on. */
static int keep(const struct hk_key_loader *loader, const struct hk_key_line *line,
	struct hk_key_entry *entry, struct hk_error *error)
{
	if (loader->source != HK_SOURCE_CONTROL || !loader->keyring->kept)
		return 0;
	entry->kept = hk_kept_put(loader->keyring->kept, loader->domain->id, line);
	return entry->kept ? 0 : refuse_room(loader, line, error);
}

int hk_key_stage(
	struct hk_key_loader *loader, const struct hk_key_line *line, __u32 *out, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	__u32 index = keyring->count < keyring->capacity ? hk_key_entry_new(keyring) : HK_KEY_NONE;
	int result;

	if (index == HK_KEY_NONE)
		return refuse_room(loader, line, error);
	result = fill_entry(loader, line, index, error);
	if (!result)
		result = keep(loader, line, &keyring->entries[index], error);
	if (result) {
		hk_key_entry_free(keyring, index);
		return result;
	}
	keyring->entries[index].id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	keyring->count++;
	hk_key_bytes_add(keyring, index);
	*out = index;
	return 0;
}

void hk_key_unstage(struct hk_keyring *keyring, __u32 index)
{
	hk_key_bytes_remove(keyring, index);
	keyring->count--;
	hk_key_entry_free(keyring, index);
}

/* The root of one level that a combined key names. */
static const struct hk_key_entry *find_root(
	const struct hk_key_loader *loader, const struct hk_key_line *line, unsigned level)
{
	struct hk_key_row row = {
		.domain = loader->domain->id, .is_level = true, .generation = line->from[level]};
	__u32 index;

	memcpy(row.level, loader->domain->levels[level], sizeof(row.level));
	index = hk_key_find(loader->keyring, &row);
	if (index == HK_KEY_NONE && loader->staged_root)
		index = loader->staged_root(loader, &row);
	return index == HK_KEY_NONE ? NULL : &loader->keyring->entries[index];
}

/* A key lives within the times of what it is made of. */
static void within_times(struct hk_key_line *line, const struct hk_key_row *row)
{
	if (row->not_before > line->not_before)
		line->not_before = row->not_before;
	if (row->not_after && (!line->not_after || row->not_after < line->not_after))
		line->not_after = row->not_after;
}

static int combine_roots(struct hk_key_loader *loader, struct hk_key_line *line, struct hk_kdf_levels *levels,
	struct hk_error *error)
{
	const struct hk_domain_config *domain = loader->domain;
	const struct hk_key_entry *root;
	unsigned i;

	for (i = 0; i < domain->levels_count; i++) {
		root = find_root(loader, line, i);
		if (!root)
			return hk_error_set(error, ENOENT,
				"%s:%u: from=: there is no generation %u of level '%s' (its line must stand "
				"before this one)",
				loader->name, line->line, line->from[i], domain->levels[i]);
		if (root->row.side != line->side)
			return hk_error_set(error, EINVAL,
				"%s:%u: from=: the root on line %u is of the other side", loader->name,
				line->line, root->line);
		memcpy(levels->root[i], hk_key_entry_bytes(root), sizeof(levels->root[i]));
		memcpy(levels->id[i], domain->levels[i], sizeof(levels->id[i]));
		within_times(line, &root->row);
	}
	levels->count = domain->levels_count;
	hk_kdf_combine(levels, line->side, line->key);
	line->key_size = 32;
	return 0;
}

int hk_key_combine(struct hk_key_loader *loader, struct hk_key_line *line, struct hk_error *error)
{
	struct hk_kdf_levels levels = {0};
	int result;

	if (line->form != HK_KEY_COMBINED || line->retire)
		return 0;
	if (line->from_count != loader->domain->levels_count)
		return hk_error_set(error, EINVAL,
			"%s:%u: from= names %u levels, domain '%s' has %u (`levels`)", loader->name,
			line->line, line->from_count, loader->domain->name, loader->domain->levels_count);
	result = combine_roots(loader, line, &levels, error);
	hk_wipe(&levels, sizeof(levels));
	return result;
}

/* A line of a file: into its place at once, since nobody looks yet. */
static int add_line(struct hk_key_loader *loader, struct hk_key_line *line, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	__u32 index = HK_KEY_NONE, other = HK_KEY_NONE;
	int result = hk_key_combine(loader, line, error);

	if (!result)
		result = hk_key_stage(loader, line, &index, error);
	if (result)
		return result;
	result = hk_key_link(keyring, index, &other);
	if (result == -EEXIST)
		result = hk_key_refuse_twice(loader, line, &keyring->entries[other], error);
	else if (result)
		result = refuse_room(loader, line, error);
	if (result)
		hk_key_unstage(keyring, index);
	else
		hk_key_note_times(keyring, &keyring->entries[index].row);
	return result;
}

int hk_key_take_line(struct hk_key_loader *loader, const struct hk_key_line *given, struct hk_error *error)
{
	struct hk_domain_config named = *loader->domain;
	struct hk_key_line line = *given;
	int result;

	named.keys =
		(char *)(unsigned long)loader->name; /* the rules' sentences name where the line stands */
	result = hk_key_line_check(&named, &line, error);
	if (!result)
		result = add_line(loader, &line, error);
	hk_wipe(&line, sizeof(line));
	return result;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Building a keyring from key files: each line against its domain (rules.h),
 * then against all other lines, then into the arena and the tables.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "user/keys/keyfile.h"
#include "user/keys/rules.h"
#include "user/keys/tables.h"

#define LINE_BYTES 512 /* what a key file may hold for each key that fits */

struct loader {
	struct hk_keyring *keyring;
	const struct hk_domain_config *domain;
};

static __u64 last_id;

static const __u8 *instance_key(void)
{
	static __u8 key[32];
	static int ready;

	/* control thread only, as all building of keyrings */
	if (!ready && getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key))
		ready = 1;
	return ready ? key : NULL;
}

static void table_add(struct hk_key_table *table, __u32 hash, __u32 index)
{
	while (table->rows[hash & table->mask])
		hash++;
	table->rows[hash & table->mask] = index + 1;
}

static void add_length(struct hk_key_lengths *lengths, __u8 length)
{
	unsigned i, at = 0;

	while (at < lengths->count && lengths->length[at] > length)
		at++;
	if (at < lengths->count && lengths->length[at] == length)
		return;
	for (i = lengths->count++; i > at; i--)
		lengths->length[i] = lengths->length[i - 1];
	lengths->length[at] = length;
}

static struct hk_key_group *need_group(struct hk_keyring *keyring, const struct hk_key_row *row)
{
	struct hk_prefix receiver = hk_key_group_prefix(row);
	__u32 index = hk_key_find_group(keyring, row->domain, row->id, &receiver);
	struct hk_key_group *group;

	if (index != HK_KEY_NONE)
		return &keyring->groups[index];
	index = keyring->group_count++;
	group = &keyring->groups[index];
	group->receiver = receiver;
	group->id = row->id;
	group->domain = row->domain;
	memset(group->newest, 0xff, sizeof(group->newest));
	table_add(&keyring->group_table, hk_key_group_hash(row->domain, row->id, &receiver), index);
	if (row->has_receiver)
		add_length(&keyring->lengths[row->domain], receiver.length);
	return group;
}

/* The key's bytes, in either kind of cell: an AES-256 schedule begins with its key (FIPS 197). */
static const __u8 *entry_bytes(const struct hk_key_entry *entry)
{
	return entry->row.is_explicit ? ((const struct hk_key_cell *)entry->cell)->key
				      : ((const struct hk_kdf_key *)entry->cell)->schedule;
}

static __u32 bytes_hash(const struct hk_key_row *row)
{
	__u32 hash;

	memcpy(&hash, row->fingerprint, sizeof(hash));
	return hash;
}

static int refuse_pair(const struct loader *loader, const struct hk_key_line *line,
	const struct hk_key_entry *other, struct hk_error *error, const char *why)
{
	return hk_error_set(error, EINVAL, "%s:%u: the same key as %s:%u: %s", loader->domain->keys,
		line->line, other->domain->keys, other->line, why);
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
	const struct loader *loader, const struct hk_key_row *row, const struct hk_key_entry *other)
{
	if (loader->domain->envelope != other->domain->envelope)
		return loader->domain->envelope != HK_ENVELOPE_TSS &&
		       other->domain->envelope != HK_ENVELOPE_TSS;
	return loader->domain->envelope != HK_ENVELOPE_TSS ||
	       (row->id == other->row.id && row->slot == other->row.slot &&
		       same_tss(&loader->domain->tss, &other->domain->tss));
}

/* Two lines with the same key bytes: which of that repeats a nonce or crosses a profile? */
static int check_shared(const struct loader *loader, const struct hk_key_line *line,
	const struct hk_key_row *row, const struct hk_key_entry *other, struct hk_error *error)
{
	bool psp = loader->domain->envelope == HK_ENVELOPE_PSP || other->domain->envelope == HK_ENVELOPE_PSP;

	if (loader->domain->profile != other->domain->profile)
		return refuse_pair(loader, line, other, error,
			"a key belongs to one profile for life; make a new one for this domain");
	if (row->is_explicit != other->row.is_explicit)
		return refuse_pair(loader, line, other, error,
			"a master key and the key of one SPI must never be equal");
	if (row->is_explicit)
		return refuse_pair(loader, line, other, error, "two SPIs with one key can repeat a nonce");
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

static int check_bytes(const struct loader *loader, const struct hk_key_line *line,
	const struct hk_key_row *row, struct hk_error *error)
{
	const struct hk_key_table *table = &loader->keyring->bytes_table;
	__u32 hash = bytes_hash(row), at;
	const struct hk_key_entry *other;
	int result = 0;

	for (; !result && (at = table->rows[hash & table->mask]); hash++) {
		other = &loader->keyring->entries[at - 1];
		if (other->key_size == line->key_size &&
			hk_equal(entry_bytes(other), line->key, line->key_size))
			result = check_shared(loader, line, row, other, error);
	}
	return result;
}

static int refuse_twice(const struct loader *loader, const struct hk_key_line *line,
	const struct hk_key_entry *other, struct hk_error *error)
{
	const char *what = line->is_explicit ? "receiver, SPI and version or suite"
			   : line->has_id    ? "id, receiver, slot and generation"
					     : "receiver, slot and generation";

	return hk_error_set(error, EINVAL, "%s:%u: the same %s as %s:%u: keep one of the two lines",
		loader->domain->keys, line->line, what, other->domain->keys, other->line);
}

/* Puts the entry into its slot's list, highest generation first. */
static int link_master(
	struct loader *loader, const struct hk_key_line *line, __u32 index, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	struct hk_key_entry *entry = &keyring->entries[index];
	struct hk_key_group *group = need_group(keyring, &entry->row);
	__u32 *at = &group->newest[line->slot];

	while (*at != HK_KEY_NONE && keyring->entries[*at].row.generation > line->generation)
		at = &keyring->entries[*at].older;
	if (*at != HK_KEY_NONE && keyring->entries[*at].row.generation == line->generation)
		return refuse_twice(loader, line, &keyring->entries[*at], error);
	entry->older = *at;
	*at = index;
	return 0;
}

static int link_explicit(
	struct loader *loader, const struct hk_key_line *line, __u32 index, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	const struct hk_key_row *row = &keyring->entries[index].row;
	const struct hk_address *receiver = &row->receiver.address;
	__u32 found = hk_key_find_explicit(keyring, row->domain, receiver, row->spi, hk_key_variant(row));

	if (found != HK_KEY_NONE)
		return refuse_twice(loader, line, &keyring->entries[found], error);
	table_add(&keyring->explicit_table,
		hk_key_explicit_hash(row->domain, receiver, row->spi, hk_key_variant(row)), index);
	keyring->explicit_count++;
	return 0;
}

static int fill_cell(void *memory, const struct hk_key_line *line)
{
	struct hk_key_cell *cell = memory;

	if (!line->is_explicit)
		return hk_kdf_key_init(memory, line->key);
	memcpy(cell->key, line->key, sizeof(cell->key));
	memcpy(cell->salt, line->salt, sizeof(cell->salt));
	return 0;
}

static void fill_row(
	struct hk_key_row *row, const struct hk_domain_config *domain, const struct hk_key_line *line)
{
	*row = (struct hk_key_row){
		.domain = domain->id,
		.is_explicit = line->is_explicit,
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
	};
	hk_crypto_fingerprint(instance_key(), line->key, line->key_size, row->fingerprint);
}

static int add_line(struct loader *loader, const struct hk_key_line *line, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	struct hk_key_entry *entry = &keyring->entries[keyring->count];
	void *cell = hk_arena_cell(keyring->part);
	int result;

	if (!cell)
		return hk_error_set(error, ENOSPC,
			"%s:%u: no room for another key: keys_max is %u; raise it and restart",
			loader->domain->keys, line->line, keyring->capacity);
	fill_row(&entry->row, loader->domain, line);
	result = check_bytes(loader, line, &entry->row, error);
	if (!result)
		result = fill_cell(cell, line);
	if (result)
		return hk_error_set(error, -result, "%s:%u: the key cannot be prepared: %s",
			loader->domain->keys, line->line, strerror(-result));
	entry->cell = cell;
	entry->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	entry->line = line->line;
	entry->key_size = line->key_size;
	entry->domain = loader->domain;
	result = line->is_explicit ? link_explicit(loader, line, keyring->count, error)
				   : link_master(loader, line, keyring->count, error);
	if (!result)
		table_add(&keyring->bytes_table, bytes_hash(&entry->row), keyring->count++);
	return result;
}

static int take_line(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct loader *loader = context;
	int result = hk_key_line_check(loader->domain, line, error);

	return result ? result : add_line(loader, line, error);
}

static int load_domain(struct hk_keyring *keyring, const struct hk_domain_config *domain,
	const struct hk_files *files, struct hk_error *error)
{
	struct loader loader = {.keyring = keyring, .domain = domain};
	size_t size = 0, max = ((size_t)keyring->capacity + 64) * LINE_BYTES;
	char *text;
	int result;

	if (domain->id >= HK_DOMAINS_MAX)
		return hk_error_set(error, EINVAL, "domain '%s' has number %u: there are at most %u domains",
			domain->name, domain->id, HK_DOMAINS_MAX);
	text = hk_files_read(files, domain->keys, max, &size, error);
	if (!text)
		return hk_error_set(error, errno ? errno : EIO, "%s: cannot be read", domain->keys);
	if (strlen(text) != size)
		result = hk_error_set(error, EINVAL, "%s: holds a NUL byte: not a key file", domain->keys);
	else
		result = hk_keyfile_read(domain->keys, text, error, take_line, &loader);
	hk_wipe(text, size);
	free(text);
	return result;
}

static int make_table(struct hk_key_table *table, unsigned entries)
{
	__u32 rows = 16;

	while (rows < 2 * entries)
		rows *= 2;
	table->rows = calloc(rows, sizeof(*table->rows));
	table->mask = rows - 1;
	return table->rows ? 0 : -ENOMEM;
}

static struct hk_keyring *make_keyring(struct hk_arena *arena)
{
	struct hk_keyring *keyring = calloc(1, sizeof(*keyring));

	if (!keyring)
		return NULL;
	keyring->capacity = hk_arena_keys(arena);
	keyring->entries = calloc(keyring->capacity + 1, sizeof(*keyring->entries));
	keyring->groups = calloc(keyring->capacity + 1, sizeof(*keyring->groups));
	if (keyring->entries && keyring->groups && !make_table(&keyring->explicit_table, keyring->capacity) &&
		!make_table(&keyring->group_table, keyring->capacity) &&
		!make_table(&keyring->bytes_table, keyring->capacity))
		return keyring;
	hk_keyring_free(keyring);
	return NULL;
}

int hk_keyring_new(struct hk_keyring **out, struct hk_arena *arena, const struct hk_config *config,
	const struct hk_files *files, struct hk_error *error)
{
	struct hk_keyring *keyring;
	unsigned i;
	int result = 0;

	if (!instance_key())
		return hk_error_set(error, EIO, "the kernel's random generator gave no bytes");
	keyring = make_keyring(arena);
	if (!keyring)
		return hk_error_set(
			error, ENOMEM, "no memory for a keyring of %u keys", hk_arena_keys(arena));
	keyring->part = hk_arena_take(arena);
	if (!keyring->part)
		result = hk_error_set(error, EBUSY, "the key arena holds two keyrings already; try again");
	for (i = 0; i < config->domains_count && !result; i++)
		result = load_domain(keyring, &config->domains[i], files, error);
	if (result) {
		hk_keyring_free(keyring);
		return result;
	}
	for (i = 0; i < keyring->count; i++)
		keyring->entries[i].domain = NULL; /* the configuration may go, the keyring stays */
	*out = keyring;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keyring: see keyring.h. Three tables over one array of entries, all of
 * them hash tables with open addressing that are at most half full:
 *
 *   explicit   (domain, receiver, SPI, variant)       → entry
 *   groups     (domain, receiver prefix)              → newest master key per slot
 *   bytes      keyed fingerprint of the key           → entry: finds a key used twice
 *
 * Key bytes lie in the arena; everything here may be in a core file.
 */
#include "user/keys/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "user/base/hash.h"
#include "user/base/text.h"
#include "user/keys/arena.h"
#include "user/keys/keyfile.h"
#include "user/keys/rules.h"

#define SLOTS	   4
#define NONE	   0xffffffffu
#define LINE_BYTES 512 /* what a key file may hold for each key that fits */

/* An explicit key's cell. A master key's is its struct hk_kdf_key. */
struct explicit_cell {
	__u8 key[32];
	__u8 salt[4];
};

struct entry {
	struct hk_key_row row;
	const void *cell;
	__u64 id;
	__u32 older; /* the next master key of the same group and slot, or NONE */
	__u32 line;
	__u8 key_size;
	const struct hk_domain_config *domain; /* while loading */
};

struct group {
	struct hk_prefix receiver;
	__u16 domain;
	__u8 retired;	     /* slots that an earlier keyring had and this one has not, as bits */
	__u32 newest[SLOTS]; /* highest generation of each slot, or NONE */
};

struct table {
	__u32 *rows; /* an index + 1; 0: free */
	__u32 mask;
};

/* Prefix lengths in use in one domain, longest first: the steps of a longest-prefix match. */
struct lengths {
	__u8 count;
	__u8 length[129];
};

struct hk_keyring {
	struct hk_arena_part *part;
	unsigned capacity;
	unsigned count;
	unsigned group_count;
	unsigned explicit_count;
	struct entry *entries;
	struct group *groups;
	struct table explicit_table, group_table, bytes_table;
	struct lengths lengths[HK_DOMAINS_MAX];
};

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

static struct hk_address masked(const struct hk_address *address, unsigned length)
{
	struct hk_address out = *address;
	unsigned whole = length / 8;

	if (whole == sizeof(out.bytes))
		return out;
	out.bytes[whole] &= (__u8)(0xff00 >> (length % 8));
	memset(out.bytes + whole + 1, 0, sizeof(out.bytes) - whole - 1);
	return out;
}

static __u32 group_hash(__u16 domain, const struct hk_address *address, unsigned length)
{
	return (__u32)hk_hash_address(hk_hash_seed(), address, (__u64)domain << 32 | length);
}

static __u32 explicit_hash(__u16 domain, const struct hk_address *receiver, __u32 spi, unsigned variant)
{
	return (__u32)hk_hash_address(
		hk_hash_seed(), receiver, (__u64)domain << 40 | (__u64)variant << 32 | spi);
}

static void table_add(struct table *table, __u32 hash, __u32 index)
{
	while (table->rows[hash & table->mask])
		hash++;
	table->rows[hash & table->mask] = index + 1;
}

static unsigned row_variant(const struct hk_key_row *row)
{
	return row->version >= 0 ? (unsigned)row->version : row->suite;
}

static __u32 find_group(
	const struct hk_keyring *keyring, __u16 domain, const struct hk_address *address, unsigned length)
{
	__u32 hash = group_hash(domain, address, length), row;
	const struct group *group;

	for (; (row = keyring->group_table.rows[hash & keyring->group_table.mask]); hash++) {
		group = &keyring->groups[row - 1];
		if (group->domain == domain && group->receiver.length == length &&
			memcmp(&group->receiver.address, address, sizeof(*address)) == 0)
			return row - 1;
	}
	return NONE;
}

static __u32 find_explicit(const struct hk_keyring *keyring, __u16 domain, const struct hk_address *receiver,
	__u32 spi, unsigned variant)
{
	__u32 hash = explicit_hash(domain, receiver, spi, variant), row;
	const struct hk_key_row *key;

	for (; (row = keyring->explicit_table.rows[hash & keyring->explicit_table.mask]); hash++) {
		key = &keyring->entries[row - 1].row;
		if (key->spi == spi && key->domain == domain && row_variant(key) == variant &&
			memcmp(&key->receiver.address, receiver, sizeof(*receiver)) == 0)
			return row - 1;
	}
	return NONE;
}

/* The longest receiver prefix of the domain that holds the address. */
static const struct group *match_group(
	const struct hk_keyring *keyring, __u16 domain, const struct hk_address *receiver)
{
	const struct lengths *lengths = &keyring->lengths[domain];
	struct hk_address address;
	unsigned i;
	__u32 found;

	for (i = 0; i < lengths->count; i++) {
		address = masked(receiver, lengths->length[i]);
		found = find_group(keyring, domain, &address, lengths->length[i]);
		if (found != NONE)
			return &keyring->groups[found];
	}
	return NULL;
}

static void choose_explicit(const struct entry *entry, struct hk_key_choice *out)
{
	const struct explicit_cell *cell = entry->cell;

	out->master = NULL;
	out->key = cell->key;
	out->salt = cell->salt;
	out->generation = 0;
	out->key_size = entry->key_size;
	out->id = entry->id;
}

static void choose_master(const struct entry *entry, struct hk_key_choice *out)
{
	out->master = entry->cell;
	out->key = NULL;
	out->salt = NULL;
	out->generation = entry->row.generation;
	out->key_size = 0;
	out->id = entry->id;
}

unsigned hk_keyring_choose(const struct hk_keyring *keyring, __u16 domain, const struct hk_address *receiver,
	__u32 spi, unsigned slot, unsigned variant, struct hk_key_choice *out)
{
	const struct group *group;
	__u32 found;

	if (domain >= HK_DOMAINS_MAX || slot >= SLOTS)
		return HK_REASON_NO_KEY;
	if (keyring->explicit_count) {
		found = find_explicit(keyring, domain, receiver, spi, variant);
		if (found != NONE) {
			choose_explicit(&keyring->entries[found], out);
			return HK_REASON_OK;
		}
	}
	group = match_group(keyring, domain, receiver);
	if (!group)
		return HK_REASON_NO_KEY;
	if (group->newest[slot] == NONE)
		return __atomic_load_n(&group->retired, __ATOMIC_RELAXED) & 1 << slot ? HK_REASON_STALE_KEY
										      : HK_REASON_NO_KEY;
	choose_master(&keyring->entries[group->newest[slot]], out);
	return HK_REASON_OK;
}

bool hk_keyring_only_masters(const struct hk_keyring *keyring)
{
	return !keyring->explicit_count;
}

/* --- building ------------------------------------------------------------------------------- */

static void add_length(struct lengths *lengths, __u8 length)
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

static struct group *need_group(struct hk_keyring *keyring, __u16 domain, const struct hk_prefix *receiver)
{
	__u32 index = find_group(keyring, domain, &receiver->address, receiver->length);
	struct group *group;

	if (index != NONE)
		return &keyring->groups[index];
	index = keyring->group_count++;
	group = &keyring->groups[index];
	group->receiver = *receiver;
	group->domain = domain;
	memset(group->newest, 0xff, sizeof(group->newest));
	table_add(&keyring->group_table, group_hash(domain, &receiver->address, receiver->length), index);
	add_length(&keyring->lengths[domain], receiver->length);
	return group;
}

/* The key's bytes, in either kind of cell: an AES-256 schedule begins with its key (FIPS 197). */
static const __u8 *entry_bytes(const struct entry *entry)
{
	return entry->row.is_explicit ? ((const struct explicit_cell *)entry->cell)->key
				      : ((const struct hk_kdf_key *)entry->cell)->schedule;
}

static __u32 bytes_hash(const struct hk_key_row *row)
{
	__u32 hash;

	memcpy(&hash, row->fingerprint, sizeof(hash));
	return hash;
}

static int refuse_pair(const struct loader *loader, const struct hk_key_line *line, const struct entry *other,
	struct hk_error *error, const char *why)
{
	return hk_error_set(error, EINVAL, "%s:%u: the same key as %s:%u: %s", loader->domain->keys,
		line->line, other->domain->keys, other->line, why);
}

static bool same_receiver(const struct hk_key_row *a, const struct hk_key_row *b)
{
	return a->has_receiver == b->has_receiver && a->receiver.length == b->receiver.length &&
	       memcmp(&a->receiver.address, &b->receiver.address, sizeof(a->receiver.address)) == 0;
}

/* Two lines with the same key bytes: which of that repeats a nonce or crosses a profile? */
static int check_shared(const struct loader *loader, const struct hk_key_line *line,
	const struct hk_key_row *row, const struct entry *other, struct hk_error *error)
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
	if (psp && !same_receiver(row, &other->row))
		return refuse_pair(loader, line, other, error,
			"two receivers with one PSP master key repeat nonces; make a pair for each receiver "
			"address");
	if (row->domain == other->row.domain && row->slot == other->row.slot &&
		row->generation != other->row.generation && same_receiver(row, &other->row))
		return refuse_pair(loader, line, other, error, "a new generation needs a new key");
	return 0;
}

static int check_bytes(const struct loader *loader, const struct hk_key_line *line,
	const struct hk_key_row *row, struct hk_error *error)
{
	const struct table *table = &loader->keyring->bytes_table;
	__u32 hash = bytes_hash(row), at;
	const struct entry *other;
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
	const struct entry *other, struct hk_error *error)
{
	const char *what =
		line->is_explicit ? "receiver, SPI and version or suite" : "receiver, slot and generation";

	return hk_error_set(error, EINVAL, "%s:%u: the same %s as %s:%u: keep one of the two lines",
		loader->domain->keys, line->line, what, other->domain->keys, other->line);
}

/* Puts the entry into its slot's list, highest generation first. */
static int link_master(
	struct loader *loader, const struct hk_key_line *line, __u32 index, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	struct entry *entry = &keyring->entries[index];
	struct group *group = need_group(keyring, entry->row.domain, &entry->row.receiver);
	__u32 *at = &group->newest[line->slot];

	while (*at != NONE && keyring->entries[*at].row.generation > line->generation)
		at = &keyring->entries[*at].older;
	if (*at != NONE && keyring->entries[*at].row.generation == line->generation)
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
	__u32 found = find_explicit(keyring, row->domain, receiver, row->spi, row_variant(row));

	if (found != NONE)
		return refuse_twice(loader, line, &keyring->entries[found], error);
	table_add(&keyring->explicit_table, explicit_hash(row->domain, receiver, row->spi, row_variant(row)),
		index);
	keyring->explicit_count++;
	return 0;
}

static int fill_cell(void *memory, const struct hk_key_line *line)
{
	struct explicit_cell *cell = memory;

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
	};
	hk_crypto_fingerprint(instance_key(), line->key, line->key_size, row->fingerprint);
}

static int add_line(struct loader *loader, const struct hk_key_line *line, struct hk_error *error)
{
	struct hk_keyring *keyring = loader->keyring;
	struct entry *entry = &keyring->entries[keyring->count];
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

static int make_table(struct table *table, unsigned entries)
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

void hk_keyring_free(struct hk_keyring *keyring)
{
	if (!keyring)
		return;
	hk_arena_give_back(keyring->part);
	free(keyring->entries);
	free(keyring->groups);
	free(keyring->explicit_table.rows);
	free(keyring->group_table.rows);
	free(keyring->bytes_table.rows);
	free(keyring);
}

void hk_keyring_adopt(struct hk_keyring *now, const struct hk_keyring *previous)
{
	const struct group *before;
	struct group *group;
	unsigned i, slot;
	__u32 found;
	__u8 retired;

	for (i = 0; i < now->group_count; i++) {
		group = &now->groups[i];
		found = find_group(previous, group->domain, &group->receiver.address, group->receiver.length);
		if (found == NONE)
			continue;
		before = &previous->groups[found];
		retired = before->retired;
		for (slot = 0; slot < SLOTS; slot++)
			if (before->newest[slot] != NONE)
				retired |= (__u8)(1 << slot);
		__atomic_store_n(&group->retired, retired, __ATOMIC_RELAXED);
	}
}

int hk_keyring_list(const struct hk_keyring *keyring, int (*row)(void *context, const struct hk_key_row *row),
	void *context)
{
	unsigned i;
	int result = 0;

	for (i = 0; i < keyring->count && !result; i++)
		result = row(context, &keyring->entries[i].row);
	return result;
}

unsigned hk_keyring_count(const struct hk_keyring *keyring)
{
	return keyring->count;
}

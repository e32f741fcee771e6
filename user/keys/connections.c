// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys of TLS connections in the keyring: see connections.h and connections_table.h. */
#include "user/keys/connections_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/keys/load.h"

static __u64 last_id = 1ull << 56; /* never one of the keyring's other ids */

/* --- lookups --- */

static __u32 hash_tuple(const struct hk_tls_tuple *tuple)
{
	const __u64 *seed = hk_hash_seed();
	__u64 hash = hk_hash_address(seed, &tuple->client,
		(__u64)tuple->domain << 32 | (__u32)tuple->client_port << 16 | tuple->server_port);

	return (__u32)hk_hash_address(seed, &tuple->server, hash);
}

static __u32 hash_random(__u16 domain, const __u8 *client_random)
{
	struct hk_address half;
	__u64 hash;

	memcpy(half.bytes, client_random, 16);
	hash = hk_hash_address(hk_hash_seed(), &half, domain);
	memcpy(half.bytes, client_random + 16, 16);
	return (__u32)hk_hash_address(hk_hash_seed(), &half, hash);
}

static __u32 hash_of(__u16 domain, const struct hk_tls_secret *secret)
{
	return secret->is_tuple ? hash_tuple(&secret->tuple) : hash_random(domain, secret->client_random);
}

static bool is_tuple(const struct hk_tls_row *row, const struct hk_tls_tuple *tuple)
{
	return row->secret->is_tuple && memcmp(&row->secret->tuple, tuple, sizeof(*tuple)) == 0;
}

static bool is_random(const struct hk_tls_row *row, __u16 domain, const __u8 *client_random)
{
	return !row->secret->is_tuple && row->domain == domain &&
	       memcmp(row->secret->client_random, client_random, 32) == 0;
}

static __u32 find_tuple(const struct hk_tls_connections *table, const struct hk_tls_tuple *tuple)
{
	__u32 hash, at;

	for (hash = hash_tuple(tuple); (at = table->index.rows[hash & table->index.mask]); hash++)
		if (is_tuple(&table->rows[at - 1], tuple))
			return at - 1;
	return HK_KEY_NONE;
}

static __u32 find_random(const struct hk_tls_connections *table, __u16 domain, const __u8 *client_random)
{
	__u32 hash = hash_random(domain, client_random), at;

	for (; (at = table->index.rows[hash & table->index.mask]); hash++)
		if (is_random(&table->rows[at - 1], domain, client_random))
			return at - 1;
	return HK_KEY_NONE;
}

__u32 hk_tls_find(const struct hk_tls_connections *table, __u16 domain, const struct hk_tls_secret *secret)
{
	return secret->is_tuple ? find_tuple(table, &secret->tuple)
				: find_random(table, domain, secret->client_random);
}

static void mark_used(const struct hk_keyring *keyring, struct hk_tls_row *row)
{
	__u32 now_s = __atomic_load_n(&keyring->now_s, __ATOMIC_RELAXED);

	if (__atomic_load_n(&row->used, __ATOMIC_RELAXED) != now_s)
		__atomic_store_n(&row->used, now_s, __ATOMIC_RELAXED);
}

static bool choose(const struct hk_keyring *keyring, __u32 index, struct hk_tls_choice *out)
{
	struct hk_tls_row *row;

	if (index == HK_KEY_NONE)
		return false;
	row = &keyring->tls->rows[index];
	mark_used(keyring, row);
	*out = (struct hk_tls_choice){.secret = row->secret, .id = row->id, .place = index};
	return true;
}

bool hk_keyring_tls_tuple(
	const struct hk_keyring *keyring, const struct hk_tls_tuple *tuple, struct hk_tls_choice *out)
{
	return keyring->tls && choose(keyring, find_tuple(keyring->tls, tuple), out);
}

bool hk_keyring_tls_random(const struct hk_keyring *keyring, __u16 domain, const __u8 client_random[32],
	struct hk_tls_choice *out)
{
	return keyring->tls && choose(keyring, find_random(keyring->tls, domain, client_random), out);
}

bool hk_keyring_tls_holds(const struct hk_keyring *keyring, __u32 place, __u64 id)
{
	const struct hk_tls_connections *table = keyring->tls;

	if (!table || place >= table->capacity || table->rows[place].id != id)
		return false;
	mark_used(keyring, &keyring->tls->rows[place]);
	return true;
}

__u64 hk_keyring_serial(const struct hk_keyring *keyring)
{
	return keyring->serial;
}

/* --- the table --- */

struct hk_tls_connections *hk_tls_table(struct hk_keyring *keyring)
{
	__u32 capacity = keyring->capacity < HK_ARENA_CELLS_MAX ? keyring->capacity : HK_ARENA_CELLS_MAX;
	struct hk_tls_connections *table;
	__u32 i;

	if (keyring->tls)
		return keyring->tls;
	table = calloc(1, sizeof(*table) + capacity * sizeof(table->rows[0]));
	if (!table || hk_key_table_make(&table->index, capacity + 1)) {
		free(table);
		return NULL;
	}
	table->capacity = capacity;
	table->oldest = table->newest = HK_KEY_NONE;
	for (i = 0; i < capacity; i++)
		table->rows[i].newer = i + 1 < capacity ? i + 1 : HK_KEY_NONE;
	table->free_first = capacity ? 0 : HK_KEY_NONE;
	return keyring->tls = table;
}

static void link_newest(struct hk_tls_connections *table, __u32 index)
{
	struct hk_tls_row *row = &table->rows[index];

	row->older = table->newest;
	row->newer = HK_KEY_NONE;
	if (table->newest != HK_KEY_NONE)
		table->rows[table->newest].newer = index;
	else
		table->oldest = index;
	table->newest = index;
}

static void unlink_age(struct hk_tls_connections *table, __u32 index)
{
	const struct hk_tls_row *row = &table->rows[index];

	if (row->older != HK_KEY_NONE)
		table->rows[row->older].newer = row->newer;
	else
		table->oldest = row->newer;
	if (row->newer != HK_KEY_NONE)
		table->rows[row->newer].older = row->older;
	else
		table->newest = row->older;
}

static void index_add(struct hk_tls_connections *table, __u32 index)
{
	__u32 hash = hash_of(table->rows[index].domain, table->rows[index].secret);

	while (table->index.rows[hash & table->index.mask])
		hash++;
	table->index.rows[hash & table->index.mask] = index + 1;
}

/* Those behind it that would be looked for from its place or before move up. */
static void index_remove(struct hk_tls_connections *table, __u32 index)
{
	__u32 mask = table->index.mask, hole, at, home;
	const struct hk_tls_row *row = &table->rows[index];

	for (hole = hash_of(row->domain, row->secret) & mask; table->index.rows[hole] != index + 1;)
		hole = (hole + 1) & mask;
	for (at = (hole + 1) & mask; table->index.rows[at]; at = (at + 1) & mask) {
		row = &table->rows[table->index.rows[at] - 1];
		home = hash_of(row->domain, row->secret) & mask;
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		table->index.rows[hole] = table->index.rows[at];
		hole = at;
	}
	table->index.rows[hole] = 0;
}

static void fingerprint(struct hk_tls_row *row)
{
	const struct hk_tls_secret *secret = row->secret;

	if (secret->is_tuple)
		hk_key_fingerprint(secret->keys[0], sizeof(secret->keys), row->fingerprint);
	else
		hk_key_fingerprint(secret->master, sizeof(secret->master), row->fingerprint);
}

__u32 hk_tls_add(struct hk_keyring *keyring, __u16 domain, const struct hk_tls_secret *secret)
{
	struct hk_tls_connections *table = keyring->tls;
	__u32 index = table->free_first;
	struct hk_tls_secret *cell =
		index == HK_KEY_NONE ? NULL : (struct hk_tls_secret *)hk_arena_cell(keyring->part);
	struct hk_tls_row *row;

	if (!cell)
		return HK_KEY_NONE;
	row = &table->rows[index];
	table->free_first = row->newer;
	*cell = *secret;
	*row = (struct hk_tls_row){.secret = cell, .id = ++last_id, .domain = domain};
	fingerprint(row);
	link_newest(table, index);
	index_add(table, index);
	table->count++;
	return index;
}

void hk_tls_drop(struct hk_keyring *keyring, __u32 index)
{
	struct hk_tls_connections *table = keyring->tls;
	struct hk_tls_row *row = &table->rows[index];

	index_remove(table, index);
	unlink_age(table, index);
	hk_arena_drop(keyring->part, row->secret);
	*row = (struct hk_tls_row){.newer = table->free_first};
	table->free_first = index;
	table->count--;
}

/* Each that was asked for since its turn came last gets another one. */
bool hk_tls_evict(struct hk_keyring *keyring)
{
	struct hk_tls_connections *table = keyring->tls;
	__u32 turns = table->count, used;
	struct hk_tls_row *row;

	while (turns--) {
		row = &table->rows[table->oldest];
		used = __atomic_load_n(&row->used, __ATOMIC_RELAXED);
		if (used == row->seen)
			break;
		row->seen = used;
		used = table->oldest;
		unlink_age(table, used);
		link_newest(table, used);
	}
	if (table->oldest == HK_KEY_NONE)
		return false;
	hk_tls_drop(keyring, table->oldest);
	table->evicted++;
	return true;
}

void hk_keyring_free_tls(struct hk_keyring *keyring)
{
	if (!keyring->tls)
		return;
	free(keyring->tls->index.rows);
	free(keyring->tls->logs);
	free(keyring->tls);
}

/* --- what people see --- */

static const char *source_name(const struct hk_keyring *keyring, const struct hk_tls_row *row)
{
	struct hk_key_entry entry = {.source = row->source, .domain = row->config};

	return hk_key_source_name(keyring, &entry);
}

int hk_keyring_tls_list(const struct hk_keyring *keyring,
	int (*row)(void *context, const struct hk_key_row *row), void *context)
{
	const struct hk_tls_connections *table = keyring->tls;
	const struct hk_tls_row *one;
	struct hk_key_row shown;
	__u32 index;
	int result = 0;

	for (index = table ? table->oldest : HK_KEY_NONE; index != HK_KEY_NONE && !result;
		index = one->newer) {
		one = &table->rows[index];
		shown = (struct hk_key_row){.domain = one->domain,
			.side = HK_SIDE_SINGLE,
			.version = -1,
			.state = HK_KEY_CURRENT,
			.used = __atomic_load_n(&one->used, __ATOMIC_RELAXED),
			.source = source_name(keyring, one)};
		if (one->secret->is_tuple)
			shown.tls_tuple = &one->secret->tuple;
		else
			shown.tls_random = one->secret->client_random;
		memcpy(shown.fingerprint, one->fingerprint, sizeof(shown.fingerprint));
		result = row(context, &shown);
	}
	return result;
}

bool hk_keyring_has_tls(const struct hk_keyring *keyring)
{
	return keyring->tls;
}

unsigned hk_keyring_tls_count(const struct hk_keyring *keyring)
{
	return keyring->tls ? keyring->tls->count : 0;
}

__u64 hk_keyring_tls_evicted(const struct hk_keyring *keyring)
{
	return keyring->tls ? keyring->tls->evicted : 0;
}

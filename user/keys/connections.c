// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of TLS connections in the keyring: see connections.h. Rows stand in one
 * hash table with open addressing, at most half full; of two lines for one
 * connection the later one counts, as in a log.
 */
#include "user/keys/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/keys/tables.h"

struct row {
	const struct hk_tls_secret *secret; /* NULL: free */
	__u64 id;
	__u16 domain;
};

struct hk_tls_connections {
	__u32 mask;
	__u32 count;
	struct row rows[];
};

struct loader {
	struct hk_keyring *keyring;
	const struct hk_domain_config *domain;
	const char *name; /* of the file */
};

static __u64 last_id = 1ull << 56; /* never one of the keyring's other ids */

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

static bool same_tuple(const struct hk_tls_tuple *a, const struct hk_tls_tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool is_random(const struct row *row, __u16 domain, const __u8 *client_random)
{
	return !row->secret->is_tuple && row->domain == domain &&
	       memcmp(row->secret->client_random, client_random, 32) == 0;
}

const struct hk_tls_secret *hk_keyring_tls_tuple(
	const struct hk_keyring *keyring, const struct hk_tls_tuple *tuple, __u64 *id)
{
	const struct hk_tls_connections *table = keyring->tls;
	const struct row *row;
	__u32 hash;

	if (!table)
		return NULL;
	for (hash = hash_tuple(tuple); (row = &table->rows[hash & table->mask])->secret; hash++) {
		if (!row->secret->is_tuple || !same_tuple(&row->secret->tuple, tuple))
			continue;
		*id = row->id;
		return row->secret;
	}
	return NULL;
}

const struct hk_tls_secret *hk_keyring_tls_random(
	const struct hk_keyring *keyring, __u16 domain, const __u8 client_random[32], __u64 *id)
{
	const struct hk_tls_connections *table = keyring->tls;
	const struct row *row;
	__u32 hash;

	if (!table)
		return NULL;
	for (hash = hash_random(domain, client_random); (row = &table->rows[hash & table->mask])->secret;
		hash++) {
		if (!is_random(row, domain, client_random))
			continue;
		*id = row->id;
		return row->secret;
	}
	return NULL;
}

__u64 hk_keyring_serial(const struct hk_keyring *keyring)
{
	return keyring->serial;
}

static int make_table(struct hk_keyring *keyring)
{
	__u32 rows = 16;

	if (keyring->tls)
		return 0;
	while (rows < 2 * keyring->capacity + 2)
		rows *= 2;
	keyring->tls = calloc(1, sizeof(*keyring->tls) + rows * sizeof(struct row));
	if (!keyring->tls)
		return -ENOMEM;
	keyring->tls->mask = rows - 1;
	return 0;
}

/* The row that says the same, or the free one where it belongs. */
static struct row *find_place(
	struct hk_tls_connections *table, __u16 domain, const struct hk_tls_secret *secret)
{
	__u32 hash =
		secret->is_tuple ? hash_tuple(&secret->tuple) : hash_random(domain, secret->client_random);
	struct row *row;

	for (; (row = &table->rows[hash & table->mask])->secret; hash++)
		if (secret->is_tuple
				? row->secret->is_tuple && same_tuple(&row->secret->tuple, &secret->tuple)
				: is_random(row, domain, secret->client_random))
			break;
	return row;
}

static int take(void *context, const struct hk_tls_secret *secret, unsigned line, struct hk_error *error)
{
	struct loader *loader = context;
	struct hk_tls_secret *cell, copy = *secret;
	struct row *row;

	copy.tuple.domain = loader->domain->id;
	row = find_place(loader->keyring->tls, loader->domain->id, &copy);
	cell = row->secret ? (struct hk_tls_secret *)row->secret : hk_arena_cell(loader->keyring->part);
	if (cell) {
		*cell = copy;
		*row = (struct row){.secret = cell,
			.id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED),
			.domain = loader->domain->id};
	}
	hk_wipe(&copy, sizeof(copy));
	if (!cell)
		return hk_error_set(error, ENOSPC,
			"%s:%u: no room for another connection: keys-max is %u; raise it and restart, or "
			"drop "
			"old "
			"lines",
			loader->name, line, loader->keyring->capacity);
	return 0;
}

int hk_keyring_load_tls(struct hk_keyring *keyring, const struct hk_domain_config *domain, const char *name,
	const char *text, struct hk_error *error)
{
	struct loader loader = {.keyring = keyring, .domain = domain, .name = name};

	if (make_table(keyring))
		return hk_error_set(error, ENOMEM, "%s: no memory for its connections", name);
	return hk_keylog_read(name, text, error, take, &loader);
}

void hk_keyring_free_tls(struct hk_keyring *keyring)
{
	free(keyring->tls);
}

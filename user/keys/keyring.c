// SPDX-License-Identifier: GPL-2.0-or-later
/* The keyring in use: lookups, list, end. See keyring.h; load.c builds it. */
#include "user/keys/keyring.h"

#include <stdlib.h>
#include <string.h>

#include <halfkey/reason.h>

#include "user/keys/tables.h"

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

__u32 hk_key_find_group(
	const struct hk_keyring *keyring, __u16 domain, __u32 id, const struct hk_prefix *receiver)
{
	__u32 hash = hk_key_group_hash(domain, id, receiver), row;
	const struct hk_key_group *group;

	for (; (row = keyring->group_table.rows[hash & keyring->group_table.mask]); hash++) {
		group = &keyring->groups[row - 1];
		if (group->domain == domain && group->id == id &&
			group->receiver.length == receiver->length &&
			memcmp(&group->receiver.address, &receiver->address, sizeof(receiver->address)) == 0)
			return row - 1;
	}
	return HK_KEY_NONE;
}

__u32 hk_key_find_explicit(const struct hk_keyring *keyring, __u16 domain, const struct hk_address *receiver,
	__u32 spi, unsigned variant)
{
	__u32 hash = hk_key_explicit_hash(domain, receiver, spi, variant), row;
	const struct hk_key_row *key;

	for (; (row = keyring->explicit_table.rows[hash & keyring->explicit_table.mask]); hash++) {
		key = &keyring->entries[row - 1].row;
		if (key->spi == spi && key->domain == domain && hk_key_variant(key) == variant &&
			memcmp(&key->receiver.address, receiver, sizeof(*receiver)) == 0)
			return row - 1;
	}
	return HK_KEY_NONE;
}

/*
 * The longest receiver prefix of the domain that holds the address; without
 * one, the lines that name no receiver. IPv4 addresses lie inside no IPv6 prefix.
 */
static const struct hk_key_group *match_group(
	const struct hk_keyring *keyring, __u16 domain, __u32 id, const struct hk_address *receiver)
{
	const struct hk_key_lengths *lengths = &keyring->lengths[domain];
	unsigned i, shortest = hk_address_is_v4(receiver) ? 96 : 0;
	struct hk_prefix prefix;
	__u32 found;

	for (i = 0; i < lengths->count && lengths->length[i] >= shortest; i++) {
		prefix.length = lengths->length[i];
		prefix.address = masked(receiver, prefix.length);
		found = hk_key_find_group(keyring, domain, id, &prefix);
		if (found != HK_KEY_NONE)
			return &keyring->groups[found];
	}
	prefix = (struct hk_prefix){.length = HK_KEY_WHOLE};
	found = hk_key_find_group(keyring, domain, id, &prefix);
	return found != HK_KEY_NONE ? &keyring->groups[found] : NULL;
}

static void choose_explicit(const struct hk_key_entry *entry, struct hk_key_choice *out)
{
	const struct hk_key_cell *cell = entry->cell;

	out->master = NULL;
	out->key = cell->key;
	out->salt = cell->salt;
	out->generation = 0;
	out->key_size = entry->key_size;
	out->id = entry->id;
}

static void choose_master(const struct hk_key_entry *entry, struct hk_key_choice *out)
{
	out->master = entry->cell;
	out->key = NULL;
	out->salt = NULL;
	out->generation = entry->row.generation;
	out->key_size = 0;
	out->id = entry->id;
}

unsigned hk_keyring_choose(
	const struct hk_keyring *keyring, const struct hk_key_request *request, struct hk_key_choice *out)
{
	const struct hk_key_group *group;
	unsigned slot = request->slot;
	__u32 found;

	if (request->domain >= HK_DOMAINS_MAX || slot >= HK_KEY_SLOTS)
		return HK_REASON_NO_KEY;
	if (keyring->explicit_count) {
		found = hk_key_find_explicit(
			keyring, request->domain, request->receiver, request->spi, request->variant);
		if (found != HK_KEY_NONE) {
			choose_explicit(&keyring->entries[found], out);
			return HK_REASON_OK;
		}
	}
	group = match_group(keyring, request->domain, request->id, request->receiver);
	if (!group)
		return HK_REASON_NO_KEY;
	if (group->newest[slot] == HK_KEY_NONE)
		return __atomic_load_n(&group->retired, __ATOMIC_RELAXED) & 1 << slot ? HK_REASON_STALE_KEY
										      : HK_REASON_NO_KEY;
	choose_master(&keyring->entries[group->newest[slot]], out);
	return HK_REASON_OK;
}

/* Every key takes the next cell, so cells and entries have the same order. */
__u32 *hk_keyring_epoch(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	return &keyring->entries[hk_arena_index(keyring->part, choice->master)].epoch;
}

bool hk_keyring_only_masters(const struct hk_keyring *keyring)
{
	return !keyring->explicit_count;
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

/* The same key as before has come as far as before. */
static void adopt_epoch(struct hk_keyring *now, __u32 index, const struct hk_keyring *previous, __u32 before)
{
	struct hk_key_entry *entry;

	if (index == HK_KEY_NONE || before == HK_KEY_NONE)
		return;
	entry = &now->entries[index];
	if (hk_equal(entry->row.fingerprint, previous->entries[before].row.fingerprint,
		    sizeof(entry->row.fingerprint)))
		__atomic_store_n(&entry->epoch,
			__atomic_load_n(&previous->entries[before].epoch, __ATOMIC_RELAXED),
			__ATOMIC_RELAXED);
}

void hk_keyring_adopt(struct hk_keyring *now, const struct hk_keyring *previous)
{
	const struct hk_key_group *before;
	struct hk_key_group *group;
	unsigned i, slot;
	__u32 found;
	__u8 retired;

	for (i = 0; i < now->group_count; i++) {
		group = &now->groups[i];
		found = hk_key_find_group(previous, group->domain, group->id, &group->receiver);
		if (found == HK_KEY_NONE)
			continue;
		before = &previous->groups[found];
		retired = before->retired;
		for (slot = 0; slot < HK_KEY_SLOTS; slot++) {
			if (before->newest[slot] != HK_KEY_NONE)
				retired |= (__u8)(1 << slot);
			adopt_epoch(now, group->newest[slot], previous, before->newest[slot]);
		}
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

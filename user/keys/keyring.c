// SPDX-License-Identifier: GPL-2.0-or-later
/* The keyring in use: lookups, list, end. See keyring.h; load.c builds it. */
#include "user/keys/keyring.h"

#include <stdlib.h>
#include <string.h>

#include <halfkey/reason.h>

#include "user/keys/connections.h"
#include "user/keys/tables.h"

/* `length` is below 128. */
static struct hk_address masked(const struct hk_address *address, unsigned length)
{
	struct hk_address out = *address;
	unsigned whole = length / 8;

	out.bytes[whole] &= (__u8)(0xff00 >> (length % 8));
	memset(out.bytes + whole + 1, 0, sizeof(out.bytes) - whole - 1);
	return out;
}

/* Each packet's way: an address goes in as it is, without a prefix being made of it. */
static inline __u32 find_group(const struct hk_keyring *keyring, __u16 domain, __u32 id,
	const struct hk_address *receiver, unsigned length)
{
	__u32 hash = hk_key_group_hash(domain, id, receiver, length), row;
	const struct hk_key_group *group;

	for (; (row = keyring->group_table.rows[hash & keyring->group_table.mask]); hash++) {
		group = &keyring->groups[row - 1];
		if (group->domain == domain && group->id == id && group->receiver.length == length &&
			memcmp(&group->receiver.address, receiver, sizeof(*receiver)) == 0)
			return row - 1;
	}
	return HK_KEY_NONE;
}

__u32 hk_key_find_group(
	const struct hk_keyring *keyring, __u16 domain, __u32 id, const struct hk_prefix *receiver)
{
	return find_group(keyring, domain, id, &receiver->address, receiver->length);
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
	const struct hk_key_lengths *lengths = &keyring->lengths[domain & ~HK_KEY_READERS];
	static const struct hk_address whole;
	struct hk_address prefix;
	unsigned i, length;
	__u32 found;

	for (i = 0; i < lengths->count; i++) {
		length = lengths->length[i];
		if (length == 128) {
			found = find_group(keyring, domain, id, receiver, length);
		} else if (length < 96 && hk_address_is_v4(receiver)) {
			break;
		} else {
			prefix = masked(receiver, length);
			found = find_group(keyring, domain, id, &prefix, length);
		}
		if (found != HK_KEY_NONE)
			return &keyring->groups[found];
	}
	found = find_group(keyring, domain, id, &whole, HK_KEY_WHOLE);
	return found != HK_KEY_NONE ? &keyring->groups[found] : NULL;
}

/* To about a second, and written once a second: workers share the line. */
static void mark_used(const struct hk_keyring *keyring, struct hk_key_entry *entry)
{
	__u32 now_s = __atomic_load_n(&keyring->now_s, __ATOMIC_RELAXED);

	if (__atomic_load_n(&entry->used, __ATOMIC_RELAXED) != now_s)
		__atomic_store_n(&entry->used, now_s, __ATOMIC_RELAXED);
}

static unsigned tombstone_reason(const struct hk_key_entry *entry)
{
	switch (entry->state) {
	case HK_ENTRY_EARLY: return HK_REASON_KEY_NOT_YET;
	case HK_ENTRY_EXPIRED: return HK_REASON_KEY_EXPIRED;
	default: return HK_REASON_STALE_KEY;
	}
}

static void choose_explicit(
	const struct hk_keyring *keyring, struct hk_key_entry *entry, struct hk_key_choice *out)
{
	const struct hk_key_cell *cell = entry->cell;

	mark_used(keyring, entry);
	out->entry = (__u32)(entry - keyring->entries);
	out->master = NULL;
	out->key = cell->key;
	out->salt = cell->salt;
	out->root = entry->row.is_root ? &((const struct hk_key_root_cell *)entry->cell)->hmac : NULL;
	out->generation = 0;
	out->key_size = entry->key_size;
	out->id = entry->id;
}

static void choose_master(
	const struct hk_keyring *keyring, struct hk_key_entry *entry, struct hk_key_choice *out)
{
	mark_used(keyring, entry);
	out->entry = (__u32)(entry - keyring->entries);
	out->master = entry->cell;
	out->key = NULL;
	out->salt = NULL;
	out->root = NULL;
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
			if (keyring->entries[found].state != HK_ENTRY_LIVE)
				return tombstone_reason(&keyring->entries[found]);
			choose_explicit(keyring, &keyring->entries[found], out);
			return HK_REASON_OK;
		}
	}
	group = match_group(keyring, request->domain, request->id, request->receiver);
	if (!group)
		return HK_REASON_NO_KEY;
	found = __atomic_load_n(&group->choice[slot], __ATOMIC_RELAXED);
	if (found == HK_KEY_NONE)
		return __atomic_load_n(&group->why[slot], __ATOMIC_RELAXED);
	choose_master(keyring, &keyring->entries[found], out);
	return HK_REASON_OK;
}

bool hk_keyring_watched(const struct hk_keyring *keyring)
{
	return keyring->doubles || (keyring->retired_s && __atomic_load_n(&keyring->now_s, __ATOMIC_RELAXED) -
									  keyring->retired_s <
								  HK_RETIRED_S);
}

static struct hk_key_group *group_of(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	return choice->master ? &keyring->groups[keyring->entries[choice->entry].group] : NULL;
}

/* The three highest generations in force are what a slot can mean: previous, current, next. */
#define MEANINGS 3

bool hk_keyring_other(const struct hk_keyring *keyring, const struct hk_key_choice *choice, unsigned n,
	struct hk_key_choice *other)
{
	const struct hk_key_group *group = group_of(keyring, choice);
	unsigned live = 0;
	__u32 index;

	if (!group)
		return false;
	index = group->newest[keyring->entries[choice->entry].row.slot];
	for (; index != HK_KEY_NONE && live < MEANINGS; index = keyring->entries[index].older) {
		if (keyring->entries[index].state != HK_ENTRY_LIVE)
			continue;
		live++;
		if (index == choice->entry || n--)
			continue;
		other->master = keyring->entries[index].cell;
		other->key = other->salt = NULL;
		other->root = NULL;
		other->key_size = 0;
		other->generation = keyring->entries[index].row.generation;
		other->id = keyring->entries[index].id;
		other->entry = index;
		return true;
	}
	return false;
}

void hk_keyring_prefer(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	struct hk_key_group *group = group_of(keyring, choice);

	if (!group)
		return;
	mark_used(keyring, &keyring->entries[choice->entry]);
	__atomic_store_n(
		&group->choice[keyring->entries[choice->entry].row.slot], choice->entry, __ATOMIC_RELAXED);
}

bool hk_keyring_retired(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	const struct hk_key_group *group = group_of(keyring, choice);
	__u32 when = group ? group->retired_s[keyring->entries[choice->entry].row.slot] : 0;

	return when && __atomic_load_n(&keyring->now_s, __ATOMIC_RELAXED) - when < HK_RETIRED_S;
}

__u32 *hk_keyring_epoch(const struct hk_keyring *keyring, const struct hk_key_choice *choice)
{
	return &keyring->entries[choice->entry].epoch;
}

const struct hk_kdf_key *hk_keyring_reader(
	const struct hk_keyring *keyring, const struct hk_key_request *request)
{
	const struct hk_key_group *group;
	__u32 found;

	if (request->domain >= HK_DOMAINS_MAX || request->slot >= HK_KEY_SLOTS)
		return NULL;
	group = match_group(keyring, request->domain | HK_KEY_READERS, request->id, request->receiver);
	found = group ? __atomic_load_n(&group->choice[request->slot], __ATOMIC_RELAXED) : HK_KEY_NONE;
	return found != HK_KEY_NONE ? keyring->entries[found].cell : NULL;
}

bool hk_keyring_only_masters(const struct hk_keyring *keyring)
{
	return !keyring->explicit_count;
}

void hk_keyring_free(struct hk_keyring *keyring)
{
	unsigned i;

	if (!keyring)
		return;
	for (i = 0; i < keyring->sources.count; i++)
		free(keyring->sources.names[i]);
	free(keyring->sources.names);
	hk_arena_give_back(keyring->part);
	hk_keyring_free_tls(keyring);
	free(keyring->entries);
	free(keyring->groups);
	free(keyring->explicit_table.rows);
	free(keyring->group_table.rows);
	free(keyring->bytes_table.rows);
	free(keyring);
}

static bool same_master(const struct hk_key_entry *a, const struct hk_key_entry *b)
{
	return a->row.generation == b->row.generation &&
	       hk_equal(a->row.fingerprint, b->row.fingerprint, sizeof(a->row.fingerprint));
}

/* The same key as before has come as far as before; false: it is here no more. */
static bool adopt_entry(struct hk_keyring *now, __u32 index, const struct hk_key_entry *before)
{
	struct hk_key_entry *entry;

	for (; index != HK_KEY_NONE; index = now->entries[index].older) {
		entry = &now->entries[index];
		if (!same_master(entry, before))
			continue;
		__atomic_store_n(
			&entry->epoch, __atomic_load_n(&before->epoch, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
		__atomic_store_n(
			&entry->used, __atomic_load_n(&before->used, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

static void adopt_slot(struct hk_keyring *now, struct hk_key_group *group, const struct hk_keyring *previous,
	const struct hk_key_group *before, unsigned slot)
{
	const struct hk_key_entry *entry;
	__u32 index;

	group->retired_s[slot] = before->retired_s[slot];
	if (group->why[slot] == HK_REASON_NO_KEY)
		group->why[slot] =
			before->why[slot] == HK_REASON_KEY_NOT_YET ? HK_REASON_NO_KEY : before->why[slot];
	for (index = before->newest[slot]; index != HK_KEY_NONE; index = previous->entries[index].older) {
		entry = &previous->entries[index];
		if (adopt_entry(now, group->newest[slot], entry) || entry->state != HK_ENTRY_LIVE)
			continue;
		group->retired_s[slot] = now->now_s;
		if (group->why[slot] == HK_REASON_NO_KEY)
			group->why[slot] = HK_REASON_STALE_KEY;
	}
	if (group->retired_s[slot] > now->retired_s)
		now->retired_s = group->retired_s[slot];
}

void hk_keyring_adopt(struct hk_keyring *now, const struct hk_keyring *previous)
{
	const struct hk_key_group *before;
	struct hk_key_group *group;
	unsigned i, slot;
	__u32 found;

	for (i = 0; i < now->group_count; i++) {
		group = &now->groups[i];
		found = hk_key_find_group(previous, group->domain, group->id, &group->receiver);
		if (found == HK_KEY_NONE)
			continue;
		before = &previous->groups[found];
		for (slot = 0; slot < HK_KEY_SLOTS; slot++)
			adopt_slot(now, group, previous, before, slot);
	}
}

/* Of one receiver and id: the highest generation that packets asked for; the highest of all without any. */
static __u32 current_generation(const struct hk_keyring *keyring, const struct hk_key_group *group)
{
	const struct hk_key_entry *entry;
	__u32 index, used = 0, highest = 0;
	bool any = false;
	unsigned slot;

	for (slot = 0; slot < HK_KEY_SLOTS; slot++)
		for (index = group->newest[slot]; index != HK_KEY_NONE; index = entry->older) {
			entry = &keyring->entries[index];
			if (entry->state != HK_ENTRY_LIVE)
				continue;
			if (entry->used && (!any || entry->row.generation > used)) {
				used = entry->row.generation;
				any = true;
			}
			if (entry->row.generation > highest)
				highest = entry->row.generation;
		}
	return any ? used : highest;
}

static unsigned state_of(const struct hk_keyring *keyring, const struct hk_key_entry *entry)
{
	__u32 current;

	switch (entry->state) {
	case HK_ENTRY_EARLY: return HK_KEY_EARLY;
	case HK_ENTRY_EXPIRED: return HK_KEY_EXPIRED;
	case HK_ENTRY_RETIRED: return HK_KEY_RETIRED;
	default: break;
	}
	if (entry->row.is_explicit || entry->row.is_level)
		return HK_KEY_CURRENT;
	current = current_generation(keyring, &keyring->groups[entry->group]);
	if (entry->row.generation == current)
		return HK_KEY_CURRENT;
	return entry->row.generation > current ? HK_KEY_NEXT : HK_KEY_PREVIOUS;
}

int hk_keyring_list(const struct hk_keyring *keyring, int (*row)(void *context, const struct hk_key_row *row),
	void *context)
{
	const struct hk_key_entry *entry;
	struct hk_key_row shown;
	unsigned i;
	int result = 0;

	for (i = 0; i < keyring->top && !result; i++) {
		entry = &keyring->entries[i];
		if (!entry->id || !entry->linked)
			continue;
		shown = entry->row;
		shown.state = (__u8)state_of(keyring, entry);
		shown.used = __atomic_load_n(&entry->used, __ATOMIC_RELAXED);
		shown.source = hk_key_source_name(keyring, entry);
		shown.overrides = keyring->kept && hk_kept_is_word(keyring->kept, entry->kept);
		result = row(context, &shown);
	}
	if (!result)
		result = hk_key_words_list(keyring, row, context);
	return result ? result : hk_keyring_tls_list(keyring, row, context);
}

__u64 hk_keyring_next_event(const struct hk_keyring *keyring)
{
	return keyring->next_event == ~0ull ? 0 : keyring->next_event;
}

unsigned hk_keyring_count(const struct hk_keyring *keyring)
{
	return keyring->count + hk_keyring_tls_count(keyring);
}

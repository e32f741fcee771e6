// SPDX-License-Identifier: GPL-2.0-or-later
/* Places in the keyring's tables: taking one, leaving it, and who is chosen. See tables.h. */
#include "user/keys/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/reason.h>

/* --- open addressing --- */

static void table_add(struct hk_key_table *table, __u32 hash, __u32 index)
{
	for (table->steps++; table->rows[hash & table->mask]; table->steps++)
		hash++;
	table->rows[hash & table->mask] = index + 1;
}

/* Closes the gap, so that no probe ends early: what stands behind moves up where it may. */
static void table_remove(struct hk_key_table *table, const struct hk_keyring *keyring,
	__u32 (*hash_of)(const struct hk_keyring *keyring, __u32 index), __u32 index)
{
	__u32 at = hash_of(keyring, index) & table->mask, next, home, row;

	for (table->steps++; table->rows[at] != index + 1; table->steps++)
		at = (at + 1) & table->mask;
	for (next = (at + 1) & table->mask; (row = table->rows[next]); next = (next + 1) & table->mask) {
		table->steps++;
		home = hash_of(keyring, row - 1) & table->mask;
		if (((next - home) & table->mask) >= ((next - at) & table->mask)) {
			table->rows[at] = row;
			at = next;
		}
	}
	table->rows[at] = 0;
}

static __u32 explicit_hash(const struct hk_keyring *keyring, __u32 index)
{
	const struct hk_key_row *row = &keyring->entries[index].row;

	return hk_key_explicit_hash(row->domain, &row->receiver.address, row->spi, hk_key_variant(row));
}

static __u32 group_hash(const struct hk_keyring *keyring, __u32 index)
{
	const struct hk_key_group *group = &keyring->groups[index];

	return hk_key_group_hash(group->domain, group->id, &group->receiver.address, group->receiver.length);
}

__u32 hk_key_bytes_hash(const struct hk_key_row *row)
{
	__u32 hash;

	memcpy(&hash, row->fingerprint, sizeof(hash));
	return hash;
}

static __u32 bytes_hash(const struct hk_keyring *keyring, __u32 index)
{
	return hk_key_bytes_hash(&keyring->entries[index].row);
}

void hk_key_bytes_add(struct hk_keyring *keyring, __u32 index)
{
	table_add(&keyring->bytes_table, bytes_hash(keyring, index), index);
}

void hk_key_bytes_remove(struct hk_keyring *keyring, __u32 index)
{
	table_remove(&keyring->bytes_table, keyring, bytes_hash, index);
}

/* An AES-256 schedule begins with its key (FIPS 197). */
const __u8 *hk_key_entry_bytes(const struct hk_key_entry *entry)
{
	return entry->row.is_explicit || entry->row.is_level
		       ? ((const struct hk_key_cell *)entry->cell)->key
		       : ((const struct hk_kdf_key *)entry->cell)->schedule;
}

/* --- entries --- */

static void tomb_leave(struct hk_keyring *keyring, __u32 index)
{
	struct hk_key_entry *entry = &keyring->entries[index];

	if (entry->before != HK_KEY_NONE)
		keyring->entries[entry->before].older = entry->older;
	else
		keyring->tomb_first = entry->older;
	if (entry->older != HK_KEY_NONE)
		keyring->entries[entry->older].before = entry->before;
	else
		keyring->tomb_last = entry->before;
	keyring->tombs--;
}

static void tomb_join(struct hk_keyring *keyring, __u32 index)
{
	struct hk_key_entry *entry = &keyring->entries[index];

	entry->older = HK_KEY_NONE;
	entry->before = keyring->tomb_last;
	if (entry->before != HK_KEY_NONE)
		keyring->entries[entry->before].older = index;
	else
		keyring->tomb_first = index;
	keyring->tomb_last = index;
	keyring->tombs++;
}

__u32 hk_key_entry_new(struct hk_keyring *keyring)
{
	__u32 index = keyring->free_first;

	if (index != HK_KEY_NONE) {
		keyring->free_first = keyring->entries[index].older;
		return index;
	}
	return keyring->top < keyring->capacity + keyring->tombs_max ? keyring->top++ : HK_KEY_NONE;
}

/* A key that goes takes the record along that the next inspector would find. */
static void forget_record(struct hk_keyring *keyring, struct hk_key_entry *entry)
{
	if (keyring->kept)
		hk_kept_drop(keyring->kept, entry->kept);
	entry->kept = 0;
}

void hk_key_entry_free(struct hk_keyring *keyring, __u32 index)
{
	struct hk_key_entry *entry = &keyring->entries[index];

	forget_record(keyring, entry);
	hk_arena_drop(keyring->part, entry->cell);
	memset(entry, 0, sizeof(*entry));
	entry->older = keyring->free_first;
	keyring->free_first = index;
}

static void tomb_forget(struct hk_keyring *keyring, __u32 index)
{
	hk_key_unlink(keyring, index);
	hk_key_entry_free(keyring, index);
}

void hk_key_entry_bury(struct hk_keyring *keyring, __u32 index, unsigned state)
{
	struct hk_key_entry *entry = &keyring->entries[index];

	hk_key_bytes_remove(keyring, index);
	forget_record(keyring, entry);
	hk_arena_drop(keyring->part, entry->cell);
	entry->cell = NULL;
	entry->state = (__u8)state;
	keyring->count--;
	tomb_join(keyring, index);
	if (keyring->tombs > keyring->tombs_max)
		tomb_forget(keyring, keyring->tomb_first);
}

void hk_key_note_times(struct hk_keyring *keyring, const struct hk_key_row *row)
{
	if (row->not_before > keyring->now_s && row->not_before < keyring->next_event)
		keyring->next_event = row->not_before;
	if (row->not_after && row->not_after < keyring->next_event)
		keyring->next_event = row->not_after;
}

int hk_key_table_make(struct hk_key_table *table, unsigned entries)
{
	__u32 rows = 16;

	while (rows < 2 * entries)
		rows *= 2;
	table->rows = calloc(rows, sizeof(*table->rows));
	table->mask = rows - 1;
	return table->rows ? 0 : -ENOMEM;
}

const char *hk_key_source_name(const struct hk_keyring *keyring, const struct hk_key_entry *entry)
{
	if (entry->source >= HK_SOURCE_FILES && entry->source - HK_SOURCE_FILES < keyring->sources.count)
		return keyring->sources.names[entry->source - HK_SOURCE_FILES];
	if (entry->source == HK_SOURCE_KEYS && entry->domain)
		return entry->domain->keys;
	return "the control socket";
}

unsigned hk_key_source(struct hk_keyring *keyring, const char *path)
{
	struct hk_key_sources *sources = &keyring->sources;
	char **names;
	unsigned i;

	for (i = 0; i < sources->count; i++)
		if (strcmp(sources->names[i], path) == 0)
			return HK_SOURCE_FILES + i;
	names = realloc(sources->names, (sources->count + 1) * sizeof(*names));
	if (!names)
		return 0;
	sources->names = names;
	names[i] = strdup(path);
	if (!names[i])
		return 0;
	return HK_SOURCE_FILES + sources->count++;
}

/* --- groups --- */

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

static bool is_empty(const struct hk_key_group *group)
{
	unsigned slot;

	for (slot = 0; slot < HK_KEY_SLOTS; slot++)
		if (group->newest[slot] != HK_KEY_NONE)
			return false;
	return true;
}

static void wait_leave(struct hk_keyring *keyring, struct hk_key_group *group)
{
	if (!group->waits)
		return;
	if (group->before != HK_KEY_NONE)
		keyring->groups[group->before].next = group->next;
	else
		keyring->wait_first = group->next;
	if (group->next != HK_KEY_NONE)
		keyring->groups[group->next].before = group->before;
	else
		keyring->wait_last = group->before;
	group->waits = false;
}

static void wait_join(struct hk_keyring *keyring, struct hk_key_group *group)
{
	__u32 index = (__u32)(group - keyring->groups);

	if (group->waits || !is_empty(group))
		return;
	group->waits = true;
	group->next = HK_KEY_NONE;
	group->before = keyring->wait_last;
	if (group->before != HK_KEY_NONE)
		keyring->groups[group->before].next = index;
	else
		keyring->wait_first = index;
	keyring->wait_last = index;
}

/* All rows are taken: the one whose keys went first gives way, and is forgotten. */
static __u32 reuse_group(struct hk_keyring *keyring)
{
	__u32 index = keyring->wait_first;

	if (index == HK_KEY_NONE)
		return HK_KEY_NONE;
	wait_leave(keyring, &keyring->groups[index]);
	table_remove(&keyring->group_table, keyring, group_hash, index);
	return index;
}

struct hk_key_group *hk_key_need_group(struct hk_keyring *keyring, const struct hk_key_row *row)
{
	struct hk_prefix receiver = hk_key_group_prefix(row);
	__u32 index = hk_key_find_group(keyring, hk_key_group_domain(row), row->id, &receiver);
	struct hk_key_group *group;

	if (index != HK_KEY_NONE)
		return &keyring->groups[index];
	index = keyring->group_count <= keyring->capacity ? keyring->group_count++ : reuse_group(keyring);
	if (index == HK_KEY_NONE)
		return NULL;
	group = &keyring->groups[index];
	*group = (struct hk_key_group){
		.receiver = receiver, .id = row->id, .domain = hk_key_group_domain(row)};
	memset(group->newest, 0xff, sizeof(group->newest));
	memset(group->choice, 0xff, sizeof(group->choice));
	memset(group->why, HK_REASON_NO_KEY, sizeof(group->why));
	table_add(&keyring->group_table, group_hash(keyring, index), index);
	if (row->has_receiver)
		add_length(&keyring->lengths[row->domain], receiver.length);
	return group;
}

static unsigned slot_live(const struct hk_keyring *keyring, const struct hk_key_group *group, unsigned slot,
	__u32 *first, bool *early)
{
	__u32 index;
	unsigned live = 0;

	*first = HK_KEY_NONE;
	*early = false;
	for (index = group->newest[slot]; index != HK_KEY_NONE; index = keyring->entries[index].older) {
		if (keyring->entries[index].state == HK_ENTRY_LIVE && live++ == 0)
			*first = index;
		*early |= keyring->entries[index].state == HK_ENTRY_EARLY;
	}
	return live;
}

/* The highest generation is tried first, also after another one was: a change begins anew. */
void hk_key_group_choose(struct hk_keyring *keyring, struct hk_key_group *group)
{
	unsigned slot, live;
	__u32 first;
	bool early;

	for (slot = 0; slot < HK_KEY_SLOTS; slot++) {
		live = slot_live(keyring, group, slot, &first, &early);
		if (group->doubles & 1 << slot)
			keyring->doubles--;
		group->doubles &= (__u8) ~(1 << slot);
		if (live > 1) {
			keyring->doubles++;
			group->doubles |= (__u8)(1 << slot);
		}
		__atomic_store_n(&group->choice[slot], first, __ATOMIC_RELAXED);
		if (group->why[slot] == HK_REASON_KEY_NOT_YET || group->why[slot] == HK_REASON_NO_KEY)
			group->why[slot] = early ? HK_REASON_KEY_NOT_YET : HK_REASON_NO_KEY;
	}
}

/* --- links --- */

static int link_master(struct hk_keyring *keyring, __u32 index, __u32 *other)
{
	struct hk_key_entry *entry = &keyring->entries[index];
	struct hk_key_group *group = hk_key_need_group(keyring, &entry->row);
	__u32 *at;

	if (!group)
		return -ENOSPC;
	at = &group->newest[entry->row.slot];
	while (*at != HK_KEY_NONE && keyring->entries[*at].row.generation > entry->row.generation)
		at = &keyring->entries[*at].older;
	*other = *at;
	if (*at != HK_KEY_NONE && keyring->entries[*at].row.generation == entry->row.generation)
		return -EEXIST;
	entry->group = (__u32)(group - keyring->groups);
	entry->older = *at;
	*at = index;
	wait_leave(keyring, group);
	hk_key_group_choose(keyring, group);
	return 0;
}

static int link_explicit(struct hk_keyring *keyring, __u32 index, __u32 *other)
{
	const struct hk_key_row *row = &keyring->entries[index].row;

	*other = hk_key_find_explicit(
		keyring, row->domain, &row->receiver.address, row->spi, hk_key_variant(row));
	if (*other != HK_KEY_NONE && keyring->entries[*other].cell)
		return -EEXIST;
	if (*other != HK_KEY_NONE) /* a tombstone gives way */
		tomb_forget(keyring, *other);
	table_add(&keyring->explicit_table, explicit_hash(keyring, index), index);
	keyring->explicit_count++;
	return 0;
}

static int link_level(struct hk_keyring *keyring, __u32 index, __u32 *other)
{
	*other = hk_key_find(keyring, &keyring->entries[index].row);
	if (*other != HK_KEY_NONE)
		return -EEXIST;
	keyring->entries[index].older = keyring->roots;
	keyring->roots = index;
	return 0;
}

int hk_key_link(struct hk_keyring *keyring, __u32 index, __u32 *other)
{
	struct hk_key_entry *entry = &keyring->entries[index];
	int result;

	if (entry->row.is_level)
		result = link_level(keyring, index, other);
	else
		result = entry->row.is_explicit ? link_explicit(keyring, index, other)
						: link_master(keyring, index, other);
	if (!result)
		entry->linked = true;
	return result;
}

static void list_leave(struct hk_keyring *keyring, __u32 *at, __u32 index)
{
	while (*at != index)
		at = &keyring->entries[*at].older;
	*at = keyring->entries[index].older;
}

void hk_key_unlink(struct hk_keyring *keyring, __u32 index)
{
	struct hk_key_entry *entry = &keyring->entries[index];
	struct hk_key_group *group;

	entry->linked = false;
	if (entry->row.is_explicit) {
		table_remove(&keyring->explicit_table, keyring, explicit_hash, index);
		keyring->explicit_count--;
		if (!entry->cell)
			tomb_leave(keyring, index);
		return;
	}
	if (entry->row.is_level) {
		list_leave(keyring, &keyring->roots, index);
		return;
	}
	group = &keyring->groups[entry->group];
	list_leave(keyring, &group->newest[entry->row.slot], index);
	hk_key_group_choose(keyring, group);
	wait_join(keyring, group);
}

static __u32 find_level(const struct hk_keyring *keyring, const struct hk_key_row *row)
{
	const struct hk_key_row *other;
	__u32 index;

	for (index = keyring->roots; index != HK_KEY_NONE; index = keyring->entries[index].older) {
		other = &keyring->entries[index].row;
		if (other->domain == row->domain && other->generation == row->generation &&
			strcmp(other->level, row->level) == 0)
			break;
	}
	return index;
}

__u32 hk_key_find(const struct hk_keyring *keyring, const struct hk_key_row *row)
{
	struct hk_prefix receiver = hk_key_group_prefix(row);
	__u32 index;

	if (row->is_level)
		return find_level(keyring, row);
	if (row->is_explicit)
		return hk_key_find_explicit(
			keyring, row->domain, &row->receiver.address, row->spi, hk_key_variant(row));
	index = hk_key_find_group(keyring, hk_key_group_domain(row), row->id, &receiver);
	if (index == HK_KEY_NONE)
		return index;
	index = keyring->groups[index].newest[row->slot];
	while (index != HK_KEY_NONE && keyring->entries[index].row.generation != row->generation)
		index = keyring->entries[index].older;
	return index;
}

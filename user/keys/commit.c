// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A change takes effect, or ends without having changed anything; and what
 * time does to keys. See update.h; update.c prepares what people and files say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/reason.h>

#include "user/keys/change.h"
#include "user/keys/connections.h"

struct hk_key_change *hk_key_change_new(struct hk_keyring *keyring)
{
	struct hk_key_change *change = calloc(1, sizeof(*change));

	if (change)
		change->keyring = keyring;
	return change;
}

int hk_key_items_add(struct hk_key_items *items, struct hk_key_item item)
{
	unsigned room = items->room ? 2 * items->room : 16;
	struct hk_key_item *grown;

	if (items->count == items->room) {
		grown = realloc(items->items, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		items->items = grown;
		items->room = room;
	}
	items->items[items->count++] = item;
	return 0;
}

int hk_key_goes(struct hk_key_change *change, struct hk_key_item item)
{
	int result = hk_key_items_add(&change->gone, item);

	if (!result)
		change->keyring->entries[item.index].going = true;
	return result;
}

/* --- what time does --- */

static int look_at(struct hk_key_change *change, __u32 index, __u64 now_s)
{
	const struct hk_key_entry *entry = &change->keyring->entries[index];
	const struct hk_key_row *row = &entry->row;

	if (!entry->cell || !entry->linked)
		return 0;
	if (row->not_after && row->not_after <= now_s) {
		change->result.expired++;
		return hk_key_goes(change, (struct hk_key_item){.index = index, .state = HK_ENTRY_EXPIRED});
	}
	if (entry->state != HK_ENTRY_EARLY || row->not_before > now_s) {
		hk_key_note_times(change->keyring, row);
		return 0;
	}
	hk_key_note_times(change->keyring, row);
	change->result.woken++;
	return hk_key_items_add(&change->retimed,
		(struct hk_key_item){
			.index = index, .not_before = row->not_before, .not_after = row->not_after});
}

struct hk_key_change *hk_keyring_due(struct hk_keyring *keyring, __u64 now_s)
{
	struct hk_key_change *change;
	unsigned i;
	int result = 0;

	__atomic_store_n(&keyring->now_s, (__u32)now_s, __ATOMIC_RELAXED);
	if (now_s < keyring->next_event)
		return NULL;
	change = hk_key_change_new(keyring);
	if (!change)
		return NULL; /* and again in a second */
	keyring->next_event = ~0ull;
	for (i = 0; i < keyring->top && !result; i++)
		result = look_at(change, i, now_s);
	if (!result && (change->gone.count || change->retimed.count))
		return change;
	if (result)
		keyring->next_event = 0;
	hk_key_change_free(change);
	return NULL;
}

/* --- the commit --- */

static void choose_again(struct hk_keyring *keyring, const struct hk_key_entry *entry)
{
	if (!entry->row.is_explicit && !entry->row.is_level)
		hk_key_group_choose(keyring, &keyring->groups[entry->group]);
}

static void retime(struct hk_keyring *keyring, const struct hk_key_item *item)
{
	struct hk_key_entry *entry = &keyring->entries[item->index];
	__u8 before = entry->state;

	if (entry->going || !entry->cell) {
		hk_key_word_unstage(keyring, item);
		return;
	}
	hk_key_word_keep(keyring, entry, item);
	entry->row.not_before = item->not_before;
	entry->row.not_after = item->not_after;
	entry->state = (__u8)hk_key_state_at(&entry->row, keyring->now_s);
	if (entry->state == HK_ENTRY_EXPIRED)
		entry->state = before; /* until the next look at the time, which is near */
	hk_key_note_times(keyring, &entry->row);
	choose_again(keyring, entry);
}

/*
 * Its slot's packets are stale from now on, or expired; so is what the slot's other keys do not open.
 * A receiver of the same change may have its group's place by now: then nothing is remembered.
 */
static void mark_slot(struct hk_keyring *keyring, const struct hk_key_entry *entry, unsigned state)
{
	struct hk_prefix receiver = hk_key_group_prefix(&entry->row);
	__u32 found = hk_key_find_group(keyring, hk_key_group_domain(&entry->row), entry->row.id, &receiver);
	struct hk_key_group *group = &keyring->groups[found];
	unsigned slot = entry->row.slot;

	if (found == HK_KEY_NONE)
		return;
	group->why[slot] = state == HK_ENTRY_EXPIRED ? HK_REASON_KEY_EXPIRED : HK_REASON_STALE_KEY;
	if (entry->state != HK_ENTRY_EARLY)
		group->retired_s[slot] = keyring->retired_s = keyring->now_s;
}

/* Unlinked already. */
static void wipe_gone(struct hk_keyring *keyring, const struct hk_key_item *item)
{
	struct hk_key_entry *entry = &keyring->entries[item->index];
	__u32 other;

	entry->going = false;
	hk_key_word_remember(keyring, entry, item);
	if (entry->row.is_explicit && hk_key_find(keyring, &entry->row) == HK_KEY_NONE) {
		hk_key_link(keyring, item->index, &other);
		hk_key_entry_bury(keyring, item->index, item->state);
		return;
	}
	if (!entry->row.is_explicit && !entry->row.is_level)
		mark_slot(keyring, entry, item->state);
	hk_key_unstage(keyring, item->index);
}

static int refuse_link(
	const struct hk_key_change *change, __u32 index, __u32 other, int code, struct hk_error *error)
{
	const struct hk_key_entry *entry = &change->keyring->entries[index];
	struct hk_key_line line = {
		.line = entry->line, .is_explicit = entry->row.is_explicit, .has_id = entry->row.has_id};

	memcpy(line.level, entry->row.level, sizeof(line.level));
	if (code == -EEXIST)
		return hk_key_refuse_twice(&change->loader, &line, &change->keyring->entries[other], error);
	return hk_error_set(
		error, -code, "%s:%u: no room for another receiver", change->loader.name, line.line);
}

static int link_added(struct hk_key_change *change, struct hk_error *error)
{
	struct hk_keyring *keyring = change->keyring;
	__u32 other = HK_KEY_NONE, index;
	unsigned i;
	int result;

	for (i = 0; i < change->added.count; i++) {
		index = change->added.items[i].index;
		result = hk_key_link(keyring, index, &other);
		if (!result) {
			hk_key_note_times(keyring, &keyring->entries[index].row);
			continue;
		}
		refuse_link(change, index, other, result, error);
		while (i--)
			hk_key_unlink(keyring, change->added.items[i].index);
		return result == -EEXIST ? -EINVAL : result;
	}
	return 0;
}

static void give_to_file(const struct hk_key_change *change, const struct hk_key_item *item)
{
	struct hk_key_entry *entry = &change->keyring->entries[item->index];

	entry->source = change->loader.source;
	entry->line = item->line;
	if (entry->kept && change->keyring->kept)
		hk_kept_drop(change->keyring->kept, entry->kept);
	entry->kept = 0;
}

/* The names in the messages are needed until here. */
int hk_keyring_commit(struct hk_key_change *change, struct hk_key_result *result, struct hk_error *error)
{
	struct hk_keyring *keyring = change->keyring;
	__u32 other;
	unsigned i;
	int code;

	if (change->tls) {
		code = hk_tls_change_commit(change->tls, result, error);
		change->committed = !code;
		return code;
	}
	for (i = 0; i < change->gone.count; i++)
		if (keyring->entries[change->gone.items[i].index].going)
			hk_key_unlink(keyring, change->gone.items[i].index);
	code = link_added(change, error);
	for (i = 0; code && i < change->gone.count; i++)
		if (keyring->entries[change->gone.items[i].index].going)
			hk_key_link(keyring, change->gone.items[i].index, &other);
	if (code)
		return code;
	for (i = 0; i < change->added.count; i++)
		if (keyring->entries[change->added.items[i].index].kept)
			hk_kept_mark(keyring->kept, keyring->entries[change->added.items[i].index].kept);
	for (i = 0; i < change->taken.count; i++)
		give_to_file(change, &change->taken.items[i]);
	for (i = 0; i < change->retimed.count; i++)
		retime(keyring, &change->retimed.items[i]);
	for (i = 0; i < change->gone.count; i++)
		if (keyring->entries[change->gone.items[i].index].going)
			wipe_gone(keyring, &change->gone.items[i]);
	hk_key_words_end(change);
	change->committed = true;
	if (result)
		*result = change->result;
	return 0;
}

/* Nothing of it was to be: what was staged has no place any more. */
static void take_back(struct hk_key_change *change)
{
	struct hk_keyring *keyring = change->keyring;
	unsigned i;

	keyring->next_event = 0; /* what time was to do is still to be done */
	for (i = 0; i < change->gone.count; i++) {
		keyring->entries[change->gone.items[i].index].going = false;
		hk_key_word_unstage(keyring, &change->gone.items[i]);
	}
	for (i = 0; i < change->retimed.count; i++)
		hk_key_word_unstage(keyring, &change->retimed.items[i]);
	for (i = 0; i < change->added.count; i++)
		hk_key_unstage(keyring, change->added.items[i].index);
}

void hk_key_change_free(struct hk_key_change *change)
{
	unsigned i;

	if (!change)
		return;
	if (!change->committed)
		take_back(change);
	for (i = 0; i < change->withheld.count; i++)
		hk_key_unstage(change->keyring, change->withheld.items[i].index);
	for (i = 0; i < change->taken.count; i++)
		change->keyring->entries[change->taken.items[i].index].taken = false;
	hk_tls_change_free(change->tls);
	free(change->added.items);
	free(change->gone.items);
	free(change->retimed.items);
	free(change->taken.items);
	free(change->withheld.items);
	free(change->past);
	free(change);
}

/* A keyring that was built takes its first look at the time. */
int hk_keyring_settle(struct hk_keyring *keyring)
{
	struct hk_key_change *change = hk_keyring_due(keyring, keyring->now_s);
	int result = change ? hk_keyring_commit(change, NULL, NULL) : 0;

	hk_key_change_free(change);
	return result;
}

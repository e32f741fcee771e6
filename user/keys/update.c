// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes to a keyring in use: see update.h. */
#include "user/keys/update.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/reason.h>

#include "user/keys/connections.h"
#include "user/keys/load.h"
#include "user/keys/rules.h"

struct list {
	struct item {
		__u32 index;
		__u8 state;		     /* of what goes: HK_ENTRY_RETIRED or HK_ENTRY_EXPIRED */
		__u64 not_before, not_after; /* of what gets other times */
		__u32 line;		     /* of what is taken over */
	} * items;
	unsigned count, room;
};

struct hk_key_change {
	struct hk_keyring *keyring;
	struct hk_key_loader loader;
	const struct hk_key_update *update; /* while preparing */
	struct list added, gone, retimed, taken;
	struct hk_key_result result;
	struct hk_tls_change *tls; /* a TLS domain's: all of the change */
	bool committed;
};

static int list_add(struct list *list, struct item item)
{
	unsigned room = list->room ? 2 * list->room : 16;
	struct item *items;

	if (list->count == list->room) {
		items = realloc(list->items, room * sizeof(*items));
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = item;
	return 0;
}

/* --- preparing --- */

static int goes(struct hk_key_change *change, __u32 index, unsigned state)
{
	int result = list_add(&change->gone, (struct item){.index = index, .state = (__u8)state});

	if (!result)
		change->keyring->entries[index].going = true;
	return result;
}

static int retire_line(
	struct hk_key_change *change, const struct hk_key_line *line, __u32 index, struct hk_error *error)
{
	const struct hk_key_entry *entry = &change->keyring->entries[index];

	if (index == HK_KEY_NONE || !entry->cell || entry->going)
		return hk_error_set(error, ENOENT, "%s:%u: retire: there is no such key in domain '%s'",
			change->loader.name, line->line, change->loader.domain->name);
	change->result.retired++;
	return goes(change, index, HK_ENTRY_RETIRED);
}

static bool same_key(const struct hk_key_entry *entry, const struct hk_key_line *line)
{
	if (entry->key_size != line->key_size || entry->row.side != line->side ||
		!hk_equal(hk_key_entry_bytes(entry), line->key, line->key_size))
		return false;
	return !line->is_explicit ||
	       hk_equal(((const struct hk_key_cell *)entry->cell)->salt, line->salt, sizeof(line->salt));
}

/* A line whose key is there: nothing to do, or other times. */
static int known_line(struct hk_key_change *change, const struct hk_key_line *line, __u32 index)
{
	struct hk_key_entry *entry = &change->keyring->entries[index];

	entry->going = false;
	change->result.known++;
	if (entry->row.not_before == line->not_before && entry->row.not_after == line->not_after)
		return 0;
	return list_add(&change->retimed,
		(struct item){.index = index, .not_before = line->not_before, .not_after = line->not_after});
}

/* The file says what came over the control socket: from now on the key is the file's. */
static int take_over(struct hk_key_change *change, const struct hk_key_line *line, __u32 index)
{
	int result = list_add(&change->taken, (struct item){.index = index, .line = line->line});

	if (result)
		return result;
	change->keyring->entries[index].taken = true;
	return known_line(change, line, index);
}

static int graced(struct hk_key_change *change, __u32 index, __u32 generation)
{
	const struct hk_key_row *row = &change->keyring->entries[index].row;
	__u64 end = (__u64)change->keyring->now_s + change->update->grace_s;

	if (row->generation >= generation || (row->not_after && row->not_after <= end))
		return 0;
	change->result.graced++;
	return list_add(&change->retimed,
		(struct item){.index = index, .not_before = row->not_before, .not_after = end});
}

/* Whatever came before this generation, in any slot of the same receiver and id, or of the same level. */
static int grace_older(struct hk_key_change *change, const struct hk_key_row *row)
{
	struct hk_keyring *keyring = change->keyring;
	struct hk_prefix receiver = hk_key_group_prefix(row);
	__u32 group, index;
	unsigned slot;
	int result = 0;

	if (row->is_explicit)
		return 0;
	for (index = row->is_level ? keyring->roots : HK_KEY_NONE; index != HK_KEY_NONE && !result;
		index = keyring->entries[index].older)
		if (keyring->entries[index].row.domain == row->domain &&
			strcmp(keyring->entries[index].row.level, row->level) == 0)
			result = graced(change, index, row->generation);
	group = row->is_level ? HK_KEY_NONE
			      : hk_key_find_group(keyring, hk_key_group_domain(row), row->id, &receiver);
	for (slot = 0; group != HK_KEY_NONE && slot < HK_KEY_SLOTS; slot++)
		for (index = keyring->groups[group].newest[slot]; index != HK_KEY_NONE && !result;
			index = keyring->entries[index].older)
			result = graced(change, index, row->generation);
	return result;
}

static int new_line(struct hk_key_change *change, const struct hk_key_line *line, struct hk_error *error)
{
	struct hk_keyring *keyring = change->keyring;
	__u32 index;
	int result;

	if (line->not_after && line->not_after <= keyring->now_s)
		return hk_error_set(
			error, EINVAL, "%s:%u: not-after= is in the past", change->loader.name, line->line);
	result = hk_key_stage(&change->loader, line, &index, error);
	if (result)
		return result;
	result = list_add(&change->added, (struct item){.index = index});
	if (result) {
		hk_key_unstage(keyring, index);
		return result;
	}
	change->result.added++;
	assert(keyring->entries); /* what was staged has a place */
	return change->update->rotate ? grace_older(change, &keyring->entries[index].row) : 0;
}

static int key_line(struct hk_key_change *change, const struct hk_key_line *line, struct hk_error *error)
{
	const struct hk_keyring *keyring = change->keyring;
	const struct hk_key_entry *old;
	struct hk_key_row row;
	__u32 index;

	hk_key_fill_row(&row, change->loader.domain, line);
	index = hk_key_find(keyring, &row);
	if (line->retire)
		return retire_line(change, line, index, error);
	old = index == HK_KEY_NONE ? NULL : &keyring->entries[index];
	if (!old || !old->cell)
		return new_line(change, line, error);
	if (change->update->whole && old->source == HK_SOURCE_CONTROL && !old->taken && same_key(old, line))
		return take_over(change, line, index);
	if (change->update->whole && (old->source != change->loader.source || !old->going))
		return hk_key_refuse_twice(&change->loader, line, old, error);
	if (same_key(old, line))
		return known_line(change, line, index);
	if (old->going)
		return new_line(change, line, error);
	return hk_key_refuse_twice(&change->loader, line, old, error);
}

static int take_line(void *context, const struct hk_key_line *given, struct hk_error *error)
{
	struct hk_key_change *change = context;
	struct hk_domain_config named = *change->loader.domain;
	struct hk_key_line line = *given;
	int result = 0;

	named.keys = (char *)(unsigned long)change->loader.name;
	if (!line.retire)
		result = hk_key_line_check(&named, &line, error);
	if (!result)
		result = hk_key_combine(&change->loader, &line, error);
	if (!result)
		result = key_line(change, &line, error);
	hk_wipe(&line, sizeof(line));
	return result;
}

static __u32 staged_root(const struct hk_key_loader *loader, const struct hk_key_row *row)
{
	const struct hk_key_change *change = loader->context;
	const struct hk_key_row *other;
	unsigned i;

	for (i = 0; i < change->added.count; i++) {
		other = &change->keyring->entries[change->added.items[i].index].row;
		if (other->is_level && other->generation == row->generation &&
			strcmp(other->level, row->level) == 0)
			return change->added.items[i].index;
	}
	return HK_KEY_NONE;
}

/* What a whole file does not say any more goes. */
static int mark_source(struct hk_key_change *change)
{
	struct hk_keyring *keyring = change->keyring;
	const struct hk_key_entry *entry;
	unsigned i;
	int result = 0;

	for (i = 0; i < keyring->top && !result; i++) {
		entry = &keyring->entries[i];
		if (entry->cell && entry->linked && entry->source == change->loader.source)
			result = goes(change, i, HK_ENTRY_RETIRED);
	}
	return result;
}

static int count_gone(struct hk_key_change *change)
{
	unsigned i;

	change->result.retired = 0;
	for (i = 0; i < change->gone.count; i++)
		change->result.retired += change->keyring->entries[change->gone.items[i].index].going;
	return 0;
}

static int read_update(struct hk_key_change *change, struct hk_error *error)
{
	const struct hk_key_update *update = change->update;
	int result;

	if (!update->whole)
		return hk_keyfile_read_update(update->name, update->text, error, take_line, change);
	change->loader.source = hk_key_source(change->keyring, update->name);
	result = change->loader.source ? mark_source(change) : -ENOMEM;
	if (!result)
		result = hk_keyfile_read(update->name, update->text, error, take_line, change);
	return result ? result : count_gone(change);
}

static struct hk_key_change *new_change(struct hk_keyring *keyring)
{
	struct hk_key_change *change = calloc(1, sizeof(*change));

	if (change)
		change->keyring = keyring;
	return change;
}

int hk_keyring_prepare(struct hk_key_change **out, struct hk_keyring *keyring,
	const struct hk_key_update *update, struct hk_error *error)
{
	struct hk_key_change *change = new_change(keyring);
	int result;

	if (!change)
		return hk_error_set(error, ENOMEM, "no memory for a change of keys");
	change->update = update;
	change->loader = (struct hk_key_loader){.keyring = keyring,
		.domain = update->domain,
		.name = update->name,
		.source = HK_SOURCE_CONTROL,
		.staged_root = staged_root,
		.context = change};
	result = update->domain->envelope == HK_ENVELOPE_TLS
			 ? hk_tls_change_prepare(&change->tls, keyring, update, error)
			 : read_update(change, error);
	if (result) {
		hk_key_change_free(change);
		return hk_error_set(error, -result, "%s: %s", update->name, strerror(-result));
	}
	*out = change;
	return 0;
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
		return goes(change, index, HK_ENTRY_EXPIRED);
	}
	if (entry->state != HK_ENTRY_EARLY || row->not_before > now_s) {
		hk_key_note_times(change->keyring, row);
		return 0;
	}
	hk_key_note_times(change->keyring, row);
	change->result.woken++;
	return list_add(&change->retimed,
		(struct item){.index = index, .not_before = row->not_before, .not_after = row->not_after});
}

struct hk_key_change *hk_keyring_due(struct hk_keyring *keyring, __u64 now_s)
{
	struct hk_key_change *change;
	unsigned i;
	int result = 0;

	__atomic_store_n(&keyring->now_s, (__u32)now_s, __ATOMIC_RELAXED);
	if (now_s < keyring->next_event)
		return NULL;
	change = new_change(keyring);
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

/* --- committing --- */

static void choose_again(struct hk_keyring *keyring, const struct hk_key_entry *entry)
{
	if (!entry->row.is_explicit && !entry->row.is_level)
		hk_key_group_choose(keyring, &keyring->groups[entry->group]);
}

static void retime(struct hk_keyring *keyring, const struct item *item)
{
	struct hk_key_entry *entry = &keyring->entries[item->index];
	__u8 before = entry->state;

	if (entry->going || !entry->cell)
		return;
	entry->row.not_before = item->not_before;
	entry->row.not_after = item->not_after;
	entry->state = (__u8)hk_key_state_at(&entry->row, keyring->now_s);
	if (entry->state == HK_ENTRY_EXPIRED)
		entry->state = before; /* until the next look at the time, which is near */
	hk_key_note_times(keyring, &entry->row);
	if (entry->kept && keyring->kept)
		hk_kept_retime(keyring->kept, entry->kept, item->not_before, item->not_after);
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
static void wipe_gone(struct hk_keyring *keyring, const struct item *item)
{
	struct hk_key_entry *entry = &keyring->entries[item->index];
	__u32 other;

	entry->going = false;
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

static void give_to_file(const struct hk_key_change *change, const struct item *item)
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
	change->committed = true;
	if (result)
		*result = change->result;
	return 0;
}

void hk_key_change_free(struct hk_key_change *change)
{
	unsigned i;

	if (!change)
		return;
	if (!change->committed)
		change->keyring->next_event = 0; /* what time was to do is still to be done */
	for (i = 0; !change->committed && i < change->gone.count; i++)
		change->keyring->entries[change->gone.items[i].index].going = false;
	for (i = 0; !change->committed && i < change->added.count; i++)
		hk_key_unstage(change->keyring, change->added.items[i].index);
	for (i = 0; i < change->taken.count; i++)
		change->keyring->entries[change->taken.items[i].index].taken = false;
	hk_tls_change_free(change->tls);
	free(change->added.items);
	free(change->gone.items);
	free(change->retimed.items);
	free(change->taken.items);
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

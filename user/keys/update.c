// SPDX-License-Identifier: GPL-2.0-or-later
/* Preparing a change to a keyring in use: see update.h. What comes of it: commit.c. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/keys/change.h"
#include "user/keys/connections.h"
#include "user/keys/rules.h"

static int retire_line(
	struct hk_key_change *change, const struct hk_key_line *line, __u32 index, struct hk_error *error)
{
	const struct hk_key_entry *entry = &change->keyring->entries[index];
	struct hk_key_item item = {.index = index, .state = HK_ENTRY_RETIRED, .retires = true};
	int result;

	if (index == HK_KEY_NONE || !entry->cell || entry->going)
		return hk_error_set(error, ENOENT, "%s:%u: retire: there is no such key in domain '%s'",
			change->loader.name, line->line, change->loader.domain->name);
	change->result.retired++;
	result = hk_key_word_stage(change, &item);
	return result ? result : hk_key_goes(change, item);
}

static bool same_key(const struct hk_key_entry *entry, const struct hk_key_line *line)
{
	if (entry->key_size != line->key_size || entry->row.side != line->side ||
		!hk_equal(hk_key_entry_bytes(entry), line->key, line->key_size))
		return false;
	return !line->is_explicit ||
	       hk_equal(((const struct hk_key_cell *)entry->cell)->salt, line->salt, sizeof(line->salt));
}

static int retime(struct hk_key_change *change, __u32 index, __u64 not_before, __u64 not_after)
{
	struct hk_key_item item = {.index = index,
		.not_before = not_before,
		.not_after = not_after,
		.over = change->update->whole};
	int result = hk_key_word_stage(change, &item);

	return result ? result : hk_key_items_add(&change->retimed, item);
}

/* A line whose key is there: nothing to do, or other times. */
static int known_line(struct hk_key_change *change, const struct hk_key_line *line, __u32 index)
{
	struct hk_key_entry *entry = &change->keyring->entries[index];

	entry->going = false;
	change->result.known++;
	if (entry->row.not_before == line->not_before && entry->row.not_after == line->not_after)
		return 0;
	if (change->update->whole && hk_key_word_stands(change->keyring, entry, line))
		return 0;
	return retime(change, index, line->not_before, line->not_after);
}

/* The file says what came over the control socket: from now on the key is the file's. */
static int take_over(struct hk_key_change *change, const struct hk_key_line *line, __u32 index)
{
	int result =
		hk_key_items_add(&change->taken, (struct hk_key_item){.index = index, .line = line->line});

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
	return retime(change, index, row->not_before, end);
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

/* A rotation ends what came before a key, whether it brings the key or finds it there. */
static int known_again(struct hk_key_change *change, const struct hk_key_line *line, __u32 index)
{
	int result = known_line(change, line, index);

	return result || !change->update->rotate ? result
						 : grace_older(change, &change->keyring->entries[index].row);
}

static int new_line(struct hk_key_change *change, const struct hk_key_line *line, struct hk_error *error)
{
	struct hk_keyring *keyring = change->keyring;
	bool withheld;
	__u32 index;
	int result;

	if (line->not_after && line->not_after <= keyring->now_s)
		return hk_error_set(
			error, EINVAL, "%s:%u: not-after= is in the past", change->loader.name, line->line);
	result = hk_key_stage(&change->loader, line, &index, error);
	if (result)
		return result;
	withheld = hk_key_word_withholds(change, &keyring->entries[index]);
	result = hk_key_items_add(
		withheld ? &change->withheld : &change->added, (struct hk_key_item){.index = index});
	if (result) {
		hk_key_unstage(keyring, index);
		return result;
	}
	if (withheld) {
		change->result.withheld++;
		return 0;
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
		return known_again(change, line, index);
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

static __u32 root_among(
	const struct hk_key_change *change, const struct hk_key_items *items, const struct hk_key_row *row)
{
	const struct hk_key_row *other;
	unsigned i;

	for (i = 0; i < items->count; i++) {
		other = &change->keyring->entries[items->items[i].index].row;
		if (other->is_level && other->generation == row->generation &&
			strcmp(other->level, row->level) == 0)
			return items->items[i].index;
	}
	return HK_KEY_NONE;
}

static __u32 staged_root(const struct hk_key_loader *loader, const struct hk_key_row *row)
{
	const struct hk_key_change *change = loader->context;
	__u32 index = root_among(change, &change->added, row);

	return index == HK_KEY_NONE ? root_among(change, &change->withheld, row) : index;
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
			result = hk_key_goes(
				change, (struct hk_key_item){.index = i, .state = HK_ENTRY_RETIRED});
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
	int result = hk_key_words_find(change);

	if (result)
		return result;
	if (!update->whole)
		return hk_keyfile_read_update(update->name, update->text, error, take_line, change);
	change->loader.source = hk_key_source(change->keyring, update->name);
	result = change->loader.source ? mark_source(change) : -ENOMEM;
	if (!result)
		result = hk_keyfile_read(update->name, update->text, error, take_line, change);
	return result ? result : count_gone(change);
}

int hk_keyring_prepare(struct hk_key_change **out, struct hk_keyring *keyring,
	const struct hk_key_update *update, struct hk_error *error)
{
	struct hk_key_change *change = hk_key_change_new(keyring);
	int result;

	if (!change)
		return hk_error_set(error, ENOMEM, "no memory for a change of keys");
	change->update = update;
	change->error = error;
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

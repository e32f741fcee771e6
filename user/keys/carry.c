// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys that no file holds, from one keyring to the next: over a reload from the
 * keyring in force (carry, then inherit), after a crash from the records that the
 * dead inspector left (restore). Each goes through the rules as a line of a file does.
 */
#include <errno.h>
#include <string.h>

#include "user/keys/connections.h"
#include "user/keys/load.h"

/* The line that an entry once was. */
static void entry_line(const struct hk_key_entry *entry, struct hk_key_line *line)
{
	const struct hk_key_row *row = &entry->row;

	*line = (struct hk_key_line){.line = entry->line,
		.form = hk_key_row_form(row),
		.is_explicit = row->is_explicit,
		.side = row->side,
		.has_receiver = row->has_receiver,
		.receiver = row->receiver,
		.slot = row->slot,
		.generation = row->generation,
		.has_id = row->has_id,
		.id = row->id,
		.spi = row->spi,
		.version = row->version,
		.suite = row->suite,
		.key_size = entry->key_size,
		.not_before = row->not_before,
		.not_after = row->not_after};
	memcpy(line->level, row->level, sizeof(line->level));
	memcpy(line->key, hk_key_entry_bytes(entry), entry->key_size);
	if (row->is_explicit)
		memcpy(line->salt, ((const struct hk_key_cell *)entry->cell)->salt, sizeof(line->salt));
}

static const struct hk_domain_config *domain_by_id(const struct hk_config *config, unsigned id)
{
	unsigned i;

	for (i = 0; i < config->domains_count; i++)
		if (config->domains[i].id == id)
			return &config->domains[i];
	return NULL;
}

/* The key's place in `now`, whoever gave it, or HK_KEY_NONE: it fits no more. */
static __u32 take_over(struct hk_keyring *now, const struct hk_key_line *line,
	const struct hk_domain_config *domain, struct hk_error *error)
{
	struct hk_key_loader loader = {
		.keyring = now, .domain = domain, .name = "the control socket", .source = HK_SOURCE_CONTROL};
	struct hk_key_row row;

	hk_key_take_line(&loader, line, error);
	hk_key_fill_row(&row, domain, line);
	return hk_key_find(now, &row);
}

static bool carry_entry(
	struct hk_keyring *now, const struct hk_key_entry *entry, const struct hk_config *config)
{
	const struct hk_domain_config *domain = domain_by_id(config, entry->row.domain);
	struct hk_error error = {0};
	struct hk_key_line line;
	__u32 index;

	if (!domain)
		return false;
	entry_line(entry, &line);
	index = take_over(now, &line, domain, &error);
	hk_wipe(&line, sizeof(line));
	if (index != HK_KEY_NONE && now->entries[index].source == HK_SOURCE_CONTROL)
		now->entries[index].kept = entry->kept;
	return index != HK_KEY_NONE;
}

int hk_keyring_carry(
	struct hk_keyring *now, const struct hk_keyring *previous, const struct hk_config *config)
{
	const struct hk_key_entry *entry;
	int heeded = previous->kept ? hk_keyring_heed(now, previous->kept) : 0;
	unsigned i, left = 0;
	__u32 same;

	if (heeded < 0)
		return heeded;
	for (i = 0; i < previous->top; i++) {
		entry = &previous->entries[i];
		if (!entry->cell || !entry->linked)
			continue;
		if (entry->source == HK_SOURCE_CONTROL)
			left += !carry_entry(now, entry, config);
		same = entry->row.is_explicit ? hk_key_find(now, &entry->row) : HK_KEY_NONE;
		if (same != HK_KEY_NONE)
			now->entries[same].used = entry->used;
	}
	return (int)(left + hk_keyring_carry_tls(now, previous, config));
}

static bool shares_record(const struct hk_keyring *keyring, const struct hk_key_entry *entry)
{
	__u32 index = hk_key_find(keyring, &entry->row);

	return index != HK_KEY_NONE && keyring->entries[index].kept == entry->kept;
}

/* What was said about keys that no file has any more. */
static void drop_unheeded(struct hk_kept *kept, const struct hk_keyring *now)
{
	struct hk_kept_word word;
	struct hk_key_row row;
	__u32 place = 0;

	while ((place = hk_kept_next_word(kept, place)))
		if (hk_kept_read_word(kept, place, &row, &word) || word.serial != (__u32)now->serial)
			hk_kept_drop(kept, place);
}

void hk_keyring_inherit(struct hk_keyring *now, struct hk_keyring *previous)
{
	unsigned i;

	if (!previous->kept)
		return;
	/* keys that went since they were carried have no record any more */
	for (i = 0; i < now->top; i++)
		if (now->entries[i].kept && !hk_kept_is_word(previous->kept, now->entries[i].kept) &&
			!shares_record(previous, &now->entries[i]))
			now->entries[i].kept = 0;
	for (i = 0; i < previous->top; i++)
		if (previous->entries[i].kept &&
			!hk_kept_is_word(previous->kept, previous->entries[i].kept) &&
			!shares_record(now, &previous->entries[i]))
			hk_kept_drop(previous->kept, previous->entries[i].kept);
	drop_unheeded(previous->kept, now);
	now->kept = previous->kept;
	previous->kept = NULL;
}

/* 1: in force again, 0: over, or a file has it by now; negative: it fits no more. */
static int restore_one(struct hk_keyring *keyring, struct hk_kept *kept, __u32 place,
	const struct hk_config *config, struct hk_error *error)
{
	const struct hk_domain_config *domain = NULL;
	struct hk_key_line line;
	__u32 index = HK_KEY_NONE;
	__u16 id;
	int result = hk_kept_read(kept, place, &id, &line);

	if (!result)
		domain = domain_by_id(config, id);
	if (domain && line.not_after && line.not_after <= keyring->now_s) {
		hk_wipe(&line, sizeof(line));
		return 0;
	}
	if (domain)
		index = take_over(keyring, &line, domain, error);
	hk_wipe(&line, sizeof(line));
	if (index == HK_KEY_NONE)
		return -ENOENT;
	if (keyring->entries[index].source != HK_SOURCE_CONTROL || keyring->entries[index].kept)
		return 0;
	keyring->entries[index].kept = place;
	return 1;
}

int hk_keyring_restore(struct hk_keyring *keyring, struct hk_kept *kept, const struct hk_config *config,
	struct hk_restored *out)
{
	struct hk_error error;
	__u32 place = 0;
	int result = hk_keyring_heed(keyring, kept);

	if (result < 0)
		return result;
	*out = (struct hk_restored){.words = (unsigned)result};
	drop_unheeded(kept, keyring);
	while ((place = hk_kept_next(kept, place))) {
		memset(&error, 0, sizeof(error));
		result = restore_one(keyring, kept, place, config, &error);
		if (result <= 0)
			hk_kept_drop(kept, place);
		out->keys += result > 0;
		out->lost += result < 0;
		if (result < 0 && !out->why.text[0])
			out->why = error;
	}
	keyring->kept = kept;
	return 0;
}

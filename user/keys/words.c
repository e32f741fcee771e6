// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an operator says of a key that a file holds: it ends then (`keys rotate`), it
 * is retired. Files are read as they stand, so the word is kept beside them (kept.h) and
 * heeded whenever they are read: at a reload, after a crash, when a file of a keys-dir
 * changes. The last word counts: a line that gives the key other times ends the one about
 * times, `keys add` of the key ends any; so does a file without the key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/keys/change.h"

/* FNV-1a: the same in every process. */
static __u64 file_hash(const char *path)
{
	__u64 hash = 0xcbf29ce484222325ull;

	for (; *path; path++)
		hash = (hash ^ (__u8)*path) * 0x100000001b3ull;
	return hash;
}

static bool says(const struct hk_kept_word *word, __u64 not_before, __u64 not_after)
{
	return word->said_before == not_before && word->said_after == not_after;
}

/* --- preparing --- */

int hk_key_word_stage(struct hk_key_change *change, struct hk_key_item *item)
{
	const struct hk_key_entry *entry = &change->keyring->entries[item->index];
	struct hk_kept *kept = change->keyring->kept;
	struct hk_kept_word word = {.not_before = item->not_before,
		.not_after = item->not_after,
		.said_before = entry->row.not_before,
		.said_after = entry->row.not_after,
		.serial = (__u32)change->keyring->serial};

	if (change->update->whole || entry->source == HK_SOURCE_CONTROL)
		return 0;
	change->result.filed++;
	change->result.file = hk_key_source_name(change->keyring, entry);
	if (!kept || entry->kept)
		return 0;
	word.file = file_hash(change->result.file);
	memcpy(word.fingerprint, entry->row.fingerprint, sizeof(word.fingerprint));
	item->word = hk_kept_put_word(kept, &entry->row, &word);
	return item->word ? 0
			  : hk_error_set(change->error, ENOSPC,
				    "no room to remember what becomes of keys in %s: keys_max is %u; raise "
				    "it and "
				    "restart, or change the file and reload",
				    change->result.file, change->keyring->capacity);
}

void hk_key_word_unstage(struct hk_keyring *keyring, const struct hk_key_item *item)
{
	if (item->word && keyring->kept)
		hk_kept_drop(keyring->kept, item->word);
}

static int compare_past(const void *a, const void *b)
{
	return memcmp(((const struct hk_key_past *)a)->fingerprint,
		((const struct hk_key_past *)b)->fingerprint, sizeof(((struct hk_key_past *)0)->fingerprint));
}

/* Of this domain, of this file, and of a key that the keyring has not. */
static bool is_past(const struct hk_key_change *change, __u32 place, struct hk_key_past *out)
{
	const struct hk_keyring *keyring = change->keyring;
	struct hk_kept_word word;
	struct hk_key_row row;
	__u32 index;

	if (hk_kept_read_word(keyring->kept, place, &row, &word) || row.domain != change->loader.domain->id ||
		(change->update->whole && word.file != file_hash(change->update->name)))
		return false;
	index = hk_key_find(keyring, &row);
	if (index != HK_KEY_NONE && keyring->entries[index].kept == place)
		return false;
	*out = (struct hk_key_past){.place = place, .over = change->update->whole};
	memcpy(out->fingerprint, word.fingerprint, sizeof(out->fingerprint));
	return true;
}

int hk_key_words_find(struct hk_key_change *change)
{
	const struct hk_kept *kept = change->keyring->kept;
	unsigned room = kept ? hk_kept_words(kept) : 0;
	__u32 place = 0;

	if (!room)
		return 0;
	change->past = calloc(room, sizeof(*change->past));
	if (!change->past)
		return -ENOMEM;
	while (change->past_count < room && (place = hk_kept_next_word(kept, place)))
		change->past_count += is_past(change, place, &change->past[change->past_count]);
	qsort(change->past, change->past_count, sizeof(*change->past), compare_past);
	return 0;
}

static bool same_place(const struct hk_key_row *a, const struct hk_key_row *b)
{
	struct hk_prefix to_a = hk_key_group_prefix(a), to_b = hk_key_group_prefix(b);

	return hk_key_row_form(a) == hk_key_row_form(b) && a->domain == b->domain && a->slot == b->slot &&
	       a->side == b->side && a->generation == b->generation && a->id == b->id && a->spi == b->spi &&
	       a->version == b->version && a->suite == b->suite && to_a.length == to_b.length &&
	       memcmp(&to_a.address, &to_b.address, sizeof(to_a.address)) == 0 &&
	       strcmp(a->level, b->level) == 0;
}

/* The first of those with this fingerprint: a master key can be that of several receivers. */
static unsigned first_past(const struct hk_key_change *change, const struct hk_key_past *wanted)
{
	unsigned low = 0, high = change->past_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (compare_past(&change->past[middle], wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool hk_key_word_withholds(struct hk_key_change *change, const struct hk_key_entry *entry)
{
	struct hk_key_past wanted = {0};
	struct hk_kept_word word;
	struct hk_key_row row;
	unsigned i;

	memcpy(wanted.fingerprint, entry->row.fingerprint, sizeof(wanted.fingerprint));
	for (i = first_past(change, &wanted);
		i < change->past_count && compare_past(&change->past[i], &wanted) == 0; i++) {
		if (hk_kept_read_word(change->keyring->kept, change->past[i].place, &row, &word) ||
			!same_place(&row, &entry->row))
			continue;
		change->past[i].over =
			!change->update->whole ||
			!(word.retired || says(&word, entry->row.not_before, entry->row.not_after));
		return !change->past[i].over;
	}
	return false;
}

bool hk_key_word_stands(
	const struct hk_keyring *keyring, const struct hk_key_entry *entry, const struct hk_key_line *line)
{
	struct hk_kept_word word;
	struct hk_key_row row;

	return keyring->kept && hk_kept_is_word(keyring->kept, entry->kept) &&
	       !hk_kept_read_word(keyring->kept, entry->kept, &row, &word) &&
	       says(&word, line->not_before, line->not_after);
}

/* --- at the commit --- */

static bool takes_back(const struct hk_kept *kept, __u32 place, const struct hk_key_item *item)
{
	struct hk_kept_word word;
	struct hk_key_row row;

	return hk_kept_is_word(kept, place) && (item->over || hk_kept_read_word(kept, place, &row, &word) ||
						       says(&word, item->not_before, item->not_after));
}

void hk_key_word_keep(struct hk_keyring *keyring, struct hk_key_entry *entry, const struct hk_key_item *item)
{
	if (!keyring->kept)
		return;
	if (entry->kept) {
		hk_key_word_unstage(keyring, item); /* the change said it twice */
	} else if (item->word) {
		entry->kept = item->word;
		hk_kept_mark(keyring->kept, entry->kept);
	}
	if (!entry->kept)
		return;
	if (!takes_back(keyring->kept, entry->kept, item)) {
		hk_kept_retime(keyring->kept, entry->kept, item->not_before, item->not_after);
		return;
	}
	hk_kept_drop(keyring->kept, entry->kept);
	entry->kept = 0;
}

/* What a file does not say any more takes its word along; else the word outlives the key. */
void hk_key_word_remember(
	struct hk_keyring *keyring, struct hk_key_entry *entry, const struct hk_key_item *item)
{
	__u32 place = entry->kept ? entry->kept : item->word;

	if (!keyring->kept || !hk_kept_is_word(keyring->kept, place))
		return;
	if (entry->kept)
		hk_key_word_unstage(keyring, item);
	if (item->retires) {
		hk_kept_retire(keyring->kept, place);
		hk_kept_mark(keyring->kept, place);
	}
	if (item->retires || item->state == HK_ENTRY_EXPIRED)
		entry->kept = 0;
}

void hk_key_words_end(struct hk_key_change *change)
{
	unsigned i;

	for (i = 0; i < change->past_count; i++)
		if (change->past[i].over)
			hk_kept_drop(change->keyring->kept, change->past[i].place);
}

/* --- files that were read anew --- */

static int heed(struct hk_key_change *change, struct hk_kept *kept, __u32 place)
{
	struct hk_keyring *keyring = change->keyring;
	struct hk_key_entry *entry;
	struct hk_kept_word word;
	struct hk_key_row row;
	__u32 index;

	if (hk_kept_read_word(kept, place, &row, &word))
		return 0;
	index = hk_key_find(keyring, &row);
	entry = index == HK_KEY_NONE ? NULL : &keyring->entries[index];
	if (!entry || !entry->cell || entry->source == HK_SOURCE_CONTROL ||
		memcmp(entry->row.fingerprint, word.fingerprint, sizeof(word.fingerprint)) != 0 ||
		!(word.retired || says(&word, entry->row.not_before, entry->row.not_after)))
		return 0;
	hk_kept_heed(kept, place, (__u32)keyring->serial);
	change->result.known++;
	if (word.retired || (word.not_after && word.not_after <= keyring->now_s))
		return hk_key_goes(
			change, (struct hk_key_item){.index = index,
					.state = word.retired ? HK_ENTRY_RETIRED : HK_ENTRY_EXPIRED});
	entry->kept = place;
	return hk_key_items_add(&change->retimed,
		(struct hk_key_item){
			.index = index, .not_before = word.not_before, .not_after = word.not_after});
}

int hk_keyring_heed(struct hk_keyring *keyring, struct hk_kept *kept)
{
	struct hk_key_result result = {0};
	struct hk_key_change *change;
	__u32 place = 0;
	int code = 0;

	if (!hk_kept_words(kept))
		return 0;
	change = hk_key_change_new(keyring);
	if (!change)
		return -ENOMEM;
	while (!code && (place = hk_kept_next_word(kept, place)))
		code = heed(change, kept, place);
	if (!code)
		hk_keyring_commit(change, &result, NULL);
	hk_key_change_free(change);
	return code ? code : (int)result.known;
}

/* --- for people --- */

static const char *file_name(const struct hk_keyring *keyring, unsigned domain, __u64 hash)
{
	const struct hk_config *config = keyring->config;
	unsigned i;

	for (i = 0; i < config->domains_count; i++)
		if (config->domains[i].id == domain && config->domains[i].keys &&
			file_hash(config->domains[i].keys) == hash)
			return config->domains[i].keys;
	for (i = 0; i < keyring->sources.count; i++)
		if (file_hash(keyring->sources.names[i]) == hash)
			return keyring->sources.names[i];
	return "a file";
}

int hk_key_words_list(const struct hk_keyring *keyring,
	int (*row)(void *context, const struct hk_key_row *row), void *context)
{
	struct hk_kept_word word;
	struct hk_key_row shown;
	__u32 place = 0, index;
	int result = 0;

	if (!keyring->kept || !hk_kept_words(keyring->kept))
		return 0;
	while (!result && (place = hk_kept_next_word(keyring->kept, place))) {
		if (hk_kept_read_word(keyring->kept, place, &shown, &word))
			continue;
		index = hk_key_find(keyring, &shown);
		if (index != HK_KEY_NONE &&
			(keyring->entries[index].kept == place || !keyring->entries[index].cell))
			continue; /* has a row of its own */
		memcpy(shown.fingerprint, word.fingerprint, sizeof(shown.fingerprint));
		shown.state = word.retired ? HK_KEY_RETIRED : HK_KEY_EXPIRED;
		shown.not_after = word.retired ? 0 : word.not_after;
		shown.source = file_name(keyring, shown.domain, word.file);
		shown.overrides = true;
		result = row(context, &shown);
	}
	return result;
}

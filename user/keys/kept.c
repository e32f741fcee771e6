// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys that outlive an inspector: see kept.h. */
#include "user/keys/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <halfkey/crypto.h>

#include "user/keys/load.h"

#define MARKED 0x4b455054u /* anything that memory does not hold by accident */

enum { KIND_KEY, KIND_TIMES, KIND_RETIRED };

struct record {
	__u32 mark; /* MARKED: the rest is whole */
	__u32 generation, spi, id;
	__u64 not_before, not_after;
	struct hk_prefix receiver;
	__u8 form, side, suite, slot, key_size;
	__u8 has_receiver, has_id;
	__s8 version;
	__u16 domain;
	union {
		__u8 salt[4];
		__u32 serial;
	};
	char level[HK_KEY_LEVEL_NAME + 1];
	__u8 kind;
	union {
		__u8 key[32];
		struct said {
			__u8 fingerprint[8];
			__u64 before, after, file;
		} said;
	};
};

_Static_assert(sizeof(struct record) == 120, "no room is lost between the fields");

struct hk_kept {
	struct record *records; /* shared */
	__u32 count;
	__u32 *free; /* places; a stack, each process's own */
	__u32 free_count;
	unsigned words;
};

static size_t bytes(const struct hk_kept *kept)
{
	return (size_t)kept->count * sizeof(*kept->records);
}

struct hk_kept *hk_kept_new(unsigned keys)
{
	struct hk_kept *kept = calloc(1, sizeof(*kept));
	int code = hk_key_fingerprints_begin();

	if (!kept || code) {
		free(kept);
		errno = code ? -code : ENOMEM;
		return NULL;
	}
	kept->count = keys;
	kept->records = mmap(NULL, bytes(kept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kept->records == MAP_FAILED || madvise(kept->records, bytes(kept), MADV_DONTDUMP)) {
		code = errno;
		if (kept->records != MAP_FAILED)
			munmap(kept->records, bytes(kept));
		free(kept);
		errno = code;
		return NULL;
	}
	(void)mlock(kept->records, bytes(kept)); /* the inspector says when memory cannot be locked */
	return kept;
}

void hk_kept_free(struct hk_kept *kept)
{
	if (!kept)
		return;
	hk_wipe(kept->records, bytes(kept));
	munmap(kept->records, bytes(kept));
	free(kept->free);
	free(kept);
}

static struct record *record_at(const struct hk_kept *kept, __u32 place)
{
	return &kept->records[place - 1];
}

static bool is_marked(const struct hk_kept *kept, __u32 place)
{
	return __atomic_load_n(&record_at(kept, place)->mark, __ATOMIC_ACQUIRE) == MARKED;
}

int hk_kept_open(struct hk_kept *kept)
{
	__u32 place;

	free(kept->free);
	kept->free_count = kept->words = 0;
	kept->free = calloc(kept->count, sizeof(*kept->free));
	if (!kept->free)
		return -ENOMEM;
	for (place = kept->count; place; place--) {
		if (is_marked(kept, place)) {
			kept->words += record_at(kept, place)->kind != KIND_KEY;
			continue;
		}
		hk_wipe(record_at(kept, place), sizeof(struct record));
		kept->free[kept->free_count++] = place;
	}
	return 0;
}

static struct record *record_new(struct hk_kept *kept, __u32 *place)
{
	*place = kept->free_count ? kept->free[--kept->free_count] : 0;
	return *place ? record_at(kept, *place) : NULL;
}

__u32 hk_kept_put(struct hk_kept *kept, __u16 domain, const struct hk_key_line *line)
{
	__u32 place;
	struct record *record = record_new(kept, &place);

	if (!record)
		return 0;
	*record = (struct record){.generation = line->generation,
		.spi = line->spi,
		.id = line->id,
		.not_before = line->not_before,
		.not_after = line->not_after,
		.receiver = line->receiver,
		.form = (__u8)(line->form == HK_KEY_COMBINED ? HK_KEY_MASTER : line->form),
		.side = (__u8)line->side,
		.suite = (__u8)line->suite,
		.slot = line->slot,
		.key_size = line->key_size,
		.has_receiver = line->has_receiver,
		.has_id = line->has_id,
		.version = (__s8)line->version,
		.domain = domain};
	memcpy(record->salt, line->salt, sizeof(record->salt));
	memcpy(record->level, line->level, sizeof(record->level));
	memcpy(record->key, line->key, sizeof(record->key));
	return place;
}

__u32 hk_kept_put_word(struct hk_kept *kept, const struct hk_key_row *row, const struct hk_kept_word *word)
{
	__u32 place;
	struct record *record = record_new(kept, &place);

	if (!record)
		return 0;
	*record = (struct record){.generation = row->generation,
		.spi = row->spi,
		.id = row->id,
		.not_before = word->not_before,
		.not_after = word->not_after,
		.receiver = row->receiver,
		.form = (__u8)hk_key_row_form(row),
		.side = row->side,
		.suite = row->suite,
		.slot = row->slot,
		.key_size = 32,
		.has_receiver = row->has_receiver,
		.has_id = row->has_id,
		.version = (__s8)row->version,
		.domain = row->domain,
		.serial = word->serial,
		.kind = KIND_TIMES,
		.said = {.before = word->said_before, .after = word->said_after, .file = word->file}};
	memcpy(record->level, row->level, sizeof(record->level));
	memcpy(record->said.fingerprint, word->fingerprint, sizeof(record->said.fingerprint));
	kept->words++;
	return place;
}

void hk_kept_retire(struct hk_kept *kept, __u32 place)
{
	__atomic_store_n(&record_at(kept, place)->kind, KIND_RETIRED, __ATOMIC_RELAXED);
}

void hk_kept_heed(struct hk_kept *kept, __u32 place, __u32 serial)
{
	record_at(kept, place)->serial = serial;
}

bool hk_kept_is_word(const struct hk_kept *kept, __u32 place)
{
	return place && record_at(kept, place)->kind != KIND_KEY;
}

unsigned hk_kept_words(const struct hk_kept *kept)
{
	return kept->words;
}

void hk_kept_mark(struct hk_kept *kept, __u32 place)
{
	__atomic_store_n(&record_at(kept, place)->mark, MARKED, __ATOMIC_RELEASE);
}

void hk_kept_retime(struct hk_kept *kept, __u32 place, __u64 not_before, __u64 not_after)
{
	__atomic_store_n(&record_at(kept, place)->not_before, not_before, __ATOMIC_RELAXED);
	__atomic_store_n(&record_at(kept, place)->not_after, not_after, __ATOMIC_RELAXED);
}

void hk_kept_drop(struct hk_kept *kept, __u32 place)
{
	if (!place)
		return;
	kept->words -= hk_kept_is_word(kept, place);
	__atomic_store_n(&record_at(kept, place)->mark, 0, __ATOMIC_RELEASE);
	hk_wipe(record_at(kept, place), sizeof(struct record));
	kept->free[kept->free_count++] = place;
}

unsigned hk_kept_drop_keys(struct hk_kept *kept)
{
	unsigned count = 0;
	__u32 place = 0;

	while ((place = hk_kept_next(kept, place))) {
		hk_kept_drop(kept, place);
		count++;
	}
	return count;
}

static __u32 next_of(const struct hk_kept *kept, __u32 place, bool word)
{
	while (++place <= kept->count)
		if (is_marked(kept, place) && hk_kept_is_word(kept, place) == word)
			return place;
	return 0;
}

__u32 hk_kept_next(const struct hk_kept *kept, __u32 place)
{
	return next_of(kept, place, false);
}

__u32 hk_kept_next_word(const struct hk_kept *kept, __u32 place)
{
	return next_of(kept, place, true);
}

static bool is_explicit(const struct record *record)
{
	return record->form == HK_KEY_PSP || record->form == HK_KEY_ESP || record->form == HK_KEY_ROOT;
}

/* Whoever wrote it died: nothing here may lead outside an array. */
static bool is_sane(const struct record *record)
{
	return record->form <= HK_KEY_ROOT && record->form != HK_KEY_COMBINED &&
	       record->side <= HK_SIDE_READER && record->suite <= HK_SUITE_CBC_HMAC && record->slot < 4 &&
	       record->receiver.length <= 128 && record->version >= -1 &&
	       record->version <= HK_PSP_SPLIT_256 &&
	       (record->key_size == 32 || (record->key_size == 16 && record->form == HK_KEY_PSP)) &&
	       record->kind <= KIND_RETIRED && record->has_receiver <= 1 && record->has_id <= 1 &&
	       (!is_explicit(record) || record->has_receiver) &&
	       memchr(record->level, '\0', sizeof(record->level)) &&
	       (record->form == HK_KEY_LEVEL) == (record->level[0] != '\0');
}

int hk_kept_read(const struct hk_kept *kept, __u32 place, __u16 *domain, struct hk_key_line *line)
{
	const struct record *record = record_at(kept, place);

	if (!is_sane(record))
		return -EINVAL;
	*domain = record->domain;
	*line = (struct hk_key_line){.line = place,
		.form = record->form,
		.is_explicit = is_explicit(record),
		.side = record->side,
		.has_receiver = record->has_receiver,
		.receiver = record->receiver,
		.slot = record->slot,
		.generation = record->generation,
		.has_id = record->has_id,
		.id = record->id,
		.spi = record->spi,
		.version = record->version,
		.suite = record->suite,
		.key_size = record->key_size,
		.not_before = record->not_before,
		.not_after = record->not_after};
	memcpy(line->level, record->level, sizeof(line->level));
	memcpy(line->key, record->key, sizeof(line->key));
	memcpy(line->salt, record->salt, sizeof(line->salt));
	line->has_salt = line->form == HK_KEY_ESP && line->suite != HK_SUITE_CBC_HMAC;
	return 0;
}

int hk_kept_read_word(
	const struct hk_kept *kept, __u32 place, struct hk_key_row *row, struct hk_kept_word *word)
{
	const struct record *record = record_at(kept, place);

	if (!is_sane(record) || record->kind == KIND_KEY)
		return -EINVAL;
	*row = (struct hk_key_row){.domain = record->domain,
		.is_explicit = is_explicit(record),
		.is_root = record->form == HK_KEY_ROOT,
		.is_level = record->form == HK_KEY_LEVEL,
		.has_receiver = record->has_receiver,
		.receiver = record->receiver,
		.slot = record->slot,
		.side = record->side,
		.version = record->version,
		.suite = record->suite,
		.generation = record->generation,
		.spi = record->spi,
		.has_id = record->has_id,
		.id = record->id,
		.not_before = record->not_before,
		.not_after = record->not_after};
	memcpy(row->level, record->level, sizeof(row->level));
	*word = (struct hk_kept_word){.not_before = record->not_before,
		.not_after = record->not_after,
		.said_before = record->said.before,
		.said_after = record->said.after,
		.file = record->said.file,
		.retired = record->kind == KIND_RETIRED,
		.serial = record->serial};
	memcpy(word->fingerprint, record->said.fingerprint, sizeof(word->fingerprint));
	return 0;
}

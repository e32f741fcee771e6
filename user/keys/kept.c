// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys that outlive an inspector: see kept.h. */
#include "user/keys/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <halfkey/crypto.h>

#define MARKED 0x4b455054u /* anything that memory does not hold by accident */

struct record {
	__u32 mark; /* MARKED: the rest is whole */
	__u32 generation, spi, id;
	__u64 not_before, not_after;
	struct hk_prefix receiver;
	__u8 form, side, suite, slot, key_size;
	__u8 has_receiver, has_id;
	__s8 version;
	__u16 domain;
	__u8 salt[4];
	char level[HK_KEY_LEVEL_NAME + 1];
	__u8 key[32];
};

_Static_assert(sizeof(struct record) == 120, "no room is lost between the fields");

struct hk_kept {
	struct record *records; /* shared */
	__u32 count;
	__u32 *free; /* places; a stack, each process's own */
	__u32 free_count;
};

static size_t bytes(const struct hk_kept *kept)
{
	return (size_t)kept->count * sizeof(*kept->records);
}

struct hk_kept *hk_kept_new(unsigned keys)
{
	struct hk_kept *kept = calloc(1, sizeof(*kept));
	int code;

	if (!kept)
		return NULL;
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
	kept->free_count = 0;
	kept->free = calloc(kept->count, sizeof(*kept->free));
	if (!kept->free)
		return -ENOMEM;
	for (place = kept->count; place; place--) {
		if (is_marked(kept, place))
			continue;
		hk_wipe(record_at(kept, place), sizeof(struct record));
		kept->free[kept->free_count++] = place;
	}
	return 0;
}

__u32 hk_kept_put(struct hk_kept *kept, __u16 domain, const struct hk_key_line *line)
{
	struct record *record;
	__u32 place;

	if (!kept->free_count)
		return 0;
	place = kept->free[--kept->free_count];
	record = record_at(kept, place);
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
	__atomic_store_n(&record_at(kept, place)->mark, 0, __ATOMIC_RELEASE);
	hk_wipe(record_at(kept, place), sizeof(struct record));
	kept->free[kept->free_count++] = place;
}

__u32 hk_kept_next(const struct hk_kept *kept, __u32 place)
{
	while (++place <= kept->count)
		if (is_marked(kept, place))
			return place;
	return 0;
}

/* Whoever wrote it died: nothing here may lead outside an array. */
static bool is_sane(const struct record *record)
{
	bool is_explicit =
		record->form == HK_KEY_PSP || record->form == HK_KEY_ESP || record->form == HK_KEY_ROOT;

	return record->form <= HK_KEY_ROOT && record->form != HK_KEY_COMBINED &&
	       record->side <= HK_SIDE_READER && record->suite <= HK_SUITE_CBC_HMAC && record->slot < 4 &&
	       record->receiver.length <= 128 && record->version >= -1 &&
	       record->version <= HK_PSP_SPLIT_256 &&
	       (record->key_size == 32 || (record->key_size == 16 && record->form == HK_KEY_PSP)) &&
	       record->has_receiver <= 1 && record->has_id <= 1 && (!is_explicit || record->has_receiver) &&
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
		.is_explicit = record->form == HK_KEY_PSP || record->form == HK_KEY_ESP ||
			       record->form == HK_KEY_ROOT,
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

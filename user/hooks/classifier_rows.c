// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows of the classifier: see classifier_rows.h. */
#include "user/hooks/classifier_rows.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_WORDS_MAX (64u << 20) /* 512 MiB */
#define INDEX_SIZE	1024	    /* grows by doubling */

int hk_rows_init(struct hk_rows *rows, unsigned words)
{
	memset(rows, 0, sizeof(*rows));
	if (words > HK_ROWS_WORDS_MAX)
		return -1;
	rows->words = words;
	rows->summaries = (words + 63) / 64;
	rows->index_size = INDEX_SIZE;
	rows->index = calloc(rows->index_size, sizeof(*rows->index));
	return rows->index ? 0 : -1;
}

static __u64 hash_bits(const __u64 *bits, unsigned words)
{
	__u64 hash = words;
	unsigned i;

	for (i = 0; i < words; i++) {
		hash ^= bits[i];
		hash *= 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	return hash;
}

static __u64 hash_row(const struct hk_rows *rows, const __u64 *row)
{
	__u64 full[HK_ROWS_WORDS_MAX] = {0};
	unsigned packed = 0, w;

	for (w = 0; w < rows->words; w++)
		full[w] = row[w / 64] >> (w % 64) & 1 ? row[rows->summaries + packed++] : 0;
	return hash_bits(full, rows->words);
}

static bool row_equals(const struct hk_rows *rows, const __u64 *row, const __u64 *bits)
{
	unsigned packed = 0, w;

	for (w = 0; w < rows->words; w++) {
		__u64 word = row[w / 64] >> (w % 64) & 1 ? row[rows->summaries + packed++] : 0;

		if (word != bits[w])
			return false;
	}
	return true;
}

static int grow_arena(struct hk_rows *rows)
{
	size_t need = rows->used + rows->summaries + rows->words;
	size_t room = rows->room ? rows->room : 4096;
	__u64 *arena;

	if (need <= rows->room)
		return 0;
	if (need > ARENA_WORDS_MAX)
		return -1;
	while (room < need)
		room *= 2;
	arena = realloc(rows->arena, room * sizeof(*arena));
	if (!arena)
		return -1;
	rows->arena = arena;
	rows->room = room;
	return 0;
}

static int grow_index(struct hk_rows *rows)
{
	size_t size = rows->index_size * 2, i, at;
	__u32 *index;

	if (rows->index_used * 2 < rows->index_size)
		return 0;
	index = calloc(size, sizeof(*index));
	if (!index)
		return -1;
	for (i = 0; i < rows->index_size; i++) {
		if (!rows->index[i])
			continue;
		at = hash_row(rows, rows->arena + rows->index[i] - 1) & (size - 1);
		while (index[at])
			at = (at + 1) & (size - 1);
		index[at] = rows->index[i];
	}
	free(rows->index);
	rows->index = index;
	rows->index_size = size;
	return 0;
}

static __u32 append(struct hk_rows *rows, const __u64 *bits)
{
	__u64 *row = rows->arena + rows->used;
	unsigned packed = rows->summaries, w;
	__u32 offset = (__u32)rows->used;

	memset(row, 0, rows->summaries * sizeof(*row));
	for (w = 0; w < rows->words; w++) {
		if (!bits[w])
			continue;
		hk_bits_set(row, w);
		row[packed++] = bits[w];
	}
	rows->used += packed;
	return offset;
}

__u32 hk_rows_intern(struct hk_rows *rows, const __u64 *bits)
{
	size_t at;

	if (grow_arena(rows) || grow_index(rows))
		return HK_ROWS_FAILED;
	at = hash_bits(bits, rows->words) & (rows->index_size - 1);
	for (; rows->index[at]; at = (at + 1) & (rows->index_size - 1))
		if (row_equals(rows, rows->arena + rows->index[at] - 1, bits))
			return rows->index[at] - 1;
	rows->index[at] = append(rows, bits) + 1;
	rows->index_used++;
	return rows->index[at] - 1;
}

void hk_rows_finish(struct hk_rows *rows)
{
	__u64 *arena = realloc(rows->arena, (rows->used + 1) * sizeof(*arena));

	if (arena)
		rows->arena = arena;
	free(rows->index);
	rows->index = NULL;
}

void hk_rows_free(struct hk_rows *rows)
{
	free(rows->arena);
	free(rows->index);
	memset(rows, 0, sizeof(*rows));
}

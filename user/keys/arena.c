// SPDX-License-Identifier: GPL-2.0-or-later
/* Locked, guarded, wiped key memory: see arena.h. */
#include "user/keys/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct hk_arena_part {
	__u8 *cells;
	unsigned capacity;
	unsigned count;
	bool in_use;
};

struct hk_arena {
	__u8 *map;
	size_t map_size;
	size_t part_size;
	bool locked;
	struct hk_arena_part parts[2];
};

/* Opens one part between its guards; the pages are touched so that no packet pays for a fault. */
static int open_part(struct hk_arena *arena, unsigned index, size_t page)
{
	__u8 *start = arena->map + page + index * (arena->part_size + page);
	size_t at;

	if (mprotect(start, arena->part_size, PROT_READ | PROT_WRITE))
		return -errno;
	if (mlock(start, arena->part_size))
		arena->locked = false;
	for (at = 0; at < arena->part_size; at += page)
		*(volatile __u8 *)(start + at) = 0;
	arena->parts[index].cells = start;
	return 0;
}

/*
 * WIPEONFORK rather than DONTFORK: a child finds zeros where the keys were, and
 * freeing the arena there is harmless instead of a fault.
 */
static int protect(struct hk_arena *arena)
{
	if (madvise(arena->map, arena->map_size, MADV_DONTDUMP))
		return -errno;
	if (madvise(arena->map, arena->map_size, MADV_WIPEONFORK) &&
		madvise(arena->map, arena->map_size, MADV_DONTFORK))
		return -errno;
	return 0;
}

struct hk_arena *hk_arena_new(unsigned keys)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct hk_arena *arena = calloc(1, sizeof(*arena));
	int error;

	if (!arena)
		return NULL;
	arena->part_size = ((size_t)keys * HK_ARENA_CELL + page - 1) / page * page;
	if (!arena->part_size)
		arena->part_size = page;
	arena->map_size = 2 * arena->part_size + 3 * page;
	arena->map = mmap(NULL, arena->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena->map == MAP_FAILED) {
		free(arena);
		return NULL;
	}
	arena->locked = true;
	arena->parts[0].capacity = arena->parts[1].capacity = keys;
	error = protect(arena);
	if (!error)
		error = open_part(arena, 0, page);
	if (!error)
		error = open_part(arena, 1, page);
	if (!error)
		return arena;
	hk_arena_free(arena);
	errno = -error;
	return NULL;
}

void hk_arena_free(struct hk_arena *arena)
{
	unsigned i;

	if (!arena)
		return;
	for (i = 0; i < 2; i++)
		if (arena->parts[i].cells)
			hk_wipe(arena->parts[i].cells, arena->part_size);
	munmap(arena->map, arena->map_size);
	free(arena);
}

bool hk_arena_locked(const struct hk_arena *arena)
{
	return arena->locked;
}

unsigned hk_arena_keys(const struct hk_arena *arena)
{
	return arena->parts[0].capacity;
}

struct hk_arena_part *hk_arena_take(struct hk_arena *arena)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (!arena->parts[i].in_use) {
			arena->parts[i].in_use = true;
			return &arena->parts[i];
		}
	return NULL;
}

void hk_arena_give_back(struct hk_arena_part *part)
{
	if (!part)
		return;
	hk_wipe(part->cells, (size_t)part->count * HK_ARENA_CELL);
	part->count = 0;
	part->in_use = false;
}

void *hk_arena_cell(struct hk_arena_part *part)
{
	if (part->count >= part->capacity)
		return NULL;
	return part->cells + (size_t)part->count++ * HK_ARENA_CELL;
}

unsigned hk_arena_index(const struct hk_arena_part *part, const void *cell)
{
	return (unsigned)((const __u8 *)cell - part->cells) / HK_ARENA_CELL;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Locked, guarded, wiped key memory: see arena.h. */
#include "user/keys/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Cells of one size, given out in order, then those that were dropped. */
struct pool {
	__u8 *cells;
	__u32 *dropped; /* indices; a stack */
	unsigned size, capacity;
	unsigned count; /* ever given out */
	unsigned dropped_count;
};

enum { LARGE, SMALL, POOLS };

struct hk_arena_part {
	struct pool pools[POOLS];
	bool in_use;
};

struct hk_arena {
	__u8 *map;
	size_t map_size;
	size_t part_size;
	bool locked;
	struct hk_arena_part parts[2];
	struct hk_children *children;
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
	arena->parts[index].pools[LARGE].cells = start;
	arena->parts[index].pools[SMALL].cells =
		start + (size_t)arena->parts[index].pools[LARGE].capacity * HK_ARENA_CELL;
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

static int make_pools(struct hk_arena *arena, unsigned keys)
{
	unsigned large = keys < HK_ARENA_CELLS_MAX ? keys : HK_ARENA_CELLS_MAX, i;
	struct pool *pools;

	for (i = 0; i < 2; i++) {
		pools = arena->parts[i].pools;
		pools[LARGE] = (struct pool){.size = HK_ARENA_CELL, .capacity = large};
		pools[SMALL] = (struct pool){.size = HK_ARENA_SMALL, .capacity = keys};
		pools[LARGE].dropped = calloc(large + 1, sizeof(__u32));
		pools[SMALL].dropped = calloc(keys + 1, sizeof(__u32));
		if (!pools[LARGE].dropped || !pools[SMALL].dropped)
			return -ENOMEM;
	}
	arena->part_size = (size_t)large * HK_ARENA_CELL + (size_t)keys * HK_ARENA_SMALL;
	return 0;
}

static int map_parts(struct hk_arena *arena)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int error;

	arena->part_size = (arena->part_size + page - 1) / page * page;
	if (!arena->part_size)
		arena->part_size = page;
	arena->map_size = 2 * arena->part_size + 3 * page;
	arena->map = mmap(NULL, arena->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena->map == MAP_FAILED) {
		arena->map = NULL;
		return -errno;
	}
	arena->locked = true;
	error = protect(arena);
	if (!error)
		error = open_part(arena, 0, page);
	return error ? error : open_part(arena, 1, page);
}

struct hk_arena *hk_arena_new(unsigned keys)
{
	struct hk_arena *arena = calloc(1, sizeof(*arena));
	int error;

	if (!arena)
		return NULL;
	error = make_pools(arena, keys);
	if (!error)
		error = map_parts(arena);
	if (!error)
		return arena;
	hk_arena_free(arena);
	errno = -error;
	return NULL;
}

static void wipe_part(struct hk_arena_part *part)
{
	struct pool *pool;

	for (pool = part->pools; pool < part->pools + POOLS; pool++) {
		if (pool->cells)
			hk_wipe(pool->cells, (size_t)pool->count * pool->size);
		pool->count = pool->dropped_count = 0;
	}
}

void hk_arena_free(struct hk_arena *arena)
{
	unsigned i;

	if (!arena)
		return;
	for (i = 0; i < 2; i++) {
		wipe_part(&arena->parts[i]);
		free(arena->parts[i].pools[LARGE].dropped);
		free(arena->parts[i].pools[SMALL].dropped);
	}
	if (arena->map)
		hk_children_free(arena->children);
	munmap(arena->map, arena->map_size);
	free(arena);
}

bool hk_arena_locked(const struct hk_arena *arena)
{
	return arena->locked && (!arena->children || hk_children_locked(arena->children));
}

struct hk_children *hk_arena_children(struct hk_arena *arena)
{
	if (!arena->children)
		arena->children = hk_children_new();
	return arena->children;
}

unsigned hk_arena_keys(const struct hk_arena *arena)
{
	return arena->parts[0].pools[SMALL].capacity;
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
	wipe_part(part);
	part->in_use = false;
}

static void *pool_take(struct pool *pool)
{
	unsigned index;

	if (pool->dropped_count)
		index = pool->dropped[--pool->dropped_count];
	else if (pool->count < pool->capacity)
		index = pool->count++;
	else
		return NULL;
	return pool->cells + (size_t)index * pool->size;
}

void *hk_arena_cell(struct hk_arena_part *part)
{
	return pool_take(&part->pools[LARGE]);
}

void *hk_arena_small(struct hk_arena_part *part)
{
	return pool_take(&part->pools[SMALL]);
}

void hk_arena_drop(struct hk_arena_part *part, void *cell)
{
	struct pool *pool = &part->pools[(__u8 *)cell >= part->pools[SMALL].cells ? SMALL : LARGE];

	if (!cell)
		return;
	hk_wipe(cell, pool->size);
	pool->dropped[pool->dropped_count++] = (__u32)((size_t)((__u8 *)cell - pool->cells) / pool->size);
}

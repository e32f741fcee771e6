/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that keys lie in. One anonymous mapping, locked, kept out of core
 * files, empty in a forked child:
 *
 *   | guard | part 0: cells | guard | part 1: cells | guard |
 *
 * Two parts, because a reload builds the next keyring while the present one is
 * in force. A part gives out cells of one size in order and is wiped whole when
 * it comes back. Control thread only; the cells may be read by any thread.
 */
#ifndef HK_KEYS_ARENA_H
#define HK_KEYS_ARENA_H

#include "user/keys/keyring.h"

#define HK_ARENA_CELL 256

_Static_assert(sizeof(struct hk_kdf_key) <= HK_ARENA_CELL, "a prepared key fits a cell");

struct hk_arena_part;

struct hk_arena_part *hk_arena_take(struct hk_arena *arena); /* NULL: both parts are in use */
void hk_arena_give_back(struct hk_arena_part *part);	     /* wipes */
void *hk_arena_cell(struct hk_arena_part *part);	     /* 64-byte aligned and zero; NULL: full */
unsigned hk_arena_index(const struct hk_arena_part *part, const void *cell); /* 0: the first one given out */
unsigned hk_arena_keys(const struct hk_arena *arena);			     /* cells of one part */

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that keys lie in. One anonymous mapping, locked, kept out of core
 * files, empty in a forked child:
 *
 *   | guard | part 0: cells, small cells | guard | part 1: the same | guard |
 *
 * Two parts, because a reload builds the next keyring while the present one is
 * in force. A master key takes a cell, the key of one SPI a small one: a million
 * of those is what a box may hold. What is dropped is wiped at once and given
 * out again; a part is wiped whole when it comes back. Control thread only; the
 * cells may be read by any thread.
 */
#ifndef HK_KEYS_ARENA_H
#define HK_KEYS_ARENA_H

#include "user/keys/children.h"
#include "user/keys/keyring.h"

#define HK_ARENA_CELL	   256
#define HK_ARENA_SMALL	   64
#define HK_ARENA_CELLS_MAX 65536 /* of the large ones: master keys, roots not among them */

_Static_assert(sizeof(struct hk_kdf_key) <= HK_ARENA_CELL, "a prepared key fits a cell");

struct hk_arena_part;

struct hk_arena_part *hk_arena_take(struct hk_arena *arena); /* NULL: both parts are in use */
void hk_arena_give_back(struct hk_arena_part *part);	     /* wipes */
void *hk_arena_cell(struct hk_arena_part *part);	     /* 64-byte aligned and zero; NULL: full */
void *hk_arena_small(struct hk_arena_part *part);	     /* the same, HK_ARENA_SMALL bytes */
void hk_arena_drop(struct hk_arena_part *part, void *cell);  /* of either size, or NULL; wipes */
struct hk_children *hk_arena_children(
	struct hk_arena *arena);		      /* of inline keying; made when first asked for */
unsigned hk_arena_keys(const struct hk_arena *arena); /* small cells of one part */

#endif

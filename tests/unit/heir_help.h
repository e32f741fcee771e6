/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A keyring whose inspector dies, is replaced and reloads: what its heir finds (kept.h). */
#ifndef TESTS_UNIT_HEIR_HELP_H
#define TESTS_UNIT_HEIR_HELP_H

#include "tests/unit/ring_help.h"

struct heirs {
	struct ring ring;
	struct hk_kept *kept;
	struct hk_restored restored;
};

static inline void begin(struct heirs *heirs)
{
	CU_ASSERT_EQUAL_FATAL(hk_kept_open(heirs->kept), 0);
	CU_ASSERT_EQUAL_FATAL(hk_keyring_restore(heirs->ring.keyring, heirs->kept, &heirs->ring.box.config,
				      &heirs->restored),
		0);
}

static inline void heirs_with(struct heirs *heirs, const char *keys)
{
	memset(heirs, 0, sizeof(*heirs));
	heirs->kept = hk_kept_new(64);
	CU_ASSERT_PTR_NOT_NULL_FATAL(heirs->kept);
	ring_init(&heirs->ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, keys);
	begin(heirs);
	CU_ASSERT_EQUAL(heirs->restored.keys, 0);
}

static inline void heirs_init(struct heirs *heirs)
{
	heirs_with(heirs, ONE);
}

static inline void heirs_free(struct heirs *heirs)
{
	ring_free(&heirs->ring);
	hk_kept_free(heirs->kept);
}

/* The inspector's memory is gone; the next one reads the files and what is kept. */
static inline void crash(struct heirs *heirs)
{
	struct box *box = &heirs->ring.box;

	hk_keyring_free(heirs->ring.keyring);
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&heirs->ring.keyring, box->arena, &box->config, &box->files, &box->error), 0);
	begin(heirs);
}

static inline unsigned marked(const struct heirs *heirs)
{
	unsigned count = 0;
	__u32 place = 0;

	while ((place = hk_kept_next(heirs->kept, place)))
		count++;
	return count;
}

static inline unsigned reason(struct heirs *heirs, __u32 spi, unsigned slot, unsigned *last)
{
	return choose(&heirs->ring, "192.0.2.1", spi, slot, 5, last);
}

/* A reload of the files as they are now; how many keys were left behind. */
static inline int reload(struct ring *ring)
{
	struct hk_keyring *next = NULL;
	int left;

	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring->box.arena, &ring->box.config, &ring->box.files, &ring->box.error),
		0);
	left = hk_keyring_carry(next, ring->keyring, &ring->box.config);
	hk_keyring_adopt(next, ring->keyring);
	hk_keyring_inherit(next, ring->keyring);
	hk_keyring_free(ring->keyring);
	ring->keyring = next;
	return left;
}

#endif

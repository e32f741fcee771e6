/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A keyring of one domain in memory, changes to it, and whom it chooses. */
#ifndef TESTS_UNIT_RING_HELP_H
#define TESTS_UNIT_RING_HELP_H

#include "tests/unit/box_help.h"
#include "user/keys/tables.h"
#include "user/keys/update.h"

#define KEY(n) "00112233445566778899aabbccddee" n "00112233445566778899aabbccddee" n
#define R1     " receiver=192.0.2.1"
#define ONE    "slot=0 generation=1 side=enc key=" KEY("01") R1 "\n"
#define TWO    "slot=0 generation=2 side=enc key=" KEY("02") R1 "\n"

struct ring {
	struct box box;
	struct hk_keyring *keyring;
	struct hk_key_result result;
	struct hk_error error;
};

/* What the keyring says of these keys; to be freed in any case. */
static inline int ring_new(
	struct ring *ring, unsigned envelope, unsigned profile, unsigned suite, const char *keys)
{
	memset(ring, 0, sizeof(*ring));
	box_init(&ring->box);
	box_domain(&ring->box, envelope, profile, suite, keys);
	return hk_keyring_new(
		&ring->keyring, ring->box.arena, &ring->box.config, &ring->box.files, &ring->box.error);
}

static inline void ring_init(
	struct ring *ring, unsigned envelope, unsigned profile, unsigned suite, const char *keys)
{
	CU_ASSERT_EQUAL_FATAL(ring_new(ring, envelope, profile, suite, keys), 0);
}

static inline void ring_free(struct ring *ring)
{
	hk_keyring_free(ring->keyring);
	box_free(&ring->box);
}

static inline int change_with(struct ring *ring, const struct hk_key_update *update)
{
	struct hk_key_change *change = NULL;
	int code;

	memset(&ring->error, 0, sizeof(ring->error));
	memset(&ring->result, 0, sizeof(ring->result));
	code = hk_keyring_prepare(&change, ring->keyring, update, &ring->error);
	if (!code)
		code = hk_keyring_commit(change, &ring->result, &ring->error);
	hk_key_change_free(change);
	return code;
}

static inline int change(struct ring *ring, const char *text)
{
	return change_with(ring,
		&(struct hk_key_update){.domain = &ring->box.domains[0], .name = "update", .text = text});
}

static inline int whole(struct ring *ring, const char *name, const char *text)
{
	return change_with(
		ring, &(struct hk_key_update){
			      .domain = &ring->box.domains[0], .name = name, .text = text, .whole = true});
}

static inline unsigned choose_key(struct ring *ring, const char *receiver, __u32 spi, unsigned slot,
	unsigned variant, struct hk_key_choice *choice)
{
	struct hk_address to = address(receiver);
	struct hk_key_request request = {.receiver = &to,
		.spi = spi,
		.id = ring->box.domains[0].mkid,
		.slot = (__u8)slot,
		.variant = (__u8)variant};
	unsigned reason;

	memset(choice, 0xff, sizeof(*choice)); /* of another packet: nothing of it may stay */
	reason = hk_keyring_choose(ring->keyring, &request, choice);
	if (reason == HK_REASON_OK && choice->master)
		CU_ASSERT_TRUE(!choice->key && !choice->salt && !choice->root && !choice->key_size);
	if (reason == HK_REASON_OK && !choice->master)
		CU_ASSERT_TRUE(choice->key && choice->salt && !choice->generation);
	return reason;
}

/* The last byte of the key chosen, which names it in these tests. */
static inline unsigned last_byte(const struct hk_key_choice *choice)
{
	return choice->master ? choice->master->schedule[31] : choice->key[choice->key_size - 1];
}

static inline unsigned choose(
	struct ring *ring, const char *receiver, __u32 spi, unsigned slot, unsigned variant, unsigned *last)
{
	struct hk_key_choice choice;
	unsigned reason = choose_key(ring, receiver, spi, slot, variant, &choice);

	*last = reason == HK_REASON_OK ? last_byte(&choice) : 0;
	return reason;
}

static inline unsigned reason_at(
	struct ring *ring, unsigned domain, const char *receiver, __u32 spi, unsigned slot, unsigned variant)
{
	struct hk_address to = address(receiver);
	struct hk_key_request request = {.receiver = &to,
		.domain = (__u16)domain,
		.id = 1,
		.spi = spi,
		.slot = (__u8)slot,
		.variant = (__u8)variant};
	struct hk_key_choice choice = {0};

	return hk_keyring_choose(ring->keyring, &request, &choice);
}

static inline unsigned slot_reason(struct ring *ring, unsigned slot)
{
	return reason_at(ring, 0, "192.0.2.1", 1, slot, 4);
}

static inline int tick(struct ring *ring, __u64 now_s)
{
	struct hk_key_change *change = hk_keyring_due(ring->keyring, now_s);

	memset(&ring->result, 0, sizeof(ring->result));
	if (!change)
		return 0;
	CU_ASSERT_EQUAL(hk_keyring_commit(change, &ring->result, &ring->error), 0);
	hk_key_change_free(change);
	return 1;
}

#endif

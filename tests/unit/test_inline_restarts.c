// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two end hosts that speak inline keying: restarts of either, creations that are
 * played again or held back, keys that change.
 */
#include "tests/unit/inline_wire.h"

/* The creator comes back with nothing: its first packet, sent alone, moves the peer over. */
static void creator_restarts(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	host_restart(&wire, &wire.a);
	wire.now_ns += SECOND / 10;
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NO_KEY);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 1);
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	talk(&wire, 3);
	/* was that first packet lost, the unknown SPI asks for another, once a second */
	host_restart(&wire, &wire.a);
	hk_inline_own_due(wire.a.own, wire.now_ns, passed.envelope, BOX_FRAME);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NO_KEY);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 0);
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 1);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* The peer comes back with its record, but without children: it seals on its parent until there is a new one.
 */
static void peer_restarts(void)
{
	struct wire wire;
	unsigned before;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	host_restart(&wire, &wire.b);
	wire.now_ns += SECOND / 10;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NO_KEY); /* on B's child of before */
	CU_ASSERT_EQUAL(tick(&wire, &wire.b), 1);
	before = (unsigned)counts(&wire.b)->installed;
	CU_ASSERT_EQUAL(before, 0);
	talk(&wire, 6);
	CU_ASSERT_EQUAL(counts(&wire.a)->replaced, 1);
	CU_ASSERT_TRUE(counts(&wire.b)->old >= 3); /* refused: never twice from one nonce */
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	CU_ASSERT_TRUE(counts(&wire.b)->child_sealed > 0);
	wire_close(&wire);
}

static void receive_again(struct wire *wire, struct host *host)
{
	struct hk_state_place place = place_of(host, false);
	struct hk_error error = {{0}};

	CU_ASSERT_EQUAL(hk_inline_host_receive(host->host, A_TO_B, &wire->keys[0], &place, &error), 0);
}

/* An old creation, played again: refused by its number; after a restart, by its nonce. */
static void played_again(void)
{
	struct wire wire;
	struct passed first;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	first = pass(&wire, &wire.a);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, first.envelope, first.size), HK_REFUSAL_REPLAY);
	host_restart(&wire, &wire.b);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, first.envelope, first.size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 0);
	CU_ASSERT_EQUAL(counts(&wire.b)->old, 1);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).spi, B_TO_A);
	wire_close(&wire);
}

/* With windows that outlive it, a host that was restarted takes nothing twice, and from nobody else. */
static void windows_outlive(void)
{
	struct wire wire;
	struct passed first, second;

	wire_open(&wire, HK_INLINE_SHARE_NONE);
	wire.b.remembers = true;
	host_restart(&wire, &wire.b);
	first = pass(&wire, &wire.a);
	CU_ASSERT_EQUAL(first.refusal, HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(first.spi, A_TO_B);
	seal_size(&wire, &wire.a, 40, &second);
	host_restart(&wire, &wire.b);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, first.envelope, first.size), HK_REFUSAL_REPLAY);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, second.envelope, second.size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
	/* the keys go and come back within one process */
	hk_inline_host_sweep(wire.b.host);
	hk_inline_host_sweep(wire.b.host);
	receive_again(&wire, &wire.b);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, second.envelope, second.size), HK_REFUSAL_REPLAY);
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* A machine put back to a snapshot installs a child once more; its nonces do not repeat all the same. */
static void snapshot(void)
{
	struct wire wire;
	struct passed first, before, after;
	char command[128];

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	first = pass(&wire, &wire.a);
	pass(&wire, &wire.b); /* with B's creation */
	before = pass(&wire, &wire.b);
	host_stop(&wire.b);
	snprintf(command, sizeof(command), "truncate -s 32 %s/*.seen", wire.b.directory);
	CU_ASSERT_EQUAL(system(command), 0);
	host_start(&wire, &wire.b, false);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, first.envelope, first.size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	seal_size(&wire, &wire.b, 40, &after);
	seal_size(&wire, &wire.b, 40, &after);
	CU_ASSERT_TRUE(is_child(&before));
	CU_ASSERT_EQUAL(after.spi, before.spi);
	CU_ASSERT_TRUE(hk_get64(after.envelope + 8) > hk_get64(before.envelope + 8));
	CU_ASSERT_EQUAL(arrive(&wire, &wire.b, after.envelope, after.size), HK_REFUSAL_REPLAY);
	wire_close(&wire);
}

/*
 * Somebody keeps a creation from the peer and delivers it when its creator is
 * gone: it is genuine, so it is installed, and the next real one wins again.
 */
static void held_back(void)
{
	struct wire wire;
	struct passed held, passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	seal_size(&wire, &wire.a, 40, &held);
	host_restart(&wire, &wire.a);
	wire.now_ns += SECOND;
	settle(&wire);
	wire.now_ns++;
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, held.envelope, held.size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NO_KEY); /* for that long */
	wire.now_ns += SECOND;
	passed = pass(&wire, &wire.a); /* names the real one again */
	CU_ASSERT_EQUAL(passed.spi, A_TO_B);
	pass(&wire, &wire.b); /* with B's creation */
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* State that was lost is no first use; what is there is used, or left alone where it is only prepared. */
static void state(void)
{
	struct hk_state_place place;
	struct hk_error error = {{0}};
	struct wire wire;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	host_stop(&wire.a);
	wire.a.host = hk_inline_host_new(&wire.a.options);
	place = place_of(&wire.a, true);
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, B_TO_A, &wire.keys[1], &place, &error), 0);
	hk_inline_host_sweep(wire.a.host);
	hk_inline_host_sweep(wire.a.host); /* not named any more: gone, and its lock */
	place = place_of(&wire.b, false);  /* no state of A's there */
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, B_TO_A, &wire.keys[1], &place, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "replace the parent"));
	place = place_of(&wire.b, true); /* B has it in use */
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, A_TO_B, &wire.keys[0], &place, &error), -EBUSY);
	place.prepare = true;
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, A_TO_B, &wire.keys[0], &place, &error), 0);
	hk_inline_host_free(wire.a.host);
	wire.a.host = NULL;
	wire_close(&wire);
}

static int no_file(void *context, const char *name)
{
	(void)context;
	(void)name;
	return -ENOENT;
}

/* B's keys change while it runs: the parent from A goes, with what was made on it; it comes back, and its
 * record late. */
static void rekeyed(void)
{
	struct hk_state_place place;
	struct hk_error error = {{0}};
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	hk_inline_host_sweep(wire.b.host);
	hk_inline_host_sweep(wire.b.host);
	wire.now_ns += SECOND / 10;
	passed = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(passed.spi, B_TO_A); /* its child is gone with the parent */
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NO_KEY);
	place = place_of(&wire.b, false);
	place.opener = no_file;
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.b.host, A_TO_B, &wire.keys[0], &place, &error), 0);
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->not_installed, 1);
	place.opener = NULL;
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.b.host, A_TO_B, &wire.keys[0], &place, &error), 0);
	talk(&wire, 6);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2); /* the second when the first was found to be lost */
	passed = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* A sends on another parent: what was asked for on the first opens until the keys change again. */
static void another_parent(void)
{
	struct hk_inline_keys keys;
	struct hk_inline_own *first;
	struct hk_address remote = address("192.0.2.9");
	struct hk_state_place place;
	struct hk_error error = {{0}};
	struct wire wire;
	struct passed late;
	unsigned opening, sealing;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	random_fill(&wire.seed, (__u8 *)&keys, sizeof(keys));
	first = wire.a.own;
	place = place_of(&wire.a, true);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_new(&wire.a.own, wire.a.host, &remote, 0x1003, &keys, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_start(wire.a.own, &place, &error), 0);
	place = place_of(&wire.b, true);
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.b.host, 0x1003, &keys, &place, &error), 0);
	hk_inline_own_free(first, false);
	seal_size(&wire, &wire.b, 40, &late); /* on the child of the first */
	CU_ASSERT_TRUE(is_child(&late));
	CU_ASSERT_EQUAL(arrive(&wire, &wire.b, late.envelope, late.size), HK_REFUSAL_NONE);
	seal_size(&wire, &wire.b, 40, &late);
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, 0x1003); /* with a creation of its own */
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2);
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, B_TO_A, &wire.keys[1], NULL, &error), 0);
	hk_inline_host_sweep(wire.a.host);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.b, late.envelope, late.size), HK_REFUSAL_NO_KEY);
	hk_inline_host_alive(wire.a.host, &opening, &sealing);
	CU_ASSERT_EQUAL(opening, 1);
	talk(&wire, 3);
	wire_close(&wire);
}

int main(void)
{
	static const struct test tests[] = {
		{"the creator restarts", creator_restarts},
		{"the peer restarts", peer_restarts},
		{"a creation that is played again", played_again},
		{"windows outlive a restart", windows_outlive},
		{"a machine put back to a snapshot", snapshot},
		{"a creation that was held back", held_back},
		{"state", state},
		{"the keys change: parents towards us", rekeyed},
		{"the keys change: parents towards a peer", another_parent},
		{0},
	};

	return run_tests_with(&crypto, NULL, "inline-restarts", tests);
}

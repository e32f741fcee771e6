// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SPIs created in band, through the box: what comes too early or too late, what
 * comes again, limits and eviction, entries that compete for one SPI, and
 * parents that go.
 */
#include "tests/unit/inline_help.h"

/* A creation on the parent, opened by the box. */
static void create(struct scene *scene, struct hk_creation *creation, __u32 spi)
{
	struct sent sent = {0};

	creation_draw(scene, creation, spi, false);
	send_packet(scene, scene->parent, false, creation, &sent);
	check_opens(scene, &sent);
}

/* What a packet on the child comes to. */
static unsigned child_reason(struct scene *scene, const struct hk_creation *creation)
{
	struct hk_inline *child = expect(scene->parent, creation, &scene->a), *sender;
	struct hk_inline_seen *seen = scene->seen;
	struct hk_creation copy = *creation;
	struct hk_error error = {{0}};
	struct sent sent = {0};
	unsigned reason;

	/* the table is what is tested: a seen nonce must not stand in the way */
	scene->seen = NULL;
	hk_inline_seen_close(seen);
	scene_state(scene);
	CU_ASSERT_EQUAL_FATAL(hk_inline_install(&sender, scene->parent, scene->seen, &copy, &scene->a,
				      scene->box.now_ns, &error),
		0);
	send_shaped(scene, sender, true, NULL, false, false, &sent);
	reason = run_sent(scene, &sent);
	hk_inline_free(sender);
	hk_inline_free(child);
	return reason;
}

static void no_creation_no_key(void)
{
	struct hk_creation creation;
	struct scene scene;

	scene_init(&scene, NULL, false, 1);
	creation_draw(&scene, &creation, 0x2002, false);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	create(&scene, &creation, 0x2002);
	CU_ASSERT_EQUAL(counts_of(&scene).confirmed, 0);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	CU_ASSERT_EQUAL(counts_of(&scene).confirmed, 1);
	scene_free(&scene);
}

static void lifetime_and_grace(void)
{
	struct hk_creation creation;
	struct scene scene;
	__u64 honoured;

	scene_init(&scene, NULL, false, 2);
	create(&scene, &creation, 0x2002);
	honoured = hk_child_honoured(creation.lifetime);
	CU_ASSERT_EQUAL(honoured, 600 + 240 + 600 / 32);
	scene.box.now_ns = BOX_NOW + honoured * SECOND - 1;
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	hk_keyring_expire_children(scene.box.inspection->keyring, scene.box.now_ns);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 1);
	scene.box.now_ns++;
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	hk_keyring_expire_children(scene.box.inspection->keyring, scene.box.now_ns);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 0);
	CU_ASSERT_EQUAL(counts_of(&scene).expired, 1);
	CU_ASSERT_EQUAL(hk_child_honoured(0xffffffff), 0xffffffffull + 240 + 0xffffffff / 32);
	scene_free(&scene);
}

/* The packet that brought it, kept from the first time. */
static void play_again(struct scene *scene, const struct sent *sent)
{
	CU_ASSERT_EQUAL(run_sent(scene, sent), HK_REASON_OK);
}

/* A creation that is played again makes no child that lived once live again. */
static void played_again(void)
{
	struct hk_creation creation, other;
	struct scene scene;
	struct sent first = {0};
	__u64 over;

	scene_init(&scene, NULL, false, 13);
	creation_draw(&scene, &creation, 0x2002, false);
	send_packet(&scene, scene.parent, false, &creation, &first);
	check_opens(&scene, &first);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	over = BOX_NOW + hk_child_honoured(600) * SECOND;
	scene.box.now_ns = over;
	play_again(&scene, &first); /* before anybody swept */
	CU_ASSERT_EQUAL(counts_of(&scene).created, 1);
	CU_ASSERT_EQUAL(counts_of(&scene).over, 1);
	hk_keyring_expire_children(scene.box.inspection->keyring, scene.box.now_ns);
	scene.box.now_ns += 3600 * SECOND;
	play_again(&scene, &first);
	CU_ASSERT_EQUAL(counts_of(&scene).over, 2);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 0);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	create(&scene, &other, 0x2002); /* another one of that SPI is */
	CU_ASSERT_EQUAL(child_reason(&scene, &other), HK_REASON_OK);
	/* a reload keeps the memory: what is gone with its parent comes back with it */
	hk_children_retain_begin(children_of(&scene));
	hk_children_retain_end(children_of(&scene));
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 0);
	play_again(&scene, &first);
	CU_ASSERT_EQUAL(counts_of(&scene).over, 3);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 0);
	scene_free(&scene);
}

/* One that had to go before its time comes back for what is left of it, and does not count again. */
static void evicted_and_back(void)
{
	struct hk_creation creation, other;
	struct scene scene;
	struct sent first = {0};

	scene_init(&scene, NULL, false, 14);
	scene.box.domains[0].inline_keying.children = 1;
	creation_draw(&scene, &creation, 0x2002, false);
	send_packet(&scene, scene.parent, false, &creation, &first);
	check_opens(&scene, &first);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	scene.box.now_ns += 100 * SECOND;
	create(&scene, &other, 0x2003);
	CU_ASSERT_EQUAL(counts_of(&scene).evicted, 1);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	play_again(&scene, &first);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	scene.box.now_ns = BOX_NOW + hk_child_honoured(600) * SECOND - 1;
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	scene.box.now_ns++;
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(counts_of(&scene).over, 0);
	scene_free(&scene);
}

static void retransmission(void)
{
	struct hk_creation creation;
	struct scene scene;
	struct sent sent = {0};
	unsigned i;

	scene_init(&scene, NULL, false, 3);
	create(&scene, &creation, 0x2002);
	for (i = 1; i <= 20; i++) {
		scene.box.now_ns += SECOND;
		send_packet(&scene, scene.parent, false, &creation, &sent);
		check_opens(&scene, &sent);
		CU_ASSERT_EQUAL(counts_of(&scene).known, i);
	}
	CU_ASSERT_EQUAL(counts_of(&scene).created, 1);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 1);
	/* the lifetime counts from the first */
	scene.box.now_ns = BOX_NOW + hk_child_honoured(600) * SECOND;
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	scene_free(&scene);
}

/* What came to life counts, and that alone: whoever makes creations up uses up nothing. */
static void creations_are_limited(void)
{
	struct hk_creation creation, last;
	struct scene scene;
	unsigned i;

	scene_init(&scene, NULL, false, 4);
	scene.box.domains[0].inline_keying.creations = 5;
	for (i = 0; i < 50; i++)
		create(&scene, &last, 0x10000 + i);
	for (i = 0; i < 5; i++) {
		create(&scene, &last, 0x2000 + i);
		CU_ASSERT_EQUAL(child_reason(&scene, &last), HK_REASON_OK);
	}
	create(&scene, &creation, 0x3000); /* the packet itself opens */
	CU_ASSERT_EQUAL(counts_of(&scene).confirmed, 5);
	CU_ASSERT_EQUAL(counts_of(&scene).created, 55);
	CU_ASSERT_EQUAL(counts_of(&scene).refused, 1);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(child_reason(&scene, &last), HK_REASON_OK);
	scene_free(&scene);
}

/* At the cap the oldest that nothing plausible arrived on goes first, then the oldest. */
static void eviction(void)
{
	struct hk_creation creations[6];
	struct scene scene;
	unsigned i;

	scene_init(&scene, NULL, false, 5);
	scene.box.domains[0].inline_keying.children = 3;
	for (i = 0; i < 3; i++) {
		create(&scene, &creations[i], 0x2000 + i);
		scene.box.now_ns += SECOND;
	}
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[0]), HK_REASON_OK);
	create(&scene, &creations[3], 0x2003);
	CU_ASSERT_EQUAL(counts_of(&scene).evicted, 1);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 3);
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[1]), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[0]), HK_REASON_OK);
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[2]), HK_REASON_OK);
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[3]), HK_REASON_OK);
	scene.box.now_ns += SECOND;
	create(&scene, &creations[4], 0x2004); /* all are confirmed */
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[0]), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[2]), HK_REASON_OK);
	CU_ASSERT_EQUAL(child_reason(&scene, &creations[4]), HK_REASON_OK);
	scene_free(&scene);
}

/* Somebody flips bits of a creation before and after the real one: another child of the same SPI. */
static void competition(void)
{
	struct hk_creation creation;
	struct scene scene;
	struct sent sent = {0};
	unsigned i;

	scene_init(&scene, NULL, false, 6);
	creation_draw(&scene, &creation, 0x2002, false);
	send_shaped(&scene, scene.parent, false, &creation, false, false, &sent);
	for (i = 0; i < 3; i++) {
		sent.frame[14 + 20 + 32 + 15] ^= (__u8)(1 << i); /* its lifetime */
		CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
		sent.frame[14 + 20 + 32 + 15] ^= (__u8)(1 << i);
	}
	CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 4);
	/* each made-up one costs a packet, or few where noise looks like a protocol nobody can check */
	for (i = 0; i < 12; i++)
		child_reason(&scene, &creation);
	CU_ASSERT_EQUAL(counts_of(&scene).confirmed, 1);
	sent.frame[14 + 20 + 32 + 15] ^= 0x10;
	CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	for (i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	scene_free(&scene);
}

/* Made up after the real one, they cost it nothing: of those nobody knows better of, the first is tried. */
static void competition_comes_late(void)
{
	struct hk_creation creation;
	struct scene scene;
	struct sent sent = {0};

	scene_init(&scene, NULL, false, 16);
	creation_draw(&scene, &creation, 0x2002, false);
	send_shaped(&scene, scene.parent, false, &creation, false, false, &sent);
	CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	scene.box.now_ns += SECOND;
	sent.frame[14 + 20 + 32 + 15] ^= 1;
	CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 2);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	scene_free(&scene);
}

/* Made up before the real one, they cost it packets until it is confirmed; from then on none, also after
 * damage. */
static void competition_comes_first(void)
{
	struct hk_creation creation;
	struct hk_inline *sender;
	struct scene scene;
	struct sent sent = {0};

	scene_init(&scene, NULL, false, 17);
	creation_draw(&scene, &creation, 0x2002, false);
	send_shaped(&scene, scene.parent, false, &creation, false, false, &sent);
	sent.frame[14 + 20 + 32 + 15] ^= 1;
	CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	scene.box.now_ns += SECOND;
	sent.frame[14 + 20 + 32 + 15] ^= 1;
	CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	CU_ASSERT_NOT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	CU_ASSERT_EQUAL(counts_of(&scene).confirmed, 1);
	hk_inline_seen_close(scene.seen);
	scene_state(&scene);
	sender = install(&scene, scene.parent, &creation, &scene.a);
	send_shaped(&scene, sender, true, NULL, false, false, &sent);
	sent.frame[14 + 20 + 16] ^= 0xf0; /* the inner IP version: as implausible as the made-up one */
	CU_ASSERT_NOT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	hk_inline_free(sender);
	scene_free(&scene);
}

/* More entries for one SPI than a bucket has room for: bounded, and the confirmed one stays. */
static void flooding(void)
{
	struct hk_creation creation;
	struct scene scene;
	struct sent sent = {0};
	unsigned i;

	scene_init(&scene, NULL, false, 7);
	scene.box.domains[0].inline_keying.children = HK_CHILDREN_MAX;
	create(&scene, &creation, 0x2002);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	for (i = 0; i < 100; i++) {
		struct hk_creation other;

		creation_draw(&scene, &other, 0x2002, false);
		send_packet(&scene, scene.parent, false, &other, &sent);
		CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	}
	CU_ASSERT_TRUE(counts_of(&scene).alive <= 8);
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_OK);
	for (i = 0; i < 2 * HK_CHILDREN_MAX; i++) {
		struct hk_creation other;

		creation_draw(&scene, &other, 0x10000 + i, false);
		send_packet(&scene, scene.parent, false, &other, &sent);
		run_sent(&scene, &sent);
	}
	CU_ASSERT_TRUE(counts_of(&scene).alive <= HK_CHILDREN_MAX);
	scene_free(&scene);
}

/* Implausible packets create nothing: a creation waits for what stands behind it. */
static void implausible_creator(void)
{
	struct hk_creation creation;
	struct scene scene;
	struct sent sent = {0};

	scene_init(&scene, NULL, false, 8);
	creation_draw(&scene, &creation, 0x2002, false);
	creation.scope = HK_SCOPE_HOST;
	creation.protocol = 0;
	creation.creator_port = creation.peer_port = 0;
	memset(&creation.low, 0, 32);
	send_shaped(&scene, scene.parent, false, &creation, false, false, &sent);
	sent.frame[14 + 20 + 32 + 56] ^= 0xf0; /* the inner IP version */
	CU_ASSERT_NOT_EQUAL(run_sent(&scene, &sent), HK_REASON_OK);
	CU_ASSERT_EQUAL(counts_of(&scene).created, 0);
	scene_free(&scene);
}

/* A parent that is no key any more takes its children along; one that stays keeps them. */
static void parents_go(void)
{
	struct hk_creation creation;
	struct hk_hmac_key other;
	struct hk_children *children;
	struct scene scene;

	scene_init(&scene, NULL, false, 9);
	create(&scene, &creation, 0x2002);
	hk_keyring_expire_children(scene.box.inspection->keyring, scene.box.now_ns);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 1);
	children = children_of(&scene);
	hk_hmac_key_init(&other, scene.keys.auth, 32);
	hk_children_retain_begin(children);
	hk_children_retain_keep(children, &other);
	hk_children_retain_end(children);
	CU_ASSERT_EQUAL(counts_of(&scene).alive, 0);
	CU_ASSERT_FALSE(hk_children_used(children));
	CU_ASSERT_EQUAL(child_reason(&scene, &creation), HK_REASON_NO_KEY);
	scene_free(&scene);
}

int main(void)
{
	static const struct test tests[] = {
		{"a child without creation is no-key", no_creation_no_key},
		{"children are honoured for lifetime and grace", lifetime_and_grace},
		{"a creation that comes again changes nothing", retransmission},
		{"a creation that is played again brings nothing back", played_again},
		{"what was evicted comes back for what is left of its time", evicted_and_back},
		{"creations under one secret are limited", creations_are_limited},
		{"at the cap the oldest goes, tentative ones first", eviction},
		{"made-up creations do not displace the real one", competition},
		{"what is made up later costs nothing", competition_comes_late},
		{"what is made up before costs packets, and then none", competition_comes_first},
		{"floods stay within the table", flooding},
		{"implausible packets create nothing", implausible_creator},
		{"children go with their parent", parents_go},
		{0},
	};

	return run_tests_with(&crypto, NULL, "children", tests);
}

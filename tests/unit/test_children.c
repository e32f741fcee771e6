// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of SPIs created in band, through the box: what comes too early or
 * too late, what comes again, limits and eviction, entries that compete for
 * one SPI, parents that go, and several workers at once.
 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/inline_help.h"
#include "user/base/hash.h"
#include "user/endpoint/sa.h"
#include "user/keys/arena.h"
#include "user/keys/children_past.h"

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

/* The memory is bounded: beyond it what was over first is forgotten, and said so. */
static void memory_of_the_past(void)
{
	struct hk_child_past *past = calloc(1, sizeof(*past));
	unsigned i, forgotten = 0, found = 0;
	__u64 over;

	CU_ASSERT_PTR_NOT_NULL_FATAL(past);
	for (i = 0; i < 2 * HK_CHILDREN_PAST; i++)
		forgotten +=
			hk_child_past_put(past, hk_hash_fold(i + 1, 0x9e3779b97f4a7c15ull) | 1, 1000 + i);
	for (i = 0; i < 2 * HK_CHILDREN_PAST; i++)
		if (hk_child_past_find(past, hk_hash_fold(i + 1, 0x9e3779b97f4a7c15ull) | 1, &over)) {
			CU_ASSERT_EQUAL(over, 1000 + i);
			found++;
		}
	CU_ASSERT_TRUE(found <= HK_CHILDREN_PAST);
	CU_ASSERT_EQUAL(found + forgotten, 2 * HK_CHILDREN_PAST);
	CU_ASSERT_FALSE(hk_child_past_put(past, 5, 1) && hk_child_past_put(past, 5, 2)); /* twice is once */
	CU_ASSERT_TRUE(hk_child_past_find(past, 5, &over));
	free(past);
}

/* Where memory cannot be locked the table says so, and the arena with it. */
static void unlocked_memory(void)
{
#ifdef __SANITIZE_ADDRESS__
	skip_test("the sanitizer's mlock does nothing");
#else
	const struct rlimit none = {0, 0};
	struct hk_arena *arena;
	int status;
	pid_t pid;

	arena = hk_arena_new(16);
	CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
	if (hk_arena_locked(arena)) {
		CU_ASSERT_TRUE(hk_children_locked(hk_arena_children(arena)));
		CU_ASSERT_TRUE(hk_arena_locked(arena));
	}
	hk_arena_free(arena);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (!pid) { /* the arena while it may, its children when it may not any more */
		arena = hk_arena_new(16);
		if (!arena || setrlimit(RLIMIT_MEMLOCK, &none) || (!geteuid() && setuid(65534)))
			_exit(2);
		status = !hk_arena_locked(arena) ? 3 : 0;
		if (!hk_arena_children(arena) || hk_children_locked(hk_arena_children(arena)))
			_exit(4);
		_exit(hk_arena_locked(arena) ? 5 : status);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_TRUE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
#endif
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

/* --- the table itself ------------------------------------------------------------------------- */

/* Adds a child of its own SPI; where it lies then. */
static enum hk_child_added add_one(struct hk_children *children, const struct hk_child_creator *creator,
	__u32 spi, __u32 limit, struct hk_child_place *place)
{
	struct hk_child_limits limits = {.children = HK_CHILDREN_MAX, .creations = limit};
	struct hk_creation creation = {.scope = HK_SCOPE_HOST, .spi = spi, .lifetime = 600};
	struct hk_child_name name = {.receiver = address("192.0.2.1"), .spi = spi};
	__u8 header[HK_CREATION_MAX], key[36];
	__u32 size = hk_creation_write(&creation, header);
	enum hk_child_added added =
		hk_children_add(children, crypto, creator, &name, header, size, &limits, 1);

	if (added == HK_CHILD_ADDED) {
		CU_ASSERT_TRUE_FATAL(hk_children_find(children, &name, 1, key, place));
		hk_child_settle(children, place, true);
	}
	return added;
}

/* Children of children: so deep, and so many under each secret of their own. */
static void generations(void)
{
	struct hk_children *children = hk_children_new();
	struct hk_child_creator creator = {0}, first;
	struct hk_hmac_key root;
	__u32 depth;

	CU_ASSERT_PTR_NOT_NULL_FATAL(children);
	hk_hmac_key_init(&root, (const __u8[32]){9}, 32);
	creator.root = &root;
	for (depth = 1; depth <= HK_CHILD_DEPTH_MAX; depth++) {
		CU_ASSERT_EQUAL_FATAL(
			add_one(children, &creator, 0x1000 + depth, 2, &creator.place), HK_CHILD_ADDED);
		creator.root = NULL;
		if (depth == 1)
			first = creator;
	}
	CU_ASSERT_EQUAL(add_one(children, &creator, 0x2000, 2, &creator.place), HK_CHILD_REFUSED);
	creator = first;
	CU_ASSERT_EQUAL(add_one(children, &creator, 0x2001, 2, &creator.place), HK_CHILD_ADDED);
	creator = first; /* two of its own by now */
	CU_ASSERT_EQUAL(add_one(children, &creator, 0x2002, 2, &creator.place), HK_CHILD_REFUSED);
	creator.place.generation += 2; /* an entry that is not there any more */
	CU_ASSERT_EQUAL(add_one(children, &creator, 0x2003, 9, &creator.place), HK_CHILD_REFUSED);
	hk_children_free(children);
}

/* So many parents may have children at once; those that go make room. */
static void many_parents(void)
{
	struct hk_children *children = hk_children_new();
	struct hk_child_creator creator = {0};
	struct hk_hmac_key root;
	__u8 secret[32] = {0};
	__u32 i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(children);
	creator.root = &root;
	for (i = 0; i <= HK_CHILD_FAMILIES_MAX; i++) {
		hk_put32(secret, i);
		hk_hmac_key_init(&root, secret, 32);
		CU_ASSERT_EQUAL(add_one(children, &creator, 0x1000 + i, 2, &creator.place),
			i < HK_CHILD_FAMILIES_MAX ? HK_CHILD_ADDED : HK_CHILD_REFUSED);
	}
	hk_children_retain_begin(children);
	hk_children_retain_end(children);
	CU_ASSERT_EQUAL(add_one(children, &creator, 0x1000, 2, &creator.place), HK_CHILD_ADDED);
	hk_children_free(children);
}

/* --- several threads -------------------------------------------------------------------------- */

#define WORKERS 3
#define TURNS	4000

struct worker {
	pthread_t thread;
	struct hk_children *children;
	struct hk_hmac_key root;
	struct hk_crypto *crypto;
	unsigned number;
	unsigned wrong;
};

static void name_of(struct hk_child_name *name, __u32 spi)
{
	*name = (struct hk_child_name){.receiver = address("192.0.2.1"), .spi = spi};
}

/* Adds, looks up and settles; what is found must be the key of one of the creations of that SPI. */
static void *work(void *context)
{
	struct worker *worker = context;
	struct hk_child_creator creator = {.root = &worker->root};
	struct hk_child_limits limits = {.children = 64, .creations = 0xffffffff};
	struct hk_creation creation = {.scope = HK_SCOPE_HOST, .lifetime = 1};
	struct hk_child_place place;
	struct hk_child_secrets secrets;
	struct hk_child_name name;
	__u8 header[HK_CREATION_MAX], key[36];
	unsigned turn;
	__u32 size;

	for (turn = 0; turn < TURNS; turn++) {
		creation.spi = 0x1000 + turn % 100;
		creation.reply_nonce[0] = (__u8)(turn % 100); /* one creation for each SPI */
		size = hk_creation_write(&creation, header);
		name_of(&name, creation.spi);
		hk_children_add(
			worker->children, worker->crypto, &creator, &name, header, size, &limits, turn);
		if (!hk_children_find(worker->children, &name, turn, key, &place))
			continue;
		hk_inline_child(worker->crypto, &worker->root, HK_SIDE_ENC, header, size, &secrets);
		worker->wrong += memcmp(key, secrets.key, 32) != 0 || memcmp(key + 32, secrets.salt, 4) != 0;
		hk_child_settle(worker->children, &place, turn & 1);
		if (turn % 500 == worker->number)
			hk_children_expire(worker->children, ~0ull);
	}
	return NULL;
}

static void workers(void)
{
	struct hk_children *children = hk_children_new();
	struct worker workers[WORKERS] = {0};
	struct hk_children_counts counts;
	__u8 secret[32] = {7};
	unsigned i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(children);
	for (i = 0; i < WORKERS; i++) {
		workers[i].children = children;
		workers[i].crypto = hk_crypto_new(NULL);
		workers[i].number = i;
		hk_hmac_key_init(&workers[i].root, secret, 32);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		CU_ASSERT_EQUAL(workers[i].wrong, 0);
		hk_crypto_free(workers[i].crypto);
	}
	hk_children_count(children, &counts);
	CU_ASSERT_TRUE(counts.alive <= 64);
	CU_ASSERT_EQUAL(counts.created, counts.alive + counts.expired + counts.evicted);
	hk_children_free(children);
}

int main(void)
{
	static const struct test tests[] = {
		{"a child without creation is no-key", no_creation_no_key},
		{"children are honoured for lifetime and grace", lifetime_and_grace},
		{"a creation that comes again changes nothing", retransmission},
		{"a creation that is played again brings nothing back", played_again},
		{"what was evicted comes back for what is left of its time", evicted_and_back},
		{"the memory of the past is bounded", memory_of_the_past},
		{"memory that cannot be locked says so", unlocked_memory},
		{"creations under one secret are limited", creations_are_limited},
		{"at the cap the oldest goes, tentative ones first", eviction},
		{"made-up creations do not displace the real one", competition},
		{"what is made up later costs nothing", competition_comes_late},
		{"what is made up before costs packets, and then none", competition_comes_first},
		{"floods stay within the table", flooding},
		{"implausible packets create nothing", implausible_creator},
		{"children go with their parent", parents_go},
		{"children of children, so deep and so many", generations},
		{"so many parents", many_parents},
		{"several workers, one table", workers},
		{0},
	};

	return run_tests_with(&crypto, NULL, "children", tests);
}

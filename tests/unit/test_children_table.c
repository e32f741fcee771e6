// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of SPIs created in band, by itself: its memory, locked and bounded,
 * families and their depth, and several workers at once.
 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/inline_help.h"
#include "user/base/bytes.h"
#include "user/base/hash.h"
#include "user/keys/arena.h"
#include "user/keys/children_past.h"

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

/* --- who goes first ------------------------------------------------------------------------------- */

#define CAP 16

/* What lives, the oldest first. */
struct model {
	struct {
		__u32 spi;
		bool confirmed;
	} rows[CAP];
	unsigned count;
};

static bool lives(const struct hk_children *children, __u32 spi, struct hk_child_place *place)
{
	struct hk_child_name name;
	__u8 key[36];

	name_of(&name, spi);
	return hk_children_find(children, &name, 1, key, place);
}

/* The oldest that is tentative, else the oldest. Its SPI. */
static __u32 model_evict(struct model *model)
{
	unsigned i;
	__u32 spi;

	for (i = 0; i < CAP && model->rows[i].confirmed; i++)
		;
	i = i == CAP ? 0 : i;
	spi = model->rows[i].spi;
	memmove(&model->rows[i], &model->rows[i + 1], (CAP - 1 - i) * sizeof(model->rows[0]));
	model->count--;
	return spi;
}

static void add_modelled(
	struct hk_children *children, const struct hk_hmac_key *root, struct model *model, __u32 spi)
{
	struct hk_child_creator creator = {.root = root};
	struct hk_child_limits limits = {.children = CAP, .creations = 0xffffffff};
	struct hk_creation creation = {.scope = HK_SCOPE_HOST, .lifetime = 3600, .spi = spi};
	__u32 gone = model->count == CAP ? model_evict(model) : 0;
	__u8 header[HK_CREATION_MAX];
	struct hk_child_place place;
	struct hk_child_name name;

	name_of(&name, spi);
	CU_ASSERT_EQUAL(hk_children_add(children, crypto, &creator, &name, header,
				hk_creation_write(&creation, header), &limits, spi),
		HK_CHILD_ADDED);
	CU_ASSERT_TRUE(!gone || !lives(children, gone, &place));
	model->rows[model->count].spi = spi;
	model->rows[model->count++].confirmed = false;
}

static void who_goes_first(void)
{
	struct hk_children *children = hk_children_new();
	struct model model = {.count = 0};
	struct hk_child_place place;
	struct hk_hmac_key root;
	__u8 secret[32] = {9};
	__u64 seed = 77, drawn;
	unsigned turn, i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(children);
	hk_hmac_key_init(&root, secret, 32);
	for (turn = 0; turn < 2000; turn++) {
		random_fill(&seed, (__u8 *)&drawn, sizeof(drawn));
		i = (unsigned)(drawn >> 8) % CAP;
		if (drawn & 1) {
			add_modelled(children, &root, &model, 0x1000 + turn);
		} else if (i < model.count && lives(children, model.rows[i].spi, &place)) {
			hk_child_settle(children, &place, true);
			model.rows[i].confirmed = true;
		}
		for (i = 0; i < model.count; i++)
			CU_ASSERT_TRUE(lives(children, model.rows[i].spi, &place));
	}
	hk_children_free(children);
}

static enum hk_child_added add_under(
	struct hk_children *children, const struct hk_child_creator *creator, __u32 spi, __u32 cap)
{
	const struct hk_child_limits limits = {.children = cap, .creations = 9};
	struct hk_creation creation = {.scope = HK_SCOPE_HOST, .lifetime = 3600, .spi = spi};
	__u8 header[HK_CREATION_MAX];
	struct hk_child_name name;

	name_of(&name, spi);
	return hk_children_add(
		children, crypto, creator, &name, header, hk_creation_write(&creation, header), &limits, 1);
}

/* A child that creates one at the cap is the oldest, and stays: its packet is in hand. */
static void a_creator_is_spared(bool confirmed)
{
	struct hk_children *children = hk_children_new();
	struct hk_child_creator parent = {0}, child = {0};
	struct hk_child_place place;
	struct hk_hmac_key root;

	CU_ASSERT_PTR_NOT_NULL_FATAL(children);
	hk_hmac_key_init(&root, (const __u8[32]){9}, 32);
	parent.root = &root;
	CU_ASSERT_EQUAL(add_under(children, &parent, 0x1001, 2), HK_CHILD_ADDED);
	CU_ASSERT_TRUE_FATAL(lives(children, 0x1001, &child.place));
	CU_ASSERT_EQUAL(add_under(children, &child, 0x1002, 1), HK_CHILD_REFUSED); /* nobody else can go */
	CU_ASSERT_EQUAL(add_under(children, &parent, 0x1003, 2), HK_CHILD_ADDED);
	CU_ASSERT_TRUE_FATAL(lives(children, 0x1003, &place));
	if (confirmed) {
		hk_child_settle(children, &child.place, true);
		hk_child_settle(children, &place, true);
	}
	CU_ASSERT_EQUAL(add_under(children, &child, 0x1004, 2), HK_CHILD_ADDED);
	CU_ASSERT_TRUE(lives(children, 0x1001, &place) && lives(children, 0x1004, &place));
	CU_ASSERT_FALSE(lives(children, 0x1003, &place));
	hk_children_free(children);
}

static void creators_are_spared(void)
{
	a_creator_is_spared(false);
	a_creator_is_spared(true);
}

int main(void)
{
	static const struct test tests[] = {
		{"the memory of the past is bounded", memory_of_the_past},
		{"memory that cannot be locked says so", unlocked_memory},
		{"children of children, so deep and so many", generations},
		{"so many parents", many_parents},
		{"several workers, one table", workers},
		{"who goes first", who_goes_first},
		{"who creates a child does not go for it", creators_are_spared},
		{0},
	};

	return run_tests_with(&crypto, NULL, "children table", tests);
}

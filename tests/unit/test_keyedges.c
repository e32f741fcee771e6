// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where keys could be taken for others: neighbours in the tables, receivers
 * whose places change hands, slots with more generations than they can mean,
 * and what a reload remembers of keys that went.
 */
#include "tests/unit/ring_help.h"

#include <time.h>

static void ring_of(struct ring *ring, unsigned room, const char *text)
{
	memset(ring, 0, sizeof(*ring));
	box_init(&ring->box);
	hk_arena_free(ring->box.arena);
	ring->box.arena = hk_arena_new(room);
	box_domain(&ring->box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, text);
	CU_ASSERT_EQUAL_FATAL(hk_keyring_new(&ring->keyring, ring->box.arena, &ring->box.config,
				      &ring->box.files, &ring->box.error),
		0);
}

/* A full table, so that lookups pass each other's rows. */
static void no_key_answers_for_its_neighbour(void)
{
	enum { SPIS = 3000 };
	static char text[SPIS * 128];
	unsigned i, wrong = 0;
	size_t used = 0;
	struct ring ring;

	for (i = 1; i <= SPIS; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"receiver=192.0.2.1 spi=%u version=4 side=enc key=%032x\n", i, i);
	ring_of(&ring, SPIS, text);
	for (i = 1; i <= SPIS; i++) {
		wrong += reason_at(&ring, 0, "192.0.2.1", i, 0, 4) != HK_REASON_OK;
		wrong += reason_at(&ring, 0, "192.0.2.1", i, 0, 5) != HK_REASON_NO_KEY;
		wrong += reason_at(&ring, 0, "192.0.2.1", i, 0, 0) != HK_REASON_NO_KEY;
		wrong += reason_at(&ring, 0, "192.0.2.2", i, 0, 4) != HK_REASON_NO_KEY;
		wrong += reason_at(&ring, 1, "192.0.2.1", i, 0, 4) != HK_REASON_NO_KEY;
		wrong += reason_at(&ring, 0, "192.0.2.1", i + SPIS, 0, 4) != HK_REASON_NO_KEY;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	/* what no packet can name has no key either */
	CU_ASSERT_EQUAL(reason_at(&ring, 0, "192.0.2.1", 1, HK_KEY_SLOTS, 4), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(reason_at(&ring, HK_DOMAINS_MAX, "192.0.2.1", 1, 0, 4), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(reason_at(&ring, HK_KEY_READERS, "192.0.2.1", 1, 0, 4), HK_REASON_NO_KEY);
	ring_free(&ring);
}

/* Short and long prefixes that begin alike, in one table. */
static void no_prefix_answers_for_another_length(void)
{
	enum { NETS = 1500 };
	static char text[NETS * 160];
	unsigned i, wrong = 0;
	char receiver[64];
	size_t used = 0;
	struct ring ring;

	for (i = 0; i < NETS; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"receiver=2001:db8:%x::/%u slot=0 generation=1 side=enc key=%064x\n", i + 1,
			i % 2 ? 48 : 64, i + 1);
	ring_of(&ring, NETS, text);
	for (i = 0; i < NETS; i++) {
		snprintf(receiver, sizeof(receiver), "2001:db8:%x:0:1::", i + 1);
		wrong += reason_at(&ring, 0, receiver, 1, 0, 4) != HK_REASON_OK;
		snprintf(receiver, sizeof(receiver), "2001:db8:%x:1::", i + 1);
		wrong += reason_at(&ring, 0, receiver, 1, 0, 4) != (i % 2 ? HK_REASON_OK : HK_REASON_NO_KEY);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	ring_free(&ring);
}

#define PREFIX(n, receiver) "slot=0 generation=1 side=enc key=" KEY(n) " receiver=" receiver "\n"

/* Of the byte that a prefix ends in, its bits count and no others. */
static void prefixes_end_inside_bytes(void)
{
	static const struct {
		const char *address;
		unsigned last;
	} rows[] = {
		{"192.0.2.63", 0},
		{"192.0.2.64", 1},
		{"192.0.2.70", 1},
		{"192.0.2.95", 1},
		{"192.0.2.96", 2},
		{"192.0.2.103", 2},
		{"192.0.2.104", 3},
		{"192.0.2.105", 0},
		{"192.0.2.192", 0},
		{"192.0.2.224", 0},
	};
	struct ring ring;
	unsigned i, last;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		PREFIX("01", "192.0.2.64/27") PREFIX("02", "192.0.2.96/29") PREFIX("03", "192.0.2.104"));
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(choose(&ring, rows[i].address, 1, 0, 4, &last),
			rows[i].last ? HK_REASON_OK : HK_REASON_NO_KEY);
		CU_ASSERT_EQUAL(last, rows[i].last);
	}
	ring_free(&ring);
}

/* How many others of a slot's generations are to be tried, and whether one of them has this number. */
static unsigned others(struct ring *ring, unsigned slot, unsigned generation, bool *found)
{
	struct hk_address to = address("192.0.2.1");
	struct hk_key_request request = {
		.receiver = &to, .id = 1, .spi = 1, .slot = (__u8)slot, .variant = 4};
	struct hk_key_choice choice = {0}, other;
	unsigned n;

	*found = false;
	CU_ASSERT_EQUAL_FATAL(hk_keyring_choose(ring->keyring, &request, &choice), HK_REASON_OK);
	memset(&other, 0xff, sizeof(other));
	for (n = 0; hk_keyring_other(ring->keyring, &choice, n, &other); n++) {
		*found |= other.generation == generation;
		CU_ASSERT(other.master && !other.key && !other.salt && !other.root && !other.key_size);
		memset(&other, 0xff, sizeof(other));
	}
	return n;
}

static void what_a_slot_can_mean(void)
{
	__u64 now = (__u64)time(NULL) + 1000;
	struct ring ring;
	char text[512];
	bool found;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc key=" KEY("01") R1 "\nslot=0 generation=2 side=enc key=" KEY(
			"02") R1 "\nslot=1 generation=9 side=enc key=" KEY("09") R1 "\n");
	tick(&ring, now);
	/* one whose time has not come is none of them */
	snprintf(text, sizeof(text), "slot=0 generation=3 side=enc key=" KEY("03") R1 " not-before=%llu\n",
		now + 10);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	CU_ASSERT_EQUAL(others(&ring, 0, 3, &found), 1);
	CU_ASSERT_FALSE(found);
	CU_ASSERT_EQUAL(tick(&ring, now + 10), 1);
	CU_ASSERT_EQUAL(others(&ring, 0, 1, &found), 2);
	CU_ASSERT_TRUE(found);
	/* previous, current, next: the lowest of four is nobody's any more */
	CU_ASSERT_EQUAL(change(&ring, "slot=0 generation=4 side=enc key=" KEY("04") R1 "\n"), 0);
	CU_ASSERT_EQUAL(others(&ring, 0, 1, &found), 2);
	CU_ASSERT_FALSE(found);
	CU_ASSERT_EQUAL(others(&ring, 1, 1, &found), 0);
	ring_free(&ring);
}

/* What is asked of an explicit key, a slot that no envelope has, or the IPv4 address space, is answered. */
static void odd_questions_have_answers(void)
{
	struct hk_address to = address("192.0.2.1");
	struct hk_key_request request = {.receiver = &to, .id = 1, .slot = HK_KEY_SLOTS, .variant = 5};
	struct hk_key_choice choice, other;
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=7 side=enc receiver=0.0.0.0/0 key=" KEY(
			"07") "\nreceiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("09") "\n");
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 9, 0, 5, &choice), HK_REASON_OK);
	CU_ASSERT_FALSE(hk_keyring_other(ring.keyring, &choice, 0, &other));
	CU_ASSERT_FALSE(hk_keyring_retired(ring.keyring, &choice));
	hk_keyring_prefer(ring.keyring, &choice);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 8, 0, 5, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 7);
	CU_ASSERT_EQUAL(choose_key(&ring, "2001:db8::1", 8, 0, 5, &choice), HK_REASON_NO_KEY);
	CU_ASSERT_PTR_NULL(hk_keyring_reader(ring.keyring, &request));
	ring_free(&ring);
}

/* A reload with another key file: what was in force before stands in `before`, what is now in `after`. */
static void reload(struct ring *ring, const char *after)
{
	struct hk_keyring *old = ring->keyring;

	hk_files_close(&ring->box.files);
	ring->box.config.domains_count = 0;
	box_domain(&ring->box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, after);
	CU_ASSERT_EQUAL_FATAL(hk_keyring_new(&ring->keyring, ring->box.arena, &ring->box.config,
				      &ring->box.files, &ring->box.error),
		0);
	hk_keyring_adopt(ring->keyring, old);
	hk_keyring_free(old);
}

static bool retired(struct ring *ring, unsigned slot)
{
	struct hk_address to = address("192.0.2.1");
	struct hk_key_request request = {
		.receiver = &to, .id = 1, .spi = 1, .slot = (__u8)slot, .variant = 4};
	struct hk_key_choice choice = {0};

	CU_ASSERT_EQUAL_FATAL(hk_keyring_choose(ring->keyring, &request, &choice), HK_REASON_OK);
	return hk_keyring_watched(ring->keyring) && hk_keyring_retired(ring->keyring, &choice);
}

static void a_reload_remembers_what_went(void)
{
	struct ring ring;
	__u64 went;

	/* by a change, and the reload after it; by a reload, and the next one */
	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, ONE TWO);
	CU_ASSERT_FALSE(retired(&ring, 0));
	reload(&ring, TWO);
	CU_ASSERT_TRUE(retired(&ring, 0));
	reload(&ring, TWO);
	CU_ASSERT_TRUE(retired(&ring, 0));
	went = ring.keyring->groups[0].retired_s[0];
	tick(&ring, went + HK_RETIRED_S - 1);
	CU_ASSERT_TRUE(retired(&ring, 0));
	tick(&ring, went + HK_RETIRED_S);
	CU_ASSERT_FALSE(retired(&ring, 0));
	ring_free(&ring);
}

/* The same number with other bytes is another key, and the one before it went. */
static void a_generation_made_anew_is_another(void)
{
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, ONE);
	reload(&ring, ONE);
	CU_ASSERT_FALSE(retired(&ring, 0));
	reload(&ring, "slot=0 generation=1 side=enc key=" KEY("77") R1 "\n");
	CU_ASSERT_TRUE(retired(&ring, 0));
	ring_free(&ring);
}

#define LATER "slot=1 generation=2 side=enc key=" KEY("02") R1 " not-before=4000000000\n"

/* What never came into force leaves nothing behind. */
static void a_key_that_never_was_leaves_no_trace(void)
{
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, ONE LATER);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_KEY_NOT_YET);
	reload(&ring, ONE LATER);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_KEY_NOT_YET);
	reload(&ring, ONE);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_NO_KEY);
	CU_ASSERT_FALSE(retired(&ring, 0));
	ring_free(&ring);
}

/* A time box in the future that is moved into the past was never open. */
static void a_moved_time_box_opens_nothing(void)
{
	__u64 now = (__u64)time(NULL) + 1000;
	struct ring ring;
	char text[256];

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, LATER);
	tick(&ring, now);
	snprintf(text, sizeof(text),
		"slot=1 generation=2 side=enc key=" KEY("02") R1 " not-before=%llu not-after=%llu\n",
		now - 20, now);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	CU_ASSERT_NOT_EQUAL(slot_reason(&ring, 1), HK_REASON_OK);
	CU_ASSERT_EQUAL(tick(&ring, now), 1);
	CU_ASSERT_EQUAL(ring.result.expired, 1);
	CU_ASSERT_EQUAL(slot_reason(&ring, 1), HK_REASON_KEY_EXPIRED);
	ring_free(&ring);
}

/*
 * All places for receivers are taken: in one change one's keys go and another one comes, who
 * gets its place. What is said of the first one's packets is not said of the second one's.
 */
static void a_place_changes_hands(void)
{
	enum { ROOM = 4 };
	char text[1024];
	struct ring ring;
	unsigned i;

	ring_of(&ring, ROOM, "");
	for (i = 0; i < 6 * ROOM; i++) {
		snprintf(text, sizeof(text), "receiver=192.0.2.%u slot=0 generation=1 side=enc key=%064x\n%s",
			i + 1, i + 1, i ? "" : "\n");
		if (i)
			snprintf(text + strlen(text), sizeof(text) - strlen(text),
				"retire receiver=192.0.2.%u slot=0 generation=1\n", i);
		CU_ASSERT_EQUAL(change(&ring, text), 0);
		snprintf(text, sizeof(text), "192.0.2.%u", i + 1);
		CU_ASSERT_EQUAL(reason_at(&ring, 0, text, 1, 0, 4), HK_REASON_OK);
		CU_ASSERT_EQUAL(reason_at(&ring, 0, text, 1, 1, 4), HK_REASON_NO_KEY);
		CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
	}
	/* the other slot of the one that comes, when the place had a key there */
	for (i = 0; i < 3 * ROOM; i++) {
		snprintf(text, sizeof(text),
			"receiver=192.0.2.%u slot=%u generation=1 side=enc key=%064x\n"
			"retire receiver=192.0.2.%u slot=%u generation=1\n",
			101 + i, 1 - i % 2, 1001 + i, i ? 100 + i : 6 * ROOM, i ? i % 2 : 0);
		CU_ASSERT_EQUAL(change(&ring, text), 0);
		snprintf(text, sizeof(text), "192.0.2.%u", 101 + i);
		CU_ASSERT_EQUAL(reason_at(&ring, 0, text, 1, 1 - i % 2, 4), HK_REASON_OK);
		CU_ASSERT_EQUAL(reason_at(&ring, 0, text, 1, i % 2, 4), HK_REASON_NO_KEY);
	}
	ring_free(&ring);
}

static int one_more(void *context, const struct hk_key_row *row)
{
	(void)row;
	++*(unsigned *)context;
	return 0;
}

/* What is being prepared is in no list, and is nobody's key. */
static void what_is_prepared_is_not_there_yet(void)
{
	struct hk_key_change *prepared = NULL;
	struct hk_key_update update = {.name = "update", .text = TWO};
	unsigned rows = 0, last;
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, ONE);
	update.domain = &ring.box.domains[0];
	CU_ASSERT_EQUAL_FATAL(hk_keyring_prepare(&prepared, ring.keyring, &update, &ring.error), 0);
	CU_ASSERT_EQUAL(hk_keyring_list(ring.keyring, one_more, &rows), 0);
	CU_ASSERT_EQUAL(rows, 1);
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 1, 0, 4, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 1);
	hk_key_change_free(prepared);
	ring_free(&ring);
}

/* One that waits for its time is nobody's: retiring it makes no packet stale. */
static void who_waits_retires_without_a_trace(void)
{
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		ONE "slot=0 generation=2 side=enc key=" KEY("02") R1 " not-before=4000000000\n");
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=2" R1 "\n"), 0);
	CU_ASSERT_FALSE(retired(&ring, 0));
	CU_ASSERT_EQUAL(slot_reason(&ring, 0), HK_REASON_OK);
	ring_free(&ring);
}

static void add_file(struct ring *ring, const char *path, const char *text)
{
	int fd = memfd_create("keys", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CU_ASSERT_FATAL(hk_files_add(&ring->box.files, HK_FILE_KEYS, path, fd) == 0);
}

/* A directory inside that of another domain, and one that begins alike: each domain has its own files. */
static void directories_do_not_mix(void)
{
	static const char *const directories[] = {"d/", "d/e", "dd"};
	struct ring ring;
	unsigned i;

	memset(&ring, 0, sizeof(ring));
	box_init(&ring.box);
	for (i = 0; i < 3; i++)
		box_domain(&ring.box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "")->keys_dir =
			(char *)(unsigned long)directories[i];
	add_file(&ring, "d//one.keys", "slot=0 generation=1 side=enc key=" KEY("01") R1);
	add_file(&ring, "d/e/two.keys", "slot=0 generation=1 side=enc key=" KEY("02") " receiver=192.0.2.2");
	add_file(&ring, "dd/three.keys", "slot=0 generation=1 side=enc key=" KEY("03") " receiver=192.0.2.3");
	CU_ASSERT_EQUAL_FATAL(hk_keyring_new(&ring.keyring, ring.box.arena, &ring.box.config, &ring.box.files,
				      &ring.box.error),
		0);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 3);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(
			reason_at(&ring, i, "192.0.2.1", 1, 0, 4), i == 0 ? HK_REASON_OK : HK_REASON_NO_KEY);
		CU_ASSERT_EQUAL(
			reason_at(&ring, i, "192.0.2.2", 1, 0, 4), i == 1 ? HK_REASON_OK : HK_REASON_NO_KEY);
		CU_ASSERT_EQUAL(
			reason_at(&ring, i, "192.0.2.3", 1, 0, 4), i == 2 ? HK_REASON_OK : HK_REASON_NO_KEY);
	}
	ring_free(&ring);
}

/* Rows that lookups of SPIs in sequence look at, on average, in a table a quarter full. */
static double steps(const struct hk_address *receiver)
{
	enum { ROWS = 4096, SPIS = ROWS / 4 };
	static __u8 taken[ROWS];
	unsigned spi, sum = 0;
	__u32 at;

	memset(taken, 0, sizeof(taken));
	for (spi = 1; spi <= SPIS; spi++) {
		at = hk_key_explicit_hash(0, receiver, spi, 4) % ROWS;
		for (sum++; taken[at]; sum++)
			at = (at + 1) % ROWS;
		taken[at] = 1;
	}
	return (double)sum / SPIS;
}

static void lookups_are_flat_under_every_secret(void)
{
	const struct hk_address receiver = address("192.0.2.1");
	__u64 before[4], seed = 1;
	unsigned i, wrong = 0;

	memcpy(before, hk_hash_secret, sizeof(before));
	for (i = 0; i < 2000; i++) {
		random_fill(&seed, (__u8 *)hk_hash_secret, sizeof(before));
		wrong += steps(&receiver) > 1.5;
	}
	memcpy(hk_hash_secret, before, sizeof(before));
	CU_ASSERT_EQUAL(wrong, 0);
}

int main(void)
{
	static const struct test tests[] = {
		{"odd questions have answers", odd_questions_have_answers},
		{"no key answers for its neighbour in the table", no_key_answers_for_its_neighbour},
		{"no prefix answers for one of another length", no_prefix_answers_for_another_length},
		{"prefixes end inside bytes", prefixes_end_inside_bytes},
		{"what a slot can mean: three generations in force", what_a_slot_can_mean},
		{"a reload remembers what went", a_reload_remembers_what_went},
		{"a generation made anew is another key", a_generation_made_anew_is_another},
		{"a key that never was in force leaves no trace", a_key_that_never_was_leaves_no_trace},
		{"a moved time box opens nothing", a_moved_time_box_opens_nothing},
		{"a place changes hands", a_place_changes_hands},
		{"what is prepared is not there yet", what_is_prepared_is_not_there_yet},
		{"who waits retires without a trace", who_waits_retires_without_a_trace},
		{"directories do not mix", directories_do_not_mix},
		{"lookups are flat under every secret", lookups_are_flat_under_every_secret},
		{0},
	};

	return run_tests("keyedges", tests);
}

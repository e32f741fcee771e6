// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An operator's word about a key that a file holds (words.c): over reloads,
 * crashes and files that are read anew, as long as the file says the same of the
 * key; and never longer.
 */
#include "tests/unit/heir_help.h"

#include <time.h>

#define NEXT "slot=1 generation=2 side=enc key=" KEY("02") R1 "\n"
#define DIR  "d/a.keys"

static int rotate(struct heirs *heirs, unsigned grace_s, const char *text)
{
	return change_with(&heirs->ring, &(struct hk_key_update){.domain = &heirs->ring.box.domains[0],
						 .name = "update",
						 .text = text,
						 .rotate = true,
						 .grace_s = grace_s});
}

static unsigned words(const struct heirs *heirs)
{
	unsigned count = 0;
	__u32 place = 0;

	while ((place = hk_kept_next_word(heirs->kept, place)))
		count++;
	CU_ASSERT_EQUAL(count, hk_kept_words(heirs->kept));
	return count;
}

/* The domain's key file says something else from now on. */
static void file_says(struct heirs *heirs, const char *keys)
{
	int fd = memfd_create("keys", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && write(fd, keys, strlen(keys)) == (ssize_t)strlen(keys));
	hk_files_drop(&heirs->ring.box.files, heirs->ring.box.keys[0]);
	CU_ASSERT_EQUAL_FATAL(
		hk_files_add(&heirs->ring.box.files, HK_FILE_KEYS, heirs->ring.box.keys[0], fd), 0);
}

struct ends {
	unsigned generation;
	__u64 not_after;
	unsigned found;
};

static int end_seen(void *context, const struct hk_key_row *row)
{
	struct ends *ends = context;

	if (row->generation == ends->generation && !row->is_explicit) {
		ends->not_after = row->not_after;
		ends->found++;
	}
	return 0;
}

static __u64 end_of(const struct heirs *heirs, unsigned generation)
{
	struct ends ends = {.generation = generation};

	hk_keyring_list(heirs->ring.keyring, end_seen, &ends);
	CU_ASSERT_EQUAL(ends.found, 1);
	return ends.not_after;
}

/* The grace holds over everything; when it is over, the file does not bring the key back. */
static void a_grace_holds(void)
{
	struct heirs heirs;
	unsigned round;
	__u64 end, before = (__u64)time(NULL);

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(rotate(&heirs, 60, NEXT), 0);
	CU_ASSERT_EQUAL(heirs.ring.result.graced, 1);
	CU_ASSERT_EQUAL(heirs.ring.result.filed, 1);
	CU_ASSERT_STRING_EQUAL(heirs.ring.result.file, heirs.ring.box.keys[0]);
	end = end_of(&heirs, 1);
	CU_ASSERT_TRUE(end >= before + 60 && end <= (__u64)time(NULL) + 60);
	for (round = 0; round < 3; round++) {
		CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
		CU_ASSERT_EQUAL(end_of(&heirs, 1), end);
		crash(&heirs);
		CU_ASSERT_EQUAL(heirs.restored.keys, 1);
		CU_ASSERT_EQUAL(heirs.restored.words, 1);
		CU_ASSERT_EQUAL(end_of(&heirs, 1), end);
		CU_ASSERT_EQUAL(words(&heirs), 1);
	}
	CU_ASSERT_EQUAL(tick(&heirs.ring, end), 1);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_KEY_EXPIRED);
	CU_ASSERT_EQUAL(words(&heirs), 1);
	heirs_free(&heirs);
}

/* A grace of nothing is over at once: no reload, no crash brings the key back. */
static void what_is_over_stays_over(void)
{
	struct heirs heirs;

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(rotate(&heirs, 0, NEXT), 0);
	tick(&heirs.ring, (__u64)time(NULL) + 1);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_KEY_EXPIRED);
	CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_KEY_EXPIRED);
	crash(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.words, 1);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_KEY_EXPIRED);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 1), HK_REASON_OK);
	/* the line with an end of its own is the file's newer word */
	file_says(&heirs, "slot=0 generation=1 side=enc key=" KEY("01") R1 " not-after=4000000000\n");
	CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(words(&heirs), 0);
	heirs_free(&heirs);
}

static void a_retired_key_does_not_come_back(void)
{
	struct heirs heirs;
	unsigned round;

	heirs_with(&heirs, ONE NEXT "receiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("03") "\n");
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=0 generation=1" R1
					    "\nretire receiver=192.0.2.1 spi=9 version=5\n"),
		0);
	CU_ASSERT_EQUAL(heirs.ring.result.filed, 2);
	for (round = 0; round < 3; round++) {
		CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_STALE_KEY);
		CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 1), HK_REASON_OK);
		CU_ASSERT_EQUAL(reason_at(&heirs.ring, 0, "192.0.2.1", 9, 1, 5), HK_REASON_STALE_KEY);
		CU_ASSERT_EQUAL(words(&heirs), 2);
		if (round % 2)
			crash(&heirs);
		else
			CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
	}
	/* other times in the file change nothing: it is the same key */
	file_says(&heirs, "slot=0 generation=1 side=enc key=" KEY("01") R1 " not-after=4000000000\n" NEXT);
	CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_STALE_KEY);
	CU_ASSERT_EQUAL(words(&heirs), 1); /* that of the SPI is over: no file has the key */
	/* another key in the same place is another key */
	file_says(&heirs, "slot=0 generation=1 side=enc key=" KEY("07") R1 "\n" NEXT);
	CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(words(&heirs), 0);
	heirs_free(&heirs);
}

/* Only `keys add` takes the word back; from then on the key is in force by both. */
static void adding_takes_it_back(void)
{
	struct heirs heirs;

	heirs_with(&heirs, ONE NEXT);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=0 generation=1" R1 "\n"), 0);
	CU_ASSERT_EQUAL(words(&heirs), 1);
	CU_ASSERT_EQUAL(change(&heirs.ring, ONE), 0);
	CU_ASSERT_EQUAL(heirs.ring.result.added, 1);
	CU_ASSERT_EQUAL(words(&heirs), 0);
	CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(marked(&heirs), 0); /* the file's again */
	/* a grace is taken back by the line as the file has it */
	CU_ASSERT_EQUAL(rotate(&heirs, 60, "slot=1 generation=3 side=enc key=" KEY("04") R1 "\n"), 0);
	CU_ASSERT_EQUAL(words(&heirs), 2);
	CU_ASSERT_EQUAL(change(&heirs.ring, ONE NEXT), 0);
	CU_ASSERT_EQUAL(heirs.ring.result.known, 2);
	CU_ASSERT_EQUAL(end_of(&heirs, 1), 0);
	CU_ASSERT_EQUAL(words(&heirs), 0);
	heirs_free(&heirs);
}

/* A key that another one replaced: the file's stays away, the pushed one is carried on. */
static void another_key_may_take_its_place(void)
{
	struct heirs heirs;
	unsigned last;

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=0 generation=1" R1
					    "\nslot=0 generation=1 side=enc key=" KEY("05") R1 "\n"),
		0);
	CU_ASSERT_EQUAL(words(&heirs), 1);
	CU_ASSERT_EQUAL(reload(&heirs.ring), 0);
	CU_ASSERT_EQUAL(choose(&heirs.ring, "192.0.2.1", 1, 0, 4, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 5);
	crash(&heirs);
	CU_ASSERT_EQUAL(choose(&heirs.ring, "192.0.2.1", 1, 0, 4, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 5);
	heirs_free(&heirs);
}

/* A file of keys-dir is read anew whenever somebody touches it. */
static void a_file_of_a_directory_is_read_anew(void)
{
	static const char both[] = NEXT "slot=0 generation=3 side=enc key=" KEY("03") R1 "\n";
	struct heirs heirs;
	__u64 end;

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR, both), 0);
	CU_ASSERT_EQUAL(rotate(&heirs, 60, "slot=1 generation=4 side=enc key=" KEY("04") R1 "\n"), 0);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=0 generation=3" R1 "\n"), 0);
	end = end_of(&heirs, 2);
	CU_ASSERT_EQUAL(words(&heirs), 3);
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR, both), 0);
	CU_ASSERT_EQUAL(heirs.ring.result.known, 1);
	CU_ASSERT_EQUAL(heirs.ring.result.withheld, 1);
	CU_ASSERT_EQUAL(heirs.ring.result.added + heirs.ring.result.retired, 0);
	CU_ASSERT_EQUAL(end_of(&heirs, 2), end);
	CU_ASSERT_EQUAL(words(&heirs), 3);
	/* the file's newer word about times; about the retired key it has none */
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR,
				"slot=1 generation=2 side=enc key=" KEY("02") R1 " not-after=4000000000\n"),
		0);
	CU_ASSERT_EQUAL(end_of(&heirs, 2), 4000000000);
	CU_ASSERT_EQUAL(words(&heirs), 1);
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR, both), 0);
	CU_ASSERT_EQUAL(heirs.ring.result.added, 1);
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR, ""), 0);
	CU_ASSERT_EQUAL(words(&heirs), 1); /* of the other file */
	heirs_free(&heirs);
}

struct shown {
	unsigned retired, overriding;
	char source[64];
};

static int word_seen(void *context, const struct hk_key_row *row)
{
	struct shown *shown = context;

	shown->retired += row->state == HK_KEY_RETIRED;
	shown->overriding += row->overrides;
	if (row->overrides)
		snprintf(shown->source, sizeof(shown->source), "%s", row->source);
	return 0;
}

/* Whoever looks at the list sees what files hold and the box does not take. */
static void the_list_tells_of_words(void)
{
	struct shown shown = {0};
	struct heirs heirs;

	heirs_with(&heirs, ONE);
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR, NEXT), 0);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=0 generation=1" R1 "\n"), 0);
	hk_keyring_list(heirs.ring.keyring, word_seen, &shown);
	CU_ASSERT_EQUAL(shown.retired, 1);
	CU_ASSERT_EQUAL(shown.overriding, 1);
	CU_ASSERT_STRING_EQUAL(shown.source, heirs.ring.box.keys[0]);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=1 generation=2" R1 "\n"), 0);
	memset(&shown, 0, sizeof(shown));
	hk_keyring_list(heirs.ring.keyring, word_seen, &shown);
	CU_ASSERT_EQUAL(shown.retired, 2);
	CU_ASSERT_STRING_EQUAL(shown.source, DIR);
	heirs_free(&heirs);
}

/* A root that is retired still makes the keys that its file makes of it. */
static void a_retired_root_is_still_read(void)
{
	static const char file[] =
		"level=top generation=1 side=enc key=" KEY("21") "\nlevel=low generation=1 side=enc key=" KEY(
			"22") "\nslot=0 generation=1 side=enc from=1/1" R1 "\n";
	struct heirs heirs;

	heirs_with(&heirs, "");
	heirs.ring.box.domains[0].levels_count = 2;
	strcpy(heirs.ring.box.domains[0].levels[0], "top");
	strcpy(heirs.ring.box.domains[0].levels[1], "low");
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR, file), 0);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire level=top generation=1\n"), 0);
	CU_ASSERT_EQUAL(whole(&heirs.ring, DIR, file), 0);
	CU_ASSERT_EQUAL(heirs.ring.result.withheld, 1);
	CU_ASSERT_EQUAL(slot_reason(&heirs.ring, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(hk_keyring_count(heirs.ring.keyring), 2);
	heirs_free(&heirs);
}

/* A change that is refused has said nothing; no room for a word is a refusal. */
static void half_a_word_is_none(void)
{
	struct heirs heirs;
	unsigned i;

	heirs_with(&heirs, ONE NEXT);
	for (i = 0; i < 200; i++) {
		CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=0 generation=1" R1
						    "\nretire slot=3 generation=9" R1 "\n"),
			-ENOENT);
		CU_ASSERT_EQUAL(rotate(&heirs, 9,
					"slot=0 generation=5 side=enc key=" KEY("05") R1
					"\nslot=0 generation=5 side=enc key=" KEY("06") R1 "\n"),
			-EINVAL);
	}
	CU_ASSERT_EQUAL(words(&heirs), 0);
	CU_ASSERT_EQUAL(end_of(&heirs, 1), 0);
	/* the same word twice in one change is one */
	CU_ASSERT_EQUAL(rotate(&heirs, 60,
				"slot=0 generation=3 side=enc key=" KEY("05") R1
				"\nslot=1 generation=4 side=enc key=" KEY("06") R1 "\n"),
		0);
	CU_ASSERT_EQUAL(words(&heirs), 2);
	CU_ASSERT_EQUAL(rotate(&heirs, 30,
				"slot=0 generation=6 side=enc key=" KEY("07") R1
				"\nretire slot=0 generation=1" R1 "\n"),
		0);
	CU_ASSERT_EQUAL(words(&heirs), 2);
	crash(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.words, 2);
	CU_ASSERT_EQUAL(heirs.restored.keys, 3);
	hk_kept_free(heirs.kept);
	heirs.kept = hk_kept_new(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(heirs.kept);
	crash(&heirs);
	CU_ASSERT_EQUAL(
		change(&heirs.ring, "retire slot=0 generation=1" R1 "\nretire slot=1 generation=2" R1 "\n"),
		-ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(heirs.ring.error.text, "no room to remember what becomes of keys in 0.keys"));
	CU_ASSERT_EQUAL(hk_keyring_count(heirs.ring.keyring), 2);
	CU_ASSERT_EQUAL(words(&heirs), 0);
	heirs_free(&heirs);
}

/* A reload that is given up leaves every word where it is. */
static void a_refused_reload_forgets_nothing(void)
{
	struct hk_keyring *next = NULL;
	struct heirs heirs;
	struct ring *ring = &heirs.ring;

	heirs_with(&heirs, ONE NEXT);
	CU_ASSERT_EQUAL(change(ring, "retire slot=0 generation=1" R1 "\n"), 0);
	file_says(&heirs, NEXT);
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring->box.arena, &ring->box.config, &ring->box.files, &ring->box.error),
		0);
	CU_ASSERT_EQUAL(hk_keyring_carry(next, ring->keyring, &ring->box.config), 0);
	hk_keyring_free(next);
	CU_ASSERT_EQUAL(words(&heirs), 1);
	file_says(&heirs, ONE NEXT);
	crash(&heirs);
	CU_ASSERT_EQUAL(slot_reason(ring, 0), HK_REASON_STALE_KEY);
	CU_ASSERT_EQUAL(heirs.restored.words, 1);
	heirs_free(&heirs);
}

static bool no_memory;

struct hk_key_change *__real_hk_key_change_new(struct hk_keyring *keyring);
struct hk_key_change *__wrap_hk_key_change_new(struct hk_keyring *keyring);

struct hk_key_change *__wrap_hk_key_change_new(struct hk_keyring *keyring)
{
	return no_memory ? NULL : __real_hk_key_change_new(keyring);
}

/* Without memory to look at the words, neither a reload nor a new inspector takes the files as they stand. */
static void without_memory_nothing_comes_back(void)
{
	struct hk_keyring *next = NULL;
	struct heirs heirs;
	struct ring *ring = &heirs.ring;

	heirs_with(&heirs, ONE NEXT);
	CU_ASSERT_EQUAL(change(ring, "retire slot=0 generation=1" R1 "\n"), 0);
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring->box.arena, &ring->box.config, &ring->box.files, &ring->box.error),
		0);
	no_memory = true;
	CU_ASSERT_EQUAL(hk_keyring_carry(next, ring->keyring, &ring->box.config), -ENOMEM);
	CU_ASSERT_EQUAL(hk_keyring_restore(next, heirs.kept, &ring->box.config, &heirs.restored), -ENOMEM);
	no_memory = false;
	hk_keyring_free(next);
	CU_ASSERT_EQUAL(words(&heirs), 1);
	CU_ASSERT_EQUAL(reload(ring), 0);
	CU_ASSERT_EQUAL(slot_reason(ring, 0), HK_REASON_STALE_KEY);
	CU_ASSERT_EQUAL(words(&heirs), 1);
	heirs_free(&heirs);
}

int main(void)
{
	static const struct test tests[] = {
		{"a grace holds", a_grace_holds},
		{"what is over stays over", what_is_over_stays_over},
		{"a retired key does not come back", a_retired_key_does_not_come_back},
		{"adding takes it back", adding_takes_it_back},
		{"another key may take its place", another_key_may_take_its_place},
		{"a file of a directory is read anew", a_file_of_a_directory_is_read_anew},
		{"the list tells of words", the_list_tells_of_words},
		{"a retired root is still read", a_retired_root_is_still_read},
		{"half a word is none", half_a_word_is_none},
		{"a refused reload forgets nothing", a_refused_reload_forgets_nothing},
		{"without memory nothing comes back", without_memory_nothing_comes_back},
		{0},
	};
	return run_tests("keywords", tests);
}

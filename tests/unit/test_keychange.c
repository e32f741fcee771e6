// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys that come and go while a keyring is in use: who is chosen, what each position refuses, what is wiped.
 */
#include "tests/unit/ring_help.h"
#include "user/crypto/levels.h"

#include <time.h>

#define MASTER "slot=0 generation=1 side=enc key=" KEY("01") R1 "\n"

static unsigned reason_of(struct ring *ring, __u32 spi, unsigned slot)
{
	unsigned last;

	return choose(ring, "192.0.2.1", spi, slot, 4, &last);
}

static void a_change_is_whole_or_nothing(void)
{
	struct ring ring;
	unsigned last;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, MASTER);
	CU_ASSERT_EQUAL(change(&ring, "slot=1 generation=2 side=enc key=" KEY("02") R1
				"\nreceiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("03") "\n"),
		0);
	CU_ASSERT_EQUAL(ring.result.added, 2);
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 1, 1, 4, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 2);
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 9, 0, 5, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 3);
	/* the last line is bad: nothing of it is in force, and nothing went */
	CU_ASSERT_EQUAL(
		change(&ring, "retire slot=1 generation=2" R1 "\nslot=0 generation=5 side=enc key=" KEY("05")
				      R1 "\nslot=1 generation=6 side=auth key=" KEY("06") R1 "\n"),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "update:3: side=auth"));
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 3);
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 1, 0, 4, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 1);
	/* the same place twice shows only when it is put in force: all comes back */
	CU_ASSERT_EQUAL(change(&ring, "retire receiver=192.0.2.1 spi=9 version=5\n"
				      "slot=0 generation=5 side=enc key=" KEY("05") R1
				"\nslot=0 generation=5 side=enc key=" KEY("06") R1 "\n"),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "update:3: the same receiver"));
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 3);
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 9, 0, 5, &last), HK_REASON_OK);
	/* again is no error */
	CU_ASSERT_EQUAL(change(&ring, MASTER), 0);
	CU_ASSERT_EQUAL(ring.result.known, 1);
	CU_ASSERT_EQUAL(ring.result.added, 0);
	ring_free(&ring);
}

static const struct {
	const char *text, *says;
} refusals[] = {
	{"retire slot=1 generation=9" R1, "update:1: retire: there is no such key"},
	{"retire\n", "retire needs to be told which key"},
	{"retire slot=0 generation=1 key=" KEY("01") R1, "key= does not belong to a line that retires"},
	{"slot=0 generation=1 side=enc key=" KEY("09") R1,
		"update:1: the same receiver, slot and generation as 0.keys:1"},
	{"slot=0 generation=2 side=enc key=" KEY("01") R1, "a new generation needs a new key"},
	{"slot=0 generation=2 side=enc key=" KEY("02") R1 " not-after=1000", "not-after= is in the past"},
	{"slot=0 generation=2 side=enc key=" KEY("02") R1 " not-after=2100-02-30T00:00:00Z", "not-after="},
	{"slot=0 generation=2 side=enc key=" KEY("02") R1 " not-before=4000000000 not-after=3999999999",
		"not-before= is not before not-after="},
	{"slot=0 generation=2 side=enc key=" KEY("02") R1 " not-before=4000000000 not-after=4000000000",
		"not-before= is not before not-after="},
	{"level=x generation=1 side=enc key=" KEY("02"), "not among the `levels`"},
	{"slot=0 generation=2 side=enc from=1/2" R1, "from= names 2 levels"},
	{"slot=0 generation=2 side=enc from=1/2/3/4" R1, "from="},
	{"slot=0 generation=2 side=enc key=0011" R1, "key= must be"},
	{"slot=0 generation=2 side=enc" R1, "key= is missing"},
	{"slot=0 generation=2 side=enc key=" KEY("02"), "receiver= is missing"},
	{"shlot=0", "unknown field 'shlot'"},
};

static void what_is_wrong_names_its_line_and_changes_nothing(void)
{
	struct ring ring;
	unsigned i, last;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, MASTER);
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		CU_ASSERT_TRUE(change(&ring, refusals[i].text) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, refusals[i].says));
		CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "update:1: "));
		CU_ASSERT_PTR_NULL(strstr(ring.error.text, "8899aabb"));
		if (!strstr(ring.error.text, refusals[i].says))
			printf("# wanted '%s', said: %s\n", refusals[i].says, ring.error.text);
		CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
		CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 1, 0, 4, &last), HK_REASON_OK);
	}
	ring_free(&ring);
}

/* A pool of cells that a retired key was in holds none of its bytes. */
static void what_goes_is_wiped_and_says_why(void)
{
	struct ring ring;
	const __u8 *explicit_cell, *master_cell;
	__u8 zero[32] = {0};
	__u32 index;
	struct hk_address to = address("192.0.2.1");

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		MASTER "slot=1 generation=2 side=enc key=" KEY("02") R1
		"\nreceiver=192.0.2.1 spi=9 version=4 side=enc key=00112233445566778899aabbccddee03\n");
	index = hk_key_find_explicit(ring.keyring, 0, &to, 9, 4);
	explicit_cell = ring.keyring->entries[index].cell;
	master_cell = ring.keyring->entries[1].cell;
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(change(&ring, "retire receiver=192.0.2.1 spi=9 version=4\n"
				      "retire slot=1 generation=2" R1 "\n"),
		0);
	CU_ASSERT_EQUAL(ring.result.retired, 2);
	CU_ASSERT_EQUAL(memcmp(explicit_cell, zero, 32), 0);
	CU_ASSERT_EQUAL(memcmp(master_cell, zero, 32), 0);
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_STALE_KEY);
	CU_ASSERT_EQUAL(reason_of(&ring, 8, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 1), HK_REASON_STALE_KEY);
	/* a new key in the same place takes over */
	CU_ASSERT_EQUAL(
		change(&ring,
			"receiver=192.0.2.1 spi=9 version=4 side=enc key=00112233445566778899aabbccddee04\n"),
		0);
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_OK);
	ring_free(&ring);
}

static void keys_have_their_time(void)
{
	__u64 now = (__u64)time(NULL) + 1000;
	char text[1024];
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "");
	snprintf(text, sizeof(text),
		"slot=0 generation=1 side=enc key=" KEY("01") R1
		" not-before=%llu not-after=%llu\n"
		"receiver=192.0.2.1 spi=9 version=4 side=enc key=00112233445566778899aabbccddee03 "
		"not-before=%llu not-after=%llu\n",
		now + 10, now + 20, now + 11, now + 21);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	CU_ASSERT_EQUAL(tick(&ring, now), 0);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 0), HK_REASON_KEY_NOT_YET);
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_KEY_NOT_YET);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 1), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(tick(&ring, now + 10), 1);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_KEY_NOT_YET);
	CU_ASSERT_EQUAL(tick(&ring, now + 11), 1);
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(tick(&ring, now + 19), 0);
	CU_ASSERT_EQUAL(tick(&ring, now + 20), 1);
	CU_ASSERT_EQUAL(ring.result.expired, 1);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 0), HK_REASON_KEY_EXPIRED);
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(tick(&ring, now + 21), 1);
	CU_ASSERT_EQUAL(reason_of(&ring, 9, 0), HK_REASON_KEY_EXPIRED);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 0);
	ring_free(&ring);
}

static void a_rotation_gives_older_ones_an_end(void)
{
	struct hk_key_update update = {.name = "update", .rotate = true, .grace_s = 60};
	struct ring ring;
	__u64 now;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, MASTER);
	now = ring.keyring->now_s;
	update.domain = &ring.box.domains[0];
	update.text = "slot=1 generation=2 side=enc key=" KEY("02") R1 "\n";
	CU_ASSERT_EQUAL(change_with(&ring, &update), 0);
	CU_ASSERT_EQUAL(ring.result.graced, 1);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 0), HK_REASON_OK);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 1), HK_REASON_OK);
	tick(&ring, now + 59);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 0), HK_REASON_OK);
	tick(&ring, now + 61);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 0), HK_REASON_KEY_EXPIRED);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 1), HK_REASON_OK);
	ring_free(&ring);
}

static void a_file_is_one_change(void)
{
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, MASTER);
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", "slot=1 generation=2 side=enc key=" KEY("02") R1 "\n"), 0);
	CU_ASSERT_EQUAL(
		whole(&ring, "d/b.keys", "receiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("03") "\n"),
		0);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 3);
	/* what another file says is not for this one to say */
	CU_ASSERT_EQUAL(whole(&ring, "d/b.keys", MASTER), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ring.error.text, "d/b.keys:1: the same receiver, slot and generation as 0.keys:1"));
	/* half a line: the old content stays */
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", "slot=1 generation=3 side=enc key=0011"), -EINVAL);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 1), HK_REASON_OK);
	/* the next generation instead */
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", "slot=1 generation=3 side=enc key=" KEY("04") R1 "\n"), 0);
	CU_ASSERT_EQUAL(ring.result.added, 1);
	CU_ASSERT_EQUAL(ring.result.retired, 1);
	CU_ASSERT_EQUAL(whole(&ring, "d/b.keys", ""), 0);
	CU_ASSERT_EQUAL(ring.result.retired, 1);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 2);
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", "retire slot=1 generation=3" R1), -EINVAL);
	ring_free(&ring);
}

/* What came over the control socket and stands in a file now is the file's: with the file it goes. */
static void a_file_takes_over(void)
{
	static const char next[] = "slot=1 generation=2 side=enc key=" KEY("02") R1 "\n";
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, MASTER);
	CU_ASSERT_EQUAL(change(&ring, next), 0);
	/* another key in the same place, and the same line twice, are refused; nothing changes hands */
	CU_ASSERT_EQUAL(
		whole(&ring, "d/a.keys", "slot=1 generation=2 side=enc key=" KEY("05") R1 "\n"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "as the control socket:1: keep one"));
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys",
				"slot=1 generation=2 side=enc key=" KEY("02") R1
				"\nslot=1 generation=2 side=enc key=" KEY("02") R1 "\n"),
		-EINVAL);
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", ""), 0);
	CU_ASSERT_EQUAL(ring.result.retired, 0);
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", next), 0);
	CU_ASSERT_EQUAL(ring.result.known, 1);
	CU_ASSERT_EQUAL(ring.result.added, 0);
	CU_ASSERT_EQUAL(whole(&ring, "d/b.keys", next), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "as d/a.keys:1: keep one"));
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", next), 0);
	CU_ASSERT_EQUAL(reason_of(&ring, 1, 1), HK_REASON_OK);
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", ""), 0);
	CU_ASSERT_EQUAL(ring.result.retired, 1);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
	ring_free(&ring);
}

/* What the control socket gave goes on over a reload; what a file has by then is the file's. */
static void a_reload_keeps_what_came_meanwhile(void)
{
	struct hk_keyring *next = NULL;
	struct ring ring;
	unsigned last;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, MASTER);
	CU_ASSERT_EQUAL(change(&ring, "slot=1 generation=2 side=enc key=" KEY("02") R1
				"\nreceiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("03") "\n"),
		0);
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring.box.arena, &ring.box.config, &ring.box.files, &ring.box.error), 0);
	CU_ASSERT_EQUAL(hk_keyring_carry(next, ring.keyring, &ring.box.config), 0);
	hk_keyring_adopt(next, ring.keyring);
	hk_keyring_free(ring.keyring);
	ring.keyring = next;
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 1, 1, 4, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 2);
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 9, 0, 5, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 3);
	ring_free(&ring);
}

/* Thousands of seeded changes against a model that keeps it simple. */
static void changes_against_a_model(void)
{
	enum { SPIS = 48, STEPS = 4000 };
	unsigned model[SPIS] = {0}, step, spi, last, reason, serial = 0;
	__u64 seed = 1;
	char text[256];
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "");
	for (step = 0; step < STEPS; step++) {
		spi = (unsigned)(random_next(&seed) % SPIS);
		if (model[spi])
			snprintf(text, sizeof(text), "retire receiver=192.0.2.1 spi=%u version=5\n", spi + 1);
		else
			snprintf(text, sizeof(text),
				"receiver=192.0.2.1 spi=%u version=5 side=enc key=%060x%04x\n", spi + 1,
				step + 1, ++serial & 0xffff);
		CU_ASSERT_EQUAL(change(&ring, text), 0);
		model[spi] = model[spi] ? 0 : serial;
		spi = (unsigned)(random_next(&seed) % SPIS);
		reason = choose(&ring, "192.0.2.1", spi + 1, 0, 5, &last);
		CU_ASSERT_EQUAL(reason == HK_REASON_OK, model[spi] != 0);
		if (model[spi]) {
			CU_ASSERT_EQUAL(last, model[spi] & 0xff);
		} else {
			CU_ASSERT_TRUE(reason == HK_REASON_NO_KEY || reason == HK_REASON_STALE_KEY);
		}
	}
	ring_free(&ring);
}

/* How many rows a lookup looks at: a count, which tells of the shape and not of the machine. */
static unsigned probes_of(const struct hk_keyring *keyring, const struct hk_key_row *row)
{
	const struct hk_key_table *table = &keyring->explicit_table;
	__u32 hash = hk_key_explicit_hash(row->domain, &row->receiver.address, row->spi, hk_key_variant(row));
	__u32 index = hk_key_find(keyring, row);
	unsigned probes = 1;

	while (table->rows[hash & table->mask] && table->rows[hash & table->mask] != index + 1) {
		hash++;
		probes++;
	}
	return probes;
}

#define MANY (1000u * 1000)

static char *many_lines(unsigned count)
{
	size_t room = (size_t)count * 128 + 1, used = 0;
	char *text = malloc(room);
	unsigned i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, room - used,
			"receiver=192.0.2.1 spi=%u version=4 side=enc key=%032x\n", i + 1, i + 1);
	return text;
}

static double mean_probes(const struct hk_keyring *keyring, unsigned count)
{
	struct hk_key_row row = {.is_explicit = true,
		.has_receiver = true,
		.version = 4,
		.receiver = {.address = address("192.0.2.1"), .length = 128}};
	__u64 sum = 0, seed = 7;
	unsigned i;

	for (i = 0; i < 10000; i++) {
		row.spi = (unsigned)(random_next(&seed) % count) + 1;
		sum += probes_of(keyring, &row);
	}
	return (double)sum / 10000;
}

static void a_million_keys_are_looked_up_as_one(void)
{
	static const unsigned counts[] = {1000, MANY};
	struct ring ring;
	char *text;
	unsigned i;

	for (i = 0; i < 2; i++) {
		memset(&ring, 0, sizeof(ring));
		box_init(&ring.box);
		hk_arena_free(ring.box.arena);
		ring.box.arena = hk_arena_new(counts[i] + 16);
		text = many_lines(counts[i]);
		box_domain(&ring.box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, text);
		free(text);
		CU_ASSERT_EQUAL_FATAL(hk_keyring_new(&ring.keyring, ring.box.arena, &ring.box.config,
					      &ring.box.files, &ring.box.error),
			0);
		CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), counts[i]);
		/* at most half full: 1.5 rows each on average, however many there are */
		CU_ASSERT_TRUE(mean_probes(ring.keyring, counts[i]) < 1.8);
		/* one more and one less touch neither the others nor their order */
		CU_ASSERT_EQUAL(change(&ring, "receiver=192.0.2.2 spi=5 version=4 side=enc "
					      "key=ff112233445566778899aabbccddee03\n"),
			0);
		CU_ASSERT_EQUAL(change(&ring, "retire receiver=192.0.2.1 spi=77 version=4\n"), 0);
		CU_ASSERT_EQUAL(reason_of(&ring, 77, 0), HK_REASON_STALE_KEY);
		CU_ASSERT_EQUAL(reason_of(&ring, 78, 0), HK_REASON_OK);
		CU_ASSERT_TRUE(mean_probes(ring.keyring, counts[i]) < 1.8);
		ring_free(&ring);
	}
}

static void levels_combine_by_the_formula(void)
{
	static const char levels[3][17] = {"region", "group", "task"};
	struct hk_kdf_levels want = {.count = 3};
	__u8 master[32];
	struct ring ring;
	unsigned i;
	struct hk_address to = address("192.0.2.1");
	struct hk_key_request request = {.receiver = &to, .spi = 1, .id = 1, .slot = 1, .variant = 4};
	struct hk_key_choice choice;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, MASTER);
	ring.box.domains[0].levels_count = 3;
	memcpy(ring.box.domains[0].levels, levels, sizeof(levels));
	CU_ASSERT_EQUAL(
		change(&ring,
			"level=region generation=1 side=enc key=" KEY(
				"11") "\n"
				      "level=group generation=7 side=enc key=" KEY(
					      "12") "\n"
						    "level=task generation=3 side=enc key=" KEY(
							    "13") " not-after=4000000000\n"
								  "slot=1 generation=1 side=enc from=1/7/3" R1
								  "\n"),
		0);
	for (i = 0; i < 3; i++) {
		hk_hex_parse(KEY("00"), 64, want.root[i], 32);
		want.root[i][15] = want.root[i][31] = (__u8)(0x11 + i);
		memcpy(want.id[i], levels[i], strlen(levels[i]));
	}
	hk_kdf_combine(&want, HK_SIDE_ENC, master);
	CU_ASSERT_EQUAL(hk_keyring_choose(ring.keyring, &request, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(memcmp(choice.master->schedule, master, 32), 0);
	CU_ASSERT_EQUAL(ring.keyring->entries[choice.entry].row.not_after, 4000000000u);
	/* a root that is not there, by its level */
	CU_ASSERT_EQUAL(change(&ring, "slot=1 generation=2 side=enc from=1/8/3" R1 "\n"), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "no generation 8 of level 'group'"));
	/* one level's next generation and the key of it, in one change */
	CU_ASSERT_EQUAL(change(&ring, "level=group generation=8 side=enc key=" KEY(
					      "14") "\n"
						    "slot=0 generation=2 side=enc from=1/8/3" R1 "\n"),
		0);
	CU_ASSERT_EQUAL(change(&ring, "retire level=group generation=7\n"), 0);
	CU_ASSERT_EQUAL(change(&ring, "slot=1 generation=9 side=enc from=1/7/3" R1 "\n"), -ENOENT);
	ring_free(&ring);
}

/* An independent value: python3 hmac/hashlib over the formula of docs/wire-formats.md. */
static void levels_are_the_published_formula(void)
{
	struct hk_kdf_levels levels = {.count = 2, .id = {"eu", "ops"}};
	__u8 enc[32], auth[32], reader[32], want[32];
	unsigned i;

	for (i = 0; i < 32; i++) {
		levels.root[0][i] = (__u8)i;
		levels.root[1][i] = (__u8)(0x80 + i);
	}
	hk_kdf_combine(&levels, HK_SIDE_ENC, enc);
	hk_kdf_combine(&levels, HK_SIDE_AUTH, auth);
	hk_kdf_combine(&levels, HK_SIDE_READER, reader);
	hk_hex_parse("bfee249b26a35db7ed2238cdd0c8ba208488fe9cfa283f78a0f52ec7ac5032f6", 64, want, 32);
	CU_ASSERT_EQUAL(memcmp(enc, want, 32), 0);
	hk_hex_parse("14ce076ce2c4530378b24ee1bbaed3986dc78ccad7e33219150b462d6754500e", 64, want, 32);
	CU_ASSERT_EQUAL(memcmp(auth, want, 32), 0);
	hk_hex_parse("6b158a62b48558b2960e3c6450aa66c5c5bb7f9bba8dea5a0238fca9cd92f90a", 64, want, 32);
	CU_ASSERT_EQUAL(memcmp(reader, want, 32), 0);
}

/* Where a context names its master key, as the levels' draft has it. */
static void levels_serve_derived_key_contexts(void)
{
	static const __u8 envelopes[] = {
		HK_ENVELOPE_EESP, HK_ENVELOPE_WESP, HK_ENVELOPE_TSS, HK_ENVELOPE_DTLS};
	struct hk_key_request request = {.spi = 0x1000, .id = 7};
	struct hk_address to = address("192.0.2.1");
	struct hk_key_choice choice;
	struct ring ring;
	unsigned i;

	request.receiver = &to;
	for (i = 0; i < sizeof(envelopes); i++) {
		ring_init(&ring, envelopes[i], HK_PROFILE_SPLIT, 0, "");
		ring.box.domains[0].levels_count = 2;
		memcpy(ring.box.domains[0].levels, (const char[2][17]){"eu", "ops"}, 2 * 17);
		CU_ASSERT_EQUAL(
			change(&ring,
				"level=eu generation=1 side=enc key=" KEY(
					"11") "\n"
					      "level=ops generation=1 side=enc key=" KEY(
						      "12") "\n"
							    "slot=0 generation=1 id=7 side=enc from=1/1\n"),
			0);
		CU_ASSERT_EQUAL(hk_keyring_choose(ring.keyring, &request, &choice), HK_REASON_OK);
		ring_free(&ring);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"a change is whole or nothing", a_change_is_whole_or_nothing},
		{"what is wrong names its line and changes nothing",
			what_is_wrong_names_its_line_and_changes_nothing},
		{"what goes is wiped and says why", what_goes_is_wiped_and_says_why},
		{"keys have their time", keys_have_their_time},
		{"a rotation gives older ones an end", a_rotation_gives_older_ones_an_end},
		{"a file is one change", a_file_is_one_change},
		{"a file takes over what came over the control socket", a_file_takes_over},
		{"a reload keeps what came meanwhile", a_reload_keeps_what_came_meanwhile},
		{"changes against a model", changes_against_a_model},
		{"a million keys are looked up as one", a_million_keys_are_looked_up_as_one},
		{"levels combine by the formula", levels_combine_by_the_formula},
		{"levels are the published formula", levels_are_the_published_formula},
		{"levels serve derived-key contexts, TSS and DTLS as well",
			levels_serve_derived_key_contexts},
		{0},
	};
	return run_tests("keychange", tests);
}

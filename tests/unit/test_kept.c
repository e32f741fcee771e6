// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys that outlive an inspector: what its heir finds, what it must not find, and what damage does. */
#include "tests/unit/heir_help.h"

#include <sys/wait.h>

#define PUSHED "receiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("03") "\n"

static void an_heir_has_the_same_keys(void)
{
	struct heirs heirs;
	unsigned last, round;

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(change(&heirs.ring, PUSHED "slot=1 generation=2 side=enc key=" KEY("02") R1 "\n"), 0);
	for (round = 0; round < 3; round++) {
		crash(&heirs);
		CU_ASSERT_EQUAL(heirs.restored.keys, 2);
		CU_ASSERT_EQUAL(heirs.restored.lost, 0);
		CU_ASSERT_EQUAL(hk_keyring_count(heirs.ring.keyring), 3);
		CU_ASSERT_EQUAL(reason(&heirs, 9, 0, &last), HK_REASON_OK);
		CU_ASSERT_EQUAL(last, 3);
		CU_ASSERT_EQUAL(reason(&heirs, 1, 1, &last), HK_REASON_OK);
		CU_ASSERT_EQUAL(last, 2);
		CU_ASSERT_EQUAL(marked(&heirs), 2);
	}
	heirs_free(&heirs);
}

/* The memory itself, as a dying inspector may leave it: the first member of what is kept.c's own. */
static __u8 *record_bytes(struct hk_kept *kept, __u32 place)
{
	return *(__u8 **)kept + (size_t)(place - 1) * 120;
}

static unsigned bytes_left(struct hk_kept *kept, __u32 places)
{
	unsigned i, left = 0;

	for (i = 0; i < places * 120; i++)
		left += record_bytes(kept, 1)[i] != 0;
	return left;
}

/* Retired, expired, replaced by a file: nothing of it is left to find. */
static void what_went_is_not_inherited(void)
{
	struct heirs heirs;
	struct hk_key_line line;
	unsigned last;
	__u16 domain;
	__u64 end;
	char text[256];

	heirs_init(&heirs);
	end = heirs.ring.keyring->now_s + 100;
	snprintf(text, sizeof(text),
		PUSHED "receiver=192.0.2.1 spi=10 version=5 side=enc key=" KEY("04") " not-after=%llu\n",
		end);
	CU_ASSERT_EQUAL(change(&heirs.ring, text), 0);
	CU_ASSERT_EQUAL(change(&heirs.ring, "slot=1 generation=2 side=enc key=" KEY("05") R1 "\n"), 0);
	CU_ASSERT_EQUAL(marked(&heirs), 3);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire receiver=192.0.2.1 spi=9 version=5\n"), 0);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=1 generation=2" R1 "\n"), 0);
	CU_ASSERT_EQUAL(marked(&heirs), 1);
	CU_ASSERT_EQUAL(hk_kept_read(heirs.kept, hk_kept_next(heirs.kept, 0), &domain, &line), 0);
	CU_ASSERT_EQUAL(line.spi, 10);
	crash(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.keys, 1);
	CU_ASSERT_EQUAL(reason(&heirs, 9, 0, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 1); /* derived: the file's */
	CU_ASSERT_EQUAL(tick(&heirs.ring, end), 1);
	CU_ASSERT_EQUAL(marked(&heirs), 0);
	CU_ASSERT_EQUAL(hk_kept_read(heirs.kept, 1, &domain, &line), -EINVAL);
	CU_ASSERT_EQUAL(bytes_left(heirs.kept, 4), 0);
	heirs_free(&heirs);
}

/* Times that a rotation gave are inherited; what is over meanwhile is not. */
static void times_are_inherited(void)
{
	struct hk_key_update update = {.name = "update", .rotate = true, .grace_s = 60};
	struct heirs heirs;
	struct hk_key_line line;
	__u16 domain;

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(change(&heirs.ring, "slot=1 generation=2 side=enc key=" KEY("02") R1 "\n"), 0);
	update.domain = &heirs.ring.box.domains[0];
	update.text = "slot=0 generation=3 side=enc key=" KEY("03") R1 "\n";
	CU_ASSERT_EQUAL(change_with(&heirs.ring, &update), 0);
	CU_ASSERT_EQUAL(hk_kept_read(heirs.kept, hk_kept_next(heirs.kept, 0), &domain, &line), 0);
	CU_ASSERT_EQUAL(line.generation, 2);
	CU_ASSERT_EQUAL(line.not_after, heirs.ring.keyring->now_s + 60);
	hk_kept_retime(heirs.kept, 1, 0, 1000);
	crash(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.keys, 1);
	CU_ASSERT_EQUAL(heirs.restored.lost, 0);
	CU_ASSERT_EQUAL(marked(&heirs), 1);
	heirs_free(&heirs);
}

/* A reload hands the records on: those of keys that fit no more go. */
static void a_reload_hands_records_on(void)
{
	struct hk_keyring *next = NULL;
	struct heirs heirs;
	struct ring *ring = &heirs.ring;
	unsigned last;

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(
		change(ring, PUSHED "receiver=192.0.2.2 spi=10 version=5 side=enc key=" KEY("04") "\n"), 0);
	ring->box.domains[0].receivers_count = 1;
	ring->box.receivers[0][0] = (struct hk_prefix){.address = address("192.0.2.1"), .length = 128};
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring->box.arena, &ring->box.config, &ring->box.files, &ring->box.error),
		0);
	CU_ASSERT_EQUAL(hk_keyring_carry(next, ring->keyring, &ring->box.config), 1);
	CU_ASSERT_EQUAL(marked(&heirs), 2); /* until it is in force */
	hk_keyring_inherit(next, ring->keyring);
	hk_keyring_free(ring->keyring);
	ring->keyring = next;
	CU_ASSERT_EQUAL(marked(&heirs), 1);
	CU_ASSERT_EQUAL(change(ring, "receiver=192.0.2.1 spi=11 version=5 side=enc key=" KEY("05") "\n"), 0);
	CU_ASSERT_EQUAL(marked(&heirs), 2);
	crash(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.keys, 2);
	CU_ASSERT_EQUAL(reason(&heirs, 9, 0, &last), HK_REASON_OK);
	CU_ASSERT_EQUAL(last, 3);
	heirs_free(&heirs);
}

/* A key that expires between a reload's build and its swap leaves its room to nobody twice. */
static void what_expires_in_a_reload_is_dropped_once(void)
{
	struct hk_keyring *next = NULL;
	struct heirs heirs;
	struct ring *ring = &heirs.ring;
	char text[256];
	__u64 end;

	heirs_init(&heirs);
	end = ring->keyring->now_s + 100;
	snprintf(text, sizeof(text),
		"receiver=192.0.2.1 spi=10 version=5 side=enc key=" KEY("04") " not-after=%llu\n", end);
	CU_ASSERT_EQUAL(change(ring, text), 0);
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring->box.arena, &ring->box.config, &ring->box.files, &ring->box.error),
		0);
	CU_ASSERT_EQUAL(hk_keyring_carry(next, ring->keyring, &ring->box.config), 0);
	CU_ASSERT_EQUAL(tick(ring, end), 1);
	hk_keyring_inherit(next, ring->keyring);
	hk_keyring_free(ring->keyring);
	ring->keyring = next;
	CU_ASSERT_EQUAL(change(ring, PUSHED), 0); /* in the same room */
	CU_ASSERT_EQUAL(tick(ring, end), 1);
	CU_ASSERT_EQUAL(marked(&heirs), 1);
	crash(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.keys, 1);
	heirs_free(&heirs);
}

/* A key that may be the cause of crashes: all of them go, and what was said of the file's key stays. */
static void suspects_go_and_words_stay(void)
{
	struct heirs heirs;

	heirs_init(&heirs);
	CU_ASSERT_EQUAL(change(&heirs.ring, PUSHED "slot=1 generation=2 side=enc key=" KEY("02") R1 "\n"), 0);
	CU_ASSERT_EQUAL(change(&heirs.ring, "retire slot=0 generation=1" R1 "\n"), 0);
	hk_keyring_free(heirs.ring.keyring);
	CU_ASSERT_EQUAL(hk_kept_open(heirs.kept), 0);
	CU_ASSERT_EQUAL(hk_kept_drop_keys(heirs.kept), 2);
	CU_ASSERT_EQUAL(marked(&heirs), 0);
	CU_ASSERT_EQUAL(hk_kept_words(heirs.kept), 1);
	CU_ASSERT_EQUAL_FATAL(hk_keyring_new(&heirs.ring.keyring, heirs.ring.box.arena,
				      &heirs.ring.box.config, &heirs.ring.box.files, &heirs.ring.box.error),
		0);
	begin(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.keys, 0);
	CU_ASSERT_EQUAL(heirs.restored.words, 1);
	CU_ASSERT_EQUAL(hk_keyring_count(heirs.ring.keyring), 0);
	heirs_free(&heirs);
}

static void half_a_change_is_not_inherited(void)
{
	struct hk_key_update update = {.name = "update", .text = PUSHED};
	struct hk_key_change *prepared = NULL;
	struct heirs heirs;
	struct hk_error error = {{0}};

	heirs_init(&heirs);
	update.domain = &heirs.ring.box.domains[0];
	CU_ASSERT_EQUAL_FATAL(hk_keyring_prepare(&prepared, heirs.ring.keyring, &update, &error), 0);
	CU_ASSERT_EQUAL(marked(&heirs), 0);
	hk_key_change_free(prepared); /* refused, or the end of everything */
	crash(&heirs);
	CU_ASSERT_EQUAL(heirs.restored.keys, 0);
	/* what was refused took no room: 63 more fit beside the file's key */
	CU_ASSERT_EQUAL(change(&heirs.ring, PUSHED), 0);
	CU_ASSERT_EQUAL(marked(&heirs), 1);
	heirs_free(&heirs);
}

/* Thousands of damaged records: taken as a key or refused, and nothing else; every one is looked at once. */
static void damage_is_harmless(void)
{
	struct hk_key_line line, good = {.form = HK_KEY_PSP,
					 .is_explicit = true,
					 .side = HK_SIDE_ENC,
					 .has_receiver = true,
					 .spi = 9,
					 .version = 5,
					 .key_size = 32};
	__u64 seed = 5;
	struct heirs heirs;
	unsigned round, i;
	__u32 place;
	__u16 domain;

	heirs_init(&heirs);
	good.receiver = (struct hk_prefix){.address = address("192.0.2.1"), .length = 128};
	for (round = 0; round < 4000; round++) {
		random_fill(&seed, good.key, sizeof(good.key));
		place = hk_kept_put(heirs.kept, 0, &good);
		CU_ASSERT_FATAL(place != 0);
		for (i = (unsigned)(random_next(&seed) % 6); i; i--)
			record_bytes(heirs.kept, place)[4 + random_next(&seed) % 116] =
				(__u8)random_next(&seed);
		hk_kept_mark(heirs.kept, place);
		if (!hk_kept_read(heirs.kept, place, &domain, &line)) {
			CU_ASSERT_TRUE(line.slot < HK_KEY_SLOTS && line.key_size <= 32 &&
				       line.receiver.length <= 128 &&
				       strlen(line.level) <= HK_KEY_LEVEL_NAME);
		}
		crash(&heirs);
		CU_ASSERT_EQUAL(marked(&heirs), heirs.restored.keys);
		while ((place = hk_kept_next(heirs.kept, 0)))
			hk_kept_drop(heirs.kept, place);
	}
	heirs_free(&heirs);
}

static const struct hk_key_line kinds[] = {
	{.form = HK_KEY_MASTER,
		.side = HK_SIDE_ENC,
		.version = -1,
		.slot = 3,
		.has_id = true,
		.id = 0xffffff},
	{.form = HK_KEY_MASTER, .side = HK_SIDE_READER, .version = -1, .generation = 0xffffffff},
	{.form = HK_KEY_LEVEL, .side = HK_SIDE_SINGLE, .version = -1, .level = "sixteen-letters-"},
	{.form = HK_KEY_PSP, .side = HK_SIDE_SINGLE, .version = 0, .key_size = 16, .spi = 0x80000001},
	{.form = HK_KEY_PSP, .side = HK_SIDE_ENC, .version = 5, .spi = 1},
	{.form = HK_KEY_ESP,
		.side = HK_SIDE_ENC,
		.version = -1,
		.suite = HK_SUITE_GCM_SPLIT,
		.has_salt = true},
	{.form = HK_KEY_ESP, .side = HK_SIDE_ENC, .version = -1, .suite = HK_SUITE_CBC_HMAC},
	{.form = HK_KEY_ROOT, .side = HK_SIDE_SINGLE, .version = -1, .spi = 256},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A kind with all that its lines have in common. */
static struct hk_key_line whole_line(unsigned kind)
{
	struct hk_key_line line = kinds[kind];

	line.is_explicit = line.form == HK_KEY_PSP || line.form == HK_KEY_ESP || line.form == HK_KEY_ROOT;
	line.has_receiver = line.is_explicit;
	if (line.is_explicit)
		line.receiver = (struct hk_prefix){.address = address("192.0.2.1"), .length = 128};
	line.key_size = line.key_size ? line.key_size : 32;
	line.not_before = 1000 + kind;
	line.not_after = 2000 + kind;
	memset(line.key, 0x11 + (int)kind, line.key_size);
	if (line.has_salt)
		memset(line.salt, 0x77, sizeof(line.salt));
	return line;
}

/* Nothing of a line is lost or changed but its place in a text. */
static void every_kind_of_key_comes_back_whole(void)
{
	struct hk_kept *kept = hk_kept_new(KINDS);
	struct hk_key_line line, back;
	__u16 domain;
	__u32 place;
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(hk_kept_open(kept), 0);
	for (i = 0; i < KINDS; i++) {
		line = whole_line(i);
		place = hk_kept_put(kept, (__u16)(60 + i), &line);
		hk_kept_mark(kept, place);
		memset(&back, 0xff, sizeof(back));
		CU_ASSERT_EQUAL(hk_kept_read(kept, place, &domain, &back), 0);
		CU_ASSERT_EQUAL(domain, 60 + i);
		CU_ASSERT(back.form == line.form && back.is_explicit == line.is_explicit && !back.retire);
		CU_ASSERT(back.side == line.side && back.slot == line.slot && back.spi == line.spi);
		CU_ASSERT(back.generation == line.generation && back.version == line.version);
		CU_ASSERT(back.suite == line.suite && back.key_size == line.key_size);
		CU_ASSERT(back.has_id == line.has_id && back.id == line.id);
		CU_ASSERT(back.not_before == line.not_before && back.not_after == line.not_after);
		CU_ASSERT(back.has_receiver == line.has_receiver && back.has_salt == line.has_salt);
		CU_ASSERT_EQUAL(memcmp(&back.receiver, &line.receiver, sizeof(line.receiver)), 0);
		CU_ASSERT_EQUAL(memcmp(back.key, line.key, sizeof(line.key)), 0);
		CU_ASSERT_EQUAL(memcmp(back.salt, line.salt, sizeof(line.salt)), 0);
		CU_ASSERT_STRING_EQUAL(back.level, line.level);
	}
	CU_ASSERT_EQUAL(hk_kept_put(kept, 0, &line), 0); /* full */
	hk_kept_drop(kept, 3);
	CU_ASSERT_EQUAL(hk_kept_put(kept, 0, &line), 3);
	hk_kept_free(kept);
	hk_kept_free(NULL);
}

/* What a dying inspector had half written, or gave up, is wiped; and the last place is looked at, too. */
static void no_half_record_stays(void)
{
	struct hk_key_line line = whole_line(0);
	struct hk_kept *kept = hk_kept_new(3);
	__u32 places[3], place = 0;
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(hk_kept_open(kept), 0);
	for (i = 0; i < 3; i++)
		places[i] = hk_kept_put(kept, 0, &line);
	CU_ASSERT_EQUAL(hk_kept_next(kept, 0), 0);
	CU_ASSERT_NOT_EQUAL(bytes_left(kept, 3), 0);
	CU_ASSERT_EQUAL_FATAL(hk_kept_open(kept), 0);
	CU_ASSERT_EQUAL(bytes_left(kept, 3), 0);
	for (i = 0; i < 3; i++) {
		places[i] = hk_kept_put(kept, 0, &line);
		hk_kept_mark(kept, places[i]);
	}
	for (i = 1; i <= 3; i++) {
		place = hk_kept_next(kept, place);
		CU_ASSERT_EQUAL(place, i);
	}
	CU_ASSERT_EQUAL(hk_kept_next(kept, place), 0);
	CU_ASSERT_EQUAL_FATAL(hk_kept_open(kept), 0);
	CU_ASSERT_EQUAL(hk_kept_put(kept, 0, &line), 0); /* all three count */
	for (i = 0; i < 3; i++)
		hk_kept_drop(kept, places[i]);
	CU_ASSERT_EQUAL(bytes_left(kept, 3), 0);
	hk_kept_free(kept);
}

/* Where a field stands in a record, and a value beside its bounds. */
enum {
	AT_PREFIX = 48,
	AT_FORM,
	AT_SIDE,
	AT_SUITE,
	AT_SLOT,
	AT_SIZE,
	AT_RECEIVER,
	AT_ID,
	AT_VERSION,
	AT_LEVEL = 64
};

static void no_field_leaves_its_bounds(void)
{
	static const struct {
		unsigned kind, at;
		__u8 value;
	} rows[] = {{4, AT_PREFIX, 129}, {4, AT_FORM, HK_KEY_COMBINED}, {4, AT_FORM, HK_KEY_SENDER},
		{4, AT_SIDE, HK_SIDE_READER + 1}, {6, AT_SUITE, HK_SUITE_CBC_HMAC + 1}, {0, AT_SLOT, 4},
		{4, AT_SIZE, 0}, {4, AT_SIZE, 31}, {4, AT_SIZE, 33}, {5, AT_SIZE, 16}, {0, AT_SIZE, 16},
		{0, AT_RECEIVER, 2}, {4, AT_RECEIVER, 0}, {5, AT_RECEIVER, 0}, {7, AT_RECEIVER, 0},
		{0, AT_ID, 2}, {0, AT_VERSION, 0xfe}, {4, AT_VERSION, 6}, {0, AT_LEVEL, 'x'},
		{2, AT_LEVEL, 0}, {2, AT_LEVEL + 16, 'x'}};
	struct hk_kept *kept = hk_kept_new(2);
	struct hk_key_line line;
	__u16 domain;
	__u32 place;
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(hk_kept_open(kept), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		line = whole_line(rows[i].kind);
		place = hk_kept_put(kept, 0, &line);
		hk_kept_mark(kept, place);
		CU_ASSERT_EQUAL(hk_kept_read(kept, place, &domain, &line), 0);
		record_bytes(kept, place)[rows[i].at] = rows[i].value;
		CU_ASSERT_EQUAL(hk_kept_read(kept, place, &domain, &line), -EINVAL);
		hk_kept_drop(kept, place);
	}
	hk_kept_free(kept);
}

/* What the kernel knows of the memory: not in core files; and it is one for parent and child. */
static void the_memory_is_shared_and_secret(void)
{
	struct hk_key_line line = {.form = HK_KEY_MASTER, .side = HK_SIDE_ENC, .version = -1, .key_size = 32};
	struct hk_kept *kept = hk_kept_new(4);
	char row[256];
	bool found = false, dumped = true;
	FILE *maps = fopen("/proc/self/smaps", "r");
	pid_t child;
	int status;

	CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
	while (maps && fgets(row, sizeof(row), maps)) {
		if (strstr(row, "/dev/zero"))
			found = true;
		else if (found && strncmp(row, "VmFlags:", 8) == 0) {
			dumped = !strstr(row, " dd");
			break;
		}
	}
	if (maps)
		fclose(maps);
	CU_ASSERT_TRUE(found);
	CU_ASSERT_FALSE(dumped);
	child = fork();
	if (child == 0) {
		status = hk_kept_open(kept);
		hk_kept_mark(kept, status ? 1 : hk_kept_put(kept, 0, &line));
		_exit(status);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_NOT_EQUAL(hk_kept_next(kept, 0), 0);
	hk_kept_free(kept);
}

int main(void)
{
	static const struct test tests[] = {
		{"an heir has the same keys", an_heir_has_the_same_keys},
		{"what went is not inherited", what_went_is_not_inherited},
		{"times are inherited", times_are_inherited},
		{"a reload hands records on", a_reload_hands_records_on},
		{"what expires in a reload is dropped once", what_expires_in_a_reload_is_dropped_once},
		{"suspects go and words stay", suspects_go_and_words_stay},
		{"half a change is not inherited", half_a_change_is_not_inherited},
		{"damage is harmless", damage_is_harmless},
		{"every kind of key comes back whole", every_kind_of_key_comes_back_whole},
		{"no half record stays", no_half_record_stays},
		{"no field leaves its bounds", no_field_leaves_its_bounds},
		{"the memory is shared and secret", the_memory_is_shared_and_secret},
		{0},
	};
	return run_tests("kept", tests);
}

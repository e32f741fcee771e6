// SPDX-License-Identifier: GPL-2.0-or-later
/* What the list says of keys: which generation is current, whose line it is, and what came over the file's
 * word. */
#include <time.h>

#include "tests/unit/heir_help.h"

#define G(slot, generation, rest) \
	"slot=" slot " generation=" generation " side=enc key=" KEY("0" generation) R1 rest "\n"

struct states {
	char text[256]; /* "1:previous 2:current ..." by generation */
	char overriding[64];
	char sources[256];
};

static int state_seen(void *context, const struct hk_key_row *row)
{
	static const char *const names[] = {[HK_KEY_CURRENT] = "current",
		[HK_KEY_NEXT] = "next",
		[HK_KEY_PREVIOUS] = "previous",
		[HK_KEY_EARLY] = "early",
		[HK_KEY_EXPIRED] = "expired",
		[HK_KEY_RETIRED] = "retired"};
	struct states *states = context;
	size_t used = strlen(states->text);

	snprintf(states->text + used, sizeof(states->text) - used, "%u:%s ", row->generation,
		names[row->state]);
	used = strlen(states->overriding);
	if (row->overrides)
		snprintf(
			states->overriding + used, sizeof(states->overriding) - used, "%u ", row->generation);
	used = strlen(states->sources);
	snprintf(states->sources + used, sizeof(states->sources) - used, "%s ", row->source);
	return 0;
}

static const struct states *states_of(const struct ring *ring)
{
	static struct states states;

	memset(&states, 0, sizeof(states));
	CU_ASSERT_EQUAL(hk_keyring_list(ring->keyring, state_seen, &states), 0);
	return &states;
}

/* Of all slots of a receiver, the highest that packets use; none is used before a packet asks for it. */
static void the_current_one_is_in_use(void)
{
	struct hk_key_choice choice, other;
	struct ring ring;
	unsigned last;

	ring_init(
		&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, G("0", "1", "") G("1", "2", "") G("0", "3", ""));
	tick(&ring, (__u64)time(NULL));
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:previous 2:previous 3:current ");
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.1", 1, 1, 4, &last), HK_REASON_OK);
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:previous 2:current 3:next ");
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 0, 4, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(choice.generation, 3);
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:previous 2:previous 3:current ");
	/* the older one of the slot opened a packet: it is asked first, and is no more current for it */
	CU_ASSERT_TRUE(hk_keyring_other(ring.keyring, &choice, 0, &other));
	CU_ASSERT_EQUAL(other.generation, 1);
	hk_keyring_prefer(ring.keyring, &other);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 0, 4, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(choice.generation, 1);
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:previous 2:previous 3:current ");
	/* the highest goes: the highest that is used is current */
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=3" R1 "\n"), 0);
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:previous 2:current ");
	ring_free(&ring);
}

/* Another receiver's use says nothing, nor does a generation whose time has not come. */
static void each_receiver_has_its_own(void)
{
	struct ring ring;
	unsigned last;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		G("0", "1", "") "slot=1 generation=2 side=enc key=" KEY("12") " receiver=192.0.2.2\n" G(
			"1", "3", " not-before=4000000000"));
	tick(&ring, (__u64)time(NULL));
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:current 2:current 3:early ");
	CU_ASSERT_EQUAL(choose(&ring, "192.0.2.2", 1, 1, 4, &last), HK_REASON_OK);
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:current 2:current 3:early ");
	tick(&ring, 4000000000);
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->text, "1:previous 2:current 3:current ");
	ring_free(&ring);
}

/* A rotation gave a file's key an end that the file does not know. */
static void the_list_says_what_overrides_a_file(void)
{
	struct heirs heirs;

	heirs_init(&heirs);
	CU_ASSERT_STRING_EQUAL(states_of(&heirs.ring)->overriding, "");
	CU_ASSERT_EQUAL(change_with(&heirs.ring, &(struct hk_key_update){.domain = &heirs.ring.box.domains[0],
							 .name = "update",
							 .text = G("1", "2", ""),
							 .rotate = true,
							 .grace_s = 60}),
		0);
	CU_ASSERT_STRING_EQUAL(states_of(&heirs.ring)->overriding, "1 ");
	CU_ASSERT_STRING_EQUAL(states_of(&heirs.ring)->sources, "0.keys the control socket ");
	heirs_free(&heirs);
}

/* A file that says keys from the socket owns them all from then on, each by its own line. */
static void a_file_owns_every_line_it_takes_over(void)
{
	static const char *const lines[] = {G("0", "1", ""), G("1", "2", ""), G("0", "3", "")};
	char text[1024];
	struct ring ring;
	unsigned i;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "");
	snprintf(text, sizeof(text), "%s%s%s", lines[0], lines[1], lines[2]);
	CU_ASSERT_EQUAL(change(&ring, text), 0);
	CU_ASSERT_STRING_EQUAL(
		states_of(&ring)->sources, "the control socket the control socket the control socket ");
	snprintf(text, sizeof(text), "# mine\n%s\n%s%s", lines[2], lines[1], lines[0]);
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", text), 0);
	CU_ASSERT_EQUAL(ring.result.known, 3);
	CU_ASSERT_STRING_EQUAL(states_of(&ring)->sources, "d/a.keys d/a.keys d/a.keys ");
	for (i = 0; i < 3; i++) { /* another key in the place of each is told whose place it is */
		static const char *const others[] = {
			"slot=0 generation=1", "slot=1 generation=2", "slot=0 generation=3"};
		static const char *const places[] = {"d/a.keys:5", "d/a.keys:4", "d/a.keys:2"};

		snprintf(text, sizeof(text), "%s side=enc key=" KEY("77") R1 "\n", others[i]);
		CU_ASSERT_EQUAL(change(&ring, text), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, places[i]));
	}
	/* and take them along when it goes */
	CU_ASSERT_EQUAL(whole(&ring, "d/a.keys", ""), 0);
	CU_ASSERT_EQUAL(ring.result.retired, 3);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 0);
	ring_free(&ring);
}

/* Late packets have an hour, to the second, slot by slot; then nothing was there. */
static void an_hour_for_late_packets(void)
{
	struct hk_key_choice first, second;
	__u64 now = (__u64)time(NULL) + 10;
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		G("0", "1", "") G("1", "2", "") G("0", "3", "") G("1", "4", ""));
	tick(&ring, now);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 0, 4, &first), HK_REASON_OK);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 1, 4, &second), HK_REASON_OK);
	CU_ASSERT_TRUE(hk_keyring_watched(ring.keyring)); /* each slot holds two */
	CU_ASSERT_FALSE(hk_keyring_retired(ring.keyring, &first));
	CU_ASSERT_EQUAL(change(&ring, "retire slot=0 generation=1" R1 "\n"), 0);
	CU_ASSERT_TRUE(hk_keyring_retired(ring.keyring, &first));
	CU_ASSERT_FALSE(hk_keyring_retired(ring.keyring, &second));
	tick(&ring, now + 1800);
	CU_ASSERT_EQUAL(change(&ring, "retire slot=1 generation=2" R1 "\n"), 0);
	tick(&ring, now + 3599);
	CU_ASSERT_TRUE(hk_keyring_retired(ring.keyring, &first));
	tick(&ring, now + 3600);
	CU_ASSERT_FALSE(hk_keyring_retired(ring.keyring, &first));
	CU_ASSERT_TRUE(hk_keyring_retired(ring.keyring, &second));
	tick(&ring, now + 1800 + 3599);
	CU_ASSERT_TRUE(hk_keyring_watched(ring.keyring));
	tick(&ring, now + 1800 + 3600);
	CU_ASSERT_FALSE(hk_keyring_watched(ring.keyring));
	CU_ASSERT_FALSE(hk_keyring_retired(ring.keyring, &second));
	ring_free(&ring);
}

int main(void)
{
	static const struct test tests[] = {
		{"the current generation is in use", the_current_one_is_in_use},
		{"each receiver has its own", each_receiver_has_its_own},
		{"the list says what overrides a file", the_list_says_what_overrides_a_file},
		{"a file owns every line it takes over", a_file_owns_every_line_it_takes_over},
		{"an hour for late packets", an_hour_for_late_packets},
		{0},
	};
	return run_tests("keystates", tests);
}

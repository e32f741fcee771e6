// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which key opens a packet, rule by rule, with packets: thousands of seeded contexts
 * of every version and suite are sealed under the key that the rule names, which
 * opens them, and under a key that is wrong at one position, which does not and
 * says why: receiver, slot, generation, explicit before derived, each level's root,
 * and before, within and after a key's time. (Epochs: test_tss.c, test_eesp_broken.c.)
 */
#include "tests/unit/box_help.h"
#include "tests/unit/seal_context.h"
#include "user/crypto/levels.h"
#include "user/keys/tables.h"
#include "user/keys/update.h"

#define SAMPLES 192
#define SLOTS	4

static struct hk_crypto *crypto;

/* Who has keys: an address, the prefix around it, an IPv6 address; and one that has none. */
enum { ADDRESS, PREFIX, SIX, HOLDERS, NOBODY = HOLDERS };

static const struct {
	const char *line, *receiver, *source;
} holders[] = {
	{"192.0.2.9", "192.0.2.9", "192.0.2.1"},
	{"192.0.2.0/24", "192.0.2.77", "192.0.2.1"},
	{"2001:db8::9", "2001:db8::9", "2001:db8::1"},
	{NULL, "2001:db8::77", "2001:db8::1"},
};

struct scene {
	struct box box;
	const struct kind *kind;
	struct master masters[HOLDERS][SLOTS];
	unsigned slots;
	bool single;
	const char *side;
	__u64 seed;
};

static unsigned draw(struct scene *scene, unsigned below)
{
	return (unsigned)(random_next(&scene->seed) % below);
}

static void scene_make(struct scene *scene, const struct kind *kind, __u64 seed)
{
	char text[4096] = "", front[128];
	unsigned holder, slot;

	memset(scene, 0, sizeof(*scene));
	scene->kind = kind;
	scene->seed = seed;
	scene->single = hk_sa_profile(kind->envelope, kind->variant) == HK_PROFILE_SINGLE;
	scene->side = scene->single ? "single" : "enc";
	scene->slots = kind->envelope == HK_ENVELOPE_PSP ? 2 : SLOTS;
	for (holder = 0; holder < HOLDERS; holder++)
		for (slot = 0; slot < scene->slots; slot++) {
			master_random(&scene->masters[holder][slot], &scene->seed);
			snprintf(front, sizeof(front), "receiver=%s slot=%u generation=%u side=%s",
				holders[holder].line, slot, slot + 1, scene->side);
			key_line(text, sizeof(text), front, scene->masters[holder][slot].enc);
		}
	box_init(&scene->box);
	box_domain(&scene->box, kind->envelope, hk_sa_profile(kind->envelope, kind->variant),
		kind->envelope == HK_ENVELOPE_ESP ? kind->variant : 0, text);
	CU_ASSERT_EQUAL_FATAL(box_build(&scene->box, "libcrypto", BOX_FRAME, 0), 0);
}

static void change(struct scene *scene, const char *text)
{
	struct hk_key_update update = {.domain = &scene->box.domains[0], .name = "update", .text = text};
	struct hk_key_change *prepared = NULL;
	struct hk_error error = {{0}};

	if (hk_keyring_prepare(&prepared, scene->box.inspection->keyring, &update, &error))
		printf("# %s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(prepared);
	CU_ASSERT_EQUAL(hk_keyring_commit(prepared, NULL, &error), 0);
	hk_key_change_free(prepared);
}

static void tick(struct scene *scene, __u64 now_s)
{
	struct hk_key_change *due = hk_keyring_due(scene->box.inspection->keyring, now_s);

	CU_ASSERT_PTR_NOT_NULL_FATAL(due);
	CU_ASSERT_EQUAL(hk_keyring_commit(due, NULL, NULL), 0);
	hk_key_change_free(due);
}

/* A packet for a holder's slot, all of it ciphertext: clear headers would be plausible under any key. */
static void context_for(struct scene *scene, struct context *context, unsigned holder, unsigned slot)
{
	bool psp = scene->kind->envelope == HK_ENVELOPE_PSP;

	context_draw(context, scene->kind, &scene->seed);
	context->name.mkid = 1;
	context->name.receiver = address(holders[holder].receiver);
	context->shape.source = address(holders[holder].source);
	context->shape.crypt_offset = context->shape.cookie ? 2 : 0;
	if (context->shape.transport) {
		context->shape.transport = false;
		context->length = inner_udp(&(struct hk_address){.bytes = {[0] = 0xfd, [15] = 1}},
			&(struct hk_address){.bytes = {[0] = 0xfd, [15] = 2}}, &scene->seed,
			12 + draw(scene, 1400), context->inner);
	}
	context->name.spi = psp ? (context->name.spi & 0x7fffffff) | slot << 31
				: (context->name.spi & 0x1fffffff) | slot << 29;
}

/* What the box says of it; OK only if it has the very packet. */
static unsigned meets(struct scene *scene, const struct context *context, struct hk_sa *sa)
{
	static __u8 frame[BOX_FRAME];
	struct hk_fate fate;
	int size;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	size = hk_seal_packet(sa, &context->shape, &context->numbers, context->inner, context->length,
		frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	hk_sa_free(sa);
	fate = box_run(&scene->box, frame, frame_around(frame, (__u32)size));
	if (fate.reason == HK_REASON_OK && (!fate.opened || fate.inner_length != context->length ||
						   memcmp(fate.inner, context->inner, context->length) != 0))
		return HK_REASON_IMPLAUSIBLE; /* noise that looks like a packet */
	return fate.reason;
}

static unsigned meets_derived(struct scene *scene, const struct context *context, const struct master *master)
{
	return meets(scene, context, sa_of(crypto, &context->name, master));
}

/* How many of the samples met something else than `reason`. */
struct tally {
	unsigned samples, others;
};

static void count(struct tally *tally, unsigned met, unsigned reason)
{
	tally->samples++;
	tally->others += met != reason;
}

/* Noise of another key: the ICV says so, or it is implausible in one way or another. */
static void count_wrong(const struct scene *scene, struct tally *tally, unsigned met)
{
	if (!scene->single && (met == HK_REASON_NEXT_HEADER || met == HK_REASON_DUMMY))
		met = HK_REASON_IMPLAUSIBLE;
	count(tally, met, scene->single ? HK_REASON_BAD_ICV : HK_REASON_IMPLAUSIBLE);
}

static void none_other(const struct tally *tally)
{
	CU_ASSERT_TRUE(tally->samples >= SAMPLES);
	CU_ASSERT_EQUAL(tally->others, 0);
}

static void for_each_kind(void (*run)(struct scene *scene), __u64 seed)
{
	static struct scene scene;
	unsigned i;

	for (i = 0; i < KINDS; i++) {
		scene_make(&scene, &kinds[i], seed + i);
		run(&scene);
		box_free(&scene.box);
	}
}

static void receivers_and_slots_of(struct scene *scene)
{
	struct tally right = {0}, receiver = {0}, slots = {0}, generation = {0}, nobody = {0};
	unsigned i, holder, slot;
	struct master other;
	struct context context;

	for (i = 0; i < SAMPLES; i++) {
		holder = draw(scene, HOLDERS);
		slot = draw(scene, scene->slots);
		context_for(scene, &context, holder, slot);
		count(&right, meets_derived(scene, &context, &scene->masters[holder][slot]), HK_REASON_OK);
		context_for(scene, &context, holder, slot);
		count_wrong(scene, &receiver,
			meets_derived(scene, &context, &scene->masters[(holder + 1) % HOLDERS][slot]));
		count_wrong(scene, &slots,
			meets_derived(scene, &context, &scene->masters[holder][(slot + 1) % scene->slots]));
		master_random(&other, &scene->seed);
		count_wrong(scene, &generation, meets_derived(scene, &context, &other));
		context_for(scene, &context, NOBODY, slot);
		count(&nobody, meets_derived(scene, &context, &scene->masters[SIX][slot]), HK_REASON_NO_KEY);
	}
	none_other(&right);
	none_other(&receiver);
	none_other(&slots);
	none_other(&generation);
	none_other(&nobody);
}

/* The address loses its key of one slot: it does not fall back on the prefix around it. */
static void a_retired_slot_of(struct scene *scene)
{
	struct tally stale = {0}, others = {0};
	struct context context;
	unsigned i, slot;

	change(scene, "retire receiver=192.0.2.9 slot=1 generation=2\n");
	for (i = 0; i < SAMPLES; i++) {
		context_for(scene, &context, ADDRESS, 1);
		count(&stale, meets_derived(scene, &context, &scene->masters[i % 2 ? ADDRESS : PREFIX][1]),
			HK_REASON_STALE_KEY);
		slot = draw(scene, scene->slots);
		context_for(scene, &context, PREFIX, slot);
		count(&others, meets_derived(scene, &context, &scene->masters[PREFIX][slot]), HK_REASON_OK);
	}
	none_other(&stale);
	none_other(&others);
}

static void keys_random(struct scene *scene, struct hk_sa_keys *keys)
{
	bool short_key =
		scene->kind->envelope == HK_ENVELOPE_PSP && hk_kdf_psp_key_size(scene->kind->variant) == 16;

	memset(keys, 0, sizeof(*keys));
	keys->key_size = short_key ? 16 : 32;
	random_fill(&scene->seed, keys->enc, keys->key_size);
	random_fill(&scene->seed, keys->auth, keys->key_size);
	random_fill(&scene->seed, keys->salt_enc, sizeof(keys->salt_enc));
	random_fill(&scene->seed, keys->salt_auth, sizeof(keys->salt_auth));
}

static struct hk_sa *sa_of_keys(const struct context *context, const struct hk_sa_keys *keys)
{
	struct hk_error error = {{0}};
	struct hk_sa *sa = NULL;

	hk_sa_from_keys(&sa, &context->name, keys, &error);
	return sa;
}

/* What names the key of one SPI. */
static int name_line(const struct scene *scene, const struct context *context, char *text, size_t room)
{
	bool psp = scene->kind->envelope == HK_ENVELOPE_PSP;
	char receiver[HK_ADDRESS_TEXT];

	hk_address_format(&context->name.receiver, receiver);
	return psp ? snprintf(text, room, "receiver=%s spi=%u version=%u", receiver, context->name.spi,
			     scene->kind->variant)
		   : snprintf(text, room, "receiver=%s spi=%u suite=%s", receiver, context->name.spi,
			     hk_suite_name(scene->kind->variant));
}

static void add_explicit(
	struct scene *scene, const struct context *context, const struct hk_sa_keys *keys, const char *times)
{
	bool salted = scene->kind->envelope == HK_ENVELOPE_ESP && scene->kind->variant != HK_SUITE_CBC_HMAC;
	char text[512], key[65], salt[9] = "";
	int used = name_line(scene, context, text, sizeof(text));

	hk_hex_format(keys->enc, keys->key_size, key);
	hk_hex_format(keys->salt_enc, 4, salt);
	snprintf(text + used, sizeof(text) - (size_t)used, " side=%s key=%s%s%s%s\n", scene->side, key,
		salted ? " salt=" : "", salted ? salt : "", times);
	change(scene, text);
}

static void explicit_first_of(struct scene *scene)
{
	struct tally right = {0}, derived = {0}, elsewhere = {0}, gone = {0};
	unsigned i, holder, slot;
	struct hk_sa_keys keys;
	struct context context;
	char text[256] = "retire ";

	for (i = 0; i < SAMPLES; i++) {
		holder = draw(scene, HOLDERS);
		slot = draw(scene, scene->slots);
		context_for(scene, &context, holder, slot);
		keys_random(scene, &keys);
		add_explicit(scene, &context, &keys, "");
		count(&right, meets(scene, &context, sa_of_keys(&context, &keys)), HK_REASON_OK);
		/* the derived key of this SPI would be right, and is not asked */
		count_wrong(scene, &derived, meets_derived(scene, &context, &scene->masters[holder][slot]));
		/* the same SPI of another receiver is another SPI */
		context.name.receiver = address(holders[(holder + 1) % HOLDERS].receiver);
		context.shape.source = address(holders[(holder + 1) % HOLDERS].source);
		count(&elsewhere,
			meets_derived(scene, &context, &scene->masters[(holder + 1) % HOLDERS][slot]),
			HK_REASON_OK);
		context.name.receiver = address(holders[holder].receiver);
		context.shape.source = address(holders[holder].source);
		name_line(scene, &context, text + 7, sizeof(text) - 7);
		change(scene, text);
		count(&gone, meets(scene, &context, sa_of_keys(&context, &keys)), HK_REASON_STALE_KEY);
	}
	none_other(&right);
	none_other(&derived);
	none_other(&elsewhere);
	none_other(&gone);
}

/* A time box, of a master key and of one SPI's: the same packets before, within and after it. */
static void boxed(struct scene *scene, const struct master *master, const struct hk_sa_keys *keys,
	const struct context *named, unsigned reason)
{
	struct tally masters = {0}, explicits = {0};
	struct context context;
	unsigned i;

	for (i = 0; i < SAMPLES; i++) {
		context_for(scene, &context, NOBODY, 1);
		count(&masters, meets_derived(scene, &context, master), reason);
		context.name.spi = named->name.spi;
		count(&explicits, meets(scene, &context, sa_of_keys(&context, keys)), reason);
	}
	none_other(&masters);
	none_other(&explicits);
}

static void time_boxes_of(struct scene *scene)
{
	__u64 now = scene->box.inspection->keyring->now_s;
	struct context context;
	struct hk_sa_keys keys;
	struct master master;
	char times[96], text[512] = "", front[256];

	snprintf(times, sizeof(times), " not-before=%llu not-after=%llu", now + 100, now + 3700);
	master_random(&master, &scene->seed);
	snprintf(front, sizeof(front), "receiver=%s slot=1 generation=9 side=%s%s", holders[NOBODY].receiver,
		scene->side, times);
	key_line(text, sizeof(text), front, master.enc);
	change(scene, text);
	context_for(scene, &context, NOBODY, 0);
	keys_random(scene, &keys);
	add_explicit(scene, &context, &keys, times);
	boxed(scene, &master, &keys, &context, HK_REASON_KEY_NOT_YET);
	tick(scene, now + 100);
	boxed(scene, &master, &keys, &context, HK_REASON_OK);
	tick(scene, now + 3700);
	boxed(scene, &master, &keys, &context, HK_REASON_KEY_EXPIRED);
}

static void level_line(
	char *text, size_t room, const char *level, unsigned generation, const char *side, const __u8 *root)
{
	char front[128];

	snprintf(front, sizeof(front), "level=%s generation=%u side=%s", level, generation, side);
	key_line(text, room, front, root);
}

/* Three generations of three levels; every combination that is drawn is the one that opens. */
static void levels_of(struct scene *scene)
{
	static const char names[3][HK_KEY_LEVEL_NAME + 1] = {"region", "group", "task"};
	struct tally right = {0}, wrong[3] = {{0}};
	__u8 roots[3][3][32];
	unsigned i, level, generation, from[3];
	struct hk_kdf_levels levels;
	struct context context;
	struct master master;
	char text[4096] = "";

	scene->box.domains[0].levels_count = 3;
	memcpy(scene->box.domains[0].levels, names, sizeof(names));
	for (level = 0; level < 3; level++)
		for (generation = 0; generation < 3; generation++) {
			random_fill(&scene->seed, roots[level][generation], 32);
			level_line(text, sizeof(text), names[level], generation + 1, scene->side,
				roots[level][generation]);
		}
	change(scene, text);
	for (i = 0; i < SAMPLES; i++) {
		memset(&levels, 0, sizeof(levels));
		levels.count = 3;
		for (level = 0; level < 3; level++) {
			from[level] = draw(scene, 3);
			memcpy(levels.root[level], roots[level][from[level]], 32);
			memcpy(levels.id[level], names[level], strlen(names[level]));
		}
		snprintf(text, sizeof(text), "receiver=%s slot=1 generation=9 side=%s from=%u/%u/%u\n",
			holders[NOBODY].receiver, scene->side, from[0] + 1, from[1] + 1, from[2] + 1);
		change(scene, text);
		for (level = 0; level <= 3; level++) {
			if (level < 3)
				memcpy(levels.root[level], roots[level][(from[level] + 1) % 3], 32);
			hk_kdf_combine(&levels, scene->single ? HK_SIDE_SINGLE : HK_SIDE_ENC, master.enc);
			hk_kdf_combine(&levels, HK_SIDE_AUTH, master.auth);
			master_expand(&master);
			context_for(scene, &context, NOBODY, 1);
			if (level < 3) {
				count_wrong(scene, &wrong[level], meets_derived(scene, &context, &master));
				memcpy(levels.root[level], roots[level][from[level]], 32);
			} else {
				count(&right, meets_derived(scene, &context, &master), HK_REASON_OK);
			}
		}
		change(scene, "retire receiver=2001:db8::77 slot=1 generation=9\n");
		scene->box.inspection->keyring->now_s += 3700; /* nobody is late any more */
	}
	none_other(&right);
	for (level = 0; level < 3; level++)
		none_other(&wrong[level]);
}

static void receiver_slot_and_generation(void)
{
	for_each_kind(receivers_and_slots_of, 100);
}

static void a_retired_slot_is_stale(void)
{
	for_each_kind(a_retired_slot_of, 200);
}

static void explicit_before_derived(void)
{
	for_each_kind(explicit_first_of, 300);
}

static void time_boxes(void)
{
	for_each_kind(time_boxes_of, 400);
}

static void every_level(void)
{
	for_each_kind(levels_of, 500);
}

int main(void)
{
	static const struct test tests[] = {
		{"receiver, slot and generation, right and wrong", receiver_slot_and_generation},
		{"a retired slot is stale and falls back on nothing", a_retired_slot_is_stale},
		{"the key of an SPI goes before the derived one", explicit_before_derived},
		{"before, within and after its time", time_boxes},
		{"the roots of every level", every_level},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "selection", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two generations in one slot, and three, packet by packet: thousands of seeded packets of
 * every version and suite, sealed with whichever generation chance says, while
 * keys come and go. All that should open do, and what should not says why.
 */
#include "tests/unit/box_help.h"
#include "tests/unit/seal_context.h"
#include "user/envelope/rebuild.h"
#include "user/keys/update.h"

#include <time.h>

#define BATCHES	    8
#define BATCH	    64
#define GENERATIONS 4

static struct hk_crypto *crypto;

static const char *const receivers[] = {"192.0.2.9", "2001:db8::9"};

struct world {
	struct box box;
	const struct kind *kind;
	struct master masters[2][4][GENERATIONS]; /* receiver, slot, generation */
	unsigned slots;
	const char *side;
};

/* All key lines of one generation. */
static void lines_of(struct world *world, unsigned generation, char *text, size_t room)
{
	unsigned r, slot;
	char front[128];

	text[0] = '\0';
	for (r = 0; r < 2; r++)
		for (slot = 0; slot < world->slots; slot++) {
			snprintf(front, sizeof(front), "receiver=%s slot=%u generation=%u side=%s",
				receivers[r], slot, generation, world->side);
			key_line(text, room, front, world->masters[r][slot][generation].enc);
		}
}

static void retire_lines(struct world *world, unsigned generation, char *text, size_t room)
{
	unsigned r, slot;
	size_t used = 0;

	for (r = 0; r < 2; r++)
		for (slot = 0; slot < world->slots; slot++)
			used += (size_t)snprintf(text + used, room - used,
				"retire receiver=%s slot=%u generation=%u\n", receivers[r], slot, generation);
}

static void world_make(struct world *world, const struct kind *kind, __u64 *seed)
{
	bool split = hk_sa_profile(kind->envelope, kind->variant) == HK_PROFILE_SPLIT;
	char text[4096];
	unsigned r, slot, generation;

	memset(world, 0, sizeof(*world));
	world->kind = kind;
	world->side = split ? "enc" : "single";
	world->slots = kind->envelope == HK_ENVELOPE_PSP ? 2 : 4;
	for (r = 0; r < 2; r++)
		for (slot = 0; slot < 4; slot++)
			for (generation = 0; generation < GENERATIONS; generation++)
				master_random(&world->masters[r][slot][generation], seed);
	lines_of(world, 1, text, sizeof(text));
	box_init(&world->box);
	box_domain(&world->box, kind->envelope, hk_sa_profile(kind->envelope, kind->variant),
		kind->envelope == HK_ENVELOPE_ESP ? kind->variant : 0, text);
	CU_ASSERT_EQUAL_FATAL(box_build(&world->box, "libcrypto", BOX_FRAME, 0), 0);
}

static void change(struct world *world, const char *text)
{
	struct hk_key_update update = {.domain = &world->box.domains[0], .name = "update", .text = text};
	struct hk_key_change *prepared = NULL;
	struct hk_error error = {{0}};

	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_prepare(&prepared, world->box.inspection->keyring, &update, &error), 0);
	CU_ASSERT_EQUAL(hk_keyring_commit(prepared, NULL, &error), 0);
	hk_key_change_free(prepared);
}

/* A batch of packets, each of a generation that `pick` allows; what each met. */
struct met {
	__u8 generation[BATCH], reason[BATCH];
	bool right[BATCH];
};

/* The checksum that inner_udp() leaves out: what tells packets behind clear headers from noise. */
static void put_sum(__u8 *packet, __u32 length)
{
	bool v4 = packet[0] >> 4 == 4;
	__u32 at = v4 ? 20 : 40, udp = length - at;
	const __u8 tail[4] = {0, 17, (__u8)(udp >> 8), (__u8)udp};
	__u32 sum = hk_checksum_add(0, packet + (v4 ? 12 : 8), v4 ? 8 : 32);
	__u16 folded;

	packet[at + 6] = packet[at + 7] = 0;
	sum = hk_checksum_add(hk_checksum_add(sum, tail, sizeof(tail)), packet + at, udp);
	folded = hk_checksum_fold(sum);
	folded = folded ? folded : 0xffff;
	memcpy(packet + at + 6, &folded, sizeof(folded)); /* sums stand in memory order */
}

/*
 * Clear headers are plausible under any key: what is to look like noise must be all ciphertext.
 * Without a checksum a packet makes sense under its own key, and proves nothing.
 */
enum look { MIXED, SEALED, SEALED_WITHOUT_SUM };

static __u32 seal_one(struct world *world, struct context *context, unsigned generation, enum look look,
	__u64 *seed, __u8 *frame)
{
	const struct hk_sa_name *name = &context->name;
	const struct master *master;
	struct hk_sa *sa;
	int size;

	context_draw(context, world->kind, seed);
	context->name.mkid = 1;
	if (look != SEALED_WITHOUT_SUM)
		put_sum(context->inner, context->length);
	if (look != MIXED) {
		context->shape.crypt_offset = context->shape.cookie ? 2 : 0;
		context->shape.transport = false;
	}
	master = &world->masters[hk_address_is_v4(&name->receiver) ? 0 : 1]
				[name->envelope == HK_ENVELOPE_PSP ? name->spi >> 31 : name->spi >> 29 & 3]
				[generation];
	sa = sa_of(crypto, name, master);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	size = hk_seal_packet(sa, &context->shape, &context->numbers, context->inner, context->length,
		frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	hk_sa_free(sa);
	return frame_around(frame, (__u32)size);
}

static void run_batch(
	struct world *world, unsigned low, unsigned high, enum look look, __u64 *seed, struct met *met)
{
	static struct context contexts[BATCH];
	static __u8 bytes[BATCH][BOX_FRAME];
	struct hk_frame frames[BATCH];
	struct hk_fate fates[BATCH];
	unsigned i;

	for (i = 0; i < BATCH; i++) {
		met->generation[i] = (__u8)(low + random_next(seed) % (high - low + 1));
		frames[i] = (struct hk_frame){.data = bytes[i],
			.length = seal_one(world, &contexts[i], met->generation[i], look, seed, bytes[i])};
	}
	box_run_frames(&world->box, frames, BATCH, fates);
	for (i = 0; i < BATCH; i++) {
		met->reason[i] = fates[i].reason;
		met->right[i] = fates[i].opened && fates[i].inner_length == contexts[i].length &&
				memcmp(fates[i].inner, contexts[i].inner, contexts[i].length) == 0;
	}
}

/*
 * None lost, none misread. Behind clear headers 16 bits of checksum tell the generations
 * apart: one such packet in 65536 would be misread, none of those that these seeds draw.
 */
static bool all_open_as(struct world *world, unsigned low, unsigned high, enum look look, __u64 *seed)
{
	unsigned batch, i, wrong = 0;
	struct met met;

	for (batch = 0; batch < BATCHES; batch++) {
		run_batch(world, low, high, look, seed, &met);
		for (i = 0; i < BATCH; i++)
			wrong += met.reason[i] != HK_REASON_OK || !met.right[i];
	}
	return !wrong;
}

static bool all_open(struct world *world, unsigned low, unsigned high, __u64 *seed)
{
	return all_open_as(world, low, high, MIXED, seed);
}

/*
 * One in 256 ESP packets of noise says that it is a dummy: nothing tells it from
 * one. Some twenty of the 256 next headers are protocols without a checksum of
 * their own: that much noise looks like one of those.
 */
static bool none_opens(struct world *world, unsigned generation, __u64 *seed, unsigned reason)
{
	bool split_esp =
		world->kind->envelope == HK_ENVELOPE_ESP && world->box.domains[0].profile == HK_PROFILE_SPLIT;
	unsigned batch, i, wrong = 0, dummies = 0, noise = split_esp ? BATCHES * BATCH / 12 : 0;
	struct met met;

	for (batch = 0; batch < BATCHES; batch++) {
		run_batch(world, generation, generation, SEALED, seed, &met);
		for (i = 0; i < BATCH; i++) {
			dummies += met.reason[i] == HK_REASON_DUMMY;
			wrong += met.reason[i] != HK_REASON_DUMMY && met.reason[i] != reason &&
				 !(reason == HK_REASON_IMPLAUSIBLE && met.reason[i] == HK_REASON_NEXT_HEADER);
		}
	}
	return wrong <= noise && dummies < BATCHES * BATCH / 64;
}

static void rotate_twice(const struct kind *kind, __u64 seed)
{
	static struct world world;
	struct hk_keyring *keyring;
	char text[4096];
	bool single;

	world_make(&world, kind, &seed);
	keyring = world.box.inspection->keyring;
	single = world.box.domains[0].profile == HK_PROFILE_SINGLE;
	CU_ASSERT_TRUE(all_open(&world, 1, 1, &seed));
	CU_ASSERT_TRUE(none_opens(&world, 2, &seed, single ? HK_REASON_BAD_ICV : HK_REASON_IMPLAUSIBLE));
	/* accept-next: both open, in any mixture */
	lines_of(&world, 2, text, sizeof(text));
	change(&world, text);
	CU_ASSERT_TRUE(all_open(&world, 1, 1, &seed));
	CU_ASSERT_TRUE(all_open(&world, 1, 2, &seed));
	CU_ASSERT_TRUE(all_open(&world, 2, 2, &seed));
	CU_ASSERT_TRUE(none_opens(&world, 3, &seed, single ? HK_REASON_BAD_ICV : HK_REASON_IMPLAUSIBLE));
	/* the old one goes: its packets are stale, and not garbage */
	retire_lines(&world, 1, text, sizeof(text));
	change(&world, text);
	CU_ASSERT_TRUE(all_open(&world, 2, 2, &seed));
	CU_ASSERT_TRUE(none_opens(&world, 1, &seed, HK_REASON_STALE_KEY));
	/* an hour later nobody can be late any more */
	hk_key_change_free(hk_keyring_due(keyring, (__u64)time(NULL) + 3700));
	CU_ASSERT_TRUE(none_opens(&world, 1, &seed, single ? HK_REASON_BAD_ICV : HK_REASON_IMPLAUSIBLE));
	/* previous, current and next in one slot, in any mixture */
	lines_of(&world, 1, text, sizeof(text));
	change(&world, text);
	lines_of(&world, 3, text, sizeof(text));
	change(&world, text);
	CU_ASSERT_TRUE(all_open(&world, 1, 3, &seed));
	CU_ASSERT_TRUE(all_open(&world, 1, 1, &seed));
	CU_ASSERT_TRUE(all_open(&world, 3, 3, &seed));
	retire_lines(&world, 1, text, sizeof(text));
	change(&world, text);
	retire_lines(&world, 3, text, sizeof(text));
	change(&world, text);
	/* none left */
	retire_lines(&world, 2, text, sizeof(text));
	change(&world, text);
	CU_ASSERT_TRUE(none_opens(&world, 2, &seed, HK_REASON_STALE_KEY));
	box_free(&world.box);
}

/* The generation of the first receiver's slot 0 that a packet is opened with first. */
static unsigned first_asked(struct world *world)
{
	struct hk_address to = address(receivers[0]);
	struct hk_key_request request = {.receiver = &to, .id = 1, .spi = 1, .variant = world->kind->variant};
	struct hk_key_choice choice;

	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_choose(world->box.inspection->keyring, &request, &choice), HK_REASON_OK);
	return choice.generation;
}

/*
 * UDP may go without a checksum: then no generation proves itself, and the one that makes
 * sense is taken, whichever was tried before or behind it. Of PSP's versions: what noise
 * there looks like a packet is none of these.
 */
static void without_proof_sense_decides(const struct kind *kind, __u64 seed)
{
	static struct world world;
	char text[4096];

	world_make(&world, kind, &seed);
	lines_of(&world, 2, text, sizeof(text));
	change(&world, text);
	lines_of(&world, 3, text, sizeof(text));
	change(&world, text);
	CU_ASSERT_TRUE(all_open_as(&world, 3, 3, SEALED_WITHOUT_SUM, &seed));
	CU_ASSERT_TRUE(all_open_as(&world, 1, 1, SEALED_WITHOUT_SUM, &seed));
	CU_ASSERT_TRUE(all_open_as(&world, 1, 3, SEALED_WITHOUT_SUM, &seed));
	/* it is asked first that proved itself last */
	CU_ASSERT_EQUAL(first_asked(&world), 3);
	CU_ASSERT_TRUE(all_open(&world, 2, 2, &seed));
	CU_ASSERT_EQUAL(first_asked(&world), 2);
	CU_ASSERT_TRUE(all_open_as(&world, 1, 3, SEALED_WITHOUT_SUM, &seed));
	/* alone in its slot again, where others went lately */
	retire_lines(&world, 1, text, sizeof(text));
	change(&world, text);
	retire_lines(&world, 3, text, sizeof(text));
	change(&world, text);
	CU_ASSERT_TRUE(all_open_as(&world, 2, 2, SEALED_WITHOUT_SUM, &seed));
	CU_ASSERT_TRUE(none_opens(&world, 1, &seed, HK_REASON_STALE_KEY));
	box_free(&world.box);
}

static void without_proof(void)
{
	unsigned i;

	for (i = 0; i < KINDS; i++)
		if (kinds[i].envelope == HK_ENVELOPE_PSP &&
			hk_sa_profile(kinds[i].envelope, kinds[i].variant) == HK_PROFILE_SPLIT)
			without_proof_sense_decides(&kinds[i], 5000 + i);
}

/* Boxes that share keys and nothing else: whichever a packet comes to opens it. */
static void a_pool_opens_every_packet(void)
{
	static struct world boxes[3];
	__u64 seed, pick = 99;
	struct met met;
	unsigned i, batch, n, wrong = 0;

	for (n = 0; n < KINDS; n++) {
		for (i = 0; i < 3; i++) {
			seed = 7000 + n; /* the same keys */
			world_make(&boxes[i], &kinds[n], &seed);
		}
		for (batch = 0; batch < 3 * BATCHES; batch++) {
			run_batch(&boxes[random_next(&pick) % 3], 1, 1, MIXED, &seed, &met);
			for (i = 0; i < BATCH; i++)
				wrong += met.reason[i] != HK_REASON_OK || !met.right[i];
		}
		for (i = 0; i < 3; i++)
			box_free(&boxes[i].box);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void every_kind_rotates(void)
{
	unsigned i;

	for (i = 0; i < KINDS; i++)
		rotate_twice(&kinds[i], 4000 + i);
}

int main(void)
{
	static const struct test tests[] = {
		{"two generations of every slot, and three, every version and suite", every_kind_rotates},
		{"where nothing is proven, what makes sense is taken", without_proof},
		{"three boxes with the same keys open every packet", a_pool_opens_every_packet},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "generations", tests);
}

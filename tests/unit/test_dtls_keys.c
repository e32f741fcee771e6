// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which key opens a DTLS record: several generations of one MKID and several MKIDs, each datagram of one
 * or of a mixture, in both profiles. Each record is opened by its own key and by no other.
 */
#include "tests/unit/dtls_help.h"
#include "user/keys/update.h"

/* --- two generations under one MKID ------------------------------------------------------------ */

#define DATAGRAMS 200

static void change(struct scene *scene, const char *text)
{
	struct hk_key_update update = {.domain = &scene->box.domains[0], .name = "update", .text = text};
	struct hk_key_change *prepared = NULL;
	struct hk_error error = {{0}};

	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_prepare(&prepared, scene->box.inspection->keyring, &update, &error), 0);
	CU_ASSERT_EQUAL(hk_keyring_commit(prepared, NULL, &error), 0);
	hk_key_change_free(prepared);
}

/* How many of the datagrams that each master in turn sealed, beginning with `low`, meet `reason`. */
static unsigned met(
	struct scene *scene, const struct master *masters, unsigned low, unsigned high, unsigned reason)
{
	unsigned i, count = 0;
	struct datagram datagram;
	struct hk_fate fate;

	for (i = 0; i < DATAGRAMS; i++) {
		scene->master = masters[low + i % (high - low + 1)];
		datagram = sealed(scene, 1 + i % 3);
		count += run_payload(scene, datagram.bytes, datagram.length, &fate) == reason &&
			 (reason != HK_REASON_OK || (fate.inner_length == 5 * (1 + i % 3) &&
							    memcmp(fate.inner, "plain", 5) == 0));
	}
	return count;
}

static const char *const sides[] = {"single", "enc"};

static void add_generation(
	struct scene *scene, unsigned mkid, unsigned generation, const struct master *master)
{
	char text[512] = "", front[128];

	snprintf(front, sizeof(front), "slot=0 generation=%u id=%u side=%s", generation, mkid,
		sides[scene->split]);
	key_line(text, sizeof(text), front, master->enc);
	change(scene, text);
}

static void rotation(bool split)
{
	const unsigned not_this = split ? HK_REASON_WRONG_KCV : HK_REASON_BAD_ICV;
	struct master masters[3];
	struct scene scene;
	char text[512];
	__u64 seed = 90 + split;
	unsigned i;

	scene_init(&scene, NULL, split, 60 + split);
	masters[0] = scene.master;
	for (i = 1; i < 3; i++)
		master_random(&masters[i], &seed);
	CU_ASSERT_EQUAL(met(&scene, masters, 0, 0, HK_REASON_OK), DATAGRAMS);
	add_generation(&scene, MKID, 2, &masters[1]);
	CU_ASSERT_EQUAL(met(&scene, masters, 0, 0, HK_REASON_OK), DATAGRAMS);
	CU_ASSERT_EQUAL(met(&scene, masters, 0, 1, HK_REASON_OK), DATAGRAMS);
	CU_ASSERT_EQUAL(met(&scene, masters, 1, 1, HK_REASON_OK), DATAGRAMS);
	/* a third one is nobody's, and moves nothing */
	CU_ASSERT_EQUAL(met(&scene, masters, 2, 2, not_this), DATAGRAMS);
	CU_ASSERT_EQUAL(met(&scene, masters, 1, 1, HK_REASON_OK), DATAGRAMS);
	snprintf(text, sizeof(text), "retire slot=0 generation=1 id=%u\n", MKID);
	change(&scene, text);
	CU_ASSERT_EQUAL(met(&scene, masters, 0, 0, HK_REASON_STALE_KEY), DATAGRAMS);
	CU_ASSERT_EQUAL(met(&scene, masters, 1, 1, HK_REASON_OK), DATAGRAMS);
	box_free(&scene.box);
}

static void rotates_in_single(void)
{
	rotation(false);
}

static void rotates_in_split(void)
{
	rotation(true);
}

/* --- records of several keys in one datagram ------------------------------------------------------- */

#define MKIDS	    3
#define GENERATIONS 3
#define MIXED	    500
#define PACKETS	    100000

struct mixture {
	struct scene scene;
	struct master masters[MKIDS][GENERATIONS];
	struct datagram datagram;
	__u8 content[BOX_FRAME];
	__u32 heard;
	__u64 contexts;	  /* that records are drawn from */
	unsigned refused; /* expected, of the first that is */
};

static void mixture_init(struct mixture *mixture, bool split)
{
	__u64 seed = 300 + split;
	unsigned mkid, generation;

	scene_init(&mixture->scene, NULL, split, 70 + split);
	for (mkid = 0; mkid < MKIDS; mkid++)
		for (generation = 0; generation < GENERATIONS; generation++) {
			master_random(&mixture->masters[mkid][generation], &seed);
			add_generation(&mixture->scene, MKID + 1 + mkid, generation + 1,
				&mixture->masters[mkid][generation]);
		}
}

/* A record of any key, in a context that the datagram's others may share; `bad`: its tag, or its KCV, is not.
 */
static void add_one(struct mixture *mixture, bool bad, __u64 *seed)
{
	struct datagram *datagram = &mixture->datagram;
	__u8 *record = datagram->bytes + datagram->length, *content = mixture->content + mixture->heard;
	bool split = mixture->scene.split;
	unsigned mkid = (unsigned)(random_next(seed) % MKIDS);
	struct hk_dtls_name name = name_of(&mixture->scene, random_next(seed) % mixture->contexts, false);
	struct hk_dtls *dtls;
	int size;

	name.mkid = (__u16)(MKID + 1 + mkid);
	mixture->scene.master = mixture->masters[mkid][random_next(seed) % GENERATIONS];
	dtls = writer(&mixture->scene, &name);
	random_fill(seed, content, 20);
	size = hk_dtls_seal(dtls, 23, content, 20, random_next(seed) % 2, record,
		sizeof(datagram->bytes) - datagram->length);
	CU_ASSERT_FATAL(size > 0);
	hk_dtls_free(dtls);
	datagram->length += (__u32)size;
	if (!bad) {
		mixture->heard += 20;
		return;
	}
	record[split ? RECORD : size - 1] ^= 1;
	if (!mixture->refused)
		mixture->refused = split ? HK_REASON_WRONG_KCV : HK_REASON_BAD_ICV;
}

/* Any generation, any MKID, any of them changed on its way: each record is opened by its own key. */
static void mixed(bool split)
{
	static struct mixture mixture;
	unsigned i, n, count, reason;
	struct hk_fate fate;
	__u64 seed = 400 + split;

	mixture_init(&mixture, split);
	mixture.contexts = 2;
	for (i = 0; i < MIXED; i++) {
		mixture.datagram.length = mixture.heard = mixture.refused = 0;
		count = 1 + (unsigned)(random_next(&seed) % 12);
		for (n = 0; n < count; n++)
			add_one(&mixture, i % 2 && random_next(&seed) % 4 == 0, &seed);
		reason = run_payload(&mixture.scene, mixture.datagram.bytes, mixture.datagram.length, &fate);
		CU_ASSERT_EQUAL(reason, mixture.refused ? mixture.refused : HK_REASON_OK);
		CU_ASSERT_EQUAL(fate.opened, mixture.heard != 0);
		CU_ASSERT(!mixture.heard || (fate.inner_length == mixture.heard &&
						    memcmp(fate.inner, mixture.content, mixture.heard) == 0));
	}
	box_free(&mixture.scene.box);
}

static void mixed_in_single(void)
{
	mixed(false);
}

static void mixed_in_split(void)
{
	mixed(true);
}

/* `split`, records of random bytes from two generations at random: none is read with the other's key. */
static void none_is_misread(void)
{
	static struct mixture mixture;
	unsigned i, wrong = 0;
	struct hk_fate fate;
	__u64 seed = 500;

	mixture_init(&mixture, true);
	mixture.contexts = 1ull << 63;
	for (i = 0; i < PACKETS; i++) {
		mixture.datagram.length = mixture.heard = 0;
		add_one(&mixture, false, &seed);
		run_payload(&mixture.scene, mixture.datagram.bytes, mixture.datagram.length, &fate);
		wrong += !fate.opened || fate.inner_length != 20 ||
			 memcmp(fate.inner, mixture.content, 20) != 0;
	}

	CU_ASSERT_EQUAL(wrong, 0);
	box_free(&mixture.scene.box);
}

int main(void)
{
	static const struct test tests[] = {
		{"two generations under one MKID, single", rotates_in_single},
		{"two generations under one MKID, split", rotates_in_split},
		{"records of several MKIDs and generations, single", mixed_in_single},
		{"records of several MKIDs and generations, split", mixed_in_split},
		{"100000 records of three generations, split", none_is_misread},
		{0},
	};
	int status;

	crypto = hk_crypto_new("libcrypto");
	if (!crypto)
		return 2;
	status = run_tests("dtls keys", tests);
	hk_crypto_free(crypto);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DTLS records that are not what a sender sealed: every refusal, every
 * truncation and every bit of a record has its reason, alone and among others
 * in a datagram; and whoever holds the box's keys forges nothing.
 */
#include "tests/unit/dtls_help.h"

static void every_truncation(void)
{
	struct datagram datagram;
	struct scene scene;
	struct hk_fate fate;
	unsigned split, reason;
	__u32 cut, one;

	for (split = 0; split < 2; split++) {
		scene_init(&scene, NULL, split, 11);
		datagram = sealed(&scene, 2);
		one = datagram.length / 2;
		for (cut = 0; cut < datagram.length; cut++) {
			reason = run_payload(&scene, datagram.bytes, cut, &fate);
			if (cut == one)
				CU_ASSERT_EQUAL(reason, HK_REASON_OK);
			if (cut % one < RECORD && cut != one)
				CU_ASSERT_EQUAL(reason, HK_REASON_DTLS_SHORT);
			if (cut % one >= RECORD)
				CU_ASSERT_EQUAL(reason, HK_REASON_DTLS_LENGTH);
			CU_ASSERT_EQUAL(fate.opened, cut >= one); /* the whole record is heard */
			CU_ASSERT(!fate.opened || fate.inner_length == 5);
		}
		box_free(&scene.box);
	}
}

static const struct refusal {
	unsigned at, value, reason;
} refusals[] = {
	{0, 23, HK_REASON_DTLS_NO_CID},
	{0, 24, HK_REASON_DTLS_NO_CID},
	{0, 26, HK_REASON_LEGACY},
	{0, 0, HK_REASON_LEGACY},
	{0, 0x80, HK_REASON_LEGACY},
	{0, 0x20, HK_REASON_DTLS_13},
	{0, 0x3f, HK_REASON_DTLS_13},
	{1, 0x03, HK_REASON_DTLS_VERSION},
	{2, 0xff, HK_REASON_DTLS_VERSION},
	{4, 0, HK_REASON_DTLS_EPOCH},
	{11, 0xd0, HK_REASON_DTLS_CID},
	{12, 0x04, HK_REASON_DTLS_FLAGS},
	{12, 0x80, HK_REASON_DTLS_FLAGS},
	{13, 0x99, HK_REASON_NO_KEY},
	{23, 0x01, HK_REASON_DTLS_LENGTH},
	{24, 24, HK_REASON_DTLS_LENGTH},
	{24, 0, HK_REASON_DTLS_LENGTH},
};

static void every_refusal(void)
{
	struct datagram good;
	struct scene scene;
	struct hk_fate fate;
	unsigned i;

	scene_init(&scene, NULL, true, 13);
	good = sealed(&scene, 1);
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct datagram bad = good;

		bad.bytes[refusals[i].at] = (__u8)refusals[i].value;
		CU_ASSERT_EQUAL(run_payload(&scene, bad.bytes, bad.length, &fate), refusals[i].reason);
		CU_ASSERT_EQUAL(fate.opened, 0);
	}
	good.bytes[12] ^= 2; /* the other profile's record */
	CU_ASSERT_EQUAL(run_payload(&scene, good.bytes, good.length, &fate), HK_REASON_PROFILE_MISMATCH);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
	box_free(&scene.box);
}

/*
 * `single`: no bit of a record can change unseen, and hooks hear the other one. `split`: nothing leaves
 * with the wrong mark.
 */
static void every_bit(void)
{
	struct datagram good, bad;
	struct scene scene;
	struct hk_fate fate;
	unsigned bit, reason;

	scene_init(&scene, NULL, false, 19);
	good = sealed(&scene, 2);
	for (bit = 0; bit < good.length * 8; bit++) {
		bad = good;
		bad.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		reason = run_payload(&scene, bad.bytes, bad.length, &fate);
		CU_ASSERT_NOT_EQUAL(reason, HK_REASON_OK);
		CU_ASSERT(!fate.opened || (fate.inner_length == 5 && memcmp(fate.inner, "plain", 5) == 0));
		CU_ASSERT(fate.opened || bit < good.length * 4);
	}
	box_free(&scene.box);
	scene_init(&scene, NULL, true, 19);
	good = sealed(&scene, 1);
	for (bit = RECORD * 8; bit < good.length * 8; bit++) {
		bad = good;
		bad.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		reason = run_payload(&scene, bad.bytes, bad.length, &fate);
		CU_ASSERT(bit < (RECORD + 2) * 8 ? reason == HK_REASON_WRONG_KCV
						 : reason == HK_REASON_OK || reason == HK_REASON_DTLS_TYPE ||
							   reason == HK_REASON_DTLS_CONTROL);
		CU_ASSERT_EQUAL(fate.auth, HK_AUTH_NONE);
		CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS); /* no oracle */
	}
	box_free(&scene.box);
}

static void wrong_key(void)
{
	struct scene scene, other;
	struct datagram datagram;
	struct hk_fate fate;
	__u64 seed = 23;
	unsigned i;

	scene_init(&scene, NULL, true, 29);
	scene_init(&other, NULL, true, 31);
	for (i = 0; i < 64; i++) {
		struct hk_dtls_name name = name_of(&scene, random_next(&seed), false);
		struct hk_dtls *dtls = writer(&other, &name);

		datagram.length = (__u32)hk_dtls_seal(
			dtls, 23, (const __u8 *)"x", 1, 0, datagram.bytes, sizeof(datagram.bytes));
		CU_ASSERT_EQUAL(
			run_payload(&scene, datagram.bytes, datagram.length, &fate), HK_REASON_WRONG_KCV);
		CU_ASSERT_EQUAL(fate.opened, 0);
		hk_dtls_free(dtls);
	}
	box_free(&scene.box);
	box_free(&other.box);
}

/* --- several records in a datagram, one of them wrong: its reason, and hooks hear the others ------- */

static const struct misfit {
	unsigned at, value; /* a byte of the misfit */
	unsigned reason[2]; /* in single, in split */
	bool ends;	    /* nobody can say where the next record begins */
} misfits[] = {
	{0, 23, {HK_REASON_DTLS_NO_CID, HK_REASON_DTLS_NO_CID}, true}, /* its length stands elsewhere */
	{0, 99, {HK_REASON_LEGACY, HK_REASON_LEGACY}, true},
	{0, 0x2f, {HK_REASON_DTLS_13, HK_REASON_DTLS_13}, true},
	{1, 0xfd, {HK_REASON_DTLS_VERSION, HK_REASON_DTLS_VERSION}, true},
	{4, 0, {HK_REASON_DTLS_EPOCH, HK_REASON_DTLS_EPOCH}, false},
	{11, 0xd2, {HK_REASON_DTLS_CID, HK_REASON_DTLS_CID}, false},
	{12, 0x42, {HK_REASON_DTLS_FLAGS, HK_REASON_DTLS_FLAGS}, false},
	{13, 0x77, {HK_REASON_NO_KEY, HK_REASON_NO_KEY}, false},
	{23, 0xff, {HK_REASON_DTLS_LENGTH, HK_REASON_DTLS_LENGTH}, true},
	{25, 0x55, {HK_REASON_BAD_ICV, HK_REASON_WRONG_KCV}, false},
	{40, 0x55, {HK_REASON_BAD_ICV, HK_REASON_OK}, false}, /* in split nobody can tell */
};

static void check_misfit(struct scene *scene, const struct misfit *misfit, unsigned place)
{
	struct datagram bad = sealed(scene, 3);
	unsigned reason = misfit->reason[scene->split];
	__u32 heard = 5 * (reason == HK_REASON_OK ? 3 : misfit->ends ? place : 2);
	struct hk_fate fate;

	bad.bytes[place * bad.length / 3 + misfit->at] = (__u8)misfit->value;
	CU_ASSERT_EQUAL(run_payload(scene, bad.bytes, bad.length, &fate), reason);
	CU_ASSERT_EQUAL(fate.opened, heard != 0);
	if (!heard)
		return;
	CU_ASSERT_EQUAL(fate.action, scene->box.config.policy[reason]);
	CU_ASSERT_EQUAL(fate.inner_length, heard);
	CU_ASSERT_EQUAL(memcmp(fate.inner, "plainplainplain", heard), 0);
	CU_ASSERT_EQUAL(fate.auth, scene->split ? HK_AUTH_NONE : HK_AUTH_VERIFIED);
}

static void one_misfit(void)
{
	unsigned split, i, place;
	struct datagram good;
	struct scene scene;
	struct hk_fate fate;

	for (split = 0; split < 2; split++) {
		scene_init(&scene, NULL, split, 43);
		for (i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++)
			for (place = 0; place < 3; place++)
				check_misfit(&scene, &misfits[i], place);
		/* the first of several decides, whatever the others are */
		good = sealed(&scene, 3);
		good.bytes[good.length / 3 + 12] ^= 2;
		CU_ASSERT_EQUAL(
			run_payload(&scene, good.bytes, good.length, &fate), HK_REASON_PROFILE_MISMATCH);
		good.bytes[12] ^= 0x40;
		CU_ASSERT_EQUAL(run_payload(&scene, good.bytes, good.length, &fate), HK_REASON_DTLS_FLAGS);
		good.bytes[12] ^= 0x40;
		good.bytes[13] ^= 0x40;
		good.bytes[good.length / 3 * 2 + 12] ^= 0x40;
		CU_ASSERT_EQUAL(run_payload(&scene, good.bytes, good.length, &fate), HK_REASON_NO_KEY);
		CU_ASSERT_EQUAL(fate.opened, 0);
		box_free(&scene.box);
	}
}

/* What a receiver throws away, and reads on behind it, if it has the form of a record. */
static const struct foreign {
	const char *hex;
	unsigned reason;
	bool ends; /* nobody can say where */
} foreigners[] = {
	{"17fefd0001000000000000 0003 aabbcc", HK_REASON_DTLS_NO_CID, false},
	{"16fefd0001000000000000 0003 aabbcc", HK_REASON_DTLS_NO_CID, false},
	{"63fefd0001000000000000 0003 aabbcc", HK_REASON_LEGACY, false},
	{"00feff0000000000000000 0000", HK_REASON_LEGACY, false},
	{"2efefd0001000000000000 0003 aabbcc", HK_REASON_DTLS_13, false},
	{"19fefd0001000000000000 aaaaaaaaaaaaaaaaaaaaaaaa 0002 bbbb", HK_REASON_DTLS_CID, false},
	{"0001000821 12a442 0000 0000 0003 aabbcc", HK_REASON_LEGACY, true},
	{"63fefd0001000000000000 ff03 aabbcc", HK_REASON_LEGACY, true},
};

static __u32 foreign_bytes(const struct foreign *foreign, __u8 *out)
{
	char digits[128];
	size_t count = 0;
	const char *at;

	for (at = foreign->hex; *at; at++)
		if (*at != ' ')
			digits[count++] = *at;
	CU_ASSERT_EQUAL_FATAL(hk_hex_parse(digits, count, out, count / 2), 0);
	return (__u32)count / 2;
}

static void check_foreign(struct scene *scene, const struct foreign *foreign)
{
	struct datagram datagram, good = sealed(scene, 1);
	__u32 size = foreign_bytes(foreign, datagram.bytes);
	struct hk_fate fate;

	CU_ASSERT_EQUAL(run_payload(scene, datagram.bytes, size, &fate), foreign->reason);
	CU_ASSERT_EQUAL(fate.opened, 0);
	memcpy(datagram.bytes + size, good.bytes, good.length);
	CU_ASSERT_EQUAL(run_payload(scene, datagram.bytes, size + good.length, &fate), foreign->reason);
	CU_ASSERT_EQUAL(fate.opened, !foreign->ends);
	CU_ASSERT_EQUAL(fate.inner_length, foreign->ends ? 0 : 5);
}

static void behind_foreign_records(void)
{
	struct scene scene;
	unsigned i;

	scene_init(&scene, NULL, true, 44);
	for (i = 0; i < sizeof(foreigners) / sizeof(foreigners[0]); i++)
		check_foreign(&scene, &foreigners[i]);
	box_free(&scene.box);
}

/* Each bit of the flags that nobody defines, in the first record and behind others. */
static void reserved_flags(void)
{
	struct datagram good, bad;
	struct scene scene;
	struct hk_fate fate;
	unsigned bit, place;

	scene_init(&scene, NULL, true, 47);
	good = sealed(&scene, 2);
	for (bit = 2; bit < 8; bit++)
		for (place = 0; place < 2; place++) {
			bad = good;
			bad.bytes[place * good.length / 2 + 12] |= (__u8)(1 << bit);
			CU_ASSERT_EQUAL(
				run_payload(&scene, bad.bytes, bad.length, &fate), HK_REASON_DTLS_FLAGS);
		}
	box_free(&scene.box);
}

/* --- whoever holds the box's keys ------------------------------------------------------------- */

static void forger(void)
{
	struct hk_dtls *host, *forged;
	struct hk_dtls_opened opened;
	struct hk_error error = {{0}};
	struct hk_dtls_name name;
	struct scene scene;
	__u8 record[256], out[256];
	struct datagram good;
	unsigned bit;
	int size;

	scene_init(&scene, NULL, true, 37);
	name = name_of(&scene, 99, false);
	host = writer(&scene, &name);
	/* Ek in both roles */
	CU_ASSERT_EQUAL_FATAL(
		hk_dtls_new(&forged, crypto, &name, &scene.master.enc_key, &scene.master.enc_key, &error), 0);
	size = hk_dtls_seal(forged, 23, (const __u8 *)"forged", 6, 0, record, sizeof(record));
	CU_ASSERT_EQUAL(hk_dtls_open(host, record, (__u32)size, out, &opened), HK_REFUSAL_BAD_ICV);
	hk_dtls_free(forged);
	/* as `single`, which Ek alone can seal */
	name.split = false;
	CU_ASSERT_EQUAL_FATAL(hk_dtls_new(&forged, crypto, &name, &scene.master.enc_key, NULL, &error), 0);
	size = hk_dtls_seal(forged, 23, (const __u8 *)"forged", 6, 0, record, sizeof(record));
	CU_ASSERT_EQUAL(hk_dtls_open(host, record, (__u32)size, out, &opened), HK_REFUSAL_DOWNGRADE);
	record[12] |= 2;
	CU_ASSERT_EQUAL(hk_dtls_open(host, record, (__u32)size, out, &opened), HK_REFUSAL_BAD_ICV);
	hk_dtls_free(forged);
	hk_dtls_free(host);
	/* any bit of a genuine record */
	name = name_of(&scene, 0x0102030405060708ull, false);
	host = writer(&scene, &name);
	good = sealed(&scene, 1);
	for (bit = 0; bit < good.length * 8; bit++) {
		good.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		CU_ASSERT_NOT_EQUAL(
			hk_dtls_open(host, good.bytes, good.length, out, &opened), HK_REFUSAL_NONE);
		good.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
	}
	CU_ASSERT_EQUAL(hk_dtls_open(host, good.bytes, good.length, out, &opened), HK_REFUSAL_NONE);
	hk_dtls_free(host);
	box_free(&scene.box);
}

int main(void)
{
	static const struct test tests[] = {
		{"every truncation", every_truncation},
		{"every refusal", every_refusal},
		{"every bit", every_bit},
		{"a wrong key", wrong_key},
		{"one record that does not fit", one_misfit},
		{"what stands behind a foreign record", behind_foreign_records},
		{"reserved flags", reserved_flags},
		{"the box's keys forge nothing", forger},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "dtls hostile", tests);
}

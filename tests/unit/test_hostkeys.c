// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An end host's key file: roots of levels combine to what the box combines them
 * to, keys are found by receiver, id, slot and generation, and what could not be
 * kept apart is refused with file and line; nor is a split one undone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/crypto/levels.h"
#include "user/endpoint/hostkeys.h"

#define K(digit) digit digit digit digit digit digit digit digit
#define KEY(a)	 K(a) K(a) K(a) K(a) K(a) K(a) K(a) K(a) /* 64 digits */

static struct hk_error error;

static struct hk_host_keys *must_parse(const char *text, const char *levels)
{
	struct hk_host_keys *keys = NULL;

	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "host.keys", text, levels, &error), 0);
	return keys;
}

/* Refused, and the sentence has these words. */
static void refused(const char *text, const char *levels, const char *words)
{
	struct hk_host_keys *keys = NULL;

	memset(&error, 0, sizeof(error));
	CU_ASSERT_NOT_EQUAL(hk_host_keys_parse(&keys, "host.keys", text, levels, &error), 0);
	CU_ASSERT_PTR_NULL(keys);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words));
	if (!strstr(error.text, words))
		printf("wanted '%s', got '%s'\n", words, error.text);
	CU_ASSERT_PTR_NULL(strstr(error.text, "11111111"));
}

static const char roots[] = "level=region generation=1 side=enc key=" KEY(
	"1") "\n"
	     "level=region generation=1 side=auth key=" KEY(
		     "2") "\n"
			  "level=group generation=5 side=enc key=" KEY(
				  "3") "\n"
				       "level=group generation=5 side=auth key=" KEY(
					       "4") "\n"
						    "level=group generation=6 side=enc key=" KEY(
							    "5") "\n"
								 "level=group generation=6 side=auth "
								 "key=" KEY("6") "\n";

static const char *with_roots(const char *more)
{
	static char text[4096];

	snprintf(text, sizeof(text), "%s%s", roots, more);
	return text;
}

/* What both roots make, byte by byte. */
static void expect_combined(const __u8 *key, enum hk_side side, __u8 region, __u8 group)
{
	struct hk_kdf_levels levels = {.count = 2, .id = {"region", "group"}};
	__u8 wanted[32];

	memset(levels.root[0], region, 32);
	memset(levels.root[1], group, 32);
	hk_kdf_combine(&levels, side, wanted);
	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_EQUAL(memcmp(key, wanted, 32), 0);
}

static void levels_combine(void)
{
	struct hk_address receiver;
	const struct hk_master_wish wish = {.receiver = &receiver, .has_slot = true, .slot = 1};
	struct hk_host_keys *keys =
		must_parse(with_roots("slot=1 generation=1 side=enc from=1/5 receiver=192.0.2.9\n"
				      "slot=1 generation=1 side=auth from=1/5 receiver=192.0.2.9\n"
				      "slot=1 generation=2 side=enc from=1/6 receiver=192.0.2.9\n"
				      "slot=1 generation=2 side=auth from=1/6 receiver=192.0.2.9\n"),
			"region,group");
	struct hk_master master;

	CU_ASSERT_EQUAL(hk_address_parse("192.0.2.9", &receiver), 0);
	CU_ASSERT_TRUE_FATAL(hk_host_keys_master(keys, &wish, &master)); /* the highest generation */
	expect_combined(master.enc, HK_SIDE_ENC, 0x11, 0x55);
	expect_combined(master.auth, HK_SIDE_AUTH, 0x22, 0x66);
	hk_host_keys_free(keys);
}

static bool sends(const struct hk_host_keys *keys, const char *sender, bool is_id, __u32 number)
{
	struct hk_address address;

	CU_ASSERT_EQUAL_FATAL(hk_address_parse(sender, &address), 0);
	return hk_host_keys_sends(keys, &address, is_id, number);
}

static void senders_are_told_apart(void)
{
	struct hk_host_keys *keys = must_parse("slot=0 generation=1 side=single key=" KEY(
						       "1") " receiver=192.0.2.9\n"
							    "sender=192.0.2.1 spis=0x00001000/0xffffff00\n"
							    "sender=192.0.2.2 spis=0x00001100/0xffffff00\n"
							    "sender=192.0.2.2 id=7\n"
							    "sender=192.0.2.3 id=7\n",
		NULL);

	CU_ASSERT_TRUE(sends(keys, "192.0.2.1", false, 0x1000));
	CU_ASSERT_TRUE(sends(keys, "192.0.2.1", false, 0x10ff));
	CU_ASSERT_FALSE(sends(keys, "192.0.2.1", false, 0x1100));
	CU_ASSERT_TRUE(sends(keys, "192.0.2.2", false, 0x1100));
	CU_ASSERT_FALSE(sends(keys, "192.0.2.2", false, 0x1000));
	CU_ASSERT_FALSE(sends(keys, "192.0.2.1", true, 7));
	CU_ASSERT_TRUE(sends(keys, "192.0.2.2", true, 7));
	CU_ASSERT_TRUE(sends(keys, "192.0.2.3", true, 7));	     /* two lines: either of them */
	CU_ASSERT_TRUE(sends(keys, "192.0.2.9", false, 7));	     /* an id is no SPI */
	CU_ASSERT_TRUE(sends(keys, "192.0.2.9", false, 0x80001000)); /* nobody's: anybody's */
	hk_host_keys_free(keys);
	refused("sender=192.0.2.1 id=1\n", NULL, "no keys in it");
}

static void levels_are_refused(void)
{
	static const char both[] = "slot=1 generation=1 side=enc from=1/5 receiver=192.0.2.9\n"
				   "slot=1 generation=1 side=auth from=1/5 receiver=192.0.2.9\n";

	refused(with_roots(both), NULL, "host.keys:1: level=region is not among the levels");
	refused(with_roots(both), "region", "host.keys:3: level=group is not among");
	refused(with_roots(both), "region,group,task", "host.keys:7: from= names 2 levels, 3 are named");
	refused(with_roots("slot=1 generation=1 side=enc from=1/7 receiver=192.0.2.9\n"), "region,group",
		"host.keys:7: from=: there is no generation 7 of level 'group'");
	refused(with_roots("slot=1 generation=1 side=single from=1/5 receiver=192.0.2.9\n"), "region,group",
		"of this side");
	refused("slot=1 generation=1 side=enc from=1/5 receiver=192.0.2.9\n", "region,group",
		"its line must stand before");
	refused("level=region generation=1 side=enc key=" KEY("1") "\n", "region,group",
		"side=enc without its side=auth");
	refused("level=region generation=1 side=enc key=" KEY(
			"1") "\n"
			     "level=region generation=1 side=auth key=" KEY("1") "\n",
		"region,group", "in another role");
	refused(roots, "a,b,c,d", "up to 3 names");
	refused(roots, "region,,group", "up to 3 names");
	refused(roots, "a-name-that-is-too-long", "at most 16 characters");
}

/* The order of levels is that of `levels`, as in the box's domain. */
static void order_of_levels_counts(void)
{
	struct hk_address receiver;
	const struct hk_master_wish wish = {.receiver = &receiver};
	struct hk_host_keys *keys =
		must_parse(with_roots("slot=0 generation=1 side=enc from=5/1 receiver=192.0.2.9\n"
				      "slot=0 generation=1 side=auth from=5/1 receiver=192.0.2.9\n"),
			"group,region");
	struct hk_kdf_levels levels = {.count = 2, .id = {"group", "region"}};
	struct hk_master master;
	__u8 wanted[32];

	memset(levels.root[0], 0x33, 32);
	memset(levels.root[1], 0x11, 32);
	hk_kdf_combine(&levels, HK_SIDE_ENC, wanted);
	CU_ASSERT_EQUAL(hk_address_parse("192.0.2.9", &receiver), 0);
	CU_ASSERT_TRUE_FATAL(hk_host_keys_master(keys, &wish, &master));
	CU_ASSERT_EQUAL(memcmp(master.enc, wanted, 32), 0);
	hk_host_keys_free(keys);
}

static void masters_are_chosen(void)
{
	struct hk_address ours, theirs;
	struct hk_host_keys *keys = must_parse(
		"receiver=192.0.2.9 slot=0 generation=1 id=7 side=enc key=" KEY(
			"1") "\n"
			     "receiver=192.0.2.9 slot=0 generation=1 id=7 side=auth key=" KEY(
				     "2") "\n"
					  "receiver=192.0.2.9 slot=0 generation=1 id=7 side=reader key=" KEY(
						  "3") "\n"
						       "receiver=192.0.2.9 slot=1 generation=2 id=7 side=enc "
						       "key=" KEY(
							       "4") "\n"
								    "receiver=192.0.2.9 slot=1 generation=2 "
								    "id=7 side=auth key=" KEY(
									    "5") "\n"
										 "receiver=192.0.2.9 "
										 "spi=0x1000 side=enc "
										 "root=" KEY(
											 "6") "\n"
											      "receiver=192."
											      "0.2.9 "
											      "spi=0x1000 "
											      "side=auth "
											      "root=" KEY(
												      "7") "\n",
		NULL);
	struct hk_master_wish wish = {.receiver = &ours};
	struct hk_master master;
	__u32 spi;

	CU_ASSERT_EQUAL(hk_address_parse("192.0.2.9", &ours), 0);
	CU_ASSERT_EQUAL(hk_address_parse("192.0.2.8", &theirs), 0);
	CU_ASSERT_TRUE_FATAL(hk_host_keys_master(keys, &wish, &master));
	CU_ASSERT(master.id == 7 && master.slot == 1 && master.enc[0] == 0x44 && master.auth[0] == 0x55);
	CU_ASSERT_PTR_NULL(master.reader);
	wish.has_slot = true;
	CU_ASSERT_TRUE_FATAL(hk_host_keys_master(keys, &wish, &master));
	CU_ASSERT(master.enc[0] == 0x11 && master.auth[0] == 0x22);
	CU_ASSERT(master.reader && master.reader[0] == 0x33);
	wish.has_id = true;
	CU_ASSERT_FALSE(hk_host_keys_master(keys, &wish, &master)); /* id 0 */
	wish = (struct hk_master_wish){.receiver = &theirs};
	CU_ASSERT_FALSE(hk_host_keys_master(keys, &wish, &master));
	wish.receiver = NULL;
	CU_ASSERT_FALSE(hk_host_keys_master(keys, &wish, &master));
	CU_ASSERT_EQUAL(hk_host_keys_roots(keys, &ours, &spi, 1), 1);
	CU_ASSERT_EQUAL(spi, 0x1000);
	CU_ASSERT_TRUE_FATAL(hk_host_keys_root(keys, &ours, 0x1000, &master));
	CU_ASSERT(master.enc[0] == 0x66 && master.auth[0] == 0x77);
	CU_ASSERT_FALSE(hk_host_keys_root(keys, &theirs, 0x1000, &master));
	CU_ASSERT_FALSE(hk_host_keys_root(keys, &ours, 0x1001, &master));
	/* a root is no key of ESP, nor the other way round */
	CU_ASSERT_EQUAL(hk_host_keys_spis(keys, HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC, &ours, &spi, 1), 0);
	hk_host_keys_free(keys);
}

/* The fingerprint of what `text` gives this receiver and SPI; 0: nothing. */
static __u64 fingerprint(
	const char *text, unsigned envelope, unsigned variant, const char *receiver, __u32 spi)
{
	struct hk_crypto *crypto = hk_crypto_new("libcrypto");
	struct hk_host_keys *keys = must_parse(text, NULL);
	struct hk_sa_name name = {
		.envelope = (__u8)envelope, .variant = (__u8)variant, .mkid = 1, .spi = spi};
	struct hk_sa *sa = NULL;
	__u64 out = 0;

	CU_ASSERT_EQUAL(hk_address_parse(receiver, &name.receiver), 0);
	if (hk_host_keys_sa(keys, crypto, &name, 0, &sa) == HK_REFUSAL_NONE)
		memcpy(&out, hk_sa_fingerprint(sa), sizeof(out));
	hk_sa_free(sa);
	hk_host_keys_free(keys);
	hk_crypto_free(crypto);
	return out;
}

/* Whatever the order of the lines: the longest receiver, then the highest generation, explicit before both.
 */
static void sa_has_the_key_that_is_closest(void)
{
#define LINE(receiver, generation, digit) \
	"receiver=" receiver " slot=0 generation=" generation " side=single key=" KEY(digit) "\n"
#define EXPLICIT "receiver=192.0.2.9 spi=9 version=0 side=single key=" K("7") K("7") K("7") K("7") "\n"
	static const char wide[] = LINE("192.0.2.0/24", "9", "1"), near[] = LINE("192.0.2.9", "1", "2"),
			  newer[] = LINE("192.0.2.9", "3", "3");
	char all[1024];
	__u64 wanted = fingerprint(newer, HK_ENVELOPE_PSP, 0, "192.0.2.9", 8), other;
	unsigned i;

	CU_ASSERT_NOT_EQUAL(wanted, 0);
	for (i = 0; i < 6; i++) {
		const char *lines[3] = {wide, near, newer};

		snprintf(all, sizeof(all), "%s%s%s" EXPLICIT, lines[i % 3], lines[(i + 1 + i / 3) % 3],
			lines[(i + 2 - i / 3) % 3]);
		CU_ASSERT_EQUAL(fingerprint(all, HK_ENVELOPE_PSP, 0, "192.0.2.9", 8), wanted);
	}
	other = fingerprint(wide, HK_ENVELOPE_PSP, 0, "192.0.2.8", 8);
	CU_ASSERT(other != 0 && other != wanted);
	CU_ASSERT_EQUAL(fingerprint(all, HK_ENVELOPE_PSP, 0, "192.0.2.8", 8), other);
	other = fingerprint(EXPLICIT, HK_ENVELOPE_PSP, 0, "192.0.2.9", 9);
	CU_ASSERT_NOT_EQUAL(other, 0);
	CU_ASSERT_EQUAL(fingerprint(all, HK_ENVELOPE_PSP, 0, "192.0.2.9", 9), other);
	CU_ASSERT_EQUAL(fingerprint(EXPLICIT, HK_ENVELOPE_ESP, HK_SUITE_GCM, "192.0.2.9", 9), 0);
	refused(EXPLICIT EXPLICIT, NULL, "host.keys:");
}

/* A root may stand anywhere in the file, the first line too. */
static void roots_are_found_from_the_first_line_on(void)
{
	struct hk_host_keys *keys =
		must_parse("receiver=192.0.2.9 spi=0x1000 side=single root=" KEY("1") "\n", NULL);
	struct hk_master master;
	struct hk_address ours;
	__u32 spi = 0;

	CU_ASSERT_EQUAL(hk_address_parse("192.0.2.9", &ours), 0);
	CU_ASSERT_EQUAL(hk_host_keys_roots(keys, &ours, &spi, 1), 1);
	CU_ASSERT_EQUAL(spi, 0x1000);
	CU_ASSERT_TRUE_FATAL(hk_host_keys_root(keys, &ours, 0x1000, &master));
	CU_ASSERT(master.enc[0] == 0x11 && !master.auth);
	hk_host_keys_free(keys);
}

/* The table is of fixed size: one line more than it holds is refused, be it a key or a sender. */
static void too_many_lines_are_refused(void)
{
	static const char *const forms[] = {
		"receiver=10.0.%u.%u spi=1 version=1 side=single key=" KEY("1") "\n",
		"sender=10.0.%u.%u spis=0x00001000/0xffffff00\n"};
	char *text = malloc(4200 * 160);
	size_t size;
	unsigned i, form;

	for (form = 0; form < 2; form++) {
		size = (size_t)sprintf(
			text, "receiver=192.0.2.1 spi=1 version=1 side=single key=" KEY("2") "\n");
		for (i = 0; i < 4097; i++)
			size += (size_t)sprintf(text + size, forms[form], i / 256, i % 256);
		refused(text, NULL, "more than 4096 keys or senders in one file");
	}
	free(text);
}

/* --- key files that would undo the split ------------------------------------------------------- */

static int parse_keys(const char *text)
{
	struct hk_host_keys *keys = NULL;
	int status;

	memset(&error, 0, sizeof(error));
	status = hk_host_keys_parse(&keys, "host.keys", text, NULL, &error);
	CU_ASSERT_EQUAL(status != 0, error.text[0] != 0);
	CU_ASSERT_PTR_NULL(strstr(error.text, "aaaaaaaaaaaaaaaa"));
	hk_host_keys_free(keys);
	return status;
}

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define M "receiver=192.0.2.9 slot=0 generation=1 "
#define X "receiver=192.0.2.9 spi=4096 version=5 "

static void bad_key_files_are_refused(void)
{
	CU_ASSERT_EQUAL(parse_keys(M "side=enc key=" A "\n" M "side=auth key=" B "\n"), 0);
	CU_ASSERT_EQUAL(parse_keys(M "side=single key=" A "\n"), 0);
	CU_ASSERT_EQUAL(parse_keys(X "side=enc key=" A "\n" X "side=auth key=" B "\n"), 0);
	CU_ASSERT_EQUAL(parse_keys(""), -EINVAL);
	CU_ASSERT_EQUAL(parse_keys(M "side=enc key=" A "\n"), -EINVAL);
	CU_ASSERT_EQUAL(parse_keys(M "side=auth key=" A "\n"), -EINVAL);
	CU_ASSERT_EQUAL(parse_keys(X "side=enc key=" A "\n"), -EINVAL);
	/* one key on both sides: the box could forge */
	CU_ASSERT_EQUAL(parse_keys(M "side=enc key=" A "\n" M "side=auth key=" A "\n"), -EINVAL);
	/* a key of a split receiver as another's single key */
	CU_ASSERT_EQUAL(parse_keys(M "side=enc key=" A "\n" M "side=auth key=" B "\n"
				     "receiver=192.0.2.8 slot=0 generation=1 side=single key=" A "\n"),
		-EINVAL);
	/* both profiles in one place */
	CU_ASSERT_EQUAL(
		parse_keys(M "side=enc key=" A "\n" M "side=auth key=" B "\n" M "side=single key=" C "\n"),
		-EINVAL);
	/* one place twice */
	CU_ASSERT_EQUAL(parse_keys(M "side=single key=" A "\n" M "side=single key=" B "\n"), -EINVAL);
	/* the other side under another generation */
	CU_ASSERT_EQUAL(parse_keys(M "side=enc key=" A
				     "\nreceiver=192.0.2.9 slot=0 generation=2 side=auth key=" B "\n"),
		-EINVAL);
}

int main(void)
{
	static const struct test tests[] = {
		{"roots of levels make what the box makes of them", levels_combine},
		{"senders are told apart by what they send with", senders_are_told_apart},
		{"levels that are not there, not whole or not named are refused", levels_are_refused},
		{"the order of levels counts", order_of_levels_counts},
		{"a master key is chosen by receiver, id, slot and generation", masters_are_chosen},
		{"an SA has the key that is closest to it", sa_has_the_key_that_is_closest},
		{"roots are found from the first line on", roots_are_found_from_the_first_line_on},
		{"too many lines are refused", too_many_lines_are_refused},
		{"key files that would undo the split are refused", bad_key_files_are_refused},
		{0},
	};

	return run_tests("hostkeys", tests);
}

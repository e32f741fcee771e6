// SPDX-License-Identifier: GPL-2.0-or-later
/* Key files: what is read, what is refused and with which words, and what no message may hold. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "user/keys/keyfile.h"

#define K32  "00112233445566778899aabbccddeeff"
#define K64  K32 "0123456789abcdef0123456789ABCDEF"
#define MAIN "slot=0 generation=1 side=enc key=" K64

struct taken {
	unsigned count;
	struct hk_key_line last;
};

static int take(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct taken *taken = context;

	(void)error;
	taken->count++;
	taken->last = *line;
	return 0;
}

static int read_text(const char *text, struct taken *taken, struct hk_error *error)
{
	memset(taken, 0, sizeof(*taken));
	memset(error, 0, sizeof(*error));
	return hk_keyfile_read("k.keys", text, error, take, taken);
}

static void master_lines_are_read(void)
{
	struct hk_error error;
	struct taken taken;

	CU_ASSERT_EQUAL(
		read_text("# two keys\n\n" MAIN "\r\n"
			  "\tslot=1  generation=0x10 side=single key=" K64 " receiver=2001:db8::/32 # tail\n",
			&taken, &error),
		0);
	CU_ASSERT_EQUAL(taken.count, 2);
	CU_ASSERT_EQUAL(taken.last.line, 4);
	CU_ASSERT_FALSE(taken.last.is_explicit);
	CU_ASSERT_EQUAL(taken.last.slot, 1);
	CU_ASSERT_EQUAL(taken.last.generation, 16);
	CU_ASSERT_EQUAL(taken.last.side, HK_SIDE_SINGLE);
	CU_ASSERT_TRUE(taken.last.has_receiver);
	CU_ASSERT_EQUAL(taken.last.receiver.length, 32);
	CU_ASSERT_EQUAL(taken.last.key_size, 32);
	CU_ASSERT_EQUAL(taken.last.version, -1);
	CU_ASSERT_EQUAL(taken.last.suite, HK_SUITE_NONE);
	CU_ASSERT_EQUAL(taken.last.key[1], 0x11);
	CU_ASSERT_EQUAL(taken.last.key[31], 0xef);
	CU_ASSERT_FALSE(taken.last.has_id);
	CU_ASSERT_EQUAL(read_text(MAIN " id=0xfffffffe", &taken, &error), 0);
	CU_ASSERT_TRUE(taken.last.has_id);
	CU_ASSERT_EQUAL(taken.last.id, 0xfffffffe);
}

static void sender_lines_are_read(void)
{
	struct hk_error error;
	struct taken taken;

	CU_ASSERT_EQUAL(read_text("sender=192.0.2.7 spis=0x00001100/0xffffff00", &taken, &error), 0);
	CU_ASSERT_EQUAL(taken.last.form, HK_KEY_SENDER);
	CU_ASSERT_EQUAL(taken.last.spi, 0x1100);
	CU_ASSERT_EQUAL(taken.last.mask, 0xffffff00);
	CU_ASSERT_EQUAL(taken.last.sender.bytes[15], 7);
	CU_ASSERT_FALSE(taken.last.has_id);
	CU_ASSERT_EQUAL(read_text("sender=2001:db8::7 id=6", &taken, &error), 0);
	CU_ASSERT_TRUE(taken.last.has_id);
	CU_ASSERT_EQUAL(taken.last.id, 6);
}

static void sender_lines_are_refused(void)
{
	static const char *const lines[][2] = {
		{"sender=192.0.2.7", "has either spis= or id="},
		{"sender=192.0.2.7 spis=1/1 id=6", "has either spis= or id="},
		{"spis=0x1100/0xffffff00", "sender= is missing"},
		{"sender=192.0.2.0/24 id=6", "sender=192.0.2.0/24 must be an IPv4 or IPv6 address"},
		{"sender=192.0.2.7 spis=0x1101/0xffffff00", "must be a number and a mask that covers it"},
		{"sender=192.0.2.7 spis=0x1100", "must be a number and a mask"},
		{"sender=192.0.2.7 spis=/0xff", "must be a number and a mask"},
		{"sender=192.0.2.7 spis=1/0x1ffffffff", "must be a number and a mask"},
		{"sender=192.0.2.7 id=6 side=enc", "side= does not belong to a line that names a sender"},
		{"sender=192.0.2.7 id=6 receiver=192.0.2.9", "receiver= does not belong"},
		{"sender=192.0.2.7 id=6 not-after=5", "not-after= does not belong"},
	};
	struct hk_error error;
	struct taken taken;
	unsigned i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CU_ASSERT_NOT_EQUAL(read_text(lines[i][0], &taken, &error), 0);
		CU_ASSERT_EQUAL(taken.count, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, lines[i][1]));
		if (!strstr(error.text, lines[i][1]))
			printf("%s: got '%s'\n", lines[i][0], error.text);
	}
	memset(&error, 0, sizeof(error));
	CU_ASSERT_NOT_EQUAL(
		hk_keyfile_read_update("k", "retire sender=192.0.2.7 id=6", &error, take, &taken), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "cannot be retired"));
}

static void explicit_lines_are_read(void)
{
	struct hk_error error;
	struct taken taken;

	CU_ASSERT_EQUAL(
		read_text("receiver=192.0.2.9 spi=0x80000001 version=4 side=enc key=" K32, &taken, &error),
		0);
	CU_ASSERT_EQUAL(taken.count, 1);
	CU_ASSERT_TRUE(taken.last.is_explicit);
	CU_ASSERT_EQUAL(taken.last.spi, 0x80000001);
	CU_ASSERT_EQUAL(taken.last.version, 4);
	CU_ASSERT_EQUAL(taken.last.key_size, 16);
	CU_ASSERT_EQUAL(
		read_text("receiver=192.0.2.9 spi=256 suite=gcm side=single key=" K64 " salt=01020304\n",
			&taken, &error),
		0);
	CU_ASSERT_EQUAL(taken.last.suite, HK_SUITE_GCM);
	CU_ASSERT_TRUE(taken.last.has_salt);
	CU_ASSERT_EQUAL(taken.last.salt[3], 4);
	CU_ASSERT_EQUAL(
		read_text("receiver=2001:db8::1 spi=4096 suite=cbc-hmac side=enc key=" K64, &taken, &error),
		0);
	CU_ASSERT_EQUAL(
		read_text("receiver=192.0.2.9 spi=4096 suite=ctr-hmac side=auth key=" K64, &taken, &error),
		0);
}

static void an_empty_file_is_no_error(void)
{
	struct hk_error error;
	struct taken taken;

	CU_ASSERT_EQUAL(read_text("", &taken, &error), 0);
	CU_ASSERT_EQUAL(read_text("\n \t\n# nothing", &taken, &error), 0);
	CU_ASSERT_EQUAL(taken.count, 0);
}

/* Each refusal names file and line and says what it is about. */
static const struct {
	const char *text;
	const char *says;
} refusals[] = {
	{"slot=4 generation=1 side=enc key=" K64, "k.keys:1: slot=4 must be"},
	{"slot=-1 generation=1 side=enc key=" K64, "slot=-1 must be"},
	{"slot=0 generation=4294967296 side=enc key=" K64, "generation=4294967296 must be"},
	{"slot=0 generation=1 side=both key=" K64, "side=both must be enc, auth, single or reader"},
	{"slot=0 generation=1 side=enc key=" K32, "64 hexadecimal digits"},
	{"slot=0 generation=1 side=enc key=zz112233445566778899aabbccddeeff" K32, "key= must be"},
	{"slot=0 generation=1 side=enc key=", "key= must be"},
	{"slot=0 generation=1 side=enc key=" K64 "00", "key= must be"},
	{MAIN " slot=0", "slot= stands twice"},
	{MAIN " colour=red", "unknown field 'colour'"},
	{MAIN " red", "field=value"},
	{MAIN " receiver=192.0.2.1/24", "receiver=192.0.2.1/24 must be"},
	{MAIN " receiver=::ffff:192.0.2.1", "receiver=::ffff:192.0.2.1 must be"},
	{MAIN " version=4", "version= does not belong to a master key"},
	{MAIN " salt=00000000", "salt= does not belong"},
	{"receiver=192.0.2.1 spi=256 side=enc root=" K32, "root= must be"},
	{"receiver=192.0.2.1 spi=255 side=enc root=" K64, "reserved"},
	{"receiver=192.0.2.0/24 spi=256 side=enc root=" K64, "must be an address"},
	{"receiver=192.0.2.1 spi=256 side=enc root=" K64 " key=" K64, "key= does not belong"},
	{"receiver=192.0.2.1 spi=256 side=enc root=" K64 " salt=00000000", "salt= does not belong"},
	{"receiver=192.0.2.1 spi=256 side=reader root=" K64, "side=reader is of master keys"},
	{"receiver=192.0.2.1 spi=256 version=5 side=reader key=" K64, "side=reader is of master keys"},
	{MAIN " root=" K64, "root= does not belong"},
	{MAIN " id=4294967296", "id=4294967296 must be"},
	{"receiver=192.0.2.1 spi=256 id=1 version=4 side=enc key=" K32, "id= does not belong"},
	{"generation=1 side=enc key=" K64, "slot= is missing"},
	{"slot=0 side=enc key=" K64, "generation= is missing"},
	{"slot=0 generation=1 key=" K64, "side= is missing"},
	{"slot=0 generation=1 side=enc", "key= is missing"},
	{MAIN "\n" MAIN "\nslot=9", "k.keys:3: "},
	{"spi=256 version=4 side=enc key=" K32, "receiver= is missing"},
	{"receiver=192.0.2.0/24 spi=256 version=4 side=enc key=" K32, "must be an address"},
	{"receiver=192.0.2.1 spi=256 side=enc key=" K32, "needs version= (PSP) or suite= (ESP)"},
	{"receiver=192.0.2.1 spi=256 version=4 suite=gcm side=enc key=" K32, "suite= does not belong"},
	{"receiver=192.0.2.1 spi=256 slot=0 version=4 side=enc key=" K32, "slot= does not belong"},
	{"receiver=192.0.2.1 spi=0 version=4 side=enc key=" K32, "reserved"},
	{"receiver=192.0.2.1 spi=0x80000000 version=4 side=enc key=" K32, "reserved"},
	{"receiver=192.0.2.1 spi=0x100000000 version=4 side=enc key=" K32, "spi=0x100000000 must be"},
	{"receiver=192.0.2.1 spi=1 version=2 side=enc key=" K32, "version=2 must be 0, 1, 4 or 5"},
	{"receiver=192.0.2.1 spi=1 version=5 side=enc key=" K32, "length is not the version's"},
	{"receiver=192.0.2.1 spi=1 version=0 side=single key=" K64, "length is not the version's"},
	{"receiver=192.0.2.1 spi=1 version=0 side=enc key=" K32, "side=single"},
	{"receiver=192.0.2.1 spi=1 version=4 side=single key=" K32, "side=single"},
	{"receiver=192.0.2.1 spi=1 version=4 side=enc salt=00000000 key=" K32, "salt= does not belong"},
	{"receiver=192.0.2.1 spi=255 suite=gcm side=single salt=00000000 key=" K64, "0 to 255 are reserved"},
	{"receiver=192.0.2.1 spi=256 suite=aes side=enc salt=00000000 key=" K64, "suite=aes must be"},
	{"receiver=192.0.2.1 spi=256 suite=gcm side=single salt=00000000 key=" K32, "64 hexadecimal digits"},
	{"receiver=192.0.2.1 spi=256 suite=gcm side=single key=" K64, "salt= is missing"},
	{"receiver=192.0.2.1 spi=256 suite=gcm side=single salt=000000 key=" K64, "salt= must be"},
	{"receiver=192.0.2.1 spi=256 suite=gcm side=enc salt=00000000 key=" K64, "gcm takes side=single"},
	{"receiver=192.0.2.1 spi=256 suite=ctr-hmac side=single salt=00000000 key=" K64,
		"gcm takes side=single"},
	{"receiver=192.0.2.1 spi=256 suite=cbc-hmac side=enc salt=00000000 key=" K64,
		"does not belong to suite cbc-hmac"},
};

static void every_refusal_names_its_line(void)
{
	struct hk_error error;
	struct taken taken;
	unsigned i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		CU_ASSERT_EQUAL(read_text(refusals[i].text, &taken, &error), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "k.keys:"));
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, refusals[i].says));
		if (!strstr(error.text, refusals[i].says))
			printf("# %s\n#   said: %s\n", refusals[i].text, error.text);
	}
}

/* Wherever a key is put by mistake, no message repeats it. */
static void no_message_holds_a_key(void)
{
	static const char *const misplaced[] = {K64, K64 "=1", "slot=" K64, "side=" K32, "suite=" K64,
		"spi=" K64, "receiver=" K64, "salt=" K64, "key=" K64 "zz", "generation=" K32, "version=" K32,
		"key:" K64, "spi=0x" K64};
	struct hk_error error;
	struct taken taken;
	unsigned i;

	for (i = 0; i < sizeof(misplaced) / sizeof(misplaced[0]); i++) {
		CU_ASSERT_EQUAL(read_text(misplaced[i], &taken, &error), -EINVAL);
		CU_ASSERT_PTR_NULL(strstr(error.text, "8899aabb"));
		CU_ASSERT_TRUE(error.text[0]);
	}
}

static void a_long_line_is_refused(void)
{
	struct hk_error error;
	struct taken taken;
	char text[2048];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_EQUAL(read_text(text, &taken, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "longer than"));
	text[511] = '\n'; /* 511 bytes fit; the rest is too long */
	CU_ASSERT_EQUAL(read_text(text, &taken, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "k.keys:1: a word"));
}

/* Random bytes and mutated lines: refused or read, never beyond the buffers (the sanitizers watch). */
static void hostile_text_is_harmless(void)
{
	static const char good[] =
		MAIN " receiver=192.0.2.0/24\nreceiver=192.0.2.9 spi=7 version=5 side=enc key=" K64;
	__u64 seed = 1;
	struct hk_error error;
	struct taken taken;
	char text[sizeof(good)];
	unsigned round, i;
	int result;

	for (round = 0; round < 20000; round++) {
		memcpy(text, good, sizeof(good));
		for (i = (unsigned)(random_next(&seed) % 8); i < 8; i++)
			text[random_next(&seed) % (sizeof(good) - 1)] = (char)(random_next(&seed) % 127 + 1);
		result = read_text(text, &taken, &error);
		if (result && result != -EINVAL)
			CU_FAIL("another error than EINVAL");
		if (result && !error.text[0])
			CU_FAIL("a refusal without a sentence");
	}
}

static int stop(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	(void)line;
	++*(unsigned *)context;
	return hk_error_set(error, EBUSY, "stop");
}

static void the_taker_can_stop(void)
{
	struct hk_error error = {{0}};
	unsigned count = 0;

	CU_ASSERT_EQUAL(hk_keyfile_read("k.keys", MAIN "\n" MAIN "\n", &error, stop, &count), -EBUSY);
	CU_ASSERT_EQUAL(count, 1);
}

int main(void)
{
	static const struct test tests[] = {
		{"master lines are read", master_lines_are_read},
		{"sender lines are read", sender_lines_are_read},
		{"sender lines that say too much or too little are refused", sender_lines_are_refused},
		{"explicit lines are read", explicit_lines_are_read},
		{"an empty file is no error", an_empty_file_is_no_error},
		{"every refusal names its line", every_refusal_names_its_line},
		{"no message holds a key", no_message_holds_a_key},
		{"a long line is refused", a_long_line_is_refused},
		{"hostile text is harmless", hostile_text_is_harmless},
		{"the taker can stop", the_taker_can_stop},
		{0},
	};
	return run_tests("keyfile", tests);
}

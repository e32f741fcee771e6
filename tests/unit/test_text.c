// SPDX-License-Identifier: GPL-2.0-or-later
/* Text to values and back, and the nearest-name search. */
#include "tests/unit/harness.h"

#include <stdio.h>
#include <string.h>

#include <halfkey/envelope.h>
#include <halfkey/hook.h>
#include <halfkey/reason.h>

#include "user/base/error.h"
#include "user/base/nearest.h"
#include "user/base/text.h"

static void addresses(void)
{
	static const char *const good[] = {
		"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "fe80::1"};
	static const char *const bad[] = {"", "192.0.2", "192.0.2.256", "192.0.2.1 ", " 192.0.2.1",
		"01.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "2001:db8::1%eth0", "2001:db8:::1", "host",
		"1.2.3.4.5", "192.0.2.1/24"};
	char text[HK_ADDRESS_TEXT];
	struct hk_address address;
	unsigned i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(hk_address_parse(good[i], &address), 0);
		CU_ASSERT_STRING_EQUAL(hk_address_format(&address, text), good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(hk_address_parse(bad[i], &address) < 0);
}

static void prefixes(void)
{
	static const char *const good[] = {"192.0.2.0/24", "0.0.0.0/0", "10.0.0.0/8", "192.0.2.1",
		"2001:db8::/32", "::/0", "2001:db8::1", "128.0.0.0/1", "2001:db8:8000::/33"};
	static const char *const bad[] = {"", "/", "/24", "192.0.2.0/", "192.0.2.0/33", "192.0.2.1/24",
		"192.0.2.0/24/24", "192.0.2.0/ 24", "192.0.2.0/-1", "2001:db8::/129", "2001:db8::1/32",
		"::ffff:1.2.3.0/120", "192.0.2.0/99999999999",
		"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/32"};
	char text[HK_PREFIX_TEXT];
	struct hk_prefix prefix;
	unsigned i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(hk_prefix_parse(good[i], &prefix), 0);
		CU_ASSERT_STRING_EQUAL(hk_prefix_format(&prefix, text), good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(hk_prefix_parse(bad[i], &prefix) < 0);
}

static bool holds(const char *prefix_text, const char *address_text)
{
	struct hk_prefix prefix;
	struct hk_address address;

	CU_ASSERT_EQUAL(hk_prefix_parse(prefix_text, &prefix), 0);
	CU_ASSERT_EQUAL(hk_address_parse(address_text, &address), 0);
	return hk_prefix_holds(&prefix, &address);
}

static void prefix_holds(void)
{
	CU_ASSERT(holds("192.0.2.0/24", "192.0.2.255"));
	CU_ASSERT(!holds("192.0.2.0/24", "192.0.3.0"));
	CU_ASSERT(holds("192.0.2.128/25", "192.0.2.129"));
	CU_ASSERT(!holds("192.0.2.128/25", "192.0.2.127"));
	CU_ASSERT(holds("0.0.0.0/0", "8.8.8.8"));
	CU_ASSERT(!holds("0.0.0.0/0", "2001:db8::1"));
	CU_ASSERT(holds("::/0", "2001:db8::1"));
	CU_ASSERT(!holds("::/0", "192.0.2.1"));
	CU_ASSERT(holds("192.0.2.1", "192.0.2.1"));
	CU_ASSERT(!holds("192.0.2.1", "192.0.2.0"));
	CU_ASSERT(holds("2001:db8::/33", "2001:db8:7fff::1"));
	CU_ASSERT(!holds("2001:db8::/33", "2001:db8:8000::1"));
}

static void numbers(void)
{
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.5", "0x", "x", "0xg", "256", "0x100",
		"1e2", "18446744073709551616", "99999999999999999999999"};
	__u64 value = 0;
	unsigned i;

	CU_ASSERT(hk_number_parse("255", 255, &value) == 0 && value == 255);
	CU_ASSERT(hk_number_parse("0xfF", 255, &value) == 0 && value == 255);
	CU_ASSERT(hk_number_parse("007", 255, &value) == 0 && value == 7);
	CU_ASSERT(hk_number_parse("18446744073709551615", ~0ull, &value) == 0 && value == ~0ull);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(hk_number_parse(bad[i], 255, &value) < 0);
}

static void hex(void)
{
	__u8 bytes[4] = {0};
	char text[9];
	int c;

	CU_ASSERT_EQUAL(hk_hex_parse("00fFaB9c", 8, bytes, 4), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, "\x00\xff\xab\x9c", 4), 0);
	hk_hex_format(bytes, 4, text);
	CU_ASSERT_STRING_EQUAL(text, "00ffab9c");
	CU_ASSERT(hk_hex_parse("00fFaB9", 7, bytes, 4) < 0);
	CU_ASSERT(hk_hex_parse("00fFaB9cd", 9, bytes, 4) < 0);
	for (c = 0; c < 256; c++) {
		char pair[2] = {'0', (char)c};
		bool digit = c && strchr("0123456789abcdefABCDEF", c);

		CU_ASSERT_EQUAL(hk_hex_parse(pair, 2, bytes, 1) == 0, digit);
	}
}

static void names(void)
{
	unsigned i;

	for (i = 0; i < HK_REASON_COUNT + 10; i++)
		CU_ASSERT_EQUAL(!hk_reason_name(i), !hk_reason_text(i));
	CU_ASSERT_STRING_EQUAL(hk_reason_name(HK_REASON_PSP_HEL_ZERO), "psp-hel-zero");
	CU_ASSERT_PTR_NULL(hk_reason_name(15));
	CU_ASSERT_EQUAL(hk_reason_policy(HK_REASON_STALE_KEY), HK_POLICY_NO_KEY);
	CU_ASSERT_EQUAL(hk_policy_default(HK_POLICY_BAD_ICV), HK_ACTION_DROP);
	CU_ASSERT_EQUAL(hk_policy_default(999), HK_ACTION_DROP);
	CU_ASSERT_EQUAL(hk_envelope_by_name("esp"), HK_ENVELOPE_ESP);
	CU_ASSERT_EQUAL(hk_envelope_by_name("ESP"), -1);
	CU_ASSERT_EQUAL(hk_suite_by_name("cbc-hmac"), HK_SUITE_CBC_HMAC);
	CU_ASSERT_EQUAL(hk_suite_by_name(""), -1);
	CU_ASSERT_EQUAL(hk_suite_profile(HK_SUITE_GCM), HK_PROFILE_SINGLE);
	CU_ASSERT_STRING_EQUAL(hk_profile_name(HK_PROFILE_SPLIT), "split");
	CU_ASSERT_PTR_NULL(hk_profile_name(0));
	CU_ASSERT_STRING_EQUAL(hk_mode_name(HK_MODE_PASSIVE), "passive");
	CU_ASSERT_PTR_NULL(hk_mode_name(77));
}

static const char *near(const char *word)
{
	static const char *const list[] = {"status", "stats", "keys", "verdicts", "detach", "doctor", "open"};
	struct hk_nearest nearest = {0};
	unsigned i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		hk_nearest_offer(&nearest, word, list[i]);
	return nearest.name ? nearest.name : "";
}

static void nearest_names(void)
{
	char big[200];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	CU_ASSERT_STRING_EQUAL(near("statsu"), "status");
	CU_ASSERT_STRING_EQUAL(near("stat"), "stats");
	CU_ASSERT_STRING_EQUAL(near("verdict"), "verdicts");
	CU_ASSERT_STRING_EQUAL(near("opne"), "open");
	CU_ASSERT_STRING_EQUAL(near("xyzzy"), "");
	CU_ASSERT_STRING_EQUAL(near(""), "");
	CU_ASSERT_STRING_EQUAL(near(big), "");
}

static void sentences_steer_no_terminal(void)
{
	struct hk_error error = {""};

	CU_ASSERT_EQUAL(hk_error_set(&error, 22, "\"%s\" \xc3\xa4", "a\x1b[2J\n\x7f\x01~ b"), -22);
	CU_ASSERT_STRING_EQUAL(error.text, "\"a?[2J???~ b\" \xc3\xa4");
	CU_ASSERT_EQUAL(hk_error_set(&error, 5, "another"), -5);
	CU_ASSERT_STRING_EQUAL(error.text, "\"a?[2J???~ b\" \xc3\xa4");
	CU_ASSERT_EQUAL(hk_error_set(NULL, 5, "nobody hears it"), -5);
}

int main(void)
{
	static const struct test tests[] = {
		{"addresses", addresses},
		{"prefixes", prefixes},
		{"prefix holds address", prefix_holds},
		{"numbers", numbers},
		{"hex", hex},
		{"names of the lists", names},
		{"nearest name", nearest_names},
		{"sentences steer no terminal", sentences_steer_no_terminal},
		{0},
	};

	return run_tests("text", tests);
}

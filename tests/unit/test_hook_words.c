// SPDX-License-Identifier: GPL-2.0-or-later
/* What all hooks read alike: their file and its bounds, numbers, durations, prefixes; what stays of refusals.
 */
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/hooks/prefix.h"
#include "user/hooks/settings.h"

static char said[256];

static struct hk_hooks_refusal silence(void)
{
	said[0] = '\0';
	return (struct hk_hooks_refusal){.text = said, .size = sizeof(said), .path = "FILE"};
}

/* Reads a file of `length` bytes where `max` may be; what was said, or "" when it was read whole. */
static const char *read_file(size_t length, size_t max)
{
	struct hk_hook_setup setup = {.settings_fd = memfd_create("settings", MFD_CLOEXEC)};
	struct hk_hooks_refusal refusal = silence();
	char *bytes = malloc(length + 1), *text;
	size_t size = 0, i;

	for (i = 0; i < length; i++)
		bytes[i] = (char)('a' + i % 26);
	CU_ASSERT_EQUAL(write(setup.settings_fd, bytes, length), (ssize_t)length);
	text = hk_settings_read(&setup, max, &size, &refusal);
	if (text) {
		CU_ASSERT_EQUAL(size, length);
		CU_ASSERT_EQUAL(memcmp(text, bytes, length), 0);
		CU_ASSERT_EQUAL(text[length], '\0');
	}
	CU_ASSERT_EQUAL(text == NULL, said[0] != '\0');
	close(setup.settings_fd);
	free(text);
	free(bytes);
	return said;
}

static void files(void)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65536, 100000};
	struct hk_hook_setup setup = {.settings_fd = -1};
	struct hk_hooks_refusal refusal = silence();
	size_t size, i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CU_ASSERT_STRING_EQUAL(read_file(sizes[i], 1 << 20), "");
		CU_ASSERT_STRING_EQUAL(read_file(sizes[i], sizes[i]), "");
		CU_ASSERT_PTR_NOT_NULL(
			strstr(read_file(sizes[i] + 1, sizes[i]), "bytes: split or shorten it"));
	}
	CU_ASSERT_STRING_EQUAL(read_file(5, 4), "FILE: is larger than 4 bytes: split or shorten it");
	refusal = silence();
	CU_ASSERT_PTR_NULL(hk_settings_read(&setup, 100, &size, &refusal));
	CU_ASSERT_STRING_EQUAL(said, "FILE: this hook needs one: name it in the configuration");
	setup.settings_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	refusal = silence();
	CU_ASSERT_PTR_NULL(hk_settings_read(&setup, 100, &size, &refusal));
	CU_ASSERT_STRING_EQUAL(said, "FILE: cannot be read: Is a directory");
	close(setup.settings_fd);
}

static void the_first_refusal_stays(void)
{
	struct hk_hooks_refusal refusal = silence();

	CU_ASSERT_EQUAL(hk_hooks_refuse(&refusal, "is %s", "wrong"), -1);
	CU_ASSERT_EQUAL(hk_hooks_refuse(&refusal, "is worse"), -1);
	CU_ASSERT_STRING_EQUAL(said, "FILE: is wrong");
	refusal = silence();
	refusal.path = NULL;
	refusal.size = 20; /* cut, and ended */
	memset(said + 20, '#', 4);
	CU_ASSERT_EQUAL(hk_hooks_refuse(&refusal, "is longer than there is room for"), -1);
	CU_ASSERT_EQUAL(strncmp(said, "no file: is longer ", 20), 0);
	CU_ASSERT_EQUAL(said[20], '#');
	refusal.size = 0;
	CU_ASSERT_EQUAL(hk_hooks_refuse(&refusal, "nobody hears it"), -1);
}

static void durations(void)
{
	static const struct {
		const char *text;
		__u32 milliseconds; /* 0: refused */
	} rows[] = {
		{"1ms", 1},
		{"500ms", 500},
		{"30s", 30000},
		{"5m", 300000},
		{"1h", 3600000},
		{"24h", 86400000},
		{"1440m", 86400000},
		{"86400s", 86400000},
		{"86400000ms", 86400000},
		{"00000001s", 1000},
		{"0s", 0},
		{"25h", 0},
		{"1441m", 0},
		{"86401s", 0},
		{"86400001ms", 0},
		{"000000001s", 0},
		{"1", 0},
		{"s", 0},
		{"", 0},
		{"1 s", 0},
		{"1S", 0},
		{"-1s", 0},
		{"1d", 0},
	};
	__u32 milliseconds;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		milliseconds = 0;
		CU_ASSERT_EQUAL(
			hk_duration_parse(rows[i].text, &milliseconds), rows[i].milliseconds ? 0 : -1);
		CU_ASSERT_EQUAL(milliseconds, rows[i].milliseconds);
	}
}

static void numbers(void)
{
	unsigned long number = 7;

	CU_ASSERT_EQUAL(hk_hooks_number_read("0", 5, &number), 0);
	CU_ASSERT_EQUAL(number, 0);
	CU_ASSERT_EQUAL(hk_hooks_number_read("5", 5, &number), 0);
	CU_ASSERT_EQUAL(number, 5);
	CU_ASSERT_EQUAL(hk_hooks_number_read("4294967295", 0xffffffff, &number), 0);
	CU_ASSERT_EQUAL(number, 0xffffffff);
	CU_ASSERT_EQUAL(hk_hooks_number_read("6", 5, &number), -1);
	CU_ASSERT_EQUAL(hk_hooks_number_read("4294967296", 0xffffffff, &number), -1);
	CU_ASSERT_EQUAL(hk_hooks_number_read("00000000001", 5, &number), -1);
	CU_ASSERT_EQUAL(hk_hooks_number_read("", 5, &number), -1);
	CU_ASSERT_EQUAL(hk_hooks_number_read("1x", 5, &number), -1);
	CU_ASSERT_EQUAL(hk_hooks_number_read("12345678901x", ~0ul, &number), -1);
	CU_ASSERT_EQUAL(hk_hooks_number_read("-1", 5, &number), -1);
}

static void prefixes(void)
{
	static const struct {
		const char *text;
		int length; /* as IPv6's; -1: refused */
		const char *inside, *outside;
	} rows[] = {
		{"192.0.2.0/24", 120, "192.0.2.255", "192.0.3.0"},
		{"192.0.2.64/27", 123, "192.0.2.95", "192.0.2.96"},
		{"192.0.2.1", 128, "192.0.2.1", "192.0.2.0"},
		{"0.0.0.0/0", 96, "255.255.255.255", "2001:db8::1"},
		{"2001:db8::/32", 32, "2001:db8:ffff::1", "2001:db9::"},
		{"2001:db8:8000::/33", 33, "2001:db8:8000::1", "2001:db8:7fff::1"},
		{"::/0", 0, "2001:db8::1", NULL},
		{"192.0.2.1/24", -1, NULL, NULL},
		{"192.0.2.0/33", -1, NULL, NULL},
		{"2001:db8::/129", -1, NULL, NULL},
		{"::ffff:192.0.2.1", -1, NULL, NULL},
		{"192.0.2.0/", -1, NULL, NULL},
		{"192.0.2", -1, NULL, NULL},
		{"", -1, NULL, NULL},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8", -1, NULL,
			NULL},
	};
	struct hk_prefix prefix, other;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = hk_hooks_prefix_read(rows[i].text, &prefix);

		CU_ASSERT_EQUAL(why != NULL, rows[i].length < 0);
		if (rows[i].length < 0)
			continue;
		CU_ASSERT_EQUAL(prefix.length, rows[i].length);
		CU_ASSERT_PTR_NULL(hk_hooks_prefix_read(rows[i].inside, &other));
		CU_ASSERT_TRUE(hk_hooks_prefix_holds(&prefix, &other.address));
		if (!rows[i].outside)
			continue;
		CU_ASSERT_PTR_NULL(hk_hooks_prefix_read(rows[i].outside, &other));
		CU_ASSERT_FALSE(hk_hooks_prefix_holds(&prefix, &other.address));
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"files", files},
		{"the first refusal stays", the_first_refusal_stays},
		{"durations", durations},
		{"numbers", numbers},
		{"prefixes", prefixes},
		{0},
	};
	return run_tests("hook_words", tests);
}

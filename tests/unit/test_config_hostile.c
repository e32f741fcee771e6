// SPDX-License-Identifier: GPL-2.0-or-later
/* The YAML configuration: hostile input. */
#include "tests/unit/config_help.h"

static void aliases_and_documents(void)
{
	bad("a: &x [1]\nports: *x\n", NAME ":2:", "aliases");
	bad("ports: [a, b]\n---\nports: [c, d]\n", NAME ":2:", "second document");
	bad("? [a, b]\n: c\n", NAME ":1:", "plain word");
	bad("ports: [a, b\n", NAME ":2:", "");
	bad("ports: \"a\n", NAME ":", "");
	bad("\tports: x\n", NAME ":1:", "");
	bad("%YAML 9.9\n---\nports: [a]\n", NAME ":1:", "");
}

static void deep_nesting(void)
{
	char text[20000];

	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	bad(text, NAME ":1:", "nested too deeply");
	bad("ports: [[[[[[[[[[a]]]]]]]]]]\n", NAME ":1:", "nested too deeply");
}

static void binary_is_refused(void)
{
	struct hk_error error = {""};
	struct hk_config *config;
	char text[512];
	__u64 seed = 1;
	unsigned round, i;

	for (round = 0; round < 2000; round++) {
		for (i = 0; i < sizeof(text); i++)
			text[i] = (char)random_next(&seed);
		error.text[0] = '\0';
		CU_ASSERT(hk_config_parse(&config, NAME, text, sizeof(text), HK_CONFIG_DAEMON, NULL, &error) <
			  0);
		CU_ASSERT(error.text[0]);
	}
	CU_ASSERT(hk_config_parse(&config, NAME, "ports: \"\\0\"", 11, HK_CONFIG_DAEMON, NULL, &error) < 0);
}

/* Every truncation and many one-byte changes of a good file: refused or taken, never a crash. */
static void mutations(void)
{
	static const char text[] =
		HEAD "policy: {no-key: drop}\n" EAST WEST "hooks:\n - {use: firewall, rules: r}\n";
	char copy[sizeof(text)];
	struct hk_config *config;
	struct hk_error error;
	__u64 seed = 7;
	unsigned i, refused = 0;

	for (i = 0; i < sizeof(text); i++) {
		error.text[0] = '\0';
		if (hk_config_parse(&config, NAME, text, i, HK_CONFIG_DAEMON, NULL, &error))
			CU_ASSERT(error.text[0]);
		hk_config_free(config);
	}
	for (i = 0; i < 3000; i++) {
		memcpy(copy, text, sizeof(text));
		copy[random_next(&seed) % (sizeof(text) - 1)] = (char)random_next(&seed);
		error.text[0] = '\0';
		if (hk_config_parse(&config, NAME, copy, sizeof(text) - 1, HK_CONFIG_DAEMON, NULL, &error)) {
			CU_ASSERT(error.text[0]);
			refused++;
		}
		hk_config_free(config);
	}
	CU_ASSERT(refused > 500);
}

static void huge_files(void)
{
	size_t size = (4u << 20) + 1;
	char *text = malloc(size);
	struct hk_config *config;
	struct hk_error error = {""};

	memset(text, ' ', size);
	CU_ASSERT_EQUAL(hk_config_parse(&config, NAME, text, size, HK_CONFIG_DAEMON, NULL, &error), -EFBIG);
	memcpy(text, "user: ", 6);
	memset(text + 6, 'x', 8192);
	error.text[0] = '\0';
	CU_ASSERT(hk_config_parse(&config, NAME, text, 8198, HK_CONFIG_DAEMON, NULL, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "longer than 4096"));
	free(text);
}

/* A hostile name must not reach a terminal with its control characters. */
static void sentences_are_printable(void)
{
	struct hk_error error;
	const char *c;

	CU_ASSERT_PTR_NULL(parse("mode: \"\\e[31mred\\n\"\nports: [a, b]\n", HK_CONFIG_DAEMON, NULL, &error));
	for (c = error.text; *c; c++)
		CU_ASSERT((unsigned char)*c >= 0x20);
	CU_ASSERT_PTR_NULL(parse("\"x\\e[31my\": 1\nports: [a, b]\n", HK_CONFIG_DAEMON, NULL, &error));
	for (c = error.text; *c; c++)
		CU_ASSERT((unsigned char)*c >= 0x20);
}

int main(void)
{
	static const struct test tests[] = {
		{"hostile: aliases, documents, broken YAML", aliases_and_documents},
		{"hostile: deep nesting", deep_nesting},
		{"hostile: binary", binary_is_refused},
		{"hostile: truncated and mutated", mutations},
		{"hostile: huge", huge_files},
		{"sentences are printable", sentences_are_printable},
		{0},
	};

	return run_tests("config hostile", tests);
}

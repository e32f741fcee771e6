/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a built-in hook from settings in memory, and asserting what it says when it refuses. */
#ifndef TESTS_UNIT_HOOK_SETTINGS_H
#define TESTS_UNIT_HOOK_SETTINGS_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include <halfkey/hook.h>

static char hook_error[416];
static struct hk_hook_setup hook_setup;

static inline int test_domain(void *core, const char *name)
{
	(void)core;
	return strcmp(name, "east") == 0 ? 7 : strcmp(name, "west") == 0 ? 300 : -1;
}

static inline int hook_make_sized(
	const struct hk_hook *hook, void **state, unsigned workers, const void *text, size_t size)
{
	int fd = memfd_create("settings", 0), code;

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		return -2;
	hook_setup = (struct hk_hook_setup){.abi = HK_HOOK_ABI,
		.worker_count = workers,
		.mode = HK_MODE_INLINE,
		.class_base = 3,
		.settings_fd = fd,
		.settings_path = "FILE",
		.domain_id = test_domain};
	hook_error[0] = '\0';
	*state = NULL;
	code = hook->create(&hook_setup, state, hook_error, sizeof(hook_error));
	close(fd);
	return code;
}

static inline int hook_make(const struct hk_hook *hook, void **state, unsigned workers, const char *text)
{
	return hook_make_sized(hook, state, workers, text, strlen(text));
}

/* The hook refuses `text` with a sentence that has `a` and `b` in it. */
static inline void hook_refuses(const struct hk_hook *hook, const char *text, const char *a, const char *b)
{
	void *state;
	int code = hook_make(hook, &state, 1, text);

	CU_ASSERT_EQUAL(code, -1);
	if (code == 0)
		hook->destroy(state);
	if (!strstr(hook_error, "FILE") || !strstr(hook_error, a) || !strstr(hook_error, b)) {
		printf("# %.60s: said \"%s\", not \"%s\" and \"%s\"\n", text, hook_error, a, b);
		CU_FAIL("the sentence lacks a word");
	}
}

static inline void hook_refuses_hostile(const struct hk_hook *hook)
{
	static const char *const texts[] = {"", "\n\n", "[", "{", "a: b: c", "- - - -", "\t", "\"",
		"%YAML 9.9\n", "&a *a", "\xff\xfe\x00", "\xc3\x28", "!!binary x", "? ", "rules: {",
		"classes: [{",
		"\x7f"
		"ELF",
		"alert", "alert tcp"};
	static char huge[17 << 20], deep[200000];
	void *state;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int code = hook_make(hook, &state, 1, texts[i]);

		if (code == 0) /* a file of nothing may be an empty set */
			hook->destroy(state);
		else
			CU_ASSERT(strlen(hook_error) > 0);
	}
	memset(huge, ' ', sizeof(huge));
	CU_ASSERT_EQUAL(hook_make_sized(hook, &state, 1, huge, sizeof(huge)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(hook_error, "larger than"));
	memset(deep, '[', sizeof(deep));
	CU_ASSERT_EQUAL(hook_make_sized(hook, &state, 1, deep, sizeof(deep)), -1);
	memset(deep, '{', sizeof(deep));
	CU_ASSERT_EQUAL(hook_make_sized(hook, &state, 1, deep, sizeof(deep)), -1);
	CU_ASSERT_EQUAL(hook_make_sized(hook, &state, 1, "a\0b", 3), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(hook_error, "NUL"));
}

#endif

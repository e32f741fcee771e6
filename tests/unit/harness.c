// SPDX-License-Identifier: GPL-2.0-or-later
/* The unit tests' frame around CUnit: see harness.h. */
#include "tests/unit/harness.h"

#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/hash.h"
#include "user/base/text.h"

static const char *suite_name;
static const char *skip_reason;

void skip_test(const char *why)
{
	skip_reason = why;
}

static void report(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
	(void)suite;
	if (failure)
		printf("not ok %s: %s - %s:%u: %s\n", suite_name, test->pName, failure->strFileName,
			failure->uiLineNumber, failure->strCondition);
	else if (skip_reason)
		printf("skip %s: %s - %s\n", suite_name, test->pName, skip_reason);
	else
		printf("ok %s: %s\n", suite_name, test->pName);
	fflush(stdout);
	skip_reason = NULL;
}

/* Drawn by the system, it would decide who shares a bucket with whom, and so who gives way: once in many runs
 * another one. */
static void same_tables_in_every_run(void)
{
	__u64 seed = 1;
	unsigned i;

	for (i = 0; i < 4; i++)
		hk_hash_secret[i] = random_next(&seed);
}

int run_tests(const char *suite, const struct test *tests)
{
	CU_pSuite entry;
	unsigned failures;

	same_tables_in_every_run();
	suite_name = suite;
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	entry = CU_add_suite(suite, NULL, NULL);
	for (; tests->name; tests++)
		if (!entry || !CU_add_test(entry, tests->name, tests->run))
			return 2;
	CU_set_test_complete_handler(report);
	CU_run_all_tests();
	failures = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}

json_t *load_vectors(const char *file)
{
	char path[256];
	json_error_t error;
	json_t *root;

	snprintf(path, sizeof(path), "tests/vectors/%s", file);
	root = json_load_file(path, 0, &error);
	if (!root) {
		printf("not ok %s: vectors - %s:%d: %s (run from the project's top)\n", suite_name, path,
			error.line, error.text);
		exit(2);
	}
	return root;
}

size_t vector_bytes(const json_t *vector, const char *key, __u8 *out, size_t max)
{
	const char *text = json_string_value(json_object_get(vector, key));
	size_t size = text ? strlen(text) / 2 : 0;

	if (!text || size > max || hk_hex_parse(text, strlen(text), out, size))
		return 0;
	return size;
}

__u64 random_next(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

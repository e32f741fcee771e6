/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unit tests' frame around CUnit: one program per file, one line per test:
 * `ok NAME`, `not ok NAME - why` or `skip NAME - why`, which tests/run.sh counts.
 *
 *   static void empty_is_refused(void) { CU_ASSERT_EQUAL(parse(""), -EINVAL); }
 *   int main(void)
 *   {
 *           static const struct test tests[] = {{"empty is refused", empty_is_refused}, {0}};
 *           return run_tests("text", tests);
 *   }
 *
 * What a test sees is the same in every run: chance comes from random_next(), and hash tables
 * have one secret for all. Where the seal side would draw (CBC IVs), noise is to be given one.
 */
#ifndef TESTS_UNIT_HARNESS_H
#define TESTS_UNIT_HARNESS_H

#include <CUnit/CUnit.h>
#include <stddef.h>
#include <linux/types.h>
#include <jansson.h>

struct test {
	const char *name;
	void (*run)(void);
};

/* Runs all, prints a line each; the exit status is 0 when none failed. */
int run_tests(const char *suite, const struct test *tests);

/* Inside a test: this machine cannot run it, and why. Return from the test afterwards. */
void skip_test(const char *why);

/* A vector file of tests/vectors/, parsed; aborts the program when missing. */
json_t *load_vectors(const char *file);
/* Hex string member `key` of a vector into `out`; its size, or 0 when absent. */
size_t vector_bytes(const json_t *vector, const char *key, __u8 *out, size_t max);

/* A small seeded generator, the same on every machine (splitmix64). */
__u64 random_next(__u64 *state);

#endif

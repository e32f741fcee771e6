/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configurations that must be fine, and such as must be refused with the right sentence. */
#ifndef TESTS_UNIT_CONFIG_HELP_H
#define TESTS_UNIT_CONFIG_HELP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/control/config.h"

#define NAME "box.yaml"

static inline struct hk_config *parse(
	const char *text, enum hk_config_use use, const struct hk_config *previous, struct hk_error *error)
{
	struct hk_config *config = NULL;

	error->text[0] = '\0';
	hk_config_parse(&config, NAME, text, strlen(text), use, previous, error);
	return config;
}

/* Parses what must be fine; prints the sentence when it is not. */
static inline struct hk_config *good(const char *text)
{
	struct hk_error error;
	struct hk_config *config = parse(text, HK_CONFIG_DAEMON, NULL, &error);

	if (!config)
		printf("# refused: %s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL(config);
	return config;
}

/* Parses what must be refused with a sentence that holds both pieces. */
static inline void bad_as(enum hk_config_use use, const char *text, const char *start, const char *piece)
{
	struct hk_error error;
	struct hk_config *config = parse(text, use, NULL, &error);
	bool as_expected =
		!config && strncmp(error.text, start, strlen(start)) == 0 && strstr(error.text, piece);

	if (!as_expected)
		printf("# wanted \"%s ... %s\", got \"%s\"\n", start, piece, error.text);
	CU_ASSERT(as_expected);
	hk_config_free(config);
}

static inline void bad(const char *text, const char *start, const char *piece)
{
	bad_as(HK_CONFIG_DAEMON, text, start, piece);
}

#define HEAD "mode: inline\nports: [a, b]\n"
#define EAST                                                                                         \
	"domains:\n - {name: east, envelope: psp, profile: split, receivers: [192.0.2.0/24], keys: " \
	"e.keys}\n"
#define WEST                                                                                   \
	" - {name: west, envelope: esp, profile: split, suite: ctr-hmac, mkid: 1, receivers: " \
	"[198.51.100.0/24], keys: w.keys}\n"

#define DOMAIN(rest) HEAD "domains:\n - {name: east, " rest "}\n"
#define PSP	     "envelope: psp, profile: split, keys: k, "
#define ESP	     "envelope: esp, keys: k, receivers: [10.0.0.0/8], "

#endif

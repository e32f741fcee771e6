/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a domain may be given: a key line held against its domain. Knows no
 * other line; what needs two lines (duplicates, shared keys) stands in keyring.c.
 */
#ifndef HK_KEYS_RULES_H
#define HK_KEYS_RULES_H

#include <halfkey/config.h>

#include "user/base/error.h"
#include "user/keys/keyfile.h"

/* 0, or -EINVAL and a sentence that names the domain's key file and the line. */
int hk_key_line_check(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error);

#endif

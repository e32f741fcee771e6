/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be a name: it becomes part of paths, records and commands. */
#ifndef HK_BASE_NAMES_H
#define HK_BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "user/base/error.h"

/* Letters, digits and `more`, at most `max` long, not beginning with '.' or '-'. */
bool hk_is_plain_name(const char *text, const char *more, size_t max);
/* Whether it can be an instance's name: pin path and socket are made of it. 0, or -EINVAL and a sentence. */
int hk_instance_check(const char *name, struct hk_error *error);

#endif

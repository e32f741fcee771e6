/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outline of a YAML text: where (in which line) each of its parts stands,
 * so that a refusal can name the line. Making it also bounds what the schema
 * reader behind it will ever see: no aliases, no deep nesting, one document.
 */
#ifndef HK_BASE_OUTLINE_H
#define HK_BASE_OUTLINE_H

#include <stddef.h>

#include "user/base/error.h"

struct hk_outline_row {
	char *path; /* "domains[2].receivers[0]": list places count from 0 */
	unsigned line;
};

struct hk_outline {
	struct hk_outline_row *rows;
	unsigned count, room;
};

/* 0, or negative errno and a sentence that begins with `name` and the line. */
int hk_outline_read(
	struct hk_outline *outline, const char *name, const char *text, size_t size, struct hk_error *error);
/* The line of `path`, else of the nearest part around it, else 0. */
unsigned hk_outline_line(const struct hk_outline *outline, const char *path);
/* The line where a key of this name first stands, wherever; 0: nowhere. */
unsigned hk_outline_key_line(const struct hk_outline *outline, const char *key);
void hk_outline_free(struct hk_outline *outline);

#endif

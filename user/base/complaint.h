/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libcyaml says against a YAML text, as a sentence for people. */
#ifndef HK_BASE_COMPLAINT_H
#define HK_BASE_COMPLAINT_H

#include <cyaml/cyaml.h>

#include "user/base/error.h"
#include "user/base/nearest.h"

/* The library's first complaint, and the innermost place of its backtrace. */
struct hk_complaint {
	char text[256];
	char field[80];
	unsigned line; /* 0: not told */
};

#define HK_COMPLAINT_KEY 65

/* libcyaml's log_fn; its log_ctx is a struct hk_complaint that is zero before. */
void hk_complaint_listen(cyaml_log_t level, void *context, const char *format, va_list arguments);
/* 1 and the key, when the complaint is that the schema does not have it; else 0. */
int hk_complaint_unknown_key(const struct hk_complaint *complaint, char key[HK_COMPLAINT_KEY]);
/* All others. Negative errno, and a sentence that begins with `name` and the line. */
int hk_complaint_refuse(
	const struct hk_complaint *complaint, const char *name, cyaml_err_t code, struct hk_error *error);
/* An unknown key, which stands in `line`; `nearest` is what may have been meant. */
int hk_complaint_refuse_key(const char *name, unsigned line, const char *key,
	const struct hk_nearest *nearest, struct hk_error *error);

/* What a shape of libcyaml's ("SEQUENCE", "MAPPING_START") is to people: "a list". */
const char *hk_complaint_shape(const char *shape);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded JSON writer into a buffer of the caller's. Strings may hold
 * anything: they are escaped, and what is not valid UTF-8 becomes U+FFFD, so
 * the result is valid JSON on one line whatever the input. Allocates nothing.
 * Where room runs out, `overflow` is set and the text must not be used.
 */
#ifndef HK_FEED_JSON_H
#define HK_FEED_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct hk_json {
	char *text;
	size_t size;
	size_t used;
	bool comma; /* a member stands in front */
	bool overflow;
};

void hk_json_init(struct hk_json *json, char *text, size_t size);
/* `key` NULL: the outermost object. Keys are our own literals. */
void hk_json_open(struct hk_json *json, const char *key);
void hk_json_close(struct hk_json *json);
/* At most `max` bytes of `value`, or up to its NUL. */
void hk_json_string(struct hk_json *json, const char *key, const char *value, size_t max);
/* Numbers past 2^63 - 1, which readers refuse, are written as 2^63 - 1. */
void hk_json_number(struct hk_json *json, const char *key, __u64 value);
void hk_json_bool(struct hk_json *json, const char *key, bool value);
/* JSON text of somebody else's; line ends become spaces. */
void hk_json_raw(struct hk_json *json, const char *key, const char *value);
/* The line's end; true: the text is whole. */
bool hk_json_line(struct hk_json *json);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* The bounded JSON writer: see json.h. */
#include "user/feed/json.h"

#include <stdio.h>
#include <string.h>

void hk_json_init(struct hk_json *json, char *text, size_t size)
{
	*json = (struct hk_json){.text = text, .size = size};
}

static void json_append(struct hk_json *json, const char *bytes, size_t size)
{
	if (json->overflow || size > json->size - json->used) {
		json->overflow = true;
		return;
	}
	memcpy(json->text + json->used, bytes, size);
	json->used += size;
}

static void json_key(struct hk_json *json, const char *key)
{
	if (json->comma)
		json_append(json, ",", 1);
	json->comma = true;
	if (!key)
		return;
	json_append(json, "\"", 1);
	json_append(json, key, strlen(key));
	json_append(json, "\":", 2);
}

void hk_json_open(struct hk_json *json, const char *key)
{
	json_key(json, key);
	json_append(json, "{", 1);
	json->comma = false;
}

void hk_json_close(struct hk_json *json)
{
	json_append(json, "}", 1);
	json->comma = true;
}

/* How many bytes behind the first a UTF-8 sequence has; 0xff: no first byte. */
static unsigned utf8_more(__u8 first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if ((first & 0xf0) == 0xe0)
		return 2;
	return first >= 0xf0 && first <= 0xf4 ? 3 : 0xff;
}

/* The size of the valid UTF-8 sequence of 2..4 bytes at `at`, or 0 (RFC 3629: shortest forms, no surrogates).
 */
static size_t utf8_sequence(const __u8 *at, size_t left)
{
	unsigned i, more = utf8_more(at[0]);
	__u8 low = 0x80, high = 0xbf;

	if (more == 0xff || left <= more)
		return 0;
	if (at[0] == 0xe0)
		low = 0xa0;
	else if (at[0] == 0xed)
		high = 0x9f;
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (i = 2; i <= more; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return more + 1;
}

static size_t json_character(struct hk_json *json, const __u8 *at, size_t left)
{
	char escape[8];
	size_t size = 1;

	if (*at < 0x20 || *at == 0x7f) {
		snprintf(escape, sizeof(escape), "\\u%04x", *at);
		json_append(json, escape, 6);
	} else if (*at == '"' || *at == '\\') {
		escape[0] = '\\';
		escape[1] = (char)*at;
		json_append(json, escape, 2);
	} else if (*at < 0x80) {
		json_append(json, (const char *)at, 1);
	} else {
		size = utf8_sequence(at, left);
		if (size)
			json_append(json, (const char *)at, size);
		else
			json_append(json, "\\ufffd", 6);
	}
	return size ? size : 1;
}

void hk_json_string(struct hk_json *json, const char *key, const char *value, size_t max)
{
	size_t size = strnlen(value, max), at = 0;

	json_key(json, key);
	json_append(json, "\"", 1);
	while (at < size && !json->overflow)
		at += json_character(json, (const __u8 *)value + at, size - at);
	json_append(json, "\"", 1);
}

void hk_json_number(struct hk_json *json, const char *key, __u64 value)
{
	char digits[24];
	int size;

	if (value > 0x7fffffffffffffffull)
		value = 0x7fffffffffffffffull;
	size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	json_key(json, key);
	json_append(json, digits, (size_t)size);
}

void hk_json_bool(struct hk_json *json, const char *key, bool value)
{
	json_key(json, key);
	json_append(json, value ? "true" : "false", value ? 4 : 5);
}

void hk_json_raw(struct hk_json *json, const char *key, const char *value)
{
	size_t start, i;

	json_key(json, key);
	start = json->used;
	json_append(json, value, strlen(value));
	for (i = start; i < json->used; i++)
		if (json->text[i] == '\n' || json->text[i] == '\r')
			json->text[i] = ' ';
}

bool hk_json_line(struct hk_json *json)
{
	json_append(json, "\n", 1);
	return !json->overflow;
}

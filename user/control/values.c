// SPDX-License-Identifier: GPL-2.0-or-later
/* One value at a time, each refusal with line, key and value: see reading.h. */
#include "user/control/reading.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/nearest.h"
#include "user/base/text.h"

int hk_reading_refuse(struct hk_reading *reading, const char *where, const char *format, ...)
{
	unsigned line = hk_outline_line(&reading->outline, where);
	char sentence[400], place[16] = "";
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	if (line)
		snprintf(place, sizeof(place), "%u:", line);
	return hk_error_set(reading->error, EINVAL, "%s:%s %s", reading->name, place, sentence);
}

int hk_read_number(struct hk_reading *reading, const char *where, const char *key, const char *text,
	__u64 min, __u64 max, __u64 *out)
{
	__u64 value;

	if (!text)
		return 0;
	if (hk_number_parse(text, max, &value) || value < min)
		return hk_reading_refuse(reading, where, "%s: \"%.40s\" is not a number from %llu to %llu",
			key, text, (unsigned long long)min, (unsigned long long)max);
	*out = value;
	return 0;
}

int hk_read_bytes(
	struct hk_reading *reading, const char *where, const char *key, const char *text, __u64 *out)
{
	static const char *const units[] = {"", "KiB", "MiB", "GiB"};
	char digits[24];
	size_t length;
	__u64 value;
	unsigned i;

	if (!text)
		return 0;
	length = strspn(text, "0123456789");
	for (i = 0; i < 4; i++)
		if (strcmp(text + length + strspn(text + length, " "), units[i]) == 0)
			break;
	snprintf(digits, sizeof(digits), "%.*s", (int)length, text);
	if (i == 4 || length > 18 || hk_number_parse(digits, (1ull << 50) >> (10 * i), &value) || !value)
		return hk_reading_refuse(reading, where,
			"%s: \"%.40s\" is no number of bytes: write 4096, 64 MiB or 1 GiB", key, text);
	*out = value << (10 * i);
	return 0;
}

int hk_read_boolean(
	struct hk_reading *reading, const char *where, const char *key, const char *text, bool *out)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
	unsigned i;

	if (!text)
		return 0;
	for (i = 0; i < 6; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i & 1;
			return 0;
		}
	return hk_reading_refuse(reading, where, "%s: \"%.40s\" is neither yes nor no", key, text);
}

static bool has_controls(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

int hk_read_text(struct hk_reading *reading, const char *where, const char *key, const char *text, char **out)
{
	if (!text)
		return 0;
	if (!*text)
		return hk_reading_refuse(reading, where, "%s: has no value", key);
	if (has_controls(text))
		return hk_reading_refuse(
			reading, where, "%s: \"%.80s\" holds a control character", key, text);
	free(*out);
	*out = strdup(text);
	return *out ? 0 : hk_reading_refuse(reading, where, "%s: out of memory", key);
}

static void list_names(const char *const *names, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (; *names && used < size; names++)
		if (**names)
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", *names);
}

int hk_read_choice(struct hk_reading *reading, const char *where, const char *key, const char *text,
	const char *const *names, __u8 *out)
{
	struct hk_nearest nearest = {0};
	char list[128];
	unsigned i;

	if (!text)
		return 0;
	for (i = 0; names[i]; i++) {
		if (*names[i] && strcmp(names[i], text) == 0) {
			*out = (__u8)i;
			return 0;
		}
		hk_nearest_offer(&nearest, text, names[i]);
	}
	list_names(names, list, sizeof(list));
	if (nearest.name)
		return hk_reading_refuse(reading, where,
			"%s: \"%.40s\" is not one of %s: did you mean \"%s\"?", key, text, list,
			nearest.name);
	return hk_reading_refuse(reading, where, "%s: \"%.40s\" is not one of %s", key, text, list);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Sentences of libcyaml's log: see complaint.h. */
#include "user/base/complaint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void hk_complaint_listen(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
	struct hk_complaint *complaint = context;
	char text[256], field[80];
	unsigned line;

	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, " in mapping field '%79[^']' (line: %u", field, &line) == 2) {
		if (!complaint->line) {
			strcpy(complaint->field, field);
			complaint->line = line;
		}
		return;
	}
	if (!complaint->text[0] && !strstr(text, "Backtrace") && strncmp(text, "  in ", 5) != 0)
		snprintf(complaint->text, sizeof(complaint->text), "%.200s",
			strncmp(text, "Load: ", 6) ? text : text + 6);
}

int hk_complaint_unknown_key(const struct hk_complaint *complaint, char key[HK_COMPLAINT_KEY])
{
	return sscanf(complaint->text, "Unexpected key: %64[^\n]", key) == 1;
}

int hk_complaint_refuse_key(const char *name, unsigned line, const char *key,
	const struct hk_nearest *nearest, struct hk_error *error)
{
	const char *near = nearest->name;

	if (near && strcmp(near, key) == 0)
		return hk_error_set(
			error, EINVAL, "%s:%u: the key \"%.64s\" does not belong here", name, line, key);
	return hk_error_set(error, EINVAL, "%s:%u: unknown key \"%.64s\"%s%s%s", name, line, key,
		near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

const char *hk_complaint_shape(const char *shape)
{
	if (strncmp(shape, "SEQUENCE", 8) == 0)
		return "a list";
	if (strncmp(shape, "MAPPING", 7) == 0)
		return "a mapping of keys to values";
	return "a single value";
}

static int refuse_shape(const struct hk_complaint *complaint, const char *name, struct hk_error *error)
{
	char wanted[24], found[24];

	if (sscanf(complaint->text, "Expecting %23[A-Z_], got event: %23[A-Z_]", wanted, found) != 2)
		return hk_error_set(error, EINVAL, "%s:%u: %s%s%s", name, complaint->line, complaint->field,
			complaint->field[0] ? ": " : "", complaint->text);
	if (!complaint->field[0])
		return hk_error_set(error, EINVAL, "%s: must be %s at its top level, not %s", name,
			hk_complaint_shape(wanted), hk_complaint_shape(found));
	return hk_error_set(error, EINVAL, "%s:%u: \"%s\" must be %s, not %s", name, complaint->line,
		complaint->field, hk_complaint_shape(wanted), hk_complaint_shape(found));
}

int hk_complaint_refuse(
	const struct hk_complaint *complaint, const char *name, cyaml_err_t code, struct hk_error *error)
{
	unsigned max;
	char key[HK_COMPLAINT_KEY];

	if (sscanf(complaint->text, "Mapping field already seen: %64[^\n]", key) == 1)
		return hk_error_set(
			error, EINVAL, "%s:%u: the key \"%s\" stands here twice", name, complaint->line, key);
	if (sscanf(complaint->text, "Missing required mapping field: %64[^\n]", key) == 1)
		return hk_error_set(error, EINVAL, "%s:%u: `%s` is missing", name, complaint->line, key);
	if (sscanf(complaint->text, "Insufficient entries (0 of %u min)", &max) == 1)
		return hk_error_set(
			error, EINVAL, "%s:%u: \"%s\" is empty", name, complaint->line, complaint->field);
	if (sscanf(complaint->text, "Excessive entries (%u max)", &max) == 1)
		return hk_error_set(error, E2BIG, "%s:%u: \"%s\" has more than %u entries", name,
			complaint->line, complaint->field, max);
	if (sscanf(complaint->text, "STRING length > %u", &max) == 1)
		return hk_error_set(error, E2BIG, "%s:%u: the value of \"%s\" is longer than %u bytes", name,
			complaint->line, complaint->field, max);
	if (strncmp(complaint->text, "STRING length < 1:", 18) == 0)
		return hk_error_set(error, EINVAL, "%s:%u: the value of \"%s\" is empty", name,
			complaint->line, complaint->field);
	if (complaint->text[0])
		return refuse_shape(complaint, name, error);
	return hk_error_set(error, EINVAL, "%s: cannot be read: %s", name, cyaml_strerror(code));
}

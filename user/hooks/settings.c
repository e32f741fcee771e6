// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading a hook's own file: see settings.h. */
#include "user/hooks/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/complaint.h"

#define PIECE 4096

int hk_hooks_refuse(struct hk_hooks_refusal *refusal, const char *format, ...)
{
	va_list arguments;
	size_t used;

	if (!refusal->size || refusal->text[0])
		return -1;
	snprintf(refusal->text, refusal->size, "%s: ", refusal->path ? refusal->path : "no file");
	used = strlen(refusal->text);
	va_start(arguments, format);
	vsnprintf(refusal->text + used, refusal->size - used, format, arguments);
	va_end(arguments);
	return -1;
}

/* What a file holds, up to `max` + 1 bytes and a zero; NULL and errno: unreadable, or no memory. */
static char *read_bounded(int fd, size_t max, size_t *used)
{
	size_t room = 0;
	char *text = NULL, *more;
	ssize_t got = 1;

	for (*used = 0; got && *used <= max; *used += got > 0 ? (size_t)got : 0) {
		if (*used == room) {
			room = room < max / 2 ? 2 * room + PIECE : max + 1;
			more = realloc(text, room + 1);
			if (!more)
				break;
			text = more;
		}
		got = pread(fd, text + *used, room - *used, (off_t)*used);
		if (got < 0 && errno != EINTR)
			break;
	}
	if (got == 0 || *used > max) {
		text[*used] = '\0';
		return text;
	}
	free(text);
	return NULL;
}

char *hk_settings_read(
	const struct hk_hook_setup *setup, size_t max, size_t *size, struct hk_hooks_refusal *refusal)
{
	char *text;

	if (setup->settings_fd < 0) {
		hk_hooks_refuse(refusal, "this hook needs one: name it in the configuration");
		return NULL;
	}
	text = read_bounded(setup->settings_fd, max, size);
	if (!text)
		hk_hooks_refuse(refusal, "cannot be read: %s", strerror(errno));
	else if (*size > max)
		hk_hooks_refuse(refusal, "is larger than %zu bytes: split or shorten it", max);
	else if (memchr(text, '\0', *size))
		hk_hooks_refuse(refusal, "holds NUL bytes: it must be text");
	else
		return text;
	free(text);
	return NULL;
}

/* What libcyaml said: the first complaint, and the innermost place it names. */
struct complaint {
	char what[200];
	char where[120];
	bool more_documents;
};

static void strip_newline(char *text)
{
	text[strcspn(text, "\n")] = '\0';
}

static void listen(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
	struct complaint *complaint = context;
	char line[192];

	vsnprintf(line, sizeof(line), format, arguments);
	strip_newline(line);
	if (level == CYAML_LOG_WARNING && strstr(line, "Ignoring documents"))
		complaint->more_documents = true;
	if (level != CYAML_LOG_ERROR || strstr(line, "Backtrace"))
		return;
	if (strstr(line, "(line: ") && line[0] == ' ') {
		if (!complaint->where[0])
			snprintf(complaint->where, sizeof(complaint->where), " %s", line + strspn(line, " "));
	} else if (!complaint->what[0]) {
		const char *colon = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;

		snprintf(complaint->what, sizeof(complaint->what), "%s", colon);
	}
}

static cyaml_config_t yaml_config(struct complaint *complaint)
{
	return (cyaml_config_t){
		.log_fn = complaint ? listen : NULL,
		.log_ctx = complaint,
		.log_level = CYAML_LOG_WARNING,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_NO_ALIAS, /* an alias can name itself a million times */
	};
}

static int refuse(struct hk_hooks_refusal *refusal, const struct complaint *complaint, cyaml_err_t code)
{
	char wanted[24], found[24];

	if (sscanf(complaint->what, "Expecting %23[A-Z_], got event: %23[A-Z_]", wanted, found) == 2)
		return hk_hooks_refuse(refusal, "must be %s, not %s:%s", hk_complaint_shape(wanted),
			hk_complaint_shape(found),
			complaint->where[0] ? complaint->where : " at its top level");
	return hk_hooks_refuse(refusal, "%s%s", complaint->what[0] ? complaint->what : cyaml_strerror(code),
		complaint->where);
}

int hk_settings_load(const struct hk_hook_setup *setup, size_t max, const cyaml_schema_value_t *schema,
	void **out, struct hk_hooks_refusal *refusal)
{
	struct complaint complaint = {.what = ""};
	cyaml_config_t config = yaml_config(&complaint);
	size_t size = 0;
	char *text = hk_settings_read(setup, max, &size, refusal);
	cyaml_err_t code;

	*out = NULL;
	if (!text)
		return -1;
	code = cyaml_load_data((const uint8_t *)text, size, &config, schema, out, NULL);
	free(text);
	if (code != CYAML_OK)
		return refuse(refusal, &complaint, code);
	if (!*out)
		return hk_hooks_refuse(refusal, "is empty: see docs/hooks.md for what belongs in it");
	if (complaint.more_documents) {
		hk_settings_free(schema, *out);
		*out = NULL;
		return hk_hooks_refuse(refusal, "holds a second document behind \"---\": make it one");
	}
	return 0;
}

void hk_settings_free(const cyaml_schema_value_t *schema, void *data)
{
	cyaml_config_t config = yaml_config(NULL);

	cyaml_free(&config, schema, data, 0);
}

int hk_settings_parse(const struct hk_hook_setup *setup, size_t max, const cyaml_schema_value_t *schema,
	int (*parse)(void *out, const void *text, const struct hk_hook_setup *setup,
		struct hk_hooks_refusal *refusal),
	void *out, struct hk_hooks_refusal *refusal)
{
	void *text;
	int code;

	if (hk_settings_load(setup, max, schema, &text, refusal))
		return -1;
	code = parse(out, text, setup, refusal);
	hk_settings_free(schema, text);
	return code;
}

int hk_duration_parse(const char *text, __u32 *milliseconds)
{
	static const struct {
		const char *unit;
		unsigned long factor;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	unsigned long value;
	size_t digits = strspn(text, "0123456789"), i;

	if (digits < 1 || digits > 8)
		return -1;
	value = strtoul(text, NULL, 10);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].unit) != 0)
			continue;
		if (value < 1 || value > 86400000 / units[i].factor)
			return -1;
		*milliseconds = (__u32)(value * units[i].factor);
		return 0;
	}
	return -1;
}

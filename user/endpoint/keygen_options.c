// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of `halfkey-endpoint keygen`, of the command line and of an earlier directory. See keygen.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/files.h"
#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/keygen.h"

#define FILE_MAX (1u << 18)
#define OPTIONS	 "keygen.options"

static int take_row(const struct hk_option *row, void *into, const char *text, struct hk_error *error);

static const struct hk_option rows[HK_KEYGEN_OPTIONS_COUNT + 1] = {
#define HK_O(name, id, letter, value, text) {name, letter, value, HK_KEYGEN_##id, take_row, text},
	HK_KEYGEN_OPTIONS(HK_O)
#undef HK_O
};

const char *hk_keygen_option_name(unsigned option)
{
	return rows[option].name;
}

static const char help[] =
	"usage: halfkey-endpoint keygen --out DIR [--envelope NAME] --peer NAME=OUTER[,INNER...] --peer ...\n"
	"       halfkey-endpoint keygen --out DIR --envelope tss --sdi N --tss SETUP --receiver PREFIX...\n"
	"       halfkey-endpoint keygen --out DIR --next OLDDIR\n"
	"\n"
	"Writes matching key files: one for the box, one for each host, all of mode 0600, and\n"
	"configuration to go with them; all of it, or nothing. Prints fingerprints, no keys.\n";

static const char example[] =
	"\n"
	"example: halfkey-endpoint keygen --out keys --peer client=192.0.2.1,10.9.0.1/24 \\\n"
	"           --peer server=192.0.2.9,10.9.0.9/24\n"
	"         halfkey-endpoint keygen --out next --next keys\n";

/* --- one option --- */

static char *copy_of(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort(); /* at start, out of memory */
	return copy;
}

/* Options that may stand several times. */
static struct hk_keygen_list *list_of(struct hk_keygen_wishes *wishes, unsigned option, unsigned *max)
{
	*max = HK_KEYGEN_HOSTS;
	switch (option) {
	case HK_KEYGEN_PEER: return &wishes->peers;
	case HK_KEYGEN_DROP: return &wishes->dropped;
	case HK_KEYGEN_RECEIVER: *max = HK_KEYGEN_RECEIVERS; return &wishes->receivers;
	case HK_KEYGEN_LEVEL: *max = 2 * HK_KEYGEN_LEVELS; return &wishes->levels;
	default: return NULL;
	}
}

static int take(struct hk_keygen_wishes *wishes, unsigned option, const char *value, struct hk_error *error)
{
	unsigned max;
	struct hk_keygen_list *list = list_of(wishes, option, &max);

	if (!list) {
		free(wishes->value[option]);
		wishes->value[option] = copy_of(value);
		return 0;
	}
	if (list->count == max)
		return hk_error_set(
			error, HK_EUSAGE, "--%s '%.60s': at most %u of them", rows[option].name, value, max);
	list->row[list->count++] = copy_of(value);
	return 0;
}

int hk_keygen_number(const struct hk_keygen_wishes *wishes, unsigned option, __u64 min, __u64 max, __u64 *out,
	struct hk_error *error)
{
	const char *text = wishes->value[option];

	if (text && (hk_number_parse(text, max, out) || *out < min))
		return hk_error_set(error, HK_EUSAGE, "%s '%.40s': must be a number from %llu to %llu",
			rows[option].name, text, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

/* --- the command line --- */

static int take_row(const struct hk_option *row, void *into, const char *text, struct hk_error *error)
{
	struct hk_keygen_wishes *wishes = into;

	wishes->said |= 1u << row->place;
	return take(wishes, (unsigned)row->place, text ? text : "", error);
}

int hk_keygen_read(struct hk_keygen_wishes *wishes, int argc, char **argv, struct hk_error *error)
{
	static const struct hk_command_line line = {.help = help, .example = example, .options = rows};
	int status = hk_command_line_read(&line, wishes, argc, argv, error);

	if (!status && wishes->value[HK_KEYGEN_NEXT])
		status = hk_keygen_read_old(wishes, error);
	else if (!status && wishes->dropped.count)
		status = hk_error_set(error, HK_EUSAGE, "--drop '%s': means something with --next alone",
			wishes->dropped.row[0]);
	return status;
}

static void free_list(struct hk_keygen_list *list)
{
	while (list->count)
		free(list->row[--list->count]);
}

void hk_keygen_wishes_free(struct hk_keygen_wishes *wishes)
{
	unsigned i;

	for (i = 0; i < HK_KEYGEN_OPTIONS_COUNT; i++)
		free(wishes->value[i]);
	free_list(&wishes->peers);
	free_list(&wishes->receivers);
	free_list(&wishes->levels);
	free_list(&wishes->dropped);
	memset(wishes, 0, sizeof(*wishes));
}

/* --- an earlier directory's --- */

/* `name=value`, or a flag's name. */
static int take_line(struct hk_keygen_wishes *old, const char *path, char *line, struct hk_error *error)
{
	char *value = strchr(line, '=');
	unsigned i;

	if (!*line || *line == '#')
		return 0;
	if (value)
		*value++ = '\0';
	for (i = 0; i < HK_KEYGEN_OPTIONS_COUNT; i++)
		if (strcmp(rows[i].name, line) == 0)
			break;
	if (i == HK_KEYGEN_OPTIONS_COUNT || !rows[i].value != !value)
		return hk_error_set(error, EINVAL, "%s: '%.40s' is not what keygen writes there", path, line);
	return take(old, i, value ? value : "", error);
}

static int read_file(struct hk_keygen_wishes *old, const char *path, struct hk_error *error)
{
	struct hk_files files = {0};
	char *text = NULL, *line, *rest = NULL;
	size_t size = 0;
	int status = hk_files_open(&files, HK_FILE_SETTINGS, ".", path, error);

	if (!status)
		text = hk_files_read(&files, path, FILE_MAX, &size, error);
	hk_files_close(&files);
	if (!text)
		return status ? status : -EINVAL;
	for (line = strtok_r(text, "\n", &rest); line && !status; line = strtok_r(NULL, "\n", &rest))
		status = take_line(old, path, line, error);
	free(text);
	return status;
}

/* Those of the old directory first, then the command line's. */
static int join(
	struct hk_keygen_list *list, struct hk_keygen_list *old, unsigned option, struct hk_error *error)
{
	struct hk_keygen_list both = *old;
	unsigned i;

	if (old->count + list->count > HK_KEYGEN_HOSTS)
		return hk_error_set(error, E2BIG, "--%s '%.60s': at most %u of them with those of --next",
			rows[option].name, list->row[0], HK_KEYGEN_HOSTS);
	for (i = 0; i < list->count; i++)
		both.row[both.count++] = list->row[i];
	both.old = old->count;
	*list = both;
	memset(old, 0, sizeof(*old));
	return 0;
}

int hk_keygen_read_old(struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	struct hk_keygen_wishes old = {0};
	char path[HK_NEWDIR_PATH + 32];
	unsigned i;
	int status;

	snprintf(path, sizeof(path), "%.*s/" OPTIONS, HK_NEWDIR_PATH, wishes->value[HK_KEYGEN_NEXT]);
	status = read_file(&old, path, error);
	if (!status)
		status = join(&wishes->peers, &old.peers, HK_KEYGEN_PEER, error);
	if (!status)
		status = join(&wishes->receivers, &old.receivers, HK_KEYGEN_RECEIVER, error);
	if (!status)
		status = join(&wishes->levels, &old.levels, HK_KEYGEN_LEVEL, error);
	for (i = 0; !status && i < HK_KEYGEN_OPTIONS_COUNT; i++) {
		if (wishes->value[i])
			continue;
		wishes->value[i] = old.value[i];
		old.value[i] = NULL;
	}
	hk_keygen_wishes_free(&old);
	return status;
}

/* What differs from one generation to the next comes from the plan; all else is as it was said. */
static bool is_kept(unsigned option)
{
	return option != HK_KEYGEN_OUT && option != HK_KEYGEN_NEXT && option != HK_KEYGEN_SLOT &&
	       option != HK_KEYGEN_GENERATION && option != HK_KEYGEN_MKID;
}

static bool is_dropped(const struct hk_keygen_wishes *wishes, const char *peer)
{
	size_t length = strcspn(peer, "=");
	unsigned i;

	for (i = 0; i < wishes->dropped.count; i++)
		if (strlen(wishes->dropped.row[i]) == length &&
			strncmp(wishes->dropped.row[i], peer, length) == 0)
			return true;
	return false;
}

void hk_keygen_say_options(
	const struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_secret_text *text)
{
	unsigned i;

	hk_secret_say(
		text, "# How this directory was made, for `halfkey-endpoint keygen --next`. No secrets.\n");
	for (i = 0; i < HK_KEYGEN_OPTIONS_COUNT; i++)
		if (wishes->value[i] && is_kept(i))
			hk_secret_say(
				text, "%s%s%s\n", rows[i].name, rows[i].value ? "=" : "", wishes->value[i]);
	if (keygen->row->slots)
		hk_secret_say(text, "slot=%u\n", keygen->slot);
	hk_secret_say(text, "generation=%u\n", keygen->generation);
	if (keygen->row->options & HK_KEYGEN_BIT(MKID))
		hk_secret_say(text, "mkid=%u\n", keygen->mkid);
	for (i = 0; i < wishes->peers.count; i++)
		if (!is_dropped(wishes, wishes->peers.row[i]))
			hk_secret_say(text, "peer=%s\n", wishes->peers.row[i]);
	for (i = 0; i < wishes->receivers.count; i++)
		hk_secret_say(text, "receiver=%s\n", wishes->receivers.row[i]);
	for (i = 0; i < keygen->levels_count; i++)
		hk_secret_say(text, "level=%s\n", keygen->levels[i].name);
}

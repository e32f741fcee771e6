// SPDX-License-Identifier: GPL-2.0-or-later
/* Options of envelopes by name: see wishes.h. */
#include "user/endpoint/wishes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/speaker.h"

static struct hk_wish rows[HK_WISHES_MAX];
static unsigned rows_count;

static void add_row(const struct hk_wish *wish)
{
	unsigned i;

	for (i = 0; i < rows_count; i++)
		if (strcmp(rows[i].name, wish->name) == 0)
			break;
	if (i == HK_WISHES_MAX || (i < rows_count && !rows[i].argument != !wish->argument))
		abort(); /* the speakers' tables are wrong: no input brings us here */
	if (i == rows_count)
		rows[rows_count++] = *wish;
	rows[i].uses |= wish->uses;
}

const struct hk_wish *hk_wish_rows(unsigned *count)
{
	const struct hk_speaker *speaker;
	const struct hk_wish *wish;
	unsigned i;

	if (!rows_count)
		for (i = 0; (speaker = hk_speaker_at(i)); i++)
			for (wish = speaker->wishes; wish->name; wish++)
				add_row(wish);
	*count = rows_count;
	return rows;
}

void hk_wish_options(struct hk_option *out, unsigned uses, hk_option_take take)
{
	unsigned count, i;

	(void)hk_wish_rows(&count);
	for (i = 0; i < count; i++)
		if (rows[i].uses & uses)
			*out++ = (struct hk_option){
				.name = rows[i].name, .value = rows[i].argument, .place = i, .take = take};
	*out = (struct hk_option){0};
}

void hk_wish_set(struct hk_wishes *wishes, unsigned row, const char *text)
{
	char *copy = strdup(text ? text : "yes");

	if (!copy || row >= HK_WISHES_MAX)
		abort(); /* at start, out of memory */
	free(wishes->values[row]);
	wishes->values[row] = copy;
}

void hk_wishes_clear(struct hk_wishes *wishes)
{
	unsigned i;

	for (i = 0; i < HK_WISHES_MAX; i++)
		free(wishes->values[i]);
	memset(wishes, 0, sizeof(*wishes));
}

void hk_wishes_help(unsigned uses, FILE *out)
{
	struct hk_option options[HK_WISHES_MAX + 1];
	const struct hk_speaker *speaker;
	const struct hk_wish *wish;
	unsigned count, i;

	for (i = 0; (speaker = hk_speaker_at(i)); i++) {
		if ((uses & HK_USE_TUNNEL) && speaker->cargo)
			continue;
		count = 0;
		for (wish = speaker->wishes; wish->name; wish++)
			if (wish->uses & uses)
				options[count++] = (struct hk_option){
					.name = wish->name, .value = wish->argument, .help = wish->text};
		options[count] = (struct hk_option){0};
		if (count)
			fprintf(out, "\n  with -e %s:\n", hk_envelope_name(speaker->envelope));
		hk_options_print(options, out);
	}
}

static unsigned row_of(const char *name)
{
	unsigned count, i;

	(void)hk_wish_rows(&count);
	for (i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return i;
	abort(); /* a name that no speaker's table has */
}

const char *hk_wish(const struct hk_wishes *wishes, const char *name)
{
	unsigned row = row_of(name);

	for (; wishes; wishes = wishes->host)
		if (wishes->values[row])
			return wishes->values[row];
	return NULL;
}

bool hk_wish_flag(const struct hk_wishes *wishes, const char *name)
{
	const char *value = hk_wish(wishes, name);

	return value && strcmp(value, "yes") == 0;
}

int hk_wish_number(const struct hk_wishes *wishes, const char *name, __u64 otherwise, __u64 max, __u64 *out,
	struct hk_error *error)
{
	const char *value = hk_wish(wishes, name);

	*out = otherwise;
	if (value && hk_number_parse(value, max, out))
		return hk_error_set(error, EINVAL, "%s '%s': must be a number from 0 to %llu", name, value,
			(unsigned long long)max);
	return 0;
}

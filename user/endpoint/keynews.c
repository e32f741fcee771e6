// SPDX-License-Identifier: GPL-2.0-or-later
/* What is new among the SPIs towards a host, and what has gone: see keynews.h. */
#include "user/endpoint/keynews.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"

static struct hk_key_known *find(struct hk_key_news *news, __u32 spi)
{
	unsigned i;

	for (i = 0; i < news->count; i++)
		if (news->rows[i].spi == spi)
			return &news->rows[i];
	return NULL;
}

static int add(
	struct hk_key_news *news, __u32 spi, const struct hk_address *from, const struct hk_address *to)
{
	unsigned room = news->room ? 2 * news->room : 32;
	struct hk_key_known *rows;

	if (news->count == news->room) {
		rows = realloc(news->rows, room * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		news->rows = rows;
		news->room = room;
	}
	news->rows[news->count++] =
		(struct hk_key_known){.from = *from, .to = *to, .spi = spi, .there = true, .fresh = true};
	return 0;
}

/* 1: the line belongs to the news; 0: it was said before; negative errno. */
static int judge(struct hk_key_news *news, const char *line, size_t size, struct hk_address *from)
{
	const char *spi = memmem(line, size, " spi=0x", 7);
	char text[HK_ADDRESS_TEXT] = "";
	struct hk_key_known *known;
	struct hk_address to;
	__u32 number;
	int status;

	if (line[0] == '#' && sscanf(line, "# from=%45s", text) == 1 && !hk_address_parse(text, from))
		return 1;
	if (!spi || sscanf(line, "receiver=%45s", text) != 1 || hk_address_parse(text, &to))
		return 1;
	number = (__u32)strtoul(spi + 5, NULL, 16);
	known = find(news, number);
	if (known) {
		known->there = true;
		return known->fresh;
	}
	status = add(news, number, from, &to);
	return status ? status : 1;
}

/* Writes what is gone, and forgets it. */
static void settle(struct hk_key_news *news, const struct hk_key_formatting *formatting)
{
	unsigned i, kept = 0;

	for (i = 0; i < news->count; i++) {
		struct hk_key_known *row = &news->rows[i];

		if (!row->there)
			hk_key_format_gone(formatting, &row->from, &row->to, row->spi);
		else
			news->rows[kept++] = *row;
	}
	news->count = kept;
	for (i = 0; i < kept; i++)
		news->rows[i].there = news->rows[i].fresh = false;
}

int hk_key_news(struct hk_key_news *news, const struct hk_key_formatting *formatting, const char *lines,
	struct hk_error *error)
{
	size_t whole = strlen(lines), used = 0, size;
	char *fresh = malloc(whole + 1);
	struct hk_address from = formatting->from;
	const char *line;
	int status = fresh ? 0 : -ENOMEM;

	for (line = lines; *line && status >= 0; line += size) {
		size = strcspn(line, "\n");
		size += line[size] == '\n';
		status = judge(news, line, size, &from);
		if (status == 1) {
			memcpy(fresh + used, line, size);
			used += size;
		}
	}
	if (status >= 0) {
		fresh[used] = '\0';
		status = hk_key_format(formatting, "key server", fresh, error);
	} else {
		hk_error_set(error, -status, "no memory for SPIs");
	}
	if (status >= 0)
		settle(news, formatting);
	if (fresh)
		hk_wipe(fresh, whole + 1);
	free(fresh);
	return status < 0 ? status : 0;
}

void hk_key_news_free(struct hk_key_news *news)
{
	free(news->rows);
	memset(news, 0, sizeof(*news));
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Below `halfkey keys list`: what its rows say together about each receiver. Who
 * has not changed over, whose last key ends, which old key has no end, what a file
 * still holds. A few sentences of each kind, and how many more there are.
 */
#include "user/cmd/keys_notes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/cmd/command.h"

#define DAY_S	 86400
#define IN_USE_S 120  /* asked for so lately: somebody sends under it */
#define ENDING_S 3600 /* nobody has changed over, and the end is near */
#define SHOWN	 8    /* of one kind */

enum note { NOTE_NONE_LEFT, NOTE_ENDS, NOTE_IN_USE, NOTE_ENDLESS, NOTE_FILED, NOTES };

static const char *const notes[NOTES] = {
	[NOTE_NONE_LEFT] = "has no key in force: its packets are not opened",
	[NOTE_ENDS] = "is the last key and ends soon: give the box the next generation",
	[NOTE_IN_USE] = "is in use still: some sender has not changed over",
	[NOTE_ENDLESS] = "is an older one without an end: `halfkey keys retire`, or `rotate` again",
	[NOTE_FILED] = "was retired or given an end; its file says otherwise: change it before a restart",
};

struct notebook {
	time_t now;
	unsigned said[NOTES];
};

const char *hk_key_time_text(long long seconds, char out[HK_KEY_TIME])
{
	time_t when = (time_t)seconds;
	struct tm date;

	if (!when || !gmtime_r(&when, &date) || !strftime(out, HK_KEY_TIME, "%Y-%m-%dT%H:%M:%SZ", &date))
		return "-";
	return out;
}

const char *hk_key_span_text(long long seconds, char out[HK_KEY_TIME])
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		snprintf(out, HK_KEY_TIME, "%lld s", seconds);
	else if (seconds < 7200)
		snprintf(out, HK_KEY_TIME, "%lld min", seconds / 60);
	else
		snprintf(out, HK_KEY_TIME, "%lld h", seconds / 3600);
	return out;
}

const char *hk_key_used_text(long long seconds, char out[HK_KEY_TIME])
{
	if (!seconds)
		return "never";
	hk_key_span_text((long long)time(NULL) - seconds, out);
	strcat(out, " ago");
	return out;
}

/* --- sentences --- */

static void say(struct notebook *book, enum note kind, const json_t *row)
{
	char end[HK_KEY_TIME], used[HK_KEY_TIME];
	const char *receiver = hk_text_of(row, "receiver");

	if (book->said[kind]++ == 0)
		putchar('\n');
	if (book->said[kind] > SHOWN)
		return;
	printf("note: domain %s, receiver %s", hk_text_of(row, "domain"), receiver[0] ? receiver : "all");
	if (kind != NOTE_NONE_LEFT)
		printf(", slot %lld generation %lld", hk_number_of(row, "slot"),
			hk_number_of(row, "generation"));
	printf(" %s", notes[kind]);
	if (kind == NOTE_IN_USE)
		printf(" (%s)", hk_key_used_text(hk_number_of(row, "used"), used));
	if ((kind == NOTE_IN_USE || kind == NOTE_ENDS) && hk_number_of(row, "not_after"))
		printf(" (ends in %s)", hk_key_span_text(hk_number_of(row, "not_after") - book->now, end));
	if (kind == NOTE_FILED)
		printf(" (%s)", hk_text_of(row, "source"));
	putchar('\n');
}

static void say_rest(const struct notebook *book)
{
	unsigned i;

	for (i = 0; i < NOTES; i++)
		if (book->said[i] > SHOWN)
			printf("note: and %u more of which one %s\n", book->said[i] - SHOWN, notes[i]);
}

/* --- the rows of one receiver --- */

static bool is_state(const json_t *row, const char *state)
{
	return strcmp(hk_text_of(row, "state"), state) == 0;
}

static bool opens(const json_t *row)
{
	return is_state(row, "current") || is_state(row, "next") || is_state(row, "previous") ||
	       is_state(row, "not-yet");
}

/* Its time is over soon although there is a younger one. */
static bool is_leaving(const struct notebook *book, const json_t *row, bool has_next)
{
	long long end = hk_number_of(row, "not_after");

	return is_state(row, "previous") ||
	       (has_next && is_state(row, "current") && end && end - book->now <= ENDING_S);
}

static void look_at(struct notebook *book, const json_t *row, bool has_next)
{
	if (is_leaving(book, row, has_next) && hk_number_of(row, "used") &&
		book->now - hk_number_of(row, "used") < IN_USE_S)
		say(book, NOTE_IN_USE, row);
	else if (is_state(row, "previous") && !hk_number_of(row, "not_after"))
		say(book, NOTE_ENDLESS, row);
	if (json_is_true(json_object_get(row, "overrides_file")))
		say(book, NOTE_FILED, row);
}

/* Of one receiver and id: a key without an end, or one that ends later than a day from now, is enough. */
static void look_at_all(struct notebook *book, json_t *const *rows, size_t count)
{
	const json_t *last = NULL;
	bool endless = false, has_next = false;
	size_t i;

	for (i = 0; i < count; i++)
		has_next |= is_state(rows[i], "next");
	for (i = 0; i < count; i++) {
		look_at(book, rows[i], has_next);
		if (!opens(rows[i]))
			continue;
		endless |= !hk_number_of(rows[i], "not_after");
		if (!last || hk_number_of(rows[i], "not_after") > hk_number_of(last, "not_after"))
			last = rows[i];
	}
	if (!last)
		say(book, NOTE_NONE_LEFT, rows[count - 1]);
	else if (!endless && hk_number_of(last, "not_after") - book->now < DAY_S)
		say(book, NOTE_ENDS, last);
}

static int compare_receivers(const void *a, const void *b)
{
	const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
	long long ids = hk_number_of(left, "id") - hk_number_of(right, "id");
	int order = strcmp(hk_text_of(left, "domain"), hk_text_of(right, "domain"));

	if (!order)
		order = strcmp(hk_text_of(left, "receiver"), hk_text_of(right, "receiver"));
	return order ? order : (ids > 0) - (ids < 0);
}

static size_t masters_of(const json_t *keys, json_t **rows)
{
	size_t i, count = 0;
	json_t *row;

	for (i = 0; i < json_array_size(keys); i++) {
		row = json_array_get(keys, i);
		if (strcmp(hk_text_of(row, "kind"), "master") == 0 &&
			strcmp(hk_text_of(row, "side"), "reader") != 0)
			rows[count++] = row;
	}
	return count;
}

void hk_keys_notes(const json_t *keys)
{
	json_t **rows = calloc(json_array_size(keys) + 1, sizeof(json_t *));
	struct notebook book = {.now = time(NULL)};
	size_t count, from, to;

	if (!rows)
		return;
	count = masters_of(keys, rows);
	qsort(rows, count, sizeof(json_t *), compare_receivers);
	for (from = 0; from < count; from = to) {
		for (to = from + 1; to < count && compare_receivers(&rows[from], &rows[to]) == 0; to++)
			;
		look_at_all(&book, rows + from, to - from);
	}
	say_rest(&book);
	free(rows);
}

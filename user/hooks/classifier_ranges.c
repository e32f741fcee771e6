// SPDX-License-Identifier: GPL-2.0-or-later
/* Intervals of the classifier: see classifier_ranges.h. A sweep over all starts and ends, in order. */
#include "user/hooks/classifier_ranges.h"

#include <stdlib.h>
#include <string.h>

/* From this value on the selector is satisfied, or no longer is. */
struct edge {
	hk_value at;
	__u32 selector;
	bool enters;
};

int hk_ranges_add(struct hk_ranges *ranges, hk_value first, hk_value last, __u32 selector)
{
	size_t room = ranges->room ? ranges->room * 2 : 256;
	struct hk_range *list;

	if (ranges->count == ranges->room) {
		list = realloc(ranges->list, room * sizeof(*list));
		if (!list)
			return -1;
		ranges->list = list;
		ranges->room = room;
	}
	ranges->list[ranges->count++] = (struct hk_range){.first = first, .last = last, .selector = selector};
	return 0;
}

static int by_selector(const void *a, const void *b)
{
	const struct hk_range *x = a, *y = b;

	if (x->selector != y->selector)
		return x->selector < y->selector ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_value(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* One selector's ranges that overlap or touch become one, so that edges never cancel. */
static void merge(struct hk_ranges *ranges, hk_value end)
{
	size_t i, kept = 0;

	qsort(ranges->list, ranges->count, sizeof(*ranges->list), by_selector);
	for (i = 1; i < ranges->count; i++) {
		struct hk_range *last = &ranges->list[kept], *next = &ranges->list[i];

		if (next->selector == last->selector &&
			(last->last == end || next->first <= last->last + 1)) {
			if (next->last > last->last)
				last->last = next->last;
			continue;
		}
		ranges->list[++kept] = *next;
	}
	ranges->count = ranges->count ? kept + 1 : 0;
}

static size_t make_edges(struct edge *edges, const struct hk_ranges *ranges, hk_value end)
{
	size_t count = 0, i;

	for (i = 0; i < ranges->count; i++) {
		const struct hk_range *range = &ranges->list[i];

		edges[count++] =
			(struct edge){.at = range->first, .selector = range->selector, .enters = true};
		if (range->last != end)
			edges[count++] = (struct edge){.at = range->last + 1, .selector = range->selector};
	}
	qsort(edges, count, sizeof(*edges), by_value);
	return count;
}

static int sweep(
	struct hk_intervals *out, const struct edge *edges, size_t count, __u64 *bits, struct hk_rows *rows)
{
	hk_value at = 0;
	size_t i = 0;
	__u32 row;

	for (;;) {
		for (; i < count && edges[i].at == at; i++) {
			if (edges[i].enters)
				hk_bits_set(bits, edges[i].selector);
			else
				hk_bits_clear(bits, edges[i].selector);
		}
		row = hk_rows_intern(rows, bits);
		if (row == HK_ROWS_FAILED)
			return -1;
		if (!out->count || out->rows[out->count - 1] != row) {
			out->starts[out->count] = at;
			out->rows[out->count++] = row;
		}
		if (i == count)
			return 0;
		at = edges[i].at;
	}
}

int hk_ranges_compile(struct hk_intervals *out, struct hk_ranges *ranges, hk_value end, struct hk_rows *rows)
{
	struct edge *edges;
	__u64 *bits;
	size_t most;
	int code = -1;

	memset(out, 0, sizeof(*out));
	if (ranges->count)
		merge(ranges, end);
	most = 2 * ranges->count + 1;
	edges = malloc(most * sizeof(*edges));
	bits = calloc(rows->words, sizeof(*bits));
	out->starts = malloc(most * sizeof(*out->starts));
	out->rows = malloc(most * sizeof(*out->rows));
	if (edges && bits && out->starts && out->rows)
		code = sweep(out, edges, make_edges(edges, ranges, end), bits, rows);
	free(edges);
	free(bits);
	free(ranges->list);
	memset(ranges, 0, sizeof(*ranges));
	if (code)
		hk_intervals_free(out);
	return code;
}

void hk_intervals_free(struct hk_intervals *intervals)
{
	free(intervals->starts);
	free(intervals->rows);
	memset(intervals, 0, sizeof(*intervals));
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Edit distance (insert, delete, replace, swap of neighbours): see nearest.h. */
#include "user/base/nearest.h"

#include <string.h>

#define LENGTH_MAX 40

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b)
{
	unsigned rows[LENGTH_MAX + 1][LENGTH_MAX + 1];
	size_t la = strlen(a), lb = strlen(b), i, j;

	if (la > LENGTH_MAX || lb > LENGTH_MAX)
		return LENGTH_MAX;
	for (i = 0; i <= la; i++)
		rows[i][0] = (unsigned)i;
	for (j = 0; j <= lb; j++)
		rows[0][j] = (unsigned)j;
	for (i = 1; i <= la; i++)
		for (j = 1; j <= lb; j++) {
			rows[i][j] = min(min(rows[i - 1][j], rows[i][j - 1]) + 1,
				rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1);
		}
	return rows[la][lb];
}

void hk_nearest_offer(struct hk_nearest *nearest, const char *word, const char *name)
{
	unsigned far = distance(word, name);

	if (far > strlen(name) / 3 + 1 || far >= strlen(word))
		return;
	if (nearest->name && far >= nearest->distance)
		return;
	nearest->name = name;
	nearest->distance = far;
}

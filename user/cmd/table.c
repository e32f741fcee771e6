// SPDX-License-Identifier: GPL-2.0-or-later
/* Aligned tables: see table.h. */
#include "user/cmd/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
	if (memory)
		return memory;
	fputs("halfkey: out of memory\n", stderr);
	exit(1);
}

static void add_line(struct hk_table *table, char *line)
{
	char *rest = line, *cell;
	unsigned i;

	table->cells =
		must(realloc(table->cells, (table->rows + 1) * table->columns * sizeof(*table->cells)));
	for (i = 0; i < table->columns; i++) {
		cell = rest ? strsep(&rest, i + 1 < table->columns ? "|" : "") : NULL;
		table->cells[table->rows * table->columns + i] = must(strdup(cell ? cell : ""));
	}
	table->rows++;
}

void hk_table_start(struct hk_table *table, const char *heading)
{
	char *line = must(strdup(heading));
	const char *c;

	*table = (struct hk_table){.columns = 1};
	for (c = heading; *c; c++)
		table->columns += *c == '|';
	add_line(table, line);
	free(line);
}

void hk_table_add(struct hk_table *table, const char *format, ...)
{
	va_list arguments;
	char *line = NULL;
	int size;

	va_start(arguments, format);
	size = vasprintf(&line, format, arguments);
	va_end(arguments);
	add_line(table, must(size < 0 ? NULL : line));
	free(line);
}

static const char *cell_of(const struct hk_table *table, unsigned row, unsigned column)
{
	return table->cells[row * table->columns + column];
}

static unsigned width_of(const struct hk_table *table, unsigned column)
{
	unsigned row, width = 0;
	size_t length;

	for (row = 0; row < table->rows; row++) {
		length = strlen(cell_of(table, row, column));
		width = length > width ? (unsigned)length : width;
	}
	return width;
}

static bool is_numeric(const struct hk_table *table, unsigned column)
{
	unsigned row;
	const char *cell;

	for (row = 1; row < table->rows; row++) {
		cell = cell_of(table, row, column);
		if (*cell && strspn(cell, "0123456789.-%") != strlen(cell))
			return false;
	}
	return table->rows > 1;
}

static void print_cell(const char *cell, unsigned width, bool right, bool last)
{
	unsigned length = (unsigned)strlen(cell), pad = length < width ? width - length : 0;

	if (right)
		printf("%*s", (int)pad, "");
	for (; *cell; cell++)
		putchar((unsigned char)*cell < 0x20 || *cell == 0x7f ? '?' : *cell);
	if (!last)
		printf("%*s", (int)(right ? 2 : pad + 2), "");
}

void hk_table_print(struct hk_table *table, unsigned indent)
{
	unsigned widths[HK_TABLE_COLUMNS_MAX], row, column;
	bool right[HK_TABLE_COLUMNS_MAX];

	for (column = 0; column < table->columns && column < HK_TABLE_COLUMNS_MAX; column++) {
		widths[column] = width_of(table, column);
		right[column] = is_numeric(table, column);
	}
	for (row = 0; row < table->rows; row++) {
		printf("%*s", (int)indent, "");
		for (column = 0; column < table->columns && column < HK_TABLE_COLUMNS_MAX; column++)
			print_cell(cell_of(table, row, column), widths[column], right[column],
				column + 1 == table->columns);
		putchar('\n');
	}
	for (row = 0; row < table->rows * table->columns; row++)
		free(table->cells[row]);
	free(table->cells);
	*table = (struct hk_table){0};
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Aligned tables for people. Columns whose cells are all numbers are set to
 * the right. What could steer a terminal is printed as '?'.
 */
#ifndef HK_CMD_TABLE_H
#define HK_CMD_TABLE_H

#define HK_TABLE_COLUMNS_MAX 12

struct hk_table {
	unsigned columns;
	unsigned rows; /* the heading among them */
	char **cells;
};

/* `heading` names the columns, separated by '|': "reason|packets|bytes". */
void hk_table_start(struct hk_table *table, const char *heading);
/* One row: cells separated by '|' in the format's result (a '|' in a value would split it: values are names
 * and numbers). */
void hk_table_add(struct hk_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints all rows, the heading first, indented by `indent`, and frees. */
void hk_table_print(struct hk_table *table, unsigned indent);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines by table: an option is one row, which says its name, what it
 * takes, where that goes and what --help prints. Every table has --help (-h).
 */
#ifndef HK_BASE_OPTIONS_H
#define HK_BASE_OPTIONS_H

#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

#include "user/base/error.h"

/* A table ends with an empty row. What has no value is a bool, what has a `max` a __u32 from 1 to it, else a
 * text. */
struct hk_option {
	const char *name;
	char letter;	   /* 0: the long name alone */
	const char *value; /* its name in --help; NULL: none is taken */
	size_t place;	   /* in the struct that takes them all */
	__u32 max;
	const char *help; /* lines */
};

/*
 * 0 and optind at the first word that is none, 1: --help was asked for, or -HK_EUSAGE
 * and a sentence. Texts point into argv.
 */
int hk_options_read(const struct hk_option *rows, void *into, int argc, char **argv, struct hk_error *error);
/* The rows as --help shows them. */
void hk_options_print(const struct hk_option *rows, FILE *out);

#endif

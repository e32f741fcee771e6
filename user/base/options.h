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

struct hk_option;

/* Puts an option's value (NULL: it has none) into the struct that takes them all. 0, or -HK_EUSAGE and a
 * sentence. */
typedef int (*hk_option_take)(
	const struct hk_option *option, void *into, const char *text, struct hk_error *error);

/* A table ends with an empty row. */
struct hk_option {
	const char *name;
	char letter;	     /* 0: the long name alone */
	const char *value;   /* its name in --help; NULL: none is taken */
	size_t place;	     /* in the struct that takes them all, or what `take` makes of it */
	hk_option_take take; /* NULL: a text, and without a value a bool */
	const char *help;    /* lines */
};

/*
 * 0 and optind at the first word that is none, 1: --help was asked for, or -HK_EUSAGE
 * and a sentence. Texts point into argv.
 */
int hk_options_read(const struct hk_option *rows, void *into, int argc, char **argv, struct hk_error *error);
/* What a `take` of numbers calls; the sentence names option, value and limits. */
int hk_option_number(const struct hk_option *option, const char *text, __u64 min, __u64 max, __u64 *out,
	struct hk_error *error);
/* Nothing may stand behind the options: 0, or -HK_EUSAGE and a sentence. */
int hk_options_end(int argc, char **argv, struct hk_error *error);
/* The rows as --help shows them. */
void hk_options_print(const struct hk_option *rows, FILE *out);
/* --help, to standard output: what the program does, its options, and what there is to say besides. */
void hk_options_help(const char *head, const struct hk_option *rows, const char *tail);

#endif

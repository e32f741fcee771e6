/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors for people: one sentence that names the thing, the value and what to
 * do. Functions return negative errno and, where a user caused it, write the
 * sentence here. The first sentence stays: later ones would hide the cause.
 */
#ifndef HK_BASE_ERROR_H
#define HK_BASE_ERROR_H

struct hk_error {
	char text[512];
};

/*
 * Writes the sentence if none is there yet; returns -code (code is a positive errno).
 * Control characters become '?': what a hostile file or peer says must not steer a terminal.
 */
int hk_error_set(struct hk_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As `code`: wrong usage of a program, beside all of errno's numbers. */
#define HK_EUSAGE 4096

/* Of every program: 0 done (also when help was printed, code > 0), 1 refused or failed, 2 wrong usage. */
int hk_exit_status(int code);

#endif

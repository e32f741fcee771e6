/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that a configuration names, opened by whoever has the right to.
 *
 * The starter opens them (as root) and hands the descriptors to the inspector,
 * which has no rights; `halfkey open` opens them itself. Everyone below gets a
 * file by its path from this table and never calls open(2).
 */
#ifndef HK_BASE_FILES_H
#define HK_BASE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "user/base/error.h"

enum hk_file_kind {
	HK_FILE_KEYS = 1, /* refused unless a regular file, owned by root or the caller, mode & 077 == 0 */
	HK_FILE_SETTINGS, /* a hook's own file, a shared object: refused when others than its owner can write
			   */
	HK_FILE_OUTPUT,	  /* a log: created 0640, opened for appending, never through a symbolic link */
};

struct hk_file {
	enum hk_file_kind kind;
	char *path; /* as the configuration writes it: the name in every message */
	int fd;
};

struct hk_files {
	struct hk_file *rows;
	unsigned count;
};

/*
 * Opens `path` (relative to `directory`) under the rules of its kind and adds it.
 * The same path twice is one row. 0, or negative errno and a sentence.
 */
int hk_files_open(struct hk_files *files, enum hk_file_kind kind, const char *directory, const char *path,
	struct hk_error *error);
/*
 * As many open files as the system allows: each one of a directory of keys stays open, and
 * there may be thousands. Before a process is forked that gets them, too.
 */
void hk_files_raise_limit(void);
/*
 * Opens the key files of a directory, those named NAME.keys, each as hk_files_open() does,
 * under the path DIRECTORY/NAME.keys. Refused when others than its owner can write the directory.
 */
int hk_files_open_directory(
	struct hk_files *files, const char *directory, const char *path, struct hk_error *error);
/* Whether a file of that name counts among a directory's key files. */
bool hk_files_is_key_name(const char *name);
/* Closes and forgets one. */
void hk_files_drop(struct hk_files *files, const char *path);
/* Adds a descriptor somebody else opened; takes ownership of `fd`. */
int hk_files_add(struct hk_files *files, enum hk_file_kind kind, const char *path, int fd);
/* The descriptor of `path` rewound to 0 (owned by the table), or -ENOENT. */
int hk_files_get(const struct hk_files *files, const char *path);
/* The whole file as NUL-terminated text of at most `max` bytes; caller wipes and frees. NULL and sentence. */
char *hk_files_read(
	const struct hk_files *files, const char *path, size_t max, size_t *size, struct hk_error *error);
void hk_files_close(struct hk_files *files);

#endif

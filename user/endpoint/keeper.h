/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens files for a tunnel that has given up its rights: the keeper is a process
 * of its own, forked while there are rights, that opens what it was told then
 * and nothing else, and passes descriptors. It reads no file and holds no key.
 *
 *   tunnel (nobody) ── CONFIG | KEYS | STATE name ──► keeper (root, no capabilities)
 *                   ◄── descriptor, or a sentence ──
 */
#ifndef HK_ENDPOINT_KEEPER_H
#define HK_ENDPOINT_KEEPER_H

#include "user/base/error.h"

struct hk_keeper;

/* What it may open: the paths stay the caller's. NULL: none of that kind. */
struct hk_keeper_files {
	const char *config, *keys;
	const char *state; /* directory: existing files of it */
};

/* Before any key is in memory. 0, or negative errno and a sentence. */
int hk_keeper_start(struct hk_keeper **out, const struct hk_keeper_files *files, struct hk_error *error);
/* A descriptor for reading, or negative errno and a sentence. Key files under the rules of user/base/files.h.
 */
int hk_keeper_config(struct hk_keeper *keeper, struct hk_error *error);
int hk_keeper_keys(struct hk_keeper *keeper, struct hk_error *error);
/* For struct hk_state_place: an existing file of the state directory, or negative errno. */
int hk_keeper_state(void *keeper, const char *name);
void hk_keeper_stop(struct hk_keeper *keeper); /* NULL is fine */

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing a keyring that is in use:
 *
 *   prepare or due ─► (workers pause) commit (workers go on) ─► free
 *
 * Preparing reads, checks, expands and stages everything beside the tables, as
 * long as it takes; committing links it in, in time that depends on the change
 * alone and not on how many keys there are, and wipes what goes. A change that
 * is freed without a commit has changed nothing. Control thread; one change at a time.
 */
#ifndef HK_KEYS_UPDATE_H
#define HK_KEYS_UPDATE_H

#include "user/keys/keyring.h"

struct hk_key_change;

struct hk_key_update {
	const struct hk_domain_config *domain; /* of the configuration in force */
	const char *name;		       /* of the text, for messages */
	const char *text;		       /* key lines; with "retire" unless `whole` */
	bool whole;			       /* all that the keys-dir file `name` says; "": it is gone */
	/* older generations of the master keys given end this much later, at most */
	bool rotate;
	__u32 grace_s;
};

struct hk_key_result {
	unsigned added, known, retired, graced, expired, woken;
	unsigned withheld; /* a file says them, and an operator took them away */
	unsigned filed;	   /* of the retired and graced: still in a file, `file` for one */
	const char *file;
	unsigned evicted; /* TLS connections that gave way */
};

/* 0, or negative errno and a sentence that names the line. */
int hk_keyring_prepare(struct hk_key_change **out, struct hk_keyring *keyring,
	const struct hk_key_update *update, struct hk_error *error);
/* It is `now_s` (seconds since 1970). NULL: no key's time has come or gone. Call every second or so. */
struct hk_key_change *hk_keyring_due(struct hk_keyring *keyring, __u64 now_s);
/* While no worker looks. 0, or negative errno, a sentence, and nothing changed. */
int hk_keyring_commit(struct hk_key_change *change, struct hk_key_result *result, struct hk_error *error);
void hk_key_change_free(struct hk_key_change *change);

#endif

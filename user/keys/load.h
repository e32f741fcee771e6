/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the lines of a file or an update and the keyring's entries: for
 * load.c, carry.c and update.c alone. A staged entry is checked against all others and
 * has its cell; it is in no table that workers read.
 */
#ifndef HK_KEYS_LOAD_H
#define HK_KEYS_LOAD_H

#include "user/keys/keyfile.h"
#include "user/keys/tables.h"

struct hk_key_loader {
	struct hk_keyring *keyring;
	const struct hk_domain_config *domain;
	const char *name; /* of the text, for messages */
	unsigned source;
	/* update: finds a root that is staged, or HK_KEY_NONE; NULL: there are none */
	__u32 (*staged_root)(const struct hk_key_loader *loader, const struct hk_key_row *row);
	void *context;
};

/* A combined line gets its key; any other line is left alone. 0, or negative errno and a sentence. */
int hk_key_combine(struct hk_key_loader *loader, struct hk_key_line *line, struct hk_error *error);
/* A line into its place at once: for a keyring that nobody looks at yet. */
int hk_key_take_line(struct hk_key_loader *loader, const struct hk_key_line *given, struct hk_error *error);
int hk_key_stage(
	struct hk_key_loader *loader, const struct hk_key_line *line, __u32 *out, struct hk_error *error);
void hk_key_unstage(struct hk_keyring *keyring, __u32 index);
int hk_key_refuse_twice(const struct hk_key_loader *loader, const struct hk_key_line *line,
	const struct hk_key_entry *other, struct hk_error *error);
/* What form of line says such a key (combined ones are master keys by now). */
enum hk_key_form hk_key_row_form(const struct hk_key_row *row);
void hk_key_fill_row(
	struct hk_key_row *row, const struct hk_domain_config *domain, const struct hk_key_line *line);
/* Of a key that is in use here: keyed with a secret of the process. */
void hk_key_fingerprint(const __u8 *key, size_t size, __u8 out[8]);
/* Its connections are others from now on: see hk_keyring_serial(). */
void hk_key_serial(struct hk_keyring *keyring);
unsigned hk_key_state_at(const struct hk_key_row *row, __u64 now_s);

/* Draws the secret behind fingerprints, once: processes made from now on have the same. 0 or -EIO. */
int hk_key_fingerprints_begin(void);

/*
 * words.c: what was said (kept.h) of keys that `keyring` has from files holds there, too; of how many.
 * -ENOMEM: of none, and `keyring` must not come into force, or what was retired is back.
 */
int hk_keyring_heed(struct hk_keyring *keyring, struct hk_kept *kept);

/* commit.c: what is past its time when a keyring is built goes before anybody looks. */
int hk_keyring_settle(struct hk_keyring *keyring);

#endif

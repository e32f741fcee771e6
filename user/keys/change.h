/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change to a keyring between its preparation (update.c, words.c) and its end
 * (commit.c): what comes, what goes, what gets other times. For these files alone.
 */
#ifndef HK_KEYS_CHANGE_H
#define HK_KEYS_CHANGE_H

#include "user/keys/load.h"
#include "user/keys/update.h"

struct hk_key_items {
	struct hk_key_item {
		__u32 index;
		__u8 state;		     /* of what goes: HK_ENTRY_RETIRED or HK_ENTRY_EXPIRED */
		__u64 not_before, not_after; /* of what gets other times */
		bool retires;		     /* what goes was taken away by an operator, not by its file */
		bool over;		     /* the file has other times by now: no word about it counts */
		__u32 line;		     /* of what is taken over */
		__u32 word;		     /* a record that counts from the commit on, or 0 */
	} * items;
	unsigned count, room;
};

/* A word (kept.h) whose key is not in the keyring; sorted by fingerprint. */
struct hk_key_past {
	__u8 fingerprint[8];
	__u32 place;
	bool over; /* the change ends it */
};

struct hk_key_change {
	struct hk_keyring *keyring;
	struct hk_key_loader loader;
	const struct hk_key_update *update; /* while preparing */
	struct hk_error *error;		    /* while preparing */
	struct hk_key_items added, gone, retimed, taken;
	struct hk_key_items withheld; /* staged, never linked: a file says what an operator took away */
	struct hk_key_past *past;
	unsigned past_count;
	struct hk_key_result result;
	struct hk_tls_change *tls; /* a TLS domain's: all of the change */
	bool committed;
};

struct hk_key_change *hk_key_change_new(struct hk_keyring *keyring);
int hk_key_items_add(struct hk_key_items *items, struct hk_key_item item);
/* This entry goes, as `item->state` says. */
int hk_key_goes(struct hk_key_change *change, struct hk_key_item item);

/* words.c: those that this change may meet. 0 or -ENOMEM. */
int hk_key_words_find(struct hk_key_change *change);
/* The change gives a file's key other times, or takes it: what will be remembered. 0, or -ENOSPC and a
 * sentence. */
int hk_key_word_stage(struct hk_key_change *change, struct hk_key_item *item);
/* A file says a staged key: true when an operator took it away, and that still counts. */
bool hk_key_word_withholds(struct hk_key_change *change, const struct hk_key_entry *entry);
/* A file says the key with these times: true when an operator gave it others, and they still count. */
bool hk_key_word_stands(
	const struct hk_keyring *keyring, const struct hk_key_entry *entry, const struct hk_key_line *line);
/* At the commit: a key that stays has other times; one goes; the rest. */
void hk_key_word_keep(struct hk_keyring *keyring, struct hk_key_entry *entry, const struct hk_key_item *item);
void hk_key_word_remember(
	struct hk_keyring *keyring, struct hk_key_entry *entry, const struct hk_key_item *item);
void hk_key_words_end(struct hk_key_change *change);
/* Or there is none. */
void hk_key_word_unstage(struct hk_keyring *keyring, const struct hk_key_item *item);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys that no file holds, for whoever inspects next: what comes over the control
 * socket would be lost with the inspector that took it, in the one moment when
 * nobody is there to push it again.
 *
 *   starter    makes the memory, never looks into it
 *   inspector  writes a record when a key comes, wipes it when the key goes
 *   its heir   reads the records as it reads a file: every one is checked
 *
 * Shared memory of fixed size, locked and kept out of core files in both processes,
 * wiped at the end. It adds no right to anybody: the starter can read every key
 * file anyway, and inspectors hold the same keys one after the other.
 *
 * A record is a key, or a word: what an operator said of a key that a file holds (it ends at
 * that time, it is retired). A word lasts as long as the file says the same of that key: it has
 * no key, only the fingerprint, which all inspectors of one starter make alike.
 * A record counts when it is marked, so that one that dies in a change leaves no half of it.
 * Control threads only.
 */
#ifndef HK_KEYS_KEPT_H
#define HK_KEYS_KEPT_H

#include "user/keys/keyfile.h"
#include "user/keys/keyring.h"

struct hk_kept;

struct hk_kept_word {
	__u8 fingerprint[8];
	__u64 not_before, not_after;   /* what holds */
	__u64 said_before, said_after; /* what its file's line said then */
	__u64 file;		       /* a hash of its path */
	bool retired;
	__u32 serial; /* of the last keyring that heeded it */
};

/* For the starter, before it forks. Room for `keys` records. NULL and errno. */
struct hk_kept *hk_kept_new(unsigned keys);
void hk_kept_free(struct hk_kept *kept); /* wipes */

/* For an inspector that begins: finds the room that is free, and wipes what was never marked. 0 or -ENOMEM.
 */
int hk_kept_open(struct hk_kept *kept);

/* Wipes every key, and leaves the words; how many there were. */
unsigned hk_kept_drop_keys(struct hk_kept *kept);

/* Writes a record that does not count yet; its place, from 1 on, or 0: no room. `line` holds a key. */
__u32 hk_kept_put(struct hk_kept *kept, __u16 domain, const struct hk_key_line *line);
void hk_kept_mark(struct hk_kept *kept, __u32 place);
void hk_kept_retime(struct hk_kept *kept, __u32 place, __u64 not_before, __u64 not_after);
/* Wipes the record. Place 0: nothing. */
void hk_kept_drop(struct hk_kept *kept, __u32 place);

/* The same for a word about the key that is `row`. */
__u32 hk_kept_put_word(struct hk_kept *kept, const struct hk_key_row *row, const struct hk_kept_word *word);
/* The word is that the key is retired. */
void hk_kept_retire(struct hk_kept *kept, __u32 place);
void hk_kept_heed(struct hk_kept *kept, __u32 place, __u32 serial);
bool hk_kept_is_word(const struct hk_kept *kept, __u32 place);
/* How many there are, those not marked too. */
unsigned hk_kept_words(const struct hk_kept *kept);
__u32 hk_kept_next_word(const struct hk_kept *kept, __u32 place);
/* A marked word, and which key it is about. -EINVAL: it cannot be one. */
int hk_kept_read_word(
	const struct hk_kept *kept, __u32 place, struct hk_key_row *row, struct hk_kept_word *word);

/* The next marked place of a key after `place` (0: the first), or 0. */
__u32 hk_kept_next(const struct hk_kept *kept, __u32 place);
/* A marked record as a line. -EINVAL: it cannot be one. The caller wipes the line. */
int hk_kept_read(const struct hk_kept *kept, __u32 place, __u16 *domain, struct hk_key_line *line);

#endif

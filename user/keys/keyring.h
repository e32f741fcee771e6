/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The box's keys: which key opens this packet?
 *
 * A keyring is built whole from the configuration and its key files. Afterwards
 * it changes only by struct hk_key_change (update.h), while no worker looks; so
 * lookups take no lock, and one more key costs as much among a million as alone.
 * All key material lies in the arena: locked, kept out of core files, wiped when
 * a key goes. A full arena is a refusal, never a page of its own.
 *
 * Selection (wire-formats.md): an explicit (domain, receiver, SPI, version or
 * suite) entry first; else the master key of (domain, id, receiver, slot), highest
 * generation. The longest receiver prefix wins; a line without receiver serves the whole domain.
 * The id is the number that packets carry of their master key, where they do; a line without one
 * has its domain's mkid.
 *
 * A slot may hold up to three generations that are in force (a slot number comes back
 * with its second rotation): the pipeline tries the others when a packet does
 * not open, and says which of them it was (hk_keyring_prefer).
 */
#ifndef HK_KEYS_KEYRING_H
#define HK_KEYS_KEYRING_H

#include <stdbool.h>

#include <halfkey/config.h>
#include <halfkey/crypto.h>

#include "user/base/error.h"
#include "user/base/files.h"

struct hk_arena;
struct hk_keyring;
struct hk_tls_tuple;

/* Room for `keys` keys in two keyrings (the one in force and its successor). NULL and errno. */
struct hk_arena *hk_arena_new(unsigned keys);
void hk_arena_free(struct hk_arena *arena); /* wipes */
bool hk_arena_locked(const struct hk_arena *arena);

/* 0, or negative errno and a sentence that names file and line. Reads the key files from `files`. */
int hk_keyring_new(struct hk_keyring **out, struct hk_arena *arena, const struct hk_config *config,
	const struct hk_files *files, struct hk_error *error);
void hk_keyring_free(struct hk_keyring *keyring);
/*
 * Before a reload takes effect: keys that came to `previous` while it ran (update.h), and
 * what was said there about keys of files, go on in `now`, unless their domain is gone, they are in its files
 * by now, or do not fit it any more; how many were left behind. -ENOMEM: what was said
 * cannot be heeded, and `now` must not come into force. Off the packets' path.
 */
int hk_keyring_carry(
	struct hk_keyring *now, const struct hk_keyring *previous, const struct hk_config *config);
/* Then, when `now` is in force: what `previous` kept for the next inspector is kept by `now`. */
void hk_keyring_inherit(struct hk_keyring *now, struct hk_keyring *previous);

struct hk_kept;
struct hk_restored {
	unsigned keys;	     /* in force again */
	unsigned lost;	     /* fit the configuration no more */
	unsigned words;	     /* keys of files that ended or were retired, and stay so */
	struct hk_error why; /* of the first that was lost */
};

/*
 * An inspector begins: keys that came to a dead one over the control socket are in
 * force again, and `keyring` keeps those that come from now on in `kept`, too. 0, or
 * -ENOMEM: as for a reload; `kept` is as it was.
 */
int hk_keyring_restore(struct hk_keyring *keyring, struct hk_kept *kept, const struct hk_config *config,
	struct hk_restored *out);
/* After a reload: slots that `previous` had and `now` has not are `stale-key` from now on, not `no-key`. */
void hk_keyring_adopt(struct hk_keyring *now, const struct hk_keyring *previous);

/* What opens a packet: a master key to derive from, or the key itself. Points into the arena. */
struct hk_key_choice {
	const struct hk_kdf_key *master; /* NULL: explicit */
	const __u8 *key;		 /* explicit: key_size bytes */
	const __u8 *salt;		 /* explicit ESP: 4 bytes */
	const struct hk_hmac_key *root;	 /* explicit EESP or inline parent: expand from it; no key, no salt */
	__u32 generation;
	__u8 key_size;
	__u32 entry; /* the keyring's number for it */
	__u64 id;    /* of this key, never 0, not reused in the process's life */
};

/* What a packet says about its key. */
struct hk_key_request {
	const struct hk_address *receiver;
	__u32 spi;
	__u32 id; /* of the master key: the packet's own, else the domain's mkid */
	__u16 domain;
	__u8 slot;
	__u8 variant; /* PSP version, or enum hk_suite */
};

/* HK_REASON_OK, _NO_KEY, _STALE_KEY, _KEY_NOT_YET or _KEY_EXPIRED. Any thread. */
unsigned hk_keyring_choose(
	const struct hk_keyring *keyring, const struct hk_key_request *request, struct hk_key_choice *out);

/*
 * The highest epoch of packets that verified under a master key, for envelopes
 * that have epochs: HK_KEY_EPOCH | epoch, or 0 while there was none. All workers
 * share it, by atomic loads and stores; a reload keeps it with the key.
 */
#define HK_KEY_EPOCH 0x10000u
__u32 *hk_keyring_epoch(const struct hk_keyring *keyring, const struct hk_key_choice *choice);
/* The reader key of the same domain, id, receiver and slot, or NULL. */
const struct hk_kdf_key *hk_keyring_reader(
	const struct hk_keyring *keyring, const struct hk_key_request *request);

struct hk_children;

/* SPIs created in band; NULL: no domain has inline keying. They outlive the keyring. */
struct hk_children *hk_keyring_children(const struct hk_keyring *keyring);
/* Wipes children whose time is over or whose parent is no key any more. Control thread, now and then. */
void hk_keyring_expire_children(const struct hk_keyring *keyring, __u64 now_ns);

/* True when no SPI has a key of its own: the choice then depends on domain, receiver and slot alone. */
bool hk_keyring_only_masters(const struct hk_keyring *keyring);

/*
 * Generations. Watched: some slot holds several that are in force, or lost one within the
 * last hour. Other: the choice with the n-th other generation of the slot, from 0 on and
 * highest first, false without one: a slot means previous, current and next, and no more.
 * Prefer: that one opened a packet; it is tried first from now on. Retired: this
 * choice's slot lost a generation within the last hour.
 */
bool hk_keyring_watched(const struct hk_keyring *keyring);
bool hk_keyring_other(const struct hk_keyring *keyring, const struct hk_key_choice *choice, unsigned n,
	struct hk_key_choice *other);
void hk_keyring_prefer(const struct hk_keyring *keyring, const struct hk_key_choice *choice);
bool hk_keyring_retired(const struct hk_keyring *keyring, const struct hk_key_choice *choice);

/* Among the master keys of one receiver (and id): current is the highest generation that packets use. */
enum hk_key_state {
	HK_KEY_CURRENT,
	HK_KEY_NEXT,	 /* in force, nobody uses it yet */
	HK_KEY_PREVIOUS, /* in force, a higher generation is in use */
	HK_KEY_EARLY,	 /* before its not-before */
	HK_KEY_EXPIRED,	 /* after its not-after; wiped */
	HK_KEY_RETIRED,	 /* wiped */
};

/* One row of `halfkey keys list`. */
struct hk_key_row {
	__u16 domain;
	bool is_explicit;
	bool is_root; /* explicit: an EESP root */
	bool has_receiver;
	struct hk_prefix receiver;
	__u8 slot;
	__u8 side; /* enum hk_side */
	int version;
	__u8 suite;
	__u32 generation;
	__u32 spi;
	bool has_id;   /* the line gave one */
	__u32 id;      /* master key: its own, else its domain's mkid */
	bool is_level; /* the root of a level: combined, never used for packets itself */
	char level[17];
	/* of a TLS connection: one of them, else both NULL; good during the call */
	const struct hk_tls_tuple *tls_tuple;
	const __u8 *tls_random;	     /* 32 bytes: the client's */
	__u8 state;		     /* enum hk_key_state */
	__u64 not_before, not_after; /* seconds since 1970; 0: no such end */
	__u64 used;		     /* when a packet last asked for it, to about a second; 0: never */
	const char *source;	     /* file, or where else it came from */
	bool overrides;		     /* the file says other times, or does not say that it is retired */
	__u8 fingerprint[8];	     /* keyed with a per-process secret: tests no guess */
};

/* Calls `row` for every key; stops when it returns nonzero and returns that. */
int hk_keyring_list(const struct hk_keyring *keyring, int (*row)(void *context, const struct hk_key_row *row),
	void *context);
/* When a key's time comes or goes next, in seconds since 1970; 0: never. */
__u64 hk_keyring_next_event(const struct hk_keyring *keyring);
unsigned hk_keyring_count(const struct hk_keyring *keyring);

#endif

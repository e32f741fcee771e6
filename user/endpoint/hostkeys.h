/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An end host's keys: what its key file says, and the SA of any SPI it can make
 * of that. The same file format as the box's (user/keys/keyfile.h), with the
 * authentication side added. Memory is locked where the system lets us, and wiped.
 */
#ifndef HK_ENDPOINT_HOSTKEYS_H
#define HK_ENDPOINT_HOSTKEYS_H

#include "user/endpoint/seal.h"

struct hk_host_keys;

/*
 * Reads a key file (a regular file of mode 0600, ours). Refused with a sentence:
 * a side without its other side, one receiver and slot under both profiles, one
 * key in two roles (the box holds one of them). `levels` names the levels that
 * from= counts, "region,group,task"; NULL: there are none. 0 or negative errno.
 */
int hk_host_keys_load(
	struct hk_host_keys **out, const char *path, const char *levels, struct hk_error *error);
/* The same of an open file, which is closed; `path` is its name in sentences. */
int hk_host_keys_load_fd(
	struct hk_host_keys **out, const char *path, int fd, const char *levels, struct hk_error *error);
int hk_host_keys_parse(struct hk_host_keys **out, const char *name, const char *text, const char *levels,
	struct hk_error *error);
void hk_host_keys_free(struct hk_host_keys *keys);

/* What a slot can mean to who opens: previous, current and next, the highest generation first. */
#define HK_HOST_GENERATIONS 3

/*
 * The SA of `name`: an explicit key of that receiver and SPI first, else derived
 * from the receiver's master keys (longest prefix, then the SPI's slot, then the
 * highest generation whose time it is, or with `nth` the nth below it). HK_REFUSAL_NONE;
 * NO_KEY; KEY_NOT_YET and KEY_EXPIRED where it is no key's time; DOWNGRADE where a key
 * exists, but of the other profile or for another version or suite; CIPHER.
 */
unsigned hk_host_keys_sa(const struct hk_host_keys *keys, struct hk_crypto *crypto,
	const struct hk_sa_name *name, unsigned nth, struct hk_sa **out);

/* Which master key: what is not said may be any. */
struct hk_master_wish {
	const struct hk_address *receiver; /* NULL: only keys that name no receiver */
	bool has_id, has_slot;
	__u32 id; /* what packets call it */
	__u8 slot;
	__u8 nth; /* 0: of the highest generation; else the nth below it, of one id and slot */
};

/* Both sides, or the one key; points into the keys it is of. */
struct hk_master {
	__u32 id;
	__u8 slot;
	const __u8 *enc, *auth, *reader; /* auth NULL: one key serves both sides; reader NULL: none */
	__u64 not_after;		 /* seconds since 1970; 0: no end */
	unsigned refusal; /* why there is none: HK_REFUSAL_NO_KEY, _KEY_NOT_YET or _KEY_EXPIRED */
};

/*
 * The master key whose time it is of the longest receiver, then of the highest
 * generation. False: none, and out->refusal says why.
 */
bool hk_host_keys_master(
	const struct hk_host_keys *keys, const struct hk_master_wish *wish, struct hk_master *out);
/* The root of an SA that has sub-SAs. False: none, and out->refusal says why. */
bool hk_host_keys_root(
	const struct hk_host_keys *keys, const struct hk_address *receiver, __u32 spi, struct hk_master *out);
/* The SPIs that have roots, in the file's order, those whose time it is if there are any; how many were
 * written. */
unsigned hk_host_keys_roots(
	const struct hk_host_keys *keys, const struct hk_address *receiver, __u32 *spis, unsigned max);

/*
 * Whether `sender` may be who sends with this SPI (`is_id`: under this id). The file's
 * sender lines say so; of what none of them names, anybody may be.
 */
bool hk_host_keys_sends(
	const struct hk_host_keys *keys, const struct hk_address *sender, bool is_id, __u32 number);

/* The explicit SPIs we may send to `receiver` with, like those of roots; how many were written. */
unsigned hk_host_keys_spis(const struct hk_host_keys *keys, unsigned envelope, unsigned variant,
	const struct hk_address *receiver, __u32 *spis, unsigned max);

/* When the next key's time begins or ends: then what was made of these keys may have changed. 0: never. */
__u64 hk_host_keys_due(const struct hk_host_keys *keys);
/* Seconds since 1970. Tests set another time; 0: the system's again. */
__u64 hk_host_keys_now(void);
void hk_host_keys_set_now(__u64 now);

#endif

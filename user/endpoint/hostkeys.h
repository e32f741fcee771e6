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
 * key in two roles (the box holds one of them). 0 or negative errno.
 */
int hk_host_keys_load(struct hk_host_keys **out, const char *path, struct hk_error *error);
/* The same of an open file, which is closed; `path` is its name in sentences. */
int hk_host_keys_load_fd(struct hk_host_keys **out, const char *path, int fd, struct hk_error *error);
int hk_host_keys_parse(struct hk_host_keys **out, const char *name, const char *text, struct hk_error *error);
void hk_host_keys_free(struct hk_host_keys *keys);

/*
 * The SA of `name`: an explicit key of that receiver and SPI first, else derived
 * from the receiver's master keys (longest prefix, then the SPI's slot, then the
 * highest generation). HK_REFUSAL_NONE; NO_KEY; DOWNGRADE where a key exists,
 * but of the other profile or for another version or suite; CIPHER.
 */
unsigned hk_host_keys_sa(const struct hk_host_keys *keys, struct hk_crypto *crypto,
	const struct hk_sa_name *name, struct hk_sa **out);

/*
 * The master key that packets call `id`, in this slot, highest generation; `auth` is NULL
 * where one key serves both sides. False: none. Points into `keys`.
 */
bool hk_host_keys_master(
	const struct hk_host_keys *keys, __u32 id, unsigned slot, const __u8 **enc, const __u8 **auth);

/* Both sides of a parent SA, which root= lines give. False: none. Points into `keys`. */
bool hk_host_keys_root(const struct hk_host_keys *keys, const struct hk_address *receiver, __u32 spi,
	const __u8 **enc, const __u8 **auth);

/* The explicit SPIs we may send to `receiver` with, in the file's order; how many were written. */
unsigned hk_host_keys_spis(const struct hk_host_keys *keys, unsigned envelope, unsigned variant,
	const struct hk_address *receiver, __u32 *spis, unsigned max);

#endif

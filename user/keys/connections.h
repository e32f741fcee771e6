/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyring's TLS connections: by client random, or by addresses and ports.
 * Lookups: any thread, no lock. The secrets lie in the arena.
 */
#ifndef HK_KEYS_CONNECTIONS_H
#define HK_KEYS_CONNECTIONS_H

#include "user/keys/keylog.h"
#include "user/keys/keyring.h"

struct hk_tls_connections;

/* NULL: none. `id` as in hk_key_choice. */
const struct hk_tls_secret *hk_keyring_tls_tuple(
	const struct hk_keyring *keyring, const struct hk_tls_tuple *tuple, __u64 *id);
const struct hk_tls_secret *hk_keyring_tls_random(
	const struct hk_keyring *keyring, __u16 domain, const __u8 client_random[32], __u64 *id);

/* Differs between any two keyrings of the process's life. */
__u64 hk_keyring_serial(const struct hk_keyring *keyring);

/* For load.c: reads a domain's key log into `keyring`. */
int hk_keyring_load_tls(struct hk_keyring *keyring, const struct hk_domain_config *domain, const char *name,
	const char *text, struct hk_error *error);
void hk_keyring_free_tls(struct hk_keyring *keyring);

#endif

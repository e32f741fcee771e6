/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyring's TLS connections: by client random, or by addresses and ports.
 * Lookups: any thread, no lock. The secrets lie in the arena.
 *
 * Connections come without end, so a full table is no refusal: the one that was
 * asked for longest ago gives way, and is counted. Other keys never do.
 */
#ifndef HK_KEYS_CONNECTIONS_H
#define HK_KEYS_CONNECTIONS_H

#include "user/keys/keylog.h"
#include "user/keys/keyring.h"
#include "user/keys/update.h"

struct hk_tls_connections;
struct hk_tls_change;

struct hk_tls_choice {
	const struct hk_tls_secret *secret; /* until workers pause next */
	__u64 id;			    /* as in hk_key_choice */
	__u32 place;			    /* where it stands, for hk_keyring_tls_holds() */
};

/* False: none. */
bool hk_keyring_tls_tuple(
	const struct hk_keyring *keyring, const struct hk_tls_tuple *tuple, struct hk_tls_choice *out);
bool hk_keyring_tls_random(const struct hk_keyring *keyring, __u16 domain, const __u8 client_random[32],
	struct hk_tls_choice *out);
/* Whether what was chosen once is there still; it counts as asked for again. */
bool hk_keyring_tls_holds(const struct hk_keyring *keyring, __u32 place, __u64 id);

/* Changes with each change of connections; never the same in two keyrings of the process's life. */
__u64 hk_keyring_serial(const struct hk_keyring *keyring);

/* Of hk_keyring_list(), _count() and `stats`. */
int hk_keyring_tls_list(const struct hk_keyring *keyring,
	int (*row)(void *context, const struct hk_key_row *row), void *context);
bool hk_keyring_has_tls(const struct hk_keyring *keyring);
unsigned hk_keyring_tls_count(const struct hk_keyring *keyring);
__u64 hk_keyring_tls_evicted(const struct hk_keyring *keyring);

/* For load.c: reads a domain's key log into a `keyring` that nobody uses yet. */
int hk_keyring_load_tls(struct hk_keyring *keyring, const struct hk_domain_config *domain, const char *name,
	const char *text, struct hk_error *error);
/* Of hk_keyring_carry(): how many fit no more. */
unsigned hk_keyring_carry_tls(
	struct hk_keyring *now, const struct hk_keyring *previous, const struct hk_config *config);
void hk_keyring_free_tls(struct hk_keyring *keyring);

/* For update.c: its calls, where the domain is one of TLS. */
int hk_tls_change_prepare(struct hk_tls_change **out, struct hk_keyring *keyring,
	const struct hk_key_update *update, struct hk_error *error);
int hk_tls_change_commit(struct hk_tls_change *change, struct hk_key_result *result, struct hk_error *error);
void hk_tls_change_free(struct hk_tls_change *change);

#endif

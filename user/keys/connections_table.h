/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the table of TLS connections, for connections.c (lookups, places) and
 * connections_update.c (changes): an array of rows, a list of them by age, and
 * a hash table with open addressing over them that is at most half full.
 * Workers read rows and index; the control thread writes them while workers pause.
 */
#ifndef HK_KEYS_CONNECTIONS_TABLE_H
#define HK_KEYS_CONNECTIONS_TABLE_H

#include "user/keys/connections.h"
#include "user/keys/tables.h"

struct hk_tls_row {
	struct hk_tls_secret *secret; /* NULL: free */
	__u64 id;
	__u32 used;	    /* hk_keyring.now_s of the last that asked; 0: never; atomic */
	__u32 seen;	    /* `used` when its turn to give way came last */
	__u32 older, newer; /* free: `newer` is the next free one */
	__u32 source, line;
	const struct hk_domain_config *config;
	__u16 domain;
	bool going; /* a change that is being prepared takes it away */
	__u8 fingerprint[8];
};

/* How far a log was read: what it said before is not said again. */
struct hk_tls_log {
	__u16 domain;
	__u32 source;
	__u32 lines;
	__u64 digest; /* of these lines, keyed */
};

struct hk_tls_connections {
	struct hk_key_table index;
	__u32 capacity, count;
	__u32 oldest, newest, free_first;
	__u64 evicted;
	struct hk_tls_log *logs;
	unsigned logs_count;
	struct hk_tls_row rows[];
};

/* The keyring's table, made when first asked for; NULL: no memory. */
struct hk_tls_connections *hk_tls_table(struct hk_keyring *keyring);
/* The row of the same connection, or HK_KEY_NONE. */
__u32 hk_tls_find(const struct hk_tls_connections *table, __u16 domain, const struct hk_tls_secret *secret);
/* A copy of the secret in a row of its own, the newest; HK_KEY_NONE: no room in table or arena. */
__u32 hk_tls_add(struct hk_keyring *keyring, __u16 domain, const struct hk_tls_secret *secret);
/* Wipes it. */
void hk_tls_drop(struct hk_keyring *keyring, __u32 index);
/* Drops the one that was asked for longest ago; false: the table is empty. */
bool hk_tls_evict(struct hk_keyring *keyring);

#endif

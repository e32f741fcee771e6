/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys of TLS connections: a file in the style of the NSS key log, which what
 * speaks TLS writes where SSLKEYLOGFILE says, so that it can be used as it is.
 *
 *   # comment
 *   CLIENT_RANDOM <64 hex: client random> <96 hex: master secret>
 *   TLS_KEYS <client address> <port> <server address> <port> <client key> <client IV> <server key> <server
 * IV>
 *
 * The second form is ours: the AES-GCM keys (32 or 64 hex digits) and implicit
 * IVs (8 digits) of one connection, where only those are to leave the host.
 * Lines with other labels (TLS 1.3) are skipped. No key byte is in a message.
 *
 * Logs grow while they are read: a last line without its newline that says
 * nothing whole is not there yet. In an update, which does not grow, it is
 * refused, and lines may take keys away:
 *
 *   retire client-random=<64 hex>
 *   retire client=<address> client-port=<port> server=<address> server-port=<port>
 */
#ifndef HK_KEYS_KEYLOG_H
#define HK_KEYS_KEYLOG_H

#include <stdbool.h>

#include <halfkey/address.h>

#include "user/base/error.h"

#define HK_TLS_MASTER_SIZE 48

struct hk_tls_tuple {
	struct hk_address client, server;
	__u16 client_port, server_port;
	__u16 domain;
	__u16 reserved; /* 0 */
};

struct hk_tls_secret {
	bool is_tuple;
	bool retire;   /* names one that goes; no key here */
	__u8 key_size; /* of `keys`: 16 or 32 */
	struct hk_tls_tuple tuple;
	__u8 client_random[32];
	__u8 master[HK_TLS_MASTER_SIZE];
	__u8 keys[2][32]; /* client's, server's */
	__u8 ivs[2][4];
};

_Static_assert(sizeof(struct hk_tls_secret) <= 256, "fits a cell of the arena");

enum hk_keylog_kind { HK_KEYLOG_FILE, HK_KEYLOG_UPDATE };

/*
 * Calls `take` for each key of `text` from line `first` on (1 is the first), stops
 * at the first refusal. The secret is wiped after each call; the caller wipes `text`.
 */
struct hk_keylog_reading {
	const char *name; /* of the text, for messages */
	const char *text;
	enum hk_keylog_kind kind;
	unsigned first;
	int (*take)(void *context, const struct hk_tls_secret *secret, unsigned line, struct hk_error *error);
	void *context;
};

int hk_keylog_read(const struct hk_keylog_reading *reading, struct hk_error *error);

/* Whether a text is a key log by its first line, and no table or key file. */
bool hk_keylog_is(const char *text);

#endif

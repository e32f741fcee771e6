/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hellos of TLS connections said: randoms, version, cipher suite and
 * the server's name, by the connection's two ends. One table for all workers,
 * since the directions of a connection may be on different ones. Hellos are
 * written under a lock, once or twice in a connection's life; who asks takes
 * none. Of fixed size: old entries give way. Nothing secret is in it.
 */
#ifndef HK_ENVELOPE_HELLO_H
#define HK_ENVELOPE_HELLO_H

#include "user/keys/keylog.h"

#define HK_SERVER_NAME_MAX 255 /* bytes: longer than any host's name may be */

struct hk_hello {
	bool has_client, has_server;
	__u16 version; /* what the server chose */
	__u16 suite;
	__u8 client_random[32], server_random[32];
	__u8 server_name[HK_SERVER_NAME_MAX]; /* what the client asked for (RFC 6066 3): printable ASCII */
	__u8 server_name_length;	      /* 0: none, or none that can be a name */
};

/* A plaintext handshake record's content; others than hellos of that side change nothing. */
void hk_hello_read(const struct hk_tls_tuple *tuple, bool from_server, const __u8 *handshake, __u32 length);
/* False: nothing known of the connection. */
bool hk_hello_get(const struct hk_tls_tuple *tuple, struct hk_hello *out);
void hk_hello_forget(const struct hk_tls_tuple *tuple);

#endif

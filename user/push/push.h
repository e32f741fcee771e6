/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Talking to a key server: mutual TLS 1.3, and messages in it. Used by the key
 * server, by hosts, and by `halfkey keys pull` on the box, which is why nothing
 * here knows a key. halfkeyd itself speaks no TLS.
 *
 * A message is a JSON object behind its size, 4 bytes in network order. Who
 * talks is what a URI in the certificate's subject alternative name says:
 *
 *   halfkey:server:NAME   halfkey:host:NAME   halfkey:box:NAME   halfkey:reader:NAME
 *
 * exactly one of them, under the one CA that the configuration names. Library
 * cryptography (OpenSSL) only.
 */
#ifndef HK_PUSH_PUSH_H
#define HK_PUSH_PUSH_H

#include <jansson.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <time.h>

#include "user/base/error.h"

#define HK_PUSH_PORT	 "4780"
#define HK_PUSH_NAME	 32	   /* with its NUL: letters, digits, '-' and '_' */
#define HK_PUSH_REQUEST	 2048	   /* bytes of a message to the server */
#define HK_PUSH_ANSWER	 (1 << 20) /* bytes of a message from the server */
#define HK_PUSH_IDLE_S	 30	   /* the server says something this often; silence is a lost connection */
#define HK_PUSH_PATIENCE 10	   /* seconds for a handshake or for one whole message */

enum hk_push_role { HK_PUSH_SERVER = 1, HK_PUSH_HOST, HK_PUSH_BOX, HK_PUSH_READER };

const char *hk_push_role_name(unsigned role);

/* Files in PEM: the CA, our certificate, our private key (mode 0600, ours). `crl` may be NULL. */
struct hk_push_files {
	const char *ca, *cert, *key, *crl;
};

/* TLS 1.3 alone, both sides with certificates, no resumption. NULL and a sentence. */
SSL_CTX *hk_push_tls(const struct hk_push_files *files, bool server, struct hk_error *error);

struct hk_push_identity {
	unsigned role; /* enum hk_push_role */
	char name[HK_PUSH_NAME];
	time_t expires; /* of the certificate */
};

/*
 * Who the verified peer is. -EACCES and a sentence: no certificate, a chain that
 * does not verify, a certificate that is not made for this (extended key usage,
 * key usage), none or several halfkey: URIs, or one of another form.
 */
int hk_push_identify(SSL *ssl, struct hk_push_identity *out, struct hk_error *error);

/*
 * Whether the peer of a connection that stands would still be let in under
 * `tls`: its chain against that CA and revocation list. -EACCES and a sentence.
 */
int hk_push_verify_again(SSL_CTX *tls, SSL *ssl, struct hk_error *error);

/* JSON objects hold keys here: from now on jansson's memory is wiped when it is freed. */
void hk_push_wipe_json(void);

/* Reads `size` bytes as one strict JSON object. NULL: refused. */
json_t *hk_push_parse(const char *text, size_t size);

/* --- the client: blocking, with deadlines ----------------------------------------------------- */

struct hk_push_link;

/* `server` is NAME, NAME:PORT or [ADDRESS]:PORT; its certificate must be for that NAME and say
 * halfkey:server. */
int hk_push_connect(
	struct hk_push_link **out, SSL_CTX *tls, const char *server, unsigned role, struct hk_error *error);
void hk_push_close(struct hk_push_link *link);
/* Sends `message` (the reference is taken). 0 or negative errno and a sentence. */
int hk_push_send(struct hk_push_link *link, json_t *message, struct hk_error *error);
/* -ETIME: nothing began within `timeout_ms`. The message is the caller's. */
int hk_push_receive(struct hk_push_link *link, int timeout_ms, json_t **out, struct hk_error *error);

#endif

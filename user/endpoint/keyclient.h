/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's side of a key server: stays connected, hands what is pushed to its
 * callbacks, confirms a key set when the callback has put it in force. For
 * `halfkey-endpoint keys` and the tunnel.
 */
#ifndef HK_ENDPOINT_KEYCLIENT_H
#define HK_ENDPOINT_KEYCLIENT_H

#include "user/endpoint/seal.h"
#include "user/push/push.h"

struct hk_key_client {
	SSL_CTX *tls;
	const char *server, *domain;
	bool inbound; /* the SPIs towards us as explicit keys as well */
	void *context;
	/* Texts are key file lines, wiped after the call. Negative: the session ends. */
	int (*keys)(void *context, const char *lines, struct hk_error *error);
	int (*spi)(void *context, const struct hk_address *to, __u32 spi, const char *lines,
		struct hk_error *error);
	int (*arrived)(void *context, const char *lines, struct hk_error *error); /* `inbound` */
	/* A receiver that an SPI is wanted for; false: none. Asked several times a second. */
	bool (*want)(void *context, struct hk_address *to);
	bool (*over)(void *context);	/* time to stop? */
	void (*started)(void *context); /* a new session: wants must be asked again */
};

/* One session: until over() (0) or until the connection is lost (negative, and a sentence). */
int hk_key_session(const struct hk_key_client *client, struct hk_error *error);

#endif

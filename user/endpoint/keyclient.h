/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's side of a key server, on top of a session (user/push/session.h): SPIs
 * asked for and handed to callbacks. For `halfkey-endpoint keys` and the tunnel.
 */
#ifndef HK_ENDPOINT_KEYCLIENT_H
#define HK_ENDPOINT_KEYCLIENT_H

#include "user/endpoint/seal.h"
#include "user/push/session.h"

/* An SPI to send to a receiver with; or, in envelopes that have them, a context. */
struct hk_key_spi {
	struct hk_address to;
	__u32 spi, generation;
	__u64 context; /* ContextID; 0: none */
};

struct hk_key_client {
	struct hk_push_target target;
	SSL_CTX *tls;
	bool inbound; /* the SPIs towards us as explicit keys as well */
	void *context;
	/* Texts are key file lines, wiped after the call. Negative: the session ends. */
	int (*keys)(void *context, const char *lines, struct hk_error *error);
	int (*spi)(void *context, const struct hk_key_spi *spi, const char *lines, struct hk_error *error);
	int (*arrived)(void *context, const char *lines, struct hk_error *error); /* `inbound` */
	/*
	 * A receiver that an SPI is wanted for; false: none. Asked several times a second. `have`: the
	 * generation of the SPI there is, which stays as long as that one is current; 0: a new one.
	 */
	bool (*want)(void *context, struct hk_address *to, __u32 *have);
	bool (*over)(void *context);	/* time to stop? */
	void (*started)(void *context); /* a new session: wants must be asked again; may be NULL */
	void (*lost)(void *context,
		const struct hk_error *error); /* the session, or none came about; may be NULL */
};

/* The session of `client`, which must outlive it. */
struct hk_push_session hk_key_session(struct hk_key_client *client);

#endif

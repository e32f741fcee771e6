/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client's whole conversation with a key server, whoever the client is: the
 * box's `halfkey keys pull`, a host's tunnel, `halfkey-endpoint keys`. Connects,
 * subscribes to one domain, answers pings, confirms a key set when its callback
 * has put it in force, and comes back when the connection is lost.
 */
#ifndef HK_PUSH_SESSION_H
#define HK_PUSH_SESSION_H

#include <stddef.h>

#include "user/push/push.h"

/* Whom to talk to, as whom, about what. */
struct hk_push_target {
	const char *server, *domain;
	struct hk_push_files files;
};

/* The rows of a command line that name a target, alike in every command that takes them; `target` is a
 * struct hk_push_target in `type`. */
#define HK_PUSH_OPTIONS(type, target)                                                                     \
	{"server", 0, "NAME[:PORT]", offsetof(type, target.server), NULL,                                 \
		"the key server; its certificate must be for that name"},                                 \
		{"ca", 0, "FILE", offsetof(type, target.files.ca), NULL,                                  \
			"the CA of all certificates (PEM)"},                                              \
		{"cert", 0, "FILE", offsetof(type, target.files.cert), NULL, "our certificate"},          \
		{"key", 0, "FILE", offsetof(type, target.files.key), NULL, "its private key, mode 0600"}, \
	{                                                                                                 \
		"domain", 0, "NAME", offsetof(type, target.domain), NULL, "the domain at the key server"  \
	}

struct hk_push_session {
	const struct hk_push_target *target;
	SSL_CTX *tls;
	unsigned role; /* enum hk_push_role: our certificate's */
	bool inbound;  /* a host wants the SPIs towards it as well */
	void *context;
	/* All callbacks: 0, or negative errno and a sentence, which ends the session. */
	/* A key set, as key file lines (wiped after the call). 0: it is in force, and confirmed. */
	int (*keys)(void *context, long long serial, const char *lines, struct hk_error *error);
	/* Any other message but pings and refusals; NULL: passed over. */
	int (*other)(void *context, const char *type, const json_t *message, struct hk_error *error);
	/* Several times a second: requests of our own; NULL: none. */
	int (*idle)(void *context, struct hk_push_link *link, struct hk_error *error);
	bool (*over)(void *context);	/* time to stop? */
	void (*started)(void *context); /* a new session: requests must be made again; may be NULL */
	/* It was lost, or none came about; may be NULL. */
	void (*lost)(void *context, const struct hk_error *error);
	/* ours: */
	bool served;	      /* a key set came once */
	struct hk_error said; /* what was wrong last, until a key set comes */
};

/* One session: until over() (0), or until it is lost (negative, and a sentence). */
int hk_push_session(struct hk_push_session *session, struct hk_error *error);
/* Sessions until over(). What is at hand stays in use between them; what is wrong is said once. */
void hk_push_stay(struct hk_push_session *session);

/* A message's text; "" when there is none. */
const char *hk_push_text(const json_t *message, const char *key);

#endif

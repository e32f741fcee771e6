/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network side of the key server, for its own files alone:
 *
 *   keyserver_connection.c  one client's bytes, in and out, and its end
 *   keyserver_run.c         listening, the loop, time and signals
 *   keyserver_reload.c      SIGHUP: certificates, revocations, domains anew
 *   keyserver_report.c      counters and who has confirmed what, as JSON
 *
 * One thread, bounded everything. Whoever has not shown a certificate yet can be
 * put out at any time to make room for another; who has shown one stays.
 */
#ifndef HK_ENDPOINT_KEYSERVER_CONNECTION_H
#define HK_ENDPOINT_KEYSERVER_CONNECTION_H

#include "user/base/log.h"
#include "user/endpoint/keyserver.h"

#define HK_KS_CONNECTIONS_MAX 2048
#define HK_KS_FRESH_MAX	      512 /* of them: not through the handshake yet */
#define HK_KS_SAME_NAME_MAX   16
#define HK_KS_COMPLAINTS      16 /* log lines a second about strangers */

struct hk_ks_connection {
	struct hk_ks_client client; /* first: hk_ks_send() finds us by it */
	char from[64];		    /* numeric address */
	int fd;
	SSL *ssl;
	bool open;	      /* through the handshake, and among the server's clients */
	bool broken;	      /* the TLS connection is of no use any more */
	bool unread;	      /* left too much of what was sent */
	time_t in_by, out_by; /* monotonic seconds: handshake or message whole, something read; 0: none */
	time_t heard, pinged;
	__u8 in[4 + HK_PUSH_REQUEST];
	size_t in_used;
	__u8 *out;
	size_t out_used, out_room;
	struct hk_ks_connection *next, *previous;
};

struct hk_ks_server {
	struct hk_ks *ks;
	const char *path; /* of the configuration */
	SSL_CTX *tls;
	int epoll, listener, signals, timer;
	struct hk_ks_connection *all, *last; /* newest first */
	unsigned count, fresh, most;
	unsigned complaints; /* in this second */
	__s64 reported;
};

/* A line about somebody who has no name yet: so many a second, and how many there were. */
#define hk_ks_about_stranger(server, ...)                      \
	do {                                                   \
		if ((server)->complaints++ < HK_KS_COMPLAINTS) \
			hk_log_warn(__VA_ARGS__);              \
	} while (0)

time_t hk_ks_monotonic(void);

/* Who waits at the listener comes in; may put out others, so no event of theirs may be pending. */
void hk_ks_take_all(struct hk_ks_server *server);
/* Something came, or can be sent. */
void hk_ks_handle(struct hk_ks_server *server, struct hk_ks_connection *connection);
/* Sends what is queued. */
void hk_ks_flush_all(struct hk_ks_server *server);
/* Once a second: pings, and who is overdue goes. */
void hk_ks_sweep(struct hk_ks_server *server);
/* `counter` may be HK_KS_COUNTER_COUNT: none. */
void hk_ks_drop(
	struct hk_ks_server *server, struct hk_ks_connection *connection, unsigned counter, const char *why);

/* Reads the configuration again. Refused: everything stays as it was. */
int hk_ks_reload(struct hk_ks_server *server, struct hk_error *error);

#endif

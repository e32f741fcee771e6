/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tunnel of an end host: a TUN device whose packets leave sealed, and
 * sealed packets that arrive in it. Parts of `halfkey-endpoint tunnel`:
 *
 *   tunnel_config.c   options and YAML into struct hk_tunnel_config
 *   tunnel_plan.c     checks it: struct hk_tunnel, device, receiving side
 *   tunnel_peers.c    peers, their routes, the senders towards them and their state
 *   tunnel_setup.c    device, sockets, dropping privileges
 *   tunnel_reload.c   SIGHUP: other keys and peers while it runs
 *   tunnel_run.c      the packet loop
 *   tunnel_server.c   keys from a key server
 *   tunnel_stats.c    counters for people and as JSON
 */
#ifndef HK_ENDPOINT_TUNNEL_H
#define HK_ENDPOINT_TUNNEL_H

#include <jansson.h>
#include <sys/socket.h>

#include "user/endpoint/keeper.h"
#include "user/endpoint/speaker.h"

#define HK_TUNNEL_PEERS	  256
#define HK_TUNNEL_ROUTES  64 /* per peer */
#define HK_TUNNEL_SPIS	  16 /* per peer */
#define HK_TUNNEL_SOCKETS 16 /* sending sockets: one PSP source port each */
#define HK_TUNNEL_BATCH	  64

/* --- what the user wrote: strings as they came; tunnel_plan.c judges them --------------------- */

struct hk_tunnel_peer_config {
	char *remote;
	char **routes;
	unsigned routes_count;
	struct hk_wishes wishes; /* where this peer differs */
};

struct hk_tunnel_device_config {
	char *name;
	char *mtu; /* NULL: the largest that fits */
	char **addresses;
	unsigned addresses_count;
};

struct hk_tunnel_config {
	const char *path; /* of the file; NULL: options alone */
	char *keys, *state, *local, *envelope, *levels, *stats, *user;
	char *server, *ca, *cert, *key, *domain; /* a key server instead of `keys` */
	bool first_use, prepare;
	bool draft;		 /* read to find `path`: envelopes' options wait until the peers are known */
	struct hk_wishes wishes; /* options of the envelope */
	struct hk_tunnel_device_config device;
	struct hk_tunnel_peer_config *peers;
	unsigned peers_count, peers_listed; /* the first of them are the file's, the rest --peer's */
};

/*
 * `file`: the configuration's, open; -1: it is opened here. 0; 1: --help was asked for and
 * printed; or negative errno and a sentence. Free with hk_tunnel_config_free().
 */
int hk_tunnel_config_read(
	struct hk_tunnel_config **out, int argc, char **argv, int file, struct hk_error *error);
void hk_tunnel_config_free(struct hk_tunnel_config *config);

/* --- the tunnel --------------------------------------------------------------------------------- */

/* Why an outgoing packet was not sealed or sent. */
#define HK_UNSENT(U)                                                                                        \
	U(NO_ROUTE, "no-route", "no peer for its destination")                                              \
	U(INVALID, "invalid", "not a packet that can be sealed")                                            \
	U(TOO_BIG, "too-big", "larger than an envelope or the path carries")                                \
	U(SPI_USED_UP, "spi-used-up", "all SPIs for the peer have used their numbers: new keys are needed") \
	U(KEY_EXPIRED, "key-expired", "the time of its keys is over: new keys are needed")                  \
	U(NO_KEY, "no-key", "the key server has given no key for the peer yet")                             \
	U(STATE, "state", "the nonce state could not be written")                                           \
	U(CIPHER, "cipher", "the crypto library failed")                                                    \
	U(SEND, "send", "the network took no packet")

enum hk_unsent {
#define HK_U(id, name, text) HK_UNSENT_##id,
	HK_UNSENT(HK_U)
#undef HK_U
		HK_UNSENT_COUNT
};

struct hk_tunnel_peer {
	struct hk_address remote;
	struct sockaddr_storage to; /* where sealed packets go */
	socklen_t to_length;
	struct hk_prefix routes[HK_TUNNEL_ROUTES];
	unsigned routes_count;
	struct hk_sender *senders[HK_TUNNEL_SPIS];
	unsigned senders_count, sender_now;
	unsigned why_none; /* when the last of them was given up: enum hk_unsent */
};

struct hk_tunnel_peers {
	struct hk_tunnel_peer *rows;
	unsigned count;
};

struct hk_tunnel_server;

struct hk_tunnel {
	const struct hk_tunnel_config *config;
	int argc; /* to read it again */
	char **argv;
	struct hk_keeper *keeper;
	struct hk_host_keys *keys;
	struct hk_tunnel_server *server; /* NULL: keys from a file */
	struct hk_speech *speech;
	struct hk_receiver *receiver;
	struct hk_address local;
	bool running; /* set-up went through: the nonce state is in use */
	unsigned mtu;
	struct hk_tunnel_peers peers;
	char device[16];
	int tun, inlet, stats_fd, signals;
	int outlets[HK_TUNNEL_SOCKETS];
	unsigned outlets_count;
	__u64 sealed, sealed_bytes, opened_bytes, tun_failed, reloads, reloads_failed;
	__u64 unsent[HK_UNSENT_COUNT];
};

int hk_tunnel_plan(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error);
int hk_tunnel_setup(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error);
int hk_tunnel_run(struct hk_tunnel *tunnel, struct hk_error *error); /* until SIGTERM or SIGINT */
void hk_tunnel_close(struct hk_tunnel *tunnel);
/* SIGHUP: configuration and key file again; what is refused leaves everything as it was, and says why. */
void hk_tunnel_reload(struct hk_tunnel *tunnel);

/* The peers of a configuration, as addresses and routes. */
int hk_tunnel_peers_plan(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	struct hk_tunnel_peers *peers, struct hk_error *error);
/* Their senders: what `keys` and the configuration make of them. Nothing is started. */
int hk_tunnel_peers_senders(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	const struct hk_host_keys *keys, struct hk_tunnel_peers *peers, struct hk_error *error);
/* Opens the state of all senders that `old` has not got (NULL: of all). */
int hk_tunnel_peers_start(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	struct hk_tunnel_peers *peers, struct hk_tunnel_peers *old, struct hk_error *error);
/* The sender of `peers` that is the same as `sender` towards `remote`; NULL: none. */
struct hk_sender **hk_tunnel_peers_find(
	struct hk_tunnel_peers *peers, const struct hk_address *remote, const struct hk_sender *sender);
/* `undo`: state made for senders that never sealed goes again. */
void hk_tunnel_peers_free(struct hk_tunnel_peers *peers, bool undo);
/* How state is opened; `local` is room for the sender's name. */
struct hk_state_place hk_tunnel_place(
	const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, char *local);
/* Reads the key file: the keeper's descriptor, or by its path before there is a keeper. */
int hk_tunnel_keys(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	struct hk_host_keys **out, struct hk_error *error);

/* With a key server: TLS while we may read its files, the thread when rights are dropped. */
int hk_tunnel_server_plan(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error);
int hk_tunnel_server_start(struct hk_tunnel *tunnel, struct hk_error *error);
int hk_tunnel_server_fd(const struct hk_tunnel *tunnel); /* readable: apply; -1: no server */
void hk_tunnel_server_apply(struct hk_tunnel *tunnel);
/* Another SPI for `peer` is needed. */
void hk_tunnel_server_want(struct hk_tunnel *tunnel, const struct hk_tunnel_peer *peer);
void hk_tunnel_server_stop(struct hk_tunnel *tunnel);
json_t *hk_tunnel_server_stats(const struct hk_tunnel *tunnel);

/* Largest inner packet whose outer packet is no larger than `outer`. */
unsigned hk_tunnel_mtu_for(const struct hk_tunnel *tunnel, unsigned outer);
/* The peer whose longest route holds `address`; NULL: none. */
struct hk_tunnel_peer *hk_tunnel_route(struct hk_tunnel *tunnel, const struct hk_address *address);

void hk_tunnel_announce(const struct hk_tunnel *tunnel); /* which SPIs it sends with */
void hk_tunnel_stats_print(const struct hk_tunnel *tunnel);
void hk_tunnel_stats_write(const struct hk_tunnel *tunnel); /* the --stats file, if any */

#endif

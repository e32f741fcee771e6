/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tunnel of an end host: a TUN device whose packets leave sealed, and
 * sealed packets that arrive in it. Parts of `halfkey-endpoint tunnel`:
 *
 *   tunnel_config.c   options and YAML into struct hk_tunnel_config
 *   tunnel_plan.c     checks it: struct hk_tunnel, keys, SPIs, nonce state
 *   tunnel_setup.c    device, sockets, dropping privileges
 *   tunnel_run.c      the packet loop
 *   tunnel_server.c   keys from a key server
 *   tunnel_stats.c    counters for people and as JSON
 */
#ifndef HK_ENDPOINT_TUNNEL_H
#define HK_ENDPOINT_TUNNEL_H

#include <sys/socket.h>

#include "user/endpoint/host.h"
#include "user/endpoint/nonces.h"

#define HK_TUNNEL_PEERS	  256
#define HK_TUNNEL_ROUTES  64 /* per peer */
#define HK_TUNNEL_SPIS	  16 /* per peer */
#define HK_TUNNEL_SOCKETS 16 /* sending sockets: one PSP source port each */
#define HK_TUNNEL_BATCH	  64

/* --- what the user wrote: strings as they came; tunnel_plan.c judges them --------------------- */

struct hk_tunnel_peer_config {
	char *remote;
	char *spi; /* NULL: the explicit keys for this receiver */
	char **routes;
	unsigned routes_count;
};

struct hk_tunnel_device_config {
	char *name;
	char *mtu; /* NULL: the largest that fits */
	char **addresses;
	unsigned addresses_count;
};

struct hk_tunnel_config {
	char *keys, *state, *local, *envelope, *suite, *carrier, *stats, *user;
	char *version;				 /* PSP */
	char *mkid;				 /* ESP */
	char *server, *ca, *cert, *key, *domain; /* a key server instead of `keys` */
	bool first_use;
	struct hk_tunnel_device_config device;
	struct hk_tunnel_peer_config *peers;
	unsigned peers_count;
};

/* 0; 1: --help was asked for and printed; or negative errno and a sentence. Free with
 * hk_tunnel_config_free(). */
int hk_tunnel_config_read(struct hk_tunnel_config **out, int argc, char **argv, struct hk_error *error);
void hk_tunnel_config_free(struct hk_tunnel_config *config);

/* --- the tunnel --------------------------------------------------------------------------------- */

/* Why an outgoing packet was not sealed or sent. */
#define HK_UNSENT(U)                                                                                        \
	U(NO_ROUTE, "no-route", "no peer for its destination")                                              \
	U(INVALID, "invalid", "not a packet that can be sealed")                                            \
	U(TOO_BIG, "too-big", "larger than an envelope or the path carries")                                \
	U(SPI_USED_UP, "spi-used-up", "all SPIs for the peer have used their numbers: new keys are needed") \
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

struct hk_tunnel_spi {
	struct hk_sa *sa;
	struct hk_nonce_state *nonces;
	__u64 sealed;
};

struct hk_tunnel_peer {
	struct hk_address remote;
	struct sockaddr_storage to; /* where sealed packets go */
	socklen_t to_length;
	struct hk_prefix routes[HK_TUNNEL_ROUTES];
	unsigned routes_count;
	struct hk_tunnel_spi spis[HK_TUNNEL_SPIS];
	unsigned spis_count, spi_now;
};

struct hk_tunnel_server;

struct hk_tunnel {
	struct hk_host_keys *keys;
	struct hk_tunnel_server *server; /* NULL: keys from a file */
	struct hk_host *host;
	struct hk_address local;
	__u8 envelope, variant;
	__u16 mkid;
	bool raw;     /* ESP straight over IP */
	bool running; /* set-up went through: the nonce state is in use */
	unsigned mtu;
	struct hk_tunnel_peer *peers;
	unsigned peers_count;
	char device[16];
	int tun, receiver, stats_fd, signals;
	int senders[HK_TUNNEL_SOCKETS];
	unsigned senders_count;
	__u64 sealed, sealed_bytes, opened_bytes, tun_failed;
	__u64 unsent[HK_UNSENT_COUNT];
};

int hk_tunnel_plan(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error);
int hk_tunnel_open_state(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error);
int hk_tunnel_setup(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error);
int hk_tunnel_run(struct hk_tunnel *tunnel, struct hk_error *error); /* until SIGTERM or SIGINT */
void hk_tunnel_close(struct hk_tunnel *tunnel);

/* With a key server: TLS while we may read its files, the thread when rights are dropped. */
int hk_tunnel_server_plan(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error);
int hk_tunnel_server_start(struct hk_tunnel *tunnel, struct hk_error *error);
int hk_tunnel_server_fd(const struct hk_tunnel *tunnel); /* readable: apply; -1: no server */
void hk_tunnel_server_apply(struct hk_tunnel *tunnel);
/* Another SPI for `peer` is needed. */
void hk_tunnel_server_want(struct hk_tunnel *tunnel, const struct hk_tunnel_peer *peer);
void hk_tunnel_server_stop(struct hk_tunnel *tunnel);

/* Largest inner packet whose outer packet is no larger than `outer`. */
unsigned hk_tunnel_mtu_for(const struct hk_tunnel *tunnel, unsigned outer);
/* The peer whose longest route holds `address`; NULL: none. */
struct hk_tunnel_peer *hk_tunnel_route(struct hk_tunnel *tunnel, const struct hk_address *address);

void hk_tunnel_stats_print(const struct hk_tunnel *tunnel);
void hk_tunnel_stats_write(const struct hk_tunnel *tunnel); /* the --stats file, if any */

#endif

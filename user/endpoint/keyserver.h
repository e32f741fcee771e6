/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key server: draws master keys, rotates them, gives SPIs out once, and
 * pushes to each client what its certificate's role may have.
 *
 *   keyserver_config.c      YAML into struct hk_ks_config, every value checked
 *   keyserver_store.c       what must outlive the process (SQLite)
 *   keyserver_rotate.c      generations: next, current, previous, retired
 *   keyserver_spis.c        SPIs: whose they are, each given out once
 *   keyserver_pairs.c       master keys of a sender and a receiver (EESP, WESP)
 *   keyserver_lines.c       the text a role gets: the one place that writes keys out
 *   keyserver_answer.c      requests, by role
 *   keyserver_carry.c       what a reload carries over besides the disk's
 *   keyserver_connection.h  TLS and messages, many clients in one thread (four files)
 *   keyserver_command.c     the command line
 *
 * A receiver is a host of a domain. Its master keys never leave the server but
 * to itself (both sides), to the boxes (encryption side) and to readers (MK_r);
 * a sender gets derived keys of SPIs of its own. In EESP and WESP a receiver's keys
 * are the root of those of pairs, and leave the server for nobody.
 */
#ifndef HK_ENDPOINT_KEYSERVER_H
#define HK_ENDPOINT_KEYSERVER_H

#include "user/endpoint/seal.h"
#include "user/push/push.h"

#define HK_KS_DOMAINS	  64
#define HK_KS_HOSTS	  1000 /* per domain */
#define HK_KS_PAIR_HOSTS  40   /* per domain of EESP or WESP: a box's keys fit a message */
#define HK_KS_NAMES	  64   /* boxes, readers per domain */
#define HK_KS_NUMBER_BITS 10   /* of a host's number, in SPIs and MKIDs */
#define HK_KS_GENERATIONS 3    /* of one receiver with keys: previous, current, next */
#define HK_KS_PATIENCE_S  5    /* how long a new generation waits for a client that does not confirm it */

#define HK_KS_SETTLE_S \
	8 /* after a start nothing goes, and nothing new comes into force: clients come back first */
#define HK_KS_UNLIMITED -1 /* delegation: keys of boxes and readers have no end of their own */

/* --- configuration ---------------------------------------------------------------------------- */

struct hk_ks_host {
	char *name, *address;
	struct hk_address receiver; /* parsed */
};

struct hk_ks_domain {
	char *name, *envelope_name, *profile_name, *version_name, *suite_name, *mkid_text;
	char *lifetime_text, *ahead_text, *grace_text, *delegation_text;
	struct hk_ks_host *hosts;
	unsigned hosts_count;
	char **boxes, **readers;
	unsigned boxes_count, readers_count;
	/* parsed */
	__u8 envelope, variant, profile;
	__u16 mkid;
	__s64 lifetime, ahead, grace; /* seconds */
	__s64 delegation; /* seconds behind a key's planned end that boxes and readers may still use it */
};

/* Has each sender master keys of its own for each receiver (keyserver_pairs.c)? Else SPIs. */
static inline bool hk_ks_has_pairs(const struct hk_ks_domain *domain)
{
	return domain->envelope == HK_ENVELOPE_EESP || domain->envelope == HK_ENVELOPE_WESP;
}

struct hk_ks_config {
	char *listen, *state, *ca, *cert, *key, *crl, *stats;
	struct hk_ks_domain *domains;
	unsigned domains_count;
};

int hk_ks_config_read(struct hk_ks_config **out, const char *path, struct hk_error *error);
void hk_ks_config_free(struct hk_ks_config *config);

/* --- state -------------------------------------------------------------------------------------- */

enum hk_ks_state { HK_KS_NEXT, HK_KS_CURRENT, HK_KS_PREVIOUS, HK_KS_RETIRED };

/* One generation of one receiver's master keys. Times in seconds since 1970. */
struct hk_ks_generation {
	__u32 generation; /* 0: no such row */
	__u8 slot;
	__u8 state; /* enum hk_ks_state */
	__s64 created, activates, ends;
	__u64 serial; /* clients that confirmed this serial have it; this run only */
	__u8 enc[32], auth[32], reader[32];
};

/* Generations of one receiver that have keys. */
struct hk_ks_receiver {
	struct hk_ks_generation rows[HK_KS_GENERATIONS];
	__u32 newest;	 /* highest generation number ever */
	__u32 number;	 /* of its address among the domain's senders: in every SPI it sends with */
	bool order;	 /* rotate as soon as the slot is free */
	unsigned tokens; /* SPIs this host may ask for at once, as a sender */
};

struct hk_ks_store;

/* Opens or creates `directory`/keyserver.db; refused where others could read or write, or a server runs. */
int hk_ks_store_open(struct hk_ks_store **out, const char *directory, bool server, struct hk_error *error);
void hk_ks_store_close(struct hk_ks_store *store);
/*
 * What a domain's keys are for, remembered when the first one is drawn. Refused when
 * it differs: a master key belongs to one envelope, profile and suite for life.
 */
#define HK_KS_KIND 64
int hk_ks_store_kind(struct hk_ks_store *store, const char *domain, const char *kind, struct hk_error *error);
/* Generations with keys, and `newest`. */
int hk_ks_store_load(struct hk_ks_store *store, const char *domain, const char *host,
	struct hk_ks_receiver *out, struct hk_error *error);
int hk_ks_store_add(struct hk_ks_store *store, const char *domain, const char *host,
	const struct hk_ks_generation *row, struct hk_error *error);
/* `from` becomes previous until `ends`, `to` current: one transaction. `from` may be 0. */
int hk_ks_store_activate(struct hk_ks_store *store, const char *domain, const char *host, __u32 from,
	__u32 to, __s64 now, __s64 ends, struct hk_error *error);
/* Forgets the keys; the number stays used. */
int hk_ks_store_retire(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	struct hk_error *error);
/*
 * A serial is an SPI without its slot, or a ContextID: the sender's number above the second it was
 * given out in.
 */
#define HK_KS_SERIAL_SHIFT 40
/* Gives `serial` of this generation to `sender`; on disk before this returns. -EAGAIN: it was given before.
 */
int hk_ks_store_allocate(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	const char *sender, __u64 serial, struct hk_error *error);
/* What was given out: calls `row` for each of a generation. */
int hk_ks_store_allocations(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	void (*row)(void *context, __u64 serial, const char *sender), void *context, struct hk_error *error);
int hk_ks_store_count(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	__u64 *count, struct hk_error *error);
/*
 * The number of `address` (of pairs, "address name") among the senders of `domain`, from 1 to
 * `most`: it keeps it for life. Where all are taken one goes to another address that `member` denies and no
 * SPI has.
 */
int hk_ks_store_number(struct hk_ks_store *store, const char *domain, const char *address, __u32 most,
	bool (*member)(const void *context, const char *address), const void *context, __u32 *number,
	struct hk_error *error);
/* Orders of the operator's other process: put one, take all. */
int hk_ks_store_order(
	struct hk_ks_store *store, const char *domain, const char *host, struct hk_error *error);
int hk_ks_store_orders(struct hk_ks_store *store,
	void (*row)(void *context, const char *domain, const char *host), void *context,
	struct hk_error *error);

/* --- the server --------------------------------------------------------------------------------- */

#define HK_KS_COUNTERS(C)                                                                        \
	C(CONNECTIONS, "connections", "TCP connections taken")                                   \
	C(CLIENTS, "clients", "clients that proved who they are")                                \
	C(NO_TLS, "handshake-failed", "TLS handshakes that failed")                              \
	C(BAD_CERTIFICATE, "certificate-refused", "certificates refused")                        \
	C(FULL, "full", "connections refused: too many")                                         \
	C(TIMEOUT, "timeout", "connections closed: too slow or silent")                          \
	C(EXPIRED, "expired", "connections closed: the certificate has expired")                 \
	C(REVOKED, "revoked", "connections closed at a reload: no longer welcome")               \
	C(MALFORMED, "malformed", "connections closed: not a message")                           \
	C(REFUSED, "refused", "requests refused")                                                \
	C(REFUSED_AUTH, "refused-auth", "of them: for an authentication key by a box or reader") \
	C(SPIS, "spis", "SPIs given out")                                                        \
	C(PUSHES, "pushes", "key sets pushed")                                                   \
	C(ROTATIONS, "rotations", "generations activated")                                       \
	C(STATE, "state-failed", "the state could not be written or read")

enum hk_ks_counter {
#define HK_C(id, name, text) HK_KS_##id,
	HK_KS_COUNTERS(HK_C)
#undef HK_C
		HK_KS_COUNTER_COUNT
};

#define HK_KS_WANTS 256 /* receivers that one client sends to */

struct hk_ks_want {
	unsigned receiver; /* index of the host */
	__u32 generation;  /* the one it has an SPI of; 0: none yet */
	__s64 since;	   /* waiting since; 0: served */
};

/* A client as the answers see it; keyserver_connection.c has the rest. */
struct hk_ks_client {
	struct hk_push_identity who;
	const struct hk_ks_domain *domain; /* NULL: not subscribed */
	unsigned domain_index, host_index; /* host_index: role host */
	bool inbound;			   /* wants the SPIs towards it as explicit keys */
	__u64 sent, acked;		   /* serials */
	__s64 sent_at;
	unsigned refusals;
	struct hk_ks_want wants[HK_KS_WANTS];
	unsigned wants_count;
	struct hk_ks_client *next;
};

struct hk_ks_domain_state {
	__u64 serial; /* of the key set in force */
	struct hk_ks_receiver *receivers;
};

struct hk_ks {
	const struct hk_ks_config *config;
	struct hk_ks_store *store;
	struct hk_crypto *crypto;
	struct hk_ks_domain_state domains[HK_KS_DOMAINS];
	struct hk_ks_client *clients;
	__u64 counters[HK_KS_COUNTER_COUNT];
	__s64 now; /* seconds since 1970; never goes back: hk_ks_clock() */
	__s64 monotonic, started, complained;
	bool clock_behind;
};

int hk_ks_start(struct hk_ks *ks, struct hk_error *error);
void hk_ks_stop(struct hk_ks *ks);
/* What time it is, before anything that asks. */
void hk_ks_clock(struct hk_ks *ks, __s64 wall, __s64 monotonic);
/* The state cannot be read or written: counted, and said now and then. */
void hk_ks_complain(struct hk_ks *ks, const struct hk_error *error);
/* Once a second: orders, new generations, activation, retirement; then everything that became due. */
int hk_ks_tick(struct hk_ks *ks, struct hk_error *error);
struct hk_ks_generation *hk_ks_current(struct hk_ks *ks, unsigned domain, unsigned host);
/* Have all clients that must read `generation` of this receiver confirmed it? */
bool hk_ks_confirmed(
	const struct hk_ks *ks, unsigned domain, unsigned host, const struct hk_ks_generation *row);
/* `when`, or when clients have had the time to come back after a start. */
__s64 hk_ks_not_before_settled(const struct hk_ks *ks, __s64 when);
/* Does `row` wait for this client's confirmation? */
bool hk_ks_waits_for(const struct hk_ks *ks, const struct hk_ks_client *client, unsigned domain,
	unsigned host, const struct hk_ks_generation *row);
const char *hk_ks_state_name(unsigned state);
/*
 * A new SPI of the receiver's current generation for another host, `sender`. 0, -EAGAIN: later. Of a
 * pair the SPI says nothing, and `context` is the new one; else 0. It may be NULL.
 */
int hk_ks_allocate(struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender, __u32 *spi,
	__u64 *context, struct hk_error *error);

/* The host's number among the domain's senders, from the state. */
int hk_ks_number_host(struct hk_ks *ks, unsigned domain, unsigned host, struct hk_error *error);
/* The bits of an SPI that say whose it is, alike in all slots, and what they are for a sender's number. */
__u32 hk_ks_sender_mask(const struct hk_ks_domain *domain);
__u32 hk_ks_sender_spis(const struct hk_ks_domain *domain, __u32 number);
/* How old a generation may become: then its SPIs would come round. */
__s64 hk_ks_spis_last(const struct hk_ks_domain *domain);

/* The number of a pair's keys in packets. */
__u32 hk_ks_pair_id(const struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender);
struct hk_ks_sides {
	__u8 enc[32], auth[32], reader[32];
};
/* What `sender` seals with for `host` under this generation of the latter. Wipe. */
void hk_ks_pair_keys(struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender,
	const struct hk_ks_generation *row, struct hk_ks_sides *out);

/* The key set that `client`'s role may have, as key file lines. Wipe and free. NULL: no memory. */
char *hk_ks_lines(struct hk_ks *ks, const struct hk_ks_client *client, size_t *size);
/* Both sides of one SPI, for its sender or its receiver alone. Wipe and free. */
char *hk_ks_spi_lines(
	struct hk_ks *ks, unsigned domain, unsigned host, const struct hk_ks_generation *row, __u32 spi);
/* The keys of a pair for its sender, who may seal in this context alone. Wipe and free. */
char *hk_ks_pair_lines(struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender,
	const struct hk_ks_generation *row, __u64 context);
/* All SPIs in use towards `host`, both sides. Wipe and free. */
char *hk_ks_inbound_lines(struct hk_ks *ks, unsigned domain, unsigned host);
__u32 hk_ks_spi(const struct hk_ks_domain *domain, unsigned slot, __u64 serial);

/* Is the client of this domain? Fills in which host it is. */
bool hk_ks_belongs(struct hk_ks_client *client, const struct hk_ks_domain *domain);
/* One request of a client. False: close the connection. */
bool hk_ks_answer(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request);
/* Sends what became due to everyone: key sets that changed, SPIs that were waited for. */
void hk_ks_serve(struct hk_ks *ks);
/* Queues a message (takes it). In keyserver_connection.c; tests have their own. */
void hk_ks_send(struct hk_ks_client *client, json_t *message);

/* A reload: from `now` to `next`, which has another configuration and what is on disk. */
void hk_ks_carry(const struct hk_ks *now, struct hk_ks *next);
/* False: its domain is gone, or it is no member of it any more. */
bool hk_ks_move_client(struct hk_ks_client *client, const struct hk_ks_config *next);

/* Counters to the log, and all of it to the `stats` file. */
void hk_ks_report(const struct hk_ks *ks, bool log);
/* Until SIGTERM. A reload replaces `tls` and ks->config; both are the caller's in the end. */
int hk_ks_run(struct hk_ks *ks, const char *path, SSL_CTX **tls, struct hk_error *error);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tunnel that gets its keys from a key server. A thread talks to the server;
 * what it brings waits in a mailbox of one letter until the packet loop has put
 * it in force, and only then is it confirmed. Every SPI or context that comes is
 * fresh: it was never given to anyone, so no state of it is kept on disk.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/keyclient.h"
#include "user/endpoint/tunnel.h"

struct hk_tunnel_server {
	struct hk_tunnel *tunnel;
	struct hk_key_client client;
	pthread_t thread;
	bool started;
	atomic_bool over;
	atomic_bool wanted[HK_TUNNEL_PEERS];  /* a fresh SPI */
	atomic_bool resumed[HK_TUNNEL_PEERS]; /* a new session: is ours still the one to use? */
	__u32 generations[HK_TUNNEL_PEERS];   /* of the SPI in use; the thread's */
	unsigned peers_count;
	int event;	/* the loop polls it */
	__u64 key_sets; /* the loop's */
	/* the mailbox */
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool full;
	bool is_spi;
	struct hk_key_spi spi;
	const char *lines; /* the thread's; it waits as long as we read */
	int status;
	struct hk_error error;
	/* under the lock as well: for statistics */
	bool connected;
	struct hk_error lost; /* why not */
};

/* --- the packet loop's side -------------------------------------------------------------------- */

static int apply_keys(struct hk_tunnel *tunnel, const char *lines, struct hk_error *error)
{
	struct hk_host_keys *keys = NULL, *old = tunnel->keys;
	int status = hk_host_keys_parse(&keys, "key server", lines, NULL, error);

	if (status)
		return status;
	tunnel->keys = keys;
	hk_receiver_rekey(tunnel->receiver, keys);
	hk_host_keys_free(old);
	tunnel->server->key_sets++;
	hk_log_info("%s: keys to receive with came from the key server", tunnel->device);
	return 0;
}

static struct hk_tunnel_peer *find_peer(struct hk_tunnel *tunnel, const struct hk_address *remote)
{
	unsigned i;

	for (i = 0; i < tunnel->peers.count; i++)
		if (memcmp(&tunnel->peers.rows[i].remote, remote, sizeof(*remote)) == 0)
			return &tunnel->peers.rows[i];
	return NULL;
}

static void drop_senders(struct hk_tunnel_peer *peer)
{
	unsigned i;

	for (i = 0; i < peer->senders_count; i++)
		hk_sender_free(peer->senders[i], false);
	memset(peer->senders, 0, sizeof(peer->senders));
	peer->senders_count = peer->sender_now = 0;
}

static int make_sender(struct hk_tunnel *tunnel, const struct hk_tunnel_server *server,
	const struct hk_wishes *wishes, struct hk_sender **out, struct hk_error *error)
{
	struct hk_sending sending = {.source = "key server",
		.to = &server->spi.to,
		.wishes = wishes,
		.spi = server->spi.spi,
		.context = server->spi.context};
	struct hk_state_place place = hk_tunnel_place(tunnel, tunnel->config, (char[HK_ADDRESS_TEXT]){0});
	struct hk_host_keys *keys = NULL;
	int status = hk_host_keys_parse(&keys, "key server", server->lines, NULL, error);

	sending.keys = keys;
	place.fresh = true;
	if (!status)
		status = hk_sender_new(out, tunnel->speech, &sending, error);
	if (!status)
		status = hk_sender_start(*out, &place, error);
	if (status && *out) {
		hk_sender_free(*out, false);
		*out = NULL;
	}
	hk_host_keys_free(keys);
	return status;
}

static int apply_spi(struct hk_tunnel *tunnel, const struct hk_tunnel_server *server, struct hk_error *error)
{
	struct hk_tunnel_peer *peer = find_peer(tunnel, &server->spi.to);
	struct hk_sender *fresh = NULL;
	char remote[HK_ADDRESS_TEXT];
	int status;

	if (!peer)
		return 0;
	if ((server->spi.context != 0) != (tunnel->speech->speaker->served == HK_SERVED_CONTEXTS))
		return hk_error_set(error, EINVAL,
			"the key server's domain '%s' is of another envelope than this tunnel: name its own "
			"with -e",
			server->client.target.domain);
	status = make_sender(
		tunnel, server, &tunnel->config->peers[peer - tunnel->peers.rows].wishes, &fresh, error);
	if (status)
		return status;
	drop_senders(peer);
	peer->senders[0] = fresh;
	peer->senders_count = 1;
	hk_address_format(&peer->remote, remote);
	if (server->spi.context)
		hk_log_info("%s: to %s with SPI 0x%08x, context 0x%016llx", tunnel->device, remote,
			server->spi.spi, (unsigned long long)server->spi.context);
	else
		hk_log_info("%s: to %s with SPI 0x%08x", tunnel->device, remote, server->spi.spi);
	return 0;
}

int hk_tunnel_server_fd(const struct hk_tunnel *tunnel)
{
	return tunnel->server ? tunnel->server->event : -1;
}

void hk_tunnel_server_apply(struct hk_tunnel *tunnel)
{
	struct hk_tunnel_server *server = tunnel->server;
	__u64 count;

	if (read(server->event, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&server->lock);
	if (server->full) {
		memset(&server->error, 0, sizeof(server->error));
		server->status = server->is_spi ? apply_spi(tunnel, server, &server->error)
						: apply_keys(tunnel, server->lines, &server->error);
		server->full = false;
		pthread_cond_signal(&server->done);
	}
	pthread_mutex_unlock(&server->lock);
}

void hk_tunnel_server_want(struct hk_tunnel *tunnel, const struct hk_tunnel_peer *peer)
{
	if (tunnel->server)
		atomic_store(&tunnel->server->wanted[peer - tunnel->peers.rows], true);
}

json_t *hk_tunnel_server_stats(const struct hk_tunnel *tunnel)
{
	struct hk_tunnel_server *server = tunnel->server;
	unsigned without = 0, i;
	json_t *out;

	for (i = 0; i < tunnel->peers.count; i++)
		without += !tunnel->peers.rows[i].senders_count;
	pthread_mutex_lock(&server->lock);
	out = json_pack("{s:s, s:b, s:s, s:I, s:i}", "name", server->client.target.server, "connected",
		server->connected, "error", server->lost.text, "key-sets", (json_int_t)server->key_sets,
		"peers-without-key", (int)without);
	pthread_mutex_unlock(&server->lock);
	return out;
}

/* --- the thread's side ------------------------------------------------------------------------- */

/* Leaves a letter and waits until the loop has dealt with it. */
static int deliver(struct hk_tunnel_server *server, const struct hk_key_spi *spi, const char *lines,
	struct hk_error *error)
{
	const __u64 one = 1;
	int status;

	pthread_mutex_lock(&server->lock);
	server->is_spi = spi != NULL;
	if (spi)
		server->spi = *spi;
	server->lines = lines;
	server->full = true;
	if (write(server->event, &one, sizeof(one)) < 0)
		hk_log_error("eventfd: %s", strerror(errno));
	while (server->full && !atomic_load(&server->over))
		pthread_cond_wait(&server->done, &server->lock);
	status = server->full ? -ECANCELED : server->status;
	if (status && error && !server->full)
		*error = server->error;
	server->full = false;
	server->lines = NULL;
	pthread_mutex_unlock(&server->lock);
	return status;
}

static int keys_came(void *context, const char *lines, struct hk_error *error)
{
	return deliver(context, NULL, lines, error);
}

static int spi_came(void *context, const struct hk_key_spi *spi, const char *lines, struct hk_error *error)
{
	struct hk_tunnel_server *server = context;
	const struct hk_tunnel_peer *peer = find_peer(server->tunnel, &spi->to);
	int status = deliver(server, spi, lines, error);

	if (!status && peer)
		server->generations[peer - server->tunnel->peers.rows] = spi->generation;
	return status;
}

/* Only what never changes while the tunnel runs is read here: the peers' addresses. */
static bool want(void *context, struct hk_address *to, __u32 *have)
{
	struct hk_tunnel_server *server = context;
	bool fresh, resumed;
	unsigned i;

	for (i = 0; i < server->peers_count; i++) {
		fresh = atomic_exchange(&server->wanted[i], false);
		resumed = atomic_exchange(&server->resumed[i], false);
		if (!fresh && !resumed)
			continue;
		*to = server->tunnel->peers.rows[i].remote;
		*have = fresh ? 0 : server->generations[i];
		return true;
	}
	return false;
}

static bool over(void *context)
{
	return atomic_load(&((struct hk_tunnel_server *)context)->over);
}

static void tell(struct hk_tunnel_server *server, const struct hk_error *lost)
{
	const __u64 one = 1;

	pthread_mutex_lock(&server->lock);
	server->connected = !lost;
	server->lost = lost ? *lost : (struct hk_error){{0}};
	pthread_mutex_unlock(&server->lock);
	if (write(server->event, &one, sizeof(one)) < 0) /* the statistics have changed */
		hk_log_error("eventfd: %s", strerror(errno));
}

static void lost(void *context, const struct hk_error *error)
{
	tell(context, error);
}

/* The server pushes new generations within a session; a new session says what we have. */
static void started(void *context)
{
	struct hk_tunnel_server *server = context;
	unsigned i;

	tell(server, NULL);
	for (i = 0; i < server->peers_count; i++)
		atomic_store(&server->resumed[i], true);
}

static void *talk(void *context)
{
	struct hk_tunnel_server *server = context;
	struct hk_push_session session = hk_key_session(&server->client);

	hk_push_stay(&session);
	return NULL;
}

/* --- set-up ------------------------------------------------------------------------------------- */

/* What names keys is the server's to say. */
static int check_peer(const struct hk_tunnel_peer_config *peer, struct hk_error *error)
{
	static const char *const names[] = {"spi", "context", "mkid", "slot"};
	unsigned i;

	if (hk_wish_flag(&peer->wishes, "sub-sa"))
		return hk_error_set(error, EINVAL,
			"peer '%s': sub-sa: a key server gives derived-key contexts, not roots of sub-SAs",
			peer->remote);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (hk_wish(&peer->wishes, names[i]))
			return hk_error_set(error, EINVAL,
				"peer '%s': its keys come from the key server: leave %s out", peer->remote,
				names[i]);
	return 0;
}

static int check_config(
	const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	const struct hk_speaker *speaker = tunnel->speech->speaker;
	unsigned i;

	if (config->keys)
		return hk_error_set(
			error, EINVAL, "keys and server: keys come from a file or a server, not from both");
	if (speaker->served == HK_SERVED_NOTHING)
		return hk_error_set(error, ENOTSUP,
			"envelope '%s': no key server gives its keys: take them from a file",
			hk_envelope_name(speaker->envelope));
	for (i = 0; i < config->peers_count; i++)
		if (check_peer(&config->peers[i], error))
			return -EINVAL;
	return config->domain ? 0 : hk_error_set(error, EINVAL, "server: needs a domain as well");
}

int hk_tunnel_server_plan(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	struct hk_tunnel_server *server;
	int status = check_config(tunnel, config, error);

	if (status)
		return status;
	server = calloc(1, sizeof(*server));
	if (!server)
		return hk_error_set(error, ENOMEM, "no memory for the key server's thread");
	tunnel->server = server;
	server->tunnel = tunnel;
	server->peers_count = tunnel->peers.count;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->done, NULL);
	server->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->client = (struct hk_key_client){
		.target = {config->server, config->domain, {config->ca, config->cert, config->key, NULL}},
		.context = server,
		.keys = keys_came,
		.spi = spi_came,
		.want = want,
		.over = over,
		.started = started,
		.lost = lost,
	};
	hk_push_wipe_json();
	server->client.tls = hk_push_tls(&server->client.target.files, false, error);
	if (!server->client.tls)
		return -EINVAL;
	return server->event < 0 ? hk_error_set(error, ENOMEM, "no descriptor for a key server") : 0;
}

int hk_tunnel_server_start(struct hk_tunnel *tunnel, struct hk_error *error)
{
	int code = pthread_create(&tunnel->server->thread, NULL, talk, tunnel->server);

	tunnel->server->started = code == 0;
	return code ? hk_error_set(error, code, "no thread for the key server: %s", strerror(code)) : 0;
}

void hk_tunnel_server_stop(struct hk_tunnel *tunnel)
{
	struct hk_tunnel_server *server = tunnel->server;

	if (!server)
		return;
	pthread_mutex_lock(&server->lock);
	atomic_store(&server->over, true);
	pthread_cond_signal(&server->done);
	pthread_mutex_unlock(&server->lock);
	if (server->started)
		pthread_join(server->thread, NULL);
	SSL_CTX_free(server->client.tls);
	if (server->event >= 0)
		close(server->event);
	free(server);
	tunnel->server = NULL;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tunnel's peers: their addresses and routes, the senders towards them, and
 * the state of those senders' numbers. Reload makes a second set of all this
 * beside the one in use, so nothing here touches what is in force.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/tunnel.h"

static void plan_target(const struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer)
{
	in_port_t port = tunnel->speech->protocol == IPPROTO_UDP ? tunnel->speech->port : 0;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&peer->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&peer->to;

	if (hk_address_is_v4(&peer->remote)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, peer->remote.bytes + 12, 4);
		peer->to_length = sizeof(*v4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, peer->remote.bytes, 16);
		peer->to_length = sizeof(*v6);
	}
}

static int plan_routes(
	struct hk_tunnel_peer *peer, const struct hk_tunnel_peer_config *config, struct hk_error *error)
{
	unsigned i;

	if (config->routes_count > HK_TUNNEL_ROUTES)
		return hk_error_set(error, EINVAL, "peer '%s': %u routes; at most %u are possible",
			config->remote, config->routes_count, HK_TUNNEL_ROUTES);
	for (i = 0; i < config->routes_count; i++)
		if (hk_prefix_parse(config->routes[i], &peer->routes[i]))
			return hk_error_set(error, EINVAL,
				"peer '%s': route '%s' must be an address or a prefix without bits behind "
				"its length",
				config->remote, config->routes[i]);
	peer->routes_count = config->routes_count;
	if (!peer->routes_count) { /* everything, both IP versions */
		peer->routes[0] = (struct hk_prefix){.length = 0};
		peer->routes[1] =
			(struct hk_prefix){.address = hk_address_v4((const __u8[4]){0}), .length = 96};
		peer->routes_count = 2;
	}
	return 0;
}

static int plan_peer(const struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer,
	const struct hk_tunnel_peer_config *config, struct hk_error *error)
{
	if (hk_address_parse(config->remote, &peer->remote))
		return hk_error_set(
			error, EINVAL, "peer '%s': must be an IPv4 or IPv6 address", config->remote);
	if (hk_address_is_v4(&peer->remote) != hk_address_is_v4(&tunnel->local))
		return hk_error_set(error, EINVAL,
			"peer '%s': not of the same IP version as the local address", config->remote);
	if (memcmp(&peer->remote, &tunnel->local, sizeof(peer->remote)) == 0)
		return hk_error_set(error, EINVAL, "peer '%s': is the local address", config->remote);
	plan_target(tunnel, peer);
	return plan_routes(peer, config, error);
}

static int plan_all(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	struct hk_tunnel_peers *peers, struct hk_error *error)
{
	unsigned i, j;

	for (i = 0; i < config->peers_count; i++) {
		if (plan_peer(tunnel, &peers->rows[i], &config->peers[i], error))
			return -EINVAL;
		for (j = 0; j < i; j++)
			if (memcmp(&peers->rows[i].remote, &peers->rows[j].remote,
				    sizeof(struct hk_address)) == 0)
				return hk_error_set(
					error, EINVAL, "peer '%s' stands twice", config->peers[i].remote);
	}
	return 0;
}

int hk_tunnel_peers_plan(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	struct hk_tunnel_peers *peers, struct hk_error *error)
{
	if (!config->peers_count || config->peers_count > HK_TUNNEL_PEERS)
		return hk_error_set(error, EINVAL,
			"%u peers: name 1 to %u with --peer or in the configuration", config->peers_count,
			HK_TUNNEL_PEERS);
	peers->rows = calloc(config->peers_count, sizeof(*peers->rows));
	if (!peers->rows)
		return hk_error_set(error, ENOMEM, "no memory for %u peers", config->peers_count);
	peers->count = config->peers_count;
	return plan_all(tunnel, config, peers, error);
}

/* --- senders -------------------------------------------------------------------------------------- */

/* The SPIs to send with: the peer's own, or those the keys have. */
static int choose_spis(const struct hk_tunnel *tunnel, const struct hk_sending *sending, __u32 *spis,
	unsigned *count, struct hk_error *error)
{
	char remote[HK_ADDRESS_TEXT];
	__u64 spi;

	if (hk_wish(sending->wishes, "spi")) {
		*count = 1;
		if (hk_wish_number(sending->wishes, "spi", 0, 0xffffffff, &spi, error))
			return -EINVAL;
		spis[0] = (__u32)spi;
		return 0;
	}
	*count = hk_sender_spis(tunnel->speech, sending, spis, HK_TUNNEL_SPIS);
	return *count ? 0
		      : hk_error_set(error, ENOKEY,
				"%s: no explicit key to send to %s: with its master keys in the file, give "
				"this sender an SPI of its own (spi)",
				sending->source, hk_address_format(sending->to, remote));
}

static int make_senders(const struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer,
	struct hk_sending *sending, struct hk_error *error)
{
	__u32 spis[HK_TUNNEL_SPIS];
	unsigned count = 0, i;
	int status = choose_spis(tunnel, sending, spis, &count, error);

	for (i = 0; i < count && !status; i++) {
		sending->spi = spis[i];
		status = hk_sender_new(&peer->senders[i], tunnel->speech, sending, error);
		peer->senders_count += status == 0;
	}
	return status;
}

int hk_tunnel_peers_senders(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	const struct hk_host_keys *keys, struct hk_tunnel_peers *peers, struct hk_error *error)
{
	unsigned i;
	int status = 0;

	for (i = 0; i < peers->count && !status; i++) {
		struct hk_sending sending = {
			.keys = keys,
			.source = config->keys,
			.to = &peers->rows[i].remote,
			.wishes = &config->peers[i].wishes,
		};

		status = make_senders(tunnel, &peers->rows[i], &sending, error);
	}
	return status;
}

struct hk_sender **hk_tunnel_peers_find(
	struct hk_tunnel_peers *peers, const struct hk_address *remote, const struct hk_sender *sender)
{
	unsigned i, j;

	for (i = 0; i < peers->count; i++) {
		if (memcmp(&peers->rows[i].remote, remote, sizeof(*remote)) != 0)
			continue;
		for (j = 0; j < peers->rows[i].senders_count; j++)
			if (hk_sender_same(peers->rows[i].senders[j], sender))
				return &peers->rows[i].senders[j];
	}
	return NULL;
}

struct hk_state_place hk_tunnel_place(
	const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, char *local)
{
	return (struct hk_state_place){
		.directory = config->state ? config->state : HK_STATE_DIRECTORY,
		.sender = hk_address_format(&tunnel->local, local),
		.first_use = config->first_use,
		.windows = !config->prepare,
		.prepare = config->prepare,
		.opener = tunnel->running ? hk_keeper_state : NULL,
		.later = hk_keeper_state,
		.context = tunnel->keeper,
	};
}

/* With --first-use only what has no state yet gets one: `created` counts. */
static int start_sender(struct hk_sender *sender, struct hk_state_place place, bool prepare,
	unsigned *created, struct hk_error *error)
{
	struct hk_error first = {{0}};
	int status;

	if (place.first_use) {
		status = hk_sender_start(sender, &place, &first);
		*created += status == 0;
		if (status != -EEXIST)
			return status ? hk_error_set(error, -status, "%s", first.text) : 0;
		place.first_use = false;
	}
	return prepare ? 0 : hk_sender_start(sender, &place, error);
}

int hk_tunnel_peers_start(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	struct hk_tunnel_peers *peers, struct hk_tunnel_peers *old, struct hk_error *error)
{
	char local[HK_ADDRESS_TEXT];
	struct hk_state_place place = hk_tunnel_place(tunnel, config, local);
	unsigned created = 0, i, j;
	int status = 0;

	for (i = 0; i < peers->count; i++) {
		struct hk_tunnel_peer *peer = &peers->rows[i];

		for (j = 0; j < peer->senders_count && !status; j++)
			if (!old || !hk_tunnel_peers_find(old, &peer->remote, peer->senders[j]))
				status = start_sender(
					peer->senders[j], place, config->prepare, &created, error);
	}
	if (!status && config->first_use && !created)
		return hk_error_set(error, EEXIST,
			"--first-use: all SPIs have nonce state already, so this is no first use: start "
			"without it");
	return status;
}

void hk_tunnel_peers_free(struct hk_tunnel_peers *peers, bool undo)
{
	unsigned i, j;

	for (i = 0; i < peers->count; i++)
		for (j = 0; j < peers->rows[i].senders_count; j++)
			hk_sender_free(peers->rows[i].senders[j], undo);
	free(peers->rows);
	*peers = (struct hk_tunnel_peers){0};
}

struct hk_tunnel_peer *hk_tunnel_route(struct hk_tunnel *tunnel, const struct hk_address *address)
{
	struct hk_tunnel_peer *best = NULL;
	int best_length = -1;
	unsigned i, j;

	for (i = 0; i < tunnel->peers.count; i++) {
		struct hk_tunnel_peer *peer = &tunnel->peers.rows[i];

		for (j = 0; j < peer->routes_count; j++) {
			if (peer->routes[j].length <= best_length ||
				!hk_prefix_holds(&peer->routes[j], address))
				continue;
			best = peer;
			best_length = peer->routes[j].length;
		}
	}
	return best;
}

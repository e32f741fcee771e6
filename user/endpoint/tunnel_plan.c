// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From what the user wrote to a tunnel that can work: every value checked, keys
 * loaded, SPIs chosen, their nonce state opened. Touches no network.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/tunnel.h"

#define OUTER_MAX	1500
#define MTU_MIN		1280 /* what IPv6 needs */
#define STATE_DIRECTORY "/var/lib/halfkey-endpoint"

static int need_number(const char *what, const char *text, __u64 max, __u64 *out, struct hk_error *error)
{
	if (hk_number_parse(text, max, out))
		return hk_error_set(error, EINVAL, "%s '%s': must be a number from 0 to %llu", what, text,
			(unsigned long long)max);
	return 0;
}

static int need_address(const char *what, const char *text, struct hk_address *out, struct hk_error *error)
{
	if (!text)
		return hk_error_set(
			error, EINVAL, "no %s: name it in the configuration or as an option", what);
	if (hk_address_parse(text, out))
		return hk_error_set(error, EINVAL, "%s '%s': must be an IPv4 or IPv6 address", what, text);
	return 0;
}

static int plan_psp(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	__u64 version = HK_PSP_SPLIT_256;

	if (config->suite)
		return hk_error_set(error, EINVAL,
			"suite '%s': PSP has versions, not suites: use version 0, 1, 4 or 5", config->suite);
	if (config->version && need_number("version", config->version, 15, &version, error))
		return -EINVAL;
	if (!hk_sa_profile(HK_ENVELOPE_PSP, (unsigned)version))
		return hk_error_set(error, EINVAL, "version '%s': must be 0, 1 (single), 4 or 5 (split)",
			config->version);
	tunnel->variant = (__u8)version;
	return 0;
}

static int plan_esp(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	int suite = config->suite ? hk_suite_by_name(config->suite) : HK_SUITE_CTR_HMAC;
	__u64 mkid = 1;

	if (config->version)
		return hk_error_set(error, EINVAL, "version '%s': ESP has suites, not versions: use suite",
			config->version);
	if (suite <= 0)
		return hk_error_set(error, EINVAL, "suite '%s': must be ctr-hmac, gcm-split, cbc-hmac or gcm",
			config->suite);
	if (config->mkid && need_number("mkid", config->mkid, 65535, &mkid, error))
		return -EINVAL;
	if (config->carrier && strcmp(config->carrier, "udp") != 0 && strcmp(config->carrier, "ip") != 0)
		return hk_error_set(error, EINVAL,
			"carrier '%s': must be udp (port 4500) or ip (protocol 50)", config->carrier);
	tunnel->raw = config->carrier && strcmp(config->carrier, "ip") == 0;
	tunnel->variant = (__u8)suite;
	tunnel->mkid = (__u16)mkid;
	return 0;
}

static int plan_envelope(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	int envelope = config->envelope ? hk_envelope_by_name(config->envelope) : HK_ENVELOPE_PSP;

	tunnel->envelope = (__u8)envelope;
	if (envelope == HK_ENVELOPE_PSP)
		return plan_psp(tunnel, config, error);
	if (envelope == HK_ENVELOPE_ESP)
		return plan_esp(tunnel, config, error);
	return hk_error_set(error, EINVAL, "envelope '%s': must be psp or esp", config->envelope);
}

unsigned hk_tunnel_mtu_for(const struct hk_tunnel *tunnel, unsigned outer)
{
	unsigned room = outer - (hk_address_is_v4(&tunnel->local) ? 20 : 40) - (tunnel->raw ? 0 : 8);

	if (tunnel->envelope == HK_ENVELOPE_PSP)
		return room - HK_PSP_HEADER_SIZE - HK_PSP_ICV_SIZE;
	if (tunnel->variant == HK_SUITE_CBC_HMAC) {
		room -= HK_ESP_HEADER_SIZE + HK_ESP_CBC_IV_SIZE + HK_ESP_ICV_SIZE;
		return room / 16 * 16 - 2;
	}
	room -= HK_ESP_HEADER_SIZE + HK_ESP_IV_SIZE + HK_ESP_ICV_SIZE;
	return room / 4 * 4 - 2;
}

static int plan_device(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	const char *name = config->device.name ? config->device.name : "hk0";
	unsigned fits = hk_tunnel_mtu_for(tunnel, OUTER_MAX);
	__u64 mtu = fits;

	if (!*name || strlen(name) > 15 || strpbrk(name, "/% \t\n"))
		return hk_error_set(error, EINVAL,
			"device '%s': must be an interface name of at most 15 characters", name);
	if (config->device.mtu && need_number("mtu", config->device.mtu, 65535, &mtu, error))
		return -EINVAL;
	if (mtu < MTU_MIN || mtu > fits)
		return hk_error_set(error, EINVAL,
			"mtu '%llu': must be from %d (IPv6) to %u (so that an outer packet is at most %d "
			"bytes)",
			(unsigned long long)mtu, MTU_MIN, fits, OUTER_MAX);
	snprintf(tunnel->device, sizeof(tunnel->device), "%s", name);
	tunnel->mtu = (unsigned)mtu;
	return 0;
}

static void plan_target(const struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer)
{
	in_port_t port = tunnel->raw			       ? 0
			 : tunnel->envelope == HK_ENVELOPE_PSP ? HK_UDP_PORT_PSP
							       : HK_UDP_PORT_ESP;
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

static int plan_peer(struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer,
	const struct hk_tunnel_peer_config *config, struct hk_error *error)
{
	if (need_address("peer", config->remote, &peer->remote, error))
		return -EINVAL;
	if (hk_address_is_v4(&peer->remote) != hk_address_is_v4(&tunnel->local))
		return hk_error_set(error, EINVAL,
			"peer '%s': not of the same IP version as the local address", config->remote);
	if (memcmp(&peer->remote, &tunnel->local, sizeof(peer->remote)) == 0)
		return hk_error_set(error, EINVAL, "peer '%s': is the local address", config->remote);
	plan_target(tunnel, peer);
	return plan_routes(peer, config, error);
}

static int plan_peers(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	unsigned i, j;

	if (!config->peers_count || config->peers_count > HK_TUNNEL_PEERS)
		return hk_error_set(error, EINVAL,
			"%u peers: name 1 to %u with --peer or in the configuration", config->peers_count,
			HK_TUNNEL_PEERS);
	tunnel->peers = calloc(config->peers_count, sizeof(*tunnel->peers));
	if (!tunnel->peers)
		return hk_error_set(error, ENOMEM, "no memory for %u peers", config->peers_count);
	for (i = 0; i < config->peers_count; i++) {
		if (plan_peer(tunnel, &tunnel->peers[i], &config->peers[i], error))
			return -EINVAL;
		for (j = 0; j < i; j++)
			if (memcmp(&tunnel->peers[i].remote, &tunnel->peers[j].remote,
				    sizeof(struct hk_address)) == 0)
				return hk_error_set(
					error, EINVAL, "peer '%s' stands twice", config->peers[i].remote);
		tunnel->peers_count++;
	}
	return 0;
}

static int plan_host(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	struct hk_host_options options = {
		.local = tunnel->local,
		.envelope = tunnel->envelope,
		.profile = (__u8)hk_sa_profile(tunnel->envelope, tunnel->variant),
		.suite = tunnel->variant,
		.mkid = tunnel->mkid,
	};
	int status;

	if (!config->keys && !config->server)
		return hk_error_set(error, EINVAL,
			"no key file and no key server: name one with --keys or --server, or in the "
			"configuration");
	status = config->server ? hk_tunnel_server_plan(tunnel, config, error)
				: hk_host_keys_load(&tunnel->keys, config->keys, error);
	if (status)
		return status;
	options.keys = tunnel->keys;
	tunnel->host = hk_host_new(&options);
	return tunnel->host ? 0 : hk_error_set(error, ENOMEM, "no memory for the receiving side");
}

int hk_tunnel_plan(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	int status;

	memset(tunnel, 0, sizeof(*tunnel));
	tunnel->tun = tunnel->receiver = tunnel->stats_fd = tunnel->signals = -1;
	status = need_address("local address", config->local, &tunnel->local, error);
	if (!status)
		status = plan_envelope(tunnel, config, error);
	if (!status)
		status = plan_device(tunnel, config, error);
	if (!status)
		status = plan_peers(tunnel, config, error);
	return status ? status : plan_host(tunnel, config, error);
}

/* `created` counts the state files made: with --first-use only SPIs without state get one. */
static int open_nonces(struct hk_tunnel *tunnel, struct hk_tunnel_spi *row,
	const struct hk_tunnel_config *config, unsigned *created, struct hk_error *error)
{
	const char *directory = config->state ? config->state : STATE_DIRECTORY;
	struct hk_error first = {{0}};
	char local[HK_ADDRESS_TEXT];
	int status;

	hk_address_format(&tunnel->local, local);
	if (config->first_use) {
		status = hk_nonce_state_open(&row->nonces, directory, row->sa, local, true, &first);
		*created += status == 0;
		if (status != -EEXIST)
			return status ? hk_error_set(error, -status, "%s", first.text) : 0;
	}
	return hk_nonce_state_open(&row->nonces, directory, row->sa, local, false, error);
}

/* One SPI towards one peer: its SA and its numbers. */
static int open_spi(struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer, __u32 spi,
	struct hk_crypto *crypto, const struct hk_tunnel_config *config, unsigned *created,
	struct hk_error *error)
{
	struct hk_tunnel_spi *row = &peer->spis[peer->spis_count];
	struct hk_sa_name name = {tunnel->envelope, tunnel->variant, tunnel->mkid, spi, peer->remote};
	char remote[HK_ADDRESS_TEXT];
	unsigned refusal = hk_host_keys_sa(tunnel->keys, crypto, &name, &row->sa);
	int status;

	hk_address_format(&peer->remote, remote);
	if (refusal)
		return hk_error_set(error, ENOKEY, "%s: no key to send to %s with SPI 0x%08x: %s",
			config->keys, remote, spi, hk_refusal_text(refusal));
	status = open_nonces(tunnel, row, config, created, error);
	if (status) {
		hk_sa_free(row->sa);
		row->sa = NULL;
		return status;
	}
	peer->spis_count++;
	return 0;
}

static int open_peer(struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer, const char *spi,
	struct hk_crypto *crypto, const struct hk_tunnel_config *config, unsigned *created,
	struct hk_error *error)
{
	__u32 spis[HK_TUNNEL_SPIS];
	char remote[HK_ADDRESS_TEXT];
	unsigned count = 1, i;
	__u64 number;
	int status = 0;

	if (spi) {
		if (need_number("spi", spi, 0xffffffff, &number, error))
			return -EINVAL;
		spis[0] = (__u32)number;
	} else {
		count = hk_host_keys_spis(
			tunnel->keys, tunnel->envelope, tunnel->variant, &peer->remote, spis, HK_TUNNEL_SPIS);
	}
	if (!count)
		return hk_error_set(error, ENOKEY,
			"%s: no explicit key to send to %s: with its master keys in the file, give this "
			"sender an SPI of "
			"its own (spi)",
			config->keys, hk_address_format(&peer->remote, remote));
	for (i = 0; i < count && !status; i++)
		status = open_spi(tunnel, peer, spis[i], crypto, config, created, error);
	return status;
}

int hk_tunnel_open_state(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	struct hk_crypto *crypto = config->server ? NULL : hk_crypto_new("libcrypto");
	unsigned i, created = 0;
	int status;

	if (config->server)
		return 0; /* SPIs come while it runs, each of them fresh */
	status = crypto ? 0 : hk_error_set(error, ENOMEM, "the crypto library does not start");

	for (i = 0; i < tunnel->peers_count && !status; i++)
		status = open_peer(
			tunnel, &tunnel->peers[i], config->peers[i].spi, crypto, config, &created, error);
	hk_crypto_free(crypto);
	if (!status && config->first_use && !created)
		return hk_error_set(error, EEXIST,
			"--first-use: all SPIs have nonce state already, so this is no first use: start "
			"without it");
	return status;
}

struct hk_tunnel_peer *hk_tunnel_route(struct hk_tunnel *tunnel, const struct hk_address *address)
{
	struct hk_tunnel_peer *best = NULL;
	int best_length = -1;
	unsigned i, j;

	for (i = 0; i < tunnel->peers_count; i++) {
		struct hk_tunnel_peer *peer = &tunnel->peers[i];

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

void hk_tunnel_close(struct hk_tunnel *tunnel)
{
	unsigned i, j;

	hk_tunnel_server_stop(tunnel);
	for (i = 0; i < tunnel->peers_count; i++) {
		for (j = 0; j < tunnel->peers[i].spis_count; j++) {
			if (tunnel->running)
				hk_nonce_state_close(tunnel->peers[i].spis[j].nonces);
			else
				hk_nonce_state_discard(tunnel->peers[i].spis[j].nonces);
			hk_sa_free(tunnel->peers[i].spis[j].sa);
		}
	}
	free(tunnel->peers);
	hk_host_free(tunnel->host);
	hk_host_keys_free(tunnel->keys);
	/* Descriptors end with the process. */
}

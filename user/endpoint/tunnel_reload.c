// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SIGHUP: the tunnel reads its configuration and key file again, through the
 * keeper. Everything new is made beside what is in use and put in force between
 * two packets, or refused whole with a sentence. Keys, peers and their routes
 * may change; what the set-up was made of may not.
 *
 * The rule about numbers stays: an SPI that this tunnel did not have needs its
 * state on disk (`tunnel --first-use --prepare` makes it), and an SPI that stays
 * goes on with the numbers it has in hand.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/endpoint/tunnel.h"

/* What a reload makes. */
struct next {
	struct hk_tunnel_config *config;
	struct hk_host_keys *keys;
	struct hk_tunnel_peers peers;
};

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_addresses(const struct hk_tunnel_config *a, const struct hk_tunnel_config *b)
{
	unsigned i;

	if (a->device.addresses_count != b->device.addresses_count)
		return false;
	for (i = 0; i < a->device.addresses_count; i++)
		if (!same(a->device.addresses[i], b->device.addresses[i]))
			return false;
	return true;
}

static bool same_wishes(const struct hk_wishes *a, const struct hk_wishes *b)
{
	unsigned i;

	for (i = 0; i < HK_WISHES_MAX; i++)
		if (!same(a->values[i], b->values[i]))
			return false;
	return true;
}

/* What needs a restart has to stay as it is. */
static int check_fixed(
	const struct hk_tunnel *tunnel, const struct hk_tunnel_config *next, struct hk_error *error)
{
	const struct hk_tunnel_config *now = tunnel->config;
	const char *what = !same(now->local, next->local)	  ? "local"
			   : !same(now->envelope, next->envelope) ? "envelope"
			   : !same(now->keys, next->keys)	  ? "keys"
			   : !same(now->state, next->state)	  ? "state"
			   : !same(now->server, next->server)	  ? "server"
			   : !same(now->stats, next->stats)	  ? "stats"
			   : !same(now->user, next->user)	  ? "user"
			   : !same(now->device.name, next->device.name) ||
					   !same(now->device.mtu, next->device.mtu) ||
					   !same_addresses(now, next)
				   ? "device"
			   : !same_wishes(&now->wishes, &next->wishes) ? "options of the envelope"
								       : NULL;

	return what ? hk_error_set(error, EINVAL, "%s: cannot change while the tunnel runs: restart it", what)
		    : 0;
}

static int read_config(const struct hk_tunnel *tunnel, struct next *next, struct hk_error *error)
{
	int fd = tunnel->config->path ? hk_keeper_config(tunnel->keeper, error) : -1;
	int status = tunnel->config->path && fd < 0 ? fd : 0;

	if (!status)
		status = hk_tunnel_config_read(&next->config, tunnel->argc, tunnel->argv, fd, error);
	if (fd >= 0)
		close(fd);
	if (status)
		return status;
	next->config->first_use = false; /* was said for the keys of the start */
	return check_fixed(tunnel, next->config, error);
}

static int make_next(struct hk_tunnel *tunnel, struct next *next, struct hk_error *error)
{
	int status = read_config(tunnel, next, error);

	if (!status)
		status = hk_tunnel_keys(tunnel, next->config, &next->keys, error);
	if (!status)
		status = hk_tunnel_peers_plan(tunnel, next->config, &next->peers, error);
	if (!status)
		status = hk_tunnel_peers_senders(tunnel, next->config, next->keys, &next->peers, error);
	return status ? status
		      : hk_tunnel_peers_start(tunnel, next->config, &next->peers, &tunnel->peers, error);
}

/* Senders that stay move over, with their numbers; from here on nothing can fail. */
static void keep_senders(struct hk_tunnel *tunnel, struct hk_tunnel_peers *peers)
{
	struct hk_sender **old, *fresh;
	unsigned i, j;

	for (i = 0; i < peers->count; i++)
		for (j = 0; j < peers->rows[i].senders_count; j++) {
			fresh = peers->rows[i].senders[j];
			old = hk_tunnel_peers_find(&tunnel->peers, &peers->rows[i].remote, fresh);
			if (!old)
				continue;
			(*old)->not_after = fresh->not_after;
			peers->rows[i].senders[j] = *old;
			*old = fresh;
		}
}

static void put_in_force(struct hk_tunnel *tunnel, struct next *next)
{
	struct hk_tunnel_config *config = (struct hk_tunnel_config *)tunnel->config;
	struct hk_tunnel_peers peers = tunnel->peers;
	struct hk_host_keys *keys = tunnel->keys;

	keep_senders(tunnel, &next->peers);
	tunnel->peers = next->peers;
	tunnel->config = next->config;
	tunnel->keys = next->keys;
	hk_receiver_rekey(tunnel->receiver, next->keys);
	next->peers = peers;
	next->config = config;
	next->keys = keys;
}

void hk_tunnel_reload(struct hk_tunnel *tunnel)
{
	struct hk_error error = {{0}};
	struct next next = {0};
	int status = tunnel->server ? hk_error_set(&error, EINVAL,
					      "keys come from a key server, which pushes new ones by itself")
				    : make_next(tunnel, &next, &error);

	if (!status)
		put_in_force(tunnel, &next);
	hk_tunnel_peers_free(&next.peers, false);
	hk_host_keys_free(next.keys);
	hk_tunnel_config_free(next.config);
	if (status) {
		tunnel->reloads_failed++;
		hk_log_error("%s: not reloaded, all stays as it was: %s", tunnel->device, error.text);
		return;
	}
	tunnel->reloads++;
	hk_tunnel_announce(tunnel);
	hk_log_info("%s: reloaded", tunnel->device);
}

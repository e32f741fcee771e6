// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SIGHUP: the configuration, certificates and the revocation list are read
 * again. Everything is made ready beside what runs; only then does it take its
 * place, and clients that are no longer welcome go. Those that are stay
 * connected and lose nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/endpoint/keyserver_connection.h"

static bool same(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static int check_fixed(
	const struct hk_ks_config *now, const struct hk_ks_config *next, struct hk_error *error)
{
	if (!same(now->state, next->state))
		return hk_error_set(error, EINVAL, "state '%s': another one needs a restart", next->state);
	if (!same(now->listen, next->listen))
		return hk_error_set(error, EINVAL, "listen '%s': another address needs a restart",
			next->listen ? next->listen : "");
	return 0;
}

/* --- what is known besides the disk's ----------------------------------------------------------- */

/* `again`: what was confirmed counts no more. */
static void carry_receiver(const struct hk_ks_receiver *now, struct hk_ks_receiver *next, __u64 serial,
	__u64 now_serial, bool again)
{
	unsigned i, j;

	next->tokens = now->tokens;
	next->order = now->order;
	for (i = 0; i < HK_KS_GENERATIONS; i++) {
		next->rows[i].serial = serial;
		for (j = 0; !again && j < HK_KS_GENERATIONS; j++)
			if (now->rows[j].generation == next->rows[i].generation &&
				now->rows[j].serial <= now_serial)
				next->rows[i].serial = now->rows[j].serial;
	}
}

/*
 * Who joins a domain of pairs brings keys of generations that are in force: its first context waits
 * until receiver and boxes have confirmed them.
 */
static void carry(const struct hk_ks *now, struct hk_ks *next)
{
	const struct hk_ks_domain *old, *new;
	unsigned i, j, k, l;

	for (i = 0; i < now->config->domains_count; i++)
		for (j = 0; j < next->config->domains_count; j++) {
			old = &now->config->domains[i];
			new = &next->config->domains[j];
			if (strcmp(old->name, new->name) != 0)
				continue;
			next->domains[j].serial = now->domains[i].serial + 1;
			for (k = 0; k < old->hosts_count; k++)
				for (l = 0; l < new->hosts_count; l++)
					if (strcmp(old->hosts[k].name, new->hosts[l].name) == 0)
						carry_receiver(&now->domains[i].receivers[k],
							&next->domains[j].receivers[l],
							next->domains[j].serial, now->domains[i].serial,
							hk_ks_has_pairs(new));
		}
}

/* --- clients ------------------------------------------------------------------------------------- */

/* Receivers are numbers in a configuration: in the new one they have others, or none. */
static void move_wants(
	struct hk_ks_client *client, const struct hk_ks_domain *old, const struct hk_ks_domain *new)
{
	unsigned i, j, kept = 0;

	for (i = 0; i < client->wants_count; i++) {
		const struct hk_address *receiver = &old->hosts[client->wants[i].receiver].receiver;

		for (j = 0; j < new->hosts_count; j++)
			if (memcmp(&new->hosts[j].receiver, receiver, sizeof(*receiver)) == 0)
				break;
		if (j == new->hosts_count || j == client->host_index)
			continue;
		client->wants[kept] = client->wants[i];
		client->wants[kept++].receiver = j;
	}
	client->wants_count = kept;
}

/* False: its domain is gone, or it is no member of it any more. */
static bool move_client(struct hk_ks_client *client, const struct hk_ks_config *next)
{
	const struct hk_ks_domain *old = client->domain, *new;
	unsigned i;

	for (i = 0; old && i < next->domains_count; i++) {
		new = &next->domains[i];
		if (strcmp(new->name, old->name) != 0 || !hk_ks_belongs(client, new))
			continue;
		move_wants(client, old, new);
		client->domain = new;
		client->domain_index = i;
		return true;
	}
	return !old;
}

static void move_clients(struct hk_ks_server *server, const struct hk_ks_config *next)
{
	struct hk_ks_connection *connection, *after;
	struct hk_error error;

	for (connection = server->all; connection; connection = after) {
		after = connection->next;
		if (!connection->open)
			continue;
		memset(&error, 0, sizeof(error));
		if (hk_push_verify_again(server->tls, connection->ssl, &error))
			hk_ks_drop(server, connection, HK_KS_REVOKED, error.text);
		else if (!move_client(&connection->client, next))
			hk_ks_drop(server, connection, HK_KS_REVOKED,
				"closed: no longer a member of its domain");
	}
}

/* --- all of it ----------------------------------------------------------------------------------- */

static int make_ready(struct hk_ks_server *server, struct hk_ks *next, struct hk_ks_config **config,
	SSL_CTX **tls, struct hk_error *error)
{
	struct hk_push_files files;
	int status = hk_ks_config_read(config, server->path, error);

	if (!status)
		status = check_fixed(server->ks->config, *config, error);
	if (status)
		return status;
	files = (struct hk_push_files){(*config)->ca, (*config)->cert, (*config)->key, (*config)->crl};
	*tls = hk_push_tls(&files, true, error);
	if (!*tls)
		return -EINVAL;
	next->config = *config;
	next->store = server->ks->store;
	return hk_ks_start(next, error);
}

int hk_ks_reload(struct hk_ks_server *server, struct hk_error *error)
{
	struct hk_ks *ks = server->ks, next = {0};
	struct hk_ks_config *config = NULL, *old = (struct hk_ks_config *)(unsigned long)ks->config;
	SSL_CTX *tls = NULL;
	int status = make_ready(server, &next, &config, &tls, error);

	if (status) {
		hk_ks_stop(&next);
		SSL_CTX_free(tls);
		hk_ks_config_free(config);
		return status;
	}
	carry(ks, &next);
	SSL_CTX_free(server->tls);
	server->tls = tls;
	move_clients(server, config);
	hk_ks_stop(ks);
	ks->config = config;
	ks->crypto = next.crypto;
	memcpy(ks->domains, next.domains, sizeof(ks->domains));
	hk_wipe(&next, sizeof(next));
	hk_ks_config_free(old);
	return 0;
}

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
		else if (!hk_ks_move_client(&connection->client, next))
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
	hk_ks_carry(ks, &next);
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

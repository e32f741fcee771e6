// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a reload carries over that is not on disk: which client has confirmed what,
 * what each asked for, and how much it may ask. Hosts are known by their names; in
 * a configuration they are numbers, and an address can be another host's by now.
 */
#include <string.h>

#include "user/endpoint/keyserver.h"

static const struct hk_ks_host *named(const struct hk_ks_domain *domain, const char *name)
{
	unsigned i;

	for (i = 0; i < domain->hosts_count; i++)
		if (strcmp(domain->hosts[i].name, name) == 0)
			return &domain->hosts[i];
	return NULL;
}

static bool same_address(const struct hk_ks_host *one, const struct hk_ks_host *other)
{
	return memcmp(&one->receiver, &other->receiver, sizeof(one->receiver)) == 0;
}

/* --- keys ---------------------------------------------------------------------------------------- */

static void carry_serials(const struct hk_ks_receiver *now, struct hk_ks_receiver *next)
{
	unsigned i, j;

	for (i = 0; i < HK_KS_GENERATIONS; i++)
		for (j = 0; j < HK_KS_GENERATIONS; j++)
			if (now->rows[j].generation == next->rows[i].generation)
				next->rows[i].serial = now->rows[j].serial;
}

/*
 * What was confirmed counts on for a receiver whose key lines are the same. Those of one that
 * joins, comes back from the disk or has another address now are new to the boxes and to itself;
 * and in a domain of pairs so are everyone's, as each has a line for each sender.
 */
static void carry_host(const struct hk_ks *now, unsigned i, struct hk_ks *next, unsigned j, unsigned host)
{
	const struct hk_ks_domain *old = &now->config->domains[i], *new = &next->config->domains[j];
	const struct hk_ks_host *was = named(old, new->hosts[host].name);
	struct hk_ks_receiver *receiver = &next->domains[j].receivers[host];
	const struct hk_ks_receiver *before;
	unsigned k;

	for (k = 0; k < HK_KS_GENERATIONS; k++)
		receiver->rows[k].serial = next->domains[j].serial;
	if (!was)
		return;
	before = &now->domains[i].receivers[was - old->hosts];
	receiver->tokens = before->tokens;
	receiver->order = before->order;
	if (!hk_ks_has_pairs(new) && same_address(was, &new->hosts[host]))
		carry_serials(before, receiver);
}

void hk_ks_carry(const struct hk_ks *now, struct hk_ks *next)
{
	unsigned i, j, host;

	for (i = 0; i < now->config->domains_count; i++)
		for (j = 0; j < next->config->domains_count; j++) {
			const struct hk_ks_domain *new = &next->config->domains[j];

			if (strcmp(now->config->domains[i].name, new->name) != 0)
				continue;
			next->domains[j].serial = now->domains[i].serial + 1;
			for (host = 0; host < new->hosts_count; host++)
				carry_host(now, i, next, j, host);
		}
}

/* --- clients ------------------------------------------------------------------------------------- */

/*
 * It wants to send to addresses. What it has is of no use any more where another host has the
 * address now, or it has another one itself: two hosts can have generations of the same number.
 */
static void move_wants(struct hk_ks_client *client, const struct hk_ks_domain *old, unsigned old_self,
	const struct hk_ks_domain *new)
{
	bool moved = !same_address(&old->hosts[old_self], &new->hosts[client->host_index]);
	unsigned i, j, kept = 0;

	for (i = 0; i < client->wants_count; i++) {
		const struct hk_ks_host *was = &old->hosts[client->wants[i].receiver];
		struct hk_ks_want want = client->wants[i];

		for (j = 0; j < new->hosts_count; j++)
			if (same_address(&new->hosts[j], was))
				break;
		if (j == new->hosts_count || j == client->host_index)
			continue;
		want.receiver = j;
		if (moved || strcmp(new->hosts[j].name, was->name) != 0)
			want.generation = 0;
		client->wants[kept++] = want;
	}
	client->wants_count = kept;
}

bool hk_ks_move_client(struct hk_ks_client *client, const struct hk_ks_config *next)
{
	const struct hk_ks_domain *old = client->domain, *new;
	unsigned i, self = client->host_index;

	for (i = 0; old && i < next->domains_count; i++) {
		new = &next->domains[i];
		if (strcmp(new->name, old->name) != 0 || !hk_ks_belongs(client, new))
			continue;
		if (client->who.role == HK_PUSH_HOST)
			move_wants(client, old, self, new);
		client->domain = new;
		client->domain_index = i;
		return true;
	}
	return !old;
}

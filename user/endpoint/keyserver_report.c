// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an operator asks a running key server: counters, who is connected and
 * has confirmed what, and whom a rotation waits for. JSON; no key, no SPI.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/endpoint/keyserver_connection.h"

static json_t *counters(const struct hk_ks *ks)
{
	static const char *const names[] = {
#define HK_C(id, name, text) name,
		HK_KS_COUNTERS(HK_C)
#undef HK_C
	};
	json_t *all = json_object();
	unsigned i;

	for (i = 0; i < HK_KS_COUNTER_COUNT; i++)
		json_object_set_new(all, names[i], json_integer((json_int_t)ks->counters[i]));
	return all;
}

static json_t *connected(const struct hk_ks *ks)
{
	const struct hk_ks_client *client;
	json_t *all = json_array();

	for (client = ks->clients; client; client = client->next)
		json_array_append_new(
			all, json_pack("{s:s,s:s,s:s?,s:I,s:I,s:I}", "role",
				     hk_push_role_name(client->who.role), "name", client->who.name, "domain",
				     client->domain ? client->domain->name : NULL, "sent",
				     (json_int_t)client->sent, "confirmed", (json_int_t)client->acked,
				     "certificate_until", (json_int_t)client->who.expires));
	return all;
}

/* The names of those that `row` waits for. */
static json_t *waiting(
	const struct hk_ks *ks, unsigned domain, unsigned host, const struct hk_ks_generation *row)
{
	const struct hk_ks_client *client;
	json_t *all = json_array();
	char text[HK_PUSH_NAME + 8];

	for (client = ks->clients; client; client = client->next) {
		if (!hk_ks_waits_for(ks, client, domain, host, row))
			continue;
		snprintf(text, sizeof(text), "%s %s", hk_push_role_name(client->who.role), client->who.name);
		json_array_append_new(all, json_string(text));
	}
	return all;
}

static void add_receiver(const struct hk_ks *ks, unsigned domain, unsigned host, json_t *all)
{
	const struct hk_ks_domain *config = &ks->config->domains[domain];
	unsigned i;

	for (i = 0; i < HK_KS_GENERATIONS; i++) {
		const struct hk_ks_generation *row = &ks->domains[domain].receivers[host].rows[i];

		if (row->generation)
			json_array_append_new(all,
				json_pack("{s:s,s:s,s:I,s:i,s:s,s:I,s:I,s:o}", "domain", config->name, "host",
					config->hosts[host].name, "generation", (json_int_t)row->generation,
					"slot", (int)row->slot, "state", hk_ks_state_name(row->state),
					"in_force", (json_int_t)row->activates, "ends", (json_int_t)row->ends,
					"waits_for", waiting(ks, domain, host, row)));
	}
}

static json_t *generations(const struct hk_ks *ks)
{
	json_t *all = json_array();
	unsigned i, j;

	for (i = 0; i < ks->config->domains_count; i++)
		for (j = 0; j < ks->config->domains[i].hosts_count; j++)
			add_receiver(ks, i, j, all);
	return all;
}

/* Under another name first, so that nobody reads half of it. */
static void write_file(const char *path, const json_t *all)
{
	char draft[4096 + 8];
	FILE *file;

	snprintf(draft, sizeof(draft), "%s.new", path);
	file = fopen(draft, "we");
	if (file && !json_dumpf(all, file, JSON_COMPACT) && fputc('\n', file) != EOF && !fclose(file)) {
		if (!rename(draft, path))
			return;
	} else if (file) {
		remove(draft);
	}
	hk_log_warn("%s: cannot be written: %s", path, strerror(errno));
}

void hk_ks_report(const struct hk_ks *ks, bool log)
{
	json_t *all = counters(ks);
	char *text = log ? json_dumps(all, JSON_COMPACT) : NULL;

	if (text)
		hk_log_info("counters %s", text);
	free(text);
	if (ks->config->stats) {
		json_object_set_new(all, "time", json_integer((json_int_t)ks->now));
		json_object_set_new(all, "connected", connected(ks));
		json_object_set_new(all, "generations", generations(ks));
		write_file(ks->config->stats, all);
	}
	json_decref(all);
}

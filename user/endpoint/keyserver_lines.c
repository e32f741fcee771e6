// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a role may have, as key file lines: the one place of the key server that
 * writes keys out. Which sides go to whom is the table below and nothing else;
 * a request has no influence on it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/keyserver.h"

#define TIMES_TEXT 64

struct text {
	char *bytes;
	size_t size, capacity;
	bool failed;
};

/* Grows by copying and wiping: realloc would leave keys behind. */
static bool room(struct text *text, size_t more)
{
	size_t want = text->size + more + 1, capacity = 1024;
	char *grown;

	if (want <= text->capacity)
		return true;
	while (capacity < want)
		capacity *= 2;
	grown = calloc(1, capacity);
	if (!grown) {
		text->failed = true;
		return false;
	}
	if (text->bytes) {
		memcpy(grown, text->bytes, text->size);
		hk_wipe(text->bytes, text->size);
		free(text->bytes);
	}
	text->bytes = grown;
	text->capacity = capacity;
	return true;
}

static void add(struct text *text, const char *line)
{
	size_t size = strlen(line);

	if (text->failed || !room(text, size))
		return;
	memcpy(text->bytes + text->size, line, size + 1);
	text->size += size;
}

static char *finish(struct text *text, size_t *size)
{
	if (!text->failed && !text->bytes)
		(void)room(text, 0);
	if (text->failed) {
		if (text->bytes)
			hk_wipe(text->bytes, text->size);
		free(text->bytes);
		return NULL;
	}
	if (size)
		*size = text->size;
	return text->bytes;
}

/* Whose master keys a line holds. */
struct owner {
	const struct hk_ks_host *host;
	const struct hk_ks_generation *row;
	char id[16]; /* of a pair: " id=N" */
};

static void add_master(
	struct text *text, const struct owner *owner, const char *side, const __u8 key[32], const char *times)
{
	char line[320], receiver[HK_ADDRESS_TEXT], hex[65];

	hk_hex_format(key, 32, hex);
	snprintf(line, sizeof(line), "receiver=%s slot=%u%s generation=%u side=%s key=%s%s\n",
		hk_address_format(&owner->host->receiver, receiver), owner->row->slot, owner->id,
		owner->row->generation, side, hex, times);
	add(text, line);
	hk_wipe(hex, sizeof(hex));
	hk_wipe(line, sizeof(line));
}

/* When the last packet under this generation may come, as far as is known now. */
static __s64 planned_end(
	const struct hk_ks *ks, const struct hk_ks_domain *domain, const struct hk_ks_generation *row)
{
	__s64 next = hk_ks_not_before_settled(ks, row->activates + domain->lifetime);

	if (row->state == HK_KS_PREVIOUS)
		return row->ends;
	if (row->state == HK_KS_CURRENT && next < ks->now + domain->ahead)
		next = ks->now + domain->ahead; /* the rotation is late */
	return next + domain->grace;
}

/*
 * What is delegated is delegated for a time: who hears no more from us loses it.
 * The beginning leaves clocks half of `ahead` to differ. False: over already.
 */
static bool delegated(const struct hk_ks *ks, const struct hk_ks_domain *domain,
	const struct hk_ks_generation *row, char times[TIMES_TEXT])
{
	__s64 end = planned_end(ks, domain, row);

	times[0] = '\0';
	if (domain->delegation == HK_KS_UNLIMITED)
		return true;
	if (row->state != HK_KS_PREVIOUS)
		end += domain->delegation;
	snprintf(times, TIMES_TEXT, " not-before=%lld not-after=%lld",
		(long long)(row->activates - domain->ahead / 2), (long long)end);
	return end > ks->now;
}

/* The one place that decides which sides a role gets. */
static void add_sides(struct text *text, const struct owner *owner, const struct hk_ks_sides *keys,
	bool split, unsigned role, const char *times)
{
	const char *enc = split ? "enc" : "single";

	switch (role) {
	case HK_PUSH_HOST:
		add_master(text, owner, enc, keys->enc, times);
		if (split)
			add_master(text, owner, "auth", keys->auth, times);
		break;
	case HK_PUSH_BOX: add_master(text, owner, enc, keys->enc, times); break;
	case HK_PUSH_READER: add_master(text, owner, "reader", keys->reader, times); break;
	default: break;
	}
}

/* Of a pair; `seals`: for its sender, who makes reader tags as well. */
static void add_pair(struct text *text, struct hk_ks *ks, unsigned domain, unsigned sender,
	struct owner *owner, unsigned role, bool seals, const char *times)
{
	const struct hk_ks_domain *config = &ks->config->domains[domain];
	bool split = config->profile == HK_PROFILE_SPLIT;
	unsigned host = (unsigned)(owner->host - config->hosts);
	struct hk_ks_sides keys;

	snprintf(owner->id, sizeof(owner->id), " id=%u", hk_ks_pair_id(ks, domain, host, sender));
	hk_ks_pair_keys(ks, domain, host, sender, owner->row, &keys);
	add_sides(text, owner, &keys, split, role, times);
	if (seals && split)
		add_sides(text, owner, &keys, split, HK_PUSH_READER, times);
	hk_wipe(&keys, sizeof(keys));
}

static void add_generation(struct text *text, struct hk_ks *ks, unsigned domain, unsigned host,
	const struct hk_ks_generation *row, unsigned role)
{
	const struct hk_ks_domain *config = &ks->config->domains[domain];
	struct owner owner = {.host = &config->hosts[host], .row = row};
	struct hk_ks_sides keys;
	char times[TIMES_TEXT] = "";
	unsigned i;

	/* Its own keys are a host's until they are taken. */
	if (role != HK_PUSH_HOST && !delegated(ks, config, row, times))
		return;
	if (hk_ks_has_pairs(config)) {
		for (i = 0; i < config->hosts_count; i++)
			if (i != host)
				add_pair(text, ks, domain, i, &owner, role, false, times);
		return;
	}
	memcpy(keys.enc, row->enc, sizeof(keys.enc));
	memcpy(keys.auth, row->auth, sizeof(keys.auth));
	memcpy(keys.reader, row->reader, sizeof(keys.reader));
	add_sides(text, &owner, &keys, config->profile == HK_PROFILE_SPLIT, role, times);
	hk_wipe(&keys, sizeof(keys));
}

/* Whose SPIs, or whose MKID: a host refuses what another one begins under them. */
static void add_sender(
	struct text *text, const struct hk_ks *ks, const struct hk_ks_client *client, unsigned sender)
{
	__u32 number = ks->domains[client->domain_index].receivers[sender].number;
	char line[128], address[HK_ADDRESS_TEXT];

	hk_address_format(&client->domain->hosts[sender].receiver, address);
	if (hk_ks_has_pairs(client->domain))
		snprintf(line, sizeof(line), "sender=%s id=%u\n", address,
			hk_ks_pair_id(ks, client->domain_index, client->host_index, sender));
	else
		snprintf(line, sizeof(line), "sender=%s spis=0x%08x/0x%08x\n", address,
			hk_ks_sender_spis(client->domain, number), hk_ks_sender_mask(client->domain));
	add(text, line);
}

char *hk_ks_lines(struct hk_ks *ks, const struct hk_ks_client *client, size_t *size)
{
	const struct hk_ks_domain *domain = client->domain;
	struct text text = {0};
	unsigned i, j;

	for (i = 0; i < domain->hosts_count; i++) {
		if (client->who.role == HK_PUSH_HOST && i != client->host_index) {
			add_sender(&text, ks, client, i);
			continue;
		}
		for (j = 0; j < HK_KS_GENERATIONS; j++) {
			const struct hk_ks_generation *row =
				&ks->domains[client->domain_index].receivers[i].rows[j];

			if (row->generation)
				add_generation(&text, ks, client->domain_index, i, row, client->who.role);
		}
	}
	return finish(&text, size);
}

static void add_explicit(struct text *text, const struct hk_sa_name *name, const char *side, const __u8 *key,
	unsigned size, const __u8 *salt)
{
	char line[320], receiver[HK_ADDRESS_TEXT], hex[65], salt_hex[9] = "", variant[32];

	hk_hex_format(key, size, hex);
	if (salt)
		hk_hex_format(salt, 4, salt_hex);
	if (name->envelope == HK_ENVELOPE_PSP)
		snprintf(variant, sizeof(variant), "version=%u", name->variant);
	else
		snprintf(variant, sizeof(variant), "suite=%s", hk_suite_name(name->variant));
	snprintf(line, sizeof(line), "receiver=%s spi=0x%08x %s side=%s key=%s%s%s\n",
		hk_address_format(&name->receiver, receiver), name->spi, variant, side, hex,
		salt ? " salt=" : "", salt_hex);
	add(text, line);
	hk_wipe(hex, sizeof(hex));
	hk_wipe(salt_hex, sizeof(salt_hex));
	hk_wipe(line, sizeof(line));
}

static void add_spi(struct text *text, struct hk_ks *ks, const struct hk_ks_domain *domain,
	const struct hk_ks_host *host, const struct hk_ks_generation *row, __u32 spi)
{
	bool split = domain->profile == HK_PROFILE_SPLIT, esp = domain->envelope == HK_ENVELOPE_ESP;
	struct hk_sa_name name = {domain->envelope, domain->variant, domain->mkid, spi, host->receiver};
	struct hk_sa_keys keys = {0};
	struct hk_kdf_key enc, auth;

	if (hk_kdf_key_init(&enc, row->enc) || hk_kdf_key_init(&auth, row->auth) ||
		hk_sa_derive_keys(&keys, ks->crypto, &name, &enc, split ? &auth : NULL, NULL)) {
		text->failed = true;
	} else {
		add_explicit(text, &name, split ? "enc" : "single", keys.enc, keys.key_size,
			esp && domain->variant != HK_SUITE_CBC_HMAC ? keys.salt_enc : NULL);
		if (split)
			add_explicit(text, &name, "auth", keys.auth, keys.key_size,
				esp && domain->variant == HK_SUITE_GCM_SPLIT ? keys.salt_auth : NULL);
	}
	hk_wipe(&enc, sizeof(enc));
	hk_wipe(&auth, sizeof(auth));
	hk_wipe(&keys, sizeof(keys));
}

char *hk_ks_spi_lines(
	struct hk_ks *ks, unsigned domain, unsigned host, const struct hk_ks_generation *row, __u32 spi)
{
	const struct hk_ks_domain *config = &ks->config->domains[domain];
	struct text text = {0};

	add_spi(&text, ks, config, &config->hosts[host], row, spi);
	return finish(&text, NULL);
}

char *hk_ks_pair_lines(struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender,
	const struct hk_ks_generation *row, __u64 context)
{
	struct owner owner = {.host = &ks->config->domains[domain].hosts[host], .row = row};
	struct text text = {0};
	char line[64];

	snprintf(line, sizeof(line), "# context=%llu\n", (unsigned long long)context);
	add(&text, line);
	add_pair(&text, ks, domain, sender, &owner, HK_PUSH_HOST, true, "");
	return finish(&text, NULL);
}

struct inbound {
	struct text text;
	struct hk_ks *ks;
	const struct hk_ks_domain *domain;
	const struct hk_ks_host *host;
	const struct hk_ks_generation *row;
};

static void add_inbound(void *context, __u64 serial, const char *sender)
{
	struct inbound *in = context;
	char line[128], address[HK_ADDRESS_TEXT];
	unsigned i;

	for (i = 0; sender && i < in->domain->hosts_count; i++)
		if (strcmp(in->domain->hosts[i].name, sender) == 0)
			break;
	if (!sender || i == in->domain->hosts_count)
		return; /* a sender that has left the domain */
	snprintf(line, sizeof(line), "# from=%s (%.31s)\n",
		hk_address_format(&in->domain->hosts[i].receiver, address), sender);
	add(&in->text, line);
	add_spi(&in->text, in->ks, in->domain, in->host, in->row,
		hk_ks_spi(in->domain, in->row->slot, serial));
}

char *hk_ks_inbound_lines(struct hk_ks *ks, unsigned domain, unsigned host)
{
	struct inbound in = {.ks = ks, .domain = &ks->config->domains[domain]};
	struct hk_error error = {{0}};
	unsigned i;

	in.host = &in.domain->hosts[host];
	for (i = 0; i < HK_KS_GENERATIONS; i++) {
		in.row = &ks->domains[domain].receivers[host].rows[i];
		if (in.row->generation && in.row->state != HK_KS_NEXT &&
			hk_ks_store_allocations(ks->store, in.domain->name, in.host->name, in.row->generation,
				add_inbound, &in, &error))
			in.text.failed = true;
	}
	return finish(&in.text, NULL);
}

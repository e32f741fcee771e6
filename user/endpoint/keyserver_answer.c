// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests, by role. A row per operation says who may ask it; what is in the
 * answer depends on the certificate's role and on nothing the request says. A
 * refusal is logged, counted and told; too many end the connection.
 *
 *   {"op":"hello","role":"host"}                 first of all; the certificate decides
 *   {"op":"subscribe","domain":"d"[,"side":"enc"][,"inbound":true]}   one per connection
 *   {"op":"ack","serial":7}                      the set of this serial is in force here
 *   {"op":"spi","to":"192.0.2.9"[,"have":7]}     host: an SPI (of a pair, a context) to send to that
 *                                                receiver with, unless it has one of that generation
 *                                                and it is current
 *   {"op":"pong"}
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/keyserver.h"

#define REFUSALS_MAX 16

#define ROLE(role) (1u << (role))
#define ANYONE	   (ROLE(HK_PUSH_HOST) | ROLE(HK_PUSH_BOX) | ROLE(HK_PUSH_READER))

/* Text of a client's that is safe in a log: short, and no control characters. */
static const char *quotable(const json_t *value, char out[32])
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	size_t i;

	for (i = 0; i < 31 && text[i]; i++)
		out[i] = text[i] > 32 && text[i] < 127 && text[i] != '"' ? text[i] : '?';
	out[i] = '\0';
	return out;
}

/* Tells why not, and whether the connection goes on. */
static bool refuse(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request, const char *why)
{
	char op[32];

	quotable(json_object_get(request, "op"), op);
	ks->counters[HK_KS_REFUSED]++;
	hk_log_warn("refused %s %s: %s: %s", hk_push_role_name(client->who.role), client->who.name, op, why);
	hk_ks_send(client, json_pack("{s:s,s:s,s:s}", "type", "refused", "op", op, "reason", why));
	return ++client->refusals < REFUSALS_MAX;
}

static bool hello(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request)
{
	const char *role = json_string_value(json_object_get(request, "role"));

	if (!role || strcmp(role, hk_push_role_name(client->who.role)) != 0)
		return refuse(ks, client, request, "the certificate is not of that role");
	hk_ks_send(client,
		json_pack("{s:s,s:s,s:s}", "type", "welcome", "role", role, "name", client->who.name));
	return true;
}

/* The sides a role may name; naming none is the rule. An authentication key is never among a box's. */
static bool side_allowed(const struct hk_ks_domain *domain, unsigned role, const char *side)
{
	switch (role) {
	case HK_PUSH_HOST:
		return !strcmp(side, "both") ||
		       !strcmp(side, domain->profile == HK_PROFILE_SINGLE ? "single" : "enc") ||
		       (domain->profile == HK_PROFILE_SPLIT && !strcmp(side, "auth"));
	case HK_PUSH_BOX: return !strcmp(side, domain->profile == HK_PROFILE_SINGLE ? "single" : "enc");
	case HK_PUSH_READER: return !strcmp(side, "reader");
	default: return false;
	}
}

static bool named(char *const *names, unsigned count, const char *name)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

bool hk_ks_belongs(struct hk_ks_client *client, const struct hk_ks_domain *domain)
{
	unsigned i;

	if (client->who.role == HK_PUSH_BOX)
		return named(domain->boxes, domain->boxes_count, client->who.name);
	if (client->who.role == HK_PUSH_READER)
		return named(domain->readers, domain->readers_count, client->who.name);
	for (i = 0; i < domain->hosts_count; i++) {
		client->host_index = i;
		if (strcmp(domain->hosts[i].name, client->who.name) == 0)
			return true;
	}
	return false;
}

static bool refuse_side(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request)
{
	ks->counters[HK_KS_REFUSED_AUTH] += client->who.role != HK_PUSH_HOST;
	return refuse(ks, client, request, "this role never gets keys of that side");
}

static bool subscribe(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "domain"));
	const json_t *side = json_object_get(request, "side");
	unsigned i;

	if (client->domain)
		return refuse(ks, client, request, "subscribed already: one domain a connection");
	for (i = 0; name && i < ks->config->domains_count; i++) {
		const struct hk_ks_domain *domain = &ks->config->domains[i];

		if (strcmp(domain->name, name) != 0 || !hk_ks_belongs(client, domain))
			continue;
		if (side && (!json_is_string(side) ||
				    !side_allowed(domain, client->who.role, json_string_value(side))))
			return refuse_side(ks, client, request);
		if (json_object_get(request, "inbound") && client->who.role != HK_PUSH_HOST)
			return refuse_side(ks, client, request);
		if (json_object_get(request, "inbound") && hk_ks_has_pairs(domain))
			return refuse(ks, client, request, "no stock stack speaks its envelope");
		client->domain = domain;
		client->domain_index = i;
		client->inbound = json_is_true(json_object_get(request, "inbound"));
		return true; /* hk_ks_serve() sends the set */
	}
	return refuse(ks, client, request, "not a member of such a domain");
}

static bool acknowledge(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request)
{
	json_int_t serial = json_integer_value(json_object_get(request, "serial"));

	if (serial < 1 || (__u64)serial > client->sent)
		return refuse(ks, client, request, "no set of that serial was sent");
	if ((__u64)serial > client->acked)
		client->acked = (__u64)serial;
	return true;
}

static struct hk_ks_want *want_of(struct hk_ks_client *client, unsigned receiver)
{
	unsigned i;

	for (i = 0; i < client->wants_count; i++)
		if (client->wants[i].receiver == receiver)
			return &client->wants[i];
	if (client->wants_count == HK_KS_WANTS)
		return NULL;
	client->wants[client->wants_count] = (struct hk_ks_want){.receiver = receiver};
	return &client->wants[client->wants_count++];
}

static bool ask_spi(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request)
{
	const char *to = json_string_value(json_object_get(request, "to"));
	struct hk_address receiver;
	struct hk_ks_want *want;
	unsigned i;

	if (!client->domain)
		return refuse(ks, client, request, "subscribe first");
	if (!to || hk_address_parse(to, &receiver))
		return refuse(ks, client, request, "to: must be a receiver's address");
	for (i = 0; i < client->domain->hosts_count; i++)
		if (memcmp(&client->domain->hosts[i].receiver, &receiver, sizeof(receiver)) == 0)
			break;
	if (i == client->domain->hosts_count || i == client->host_index)
		return refuse(ks, client, request, "to: no other host of the domain has that address");
	want = want_of(client, i);
	if (!want)
		return refuse(ks, client, request, "too many receivers in one connection");
	if (!want->since)
		want->since = ks->now;
	want->generation = (__u32)json_integer_value(json_object_get(request, "have"));
	return true; /* hk_ks_serve() sends it, when all who must read it have the keys */
}

static bool pong(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request)
{
	(void)ks, (void)client, (void)request;
	return true; /* that it came is what counts */
}

static const struct {
	const char *op;
	unsigned roles;
	bool gives_auth; /* what it would give holds authentication keys */
	bool (*run)(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request);
} operations[] = {
	{"hello", ANYONE, false, hello},
	{"subscribe", ANYONE, false, subscribe},
	{"ack", ANYONE, false, acknowledge},
	{"pong", ANYONE, false, pong},
	{"spi", ROLE(HK_PUSH_HOST), true, ask_spi},
};

bool hk_ks_answer(struct hk_ks *ks, struct hk_ks_client *client, const json_t *request)
{
	const char *op = json_string_value(json_object_get(request, "op"));
	size_t i;

	for (i = 0; op && i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (strcmp(operations[i].op, op) != 0)
			continue;
		if (operations[i].roles & ROLE(client->who.role))
			return operations[i].run(ks, client, request);
		ks->counters[HK_KS_REFUSED_AUTH] += operations[i].gives_auth;
		return refuse(ks, client, request, "this role may not ask it");
	}
	return refuse(ks, client, request, "no such operation");
}

/* --- what became due -------------------------------------------------------------------------- */

static void wipe_text(char *text)
{
	if (text)
		hk_wipe(text, strlen(text));
	free(text);
}

static const char *variant_of(const struct hk_ks_domain *domain)
{
	if (hk_ks_has_pairs(domain))
		return "context";
	return domain->envelope == HK_ENVELOPE_PSP ? "version" : hk_suite_name(domain->variant);
}

static void push_set(struct hk_ks *ks, struct hk_ks_client *client, __u64 serial)
{
	const struct hk_ks_domain *domain = client->domain;
	bool psp = domain->envelope == HK_ENVELOPE_PSP;
	char *lines = hk_ks_lines(ks, client, NULL);
	json_t *message;

	if (!lines)
		return;
	message = json_pack("{s:s,s:s,s:I,s:s,s:s,s:i,s:s}", "type", "keys", "domain", domain->name, "serial",
		(json_int_t)serial, "envelope", hk_envelope_name(domain->envelope), "variant",
		variant_of(domain), "number", psp ? (int)domain->variant : (int)domain->mkid, "lines", lines);
	wipe_text(lines);
	client->sent = serial;
	client->sent_at = ks->now;
	ks->counters[HK_KS_PUSHES]++;
	hk_ks_send(client, message);
}

static void push_inbound(struct hk_ks *ks, unsigned domain, unsigned host)
{
	struct hk_ks_client *client;
	char *lines;

	for (client = ks->clients; client; client = client->next) {
		if (!client->inbound || client->domain_index != domain || client->host_index != host)
			continue;
		lines = hk_ks_inbound_lines(ks, domain, host);
		if (lines)
			hk_ks_send(client, json_pack("{s:s,s:s}", "type", "inbound", "lines", lines));
		wipe_text(lines);
	}
}

/* An SPI that was given out, or a context of a pair. */
static void tell_spi(struct hk_ks_client *client, const struct hk_ks_want *want, __u32 spi, __u64 context,
	const char *lines)
{
	char address[HK_ADDRESS_TEXT];
	json_t *message = json_pack("{s:s,s:s,s:I,s:I,s:s}", "type", "spi", "to",
		hk_address_format(&client->domain->hosts[want->receiver].receiver, address), "spi",
		(json_int_t)spi, "generation", (json_int_t)want->generation, "lines", lines);

	if (context)
		json_object_set_new(message, "context", json_integer((json_int_t)context));
	hk_ks_send(client, message);
}

static void push_spi(struct hk_ks *ks, struct hk_ks_client *client, struct hk_ks_want *want)
{
	unsigned domain = client->domain_index, host = want->receiver, self = client->host_index;
	struct hk_ks_generation *row = hk_ks_current(ks, domain, host);
	struct hk_ks_receiver *sender = &ks->domains[domain].receivers[self];
	struct hk_error error = {{0}};
	__u64 context = 0;
	char *lines;
	__u32 spi;
	int status;

	if (!row || want->generation == row->generation || !sender->tokens ||
		!hk_ks_confirmed(ks, domain, host, row))
		return;
	status = hk_ks_allocate(ks, domain, host, self, &spi, &context, &error);
	if (status) {
		if (status != -EAGAIN)
			hk_ks_complain(ks, &error);
		return;
	}
	sender->tokens--;
	lines = context ? hk_ks_pair_lines(ks, domain, host, self, row, context)
			: hk_ks_spi_lines(ks, domain, host, row, spi);
	if (!lines)
		return;
	/* The receiver's stock stack first: it must know the SPI before the first packet. */
	push_inbound(ks, domain, host);
	want->generation = row->generation;
	want->since = 0;
	tell_spi(client, want, spi, context, lines);
	wipe_text(lines);
}

void hk_ks_serve(struct hk_ks *ks)
{
	struct hk_ks_client *client;
	unsigned i;

	for (client = ks->clients; client; client = client->next)
		if (client->domain && client->sent != ks->domains[client->domain_index].serial) {
			push_set(ks, client, ks->domains[client->domain_index].serial);
			if (client->inbound)
				push_inbound(ks, client->domain_index, client->host_index);
		}
	for (client = ks->clients; client; client = client->next)
		for (i = 0; client->domain && i < client->wants_count; i++)
			push_spi(ks, client, &client->wants[i]);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A receiver's generations over time:
 *
 *            created          activates                      ends
 *   next ──────┤ pushed to      ├── current ── ... ── previous ─┤ retired: wiped
 *              │ receiver, boxes│   senders get SPIs of it   grace
 *
 * Generation g lies in slot g modulo 2 (PSP) or 4 (ESP); a generation is made
 * only when no other one with keys lies there. On disk first, in force second.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/keyserver.h"

#define COMPLAIN_EVERY_S 10

#define SENDER_RATE  4 /* SPIs per second that one host may ask for */
#define SENDER_BURST 64

/*
 * Numbers of generations follow the clock, as SPIs do: one that is drawn anew
 * behind a state directory that was put back from an older copy never bears a
 * number that boxes and hosts know another key by.
 */
#define GENERATION_EPOCH 1767225600 /* 2026-01-01T00:00:00Z */

static unsigned slots_of(const struct hk_ks_domain *domain)
{
	return domain->envelope == HK_ENVELOPE_PSP ? 2 : 4;
}

static struct hk_ks_generation *find(struct hk_ks_receiver *receiver, unsigned state)
{
	unsigned i;

	for (i = 0; i < HK_KS_GENERATIONS; i++)
		if (receiver->rows[i].generation && receiver->rows[i].state == state)
			return &receiver->rows[i];
	return NULL;
}

__s64 hk_ks_not_before_settled(const struct hk_ks *ks, __s64 when)
{
	return when > ks->started + HK_KS_SETTLE_S ? when : ks->started + HK_KS_SETTLE_S;
}

struct hk_ks_generation *hk_ks_current(struct hk_ks *ks, unsigned domain, unsigned host)
{
	return find(&ks->domains[domain].receivers[host], HK_KS_CURRENT);
}

bool hk_ks_waits_for(const struct hk_ks *ks, const struct hk_ks_client *client, unsigned domain,
	unsigned host, const struct hk_ks_generation *row)
{
	if (!client->domain || client->domain_index != domain || client->acked >= row->serial ||
		ks->now - client->sent_at > HK_KS_PATIENCE_S)
		return false;
	return client->who.role == HK_PUSH_BOX ||
	       (client->who.role == HK_PUSH_HOST && client->host_index == host);
}

bool hk_ks_confirmed(
	const struct hk_ks *ks, unsigned domain, unsigned host, const struct hk_ks_generation *row)
{
	const struct hk_ks_client *client;

	for (client = ks->clients; client; client = client->next)
		if (hk_ks_waits_for(ks, client, domain, host, row))
			return false;
	return true;
}

const char *hk_ks_state_name(unsigned state)
{
	static const char *const names[] = {"next", "current", "previous", "retired"};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

/* The row a new generation goes into; NULL: none, or its slot still holds keys. */
static struct hk_ks_generation *free_row(const struct hk_ks_domain *domain, struct hk_ks_receiver *receiver)
{
	unsigned slot = (receiver->newest + 1) % slots_of(domain), i;
	struct hk_ks_generation *row = NULL;

	for (i = 0; i < HK_KS_GENERATIONS; i++) {
		if (!receiver->rows[i].generation)
			row = &receiver->rows[i];
		else if (receiver->rows[i].slot == slot)
			return NULL;
	}
	return row;
}

/* Higher than all before, no lower than the clock, in the slot behind the newest one's; 0: there is none. */
static __u32 next_number(const struct hk_ks_domain *domain, const struct hk_ks_receiver *receiver, __s64 now)
{
	__u64 number = (__u64)receiver->newest + 1, slots = slots_of(domain), slot = number % slots;

	if (now > GENERATION_EPOCH && (__u64)(now - GENERATION_EPOCH) > number)
		number = (__u64)(now - GENERATION_EPOCH);
	number += (slot + slots - number % slots) % slots;
	return number > 0xffffffff ? 0 : (__u32)number;
}

/* A new generation: the first is in force at once, later ones when `ahead` is over. */
static int create(struct hk_ks *ks, unsigned index, unsigned host, struct hk_error *error)
{
	const struct hk_ks_domain *domain = &ks->config->domains[index];
	struct hk_ks_receiver *receiver = &ks->domains[index].receivers[host];
	struct hk_ks_generation *row = free_row(domain, receiver), made = {0};
	bool first = !find(receiver, HK_KS_CURRENT);
	int status;

	made.generation = next_number(domain, receiver, ks->now);
	if (!row || !made.generation)
		return -EAGAIN;
	made.slot = (__u8)(made.generation % slots_of(domain));
	made.state = first ? HK_KS_CURRENT : HK_KS_NEXT;
	made.created = ks->now;
	made.activates = first ? ks->now : hk_ks_not_before_settled(ks, ks->now + domain->ahead);
	if (RAND_priv_bytes(made.enc, 32) != 1 || RAND_priv_bytes(made.auth, 32) != 1 ||
		RAND_priv_bytes(made.reader, 32) != 1)
		return hk_error_set(error, EIO, "the system gives no random numbers");
	status = hk_ks_store_add(ks->store, domain->name, domain->hosts[host].name, &made, error);
	if (!status) {
		made.serial = ++ks->domains[index].serial;
		*row = made;
		receiver->newest = made.generation;
		receiver->order = false;
		hk_log_info("domain %s, host %s: generation %u made, slot %u, in force %s", domain->name,
			domain->hosts[host].name, row->generation, row->slot, first ? "now" : "soon");
	}
	hk_wipe(&made, sizeof(made));
	return status;
}

static int activate(struct hk_ks *ks, unsigned index, unsigned host, struct hk_ks_generation *current,
	struct hk_ks_generation *next, struct hk_error *error)
{
	const struct hk_ks_domain *domain = &ks->config->domains[index];
	__s64 ends = ks->now + domain->grace;
	int status = hk_ks_store_activate(ks->store, domain->name, domain->hosts[host].name,
		current ? current->generation : 0, next->generation, ks->now, ends, error);

	if (status)
		return status;
	if (current) {
		current->state = HK_KS_PREVIOUS;
		current->ends = ends;
	}
	next->state = HK_KS_CURRENT;
	next->activates = ks->now;
	ks->domains[index].serial++; /* the ends that boxes were told of have changed */
	ks->counters[HK_KS_ROTATIONS]++;
	hk_log_info("domain %s, host %s: generation %u is in force", domain->name, domain->hosts[host].name,
		next->generation);
	return 0;
}

static int retire(
	struct hk_ks *ks, unsigned index, unsigned host, struct hk_ks_generation *row, struct hk_error *error)
{
	const struct hk_ks_domain *domain = &ks->config->domains[index];
	int status =
		hk_ks_store_retire(ks->store, domain->name, domain->hosts[host].name, row->generation, error);

	if (status)
		return status;
	hk_log_info("domain %s, host %s: generation %u is retired, its keys are wiped", domain->name,
		domain->hosts[host].name, row->generation);
	hk_wipe(row, sizeof(*row));
	ks->domains[index].serial++;
	return 0;
}

/*
 * Times that the clock cannot have brought about were set by another one: they
 * are no reason to wait. And what came due while nobody could be told is put off
 * until clients are back.
 */
static void adjust_times(
	const struct hk_ks *ks, const struct hk_ks_domain *domain, struct hk_ks_receiver *receiver)
{
	__s64 activates = hk_ks_not_before_settled(ks, ks->now + domain->ahead);
	__s64 ends = hk_ks_not_before_settled(ks, ks->now + domain->grace);
	unsigned i;

	for (i = 0; i < HK_KS_GENERATIONS; i++) {
		struct hk_ks_generation *row = &receiver->rows[i];

		row->activates = row->state != HK_KS_NEXT     ? row->activates
				 : row->activates > activates ? activates
							      : hk_ks_not_before_settled(ks, row->activates);
		row->ends = row->state != HK_KS_PREVIOUS ? row->ends
			    : row->ends > ends		 ? ends
							 : hk_ks_not_before_settled(ks, row->ends);
	}
}

static int step(struct hk_ks *ks, unsigned index, unsigned host, struct hk_error *error)
{
	const struct hk_ks_domain *domain = &ks->config->domains[index];
	struct hk_ks_receiver *receiver = &ks->domains[index].receivers[host];
	struct hk_ks_generation *previous = find(receiver, HK_KS_PREVIOUS), *current, *next;
	int status = 0;

	adjust_times(ks, domain, receiver);
	if (previous && ks->now >= previous->ends)
		status = retire(ks, index, host, previous, error);
	current = find(receiver, HK_KS_CURRENT);
	next = find(receiver, HK_KS_NEXT);
	if (!status && next && ks->now >= next->activates && (hk_ks_confirmed(ks, index, host, next)))
		return activate(ks, index, host, current, next, error);
	if (!status && !next &&
		(!current || receiver->order || current->activates > ks->now ||
			ks->now >= current->activates + domain->lifetime - domain->ahead))
		status = create(ks, index, host, error);
	return status == -EAGAIN ? 0 : status;
}

static void take_order(void *context, const char *domain, const char *host)
{
	struct hk_ks *ks = context;
	unsigned i, j;

	for (i = 0; i < ks->config->domains_count; i++)
		for (j = 0; j < ks->config->domains[i].hosts_count; j++)
			if ((!strcmp(domain, "all") || !strcmp(domain, ks->config->domains[i].name)) &&
				(!strcmp(host, "all") || !strcmp(host, ks->config->domains[i].hosts[j].name)))
				ks->domains[i].receivers[j].order = true;
}

/*
 * Seconds since 1970 that never go back while we run: while the system's clock
 * stands behind what it said before, time goes on at the pace of the monotonic one.
 */
void hk_ks_clock(struct hk_ks *ks, __s64 wall, __s64 monotonic)
{
	__s64 least = ks->now + (ks->now ? monotonic - ks->monotonic : 0);
	bool behind = wall < ks->now;

	if (behind && !ks->clock_behind)
		hk_log_warn("the clock was set back by %lld s: times here go on from where they were",
			(long long)(ks->now - wall));
	ks->clock_behind = behind;
	ks->now = behind ? least : wall;
	ks->monotonic = monotonic;
}

/* The state's disk may be full, or gone: what is in force stays in force, nothing new is given out. */
void hk_ks_complain(struct hk_ks *ks, const struct hk_error *error)
{
	ks->counters[HK_KS_STATE]++;
	if (ks->complained && ks->now - ks->complained < COMPLAIN_EVERY_S)
		return;
	ks->complained = ks->now;
	hk_log_error("%s: the keys in force stay, nothing new is given out until this works", error->text);
}

int hk_ks_tick(struct hk_ks *ks, struct hk_error *error)
{
	int status = hk_ks_store_orders(ks->store, take_order, ks, error);
	unsigned i, j;

	for (i = 0; i < ks->config->domains_count; i++)
		for (j = 0; j < ks->config->domains[i].hosts_count && !status; j++) {
			struct hk_ks_receiver *receiver = &ks->domains[i].receivers[j];

			receiver->tokens += receiver->tokens < SENDER_BURST ? SENDER_RATE : 0;
			status = step(ks, i, j, error);
		}
	if (!status)
		hk_ks_serve(ks);
	return status;
}

static int load_receiver(struct hk_ks *ks, const struct hk_ks_domain *domain, unsigned index, unsigned host,
	struct hk_error *error)
{
	struct hk_ks_receiver *receiver = &ks->domains[index].receivers[host];
	int status = hk_ks_store_load(ks->store, domain->name, domain->hosts[host].name, receiver, error);
	unsigned i;

	if (!status)
		status = hk_ks_number_host(ks, index, host, error);
	receiver->tokens = SENDER_BURST;
	for (i = 0; i < HK_KS_GENERATIONS && !status; i++) {
		receiver->rows[i].serial = 1;
		if (receiver->rows[i].generation &&
			receiver->rows[i].slot != receiver->rows[i].generation % slots_of(domain))
			status = hk_error_set(error, EUCLEAN,
				"domain '%s', host '%s': generation %u is damaged", domain->name,
				domain->hosts[host].name, receiver->rows[i].generation);
	}
	return status;
}

static int load_domain(struct hk_ks *ks, unsigned index, struct hk_error *error)
{
	const struct hk_ks_domain *domain = &ks->config->domains[index];
	char kind[HK_KS_KIND];
	unsigned i;
	int status;

	snprintf(kind, sizeof(kind), "%s %s %u %u", hk_envelope_name(domain->envelope),
		hk_profile_name(domain->profile), domain->variant, domain->mkid);
	status = hk_ks_store_kind(ks->store, domain->name, kind, error);
	if (status)
		return status;
	ks->domains[index].receivers = calloc(domain->hosts_count, sizeof(struct hk_ks_receiver));
	if (!ks->domains[index].receivers)
		return hk_error_set(error, ENOMEM, "no memory for domain '%s'", domain->name);
	ks->domains[index].serial = 1;
	if (domain->profile == HK_PROFILE_SINGLE)
		hk_log_warn("domain %s is single: whoever holds its box's keys can forge", domain->name);
	for (i = 0; i < domain->hosts_count && !status; i++)
		status = load_receiver(ks, domain, index, i, error);
	return status;
}

int hk_ks_start(struct hk_ks *ks, struct hk_error *error)
{
	unsigned i;
	int status = 0;

	ks->started = time(NULL);
	ks->crypto = hk_crypto_new("libcrypto");
	if (!ks->crypto)
		return hk_error_set(error, ENOMEM, "the crypto library does not start");
	for (i = 0; i < ks->config->domains_count && !status; i++)
		status = load_domain(ks, i, error);
	return status;
}

void hk_ks_stop(struct hk_ks *ks)
{
	unsigned i;

	for (i = 0; ks->config && i < ks->config->domains_count; i++) {
		if (ks->domains[i].receivers)
			hk_wipe(ks->domains[i].receivers,
				ks->config->domains[i].hosts_count * sizeof(struct hk_ks_receiver));
		free(ks->domains[i].receivers);
	}
	hk_crypto_free(ks->crypto);
}

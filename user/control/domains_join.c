// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The domains of a configuration together: their numbers, and whatever could make
 * two of them mean the same packet or the same keys.
 */
#include "user/control/reading.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout.h"
#include "user/base/names.h"
#include "user/base/text.h"
#include "user/envelope/envelope.h"

#define WHERE 64

/* --- ids: a name keeps its number, so that verdicts and records of it stay true over a reload --- */

static int previous_id(const struct hk_config *previous, const char *name)
{
	unsigned i;

	for (i = 0; previous && i < previous->domains_count; i++)
		if (name && strcmp(previous->domains[i].name, name) == 0)
			return previous->domains[i].id;
	return -1;
}

static int free_id(const bool *taken, const bool *used_before)
{
	int id;

	for (id = 0; id < HK_DOMAINS_MAX; id++)
		if (!taken[id] && !used_before[id])
			return id;
	for (id = 0; taken[id]; id++)
		;
	return id;
}

static void number_domains(struct hk_config *config, const struct hk_config *previous)
{
	bool taken[HK_DOMAINS_MAX + 1] = {false}, used_before[HK_DOMAINS_MAX] = {false};
	bool numbered[HK_DOMAINS_MAX] = {false};
	unsigned i;
	int id;

	for (i = 0; previous && i < previous->domains_count; i++)
		used_before[previous->domains[i].id] = true;
	for (i = 0; i < config->domains_count; i++) {
		id = previous_id(previous, config->domains[i].name);
		if (id < 0)
			continue;
		config->domains[i].id = (__u16)id;
		taken[id] = numbered[i] = true;
	}
	for (i = 0; i < config->domains_count; i++) {
		if (numbered[i])
			continue;
		id = free_id(taken, used_before);
		config->domains[i].id = (__u16)id;
		taken[id] = true;
	}
}

/* --- the same prefix twice: sorted, so that 65536 of them cost no square --- */

struct claim {
	struct hk_prefix prefix;
	unsigned domain, place;
	__u8 envelope;
};

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int order = memcmp(&x->prefix.address, &y->prefix.address, sizeof(x->prefix.address));

	if (!order)
		order = (int)x->prefix.length - (int)y->prefix.length;
	if (!order)
		order = (int)x->envelope - (int)y->envelope;
	if (!order)
		order = x->domain < y->domain ? -1 : x->domain > y->domain;
	return order ? order : (x->place < y->place ? -1 : 1);
}

static bool same_claim(const struct claim *a, const struct claim *b)
{
	return a->envelope == b->envelope && a->prefix.length == b->prefix.length &&
	       memcmp(&a->prefix.address, &b->prefix.address, sizeof(a->prefix.address)) == 0;
}

static int refuse_claim(struct hk_reading *reading, const struct claim *first, const struct claim *second)
{
	const struct hk_domain_config *domains = reading->config->domains;
	char where[WHERE], text[HK_PREFIX_TEXT];

	snprintf(where, sizeof(where), "domains[%u].receivers[%u]", second->domain, second->place);
	hk_prefix_format(&second->prefix, text);
	if (first->domain == second->domain)
		return hk_reading_refuse(reading, where, "domain %s: receivers: %s stands there twice",
			domains[first->domain].name, text);
	return hk_reading_refuse(reading, where,
		"domain %s: receivers: %s is already in domain %s with the same envelope: a receiver has one",
		domains[second->domain].name, text, domains[first->domain].name);
}

/* ESP and inline keying look alike on the wire: at one receiver, whose packet would it be? */
static bool alike(const struct claim *a, const struct claim *b)
{
	return (a->envelope == HK_ENVELOPE_ESP && b->envelope == HK_ENVELOPE_INLINE) ||
	       (a->envelope == HK_ENVELOPE_INLINE && b->envelope == HK_ENVELOPE_ESP);
}

static int refuse_alike(struct hk_reading *reading, const struct claim *first, const struct claim *second)
{
	const struct hk_domain_config *domains = reading->config->domains;
	char where[WHERE], text[HK_PREFIX_TEXT];

	snprintf(where, sizeof(where), "domains[%u].receivers[%u]", second->domain, second->place);
	hk_prefix_format(&second->prefix, text);
	return hk_reading_refuse(reading, where,
		"domain %s: receivers: %s overlaps domain %s: a receiver has esp or inline, which look alike",
		domains[second->domain].name, text, domains[first->domain].name);
}

/* `claims` are sorted, so the prefixes around one stand on the stack: an envelope has each length once. */
static int check_alike(struct hk_reading *reading, const struct claim *claims, unsigned count)
{
	const struct claim *around[129 * HK_ENVELOPE_MAX];
	unsigned i, k, depth = 0;

	for (i = 0; i < count; i++) {
		while (depth && !hk_prefix_holds(&around[depth - 1]->prefix, &claims[i].prefix.address))
			depth--;
		for (k = 0; k < depth; k++)
			if (alike(around[k], &claims[i]))
				return refuse_alike(reading, around[k], &claims[i]);
		around[depth++] = &claims[i];
	}
	return 0;
}

static int check_claims(struct hk_reading *reading, struct claim *claims, unsigned count)
{
	const struct hk_domain_config *domain;
	unsigned d, p, n = 0, i;

	for (d = 0; d < reading->config->domains_count; d++) {
		domain = &reading->config->domains[d];
		for (p = 0; p < domain->receivers_count; p++)
			claims[n++] = (struct claim){domain->receivers[p], d, p, domain->envelope};
	}
	qsort(claims, count, sizeof(*claims), compare_claims);
	for (i = 1; i < count; i++)
		if (same_claim(&claims[i - 1], &claims[i]))
			return refuse_claim(reading, &claims[i - 1], &claims[i]);
	return check_alike(reading, claims, count);
}

static int check_receivers(struct hk_reading *reading)
{
	struct claim *claims;
	unsigned d, count = 0;
	int code;

	for (d = 0; d < reading->config->domains_count; d++)
		count += reading->config->domains[d].receivers_count;
	if (count > HK_MAP_RECEIVERS_MAX)
		return hk_reading_refuse(reading, "domains", "%u receivers in all domains, the box takes %u",
			count, HK_MAP_RECEIVERS_MAX);
	claims = calloc(count ? count : 1, sizeof(*claims));
	if (!claims)
		return hk_reading_refuse(reading, "domains", "out of memory");
	code = check_claims(reading, claims, count);
	free(claims);
	return code;
}

static bool same_directory(const char *a, const char *b)
{
	size_t a_length = strlen(a), b_length = strlen(b);

	while (a_length > 1 && a[a_length - 1] == '/')
		a_length--;
	while (b_length > 1 && b[b_length - 1] == '/')
		b_length--;
	return a_length == b_length && strncmp(a, b, a_length) == 0;
}

/* A file in it says keys of one domain: whose would it be? */
static int check_directories(struct hk_reading *reading)
{
	const struct hk_domain_config *domains = reading->config->domains;
	char where[WHERE];
	unsigned i, j;

	for (i = 0; i < reading->config->domains_count; i++)
		for (j = 0; domains[i].keys_dir && j < i; j++)
			if (domains[j].keys_dir && same_directory(domains[i].keys_dir, domains[j].keys_dir)) {
				snprintf(where, sizeof(where), "domains[%u].keys-dir", i);
				return hk_reading_refuse(reading, where,
					"domain %s: keys-dir: %s is that of domain %s: give each a directory "
					"of its own",
					domains[i].name, domains[i].keys_dir, domains[j].name);
			}
	return 0;
}

/* Whose packets come as an IP protocol of its own choice. */
static bool has_own_protocol(const struct hk_domain_config *domain)
{
	return domain->carrier &&
	       (domain->envelope == HK_ENVELOPE_TSS || domain->envelope == HK_ENVELOPE_EESP);
}

/* One IP protocol number means one envelope: the parser could not tell two apart. */
static int check_protocols(struct hk_reading *reading)
{
	const struct hk_domain_config *domains = reading->config->domains;
	unsigned i, j;
	char where[WHERE];

	for (i = 0; i < reading->config->domains_count; i++)
		for (j = 0; has_own_protocol(&domains[i]) && j < i; j++)
			if (has_own_protocol(&domains[j]) && domains[i].envelope != domains[j].envelope &&
				domains[i].carrier == domains[j].carrier) {
				snprintf(where, sizeof(where), "domains[%u]", i);
				return hk_reading_refuse(reading, where,
					"domain %s: IP protocol %u is that of domain %s with another "
					"envelope: "
					"give one of them another `protocol`",
					domains[i].name, domains[i].carrier, domains[j].name);
			}
	return 0;
}

int hk_domains_join(struct hk_reading *reading)
{
	int code;

	number_domains(reading->config, reading->previous);
	code = check_protocols(reading);
	if (!code)
		code = check_directories(reading);
	return code ? code : check_receivers(reading);
}

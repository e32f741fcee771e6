// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The receivers map's content: see outer.h.
 *
 * The kernel looks a destination up once and gets the longest prefix only. So
 * each entry must say everything about the addresses it matches: sorted with
 * parents before their children, an entry starts as a copy of the nearest
 * prefix around it and adds its own domains.
 *
 * IPv4 lies inside the IPv6 address space of the map, yet ::/0 in a
 * configuration means IPv6 alone: nothing is copied across, and where an IPv6
 * prefix covers ::ffff:0:0/96 an empty entry for it stops the lookup there.
 */
#include "user/envelope/outer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout.h"
#include "user/base/text.h"

#define IP4_BITS 96 /* IPv4 addresses begin behind so many bits */

struct declaration {
	struct hk_prefix prefix;
	const struct hk_domain_config *domain;
};

/* IPv4 first, so that the chain of prefixes around one never mixes both. */
static int compare_declarations(const void *left, const void *right)
{
	const struct declaration *a = left, *b = right;
	int order = hk_address_is_v4(&b->prefix.address) - hk_address_is_v4(&a->prefix.address);

	if (order)
		return order;
	order = memcmp(&a->prefix.address, &b->prefix.address, sizeof(a->prefix.address));

	return order ? order : (int)a->prefix.length - (int)b->prefix.length;
}

static int compare_entries(const void *left, const void *right)
{
	const struct hk_receiver_entry *a = left, *b = right;

	if (a->key.prefixlen != b->key.prefixlen)
		return a->key.prefixlen > b->key.prefixlen ? -1 : 1;
	return memcmp(&a->key.address, &b->key.address, sizeof(a->key.address));
}

/* All (prefix, domain) pairs, parents first. Caller frees; NULL when there is no memory. */
static struct declaration *list_declarations(const struct hk_config *config, size_t *count)
{
	struct declaration *list;
	unsigned i, j;

	*count = 0;
	for (i = 0; i < config->domains_count; i++)
		*count += config->domains[i].receivers_count;
	list = calloc(*count + 1, sizeof(*list));
	if (!list)
		return NULL;
	*count = 0;
	for (i = 0; i < config->domains_count; i++)
		for (j = 0; j < config->domains[i].receivers_count; j++)
			list[(*count)++] = (struct declaration){
				.prefix = config->domains[i].receivers[j], .domain = &config->domains[i]};
	qsort(list, *count, sizeof(*list), compare_declarations);
	return list;
}

static bool same_prefix(const struct hk_receiver_entry *entry, const struct hk_prefix *prefix)
{
	return entry->key.prefixlen == prefix->length &&
	       memcmp(&entry->key.address, &prefix->address, sizeof(prefix->address)) == 0;
}

static bool entry_holds(const struct hk_receiver_entry *entry, const struct hk_prefix *prefix)
{
	struct hk_prefix own = {.address = entry->key.address, .length = (__u8)entry->key.prefixlen};

	return own.length <= prefix->length && hk_prefix_holds(&own, &prefix->address);
}

static void entry_start(struct hk_receiver_entry *entry, const struct hk_prefix *prefix,
	const struct hk_receiver_entry *around)
{
	unsigned i;

	memset(entry, 0, sizeof(*entry));
	if (around)
		entry->value = around->value;
	else
		for (i = 0; i < HK_ENVELOPE_MAX; i++)
			entry->value.domain[i] = HK_NO_DOMAIN;
	entry->key.prefixlen = prefix->length;
	entry->key.address = prefix->address;
}

static void entry_declare(struct hk_receiver_entry *entry, const struct hk_domain_config *domain)
{
	entry->value.domain[domain->envelope] = domain->id;
	entry->value.flags[domain->envelope] = domain->flow_per_spi ? HK_RECEIVER_FLOW_PER_SPI : 0;
	entry->value.suite[domain->envelope] = domain->suite;
	entry->value.carrier[domain->envelope] = domain->carrier;
	entry->value.options[domain->envelope] = domain->options;
	if (domain->envelope == HK_ENVELOPE_TLS)
		memcpy(entry->value.tls_ports, domain->tls.ports, sizeof(entry->value.tls_ports));
}

/* One prefix in two domains of the same envelope: whose keys would it be? */
static bool declared_twice(const struct declaration *list, size_t i)
{
	size_t j;

	for (j = i; j > 0 && compare_declarations(&list[j - 1], &list[i]) == 0; j--)
		if (list[j - 1].domain != list[i].domain &&
			list[j - 1].domain->envelope == list[i].domain->envelope)
			return true;
	return false;
}

/*
 * `out` has room for `count` entries. `around` is the chain of prefixes around
 * the current one, innermost last: at most one per length.
 */
static int fill_entries(const struct declaration *list, size_t count, struct hk_receiver_entry *out)
{
	struct hk_receiver_entry *around[129];
	unsigned depth = 0;
	int entries = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		if (list[i].prefix.length > 128 || list[i].domain->envelope >= HK_ENVELOPE_MAX)
			return -EINVAL;
		if (declared_twice(list, i))
			return -EEXIST;
		while (depth && !entry_holds(around[depth - 1], &list[i].prefix))
			depth--;
		if (!depth || !same_prefix(around[depth - 1], &list[i].prefix)) {
			entry_start(&out[entries], &list[i].prefix, depth ? around[depth - 1] : NULL);
			around[depth++] = &out[entries++];
		}
		entry_declare(around[depth - 1], list[i].domain);
	}
	return entries;
}

static bool covers_ip4(const struct hk_receiver_entry *entry)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned bit;

	if (entry->key.prefixlen >= IP4_BITS)
		return false;
	for (bit = 0; bit < entry->key.prefixlen; bit++)
		if ((entry->key.address.bytes[bit / 8] ^ mapped[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

/* The empty entry for ::ffff:0:0/96, where it is needed and 0.0.0.0/0 is not declared. */
static int fence_ip4(struct hk_receiver_entry *entries, int count)
{
	struct hk_prefix ip4 = {.address = {.bytes = {[10] = 0xff, [11] = 0xff}}, .length = IP4_BITS};
	bool covered = false;
	int i;

	for (i = 0; i < count; i++) {
		if (same_prefix(&entries[i], &ip4))
			return count;
		covered |= covers_ip4(&entries[i]);
	}
	if (!covered)
		return count;
	entry_start(&entries[count], &ip4, NULL);
	return count + 1;
}

int hk_receivers_build(const struct hk_config *config, struct hk_receiver_entry **out)
{
	struct hk_receiver_entry *entries = NULL;
	struct declaration *list;
	int result = -ENOMEM;
	size_t count;

	list = list_declarations(config, &count);
	if (list)
		entries = calloc(count + 1, sizeof(*entries));
	if (!entries)
		goto out;
	result = fill_entries(list, count, entries);
	if (result >= 0)
		result = fence_ip4(entries, result);
	if (result > HK_MAP_RECEIVERS_MAX)
		result = -E2BIG;
	if (result < 0)
		goto out;
	qsort(entries, (size_t)result, sizeof(*entries), compare_entries);
	*out = entries;
	entries = NULL;
out:
	free(entries);
	free(list);
	return result;
}

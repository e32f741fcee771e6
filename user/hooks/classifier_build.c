// SPDX-License-Identifier: GPL-2.0-or-later
/* Selectors become the classifier's tables, field by field, group by group. See classifier.h. */
#include <stdlib.h>
#include <string.h>

#include <halfkey/envelope.h>

#include "user/hooks/classifier_table.h"

#define GROUPS	16  /* by which of the first four fields a selector looks at */
#define GROUPED 256 /* fewer selectors are few words as they are */

static bool looks_at(const struct hk_selector *s, enum hk_classifier_field field)
{
	switch (field) {
	case SOURCE: return s->sources != NULL;
	case DESTINATION: return s->destinations != NULL;
	case SOURCE_PORT: return s->source_ports != NULL;
	case DESTINATION_PORT: return s->destination_ports != NULL;
	case PROTOCOL: return !s->any_protocol;
	case DOMAIN_AUTH: return s->domains || s->auth != HK_SELECTOR_ANY_AUTH;
	}
	return false;
}

static int compile_any(struct hk_classifier *c, enum hk_classifier_field field,
	const struct hk_selector *selectors, unsigned count)
{
	unsigned i;

	c->any[field] = calloc(c->rows.words, sizeof(__u64));
	c->any_summary[field] = calloc(c->rows.summaries, sizeof(__u64));
	if (!c->any[field] || !c->any_summary[field])
		return -1;
	for (i = 0; i < count; i++) {
		if (looks_at(&selectors[i], field))
			continue;
		hk_bits_set(c->any[field], i);
		hk_bits_set(c->any_summary[field], i / 64);
	}
	return 0;
}

static hk_value address_value(const struct hk_address *address)
{
	hk_value value = 0;
	unsigned i;

	for (i = 0; i < 16; i++)
		value = value << 8 | address->bytes[i];
	return hk_address_is_v4(address) ? (__u32)value : value;
}

static int add_prefixes(
	struct hk_ranges *ranges, const struct hk_prefix *prefixes, unsigned count, bool v4, __u32 selector)
{
	unsigned i, host;
	hk_value first, last;

	for (i = 0; i < count; i++) {
		if (hk_address_is_v4(&prefixes[i].address) != v4)
			continue;
		first = address_value(&prefixes[i].address);
		host = 128 - prefixes[i].length;
		last = host == 128 ? ~(hk_value)0 : first | (((hk_value)1 << host) - 1);
		if (hk_ranges_add(ranges, first, last, selector))
			return -1;
	}
	return 0;
}

static int compile_family(struct hk_intervals *out, struct hk_classifier *c, enum hk_classifier_field field,
	bool v4, const struct hk_selector *selectors, unsigned count)
{
	struct hk_ranges ranges = {.list = NULL};
	unsigned i;

	for (i = 0; i < count; i++) {
		const struct hk_selector *s = &selectors[i];
		bool source = field == SOURCE;

		if (add_prefixes(&ranges, source ? s->sources : s->destinations,
			    source ? s->sources_count : s->destinations_count, v4, i)) {
			free(ranges.list);
			return -1;
		}
	}
	return hk_ranges_compile(out, &ranges, v4 ? 0xffffffff : ~(hk_value)0, &c->rows);
}

static int compile_addresses(struct hk_classifier *c, enum hk_classifier_field field,
	const struct hk_selector *selectors, unsigned count)
{
	struct hk_classifier_addresses *addresses = &c->addresses[field - SOURCE];
	struct hk_intervals four;
	size_t i;

	if (compile_family(&addresses->six, c, field, false, selectors, count) ||
		compile_family(&four, c, field, true, selectors, count))
		return -1;
	addresses->count4 = four.count;
	addresses->rows4 = four.rows;
	addresses->starts4 = malloc(four.count * sizeof(*addresses->starts4));
	for (i = 0; i < four.count && addresses->starts4; i++)
		addresses->starts4[i] = (__u32)four.starts[i];
	free(four.starts);
	return addresses->starts4 ? 0 : -1;
}

static int add_ports(
	struct hk_ranges *ranges, const struct hk_port_range *ports, unsigned count, __u32 selector)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (hk_ranges_add(ranges, ports[i].first, ports[i].last, selector))
			return -1;
	return 0;
}

/* The row in which no selector is satisfied. */
static __u32 empty_row(struct hk_classifier *c)
{
	__u64 *bits = calloc(c->rows.words, sizeof(*bits));
	__u32 row = bits ? hk_rows_intern(&c->rows, bits) : HK_ROWS_FAILED;

	free(bits);
	return row;
}

static int compile_ports(struct hk_classifier *c, enum hk_classifier_field field,
	const struct hk_selector *selectors, unsigned count)
{
	struct hk_ranges ranges = {.list = NULL};
	struct hk_intervals intervals;
	__u32 *table = malloc((NO_PORTS + 1) * sizeof(*table));
	size_t i, at = 0;

	c->ports[field - SOURCE_PORT] = table;
	for (i = 0; i < count; i++) {
		const struct hk_selector *s = &selectors[i];
		bool source = field == SOURCE_PORT;

		if (!table ||
			add_ports(&ranges, source ? s->source_ports : s->destination_ports,
				source ? s->source_ports_count : s->destination_ports_count, (__u32)i)) {
			free(ranges.list);
			return -1;
		}
	}
	if (!table || hk_ranges_compile(&intervals, &ranges, 65535, &c->rows))
		return -1;
	for (i = 0; i < NO_PORTS; i++) {
		while (at + 1 < intervals.count && intervals.starts[at + 1] <= i)
			at++;
		table[i] = intervals.rows[at];
	}
	table[NO_PORTS] = empty_row(c);
	hk_intervals_free(&intervals);
	return table[NO_PORTS] == HK_ROWS_FAILED ? -1 : 0;
}

static int compile_protocols(struct hk_classifier *c, const struct hk_selector *selectors, unsigned count)
{
	__u64 *bits = malloc(c->rows.words * sizeof(*bits));
	unsigned protocol, i;

	for (protocol = 0; protocol < 256 && bits; protocol++) {
		memset(bits, 0, c->rows.words * sizeof(*bits));
		for (i = 0; i < count; i++)
			if (!selectors[i].any_protocol &&
				(selectors[i].protocols[protocol / 8] >> (protocol % 8) & 1))
				hk_bits_set(bits, i);
		c->protocols[protocol] = hk_rows_intern(&c->rows, bits);
		if (c->protocols[protocol] == HK_ROWS_FAILED)
			break;
	}
	free(bits);
	return bits && protocol == 256 ? 0 : -1;
}

static int by_number(const void *a, const void *b)
{
	return *(const __u16 *)a - *(const __u16 *)b;
}

static int collect_domains(struct hk_classifier *c, const struct hk_selector *selectors, unsigned count)
{
	size_t total = 0, i, kept = 0;

	for (i = 0; i < count; i++)
		total += selectors[i].domains_count;
	c->domains = malloc((total + 1) * sizeof(*c->domains));
	if (!c->domains)
		return -1;
	for (i = 0, total = 0; i < count; i++) {
		if (selectors[i].domains_count)
			memcpy(c->domains + total, selectors[i].domains,
				selectors[i].domains_count * sizeof(*c->domains));
		total += selectors[i].domains_count;
	}
	qsort(c->domains, total, sizeof(*c->domains), by_number);
	for (i = 0; i < total; i++)
		if (!kept || c->domains[kept - 1] != c->domains[i])
			c->domains[kept++] = c->domains[i];
	c->domains_count = kept;
	return 0;
}

static bool names_domain(const struct hk_selector *s, const __u16 *domain)
{
	unsigned i;

	for (i = 0; i < s->domains_count && domain; i++)
		if (s->domains[i] == *domain)
			return true;
	return !s->domains;
}

static int compile_domains(struct hk_classifier *c, const struct hk_selector *selectors, unsigned count)
{
	__u64 *bits = malloc(c->rows.words * sizeof(*bits));
	size_t place, rows;
	unsigned i;
	int code = -1;

	if (!bits || collect_domains(c, selectors, count))
		goto out;
	rows = HK_AUTH_COUNT * (c->domains_count + 1);
	c->domain_rows = malloc(rows * sizeof(*c->domain_rows));
	if (!c->domain_rows)
		goto out;
	for (place = 0; place < rows; place++) {
		const __u16 *domain =
			place / HK_AUTH_COUNT < c->domains_count ? &c->domains[place / HK_AUTH_COUNT] : NULL;

		memset(bits, 0, c->rows.words * sizeof(*bits));
		for (i = 0; i < count; i++)
			if (looks_at(&selectors[i], DOMAIN_AUTH) &&
				(selectors[i].auth >> (place % HK_AUTH_COUNT) & 1) &&
				names_domain(&selectors[i], domain))
				hk_bits_set(bits, i);
		c->domain_rows[place] = hk_rows_intern(&c->rows, bits);
		if (c->domain_rows[place] == HK_ROWS_FAILED)
			goto out;
	}
	code = 0;
out:
	free(bits);
	return code;
}

static int compile(struct hk_classifier *c, const struct hk_selector *selectors, unsigned count)
{
	enum hk_classifier_field field;

	for (field = SOURCE; field <= DOMAIN_AUTH; field++)
		if (compile_any(c, field, selectors, count))
			return -1;
	if (compile_addresses(c, SOURCE, selectors, count) ||
		compile_addresses(c, DESTINATION, selectors, count))
		return -1;
	if (compile_ports(c, SOURCE_PORT, selectors, count) ||
		compile_ports(c, DESTINATION_PORT, selectors, count))
		return -1;
	return compile_protocols(c, selectors, count) || compile_domains(c, selectors, count) ? -1 : 0;
}

static unsigned group_of(const struct hk_selector *s, unsigned count)
{
	unsigned group = 0;
	enum hk_classifier_field field;

	for (field = SOURCE; field <= DESTINATION_PORT && count > GROUPED; field++)
		group |= (unsigned)looks_at(s, field) << field;
	return group;
}

/* Looks at every field and is satisfied by nothing: fills a group's last word. */
static struct hk_selector padding(void)
{
	static struct hk_prefix no_prefix;
	static struct hk_port_range no_port;
	static __u16 no_domain;

	return (struct hk_selector){.sources = &no_prefix,
		.destinations = &no_prefix,
		.source_ports = &no_port,
		.destination_ports = &no_port,
		.domains = &no_domain};
}

static void end_group(struct hk_classifier *c, struct hk_selector *places, unsigned first, unsigned *used)
{
	unsigned w;

	while (*used % 64) {
		places[*used] = padding();
		c->numbers[(*used)++] = NO_SELECTOR;
	}
	for (w = first / 64; w < *used / 64; w++)
		c->ends[w] = *used / 64;
}

/* The selectors as they are stored: shallow copies in groups that begin at whole words. Caller frees. */
static struct hk_selector *group(
	struct hk_classifier *c, const struct hk_selector *selectors, unsigned count, unsigned *places_count)
{
	size_t room = (count / 64 + 1 + GROUPS) * 64ul;
	struct hk_selector *places = calloc(room, sizeof(*places));
	unsigned used = 0, first, g, i;

	c->numbers = calloc(room, sizeof(*c->numbers));
	c->ends = calloc(room / 64, sizeof(*c->ends));
	for (g = 0; g < GROUPS && places && c->numbers && c->ends; g++) {
		first = used;
		for (i = 0; i < count; i++) {
			if (group_of(&selectors[i], count) != g)
				continue;
			places[used] = selectors[i];
			c->numbers[used++] = i;
		}
		end_group(c, places, first, &used);
	}
	*places_count = used;
	return places;
}

int hk_classifier_build(struct hk_classifier *c, const struct hk_selector *selectors, unsigned count)
{
	unsigned places_count;
	struct hk_selector *places = group(c, selectors, count, &places_count);
	int code = -1;

	if (places && c->numbers && c->ends && !hk_rows_init(&c->rows, places_count ? places_count / 64 : 1))
		code = compile(c, places, places_count);
	free(places);
	return code;
}

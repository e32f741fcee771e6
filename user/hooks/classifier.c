// SPDX-License-Identifier: GPL-2.0-or-later
/* The classifier: compiling the fields, and the lookup. See classifier.h. */
#include "user/hooks/classifier.h"

#include <stdlib.h>
#include <string.h>

#include <halfkey/envelope.h>

#include "user/hooks/classifier_ranges.h"
#include "user/hooks/classifier_rows.h"

enum field { SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, PROTOCOL, DOMAIN_AUTH };

#define NO_SELECTOR 0xffffffffu
#define GROUPS	    16	  /* by which of the first four fields a selector looks at */
#define GROUPED	    256	  /* fewer selectors are few words as they are */
#define NO_PORTS    65536 /* the row of packets without ports */

/* IPv4 gets a table of its own: small keys, half the steps. */
struct addresses {
	__u32 *starts4;
	__u32 *rows4;
	size_t count4;
	struct hk_intervals six;
};

struct hk_classifier {
	struct hk_rows rows;
	__u32 *numbers; /* of the selectors, by place: ascending within a group; NO_SELECTOR: padding */
	__u32 *ends;	/* by word: the word behind its group */
	/* selectors that do not look at the field, and which of its words are not 0 */
	__u64 *any[HK_CLASSIFIER_FIELDS];
	__u64 *any_summary[HK_CLASSIFIER_FIELDS];
	struct addresses addresses[2]; /* SOURCE, DESTINATION */
	__u32 *ports[2];	       /* SOURCE_PORT, DESTINATION_PORT: 65536 rows and NO_PORTS */
	__u32 protocols[256];
	__u16 *domains; /* that any selector names, sorted */
	size_t domains_count;
	__u32 *domain_rows; /* [domains_count + 1][2]: by mark; the last for all other domains */
};

/* --- compiling ------------------------------------------------------------------------------- */

static bool looks_at(const struct hk_selector *s, enum field field)
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

static int compile_any(
	struct hk_classifier *c, enum field field, const struct hk_selector *selectors, unsigned count)
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

static int compile_family(struct hk_intervals *out, struct hk_classifier *c, enum field field, bool v4,
	const struct hk_selector *selectors, unsigned count)
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

static int compile_addresses(
	struct hk_classifier *c, enum field field, const struct hk_selector *selectors, unsigned count)
{
	struct addresses *addresses = &c->addresses[field - SOURCE];
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

static int compile_ports(
	struct hk_classifier *c, enum field field, const struct hk_selector *selectors, unsigned count)
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
	enum field field;

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
	enum field field;

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

static int build(struct hk_classifier *c, const struct hk_selector *selectors, unsigned count)
{
	unsigned places_count;
	struct hk_selector *places = group(c, selectors, count, &places_count);
	int code = -1;

	if (places && c->numbers && c->ends && !hk_rows_init(&c->rows, places_count ? places_count / 64 : 1))
		code = compile(c, places, places_count);
	free(places);
	return code;
}

int hk_classifier_new(struct hk_classifier **out, const struct hk_selector *selectors, unsigned count,
	struct hk_hooks_refusal *refusal)
{
	struct hk_classifier *c;

	*out = NULL;
	if (count > HK_CLASSIFIER_MAX)
		return hk_hooks_refuse(
			refusal, "%u rules, at most %u fit: merge some", count, HK_CLASSIFIER_MAX);
	c = calloc(1, sizeof(*c));
	if (!c || build(c, selectors, count)) {
		hk_classifier_free(c);
		return hk_hooks_refuse(refusal,
			"%u rules need more memory than there is or than 512 MiB: name fewer nested prefixes "
			"and ranges",
			count);
	}
	hk_rows_finish(&c->rows);
	*out = c;
	return 0;
}

void hk_classifier_free(struct hk_classifier *c)
{
	unsigned i;

	if (!c)
		return;
	for (i = 0; i < HK_CLASSIFIER_FIELDS; i++) {
		free(c->any[i]);
		free(c->any_summary[i]);
	}
	for (i = 0; i < 2; i++) {
		free(c->addresses[i].starts4);
		free(c->addresses[i].rows4);
		hk_intervals_free(&c->addresses[i].six);
		free(c->ports[i]);
	}
	free(c->numbers);
	free(c->ends);
	free(c->domains);
	free(c->domain_rows);
	hk_rows_free(&c->rows);
	free(c);
}

/* --- the packet path ------------------------------------------------------------------------- */

static __u32 find4(const struct addresses *addresses, __u32 address)
{
	const __u32 *base = addresses->starts4;
	size_t left = addresses->count4;

	while (left > 1) {
		size_t half = left / 2;

		base = base[half] <= address ? base + half : base;
		left -= half;
	}
	return addresses->rows4[base - addresses->starts4];
}

static __u32 find6(const struct hk_intervals *six, hk_value address)
{
	const hk_value *base = six->starts;
	size_t left = six->count;

	while (left > 1) {
		size_t half = left / 2;

		base = base[half] <= address ? base + half : base;
		left -= half;
	}
	return six->rows[base - six->starts];
}

static __u32 find_address(const struct addresses *addresses, const struct hk_address *address)
{
	__u64 high, low;

	memcpy(&high, address->bytes, 8);
	memcpy(&low, address->bytes + 8, 8);
	high = __builtin_bswap64(high);
	low = __builtin_bswap64(low);
	if (high == 0 && low >> 32 == 0xffff)
		return find4(addresses, (__u32)low);
	return find6(&addresses->six, (hk_value)high << 64 | low);
}

static __u32 find_domain(const struct hk_classifier *c, __u16 domain, unsigned auth)
{
	size_t low = 0, high = c->domains_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->domains[middle] == domain)
			return c->domain_rows[HK_AUTH_COUNT * middle + auth];
		if (c->domains[middle] < domain)
			low = middle + 1;
		else
			high = middle;
	}
	return c->domain_rows[HK_AUTH_COUNT * c->domains_count + auth];
}

void hk_classifier_look_up(
	const struct hk_classifier *c, const struct hk_hook_packet *packet, struct hk_classifier_key *key)
{
	bool ports = hk_packet_has_ports(packet);
	unsigned i;

	key->own[SOURCE] = c->rows.arena + find_address(&c->addresses[0], &packet->src);
	key->own[DESTINATION] = c->rows.arena + find_address(&c->addresses[1], &packet->dst);
	key->own[SOURCE_PORT] = c->rows.arena + c->ports[0][ports ? packet->src_port : NO_PORTS];
	key->own[DESTINATION_PORT] = c->rows.arena + c->ports[1][ports ? packet->dst_port : NO_PORTS];
	key->own[PROTOCOL] = c->rows.arena + c->protocols[packet->protocol];
	key->own[DOMAIN_AUTH] = c->rows.arena + find_domain(c, packet->domain, hk_selector_auth(packet));
	for (i = 0; i < HK_CLASSIFIER_FIELDS; i++)
		__builtin_prefetch(key->own[i]);
}

/* Word `w` of a row: how many of its words come before it says where it lies. */
static __u64 own_word(const __u64 *own, unsigned summaries, unsigned w)
{
	unsigned rank = summaries, i;
	__u64 here = own[w / 64];

	if (!(here >> (w % 64) & 1))
		return 0;
	for (i = 0; i < w / 64; i++)
		rank += (unsigned)__builtin_popcountll(own[i]);
	rank += (unsigned)__builtin_popcountll(here & ((1ull << w % 64) - 1));
	return own[rank];
}

static __u64 match_word(const struct hk_classifier *c, const struct hk_classifier_key *key, unsigned w)
{
	__u64 bits = ~0ull;
	unsigned field;

	for (field = 0; field < HK_CLASSIFIER_FIELDS && bits; field++)
		bits &= c->any[field][w] | own_word(key->own[field], c->rows.summaries, w);
	return bits;
}

static __u64 match_summary(const struct hk_classifier *c, const struct hk_classifier_key *key, unsigned s)
{
	__u64 bits = ~0ull;
	unsigned field;

	for (field = 0; field < HK_CLASSIFIER_FIELDS; field++)
		bits &= c->any_summary[field][s] | key->own[field][s];
	return bits;
}

/* The first number from `from` on in one word's matches; numbers ascend within a word. */
static __u32 first_number(const struct hk_classifier *c, unsigned w, __u64 bits, unsigned from)
{
	for (; bits; bits &= bits - 1) {
		__u32 number = c->numbers[w * 64 + (unsigned)__builtin_ctzll(bits)];

		if (number >= from)
			return number;
	}
	return NO_SELECTOR;
}

int hk_classifier_next(const struct hk_classifier *c, const struct hk_classifier_key *key, unsigned from)
{
	__u32 best = NO_SELECTOR;
	unsigned start = 0, s;

	for (s = 0; s < c->rows.summaries; s++) {
		__u64 words = match_summary(c, key, s);

		for (; words; words &= words - 1) {
			unsigned w = s * 64 + (unsigned)__builtin_ctzll(words);
			__u32 number;

			/* behind a group's first match, and behind the best one, there is nothing to win */
			if (w < start || c->numbers[w * 64] >= best)
				continue;
			number = first_number(c, w, match_word(c, key, w), from);
			if (number == NO_SELECTOR)
				continue;
			best = number < best ? number : best;
			start = c->ends[w];
		}
	}
	return best == NO_SELECTOR ? -1 : (int)best;
}

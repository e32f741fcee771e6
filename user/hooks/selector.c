// SPDX-License-Identifier: GPL-2.0-or-later
/* Selectors: their text and their meaning. See selector.h. */
#include "user/hooks/selector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/envelope.h>

#include "user/base/text.h"
#include "user/hooks/prefix.h"

#define LIST_MAX 64   /* elements of one list */
#define TEXT_MAX 4096 /* bytes of one list */

#define FIELD(key, member)      \
	CYAML_FIELD_STRING_PTR( \
		key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct hk_selector_text, member, 0, TEXT_MAX)

const cyaml_schema_field_t hk_selector_schema[] = {FIELD("source", source), FIELD("destination", destination),
	FIELD("protocol", protocol), FIELD("source-port", source_port),
	FIELD("destination-port", destination_port), FIELD("domain", domain), FIELD("auth", auth),
	CYAML_FIELD_END};

/* What reading one list needs to know for its refusals, and where its elements go. */
struct list {
	const char *who;
	const char *key;
	const struct hk_hook_setup *setup;
	struct hk_hooks_refusal *refusal;
	unsigned count;
	union {
		struct hk_prefix prefixes[LIST_MAX];
		struct hk_port_range ports[LIST_MAX];
		__u16 domains[LIST_MAX];
		__u8 protocols[32];
	};
};

static int refuse_element(const struct list *list, const char *element, const char *what)
{
	return hk_hooks_refuse(list->refusal, "%s: %s: \"%.60s\" %s", list->who, list->key, element, what);
}

static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length && strchr(" \t", text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* Calls `element` for each comma-separated piece. */
static int each(struct list *list, const char *key, const char *text,
	int (*element)(struct list *list, const char *piece))
{
	char copy[TEXT_MAX + 1], *rest = copy, *piece;

	list->key = key;
	list->count = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	while ((piece = strsep(&rest, ","))) {
		if (list->count == LIST_MAX)
			return hk_hooks_refuse(list->refusal, "%s: %s lists more than %d: split the rule",
				list->who, list->key, LIST_MAX);
		if (element(list, trim(piece)))
			return -1;
		list->count++;
	}
	return 0;
}

static int prefix_element(struct list *list, const char *piece)
{
	const char *why = hk_hooks_prefix_read(piece, &list->prefixes[list->count]);

	return why ? refuse_element(list, piece, why) : 0;
}

static int port_element(struct list *list, const char *piece)
{
	struct hk_port_range *range = &list->ports[list->count];
	size_t size = strcspn(piece, "-");
	unsigned long first, last;
	char text[8];

	if (size >= sizeof(text))
		return refuse_element(list, piece, "is no port: write 0..65535 or a range 1024-65535");
	memcpy(text, piece, size);
	text[size] = '\0';
	if (hk_hooks_number_read(text, 65535, &first))
		return refuse_element(list, piece, "is no port: write 0..65535 or a range 1024-65535");
	last = first;
	if (piece[size] && (hk_hooks_number_read(piece + size + 1, 65535, &last) || last < first))
		return refuse_element(list, piece, "is no range of ports: write 1024-65535");
	*range = (struct hk_port_range){.first = (__u16)first, .last = (__u16)last};
	return 0;
}

static int protocol_element(struct list *list, const char *piece)
{
	static const struct {
		const char *name;
		unsigned long number;
	} known[] = {{"icmp", 1}, {"igmp", 2}, {"tcp", 6}, {"udp", 17}, {"dccp", 33}, {"gre", 47},
		{"esp", 50}, {"icmp6", 58}, {"icmpv6", 58}, {"ospf", 89}, {"sctp", 132}, {"udplite", 136}};
	unsigned long number = 256;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(piece, known[i].name) == 0)
			number = known[i].number;
	if (number == 256 && hk_hooks_number_read(piece, 255, &number))
		return refuse_element(list, piece,
			"is no protocol: write tcp, udp, icmp, icmp6, sctp, dccp, udplite, gre, esp, igmp, "
			"ospf or 0..255");
	list->protocols[number / 8] |= (__u8)(1 << number % 8);
	return 0;
}

static int domain_element(struct list *list, const char *piece)
{
	int id = list->setup->domain_id ? list->setup->domain_id(list->setup->core, piece) : -1;

	if (id < 0 || id > 0xffff)
		return refuse_element(list, piece, "is no domain of the configuration");
	list->domains[list->count] = (__u16)id;
	return 0;
}

static int keep(void **to, __u16 *count, const struct list *list, const void *elements, size_t size)
{
	*to = malloc(list->count * size);
	if (!*to)
		return hk_hooks_refuse(list->refusal, "%s: out of memory", list->who);
	memcpy(*to, elements, list->count * size);
	*count = (__u16)list->count;
	return 0;
}

static int parse_prefixes(
	struct hk_prefix **to, __u16 *count, const char *key, const char *text, struct list *list)
{
	if (!text)
		return 0;
	if (each(list, key, text, prefix_element))
		return -1;
	return keep((void **)to, count, list, list->prefixes, sizeof(list->prefixes[0]));
}

static int parse_ports(
	struct hk_port_range **to, __u16 *count, const char *key, const char *text, struct list *list)
{
	if (!text)
		return 0;
	if (each(list, key, text, port_element))
		return -1;
	return keep((void **)to, count, list, list->ports, sizeof(list->ports[0]));
}

static int parse_protocols(struct hk_selector *out, const char *text, struct list *list)
{
	out->any_protocol = !text || strcmp(text, "any") == 0;
	if (out->any_protocol)
		return 0;
	memset(list->protocols, 0, sizeof(list->protocols));
	if (each(list, "protocol", text, protocol_element))
		return -1;
	memcpy(out->protocols, list->protocols, sizeof(out->protocols));
	return 0;
}

static int parse_domains(struct hk_selector *out, const char *text, struct list *list)
{
	if (!text)
		return 0;
	if (each(list, "domain", text, domain_element))
		return -1;
	return keep(
		(void **)&out->domains, &out->domains_count, list, list->domains, sizeof(list->domains[0]));
}

static int parse_auth(struct hk_selector *out, const char *text, struct list *list)
{
	int auth = text ? hk_auth_by_name(text) : -1;

	list->key = "auth";
	if (text && auth < 0)
		return refuse_element(
			list, text, "is no mark: write authenticated, reader-ok or unauthenticated");
	out->auth = text ? (__u8)(1 << auth) : HK_SELECTOR_ANY_AUTH;
	return 0;
}

static bool has_family(const struct hk_prefix *prefixes, unsigned count, bool v4)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (hk_address_is_v4(&prefixes[i].address) == v4)
			return true;
	return count == 0;
}

/* A rule that can never match is a mistake that somebody relies on. */
static int check_possible(const struct hk_selector *s, struct list *list)
{
	static const __u8 with_ports[] = {6, 17, 33, 132, 136};
	bool possible = s->any_protocol;
	size_t i;

	for (i = 0; i < sizeof(with_ports); i++)
		possible |= s->protocols[with_ports[i] / 8] >> (with_ports[i] % 8) & 1;
	if ((s->source_ports || s->destination_ports) && !possible)
		return hk_hooks_refuse(list->refusal,
			"%s: ports, but no protocol with ports: the rule can never match", list->who);
	for (i = 0; i < 2; i++)
		if (has_family(s->sources, s->sources_count, i) &&
			has_family(s->destinations, s->destinations_count, i))
			return 0;
	return hk_hooks_refuse(list->refusal,
		"%s: source and destination share no IP version: the rule can never match", list->who);
}

int hk_selector_parse(struct hk_selector *out, const struct hk_selector_text *text, const char *who,
	const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal)
{
	static const struct hk_selector_text nothing;
	struct list list = {.who = who, .setup = setup, .refusal = refusal};

	if (!text)
		text = &nothing;
	memset(out, 0, sizeof(*out));
	if (parse_prefixes(&out->sources, &out->sources_count, "source", text->source, &list) ||
		parse_prefixes(&out->destinations, &out->destinations_count, "destination", text->destination,
			&list) ||
		parse_protocols(out, text->protocol, &list) ||
		parse_ports(&out->source_ports, &out->source_ports_count, "source-port", text->source_port,
			&list) ||
		parse_ports(&out->destination_ports, &out->destination_ports_count, "destination-port",
			text->destination_port, &list) ||
		parse_domains(out, text->domain, &list) || parse_auth(out, text->auth, &list) ||
		check_possible(out, &list)) {
		hk_selector_free(out);
		return -1;
	}
	return 0;
}

void hk_selector_free(struct hk_selector *selector)
{
	free(selector->sources);
	free(selector->destinations);
	free(selector->source_ports);
	free(selector->destination_ports);
	free(selector->domains);
	memset(selector, 0, sizeof(*selector));
}

void hk_selectors_free(struct hk_selector *selectors, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		hk_selector_free(&selectors[i]);
	free(selectors);
}

static bool any_prefix(const struct hk_prefix *prefixes, unsigned count, const struct hk_address *address)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (hk_hooks_prefix_holds(&prefixes[i], address))
			return true;
	return !prefixes;
}

static bool any_port(const struct hk_port_range *ranges, unsigned count, bool has_ports, __u16 port)
{
	unsigned i;

	for (i = 0; i < count && has_ports; i++)
		if (port >= ranges[i].first && port <= ranges[i].last)
			return true;
	return !ranges;
}

static bool any_domain(const __u16 *domains, unsigned count, __u16 domain)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (domains[i] == domain)
			return true;
	return !domains;
}

bool hk_selector_matches(const struct hk_selector *s, const struct hk_hook_packet *packet)
{
	bool ports = hk_packet_has_ports(packet);

	return (s->any_protocol || (s->protocols[packet->protocol / 8] >> (packet->protocol % 8) & 1)) &&
	       (s->auth >> hk_selector_auth(packet) & 1) &&
	       any_domain(s->domains, s->domains_count, packet->domain) &&
	       any_prefix(s->sources, s->sources_count, &packet->src) &&
	       any_prefix(s->destinations, s->destinations_count, &packet->dst) &&
	       any_port(s->source_ports, s->source_ports_count, ports, packet->src_port) &&
	       any_port(s->destination_ports, s->destination_ports_count, ports, packet->dst_port);
}

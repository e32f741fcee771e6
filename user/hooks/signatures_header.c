// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A signature's header: "alert tcp [10.0.0.0/8,!10.1.0.0/16] any -> any 80:90".
 * Lists may nest and be negated; `var NAME VALUE` lines give names to both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/hooks/prefix.h"
#include "user/hooks/selector.h"
#include "user/hooks/signatures_rules.h"

#define DEPTH_MAX 8    /* lists in lists, variables in variables */
#define LIST_MAX  1024 /* elements of one field */
#define WORD_MAX  64

/* One address or port field while it is read. */
struct field {
	const struct hk_signature_parser *parser;
	const char *at; /* in the rule, for line numbers */
	const char *what;
	size_t size; /* of an element */
	int (*element)(struct field *field, const char *word, void *out);
	char *lists[2]; /* in, out */
	unsigned counts[2];
	bool any; /* the word was there: it swallows all other elements */
};

static int refuse_word(const struct field *field, const char *word, const char *why)
{
	return hk_signature_refuse(field->parser, field->at, "%s \"%.60s\" %s", field->what, word, why);
}

static int address_element(struct field *field, const char *word, void *out)
{
	const char *why = hk_hooks_prefix_read(word, out);

	return why ? refuse_word(field, word, why) : 0;
}

static int port_number(const char *text, unsigned long otherwise, __u16 *out)
{
	unsigned long number = otherwise;

	if (*text && hk_hooks_number_read(text, 65535, &number))
		return -1;
	*out = (__u16)number;
	return 0;
}

static int port_element(struct field *field, const char *word, void *out)
{
	struct hk_signature_ports *ports = out;
	char first[WORD_MAX + 1];
	char *colon;

	snprintf(first, sizeof(first), "%s", word);
	colon = strchr(first, ':');
	if (colon)
		*colon = '\0';
	if (!strcmp(word, ":") || (!colon && !*first) || port_number(first, 0, &ports->first) ||
		port_number(colon ? colon + 1 : first, 65535, &ports->last) || ports->last < ports->first)
		return refuse_word(field, word, "is no port: write 80, 1024:, :1023 or 1:1023");
	return 0;
}

static int add_element(struct field *field, const char *word, bool negated)
{
	unsigned count = field->counts[negated];
	char *list;

	if (strcmp(word, "any") == 0) {
		field->any = true;
		return negated ? refuse_word(field, word, "cannot be negated: nothing would match") : 0;
	}
	if (count == LIST_MAX)
		return refuse_word(field, word, "is one too many for its list: split the rule");
	list = realloc(field->lists[negated], (count + 1) * field->size);
	if (!list)
		return hk_signature_refuse(field->parser, field->at, "out of memory");
	field->lists[negated] = list;
	if (field->element(field, word, list + count * field->size))
		return -1;
	field->counts[negated]++;
	return 0;
}

static const char *find_variable(const struct hk_signature_parser *parser, const char *name)
{
	unsigned i;

	for (i = 0; i < parser->variables_count; i++)
		if (strcmp(parser->variables[i].name, name) == 0)
			return parser->variables[i].value;
	return NULL;
}

static int read_list(struct field *field, const char **text, bool negated, unsigned depth);

static int read_variable(struct field *field, const char *word, bool negated, unsigned depth)
{
	const char *value = find_variable(field->parser, word + 1);

	if (!value)
		return refuse_word(field, word, "is not defined: write `var NAME VALUE` above the rule");
	if (read_list(field, &value, negated, depth + 1))
		return -1;
	return *value ? refuse_word(field, word, "has something behind its value") : 0;
}

/* One element: a word, a variable, or a list in brackets, each perhaps negated. */
static int read_list(struct field *field, const char **text, bool negated, unsigned depth)
{
	char word[WORD_MAX + 1];
	size_t length;

	if (depth > DEPTH_MAX)
		return hk_signature_refuse(
			field->parser, field->at, "%s: lists nest deeper than %d", field->what, DEPTH_MAX);
	if (**text == '!') {
		if (negated)
			return hk_signature_refuse(field->parser, field->at,
				"%s: '!' inside a negated list: write it without", field->what);
		++*text;
		return read_list(field, text, true, depth + 1);
	}
	if (**text == '[') {
		do {
			++*text;
			*text += strspn(*text, " \t\v");
			if (read_list(field, text, negated, depth + 1))
				return -1;
			*text += strspn(*text, " \t\v");
		} while (**text == ',');
		if (**text != ']')
			return hk_signature_refuse(
				field->parser, field->at, "%s: a list lacks its ']'", field->what);
		++*text;
		return 0;
	}
	length = strcspn(*text, " \t\v,[]!");
	if (length < 1 || length > WORD_MAX)
		return hk_signature_refuse(
			field->parser, field->at, "%s: \"%.20s\" is none", field->what, *text);
	memcpy(word, *text, length);
	word[length] = '\0';
	*text += length;
	return *word == '$' ? read_variable(field, word, negated, depth) : add_element(field, word, negated);
}

static int read_field(struct field *field, char **rest)
{
	const char *text;

	*rest += strspn(*rest, " \t\v");
	text = field->at = *rest;
	if (read_list(field, &text, false, 0))
		return -1;
	if (*text && !strchr(" \t\v(", *text))
		return hk_signature_refuse(
			field->parser, field->at, "%s: \"%.20s\" does not belong there", field->what, text);
	*rest += text - *rest;
	if (field->any)
		field->counts[0] = 0;
	return 0;
}

/* What was read goes to the rule, also when it is refused: there it is freed. */
static int read_addresses(const struct hk_signature_parser *parser, char **rest, const char *what,
	struct hk_signature_addresses *out)
{
	struct field field = {
		.parser = parser, .what = what, .size = sizeof(struct hk_prefix), .element = address_element};
	int code = read_field(&field, rest);

	out->in = (struct hk_prefix *)(void *)field.lists[0];
	out->out = (struct hk_prefix *)(void *)field.lists[1];
	out->in_count = field.counts[0];
	out->out_count = field.counts[1];
	return code;
}

static int read_ports(const struct hk_signature_parser *parser, char **rest, const char *what,
	struct hk_signature_port_set *out)
{
	struct field field = {.parser = parser,
		.what = what,
		.size = sizeof(struct hk_signature_ports),
		.element = port_element};
	int code = read_field(&field, rest);

	out->in = (struct hk_signature_ports *)(void *)field.lists[0];
	out->out = (struct hk_signature_ports *)(void *)field.lists[1];
	out->in_count = field.counts[0];
	out->out_count = field.counts[1];
	return code;
}

static char *next_word(char **rest, char *word, size_t size)
{
	char *start = *rest + strspn(*rest, " \t\v");
	size_t length = strcspn(start, " \t\v(");

	snprintf(word, size, "%.*s", (int)(length < size ? length : size - 1), start);
	*rest = start + length;
	return start;
}

static int read_action(const struct hk_signature_parser *parser, char **rest, struct hk_signature *out)
{
	static const char *const names[] = {
		[HK_SIGNATURE_PASS] = "pass", [HK_SIGNATURE_DROP] = "drop", [HK_SIGNATURE_ALERT] = "alert"};
	char word[32], *at = next_word(rest, word, sizeof(word));
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i]) == 0) {
			out->action = (__u8)i;
			return 0;
		}
	}
	return hk_signature_refuse(
		parser, at, "action \"%s\" is not supported: write alert, drop or pass", word);
}

static int read_protocol(const struct hk_signature_parser *parser, char **rest, struct hk_signature *out)
{
	static const struct {
		const char *name;
		__u8 number;
	} known[] = {{"ip", 0}, {"tcp", 6}, {"udp", 17}, {"icmp", 1}};
	char word[32], *at = next_word(rest, word, sizeof(word));
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(word, known[i].name) == 0) {
			out->protocol = known[i].number;
			return 0;
		}
	}
	return hk_signature_refuse(
		parser, at, "protocol \"%s\" is not supported: write ip, tcp, udp or icmp", word);
}

static int read_direction(const struct hk_signature_parser *parser, char **rest, struct hk_signature *out)
{
	char word[8], *at = next_word(rest, word, sizeof(word));

	out->both_ways = strcmp(word, "<>") == 0;
	if (!out->both_ways && strcmp(word, "->") != 0)
		return hk_signature_refuse(
			parser, at, "direction \"%s\" is not supported: write -> or <>", word);
	return 0;
}

int hk_signature_header(const struct hk_signature_parser *parser, char **rest, struct hk_signature *out)
{
	if (read_action(parser, rest, out) || read_protocol(parser, rest, out) ||
		read_addresses(parser, rest, "source address", &out->src) ||
		read_ports(parser, rest, "source port", &out->src_ports) ||
		read_direction(parser, rest, out) ||
		read_addresses(parser, rest, "destination address", &out->dst) ||
		read_ports(parser, rest, "destination port", &out->dst_ports))
		return -1;
	if (out->protocol == 1 && (out->src_ports.in_count + out->src_ports.out_count +
					  out->dst_ports.in_count + out->dst_ports.out_count))
		return hk_signature_refuse(parser, *rest, "icmp has no ports: write any");
	*rest += strspn(*rest, " \t\v");
	if (**rest != '(')
		return hk_signature_refuse(parser, *rest, "\"%.20s\": after the header comes '('", *rest);
	return 0;
}

static bool in_prefixes(const struct hk_prefix *list, unsigned count, const struct hk_address *address)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (hk_hooks_prefix_holds(&list[i], address))
			return true;
	return false;
}

static bool holds_address(const struct hk_signature_addresses *set, const struct hk_address *address)
{
	return (!set->in_count || in_prefixes(set->in, set->in_count, address)) &&
	       !in_prefixes(set->out, set->out_count, address);
}

static bool in_ranges(const struct hk_signature_ports *list, unsigned count, __u16 port)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (port >= list[i].first && port <= list[i].last)
			return true;
	return false;
}

static bool holds_port(const struct hk_signature_port_set *set, bool has_ports, __u16 port)
{
	if (!set->in_count && !set->out_count)
		return true;
	return has_ports && (!set->in_count || in_ranges(set->in, set->in_count, port)) &&
	       !in_ranges(set->out, set->out_count, port);
}

bool hk_signature_header_matches(const struct hk_signature *s, const struct hk_hook_packet *p)
{
	bool ports = hk_packet_has_ports(p);

	if (s->protocol && s->protocol != p->protocol && !(s->protocol == 1 && p->protocol == 58))
		return false;
	if (holds_address(&s->src, &p->src) && holds_address(&s->dst, &p->dst) &&
		holds_port(&s->src_ports, ports, p->src_port) &&
		holds_port(&s->dst_ports, ports, p->dst_port))
		return true;
	return s->both_ways && holds_address(&s->src, &p->dst) && holds_address(&s->dst, &p->src) &&
	       holds_port(&s->src_ports, ports, p->dst_port) && holds_port(&s->dst_ports, ports, p->src_port);
}

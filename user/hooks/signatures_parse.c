// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A rules file: comments, blank lines, `var` lines and rules, where a backslash
 * at a line's end continues it. See signatures_rules.h.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/hooks/signatures_rules.h"

#define VARIABLES_MAX 256

int hk_signature_refuse(const struct hk_signature_parser *parser, const char *at, const char *format, ...)
{
	unsigned line = parser->number;
	const char *c;
	char text[320];
	va_list arguments;

	/* zeros that the parser wrote between words are in the way of no search for '\v' */
	for (c = parser->begin; c < at; c++)
		line += *c == '\v';
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return hk_hooks_refuse(parser->refusal, "line %u: %s", line, text);
}

/* Ends the logical line at `text` with a zero and returns where the next begins; NULL: it was the last. */
static char *end_line(char *text, unsigned *physical)
{
	*physical = 1;
	for (; *text; text++) {
		if (*text == '\r' && text[1] == '\n')
			*text = ' ';
		if (*text == '\v')
			*text = ' ';
		if (*text != '\n')
			continue;
		if (text[-1] == '\\' || (text[-1] == ' ' && text[-2] == '\\')) {
			text[text[-1] == '\\' ? -1 : -2] = ' ';
			*text = '\v';
			++*physical;
			continue;
		}
		*text = '\0';
		return text + 1;
	}
	return NULL;
}

static int read_variable(struct hk_signature_parser *parser, char *text)
{
	char *name = text + strspn(text, " \t"), *value = name + strcspn(name, " \t"), *end;
	struct hk_signature_variable *row = &parser->variables[parser->variables_count];
	const char *c;

	if (parser->variables_count == VARIABLES_MAX)
		return hk_signature_refuse(parser, name, "more than %d variables", VARIABLES_MAX);
	if (*value)
		*value++ = '\0';
	value += strspn(value, " \t");
	for (end = value + strlen(value); end > value && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_')
			return hk_signature_refuse(
				parser, name, "var \"%.40s\": a name is letters, digits and '_'", name);
	if (!*name || !*value)
		return hk_signature_refuse(parser, text, "var needs a name and a value");
	row->name = name;
	row->value = value;
	parser->variables_count++;
	return 0;
}

static struct hk_signature *add_signature(struct hk_signatures *out, const struct hk_signature_parser *parser)
{
	unsigned room = out->room ? out->room * 2 : 64;
	struct hk_signature *list;

	if (out->count == HK_SIGNATURES_MAX) {
		hk_signature_refuse(parser, parser->begin, "more than %d rules", HK_SIGNATURES_MAX);
		return NULL;
	}
	if (out->count == out->room) {
		list = realloc(out->list, room * sizeof(*list));
		if (!list) {
			hk_signature_refuse(parser, parser->begin, "out of memory");
			return NULL;
		}
		out->list = list;
		out->room = room;
	}
	memset(&out->list[out->count], 0, sizeof(*out->list));
	out->list[out->count].line = parser->number;
	return &out->list[out->count++];
}

static int read_rule(struct hk_signatures *out, struct hk_signature_parser *parser, char *text)
{
	struct hk_signature *rule = add_signature(out, parser);
	size_t length;

	if (!rule || hk_signature_header(parser, &text, rule))
		return -1;
	length = strlen(text);
	while (length && strchr(" \t\v\r", text[length - 1]))
		text[--length] = '\0';
	if (text[length - 1] != ')')
		return hk_signature_refuse(parser, text + length, "the rule lacks its ')': \"%.40s\"",
			length > 40 ? text + length - 40 : text);
	text[length - 1] = '\0';
	return hk_signature_options(parser, text + 1, rule);
}

struct entry {
	const struct hk_signature *rule;
};

static int by_sid(const void *a, const void *b)
{
	const struct hk_signature *x = ((const struct entry *)a)->rule;
	const struct hk_signature *y = ((const struct entry *)b)->rule;

	if (x->gid != y->gid)
		return x->gid < y->gid ? -1 : 1;
	if (x->sid != y->sid)
		return x->sid < y->sid ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int check_sids(const struct hk_signatures *signatures, struct hk_hooks_refusal *refusal)
{
	struct entry *sorted = malloc((signatures->count + 1) * sizeof(*sorted));
	int code = 0;
	unsigned i;

	if (!sorted)
		return hk_hooks_refuse(refusal, "out of memory");
	for (i = 0; i < signatures->count; i++)
		sorted[i].rule = &signatures->list[i];
	qsort(sorted, signatures->count, sizeof(*sorted), by_sid);
	for (i = 1; i < signatures->count && !code; i++)
		if (sorted[i].rule->gid == sorted[i - 1].rule->gid &&
			sorted[i].rule->sid == sorted[i - 1].rule->sid)
			code = hk_hooks_refuse(refusal,
				"line %u: sid %u is that of line %u already: give each rule its own",
				sorted[i].rule->line, sorted[i].rule->sid, sorted[i - 1].rule->line);
	free(sorted);
	return code;
}

int hk_signatures_parse(struct hk_signatures *out, char *text, struct hk_hooks_refusal *refusal)
{
	struct hk_signature_parser parser = {.refusal = refusal, .number = 1};
	unsigned physical = 1;
	int code = 0;
	char *next;

	memset(out, 0, sizeof(*out));
	parser.variables = calloc(VARIABLES_MAX, sizeof(*parser.variables));
	if (!parser.variables)
		return hk_hooks_refuse(refusal, "out of memory");
	for (; text && !code; text = next, parser.number += physical) {
		/* a comment ends with its line, whatever its last character is */
		char *start = text + strspn(text, " \t\v\r");

		if (*start == '#' || *start == '\n') {
			next = strchr(start, '\n');
			next = next ? next + 1 : NULL;
			physical = 1;
			continue;
		}
		next = end_line(start, &physical);
		start += strspn(start, " \t\v");
		parser.begin = start;
		if (strncmp(start, "var", 3) == 0 && (start[3] == ' ' || start[3] == '\t'))
			code = read_variable(&parser, start + 4);
		else if (*start)
			code = read_rule(out, &parser, start);
	}
	free(parser.variables);
	if (!code)
		code = check_sids(out, refusal);
	if (code)
		hk_signatures_free(out);
	return code;
}

static void free_signature(struct hk_signature *signature)
{
	unsigned i;

	for (i = 0; i < signature->patterns_count; i++)
		free(signature->patterns[i].expression);
	free(signature->patterns);
	free(signature->src.in);
	free(signature->src.out);
	free(signature->dst.in);
	free(signature->dst.out);
	free(signature->src_ports.in);
	free(signature->src_ports.out);
	free(signature->dst_ports.in);
	free(signature->dst_ports.out);
}

void hk_signatures_free(struct hk_signatures *signatures)
{
	unsigned i;

	for (i = 0; i < signatures->count; i++)
		free_signature(&signatures->list[i]);
	free(signatures->list);
	memset(signatures, 0, sizeof(*signatures));
}

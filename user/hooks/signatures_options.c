// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A signature's options: "(msg:"..."; content:"a|0d 0a|"; nocase; sid:1;)".
 * One row a keyword; what is not in the table is refused by line and name,
 * because a rule that is half understood matches what its author did not mean.
 */
#include <ctype.h>
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/hooks/prefix.h"
#include "user/hooks/signatures_rules.h"

#define CONTENT_MAX  255
#define PATTERNS_MAX 64 /* of one rule */

struct option {
	const struct hk_signature_parser *parser;
	const char *at; /* for line numbers */
	const char *keyword;
	char *value; /* NULL: none */
	struct hk_signature *rule;
	unsigned *seen; /* bits by row */
};

struct keyword {
	const char *name;
	bool has_value;
	bool repeats;
	int (*read)(struct option *option);
};

#define refuse(option, ...) hk_signature_refuse((option)->parser, (option)->at, __VA_ARGS__)

/* The text between quotes, in place; `negated` (or NULL: not allowed) tells a '!' in front. */
static char *unquote(struct option *option, bool *negated)
{
	char *text = option->value, *c;
	size_t length;

	for (c = text; *c; c++) {
		if (iscntrl((unsigned char)*c)) {
			refuse(option, "%s holds a control character or a line's end", option->keyword);
			return NULL;
		}
	}
	if (negated)
		*negated = *text == '!';
	text += negated && *negated;
	text += strspn(text, " \t");
	length = strlen(text);
	if (length < 2 || text[0] != '"' || text[length - 1] != '"') {
		refuse(option, "%s: %.60s is not in double quotes", option->keyword, option->value);
		return NULL;
	}
	text[length - 1] = '\0';
	return text + 1;
}

static int read_number(struct option *option, __u32 min, __u32 max, __u32 *out)
{
	unsigned long number;

	if (hk_hooks_number_read(option->value, max, &number) || number < min)
		return refuse(option, "%s \"%.40s\" is no number from %u to %u", option->keyword,
			option->value, min, max);
	*out = (__u32)number;
	return 0;
}

static int read_msg(struct option *option)
{
	char *text = unquote(option, NULL), *to = option->rule->message;
	const char *end = to + sizeof(option->rule->message) - 1;

	if (!text)
		return -1;
	for (; *text && to < end; text++) {
		if (*text == '\\' && strchr("\\\";:", text[1]) && text[1])
			text++;
		*to++ = *text;
	}
	*to = '\0';
	if (*text)
		return refuse(option, "msg is longer than %zu bytes: shorten it",
			sizeof(option->rule->message) - 1);
	return 0;
}

static struct hk_signature_pattern *add_pattern(struct option *option)
{
	struct hk_signature *rule = option->rule;
	struct hk_signature_pattern *patterns;

	if (rule->patterns_count == PATTERNS_MAX) {
		refuse(option, "%s: the rule has more than %d patterns: split it", option->keyword,
			PATTERNS_MAX);
		return NULL;
	}
	patterns = realloc(rule->patterns, (rule->patterns_count + 1) * sizeof(*patterns));
	if (!patterns) {
		refuse(option, "out of memory");
		return NULL;
	}
	rule->patterns = patterns;
	memset(&patterns[rule->patterns_count], 0, sizeof(*patterns));
	return &patterns[rule->patterns_count++];
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes between two '|': pairs of hex digits, blanks between pairs. Leaves `*text` behind the second one.
 */
static int read_hex(struct option *option, const char **text, __u8 *bytes, unsigned *count)
{
	int high, low;

	for (++*text; **text != '|';) {
		if (**text == ' ') {
			++*text;
			continue;
		}
		high = hex_value(**text);
		low = high < 0 ? -1 : hex_value((*text)[1]);
		if (low < 0)
			return refuse(option, "content: \"%.20s\" in |...| is no pair of hex digits", *text);
		if (*count == CONTENT_MAX)
			return refuse(option, "content is longer than %d bytes: shorten it", CONTENT_MAX);
		bytes[(*count)++] = (__u8)(high << 4 | low);
		*text += 2;
	}
	++*text;
	return 0;
}

static int content_bytes(struct option *option, const char *text, __u8 *bytes, unsigned *count)
{
	while (*text) {
		if (*text == '|') {
			if (read_hex(option, &text, bytes, count))
				return -1;
			continue;
		}
		if (*text == '\\') {
			text++;
			if (!*text || !strchr("\\\";:|", *text))
				return refuse(option,
					"content: \"\\%.1s\" is no escape: write \\\\ \\\" \\; \\: or |hex|",
					text);
		}
		if (*count == CONTENT_MAX)
			return refuse(option, "content is longer than %d bytes: shorten it", CONTENT_MAX);
		bytes[(*count)++] = (__u8)*text++;
	}
	return 0;
}

/* Every byte as \xHH: nothing in it means anything to a regular expression. */
static char *literal_expression(const __u8 *bytes, unsigned count)
{
	char *expression = malloc(4 * count + 1);
	unsigned i;

	for (i = 0; i < count && expression; i++)
		sprintf(expression + 4 * i, "\\x%02x", bytes[i]);
	return expression;
}

static int read_content(struct option *option)
{
	struct hk_signature_pattern *pattern;
	__u8 bytes[CONTENT_MAX];
	unsigned count = 0;
	bool negated;
	char *text = unquote(option, &negated);

	if (!text || content_bytes(option, text, bytes, &count))
		return -1;
	if (!count)
		return refuse(option, "content is empty: everything would match");
	pattern = add_pattern(option);
	if (!pattern)
		return -1;
	pattern->negated = negated;
	pattern->length = count;
	pattern->flags = HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL;
	pattern->expression = literal_expression(bytes, count);
	return pattern->expression ? 0 : refuse(option, "out of memory");
}

static int read_nocase(struct option *option)
{
	struct hk_signature *rule = option->rule;

	if (!rule->patterns_count || !rule->patterns[rule->patterns_count - 1].length)
		return refuse(option, "nocase stands behind no content: for pcre write /.../i");
	rule->patterns[rule->patterns_count - 1].flags |= HS_FLAG_CASELESS;
	return 0;
}

static int pcre_flags(struct option *option, const char *letters, unsigned *flags)
{
	for (; *letters; letters++) {
		if (*letters == 'i')
			*flags |= HS_FLAG_CASELESS;
		else if (*letters == 's')
			*flags |= HS_FLAG_DOTALL;
		else if (*letters == 'm')
			*flags |= HS_FLAG_MULTILINE;
		else
			return refuse(option, "pcre: flag '%c' is not supported: i, s and m are", *letters);
	}
	return 0;
}

/* By itself, so that a complaint has the line of the rule; the database compiles all at once. */
static int check_expression(struct option *option, const struct hk_signature_pattern *pattern)
{
	hs_compile_error_t *error = NULL;
	hs_expr_info_t *info = NULL;
	int code = 0;

	if (hs_expression_info(pattern->expression, pattern->flags, &info, &error) != HS_SUCCESS) {
		code = refuse(option, "pcre is not supported by Hyperscan: %.200s",
			error ? error->message : "no reason given");
		hs_free_compile_error(error);
	} else if (info->min_width == 0) {
		code = refuse(option, "pcre matches an empty text: everything would match");
	}
	free(info);
	return code;
}

static int read_pcre(struct option *option)
{
	struct hk_signature_pattern *pattern;
	unsigned flags = HS_FLAG_SINGLEMATCH;
	bool negated;
	char *text = unquote(option, &negated), *end;

	if (!text)
		return -1;
	end = strrchr(text, '/');
	if (*text != '/' || end == text)
		return refuse(option, "pcre: \"%.60s\" is not between slashes", text);
	*end = '\0';
	if (pcre_flags(option, end + 1, &flags))
		return -1;
	pattern = add_pattern(option);
	if (!pattern)
		return -1;
	pattern->negated = negated;
	pattern->flags = flags;
	pattern->expression = strdup(text + 1);
	return pattern->expression ? check_expression(option, pattern) : refuse(option, "out of memory");
}

static int read_sid(struct option *option)
{
	return read_number(option, 1, 0xffffffff, &option->rule->sid);
}

static int read_rev(struct option *option)
{
	return read_number(option, 0, 0xffffffff, &option->rule->rev);
}

static int read_gid(struct option *option)
{
	return read_number(option, 1, 0xffffffff, &option->rule->gid);
}

static int read_priority(struct option *option)
{
	return read_number(option, 1, 255, &option->rule->priority);
}

static int read_classtype(struct option *option)
{
	unsigned priority = hk_signature_class(option->value, &option->rule->category);

	if (!priority)
		return refuse(option, "classtype \"%.60s\" is not known: see docs/hooks.md for the list",
			option->value);
	if (!option->rule->priority) /* one that is written out wins, wherever it stands */
		option->rule->priority = priority;
	return 0;
}

/* For people and other tools: changes nothing that is matched. */
static int read_nothing(struct option *option)
{
	(void)option;
	return 0;
}

static const struct keyword keywords[] = {
	{"msg", true, false, read_msg},
	{"content", true, true, read_content},
	{"nocase", false, true, read_nocase},
	{"pcre", true, true, read_pcre},
	{"sid", true, false, read_sid},
	{"rev", true, false, read_rev},
	{"gid", true, false, read_gid},
	{"classtype", true, false, read_classtype},
	{"priority", true, false, read_priority},
	{"reference", true, true, read_nothing},
	{"metadata", true, true, read_nothing},
};

static int read_option(struct option *option)
{
	unsigned i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const struct keyword *keyword = &keywords[i];

		if (strcmp(option->keyword, keyword->name) != 0)
			continue;
		if (keyword->has_value != (option->value && *option->value))
			return refuse(option, "keyword \"%s\" %s value", keyword->name,
				keyword->has_value ? "needs a" : "takes no");
		if (!keyword->repeats && (*option->seen >> i & 1))
			return refuse(option, "keyword \"%s\" is given twice", keyword->name);
		*option->seen |= 1u << i;
		return keyword->read(option);
	}
	return refuse(option, "keyword \"%.60s\" is not supported: see docs/hooks.md for those that are",
		option->keyword);
}

/* The ';' that ends the option at `text`, outside quotes and not escaped; or NULL. */
static char *find_end(char *text)
{
	bool quoted = false;

	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (*text == ';' && !quoted)
			return text;
	}
	return NULL;
}

static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t\v");
	length = strlen(text);
	while (length && strchr(" \t\v", text[length - 1]))
		text[--length] = '\0';
	return text;
}

static int check_whole(const struct hk_signature_parser *parser, struct hk_signature *out)
{
	if (!out->sid)
		return hk_signature_refuse(parser, parser->begin, "keyword \"sid\" is missing");
	if (!out->priority)
		out->priority = 3;
	if (!out->gid)
		out->gid = 1;
	if (!out->message[0])
		snprintf(out->message, sizeof(out->message), "signature %u", out->sid);
	return 0;
}

int hk_signature_options(const struct hk_signature_parser *parser, char *text, struct hk_signature *out)
{
	unsigned seen = 0;
	char *end, *colon;

	for (text += strspn(text, " \t\v"); *text; text = end + 1, text += strspn(text, " \t\v")) {
		struct option option = {
			.parser = parser, .at = text, .keyword = text, .rule = out, .seen = &seen};

		end = find_end(text);
		if (!end)
			return hk_signature_refuse(
				parser, text, "\"%.40s\" lacks its ';' or a closing quote", text);
		*end = '\0';
		colon = strchr(text, ':');
		if (colon) {
			*colon = '\0';
			option.value = trim(colon + 1);
		}
		option.keyword = trim(text);
		if (read_option(&option))
			return -1;
	}
	return check_whole(parser, out);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* One pass over libyaml's events: see outline.h. Nothing here looks at values. */
#include "user/base/outline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 8
#define ROWS_MAX  200000
#define PATH_MAX_ 256
#define KEY_MAX	  64

struct level {
	bool is_map;
	bool wants_value; /* of a map: its key was read */
	unsigned index;	  /* of a list: the next place */
	size_t path;	  /* length of the path up to here */
};

struct walk {
	struct hk_outline *outline;
	const char *name;
	struct hk_error *error;
	struct level levels[DEPTH_MAX];
	unsigned depth;
	unsigned documents;
	char path[PATH_MAX_];
};

static int refuse(struct walk *walk, const yaml_mark_t *mark, const char *why)
{
	return hk_error_set(walk->error, EINVAL, "%s:%zu: %s", walk->name, mark->line + 1, why);
}

static int add_row(struct walk *walk, const yaml_mark_t *mark)
{
	struct hk_outline *outline = walk->outline;
	struct hk_outline_row *rows;
	unsigned room;

	if (outline->count == ROWS_MAX)
		return refuse(walk, mark, "has too many parts for a configuration");
	if (outline->count == outline->room) {
		room = outline->room ? 2 * outline->room : 64;
		rows = realloc(outline->rows, room * sizeof(*rows));
		if (!rows)
			return refuse(walk, mark, "out of memory");
		outline->rows = rows;
		outline->room = room;
	}
	rows = &outline->rows[outline->count];
	rows->path = strdup(walk->path);
	rows->line = (unsigned)mark->line + 1;
	outline->count++;
	return rows->path ? 0 : refuse(walk, mark, "out of memory");
}

static void append_key(struct walk *walk, size_t at, const char *key)
{
	if (at < PATH_MAX_)
		snprintf(walk->path + at, PATH_MAX_ - at, "%s%.*s", at ? "." : "", KEY_MAX, key);
}

static void append_place(struct walk *walk, size_t at, unsigned place)
{
	if (at < PATH_MAX_)
		snprintf(walk->path + at, PATH_MAX_ - at, "[%u]", place);
}

/* A node begins where a value may stand: extends the path for a list's place. */
static int begin_value(struct walk *walk, const yaml_mark_t *mark)
{
	struct level *level = walk->depth ? &walk->levels[walk->depth - 1] : NULL;

	if (!level)
		return 0;
	if (level->is_map && !level->wants_value)
		return refuse(walk, mark, "a key must be a plain word, not a list or a mapping");
	level->wants_value = false;
	if (level->is_map)
		return 0;
	append_place(walk, level->path, level->index++);
	return add_row(walk, mark);
}

static int open_level(struct walk *walk, const yaml_mark_t *mark, bool is_map)
{
	int code = begin_value(walk, mark);

	if (code)
		return code;
	if (walk->depth == DEPTH_MAX)
		return refuse(walk, mark, "is nested too deeply for a configuration");
	walk->levels[walk->depth++] = (struct level){.is_map = is_map, .path = strlen(walk->path)};
	return 0;
}

static int take_scalar(struct walk *walk, const yaml_event_t *event)
{
	struct level *level = walk->depth ? &walk->levels[walk->depth - 1] : NULL;
	const char *text = (const char *)event->data.scalar.value;

	if (strlen(text) != event->data.scalar.length)
		return refuse(walk, &event->start_mark, "holds a zero byte");
	if (!level || !level->is_map || level->wants_value)
		return begin_value(walk, &event->start_mark);
	append_key(walk, level->path, text);
	level->wants_value = true;
	return add_row(walk, &event->start_mark);
}

static int take_event(struct walk *walk, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return ++walk->documents == 1
			       ? 0
			       : refuse(walk, &event->start_mark,
					 "a second document begins here: a configuration is one");
	case YAML_ALIAS_EVENT:
		return refuse(walk, &event->start_mark, "aliases (*name) are not taken: write the value out");
	case YAML_SCALAR_EVENT: return take_scalar(walk, event);
	case YAML_MAPPING_START_EVENT: return open_level(walk, &event->start_mark, true);
	case YAML_SEQUENCE_START_EVENT: return open_level(walk, &event->start_mark, false);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT: walk->path[walk->levels[--walk->depth].path] = '\0'; return 0;
	default: return 0;
	}
}

static int walk_events(struct walk *walk, yaml_parser_t *parser)
{
	yaml_event_t event;
	bool done = false;
	int code = 0;

	while (!done && !code) {
		if (!yaml_parser_parse(parser, &event))
			return refuse(walk, &parser->problem_mark,
				parser->problem ? parser->problem : "is not YAML");
		code = take_event(walk, &event);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	return code;
}

int hk_outline_read(
	struct hk_outline *outline, const char *name, const char *text, size_t size, struct hk_error *error)
{
	struct walk walk = {.outline = outline, .name = name, .error = error};
	yaml_parser_t parser;
	int code;

	if (!yaml_parser_initialize(&parser))
		return hk_error_set(error, ENOMEM, "%s: out of memory", name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	code = walk_events(&walk, &parser);
	yaml_parser_delete(&parser);
	return code;
}

unsigned hk_outline_line(const struct hk_outline *outline, const char *path)
{
	unsigned i, line = 0;
	size_t length, best = 0;

	for (i = 0; i < outline->count; i++) {
		length = strlen(outline->rows[i].path);
		if (length <= best || strncmp(path, outline->rows[i].path, length) != 0)
			continue;
		if (path[length] && path[length] != '.' && path[length] != '[')
			continue;
		best = length;
		line = outline->rows[i].line;
	}
	return line;
}

unsigned hk_outline_key_line(const struct hk_outline *outline, const char *key)
{
	const char *last;
	unsigned i;

	for (i = 0; i < outline->count; i++) {
		last = strrchr(outline->rows[i].path, '.');
		if (strncmp(last ? last + 1 : outline->rows[i].path, key, KEY_MAX) == 0)
			return outline->rows[i].line;
	}
	return 0;
}

void hk_outline_free(struct hk_outline *outline)
{
	unsigned i;

	for (i = 0; i < outline->count; i++)
		free(outline->rows[i].path);
	free(outline->rows);
	memset(outline, 0, sizeof(*outline));
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading the shaper's classes: see shaper_classes.h; the format is in docs/hooks.md. */
#include "user/hooks/shaper_classes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX      (1u << 20)
#define RATE_MIN      1000ull	      /* bits a second */
#define RATE_MAX      400000000000ull /* cost per byte stays exact to a thousandth */
#define BURST_MAX     (1ull << 30)
#define BURST_DEFAULT 3000 /* or 10 ms of the rate, whichever is more */
#define QUEUE_MAX     65536
#define QUEUE_DEFAULT 500

struct class_text {
	char *name;
	struct hk_selector_text *match;
	char *rate;
	char *burst;
	char *queue;
};

struct file_text {
	struct class_text *classes;
	unsigned classes_count;
};

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_field_t class_schema[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct class_text, name, 1, 31),
	CYAML_FIELD_MAPPING_PTR("match", OPTIONAL, struct class_text, match, hk_selector_schema),
	CYAML_FIELD_STRING_PTR("rate", CYAML_FLAG_POINTER, struct class_text, rate, 0, 32),
	CYAML_FIELD_STRING_PTR("burst", OPTIONAL, struct class_text, burst, 0, 32),
	CYAML_FIELD_STRING_PTR("queue", OPTIONAL, struct class_text, queue, 0, 32),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t class_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct class_text, class_schema)};

static const cyaml_schema_field_t file_schema[] = {
	CYAML_FIELD_SEQUENCE("classes", CYAML_FLAG_POINTER, struct file_text, classes, &class_value, 1,
		HK_SHAPER_CLASSES_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t file_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_text, file_schema)};

struct unit {
	const char *name;
	__u64 factor;
};

static const struct unit rate_units[] = {{"bit", 1}, {"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000},
	{"byte", 8}, {"kbyte", 8000}, {"mbyte", 8000000}, {"gbyte", 8000000000}, {NULL, 0}};

static const struct unit size_units[] = {
	{"", 1}, {"k", 1024}, {"kb", 1024}, {"m", 1024 * 1024}, {"mb", 1024 * 1024}, {NULL, 0}};

/* A whole number and a unit of the table, within [min, max]. 0 or -1. */
static int parse_quantity(const char *text, const struct unit *units, __u64 min, __u64 max, __u64 *out)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits + strspn(text + digits, " ");
	__u64 value;

	if (digits < 1 || digits > 12)
		return -1;
	value = strtoull(text, NULL, 10);
	for (; units->name; units++) {
		if (strcasecmp(unit, units->name) != 0)
			continue;
		if (value > max / units->factor || value * units->factor < min)
			return -1;
		*out = value * units->factor;
		return 0;
	}
	return -1;
}

static int parse_name(
	struct hk_shaper_classes *out, unsigned place, const char *name, struct hk_hooks_refusal *refusal)
{
	const char *c;
	unsigned i;

	for (c = name; *c; c++)
		if (!isgraph((unsigned char)*c))
			return hk_hooks_refuse(refusal,
				"class %u: name \"%s\": use printable ASCII without spaces", place + 1, name);
	for (i = 0; i < place; i++)
		if (strcmp(out->classes[i].name, name) == 0)
			return hk_hooks_refuse(
				refusal, "the name \"%s\" is given twice: rename one class", name);
	snprintf(out->classes[place].name, sizeof(out->classes[place].name), "%s", name);
	return 0;
}

static int parse_numbers(struct hk_shaper_class *class, const struct class_text *text, const char *who,
	struct hk_hooks_refusal *refusal)
{
	__u64 queue = QUEUE_DEFAULT;

	if (parse_quantity(text->rate, rate_units, RATE_MIN, RATE_MAX, &class->rate))
		return hk_hooks_refuse(refusal,
			"%s: rate \"%.32s\": write a number with bit, kbit, mbit, gbit, byte, kbyte, mbyte "
			"or gbyte "
			"(a second), from 1kbit to 400gbit",
			who, text->rate);
	class->burst = class->rate / 800 > BURST_DEFAULT ? class->rate / 800 : BURST_DEFAULT;
	if (text->burst && parse_quantity(text->burst, size_units, 1, BURST_MAX, &class->burst))
		return hk_hooks_refuse(refusal,
			"%s: burst \"%.32s\": write bytes, or a number with k or m, up to 1024m", who,
			text->burst);
	if (text->queue && parse_quantity(text->queue, size_units, 1, QUEUE_MAX, &queue))
		return hk_hooks_refuse(refusal, "%s: queue \"%.32s\": write a number of packets from 1 to %u",
			who, text->queue, QUEUE_MAX);
	class->queue = (__u32)queue;
	return 0;
}

static int parse_file(
	void *whole, const void *file, const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal)
{
	const struct file_text *text = file;
	struct hk_shaper_classes *out = whole;
	char who[64];
	unsigned i;

	out->classes = calloc(text->classes_count + 1, sizeof(*out->classes));
	out->selectors = calloc(text->classes_count + 1, sizeof(*out->selectors));
	if (!out->classes || !out->selectors)
		return hk_hooks_refuse(refusal, "out of memory");
	for (i = 0; i < text->classes_count; i++) {
		snprintf(who, sizeof(who), "class %u (%s)", i + 1, text->classes[i].name);
		if (parse_name(out, i, text->classes[i].name, refusal) ||
			parse_numbers(&out->classes[i], &text->classes[i], who, refusal) ||
			hk_selector_parse(&out->selectors[i], text->classes[i].match, who, setup, refusal))
			return -1;
		out->count++;
	}
	return 0;
}

int hk_shaper_classes_load(
	struct hk_shaper_classes *out, const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal)
{
	int code;

	memset(out, 0, sizeof(*out));
	code = hk_settings_parse(setup, FILE_MAX, &file_value, parse_file, out, refusal);
	if (code)
		hk_shaper_classes_free(out);
	return code;
}

void hk_shaper_classes_free(struct hk_shaper_classes *classes)
{
	hk_selectors_free(classes->selectors, classes->count);
	free(classes->classes);
	memset(classes, 0, sizeof(*classes));
}

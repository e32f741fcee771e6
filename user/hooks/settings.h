/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hook's own file: read from the descriptor the core opened, bounded, and
 * turned into C by a libcyaml schema. Shared by the hooks of this folder, which
 * know only <halfkey/hook.h>. Off the packet path.
 */
#ifndef HK_HOOKS_SETTINGS_H
#define HK_HOOKS_SETTINGS_H

#include <stddef.h>
#include <cyaml/cyaml.h>

#include <halfkey/hook.h>

/* Where a refusal goes: one sentence for people. The first one stays. */
struct hk_hooks_refusal {
	char *text;
	size_t size;
	const char *path; /* of the file, for the sentence */
};

/* Writes "PATH: sentence"; returns -1. */
int hk_hooks_refuse(struct hk_hooks_refusal *refusal, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The whole file, NUL-terminated, or NULL: none, larger than `max`, or with NUL bytes in it. Caller frees. */
char *hk_settings_read(
	const struct hk_hook_setup *setup, size_t max, size_t *size, struct hk_hooks_refusal *refusal);

/* Reads YAML into `*out` by `schema` (a pointer value). 0 or -1. */
int hk_settings_load(const struct hk_hook_setup *setup, size_t max, const cyaml_schema_value_t *schema,
	void **out, struct hk_hooks_refusal *refusal);
void hk_settings_free(const cyaml_schema_value_t *schema, void *data);
/* The same, and lets `parse` make `out` of it before it is freed. 0 or -1. */
int hk_settings_parse(const struct hk_hook_setup *setup, size_t max, const cyaml_schema_value_t *schema,
	int (*parse)(void *out, const void *text, const struct hk_hook_setup *setup,
		struct hk_hooks_refusal *refusal),
	void *out, struct hk_hooks_refusal *refusal);

/* "500ms", "30s", "5m", "1h"; from 1 ms to a day. 0 or -1. */
int hk_duration_parse(const char *text, __u32 *milliseconds);

#endif

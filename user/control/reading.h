/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configuration while it is being read: what config.c and its readers
 * share. Nobody else includes this.
 */
#ifndef HK_CONTROL_READING_H
#define HK_CONTROL_READING_H

#include "user/control/config.h"
#include "user/control/schema.h"

struct hk_reading {
	const char *name; /* of the file, for messages */
	enum hk_config_use use;
	const struct hk_config *previous;
	const struct hk_raw_config *raw;
	struct hk_outline outline;
	struct hk_config *config;
	struct hk_error *error;
};

/* The sentence "NAME:LINE: ...", where the line is that of `where` in the outline. Returns -EINVAL. */
int hk_reading_refuse(struct hk_reading *reading, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Values. `text` NULL means the key is absent: the target keeps its default.
 * `key` is what the user wrote, `where` its place in the outline.
 */
int hk_read_number(struct hk_reading *reading, const char *where, const char *key, const char *text,
	__u64 min, __u64 max, __u64 *out);
/* A number of bytes: KiB, MiB, GiB may follow. */
int hk_read_bytes(
	struct hk_reading *reading, const char *where, const char *key, const char *text, __u64 *out);
int hk_read_boolean(
	struct hk_reading *reading, const char *where, const char *key, const char *text, bool *out);
/* A copy into `*out` (freed first); empty text is refused. */
int hk_read_text(
	struct hk_reading *reading, const char *where, const char *key, const char *text, char **out);
/* The place of `text` in `names` (NULL-terminated; NULL rows are "" holes), or a refusal that lists them. */
int hk_read_choice(struct hk_reading *reading, const char *where, const char *key, const char *text,
	const char *const *names, __u8 *out);

/* domains.c: all of raw->domains into config->domains. */
int hk_read_domains(struct hk_reading *reading);
/* domains_join.c: their numbers; refuses what two of them must not share. */
int hk_domains_join(struct hk_reading *reading);
/* policy.c, outlets.c */
int hk_read_policy(struct hk_reading *reading);
int hk_read_hooks(struct hk_reading *reading);
int hk_read_feeds(struct hk_reading *reading);

#endif

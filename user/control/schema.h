/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration as it is written: every value still text. libcyaml turns
 * YAML into this under the schema of schema.c; config.c and the checks turn it
 * into struct hk_config. Kept as text so that each refusal can quote the value
 * as the user wrote it.
 */
#ifndef HK_CONTROL_SCHEMA_H
#define HK_CONTROL_SCHEMA_H

#include <stddef.h>

#include <halfkey/config.h>

#include "user/base/error.h"
#include "user/base/outline.h"

/* An envelope's own mapping in a domain: its schema_<envelope>.c says what is which word. */
#define HK_OPTIONS_MAX 16

struct hk_raw_options {
	char *words[HK_OPTIONS_MAX];
	char **list; /* of an envelope that takes one */
	unsigned list_count;
};

struct hk_raw_domain {
	char *name, *envelope, *profile, *suite, *mkid, *esn, *flow_per_spi, *keys, *keys_dir;
	char **levels;
	unsigned levels_count;
	char **receivers;
	unsigned receivers_count;
	struct hk_raw_options *options[HK_ENVELOPE_MAX];
};

struct hk_raw_hook {
	char *use, *settings, *rules, *classes;
};

struct hk_raw_policy {
	char *classes[HK_POLICY_COUNT];
	char *reasons[HK_REASON_COUNT];
};

struct hk_raw_eve {
	char *path, *stats_interval;
};

struct hk_raw_mirror {
	char *tap;
};

struct hk_raw_pcapng {
	char *path, *max_bytes;
};

struct hk_raw_feeds {
	struct hk_raw_eve *eve;
	struct hk_raw_mirror *mirror;
	struct hk_raw_pcapng *pcapng;
};

struct hk_raw_config {
	char *instance, *mode, *attach, *queues, *user, *control, *crypto, *seccomp;
	char *heartbeat_ms, *frames, *keys_max, *flows_max;
	char **ports;
	unsigned ports_count;
	struct hk_raw_policy policy;
	struct hk_raw_domain *domains;
	unsigned domains_count;
	struct hk_raw_hook *hooks;
	unsigned hooks_count;
	struct hk_raw_feeds feeds;
};

/* 0, or negative errno and one sentence. `name` is the file's name for it, `outline` tells lines. */
int hk_raw_config_read(struct hk_raw_config **out, const char *name, const struct hk_outline *outline,
	const char *text, size_t size, struct hk_error *error);
void hk_raw_config_free(struct hk_raw_config *raw);

#endif

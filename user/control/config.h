/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The YAML configuration: read with libcyaml, checked, turned into struct
 * hk_config. Every refusal names file, key and value.
 */
#ifndef HK_CONTROL_CONFIG_H
#define HK_CONTROL_CONFIG_H

#include <stddef.h>

#include <halfkey/config.h>

#include "user/base/error.h"
#include "user/base/files.h"

enum hk_config_use { HK_CONFIG_DAEMON, HK_CONFIG_OPEN /* ports and feeds are not needed */ };

/*
 * Parses YAML text that came from `path`. `previous` (or NULL) lends its domain
 * ids: a domain of the same name keeps its number. 0, or negative errno and a sentence.
 */
int hk_config_parse(struct hk_config **out, const char *path, const char *text, size_t size,
	enum hk_config_use use, const struct hk_config *previous, struct hk_error *error);
/* The same from a file. */
int hk_config_load(struct hk_config **out, const char *path, enum hk_config_use use,
	const struct hk_config *previous, struct hk_error *error);
/* Opens every key file and settings file the configuration names (not feeds' outputs). */
int hk_config_open_files(const struct hk_config *config, struct hk_files *files, struct hk_error *error);
#define HK_KEYLESS_TEXT 512
/* What to say of a domain that nothing has given a key: `out`. */
const char *hk_domain_keyless(const struct hk_domain_config *domain, char *out, size_t room);
/* NULL, or a sentence: what a running daemon cannot change by reload (ports, mode, queues, ...). */
int hk_config_can_replace(const struct hk_config *now, const struct hk_config *next, struct hk_error *error);
void hk_config_free(struct hk_config *config);

#endif

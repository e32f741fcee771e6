// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The schema, and libcyaml's log turned into one sentence: see schema.h.
 * Shape only: which keys there are, what is a list, what a word. What a value
 * may be is checked in config.c and domains.c.
 */
#include "user/control/schema.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout.h"
#include "user/base/complaint.h"
#include "user/control/options.h"

#define WORD_MAX 4096
#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

#define WORD(key, structure, member) CYAML_FIELD_STRING_PTR(key, OPTIONAL, structure, member, 0, WORD_MAX)

static const cyaml_schema_value_t word = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, WORD_MAX)};
const cyaml_schema_value_t hk_option_word = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, WORD_MAX)};

const cyaml_schema_field_t hk_no_options[] = {CYAML_FIELD_END};

static const cyaml_schema_field_t domain_fields[] = {
	WORD("name", struct hk_raw_domain, name),
	WORD("envelope", struct hk_raw_domain, envelope),
	WORD("profile", struct hk_raw_domain, profile),
	WORD("suite", struct hk_raw_domain, suite),
	WORD("mkid", struct hk_raw_domain, mkid),
	WORD("esn", struct hk_raw_domain, esn),
	WORD("flow-per-spi", struct hk_raw_domain, flow_per_spi),
	WORD("keys", struct hk_raw_domain, keys),
	WORD("keys-dir", struct hk_raw_domain, keys_dir),
	CYAML_FIELD_SEQUENCE("levels", OPTIONAL, struct hk_raw_domain, levels, &word, 0, 16),
	CYAML_FIELD_SEQUENCE(
		"receivers", OPTIONAL, struct hk_raw_domain, receivers, &word, 0, HK_MAP_RECEIVERS_MAX),
#define HK_S(id, name, fields, check) \
	CYAML_FIELD_MAPPING_PTR(name, OPTIONAL, struct hk_raw_domain, options[HK_ENVELOPE_##id], fields),
	HK_ENVELOPE_SCHEMAS(HK_S)
#undef HK_S
		CYAML_FIELD_END,
};

static const cyaml_schema_value_t domain = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct hk_raw_domain, domain_fields)};

static const cyaml_schema_field_t hook_fields[] = {
	WORD("use", struct hk_raw_hook, use),
	WORD("settings", struct hk_raw_hook, settings),
	WORD("rules", struct hk_raw_hook, rules),
	WORD("classes", struct hk_raw_hook, classes),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t hook = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct hk_raw_hook, hook_fields)};

/* Classes stand first, so a name that is both (`no-key`) is the class. */
static const cyaml_schema_field_t policy_fields[] = {
#define HK_P(id, key, action, text) WORD(key, struct hk_raw_policy, classes[HK_POLICY_##id]),
	HK_POLICIES(HK_P)
#undef HK_P
#define HK_R(number, id, name, policy, text) WORD(name, struct hk_raw_policy, reasons[number]),
		HK_REASONS(HK_R)
#undef HK_R
			CYAML_FIELD_END,
};

static const cyaml_schema_field_t eve_fields[] = {
	WORD("path", struct hk_raw_eve, path),
	WORD("stats-interval", struct hk_raw_eve, stats_interval),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t mirror_fields[] = {
	WORD("tap", struct hk_raw_mirror, tap),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t pcapng_fields[] = {
	WORD("path", struct hk_raw_pcapng, path),
	WORD("max-bytes", struct hk_raw_pcapng, max_bytes),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t feeds_fields[] = {
	CYAML_FIELD_MAPPING_PTR("eve", OPTIONAL, struct hk_raw_feeds, eve, eve_fields),
	CYAML_FIELD_MAPPING_PTR("mirror", OPTIONAL, struct hk_raw_feeds, mirror, mirror_fields),
	CYAML_FIELD_MAPPING_PTR("pcapng", OPTIONAL, struct hk_raw_feeds, pcapng, pcapng_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t config_fields[] = {
	WORD("instance", struct hk_raw_config, instance),
	WORD("mode", struct hk_raw_config, mode),
	WORD("attach", struct hk_raw_config, attach),
	WORD("queues", struct hk_raw_config, queues),
	WORD("user", struct hk_raw_config, user),
	WORD("control", struct hk_raw_config, control),
	WORD("crypto", struct hk_raw_config, crypto),
	WORD("seccomp", struct hk_raw_config, seccomp),
	WORD("heartbeat-ms", struct hk_raw_config, heartbeat_ms),
	WORD("frames", struct hk_raw_config, frames),
	WORD("keys-max", struct hk_raw_config, keys_max),
	WORD("flows-max", struct hk_raw_config, flows_max),
	CYAML_FIELD_SEQUENCE("ports", OPTIONAL, struct hk_raw_config, ports, &word, 0, 16),
	CYAML_FIELD_MAPPING("policy", CYAML_FLAG_OPTIONAL, struct hk_raw_config, policy, policy_fields),
	CYAML_FIELD_SEQUENCE("domains", OPTIONAL, struct hk_raw_config, domains, &domain, 0, HK_DOMAINS_MAX),
	CYAML_FIELD_SEQUENCE("hooks", OPTIONAL, struct hk_raw_config, hooks, &hook, 0, HK_HOOKS_MAX),
	CYAML_FIELD_MAPPING("feeds", CYAML_FLAG_OPTIONAL, struct hk_raw_config, feeds, feeds_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct hk_raw_config, config_fields)};

static void offer_keys(struct hk_nearest *nearest, const char *key, const cyaml_schema_field_t *fields)
{
	for (; fields->key; fields++)
		hk_nearest_offer(nearest, key, fields->key);
}

/* From all keys there are: a key in the wrong place is better shown than not. */
static struct hk_nearest nearest_key(const char *key)
{
	static const cyaml_schema_field_t *const all[] = {config_fields, domain_fields, hook_fields,
		policy_fields, feeds_fields, eve_fields, mirror_fields, pcapng_fields,
#define HK_S(id, name, fields, check) fields,
		HK_ENVELOPE_SCHEMAS(HK_S)
#undef HK_S
	};
	struct hk_nearest nearest = {0};
	unsigned i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		offer_keys(&nearest, key, all[i]);
	return nearest;
}

static int explain(const char *name, const struct hk_outline *outline, const struct hk_complaint *complaint,
	cyaml_err_t code, struct hk_error *error)
{
	struct hk_nearest nearest;
	char key[HK_COMPLAINT_KEY];

	if (!hk_complaint_unknown_key(complaint, key))
		return hk_complaint_refuse(complaint, name, code, error);
	nearest = nearest_key(key);
	return hk_complaint_refuse_key(name, hk_outline_key_line(outline, key), key, &nearest, error);
}

/* libcyaml grows a list by one entry at a time: grow by doubling, or 65536 receivers cost a square. */
static void *allocate(void *context, void *old, size_t size)
{
	size_t room = 4096;

	(void)context;
	if (!size) {
		free(old);
		return NULL;
	}
	if (old && malloc_usable_size(old) >= size)
		return old;
	while (room < size)
		room *= 2;
	return realloc(old, size < 4096 ? size : room);
}

static const cyaml_config_t *settings(cyaml_config_t *out, struct hk_complaint *complaint)
{
	*out = (cyaml_config_t){
		.log_fn = hk_complaint_listen,
		.log_ctx = complaint,
		.mem_fn = allocate,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	return out;
}

int hk_raw_config_read(struct hk_raw_config **out, const char *name, const struct hk_outline *outline,
	const char *text, size_t size, struct hk_error *error)
{
	struct hk_complaint complaint = {0};
	cyaml_config_t how;
	cyaml_err_t code;

	*out = NULL;
	code = cyaml_load_data((const uint8_t *)text, size, settings(&how, &complaint), &config_schema,
		(cyaml_data_t **)out, NULL);
	if (code != CYAML_OK)
		return explain(name, outline, &complaint, code, error);
	if (!*out)
		return hk_error_set(
			error, EINVAL, "%s: is empty: a configuration needs at least `ports`", name);
	return 0;
}

void hk_raw_config_free(struct hk_raw_config *raw)
{
	struct hk_complaint complaint = {0};
	cyaml_config_t how;

	if (raw)
		cyaml_free(settings(&how, &complaint), &config_schema, raw, 0);
}

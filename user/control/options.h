/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each envelope adds to a domain: a YAML mapping of its own, named like
 * the envelope, and the rules that hold between its keys. One file
 * schema_<envelope>.c and one row here an envelope; nothing else knows them.
 *
 *   domains:
 *     - name: east
 *       envelope: tss
 *       tss: { ... }          only what `envelope` names may stand here
 *
 * check() runs when name, envelope, profile, suite, esn, flow-per-spi and keys
 * are read. It reads its mapping from raw->options[], fills in its own struct
 * of hk_domain_config, mkid where the envelope has one, and carrier and options
 * of the receivers map, and refuses what means nothing in this envelope.
 */
#ifndef HK_CONTROL_OPTIONS_H
#define HK_CONTROL_OPTIONS_H

#include <cyaml/cyaml.h>

#include "user/control/reading.h"

/* S(ID, "name", fields, check) */
#define HK_ENVELOPE_SCHEMAS(S)                                                \
	S(PSP, "psp", hk_no_options, hk_domain_check_psp)                     \
	S(ESP, "esp", hk_no_options, hk_domain_check_esp)                     \
	S(EESP, "eesp", hk_eesp_fields, hk_domain_check_eesp)                 \
	S(WESP, "wesp", hk_no_options, hk_domain_check_wesp)                  \
	S(TSS, "tss", hk_tss_options_fields, hk_domain_check_tss)             \
	S(INLINE, "inline", hk_inline_options_fields, hk_domain_check_inline) \
	S(DTLS, "dtls", hk_dtls_options, hk_domain_check_dtls)                \
	S(TLS, "tls", hk_tls_options_fields, hk_domain_check_tls)

/* A row of `fields`: the word behind `key` comes to raw->options[HK_ENVELOPE_*]->words[place]. */
#define HK_OPTION(key, place)   \
	CYAML_FIELD_STRING_PTR( \
		key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct hk_raw_options, words[place], 0, 4096)

/* The one list: its words come to raw->options[HK_ENVELOPE_*]->list. */
extern const cyaml_schema_value_t hk_option_word;
#define HK_OPTION_LIST(key, most)                                                                        \
	CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct hk_raw_options, list, \
		&hk_option_word, 0, most)

/* One domain while it is read: `where` is "domains[3]", room for a key behind it. */
struct hk_domain_reading {
	struct hk_reading *reading;
	const struct hk_raw_domain *raw;
	struct hk_domain_config *domain;
	unsigned index;
	char where[64];
};

extern const cyaml_schema_field_t hk_no_options[];
#define HK_S(id, name, fields, check)               \
	extern const cyaml_schema_field_t fields[]; \
	int check(struct hk_domain_reading *domain);
HK_ENVELOPE_SCHEMAS(HK_S)
#undef HK_S

/* The place of `key` ("suite", "tss.ssi"; NULL: the domain itself) in the outline. Good until the next call.
 */
const char *hk_domain_at(struct hk_domain_reading *domain, const char *key);
/* The mapping's word, or NULL when it does not stand there. */
const char *hk_domain_option(const struct hk_domain_reading *domain, unsigned place);
/* `mkid`, from 0 to `max`; absent: 0. */
int hk_domain_read_mkid(struct hk_domain_reading *domain, __u32 max);
/* An IP protocol that is nobody else's becomes the domain's carrier; without `text`, `fallback` does. */
int hk_domain_read_protocol(
	struct hk_domain_reading *domain, const char *place, const char *text, __u16 fallback);

#define hk_domain_refuse(this, key, format, ...)                                             \
	hk_reading_refuse((this)->reading, hk_domain_at(this, key), "domain %.64s: " format, \
		(this)->domain->name, ##__VA_ARGS__)

#endif

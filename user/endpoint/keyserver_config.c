// SPDX-License-Identifier: GPL-2.0-or-later
/* The key server's YAML file: read, every value checked, one sentence for the first that is wrong. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/keyserver.h"
#include "user/endpoint/yaml.h"

#define TIME_MAX   (30 * 86400)
#define SPIS_SPARE 86400 /* a rotation may be late */

#define TEXT(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1, 4096)
#define NEED(key, type, member) CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, 4096)

static const cyaml_schema_value_t text_entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 64)};

static const cyaml_schema_field_t host_fields[] = {
	NEED("name", struct hk_ks_host, name),
	NEED("address", struct hk_ks_host, address),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t host_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct hk_ks_host, host_fields)};

static const cyaml_schema_field_t domain_fields[] = {
	NEED("name", struct hk_ks_domain, name),
	TEXT("envelope", struct hk_ks_domain, envelope_name),
	TEXT("profile", struct hk_ks_domain, profile_name),
	TEXT("version", struct hk_ks_domain, version_name),
	TEXT("suite", struct hk_ks_domain, suite_name),
	TEXT("mkid", struct hk_ks_domain, mkid_text),
	TEXT("lifetime", struct hk_ks_domain, lifetime_text),
	TEXT("ahead", struct hk_ks_domain, ahead_text),
	TEXT("grace", struct hk_ks_domain, grace_text),
	TEXT("delegation", struct hk_ks_domain, delegation_text),
	CYAML_FIELD_SEQUENCE(
		"hosts", CYAML_FLAG_POINTER, struct hk_ks_domain, hosts, &host_entry, 1, HK_KS_HOSTS),
	CYAML_FIELD_SEQUENCE("boxes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct hk_ks_domain, boxes,
		&text_entry, 0, HK_KS_NAMES),
	CYAML_FIELD_SEQUENCE("readers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct hk_ks_domain,
		readers, &text_entry, 0, HK_KS_NAMES),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t domain_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct hk_ks_domain, domain_fields)};

static const cyaml_schema_field_t config_fields[] = {
	TEXT("listen", struct hk_ks_config, listen),
	NEED("state", struct hk_ks_config, state),
	NEED("ca", struct hk_ks_config, ca),
	NEED("cert", struct hk_ks_config, cert),
	NEED("key", struct hk_ks_config, key),
	TEXT("crl", struct hk_ks_config, crl),
	TEXT("stats", struct hk_ks_config, stats),
	CYAML_FIELD_SEQUENCE(
		"domains", CYAML_FLAG_POINTER, struct hk_ks_config, domains, &domain_entry, 1, HK_KS_DOMAINS),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct hk_ks_config, config_fields)};

static int check_name(const char *what, const char *name, struct hk_error *error)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			break;
	if (name[i] || !i || i >= HK_PUSH_NAME)
		return hk_error_set(error, EINVAL, "%s '%.64s': up to %d letters, digits, '-' and '_'", what,
			name, HK_PUSH_NAME - 1);
	return 0;
}

/* Seconds, or a number with s, m, h or d. */
static int check_time(
	const char *what, const char *text, __s64 least, __s64 standard, __s64 *out, struct hk_error *error)
{
	static const struct {
		char letter;
		unsigned seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char number[16] = "";
	size_t size = text ? strlen(text) : 0, i;
	unsigned unit = 1;
	__u64 value;

	*out = standard;
	if (!text)
		return 0;
	for (i = 0; i < 4 && size; i++) {
		if (text[size - 1] != units[i].letter)
			continue;
		unit = units[i].seconds;
		size--;
		break;
	}
	if (size < sizeof(number))
		memcpy(number, text, size);
	if (hk_number_parse(number, TIME_MAX / unit, &value) || (__s64)(value * unit) < least)
		return hk_error_set(error, EINVAL,
			"%s '%.32s': must be a time like 90s, 10m, 8h or 30d, from %llds to 30d", what, text,
			(long long)least);
	*out = (__s64)(value * unit);
	return 0;
}

/* A context names all there is to know of it, and MKIDs are the server's. */
static int check_pairs(const struct hk_ks_domain *domain, struct hk_error *error)
{
	const char *said = domain->version_name ? "version"
			   : domain->suite_name ? "suite"
			   : domain->mkid_text	? "mkid"
						: NULL;

	if (said)
		return hk_error_set(error, EINVAL,
			"domain '%s': %s: means nothing in %s, where each sender and receiver have an MKID "
			"of their own",
			domain->name, said, hk_envelope_name(domain->envelope));
	if (domain->hosts_count < 2 || domain->hosts_count > HK_KS_PAIR_HOSTS)
		return hk_error_set(error, EINVAL,
			"domain '%s': has %u hosts: %s has keys for each two of them, so there must be from "
			"2 to %u: divide the domain",
			domain->name, domain->hosts_count, hk_envelope_name(domain->envelope),
			HK_KS_PAIR_HOSTS);
	return 0;
}

static int check_variant(struct hk_ks_domain *domain, struct hk_error *error)
{
	bool psp = domain->envelope == HK_ENVELOPE_PSP, split = domain->profile == HK_PROFILE_SPLIT;
	__u64 version = split ? HK_PSP_SPLIT_256 : HK_PSP_GCM_256, mkid = 1;
	int suite = split ? HK_SUITE_CTR_HMAC : HK_SUITE_GCM;

	if (psp ? domain->suite_name != NULL : domain->version_name != NULL)
		return hk_error_set(
			error, EINVAL, "domain '%s': PSP has a version, ESP a suite", domain->name);
	if (domain->version_name && hk_number_parse(domain->version_name, 15, &version))
		version = 255;
	if (domain->suite_name)
		suite = hk_suite_by_name(domain->suite_name);
	if (domain->mkid_text && hk_number_parse(domain->mkid_text, 65535, &mkid))
		return hk_error_set(error, EINVAL, "domain '%s': mkid '%s': must be a number from 0 to 65535",
			domain->name, domain->mkid_text);
	domain->mkid = (__u16)mkid;
	domain->variant = psp ? (__u8)version : (__u8)(suite > 0 ? suite : 0);
	if (hk_sa_profile(domain->envelope, domain->variant) != domain->profile)
		return hk_error_set(error, EINVAL,
			"domain '%s': its version or suite is not of profile %s: split has versions 4 and 5, "
			"ctr-hmac, gcm-split and cbc-hmac; single has versions 0 and 1, gcm",
			domain->name, hk_profile_name(domain->profile));
	return 0;
}

static int check_kind(struct hk_ks_domain *domain, struct hk_error *error)
{
	int envelope = domain->envelope_name ? hk_envelope_by_name(domain->envelope_name) : HK_ENVELOPE_PSP;
	const char *profile = domain->profile_name ? domain->profile_name : "split";

	if (envelope != HK_ENVELOPE_PSP && envelope != HK_ENVELOPE_ESP && envelope != HK_ENVELOPE_EESP &&
		envelope != HK_ENVELOPE_WESP)
		return hk_error_set(error, EINVAL,
			"domain '%s': envelope '%s': must be psp, esp, eesp or wesp; keys of the others are "
			"made by halfkey-endpoint keygen, and rotated by keygen --next",
			domain->name, domain->envelope_name);
	if (strcmp(profile, "split") != 0 && strcmp(profile, "single") != 0)
		return hk_error_set(error, EINVAL, "domain '%s': profile '%s': must be split or single",
			domain->name, profile);
	domain->envelope = (__u8)envelope;
	domain->profile = profile[1] == 'i' ? HK_PROFILE_SINGLE : HK_PROFILE_SPLIT;
	return hk_ks_has_pairs(domain) ? check_pairs(domain, error) : check_variant(domain, error);
}

/* How long a box or reader may use keys that it hears nothing new about. */
static int check_delegation(struct hk_ks_domain *domain, struct hk_error *error)
{
	domain->delegation = HK_KS_UNLIMITED;
	if (domain->delegation_text && strcmp(domain->delegation_text, "unlimited") == 0)
		return 0;
	return check_time(
		"delegation", domain->delegation_text, 0, domain->lifetime, &domain->delegation, error);
}

static int check_times(struct hk_ks_domain *domain, struct hk_error *error)
{
	__s64 last = (hk_ks_spis_last(domain) - SPIS_SPARE) / 86400 * 86400;

	if (check_time("lifetime", domain->lifetime_text, 5, 86400, &domain->lifetime, error) ||
		check_time(
			"ahead", domain->ahead_text, 1, domain->lifetime / 10 + 1, &domain->ahead, error) ||
		check_time(
			"grace", domain->grace_text, 1, domain->lifetime / 10 + 1, &domain->grace, error) ||
		check_delegation(domain, error))
		return -EINVAL;
	if (domain->ahead + domain->lifetime > last)
		return hk_error_set(error, EINVAL,
			"domain '%s': lifetime and ahead together can be %lld days at most with %s: then its "
			"SPIs are "
			"used up",
			domain->name, (long long)last / 86400, hk_envelope_name(domain->envelope));
	if (domain->ahead + domain->grace >= domain->lifetime)
		return hk_error_set(error, EINVAL,
			"domain '%s': lifetime must be longer than ahead and grace together: a slot is free "
			"again "
			"only when its old keys are gone",
			domain->name);
	return 0;
}

static int check_hosts(struct hk_ks_domain *domain, struct hk_error *error)
{
	unsigned i, j;

	for (i = 0; i < domain->hosts_count; i++) {
		struct hk_ks_host *host = &domain->hosts[i];

		if (check_name("host", host->name, error))
			return -EINVAL;
		if (hk_address_parse(host->address, &host->receiver))
			return hk_error_set(error, EINVAL, "host '%s': address '%s': must be IPv4 or IPv6",
				host->name, host->address);
		for (j = 0; j < i; j++)
			if (strcmp(domain->hosts[j].name, host->name) == 0 ||
				memcmp(&domain->hosts[j].receiver, &host->receiver, 16) == 0)
				return hk_error_set(error, EINVAL,
					"host '%s': its name or address stands twice in domain '%s'",
					host->name, domain->name);
	}
	for (i = 0; i < domain->boxes_count; i++)
		if (check_name("box", domain->boxes[i], error))
			return -EINVAL;
	for (i = 0; i < domain->readers_count; i++)
		if (check_name("reader", domain->readers[i], error))
			return -EINVAL;
	return 0;
}

static int check_domain(struct hk_ks_config *config, unsigned index, struct hk_error *error)
{
	struct hk_ks_domain *domain = &config->domains[index];
	unsigned i;

	if (check_name("domain", domain->name, error))
		return -EINVAL;
	for (i = 0; i < index; i++)
		if (strcmp(config->domains[i].name, domain->name) == 0)
			return hk_error_set(error, EINVAL, "domain '%s' stands twice", domain->name);
	if (check_kind(domain, error) || check_times(domain, error))
		return -EINVAL;
	return check_hosts(domain, error);
}

int hk_ks_config_read(struct hk_ks_config **out, const char *path, struct hk_error *error)
{
	struct hk_ks_config *config = NULL;
	struct hk_error inner = {{0}};
	unsigned i;
	int status = 0;

	status = hk_yaml_load(
		(void **)&config, "a key server's configuration", &config_schema, path, -1, error);
	if (status)
		return status;
	hk_yaml_resolve(&config->state, path);
	hk_yaml_resolve(&config->ca, path);
	hk_yaml_resolve(&config->cert, path);
	hk_yaml_resolve(&config->key, path);
	hk_yaml_resolve(&config->crl, path);
	hk_yaml_resolve(&config->stats, path);
	for (i = 0; i < config->domains_count && !status; i++)
		status = check_domain(config, i, &inner);
	if (status) {
		hk_ks_config_free(config);
		return hk_error_set(error, -status, "%s: %.400s", path, inner.text);
	}
	*out = config;
	return 0;
}

void hk_ks_config_free(struct hk_ks_config *config)
{
	hk_yaml_free(&config_schema, config);
}

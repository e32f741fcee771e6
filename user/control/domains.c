// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The domains of a configuration: who receives, under which envelope, profile
 * and suite. Everything that could make one domain mean nothing is refused here;
 * what could make two mean the same packet, in domains_join.c.
 */
#include "user/control/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout.h"
#include "user/base/names.h"
#include "user/base/text.h"
#include "user/envelope/envelope.h"

static const char *const envelopes[] = {"",
#define HK_E(number, id, name, text) name,
	HK_ENVELOPES(HK_E)
#undef HK_E
		NULL};

static const char *const profiles[] = {"", "split", "single", NULL};

static const char *const suites[] = {"",
#define HK_S(number, id, name, profile, text) name,
	HK_SUITES(HK_S)
#undef HK_S
		NULL};

/* What each envelope's own file makes of a domain. */
static const struct rules {
	const char *name;
	int (*check)(struct hk_domain_reading *this);
} rules[HK_ENVELOPE_MAX] = {
#define HK_S(id, name, fields, check) [HK_ENVELOPE_##id] = {name, check},
	HK_ENVELOPE_SCHEMAS(HK_S)
#undef HK_S
};

const char *hk_domain_at(struct hk_domain_reading *this, const char *key)
{
	snprintf(this->where, sizeof(this->where), "domains[%u]%s%s", this->index, key ? "." : "",
		key ? key : "");
	return this->where;
}

const char *hk_domain_option(const struct hk_domain_reading *this, unsigned place)
{
	const struct hk_raw_options *options = this->raw->options[this->domain->envelope];

	return options ? options->words[place] : NULL;
}

#define at     hk_domain_at
#define refuse hk_domain_refuse

static int read_name(struct hk_domain_reading *this)
{
	const char *name = this->raw->name;
	unsigned i;

	if (!name)
		return hk_reading_refuse(this->reading, at(this, NULL), "domain %u of the list has no `name`",
			this->index + 1);
	if (!hk_is_plain_name(name, "-_.", 63))
		return hk_reading_refuse(this->reading, at(this, "name"),
			"\"%.70s\" is no domain name: up to 63 letters, digits, '-', '_' and '.'", name);
	for (i = 0; i < this->index; i++)
		if (strcmp(this->reading->config->domains[i].name, name) == 0)
			return hk_reading_refuse(
				this->reading, at(this, "name"), "there are two domains named \"%s\"", name);
	return hk_read_text(this->reading, at(this, "name"), "name", name, &this->domain->name);
}

#define LEVELS_MIN 2

/* Their names are part of the derivation: an exact match, at most 16 bytes. */
static int read_levels(struct hk_domain_reading *this)
{
	const struct hk_raw_domain *raw = this->raw;
	struct hk_domain_config *domain = this->domain;
	unsigned i, other, max = sizeof(domain->levels) / sizeof(domain->levels[0]);

	if (!raw->levels)
		return 0;
	if (raw->levels_count < LEVELS_MIN || raw->levels_count > max)
		return refuse(
			this, "levels", "levels: names %u, two or three are possible", raw->levels_count);
	for (i = 0; i < raw->levels_count; i++) {
		if (!hk_is_plain_name(raw->levels[i], "-_.", sizeof(domain->levels[i]) - 1))
			return refuse(this, "levels",
				"levels: \"%.20s\" is no name of up to 16 letters, digits, '-', '_' and '.'",
				raw->levels[i]);
		for (other = 0; other < i; other++)
			if (strcmp(raw->levels[other], raw->levels[i]) == 0)
				return refuse(this, "levels", "levels: \"%.20s\" stands there twice",
					raw->levels[i]);
		snprintf(domain->levels[i], sizeof(domain->levels[i]), "%s", raw->levels[i]);
	}
	domain->levels_count = raw->levels_count;
	return 0;
}

static int read_words(struct hk_domain_reading *this)
{
	const struct hk_raw_domain *raw = this->raw;
	struct hk_domain_config *domain = this->domain;
	struct hk_reading *reading = this->reading;
	int code;

	if (!raw->envelope)
		return refuse(this, NULL, "has no `envelope` (psp or esp)");
	if (!raw->profile)
		return refuse(this, NULL, "has no `profile` (split or single)");
	code = hk_read_choice(
		reading, at(this, "envelope"), "envelope", raw->envelope, envelopes, &domain->envelope);
	if (!code)
		code = hk_read_choice(
			reading, at(this, "profile"), "profile", raw->profile, profiles, &domain->profile);
	if (!code)
		code = hk_read_choice(
			reading, at(this, "suite"), "suite", raw->suite, suites, &domain->suite);
	if (!code)
		code = hk_read_boolean(reading, at(this, "esn"), "esn", raw->esn, &domain->esn);
	if (!code)
		code = hk_read_boolean(reading, at(this, "flow-per-spi"), "flow-per-spi", raw->flow_per_spi,
			&domain->flow_per_spi);
	if (!code)
		code = hk_read_text(reading, at(this, "keys"), "keys", raw->keys, &domain->keys);
	if (!code)
		code = hk_read_text(
			reading, at(this, "keys-dir"), "keys-dir", raw->keys_dir, &domain->keys_dir);
	if (!code)
		code = read_levels(this);
	return code;
}

int hk_domain_read_mkid(struct hk_domain_reading *this, __u32 max)
{
	__u64 mkid = 0;
	int code = hk_read_number(this->reading, at(this, "mkid"), "mkid", this->raw->mkid, 0, max, &mkid);

	this->domain->mkid = (__u32)mkid;
	return code;
}

/* IP protocols that the outer parser reads itself, that are another envelope's, or that stacks answer. */
static bool is_taken(unsigned protocol)
{
	static const __u8 taken[] = {
		0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 139, 140, 141, 255};

	return memchr(taken, (int)protocol, sizeof(taken));
}

int hk_domain_read_protocol(
	struct hk_domain_reading *this, const char *place, const char *text, __u16 fallback)
{
	__u64 protocol = fallback;
	int code = hk_read_number(this->reading, at(this, place), "protocol", text, 0, 255, &protocol);

	if (!code && text && is_taken((unsigned)protocol))
		return refuse(this, place,
			"protocol: %u is another protocol's number: use 253 or 254, or what your fabric uses",
			(unsigned)protocol);
	this->domain->carrier = (__u16)protocol;
	return code;
}

/* An envelope has a number before it has a parser and an opener. */
static int check_envelope(struct hk_domain_reading *this)
{
	unsigned envelope = this->domain->envelope, other;

	if (!rules[envelope].check || !hk_envelope_ops(envelope))
		return refuse(this, "envelope",
			"envelope: \"%s\" cannot be opened by this version of halfkey", this->raw->envelope);
	for (other = 0; other < HK_ENVELOPE_MAX; other++)
		if (this->raw->options[other] && other != envelope)
			return refuse(this, rules[other].name, "`%s` means nothing in envelope %s",
				rules[other].name, this->raw->envelope);
	return rules[envelope].check(this);
}

/* What can never be a receiver, and why. `length` bits counted within its own IP version. */
static const char *not_a_receiver(const struct hk_prefix *prefix)
{
	static const __u8 zeros[15];
	bool v4 = hk_address_is_v4(&prefix->address);
	const __u8 *bytes = prefix->address.bytes;

	if (v4 ? prefix->length > 96 && bytes[12] >= 224 && bytes[12] < 240
	       : prefix->length > 7 && bytes[0] == 0xff)
		return "is multicast, which always is control traffic";
	if (v4 && prefix->length >= 104 && (bytes[12] == 0 || bytes[12] == 127))
		return "is never an address of a packet on a wire";
	if (!v4 && prefix->length == 128 && memcmp(bytes, zeros, 15) == 0)
		return "is never an address of a packet on a wire";
	return NULL;
}

static int read_receiver(struct hk_domain_reading *this, unsigned place)
{
	const char *text = this->raw->receivers[place];
	struct hk_prefix *prefix = &this->domain->receivers[place];
	char key[32];
	const char *why;

	snprintf(key, sizeof(key), "receivers[%u]", place);
	if (hk_prefix_parse(text, prefix))
		return refuse(this, key,
			"receivers: \"%.64s\" is no address or prefix (192.0.2.0/24; bits behind the length "
			"must be 0)",
			text);
	why = not_a_receiver(prefix);
	return why ? refuse(this, key, "receivers: \"%.64s\" %s", text, why) : 0;
}

static int read_receivers(struct hk_domain_reading *this)
{
	unsigned i;
	int code = 0;

	if (!this->raw->receivers_count)
		return refuse(this, NULL, "has no `receivers`: the addresses whose keys its key file holds");
	this->domain->receivers = calloc(this->raw->receivers_count, sizeof(*this->domain->receivers));
	if (!this->domain->receivers)
		return refuse(this, NULL, "out of memory");
	this->domain->receivers_count = this->raw->receivers_count;
	for (i = 0; i < this->raw->receivers_count && !code; i++)
		code = read_receiver(this, i);
	return code;
}

static int read_domain(struct hk_domain_reading *this)
{
	int code = read_name(this);

	if (!code)
		code = read_words(this);
	if (!code)
		code = check_envelope(this);
	return code ? code : read_receivers(this);
}

int hk_read_domains(struct hk_reading *reading)
{
	unsigned i, count = reading->raw->domains_count;
	struct hk_config *config = reading->config;
	int code = 0;

	config->domains = calloc(count ? count : 1, sizeof(*config->domains));
	if (!config->domains)
		return hk_reading_refuse(reading, "domains", "out of memory");
	for (i = 0; i < count && !code; i++) {
		struct hk_domain_reading this = {
			reading, &reading->raw->domains[i], &config->domains[i], i, ""};

		config->domains_count = i + 1;
		config->domains[i].config = config;
		code = read_domain(&this);
	}
	return code ? code : hk_domains_join(reading);
}

const char *hk_domain_keyless(const struct hk_domain_config *domain, char *out, size_t room)
{
	bool tls = domain->envelope == HK_ENVELOPE_TLS, directory = !domain->keys && domain->keys_dir;

	if (domain->keys)
		snprintf(out, room, "%s holds no key", domain->keys);
	else
		snprintf(out, room, "has no keys yet: give it some with `halfkey keys add %s`%s%s%s%s",
			domain->name, tls ? "" : " or `halfkey keys pull --into ", tls ? "" : domain->name,
			tls ? "" : "`", directory ? ", or in a file NAME.keys of its keys-dir" : "");
	return out;
}

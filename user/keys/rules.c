// SPDX-License-Identifier: GPL-2.0-or-later
/* A key line held against its domain: see rules.h. */
#include "user/keys/rules.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

#define REFUSE(domain, line, error, format, ...) \
	hk_error_set(error, EINVAL, "%s:%u: " format, (domain)->keys, (line)->line, __VA_ARGS__)

/* The one rule that makes the box what it is. */
static int check_side(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	bool split = domain->profile == HK_PROFILE_SPLIT;

	if (line->side == HK_SIDE_READER && domain->envelope != HK_ENVELOPE_EESP &&
		domain->envelope != HK_ENVELOPE_WESP)
		return REFUSE(domain, line, error,
			"side=reader in domain '%s', which is %s: its packets carry no reader tag",
			domain->name, hk_envelope_name(domain->envelope));
	if (line->side == HK_SIDE_READER)
		return 0; /* it authenticates to readers alone */
	if (line->side == HK_SIDE_AUTH)
		return REFUSE(domain, line, error,
			"side=auth: an authentication-side key has no place in the box (domain '%s' is %s): "
			"with it "
			"the box could forge; remove the line and keep that key on the end hosts",
			domain->name, hk_profile_name(domain->profile));
	if (split && line->side != HK_SIDE_ENC)
		return REFUSE(domain, line, error,
			"side=single in domain '%s', which is split: one key that opens and authenticates "
			"would let "
			"the box forge; use side=enc",
			domain->name);
	if (!split && line->side != HK_SIDE_SINGLE)
		return REFUSE(domain, line, error,
			"side=enc in domain '%s', which is single: use side=single, or make the domain split",
			domain->name);
	return 0;
}

static int check_psp(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	bool split = line->version >= HK_PSP_SPLIT_128;

	if (line->suite)
		return REFUSE(domain, line, error,
			"suite=%s in domain '%s', which is psp: use version=", hk_suite_name(line->suite),
			domain->name);
	if (line->is_explicit && split != (domain->profile == HK_PROFILE_SPLIT))
		return REFUSE(domain, line, error, "version=%d is of the other profile: domain '%s' is %s",
			line->version, domain->name, hk_profile_name(domain->profile));
	if (!line->is_explicit && !line->has_receiver)
		return REFUSE(domain, line, error,
			"receiver= is missing: a PSP master key belongs to one receiver (domain '%s')",
			domain->name);
	if (!line->is_explicit && line->slot > 1)
		return REFUSE(domain, line, error, "slot=%u: PSP has slots 0 and 1 (SPI bit 31; domain '%s')",
			line->slot, domain->name);
	return 0;
}

/*
 * In UDP 4500 the first bit of the first word is EESP's where the receiver is in
 * a domain of EESP: an ESP key that has it set would never be asked for.
 */
static int check_first_bit(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	const struct hk_domain_config *other;
	unsigned d, r;

	for (d = 0;
		line->is_explicit && line->spi >> 31 && domain->config && d < domain->config->domains_count;
		d++) {
		other = &domain->config->domains[d];
		for (r = 0; other->envelope == HK_ENVELOPE_EESP && r < other->receivers_count; r++)
			if (hk_prefix_holds(&other->receivers[r], &line->receiver.address))
				return REFUSE(domain, line, error,
					"spi=0x%08x has its first bit set, and the receiver is in domain "
					"'%s' as "
					"well: packets of this SPI in UDP 4500 would be read as EESP; give "
					"the SA "
					"another SPI",
					line->spi, other->name);
	}
	return 0;
}

static int check_esp(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	if (line->version >= 0)
		return REFUSE(domain, line, error,
			"version=%d in domain '%s', which is esp: use suite=", line->version, domain->name);
	if (line->is_explicit && hk_suite_profile(line->suite) != domain->profile)
		return REFUSE(domain, line, error, "suite=%s is of the other profile: domain '%s' is %s",
			hk_suite_name(line->suite), domain->name, hk_profile_name(domain->profile));
	if (line->is_explicit && line->suite != domain->suite)
		return REFUSE(domain, line, error, "suite=%s in domain '%s', whose suite is %s",
			hk_suite_name(line->suite), domain->name, hk_suite_name(domain->suite));
	return check_first_bit(domain, line, error);
}

/* A receiver outside the domain would never be asked for: most likely a typing error. */
static int check_receiver(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	char text[HK_PREFIX_TEXT];
	unsigned i;

	if (!line->has_receiver)
		return 0;
	for (i = 0; i < domain->receivers_count; i++)
		if (hk_prefix_holds(&domain->receivers[i], &line->receiver.address) ||
			hk_prefix_holds(&line->receiver, &domain->receivers[i].address))
			return 0;
	return REFUSE(domain, line, error, "receiver=%s is not among the receivers of domain '%s'",
		hk_prefix_format(&line->receiver, text), domain->name);
}

/* What PSP and ESP packets do not carry: a line about it would never be asked for. */
static int refuse_foreign(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	if (line->form == HK_KEY_ROOT)
		return REFUSE(domain, line, error, "root= in domain '%s', which is %s: only EESP has sub-SAs",
			domain->name, hk_envelope_name(domain->envelope));
	if (!line->has_id)
		return 0;
	return REFUSE(domain, line, error, "id=%u in domain '%s', which is %s: its packets carry none",
		line->id, domain->name, hk_envelope_name(domain->envelope));
}

static int check_psp_line(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	int result = refuse_foreign(domain, line, error);

	return result ? result : check_psp(domain, line, error);
}

static int check_esp_line(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	int result = refuse_foreign(domain, line, error);

	return result ? result : check_esp(domain, line, error);
}

/* The secure domain, as the packet names it, has two keys (AN), whoever sends and receives. */
static int check_tss_line(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	if (line->is_explicit)
		return REFUSE(domain, line, error,
			"spi= in domain '%s', which is tss: its keys are master keys, named by id= and slot=",
			domain->name);
	if (line->has_receiver)
		return REFUSE(domain, line, error,
			"receiver= in domain '%s', which is tss: a key belongs to its SDI (id=), not to a "
			"receiver",
			domain->name);
	if (!line->has_id && !domain->mkid)
		return REFUSE(domain, line, error,
			"id= is missing: the SDI of this key (domain '%s' has no mkid to take its place)",
			domain->name);
	if (line->id > HK_TSS_SDI_MAX)
		return REFUSE(domain, line, error, "id=%u: an SDI is at most %u (domain '%s')", line->id,
			HK_TSS_SDI_MAX, domain->name);
	if (line->slot > 1)
		return REFUSE(domain, line, error, "slot=%u: TSS has slots 0 and 1 (AN; domain '%s')",
			line->slot, domain->name);
	return 0;
}

/* MKIDs are what changes when keys do: a packet has no room for a slot. */
static int check_dtls_line(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	if (line->is_explicit)
		return REFUSE(domain, line, error,
			"spi= in domain '%s', which is dtls: its keys are master keys (slot=0 id=MKID)",
			domain->name);
	if (line->slot)
		return REFUSE(domain, line, error,
			"slot=%u: DTLS has slot 0 alone; a new key gets a new id= (domain '%s')", line->slot,
			domain->name);
	if (line->has_id && line->id > 0xffff)
		return REFUSE(domain, line, error,
			"id=%u: a DTLS connection id carries an MKID from 0 to 65535 (domain '%s')", line->id,
			domain->name);
	return 0;
}

static int check_derived_line(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	if (line->side == HK_SIDE_READER && domain->profile != HK_PROFILE_SPLIT)
		return REFUSE(domain, line, error,
			"side=reader in domain '%s', which is single: there every ICV is verified anyway",
			domain->name);
	if (!line->is_explicit || (line->form == HK_KEY_ROOT && domain->envelope == HK_ENVELOPE_EESP))
		return 0;
	return REFUSE(domain, line, error, "an explicit key of domain '%s', which is %s: %s", domain->name,
		hk_envelope_name(domain->envelope),
		domain->envelope == HK_ENVELOPE_EESP ? "an SA is given by its root="
						     : "only master keys mean something");
}

/* A parent SA is its secret; the keys of packets and children come from it. */
static int check_inline_line(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	if (line->form == HK_KEY_ROOT)
		return 0;
	return REFUSE(domain, line, error,
		"no root= in domain '%s', which is inline: a parent SA is given by receiver=, spi= and root=",
		domain->name);
}

/* Which lines an envelope takes. */
static int (*const checks[HK_ENVELOPE_MAX])(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error) = {
	[HK_ENVELOPE_PSP] = check_psp_line,
	[HK_ENVELOPE_ESP] = check_esp_line,
	[HK_ENVELOPE_TSS] = check_tss_line,
	[HK_ENVELOPE_DTLS] = check_dtls_line,
	[HK_ENVELOPE_EESP] = check_derived_line,
	[HK_ENVELOPE_WESP] = check_derived_line,
	[HK_ENVELOPE_INLINE] = check_inline_line,
};

static int check_level(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < domain->levels_count; i++)
		if (strcmp(domain->levels[i], line->level) == 0)
			return 0;
	return REFUSE(domain, line, error, "level=%s is not among the `levels` of domain '%s'", line->level,
		domain->name);
}

int hk_key_line_check(
	const struct hk_domain_config *domain, const struct hk_key_line *line, struct hk_error *error)
{
	int result;

	if (line->form == HK_KEY_SENDER)
		return REFUSE(domain, line, error,
			"sender= is of end hosts: a box binds no SPI to a sender%s",
			" (is this a host's file?)");
	if (domain->envelope >= HK_ENVELOPE_MAX || !checks[domain->envelope])
		return REFUSE(domain, line, error, "the envelope of domain '%s' takes no keys", domain->name);
	result = line->form == HK_KEY_LEVEL ? check_level(domain, line, error)
					    : checks[domain->envelope](domain, line, error);
	if (!result)
		result = check_side(domain, line, error);
	if (!result)
		result = check_receiver(domain, line, error);
	return result;
}

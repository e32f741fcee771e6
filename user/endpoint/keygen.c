// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey-endpoint keygen`: what was wished, judged together. See keygen.h. */
#include "user/endpoint/keygen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "user/base/text.h"
#include "user/endpoint/commands.h"

/* Whatever the envelope is. */
#define ALWAYS                                                                                              \
	(HK_KEYGEN_BIT(OUT) | HK_KEYGEN_BIT(ENVELOPE) | HK_KEYGEN_BIT(GENERATION) | HK_KEYGEN_BIT(DOMAIN) | \
		HK_KEYGEN_BIT(NEXT))

/* What one generation and the next have in common: a change of it would be another domain. */
#define FIXED                                                                                            \
	(HK_KEYGEN_BIT(ENVELOPE) | HK_KEYGEN_BIT(PROFILE) | HK_KEYGEN_BIT(SUB_SA) | HK_KEYGEN_BIT(SDI) | \
		HK_KEYGEN_BIT(TSS))

static int judge_row(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	const char *envelope = wishes->value[HK_KEYGEN_ENVELOPE];
	unsigned i, strange;

	if (!envelope)
		envelope = "psp";
	keygen->row = hk_keygen_row(envelope, wishes->value[HK_KEYGEN_SUB_SA] != NULL);
	if (!keygen->row)
		return hk_error_set(error, EINVAL,
			"envelope '%.40s': must be psp, esp, eesp, wesp, inline, tss or dtls", envelope);
	if (keygen->row->nothing)
		return hk_error_set(error, EINVAL, "envelope '%s': there is nothing to draw: %s", envelope,
			keygen->row->nothing);
	strange = wishes->said & ~(ALWAYS | keygen->row->options);
	for (i = 0; i < HK_KEYGEN_OPTIONS_COUNT; i++)
		if (strange & 1u << i)
			return hk_error_set(error, EINVAL, "--%s means nothing in envelope '%s'%s",
				hk_keygen_option_name(i), envelope,
				keygen->row->sub_sa ? " with --sub-sa" : "");
	strange = keygen->next ? wishes->said & FIXED : 0;
	for (i = 0; i < HK_KEYGEN_OPTIONS_COUNT; i++)
		if (strange & 1u << i)
			return hk_error_set(error, EINVAL,
				"--%s with --next: that of %s stays; make a new set without --next",
				hk_keygen_option_name(i), keygen->next);
	return 0;
}

static int judge_names(
	struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	static char udp[] = "udp", fabric[] = "fabric", tunnel[] = "tunnel";
	const char *profile = wishes->value[HK_KEYGEN_PROFILE];

	keygen->carrier = wishes->value[HK_KEYGEN_CARRIER] ? wishes->value[HK_KEYGEN_CARRIER] : udp;
	keygen->domain = wishes->value[HK_KEYGEN_DOMAIN];
	if (!keygen->domain)
		keygen->domain = keygen->row->envelope == HK_ENVELOPE_TSS ? fabric : tunnel;
	keygen->tss_text = wishes->value[HK_KEYGEN_TSS];
	keygen->reader = wishes->value[HK_KEYGEN_READER] != NULL;
	keygen->receivers = wishes->receivers.row;
	keygen->receivers_count = wishes->receivers.count;
	if (profile && strcmp(profile, "split") != 0 && strcmp(profile, "single") != 0)
		return hk_error_set(error, EINVAL, "profile '%.40s': must be split or single", profile);
	keygen->profile = profile && profile[1] == 'i' ? HK_PROFILE_SINGLE : HK_PROFILE_SPLIT;
	if (!hk_keygen_good_name(keygen->domain))
		return hk_error_set(error, EINVAL, "domain '%.40s': up to 31 letters, digits, '-' and '_'",
			keygen->domain);
	if (!keygen->out)
		return hk_error_set(error, EINVAL, "no directory to write to: name it with --out");
	return 0;
}

/* Where a number was not said with --next, the one after the old one. */
static __u64 after(const struct hk_keygen_wishes *wishes, unsigned option, __u64 old)
{
	return wishes->value[HK_KEYGEN_NEXT] && !(wishes->said & 1u << option) ? old + 1 : old;
}

static int judge_numbers(
	struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	const struct hk_keygen_row *row = keygen->row;
	__u64 slot = 0, generation = 1, mkid = 1, spis = 2;

	if (hk_keygen_number(wishes, HK_KEYGEN_SLOT, 0, row->slots ? row->slots - 1u : 0, &slot, error) ||
		hk_keygen_number(wishes, HK_KEYGEN_GENERATION, 0, 0xffffffff, &generation, error) ||
		hk_keygen_number(wishes, HK_KEYGEN_MKID, 0, row->id_max, &mkid, error) ||
		hk_keygen_number(wishes, HK_KEYGEN_SPIS, 1, HK_KEYGEN_SPIS_MAX, &spis, error))
		return -EINVAL;
	generation = after(wishes, HK_KEYGEN_GENERATION, generation);
	if (generation > 0xffffffff)
		return hk_error_set(error, EOVERFLOW,
			"generation 4294967295 was the last one: start a new "
			"domain without --next");
	keygen->slot = row->slots ? (__u8)(after(wishes, HK_KEYGEN_SLOT, slot) % row->slots) : 0;
	keygen->generation = (__u32)generation;
	keygen->mkid = (__u32)mkid;
	keygen->spis = (unsigned)spis;
	return 0;
}

static int judge(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	int status;

	keygen->next = wishes->value[HK_KEYGEN_NEXT];
	keygen->out = wishes->value[HK_KEYGEN_OUT];
	status = judge_row(keygen, wishes, error);
	if (!status)
		status = judge_names(keygen, wishes, error);
	if (!status)
		status = judge_numbers(keygen, wishes, error);
	if (!status)
		status = keygen->row->judge(keygen, wishes, error);
	if (!status && keygen->row->share != HK_KEYGEN_BY_DOMAIN)
		status = hk_keygen_hosts(keygen, wishes, error);
	return status;
}

int hk_endpoint_keygen(int argc, char **argv)
{
	static struct hk_keygen_wishes wishes;
	struct hk_keygen *keygen = hk_secret_new(sizeof(*keygen));
	struct hk_error error = {{0}};
	int status;

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	status = keygen ? hk_keygen_read(&wishes, argc, argv, &error)
			: hk_error_set(&error, ENOMEM, "no memory for keys");
	if (!status && keygen)
		status = judge(keygen, &wishes, &error);
	if (status == -EINVAL) /* all that it judges are options */
		status = -HK_EUSAGE;
	if (!status && keygen)
		status = hk_keygen_write(keygen, &wishes, &error);
	hk_secret_free(keygen, sizeof(*keygen));
	hk_keygen_wishes_free(&wishes);
	return hk_command_end("keygen", status, &error);
}

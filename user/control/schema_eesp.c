// SPDX-License-Identifier: GPL-2.0-or-later
/* EESP and WESP domains: see options.h. */
#include "user/control/options.h"

enum { PROTOCOL, SN, IV };

const cyaml_schema_field_t hk_eesp_fields[] = {
	HK_OPTION("protocol", PROTOCOL),
	HK_OPTION("sn", SN),
	HK_OPTION("iv", IV),
	CYAML_FIELD_END,
};

static int refuse_suite(struct hk_domain_reading *domain)
{
	const struct hk_raw_domain *raw = domain->raw;

	if (raw->suite)
		return hk_domain_refuse(domain, "suite",
			"suite: \"%.20s\" means nothing in envelope %s: it has AES-256-GCM, in two keys "
			"where the "
			"profile is split",
			raw->suite, raw->envelope);
	if (domain->domain->esn)
		return hk_domain_refuse(domain, "esn", "esn: means nothing in envelope %s", raw->envelope);
	return 0;
}

/* IP protocols that the outer parser reads itself, or that are another envelope's. */
static bool is_taken(unsigned protocol)
{
	static const __u8 taken[] = {1, 2, 4, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 135, 139, 140, 141};
	unsigned i;

	for (i = 0; i < sizeof(taken); i++)
		if (taken[i] == protocol)
			return true;
	return false;
}

static int read_protocol(struct hk_domain_reading *domain)
{
	const char *text = hk_domain_option(domain, PROTOCOL);
	__u64 protocol = 0;
	int code = hk_read_number(
		domain->reading, hk_domain_at(domain, "eesp.protocol"), "protocol", text, 1, 254, &protocol);

	if (!code && text && is_taken((unsigned)protocol))
		code = hk_domain_refuse(domain, "eesp.protocol",
			"protocol: IP protocol %u is something else already: 253 and 254 are for experiments",
			(unsigned)protocol);
	domain->domain->carrier = (__u16)protocol;
	return code;
}

int hk_domain_check_eesp(struct hk_domain_reading *domain)
{
	struct hk_eesp_options *eesp = &domain->domain->eesp;
	int code = refuse_suite(domain);

	eesp->sn = eesp->iv = true;
	if (!code)
		code = hk_domain_read_mkid(domain, 0xffffffff);
	if (!code)
		code = read_protocol(domain);
	if (!code)
		code = hk_read_boolean(domain->reading, hk_domain_at(domain, "eesp.sn"), "sn",
			hk_domain_option(domain, SN), &eesp->sn);
	if (!code)
		code = hk_read_boolean(domain->reading, hk_domain_at(domain, "eesp.iv"), "iv",
			hk_domain_option(domain, IV), &eesp->iv);
	if (!code && !eesp->sn && !eesp->iv)
		code = hk_domain_refuse(
			domain, "eesp.iv", "sn and iv are both off: without either there is no nonce");
	return code;
}

int hk_domain_check_wesp(struct hk_domain_reading *domain)
{
	int code = refuse_suite(domain);

	return code ? code : hk_domain_read_mkid(domain, 0xffffffff);
}

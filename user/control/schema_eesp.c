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

int hk_domain_check_eesp(struct hk_domain_reading *domain)
{
	struct hk_eesp_options *eesp = &domain->domain->eesp;
	int code = refuse_suite(domain);

	eesp->sn = eesp->iv = true;
	if (!code)
		code = hk_domain_read_mkid(domain, 0xffffffff);
	if (!code)
		code = hk_domain_read_protocol(
			domain, "eesp.protocol", hk_domain_option(domain, PROTOCOL), 0);
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

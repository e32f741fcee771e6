// SPDX-License-Identifier: GPL-2.0-or-later
/* PSP domains: see options.h. They have no options; the packet says everything. */
#include "user/control/options.h"

int hk_domain_check_psp(struct hk_domain_reading *domain)
{
	const struct hk_raw_domain *raw = domain->raw;

	if (raw->suite)
		return hk_domain_refuse(domain, "suite",
			"suite: \"%.20s\" means nothing in envelope psp: each packet says its version",
			raw->suite);
	if (raw->mkid)
		return hk_domain_refuse(
			domain, "mkid", "mkid: \"%.20s\" means nothing in envelope psp", raw->mkid);
	if (domain->domain->esn)
		return hk_domain_refuse(domain, "esn", "esn: PSP has no sequence numbers to extend");
	return 0;
}

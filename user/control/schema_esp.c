// SPDX-License-Identifier: GPL-2.0-or-later
/* ESP domains: see options.h. Suite and MKID stand in the domain itself. */
#include "user/base/text.h"
#include "user/control/options.h"

int hk_domain_check_esp(struct hk_domain_reading *domain)
{
	const struct hk_raw_domain *raw = domain->raw;
	unsigned wanted = hk_suite_profile(domain->domain->suite);

	if (!raw->suite)
		return hk_domain_refuse(domain, NULL,
			"has no `suite`: envelope esp needs gcm, gcm-split, ctr-hmac or cbc-hmac");
	if (wanted != domain->domain->profile)
		return hk_domain_refuse(domain, "suite", "suite \"%s\" is of profile %s, not \"%s\"",
			raw->suite, hk_profile_name(wanted), raw->profile);
	if (!raw->mkid)
		return hk_domain_refuse(domain, NULL,
			"has no `mkid`: envelope esp needs the master key's number, 0 to 65535");
	return hk_domain_read_mkid(domain, 0xffff);
}

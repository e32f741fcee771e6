// SPDX-License-Identifier: GPL-2.0-or-later
/* DTLS domains: see options.h. The packets say MKID and direction; the domain says where to look for them. */
#include "user/control/options.h"

enum { PORT };

const cyaml_schema_field_t hk_dtls_options[] = {HK_OPTION("port", PORT), CYAML_FIELD_END};

int hk_domain_check_dtls(struct hk_domain_reading *domain)
{
	const struct hk_raw_domain *raw = domain->raw;
	__u64 port = 0;
	int code;

	if (raw->suite)
		return hk_domain_refuse(domain, "suite",
			"suite: \"%.20s\" means nothing in envelope dtls: it is AES-256-GCM, in profile "
			"split with a tag under the other key",
			raw->suite);
	if (domain->domain->esn)
		return hk_domain_refuse(domain, "esn", "esn: DTLS has no sequence numbers to extend");
	if (!hk_domain_option(domain, PORT))
		return hk_domain_refuse(domain, NULL,
			"has no `dtls: {port: ...}`: envelope dtls needs the UDP port of the servers");
	code = hk_read_number(domain->reading, hk_domain_at(domain, "dtls.port"), "dtls.port",
		hk_domain_option(domain, PORT), 1, 65535, &port);
	if (code)
		return code;
	if (port == HK_UDP_PORT_PSP || port == HK_UDP_PORT_IKE || port == HK_UDP_PORT_ESP)
		return hk_domain_refuse(domain, "dtls.port",
			"dtls.port: %u is the port of another envelope or of IKE", (unsigned)port);
	domain->domain->carrier = (__u16)port;
	return hk_domain_read_mkid(domain, 0xffff);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* TLS domains: see options.h. One key does both, so they are `single`. */
#include "user/control/options.h"
#include "user/envelope/streams.h"

#define MEMORY_DEFAULT (16u << 20)
#define MEMORY_MAX     (4ull << 30)

enum { PORT, MEMORY };

const cyaml_schema_field_t hk_tls_options_fields[] = {
	HK_OPTION("port", PORT), HK_OPTION("memory", MEMORY), CYAML_FIELD_END};

static int check_meaningless(struct hk_domain_reading *domain)
{
	const struct hk_raw_domain *raw = domain->raw;

	if (domain->domain->profile != HK_PROFILE_SINGLE)
		return hk_domain_refuse(domain, "profile",
			"profile: \"%.20s\": in TLS one key encrypts and authenticates: it is single",
			raw->profile);
	if (raw->suite)
		return hk_domain_refuse(domain, "suite",
			"suite: \"%.20s\" means nothing in envelope tls: each connection chooses its own",
			raw->suite);
	if (raw->mkid)
		return hk_domain_refuse(
			domain, "mkid", "mkid: \"%.20s\" means nothing in envelope tls", raw->mkid);
	if (domain->domain->esn)
		return hk_domain_refuse(domain, "esn", "esn: TLS has no sequence numbers to extend");
	return 0;
}

int hk_domain_check_tls(struct hk_domain_reading *domain)
{
	const char *memory = hk_domain_option(domain, MEMORY);
	__u64 port = 0, bytes = MEMORY_DEFAULT;
	int code = check_meaningless(domain);

	if (code)
		return code;
	if (!hk_domain_option(domain, PORT))
		return hk_domain_refuse(domain, NULL,
			"has no `tls: {port: ...}`: envelope tls needs the TCP port of the servers");
	code = hk_read_number(domain->reading, hk_domain_at(domain, "tls.port"), "tls.port",
		hk_domain_option(domain, PORT), 1, 65535, &port);
	if (!code && memory)
		code = hk_read_bytes(
			domain->reading, hk_domain_at(domain, "tls.memory"), "tls.memory", memory, &bytes);
	if (code)
		return code;
	if (bytes < HK_STREAMS_MIN || bytes > MEMORY_MAX)
		return hk_domain_refuse(
			domain, "tls.memory", "tls.memory: \"%.20s\": must be 1MiB to 4GiB", memory);
	domain->domain->carrier = (__u16)port;
	domain->domain->tls.memory = bytes;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* TLS domains: see options.h. One key does both, so they are `single`. */
#include "user/control/options.h"

#include <stdio.h>

#include "user/envelope/streams.h"

#define MEMORY_DEFAULT (16u << 20)
#define MEMORY_MAX     (4ull << 30)

enum { MEMORY };

const cyaml_schema_field_t hk_tls_options_fields[] = {
	HK_OPTION_LIST("ports", HK_TLS_PORTS_MAX), HK_OPTION("memory", MEMORY), CYAML_FIELD_END};

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

static int read_port(struct hk_domain_reading *domain, const char *text, unsigned i)
{
	__u16 *ports = domain->domain->tls.ports;
	char place[32];
	unsigned other;
	__u64 port = 0;
	int code;

	snprintf(place, sizeof(place), "tls.ports[%u]", i);
	code = hk_read_number(
		domain->reading, hk_domain_at(domain, place), "tls.ports", text, 1, 65535, &port);
	for (other = 0; !code && other < i; other++)
		if (ports[other] == port)
			code = hk_domain_refuse(
				domain, place, "tls.ports: \"%.20s\" stands there twice", text);
	ports[i] = (__u16)port;
	return code;
}

static int read_ports(struct hk_domain_reading *domain)
{
	const struct hk_raw_options *options = domain->raw->options[HK_ENVELOPE_TLS];
	unsigned i;
	int code = 0;

	if (!options || !options->list_count)
		return hk_domain_refuse(domain, NULL,
			"has no `tls: {ports: [...]}`: envelope tls needs the TCP ports of the servers");
	for (i = 0; i < options->list_count && !code; i++)
		code = read_port(domain, options->list[i], i);
	return code;
}

static int read_memory(struct hk_domain_reading *domain)
{
	const char *memory = hk_domain_option(domain, MEMORY);
	__u64 bytes = MEMORY_DEFAULT;
	int code = memory ? hk_read_bytes(domain->reading, hk_domain_at(domain, "tls.memory"), "tls.memory",
				    memory, &bytes)
			  : 0;

	if (!code && (bytes < HK_STREAMS_MIN || bytes > MEMORY_MAX))
		code = hk_domain_refuse(
			domain, "tls.memory", "tls.memory: \"%.20s\": must be 1MiB to 4GiB", memory);
	domain->domain->tls.memory = bytes;
	return code;
}

int hk_domain_check_tls(struct hk_domain_reading *domain)
{
	int code = check_meaningless(domain);

	if (!code)
		code = read_ports(domain);
	return code ? code : read_memory(domain);
}

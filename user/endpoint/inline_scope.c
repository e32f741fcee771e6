// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a child may carry (docs/wire-formats.md, section 5). Addresses are the
 * outer ones, of hosts; protocol and ports those of the packet inside:
 *
 *   1 range     from an address of the range
 *   2 host      from the host that the creation went to
 *   3 protocol  the same, and of that protocol
 *   4 ports     the same, from the peer's port to the creator's
 *
 * The box opens what it can; these rules are the end hosts'.
 */
#include <netinet/in.h>
#include <string.h>

#include "user/endpoint/inline_sa.h"
#include "user/endpoint/inner.h"

static bool has_ports(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE: return true;
	default: return false;
	}
}

bool hk_inline_flow(const __u8 *inner, __u32 length, struct hk_inline_flow *out)
{
	struct hk_inner_ip ip;

	memset(out, 0, sizeof(*out));
	if (hk_inner_ip_parse(inner, length, &ip))
		return false;
	out->protocol = ip.protocol;
	if (ip.fragment || !has_ports(ip.protocol) || ip.header_size + 4u > length)
		return true;
	out->has_ports = true;
	out->source_port = hk_get16(inner + ip.header_size);
	out->destination_port = hk_get16(inner + ip.header_size + 2);
	return true;
}

static bool covers(const struct hk_creation *creation, const struct hk_inline_flow *flow)
{
	if (creation->scope < HK_SCOPE_PROTOCOL)
		return true;
	if (flow->protocol != creation->protocol)
		return false;
	return creation->scope != HK_SCOPE_PORTS ||
	       (flow->has_ports && flow->source_port == creation->peer_port &&
		       flow->destination_port == creation->creator_port);
}

bool hk_inline_allows(
	const struct hk_inline *sa, const struct hk_address *source, const __u8 *inner, __u32 length)
{
	struct hk_inline_flow flow;

	if (!sa->creation.size)
		return true;
	if (memcmp(source, &sa->low, sizeof(*source)) < 0 || memcmp(source, &sa->high, sizeof(*source)) > 0)
		return false;
	if (!length)
		return true; /* a creation alone is no traffic */
	return hk_inline_flow(inner, length, &flow) && covers(&sa->creation, &flow);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A selector: which packets a firewall rule or a shaper class means. In a
 * file it is a `match:` mapping of comma-separated lists; all keys given must
 * match, and any element of a list suffices:
 *
 *   match: {source: "10.0.0.0/8, 2001:db8::/32", protocol: tcp, destination-port: "80, 8000-8099",
 *           domain: east, auth: authenticated}
 *
 * An absent key matches everything. A prefix matches packets of its own IP
 * version alone (::/0 is "all IPv6"). Ports match TCP, UDP, UDP-Lite, DCCP and
 * SCTP packets whose transport header is there: never ICMP, never a fragment
 * but the first.
 *
 * hk_selector_matches() is the meaning, one comparison after the other;
 * classifier.h compiles many selectors into something fast with equal results.
 */
#ifndef HK_HOOKS_SELECTOR_H
#define HK_HOOKS_SELECTOR_H

#include <stdbool.h>

#include <halfkey/envelope.h>
#include <halfkey/hook.h>

#include "user/hooks/settings.h"

/* As libcyaml reads it; NULL: absent. */
struct hk_selector_text {
	char *source;
	char *destination;
	char *protocol;
	char *source_port;
	char *destination_port;
	char *domain;
	char *auth;
};

extern const cyaml_schema_field_t hk_selector_schema[];

struct hk_port_range {
	__u16 first, last;
};

#define HK_SELECTOR_ANY_AUTH ((1 << HK_AUTH_COUNT) - 1)

/* The packet's mark; what nobody defined counts as none. */
static inline unsigned hk_selector_auth(const struct hk_hook_packet *packet)
{
	return packet->auth < HK_AUTH_COUNT ? packet->auth : HK_AUTH_NONE;
}

struct hk_selector {
	struct hk_prefix *sources; /* NULL: any */
	struct hk_prefix *destinations;
	struct hk_port_range *source_ports;
	struct hk_port_range *destination_ports;
	__u16 *domains;
	__u16 sources_count, destinations_count, source_ports_count, destination_ports_count, domains_count;
	bool any_protocol;
	__u8 protocols[32]; /* a bit each */
	__u8 auth;	    /* bits 1 << enum hk_auth */
};

/* `who` names the rule or class in a refusal. NULL `text` matches everything. 0 or -1. */
int hk_selector_parse(struct hk_selector *out, const struct hk_selector_text *text, const char *who,
	const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal);
void hk_selector_free(struct hk_selector *selector);
/* The first `count` of an array, and the array. */
void hk_selectors_free(struct hk_selector *selectors, unsigned count);

bool hk_selector_matches(const struct hk_selector *selector, const struct hk_hook_packet *packet);

/* Whether src_port and dst_port of the packet are ports. */
static inline bool hk_packet_has_ports(const struct hk_hook_packet *packet)
{
	static const __u8 with_ports[256] = {[6] = 1, [17] = 1, [33] = 1, [132] = 1, [136] = 1};

	return (packet->flags & HK_PACKET_PORTS) && with_ports[packet->protocol];
}

#endif

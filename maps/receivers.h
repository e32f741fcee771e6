/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Map `receivers` (LPM trie): from the outer destination to the domain of each
 * envelope. Keys belong to receivers, so the destination selects the domain.
 * One lookup serves all envelopes: whoever writes the map copies what a shorter
 * prefix says into the longer prefixes inside it, but never from IPv6 into
 * IPv4: where an IPv6 prefix covers ::ffff:0:0/96, an empty entry for that
 * prefix ends the lookup. Written by the starter. HK_RECEIVER_FLOW_PER_SPI is
 * for whoever installs verdicts; the XDP program looks verdicts up in any case.
 */
#ifndef HALFKEY_MAPS_RECEIVERS_H
#define HALFKEY_MAPS_RECEIVERS_H

#include <linux/types.h>

#include <halfkey/address.h>
#include <halfkey/envelope.h>

#define HK_NO_DOMAIN		 0xffff
#define HK_RECEIVER_FLOW_PER_SPI 0x01

struct hk_receiver_key {
	__u32 prefixlen; /* bits of `address`; IPv4: 96 + its own */
	struct hk_address address;
};

struct hk_receiver_value {
	__u16 domain[HK_ENVELOPE_MAX];	   /* by enum hk_envelope; HK_NO_DOMAIN: none */
	__u8 flags[HK_ENVELOPE_MAX];	   /* HK_RECEIVER_* */
	__u8 suite[HK_ENVELOPE_MAX];	   /* enum hk_suite; 0: the packet says it */
	__u16 carrier[HK_ENVELOPE_MAX];	   /* IP protocol or UDP port; 0: the envelope's default, or none */
	__u8 options[HK_ENVELOPE_MAX];	   /* the envelope's own bits; its parser says what they mean */
	__u16 tls_ports[HK_TLS_PORTS_MAX]; /* TCP ports of TLS servers; 0: this one and all behind it are free
					    */
};

_Static_assert(sizeof(struct hk_receiver_key) == 20, "map ABI");
_Static_assert(sizeof(struct hk_receiver_value) == 128, "map ABI");

#endif

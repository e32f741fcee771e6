/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inner packet's headers: what hooks, flow table and feeds know of it.
 * Every byte is hostile; nothing behind `length` is read, and nothing that an
 * end host would still accept is refused, or it would pass uninspected.
 */
#ifndef HK_PIPELINE_INNER_H
#define HK_PIPELINE_INNER_H

#include <stdbool.h>
#include <string.h>

#include <halfkey/hook.h>
#include <halfkey/meta.h>

#include "user/base/bytes.h"

/*
 * Fills in everything of `packet` that the inner headers say, but not
 * data_offset and flow_hash; the rest must be zero. 0, or -EINVAL when no end host
 * could read it as an IP packet.
 */
int hk_packet_parse(const __u8 *data, __u32 length, struct hk_hook_packet *packet);

/*
 * The same for an opened payload that is no IP packet: its tuple is that of the
 * outer packet, whose IP header says `protocol`; in front of `envelope` stands its
 * UDP header, if it has one. src and dst must be set already.
 */
void hk_packet_describe_payload(
	const __u8 *envelope, unsigned protocol, __u32 length, struct hk_hook_packet *packet);

/* Behind hk_packet_describe_payload(): the envelope rode in TCP with these ports. */
void hk_packet_describe_tcp(__u32 ports, struct hk_hook_packet *packet);

/* An inner flow: both directions have the same key. ICMP has its echo identifier at both ends. */
struct hk_flow_key {
	struct hk_address low;
	struct hk_address high;
	__u16 low_port;
	__u16 high_port;
	__u16 domain;
	__u8 protocol;
	__u8 reserved; /* 0 */
};

_Static_assert(sizeof(struct hk_flow_key) == 40, "no padding: keys are compared as bytes");

static inline bool hk_flow_key_equal(const struct hk_flow_key *a, const struct hk_flow_key *b)
{
	const char *x = (const char *)a, *y = (const char *)b;

	return !((hk_word(x) ^ hk_word(y)) | (hk_word(x + 8) ^ hk_word(y + 8)) |
		 (hk_word(x + 16) ^ hk_word(y + 16)) | (hk_word(x + 24) ^ hk_word(y + 24)) |
		 (hk_word(x + 32) ^ hk_word(y + 32)));
}

/*
 * The key of a parsed packet and its hash, the same in all workers and never 0.
 * `swapped` is 1 when src is the high end: the packets of one direction agree in it.
 * Without a `key` (NULL) the hash is all that is made.
 */
__u64 hk_packet_flow(
	const __u8 *data, const struct hk_hook_packet *packet, struct hk_flow_key *key, __u8 *swapped);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inner IP packets before sealing and after opening: which part is sealed, and
 * what the outer headers are. Internal to the seal side.
 */
#ifndef HK_ENDPOINT_INNER_H
#define HK_ENDPOINT_INNER_H

#include "user/endpoint/sa.h"

/* An IP packet that may be sealed. */
struct hk_inner_ip {
	__u8 version;  /* 4 or 6 */
	__u8 protocol; /* IPv4 protocol, IPv6 next header */
	bool fragment;
	__u16 header_size; /* IPv4 with options; IPv6 40 */
	struct hk_address source, destination;
};

/* 0, or -EINVAL: no IP packet, or not exactly `length` bytes (padding is refused). */
int hk_inner_ip_parse(const __u8 *packet, __u32 length, struct hk_inner_ip *out);
/* May its payload travel in transport mode (its header is rebuilt from the outer one)? */
bool hk_inner_fits_transport(const struct hk_inner_ip *inner, unsigned envelope);

/* Transport mode: the inner header's service, lifetime and flow label, into the outer one. */
void hk_outer_keep_inner(__u8 *outer, const __u8 *inner);

/*
 * A UDP datagram between the outer addresses of `sealed`, in place of an inner packet: for envelopes
 * that carry payloads. enum hk_refusal. `out` as in struct hk_speaker's open().
 */
unsigned hk_datagram_deliver(const struct hk_sealed *sealed, __u16 source_port, __u16 port,
	const __u8 *payload, __u32 length, __u8 *out, struct hk_opened *opened);
/* Fills in the UDP checksum of an IP packet without options (over IPv6 it is not optional). */
void hk_udp_checksum(__u8 *packet);
/* IPv4 header checksum over `size` bytes whose checksum field is 0. */
__u16 hk_ip_checksum(const __u8 *header, __u32 size);

#endif

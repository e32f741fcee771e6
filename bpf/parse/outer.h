/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The outer parser: the only one there is, for the XDP program and for
 * userspace alike. The stages, in order:
 *
 *   link → network → receiver lookup → fragments → transport → envelope →
 *   domain of that envelope → the envelope's own header checks
 *
 * Whoever includes this defines hk_receiver_find(): a map lookup in BPF, a
 * table in userspace. Adding an envelope is one parser file beside this one and
 * one row in HK_ENVELOPE_PARSERS (and its number in include/halfkey/envelope.h).
 */
#ifndef HALFKEY_BPF_PARSE_OUTER_H
#define HALFKEY_BPF_PARSE_OUTER_H

#include <halfkey/envelope.h>
#include <halfkey/meta.h>

#include "bpf/parse/dtls.h"
#include "bpf/parse/eesp.h"
#include "bpf/parse/esp.h"
#include "bpf/parse/inline.h"
#include "bpf/parse/packet.h"
#include "bpf/parse/psp.h"
#include "bpf/parse/tls.h"
#include "bpf/parse/transport.h"
#include "bpf/parse/tss.h"
#include "bpf/parse/wesp.h"
#include "maps/receivers.h"

/*
 * P(ID, claim, parse): `claim` says whose packet it is, `parse` checks its
 * header. The first that claims a packet has it. Both get what the map says of
 * the destination: domains, suites, carriers and options. It is NULL for claim()
 * where no domain receives, and never NULL for parse().
 */
#define HK_ENVELOPE_PARSERS(P)                      \
	P(PSP, hk_psp_claim, hk_psp_parse)          \
	P(WESP, hk_wesp_claim, hk_wesp_parse)       \
	P(EESP, hk_eesp_claim, hk_eesp_parse)       \
	P(INLINE, hk_inline_claim, hk_inline_parse) \
	P(ESP, hk_esp_claim, hk_esp_parse)          \
	P(TSS, hk_tss_claim, hk_tss_parse)          \
	P(DTLS, hk_dtls_claim, hk_dtls_parse)       \
	P(TLS, hk_tls_claim, hk_tls_parse)

/* What the longest prefix around `address` says, or NULL. */
static const struct hk_receiver_value *hk_receiver_find(const void *table, const struct hk_address *address);

/* Spreads outer addresses and SPI over 32 bits. Not keyed: chooses no security-relevant bucket. */
HK_PARSE __u32 hk_outer_flow_hash(const struct hk_packet *packet, __u32 spi)
{
	__u64 words[4], hash = spi;
	int i;

	__builtin_memcpy(words, packet->src.bytes, 16);
	__builtin_memcpy(words + 2, packet->dst.bytes, 16);
#pragma GCC unroll 4
	for (i = 0; i < 4; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	return (__u32)hash;
}

/* Set before the envelope's parser runs, which may ask for them. */
HK_PARSE __u8 hk_outer_flags(const struct hk_packet *packet)
{
	return (packet->version == 6 ? HK_META_OUTER_V6 : 0) | (packet->udp ? HK_META_UDP : 0);
}

/* Fills in what else all envelopes share; spi and payload_offset are the envelope parser's. */
HK_PARSE void hk_outer_describe(const struct hk_cursor *cursor, const struct hk_packet *packet,
	unsigned envelope, __u16 domain, struct hk_meta *meta)
{
	meta->version = HK_META_VERSION;
	meta->envelope = (__u8)envelope;
	meta->l3_offset = packet->l3_offset;
	meta->envelope_offset = (__u16)cursor->at;
	meta->end_offset = (__u16)cursor->limit;
	meta->domain = domain;
	meta->flow_hash = hk_outer_flow_hash(packet, meta->spi);
	meta->reserved = 0;
}

/* An envelope's packet before its header is looked at: is it for a receiver we know, and whole? */
HK_PARSE unsigned hk_outer_admit(const struct hk_cursor *cursor, const struct hk_packet *packet, __u16 domain)
{
	if (domain == HK_NO_DOMAIN)
		return HK_REASON_NO_DOMAIN;
	if (packet->padded)
		return HK_REASON_DATAGRAM_PADDING;
	if (cursor->limit > HK_CURSOR_MAX)
		return HK_REASON_FRAME_SIZE;
	return HK_REASON_OK;
}

HK_PARSE unsigned hk_outer_parse_envelope(const struct hk_cursor *cursor, const struct hk_packet *packet,
	const struct hk_receiver_value *receiver, struct hk_meta *meta)
{
	unsigned reason;
	__u16 domain; /* read once: a reload may change the map under us */

#define HK_P(id, claim, parse)                                                             \
	reason = claim(cursor, packet, receiver);                                          \
	if (reason == HK_REASON_TO_WORKER) {                                               \
		domain = receiver ? receiver->domain[HK_ENVELOPE_##id] : HK_NO_DOMAIN;     \
		reason = hk_outer_admit(cursor, packet, domain);                           \
		meta->flags = hk_outer_flags(packet);                                      \
		if (reason == HK_REASON_OK)                                                \
			reason = parse(cursor, receiver, meta);                            \
		if (reason == HK_REASON_TO_WORKER)                                         \
			hk_outer_describe(cursor, packet, HK_ENVELOPE_##id, domain, meta); \
		return reason;                                                             \
	}                                                                                  \
	if (reason != HK_REASON_OK)                                                        \
		return reason;
	HK_ENVELOPE_PARSERS(HK_P)
#undef HK_P
	return HK_REASON_LEGACY;
}

HK_PARSE int hk_outer_has_domain(const struct hk_receiver_value *receiver)
{
	int found = 0;

#define HK_P(id, claim, parse) found |= receiver->domain[HK_ENVELOPE_##id] != HK_NO_DOMAIN;
	HK_ENVELOPE_PARSERS(HK_P)
#undef HK_P
	return found;
}

/* Stage 1: the frame, its link and IP headers. `packet` is all 0. */
HK_STAGE hk_stage_network(hk_frame_source *source, struct hk_packet *packet)
{
	struct hk_cursor cursor;
	unsigned reason;

	if (!packet)
		return HK_REASON_SHORT_FRAME;
	hk_cursor_init(&cursor, source, 0, (__u32)(HK_FRAME_END(source) - HK_FRAME_START(source)));
	reason = hk_link_parse(&cursor, packet);
	if (reason == HK_REASON_OK)
		reason = hk_network_parse(&cursor, packet);
	packet->at = cursor.at;
	packet->limit = cursor.limit;
	return (int)reason;
}

/* Stage 2, for each IPv6 extension header. */
HK_STAGE hk_stage_extension(hk_frame_source *source, struct hk_packet *packet, int first)
{
	struct hk_cursor cursor;
	unsigned reason;

	if (!packet)
		return HK_REASON_SHORT_FRAME;
	hk_cursor_init(&cursor, source, packet->at, packet->limit);
	reason = hk_network_parse_extension(&cursor, packet, first);
	packet->at = cursor.at;
	return (int)reason;
}

/* Stage 3: UDP, then the envelope. `receiver`: what the map says about the destination, or NULL. */
HK_STAGE hk_stage_envelope(hk_frame_source *source, struct hk_packet *packet, struct hk_meta *meta,
	const struct hk_receiver_value *receiver)
{
	struct hk_cursor cursor;
	unsigned reason;

	if (!packet || !meta)
		return HK_REASON_SHORT_FRAME;
	hk_cursor_init(&cursor, source, packet->at, packet->limit);
	reason = hk_transport_parse(&cursor, packet);
	if (reason == HK_REASON_OK)
		reason = hk_outer_parse_envelope(&cursor, packet, receiver, meta);
	return (int)reason;
}

HK_PARSE unsigned hk_outer_walk_extensions(hk_frame_source *source, struct hk_packet *packet)
{
	int i;

	for (i = 0; i < HK_IP6_EXTENSIONS_MAX; i++) {
		if (!hk_network_has_extension(packet))
			return HK_REASON_OK;
		if (hk_stage_extension(source, packet, i == 0) != HK_REASON_OK)
			return HK_REASON_IP6_EXTENSIONS;
	}
	return hk_network_has_extension(packet) ? HK_REASON_IP6_EXTENSIONS : HK_REASON_OK;
}

/*
 * HK_REASON_TO_WORKER with `meta` filled but for port and queue, or the reason
 * why the frame is not for a worker. `packet` and `meta` must be all 0.
 */
HK_PARSE unsigned hk_outer_run(
	hk_frame_source *source, const void *receivers, struct hk_packet *packet, struct hk_meta *meta)
{
	const struct hk_receiver_value *receiver;
	unsigned reason;

	reason = (unsigned)hk_stage_network(source, packet);
	if (reason != HK_REASON_OK)
		return reason;
	reason = hk_outer_walk_extensions(source, packet);
	if (reason != HK_REASON_OK)
		return reason;
	receiver = hk_receiver_find(receivers, &packet->dst);
	if (packet->fragment)
		return receiver && hk_outer_has_domain(receiver) ? HK_REASON_FRAGMENT : HK_REASON_LEGACY;
	return (unsigned)hk_stage_envelope(source, packet, meta, receiver);
}

#endif

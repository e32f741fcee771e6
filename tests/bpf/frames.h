/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames for parser tests, described instead of spelled: a row of struct
 * packet_case says what differs from a well-formed PSP packet over IPv4, and
 * frame_build() makes it. The same rows go through XDP and through userspace.
 */
#ifndef TESTS_BPF_FRAMES_H
#define TESTS_BPF_FRAMES_H

#include <arpa/inet.h>
#include <string.h>
#include <linux/types.h>

#include <halfkey/config.h>
#include <halfkey/envelope.h>

#include "user/base/text.h"

#define FRAME_MAX   4096
#define FRAME_POKES 6

enum payload { PSP = 0, ESP, RAW, TSS, EESP, WESP_NULL, WESP_DERIVED };

/* Where a poke counts from. */
enum layer { AT_NOWHERE = 0, AT_FRAME, AT_IP, AT_TRANSPORT, AT_ENVELOPE };

struct poke {
	enum layer layer;
	unsigned offset;
	unsigned value; /* one byte */
};

struct packet_case {
	const char *name;
	unsigned reason;
	unsigned tags;	  /* VLAN tags */
	__u16 ethertype;  /* 0: that of `dst` */
	const char *dst;  /* NULL: 192.0.2.9 */
	unsigned options; /* bytes of IPv4 options */
	unsigned extension_count;
	__u8 extensions[12];	 /* IPv6 extension headers, in order */
	unsigned extension_size; /* bytes of each; 0: 8 */
	__u8 protocol;		 /* 0: UDP */
	__u16 port;		 /* 0: 1000 for PSP, 4793 for TSS, 4500 otherwise */
	enum payload payload;
	unsigned hel;	/* PSP Hdr Ext Len; 0: 1 */
	__u8 version;	/* PSP version */
	unsigned ssi;	/* TSS: 1: SP and an SSI */
	unsigned size;	/* of what follows the envelope's fixed header (16 PSP, 8 ESP, 12 or 16 TSS); 0: 48 */
	unsigned bytes; /* RAW: size of the payload */
	__u8 byte;	/* RAW: what it is full of */
	unsigned behind_datagram; /* bytes of the IP packet behind the datagram */
	unsigned behind_packet;	  /* Ethernet padding */
	struct poke pokes[FRAME_POKES];
	unsigned cut; /* the frame ends after this many bytes of `cut_at` */
	enum layer cut_at;
};

struct frame {
	__u8 data[FRAME_MAX];
	unsigned length;
	unsigned ip;
	unsigned transport;
	unsigned envelope;
};

static inline void frame_add(struct frame *frame, const void *bytes, unsigned size)
{
	memcpy(frame->data + frame->length, bytes, size);
	frame->length += size;
}

static inline void frame_fill(struct frame *frame, unsigned size, __u8 byte)
{
	memset(frame->data + frame->length, byte, size);
	frame->length += size;
}

static inline void frame_store16(struct frame *frame, unsigned offset, unsigned value)
{
	frame->data[offset] = (__u8)(value >> 8);
	frame->data[offset + 1] = (__u8)value;
}

static inline void frame_link(struct frame *frame, const struct packet_case *c, int v6)
{
	static const __u8 macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	static const __u16 tags[] = {0x88a8, 0x8100, 0x8100, 0x8100};
	__u16 ethertype = c->ethertype ? c->ethertype : v6 ? 0x86dd : 0x0800;
	unsigned i;

	frame_add(frame, macs, sizeof(macs));
	for (i = 0; i < c->tags; i++) {
		frame_fill(frame, 4, 0);
		frame_store16(frame, frame->length - 4, tags[c->tags == 1 ? 1 : i]);
		frame_store16(frame, frame->length - 2, 100 + i);
	}
	frame_fill(frame, 2, 0);
	frame_store16(frame, frame->length - 2, ethertype);
}

static inline void frame_ip4(struct frame *frame, const struct packet_case *c, const struct hk_address *dst)
{
	static const __u8 src[4] = {192, 0, 2, 200};

	frame->ip = frame->length;
	frame_fill(frame, 20 + c->options, 0);
	frame->data[frame->ip] = (__u8)(0x40 | (20 + c->options) / 4);
	frame->data[frame->ip + 8] = 64;
	frame->data[frame->ip + 9] = c->protocol ? c->protocol : 17;
	memcpy(frame->data + frame->ip + 12, src, 4);
	memcpy(frame->data + frame->ip + 16, dst->bytes + 12, 4);
	memset(frame->data + frame->ip + 20, 1, c->options); /* NOP */
}

static inline void frame_ip6(struct frame *frame, const struct packet_case *c, const struct hk_address *dst)
{
	static const __u8 src[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x77};
	__u8 last = c->protocol ? c->protocol : 17;
	unsigned size = c->extension_size ? c->extension_size : 8, i;

	frame->ip = frame->length;
	frame_fill(frame, 40, 0);
	frame->data[frame->ip] = 0x60;
	frame->data[frame->ip + 6] = c->extension_count ? c->extensions[0] : last;
	frame->data[frame->ip + 7] = 64;
	memcpy(frame->data + frame->ip + 8, src, 16);
	memcpy(frame->data + frame->ip + 24, dst->bytes, 16);
	for (i = 0; i < c->extension_count; i++) {
		frame_fill(frame, size, 0);
		frame->data[frame->length - size] = i + 1 < c->extension_count ? c->extensions[i + 1] : last;
		if (c->extensions[i] != 44)
			frame->data[frame->length - size + 1] = (__u8)(size / 8 - 1);
	}
}

/* Over IP alone with entropy in front, its reserved bytes set: they are to be ignored. */
static inline void frame_tss(struct frame *frame, const struct packet_case *c)
{
	static const __u8 entropy[4] = {0x5a, 0xa5, 0xff, 0xff}, ssi[4] = {0xa0, 0xb0, 0xc0, 0xd0};
	const __u8 first[4] = {(__u8)(c->ssi ? 0x0c : 0x08), 0, 0, 0xab};
	static const __u8 tsc[8] = {0x1d, 0xc0, 0, 0, 0, 0, 0, 9};

	if (c->protocol && c->protocol != 17)
		frame_add(frame, entropy, sizeof(entropy));
	frame_add(frame, first, sizeof(first));
	if (c->ssi)
		frame_add(frame, ssi, sizeof(ssi));
	frame_add(frame, tsc, sizeof(tsc));
}

static inline void frame_envelope(struct frame *frame, const struct packet_case *c)
{
	unsigned size = c->size ? c->size : 48;
	__u8 psp[16] = {4, (__u8)(c->hel ? c->hel : 1), 0, (__u8)(c->version << 2 | 1), 0x12, 0x34, 0x56,
		0x78, 0, 0, 0, 0, 0, 0, 0, 9};
	__u8 esp[8] = {0x20, 0x34, 0x56, 0x79, 0, 0, 0, 1};

	static const __u8 eesp[8] = {0x80, 0, 0, 7, 0xc0, 0xff, 0xee, 1}, marker[4] = {0, 0, 0, 2};
	static const __u8 wesp_null[12] = {4, 12, 16, 0, 0x20, 0x34, 0x56, 0x79, 0, 0, 0, 1};
	static const __u8 wesp_derived[36] = {
		0, 28, 16, 0x68, 0x11, 0x50, 0, 0, 0, 0, 0, 42, [28] = 0x40, 0xff, 0xee, 1, 0, 0, 0, 1};

	if (c->payload >= WESP_NULL && !c->protocol)
		frame_add(frame, marker, sizeof(marker));
	frame->envelope = frame->length;
	switch (c->payload) {
	case RAW: frame_fill(frame, c->bytes, c->byte); return;
	case PSP: frame_add(frame, psp, sizeof(psp)); break;
	case ESP: frame_add(frame, esp, sizeof(esp)); break;
	case TSS: frame_tss(frame, c); break;
	case EESP: frame_add(frame, eesp, sizeof(eesp)); break;
	case WESP_NULL: frame_add(frame, wesp_null, sizeof(wesp_null)); break;
	case WESP_DERIVED: frame_add(frame, wesp_derived, sizeof(wesp_derived)); break;
	}
	frame_fill(frame, size, 0xab);
}

/* The lengths of IP and UDP, then what lies behind them. */
static inline void frame_close(struct frame *frame, const struct packet_case *c, int v6)
{
	unsigned datagram = frame->length - frame->transport;

	if (frame->envelope != frame->transport)
		frame_store16(frame, frame->transport + 4, datagram);
	frame_fill(frame, c->behind_datagram, 0xee);
	if (v6)
		frame_store16(frame, frame->ip + 4, frame->length - frame->ip - 40);
	else
		frame_store16(frame, frame->ip + 2, frame->length - frame->ip);
	frame_fill(frame, c->behind_packet, 0xdd);
}

static inline unsigned frame_layer(const struct frame *frame, enum layer layer)
{
	const unsigned offsets[] = {0, 0, frame->ip, frame->transport, frame->envelope};

	return offsets[layer];
}

static inline void frame_damage(struct frame *frame, const struct packet_case *c)
{
	const struct poke *poke;
	unsigned i;

	for (i = 0; i < FRAME_POKES; i++) {
		poke = &c->pokes[i];
		if (poke->layer)
			frame->data[frame_layer(frame, poke->layer) + poke->offset] = (__u8)poke->value;
	}
	if (c->cut_at)
		frame->length = frame_layer(frame, c->cut_at) + c->cut;
}

static inline void frame_build(struct frame *frame, const struct packet_case *c)
{
	struct hk_address dst;
	unsigned port = c->port ? c->port : c->payload == PSP ? 1000 : c->payload == TSS ? 4793 : 4500;
	int v6;

	memset(frame, 0, sizeof(*frame));
	if (hk_address_parse(c->dst ? c->dst : "192.0.2.9", &dst))
		return;
	v6 = !hk_address_is_v4(&dst);
	frame_link(frame, c, v6);
	if (v6)
		frame_ip6(frame, c, &dst);
	else
		frame_ip4(frame, c, &dst);
	frame->transport = frame->length;
	if (!c->protocol || c->protocol == 17) {
		frame_fill(frame, 8, 0);
		frame_store16(frame, frame->transport, 40000);
		frame_store16(frame, frame->transport + 2, port);
	}
	frame_envelope(frame, c);
	frame_close(frame, c, v6);
	frame_damage(frame, c);
}

/*
 * The domains all parser tests share. 192.0.2.128/25 lies inside east's prefix
 * and is west's too, so it is a receiver of both envelopes.
 */
#define DOMAIN_EAST  5
#define DOMAIN_WEST  7
#define DOMAIN_SOUTH 300
#define DOMAIN_DTLS  9
#define DTLS_PORT    4433
#define DOMAIN_TLS   10
#define TLS_PORT     8443
#define DOMAIN_CORE  20 /* TSS */
#define DOMAIN_NORTH 30 /* EESP; WESP and ESP of the same receivers are the next two */
#define DOMAIN_EDGE  23 /* inline keying; its receivers have no ESP beside it */
#define DOMAIN_RIM   21 /* TSS with SSI, over IP protocol 254 */

/* The receivers of the domains below, in text; frames_config() makes prefixes of them. */
static struct hk_prefix frames_east[2], frames_west[3], frames_south[1], frames_core[2], frames_rim[1],
	frames_north[2], frames_dtls[1], frames_tls[1], frames_edge[2];

static const struct {
	const char *text;
	struct hk_prefix *place;
} frames_receivers[] = {
	{"192.0.2.0/24", &frames_east[0]},
	{"2001:db8::/48", &frames_east[1]},
	{"198.18.0.0/16", &frames_north[0]},
	{"2001:db8:f::/48", &frames_north[1]},
	{"198.51.100.0/24", &frames_west[0]},
	{"2001:db8:e::/48", &frames_west[1]},
	{"192.0.2.128/25", &frames_west[2]},
	{"203.0.113.0/24", &frames_south[0]},
	{"10.33.0.0/16", &frames_dtls[0]},
	{"10.44.0.0/16", &frames_tls[0]},
	{"100.64.2.0/24", &frames_edge[0]},
	{"2001:db8:d::/48", &frames_edge[1]},
	{"100.64.0.0/24", &frames_core[0]},
	{"2001:db8:c::/48", &frames_core[1]},
	{"100.64.1.0/24", &frames_rim[0]},
};

static struct hk_domain_config frames_domains[] = {
	{.name = "east",
		.id = DOMAIN_EAST,
		.envelope = HK_ENVELOPE_PSP,
		.profile = HK_PROFILE_SPLIT,
		.receivers = frames_east,
		.receivers_count = 2},
	{.name = "west",
		.id = DOMAIN_WEST,
		.envelope = HK_ENVELOPE_ESP,
		.profile = HK_PROFILE_SPLIT,
		.suite = HK_SUITE_CTR_HMAC,
		.receivers = frames_west,
		.receivers_count = 3},
	{.name = "south",
		.id = DOMAIN_SOUTH,
		.envelope = HK_ENVELOPE_ESP,
		.profile = HK_PROFILE_SPLIT,
		.suite = HK_SUITE_CBC_HMAC,
		.flow_per_spi = true,
		.receivers = frames_south,
		.receivers_count = 1},
	{.name = "north",
		.id = DOMAIN_NORTH,
		.envelope = HK_ENVELOPE_EESP,
		.profile = HK_PROFILE_SPLIT,
		.carrier = 253,
		.eesp = {.sn = true, .iv = true},
		.receivers = frames_north,
		.receivers_count = 2},
	{.name = "north-wesp",
		.id = DOMAIN_NORTH + 1,
		.envelope = HK_ENVELOPE_WESP,
		.profile = HK_PROFILE_SPLIT,
		.receivers = frames_north,
		.receivers_count = 2},
	{.name = "north-esp",
		.id = DOMAIN_NORTH + 2,
		.envelope = HK_ENVELOPE_ESP,
		.profile = HK_PROFILE_SPLIT,
		.suite = HK_SUITE_CTR_HMAC,
		.receivers = frames_north,
		.receivers_count = 2},
	{.name = "core",
		.id = DOMAIN_CORE,
		.envelope = HK_ENVELOPE_TSS,
		.profile = HK_PROFILE_SPLIT,
		.receivers = frames_core,
		.receivers_count = 2},
	{.name = "rim",
		.id = DOMAIN_RIM,
		.envelope = HK_ENVELOPE_TSS,
		.profile = HK_PROFILE_SPLIT,
		.carrier = 254,
		.options = HK_TSS_OPTION_SSI,
		.receivers = frames_rim,
		.receivers_count = 1},
	{.name = "dtls",
		.id = DOMAIN_DTLS,
		.envelope = HK_ENVELOPE_DTLS,
		.profile = HK_PROFILE_SPLIT,
		.carrier = DTLS_PORT,
		.receivers = frames_dtls,
		.receivers_count = 1},
	{.name = "tls",
		.id = DOMAIN_TLS,
		.envelope = HK_ENVELOPE_TLS,
		.profile = HK_PROFILE_SINGLE,
		.tls = {.ports = {443, TLS_PORT}},
		.receivers = frames_tls,
		.receivers_count = 1},
	{.name = "edge",
		.id = DOMAIN_EDGE,
		.envelope = HK_ENVELOPE_INLINE,
		.profile = HK_PROFILE_SPLIT,
		.receivers = frames_edge,
		.receivers_count = 2},
};

static inline const struct hk_config *frames_config(void)
{
	static const struct hk_config config = {.domains = frames_domains,
		.domains_count = sizeof(frames_domains) / sizeof(frames_domains[0])};
	unsigned i;

	for (i = 0; i < sizeof(frames_receivers) / sizeof(frames_receivers[0]); i++)
		hk_prefix_parse(frames_receivers[i].text, frames_receivers[i].place);
	return &config;
}

#endif

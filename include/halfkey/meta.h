/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * What the XDP program tells the worker about a frame: it parsed the outer
 * headers, so nobody parses them again.
 *
 * XDP writes the struct into the metadata area, right in front of the frame;
 * AF_XDP carries it along (copy mode and zero copy alike), so the worker finds
 * it at `frame - sizeof(struct hk_meta)`. In monitor mode it heads the ring
 * buffer record. `halfkey open` fills it with the same parser.
 *
 * All fields are in host byte order. Offsets count from the first byte of the
 * Ethernet header. The reader checks each offset against the frame's length
 * before it uses one: see hk_meta_fits().
 */
#ifndef HALFKEY_META_H
#define HALFKEY_META_H

#include <linux/types.h>

#define HK_META_VERSION 1

#define HK_META_OUTER_V6 0x01 /* else IPv4 */
#define HK_META_UDP	 0x02 /* the envelope rides in UDP */

/*
 *   frame  | Ethernet [VLAN] | IP ... [UDP] | envelope header | payload ... ICV | Ethernet padding
 *          0            l3_offset    envelope_offset   payload_offset      end_offset
 */
struct hk_meta {
	__u8 version;	       /* HK_META_VERSION */
	__u8 envelope;	       /* enum hk_envelope */
	__u8 flags;	       /* HK_META_* */
	__u8 port;	       /* the port it came in by: 0 or 1 */
	__u16 l3_offset;       /* outer IP header */
	__u16 envelope_offset; /* PSP header, or ESP's SPI */
	__u16 payload_offset;  /* PSP: behind the whole header (HEL); ESP: behind SPI and SN */
	__u16 end_offset;      /* one past the ICV, from the IP or UDP length, never the frame's */
	__u16 domain;	       /* configuration's domain id, stable over reloads */
	__u16 queue;	       /* the queue it came in by */
	__u32 spi;
	__u32 flow_hash; /* of the outer addresses and SPI */
	__u32 reserved;	 /* 0 */
};

_Static_assert(sizeof(struct hk_meta) == 28, "at most 32 bytes: what a 6.1 kernel carries");
_Static_assert(sizeof(struct hk_meta) % 4 == 0, "metadata is a multiple of 4");

/* True when every offset lies in order and inside a frame of `length` bytes. */
static inline int hk_meta_fits(const struct hk_meta *meta, __u32 length)
{
	return meta->version == HK_META_VERSION && meta->l3_offset >= 14 &&
	       meta->l3_offset + 20u <= meta->envelope_offset &&
	       meta->envelope_offset <= meta->payload_offset && meta->payload_offset <= meta->end_offset &&
	       meta->end_offset <= length;
}

#endif

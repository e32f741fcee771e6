/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a decrypted payload to the inner IP packet, for every envelope that
 * says by a next-header byte what it carries. Tunnel mode: the payload is the
 * packet. Transport mode: the outer IP header goes in front of it, with
 * protocol, length and checksum as they were before sealing.
 */
#ifndef HK_ENVELOPE_REBUILD_H
#define HK_ENVELOPE_REBUILD_H

#include "user/base/bytes.h"
#include "user/envelope/envelope.h"

#define HK_NEXT_IP4 4
#define HK_NEXT_IP6 41

/*
 * `body` lies in opening->plain or behind it; what stands in front of it may be
 * overwritten. Sets inner and inner_length. HK_REASON_OK, _NEXT_HEADER,
 * _IMPLAUSIBLE or _META_INVALID.
 */
unsigned hk_rebuild(struct hk_opening *opening, __u8 *body, __u32 length);

/* The one's complement sum of `length` bytes, not folded into a checksum yet. */
__u32 hk_checksum_add(__u32 sum, const __u8 *bytes, __u32 length);
__u16 hk_checksum_fold(__u32 sum); /* complemented */
/* Whether an IPv4 header (of `length` bytes, a multiple of 4 and at least 20) bears its sum. */
static inline bool hk_checksum_header_holds(const __u8 *header, __u32 length)
{
	__u64 a = hk_word(header), b = hk_word(header + 8), total;
	__u32 word, at = 16;

	total = (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32);
	for (; at + sizeof(word) <= length; at += sizeof(word)) {
		memcpy(&word, header + at, sizeof(word));
		total += word;
	}
	return total && total % 0xffff == 0; /* all ones, by the one's complement's own arithmetic */
}

#endif

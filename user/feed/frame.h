/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Ethernet header that opened packets get where a reader expects frames:
 * the mirror, pcapng, `halfkey open -w`. The addresses are made up and say
 * which side of the box a packet came from:
 *
 *   from port 0   02:48:4b:00:00:00 > 02:48:4b:00:00:01
 *   from port 1   02:48:4b:00:00:01 > 02:48:4b:00:00:00
 *
 * Locally administered unicast, never a real card's and never the mirror
 * interface's own (02:48:4b:ff:ff:ff): no host takes such a frame for itself.
 */
#ifndef HK_FEED_FRAME_H
#define HK_FEED_FRAME_H

#include <linux/types.h>

#define HK_FRAME_HEADER 14

/* EtherType when the opened bytes are no IP packet (IEEE 802: local experimental 1). */
#define HK_FRAME_ETHERTYPE_OTHER 0x88b5

/* Writes the header for the opened packet that will stand behind it. `direction`: the port it came in by. */
void hk_frame_header(__u8 out[HK_FRAME_HEADER], unsigned direction, const __u8 *packet, __u32 length);

#endif

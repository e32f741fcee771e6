// SPDX-License-Identifier: GPL-2.0-or-later
/* The made-up Ethernet header of opened packets: see frame.h. */
#include "user/feed/frame.h"

#include <string.h>
#include <linux/if_ether.h>

static unsigned frame_ethertype(const __u8 *packet, __u32 length)
{
	if (length >= 20 && packet[0] >> 4 == 4)
		return ETH_P_IP;
	if (length >= 40 && packet[0] >> 4 == 6)
		return ETH_P_IPV6;
	return HK_FRAME_ETHERTYPE_OTHER;
}

void hk_frame_header(__u8 out[HK_FRAME_HEADER], unsigned direction, const __u8 *packet, __u32 length)
{
	static const __u8 base[ETH_ALEN] = {0x02, 0x48, 0x4b};
	unsigned type = frame_ethertype(packet, length);

	memcpy(out, base, ETH_ALEN);
	memcpy(out + ETH_ALEN, base, ETH_ALEN);
	out[ETH_ALEN - 1] = direction ? 0 : 1;
	out[2 * ETH_ALEN - 1] = direction ? 1 : 0;
	out[12] = (__u8)(type >> 8);
	out[13] = (__u8)type;
}

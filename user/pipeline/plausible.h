/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is this a packet, or the noise that a wrong key gives? (RFC 5879, section 4.)
 *
 * In `split` this is the box's only check. It refuses only what an end host
 * would refuse as well: an implausible packet passes uninspected by default, so
 * anything stricter would be a way around the hooks. What is legal but rare
 * (reserved TCP bits, odd flags, bytes behind the packet) has to prove itself by
 * its transport checksum, which noise does not have.
 */
#ifndef HK_PIPELINE_PLAUSIBLE_H
#define HK_PIPELINE_PLAUSIBLE_H

#include <stdbool.h>

#include <halfkey/hook.h>

/* `packet` as hk_packet_parse() left it. `suspect`: something in front was rare already. */
bool hk_plausible(const __u8 *data, const struct hk_hook_packet *packet, bool suspect);

#endif

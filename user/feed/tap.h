/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TAP interface that only shows packets: whoever captures on it sees what is
 * written to the descriptor, and the machine's own network stack never does.
 */
#ifndef HK_FEED_TAP_H
#define HK_FEED_TAP_H

#include "user/base/error.h"

/*
 * Creates interface `name`: no addresses, IPv6, ARP and multicast off, a filter
 * behind the capture point that drops all it receives, up. It is gone when the
 * last duplicate of the descriptor is closed. Needs CAP_NET_ADMIN, and CAP_BPF
 * or CAP_SYS_ADMIN for the filter. The descriptor (non-blocking, close-on-exec),
 * or negative errno and a sentence.
 */
int hk_tap_open(const char *name, struct hk_error *error);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libxdp's dispatcher: where the kernel can replace BPF functions, our program
 * shares the interface with others. Its pin is dispatch-<port>-<ifindex>, a
 * program; libxdp keeps its own under <bpffs>/xdp. The maps must be pinned
 * already: the dispatcher loads the program anew, and adopts them.
 */
#ifndef HK_DATAPLANE_DISPATCHER_H
#define HK_DATAPLANE_DISPATCHER_H

#include <stdbool.h>

#include "user/dataplane/device.h"
#include "user/dataplane/pins.h"

/* Whether this kernel lets it at all: asks it to load a program extension. */
bool hk_dispatcher_possible(void);
/*
 * Attaches to `device` in native or generic mode, and takes the program of an
 * earlier run off afterwards, so that there is no gap. 0; 1: the same, and there
 * was an earlier run; or negative errno, and nothing is attached by this call.
 */
int hk_dispatcher_attach(
	const struct hk_pins *pins, unsigned port, const struct hk_device *device, bool native);
/*
 * Takes whatever dispatch-<port>-* names off its interface, and the pins, but for the
 * interface `except` (0: none). The index of the last one, or 0.
 */
__u32 hk_dispatcher_remove(const struct hk_pins *pins, unsigned port, __u32 except);

#endif

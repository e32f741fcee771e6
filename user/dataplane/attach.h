/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The XDP program on an interface: a bpf_link, pinned, so that it outlives the
 * daemon; and, where the kernel replaces BPF functions, libxdp's dispatcher, so
 * that other programs on the interface keep working.
 */
#ifndef HK_DATAPLANE_ATTACH_H
#define HK_DATAPLANE_ATTACH_H

#include <halfkey/config.h>

#include "user/base/error.h"
#include "user/dataplane/device.h"
#include "user/dataplane/pins.h"

struct hk_attachment {
	bool native;	 /* else generic (skb) mode */
	bool dispatcher; /* else a plain bpf_link */
	bool adopted;	 /* was there before us; the program was exchanged without a gap */
};

/*
 * Attaches `program_fd` as the pin link-<port>, or exchanges the program of the
 * link pinned there. `attach` is enum hk_attach: a demanded mode is kept or refused.
 */
int hk_attach_port(struct hk_attachment *out, const struct hk_pins *pins, unsigned port,
	const struct hk_device *device, int program_fd, unsigned attach, struct hk_error *error);
/*
 * Removes the program from the interface that port <port> of an earlier run is on, and the
 * pin, unless it is the interface `except` (0: none). Whether there was anything to remove.
 */
bool hk_attach_remove(const struct hk_pins *pins, unsigned port, __u32 except);

#endif

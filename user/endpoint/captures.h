/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The capture that a command of the endpoint reads and the one it writes: same
 * link type, nanosecond timestamps, and never one and the same file.
 */
#ifndef HK_ENDPOINT_CAPTURES_H
#define HK_ENDPOINT_CAPTURES_H

#include <pcap/pcap.h>
#include <stdbool.h>

#include "user/base/error.h"

struct hk_captures {
	pcap_t *in;
	pcap_t *dead; /* what `out` hangs on */
	pcap_dumper_t *out;
	int link; /* DLT_EN10MB or DLT_RAW */
	const char *in_path, *out_path;
};

/*
 * Opens both; `raw` allows raw IP beside Ethernet. 0, or negative errno and a
 * sentence; close in any case. `out_path` is not touched when `in_path` is refused.
 */
int hk_captures_open(struct hk_captures *captures, const char *in_path, const char *out_path, bool raw,
	struct hk_error *error);
/*
 * Gives each frame to `take`, which writes to `out` what it wants and stops
 * everything with negative errno and a sentence. A capture that breaks off, or
 * one that cannot be written whole, is an error too.
 */
int hk_captures_each(struct hk_captures *captures,
	int (*take)(
		void *context, const struct pcap_pkthdr *header, const u_char *frame, struct hk_error *error),
	void *context, struct hk_error *error);
void hk_captures_close(struct hk_captures *captures);

#endif

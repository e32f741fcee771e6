/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outer parser in userspace: the same code as the XDP program's
 * (bpf/parse/), with the receivers in a table of our own. Used by `halfkey
 * open`, the benchmark and the tests.
 */
#ifndef HK_ENVELOPE_OUTER_H
#define HK_ENVELOPE_OUTER_H

#include <halfkey/config.h>
#include <halfkey/meta.h>
#include "maps/receivers.h"

struct hk_receiver_entry {
	struct hk_receiver_key key;
	struct hk_receiver_value value;
};

/*
 * The receivers map's content for a configuration: one entry per distinct
 * prefix, with what shorter prefixes say copied in. Longest prefixes first.
 * Caller frees. Number of entries, or negative errno: -EEXIST when one prefix is in
 * two domains of the same envelope, -E2BIG when the map could not hold them.
 */
int hk_receivers_build(const struct hk_config *config, struct hk_receiver_entry **out);

struct hk_outer; /* the table, for lookups */
/* NULL and errno on failure. */
struct hk_outer *hk_outer_new(const struct hk_config *config);
void hk_outer_free(struct hk_outer *outer);
/* HK_REASON_TO_WORKER and `meta` filled, or the reason why a frame is not for a worker. */
unsigned hk_outer_parse(
	const struct hk_outer *outer, const __u8 *frame, __u32 length, unsigned port, struct hk_meta *meta);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Map `verdicts` (hash): verdicts on whole sealed flows, so that XDP need not
 * ask a worker again. A plain hash with expiry, not an LRU: nothing evicts a
 * drop but its time. Written by the inspector's control thread and by
 * `halfkey verdicts`; read by the XDP program, which ignores expired entries;
 * the inspector's control thread removes them.
 */
#ifndef HALFKEY_MAPS_VERDICTS_H
#define HALFKEY_MAPS_VERDICTS_H

#include <linux/types.h>

#include <halfkey/address.h>

/*
 * `spi` in host byte order. The destination and the envelope say whose flow it is; a
 * domain's number would not do, since a restart or two reloads may give it to another one.
 */
struct hk_verdict_key {
	struct hk_address src; /* outer */
	struct hk_address dst;
	__u32 spi;
	__u16 envelope; /* enum hk_envelope */
	__u16 reserved; /* 0 */
};

struct hk_verdict_value {
	__u64 expires_ns; /* CLOCK_MONOTONIC */
	__u8 verdict;	  /* HK_VERDICT_ACCEPT or HK_VERDICT_DROP */
	__u8 reserved[7]; /* 0 */
};

_Static_assert(sizeof(struct hk_verdict_key) == 40, "map ABI");
_Static_assert(sizeof(struct hk_verdict_value) == 16, "map ABI");

#endif

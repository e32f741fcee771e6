/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving end host of PSP and ESP: key choice, verification, replay and
 * sender checks. Unlike the box, it holds state per SPI: derived keys
 * and a replay window, made only by packets that verified.
 */
#ifndef HK_ENDPOINT_HOST_H
#define HK_ENDPOINT_HOST_H

#include "user/endpoint/hostkeys.h"
#include "user/endpoint/windows.h"

#define HK_HOST_SPIS 4096 /* SPIs with a window at once */

struct hk_host_options {
	const struct hk_host_keys *keys; /* outlives the host */
	struct hk_address local;	 /* the receiver whose keys open */
	__u8 envelope;			 /* enum hk_envelope */
	__u8 profile;		    /* enum hk_profile: versions and suites of the other one are refused */
	__u8 suite;		    /* ESP: enum hk_suite */
	__u16 mkid;		    /* ESP */
	struct hk_windows *windows; /* the host's from now on; NULL: it remembers as long as it lives */
};

struct hk_host;

struct hk_host *hk_host_new(const struct hk_host_options *options); /* NULL and errno */
void hk_host_free(struct hk_host *host);

/*
 * New keys: what they no longer open is forgotten, with its window; everything
 * else stays as it is. `keys` outlives the host, or its next keys.
 */
void hk_host_rekey(struct hk_host *host, const struct hk_host_keys *keys);

/* Opens what hk_sealed_read() took for PSP or ESP. enum hk_refusal. `out` as for hk_open_packet(). */
unsigned hk_host_open(
	struct hk_host *host, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened);

unsigned hk_host_spis(const struct hk_host *host); /* in use */

#endif

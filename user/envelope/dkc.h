/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The derived-key context (docs/wire-formats.md, section 3.1): what EESP's
 * option 0xE0 and WESP version 01 share. Everything a key is derived from
 * stands in the packet, so the box keeps no state.
 */
#ifndef HK_ENVELOPE_DKC_H
#define HK_ENVELOPE_DKC_H

#include "user/envelope/envelope.h"

/* Where the fields stand in the packet. */
struct hk_dkc {
	const __u8 *fields; /* Prof and KDF, flags: 2 bytes */
	const __u8 *mkid;
	const __u8 *context_id;
	const __u8 *epoch;
	const __u8 *kcv;
	__u16 session;
	__u8 carrier; /* HK_DKC_PROFILE_*: what the packet really is */
};

/*
 * Checks the fields against each other, the carrier and the domain, chooses the
 * key and plans its derivation. enum hk_reason. The spans of the packet are set already.
 */
unsigned hk_dkc_plan(struct hk_opening *opening, const struct hk_keyring *keyring, const struct hk_dkc *dkc);

/* From the derived material to key and nonce; a wrong key is told by the KCV. `iv`: 8 bytes. */
void hk_dkc_cipher(struct hk_opening *opening, const __u8 *iv);

#endif

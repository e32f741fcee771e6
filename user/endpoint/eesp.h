/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between sealing and opening of EESP and WESP: seal_eesp.c and open_eesp.c alone. */
#ifndef HK_ENDPOINT_EESP_H
#define HK_ENDPOINT_EESP_H

#include "user/endpoint/sa.h"
#include "user/endpoint/seal_eesp.h"

#define HK_EESP_PACKET_MAX 16384 /* of inner packets */

struct hk_eesp {
	struct hk_eesp_name name;
	struct hk_protection protection, readers;
	bool tags;	/* has the reader key: can seal with a reader tag */
	__u8 fields[2]; /* of the derived-key context */
	__u8 mask_enc[12], mask_auth[12], mask_reader[12];
	__u8 kcv[4];
	__u8 fingerprint[8]; /* of the key it was derived from */
};

/* Offsets in the envelope; `end` is behind the ciphertext. */
struct hk_eesp_layout {
	__u32 aad, aad_length, iv, text, end;
};

struct hk_eesp_nonces {
	__u8 enc[16], auth[16], reader[16];
};

void hk_eesp_job(const struct hk_eesp *sa, __u8 *packet, const struct hk_eesp_layout *layout,
	struct hk_eesp_nonces *nonces, struct hk_protect_job *job);

#endif

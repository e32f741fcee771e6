/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside inline keying at the end host: what an SA is. seal_inline.h is the public face. */
#ifndef HK_ENDPOINT_INLINE_SA_H
#define HK_ENDPOINT_INLINE_SA_H

#include "user/endpoint/sa.h"
#include "user/endpoint/seal_inline.h"

struct hk_inline {
	struct hk_inline_name name;
	struct hk_crypto *crypto;
	struct hk_hmac_key enc, auth; /* as a parent */
	struct hk_sa *sa;	      /* a child's keys: those of an ESP SA; NULL: a parent */
	bool seals;
	__u8 fingerprint[8]; /* of the secret; reveals nothing of it */
};

/* 0: new, and on disk now; -EEXIST: seen before; -EIO. */
int hk_inline_seen_take(struct hk_inline_seen *seen, const __u8 nonce[HK_INLINE_NONCE]);

#endif

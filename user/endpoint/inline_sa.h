/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside inline keying at the end host: what an SA is. seal_inline.h is the public face. */
#ifndef HK_ENDPOINT_INLINE_SA_H
#define HK_ENDPOINT_INLINE_SA_H

#include "user/endpoint/sa.h"
#include "user/endpoint/seal_inline.h"
#include "user/endpoint/windows.h"

struct hk_inline {
	struct hk_inline_name name;
	struct hk_crypto *crypto;
	struct hk_hmac_key enc, auth; /* as a parent */
	struct hk_sa *sa;	      /* a child's keys: those of an ESP SA; NULL: a parent */
	bool seals;
	__u8 fingerprint[8];	    /* of the secret; reveals nothing of it */
	__u32 created;		    /* children expected under it */
	struct hk_windows *windows; /* a parent's, where its window is kept; NULL: in `own` */
	struct hk_window *kept;	    /* there, from the first packet on */
	struct hk_window own;	    /* a parent's `sender`: who verified first */
	bool has_sender;
	struct hk_creation creation; /* a child's; size 0: a parent */
	struct hk_address low, high; /* a child's: which outer addresses may send on it */
	__u64 born_ns;		     /* a child's */
};

/* 0: new, and on disk now; -EEXIST: seen before; -EDQUOT: `max` were; -EIO. */
int hk_inline_seen_take(struct hk_inline_seen *seen, const __u8 nonce[HK_INLINE_NONCE], unsigned max);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DTLS 1.2 records at the end host (docs/wire-formats.md, section 6): the
 * record layer alone, with keys from the context that the connection id carries.
 * Handshake, retransmission and the like are those of whoever uses it.
 *
 * One struct hk_dtls is one context: one writer, one direction, one epoch. The
 * sequence numbers begin at 0 and the nonce is epoch || sequence, in `split` the
 * context's key check value || sequence (the box tells keys apart by it), so a context
 * that sealed once must never be made a second time to seal: draw its ContextID
 * afresh (hk_dtls_draw_context). One thread at a time.
 */
#ifndef HK_ENDPOINT_SEAL_DTLS_H
#define HK_ENDPOINT_SEAL_DTLS_H

#include <stdbool.h>
#include <linux/types.h>

#include <halfkey/crypto.h>

#include "user/base/error.h"
#include "user/endpoint/refusal.h"

#define HK_DTLS_CONTENT_MAX 16384 /* RFC 6347 4.1: bytes of a record's plaintext */

struct hk_dtls;

struct hk_dtls_name {
	__u64 context; /* ContextID */
	__u16 mkid;
	__u16 epoch; /* 1 or more */
	bool server; /* the server writes */
	bool split;  /* gcm-split: needs both sides of the key */
};

/* A ContextID that nobody else draws: 64 random bits. 0 or -EIO. */
int hk_dtls_draw_context(__u64 *context);

/* `auth` is given where the name says split, else NULL. 0, or negative errno and a sentence. */
int hk_dtls_new(struct hk_dtls **out, struct hk_crypto *crypto, const struct hk_dtls_name *name,
	const struct hk_kdf_key *enc, const struct hk_kdf_key *auth, struct hk_error *error);
void hk_dtls_free(struct hk_dtls *dtls); /* wipes; NULL is fine */

/*
 * Seals `length` bytes of content and `padding` zeros into a record. Its size,
 * or -EMSGSIZE (no room, or too long), -EOVERFLOW (no sequence numbers left: a
 * new context is needed), -EIO (the crypto library failed).
 */
int hk_dtls_seal(struct hk_dtls *dtls, __u8 type, const __u8 *content, __u32 length, __u32 padding, __u8 *out,
	__u32 room);

struct hk_dtls_opened {
	__u8 type;
	__u8 *content; /* in `out` */
	__u32 length;
	__u64 sequence;
	__u32 size; /* of the whole record: another may follow it in the datagram */
};

/* The context a record names, without opening it. enum hk_refusal. */
unsigned hk_dtls_read_name(const __u8 *record, __u32 length, struct hk_dtls_name *out);

/*
 * Verifies, opens, and refuses what was opened before. `out` has room for
 * `length` bytes. enum hk_refusal; on a refusal `out` holds no plaintext.
 */
unsigned hk_dtls_open(
	struct hk_dtls *dtls, const __u8 *record, __u32 length, __u8 *out, struct hk_dtls_opened *opened);

#endif

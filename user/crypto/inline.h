/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inline keying (docs/wire-formats.md, section 5), what box and endpoints share:
 * the creation header's layout and what goes into the PRF. prf+ of RFC 7296 2.13
 * is HKDF-Expand, so packets of a parent take their keys from hk_crypto_hkdf().
 * Holds no state and makes no packet.
 */
#ifndef HK_CRYPTO_INLINE_H
#define HK_CRYPTO_INLINE_H

#include <stdbool.h>

#include <halfkey/address.h>
#include <halfkey/crypto.h>

#include "user/crypto/kdf.h"

#define HK_INLINE_NONCE	      16
#define HK_INLINE_INFO	      25 /* label(5) || packet nonce || SPI */
#define HK_CREATION_SIZE      56 /* without addresses */
#define HK_CREATION_MAX	      88 /* with two IPv6 addresses */
#define HK_CREATION_NEXT      254
#define HK_CREATION_VERSION   1
#define HK_CREATION_ALGORITHM 20 /* AES-GCM with a 16-byte ICV */

enum hk_scope { HK_SCOPE_RANGE = 1, HK_SCOPE_HOST = 2, HK_SCOPE_PROTOCOL = 3, HK_SCOPE_PORTS = 4 };

/* A creation header, integers in host order. */
struct hk_creation {
	__u8 next_header;
	__u8 size; /* of the header, bytes */
	__u8 scope;
	__u8 protocol;		       /* scopes 3 and 4, else 0 */
	__u32 spi;		       /* Reply-SPI: of the child, whose receiver is the creator */
	__u32 lifetime;		       /* seconds */
	__u32 sequence;		       /* the child's first */
	__u16 creator_port, peer_port; /* scope 4, else 0 */
	__u8 reply_nonce[HK_INLINE_NONCE];
	__u8 peer_nonce[HK_INLINE_NONCE]; /* what the peer gave in a creation of its own; zero: none */
	struct hk_address low, high;	  /* scope 1: who may send on the child */
};

/* HK_REASON_OK, or why it is none. Reads no more than `length` bytes; `bytes` may be anything. */
unsigned hk_creation_parse(const __u8 *bytes, __u32 length, struct hk_creation *out);
/* Bytes written into `out` of HK_CREATION_MAX; the size comes from scope and address family. */
__u32 hk_creation_write(const struct hk_creation *creation, __u8 *out);

/* HKDF info of a parent's packet. */
void hk_inline_info(
	__u8 out[HK_INLINE_INFO], enum hk_side side, const __u8 nonce[HK_INLINE_NONCE], __u32 spi);

/* What a creation gives one side. Secret: wipe. */
struct hk_child_secrets {
	__u8 key[32];
	__u8 salt[4];
	__u8 parent[32]; /* the child as a parent of further ones */
};

/* From the parent's secret and the creation header as it was sent (`size` bytes of it, parsed before). */
void hk_inline_child(struct hk_crypto *crypto, const struct hk_hmac_key *secret, enum hk_side side,
	const __u8 *header, __u32 size, struct hk_child_secrets *out);

/* Seconds for which receivers honour a child: lifetime + 2 * 120 + lifetime / 32. */
static inline __u64 hk_child_honoured(__u32 lifetime)
{
	return (__u64)lifetime + 2 * 120 + lifetime / 32;
}

#endif

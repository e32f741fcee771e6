/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What TSS derives from, encrypts and covers (docs/wire-formats.md, section 2):
 * PRF messages, IV and AAD of one packet, written once for the box's opener and
 * for the endpoints. Layout only: no cipher comes near this file.
 *
 * `header` is the packet's TSS header, behind the entropy of native IP:
 *
 *   type5 SP1 0 AN1  SDI(3)  [SSI(4)]  epoch(2) counter(6)
 */
#ifndef HK_CRYPTO_TSS_H
#define HK_CRYPTO_TSS_H

#include <halfkey/config.h>
#include <halfkey/crypto.h>

#define HK_KDF_TSS_MESSAGES 3  /* 48 bytes: the key, then the IV mask */
#define HK_KDF_TSS_BLOCKS   3  /* at most: IPv6 context, 32-bit L */
#define HK_KDF_TSS_MASK	    32 /* where the mask begins; 12 bytes */
#define HK_TSS_IV	    12
#define HK_TSS_AAD_MAX	    (2 * 16 + HK_TSS_ENTROPY_SIZE + HK_TSS_HEADER_SIZE + HK_TSS_SSI_SIZE)

/* A packet as far as keys, IV and AAD go. */
struct hk_tss_packet {
	const struct hk_tss_options *options;
	const struct hk_address *source, *destination;
	const __u8 *header;
};

unsigned hk_tss_header_size(const __u8 *header);
__u32 hk_tss_sdi(const __u8 *header);
__u16 hk_tss_epoch(const __u8 *header);
/* The part of the counter that changes the key; 0 without rekeying. */
__u32 hk_tss_rekey(const struct hk_tss_options *options, const __u8 *header);
/* Is it one of options->servers? */
bool hk_tss_is_server(const struct hk_tss_options *options, const struct hk_address *address);
/* True where `epoch` is so far behind `present` that it is stale (serial arithmetic). */
bool hk_tss_is_stale(__u16 epoch, __u16 present);

/* The message with this counter, 1 to 3: at most 16 * HK_KDF_TSS_BLOCKS bytes; how many. */
unsigned hk_kdf_tss_message(__u8 *out, const struct hk_tss_packet *packet, __u8 counter);
/* All three, padded for hk_crypto_cmac() under `key`; how many blocks each has. None in direct mode. */
unsigned hk_kdf_tss_messages(__u8 *out, const struct hk_kdf_key *key, const struct hk_tss_packet *packet);

/* `mask` is NULL in direct mode. */
void hk_tss_iv(__u8 out[HK_TSS_IV], const struct hk_tss_packet *packet, const __u8 *mask);

/* `entropy`: the 4 bytes in front of the header, or NULL over UDP. Size. */
unsigned hk_tss_aad(__u8 out[HK_TSS_AAD_MAX], const struct hk_tss_packet *packet, const __u8 *entropy);

#endif

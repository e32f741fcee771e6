/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each envelope feeds the PRF: the message blocks of wire-formats.md,
 * written once for the box's openers and for the endpoints. A message is whole
 * 16-byte blocks; hk_crypto_cmac() turns it into 16 bytes of key material.
 * Pure functions; integers in host order, written big-endian.
 */
#ifndef HK_CRYPTO_KDF_H
#define HK_CRYPTO_KDF_H

#include <endian.h>
#include <string.h>
#include <linux/types.h>

#include <halfkey/address.h>
#include <halfkey/envelope.h>

enum hk_side { HK_SIDE_ENC = 1, HK_SIDE_AUTH = 2, HK_SIDE_SINGLE = 3, HK_SIDE_READER = 4 };

/* PSP: 1 block; counter 1, and 2 for the second half of a 256-bit key. Key size in bytes, 0: not defined. */
#define HK_KDF_PSP_BLOCKS 1
unsigned hk_kdf_psp_key_size(unsigned version);
void hk_kdf_psp_message(__u8 out[16], unsigned version, __u32 spi, __u32 counter);
/* The message of another SPI that is otherwise like `message`. */
static inline void hk_kdf_psp_message_like(__u8 out[16], const __u8 message[16], __u32 spi)
{
	const __u32 big_endian = htobe32(spi);

	memcpy(out, message, 16);
	memcpy(out + 8, &big_endian, sizeof(big_endian));
}

/* KDF108 with a 24-byte context and 384 bits of output: 2 blocks each, counter 1..3. */
#define HK_KDF108_BLOCKS   2
#define HK_KDF108_MESSAGES 3
#define HK_KDF108_CONTEXT  24
#define HK_KDF108_OUTPUT   48
void hk_kdf108_message(
	__u8 out[32], const char label[4], const __u8 context[HK_KDF108_CONTEXT], __u8 counter);

/* Derived-key ESP: output is Ek(32) || salt(4) || unused(12). Label by side: "DKe1" enc and single, "DKa1"
 * auth. */
const char *hk_kdf_label(enum hk_side side);
void hk_kdf_esp_context(__u8 out[HK_KDF108_CONTEXT], enum hk_suite suite, unsigned slot, __u16 mkid,
	__u32 spi, const struct hk_address *receiver);
/* The KDF108 message of another SPI that is otherwise like `message`. */
static inline void hk_kdf_esp_message_like(__u8 out[32], const __u8 message[32], __u32 spi)
{
	const __u32 big_endian = htobe32(spi);

	memcpy(out, message, 32);
	memcpy(out + 10, &big_endian,
		sizeof(big_endian)); /* behind counter, label, 0 and 4 bytes of context */
}

/*
 * DTLS records with a context in their connection id: output is Ek(32) || IVMASK(12) || KCV(2, the enc
 * side's in `split` only) || unused(2).
 */
#define HK_KDF_DTLS_KCV 44
void hk_kdf_dtls_context(
	__u8 out[HK_KDF108_CONTEXT], unsigned flags, __u16 mkid, const __u8 context_id[8], __u16 epoch);

/*
 * Derived-key context in EESP and WESP: output is key(32) || nonce mask(12) ||
 * KCV(4, the enc side's only). `dkc` is the option as in the packet; WESP has
 * session 0.
 */
#define HK_KDF_DKC_MASK 32
#define HK_KDF_DKC_KCV	44
void hk_kdf_dkc_context(__u8 out[HK_KDF108_CONTEXT], const __u8 fields[2], const __u8 mkid[4],
	const __u8 context_id[8], const __u8 epoch[4], __u32 spi, __u16 session);
/* All three messages of one side, 96 bytes. */
void hk_kdf108_messages(
	__u8 out[HK_KDF108_MESSAGES * 32], enum hk_side side, const __u8 context[HK_KDF108_CONTEXT]);

#endif

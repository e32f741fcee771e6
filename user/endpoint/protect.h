/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The four ways a payload is protected, on libcrypto: one key of GCM, GCM split
 * into two keys, AES-CTR or AES-CBC with HMAC-SHA-256-128. The one place in the
 * project that encrypts payload or makes a tag. Knows no envelope.
 */
#ifndef HK_ENDPOINT_PROTECT_H
#define HK_ENDPOINT_PROTECT_H

#include <linux/types.h>
#include <openssl/evp.h>

#define HK_TAG_SIZE 16

/*
 * A set of keys, expanded. GCM: `cipher` alone. GCM split: `cipher` is CTR under
 * Ek, `tag` GCM and `tag_ctr` CTR under Ak. HMAC suites: `cipher` and `mac`;
 * CBC decrypts with `cipher_open`.
 */
struct hk_protection {
	unsigned suite; /* enum hk_suite */
	EVP_CIPHER_CTX *cipher, *cipher_open, *tag, *tag_ctr;
	EVP_MAC_CTX *mac;
};

/* `ak` is NULL for gcm. key_size 16 (GCM kinds only) or 32. 0 or negative errno. */
int hk_protection_init(
	struct hk_protection *protection, unsigned suite, unsigned key_size, const __u8 *ek, const __u8 *ak);
void hk_protection_clear(struct hk_protection *protection);

struct hk_protect_job {
	const __u8 *iv;		/* gcm: 12-byte nonce; CTR kinds: first counter block; CBC: IV */
	const __u8 *nonce_auth; /* gcm-split: 12 bytes; others unused */
	const __u8 *aad;
	__u32 aad_length;
	__u8 *text;   /* in place */
	__u32 length; /* CBC: a multiple of 16 */
};

/* Encrypts in place and writes the tag. 0 or -EIO. */
int hk_protection_seal(
	struct hk_protection *protection, const struct hk_protect_job *job, __u8 tag[HK_TAG_SIZE]);
/* Verifies the tag in constant time, then decrypts in place. 0, -EBADMSG (`text` is wiped) or -EIO. */
int hk_protection_open(
	struct hk_protection *protection, const struct hk_protect_job *job, const __u8 tag[HK_TAG_SIZE]);

/*
 * gcm-split alone: the tag of a ciphertext made elsewhere, and its check; `text`
 * stays as it is. 0, -EIO, -EBADMSG.
 */
int hk_protection_tag(
	struct hk_protection *protection, const struct hk_protect_job *job, __u8 tag[HK_TAG_SIZE]);
int hk_protection_check(
	struct hk_protection *protection, const struct hk_protect_job *job, const __u8 tag[HK_TAG_SIZE]);

#endif

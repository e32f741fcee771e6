/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The open side of the cryptography, in batches: derive keys, decrypt, and
 * verify where the profile is `single`. There is no call here that produces a
 * ciphertext or a tag for output; the seal side lives in user/endpoint/ alone.
 *
 * Two backends stand behind this interface: intel-ipsec-mb, made for packets,
 * and libcrypto, portable and the independent check of the other.
 *
 * A struct hk_crypto belongs to one thread. All calls take whole batches of up
 * to HK_CRYPTO_BATCH_MAX entries (CMAC: any number) and cannot fail for valid
 * input; what a caller must check is said at each call. No data-dependent
 * branches or tables on secrets; every schedule is wiped when it goes.
 */
#ifndef HALFKEY_CRYPTO_H
#define HALFKEY_CRYPTO_H

#include <stddef.h>
#include <stdbool.h>
#include <linux/types.h>

#define HK_CRYPTO_BATCH_MAX 64
#define HK_GCM_TAG_SIZE	    16

struct hk_crypto; /* one thread's backend state */

/* A 256-bit KDF key, prepared once when it is loaded: AES-256 schedule and CMAC subkey K1. */
struct hk_kdf_key {
	__u8 schedule[15 * 16]
		__attribute__((aligned(64))); /* AES-256 encryption round keys, FIPS 197 order */
	__u8 k1[16];			      /* NIST SP 800-38B subkey */
};

/* An HMAC-SHA-256 key, prepared once: the hash's state behind the inner and the outer pad (RFC 2104). */
struct hk_hmac_key {
	__u32 inner[8];
	__u32 outer[8];
};

/* HMAC-SHA-256 of one message. `out` may be the message. */
struct hk_hmac_job {
	const struct hk_hmac_key *key;
	const __u8 *message;
	__u8 *out; /* 32 bytes */
	__u32 length;
};

/* AES-CTR. `counter` is the first counter block; its low 32 bits count up, big-endian. */
struct hk_ctr_job {
	const __u8 *key; /* key_size bytes */
	const __u8 *in;
	__u8 *out; /* length bytes; may not overlap `in` unless equal */
	__u32 length;
	__u32 key_size; /* 16 or 32 */
	__u8 counter[16];
};

/* AES-256-CBC decryption; length is a positive multiple of 16. No padding is looked at. */
struct hk_cbc_job {
	const __u8 *key; /* 32 bytes */
	const __u8 *in;
	__u8 *out;
	const __u8 *iv; /* 16 bytes */
	__u32 length;
};

/*
 * AES-GCM open: decrypts and verifies. When the tag is wrong `verified` is
 * false and `out` is zeroed: unverified plaintext never leaves the call.
 */
struct hk_gcm_job {
	const __u8 *key; /* key_size bytes */
	const __u8 *in;	 /* ciphertext; the 16-byte tag may lie elsewhere */
	__u8 *out;
	const __u8 *aad;
	const __u8 *tag; /* tag_size bytes */
	__u32 length;	 /* may be 0: the tag still counts */
	__u32 aad_length;
	__u32 key_size; /* 16 or 32 */
	__u8 nonce[12];
	__u8 tag_size; /* 0: 16, the full length; 8: its first half (the reader tag of wire-formats 3.1) */
	bool verified; /* OUT */
};

/* The backends' names, best first: "ipsec-mb", "libcrypto"; NULL past the last. */
const char *hk_crypto_backend_name(unsigned index);

/* `backend` is a name, or NULL for the best one this CPU runs. NULL and errno on failure. */
struct hk_crypto *hk_crypto_new(const char *backend);
void hk_crypto_free(struct hk_crypto *crypto);
const char *hk_crypto_name(const struct hk_crypto *crypto);
/* Wipes what is left in working memory of the keys of earlier calls. */
void hk_crypto_forget(struct hk_crypto *crypto);

/* Expands a 256-bit key. Any thread. 0 or negative errno. */
int hk_kdf_key_init(struct hk_kdf_key *key, const __u8 bytes[32]);

/*
 * AES-256-CMAC (NIST SP 800-38B) of `count` messages under one key, each of
 * `blocks` whole 16-byte blocks (so that only K1 is used), back to back in
 * `messages`; 16 bytes each into `out`. One ECB pass per block position:
 * out = AES(key, last ^ chain ^ K1). `messages` is used as scratch and is
 * wiped. This is PSP's and KDF108's PRF.
 */
void hk_crypto_cmac(struct hk_crypto *crypto, const struct hk_kdf_key *key, __u32 count, __u32 blocks,
	__u8 *messages, __u8 *out);

/*
 * For messages that are not whole blocks (SP 800-38B: padding and subkey K2):
 * pads `message` of `length` bytes to whole blocks and moves it from K2 to K1
 * by adding K1 ^ K2, so that hk_crypto_cmac() takes it like any other. Without
 * effect on whole blocks, so nobody else pays. The message is a secret from
 * here on; hk_crypto_cmac() wipes it. Returns the number of blocks; `message`
 * has room for them. Any thread.
 */
__u32 hk_crypto_cmac_pad(const struct hk_kdf_key *key, __u8 *message, __u32 length);

/* At most 64 bytes of key. Any thread. */
void hk_hmac_key_init(struct hk_hmac_key *key, const __u8 *bytes, size_t size);
void hk_crypto_hmac(struct hk_crypto *crypto, struct hk_hmac_job *jobs, __u32 count);

/*
 * HKDF-Expand with SHA-256 (RFC 5869) to up to HK_HKDF_OUT bytes, a batch: two
 * rounds of HMAC, nothing allocated. `out` takes whole blocks.
 */
#define HK_HKDF_OUT	 64
#define HK_HKDF_INFO_MAX 25 /* label, packet nonce and SPI of inline keying */
struct hk_hkdf_job {
	const struct hk_hmac_key *key;
	__u8 *out; /* HK_HKDF_OUT bytes */
	__u8 info[HK_HKDF_INFO_MAX];
	__u8 info_size;
};
void hk_crypto_hkdf(struct hk_crypto *crypto, const struct hk_hkdf_job *jobs, __u32 count);

void hk_crypto_ctr(struct hk_crypto *crypto, struct hk_ctr_job *jobs, __u32 count);
void hk_crypto_cbc(struct hk_crypto *crypto, struct hk_cbc_job *jobs, __u32 count);
void hk_crypto_gcm_open(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count);

/* SHA-256 keyed fingerprint for `keys list`: 8 bytes of HMAC-SHA-256(instance key, key bytes). */
void hk_crypto_fingerprint(const __u8 instance_key[32], const __u8 *key, size_t size, __u8 out[8]);

/*
 * The TLS 1.2 PRF (RFC 5246 section 5): `size` bytes of P_SHA256, or with `sha384` of
 * P_SHA384, over label || seed. The derivation of a connection's keys, once in its life.
 */
void hk_crypto_tls_prf(bool sha384, const __u8 *secret, size_t secret_size, const char *label,
	const __u8 *seed, size_t seed_size, __u8 *out, size_t size);

/* Constant-time equality, and a wipe the compiler keeps. */
bool hk_equal(const void *a, const void *b, size_t size);
void hk_wipe(void *memory, size_t size);

#endif

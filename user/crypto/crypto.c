// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The front of the open side's cryptography: the table of backends, dispatch,
 * and what all backends share. No cipher is called from here.
 */
#include <halfkey/crypto.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/backend.h"

/* Best first. */
static const struct hk_crypto_backend *const backends[] = {
	&hk_crypto_ipsecmb,
	&hk_crypto_libcrypto,
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

const char *hk_crypto_backend_name(unsigned index)
{
	return index < BACKENDS ? backends[index]->name : NULL;
}

struct hk_crypto *hk_crypto_new(const char *backend)
{
	struct hk_crypto *crypto;
	int code = EINVAL;
	unsigned i;

	for (i = 0; i < BACKENDS; i++) {
		if (backend && strcmp(backend, backends[i]->name) != 0)
			continue;
		crypto = backends[i]->create();
		if (crypto) {
			crypto->backend = backends[i];
			return crypto;
		}
		code = errno;
	}
	errno = code;
	return NULL;
}

void hk_crypto_free(struct hk_crypto *crypto)
{
	if (crypto)
		crypto->backend->destroy(crypto);
}

void hk_crypto_forget(struct hk_crypto *crypto)
{
	if (crypto->backend->forget)
		crypto->backend->forget(crypto);
}

const char *hk_crypto_name(const struct hk_crypto *crypto)
{
	return crypto->backend->name;
}

void hk_crypto_cmac(struct hk_crypto *crypto, const struct hk_kdf_key *key, __u32 count, __u32 blocks,
	__u8 *messages, __u8 *out)
{
	if (!count || !blocks)
		return;
	crypto->backend->cmac(crypto, key, count, blocks, messages, out);
	hk_wipe(messages, (size_t)count * blocks * 16);
}

/* A backend takes at most HK_CRYPTO_BATCH_MAX jobs at once. */
#define IN_SLICES(call)                                                        \
	for (__u32 n; count; jobs += n, count -= n) {                          \
		n = count < HK_CRYPTO_BATCH_MAX ? count : HK_CRYPTO_BATCH_MAX; \
		crypto->backend->call(crypto, jobs, n);                        \
	}

void hk_crypto_hmac(struct hk_crypto *crypto, struct hk_hmac_job *jobs, __u32 count)
{
	IN_SLICES(hmac)
}

void hk_crypto_ctr(struct hk_crypto *crypto, struct hk_ctr_job *jobs, __u32 count)
{
	IN_SLICES(ctr)
}

void hk_crypto_cbc(struct hk_crypto *crypto, struct hk_cbc_job *jobs, __u32 count)
{
	IN_SLICES(cbc)
}

void hk_crypto_gcm_open(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count)
{
	IN_SLICES(gcm_open)
}

void hk_crypto_fingerprint(const __u8 instance_key[32], const __u8 *key, size_t size, __u8 out[8])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int length = 0;

	if (!HMAC(EVP_sha256(), instance_key, 32, key, size, digest, &length) || length < 8)
		hk_crypto_broken("HMAC-SHA-256");
	memcpy(out, digest, 8);
	hk_wipe(digest, sizeof(digest));
}

static unsigned prf_mac(const EVP_MD *digest, const __u8 *secret, size_t secret_size, const __u8 *data,
	size_t size, __u8 *out)
{
	unsigned length = 0;

	if (!HMAC(digest, secret, (int)secret_size, data, size, out, &length))
		hk_crypto_broken("HMAC");
	return length;
}

/* A(0) = label || seed, A(i) = HMAC(secret, A(i-1)); output HMAC(secret, A(i) || label || seed) */
void hk_crypto_tls_prf(bool sha384, const __u8 *secret, size_t secret_size, const char *label,
	const __u8 *seed, size_t seed_size, __u8 *out, size_t size)
{
	const EVP_MD *digest = sha384 ? EVP_sha384() : EVP_sha256();
	__u8 data[EVP_MAX_MD_SIZE + 128], block[EVP_MAX_MD_SIZE];
	size_t label_size = strlen(label), tail = label_size + seed_size, part;
	unsigned length = (unsigned)EVP_MD_get_size(digest);

	if (tail > 128)
		hk_crypto_broken("the TLS PRF");
	memcpy(data + length, label, label_size);
	memcpy(data + length + label_size, seed, seed_size);
	prf_mac(digest, secret, secret_size, data + length, tail, data);
	while (size) {
		prf_mac(digest, secret, secret_size, data, length + tail, block);
		part = size < length ? size : length;
		memcpy(out, block, part);
		out += part;
		size -= part;
		prf_mac(digest, secret, secret_size, data, length, block);
		memcpy(data, block, length);
	}
	hk_wipe(data, sizeof(data));
	hk_wipe(block, sizeof(block));
}

bool hk_equal(const void *a, const void *b, size_t size)
{
	const __u8 *x = a, *y = b;
	__u64 difference = 0, u, v;

	for (; size >= 8; size -= 8, x += 8, y += 8) {
		memcpy(&u, x, 8);
		memcpy(&v, y, 8);
		difference |= u ^ v;
	}
	while (size--)
		difference |= *x++ ^ *y++;
	__asm__("" : "+r"(difference)); /* the compiler may not stop at the first difference */
	return difference == 0;
}

void hk_wipe(void *memory, size_t size)
{
	explicit_bzero(memory, size);
}

void hk_crypto_broken(const char *what)
{
	fprintf(stderr, "halfkey: the crypto library failed in %s; ending rather than inspecting garbage\n",
		what);
	abort();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Protection of payloads on libcrypto: see protect.h.
 *
 * The split GCM tag is GHASH_H(A, C) xor AES_Ak(N_a || 1) with H from Ak. The
 * library gives that for a ciphertext made elsewhere when it is handed the
 * "plaintext" whose encryption under Ak is C: C xor the key stream of Ak. So C
 * goes through CTR under Ak first and comes back out of GCM under Ak as itself,
 * together with the tag. To check a tag, GCM's decrypting direction suffices.
 */
#include "user/endpoint/protect.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <halfkey/crypto.h>
#include <halfkey/envelope.h>

#define CHUNK 2048 /* of a pass that needs scratch; a multiple of the block */

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_CIPHER *gcm[2], *ctr[2], *cbc; /* [0] 128 bits, [1] 256 */
static EVP_MAC *hmac;

/* Looking an algorithm up costs more than a packet: done once in the process's life. */
static void fetch(void)
{
	gcm[0] = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	gcm[1] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	ctr[0] = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
	ctr[1] = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
	cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *cipher, const __u8 *key, int encrypt)
{
	EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;

	if (!context)
		return NULL;
	if (EVP_CipherInit_ex2(context, cipher, key, NULL, encrypt, NULL) != 1 ||
		EVP_CIPHER_CTX_set_padding(context, 0) != 1) {
		EVP_CIPHER_CTX_free(context);
		return NULL;
	}
	return context;
}

static EVP_MAC_CTX *keyed_mac(const __u8 *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_utf8_string("digest", digest, sizeof(digest) - 1), OSSL_PARAM_END};
	EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

	if (context && EVP_MAC_init(context, key, 32, parameters) != 1) {
		EVP_MAC_CTX_free(context);
		return NULL;
	}
	return context;
}

int hk_protection_init(
	struct hk_protection *protection, unsigned suite, unsigned key_size, const __u8 *ek, const __u8 *ak)
{
	unsigned wide = key_size == 32;
	bool ready = false;

	memset(protection, 0, sizeof(*protection));
	protection->suite = suite;
	pthread_once(&fetched, fetch);
	if ((key_size != 16 && key_size != 32) || (suite != HK_SUITE_GCM) != (ak != NULL))
		return -EINVAL;
	if (!wide && (suite == HK_SUITE_CTR_HMAC || suite == HK_SUITE_CBC_HMAC))
		return -EINVAL;
	switch (suite) {
	case HK_SUITE_GCM:
		protection->cipher = keyed(gcm[wide], ek, 1);
		ready = protection->cipher;
		break;
	case HK_SUITE_GCM_SPLIT:
		protection->cipher = keyed(ctr[wide], ek, 1);
		protection->tag = keyed(gcm[wide], ak, 1);
		protection->tag_ctr = keyed(ctr[wide], ak, 1);
		ready = protection->cipher && protection->tag && protection->tag_ctr;
		break;
	case HK_SUITE_CTR_HMAC:
	case HK_SUITE_CBC_HMAC:
		protection->cipher = keyed(suite == HK_SUITE_CBC_HMAC ? cbc : ctr[1], ek, 1);
		protection->cipher_open = suite == HK_SUITE_CBC_HMAC ? keyed(cbc, ek, 0) : NULL;
		protection->mac = keyed_mac(ak);
		ready = protection->cipher && protection->mac &&
			(suite != HK_SUITE_CBC_HMAC || protection->cipher_open);
		break;
	default: return -EINVAL;
	}
	if (!ready)
		hk_protection_clear(protection);
	return ready ? 0 : -ENOMEM;
}

void hk_protection_clear(struct hk_protection *protection)
{
	EVP_CIPHER_CTX_free(protection->cipher); /* each wipes its schedule */
	EVP_CIPHER_CTX_free(protection->cipher_open);
	EVP_CIPHER_CTX_free(protection->tag);
	EVP_CIPHER_CTX_free(protection->tag_ctr);
	EVP_MAC_CTX_free(protection->mac);
	memset(protection, 0, sizeof(*protection));
}

/* Starts a cipher over with a new nonce and the key it has. */
static bool restart(EVP_CIPHER_CTX *context, const __u8 *iv, int encrypt)
{
	return EVP_CipherInit_ex2(context, NULL, NULL, iv, encrypt, NULL) == 1;
}

static bool pass(EVP_CIPHER_CTX *context, const __u8 *in, __u8 *out, __u32 length)
{
	int written = 0;

	return length == 0 ||
	       (EVP_CipherUpdate(context, out, &written, in, (int)length) == 1 && written == (int)length);
}

static bool absorb(EVP_CIPHER_CTX *context, const struct hk_protect_job *job)
{
	int written;

	return job->aad_length == 0 ||
	       EVP_CipherUpdate(context, NULL, &written, job->aad, (int)job->aad_length) == 1;
}

/* Ends a GCM pass; the library keeps its own nonce-used flag, so this runs for every packet. */
static bool finish(EVP_CIPHER_CTX *context)
{
	__u8 nothing[16];
	int written = 0;

	return EVP_CipherFinal_ex(context, nothing, &written) == 1;
}

static bool tag_get(EVP_CIPHER_CTX *context, __u8 *tag)
{
	return finish(context) && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, HK_TAG_SIZE, tag) == 1;
}

/* Hands over the expected tag, which the library compares in constant time when the pass ends. */
static bool tag_expect(EVP_CIPHER_CTX *context, const __u8 *tag)
{
	return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, HK_TAG_SIZE, (void *)tag) == 1;
}

static bool gcm_seal(struct hk_protection *p, const struct hk_protect_job *job, __u8 *tag)
{
	return restart(p->cipher, job->iv, 1) && absorb(p->cipher, job) &&
	       pass(p->cipher, job->text, job->text, job->length) && tag_get(p->cipher, tag);
}

static int gcm_open(struct hk_protection *p, const struct hk_protect_job *job, const __u8 *tag)
{
	if (!restart(p->cipher, job->iv, 0) || !tag_expect(p->cipher, tag) || !absorb(p->cipher, job) ||
		!pass(p->cipher, job->text, job->text, job->length))
		return -EIO;
	return finish(p->cipher) ? 0 : -EBADMSG;
}

/* The tag over the ciphertext in job->text, all from Ak: see the top of the file. */
static bool split_tag(struct hk_protection *p, const struct hk_protect_job *job, __u8 *tag)
{
	__u8 block[16] = {[15] = 2}, scratch[CHUNK];
	__u32 done, size;
	bool good;

	memcpy(block, job->nonce_auth, 12);
	good = restart(p->tag_ctr, block, 1) && restart(p->tag, job->nonce_auth, 1) && absorb(p->tag, job);
	for (done = 0; good && done < job->length; done += size) {
		size = job->length - done < CHUNK ? job->length - done : CHUNK;
		good = pass(p->tag_ctr, job->text + done, scratch, size) &&
		       pass(p->tag, scratch, scratch, size);
	}
	hk_wipe(scratch, sizeof(scratch));
	return good && tag_get(p->tag, tag);
}

static int split_check(struct hk_protection *p, const struct hk_protect_job *job, const __u8 *tag)
{
	__u8 scratch[CHUNK];
	__u32 done, size;
	bool good;

	good = restart(p->tag, job->nonce_auth, 0) && tag_expect(p->tag, tag) && absorb(p->tag, job);
	for (done = 0; good && done < job->length; done += size) {
		size = job->length - done < CHUNK ? job->length - done : CHUNK;
		good = pass(p->tag, job->text + done, scratch, size);
	}
	hk_wipe(scratch, sizeof(scratch));
	if (!good)
		return -EIO;
	return finish(p->tag) ? 0 : -EBADMSG;
}

static bool mac_tag(struct hk_protection *p, const struct hk_protect_job *job, __u8 *tag)
{
	__u8 full[32];
	size_t written = 0;
	bool good;

	good = EVP_MAC_init(p->mac, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(p->mac, job->aad, job->aad_length) == 1 &&
	       EVP_MAC_update(p->mac, job->text, job->length) == 1 &&
	       EVP_MAC_final(p->mac, full, &written, sizeof(full)) == 1 && written == sizeof(full);
	memcpy(tag, full, HK_TAG_SIZE);
	hk_wipe(full, sizeof(full));
	return good;
}

static int mac_check(struct hk_protection *p, const struct hk_protect_job *job, const __u8 *tag)
{
	__u8 expected[HK_TAG_SIZE];
	int status = -EIO;

	if (mac_tag(p, job, expected))
		status = hk_equal(expected, tag, HK_TAG_SIZE) ? 0 : -EBADMSG;
	hk_wipe(expected, sizeof(expected));
	return status;
}

static bool crypt(EVP_CIPHER_CTX *context, const struct hk_protect_job *job, int encrypt)
{
	return restart(context, job->iv, encrypt) && pass(context, job->text, job->text, job->length);
}

int hk_protection_seal(
	struct hk_protection *protection, const struct hk_protect_job *job, __u8 tag[HK_TAG_SIZE])
{
	bool good;

	if (protection->suite == HK_SUITE_GCM)
		good = gcm_seal(protection, job, tag);
	else if (protection->suite == HK_SUITE_GCM_SPLIT)
		good = crypt(protection->cipher, job, 1) && split_tag(protection, job, tag);
	else
		good = crypt(protection->cipher, job, 1) && mac_tag(protection, job, tag);
	if (good)
		return 0;
	hk_wipe(job->text, job->length);
	return -EIO;
}

int hk_protection_open(
	struct hk_protection *protection, const struct hk_protect_job *job, const __u8 tag[HK_TAG_SIZE])
{
	EVP_CIPHER_CTX *opener = protection->cipher_open ? protection->cipher_open : protection->cipher;
	int status;

	if (protection->suite == HK_SUITE_GCM) {
		status = gcm_open(protection, job, tag);
	} else {
		status = protection->suite == HK_SUITE_GCM_SPLIT ? split_check(protection, job, tag)
								 : mac_check(protection, job, tag);
		if (!status && !crypt(opener, job, protection->suite != HK_SUITE_CBC_HMAC))
			status = -EIO;
	}
	if (status)
		hk_wipe(job->text, job->length);
	return status;
}

int hk_protection_tag(
	struct hk_protection *protection, const struct hk_protect_job *job, __u8 tag[HK_TAG_SIZE])
{
	return protection->suite == HK_SUITE_GCM_SPLIT && split_tag(protection, job, tag) ? 0 : -EIO;
}

int hk_protection_check(
	struct hk_protection *protection, const struct hk_protect_job *job, const __u8 tag[HK_TAG_SIZE])
{
	return protection->suite == HK_SUITE_GCM_SPLIT ? split_check(protection, job, tag) : -EIO;
}

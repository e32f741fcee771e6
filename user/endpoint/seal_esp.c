// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ESP at the end host: RFC 4303 with the four suites of wire-formats section 4.
 *
 *   SPI 4 | SN 4 | IV 8 (CBC 16) | payload, padding 1 2 3.., pad length, next header | ICV 16
 *
 * AAD: SPI and SN for the GCM suites; for HMAC everything in front of the
 * ciphertext. GCM and CTR take the IV they are given; CBC draws its own.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <string.h>

#include "user/endpoint/sa.h"

static __u32 iv_size(const struct hk_sa *sa)
{
	return sa->suite == HK_SUITE_CBC_HMAC ? HK_ESP_CBC_IV_SIZE : HK_ESP_IV_SIZE;
}

static __u32 block_size(const struct hk_sa *sa)
{
	return sa->suite == HK_SUITE_CBC_HMAC ? 16 : 4;
}

/* The nonces' storage: `enc` a counter block or nonce, `auth` a nonce. */
struct esp_nonces {
	__u8 enc[16];
	__u8 auth[12];
};

static void esp_job(const struct hk_sa *sa, __u8 *packet, __u32 end, struct esp_nonces *nonces,
	struct hk_protect_job *job)
{
	const __u8 *iv = packet + HK_ESP_HEADER_SIZE;
	__u32 start = HK_ESP_HEADER_SIZE + iv_size(sa);
	bool mac = sa->suite == HK_SUITE_CTR_HMAC || sa->suite == HK_SUITE_CBC_HMAC;

	memset(nonces, 0, sizeof(*nonces));
	memcpy(nonces->enc, sa->salt_enc, 4);
	memcpy(nonces->enc + 4, iv, 8);
	nonces->enc[15] = sa->suite == HK_SUITE_CTR_HMAC ? 1 : 2;
	memcpy(nonces->auth, sa->salt_auth, 4);
	memcpy(nonces->auth + 4, iv, 8);
	job->iv = sa->suite == HK_SUITE_CBC_HMAC ? iv : nonces->enc;
	job->nonce_auth = nonces->auth;
	job->aad = packet;
	job->aad_length = mac ? start : HK_ESP_HEADER_SIZE;
	job->text = packet + start;
	job->length = end - start;
}

static int esp_iv(const struct hk_sa *sa, const struct hk_seal_shape *shape, __u64 iv, __u8 *out)
{
	if (sa->suite != HK_SUITE_CBC_HMAC) {
		hk_put64(out, iv);
		return 0;
	}
	if (shape->cbc_iv) {
		memcpy(out, shape->cbc_iv, HK_ESP_CBC_IV_SIZE);
		return 0;
	}
	return RAND_bytes(out, HK_ESP_CBC_IV_SIZE) == 1 ? 0 : -EIO;
}

int hk_esp_seal(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	__u8 next_header, const __u8 *payload, __u32 length, __u8 *out, __u32 room)
{
	__u32 start = HK_ESP_HEADER_SIZE + iv_size(sa), padded, end;
	struct hk_protect_job job;
	struct esp_nonces nonces;

	if (length > 65535)
		return -EMSGSIZE;
	padded = hk_esp_padded(length, block_size(sa));
	end = start + padded;
	if (end + HK_ESP_ICV_SIZE > room)
		return -EMSGSIZE;
	hk_put32(out, sa->name.spi);
	hk_put32(out + 4, numbers->sn);
	if (esp_iv(sa, shape, numbers->iv, out + HK_ESP_HEADER_SIZE))
		return -EIO;
	memcpy(out + start, payload, length);
	hk_esp_write_trailer(out + start, length, padded, next_header);
	esp_job(sa, out, end, &nonces, &job);
	if (hk_protection_seal(&sa->protection, &job, out + end))
		return -EIO;
	return (int)(end + HK_ESP_ICV_SIZE);
}

unsigned hk_esp_check(const __u8 *data, __u32 length, struct hk_sealed *out)
{
	if (length < HK_ESP_HEADER_SIZE + HK_ESP_IV_SIZE + 4 + HK_ESP_ICV_SIZE)
		return HK_REFUSAL_SHORT;
	out->spi = hk_get32(data);
	return out->spi < HK_ESP_SPI_RESERVED ? HK_REFUSAL_SPI : HK_REFUSAL_NONE;
}

unsigned hk_esp_open(struct hk_sa *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_payload *payload)
{
	__u32 start = HK_ESP_HEADER_SIZE + iv_size(sa), end = sealed->length - HK_ESP_ICV_SIZE;
	struct hk_protect_job job;
	struct esp_nonces nonces;
	unsigned refusal;
	int status;

	if (end < start + HK_ESP_TRAILER_SIZE)
		return HK_REFUSAL_SHORT;
	if ((end - start) % block_size(sa))
		return HK_REFUSAL_ESP_ALIGN;
	memcpy(out, sealed->data, end);
	esp_job(sa, out, end, &nonces, &job);
	status = hk_protection_open(&sa->protection, &job, sealed->data + end);
	if (status)
		return status == -EBADMSG ? HK_REFUSAL_BAD_ICV : HK_REFUSAL_CIPHER;
	payload->numbers =
		(struct hk_numbers){.iv = hk_get64(out + HK_ESP_HEADER_SIZE), .sn = hk_get32(out + 4)};
	refusal = hk_esp_read_trailer(out + start, end - start, payload);
	if (refusal)
		hk_wipe(out + start, end - start);
	return refusal;
}

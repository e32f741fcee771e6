// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PSP at the end host: builds and opens what wire-formats calls section 1.
 *
 *   header 16 [cookie 8] | payload | ICV 16
 *   AAD = up to 16 + 4 * crypt offset, ciphertext = from there to the ICV
 *
 * The nonce is SPI || IV, as it stands in the header, under both keys.
 */
#include <errno.h>
#include <string.h>

#include "user/endpoint/sa.h"

#define PSP_MIN 32 /* header and ICV */

/* Fills the job that both directions share; `counter` is storage for the CTR kind's first block. */
static void psp_job(const struct hk_sa *sa, __u8 *header, __u32 clear, __u32 end, __u8 counter[16],
	struct hk_protect_job *job)
{
	memset(counter, 0, 16);
	memcpy(counter, header + 4, 12);
	counter[15] = 2;
	job->iv = sa->suite == HK_SUITE_GCM ? header + 4 : counter;
	job->nonce_auth = header + 4;
	job->aad = header;
	job->aad_length = clear;
	job->text = header + clear;
	job->length = end - clear;
}

static void psp_header(
	const struct hk_sa *sa, const struct hk_seal_shape *shape, __u64 iv, __u8 next_header, __u8 *out)
{
	out[0] = next_header;
	out[1] = shape->cookie ? 2 : 1;
	out[2] = shape->crypt_offset;
	out[3] = (__u8)((shape->psp_flags & 0xc0) | sa->name.variant << 2 | (shape->cookie ? 2 : 0) | 1);
	hk_put32(out + 4, sa->name.spi);
	hk_put64(out + 8, iv);
	if (shape->cookie)
		memcpy(out + 16, shape->cookie_bytes, 8);
}

int hk_psp_seal(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	__u8 next_header, const __u8 *payload, __u32 length, __u8 *out, __u32 room)
{
	__u32 header = shape->cookie ? 24 : 16, end = header + length;
	__u32 clear = HK_PSP_HEADER_SIZE + 4u * shape->crypt_offset;
	struct hk_protect_job job;
	__u8 counter[16];

	/* A cookie is for the network to read: an offset that would encrypt it is a mistake. */
	if (shape->crypt_offset > HK_CRYPT_OFFSET_MAX || clear < header || clear > end)
		return -EINVAL;
	if (length > 65535 || end + HK_PSP_ICV_SIZE > room)
		return -EMSGSIZE;
	psp_header(sa, shape, numbers->iv, next_header, out);
	memcpy(out + header, payload, length);
	psp_job(sa, out, clear, end, counter, &job);
	if (hk_protection_seal(&sa->protection, &job, out + end))
		return -EIO;
	return (int)(end + HK_PSP_ICV_SIZE);
}

unsigned hk_psp_check(const __u8 *data, __u32 length, struct hk_sealed *out)
{
	unsigned version;
	__u32 header;

	if (length < PSP_MIN)
		return HK_REFUSAL_SHORT;
	header = (data[1] + 1u) * 8;
	version = data[3] >> 2 & 15;
	out->version = (__u8)version;
	out->spi = hk_get32(data + 4);
	if (data[1] < 1 || header > length - HK_PSP_ICV_SIZE || !(data[3] & 1))
		return HK_REFUSAL_PSP_HEADER;
	if (HK_PSP_HEADER_SIZE + 4u * (data[2] & 63) > length - HK_PSP_ICV_SIZE)
		return HK_REFUSAL_PSP_HEADER;
	if ((data[3] & 2) && data[1] < 2)
		return HK_REFUSAL_PSP_HEADER;
	if (!(out->spi & ~HK_PSP_SPI_SLOT))
		return HK_REFUSAL_SPI;
	return hk_sa_profile(HK_ENVELOPE_PSP, version) ? HK_REFUSAL_NONE : HK_REFUSAL_PSP_VERSION;
}

unsigned hk_psp_open(struct hk_sa *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_payload *payload)
{
	__u32 clear = HK_PSP_HEADER_SIZE + 4u * (sealed->data[2] & 63);
	__u32 header = (sealed->data[1] + 1u) * 8, end = sealed->length - HK_PSP_ICV_SIZE;
	struct hk_protect_job job;
	__u8 counter[16];
	int status;

	memcpy(out, sealed->data, end);
	psp_job(sa, out, clear, end, counter, &job);
	status = hk_protection_open(&sa->protection, &job, sealed->data + end);
	if (status)
		return status == -EBADMSG ? HK_REFUSAL_BAD_ICV : HK_REFUSAL_CIPHER;
	payload->data = out + header;
	payload->length = end - header;
	payload->next_header = out[0];
	payload->numbers = (struct hk_numbers){.iv = hk_get64(out + 8)};
	return HK_REFUSAL_NONE;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The derived-key context: see dkc.h. */
#include "user/envelope/dkc.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/base/bytes.h"
#include "user/envelope/openers.h"

static unsigned check_fields(const struct hk_opening *opening, const struct hk_dkc *dkc)
{
	__u8 flags = dkc->fields[1];
	bool split = flags & HK_DKC_SPLIT;

	if (HK_DKC_KDF(dkc->fields) != HK_DKC_KDF108)
		return HK_REASON_DKC_KDF;
	if (HK_DKC_PROFILE(dkc->fields) != dkc->carrier)
		return HK_REASON_DKC_CARRIER;
	if (flags & HK_DKC_RESERVED || !(flags & (HK_DKC_SN | HK_DKC_IV)))
		return HK_REASON_DKC_RESERVED;
	/* WESP has ESP's own sequence number and trailer */
	if (dkc->carrier == HK_DKC_PROFILE_WESP &&
		(flags & (HK_DKC_SN | HK_DKC_TUNNEL) || !(flags & HK_DKC_IV)))
		return HK_REASON_DKC_RESERVED;
	if (split != (opening->domain->profile == HK_PROFILE_SPLIT))
		return HK_REASON_PROFILE_MISMATCH;
	return HK_REASON_OK;
}

/* In `single` the ICV itself is verified, which is more than a reader tag says. */
static void plan_reader(struct hk_opening *opening, const struct hk_keyring *keyring, const __u8 *context)
{
	struct hk_key_request request = {.receiver = &opening->outer_dst,
		.spi = opening->meta->spi,
		.id = opening->key_id,
		.domain = opening->meta->domain,
		.slot = opening->slot};

	opening->reader = hk_keyring_reader(keyring, &request);
	if (opening->reader)
		hk_kdf108_messages(opening->reader_message, HK_SIDE_READER, context);
}

unsigned hk_dkc_plan(struct hk_opening *opening, const struct hk_keyring *keyring, const struct hk_dkc *dkc)
{
	unsigned reason = check_fields(opening, dkc);
	__u8 context[HK_KDF108_CONTEXT];

	if (reason != HK_REASON_OK)
		return reason;
	opening->variant = dkc->fields[1] & HK_DKC_SPLIT ? HK_SUITE_GCM_SPLIT : HK_SUITE_GCM;
	opening->cipher = opening->variant == HK_SUITE_GCM ? HK_CIPHER_GCM : HK_CIPHER_CTR;
	opening->key_size = 32;
	reason = hk_opening_choose_id(opening, keyring, HK_DKC_SLOT(dkc->fields), hk_get32(dkc->mkid));
	if (reason != HK_REASON_OK)
		return reason;
	hk_kdf_dkc_context(context, dkc->fields, dkc->mkid, dkc->context_id, dkc->epoch, opening->meta->spi,
		dkc->session);
	opening->messages = HK_KDF108_MESSAGES;
	opening->blocks = HK_KDF108_BLOCKS;
	hk_kdf108_messages(opening->message, HK_SIDE_ENC, context);
	opening->kcv = dkc->kcv;
	if (!(dkc->fields[1] & HK_DKC_READER))
		return HK_REASON_OK;
	/* the ICV covers the reader tag as if it were ciphertext */
	if (opening->cipher == HK_CIPHER_GCM) {
		opening->cipher_length += HK_DKC_READER_SIZE;
		opening->tail_length = HK_DKC_READER_SIZE;
	} else {
		plan_reader(opening, keyring, context);
	}
	return HK_REASON_OK;
}

/* N = (SPI || IV) ^ mask */
static void make_nonce(__u8 nonce[12], __u32 spi, const __u8 *iv, const __u8 *mask)
{
	unsigned i;

	hk_put32(nonce, spi);
	memcpy(nonce + 4, iv, 8);
	for (i = 0; i < 12; i++)
		nonce[i] ^= mask[i];
}

void hk_dkc_cipher(struct hk_opening *opening, const __u8 *iv)
{
	opening->cipher_key = opening->material;
	make_nonce(opening->nonce, opening->meta->spi, iv, opening->material + HK_KDF_DKC_MASK);
	memcpy(opening->nonce + 12, (const __u8[]){0, 0, 0, 2}, 4);
	if (opening->reader)
		make_nonce(opening->reader_nonce, opening->meta->spi, iv,
			opening->reader_material + HK_KDF_DKC_MASK);
	if (!hk_equal(opening->material + HK_KDF_DKC_KCV, opening->kcv, 4))
		opening->refused = HK_REASON_WRONG_KCV;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Security associations: from master keys, or an explicit key, to the expanded
 * keys of one SPI. The KDF messages are those of user/crypto/kdf.h, the same
 * the box derives from.
 */
#include "user/endpoint/sa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/crypto/kdf.h"

static unsigned psp_suite(unsigned version)
{
	switch (version) {
	case HK_PSP_GCM_128:
	case HK_PSP_GCM_256: return HK_SUITE_GCM;
	case HK_PSP_SPLIT_128:
	case HK_PSP_SPLIT_256: return HK_SUITE_GCM_SPLIT;
	default: return HK_SUITE_NONE; /* GMAC versions are not encrypted; others nobody defines */
	}
}

static unsigned suite_of(unsigned envelope, unsigned variant)
{
	if (envelope == HK_ENVELOPE_PSP)
		return psp_suite(variant);
	return envelope == HK_ENVELOPE_ESP && hk_suite_name(variant) ? variant : HK_SUITE_NONE;
}

unsigned hk_sa_profile(unsigned envelope, unsigned variant)
{
	return hk_suite_profile(suite_of(envelope, variant));
}

static int check_name(const struct hk_sa_name *name, bool derived, struct hk_error *error)
{
	if (suite_of(name->envelope, name->variant) == HK_SUITE_NONE)
		return hk_error_set(error, EINVAL,
			"version or suite %u of envelope %u cannot be sealed: use PSP version 0, 1, 4 or 5, "
			"or a "
			"suite of ESP",
			name->variant, name->envelope);
	if (name->envelope == HK_ENVELOPE_PSP && !(name->spi & ~HK_PSP_SPI_SLOT))
		return hk_error_set(
			error, EINVAL, "SPI 0x%08x is reserved: its low 31 bits must not be 0", name->spi);
	if (name->envelope == HK_ENVELOPE_ESP && name->spi < HK_ESP_SPI_RESERVED)
		return hk_error_set(error, EINVAL, "SPI %u is reserved: use 256 or more", name->spi);
	if (name->envelope == HK_ENVELOPE_ESP && derived && name->spi >> 31)
		return hk_error_set(
			error, EINVAL, "SPI 0x%08x has bit 31 set: derived keys need it clear", name->spi);
	return 0;
}

static void derive_psp(
	__u8 *out, struct hk_crypto *crypto, const struct hk_sa_name *name, const struct hk_kdf_key *master)
{
	__u8 messages[2 * 16], blocks[2 * 16];
	unsigned size = hk_kdf_psp_key_size(name->variant), count = size / 16, i;

	for (i = 0; i < count; i++)
		hk_kdf_psp_message(messages + 16 * i, name->variant, name->spi, i + 1);
	hk_crypto_cmac(crypto, master, count, HK_KDF_PSP_BLOCKS, messages, blocks);
	memcpy(out, blocks, size);
	hk_wipe(blocks, sizeof(blocks));
}

static void derive_esp(__u8 *key, __u8 *salt, struct hk_crypto *crypto, const struct hk_sa_name *name,
	const struct hk_kdf_key *master, enum hk_side side)
{
	__u8 context[HK_KDF108_CONTEXT], messages[HK_KDF108_MESSAGES * HK_KDF108_BLOCKS * 16];
	__u8 material[HK_KDF108_OUTPUT];
	unsigned i;

	hk_kdf_esp_context(context, (enum hk_suite)name->variant, name->spi >> 29 & 3, name->mkid, name->spi,
		&name->receiver);
	for (i = 0; i < HK_KDF108_MESSAGES; i++)
		hk_kdf108_message(
			messages + i * HK_KDF108_BLOCKS * 16, hk_kdf_label(side), context, (__u8)(i + 1));
	hk_crypto_cmac(crypto, master, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS, messages, material);
	memcpy(key, material, 32);
	memcpy(salt, material + 32, 4);
	hk_wipe(material, sizeof(material));
}

int hk_sa_derive_keys(struct hk_sa_keys *out, struct hk_crypto *crypto, const struct hk_sa_name *name,
	const struct hk_kdf_key *enc, const struct hk_kdf_key *auth, struct hk_error *error)
{
	bool split = hk_sa_profile(name->envelope, name->variant) == HK_PROFILE_SPLIT;
	int status = check_name(name, true, error);

	memset(out, 0, sizeof(*out));
	if (status)
		return status;
	if (!enc || split != (auth != NULL))
		return hk_error_set(error, EPERM,
			"SPI 0x%08x: a split version or suite needs both sides of the keys, any other the "
			"single "
			"key alone",
			name->spi);
	if (name->envelope == HK_ENVELOPE_PSP) {
		out->key_size = (__u8)hk_kdf_psp_key_size(name->variant);
		derive_psp(out->enc, crypto, name, enc);
		if (auth)
			derive_psp(out->auth, crypto, name, auth);
		return 0;
	}
	out->key_size = 32;
	derive_esp(out->enc, out->salt_enc, crypto, name, enc, auth ? HK_SIDE_ENC : HK_SIDE_SINGLE);
	if (auth)
		derive_esp(out->auth, out->salt_auth, crypto, name, auth, HK_SIDE_AUTH);
	return 0;
}

int hk_sa_derive(struct hk_sa **out, struct hk_crypto *crypto, const struct hk_sa_name *name,
	const struct hk_kdf_key *enc, const struct hk_kdf_key *auth, struct hk_error *error)
{
	struct hk_sa_keys keys;
	int status = hk_sa_derive_keys(&keys, crypto, name, enc, auth, error);

	if (!status)
		status = hk_sa_from_keys(out, name, &keys, error);
	hk_wipe(&keys, sizeof(keys));
	return status;
}

int hk_sa_from_keys(struct hk_sa **out, const struct hk_sa_name *name, const struct hk_sa_keys *keys,
	struct hk_error *error)
{
	/* A public constant: the fingerprint must be the same in every process that holds the key. */
	static const __u8 label[32] = "halfkey nonce state fingerprint";
	bool split = hk_sa_profile(name->envelope, name->variant) == HK_PROFILE_SPLIT;
	int status = check_name(name, false, error);
	struct hk_sa *sa;

	if (status)
		return status;
	sa = calloc(1, sizeof(*sa));
	if (!sa)
		return hk_error_set(error, ENOMEM, "no memory for the keys of SPI 0x%08x", name->spi);
	sa->name = *name;
	sa->suite = suite_of(name->envelope, name->variant);
	memcpy(sa->salt_enc, keys->salt_enc, 4);
	memcpy(sa->salt_auth, keys->salt_auth, 4);
	hk_crypto_fingerprint(label, keys->enc, keys->key_size, sa->fingerprint);
	status = hk_protection_init(
		&sa->protection, sa->suite, keys->key_size, keys->enc, split ? keys->auth : NULL);
	if (status) {
		hk_sa_free(sa);
		return hk_error_set(
			error, -status, "the crypto library took no key for SPI 0x%08x", name->spi);
	}
	*out = sa;
	return 0;
}

void hk_sa_free(struct hk_sa *sa)
{
	if (!sa)
		return;
	hk_protection_clear(&sa->protection);
	hk_wipe(sa, sizeof(*sa));
	free(sa);
}

const struct hk_sa_name *hk_sa_name(const struct hk_sa *sa)
{
	return &sa->name;
}

__u64 hk_sa_not_after(const struct hk_sa *sa)
{
	return sa->not_after;
}

const __u8 *hk_sa_fingerprint(const struct hk_sa *sa)
{
	return sa->fingerprint;
}

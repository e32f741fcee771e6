// SPDX-License-Identifier: GPL-2.0-or-later
/* Roots of several levels to one master key: see levels.h. */
#include "user/crypto/levels.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <halfkey/crypto.h>

#include "user/crypto/backend.h"

#define HASH 32
#define INFO (4 + 1 + 1 + 16)

static void hmac(const __u8 *key, const __u8 *data, size_t size, __u8 out[HASH])
{
	unsigned int length = 0;

	if (!HMAC(EVP_sha256(), key, HASH, data, size, out, &length) || length != HASH)
		hk_crypto_broken("HMAC-SHA-256");
}

static void next_level(const struct hk_kdf_levels *levels, unsigned level, enum hk_side side, __u8 key[HASH])
{
	__u8 extracted[HASH], message[INFO + 1] = "DKm1";

	hmac(key, levels->root[level], HASH, extracted);
	message[4] = side == HK_SIDE_AUTH ? 'a' : side == HK_SIDE_READER ? 'r' : 'e';
	message[5] = (__u8)(level + 1);
	memcpy(message + 6, levels->id[level], 16);
	message[INFO] = 1; /* HKDF-Expand's first block is all there is */
	hmac(extracted, message, sizeof(message), key);
	hk_wipe(extracted, sizeof(extracted));
}

void hk_kdf_combine(const struct hk_kdf_levels *levels, enum hk_side side, __u8 out[32])
{
	unsigned level;

	memcpy(out, levels->root[0], HASH);
	for (level = 1; level < levels->count; level++)
		next_level(levels, level, side, out);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Roots of several levels (trust region, user group, task group) combined to
 * one master key (docs/wire-formats.md, 3.1): once, when keys load, never per packet.
 *
 *   M_1 = root_1
 *   M_i = HKDF-Expand(HKDF-Extract(salt = M_(i-1), ikm = root_i), "DKm1" || x || [i]_8 || id_i(16), 32)
 *
 * with HKDF-SHA-256; x is 'e' for the encryption side (and `single`), 'a' for
 * authentication, 'r' for reader tags; id_i is the level's name, zeros behind it. Chained and not
 * xored: whoever contributes last cannot choose the result.
 */
#ifndef HK_CRYPTO_LEVELS_H
#define HK_CRYPTO_LEVELS_H

#include "user/crypto/kdf.h"

#define HK_KDF_LEVELS 3

struct hk_kdf_levels {
	unsigned count; /* 1 to HK_KDF_LEVELS */
	__u8 root[HK_KDF_LEVELS][32];
	__u8 id[HK_KDF_LEVELS][16];
};

void hk_kdf_combine(const struct hk_kdf_levels *levels, enum hk_side side, __u8 out[32]);

#endif

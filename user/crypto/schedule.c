// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The preparation of a KDF key: AES-256 round keys (FIPS 197, 5.2) and the CMAC
 * subkey K1 (NIST SP 800-38B, 6.1). Once per key load, on any thread, so it is
 * written for plainness and constant time: the S-box is computed, not looked up.
 */
#include <halfkey/crypto.h>

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

static __u8 field_multiply(__u8 a, __u8 b)
{
	__u8 product = 0;

	for (int i = 0; i < 8; i++) {
		product ^= a & (__u8) - (b & 1);
		a = (__u8)(a << 1) ^ (0x1b & (__u8) - (a >> 7));
		b >>= 1;
	}
	return product;
}

static __u8 rotate(__u8 value, int by)
{
	return (__u8)(value << by | value >> (8 - by));
}

/* The S-box: inverse in GF(2^8), which is the 254th power, then an affine map. */
static __u8 substitute(__u8 value)
{
	__u8 inverse = 1;

	for (int i = 0; i < 7; i++) {
		value = field_multiply(value, value);
		inverse = field_multiply(inverse, value);
	}
	return inverse ^ rotate(inverse, 1) ^ rotate(inverse, 2) ^ rotate(inverse, 3) ^ rotate(inverse, 4) ^
	       0x63;
}

static void expand(__u8 schedule[15 * 16], const __u8 key[32])
{
	__u8 round_constant = 1, word[4];

	memcpy(schedule, key, 32);
	for (unsigned at = 32; at < 15 * 16; at += 4) {
		memcpy(word, schedule + at - 4, 4);
		if (at % 32 == 0) {
			const __u8 first = word[0];

			word[0] = substitute(word[1]) ^ round_constant;
			word[1] = substitute(word[2]);
			word[2] = substitute(word[3]);
			word[3] = substitute(first);
			round_constant = (__u8)(round_constant << 1);
		} else if (at % 32 == 16) {
			for (int i = 0; i < 4; i++)
				word[i] = substitute(word[i]);
		}
		for (int i = 0; i < 4; i++)
			schedule[at + i] = schedule[at - 32 + i] ^ word[i];
	}
	hk_wipe(word, sizeof(word));
}

/* K1 is AES(0^128) doubled in GF(2^128), K2 is K1 doubled. */
static void double_block(__u8 out[16], const __u8 in[16])
{
	for (int i = 0; i < 15; i++)
		out[i] = (__u8)(in[i] << 1 | in[i + 1] >> 7);
	out[15] = (__u8)(in[15] << 1) ^ (0x87 & (__u8) - (in[0] >> 7));
}

int hk_kdf_key_init(struct hk_kdf_key *key, const __u8 bytes[32])
{
	static const __u8 zero[16];
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	__u8 block[32] = {0};
	int length, result = -ENOMEM;

	if (!context)
		return -ENOMEM;
	if (EVP_EncryptInit_ex2(context, EVP_aes_256_ecb(), bytes, NULL, NULL) == 1 &&
		EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
		EVP_EncryptUpdate(context, block, &length, zero, sizeof(zero)) == 1 && length == 16) {
		expand(key->schedule, bytes);
		double_block(key->k1, block);
		result = 0;
	}
	hk_wipe(block, sizeof(block));
	EVP_CIPHER_CTX_free(context);
	return result;
}

__u32 hk_crypto_cmac_pad(const struct hk_kdf_key *key, __u8 *message, __u32 length)
{
	const __u32 rest = length % 16, blocks = length / 16;
	__u8 *last = message + (size_t)blocks * 16, k2[16];

	if (!rest && length)
		return blocks;
	last[rest] = 0x80;
	memset(last + rest + 1, 0, 15 - rest);
	double_block(k2, key->k1);
	for (int i = 0; i < 16; i++)
		last[i] ^= key->k1[i] ^ k2[i];
	hk_wipe(k2, sizeof(k2));
	return blocks + 1;
}

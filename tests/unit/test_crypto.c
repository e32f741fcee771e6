// SPDX-License-Identifier: GPL-2.0-or-later
/* The open side's ciphers against published vectors, and what each must refuse: every backend alike. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/crypto/backend.h"

#define TEXT_MAX 128

struct bytes {
	__u8 at[TEXT_MAX];
	__u32 size;
};

static struct bytes hex(const char *text)
{
	struct bytes out = {.size = (__u32)strlen(text) / 2};

	CU_ASSERT_EQUAL(hk_hex_parse(text, strlen(text), out.at, out.size), 0);
	return out;
}

/* Runs `check` with each backend this machine has. */
static void with_each(void (*check)(struct hk_crypto *crypto))
{
	const char *name;
	unsigned ran = 0;

	for (unsigned i = 0; (name = hk_crypto_backend_name(i)); i++) {
		struct hk_crypto *crypto = hk_crypto_new(name);

		if (!crypto) {
			CU_ASSERT_EQUAL(errno, ENOTSUP);
			continue;
		}
		CU_ASSERT_STRING_EQUAL(hk_crypto_name(crypto), name);
		check(crypto);
		hk_crypto_free(crypto);
		ran++;
	}
	CU_ASSERT(ran > 0);
}

#define SP800_38A_TEXT                                                     \
	"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" \
	"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define SP800_38A_KEY256 "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"

struct ctr_vector {
	const char *name, *key, *counter, *plain, *cipher;
};

static const struct ctr_vector ctr_vectors[] = {
	{"RFC 3686 1", "ae6852f8121067cc4bf7a5765577f39e", "00000030000000000000000000000001",
		"53696e676c6520626c6f636b206d7367", "e4095d4fb7a7b3792d6175a3261311b8"},
	{"RFC 3686 2", "7e24067817fae0d743d6ce1f32539163", "006cb6dbc0543b59da48d90b00000001",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28"},
	{"RFC 3686 3", "7691be035e5020a8ac6e618529f9a0dc", "00e0017b27777f3f4a1786f000000001",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
		"c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f"},
	{"RFC 3686 7", "776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104",
		"00000060db5672c97aa8f0b200000001", "53696e676c6520626c6f636b206d7367",
		"145ad01dbf824ec7560863dc71e3e0c0"},
	{"RFC 3686 8", "f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884",
		"00faac24c1585ef15a43d87500000001",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c"},
	{"RFC 3686 9", "ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d",
		"001cc5b751a51d70a1c1114800000001",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
		"eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8"},
	{"SP 800-38A F.5.1", "2b7e151628aed2a6abf7158809cf4f3c", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		SP800_38A_TEXT,
		"874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
		"5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"},
	{"SP 800-38A F.5.5", SP800_38A_KEY256, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", SP800_38A_TEXT,
		"601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
		"2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"},
};

#define CTR_VECTORS (sizeof(ctr_vectors) / sizeof(ctr_vectors[0]))

/* All vectors as one batch, so that both key sizes meet in it. */
static void ctr_published(struct hk_crypto *crypto)
{
	struct bytes key[CTR_VECTORS], text[CTR_VECTORS], out[CTR_VECTORS];
	struct hk_ctr_job jobs[CTR_VECTORS];

	for (unsigned i = 0; i < CTR_VECTORS; i++) {
		key[i] = hex(ctr_vectors[i].key);
		text[i] = hex(ctr_vectors[i].cipher);
		jobs[i] = (struct hk_ctr_job){.key = key[i].at,
			.key_size = key[i].size,
			.in = text[i].at,
			.out = out[i].at,
			.length = text[i].size};
		memcpy(jobs[i].counter, hex(ctr_vectors[i].counter).at, 16);
	}
	hk_crypto_ctr(crypto, jobs, CTR_VECTORS);
	for (unsigned i = 0; i < CTR_VECTORS; i++)
		CU_ASSERT_EQUAL(memcmp(out[i].at, hex(ctr_vectors[i].plain).at, text[i].size), 0);
}

/* The low 32 bits wrap and nothing is carried into the nonce. */
static void ctr_wraps(struct hk_crypto *crypto)
{
	const struct bytes key = hex(SP800_38A_KEY256);
	__u8 zero[80] = {0}, whole[80], after[64];
	struct hk_ctr_job job = {.key = key.at, .key_size = 32, .in = zero, .out = whole, .length = 80};

	memset(job.counter, 0xff, 16);
	hk_crypto_ctr(crypto, &job, 1);
	memset(job.counter + 12, 0, 4);
	job.out = after;
	job.length = 64;
	hk_crypto_ctr(crypto, &job, 1);
	CU_ASSERT_EQUAL(memcmp(whole + 16, after, 64), 0);
	/* In place, and with 128 bits of key, in the same batch as an ordinary job. */
	struct hk_ctr_job two[2] = {job, job};
	__u8 place[80] = {0}, expected[16];

	two[0].key_size = 16;
	two[0].in = two[0].out = place;
	two[0].length = 80;
	memset(two[0].counter, 0xff, 16);
	two[1].in = zero;
	hk_crypto_ctr(crypto, two, 2);
	CU_ASSERT_EQUAL(memcmp(after, whole + 16, 64), 0);
	two[0].in = zero;
	two[0].out = expected;
	two[0].length = 16;
	memset(two[0].counter + 12, 0, 4);
	hk_crypto_ctr(crypto, two, 1);
	CU_ASSERT_EQUAL(memcmp(place + 16, expected, 16), 0);
}

static void cbc_published(struct hk_crypto *crypto)
{
	const struct bytes key = hex(SP800_38A_KEY256), iv = hex("000102030405060708090a0b0c0d0e0f");
	const struct bytes cipher = hex("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
					"39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b");
	const struct bytes plain = hex(SP800_38A_TEXT);
	struct bytes out[4];
	struct hk_cbc_job jobs[4];

	for (__u32 i = 0; i < 4; i++)
		jobs[i] = (struct hk_cbc_job){.key = key.at,
			.in = cipher.at,
			.out = out[i].at,
			.iv = iv.at,
			.length = 16 * (i + 1)};
	hk_crypto_cbc(crypto, jobs, 4);
	for (__u32 i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(memcmp(out[i].at, plain.at, 16 * (i + 1)), 0);
}

/* NIST SP 800-38B, D.3: messages of one and of four whole blocks. */
static void cmac_published(struct hk_crypto *crypto)
{
	struct bytes one = hex(SP800_38A_TEXT), four = one;
	const struct bytes k1 = hex("cad1ed03299eedac2e9a99808621502f");
	static const __u8 zero[64];
	struct hk_kdf_key key;
	__u8 out[64];

	CU_ASSERT_EQUAL(hk_kdf_key_init(&key, hex(SP800_38A_KEY256).at), 0);
	CU_ASSERT_EQUAL(memcmp(key.k1, k1.at, 16), 0);
	hk_crypto_cmac(crypto, &key, 4, 1, one.at, out);
	CU_ASSERT_EQUAL(memcmp(out, hex("28a7023f452e8f82bd4bf28d8c37c35c").at, 16), 0);
	CU_ASSERT_EQUAL(memcmp(one.at, zero, 64), 0); /* the messages are wiped */
	hk_crypto_cmac(crypto, &key, 1, 4, four.at, out);
	CU_ASSERT_EQUAL(memcmp(out, hex("e1992190549f6ed5696a2c056c315410").at, 16), 0);
	hk_crypto_cmac(crypto, &key, 0, 1, four.at, out);
	CU_ASSERT_EQUAL(memcmp(out, hex("e1992190549f6ed5696a2c056c315410").at, 16), 0);
}

/* SP 800-38B, D.3: no block at all, and two and a half: subkey K2. */
static void cmac_of_partial_blocks(struct hk_crypto *crypto)
{
	const struct bytes text = hex(SP800_38A_TEXT);
	static const __u8 zero[48];
	struct hk_kdf_key key;
	__u8 message[48], out[16];

	CU_ASSERT_EQUAL(hk_kdf_key_init(&key, hex(SP800_38A_KEY256).at), 0);
	CU_ASSERT_EQUAL(hk_crypto_cmac_pad(&key, message, 0), 1);
	hk_crypto_cmac(crypto, &key, 1, 1, message, out);
	CU_ASSERT_EQUAL(memcmp(out, hex("028962f61b7bf89efc6b551f4667d983").at, 16), 0);
	memcpy(message, text.at, 40);
	CU_ASSERT_EQUAL(hk_crypto_cmac_pad(&key, message, 40), 3);
	CU_ASSERT_EQUAL(memcmp(message, text.at, 40 - 8), 0);
	hk_crypto_cmac(crypto, &key, 1, 3, message, out);
	CU_ASSERT_EQUAL(memcmp(out, hex("aaf3d8f1de5640c232f5b169b9c911e6").at, 16), 0);
	CU_ASSERT_EQUAL(memcmp(message, zero, 48), 0); /* a subkey was in it */
	memcpy(message, text.at, 48);
	CU_ASSERT_EQUAL(hk_crypto_cmac_pad(&key, message, 48), 3);
	CU_ASSERT_EQUAL(memcmp(message, text.at, 48), 0); /* whole blocks stay as they are */
}

#define GCM_KEY128 "feffe9928665731c6d6a8f9467308308"
#define GCM_AAD	   "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_TEXT60                                                         \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_CIPHER60_128                                                   \
	"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e" \
	"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
#define GCM_CIPHER60_256                                                   \
	"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" \
	"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
#define ZERO16 "00000000000000000000000000000000"

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases with 96-bit IVs. */
static const struct gcm_vector {
	const char *key, *nonce, *aad, *plain, *cipher, *tag;
} gcm_vectors[] = {
	{ZERO16, "000000000000000000000000", "", "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
	{ZERO16, "000000000000000000000000", "", ZERO16, "0388dace60b6a392f328c2b971b2fe78",
		"ab6e47d42cec13bdf53a67b21257bddf"},
	{GCM_KEY128, "cafebabefacedbaddecaf888", "", GCM_TEXT60 "1aafd255", GCM_CIPHER60_128 "473f5985",
		"4d5c2af327cd64a62cf35abd2ba6fab4"},
	{GCM_KEY128, "cafebabefacedbaddecaf888", GCM_AAD, GCM_TEXT60, GCM_CIPHER60_128,
		"5bc94fbc3221a5db94fae95ae7121a47"},
	{ZERO16 ZERO16, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{ZERO16 ZERO16, "000000000000000000000000", "", ZERO16, "cea7403d4d606b6e074ec5d3baf39d18",
		"d0d1c8a799996bf0265b98b5d48ab919"},
	{GCM_KEY128 GCM_KEY128, "cafebabefacedbaddecaf888", "", GCM_TEXT60 "1aafd255",
		GCM_CIPHER60_256 "898015ad", "b094dac5d93471bdec1a502270e3cc6c"},
	{GCM_KEY128 GCM_KEY128, "cafebabefacedbaddecaf888", GCM_AAD, GCM_TEXT60, GCM_CIPHER60_256,
		"76fc6ece0f4e1768cddf8853bb2d551b"},
};

#define GCM_VECTORS (sizeof(gcm_vectors) / sizeof(gcm_vectors[0]))

struct gcm_case {
	struct bytes key, aad, cipher, tag, out;
	struct hk_gcm_job job;
};

static void gcm_case(struct gcm_case *c, const struct gcm_vector *vector)
{
	c->key = hex(vector->key);
	c->aad = hex(vector->aad);
	c->cipher = hex(vector->cipher);
	c->tag = hex(vector->tag);
	memset(c->out.at, 0xa5, sizeof(c->out.at));
	c->job = (struct hk_gcm_job){.key = c->key.at,
		.key_size = c->key.size,
		.in = c->cipher.at,
		.out = c->out.at,
		.length = c->cipher.size,
		.aad = c->aad.at,
		.aad_length = c->aad.size,
		.tag = c->tag.at};
	memcpy(c->job.nonce, hex(vector->nonce).at, 12);
}

static void gcm_published(struct hk_crypto *crypto)
{
	struct gcm_case cases[GCM_VECTORS];
	struct hk_gcm_job jobs[GCM_VECTORS];

	for (unsigned i = 0; i < GCM_VECTORS; i++) {
		gcm_case(&cases[i], &gcm_vectors[i]);
		jobs[i] = cases[i].job;
	}
	hk_crypto_gcm_open(crypto, jobs, GCM_VECTORS);
	for (unsigned i = 0; i < GCM_VECTORS; i++) {
		const struct bytes plain = hex(gcm_vectors[i].plain);

		CU_ASSERT_TRUE(jobs[i].verified);
		CU_ASSERT_EQUAL(memcmp(cases[i].out.at, plain.at, plain.size), 0);
	}
}

static void gcm_refuses(struct hk_crypto *crypto, struct gcm_case *c)
{
	static const __u8 zero[TEXT_MAX];

	memset(c->out.at, 0xa5, sizeof(c->out.at));
	c->job.verified = true;
	hk_crypto_gcm_open(crypto, &c->job, 1);
	CU_ASSERT_FALSE(c->job.verified);
	CU_ASSERT_EQUAL(memcmp(c->out.at, zero, c->job.length), 0);
	CU_ASSERT_EQUAL(c->out.at[c->job.length], 0xa5);
}

static void flip(__u8 *bytes, unsigned bit)
{
	bytes[bit / 8] ^= (__u8)(1u << bit % 8);
}

/* Each bit of tag, ciphertext, AAD and nonce; cases with empty ciphertext are among the vectors. */
static void gcm_bad_bits(struct hk_crypto *crypto)
{
	struct gcm_case c;

	for (unsigned i = 0; i < GCM_VECTORS; i++) {
		gcm_case(&c, &gcm_vectors[i]);
		struct {
			__u8 *bytes;
			unsigned bits;
		} parts[] = {{c.tag.at, 128}, {c.cipher.at, c.cipher.size * 8}, {c.aad.at, c.aad.size * 8},
			{c.job.nonce, 96}};

		for (unsigned part = 0; part < 4; part++)
			for (unsigned bit = 0; bit < parts[part].bits; bit++) {
				flip(parts[part].bytes, bit);
				gcm_refuses(crypto, &c);
				flip(parts[part].bytes, bit);
			}
		hk_crypto_gcm_open(crypto, &c.job, 1);
		CU_ASSERT_TRUE(c.job.verified);
	}
}

static void gcm_in_place(struct hk_crypto *crypto)
{
	const struct bytes plain = hex(GCM_TEXT60);
	struct gcm_case c;

	gcm_case(&c, &gcm_vectors[3]);
	c.job.out = c.cipher.at;
	hk_crypto_gcm_open(crypto, &c.job, 1);
	CU_ASSERT_TRUE(c.job.verified);
	CU_ASSERT_EQUAL(memcmp(c.cipher.at, plain.at, plain.size), 0);
}

/* The box's half of gcm-split: CTR from block 2 under Ek. (The tag is the end hosts'.) */
static void gcm_split(struct hk_crypto *crypto)
{
	json_t *vectors = load_vectors("gcm_split.json"), *entry;
	size_t i;

	CU_ASSERT_EQUAL(json_array_size(vectors), 2);
	json_array_foreach(vectors, i, entry)
	{
		__u8 key[32], cipher[TEXT_MAX], plain[TEXT_MAX], out[TEXT_MAX];
		struct hk_ctr_job job = {.key = key, .in = cipher, .out = out, .counter = {[15] = 2}};

		job.key_size = (__u32)vector_bytes(entry, "ek", key, sizeof(key));
		job.length = (__u32)vector_bytes(entry, "cipher", cipher, sizeof(cipher));
		CU_ASSERT_EQUAL(vector_bytes(entry, "nonce_e", job.counter, 12), 12);
		CU_ASSERT_EQUAL(vector_bytes(entry, "plain", plain, sizeof(plain)), job.length);
		hk_crypto_ctr(crypto, &job, 1);
		CU_ASSERT_EQUAL(memcmp(out, plain, job.length), 0);
	}
	json_decref(vectors);
}

static void backend_names(void)
{
	struct hk_crypto *crypto;

	CU_ASSERT_STRING_EQUAL(hk_crypto_backend_name(0), "ipsec-mb");
	CU_ASSERT_STRING_EQUAL(hk_crypto_backend_name(1), "libcrypto");
	CU_ASSERT_PTR_NULL(hk_crypto_backend_name(2));
	CU_ASSERT_PTR_NULL(hk_crypto_new("rot13"));
	CU_ASSERT_EQUAL(errno, EINVAL);
	crypto = hk_crypto_new(NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(crypto);
	hk_crypto_free(crypto);
	hk_crypto_free(NULL);
}

/* Where the CPU has no AES instructions the fast backend declines, and the best one is libcrypto. */
static void ipsecmb_needs_aes(void)
{
	CU_ASSERT_TRUE(hk_crypto_ipsecmb_suits(IMB_CPUFLAGS_SSE));
	CU_ASSERT_TRUE(hk_crypto_ipsecmb_suits(IMB_CPUFLAGS_AVX512_T2));
	CU_ASSERT_FALSE(hk_crypto_ipsecmb_suits(0));
	CU_ASSERT_FALSE(hk_crypto_ipsecmb_suits(IMB_CPUFLAGS_NO_AESNI));
	CU_ASSERT_FALSE(hk_crypto_ipsecmb_suits(IMB_CPUFLAGS_SSE & ~IMB_FEATURE_PCLMULQDQ));
	CU_ASSERT_FALSE(hk_crypto_ipsecmb_suits(IMB_CPUFLAGS_SSE | IMB_FEATURE_AESNI_EMU));
}

static void equal_and_wipe(void)
{
	__u8 a[40], b[40];

	for (unsigned size = 0; size <= 40; size++) {
		memset(a, 0x5a, sizeof(a));
		memset(b, 0x5a, sizeof(b));
		CU_ASSERT_TRUE(hk_equal(a, b, size));
		for (unsigned bit = 0; bit < size * 8; bit++) {
			flip(b, bit);
			CU_ASSERT_FALSE(hk_equal(a, b, size));
			flip(b, bit);
		}
		if (size < 40)
			b[size] ^= 1;
		CU_ASSERT_TRUE(hk_equal(a, b, size)); /* what lies behind does not count */
	}
	memset(a, 1, sizeof(a));
	hk_wipe(a + 1, 38);
	for (unsigned i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(a[i], i == 0 || i == 39);
}

/* Eight bytes of HMAC-SHA-256, computed once with another program. */
static void fingerprint(void)
{
	__u8 instance[32], key[32], one[8], two[8];

	memset(instance, 0xaa, sizeof(instance));
	memset(key, 0xdd, sizeof(key));
	hk_crypto_fingerprint(instance, key, 32, one);
	CU_ASSERT_EQUAL(memcmp(one, hex("be91ccc0ccd339b7").at, 8), 0);
	hk_crypto_fingerprint(instance, key, 16, two);
	CU_ASSERT_NOT_EQUAL(memcmp(one, two, 8), 0);
	instance[31] ^= 1;
	hk_crypto_fingerprint(instance, key, 32, two);
	CU_ASSERT_NOT_EQUAL(memcmp(one, two, 8), 0);
}

#define EACH(check)                    \
	static void each_##check(void) \
	{                              \
		with_each(check);      \
	}
EACH(ctr_published)
EACH(ctr_wraps)
EACH(cbc_published)
EACH(cmac_published)
EACH(cmac_of_partial_blocks)
EACH(gcm_published)
EACH(gcm_bad_bits)
EACH(gcm_in_place)
EACH(gcm_split)

int main(void)
{
	static const struct test tests[] = {
		{"backends by name", backend_names},
		{"ipsec-mb declines a CPU without AES", ipsecmb_needs_aes},
		{"constant-time equality and wiping", equal_and_wipe},
		{"fingerprint", fingerprint},
		{"CTR: RFC 3686 and SP 800-38A", each_ctr_published},
		{"CTR: the counter's low 32 bits wrap", each_ctr_wraps},
		{"CBC: SP 800-38A", each_cbc_published},
		{"CMAC: SP 800-38B", each_cmac_published},
		{"CMAC: SP 800-38B, messages that are not whole blocks", each_cmac_of_partial_blocks},
		{"GCM: McGrew and Viega", each_gcm_published},
		{"GCM: every wrong bit is refused and nothing leaves", each_gcm_bad_bits},
		{"GCM: in place", each_gcm_in_place},
		{"gcm-split: the box's half", each_gcm_split},
		{0},
	};

	return run_tests("crypto", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Derived-key contexts that the format allows and no seal side of ours makes:
 * a reader tag in `single`, where the ICV covers it as ciphertext and says more.
 * Written here from the format alone, with another library's AES-GCM.
 */
#include <openssl/evp.h>

#include "tests/unit/envelope_scene.h"

#define IV_AT(packet, length) ((packet) + (length)-8)

struct writing {
	__u8 bytes[512];
	__u32 length;
	__u32 aad, aad_length; /* in `bytes` */
	const __u8 *fields;    /* Prof and KDF, flags */
	__u16 session;
	__u8 okm[HK_KDF108_OUTPUT];
};

static void add(struct writing *writing, const void *bytes, __u32 size)
{
	memcpy(writing->bytes + writing->length, bytes, size);
	writing->length += size;
}

/* MKID ‖ ContextID ‖ Epoch, as the packet has them. */
static const __u8 names[16] = {0, 0, 0, ROW_MKID, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9};

static void derive(struct writing *writing, const struct row_scene *scene)
{
	__u8 context[HK_KDF108_CONTEXT], messages[HK_KDF108_MESSAGES * 32];
	struct hk_crypto *crypto = hk_crypto_new("libcrypto");

	hk_kdf_dkc_context(context, writing->fields, names, names + 4, names + 12, row_spi(scene->row),
		writing->session);
	hk_kdf108_messages(messages, HK_SIDE_SINGLE, context);
	hk_crypto_cmac(
		crypto, &scene->master.enc_key, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS, messages, writing->okm);
	hk_crypto_free(crypto);
}

/* Base header, context as the first option, IV. */
static void begin_eesp(struct writing *writing, const struct row_scene *scene)
{
	static const __u8 fields[2] = {0x01, 0x68}; /* I, T, R */
	const __u8 header[8] = {0x80, 24, 0, 7, 0xc0, 0xff, 0xee, 0x01}, option[2] = {0xe0, 22};

	writing->fields = fields;
	writing->session = 7;
	derive(writing, scene);
	add(writing, header, sizeof(header));
	add(writing, option, sizeof(option));
	add(writing, fields, sizeof(fields));
	add(writing, names, sizeof(names));
	add(writing, writing->okm + HK_KDF_DKC_KCV, 4);
	add(writing, "\0\0\0\0\0\0\0\1", 8);
	writing->aad_length = writing->length;
}

/* WESP header, context, SPI, SN, IV; the IV is not covered. */
static void begin_wesp(struct writing *writing, const struct row_scene *scene)
{
	static const __u8 fields[2] = {0x11, 0x48}; /* I, R */
	const __u8 header[4] = {0, 28, 16, 0x68}, spi[8] = {0x00, 0xc0, 0xff, 0x01, 0, 0, 0, 1};

	writing->fields = fields;
	derive(writing, scene);
	add(writing, header, sizeof(header));
	writing->aad = writing->length;
	add(writing, fields, sizeof(fields));
	add(writing, "\0\0", 2);
	add(writing, names, sizeof(names));
	add(writing, writing->okm + HK_KDF_DKC_KCV, 4);
	add(writing, spi, sizeof(spi));
	writing->aad_length = writing->length - writing->aad;
	add(writing, "\0\0\0\0\0\0\0\1", 8);
}

/* Seals `plain` behind what is there; the nonce is (SPI ‖ IV) ⊕ mask. */
static void finish(struct writing *writing, const struct row_scene *scene, const __u8 *plain, __u32 size)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	__u8 nonce[12], *out = writing->bytes + writing->length;
	int length = 0, ok;
	unsigned i;

	nonce[0] = (__u8)(row_spi(scene->row) >> 24), nonce[1] = (__u8)(row_spi(scene->row) >> 16);
	nonce[2] = (__u8)(row_spi(scene->row) >> 8), nonce[3] = (__u8)row_spi(scene->row);
	memcpy(nonce + 4, IV_AT(writing->bytes, writing->length), 8);
	for (i = 0; i < 12; i++)
		nonce[i] ^= writing->okm[HK_KDF_DKC_MASK + i];
	ok = EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, writing->okm, nonce) &&
	     EVP_EncryptUpdate(
		     context, NULL, &length, writing->bytes + writing->aad, (int)writing->aad_length) &&
	     EVP_EncryptUpdate(context, out, &length, plain, (int)size) &&
	     EVP_EncryptFinal_ex(context, out + size, &length) &&
	     EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out + size);
	EVP_CIPHER_CTX_free(context);
	CU_ASSERT_FATAL(ok);
	writing->length += size + 16;
}

static void check_row(const struct envelope_row *row,
	void (*begin)(struct writing *, const struct row_scene *), bool trailer)
{
	static struct row_scene scene;
	struct writing writing = {.length = 0};
	__u8 plain[ROW_INNER + 4 + HK_DKC_READER_SIZE], frame[BOX_FRAME];
	__u32 size = ROW_INNER, length;
	struct hk_fate fate;

	row_begin(&scene, row);
	memcpy(plain, scene.inner, ROW_INNER);
	if (trailer)
		memcpy(plain + size, (const __u8[]){1, 2, 2, 4}, 4);
	size += trailer ? 4 : 0;
	memset(plain + size, 0x55, HK_DKC_READER_SIZE); /* the tag: no host of ours would make one */
	begin(&writing, &scene);
	finish(&writing, &scene, plain, size + HK_DKC_READER_SIZE);
	length = frame_around(
		frame, (__u32)hk_outer_build(&scene.source, &scene.receiver, trailer ? HK_WESP_PROTOCOL : 253,
			       0, 0, writing.bytes, writing.length, frame + 14, BOX_FRAME - 14));
	fate = box_run(&scene.box, frame, length);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.auth, HK_AUTH_VERIFIED);
	CU_ASSERT_EQUAL(fate.inner_length, ROW_INNER);
	CU_ASSERT(fate.opened && memcmp(fate.inner, scene.inner, ROW_INNER) == 0);
	/* nothing of it is left for a packet without */
	fate = box_run(&scene.box, scene.frame, scene.length);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.inner_length, ROW_INNER);
	frame[length - 20] ^= 1; /* the tag is under the ICV */
	CU_ASSERT_EQUAL(box_run(&scene.box, frame, length).reason, HK_REASON_BAD_ICV);
	row_end(&scene);
}

static void reader_tags_in_single(void)
{
	const struct envelope_row *row;
	unsigned rows = 0;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++) {
		if (row->profile != ROW_SINGLE || !row->eesp.derived)
			continue;
		check_row(row, row->envelope == HK_ENVELOPE_WESP ? begin_wesp : begin_eesp,
			row->envelope == HK_ENVELOPE_WESP);
		rows++;
	}
	CU_ASSERT_EQUAL(rows, 2);
}

int main(void)
{
	static const struct test tests[] = {
		{"reader tags in single: ciphertext like any other", reader_tags_in_single},
		{0},
	};

	return run_tests("dkc", tests);
}

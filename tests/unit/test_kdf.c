// SPDX-License-Identifier: GPL-2.0-or-later
/* Key derivation: PSP's published values and our own vectors, through every backend. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/crypto.h>

#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/crypto/kdf.h"
#include "user/crypto/tss.h"

static json_t *vectors;

static const json_t *vector(const char *name)
{
	size_t i;
	json_t *entry;

	json_array_foreach(vectors, i, entry)
	{
		if (strcmp(json_string_value(json_object_get(entry, "name")), name) != 0)
			continue;
		json_object_set_new(entry, "taken", json_true());
		return entry;
	}
	printf("not ok kdf: vector %s - not in kdf.json\n", name);
	exit(2);
}

static __u32 number(const json_t *entry, const char *key)
{
	__u8 b[4];

	CU_ASSERT_EQUAL(vector_bytes(entry, key, b, 4), 4);
	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

static void master(const json_t *entry, struct hk_kdf_key *key)
{
	__u8 bytes[32];

	CU_ASSERT_EQUAL(vector_bytes(entry, "key", bytes, 32), 32);
	CU_ASSERT_EQUAL(hk_kdf_key_init(key, bytes), 0);
}

static void derive(const json_t *entry, __u32 count, __u32 blocks, __u8 *messages, __u8 *out)
{
	__u8 copy[HK_KDF108_MESSAGES * 32];
	struct hk_kdf_key key;
	__u8 first[HK_KDF108_OUTPUT];
	const char *name;

	master(entry, &key);
	for (unsigned i = 0; (name = hk_crypto_backend_name(i)); i++) {
		struct hk_crypto *crypto = hk_crypto_new(name);

		if (!crypto)
			continue;
		memcpy(copy, messages, (size_t)count * blocks * 16);
		hk_crypto_cmac(crypto, &key, count, blocks, copy, out);
		if (i)
			CU_ASSERT_EQUAL(memcmp(first, out, (size_t)count * 16), 0);
		memcpy(first, out, (size_t)count * 16);
		hk_crypto_free(crypto);
	}
}

static void psp_vector(const char *name, unsigned version)
{
	const json_t *entry = vector(name);
	const unsigned size = hk_kdf_psp_key_size(version);
	__u8 messages[32], out[32], expected[32];

	for (__u32 i = 0; i < size / 16; i++)
		hk_kdf_psp_message(messages + i * 16, version, number(entry, "spi"), i + 1);
	derive(entry, size / 16, HK_KDF_PSP_BLOCKS, messages, out);
	CU_ASSERT_EQUAL(vector_bytes(entry, "out", expected, 32), size);
	CU_ASSERT_EQUAL(memcmp(out, expected, size), 0);
}

static void psp_published(void)
{
	psp_vector("psp-v0-mk0", HK_PSP_GCM_128);
	psp_vector("psp-v0-mk1", HK_PSP_GCM_128);
	psp_vector("psp-v1-mk0", HK_PSP_GCM_256);
}

static void kdf108(const json_t *entry, const char *label, const __u8 *context)
{
	__u8 messages[HK_KDF108_MESSAGES * 32], out[HK_KDF108_OUTPUT], expected[HK_KDF108_OUTPUT];

	for (__u8 i = 0; i < HK_KDF108_MESSAGES; i++)
		hk_kdf108_message(messages + i * 32, label, context, (__u8)(i + 1));
	derive(entry, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS, messages, out);
	CU_ASSERT_EQUAL(vector_bytes(entry, "out", expected, sizeof(expected)), sizeof(expected));
	CU_ASSERT_EQUAL(memcmp(out, expected, sizeof(out)), 0);
}

static void kdf108_with_context(void)
{
	const json_t *entry = vector("dkc-eesp");
	__u8 context[HK_KDF108_CONTEXT];

	CU_ASSERT_EQUAL(vector_bytes(entry, "ctx", context, sizeof(context)), sizeof(context));
	kdf108(entry, json_string_value(json_object_get(entry, "label")), context);
}

static void esp_vector(const char *name)
{
	const json_t *entry = vector(name);
	const int suite = hk_suite_by_name(json_string_value(json_object_get(entry, "suite")));
	const __u32 spi = number(entry, "spi");
	struct hk_address receiver;
	__u8 context[HK_KDF108_CONTEXT];

	CU_ASSERT_EQUAL(
		hk_address_parse(json_string_value(json_object_get(entry, "receiver")), &receiver), 0);
	hk_kdf_esp_context(context, (enum hk_suite)suite, spi >> 29 & 3,
		(__u16)json_integer_value(json_object_get(entry, "mkid")), spi, &receiver);
	kdf108(entry, hk_kdf_label(HK_SIDE_ENC), context);
}

static void esp_derived(void)
{
	esp_vector("esp-derived-v4");
	esp_vector("esp-derived-v6");
}

/* The packet that has the context of the vector, with counter bits where the rekeying mask takes them. */
static void tss_vector(const char *name, __u8 mode)
{
	const json_t *entry = vector(name);
	struct hk_tss_options options = {.mode = mode};
	struct hk_address source, server = hk_address_v4((const __u8[]){192, 168, 42, 2});
	struct hk_tss_packet packet = {&options, &source, &server, NULL};
	__u8 context[26], header[12] = {0x08, 0, 0, 0xab, [11] = 7}, out[48], expected[44];
	__u8 messages[HK_KDF_TSS_MESSAGES * HK_KDF_TSS_BLOCKS * 16];
	const size_t size = vector_bytes(entry, "ctx", context, sizeof(context));
	const unsigned front = size == 26 ? 4 : 0;
	const struct hk_kdf_key none = {.k1 = {0}};
	unsigned blocks;

	CU_ASSERT_FATAL(size == 10 || size == 26);
	memcpy(header + 4, context + front, 2);
	memcpy(header + 6, context + front + 4, 2); /* the counter's two highest bytes */
	if (mode == HK_TSS_CLUSTER)
		options.rekey_mask = 0xffff00000000, options.rekey_shift = 32;
	source = front ? hk_address_v6(context + 10) : hk_address_v4(context + 6);
	packet.header = header;
	CU_ASSERT_EQUAL(hk_kdf_tss_message(messages, &packet, 1), size + 6);
	CU_ASSERT_EQUAL(memcmp(messages + 4, context, size), 0);
	blocks = hk_kdf_tss_messages(messages, &none, &packet);
	CU_ASSERT_EQUAL(blocks, front ? 2 : 1);
	derive(entry, HK_KDF_TSS_MESSAGES, blocks, messages, out);
	CU_ASSERT_EQUAL(vector_bytes(entry, "out", expected, sizeof(expected)), sizeof(expected));
	CU_ASSERT_EQUAL(memcmp(out, expected, sizeof(expected)), 0);
	/* the other direction of a server's traffic has the client's key */
	if (mode != HK_TSS_SERVER)
		return;
	options.servers[0] = (struct hk_prefix){server, 128};
	options.servers_count = 1;
	packet.destination = &source;
	packet.source = &server;
	hk_kdf_tss_message(messages, &packet, 1);
	CU_ASSERT_EQUAL(memcmp(messages + 4, context, size), 0);
}

static void tss_published(void)
{
	tss_vector("tss-cluster-v4", HK_TSS_CLUSTER);
	tss_vector("tss-cluster-v6", HK_TSS_CLUSTER);
	tss_vector("tss-server-v4", HK_TSS_SERVER);
}

static void dkc_from_packet_fields(void)
{
	static const __u8 fields[2] = {0x01, 0xf0}, mkid[4] = {0, 0, 0, 42}, epoch[4] = {0, 0, 0, 5},
			  id[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	__u8 context[HK_KDF108_CONTEXT], expected[HK_KDF108_CONTEXT];

	CU_ASSERT_EQUAL(
		vector_bytes(vector("dkc-eesp"), "ctx", expected, sizeof(expected)), sizeof(expected));
	hk_kdf_dkc_context(context, fields, mkid, id, epoch, 0xc0ffee01, 0);
	CU_ASSERT_EQUAL(memcmp(context, expected, sizeof(context)), 0);
}

static void eesp_sub_sa(void)
{
	const json_t *entry = vector("eesp-sub-sa");
	__u8 root[32], expected[36], out[HK_HKDF_OUT];
	struct hk_hmac_key key;
	struct hk_hkdf_job job = {.key = &key, .out = out, .info_size = 2};
	const char *name;

	CU_ASSERT_EQUAL(vector_bytes(entry, "key", root, sizeof(root)), sizeof(root));
	CU_ASSERT_EQUAL(vector_bytes(entry, "info", job.info, sizeof(job.info)), 2);
	CU_ASSERT_EQUAL(vector_bytes(entry, "out", expected, sizeof(expected)), sizeof(expected));
	hk_hmac_key_init(&key, root, sizeof(root));
	for (unsigned i = 0; (name = hk_crypto_backend_name(i)); i++) {
		struct hk_crypto *crypto = hk_crypto_new(name);

		if (!crypto)
			continue;
		memset(out, 0, sizeof(out));
		hk_crypto_hkdf(crypto, &job, 1);
		CU_ASSERT_EQUAL(memcmp(out, expected, sizeof(expected)), 0);
		hk_crypto_free(crypto);
	}
}

static void labels_by_side(void)
{
	CU_ASSERT_STRING_EQUAL(hk_kdf_label(HK_SIDE_ENC), "DKe1");
	CU_ASSERT_STRING_EQUAL(hk_kdf_label(HK_SIDE_SINGLE), "DKe1");
	CU_ASSERT_STRING_EQUAL(hk_kdf_label(HK_SIDE_AUTH), "DKa1");
	CU_ASSERT_STRING_EQUAL(hk_kdf_label(HK_SIDE_READER), "DKr1");
}

static void psp_versions_defined(void)
{
	static const unsigned sizes[16] = {[0] = 16, [1] = 32, [4] = 16, [5] = 32};

	for (unsigned version = 0; version < 16; version++)
		CU_ASSERT_EQUAL(hk_kdf_psp_key_size(version), sizes[version]);
	CU_ASSERT_EQUAL(hk_kdf_psp_key_size(~0u), 0);
}

/* One SPI under all versions, and one version under all SPIs' bits: no two messages are equal. */
static void messages_differ(void)
{
	static const unsigned versions[] = {0, 1, 4, 5};
	__u8 a[16], b[16];

	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < i; j++) {
			hk_kdf_psp_message(a, versions[i], 0x12345678, 1);
			hk_kdf_psp_message(b, versions[j], 0x12345678, 1);
			CU_ASSERT_NOT_EQUAL(memcmp(a, b, 16), 0);
		}
	for (unsigned bit = 0; bit < 32; bit++) {
		hk_kdf_psp_message(a, 5, 0x12345678, 1);
		hk_kdf_psp_message(b, 5, 0x12345678 ^ 1u << bit, 1);
		CU_ASSERT_NOT_EQUAL(memcmp(a, b, 16), 0);
	}
}

/* FIPS 197, A.3: the first derived round key of the example key, and the last. */
static void schedule_of_fips197(void)
{
	static const char key_text[] = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
	static const char third[] = "9ba354118e6925afa51a8b5f2067fcde",
			  last[] = "fe4890d1e6188d0b046df344706c631e";
	__u8 key[32], expected[16];
	struct hk_kdf_key prepared;

	CU_ASSERT_EQUAL(hk_hex_parse(key_text, 64, key, 32), 0);
	CU_ASSERT_EQUAL(hk_kdf_key_init(&prepared, key), 0);
	CU_ASSERT_EQUAL(memcmp(prepared.schedule, key, 32), 0);
	CU_ASSERT_EQUAL(hk_hex_parse(third, 32, expected, 16), 0);
	CU_ASSERT_EQUAL(memcmp(prepared.schedule + 32, expected, 16), 0);
	CU_ASSERT_EQUAL(hk_hex_parse(last, 32, expected, 16), 0);
	CU_ASSERT_EQUAL(memcmp(prepared.schedule + 14 * 16, expected, 16), 0);
}

/* Runs last. Inline keying's stands in test_inline.c. */
static void every_vector_was_taken(void)
{
	const char *name;
	json_t *entry;
	size_t i;

	json_array_foreach(vectors, i, entry)
	{
		name = json_string_value(json_object_get(entry, "name"));
		if (strcmp(name, "inline-packet") != 0 && !json_object_get(entry, "taken"))
			printf("# %s\n", name);
		CU_ASSERT(strcmp(name, "inline-packet") == 0 || json_object_get(entry, "taken"));
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"AES-256 schedule of FIPS 197", schedule_of_fips197},
		{"PSP published values", psp_published},
		{"KDF108 with a given context", kdf108_with_context},
		{"derived-key ESP, IPv4 and IPv6", esp_derived},
		{"derived-key context from a packet's fields", dkc_from_packet_fields},
		{"EESP sub-SA keys by HKDF", eesp_sub_sa},
		{"labels by side", labels_by_side},
		{"PSP versions that are defined", psp_versions_defined},
		{"no two messages are equal", messages_differ},
		{"TSS derivations, published", tss_published},
		{"no vector is left out", every_vector_was_taken},
		{0},
	};
	int result;

	vectors = load_vectors("kdf.json");
	result = run_tests("kdf", tests);
	json_decref(vectors);
	return result;
}

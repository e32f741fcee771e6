// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The packet vectors through the box: outer parser → keyring → derive → open →
 * inner packet, byte for byte, with each backend; and with one byte of each
 * changed, refused where the profile is `single`.
 */
#include <endian.h>

#include "tests/unit/box_help.h"

static const struct vector_kind {
	const char *prefix;
	unsigned envelope;
} kinds[] = {
	{"psp-", HK_ENVELOPE_PSP},
	{"esp-", HK_ENVELOPE_ESP},
	{"tss-", HK_ENVELOPE_TSS},
	{"eesp-", HK_ENVELOPE_EESP},
	{"wesp-", HK_ENVELOPE_WESP},
};

static void add_line(char *text, size_t room, const json_t *vector, const char *member, const char *front)
{
	__u8 key[32];

	if (vector_bytes(vector, member, key, sizeof(key)) == sizeof(key))
		key_line(text, room, front, key);
}

#define DKC_MKID 42 /* of the vectors' derived-key contexts */

/* EESP: the root of the packet's SPI, or a master key under its MKID. WESP: the latter. */
static void derived_keys(
	char *text, size_t room, const json_t *vector, const char *side, const char *receiver)
{
	const char *root = json_string_value(json_object_get(vector, "root"));
	char front[128];

	if (!root)
		root = json_string_value(json_object_get(vector, "root_e"));
	if (root) {
		snprintf(text, room, "receiver=%s spi=0xc0ffee01 side=%s root=%s\n", receiver, side, root);
		return;
	}
	snprintf(front, sizeof(front), "slot=0 generation=1 id=%u side=%s", DKC_MKID, side);
	add_line(text, room, vector, "mk_e", front);
}

/* PSP: both slots for the packet's receiver. ESP and TSS: its slot, for the whole domain. */
static void vector_keys(char *text, size_t room, const json_t *vector, unsigned envelope,
	const char *receiver, const __u8 *outer)
{
	bool split = strcmp(json_string_value(json_object_get(vector, "profile")), "split") == 0;
	const char *side = split ? "enc" : "single";
	char front[128];
	unsigned slot;

	text[0] = '\0';
	if (envelope == HK_ENVELOPE_TSS) {
		slot = outer[outer[0] >> 4 == 4 ? 28 : 48] & HK_TSS_AN;
		snprintf(front, sizeof(front), "id=171 slot=%u generation=1 side=%s", slot, side);
		add_line(text, room, vector, split ? "sdk_e" : "sdk", front);
		return;
	}
	if (envelope == HK_ENVELOPE_EESP || envelope == HK_ENVELOPE_WESP) {
		derived_keys(text, room, vector, side, receiver);
		return;
	}
	if (envelope == HK_ENVELOPE_ESP) {
		slot = (unsigned)json_integer_value(json_object_get(vector, "slot"));
		snprintf(front, sizeof(front), "slot=%u generation=1 side=%s", slot, side);
		add_line(text, room, vector, "mk_e", front);
		return;
	}
	for (slot = 0; slot < 2; slot++) {
		snprintf(front, sizeof(front), "slot=%u generation=1 side=%s receiver=%s", slot, side,
			receiver);
		add_line(text, room, vector, split ? (slot ? "mk1_e" : "mk0_e") : (slot ? "mk1" : "mk0"),
			front);
	}
}

static void vector_tss(struct hk_domain_config *domain, const json_t *vector)
{
	bool ssi = strstr(json_string_value(json_object_get(vector, "name")), "-ssi");
	__u8 mask[8];

	CU_ASSERT_EQUAL_FATAL(vector_bytes(vector, "rekey_mask", mask, sizeof(mask)), sizeof(mask));
	domain->tss.mode = HK_TSS_CLUSTER;
	domain->tss.ssi = ssi;
	domain->options = ssi ? HK_TSS_OPTION_SSI : 0;
	domain->tss.rekey_mask = be64toh(*(const __u64 *)(const void *)mask);
	domain->tss.rekey_shift = (__u8)json_integer_value(json_object_get(vector, "rekey_shift"));
}

static void vector_box(
	struct box *box, const json_t *vector, unsigned envelope, const __u8 *outer, const char *backend)
{
	bool split = strcmp(json_string_value(json_object_get(vector, "profile")), "split") == 0;
	const char *suite = json_string_value(json_object_get(vector, "suite"));
	struct hk_domain_config *domain;
	struct hk_address receiver;
	char keys[1024], text[HK_ADDRESS_TEXT];

	receiver = outer[0] >> 4 == 4 ? hk_address_v4(outer + 16) : hk_address_v6(outer + 24);
	vector_keys(keys, sizeof(keys), vector, envelope, hk_address_format(&receiver, text), outer);
	box_init(box);
	domain = box_domain(box, envelope, split ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE,
		suite ? (unsigned)hk_suite_by_name(suite) : 0, keys);
	if (envelope == HK_ENVELOPE_ESP)
		domain->mkid = (__u16)json_integer_value(json_object_get(vector, "mkid"));
	if (envelope == HK_ENVELOPE_TSS)
		vector_tss(domain, vector);
	domain->eesp = (struct hk_eesp_options){.sn = true, .iv = true};
	CU_ASSERT_EQUAL_FATAL(box_build(box, backend, BOX_FRAME, 0), 0);
}

static void check_changed(struct box *box, __u8 *frame, __u32 length)
{
	struct hk_fate fate;
	__u32 at;

	if (box->domains[0].profile != HK_PROFILE_SINGLE)
		return;
	for (at = length - 40; at < length; at++) { /* ciphertext and ICV */
		frame[at] ^= 0x40;
		fate = box_run(box, frame, length);
		CU_ASSERT_EQUAL(fate.reason, HK_REASON_BAD_ICV);
		CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
		CU_ASSERT_FALSE(fate.opened);
		frame[at] ^= 0x40;
	}
}

static void check_vector(const json_t *vector, unsigned envelope, const char *backend)
{
	__u8 frame[BOX_FRAME], inner[BOX_FRAME], before[BOX_FRAME];
	size_t outer_size = vector_bytes(vector, "outer_ip", frame + 14, sizeof(frame) - 14);
	size_t inner_size = vector_bytes(vector, "inner_ip", inner, sizeof(inner));
	struct hk_fate fate;
	struct box box;
	__u32 length;

	CU_ASSERT_FATAL(outer_size && inner_size);
	vector_box(&box, vector, envelope, frame + 14, backend);
	length = frame_around(frame, (__u32)outer_size);
	memset(frame + length, 0xee, 8); /* Ethernet padding must not matter */
	length += 8;
	memcpy(before, frame, length);
	fate = box_run(&box, frame, length);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
	CU_ASSERT_EQUAL(
		fate.auth, box.domains[0].profile == HK_PROFILE_SINGLE ? HK_AUTH_VERIFIED : HK_AUTH_NONE);
	CU_ASSERT_EQUAL(fate.inner_length, inner_size);
	CU_ASSERT_TRUE(fate.opened && memcmp(fate.inner, inner, inner_size) == 0);
	CU_ASSERT_EQUAL(memcmp(before, frame, length), 0); /* what goes on is what came */
	check_changed(&box, frame, length - 8);
	box_free(&box);
}

static unsigned kind_of(const char *name)
{
	unsigned k;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (strncmp(name, kinds[k].prefix, strlen(kinds[k].prefix)) == 0)
			return kinds[k].envelope;
	return HK_ENVELOPE_NONE;
}

static void check_all(unsigned envelope, const char *backend, unsigned least)
{
	json_t *vectors, *vector;
	unsigned checked = 0;
	size_t i;

	if (!backend_or_skip(backend))
		return;
	vectors = load_vectors("packets.json");

	json_array_foreach(vectors, i, vector)
	{
		if (kind_of(json_string_value(json_object_get(vector, "name"))) != envelope)
			continue;
		check_vector(vector, envelope, backend);
		checked++;
	}
	CU_ASSERT_TRUE(checked >= least);
	json_decref(vectors);
}

static void psp_with_ipsec_mb(void)
{
	check_all(HK_ENVELOPE_PSP, "ipsec-mb", 5);
}

static void psp_with_libcrypto(void)
{
	check_all(HK_ENVELOPE_PSP, "libcrypto", 5);
}

static void esp_with_ipsec_mb(void)
{
	check_all(HK_ENVELOPE_ESP, "ipsec-mb", 5);
}

static void esp_with_libcrypto(void)
{
	check_all(HK_ENVELOPE_ESP, "libcrypto", 5);
}

static void tss_with_ipsec_mb(void)
{
	check_all(HK_ENVELOPE_TSS, "ipsec-mb", 3);
}

static void tss_with_libcrypto(void)
{
	check_all(HK_ENVELOPE_TSS, "libcrypto", 3);
}

static void eesp_with_ipsec_mb(void)
{
	check_all(HK_ENVELOPE_EESP, "ipsec-mb", 3);
}

static void eesp_with_libcrypto(void)
{
	check_all(HK_ENVELOPE_EESP, "libcrypto", 3);
}

static void wesp_with_ipsec_mb(void)
{
	check_all(HK_ENVELOPE_WESP, "ipsec-mb", 2);
}

static void wesp_with_libcrypto(void)
{
	check_all(HK_ENVELOPE_WESP, "libcrypto", 2);
}

/* A child opens only behind its parent: both stand in test_inline.c. */
static void other_envelopes(void)
{
	json_t *vectors = load_vectors("packets.json"), *vector;
	const char *name;
	size_t i;

	json_array_foreach(vectors, i, vector)
	{
		name = json_string_value(json_object_get(vector, "name"));
		CU_ASSERT_TRUE(kind_of(name) != HK_ENVELOPE_NONE || strncmp(name, "inline-", 7) == 0);
	}
	json_decref(vectors);
}

int main(void)
{
	static const struct test tests[] = {
		{"PSP packets open to the byte (ipsec-mb)", psp_with_ipsec_mb},
		{"PSP packets open to the byte (libcrypto)", psp_with_libcrypto},
		{"ESP packets open to the byte (ipsec-mb)", esp_with_ipsec_mb},
		{"ESP packets open to the byte (libcrypto)", esp_with_libcrypto},
		{"TSS packets open to the byte (ipsec-mb)", tss_with_ipsec_mb},
		{"TSS packets open to the byte (libcrypto)", tss_with_libcrypto},
		{"EESP packets open to the byte (ipsec-mb)", eesp_with_ipsec_mb},
		{"EESP packets open to the byte (libcrypto)", eesp_with_libcrypto},
		{"WESP packets open to the byte (ipsec-mb)", wesp_with_ipsec_mb},
		{"WESP packets open to the byte (libcrypto)", wesp_with_libcrypto},
		{"no packet is left out", other_envelopes},
		{0},
	};
	return run_tests("vectors", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The seal side against the vectors: every PSP and ESP packet is sealed to its
 * exact bytes and opened again; then seeded round trips of every version and
 * suite, and every refusal of the sealer and of the host-side opener.
 */
#include "tests/unit/seal_context.h"

#include <errno.h>

#include "user/endpoint/protect.h"

static struct hk_crypto *crypto;

/* --- gcm_split.json ------------------------------------------------------------------------- */

static void split_vector(const json_t *vector)
{
	__u8 ek[32], ak[32], nonce_e[16] = {0}, nonce_a[12], aad[64], plain[128], text[128], cipher[128],
			     tag[16], out[16];
	struct hk_protection protection;
	struct hk_protect_job job = {.iv = nonce_e, .nonce_auth = nonce_a, .aad = aad, .text = text};
	size_t key_size = vector_bytes(vector, "ek", ek, 32), i;

	vector_bytes(vector, "ak", ak, 32);
	vector_bytes(vector, "nonce_e", nonce_e, 12);
	nonce_e[15] = 2;
	vector_bytes(vector, "nonce_a", nonce_a, 12);
	vector_bytes(vector, "tag", tag, 16);
	job.aad_length = (__u32)vector_bytes(vector, "aad", aad, 64);
	job.length = (__u32)vector_bytes(vector, "plain", plain, 128);
	CU_ASSERT_EQUAL(vector_bytes(vector, "cipher", cipher, 128), job.length);
	memcpy(text, plain, job.length);
	CU_ASSERT_EQUAL_FATAL(
		hk_protection_init(&protection, HK_SUITE_GCM_SPLIT, (unsigned)key_size, ek, ak), 0);
	CU_ASSERT_EQUAL(hk_protection_seal(&protection, &job, out), 0);
	CU_ASSERT_EQUAL(memcmp(text, cipher, job.length), 0);
	CU_ASSERT_EQUAL(memcmp(out, tag, 16), 0);
	CU_ASSERT_EQUAL(hk_protection_open(&protection, &job, tag), 0);
	CU_ASSERT_EQUAL(memcmp(text, plain, job.length), 0);
	for (i = 0; i < 128; i++) { /* every bit of the tag counts */
		memcpy(text, cipher, job.length);
		memcpy(out, tag, 16);
		out[i / 8] ^= (__u8)(1 << i % 8);
		CU_ASSERT_EQUAL(hk_protection_open(&protection, &job, out), -EBADMSG);
		CU_ASSERT_EQUAL(text[0] | text[job.length - 1], 0);
	}
	hk_protection_clear(&protection);
}

static void gcm_split_vectors(void)
{
	json_t *vectors = load_vectors("gcm_split.json");
	size_t index;

	CU_ASSERT_EQUAL(json_array_size(vectors), 2);
	for (index = 0; index < json_array_size(vectors); index++)
		split_vector(json_array_get(vectors, index));
	json_decref(vectors);
}

/* With Ek = Ak and one nonce the split tag is AES-GCM's, whatever the lengths. */
static void split_equals_gcm(void)
{
	__u8 key[32], nonce[16], aad[40], one[5000], two[5000], tag_one[16], tag_two[16];
	struct hk_protection gcm, split;
	__u64 seed = 77;
	__u32 length;

	random_fill(&seed, key, 32);
	random_fill(&seed, aad, 40);
	CU_ASSERT_EQUAL_FATAL(hk_protection_init(&gcm, HK_SUITE_GCM, 32, key, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(hk_protection_init(&split, HK_SUITE_GCM_SPLIT, 32, key, key), 0);
	for (length = 0; length < sizeof(one); length += 1 + length / 3) {
		struct hk_protect_job a = {nonce, nonce, aad, length % 41, one, length}, b = a;

		random_fill(&seed, nonce, 12);
		memcpy(nonce + 12, "\0\0\0\2", 4);
		random_fill(&seed, one, length);
		memcpy(two, one, length);
		b.text = two;
		CU_ASSERT_EQUAL(hk_protection_seal(&gcm, &a, tag_one), 0);
		CU_ASSERT_EQUAL(hk_protection_seal(&split, &b, tag_two), 0);
		CU_ASSERT_EQUAL(memcmp(one, two, length), 0);
		CU_ASSERT_EQUAL(memcmp(tag_one, tag_two, 16), 0);
	}
	hk_protection_clear(&gcm);
	hk_protection_clear(&split);
}

/* --- packets.json --------------------------------------------------------------------------- */

struct vector {
	const char *name;
	__u8 outer[256], inner[256];
	__u32 outer_length, inner_length;
	struct master master;
	struct hk_sa_name sa_name;
	struct hk_sealed sealed;
	struct hk_seal_shape shape;
	struct hk_numbers numbers;
};

static bool vector_master(const json_t *json, struct vector *v)
{
	const char *slot = v->sealed.spi >> 31 ? "mk1" : "mk0";
	char name[8];

	if (v->sealed.envelope == HK_ENVELOPE_ESP) {
		v->sa_name.variant =
			(__u8)hk_suite_by_name(json_string_value(json_object_get(json, "suite")));
		v->sa_name.mkid = (__u16)json_integer_value(json_object_get(json, "mkid"));
		vector_bytes(json, "mk_a", v->master.auth, 32);
		return vector_bytes(json, "mk_e", v->master.enc, 32) == 32;
	}
	v->sa_name.variant = v->sealed.version;
	if (vector_bytes(json, slot, v->master.enc, 32) == 32)
		return true;
	snprintf(name, sizeof(name), "%s_a", slot);
	vector_bytes(json, name, v->master.auth, 32);
	snprintf(name, sizeof(name), "%s_e", slot);
	return vector_bytes(json, name, v->master.enc, 32) == 32;
}

static __u64 get64(const __u8 *at)
{
	__u64 value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

/* Reads back what the vector's sender chose: IV, offset, cookie, mode. */
static void vector_shape(struct vector *v)
{
	const __u8 *data = v->sealed.data;

	v->shape.source = v->sealed.source;
	if (v->sealed.envelope == HK_ENVELOPE_PSP) {
		v->shape.source_port = 40000;
		v->shape.transport = data[0] != 4 && data[0] != 41;
		v->shape.crypt_offset = data[2] & 63;
		v->shape.cookie = data[3] >> 1 & 1;
		memcpy(v->shape.cookie_bytes, data + 16, 8);
		v->numbers.iv = get64(data + 8);
		return;
	}
	v->numbers.sn = (__u32)(get64(data) & 0xffffffff);
	v->numbers.iv = get64(data + 8);
	v->shape.cbc_iv = data + 8;
}

/* False: not for this suite of tests (another envelope). */
static bool vector_load(const json_t *json, struct vector *v)
{
	memset(v, 0, sizeof(*v));
	v->name = json_string_value(json_object_get(json, "name"));
	v->outer_length = (__u32)vector_bytes(json, "outer_ip", v->outer, sizeof(v->outer));
	v->inner_length = (__u32)vector_bytes(json, "inner_ip", v->inner, sizeof(v->inner));
	if (strncmp(v->name, "psp-", 4) != 0 && strncmp(v->name, "esp-", 4) != 0)
		return false;
	CU_ASSERT_EQUAL_FATAL(hk_sealed_parse(v->outer, v->outer_length, &v->sealed), HK_REFUSAL_NONE);
	CU_ASSERT_FATAL(vector_master(json, v));
	master_expand(&v->master);
	v->sa_name.envelope = v->sealed.envelope;
	v->sa_name.spi = v->sealed.spi;
	v->sa_name.receiver = v->sealed.destination;
	vector_shape(v);
	return true;
}

static unsigned each_vector(void (*check)(struct vector *v, struct hk_sa *sa))
{
	json_t *vectors = load_vectors("packets.json");
	static struct vector v;
	unsigned count = 0;
	struct hk_sa *sa;
	size_t index;

	for (index = 0; index < json_array_size(vectors); index++) {
		if (!vector_load(json_array_get(vectors, index), &v))
			continue;
		sa = sa_of(crypto, &v.sa_name, &v.master);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
		check(&v, sa);
		hk_sa_free(sa);
		count++;
	}
	json_decref(vectors);
	return count;
}

static void check_sealed(struct vector *v, struct hk_sa *sa)
{
	__u8 out[512];
	int size = hk_seal_packet(sa, &v->shape, &v->numbers, v->inner, v->inner_length, out, sizeof(out));

	CU_ASSERT_EQUAL(size, (int)v->outer_length);
	CU_ASSERT_EQUAL(memcmp(out, v->outer, v->outer_length), 0);
}

static void check_opened(struct vector *v, struct hk_sa *sa)
{
	__u8 out[512];
	struct hk_opened opened;

	CU_ASSERT_EQUAL_FATAL(hk_open_packet(sa, &v->sealed, out, &opened), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(opened.length, v->inner_length);
	CU_ASSERT_EQUAL(memcmp(opened.inner, v->inner, v->inner_length), 0);
	CU_ASSERT_EQUAL(opened.numbers.sn, v->numbers.sn);
}

/* Any one bit of what the ICV covers, or of the ICV itself, turned: refused, and nothing comes out. */
static void check_flips(struct vector *v, struct hk_sa *sa)
{
	__u32 offset = (__u32)(v->sealed.data - v->outer), bit;
	struct hk_sealed sealed;
	struct hk_opened opened;
	__u8 out[512];
	unsigned refusal;

	for (bit = offset * 8; bit < v->outer_length * 8; bit++) {
		v->outer[bit / 8] ^= (__u8)(1 << bit % 8);
		refusal = hk_sealed_parse(v->outer, v->outer_length, &sealed);
		if (!refusal)
			refusal = hk_open_packet(sa, &sealed, out, &opened);
		CU_ASSERT_NOT_EQUAL(refusal, HK_REFUSAL_NONE);
		v->outer[bit / 8] ^= (__u8)(1 << bit % 8);
	}
}

static void vectors_are_sealed(void)
{
	CU_ASSERT_EQUAL(each_vector(check_sealed), 10);
}

static void vectors_are_opened(void)
{
	CU_ASSERT_EQUAL(each_vector(check_opened), 10);
}

static void flipped_bits_are_refused(void)
{
	each_vector(check_flips);
}

/* --- round trips ---------------------------------------------------------------------------- */

static void round_trip(unsigned kind, __u64 *seed)
{
	static struct context context;
	__u8 outer[2048], out[2200];
	struct hk_sealed sealed;
	struct hk_opened opened;
	struct master master;
	struct hk_sa *sa;
	int size;

	context_draw(&context, &kinds[kind], seed);
	master_random(&master, seed);
	sa = sa_of(crypto, &context.name, &master);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	size = hk_seal_packet(
		sa, &context.shape, &context.numbers, context.inner, context.length, outer, sizeof(outer));
	CU_ASSERT_FATAL(size > 0);
	CU_ASSERT(size <= (int)(context.length + HK_SEAL_OVERHEAD_MAX));
	CU_ASSERT_EQUAL_FATAL(hk_sealed_parse(outer, (__u32)size, &sealed), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL_FATAL(hk_open_packet(sa, &sealed, out, &opened), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(opened.length, context.length);
	CU_ASSERT_EQUAL(memcmp(opened.inner, context.inner, context.length), 0);
	hk_sa_free(sa);
}

static void round_trips(void)
{
	unsigned kind, i;
	__u64 seed = 2026;

	for (kind = 0; kind < KINDS; kind++)
		for (i = 0; i < 1000; i++)
			round_trip(kind, &seed);
}

/* The nonce of a packet is random for CBC, so that nobody predicts an IV. */
static void cbc_ivs_differ(void)
{
	struct hk_sa_name name = {HK_ENVELOPE_ESP, HK_SUITE_CBC_HMAC, 1, 0x400, address("192.0.2.9")};
	struct hk_seal_shape shape = {.source = address("192.0.2.1")};
	struct hk_address from = address("10.0.0.1"), to = address("10.0.0.2");
	struct hk_numbers numbers = {1, 1};
	__u8 inner[128], one[256], two[256];
	struct master master;
	__u64 seed = 5;
	__u32 length = inner_udp(&from, &to, &seed, 40, inner);
	struct hk_sa *sa;

	master_random(&master, &seed);
	sa = sa_of(crypto, &name, &master);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	CU_ASSERT(hk_seal_packet(sa, &shape, &numbers, inner, length, one, sizeof(one)) > 0);
	CU_ASSERT(hk_seal_packet(sa, &shape, &numbers, inner, length, two, sizeof(two)) > 0);
	CU_ASSERT_NOT_EQUAL(memcmp(one + 28, two + 28, 16), 0);
	hk_sa_free(sa);
}

/* --- refusals of the sealer ------------------------------------------------------------------ */

/* A PSP version 5 or ESP ctr-hmac SA and an inner packet, for tests that break one thing. */
struct setup {
	struct hk_sa *sa;
	struct hk_seal_shape shape;
	__u8 inner[2048], outer[4096], out[4200];
	__u32 length;
};

static void setup_make(struct setup *setup, unsigned envelope, unsigned variant)
{
	struct hk_sa_name name = {(__u8)envelope, (__u8)variant, 1, 0x1234, address("192.0.2.9")};
	struct hk_address from = address("192.0.2.1"), to = address("192.0.2.9");
	struct master master;
	__u64 seed = 11;

	memset(setup, 0, sizeof(*setup));
	master_random(&master, &seed);
	setup->sa = sa_of(crypto, &name, &master);
	CU_ASSERT_PTR_NOT_NULL_FATAL(setup->sa);
	setup->shape.source = address("192.0.2.1");
	setup->length = inner_udp(&from, &to, &seed, 100, setup->inner);
}

static int setup_seal(struct setup *setup, __u32 room)
{
	static const struct hk_numbers numbers = {9, 9};

	return hk_seal_packet(
		setup->sa, &setup->shape, &numbers, setup->inner, setup->length, setup->outer, room);
}

static unsigned setup_open(struct setup *setup, __u32 length)
{
	struct hk_sealed sealed;
	struct hk_opened opened;
	unsigned refusal = hk_sealed_parse(setup->outer, length, &sealed);

	return refusal ? refusal : hk_open_packet(setup->sa, &sealed, setup->out, &opened);
}

static void sealer_refuses_offsets(void)
{
	static struct setup setup;

	setup_make(&setup, HK_ENVELOPE_PSP, 5);
	setup.shape.crypt_offset = 32; /* 128 bytes: all of the inner packet in the clear */
	CU_ASSERT(setup_seal(&setup, 4096) > 0);
	setup.shape.crypt_offset = 33;
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.shape.crypt_offset = 64;
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.shape.crypt_offset = 1;
	setup.shape.cookie = true;
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.shape.crypt_offset = 2;
	CU_ASSERT(setup_seal(&setup, 4096) > 0);
	hk_sa_free(setup.sa);
}

static void sealer_refuses_packets(void)
{
	static struct setup setup;

	setup_make(&setup, HK_ENVELOPE_PSP, 5);
	setup.length++; /* padding behind the IP packet */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.length -= 2; /* cut short */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.length++;
	setup.inner[0] = 0x46; /* IPv4 options */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.inner[0] = 0x55;
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.inner[0] = 0x45;
	CU_ASSERT_EQUAL(setup_seal(&setup, setup.length + 28 + 16 + 15), -EMSGSIZE);
	CU_ASSERT_EQUAL(setup_seal(&setup, 27), -EMSGSIZE);
	CU_ASSERT(setup_seal(&setup, setup.length + 28 + 16 + 16) > 0);
	setup.shape.source = address("2001:db8::1"); /* not the receiver's IP version */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	hk_sa_free(setup.sa);
}

static void sealer_refuses_transport(void)
{
	static struct setup setup;

	setup_make(&setup, HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC);
	setup.shape.transport = true;
	CU_ASSERT(setup_seal(&setup, 4096) > 0);
	setup.inner[6] = 0x20; /* a fragment */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.inner[6] = 0;
	setup.inner[9] = 4; /* would read as tunnel mode */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.inner[9] = 59; /* would read as a dummy */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	setup.inner[9] = 17;
	setup.inner[19] ^= 1; /* for somebody else than the keys' receiver */
	CU_ASSERT_EQUAL(setup_seal(&setup, 4096), -EINVAL);
	hk_sa_free(setup.sa);
}

static void derivation_refuses(void)
{
	struct hk_sa_name name = {HK_ENVELOPE_PSP, 5, 1, 0x1234, address("192.0.2.9")};
	struct hk_error error = {{0}};
	struct master master;
	struct hk_sa *sa;
	__u64 seed = 3;

	master_random(&master, &seed);
	CU_ASSERT_EQUAL(hk_sa_derive(&sa, crypto, &name, &master.enc_key, NULL, &error), -EPERM);
	CU_ASSERT(strlen(error.text) > 0);
	name.variant = 0; /* a single version under split keys */
	CU_ASSERT_EQUAL(hk_sa_derive(&sa, crypto, &name, &master.enc_key, &master.auth_key, NULL), -EPERM);
	name.variant = 2;
	CU_ASSERT_EQUAL(hk_sa_derive(&sa, crypto, &name, &master.enc_key, NULL, NULL), -EINVAL);
	name.variant = 1;
	name.spi = 0x80000000;
	CU_ASSERT_EQUAL(hk_sa_derive(&sa, crypto, &name, &master.enc_key, NULL, NULL), -EINVAL);
	name.envelope = HK_ENVELOPE_ESP;
	name.spi = 0x80000400;
	CU_ASSERT_EQUAL(hk_sa_derive(&sa, crypto, &name, &master.enc_key, NULL, NULL), -EINVAL);
	name.spi = 255;
	CU_ASSERT_EQUAL(hk_sa_derive(&sa, crypto, &name, &master.enc_key, NULL, NULL), -EINVAL);
}

/* --- refusals of the opener ------------------------------------------------------------------ */

static void opener_refuses_headers(void)
{
	static struct setup setup;
	__u32 size;
	__u8 *psp;

	setup_make(&setup, HK_ENVELOPE_PSP, 5);
	size = (__u32)setup_seal(&setup, 4096);
	psp = setup.outer + 28;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(setup_open(&setup, size - 1), HK_REFUSAL_IP_HEADER);
	CU_ASSERT_EQUAL(setup_open(&setup, 0), HK_REFUSAL_IP_HEADER);
	setup.outer[6] = 0x20;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_FRAGMENT);
	setup.outer[6] = 0x40;
	setup.outer[25] -= 1; /* a datagram shorter than its packet */
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_IP_HEADER);
	setup.outer[25] += 1;
	psp[1] = 0;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_PSP_HEADER);
	psp[1] = 200;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_PSP_HEADER);
	psp[1] = 1;
	psp[2] = 63;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_PSP_HEADER);
	psp[2] = 0;
	psp[3] ^= 1;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_PSP_HEADER);
	psp[3] ^= 3; /* the bit again, and V without room */
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_PSP_HEADER);
	psp[3] = 2 << 2 | 1;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_PSP_VERSION);
	psp[3] = 9 << 2 | 1;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_PSP_VERSION);
	psp[3] = 4 << 2 | 1;
	CU_ASSERT_EQUAL(setup_open(&setup, size), HK_REFUSAL_DOWNGRADE);
	hk_sa_free(setup.sa);
}

static void opener_refuses_short(void)
{
	static struct setup setup;
	struct hk_address from = address("192.0.2.1"), to = address("192.0.2.9");
	__u8 data[64] = {[1] = 1, [3] = 5 << 2 | 1, [4] = 0, [6] = 0x12, [7] = 0x34};
	__u32 length;
	int size;

	setup_make(&setup, HK_ENVELOPE_PSP, 5);
	for (length = 0; length < 32; length++) {
		size = hk_outer_build(&from, &to, IPPROTO_UDP, 40000, 1000, data, length, setup.outer, 4096);
		CU_ASSERT_EQUAL(setup_open(&setup, (__u32)size), HK_REFUSAL_SHORT);
	}
	/* Empty ciphertext and a forged ICV: the ICV still counts. */
	size = hk_outer_build(&from, &to, IPPROTO_UDP, 40000, 1000, data, 32, setup.outer, 4096);
	CU_ASSERT_EQUAL(setup_open(&setup, (__u32)size), HK_REFUSAL_BAD_ICV);
	memset(data + 4, 0, 4);
	size = hk_outer_build(&from, &to, IPPROTO_UDP, 40000, 1000, data, 32, setup.outer, 4096);
	CU_ASSERT_EQUAL(setup_open(&setup, (__u32)size), HK_REFUSAL_SPI);
	for (length = 0; length < 36; length++) {
		size = hk_outer_build(&from, &to, IPPROTO_ESP, 0, 0, data, length, setup.outer, 4096);
		CU_ASSERT_EQUAL(setup_open(&setup, (__u32)size), HK_REFUSAL_SHORT);
	}
	/* On UDP 4500 a zero word is IKE, a single byte a keepalive. */
	size = hk_outer_build(&from, &to, IPPROTO_UDP, 4500, 4500, data + 32, 32, setup.outer, 4096);
	CU_ASSERT_EQUAL(setup_open(&setup, (__u32)size), HK_REFUSAL_NOT_SEALED);
	size = hk_outer_build(
		&from, &to, IPPROTO_UDP, 4500, 4500, (const __u8 *)"\xff", 1, setup.outer, 4096);
	CU_ASSERT_EQUAL(setup_open(&setup, (__u32)size), HK_REFUSAL_NOT_SEALED);
	hk_sa_free(setup.sa);
}

static void opener_refuses_alignment(void)
{
	struct hk_address from = address("192.0.2.1"), to = address("192.0.2.9");
	static struct setup setup;
	__u8 data[128] = {[2] = 0x12, [3] = 0x34};
	int size;

	setup_make(&setup, HK_ENVELOPE_ESP, HK_SUITE_CBC_HMAC);
	size = hk_outer_build(&from, &to, IPPROTO_ESP, 0, 0, data, 24 + 20 + 16, setup.outer, 4096);
	CU_ASSERT_EQUAL(setup_open(&setup, (__u32)size), HK_REFUSAL_ESP_ALIGN);
	hk_sa_free(setup.sa);
}

/* Random bytes of random length behind every header never read out of bounds (sanitizers look on). */
static void opener_survives_noise(void)
{
	static struct setup setup;
	__u64 seed = 99;
	unsigned i;

	for (i = 0; i < KINDS; i++) {
		__u32 round, length;

		setup_make(&setup, kinds[i].envelope, kinds[i].variant);
		for (round = 0; round < 2000; round++) {
			length = (__u32)setup_seal(&setup, 4096);
			random_fill(
				&seed, setup.outer + random_next(&seed) % length, 1 + random_next(&seed) % 4);
			setup_open(&setup, (__u32)(random_next(&seed) % (length + 1)));
			setup_open(&setup, length);
		}
		hk_sa_free(setup.sa);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"gcm-split vectors", gcm_split_vectors},
		{"gcm-split with one key is AES-GCM", split_equals_gcm},
		{"vectors are sealed to the byte", vectors_are_sealed},
		{"vectors are opened", vectors_are_opened},
		{"every flipped bit is refused", flipped_bits_are_refused},
		{"8000 round trips", round_trips},
		{"CBC IVs are drawn anew", cbc_ivs_differ},
		{"the sealer refuses offsets", sealer_refuses_offsets},
		{"the sealer refuses packets", sealer_refuses_packets},
		{"the sealer refuses what transport mode cannot carry", sealer_refuses_transport},
		{"derivation refuses the wrong keys and SPIs", derivation_refuses},
		{"the opener refuses headers", opener_refuses_headers},
		{"the opener refuses short packets", opener_refuses_short},
		{"the opener refuses misaligned CBC", opener_refuses_alignment},
		{"the opener survives noise", opener_survives_noise},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "seal", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inline keying: the vectors, seeded conversations from the seal side through
 * the box (both backends) to the other host, children in both directions and
 * of children, every refusal and every truncation, and a forger with the box's
 * secret. The table's own rules stand in test_children.c.
 */
#include "tests/unit/inline_help.h"
#include "user/endpoint/inline_sa.h"

#define ROUNDS 300

static const char *const backends[] = {"ipsec-mb", "libcrypto"};

/* --- vectors ---------------------------------------------------------------------------------- */

static json_t *vector_named(json_t *vectors, const char *name)
{
	json_t *vector;
	size_t i;

	json_array_foreach(vectors, i, vector) if (strcmp(json_string_value(json_object_get(vector, "name")),
							   name) == 0) return vector;
	CU_FAIL_FATAL("no such vector");
	return NULL;
}

static void packet_keys(void)
{
	json_t *vectors = load_vectors("kdf.json"), *vector = vector_named(vectors, "inline-packet");
	__u8 secret[32], nonce[16], spi[4], out[36], got[HK_HKDF_OUT];
	struct hk_hkdf_job job = {.out = got, .info_size = HK_INLINE_INFO};
	struct hk_hmac_key key;
	unsigned i;

	CU_ASSERT_EQUAL(vector_bytes(vector, "key", secret, 32), 32);
	CU_ASSERT_EQUAL(vector_bytes(vector, "np", nonce, 16), 16);
	CU_ASSERT_EQUAL(vector_bytes(vector, "spi", spi, 4), 4);
	CU_ASSERT_EQUAL(vector_bytes(vector, "out", out, 36), 36);
	hk_hmac_key_init(&key, secret, 32);
	job.key = &key;
	hk_inline_info(job.info, HK_SIDE_ENC, nonce, 0x1001);
	for (i = 0; i < 2; i++) {
		struct hk_crypto *backend = hk_crypto_new(backends[i]);

		if (!backend)
			continue;
		memset(got, 0, sizeof(got));
		hk_crypto_hkdf(backend, &job, 1);
		CU_ASSERT_EQUAL(memcmp(got, out, 36), 0);
		hk_crypto_free(backend);
	}
	json_decref(vectors);
}

static void load_sent(struct sent *sent, const json_t *vector)
{
	size_t size = vector_bytes(vector, "outer_ip", sent->frame + 14, BOX_FRAME - 14);

	sent->length = frame_around(sent->frame, (__u32)size);
	sent->inner_length = (__u32)vector_bytes(vector, "inner_ip", sent->inner, BOX_FRAME);
}

/* What the parent vector creates. */
static struct hk_creation vector_creation(void)
{
	struct hk_creation creation = {.scope = HK_SCOPE_PORTS,
		.protocol = 17,
		.spi = 0x2002,
		.lifetime = 600,
		.creator_port = 0x1234,
		.peer_port = 53};
	unsigned i;

	for (i = 0; i < 16; i++)
		creation.reply_nonce[i] = (__u8)(0xa0 + i);
	return creation;
}

/* The seal side makes the vectors to the byte. */
static void check_sealed(struct scene *scene, struct hk_inline *sa, const struct sent *sent,
	const struct hk_creation *creation)
{
	struct hk_seal_shape shape = {.transport = true, .source = scene->a};
	struct hk_numbers numbers = {.iv = 1, .sn = 1};
	struct hk_inline_packet packet = {
		.creation = creation, .inner = sent->inner, .length = sent->inner_length};
	__u8 nonce[16], out[BOX_FRAME];
	unsigned i;

	for (i = 0; i < 16; i++)
		nonce[i] = (__u8)i;
	packet.packet_nonce = nonce;
	CU_ASSERT_EQUAL_FATAL(
		hk_inline_seal(sa, &shape, &numbers, &packet, out, sizeof(out)), (int)sent->length - 14);
	CU_ASSERT_EQUAL(memcmp(out, sent->frame + 14, sent->length - 14), 0);
}

/*
 * The same for the child, underneath its scope: the vector's ports stand the
 * wrong way round for the creation's, so as a packet it is refused.
 */
static void check_child(struct scene *scene, struct hk_inline *sa, const struct sent *sent)
{
	struct hk_seal_shape shape = {.source = scene->b};
	struct hk_numbers numbers = {.iv = 1, .sn = 1};
	struct hk_inline_packet packet = {
		.inner = sent->inner, .length = sent->inner_length, .now_ns = BOX_NOW};
	struct hk_creation got;
	__u8 out[BOX_FRAME];
	int size;

	size = hk_esp_seal(sa->sa, &shape, &numbers, 4, sent->inner, sent->inner_length, out, sizeof(out));
	CU_ASSERT_EQUAL_FATAL(size, (int)sent->length - 34);
	CU_ASSERT_EQUAL(memcmp(out, sent->frame + 34, sent->length - 34), 0);
	CU_ASSERT_EQUAL(hk_inline_seal(sa, &shape, &numbers, &packet, out, sizeof(out)), -EACCES);
	CU_ASSERT_EQUAL(host_opens(sa, sent, &got, false), HK_REFUSAL_CHILD_SCOPE);
}

static void vectors_with(const char *backend)
{
	json_t *vectors = load_vectors("packets.json");
	json_t *one = vector_named(vectors, "inline-parent"), *two = vector_named(vectors, "inline-child");
	struct hk_creation creation = vector_creation(), got;
	struct sent parent = {0}, child = {0};
	struct hk_inline *sa;
	struct scene scene = {.seed = 1};

	CU_ASSERT_EQUAL(vector_bytes(one, "s_e", scene.keys.enc, 32), 32);
	CU_ASSERT_EQUAL(vector_bytes(one, "s_a", scene.keys.auth, 32), 32);
	scene_keyed(&scene, backend, false);
	load_sent(&parent, one);
	load_sent(&child, two);
	CU_ASSERT_EQUAL(run_sent(&scene, &child), HK_REASON_NO_KEY);
	check_opens(&scene, &parent);
	check_opens(&scene, &child);
	CU_ASSERT_EQUAL(counts_of(&scene).confirmed, 1);
	sa = install(&scene, scene.parent, &creation, &scene.a);
	check_sealed(&scene, scene.parent, &parent, &creation);
	check_child(&scene, sa, &child);
	CU_ASSERT_EQUAL(host_opens(scene.parent, &parent, &got, true), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(got.spi, 0x2002);
	hk_inline_free(sa);
	scene_free(&scene);
	json_decref(vectors);
}

static void vectors_ipsec_mb(void)
{
	if (backend_or_skip("ipsec-mb"))
		vectors_with("ipsec-mb");
}

static void vectors_libcrypto(void)
{
	vectors_with("libcrypto");
}

/* --- round trips ------------------------------------------------------------------------------ */

/*
 * A creates a child for B to A, B answers on it with a creation of its own, and
 * A goes on upon that: all of them open, at both ends and in the box.
 */
static void conversation(struct scene *scene, __u32 spi)
{
	struct hk_creation first, second, got;
	struct hk_inline *at_b, *at_a, *back_a, *back_b;
	struct sent sent = {0};
	unsigned i;

	creation_draw(scene, &first, spi, false);
	creation_draw(scene, &second, spi ^ 0x40000000, true);
	memcpy(second.peer_nonce, first.reply_nonce, HK_INLINE_NONCE);
	send_packet(scene, scene->parent, false, &first, &sent);
	check_opens(scene, &sent);
	CU_ASSERT_EQUAL_FATAL(host_opens(scene->parent, &sent, &got, true), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(memcmp(got.reply_nonce, first.reply_nonce, HK_INLINE_NONCE), 0);
	at_b = install(scene, scene->parent, &got, &scene->a);
	at_a = expect(scene->parent, &first, &scene->a);
	send_packet(scene, at_b, true, &second, &sent);
	check_opens(scene, &sent);
	CU_ASSERT_EQUAL_FATAL(host_opens(at_a, &sent, &got, true), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(got.spi, second.spi);
	back_a = install(scene, at_a, &got, &scene->b);
	back_b = expect(at_b, &second, &scene->b);
	for (i = 0; i < 3; i++) {
		send_packet(scene, back_a, false, NULL, &sent);
		check_opens(scene, &sent);
		CU_ASSERT_EQUAL(host_opens(back_b, &sent, &got, true), HK_REFUSAL_NONE);
		send_packet(scene, at_b, true, NULL, &sent);
		check_opens(scene, &sent);
		CU_ASSERT_EQUAL(host_opens(at_a, &sent, &got, true), HK_REFUSAL_NONE);
	}
	hk_inline_free(at_b);
	hk_inline_free(at_a);
	hk_inline_free(back_a);
	hk_inline_free(back_b);
}

static void conversations(const char *backend)
{
	struct scene scene;
	unsigned i, v6;

	for (v6 = 0; v6 < 2; v6++) {
		scene_init(&scene, backend, v6, 7 + v6);
		for (i = 0; i < ROUNDS; i++)
			conversation(&scene, 0x1000 + i);
		CU_ASSERT_EQUAL(counts_of(&scene).created, 2 * ROUNDS);
		CU_ASSERT_EQUAL(counts_of(&scene).confirmed, 2 * ROUNDS);
		CU_ASSERT_TRUE(counts_of(&scene).alive <= 16);
		scene_free(&scene);
	}
}

static void conversations_ipsec_mb(void)
{
	if (backend_or_skip("ipsec-mb"))
		conversations("ipsec-mb");
}

static void conversations_libcrypto(void)
{
	conversations("libcrypto");
}

/* A creation with nothing behind it. */
static void creation_alone(void)
{
	struct hk_seal_shape shape = {0};
	struct hk_inline_packet packet = {0};
	struct hk_creation creation, got;
	struct hk_inline *at_b;
	struct scene scene;
	struct sent sent = {0};
	int size;

	scene_init(&scene, NULL, false, 3);
	shape.source = scene.a;
	creation_draw(&scene, &creation, 0x3003, false);
	packet.creation = &creation;
	size = hk_inline_seal(scene.parent, &shape, &scene.numbers, &packet, sent.frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	sent.length = frame_around(sent.frame, (__u32)size);
	CU_ASSERT_EQUAL(run_sent(&scene, &sent), HK_REASON_DUMMY);
	CU_ASSERT_EQUAL(host_opens(scene.parent, &sent, &got, false), HK_REFUSAL_CREATION_ALONE);
	CU_ASSERT_EQUAL(got.spi, 0x3003);
	at_b = install(&scene, scene.parent, &creation, &scene.a);
	send_packet(&scene, at_b, true, NULL, &sent);
	check_opens(&scene, &sent);
	hk_inline_free(at_b);
	scene_free(&scene);
}

/* --- refusals --------------------------------------------------------------------------------- */

/* CTR flips what whoever flips the ciphertext wants: each field of a creation header, on the wire. */
static void header_fields(void)
{
	static const struct {
		unsigned offset;
		__u8 flip;
		unsigned reason;
	} cases[] = {
		{1, 0x80, HK_REASON_CREATION_SHORT},
		{1, 0x01, HK_REASON_CREATION_LENGTH},
		{2, 0x30, HK_REASON_CREATION_VERSION},
		{2, 0x01, HK_REASON_CREATION_VERSION},
		{2, 0x08, HK_REASON_CREATION_VERSION},
		{3, 0x04, HK_REASON_CREATION_SCOPE},
		{3, 0x06, HK_REASON_CREATION_SCOPE},  /* 4 to 2: ports do not belong to it */
		{3, 0x07, HK_REASON_CREATION_SCOPE},  /* 4 to 3: the same */
		{3, 0x05, HK_REASON_CREATION_LENGTH}, /* 4 to 1: no addresses */
		{5, 0x01, HK_REASON_CREATION_ALGORITHM},
		{6, 0x01, HK_REASON_CREATION_RESERVED},
		{7, 0x80, HK_REASON_CREATION_RESERVED},
		{10, 0x20, HK_REASON_CREATION_SPI},
	};
	struct hk_creation creation = vector_creation(), got;
	struct scene scene;
	struct sent sent = {0};
	unsigned i, at;

	scene_init(&scene, NULL, false, 4);
	creation.spi = 0x2002;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		send_shaped(&scene, scene.parent, false, &creation, false, false, &sent);
		at = 14 + 20 + 8 + 16 + 8 + cases[i].offset;
		sent.frame[at] ^= cases[i].flip;
		CU_ASSERT_EQUAL(run_sent(&scene, &sent), cases[i].reason);
		CU_ASSERT_EQUAL(host_opens(scene.parent, &sent, &got, false), HK_REFUSAL_BAD_ICV);
	}
	CU_ASSERT_EQUAL(counts_of(&scene).created, 0);
	scene_free(&scene);
}

static void header_lengths(void)
{
	struct hk_creation creation = vector_creation(), got;
	__u8 header[HK_CREATION_MAX] = {0};
	__u32 size, length;
	unsigned scope;

	for (scope = 0; scope < 2; scope++) {
		if (scope) {
			creation = (struct hk_creation){.scope = HK_SCOPE_RANGE,
				.spi = 0x2002,
				.low = address("2001:db8::1"),
				.high = address("2001:db8::2")};
		}
		size = hk_creation_write(&creation, header);
		CU_ASSERT_EQUAL(size, scope ? 88 : 56);
		for (length = 0; length < size; length++) {
			__u8 *exact = malloc(length ? length : 1); /* the sanitizer sees a byte beyond */

			memcpy(exact, header, length);
			CU_ASSERT_EQUAL(hk_creation_parse(exact, length, &got), HK_REASON_CREATION_SHORT);
			free(exact);
		}
		CU_ASSERT_EQUAL(hk_creation_parse(header, size, &got), HK_REASON_OK);
		CU_ASSERT_EQUAL(got.size, size);
	}
	creation.high = address("2001:db8::");
	hk_creation_write(&creation, header);
	CU_ASSERT_EQUAL(hk_creation_parse(header, 88, &got), HK_REASON_CREATION_SCOPE);
}

static struct hk_fate fate_of(struct scene *scene, const __u8 *frame, __u32 length)
{
	struct hk_frame one = {.data = frame, .length = length};
	struct hk_fate fate = {0};

	fate.reason = (__u8)hk_outer_parse(scene->box.outer, frame, length, 0, &one.meta);
	if (fate.reason == HK_REASON_TO_WORKER)
		hk_pipeline_run(
			scene->box.pipeline, scene->box.inspection, &one, 1, scene->box.now_ns, &fate);
	return fate;
}

/* Noise may look like a packet where nothing verifies; it is never the one that was sent. */
static void check_noise(const struct hk_fate *fate, const struct sent *sent)
{
	switch (fate->reason) {
	case HK_REASON_OK:
		CU_ASSERT_FALSE(fate->inner_length == sent->inner_length &&
				memcmp(fate->inner, sent->inner, sent->inner_length) == 0);
		return;
	case HK_REASON_IMPLAUSIBLE:
	case HK_REASON_NEXT_HEADER:
	case HK_REASON_DUMMY: return;
	default:
		CU_ASSERT_TRUE(
			fate->reason >= HK_REASON_CREATION_SHORT && fate->reason <= HK_REASON_CREATION_SPI);
	}
}

/* The IP packet ends at every byte: what is too short says so, the rest opens to noise. */
static void truncations(struct scene *scene, const struct sent *sent, unsigned fixed)
{
	__u8 frame[BOX_FRAME];
	struct hk_fate fate;
	unsigned length;

	for (length = 20; length < sent->length - 14; length++) {
		memcpy(frame, sent->frame, sent->length);
		frame[16] = (__u8)(length >> 8);
		frame[17] = (__u8)length;
		fate = fate_of(scene, frame, 14 + length);
		if (length - 20 < 32 + 2) {
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_INLINE_SHORT);
		} else if (length % 4) {
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_INLINE_ALIGN);
		} else if (length - 20 < fixed + 2) {
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_INLINE_SHORT);
		} else {
			check_noise(&fate, sent);
		}
	}
}

static void every_truncation(void)
{
	struct hk_creation creation;
	struct hk_inline *at_b;
	struct scene scene;
	struct sent sent = {0};

	scene_init(&scene, NULL, false, 5);
	creation_draw(&scene, &creation, 0x2002, false);
	send_shaped(&scene, scene.parent, false, &creation, true, false, &sent);
	check_opens(&scene, &sent);
	truncations(&scene, &sent, 48);
	at_b = install(&scene, scene.parent, &creation, &scene.a);
	send_shaped(&scene, at_b, true, NULL, true, false, &sent);
	check_opens(&scene, &sent);
	truncations(&scene, &sent, 32);
	sent.frame[14 + 20] = sent.frame[14 + 21] = sent.frame[14 + 22] = 0;
	CU_ASSERT_EQUAL(fate_of(&scene, sent.frame, sent.length).reason, HK_REASON_INLINE_SPI);
	hk_inline_free(at_b);
	scene_free(&scene);
}

/* --- "sees, cannot forge" --------------------------------------------------------------------- */

/* The forger has s_e, so every Ek and salt; s_a it has to guess. */
static void forger(void)
{
	struct hk_inline *at_b, *at_a, *fake_parent, *fake_child;
	struct hk_creation creation, got;
	struct hk_inline_keys guess;
	struct hk_inline_name name = {.spi = PARENT_SPI};
	struct hk_error error = {{0}};
	struct scene scene;
	struct sent sent = {0};
	unsigned at;

	scene_init(&scene, NULL, false, 6);
	name.receiver = scene.b;
	guess = scene.keys;
	memcpy(guess.auth, guess.enc, 32);
	CU_ASSERT_EQUAL(hk_inline_parent(&fake_parent, crypto, &name, &guess, &error), -EINVAL);
	guess.auth[0] ^= 1;
	CU_ASSERT_EQUAL_FATAL(hk_inline_parent(&fake_parent, crypto, &name, &guess, &error), 0);
	creation_draw(&scene, &creation, 0x2002, false);
	send_packet(&scene, fake_parent, false, &creation, &sent);
	CU_ASSERT_EQUAL(host_opens(scene.parent, &sent, &got, false), HK_REFUSAL_BAD_ICV);
	check_opens(&scene, &sent); /* the box cannot tell; it marks what it opens */
	at_b = install(&scene, scene.parent, &creation, &scene.a);
	at_a = expect(scene.parent, &creation, &scene.a);
	creation.reply_nonce[0] ^= 1;
	fake_child = install(&scene, fake_parent, &creation, &scene.a);
	send_packet(&scene, fake_child, true, NULL, &sent);
	CU_ASSERT_EQUAL(host_opens(at_a, &sent, &got, false), HK_REFUSAL_BAD_ICV);
	send_shaped(&scene, at_b, true, NULL, true, false, &sent);
	for (at = 34; at < sent.length; at++) {
		sent.frame[at] ^= 0x10;
		CU_ASSERT_NOT_EQUAL(host_opens(at_a, &sent, &got, false), HK_REFUSAL_NONE);
		sent.frame[at] ^= 0x10;
	}
	CU_ASSERT_EQUAL(host_opens(at_a, &sent, &got, true), HK_REFUSAL_NONE);
	hk_inline_free(fake_parent);
	hk_inline_free(fake_child);
	hk_inline_free(at_a);
	hk_inline_free(at_b);
	scene_free(&scene);
}

/* --- the endpoint rule ------------------------------------------------------------------------ */

static void installed_once(void)
{
	struct hk_inline *child = NULL, *other;
	struct hk_error error = {{0}};
	struct hk_creation creation;
	struct hk_inline_seen *again = NULL;
	struct scene scene;
	struct sent sent = {0};
	struct hk_seal_shape shape = {0};
	struct hk_inline_packet packet = {.creation = &creation, .now_ns = BOX_NOW};
	char command[256];

	scene_init(&scene, NULL, false, 8);
	creation_draw(&scene, &creation, 0x2002, false);
	child = install(&scene, scene.parent, &creation, &scene.a);
	CU_ASSERT_EQUAL(
		hk_inline_install(&other, scene.parent, scene.seen, &creation, &scene.a, BOX_NOW, &error),
		-EEXIST);
	/* the creator's end never seals */
	other = expect(scene.parent, &creation, &scene.a);
	shape.source = scene.b;
	CU_ASSERT_EQUAL(
		hk_inline_seal(other, &shape, &scene.numbers, &packet, sent.frame, BOX_FRAME), -EPERM);
	hk_inline_free(other);
	/* one process at a time, and the record outlives it */
	CU_ASSERT_EQUAL(open_seen(&again, scene.directory, scene.parent, false, &error), -EBUSY);
	hk_inline_seen_close(scene.seen);
	CU_ASSERT_EQUAL(open_seen(&scene.seen, scene.directory, scene.parent, true, &error), -EEXIST);
	CU_ASSERT_EQUAL_FATAL(open_seen(&scene.seen, scene.directory, scene.parent, false, &error), 0);
	CU_ASSERT_EQUAL(
		hk_inline_install(&other, scene.parent, scene.seen, &creation, &scene.a, BOX_NOW, &error),
		-EEXIST);
	hk_inline_seen_close(scene.seen);
	/* damaged or lost: nothing is installed under this parent any more */
	snprintf(command, sizeof(command), "truncate -s -1 %s/*.seen", scene.directory);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL(open_seen(&scene.seen, scene.directory, scene.parent, false, &error), -EINVAL);
	snprintf(command, sizeof(command),
		"truncate -s +1 %s/*.seen && cd %s && for i in *.seen; do cp $i x; mv x $i; done",
		scene.directory, scene.directory);
	CU_ASSERT_EQUAL(system(command), 0);
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(open_seen(&scene.seen, scene.directory, scene.parent, false, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "copy"));
	snprintf(command, sizeof(command), "rm %s/*.seen", scene.directory);
	CU_ASSERT_EQUAL(system(command), 0);
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(open_seen(&scene.seen, scene.directory, scene.parent, false, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "replace the parent"));
	scene.seen = NULL;
	hk_inline_free(child);
	scene_free(&scene);
}

int main(void)
{
	static const struct test tests[] = {
		{"keys of a parent's packet", packet_keys},
		{"parent and child vectors, to the byte (ipsec-mb)", vectors_ipsec_mb},
		{"parent and child vectors, to the byte (libcrypto)", vectors_libcrypto},
		{"conversations through children in both directions (ipsec-mb)", conversations_ipsec_mb},
		{"conversations through children in both directions (libcrypto)", conversations_libcrypto},
		{"a creation with nothing behind it", creation_alone},
		{"every field of a creation header", header_fields},
		{"every length of a creation header", header_lengths},
		{"every truncation", every_truncation},
		{"who holds the box's secret forges nothing", forger},
		{"a child is installed once from one reply nonce", installed_once},
		{0},
	};

	return run_tests_with(&crypto, NULL, "inline", tests);
}

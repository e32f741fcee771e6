/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two ends of inline keying and the box between them: A is 192.0.2.1 and
 * 2001:db8::1, B 192.0.2.9 and 2001:db8::9. The parent goes from A to B.
 */
#ifndef TESTS_UNIT_INLINE_HELP_H
#define TESTS_UNIT_INLINE_HELP_H

#include "tests/unit/box_help.h"
#include "user/endpoint/seal_inline.h"
#include "user/keys/children.h"

#define PARENT_SPI 0x1001
#define SECOND	   1000000000ull

static struct hk_crypto *crypto;

struct scene {
	struct box box;
	struct hk_inline_keys keys;
	struct hk_address a, b;
	struct hk_inline *parent; /* both ends of it */
	struct hk_inline_seen *seen;
	char directory[64];
	__u64 seed;
	struct hk_numbers numbers;
};

struct sent {
	__u8 frame[BOX_FRAME];
	__u32 length;
	__u8 inner[BOX_FRAME];
	__u32 inner_length;
};

static inline int open_seen(struct hk_inline_seen **out, const char *directory,
	const struct hk_inline *parent, bool first_use, struct hk_error *error)
{
	const struct hk_state_place place = {.directory = directory, .first_use = first_use};

	return hk_inline_seen_open(out, &place, parent, error);
}

static inline void scene_state(struct scene *scene)
{
	struct hk_error error = {{0}};

	strcpy(scene->directory, "/tmp/halfkey-inline-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(scene->directory));
	CU_ASSERT_EQUAL_FATAL(open_seen(&scene->seen, scene->directory, scene->parent, true, &error), 0);
}

static inline void scene_keyed(struct scene *scene, const char *backend, bool v6)
{
	char keys[256], hex[65];
	struct hk_domain_config *domain;
	struct hk_inline_name name = {.spi = PARENT_SPI};
	struct hk_error error = {{0}};

	scene->a = address(v6 ? "2001:db8::1" : "192.0.2.1");
	scene->b = name.receiver = address(v6 ? "2001:db8::9" : "192.0.2.9");
	hk_hex_format(scene->keys.enc, 32, hex);
	snprintf(keys, sizeof(keys), "receiver=%s spi=0x%x side=enc root=%s\n",
		v6 ? "2001:db8::9" : "192.0.2.9", PARENT_SPI, hex);
	box_init(&scene->box);
	domain = box_domain(&scene->box, HK_ENVELOPE_INLINE, HK_PROFILE_SPLIT, 0, keys);
	domain->inline_keying = (struct hk_inline_options){
		.next_header = HK_CREATION_NEXT, .children = 16, .creations = 100000};
	if (box_build(&scene->box, backend, BOX_FRAME, 0))
		fprintf(stderr, "%s\n", scene->box.error.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(scene->box.pipeline);
	CU_ASSERT_EQUAL_FATAL(hk_inline_parent(&scene->parent, crypto, &name, &scene->keys, &error), 0);
	scene_state(scene);
}

static inline void scene_init(struct scene *scene, const char *backend, bool v6, __u64 seed)
{
	memset(scene, 0, sizeof(*scene));
	scene->seed = seed;
	random_fill(&scene->seed, scene->keys.enc, 32);
	random_fill(&scene->seed, scene->keys.auth, 32);
	scene_keyed(scene, backend, v6);
}

static inline void scene_free(struct scene *scene)
{
	char command[96];

	hk_inline_seen_close(scene->seen);
	snprintf(command, sizeof(command), "rm -rf %s", scene->directory);
	CU_ASSERT_EQUAL(system(command), 0);
	hk_inline_free(scene->parent);
	box_free(&scene->box);
}

static inline struct hk_children *children_of(struct scene *scene)
{
	return hk_keyring_children(scene->box.inspection->keyring);
}

static inline struct hk_children_counts counts_of(struct scene *scene)
{
	struct hk_children_counts counts;

	hk_children_count(children_of(scene), &counts);
	return counts;
}

/* A creation of any scope, by A unless `by_b`. */
static inline void creation_draw(struct scene *scene, struct hk_creation *creation, __u32 spi, bool by_b)
{
	const struct hk_address *peer = by_b ? &scene->a : &scene->b;

	memset(creation, 0, sizeof(*creation));
	creation->scope = (__u8)(1 + random_next(&scene->seed) % 4);
	creation->spi = spi;
	creation->lifetime = 600;
	creation->sequence = 1;
	if (creation->scope == HK_SCOPE_RANGE)
		creation->low = creation->high = *peer;
	if (creation->scope >= HK_SCOPE_PROTOCOL)
		creation->protocol = 17;
	if (creation->scope == HK_SCOPE_PORTS) {
		creation->creator_port = 53; /* as inner_udp() goes: from 0x1234 to 53 */
		creation->peer_port = 0x1234;
	}
	random_fill(&scene->seed, creation->reply_nonce, HK_INLINE_NONCE);
	if (by_b)
		random_fill(&scene->seed, creation->peer_nonce, HK_INLINE_NONCE);
}

/* Seals an inner UDP packet of seeded content. */
static inline void send_shaped(struct scene *scene, struct hk_inline *sa, bool to_a,
	const struct hk_creation *creation, bool transport, bool udp, struct sent *sent)
{
	const struct hk_address *from = to_a ? &scene->b : &scene->a, *to = to_a ? &scene->a : &scene->b;
	struct hk_seal_shape shape = {.transport = transport, .udp = udp, .source = *from};
	bool inner_v6 = transport ? !hk_address_is_v4(from) : random_next(&scene->seed) & 1;
	struct hk_address inner_from = transport ? *from : address(inner_v6 ? "fd00::1" : "10.1.0.1");
	struct hk_address inner_to = transport ? *to : address(inner_v6 ? "fd00::2" : "10.1.0.2");
	struct hk_inline_packet packet = {
		.creation = creation, .inner = sent->inner, .now_ns = scene->box.now_ns};
	int size;

	sent->inner_length = packet.length = inner_udp(
		&inner_from, &inner_to, &scene->seed, (__u32)(random_next(&scene->seed) % 400), sent->inner);
	scene->numbers.iv++;
	scene->numbers.sn++;
	size = hk_inline_seal(
		sa, &shape, &scene->numbers, &packet, sent->frame + 14, sizeof(sent->frame) - 14);
	CU_ASSERT_FATAL(size > 0);
	sent->length = frame_around(sent->frame, (__u32)size);
}

static inline void send_packet(struct scene *scene, struct hk_inline *sa, bool to_a,
	const struct hk_creation *creation, struct sent *sent)
{
	send_shaped(scene, sa, to_a, creation, random_next(&scene->seed) & 1, random_next(&scene->seed) & 1,
		sent);
}

static inline unsigned run_sent(struct scene *scene, const struct sent *sent)
{
	return box_run(&scene->box, sent->frame, sent->length).reason;
}

static inline void check_opens(struct scene *scene, const struct sent *sent)
{
	struct hk_fate fate = box_run(&scene->box, sent->frame, sent->length);

	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.auth, HK_AUTH_NONE);
	CU_ASSERT_EQUAL_FATAL(fate.opened, 1);
	CU_ASSERT_EQUAL(fate.inner_length, sent->inner_length);
	CU_ASSERT_EQUAL(memcmp(fate.inner, sent->inner, sent->inner_length), 0);
}

/* At any time before the first lifetime ends: tests of time call hk_inline_open() themselves. */
static inline unsigned host_opens(
	struct hk_inline *sa, const struct sent *sent, struct hk_creation *creation, bool same)
{
	static __u8 out[HK_OPEN_ROOM(BOX_FRAME)];
	struct hk_opened opened = {0};
	struct hk_sealed sealed;
	unsigned refusal = hk_sealed_parse(sent->frame + 14, sent->length - 14, &sealed);

	if (!refusal)
		refusal = hk_inline_open(sa, &sealed, BOX_NOW, out, &opened, creation);
	if (!refusal && same) {
		CU_ASSERT_EQUAL(opened.length, sent->inner_length);
		CU_ASSERT_EQUAL(memcmp(opened.inner, sent->inner, opened.length), 0);
	}
	return refusal;
}

/* B's end of a child that A created, and A's own. */
static inline struct hk_inline *install(struct scene *scene, const struct hk_inline *parent,
	const struct hk_creation *creation, const struct hk_address *receiver)
{
	struct hk_error error = {{0}};
	struct hk_inline *child = NULL;

	CU_ASSERT_EQUAL_FATAL(
		hk_inline_install(&child, parent, scene->seen, creation, receiver, scene->box.now_ns, &error),
		0);
	return child;
}

static inline struct hk_inline *expect(
	struct hk_inline *parent, const struct hk_creation *creation, const struct hk_address *receiver)
{
	struct hk_error error = {{0}};
	struct hk_inline *child = NULL;

	CU_ASSERT_EQUAL_FATAL(hk_inline_expect(&child, parent, creation, receiver, BOX_NOW, &error), 0);
	return child;
}

#endif

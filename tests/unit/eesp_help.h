/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EESP and WESP packets of a host's making, opened by the box and by the receiving host. */
#ifndef TESTS_UNIT_EESP_HELP_H
#define TESTS_UNIT_EESP_HELP_H

#include "tests/unit/box_help.h"
#include "user/endpoint/seal_eesp.h"

#define PACKET 1700
#define SPI    0xc0ffee01u

static struct hk_crypto *crypto;

struct talk {
	struct box box;
	struct hk_eesp_name name;
	struct hk_eesp_shape shape;
	__u8 enc[32], auth[32], reader[32];
	struct hk_eesp_keys keys;
	struct hk_eesp_host *host;
	__u64 seed;
	__u8 frame[14 + PACKET];
	__u8 inner[PACKET];
	__u32 length, inner_length;
};

static inline void name_keys(struct talk *talk)
{
	talk->keys = (struct hk_eesp_keys){.enc = talk->enc,
		.auth = talk->name.split ? talk->auth : NULL,
		.reader = talk->name.reader ? talk->reader : NULL};
}

/* The box's key file: its side alone, the reader key when the test wants it there. */
static inline void box_keys(const struct talk *talk, bool with_reader, char *text, size_t room)
{
	const char *side = talk->name.split ? "enc" : "single";
	char front[128], hex[65];

	text[0] = '\0';
	if (!talk->name.derived) {
		hk_hex_format(talk->enc, 32, hex);
		snprintf(
			text, room, "receiver=192.0.2.9 spi=%u side=%s root=%s\n", talk->name.spi, side, hex);
		hk_hex_format(talk->enc, 31, hex);
		snprintf(text + strlen(text), room - strlen(text),
			"receiver=2001:db8::9 spi=%u side=%s root=%sff\n", talk->name.spi, side, hex);
		return;
	}
	snprintf(front, sizeof(front), "slot=%u generation=1 id=%u side=%s", talk->name.slot, talk->name.mkid,
		side);
	key_line(text, room, front, talk->enc);
	snprintf(front, sizeof(front), "slot=%u generation=1 id=%u side=reader", talk->name.slot,
		talk->name.mkid);
	if (with_reader && talk->name.split)
		key_line(text, room, front, talk->reader);
}

static inline void talk_start(
	struct talk *talk, const struct hk_eesp_name *name, const char *backend, bool box_reads)
{
	struct hk_eesp_policy policy = {.local = address("192.0.2.9"),
		.envelope = name->envelope,
		.protocol = 253,
		.derived = name->derived,
		.split = name->split,
		.sn = name->sn,
		.iv = name->iv,
		.spi = name->spi,
		.mkid = name->mkid,
		.slot = name->slot};
	struct hk_domain_config *domain;
	char text[1024];

	memset(talk, 0, sizeof(*talk));
	talk->seed = 99 + name->spi;
	talk->name = *name;
	random_fill(&talk->seed, talk->enc, 32);
	random_fill(&talk->seed, talk->auth, 32);
	random_fill(&talk->seed, talk->reader, 32);
	name_keys(talk);
	box_keys(talk, box_reads, text, sizeof(text));
	box_init(&talk->box);
	domain = box_domain(
		&talk->box, name->envelope, name->split ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE, 0, text);
	domain->carrier = name->envelope == HK_ENVELOPE_EESP ? 253 : 0;
	domain->eesp = (struct hk_eesp_options){.sn = name->sn, .iv = name->iv};
	CU_ASSERT_EQUAL_FATAL(box_build(&talk->box, backend, 2048, 0), 0);
	/* a receiver verifies by the ICV, which covers reader tags: it has no reader key */
	talk->host = hk_eesp_host_new(
		&policy, &(struct hk_eesp_keys){.enc = talk->keys.enc, .auth = talk->keys.auth});
	CU_ASSERT_PTR_NOT_NULL_FATAL(talk->host);
	talk->shape = (struct hk_eesp_shape){
		.source = address("192.0.2.1"), .destination = address("192.0.2.9"), .protocol = 17};
}

static inline void talk_end(struct talk *talk)
{
	hk_eesp_host_free(talk->host);
	box_free(&talk->box);
}

/* Seals an inner UDP packet with `number` as SN and IV into talk->frame. */
static inline void talk_seal(struct talk *talk, __u64 number, __u32 size)
{
	struct hk_eesp_numbers numbers = {number, number};
	struct hk_address from = address("10.1.0.1"), to = address("10.2.0.1");
	struct hk_error error = {{0}};
	struct hk_eesp *sa = NULL;
	int sealed;

	if (talk->name.transport) {
		from = talk->shape.source;
		to = talk->shape.destination;
	}
	talk->inner_length = inner_udp(&from, &to, &talk->seed, size, talk->inner);
	CU_ASSERT_EQUAL_FATAL(hk_eesp_new(&sa, crypto, &talk->name, &talk->keys, &error), 0);
	sealed = hk_eesp_seal(
		sa, &talk->shape, &numbers, talk->inner, talk->inner_length, talk->frame + 14, PACKET);
	CU_ASSERT_FATAL(sealed > 0);
	talk->length = frame_around(talk->frame, (__u32)sealed);
	hk_eesp_free(sa);
}

static inline unsigned host_open(struct talk *talk)
{
	static __u8 out[HK_OPEN_ROOM(PACKET)];
	struct hk_opened opened;
	struct hk_sealed sealed;
	unsigned refusal = hk_sealed_outer(talk->frame + 14, talk->length - 14, &sealed);

	if (!refusal)
		refusal = hk_eesp_host_open(talk->host, &sealed, out, &opened);

	if (!refusal) {
		CU_ASSERT_EQUAL(opened.length, talk->inner_length);
		CU_ASSERT_EQUAL(memcmp(opened.inner, talk->inner, talk->inner_length), 0);
	}
	return refusal;
}

/* The reason that box and parser give together. */
static inline unsigned box_reason(struct talk *talk)
{
	struct hk_frame frame = {.data = talk->frame, .length = talk->length};
	struct hk_fate fate;
	unsigned reason = hk_outer_parse(talk->box.outer, frame.data, frame.length, 0, &frame.meta);

	if (reason != HK_REASON_TO_WORKER)
		return reason;
	hk_pipeline_run(talk->box.pipeline, talk->box.inspection, &frame, 1, talk->box.now_ns, &fate);
	return fate.reason;
}

static inline void expect_opened(struct talk *talk, unsigned auth)
{
	struct hk_fate fate = box_run(&talk->box, talk->frame, talk->length);

	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.auth, auth);
	CU_ASSERT_EQUAL_FATAL(fate.opened, 1);
	CU_ASSERT_EQUAL(fate.inner_length, talk->inner_length);
	CU_ASSERT_EQUAL(memcmp(fate.inner, talk->inner, talk->inner_length), 0);
}

#define DERIVED(...)                                                                                \
	(struct hk_eesp_name)                                                                       \
	{                                                                                           \
		.derived = true, .spi = SPI, .mkid = 42, .context = 0x0123456789abcdef, .epoch = 5, \
		__VA_ARGS__                                                                         \
	}

static const struct hk_eesp_name kinds[] = {
	{.envelope = HK_ENVELOPE_EESP, .spi = SPI, .sn = true, .iv = true, .split = true},
	{.envelope = HK_ENVELOPE_EESP, .spi = SPI, .sn = true, .iv = true},
	{.envelope = HK_ENVELOPE_EESP, .spi = 300, .iv = true, .split = true},
	{.envelope = HK_ENVELOPE_EESP, .spi = 301, .sn = true},
	{.envelope = HK_ENVELOPE_EESP,
		.spi = SPI,
		.derived = true,
		.mkid = 42,
		.context = 7,
		.epoch = 1,
		.split = true},
	{.envelope = HK_ENVELOPE_EESP,
		.spi = SPI,
		.derived = true,
		.mkid = 0xfffffffe,
		.slot = 3,
		.context = 7,
		.epoch = 9},
	{.envelope = HK_ENVELOPE_EESP,
		.spi = SPI,
		.derived = true,
		.mkid = 1,
		.context = 7,
		.epoch = 1,
		.split = true,
		.reader = true},
	{.envelope = HK_ENVELOPE_WESP,
		.spi = SPI,
		.derived = true,
		.mkid = 42,
		.slot = 1,
		.context = 7,
		.epoch = 1,
		.split = true},
	{.envelope = HK_ENVELOPE_WESP, .spi = SPI, .derived = true, .mkid = 42, .context = 7, .epoch = 1},
	{.envelope = HK_ENVELOPE_WESP,
		.spi = SPI,
		.derived = true,
		.mkid = 42,
		.context = 7,
		.epoch = 1,
		.split = true,
		.reader = true},
};

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * EESP and WESP: what the seal side makes is what the vectors say, what it makes
 * at random opens in the box with each backend and at the receiving host, and
 * whatever is cut, changed or forged is refused for its own reason.
 */
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

static void name_keys(struct talk *talk)
{
	talk->keys = (struct hk_eesp_keys){.enc = talk->enc,
		.auth = talk->name.split ? talk->auth : NULL,
		.reader = talk->name.reader ? talk->reader : NULL};
}

/* The box's key file: its side alone, the reader key when the test wants it there. */
static void box_keys(const struct talk *talk, bool with_reader, char *text, size_t room)
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

static void talk_start(
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

static void talk_end(struct talk *talk)
{
	hk_eesp_host_free(talk->host);
	box_free(&talk->box);
}

/* Seals an inner UDP packet with `number` as SN and IV into talk->frame. */
static void talk_seal(struct talk *talk, __u64 number, __u32 size)
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

static unsigned host_open(struct talk *talk)
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
static unsigned box_reason(struct talk *talk)
{
	struct hk_frame frame = {.data = talk->frame, .length = talk->length};
	struct hk_fate fate;
	unsigned reason = hk_outer_parse(talk->box.outer, frame.data, frame.length, 0, &frame.meta);

	if (reason != HK_REASON_TO_WORKER)
		return reason;
	hk_pipeline_run(talk->box.pipeline, talk->box.inspection, &frame, 1, talk->box.now_ns, &fate);
	return fate.reason;
}

static void expect_opened(struct talk *talk, unsigned auth)
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

/* --- vectors --- */

static void vector_sealed(const json_t *vector)
{
	const char *title = json_string_value(json_object_get(vector, "name"));
	bool wesp = strncmp(title, "wesp", 4) == 0, sub = strstr(title, "sub-sa") != NULL;
	struct hk_eesp_name name = DERIVED(.sn = true, .iv = true, .split = strstr(title, "split") != NULL);
	struct hk_eesp_shape shape = {.protocol = wesp ? 141 : 17};
	struct hk_eesp_numbers numbers = {1, 1};
	__u8 outer[512], inner[256], out[512], enc[32], auth[32];
	size_t outer_size = vector_bytes(vector, "outer_ip", outer, sizeof(outer));
	size_t inner_size = vector_bytes(vector, "inner_ip", inner, sizeof(inner));
	struct hk_eesp_keys keys = {.enc = enc, .auth = name.split ? auth : NULL};
	struct hk_error error = {{0}};
	struct hk_eesp *sa = NULL;

	name.envelope = wesp ? HK_ENVELOPE_WESP : HK_ENVELOPE_EESP;
	name.derived = !sub;
	name.session = sub ? 7 : 0;
	name.spi = wesp ? 0x40ffee01 : SPI;
	vector_bytes(vector, !sub ? "mk_e" : name.split ? "root_e" : "root", enc, 32);
	if (name.split)
		vector_bytes(vector, sub ? "root_a" : "mk_a", auth, 32);
	if (sub && !name.split)
		numbers = (struct hk_eesp_numbers){2, 2};
	shape.pad = outer[0] >> 4 == 6;
	shape.source = shape.pad ? hk_address_v6(outer + 8) : hk_address_v4(outer + 12);
	shape.destination = shape.pad ? hk_address_v6(outer + 24) : hk_address_v4(outer + 16);
	CU_ASSERT_EQUAL_FATAL(hk_eesp_new(&sa, crypto, &name, &keys, &error), 0);
	CU_ASSERT_EQUAL(hk_eesp_seal(sa, &shape, &numbers, inner, (__u32)inner_size, out, sizeof(out)),
		(int)outer_size);
	CU_ASSERT_EQUAL(memcmp(out + (shape.pad ? 40 : 28), outer + (shape.pad ? 40 : 28),
				outer_size - (shape.pad ? 40 : 28)),
		0);
	hk_eesp_free(sa);
}

static void vectors_are_sealed(void)
{
	json_t *vectors = load_vectors("packets.json"), *vector;
	unsigned count = 0;
	size_t i;

	json_array_foreach(vectors, i, vector)
	{
		const char *name = json_string_value(json_object_get(vector, "name"));

		if (strncmp(name, "eesp-", 5) != 0 && strncmp(name, "wesp-", 5) != 0)
			continue;
		vector_sealed(vector);
		count++;
	}
	CU_ASSERT_EQUAL(count, 5);
	json_decref(vectors);
}

/* --- round trips --- */

/* Options that nobody must trip over: Pad1, PadN, unknown, private of somebody else. */
static const __u8 odd_options[] = {0, 0, 1, 3, 9, 9, 9, 77, 2, 1, 2, 224, 0, 255, 1, 0xaa, 0};

static void shape_draw(struct talk *talk)
{
	struct hk_eesp_shape *shape = &talk->shape;
	bool wesp = talk->name.envelope == HK_ENVELOPE_WESP;
	static const __u8 padding[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

	shape->protocol = random_next(&talk->seed) & 1 ? 17 : wesp ? 141 : 253;
	shape->pad = random_next(&talk->seed) & 1;
	shape->offset_size = (__u8)(random_next(&talk->seed) % 3 * 2);
	shape->crypt_offset = shape->offset_size ? (__u8)(random_next(&talk->seed) % 8) : 0;
	shape->options = random_next(&talk->seed) & 1 ? odd_options : NULL;
	shape->options_size = sizeof(odd_options);
	shape->padding = padding;
	shape->padding_size = (__u8)(random_next(&talk->seed) % 17);
}

static void round_trip(const struct hk_eesp_name *base, const char *backend, unsigned packets)
{
	unsigned auth = base->reader ? HK_AUTH_READER : base->split ? HK_AUTH_NONE : HK_AUTH_VERIFIED;
	struct talk talk;
	unsigned i;

	talk_start(&talk, base, backend, base->reader);
	for (i = 0; i < packets; i++) {
		talk.name.session =
			base->envelope == HK_ENVELOPE_EESP ? (__u16)(random_next(&talk.seed) % 3) : 0;
		talk.name.context = base->derived ? base->context + random_next(&talk.seed) % 4 : 0;
		if (base->derived && base->envelope == HK_ENVELOPE_EESP) {
			talk.name.sn = random_next(&talk.seed) & 1;
			talk.name.iv = !talk.name.sn || random_next(&talk.seed) & 1;
		}
		if (!base->derived || base->envelope == HK_ENVELOPE_EESP)
			talk.name.transport = random_next(&talk.seed) & 1;
		shape_draw(&talk);
		talk_seal(&talk, 100 + i, 40 + (__u32)(random_next(&talk.seed) % 1200));
		expect_opened(&talk, auth);
		CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	}
	talk_end(&talk);
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

static void round_trips(const char *backend)
{
	struct hk_crypto *probe = hk_crypto_new(backend);
	unsigned i;

	if (!probe) {
		skip_test("this CPU does not run the backend");
		return;
	}
	hk_crypto_free(probe);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		round_trip(&kinds[i], backend, 300);
}

static void through_ipsec_mb(void)
{
	round_trips("ipsec-mb");
}

static void through_libcrypto(void)
{
	round_trips("libcrypto");
}

/* 64 packets of different sub-SAs and contexts in one batch: each gets its own key. */
static void one_batch(void)
{
	static struct talk talks[2];
	static __u8 frames[64][2048], inners[64][256];
	struct hk_frame batch[64];
	struct hk_fate fates[64];
	__u32 lengths[64];
	unsigned i, t;

	for (t = 0; t < 2; t++) {
		talk_start(&talks[t], &kinds[t ? 6 : 0], NULL, true);
		for (i = 0; i < 64; i++) {
			talks[t].name.session = (__u16)i;
			talks[t].name.context = i;
			if (t)
				talks[t].name.sn = true;
			talk_seal(&talks[t], i + 1, 100);
			memcpy(frames[i], talks[t].frame, talks[t].length);
			memcpy(inners[i], talks[t].inner, talks[t].inner_length);
			lengths[i] = talks[t].length;
			batch[i] = (struct hk_frame){.data = frames[i], .length = lengths[i]};
		}
		box_run_frames(&talks[t].box, batch, 64, fates);
		for (i = 0; i < 64; i++) {
			CU_ASSERT_EQUAL(fates[i].reason, HK_REASON_OK);
			CU_ASSERT_EQUAL(fates[i].auth, t ? HK_AUTH_READER : HK_AUTH_NONE);
			CU_ASSERT_TRUE(
				fates[i].opened && !memcmp(fates[i].inner, inners[i], fates[i].inner_length));
		}
		talk_end(&talks[t]);
	}
}

/* --- broken packets --- */

/* Sets the IPv4 length (and UDP's) so that only the envelope is short. */
static void cut_to(struct talk *talk, __u32 length)
{
	__u32 ip = length - 14;

	talk->length = length;
	talk->frame[14 + 2] = (__u8)(ip >> 8), talk->frame[14 + 3] = (__u8)ip;
	if (talk->frame[14 + 9] == 17)
		talk->frame[14 + 24] = (__u8)((ip - 20) >> 8), talk->frame[14 + 25] = (__u8)(ip - 20);
}

static void cut_anywhere(void)
{
	struct talk talk;
	unsigned i, reason, udp;
	__u32 full, at;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (udp = 0; udp < 2; udp++) {
			talk_start(&talk, &kinds[i], NULL, true);
			if (kinds[i].derived && kinds[i].envelope == HK_ENVELOPE_EESP)
				talk.name.sn = true;
			talk.shape.protocol = udp ? 17 : kinds[i].envelope == HK_ENVELOPE_WESP ? 141 : 253;
			talk_seal(&talk, 1, 64);
			full = talk.length;
			for (at = full - 1; at > 14 + 28; at--) {
				cut_to(&talk, at);
				reason = box_reason(&talk);
				CU_ASSERT_PTR_NOT_NULL(hk_reason_name(reason));
				if (!kinds[i].split)
					CU_ASSERT_NOT_EQUAL(reason, HK_REASON_OK);
				CU_ASSERT_NOT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
			}
			talk_end(&talk);
		}
}

/* Every byte of envelope and ciphertext, every bit: `single` opens none of them, the host neither. */
static void change_anywhere(void)
{
	struct talk talk;
	unsigned i, bit;
	__u32 at;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		talk_start(&talk, &kinds[i], NULL, true);
		if (kinds[i].derived && kinds[i].envelope == HK_ENVELOPE_EESP)
			talk.name.sn = true;
		talk_seal(&talk, 1, 30);
		for (at = 14 + 28 + (kinds[i].envelope == HK_ENVELOPE_WESP ? 4 : 0); at < talk.length; at++)
			for (bit = 0; bit < 8; bit++) {
				talk.frame[at] ^= (__u8)(1 << bit);
				CU_ASSERT_TRUE(box_reason(&talk) != HK_REASON_OK || kinds[i].split);
				CU_ASSERT_NOT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
				talk.frame[at] ^= (__u8)(1 << bit);
			}
		CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
		talk_end(&talk);
	}
}

struct damage {
	unsigned at, value, reason;
};

/* Offsets count from the envelope's first byte. */
static void damaged(const struct hk_eesp_name *name, const struct damage *damage, unsigned count)
{
	struct talk talk;
	unsigned i;
	__u8 was;

	talk_start(&talk, name, NULL, true);
	talk.shape.protocol = name->envelope == HK_ENVELOPE_WESP ? 141 : 253;
	for (i = 0; i < count; i++) {
		talk_seal(&talk, i + 1, 60);
		was = talk.frame[14 + 20 + damage[i].at];
		talk.frame[14 + 20 + damage[i].at] = (__u8)damage[i].value;
		if (box_reason(&talk) != damage[i].reason)
			printf("# byte %u = 0x%02x (was 0x%02x): %s, not %s\n", damage[i].at, damage[i].value,
				was, hk_reason_name(box_reason(&talk)), hk_reason_name(damage[i].reason));
		CU_ASSERT_EQUAL(box_reason(&talk), damage[i].reason);
	}
	talk_end(&talk);
}

static void contexts_are_checked(void)
{
	static const struct damage eesp[] = {
		{9, 21, HK_REASON_DKC_LENGTH},
		{9, 200, HK_REASON_EESP_OPTION},
		{10, 0x00, HK_REASON_DKC_KDF},
		{10, 0x02, HK_REASON_DKC_KDF},
		{10, 0x0f, HK_REASON_DKC_KDF},
		{10, 0x11, HK_REASON_DKC_CARRIER},
		{10, 0x31, HK_REASON_DKC_CARRIER},
		{11, 0xf1, HK_REASON_DKC_RESERVED},
		{11, 0x30, HK_REASON_DKC_RESERVED},
		{11, 0xe0, HK_REASON_PROFILE_MISMATCH},
		{11, 0xf2, HK_REASON_NO_KEY},
		{15, 43, HK_REASON_NO_KEY},
		{23, 9, HK_REASON_WRONG_KCV},
		{27, 6, HK_REASON_WRONG_KCV},
		{31, 0xff, HK_REASON_WRONG_KCV},
		{3, 1, HK_REASON_WRONG_KCV},
	};
	static const struct damage wesp[] = {
		{4, 0x12, HK_REASON_DKC_KDF},
		{4, 0x01, HK_REASON_DKC_CARRIER},
		{5, 0x51, HK_REASON_DKC_RESERVED},
		{5, 0xd0, HK_REASON_DKC_RESERVED},
		{5, 0x70, HK_REASON_DKC_RESERVED},
		{5, 0x10, HK_REASON_DKC_RESERVED},
		{5, 0x40, HK_REASON_PROFILE_MISMATCH},
		{6, 1, HK_REASON_WESP_RESERVED},
		{7, 1, HK_REASON_WESP_RESERVED},
		{11, 43, HK_REASON_NO_KEY},
		{27, 0xff, HK_REASON_WRONG_KCV},
		{31, 2, HK_REASON_WRONG_KCV},
	};

	damaged(&DERIVED(.envelope = HK_ENVELOPE_EESP, .sn = true, .iv = true, .split = true), eesp,
		sizeof(eesp) / sizeof(eesp[0]));
	damaged(&DERIVED(.envelope = HK_ENVELOPE_WESP, .split = true), wesp, sizeof(wesp) / sizeof(wesp[0]));
}

static void options_are_checked(void)
{
	static const struct {
		__u8 bytes[8];
		__u8 size;
		unsigned reason;
	} cases[] = {
		{{1}, 1, HK_REASON_EESP_OPTION},
		{{1, 1}, 2, HK_REASON_EESP_OPTION},
		{{99, 5, 0, 0, 0}, 5, HK_REASON_EESP_OPTION},
		{{2, 3, 0, 0, 0}, 5, HK_REASON_EESP_OFFSET},
		{{2, 0}, 2, HK_REASON_EESP_OFFSET},
		{{2, 2, 63, 0}, 4, HK_REASON_EESP_OFFSET},
		{{2, 2, 0, 0, 2, 2, 0, 0}, 8, HK_REASON_EESP_OPTION},
		{{0xe0, 2, 0, 0}, 4, HK_REASON_DKC_LENGTH},
		{{0, 0xe0, 2, 0, 0}, 5, HK_REASON_OK},
		{{2, 4, 1, 0, 0, 0}, 6, HK_REASON_IMPLAUSIBLE},
		{{0, 0, 0}, 3, HK_REASON_OK},
		{{2, 2, 0xc0, 0xff}, 4, HK_REASON_OK},
	};
	struct talk talk;
	unsigned i, reason;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		talk_start(&talk, &kinds[0], NULL, false);
		talk.shape.options = cases[i].bytes;
		talk.shape.options_size = cases[i].size;
		talk_seal(&talk, 1, 60);
		reason = box_reason(&talk);
		if (reason != cases[i].reason)
			printf("# case %u: %s\n", i, hk_reason_name(reason));
		CU_ASSERT_EQUAL(reason, cases[i].reason);
		talk_end(&talk);
	}
}

static void other_keys(void)
{
	struct talk talk;

	talk_start(&talk, &kinds[0], NULL, false);
	talk.name.spi++;
	talk_seal(&talk, 1, 60);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_NO_KEY);
	talk.name = DERIVED(.envelope = HK_ENVELOPE_EESP, .sn = true, .split = true);
	talk_seal(&talk, 1, 60);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_NO_KEY);
	talk_end(&talk);
	/* a sub-SA's packet where the domain has master keys alone */
	talk_start(&talk, &kinds[4], NULL, false);
	talk.name = kinds[0];
	talk_seal(&talk, 1, 60);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_NO_KEY);
	talk_end(&talk);
}

/* --- reader tags --- */

static void reader_tags(void)
{
	struct talk talk;

	/* without the reader key: opened, unauthenticated */
	talk_start(&talk, &kinds[6], NULL, false);
	talk.name.sn = true;
	talk_seal(&talk, 1, 60);
	expect_opened(&talk, HK_AUTH_NONE);
	talk_end(&talk);
	/* with it, each bit of tag and ciphertext counts */
	talk_start(&talk, &kinds[9], NULL, true);
	talk_seal(&talk, 1, 60);
	expect_opened(&talk, HK_AUTH_READER);
	talk.frame[talk.length - 17] ^= 1;
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_READER_TAG);
	talk.frame[talk.length - 17] ^= 1;
	talk.frame[talk.length - 40] ^= 1;
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_READER_TAG);
	talk.frame[talk.length - 40] ^= 1;
	talk.frame[talk.length - 1] ^= 1; /* the ICV is not the reader's */
	expect_opened(&talk, HK_AUTH_READER);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	talk_end(&talk);
}

/* --- WESP around ESP-NULL --- */

static __u32 make_null(struct talk *talk, __u8 next_header, __u8 trailer, __u8 icv)
{
	struct hk_address from = address("10.1.0.1"), to = address("10.2.0.1");
	__u8 packet[512] = {4, 12, icv, 0, 0, 0, 1, 0, 0, 0, 0, 1};
	struct hk_address source = address("192.0.2.1"), destination = address("192.0.2.9");
	__u32 length;

	talk->inner_length = inner_udp(&from, &to, &talk->seed, 50, talk->inner);
	packet[0] = next_header;
	memcpy(packet + 12, talk->inner, talk->inner_length);
	length = 12 + talk->inner_length;
	packet[length] = 1, packet[length + 1] = 1, packet[length + 2] = trailer;
	length += 3u + icv;
	return frame_around(talk->frame, (__u32)hk_outer_build(&source, &destination, 141, 0, 0, packet,
						 length, talk->frame + 14, PACKET));
}

static void esp_null(void)
{
	struct talk talk;

	talk_start(&talk, &kinds[7], NULL, false);
	talk.length = make_null(&talk, 4, 4, 16);
	expect_opened(&talk, HK_AUTH_NONE);
	expect_opened(&talk, HK_AUTH_NONE); /* no nonce that could repeat */
	CU_ASSERT_EQUAL(talk.box.counts.nonce_repeats, 0);
	talk.length = make_null(&talk, 4, 4, 0);
	expect_opened(&talk, HK_AUTH_NONE);
	talk.length = make_null(&talk, 4, 41, 12);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_WESP_NEXT_HEADER);
	talk.length = make_null(&talk, 59, 59, 16);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_DUMMY);
	talk.length = make_null(&talk, 4, 4, 16);
	talk.frame[14 + 20 + 3] = 0x20;
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_WESP_ENCRYPTED);
	talk_end(&talk);
	/* `single` promises what is verified, which nobody but the ends can */
	talk_start(&talk, &kinds[8], NULL, false);
	talk.length = make_null(&talk, 4, 4, 16);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_UNVERIFIABLE);
	talk_end(&talk);
}

/* --- the receiving host --- */

static void hosts_refuse(void)
{
	struct talk talk;

	talk_start(&talk, &kinds[4], NULL, false);
	talk.name.sn = true;
	talk_seal(&talk, 10, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_REPLAY);
	talk.name.epoch = 2; /* the sender restarted: its numbers begin anew */
	talk_seal(&talk, 10, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	talk.name.epoch = 1;
	talk_seal(&talk, 11, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_REPLAY);
	talk.name.epoch = 2;
	talk.shape.destination = address("192.0.2.10");
	talk_seal(&talk, 12, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NOT_OURS);
	talk_end(&talk);
}

/*
 * The forger is the box: it has MK_e (and MK_r, when it reads). Whatever it
 * makes of them, the host takes none of it.
 */
static void forge(const struct hk_eesp_name *name)
{
	struct hk_eesp_keys honest;
	struct talk talk;

	talk_start(&talk, name, NULL, true);
	if (name->derived && name->envelope == HK_ENVELOPE_EESP)
		talk.name.sn = true;
	honest = talk.keys;
	/* one key for both, as a lazy host would take it */
	talk.name.split = talk.name.reader = false;
	talk.keys = (struct hk_eesp_keys){.enc = talk.enc};
	talk_seal(&talk, 50, 60);
	CU_ASSERT_EQUAL(host_open(&talk), name->derived ? HK_REFUSAL_DOWNGRADE : HK_REFUSAL_BAD_ICV);
	/* the encryption side in the place of the authentication side, and the reader's */
	talk.name.split = true;
	talk.name.reader = name->reader;
	talk.keys = (struct hk_eesp_keys){.enc = talk.enc, .auth = talk.enc, .reader = talk.reader};
	talk_seal(&talk, 51, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	talk.keys.auth = talk.reader;
	talk_seal(&talk, 52, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	/* what it holds off the wire, with a bit of the plaintext turned; then the real one still counts */
	talk.keys = honest;
	talk_seal(&talk, 53, 60);
	talk.frame[talk.length - 40] ^= 1;
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	talk.frame[talk.length - 40] ^= 1;
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	talk_end(&talk);
}

static void forgers_fail(void)
{
	unsigned i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].split)
			forge(&kinds[i]);
}

/* XDP tells EESP from ESP by the first bit alone: an ESP key that could be in between is refused. */
static void ambiguous_spis(void)
{
	static const char *const keys[] = {
		"receiver=192.0.2.9 spi=0x80000100 suite=ctr-hmac side=enc salt=01020304 key="
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
		"receiver=192.0.2.9 spi=0x7f000100 suite=ctr-hmac side=enc salt=01020304 key="
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
	};
	struct box box;
	unsigned i;

	for (i = 0; i < 2; i++) {
		box_init(&box);
		box_domain(&box, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, keys[i])->config =
			&box.config;
		box_domain(&box, HK_ENVELOPE_EESP, HK_PROFILE_SPLIT, 0, "# none\n")->config = &box.config;
		CU_ASSERT_EQUAL(box_build(&box, NULL, 2048, 0) == 0, i == 1);
		if (!i)
			CU_ASSERT_PTR_NOT_NULL(strstr(box.error.text, "would be read as EESP"));
		box_free(&box);
	}
}

static void names_are_checked(void)
{
	__u8 key[32] = {1}, other[32] = {2}, room[256];
	struct hk_eesp_keys both = {key, other, NULL}, one = {key, NULL, NULL};
	struct hk_eesp_name reads = kinds[6];
	struct hk_error error;
	struct hk_eesp *sa = NULL;

	reads.sn = true;
	CU_ASSERT_NOT_EQUAL(hk_eesp_new(&sa, crypto, &kinds[0], &one, &error), 0);
	CU_ASSERT_NOT_EQUAL(hk_eesp_new(&sa, crypto, &kinds[1], &both, &error), 0);
	CU_ASSERT_EQUAL_FATAL(
		hk_eesp_new(&sa, crypto, &reads, &both, &error), 0); /* no reader key: opens only */
	CU_ASSERT_EQUAL(hk_eesp_seal(sa, &(struct hk_eesp_shape){0}, &(struct hk_eesp_numbers){0}, key, 32,
				room, sizeof(room)),
		-EPERM);
	hk_eesp_free(sa);
	sa = NULL;
	CU_ASSERT_NOT_EQUAL(
		hk_eesp_new(&sa, crypto, &DERIVED(.envelope = HK_ENVELOPE_EESP), &one, &error), 0);
	CU_ASSERT_NOT_EQUAL(
		hk_eesp_new(&sa, crypto,
			&(struct hk_eesp_name){.envelope = HK_ENVELOPE_WESP, .derived = true, .spi = 255},
			&one, &error),
		0);
	CU_ASSERT_NOT_EQUAL(
		hk_eesp_new(&sa, crypto,
			&(struct hk_eesp_name){.envelope = HK_ENVELOPE_WESP, .spi = 300, .iv = true}, &one,
			&error),
		0);
}

int main(void)
{
	static const struct test tests[] = {
		{"the seal side makes the vectors", vectors_are_sealed},
		{"3000 packets, host to box (ipsec-mb) to host", through_ipsec_mb},
		{"3000 packets, host to box (libcrypto) to host", through_libcrypto},
		{"64 sub-SAs and contexts in one batch", one_batch},
		{"cut at every byte", cut_anywhere},
		{"every bit changed", change_anywhere},
		{"contexts: every field has its reason", contexts_are_checked},
		{"EESP options", options_are_checked},
		{"keys of somebody else", other_keys},
		{"reader tags", reader_tags},
		{"WESP around ESP-NULL", esp_null},
		{"hosts: replay, epochs, receivers", hosts_refuse},
		{"forgers with the box's keys fail", forgers_fail},
		{"ESP keys that EESP would hide", ambiguous_spis},
		{"names that cannot be sealed", names_are_checked},
		{0},
	};
	int status;

	crypto = hk_crypto_new("libcrypto");
	if (!crypto)
		return 2;
	status = run_tests("eesp", tests);
	hk_crypto_free(crypto);
	return status;
}

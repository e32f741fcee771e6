// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DTLS records: seeded datagrams of one to sixteen records go from the seal
 * side through the box (both backends, both profiles) and to the receiving
 * host; every refusal, every truncation and every bit of a record's header has
 * its reason; and whoever holds the box's keys forges nothing.
 */
#include "tests/unit/box_help.h"
#include "user/crypto/kdf.h"
#include "user/endpoint/seal_dtls.h"
#include "user/keys/update.h"

#define PORT	4433
#define MKID	0x1234
#define HEADERS 42 /* Ethernet, IPv4, UDP */
#define RECORD	25 /* a record's header */

static struct hk_crypto *crypto;
static const __u8 *const nothing = (const __u8 *)"";

struct scene {
	struct box box;
	struct master master;
	bool split;
};

static void scene_init(struct scene *scene, const char *backend, bool split, __u64 seed)
{
	char keys[512] = "", front[128];
	struct hk_domain_config *domain;

	memset(scene, 0, sizeof(*scene));
	scene->split = split;
	master_random(&scene->master, &seed);
	snprintf(front, sizeof(front), "slot=0 generation=1 id=%u side=%s", MKID, split ? "enc" : "single");
	key_line(keys, sizeof(keys), front, scene->master.enc);
	box_init(&scene->box);
	domain = box_domain(
		&scene->box, HK_ENVELOPE_DTLS, split ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE, 0, keys);
	domain->carrier = PORT;
	CU_ASSERT_EQUAL_FATAL(box_build(&scene->box, backend, BOX_FRAME, 0), 0);
}

static struct hk_dtls *writer(const struct scene *scene, const struct hk_dtls_name *name)
{
	struct hk_error error = {{0}};
	struct hk_dtls *dtls = NULL;

	hk_dtls_new(&dtls, crypto, name, &scene->master.enc_key, name->split ? &scene->master.auth_key : NULL,
		&error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dtls);
	return dtls;
}

static struct hk_dtls_name name_of(const struct scene *scene, __u64 context, bool server)
{
	return (struct hk_dtls_name){
		.context = context, .mkid = MKID, .epoch = 1, .server = server, .split = scene->split};
}

/* A frame around `length` bytes of UDP payload at frame + HEADERS. */
static __u32 wrap(__u8 *frame, __u32 length, bool to_server)
{
	struct hk_address from = address("192.0.2.1"), to = address("192.0.2.9");
	__u8 payload[BOX_FRAME];
	int size;

	memcpy(payload, frame + HEADERS, length);
	size = hk_outer_build(&from, &to, IPPROTO_UDP, to_server ? 40000 : PORT, to_server ? PORT : 40000,
		payload, length, frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	return frame_around(frame, (__u32)size);
}

static unsigned run_reason(struct scene *scene, const __u8 *frame, __u32 length, struct hk_fate *fate)
{
	struct hk_frame one = {.data = frame, .length = length};
	unsigned reason = hk_outer_parse(scene->box.outer, frame, length, 0, &one.meta);

	memset(fate, 0, sizeof(*fate));
	if (reason != HK_REASON_TO_WORKER)
		return reason;
	hk_pipeline_run(scene->box.pipeline, scene->box.inspection, &one, 1, scene->box.now_ns, fate);
	return fate->reason;
}

static unsigned run_payload(struct scene *scene, const __u8 *payload, __u32 length, struct hk_fate *fate)
{
	static __u8 frame[BOX_FRAME];

	memcpy(frame + HEADERS, payload, length);
	return run_reason(scene, frame, wrap(frame, length, true), fate);
}

/* --- known answer, computed apart from this code with another library ------------------------- */

static void known(const struct hk_dtls_name *name, unsigned zeros, const char *expected)
{
	__u8 record[128], key[32], auth[32], wanted[128];
	struct hk_kdf_key enc_key, auth_key;
	struct hk_error error = {{0}};
	struct hk_dtls *dtls = NULL;
	unsigned i;
	int size;

	for (i = 0; i < 32; i++) {
		key[i] = (__u8)i;
		auth[i] = (__u8)(32 + i);
	}
	CU_ASSERT_EQUAL_FATAL(hk_kdf_key_init(&enc_key, key) || hk_kdf_key_init(&auth_key, auth), 0);
	CU_ASSERT_EQUAL_FATAL(
		hk_dtls_new(&dtls, crypto, name, &enc_key, name->split ? &auth_key : NULL, &error), 0);
	size = hk_dtls_seal(dtls, 23, (const __u8 *)"hello", 5, zeros, record, sizeof(record));
	CU_ASSERT_EQUAL_FATAL((size_t)size, strlen(expected) / 2);
	CU_ASSERT_EQUAL_FATAL(hk_hex_parse(expected, strlen(expected), wanted, (size_t)size), 0);
	CU_ASSERT_EQUAL(memcmp(record, wanted, (size_t)size), 0);
	hk_dtls_free(dtls);
}

static void known_answers(void)
{
	struct hk_dtls_name name = {.context = 0x1122334455667788ull, .mkid = 0x0102, .epoch = 1};

	known(&name, 2,
		"19fefd0001000000000000d1000102112233445566778800200001000000000000627a4d2e4b3ad61b56abaa2cee"
		"346c94609205c1155886fd");
	name.split = true;
	known(&name, 2,
		"19fefd0001000000000000d1020102112233445566778800200001000000000000b9126032d8c3f65b4588b0764f"
		"1c3342c0f0aaeca502572b");
	name.server = true;
	name.epoch = 0xfffe;
	known(&name, 0,
		"19fefdfffe000000000000d10301021122334455667788001efffe00000000000091c8c5a20f4dc4be2e0440d1fa"
		"bc123a87806e4f1b2c");
}

/* --- round trips ------------------------------------------------------------------------------ */

static void check_host(const struct scene *scene, const struct hk_dtls_name *name, const __u8 *datagram,
	__u32 length, const __u8 *data, __u32 data_length)
{
	struct hk_dtls *reader = writer(scene, name);
	struct hk_dtls_opened opened;
	__u8 out[BOX_FRAME], joined[BOX_FRAME];
	__u32 at, got = 0;

	for (at = 0; at < length; at += opened.size) {
		CU_ASSERT_EQUAL_FATAL(
			hk_dtls_open(reader, datagram + at, length - at, out, &opened), HK_REFUSAL_NONE);
		if (opened.type == 23) {
			memcpy(joined + got, opened.content, opened.length);
			got += opened.length;
		}
		CU_ASSERT_EQUAL(
			hk_dtls_open(reader, datagram + at, length - at, out, &opened), HK_REFUSAL_REPLAY);
	}
	CU_ASSERT_EQUAL(got, data_length);
	CU_ASSERT_EQUAL(memcmp(joined, data, got), 0);
	hk_dtls_free(reader);
}

static void one_datagram(struct scene *scene, __u64 *seed)
{
	struct hk_dtls_name name = name_of(scene, random_next(seed), random_next(seed) & 1);
	unsigned records = 1 + (unsigned)(random_next(seed) % 16), i;
	__u8 frame[BOX_FRAME], before[BOX_FRAME], data[BOX_FRAME], content[64];
	__u32 at = 0, data_length = 0, size, frame_length;
	struct hk_dtls *dtls;
	struct hk_fate fate;
	int sealed;
	bool any = false;

	name.epoch = (__u16)(1 + random_next(seed) % 65535);
	dtls = writer(scene, &name);
	for (i = 0; i < records; i++) {
		__u8 type = random_next(seed) % 4 ? 23 : 22;

		size = (__u32)(random_next(seed) % sizeof(content));
		random_fill(seed, content, size);
		sealed = hk_dtls_seal(dtls, type, content, size, random_next(seed) % 3, frame + HEADERS + at,
			BOX_FRAME - HEADERS - at);
		CU_ASSERT_FATAL(sealed > 0);
		at += (__u32)sealed;
		if (type != 23)
			continue;
		any = true;
		memcpy(data + data_length, content, size);
		data_length += size;
	}
	hk_dtls_free(dtls);
	frame_length = wrap(frame, at, !name.server);
	memcpy(before, frame, frame_length);
	CU_ASSERT_EQUAL(
		run_reason(scene, frame, frame_length, &fate), any ? HK_REASON_OK : HK_REASON_DTLS_CONTROL);
	CU_ASSERT_EQUAL(memcmp(frame, before, frame_length), 0);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
	check_host(scene, &name, frame + HEADERS, at, data, data_length);
	if (!any)
		return;
	CU_ASSERT_EQUAL(fate.opened, 1);
	CU_ASSERT_EQUAL(fate.not_ip, 1);
	CU_ASSERT_EQUAL(fate.auth, scene->split ? HK_AUTH_NONE : HK_AUTH_VERIFIED);
	CU_ASSERT_EQUAL_FATAL(fate.inner_length, data_length);
	CU_ASSERT_EQUAL(memcmp(fate.inner, data, data_length), 0);
}

static void round_trips(const char *backend)
{
	struct scene scene;
	__u64 seed = 77;
	unsigned split, i;

	if (!backend_or_skip(backend))
		return;
	for (split = 0; split < 2; split++) {
		scene_init(&scene, backend, split, 5 + split);
		for (i = 0; i < 1000; i++)
			one_datagram(&scene, &seed);
		box_free(&scene.box);
	}
}

static void through_ipsec_mb(void)
{
	round_trips("ipsec-mb");
}

static void through_libcrypto(void)
{
	round_trips("libcrypto");
}

/* --- refusals --------------------------------------------------------------------------------- */

struct datagram {
	__u8 bytes[1024];
	__u32 length;
};

static struct datagram sealed(struct scene *scene, unsigned records)
{
	struct hk_dtls_name name = name_of(scene, 0x0102030405060708ull, false);
	struct hk_dtls *dtls = writer(scene, &name);
	struct datagram datagram = {.length = 0};
	unsigned i;

	for (i = 0; i < records; i++) {
		int size = hk_dtls_seal(dtls, 23, (const __u8 *)"plain", 5, 0,
			datagram.bytes + datagram.length, sizeof(datagram.bytes) - datagram.length);

		CU_ASSERT_FATAL(size > 0);
		datagram.length += (__u32)size;
	}
	hk_dtls_free(dtls);
	return datagram;
}

static void every_truncation(void)
{
	struct datagram datagram;
	struct scene scene;
	struct hk_fate fate;
	unsigned split, reason;
	__u32 cut, one;

	for (split = 0; split < 2; split++) {
		scene_init(&scene, NULL, split, 11);
		datagram = sealed(&scene, 2);
		one = datagram.length / 2;
		for (cut = 0; cut < datagram.length; cut++) {
			reason = run_payload(&scene, datagram.bytes, cut, &fate);
			if (cut == one)
				CU_ASSERT_EQUAL(reason, HK_REASON_OK);
			if (cut % one < RECORD && cut != one)
				CU_ASSERT_EQUAL(reason, HK_REASON_DTLS_SHORT);
			if (cut % one >= RECORD)
				CU_ASSERT_EQUAL(reason, HK_REASON_DTLS_LENGTH);
			CU_ASSERT_EQUAL(fate.opened, cut == one);
		}
		box_free(&scene.box);
	}
}

static const struct refusal {
	unsigned at, value, reason;
} refusals[] = {
	{0, 23, HK_REASON_DTLS_NO_CID},
	{0, 24, HK_REASON_DTLS_NO_CID},
	{0, 26, HK_REASON_LEGACY},
	{0, 0, HK_REASON_LEGACY},
	{0, 0x80, HK_REASON_LEGACY},
	{0, 0x20, HK_REASON_DTLS_13},
	{0, 0x3f, HK_REASON_DTLS_13},
	{1, 0x03, HK_REASON_DTLS_VERSION},
	{2, 0xff, HK_REASON_DTLS_VERSION},
	{4, 0, HK_REASON_DTLS_EPOCH},
	{11, 0xd0, HK_REASON_DTLS_CID},
	{12, 0x04, HK_REASON_DTLS_FLAGS},
	{12, 0x80, HK_REASON_DTLS_FLAGS},
	{13, 0x99, HK_REASON_NO_KEY},
	{23, 0x01, HK_REASON_DTLS_LENGTH},
	{24, 24, HK_REASON_DTLS_LENGTH},
	{24, 0, HK_REASON_DTLS_LENGTH},
};

static void every_refusal(void)
{
	struct datagram good;
	struct scene scene;
	struct hk_fate fate;
	unsigned i;

	scene_init(&scene, NULL, true, 13);
	good = sealed(&scene, 1);
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct datagram bad = good;

		bad.bytes[refusals[i].at] = (__u8)refusals[i].value;
		CU_ASSERT_EQUAL(run_payload(&scene, bad.bytes, bad.length, &fate), refusals[i].reason);
		CU_ASSERT_EQUAL(fate.opened, 0);
	}
	good.bytes[12] ^= 2; /* the other profile's record */
	CU_ASSERT_EQUAL(run_payload(&scene, good.bytes, good.length, &fate), HK_REASON_PROFILE_MISMATCH);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
	box_free(&scene.box);
}

static void clear_records(void)
{
	static const __u8 hello[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
	struct datagram datagram = {.length = 0}, good;
	struct scene scene;
	struct hk_fate fate;
	unsigned i;

	scene_init(&scene, NULL, false, 17);
	CU_ASSERT_EQUAL(run_payload(&scene, hello, sizeof(hello), &fate), HK_REASON_DTLS_CONTROL);
	good = sealed(&scene, 1);
	memcpy(datagram.bytes, hello, sizeof(hello));
	memcpy(datagram.bytes + sizeof(hello), hello, sizeof(hello));
	CU_ASSERT_EQUAL(
		run_payload(&scene, datagram.bytes, 2 * sizeof(hello), &fate), HK_REASON_DTLS_CONTROL);
	memcpy(datagram.bytes + sizeof(hello), good.bytes, good.length);
	CU_ASSERT_EQUAL(
		run_payload(&scene, datagram.bytes, (__u32)sizeof(hello) + good.length, &fate), HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.inner_length, 5);
	for (i = 0; i < 17; i++)
		memcpy(datagram.bytes + i * sizeof(hello), hello, sizeof(hello));
	CU_ASSERT_EQUAL(
		run_payload(&scene, datagram.bytes, 16 * sizeof(hello), &fate), HK_REASON_DTLS_CONTROL);
	CU_ASSERT_EQUAL(
		run_payload(&scene, datagram.bytes, 17 * sizeof(hello), &fate), HK_REASON_DTLS_RECORDS);
	datagram.bytes[4] = 1; /* epoch 1 without a connection id */
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, sizeof(hello), &fate), HK_REASON_DTLS_NO_CID);
	datagram.bytes[4] = 0;
	datagram.bytes[12] = 5;
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, sizeof(hello), &fate), HK_REASON_DTLS_LENGTH);
	CU_ASSERT_EQUAL(run_payload(&scene, nothing, 0, &fate), HK_REASON_DTLS_SHORT);
	box_free(&scene.box);
}

/* `single`: no bit of a record can change unseen. `split`: nothing leaves with the wrong mark. */
static void every_bit(void)
{
	struct datagram good, bad;
	struct scene scene;
	struct hk_fate fate;
	unsigned bit, reason;

	scene_init(&scene, NULL, false, 19);
	good = sealed(&scene, 2);
	for (bit = 0; bit < good.length * 8; bit++) {
		bad = good;
		bad.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		reason = run_payload(&scene, bad.bytes, bad.length, &fate);
		CU_ASSERT_NOT_EQUAL(reason, HK_REASON_OK);
		CU_ASSERT_EQUAL(fate.opened, 0);
	}
	box_free(&scene.box);
	scene_init(&scene, NULL, true, 19);
	good = sealed(&scene, 1);
	for (bit = RECORD * 8; bit < good.length * 8; bit++) {
		bad = good;
		bad.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		reason = run_payload(&scene, bad.bytes, bad.length, &fate);
		CU_ASSERT(reason == HK_REASON_OK || reason == HK_REASON_DTLS_TYPE ||
			  reason == HK_REASON_DTLS_CONTROL);
		CU_ASSERT_EQUAL(fate.auth, HK_AUTH_NONE);
		CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS); /* no oracle */
	}
	box_free(&scene.box);
}

static void wrong_key(void)
{
	struct scene scene, other;
	struct datagram datagram;
	struct hk_fate fate;
	unsigned i, types = 0;
	__u64 seed = 23;

	scene_init(&scene, NULL, true, 29);
	scene_init(&other, NULL, true, 31);
	for (i = 0; i < 64; i++) {
		struct hk_dtls_name name = name_of(&scene, random_next(&seed), false);
		struct hk_dtls *dtls = writer(&other, &name);

		datagram.length = (__u32)hk_dtls_seal(
			dtls, 23, (const __u8 *)"x", 1, 0, datagram.bytes, sizeof(datagram.bytes));
		types += run_payload(&scene, datagram.bytes, datagram.length, &fate) == HK_REASON_DTLS_TYPE;
		hk_dtls_free(dtls);
	}
	CU_ASSERT(types > 48); /* 5 of 256 bytes are types, and a zero hides one */
	box_free(&scene.box);
	box_free(&other.box);
}

/* --- several records in a datagram, one of them wrong: one fate, one reason ------------------------ */

static const struct misfit {
	unsigned at, value; /* a byte of the misfit */
	unsigned reason[2]; /* in single, in split */
} misfits[] = {
	{0, 23, {HK_REASON_DTLS_NO_CID, HK_REASON_DTLS_NO_CID}},
	{0, 99, {HK_REASON_LEGACY, HK_REASON_LEGACY}}, {0, 0x2f, {HK_REASON_DTLS_13, HK_REASON_DTLS_13}},
	{1, 0xfd, {HK_REASON_DTLS_VERSION, HK_REASON_DTLS_VERSION}},
	{4, 0, {HK_REASON_DTLS_EPOCH, HK_REASON_DTLS_EPOCH}},
	{11, 0xd2, {HK_REASON_DTLS_CID, HK_REASON_DTLS_CID}},
	{12, 0x42, {HK_REASON_DTLS_FLAGS, HK_REASON_DTLS_FLAGS}},
	{13, 0x77, {HK_REASON_NO_KEY, HK_REASON_NO_KEY}},
	{23, 0xff, {HK_REASON_DTLS_LENGTH, HK_REASON_DTLS_LENGTH}},
	{40, 0x55, {HK_REASON_BAD_ICV, HK_REASON_OK}}, /* in split nobody can tell */
};

static void one_misfit(void)
{
	unsigned split, i, place, reason;
	struct datagram good, bad;
	struct scene scene;
	struct hk_fate fate;

	for (split = 0; split < 2; split++) {
		scene_init(&scene, NULL, split, 43);
		good = sealed(&scene, 3);
		for (i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++)
			for (place = 0; place < 3; place++) {
				bad = good;
				bad.bytes[place * good.length / 3 + misfits[i].at] = (__u8)misfits[i].value;
				reason = run_payload(&scene, bad.bytes, bad.length, &fate);
				if (misfits[i].at == 40 && split)
					continue; /* noise, perhaps of no type */
				CU_ASSERT_EQUAL(reason, misfits[i].reason[split]);
				CU_ASSERT_EQUAL(fate.opened, 0);
			}
		good.bytes[good.length / 3 + 12] ^= 2;
		CU_ASSERT_EQUAL(
			run_payload(&scene, good.bytes, good.length, &fate), HK_REASON_PROFILE_MISMATCH);
		box_free(&scene.box);
	}
}

/* Each bit of the flags that nobody defines, in the first record and behind others. */
static void reserved_flags(void)
{
	struct datagram good, bad;
	struct scene scene;
	struct hk_fate fate;
	unsigned bit, place;

	scene_init(&scene, NULL, true, 47);
	good = sealed(&scene, 2);
	for (bit = 2; bit < 8; bit++)
		for (place = 0; place < 2; place++) {
			bad = good;
			bad.bytes[place * good.length / 2 + 12] |= (__u8)(1 << bit);
			CU_ASSERT_EQUAL(
				run_payload(&scene, bad.bytes, bad.length, &fate), HK_REASON_DTLS_FLAGS);
		}
	box_free(&scene.box);
}

/* Hooks see a datagram's records as one payload, once, and their verdict is the datagram's. */
static void one_verdict(void)
{
	static const char rules[] =
		"rules:\n  - {match: {protocol: udp, destination-port: 4433}, action: drop}\n";
	struct datagram datagram;
	struct scene scene;
	struct hk_fate fate;

	scene_init(&scene, NULL, true, 53);
	hk_pipeline_free(scene.box.pipeline);
	hk_inspection_free(scene.box.inspection);
	hk_outer_free(scene.box.outer);
	box_firewall(&scene.box, rules);
	CU_ASSERT_EQUAL_FATAL(box_build(&scene.box, NULL, BOX_FRAME, 0), 0);
	datagram = sealed(&scene, 4);
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, datagram.length, &fate), HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
	CU_ASSERT_EQUAL(fate.inner_length, 20);
	CU_ASSERT_EQUAL(scene.box.counts.hook_drops[0], 1);
	/* what does not open is nothing for hooks */
	datagram.bytes[datagram.length / 2 + 13] ^= 1;
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, datagram.length, &fate), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(scene.box.counts.hook_drops[0], 1);
	box_free(&scene.box);
}

/* --- whoever holds the box's keys ------------------------------------------------------------- */

static void forger(void)
{
	struct hk_dtls *host, *forged;
	struct hk_dtls_opened opened;
	struct hk_error error = {{0}};
	struct hk_dtls_name name;
	struct scene scene;
	__u8 record[256], out[256];
	struct datagram good;
	unsigned bit;
	int size;

	scene_init(&scene, NULL, true, 37);
	name = name_of(&scene, 99, false);
	host = writer(&scene, &name);
	/* Ek in both roles */
	CU_ASSERT_EQUAL_FATAL(
		hk_dtls_new(&forged, crypto, &name, &scene.master.enc_key, &scene.master.enc_key, &error), 0);
	size = hk_dtls_seal(forged, 23, (const __u8 *)"forged", 6, 0, record, sizeof(record));
	CU_ASSERT_EQUAL(hk_dtls_open(host, record, (__u32)size, out, &opened), HK_REFUSAL_BAD_ICV);
	hk_dtls_free(forged);
	/* as `single`, which Ek alone can seal */
	name.split = false;
	CU_ASSERT_EQUAL_FATAL(hk_dtls_new(&forged, crypto, &name, &scene.master.enc_key, NULL, &error), 0);
	size = hk_dtls_seal(forged, 23, (const __u8 *)"forged", 6, 0, record, sizeof(record));
	CU_ASSERT_EQUAL(hk_dtls_open(host, record, (__u32)size, out, &opened), HK_REFUSAL_DOWNGRADE);
	record[12] |= 2;
	CU_ASSERT_EQUAL(hk_dtls_open(host, record, (__u32)size, out, &opened), HK_REFUSAL_BAD_ICV);
	hk_dtls_free(forged);
	hk_dtls_free(host);
	/* any bit of a genuine record */
	name = name_of(&scene, 0x0102030405060708ull, false);
	host = writer(&scene, &name);
	good = sealed(&scene, 1);
	for (bit = 0; bit < good.length * 8; bit++) {
		good.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		CU_ASSERT_NOT_EQUAL(
			hk_dtls_open(host, good.bytes, good.length, out, &opened), HK_REFUSAL_NONE);
		good.bytes[bit / 8] ^= (__u8)(1 << bit % 8);
	}
	CU_ASSERT_EQUAL(hk_dtls_open(host, good.bytes, good.length, out, &opened), HK_REFUSAL_NONE);
	hk_dtls_free(host);
	box_free(&scene.box);
}

static void limits(void)
{
	struct hk_error error = {{0}};
	struct hk_dtls *dtls = NULL;
	struct hk_dtls_name name;
	struct scene scene;
	__u8 record[64];

	scene_init(&scene, NULL, true, 41);
	name = name_of(&scene, 1, false);
	CU_ASSERT_EQUAL(hk_dtls_new(&dtls, crypto, &name, &scene.master.enc_key, NULL, &error), -EINVAL);
	name.epoch = 0;
	CU_ASSERT_EQUAL(
		hk_dtls_new(&dtls, crypto, &name, &scene.master.enc_key, &scene.master.auth_key, &error),
		-EINVAL);
	name.epoch = 1;
	dtls = writer(&scene, &name);
	CU_ASSERT_EQUAL(hk_dtls_seal(dtls, 23, nothing, 0, 0, record, 49), -EMSGSIZE);
	CU_ASSERT_EQUAL(hk_dtls_seal(dtls, 23, nothing, 0, 0, record, 50), 50);
	CU_ASSERT_EQUAL(hk_dtls_seal(dtls, 23, nothing, 16385, 0, record, 64), -EMSGSIZE);
	CU_ASSERT_EQUAL(hk_dtls_seal(dtls, 23, nothing, 0, 16385, record, 64), -EMSGSIZE);
	hk_dtls_free(dtls);
	box_free(&scene.box);
}

/* --- two generations under one MKID ------------------------------------------------------------ */

#define DATAGRAMS 200

static void change(struct scene *scene, const char *text)
{
	struct hk_key_update update = {.domain = &scene->box.domains[0], .name = "update", .text = text};
	struct hk_key_change *prepared = NULL;
	struct hk_error error = {{0}};

	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_prepare(&prepared, scene->box.inspection->keyring, &update, &error), 0);
	CU_ASSERT_EQUAL(hk_keyring_commit(prepared, NULL, &error), 0);
	hk_key_change_free(prepared);
}

/* How many of the datagrams that each master in turn sealed, beginning with `low`, meet `reason`. */
static unsigned met(
	struct scene *scene, const struct master *masters, unsigned low, unsigned high, unsigned reason)
{
	unsigned i, count = 0;
	struct datagram datagram;
	struct hk_fate fate;

	for (i = 0; i < DATAGRAMS; i++) {
		scene->master = masters[low + i % (high - low + 1)];
		datagram = sealed(scene, 1 + i % 3);
		count += run_payload(scene, datagram.bytes, datagram.length, &fate) == reason &&
			 (reason != HK_REASON_OK || (fate.inner_length == 5 * (1 + i % 3) &&
							    memcmp(fate.inner, "plain", 5) == 0));
	}
	return count;
}

/*
 * In `split` noise has a type one time in fifty (application data: in 256): a few datagrams of one
 * context are among them, by chance that the seed decides.
 */
static void rotation(bool split)
{
	const unsigned most = split ? DATAGRAMS * 9 / 10 : DATAGRAMS;
	struct master masters[3];
	char text[512] = "", front[128];
	struct scene scene;
	__u64 seed = 90 + split;
	unsigned i;

	scene_init(&scene, NULL, split, 60 + split);
	masters[0] = scene.master;
	for (i = 1; i < 3; i++)
		master_random(&masters[i], &seed);
	snprintf(front, sizeof(front), "slot=0 generation=2 id=%u side=%s", MKID, split ? "enc" : "single");
	key_line(text, sizeof(text), front, masters[1].enc);
	CU_ASSERT_EQUAL(met(&scene, masters, 0, 0, HK_REASON_OK), DATAGRAMS);
	change(&scene, text);
	CU_ASSERT_EQUAL(met(&scene, masters, 0, 0, HK_REASON_OK), DATAGRAMS);
	CU_ASSERT(met(&scene, masters, 0, 1, HK_REASON_OK) >= most);
	CU_ASSERT_EQUAL(met(&scene, masters, 1, 1, HK_REASON_OK), DATAGRAMS);
	/* a third one is nobody's, and moves nothing */
	CU_ASSERT(met(&scene, masters, 2, 2, split ? HK_REASON_DTLS_TYPE : HK_REASON_BAD_ICV) >= most);
	CU_ASSERT_EQUAL(met(&scene, masters, 1, 1, HK_REASON_OK), DATAGRAMS);
	snprintf(text, sizeof(text), "retire slot=0 generation=1 id=%u\n", MKID);
	change(&scene, text);
	CU_ASSERT(met(&scene, masters, 0, 0, HK_REASON_STALE_KEY) >= most);
	CU_ASSERT_EQUAL(met(&scene, masters, 1, 1, HK_REASON_OK), DATAGRAMS);
	box_free(&scene.box);
}

static void rotates_in_single(void)
{
	rotation(false);
}

static void rotates_in_split(void)
{
	rotation(true);
}

int main(void)
{
	static const struct test tests[] = {
		{"known answers", known_answers},
		{"2000 datagrams, host to box (ipsec-mb) to host", through_ipsec_mb},
		{"2000 datagrams, host to box (libcrypto) to host", through_libcrypto},
		{"every truncation", every_truncation},
		{"every refusal", every_refusal},
		{"records in the clear", clear_records},
		{"every bit", every_bit},
		{"a wrong key", wrong_key},
		{"one record that does not fit", one_misfit},
		{"reserved flags", reserved_flags},
		{"one verdict for a datagram", one_verdict},
		{"the box's keys forge nothing", forger},
		{"limits of the seal side", limits},
		{"two generations under one MKID, single", rotates_in_single},
		{"two generations under one MKID, split", rotates_in_split},
		{0},
	};
	int status;

	crypto = hk_crypto_new("libcrypto");
	if (!crypto)
		return 2;
	status = run_tests("dtls", tests);
	hk_crypto_free(crypto);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DTLS records: seeded datagrams of one to sixteen records go from the seal
 * side through the box (both backends, both profiles) and to the receiving
 * host; records in the clear among them, and hooks.
 */
#include "tests/unit/dtls_help.h"
#include "user/crypto/kdf.h"

static const __u8 *const nothing = (const __u8 *)"";

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
		"19fefd0001000000000000d1020102112233445566778800205132000000000000f4e14f96f308b3968ad7e1fd65"
		"a4315e614abab4ff4c0f16");
	name.server = true;
	name.epoch = 0xfffe;
	known(&name, 0,
		"19fefdfffe000000000000d10301021122334455667788001ec07d0000000000004fbacacaa06a987cab9c652ed1"
		"36ede38af085519405");
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

static void scene_firewall(struct scene *scene, const char *rules)
{
	hk_pipeline_free(scene->box.pipeline);
	hk_inspection_free(scene->box.inspection);
	hk_outer_free(scene->box.outer);
	box_firewall(&scene->box, rules);
	CU_ASSERT_EQUAL_FATAL(box_build(&scene->box, NULL, BOX_FRAME, 0), 0);
}

/* A datagram that begins in the clear has no SPI: its verdict would be that of all such datagrams. */
static void no_kernel_verdict_for_the_clear(void)
{
	static const char rules[] = "rules:\n  - {match: {protocol: udp}, action: drop, flow: 1m}\n";
	static const __u8 hello[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
	struct datagram datagram = {.length = 0}, good;
	struct scene scene;
	struct hk_fate fate;

	scene_init(&scene, NULL, false, 53);
	scene.box.domains[0].flow_per_spi = true;
	scene_firewall(&scene, rules);
	good = sealed(&scene, 1);
	CU_ASSERT_EQUAL(run_payload(&scene, good.bytes, good.length, &fate), HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 60000);
	memcpy(datagram.bytes, hello, sizeof(hello));
	memcpy(datagram.bytes + sizeof(hello), good.bytes, good.length);
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, (__u32)sizeof(hello) + good.length, &fate),
		HK_REASON_FLOW_DROP);
	CU_ASSERT_EQUAL(fate.kernel_lifetime_ms, 0);
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
	scene_firewall(&scene, rules);
	datagram = sealed(&scene, 4);
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, datagram.length, &fate), HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
	CU_ASSERT_EQUAL(fate.inner_length, 20);
	CU_ASSERT_EQUAL(scene.box.counts.hook_drops[0], 1);
	/* one record of nobody's key does not keep the others from being heard */
	datagram.bytes[datagram.length / 2 + 13] ^= 1;
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, datagram.length, &fate), HK_REASON_HOOK_DROP);
	CU_ASSERT_EQUAL(fate.inner_length, 15);
	CU_ASSERT_EQUAL(scene.box.counts.hook_drops[0], 2);
	/* what does not open is nothing for hooks */
	datagram.length /= 4;
	datagram.bytes[13] ^= 1;
	CU_ASSERT_EQUAL(run_payload(&scene, datagram.bytes, datagram.length, &fate), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
	CU_ASSERT_EQUAL(scene.box.counts.hook_drops[0], 2);
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

int main(void)
{
	static const struct test tests[] = {
		{"known answers", known_answers},
		{"2000 datagrams, host to box (ipsec-mb) to host", through_ipsec_mb},
		{"2000 datagrams, host to box (libcrypto) to host", through_libcrypto},
		{"records in the clear", clear_records},
		{"no kernel verdict for the clear", no_kernel_verdict_for_the_clear},
		{"one verdict for a datagram", one_verdict},
		{"limits of the seal side", limits},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "dtls", tests);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DTLS for tests: a box with one domain, who writes its records, and datagrams of them. */
#ifndef TESTS_UNIT_DTLS_HELP_H
#define TESTS_UNIT_DTLS_HELP_H

#include "tests/unit/box_help.h"
#include "user/endpoint/seal_dtls.h"

#define PORT	4433
#define MKID	0x1234
#define HEADERS 42 /* Ethernet, IPv4, UDP */
#define RECORD	25 /* a record's header */

static struct hk_crypto *crypto;

struct scene {
	struct box box;
	struct master master;
	bool split;
};

static inline void scene_init(struct scene *scene, const char *backend, bool split, __u64 seed)
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

static inline struct hk_dtls *writer(const struct scene *scene, const struct hk_dtls_name *name)
{
	struct hk_error error = {{0}};
	struct hk_dtls *dtls = NULL;

	hk_dtls_new(&dtls, crypto, name, &scene->master.enc_key, name->split ? &scene->master.auth_key : NULL,
		&error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dtls);
	return dtls;
}

static inline struct hk_dtls_name name_of(const struct scene *scene, __u64 context, bool server)
{
	return (struct hk_dtls_name){
		.context = context, .mkid = MKID, .epoch = 1, .server = server, .split = scene->split};
}

/* A frame around `length` bytes of UDP payload at frame + HEADERS. */
static inline __u32 wrap(__u8 *frame, __u32 length, bool to_server)
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

static inline unsigned run_reason(struct scene *scene, const __u8 *frame, __u32 length, struct hk_fate *fate)
{
	struct hk_frame one = {.data = frame, .length = length};
	unsigned reason = hk_outer_parse(scene->box.outer, frame, length, 0, &one.meta);

	memset(fate, 0, sizeof(*fate));
	if (reason != HK_REASON_TO_WORKER)
		return reason;
	hk_pipeline_run(scene->box.pipeline, scene->box.inspection, &one, 1, scene->box.now_ns, fate);
	return fate->reason;
}

static inline unsigned run_payload(
	struct scene *scene, const __u8 *payload, __u32 length, struct hk_fate *fate)
{
	static __u8 frame[BOX_FRAME];

	memcpy(frame + HEADERS, payload, length);
	return run_reason(scene, frame, wrap(frame, length, true), fate);
}

struct datagram {
	__u8 bytes[1024];
	__u32 length;
};

/* `records` of one sender, "plain" in each. */
static inline struct datagram sealed(struct scene *scene, unsigned records)
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

#endif

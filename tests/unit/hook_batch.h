/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch for tests of hooks, laid out as the core lays it out: everything in
 * one area, found by offset, with the packets' bytes at its end.
 */
#ifndef TESTS_UNIT_HOOK_BATCH_H
#define TESTS_UNIT_HOOK_BATCH_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/hook.h>

#include "user/base/text.h"

#define BATCH_EVENTS  128
#define BATCH_CLASSES 64
#define BATCH_BYTES   (HK_HOOK_BATCH_MAX * 2048)

struct batch_area {
	struct hk_hook_batch batch;
	struct hk_hook_packet packets[HK_HOOK_BATCH_MAX];
	struct hk_hook_event events[BATCH_EVENTS];
	__u32 queued[BATCH_CLASSES];
	__u8 data[BATCH_BYTES];
	__u32 data_used;
};

static inline struct batch_area *batch_new(void)
{
	struct batch_area *area = calloc(1, sizeof(*area));

	area->batch = (struct hk_hook_batch){
		.abi = HK_HOOK_ABI,
		.area_size = sizeof(*area),
		.packet_offset = offsetof(struct batch_area, packets),
		.packet_stride = sizeof(struct hk_hook_packet),
		.event_offset = offsetof(struct batch_area, events),
		.event_stride = sizeof(struct hk_hook_event),
		.event_capacity = BATCH_EVENTS,
		.class_offset = offsetof(struct batch_area, queued),
		.class_count = BATCH_CLASSES,
		.now_ns = 1000000000,
	};
	return area;
}

static inline void batch_clear(struct batch_area *area)
{
	area->batch.packet_count = 0;
	area->batch.event_count = 0;
	area->batch.event_lost = 0;
	area->data_used = 0;
}

/*
 * A packet whose transport header is 8 zero bytes behind 20 bytes of IP header:
 * hooks get the parsed fields and read bytes of the payload alone.
 */
static inline struct hk_hook_packet *batch_add(struct batch_area *area, __u8 protocol, const char *src,
	__u16 src_port, const char *dst, __u16 dst_port, const void *payload, __u32 length)
{
	struct hk_hook_packet *packet = &area->packets[area->batch.packet_count++];
	__u32 at = area->data_used;

	memset(packet, 0, sizeof(*packet));
	if (hk_address_parse(src, &packet->src) || hk_address_parse(dst, &packet->dst))
		abort();
	packet->data_offset = (__u32)offsetof(struct batch_area, data) + at;
	packet->data_length = 28 + length;
	packet->l4_offset = 20;
	packet->payload_offset = 28;
	packet->payload_length = length;
	packet->ip_version = hk_address_is_v4(&packet->src) ? 4 : 6;
	packet->protocol = protocol;
	packet->flags = HK_PACKET_PORTS;
	packet->src_port = src_port;
	packet->dst_port = dst_port;
	if (at + 28 + length > sizeof(area->data))
		abort();
	memset(area->data + at, 0, 28);
	if (length)
		memcpy(area->data + at + 28, payload, length);
	area->data_used += 28 + length;
	return packet;
}

#endif

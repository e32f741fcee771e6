/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every version and suite that can be sealed, and seeded contexts to seal in: addresses, numbers, shape. */
#ifndef TESTS_UNIT_SEAL_CONTEXT_H
#define TESTS_UNIT_SEAL_CONTEXT_H

#include "tests/unit/seal_help.h"

static const struct kind {
	__u8 envelope, variant;
} kinds[] = {
	{HK_ENVELOPE_PSP, HK_PSP_GCM_128},
	{HK_ENVELOPE_PSP, HK_PSP_GCM_256},
	{HK_ENVELOPE_PSP, HK_PSP_SPLIT_128},
	{HK_ENVELOPE_PSP, HK_PSP_SPLIT_256},
	{HK_ENVELOPE_ESP, HK_SUITE_GCM},
	{HK_ENVELOPE_ESP, HK_SUITE_GCM_SPLIT},
	{HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC},
	{HK_ENVELOPE_ESP, HK_SUITE_CBC_HMAC},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A context drawn from `seed`: addresses, numbers, shape. */
struct context {
	struct hk_sa_name name;
	struct hk_seal_shape shape;
	struct hk_numbers numbers;
	__u8 cbc_iv[HK_ESP_CBC_IV_SIZE]; /* what the seal side would draw itself: the same noise in every run
					  */
	__u8 inner[1600];
	__u32 length;
};

static inline void context_shape(struct context *context, __u64 *seed)
{
	struct hk_seal_shape *shape = &context->shape;

	shape->udp = random_next(seed) & 1;
	shape->transport = random_next(seed) & 1;
	shape->cookie = random_next(seed) & 1;
	random_fill(seed, shape->cookie_bytes, 8);
	shape->crypt_offset = (__u8)((shape->cookie ? 2 : 0) + random_next(seed) % 6);
	shape->psp_flags = (__u8)random_next(seed);
}

static inline void context_draw(struct context *context, const struct kind *kind, __u64 *seed)
{
	bool outer_v4 = random_next(seed) & 1, inner_v4 = random_next(seed) & 1;
	struct hk_address from, to;

	memset(context, 0, offsetof(struct context, inner));
	context->name.envelope = kind->envelope;
	context->name.variant = kind->variant;
	context->name.mkid = (__u16)random_next(seed);
	context->name.spi = (__u32)random_next(seed) | 0x400;
	if (context->name.envelope == HK_ENVELOPE_ESP)
		context->name.spi &= 0x7fffffff;
	context->name.receiver = address(outer_v4 ? "192.0.2.9" : "2001:db8::9");
	context->shape.source = address(outer_v4 ? "192.0.2.1" : "2001:db8::1");
	context->numbers.iv = random_next(seed);
	context->numbers.sn = (__u32)random_next(seed);
	context_shape(context, seed);
	if (kind->envelope == HK_ENVELOPE_ESP && kind->variant == HK_SUITE_CBC_HMAC) {
		random_fill(seed, context->cbc_iv, sizeof(context->cbc_iv));
		context->shape.cbc_iv = context->cbc_iv;
	}
	if (context->shape.transport) {
		from = context->shape.source;
		to = context->name.receiver;
	} else {
		from = address(inner_v4 ? "10.1.0.1" : "fd00::1");
		to = address(inner_v4 ? "10.2.0.1" : "fd00::2");
	}
	context->length = inner_udp(&from, &to, seed, 12 + (__u32)(random_next(seed) % 1400), context->inner);
}

#endif

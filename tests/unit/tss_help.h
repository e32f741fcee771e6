/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded TSS worlds: how a domain does it, its keys, a box and hosts that hold them, and packets. */
#ifndef TESTS_UNIT_TSS_HELP_H
#define TESTS_UNIT_TSS_HELP_H

#include "tests/unit/box_help.h"
#include "user/endpoint/tss.h"

#define TSS_SDI 0xab

struct tss_world {
	struct hk_tss_setup setup;
	bool split;
	__u32 sdi;		      /* 0: TSS_SDI */
	__u8 enc[2][32], auth[2][32]; /* by AN */
	struct hk_tss *sender[2], *receiver[2];
	struct box box;
};

/* As the box's configuration would say it. */
static inline void tss_box(struct tss_world *world, const char *backend, size_t feed)
{
	struct hk_domain_config *domain;
	char keys[512] = "", front[64];
	unsigned an;

	for (an = 0; an < 2; an++) {
		snprintf(front, sizeof(front), "id=%u slot=%u generation=1 side=%s",
			world->sdi ? world->sdi : TSS_SDI, an, world->split ? "enc" : "single");
		key_line(keys, sizeof(keys), front, world->enc[an]);
	}
	box_init(&world->box);
	domain = box_domain(
		&world->box, HK_ENVELOPE_TSS, world->split ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE, 0, keys);
	domain->tss = world->setup.options;
	domain->carrier = world->setup.protocol;
	domain->options = world->setup.options.ssi ? HK_TSS_OPTION_SSI : 0;
	CU_ASSERT_EQUAL_FATAL(box_build(&world->box, backend, BOX_FRAME, feed), 0);
}

static inline struct hk_tss *tss_host(const struct tss_world *world, unsigned an)
{
	struct hk_error error = {{0}};
	struct hk_tss *tss = NULL;

	CU_ASSERT_EQUAL_FATAL(hk_tss_new(&tss, &world->setup, world->sdi ? world->sdi : TSS_SDI, an,
				      world->enc[an], world->split ? world->auth[an] : NULL, &error),
		0);
	return tss;
}

static inline void tss_world_make(
	struct tss_world *world, const char *setup, bool split, const char *backend, size_t feed, __u64 *seed)
{
	struct hk_error error = {{0}};
	unsigned an;

	memset(world, 0, sizeof(*world));
	world->split = split;
	if (hk_tss_setup_parse(&world->setup, setup, &error))
		printf("# %s\n", error.text);
	CU_ASSERT_NOT_EQUAL_FATAL(world->setup.options.mode, 0);
	for (an = 0; an < 2; an++) {
		random_fill(seed, world->enc[an], 32);
		random_fill(seed, world->auth[an], 32);
		world->sender[an] = tss_host(world, an);
		world->receiver[an] = tss_host(world, an);
	}
	tss_box(world, backend, feed);
}

static inline void tss_world_free(struct tss_world *world)
{
	unsigned an;

	for (an = 0; an < 2; an++) {
		hk_tss_free(world->sender[an]);
		hk_tss_free(world->receiver[an]);
	}
	box_free(&world->box);
}

/* A packet: 14 bytes of Ethernet in front, PDS of type 2 to 14 inside. */
struct tss_sample {
	struct hk_tss_shape shape;
	unsigned an;
	__u16 epoch;
	__u64 counter;
	__u8 payload[1400];
	__u32 size;
	__u8 frame[BOX_FRAME];
	__u32 length;
};

static inline struct tss_sample tss_plain(bool v4, bool udp)
{
	struct tss_sample sample = {.epoch = 0x1dc0, .counter = 0x74e500000025, .size = 48};

	sample.shape.source = address(v4 ? "192.0.2.1" : "2001:db8::1");
	sample.shape.destination = address(v4 ? "192.0.2.9" : "2001:db8::9");
	sample.shape.udp = udp;
	sample.shape.sole_sender = true;
	sample.shape.entropy = 40000;
	sample.shape.ssi = 0x0a0b0c0d;
	memset(sample.payload, 0x5c, sizeof(sample.payload));
	sample.payload[0] = 2 << 3;
	return sample;
}

static inline int tss_seal(struct tss_world *world, struct tss_sample *sample)
{
	int size = hk_tss_seal(world->sender[sample->an], &sample->shape, sample->epoch, sample->counter,
		sample->payload, sample->size, sample->frame + 14, BOX_FRAME - 14);

	sample->length = size > 0 ? frame_around(sample->frame, (__u32)size) : 0;
	return size;
}

static inline struct hk_fate tss_run(struct tss_world *world, const struct tss_sample *sample)
{
	return box_run(&world->box, sample->frame, sample->length);
}

static inline unsigned tss_deliver(
	struct tss_world *world, const struct tss_sample *sample, struct hk_tss_opened *opened)
{
	static __u8 out[BOX_FRAME];

	return hk_tss_open(world->receiver[sample->an], sample->frame + 14, sample->length - 14, out, opened);
}

#endif

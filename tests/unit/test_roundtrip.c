// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The seal side against the box: thousands of seeded packets of every version
 * and suite are sealed as a host seals them, opened by the box's pipeline with
 * the box's half of the keys and by the receiving host with both. The two must
 * see the packet that went in, and the frame must not change on the way.
 */
#include "tests/unit/box_help.h"
#include "tests/unit/seal_context.h"
#include "user/endpoint/host.h"

#define BATCHES 16
#define BATCH	64

static struct hk_crypto *crypto;

static const char *const receivers[] = {"192.0.2.9", "2001:db8::9"};

/* Master keys of both receivers in all slots, and the files that box and hosts get of them. */
struct world {
	struct master masters[2][4]; /* receiver, slot */
	char box_keys[4096];
	char host_keys[8192];
	unsigned slots;
	bool split;
};

static void world_make(struct world *world, const struct kind *kind, __u64 *seed)
{
	unsigned r, slot;
	char front[128];

	memset(world, 0, sizeof(*world));
	world->split = hk_sa_profile(kind->envelope, kind->variant) == HK_PROFILE_SPLIT;
	world->slots = kind->envelope == HK_ENVELOPE_PSP ? 2 : 4;
	for (r = 0; r < 2; r++) {
		for (slot = 0; slot < world->slots; slot++) {
			struct master *master = &world->masters[r][slot];

			master_random(master, seed);
			snprintf(front, sizeof(front), "receiver=%s slot=%u generation=1 side=%s",
				receivers[r], slot, world->split ? "enc" : "single");
			key_line(world->box_keys, sizeof(world->box_keys), front, master->enc);
			key_line(world->host_keys, sizeof(world->host_keys), front, master->enc);
			snprintf(front, sizeof(front), "receiver=%s slot=%u generation=1 side=auth",
				receivers[r], slot);
			if (world->split)
				key_line(world->host_keys, sizeof(world->host_keys), front, master->auth);
		}
	}
}

static const struct master *master_for(const struct world *world, const struct hk_sa_name *name)
{
	unsigned slot = name->envelope == HK_ENVELOPE_PSP ? name->spi >> 31 : name->spi >> 29 & 3;

	return &world->masters[hk_address_is_v4(&name->receiver) ? 0 : 1][slot];
}

/* The receiving hosts, one per IP version. */
struct hosts {
	struct hk_host_keys *keys;
	struct hk_host *hosts[2];
};

static void hosts_make(struct hosts *hosts, const struct world *world, const struct kind *kind)
{
	struct hk_error error = {{0}};
	unsigned r;

	CU_ASSERT_EQUAL_FATAL(
		hk_host_keys_parse(&hosts->keys, "host.keys", world->host_keys, NULL, &error), 0);
	for (r = 0; r < 2; r++) {
		struct hk_host_options options = {
			.keys = hosts->keys,
			.local = address(receivers[r]),
			.envelope = kind->envelope,
			.profile = (__u8)hk_sa_profile(kind->envelope, kind->variant),
			.suite = kind->variant,
			.mkid = 1,
		};

		hosts->hosts[r] = hk_host_new(&options);
		CU_ASSERT_PTR_NOT_NULL_FATAL(hosts->hosts[r]);
	}
}

static void hosts_free(struct hosts *hosts)
{
	hk_host_free(hosts->hosts[0]);
	hk_host_free(hosts->hosts[1]);
	hk_host_keys_free(hosts->keys);
}

struct sealed {
	struct context context;
	__u8 frame[BOX_FRAME], before[BOX_FRAME];
	__u32 length;
};

static void seal_one(struct sealed *sealed, const struct world *world, const struct kind *kind, __u64 *seed)
{
	struct context *context = &sealed->context;
	struct hk_sa *sa;
	int size;

	context_draw(context, kind, seed);
	context->name.mkid = 1;
	sa = sa_of(crypto, &context->name, master_for(world, &context->name));
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	size = hk_seal_packet(sa, &context->shape, &context->numbers, context->inner, context->length,
		sealed->frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	sealed->length = frame_around(sealed->frame, (__u32)size);
	memcpy(sealed->before, sealed->frame, sealed->length);
	hk_sa_free(sa);
}

static void check_box(const struct box *box, const struct sealed *sealed, const struct hk_fate *fate)
{
	bool single = box->domains[0].profile == HK_PROFILE_SINGLE;

	CU_ASSERT_EQUAL(fate->reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate->auth, single ? HK_AUTH_VERIFIED : HK_AUTH_NONE);
	CU_ASSERT_EQUAL_FATAL(fate->opened, 1);
	CU_ASSERT_EQUAL(fate->inner_length, sealed->context.length);
	CU_ASSERT_EQUAL(memcmp(fate->inner, sealed->context.inner, sealed->context.length), 0);
	CU_ASSERT_EQUAL(memcmp(sealed->frame, sealed->before, sealed->length), 0);
}

static void check_host(struct hosts *hosts, const struct sealed *sealed)
{
	static __u8 out[HK_OPEN_ROOM(BOX_FRAME)];
	struct hk_opened opened;
	struct hk_sealed parsed;
	unsigned refusal = hk_sealed_parse(sealed->frame + 14, sealed->length - 14, &parsed);

	if (!refusal)
		refusal = hk_host_open(
			hosts->hosts[sealed->frame[14] >> 4 == 4 ? 0 : 1], &parsed, out, &opened);
	CU_ASSERT_EQUAL_FATAL(refusal, HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(opened.length, sealed->context.length);
	CU_ASSERT_EQUAL(memcmp(opened.inner, sealed->context.inner, opened.length), 0);
}

static void run_batch(
	struct box *box, struct hosts *hosts, const struct world *world, const struct kind *kind, __u64 *seed)
{
	static struct sealed sealed[BATCH];
	struct hk_frame frames[BATCH];
	struct hk_fate fates[BATCH];
	unsigned i;

	for (i = 0; i < BATCH; i++) {
		seal_one(&sealed[i], world, kind, seed);
		frames[i] = (struct hk_frame){.data = sealed[i].frame, .length = sealed[i].length};
	}
	box_run_frames(box, frames, BATCH, fates);
	for (i = 0; i < BATCH; i++) {
		check_box(box, &sealed[i], &fates[i]);
		check_host(hosts, &sealed[i]);
	}
}

static void run_kind(const struct kind *kind, const char *backend, __u64 seed)
{
	static struct world world;
	struct hosts hosts;
	struct box box;
	unsigned i;

	world_make(&world, kind, &seed);
	hosts_make(&hosts, &world, kind);
	box_init(&box);
	box_domain(&box, kind->envelope, hk_sa_profile(kind->envelope, kind->variant),
		kind->envelope == HK_ENVELOPE_ESP ? kind->variant : 0, world.box_keys);
	CU_ASSERT_EQUAL_FATAL(box_build(&box, backend, BOX_FRAME, 0), 0);
	for (i = 0; i < BATCHES; i++)
		run_batch(&box, &hosts, &world, kind, &seed);
	box_free(&box);
	hosts_free(&hosts);
}

static void run_all(const char *backend, __u64 seed)
{
	unsigned i;

	if (!backend_or_skip(backend))
		return;
	for (i = 0; i < KINDS; i++)
		run_kind(&kinds[i], backend, seed + i);
}

static void through_ipsec_mb(void)
{
	run_all("ipsec-mb", 1000);
}

static void through_libcrypto(void)
{
	run_all("libcrypto", 2000);
}

int main(void)
{
	static const struct test tests[] = {
		{"8192 packets, host to box (ipsec-mb) to host", through_ipsec_mb},
		{"8192 packets, host to box (libcrypto) to host", through_libcrypto},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "roundtrip", tests);
}

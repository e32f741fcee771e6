// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TSS, host to box to host: thousands of seeded packets in every mode, switch
 * and carrier; each refusal, each truncation, stale epochs.
 */
#include "tests/unit/tss_help.h"

#include <errno.h>

#define ROUNDS 40
#define BATCH  64

static const char *const setups[] = {
	"mode=cluster",
	"mode=cluster,rekey-mask=0xffff00000000,rekey-shift=32",
	"mode=cluster,rekey-mask=0xff0,rekey-shift=4,kdf-length=32",
	"mode=cluster,ssi=yes",
	"mode=cluster,ssi=yes,context=small,kdf-length=32",
	"mode=cluster,iv-word=sdi,udp-aad=header",
	"mode=server,servers=192.0.2.128/25",
	"mode=server,servers=2001:db8:0:1::/64,ssi=yes,protocol=254",
	"mode=server,servers=2001:db8:0:1::/64,ssi=yes,kdf-length=32",
	"mode=direct",
	"mode=direct,ssi=yes,udp-aad=header",
	"mode=direct,iv-word=sdi,kdf-length=32",
};
#define SETUPS (sizeof(setups) / sizeof(setups[0]))

/* --- round trips ------------------------------------------------------------------------------- */

static void draw_ends(struct tss_sample *sample, const struct hk_tss_options *options, __u64 *seed)
{
	bool server = options->mode == HK_TSS_SERVER;
	bool v4 = server ? hk_address_is_v4(&options->servers[0].address) : (int)(random_next(seed) & 1);
	struct hk_address low = address(v4 ? "192.0.2.1" : "2001:db8::1");
	struct hk_address high = address(v4 ? "192.0.2.129" : "2001:db8:0:1::1");
	bool swap = random_next(seed) & 1;

	low.bytes[15] ^= (__u8)(random_next(seed) & 0x3e);
	high.bytes[15] ^= (__u8)(random_next(seed) & 0x3e);
	sample->shape.source = swap ? high : low;
	sample->shape.destination = swap ? low : high;
}

static void draw(struct tss_sample *sample, const struct tss_world *world, __u16 epoch, __u64 *seed)
{
	memset(sample, 0, offsetof(struct tss_sample, payload));
	draw_ends(sample, &world->setup.options, seed);
	sample->shape.udp = random_next(seed) & 1;
	sample->shape.sole_sender = true;
	sample->shape.entropy = (__u16)random_next(seed);
	sample->shape.ssi = (__u32)random_next(seed);
	sample->an = random_next(seed) & 1;
	sample->epoch = (__u16)(epoch + random_next(seed) % 16);
	sample->counter = random_next(seed) >> 16;
	sample->size = 1 + (__u32)(random_next(seed) % 1400);
	random_fill(seed, sample->payload, sample->size);
	sample->payload[0] = (__u8)((2 + random_next(seed) % 13) << 3 | (sample->payload[0] & 7));
}

static void check_packet(struct tss_world *world, const struct tss_sample *sample, const struct hk_fate *fate)
{
	struct hk_tss_opened opened;

	CU_ASSERT_EQUAL(fate->reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate->auth, world->split ? HK_AUTH_NONE : HK_AUTH_VERIFIED);
	CU_ASSERT_EQUAL_FATAL(fate->opened, 1);
	CU_ASSERT_EQUAL(fate->not_ip, 1);
	CU_ASSERT_EQUAL_FATAL(fate->inner_length, sample->size);
	CU_ASSERT_EQUAL(memcmp(fate->inner, sample->payload, sample->size), 0);
	CU_ASSERT_EQUAL_FATAL(tss_deliver(world, sample, &opened), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(opened.length, sample->size);
	CU_ASSERT_EQUAL(opened.epoch, sample->epoch);
	CU_ASSERT_EQUAL(opened.counter, sample->counter);
	CU_ASSERT_EQUAL(memcmp(opened.payload, sample->payload, sample->size), 0);
}

/* What one sender sends next: the same but for a thing or two, so that neighbours share keys, or nearly. */
static void draw_like(struct tss_sample *sample, const struct tss_sample *before, __u64 *seed)
{
	__u64 dice = random_next(seed);

	sample->shape = before->shape;
	sample->an = before->an ^ (dice % 16 == 0);
	if ((dice >> 4) % 8)
		sample->epoch = before->epoch; /* else as drawn */
	sample->counter = before->counter + 1 + ((dice >> 8) % 8 == 0 ? random_next(seed) >> 20 : 0);
	sample->counter &= 0xffffffffffffull;
	if ((dice >> 12) % 8 == 0)
		sample->shape.ssi++;
	if ((dice >> 16) % 8 == 0)
		sample->shape.entropy++;
}

static void run_round(const char *setup, bool split, const char *backend, __u64 seed)
{
	static struct tss_sample samples[BATCH];
	static __u8 before[BATCH][BOX_FRAME];
	static struct tss_world world;
	struct hk_frame frames[BATCH];
	struct hk_fate fates[BATCH];
	__u16 epoch = (__u16)random_next(&seed);
	unsigned i;

	tss_world_make(&world, setup, split, backend, 0, &seed);
	for (i = 0; i < BATCH; i++) {
		draw(&samples[i], &world, epoch, &seed);
		if (i && random_next(&seed) % 4)
			draw_like(&samples[i], &samples[i - 1], &seed);
		CU_ASSERT_FATAL(tss_seal(&world, &samples[i]) > 0);
		memcpy(before[i], samples[i].frame, samples[i].length);
		frames[i] = (struct hk_frame){.data = samples[i].frame, .length = samples[i].length};
	}
	box_run_frames(&world.box, frames, BATCH, fates);
	for (i = 0; i < BATCH; i++) {
		check_packet(&world, &samples[i], &fates[i]);
		CU_ASSERT_EQUAL(memcmp(before[i], samples[i].frame, samples[i].length), 0);
	}
	tss_world_free(&world);
}

static void run_all(const char *backend, __u64 seed)
{
	unsigned i;

	if (!backend_or_skip(backend))
		return;
	for (i = 0; i < ROUNDS * 2; i++)
		run_round(setups[i / 2 % SETUPS], i & 1, backend, seed + i);
}

static void through_ipsec_mb(void)
{
	run_all("ipsec-mb", 100);
}

static void through_libcrypto(void)
{
	run_all("libcrypto", 200);
}

/* --- vectors ----------------------------------------------------------------------------------- */

/*
 * Packets of another implementation, written from the document alone: what the
 * published values leave out (32-bit L, servers, direct mode, native IP, switches).
 */
static void check_vector(const json_t *vector, const char *backend)
{
	const char *name = json_string_value(json_object_get(vector, "name"));
	static struct tss_world world;
	struct hk_tss_opened opened;
	struct tss_sample sample = {.an = (unsigned)json_integer_value(json_object_get(vector, "an"))};
	size_t size = vector_bytes(vector, "outer_ip", sample.frame + 14, BOX_FRAME - 14);
	struct hk_tss_setup setup;
	struct hk_fate fate;
	unsigned refusal;

	memset(&world, 0, sizeof(world));
	world.split = strcmp(json_string_value(json_object_get(vector, "profile")), "split") == 0;
	world.sdi = (__u32)json_integer_value(json_object_get(vector, "sdi"));
	CU_ASSERT_EQUAL_FATAL(
		hk_tss_setup_parse(&setup, json_string_value(json_object_get(vector, "setup")), NULL), 0);
	world.setup = setup;
	memset(world.enc[!sample.an], 1, 32);
	vector_bytes(vector, world.split ? "sdk_e" : "sdk", world.enc[sample.an], 32);
	vector_bytes(vector, "sdk_a", world.auth[sample.an], 32);
	world.receiver[sample.an] = tss_host(&world, sample.an);
	tss_box(&world, backend, 0);
	sample.length = frame_around(sample.frame, (__u32)size);
	sample.size = (__u32)vector_bytes(vector, "payload", sample.payload, sizeof(sample.payload));
	fate = tss_run(&world, &sample);
	refusal = tss_deliver(&world, &sample, &opened);
	if (fate.reason != HK_REASON_OK || refusal != HK_REFUSAL_NONE)
		printf("# %s: box %s, host %s\n", name, hk_reason_name(fate.reason),
			hk_refusal_name(refusal));
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.auth, world.split ? HK_AUTH_NONE : HK_AUTH_VERIFIED);
	CU_ASSERT_EQUAL(fate.inner_length, sample.size);
	CU_ASSERT(fate.opened && memcmp(fate.inner, sample.payload, sample.size) == 0);
	CU_ASSERT_EQUAL(refusal, HK_REFUSAL_NONE);
	CU_ASSERT(!refusal && memcmp(opened.payload, sample.payload, sample.size) == 0);
	tss_world_free(&world);
}

static void vectors(void)
{
	json_t *rows = load_vectors("tss.json"), *vector;
	const char *backend;
	unsigned b;
	size_t i;

	CU_ASSERT(json_array_size(rows) >= 15);
	for (b = 0; (backend = hk_crypto_backend_name(b)); b++) {
		if (!backend_runs(backend))
			continue;
		json_array_foreach(rows, i, vector) check_vector(vector, backend);
	}
	json_decref(rows);
}

/* --- refusals ---------------------------------------------------------------------------------- */

static unsigned parsed(struct tss_world *world, const struct tss_sample *sample)
{
	struct hk_meta meta;

	return hk_outer_parse(world->box.outer, sample->frame, sample->length, 0, &meta);
}

/* Cuts the packet to `size` bytes behind the outer headers, with lengths that fit. */
static struct tss_sample cut(const struct tss_sample *whole, __u32 size)
{
	struct tss_sample sample = *whole;
	__u32 headers = 20 + (whole->shape.udp ? 8 : 0);
	int length =
		hk_outer_build(&whole->shape.source, &whole->shape.destination, whole->shape.udp ? 17 : 253,
			40000, 4793, whole->frame + 14 + headers, size, sample.frame + 14, BOX_FRAME - 14);

	CU_ASSERT_FATAL(length > 0);
	sample.length = frame_around(sample.frame, (__u32)length);
	return sample;
}

static void each_truncation(const char *setup, bool split, bool udp, __u32 header)
{
	struct tss_sample sample = tss_plain(true, udp), less;
	static struct tss_world world;
	struct hk_tss_opened opened;
	struct hk_fate fate;
	__u64 seed = 7;
	__u32 size, full;

	tss_world_make(&world, setup, split, "libcrypto", 0, &seed);
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	full = sample.length - 14 - 20 - (udp ? 8 : 0);
	for (size = 0; size < full; size++) {
		less = cut(&sample, size);
		CU_ASSERT_NOT_EQUAL(tss_deliver(&world, &less, &opened), HK_REFUSAL_NONE);
		if (size < header + 16) {
			CU_ASSERT_EQUAL(parsed(&world, &less), HK_REASON_TSS_SHORT);
			continue;
		}
		fate = tss_run(&world, &less);
		if (split && size > header + 16)
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK); /* nothing in `split` can tell */
		if (split && size == header + 16)
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_IMPLAUSIBLE);
		if (!split)
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_BAD_ICV);
	}
	tss_world_free(&world);
}

static void truncations(void)
{
	each_truncation("mode=cluster", true, true, 12);
	each_truncation("mode=cluster", false, true, 12);
	each_truncation("mode=cluster", false, false, 16);
	each_truncation("mode=cluster,ssi=yes", false, true, 16);
	each_truncation("mode=cluster,ssi=yes", true, false, 20);
}

/* In `single` every bit of header, addresses, entropy, ciphertext and ICV counts. */
static void each_bit(bool udp)
{
	struct tss_sample sample = tss_plain(true, udp), changed;
	static struct tss_world world;
	struct hk_tss_opened opened;
	struct hk_meta meta;
	__u64 seed = 8;
	__u32 bit;

	tss_world_make(&world, "mode=cluster", false, "libcrypto", 0, &seed);
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	for (bit = (14 + 12) * 8; bit < sample.length * 8; bit++) {
		if (udp && bit / 8 >= 34 && bit / 8 < 42)
			continue; /* ports, length, checksum */
		changed = sample;
		changed.frame[bit / 8] ^= (__u8)(1 << bit % 8);
		if (hk_outer_parse(world.box.outer, changed.frame, changed.length, 0, &meta) ==
			HK_REASON_TO_WORKER) {
			CU_ASSERT_NOT_EQUAL(tss_run(&world, &changed).reason, HK_REASON_OK);
			CU_ASSERT_FALSE(tss_run(&world, &changed).opened);
		}
		CU_ASSERT_NOT_EQUAL(tss_deliver(&world, &changed, &opened), HK_REFUSAL_NONE);
		CU_ASSERT_EQUAL(opened.length, 0);
	}
	CU_ASSERT_EQUAL(tss_run(&world, &sample).reason, HK_REASON_OK);
	tss_world_free(&world);
}

static void changed_bits(void)
{
	each_bit(true);
	each_bit(false);
}

static void expect(
	struct tss_world *world, const struct tss_sample *sample, unsigned reason, unsigned refusal)
{
	struct hk_tss_opened opened;
	unsigned got = parsed(world, sample);

	if (got == HK_REASON_TO_WORKER)
		got = tss_run(world, sample).reason;
	CU_ASSERT_EQUAL(got, reason);
	CU_ASSERT_EQUAL(tss_deliver(world, sample, &opened), refusal);
}

static void reasons_of_each(void)
{
	struct tss_sample sample = tss_plain(true, true), bad;
	static struct tss_world world;
	__u64 seed = 9;

	tss_world_make(&world, "mode=cluster", true, "libcrypto", 0, &seed);
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	expect(&world, &sample, HK_REASON_OK, HK_REFUSAL_NONE);
	bad = sample, bad.frame[42] = 3 << 3;
	expect(&world, &bad, HK_REASON_TSS_PDS, HK_REFUSAL_NOT_SEALED);
	bad = sample, bad.frame[42] = 0;
	expect(&world, &bad, HK_REASON_TSS_TYPE, HK_REFUSAL_TSS_HEADER);
	bad = sample, bad.frame[42] |= 2;
	expect(&world, &bad, HK_REASON_TSS_RESERVED, HK_REFUSAL_TSS_HEADER);
	bad = sample, bad.frame[42] |= 4;
	expect(&world, &bad, HK_REASON_TSS_SSI, HK_REFUSAL_TSS_HEADER);
	bad = sample, bad.frame[45] ^= 1;
	expect(&world, &bad, HK_REASON_NO_KEY, HK_REFUSAL_NO_KEY);
	bad = sample, bad.frame[54] = 0;
	bad.frame[54] = sample.frame[54] ^ 0xf8; /* the ciphertext's first byte: a PDS type no more */
	expect(&world, &bad, HK_REASON_IMPLAUSIBLE, HK_REFUSAL_BAD_ICV);
	tss_world_free(&world);
}

/* Metadata came by way of shared memory: whatever it says, the opener reads inside the frame. */
static void hostile_metadata(void)
{
	struct tss_sample sample = tss_plain(true, false);
	static struct tss_world world;
	struct hk_frame frame;
	struct hk_meta good;
	struct hk_fate fate;
	__u64 seed = 10;
	unsigned i;

	tss_world_make(&world, "mode=cluster", false, "libcrypto", 0, &seed);
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	CU_ASSERT_EQUAL(
		hk_outer_parse(world.box.outer, sample.frame, sample.length, 0, &good), HK_REASON_TO_WORKER);
	for (i = 0; i < 20000; i++) {
		__u8 *bytes = (__u8 *)&frame.meta;

		frame = (struct hk_frame){.data = sample.frame, .length = sample.length, .meta = good};
		bytes[4 + random_next(&seed) % 8] = (__u8)random_next(&seed);
		if (random_next(&seed) & 1)
			frame.meta.flags ^= 1 << (random_next(&seed) & 1);
		hk_pipeline_run(world.box.pipeline, world.box.inspection, &frame, 1, world.box.now_ns, &fate);
		CU_ASSERT(memcmp(&frame.meta, &good, sizeof(good)) == 0 || fate.reason != HK_REASON_OK);
	}
	tss_world_free(&world);
}

/* --- epochs ------------------------------------------------------------------------------------ */

static unsigned run_epoch(struct tss_world *world, struct tss_sample *sample, int epoch)
{
	sample->epoch = (__u16)epoch;
	sample->counter++;
	CU_ASSERT_FATAL(tss_seal(world, sample) > 0);
	return tss_run(world, sample).reason;
}

static void epochs_in_single(void)
{
	struct tss_sample sample = tss_plain(true, true);
	static struct tss_world world;
	struct hk_tss_opened opened;
	struct hk_fate fate;
	__u64 seed = 11;

	tss_world_make(&world, "mode=cluster", false, "libcrypto", 0, &seed);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65530), HK_REASON_OK);
	CU_ASSERT_EQUAL(tss_deliver(&world, &sample, &opened), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65514), HK_REASON_OK); /* 16 behind */
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65513), HK_REASON_TSS_EPOCH);
	CU_ASSERT_EQUAL(tss_deliver(&world, &sample, &opened), HK_REFUSAL_STALE_EPOCH);
	/* one that does not verify raises nothing */
	sample.epoch = 20;
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	sample.frame[sample.length - 1] ^= 1;
	fate = tss_run(&world, &sample);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_BAD_ICV);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65514), HK_REASON_OK);
	/* over the end of the numbers, and its own count for each key */
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 4), HK_REASON_OK);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65524), HK_REASON_OK);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65523), HK_REASON_TSS_EPOCH);
	sample.an = 1;
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 100), HK_REASON_OK);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 84), HK_REASON_OK);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 83), HK_REASON_TSS_EPOCH);
	CU_ASSERT_EQUAL(tss_run(&world, &sample).action, HK_ACTION_PASS);
	tss_world_free(&world);
}

/* Nothing that a packet says can be believed: only the configuration decides. */
static void epochs_in_split(void)
{
	struct tss_sample sample = tss_plain(true, true);
	static struct tss_world world;
	__u64 seed = 12;

	tss_world_make(&world, "mode=cluster", true, "libcrypto", 0, &seed);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 30000), HK_REASON_OK);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 5), HK_REASON_OK);
	world.box.domains[0].tss.has_epoch = true;
	world.box.domains[0].tss.epoch = 10;
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65530), HK_REASON_OK);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 65529), HK_REASON_TSS_EPOCH);
	CU_ASSERT_EQUAL(run_epoch(&world, &sample, 30000), HK_REASON_OK);
	tss_world_free(&world);
}

int main(void)
{
	static const struct test tests[] = {
		{"5120 packets, host to box (ipsec-mb) to host", through_ipsec_mb},
		{"5120 packets, host to box (libcrypto) to host", through_libcrypto},
		{"packets of another implementation, every switch", vectors},
		{"truncation at every byte", truncations},
		{"changed bits", changed_bits},
		{"each refusal has its reason", reasons_of_each},
		{"hostile metadata", hostile_metadata},
		{"epochs: single", epochs_in_single},
		{"epochs: split", epochs_in_split},
		{0},
	};

	return run_tests("tss", tests);
}

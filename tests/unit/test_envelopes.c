// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every envelope, cut to every length and with every reserved field set: parser
 * and worker together give the one right reason, count it once, and do what its
 * policy says. Frames lie in memory of exactly their size, for the sanitizers.
 */
#include "tests/unit/envelope_rows.h"

static struct hk_fate run_worker(struct row_scene *scene, const __u8 *bytes, __u32 length, unsigned *reason)
{
	__u8 *copy = malloc(length);
	struct hk_frame frame = {.data = copy, .length = length, .wall_ns = 1700000000000000000ull};
	struct hk_fate fate = {0};

	memcpy(copy, bytes, length);
	*reason = hk_outer_parse(scene->box.outer, copy, length, 0, &frame.meta);
	if (*reason == HK_REASON_TO_WORKER) {
		hk_pipeline_run(
			scene->box.pipeline, scene->box.inspection, &frame, 1, scene->box.now_ns, &fate);
		*reason = fate.reason;
		CU_ASSERT_EQUAL(fate.action,
			fate.reason == HK_REASON_OK ? HK_ACTION_PASS : scene->box.config.policy[fate.reason]);
	}
	CU_ASSERT_EQUAL(memcmp(copy, bytes, length), 0);
	free(copy);
	return fate;
}

static void run(struct row_scene *scene, const __u8 *bytes, __u32 length, unsigned wanted, unsigned what)
{
	struct hk_fate fate;
	unsigned reason;

	fate = run_worker(scene, bytes, length, &reason);
	if (reason != wanted)
		printf("# %s, 0x%x: %s, not %s\n", scene->row->name, what, hk_reason_name(reason),
			hk_reason_name(wanted) ? hk_reason_name(wanted) : "-");
	CU_ASSERT_EQUAL(reason, wanted);
	CU_ASSERT_EQUAL(fate.opened, reason == HK_REASON_OK);
}

static void each_row(void (*each)(struct row_scene *scene, row_run *run))
{
	static struct row_scene scene;
	size_t i;

	for (i = 0; i < ENVELOPE_ROWS; i++) {
		row_begin(&scene, &envelope_rows[i]);
		each(&scene, run);
		row_end(&scene);
	}
}

static void cut_to_every_length(void)
{
	each_row(row_each_cut);
}

static void reserved_fields(void)
{
	each_row(row_each_flip);
}

static void stumps(void)
{
	each_row(row_each_stump);
}

/* What else the parser tells workers of each packet. */
static void metadata(void)
{
	static struct row_scene scene;
	const struct envelope_row *row;
	struct hk_meta meta;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++) {
		row_begin(&scene, row);
		CU_ASSERT_EQUAL(hk_outer_parse(scene.box.outer, scene.frame, scene.length, 1, &meta),
			HK_REASON_TO_WORKER);
		CU_ASSERT_EQUAL(meta.version, HK_META_VERSION);
		CU_ASSERT_EQUAL(meta.envelope, row->envelope);
		CU_ASSERT_EQUAL(meta.flags, (row->v6 ? HK_META_OUTER_V6 : 0) | (row->udp ? HK_META_UDP : 0));
		CU_ASSERT_EQUAL(meta.port, 1);
		CU_ASSERT_EQUAL(meta.l3_offset, 14);
		CU_ASSERT_EQUAL(meta.envelope_offset, scene.front);
		CU_ASSERT_EQUAL(meta.payload_offset, scene.front + row->payload);
		CU_ASSERT_EQUAL(meta.end_offset, scene.length);
		CU_ASSERT_EQUAL(meta.domain, 0);
		CU_ASSERT_EQUAL(meta.spi, row->spi);
		row_end(&scene);
	}
}

/* --- hostile metadata --------------------------------------------------------------------------- */

#define DAMAGED 2000

/* Offsets, end and flags: what else there is names no bytes of the frame. */
static void damage_meta(struct hk_meta *meta, __u64 *seed)
{
	__u16 *fields[] = {
		&meta->l3_offset, &meta->envelope_offset, &meta->payload_offset, &meta->end_offset};
	__u16 *field = fields[random_next(seed) % 4];
	unsigned how = (unsigned)(random_next(seed) % 4);

	if (how == 0)
		*field = (__u16)random_next(seed);
	else if (how == 1)
		*field = (__u16)(*field ^ 1u << random_next(seed) % 16);
	else
		*field = (__u16)(*field + random_next(seed) % 64 - 32);
	if (random_next(seed) % 8 == 0)
		meta->flags ^= (__u8)(1 << random_next(seed) % 2);
	if (random_next(seed) % 8 == 0)
		meta->spi = (__u32)random_next(seed);
}

/*
 * Metadata comes by way of shared memory. Whatever it says, openers read inside
 * the frame and no cipher gets what it cannot take; behind a packet of its kind,
 * too, whose plan it may take over. In `single` it never makes a packet verify.
 */
static void hostile_row(const struct envelope_row *row, const char *backend, __u64 seed)
{
	static struct row_scene scene;
	struct hk_frame frames[2];
	struct hk_fate fates[2];
	__u8 *copies[2];
	struct hk_meta good;
	unsigned i;

	row_begin_with(&scene, row, backend, NULL);
	for (i = 0; i < 2; i++) {
		copies[i] = malloc(scene.length);
		memcpy(copies[i], scene.frame, scene.length);
		frames[i] = (struct hk_frame){.data = copies[i], .length = scene.length, .wall_ns = 1};
	}
	hk_outer_parse(scene.box.outer, scene.frame, scene.length, 0, &good);
	for (i = 0; i < DAMAGED; i++) {
		frames[0].meta = frames[1].meta = good;
		damage_meta(&frames[1].meta, &seed);
		hk_pipeline_run(scene.box.pipeline, scene.box.inspection, frames, 2, scene.box.now_ns, fates);
		CU_ASSERT(row->envelope == HK_ENVELOPE_TLS || fates[0].reason == row->whole);
		CU_ASSERT_PTR_NOT_NULL(hk_reason_name(fates[1].reason));
		if (row->profile == ROW_SINGLE && frames[1].meta.end_offset != good.end_offset)
			CU_ASSERT(!fates[1].opened);
	}
	free(copies[0]);
	free(copies[1]);
	row_end(&scene);
}

static void hostile_metadata(void)
{
	struct hk_crypto *probe;
	const char *backend;
	unsigned b;
	size_t i;

	for (b = 0; (backend = hk_crypto_backend_name(b)); b++) {
		probe = hk_crypto_new(backend);
		if (!probe)
			continue;
		hk_crypto_free(probe);
		for (i = 0; i < ENVELOPE_ROWS; i++)
			hostile_row(&envelope_rows[i], backend, 5 + i);
	}
}

/* --- split: padding decides nothing ------------------------------------------------------------- */

/* With ESP's trailer, in tunnel mode, under a cipher whose bits can be flipped one by one. */
static bool has_trailer(const struct envelope_row *row)
{
	return row->profile == ROW_SPLIT && row->suite != HK_SUITE_CBC_HMAC &&
	       (row->envelope == HK_ENVELOPE_ESP || row->envelope == HK_ENVELOPE_INLINE ||
		       (row->envelope == HK_ENVELOPE_WESP && row->eesp.derived));
}

/* A visible difference would be a padding oracle (wire formats, rule of `split`). */
static void padding_decides_nothing(void)
{
	static struct row_scene scene;
	const struct envelope_row *row;
	unsigned flip, rows = 0;
	struct hk_fate fate;
	__u8 *pad_length;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++) {
		if (!has_trailer(row))
			continue;
		row_begin(&scene, row);
		pad_length = scene.frame + scene.length - 16 - 2;
		for (flip = 0; flip < 256; flip++) {
			*pad_length ^= (__u8)flip;
			pad_length[-1] ^= (__u8)flip;
			fate = box_run(&scene.box, scene.frame, scene.length);
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
			CU_ASSERT_EQUAL(fate.inner_length, ROW_INNER);
			CU_ASSERT(fate.opened && memcmp(fate.inner, scene.inner, ROW_INNER) == 0);
			*pad_length ^= (__u8)flip;
			pad_length[-1] ^= (__u8)flip;
		}
		row_end(&scene);
		rows++;
	}
	CU_ASSERT_EQUAL(rows, 5);
}

/* --- nonces ------------------------------------------------------------------------------------- */

/* The same packet again is a retransmission; another ICV under its nonce, which `split` cannot refuse, an
 * anomaly. */
static void nonces_that_come_again(void)
{
	static struct row_scene scene;
	const struct envelope_row *row;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++) {
		if (row->profile != ROW_SPLIT || (row->envelope == HK_ENVELOPE_WESP && !row->eesp.derived))
			continue;
		row_begin(&scene, row);
		run(&scene, scene.frame, scene.length, HK_REASON_OK, 0);
		run(&scene, scene.frame, scene.length, HK_REASON_OK, 1);
		CU_ASSERT_EQUAL(scene.box.counts.nonce_repeats, 0);
		scene.frame[scene.length - 1] ^= 1;
		run(&scene, scene.frame, scene.length, HK_REASON_OK, 2);
		if (scene.box.counts.nonce_repeats != 1)
			printf("# %s\n", row->name);
		CU_ASSERT_EQUAL(scene.box.counts.nonce_repeats, 1);
		row_end(&scene);
	}
}

/* --- keys that are not in force ----------------------------------------------------------------- */

static void time_boxes(void)
{
	static struct row_scene scene;
	const struct envelope_row *row;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++) {
		if (row->envelope == HK_ENVELOPE_TLS || row->whole ||
			(row->envelope == HK_ENVELOPE_WESP && !row->eesp.derived))
			continue;
		row_begin_with(&scene, row, "libcrypto", " not-before=4000000000");
		run(&scene, scene.frame, scene.length, HK_REASON_KEY_NOT_YET, 0);
		row_end(&scene);
		row_begin_with(&scene, row, "libcrypto", " not-after=1600000000");
		run(&scene, scene.frame, scene.length, HK_REASON_KEY_EXPIRED, 0);
		row_end(&scene);
	}
}

/* The first TLS domain came with a reload: memory for streams is taken at start. */
static void streams_without_memory(void)
{
	static struct row_scene scene;
	const struct envelope_row *row = &envelope_rows[ENVELOPE_ROWS - 1];

	CU_ASSERT_EQUAL_FATAL(row->envelope, HK_ENVELOPE_TLS);
	row_begin(&scene, row);
	hk_pipeline_free(scene.box.pipeline);
	hk_inspection_free(scene.box.inspection);
	hk_outer_free(scene.box.outer);
	scene.box.domains[0].tls.memory = 0;
	CU_ASSERT_EQUAL_FATAL(box_build(&scene.box, "libcrypto", BOX_FRAME, 0), 0);
	run(&scene, scene.frame, scene.length, HK_REASON_TLS_NO_ROOM, 0);
	row_end(&scene);
}

int main(void)
{
	static const struct test tests[] = {
		{"cut to every length", cut_to_every_length},
		{"every reserved field", reserved_fields},
		{"frames and datagrams that end too early", stumps},
		{"metadata", metadata},
		{"hostile metadata", hostile_metadata},
		{"split: padding decides nothing", padding_decides_nothing},
		{"split: a nonce with two ciphertexts is noticed", nonces_that_come_again},
		{"keys not yet and no longer in force", time_boxes},
		{"TCP streams without memory", streams_without_memory},
		{0},
	};

	return run_tests("envelopes", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every envelope, cut to every length and with every reserved field set: parser
 * and worker together give the one right reason, count it once, and do what its
 * policy says. Frames lie in memory of exactly their size, for the sanitizers.
 */
#include "tests/unit/envelope_sweeps.h"
#include "user/pipeline/internal.h"

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

/* --- packets beside each other ------------------------------------------------------------------ */

#define ALIKE 5

/* Neighbours of one kind take over each other's plan: what one needs to know for itself it still finds out.
 */
static void alike(void)
{
	static struct row_scene scene;
	struct hk_frame frames[ALIKE];
	struct hk_fate fates[ALIKE];
	size_t row;
	unsigned i;

	for (row = 0; row < ENVELOPE_ROWS; row++) {
		if (envelope_rows[row].whole)
			continue;
		row_begin_with(&scene, &envelope_rows[row], NULL, NULL);
		for (i = 0; i < ALIKE; i++)
			frames[i] = (struct hk_frame){.data = scene.frame, .length = scene.length};
		box_run_frames(&scene.box, frames, ALIKE, fates);
		for (i = 0; i < ALIKE; i++) {
			CU_ASSERT_EQUAL(fates[i].reason, HK_REASON_OK);
			CU_ASSERT_EQUAL(fates[i].inner_length, ROW_INNER);
			CU_ASSERT(fates[i].opened && !memcmp(fates[i].inner, scene.inner, ROW_INNER));
		}
		row_end(&scene);
	}
}

/* ESP-NULL where a packet under a key was before it, and the other way round. */
static void unlike(void)
{
	static struct row_scene scene, other;
	const struct envelope_row *row = envelope_rows;
	struct hk_frame frames[2];
	struct hk_fate fates[2];
	unsigned i;

	while (row->envelope != HK_ENVELOPE_WESP || !row->eesp.split)
		row++;
	row_begin(&scene, row);
	while (row->envelope != HK_ENVELOPE_WESP || row->eesp.derived)
		row++;
	row_begin(&other, row);
	for (i = 0; i < 4; i++) {
		frames[i & 1] = (struct hk_frame){.data = scene.frame, .length = scene.length};
		frames[!(i & 1)] = (struct hk_frame){.data = other.frame, .length = other.length};
		box_run_frames(&scene.box, frames, 2, fates);
		CU_ASSERT_EQUAL(fates[0].reason, HK_REASON_OK);
		CU_ASSERT_EQUAL(fates[1].reason, HK_REASON_OK);
		CU_ASSERT(fates[0].opened && !memcmp(fates[0].inner, scene.inner, ROW_INNER));
		CU_ASSERT(fates[1].opened && !memcmp(fates[1].inner, scene.inner, ROW_INNER));
	}
	row_end(&scene);
	row_end(&other);
}

/* As another packet may have left it: all of it but what the pipeline gave it for good. */
static void soil(struct hk_opening *opening)
{
	const struct hk_opening given = *opening;

	memset(opening, 0xa5, sizeof(*opening));
	opening->index = given.index;
	opening->streams = given.streams;
	opening->crypto = given.crypto;
	opening->now_ns = given.now_ns;
	opening->expanded = given.expanded;
}

/* What an opening held before changes nothing: every field that is read was set for this packet. */
static void places_are_used_again(void)
{
	static struct row_scene scene;
	struct hk_frame frames[2];
	struct hk_fate fates[3][2];
	unsigned i, n, f;

	for (i = 0; i < ENVELOPE_ROWS; i++) {
		row_begin_with(&scene, &envelope_rows[i], NULL, NULL);
		frames[0] = frames[1] = (struct hk_frame){.data = scene.frame, .length = scene.length};
		for (n = 0; n < 3; n++) { /* the first may change a state: a segment that was seen */
			for (f = 0; f < 2 && n == 2; f++)
				soil(&scene.box.pipeline->openings[f]);
			box_run_frames(&scene.box, frames, 2, fates[n]);
		}
		for (f = 0; f < 2; f++) {
			CU_ASSERT_EQUAL(fates[2][f].reason, fates[1][f].reason);
			CU_ASSERT_EQUAL(fates[2][f].opened, fates[1][f].opened);
			CU_ASSERT_EQUAL(fates[2][f].auth, fates[1][f].auth);
			CU_ASSERT_EQUAL(fates[2][f].not_ip, fates[1][f].not_ip);
			CU_ASSERT_EQUAL(fates[2][f].inner_length, fates[1][f].inner_length);
		}
		row_end(&scene);
	}
}

static bool is_zero(const void *memory, size_t size)
{
	const __u8 *bytes = memory;
	size_t i;

	for (i = 0; i < size && !bytes[i]; i++)
		;
	return i == size;
}

/* Keys of packets last as long as their batch. */
static void no_key_of_a_packet_stays(void)
{
	static struct row_scene scene;
	const struct hk_pipeline *pipeline;
	struct hk_frame frames[2];
	struct hk_fate fates[2];
	unsigned i;

	for (i = 0; i < ENVELOPE_ROWS; i++) {
		row_begin_with(&scene, &envelope_rows[i], NULL, NULL);
		frames[0] = frames[1] = (struct hk_frame){.data = scene.frame, .length = scene.length};
		box_run_frames(&scene.box, frames, 2, fates);
		pipeline = scene.box.pipeline;
		CU_ASSERT(is_zero(pipeline->derived, sizeof(pipeline->derived)));
		CU_ASSERT(is_zero(pipeline->group_derived, sizeof(pipeline->group_derived)));
		CU_ASSERT(is_zero(pipeline->expanded, sizeof(pipeline->expanded)));
		CU_ASSERT(is_zero(pipeline->reader_derived, sizeof(pipeline->reader_derived)));
		row_end(&scene);
	}
}

/* --- explicit keys ------------------------------------------------------------------------------ */

/* The key file's line of the key that the packet's SA has. */
static void explicit_line(const struct row_scene *scene, char *text, size_t room)
{
	const struct envelope_row *row = scene->row;
	struct hk_crypto *crypto = hk_crypto_new("libcrypto");
	bool psp = row->envelope == HK_ENVELOPE_PSP, split = row->profile == ROW_SPLIT;
	struct hk_sa_name name = {.envelope = row->envelope,
		.variant = psp ? row->version : row->suite,
		.mkid = 1,
		.spi = ROW_SPI,
		.receiver = scene->receiver};
	char key[65], salt[9], kind[64];
	struct hk_error error = {{0}};
	struct hk_sa_keys keys;

	CU_ASSERT_EQUAL_FATAL(hk_sa_derive_keys(&keys, crypto, &name, &scene->master.enc_key,
				      split ? &scene->master.auth_key : NULL, &error),
		0);
	hk_crypto_free(crypto);
	hk_hex_format(keys.enc, keys.key_size, key);
	hk_hex_format(keys.salt_enc, sizeof(keys.salt_enc), salt);
	snprintf(kind, sizeof(kind), "version=%u", row->version);
	if (!psp)
		snprintf(kind, sizeof(kind), "suite=%s%s%s", hk_suite_name(row->suite),
			row->suite == HK_SUITE_CBC_HMAC ? "" : " salt=",
			row->suite == HK_SUITE_CBC_HMAC ? "" : salt);
	snprintf(text, room, "receiver=%s spi=%u %s side=%s key=%s\n", row->v6 ? "2001:db8::9" : "192.0.2.9",
		ROW_SPI, kind, split ? "enc" : "single", key);
}

static void explicit_keys(void)
{
	static struct row_scene scene, given;
	const struct envelope_row *row;
	char text[512];
	unsigned rows = 0;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++) {
		if (row->envelope != HK_ENVELOPE_PSP && row->envelope != HK_ENVELOPE_ESP)
			continue;
		row_begin(&scene, row);
		explicit_line(&scene, text, sizeof(text));
		memset(&given, 0, sizeof(given));
		given.row = row;
		row_box(&given, NULL, text);
		run(&given, scene.frame, scene.length, HK_REASON_OK, 0);
		scene.frame[scene.front + (row->envelope == HK_ENVELOPE_PSP ? 7 : 3)] ^= 2; /* another SPI */
		run(&given, scene.frame, scene.length, HK_REASON_NO_KEY, 1);
		row_end(&given);
		row_end(&scene);
		rows++;
	}
	CU_ASSERT_EQUAL(rows, 6);
}

/* --- PSP: a cookie that is encrypted ------------------------------------------------------------ */

/*
 * No seal side of ours makes it, but the format allows a crypt offset that ends
 * in front of the cookie. In `split`, one packet's key stream makes another:
 * `body` behind a cookie, both encrypted.
 */
static __u32 encrypt_cookie(
	const struct row_scene *scene, __u8 next_header, const __u8 *body, __u32 size, __u8 *frame)
{
	const __u8 *sealed = scene->frame + scene->front;
	__u8 packet[16 + ROW_INNER + 16];
	__u32 at, stream;
	__u8 plain;

	memcpy(packet, sealed, 16);
	packet[0] = next_header;
	packet[1] = 2;
	packet[3] |= 2;
	for (at = 0; at < 8 + size; at++) {
		stream = sealed[16 + at] ^ scene->inner[at];
		plain = at < 8 ? 0xc0 : body[at - 8];
		packet[16 + at] = (__u8)(stream ^ plain);
	}
	memset(packet + 24 + size, 0, 16);
	return frame_around(frame, (__u32)hk_outer_build(&scene->source, &scene->receiver, 17, 40000, 1000,
					   packet, 40 + size, frame + 14, BOX_FRAME - 14));
}

static void encrypted_cookie(void)
{
	static const struct envelope_row row = {.name = "PSP version 4",
		.envelope = HK_ENVELOPE_PSP,
		.profile = ROW_SPLIT,
		.udp = true,
		.version = HK_PSP_SPLIT_128};
	__u8 inner[ROW_INNER], frame[BOX_FRAME];
	static struct row_scene scene;
	struct hk_fate fate;
	__u32 size;

	row_begin(&scene, &row);
	memcpy(inner, scene.inner, ROW_INNER - 8);
	row_put16(inner + 2, ROW_INNER - 8);
	row_put16(inner + 24, ROW_INNER - 8 - 20);
	row_put16(inner + 10, 0);
	row_put16(inner + 10, ip_checksum(inner));
	size = encrypt_cookie(&scene, 4, inner, ROW_INNER - 8, frame);
	fate = box_run(&scene.box, frame, size);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.inner_length, ROW_INNER - 8);
	CU_ASSERT(fate.opened && memcmp(fate.inner, inner, ROW_INNER - 8) == 0);
	/* transport mode: the UDP datagram alone */
	size = encrypt_cookie(&scene, 17, inner + 20, ROW_INNER - 28, frame);
	fate = box_run(&scene.box, frame, size);
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_OK);
	CU_ASSERT_EQUAL(fate.inner_length, ROW_INNER - 8);
	CU_ASSERT(fate.opened && memcmp(fate.inner + 20, inner + 20, ROW_INNER - 28) == 0);
	row_end(&scene);
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
 * Metadata and frame come by way of shared memory. Whatever they say, openers read inside
 * the frame and no cipher gets what it cannot take; behind a packet of its kind,
 * too, whose plan it may take over. In `single` it never makes a packet verify.
 */
static void hostile_row(const struct envelope_row *row, const char *backend, __u64 seed)
{
	static struct row_scene scene;
	struct hk_frame frames[2];
	struct hk_fate fates[2];
	__u8 *copies[2];
	/* the four bytes of a WESP header are under no ICV: XDP checks them */
	__u32 first = row->envelope == HK_ENVELOPE_WESP ? 4 : 0;
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
		memcpy(copies[1], scene.frame, scene.length);
		if (random_next(&seed) % 4)
			damage_meta(&frames[1].meta, &seed);
		else
			copies[1][scene.front + first + random_next(&seed) % 48] ^=
				(__u8)(1 << random_next(&seed) % 8);
		hk_pipeline_run(scene.box.pipeline, scene.box.inspection, frames, 2, scene.box.now_ns, fates);
		CU_ASSERT(row->envelope == HK_ENVELOPE_TLS || fates[0].reason == row->whole);
		CU_ASSERT_PTR_NOT_NULL(hk_reason_name(fates[1].reason));
		if (row->profile == ROW_SINGLE && (frames[1].meta.end_offset != good.end_offset ||
							  memcmp(copies[1], scene.frame, scene.length)))
			CU_ASSERT(!fates[1].opened);
	}
	free(copies[0]);
	free(copies[1]);
	row_end(&scene);
}

static void hostile_metadata(void)
{
	const char *backend;
	unsigned b;
	size_t i;

	for (b = 0; (backend = hk_crypto_backend_name(b)); b++) {
		if (!backend_runs(backend))
			continue;
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

/* --- dummies ------------------------------------------------------------------------------------ */

/* Next header 59, wherever one stands in the plaintext: counted, not inspected. */
static void dummies(void)
{
	static struct row_scene scene;
	const struct envelope_row *row;
	struct hk_fate fate;
	unsigned rows = 0;
	__u8 *next;

	for (row = envelope_rows; row < envelope_rows + ENVELOPE_ROWS; row++) {
		row_begin(&scene, row);
		next = has_trailer(row) ? scene.frame + scene.length - 16 - 1 : NULL;
		if (row->envelope == HK_ENVELOPE_EESP && row->profile == ROW_SPLIT && row->eesp.transport)
			next = scene.frame + scene.front + 42;
		if (next) {
			*next ^= has_trailer(row) ? 4 ^ HK_ESP_DUMMY : 17 ^ HK_ESP_DUMMY;
			fate = box_run(&scene.box, scene.frame, scene.length);
			CU_ASSERT_EQUAL(fate.reason, HK_REASON_DUMMY);
			CU_ASSERT_EQUAL(fate.action, HK_ACTION_PASS);
			CU_ASSERT_EQUAL(fate.opened, 0);
			rows++;
		}
		row_end(&scene);
	}
	CU_ASSERT_EQUAL(rows, 6);
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

int main(void)
{
	static const struct test tests[] = {
		{"cut to every length", cut_to_every_length},
		{"every reserved field", reserved_fields},
		{"frames and datagrams that end too early", stumps},
		{"metadata", metadata},
		{"packets of a kind in one batch", alike},
		{"packets of two kinds in one batch", unlike},
		{"what was in a place before does not show", places_are_used_again},
		{"no key of a packet stays behind its batch", no_key_of_a_packet_stays},
		{"explicit keys", explicit_keys},
		{"PSP: an encrypted cookie", encrypted_cookie},
		{"hostile metadata", hostile_metadata},
		{"split: padding decides nothing", padding_decides_nothing},
		{"dummies", dummies},
		{"split: a nonce with two ciphertexts is noticed", nonces_that_come_again},
		{"keys not yet and no longer in force", time_boxes},
		{0},
	};

	return run_tests("envelopes", tests);
}

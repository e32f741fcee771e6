/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every program that runs each envelope's rows does with them: cut, flipped
 * and as stumps. The program itself says in each_row() what a run is.
 */
#ifndef TESTS_UNIT_ENVELOPE_SWEEPS_H
#define TESTS_UNIT_ENVELOPE_SWEEPS_H

#include "tests/unit/envelope_scene.h"

static inline void row_put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

/* The frame with `length` bytes of payload, all lengths right; the frame's length. */
static inline __u32 row_cut_frame(const struct row_scene *scene, __u32 length, __u8 *frame)
{
	__u32 whole = scene->front + length;

	memcpy(frame, scene->frame, whole);
	if (scene->row->v6)
		row_put16(frame + 14 + 4, whole - 14 - 40);
	else
		row_put16(frame + 14 + 2, whole - 14);
	if (scene->row->udp)
		row_put16(frame + scene->front - 4, length + 8);
	if (scene->row->envelope == HK_ENVELOPE_TLS && length >= 2)
		row_put16(frame + scene->front, 40000 + length); /* a connection of its own */
	return whole;
}

static inline unsigned row_cut_reason(const struct envelope_row *row, __u32 length)
{
	const struct row_cut *cut;

	for (cut = row->cuts; cut < row->cuts + ROW_CUTS; cut++)
		if (length < cut->below && (!cut->step || (length - cut->base) % cut->step))
			return cut->reason;
	return HK_REASON_COUNT;
}

/*
 * Calls `run` with each cut and each flip: the frame, what must become of it,
 * and a number that says which it is.
 */
typedef void row_run(
	struct row_scene *scene, const __u8 *frame, __u32 length, unsigned reason, unsigned what);

static inline void row_each_cut(struct row_scene *scene, row_run *run)
{
	__u32 whole = scene->length - scene->front, length;
	__u8 frame[BOX_FRAME];

	for (length = 0; length < whole; length++)
		run(scene, frame, row_cut_frame(scene, length, frame), row_cut_reason(scene->row, length),
			length);
	run(scene, scene->frame, scene->length, scene->row->whole, whole);
}

static inline void row_each_flip(struct row_scene *scene, row_run *run)
{
	const struct row_flip *flip;
	__u8 frame[BOX_FRAME];
	unsigned bit;

	for (flip = scene->row->flips; flip < scene->row->flips + ROW_FLIPS; flip++)
		for (bit = 0; bit < 8; bit++) {
			if (!(flip->bits >> bit & 1))
				continue;
			memcpy(frame, scene->frame, scene->length);
			if (scene->row->envelope == HK_ENVELOPE_TLS)
				row_put16(frame + scene->front, 50000 + bit);
			frame[scene->front + flip->at] ^= (__u8)(1 << bit);
			run(scene, frame, scene->length, flip->reason, flip->at << 8 | bit);
		}
}

/*
 * The frame itself ends early, its headers say otherwise: 14 bytes are the least
 * that can be run. Then the UDP length alone is short, which IP's contradicts.
 */
static inline void row_each_stump(struct row_scene *scene, row_run *run)
{
	__u32 headers = 14 + (scene->row->v6 ? 40 : 20), length;
	__u8 frame[BOX_FRAME];
	unsigned reason;

	for (length = 14; length < scene->length; length++)
		run(scene, scene->frame, length,
			length < headers ? HK_REASON_SHORT_FRAME : HK_REASON_IP_HEADER, length);
	if (!scene->row->udp)
		return;
	memcpy(frame, scene->frame, scene->length);
	for (length = 0; length < scene->length - headers; length++) {
		row_put16(frame + scene->front - 4, length);
		reason = length < 8 ? HK_REASON_UDP_LENGTH : row_cut_reason(scene->row, length - 8);
		if (reason != HK_REASON_UDP_LENGTH && reason != HK_REASON_NO_DOMAIN)
			reason = HK_REASON_DATAGRAM_PADDING;
		run(scene, frame, scene->length, reason, length);
	}
}

static void each_row(void (*each)(struct row_scene *scene, row_run *run));

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

#endif

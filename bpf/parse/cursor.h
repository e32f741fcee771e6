/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The bounded cursor: the only way a parser touches a frame. It carries its
 * own bounds, so a read that does not fit is a NULL and never a wild read.
 *
 *   start                 at                       limit            end
 *   | already read ...... | what may be read ..... | Ethernet pad . |
 *
 * `end` is the frame's end; `limit` starts there and only ever shrinks, to what
 * the IP and UDP lengths say. Compiles for BPF, where the verifier demands the
 * comparison with data_end right before each read, and for userspace, where
 * forming a pointer past the end is undefined: the one #ifdef is for that.
 */
#ifndef HALFKEY_BPF_PARSE_CURSOR_H
#define HALFKEY_BPF_PARSE_CURSOR_H

#include <linux/types.h>

#define HK_PARSE static inline __attribute__((always_inline))

/* Offsets are 16 bits wide in hk_meta, and what the verifier allows in a packet. */
#define HK_CURSOR_MAX 0xffffu

/*
 * A stage is a piece of the parser that the verifier checks on its own (a global
 * function): without that the paths of all stages multiply and a program this
 * size is refused. It gets the frame afresh and keeps offsets in struct
 * hk_packet, since pointers into a frame cannot be carried from stage to stage.
 */
#ifdef __bpf__
#define HK_STAGE __attribute__((noinline)) int
typedef struct xdp_md hk_frame_source;
#define HK_FRAME_START(source) ((const __u8 *)(long)(source)->data)
#define HK_FRAME_END(source)   ((const __u8 *)(long)(source)->data_end)
#else
#define HK_STAGE	       static inline int
typedef struct {
	const __u8 *data;
	const __u8 *data_end;
} hk_frame_source;
#define HK_FRAME_START(source) ((source)->data)
#define HK_FRAME_END(source)   ((source)->data_end)
#endif

struct hk_cursor {
	const __u8 *start;
	const __u8 *end;
	__u32 at;
	__u32 limit;
};

HK_PARSE void hk_cursor_init(struct hk_cursor *cursor, const hk_frame_source *source, __u32 at, __u32 limit)
{
	cursor->start = HK_FRAME_START(source);
	cursor->end = HK_FRAME_END(source);
	cursor->at = at;
	cursor->limit = limit;
}

HK_PARSE __u32 hk_cursor_left(const struct hk_cursor *cursor)
{
	return cursor->at < cursor->limit ? cursor->limit - cursor->at : 0;
}

/* The next `size` bytes (a constant), or NULL when they are not all there. */
HK_PARSE const __u8 *hk_cursor_peek(const struct hk_cursor *cursor, __u32 size)
{
	__u32 at = cursor->at;
	const __u8 *bytes;

	if (hk_cursor_left(cursor) < size)
		return 0;
#ifdef __bpf__
	/* Hides what the compiler knows about `at`, so that it keeps the bound the verifier wants to see. */
	asm volatile("" : "+r"(at));
	if (at > HK_CURSOR_MAX - size)
		return 0;
	bytes = cursor->start + at;
	return bytes + size > cursor->end ? 0 : bytes;
#else
	if (at > HK_CURSOR_MAX - size || (__u64)(cursor->end - cursor->start) < (__u64)at + size)
		return 0;
	bytes = cursor->start + at;
	return bytes;
#endif
}

/* Goes on by `size` bytes (any value). 0, or -1 and no move when they are not all there. */
HK_PARSE int hk_cursor_skip(struct hk_cursor *cursor, __u32 size)
{
	if (hk_cursor_left(cursor) < size)
		return -1;
	cursor->at += size;
	return 0;
}

HK_PARSE const __u8 *hk_cursor_take(struct hk_cursor *cursor, __u32 size)
{
	const __u8 *bytes = hk_cursor_peek(cursor, size);

	if (bytes)
		cursor->at += size;
	return bytes;
}

/* Only `size` bytes from here count. 0, or -1 when fewer are there. */
HK_PARSE int hk_cursor_narrow(struct hk_cursor *cursor, __u32 size)
{
	if (hk_cursor_left(cursor) < size)
		return -1;
	cursor->limit = cursor->at + size;
	return 0;
}

HK_PARSE __u16 hk_load16(const __u8 *bytes)
{
	return (__u16)(bytes[0] << 8 | bytes[1]);
}

HK_PARSE __u32 hk_load32(const __u8 *bytes)
{
	return (__u32)bytes[0] << 24 | (__u32)bytes[1] << 16 | (__u32)bytes[2] << 8 | bytes[3];
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capture files in and out for `halfkey open`. In: Ethernet, raw IP, Linux
 * cooked (1 and 2) and BSD null captures, all handed out as Ethernet frames,
 * because that is what the outer parser reads. Out: Ethernet, nanoseconds.
 */
#ifndef HK_CMD_CAPTURE_H
#define HK_CMD_CAPTURE_H

#include <stdbool.h>
#include <linux/types.h>

#include "user/base/error.h"

#define HK_CAPTURE_FRAME_MAX 65536 /* a longer frame is handed out cut, and says so */

struct hk_capture;

struct hk_captured {
	__u8 *data; /* the caller's buffer of HK_CAPTURE_FRAME_MAX bytes */
	__u32 length;
	__u64 wall_ns;
	bool cut;      /* the capture, or our bound, holds less than the packet had */
	bool too_long; /* longer than a frame may be: not to be parsed */
};

int hk_capture_open(struct hk_capture **out, const char *path, struct hk_error *error);
/* 1 and a frame, 0 at the end, negative errno and a sentence where the file breaks off. */
int hk_capture_next(struct hk_capture *capture, struct hk_captured *captured, struct hk_error *error);
/* 0..100, or -1 when the file's size is not known. */
int hk_capture_percent(const struct hk_capture *capture);
void hk_capture_close(struct hk_capture *capture);

struct hk_capture_out;

/* Creates `path` with mode 0600: it will hold plaintext. Refused when it is the file that is being read. */
int hk_capture_create(
	struct hk_capture_out **out, const char *path, const struct hk_capture *in, struct hk_error *error);
void hk_capture_write(struct hk_capture_out *out, const __u8 *frame, __u32 length, __u64 wall_ns);
/* Flushes and closes. 0, or negative errno and a sentence: something could not be written. */
int hk_capture_finish(struct hk_capture_out *out, struct hk_error *error);

#endif

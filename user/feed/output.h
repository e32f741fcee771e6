/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a feed's records go when they go to a file: whole records, gathered and
 * written together. A record is on the file whole or not at all: where the disk
 * fills up in the middle of one, its rest is kept and written first once there
 * is room, and taken off the file again if there never is. What cannot be
 * written is lost and counted; nothing here waits for room.
 */
#ifndef HK_FEED_OUTPUT_H
#define HK_FEED_OUTPUT_H

#include <stddef.h>

#include "user/feed/feeds.h"

struct hk_output;

/* Takes over `fd` in any case. NULL: no memory. `name` and `path` are for messages and are copied. */
struct hk_output *hk_output_new(
	int fd, const char *name, const char *path, struct hk_feed_counters *counters);
void hk_output_append(struct hk_output *output, const void *record, size_t size);
void hk_output_flush(struct hk_output *output);
/* What the file holds, or will when all that was appended is written. */
__u64 hk_output_size(const struct hk_output *output);
/* Nothing of a record has ever got through to this descriptor. */
bool hk_output_untouched(const struct hk_output *output);
/* Writes what waits, closes, frees. */
void hk_output_free(struct hk_output *output);

#endif

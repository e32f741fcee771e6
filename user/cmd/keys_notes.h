/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a list of keys means to whoever rotates them at night. */
#ifndef HK_CMD_KEYS_NOTES_H
#define HK_CMD_KEYS_NOTES_H

#include <jansson.h>

#define HK_KEY_TIME 48

/* "2026-11-21T15:00:00Z", as key lines take it; "-" for 0. */
const char *hk_key_time_text(long long seconds, char out[HK_KEY_TIME]);
/* How long ago; "never" for 0. */
const char *hk_key_used_text(long long seconds, char out[HK_KEY_TIME]);
/* "54 min", "3 h": how far that is from now. */
const char *hk_key_span_text(long long seconds, char out[HK_KEY_TIME]);

/* Sentences about the rows of `keys list`, below it; none when there is nothing to do. */
void hk_keys_notes(const json_t *keys);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From one request of the control socket to its answer, both JSON text. Knows
 * nothing of sockets; docs/control.md is the same in words.
 */
#ifndef HK_CONTROL_ANSWER_H
#define HK_CONTROL_ANSWER_H

#include <stddef.h>
#include <jansson.h>

#include "user/control/view.h"

#define HK_CONTROL_ROWS_MAX \
	1000 /* rows of a list in one answer (ask again `from` there), counters of a hook */

/*
 * The answer to one request line, without newline; caller frees. NULL: out of memory.
 * `fd`: the descriptor that came with it, the caller's; -1: none.
 */
char *hk_control_answer(const struct hk_view *view, const char *request, size_t size, int fd);
char *hk_control_refusal(const char *sentence);
/*
 * A text for an answer. One that JSON does not take - a quoted value was cut within a character, the
 * name of a file is in another encoding - goes with '?' for what is not ASCII.
 */
json_t *hk_control_text(const char *text);

/* report.c: the bodies of `status` and `stats`. */
json_t *hk_control_report_status(const struct hk_view *view);
json_t *hk_control_report_stats(const struct hk_view *view);
/* lists.c: rows `from` .. `from` + HK_CONTROL_ROWS_MAX of the keys and of the verdict cache. */
json_t *hk_control_list_keys(const struct hk_view *view, unsigned from);
json_t *hk_control_list_verdicts(const struct hk_view *view, unsigned from);

#endif

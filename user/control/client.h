/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's client side: one request, one answer. */
#ifndef HK_CONTROL_CLIENT_H
#define HK_CONTROL_CLIENT_H

#include <jansson.h>

#include "user/base/error.h"

/*
 * Sends `request` (an object; the reference is taken) to the daemon at `path`
 * and waits some seconds for the answer. Its `result` (caller decrefs), or NULL
 * and a sentence: the daemon's own, or why it cannot be asked.
 */
json_t *hk_control_ask(const char *path, json_t *request, struct hk_error *error);
/* The same with a descriptor beside the request; the caller's. */
json_t *hk_control_ask_with(const char *path, json_t *request, int fd, struct hk_error *error);

#endif

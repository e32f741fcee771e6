/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's server side: JSON requests, one line each, one JSON
 * line in answer. Runs on the inspector's control thread, non-blocking, with a
 * bound on clients, request size and reply backlog. The socket's mode (0600,
 * or 0660 with a group) and SO_PEERCRED decide who may speak.
 */
#ifndef HK_CONTROL_SERVER_H
#define HK_CONTROL_SERVER_H

#include "user/base/error.h"
#include "user/control/view.h"

/* Binds and listens; called by the starter, which has the right to. A stale socket is replaced, a live one
 * refused. */
int hk_control_listen(const char *path, struct hk_error *error); /* fd, or negative errno */

struct hk_control_server;
int hk_control_server_new(struct hk_control_server **out, int listen_fd, const struct hk_view *view);
void hk_control_server_free(struct hk_control_server *server);
/* An epoll descriptor to wait on; call hk_control_server_run() when it is readable. */
int hk_control_server_fd(const struct hk_control_server *server);
void hk_control_server_run(struct hk_control_server *server);
/* The `stats` answer as JSON text (caller frees): also the body of the EVE stats record. */
char *hk_control_stats_json(const struct hk_view *view);

#endif

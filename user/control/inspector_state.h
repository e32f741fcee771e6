/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inspector's state, for its own files only: inspector.c, inspector_reload.c, inspector_view.c. */
#ifndef HK_CONTROL_INSPECTOR_STATE_H
#define HK_CONTROL_INSPECTOR_STATE_H

#include <stdbool.h>

#include "user/control/inspector.h"
#include "user/control/request.h"
#include "user/control/server.h"
#include "user/control/view.h"
#include "user/dataplane/workers.h"
#include "user/keys/keyring.h"

struct hk_inspector {
	struct hk_inspector_options given;
	const struct hk_config *config; /* in force */
	struct hk_config *own_config;	/* the same when a reload made it, else NULL */
	struct hk_arena *arena;
	struct hk_inspection *inspection; /* in force */
	struct hk_workers *workers;
	struct hk_control_server *server;
	struct hk_view view;
	int counters_fd;
	int verdicts_fd;
	bool memory_locked;
	unsigned keys_dropped;	/* as we were told */
	const char *crypto;	/* the backend's name */
	__u64 verdicts_refused; /* by a full cache, since it was last said */
	__u64 next_key_time_ns;
	bool stop;
	bool orphaned; /* the starter is gone */
	__u64 started_ns;
	__u64 next_expiry_ns;
	__u64 next_stats_ns;
	struct hk_request_status status; /* what the starter said last */
	/* what is being built for a reload */
	struct hk_files next_files;
	struct hk_config *next_config;
	struct hk_inspection *next;
	__u64 next_generation;
};

/* inspector.c: says which domains have no key: what they receive goes by as no-key */
void hk_inspector_say_keyless(const struct hk_inspector *inspector);

/* inspector.c: keys took memory that could not be locked: says so, once, and status does from then on */
void hk_inspector_say_unlocked(struct hk_inspector *inspector);

/* inspector_view.c: how the control socket sees us */
void hk_inspector_view(struct hk_inspector *inspector);
/* Deletes verdicts whose time is over. */
void hk_inspector_expire(struct hk_inspector *inspector, __u64 now_ns);
/* Puts the verdicts that workers ask for into the kernel's cache. */
void hk_inspector_verdicts(struct hk_inspector *inspector);

/* inspector_keys.c: a change from the control socket, from a keys-dir file (fd -1: it is gone), by time */
int hk_inspector_change_keys(struct hk_inspector *inspector, const struct hk_view_keys *wanted,
	struct hk_key_result *result, struct hk_error *error);
void hk_inspector_keys_file(struct hk_inspector *inspector, const struct hk_request_keys *keys, int fd);
void hk_inspector_keys_time(struct hk_inspector *inspector);

/* inspector_reload.c: one file; the whole configuration; in force; forget what was being built */
void hk_inspector_file(struct hk_inspector *inspector, const struct hk_request_file *file, int fd);
void hk_inspector_config(struct hk_inspector *inspector, const struct hk_request_config *config, int fd);
void hk_inspector_swap(struct hk_inspector *inspector, __u64 generation);
void hk_inspector_forget(struct hk_inspector *inspector);

#endif

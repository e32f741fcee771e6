/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an inspector gives up its rights, for good: no user id, group, capability
 * or bounding set to come back through. Called before any thread exists.
 */
#ifndef HK_CONTROL_PRIVILEGES_H
#define HK_CONTROL_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "user/base/error.h"

/* The numbers of `user`; root is refused. 0, or negative errno and a sentence. */
int hk_privileges_find(const char *user, uid_t *uid, gid_t *gid, struct hk_error *error);
/* Locks all memory there is now (and, where the limit allows, all there will be). False: it could not. */
bool hk_privileges_lock_memory(void);
/* Drops everything and looks whether it is really gone. 0, or negative errno and a sentence. */
int hk_privileges_drop(uid_t uid, gid_t gid, struct hk_error *error);

#endif

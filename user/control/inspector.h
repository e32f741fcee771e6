/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inspector: the process that holds keys and sees packets, and has no right
 * to anything else. Forked by the starter with all descriptors it needs:
 *
 *   lock memory ─► drop every right, filter system calls ─► read keys, build the inspection ─► run workers
 *
 * Its control thread answers the control socket, swaps inspections, writes
 * kernel verdicts and nothing else; see request.h for what it says to the starter.
 */
#ifndef HK_CONTROL_INSPECTOR_H
#define HK_CONTROL_INSPECTOR_H

#include <sys/types.h>

#include <halfkey/config.h>

#include "user/base/files.h"
#include "user/dataplane/ledger.h"
#include "user/dataplane/loader.h"
#include "user/dataplane/socket.h"
#include "user/feed/feed.h"
#include "user/keys/kept.h"

/* Inherited over the fork; the starter's originals are not touched. */
struct hk_inspector_options {
	const struct hk_config *config;
	struct hk_files *files; /* closed in this process once they are read */
	struct hk_loader *loader;
	struct hk_queue *const *queues; /* by worker; NULL in monitor mode */
	struct hk_ledger *ledger;
	struct hk_kept *kept; /* what a dead inspector was given over the control socket */
	bool drops_keys;      /* of that, keys are not to be taken: too many inspectors died */
	struct hk_feeds *feeds;
	int channel;   /* to the starter */
	int listen_fd; /* the control socket */
	uid_t uid;
	gid_t gid;
};

/* The exit status of the process. */
int hk_inspector_run(const struct hk_inspector_options *options);

#endif

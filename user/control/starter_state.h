/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The starter's state, for its own files only: starter.c, starter_child.c, starter_reload.c. */
#ifndef HK_CONTROL_STARTER_STATE_H
#define HK_CONTROL_STARTER_STATE_H

#include <stdbool.h>
#include <sys/types.h>

#include <halfkey/config.h>

#include "user/base/files.h"
#include "user/control/request.h"
#include "user/dataplane/device.h"
#include "user/dataplane/ledger.h"
#include "user/dataplane/loader.h"
#include "user/feed/feed.h"
#include "user/keys/kept.h"

/* DYING: killed by us, and not yet reaped */
enum hk_child { HK_CHILD_NONE, HK_CHILD_BEGINNING, HK_CHILD_READY, HK_CHILD_STOPPING, HK_CHILD_DYING };

struct hk_starter {
	const char *path;
	struct hk_config *config; /* in force */
	struct hk_files files;	  /* what it names, open: the next inspector needs them again */
	struct hk_feeds *feeds;
	struct hk_loader *loader;
	struct hk_ledger *ledger;
	struct hk_kept *kept; /* never looked into: what one inspector leaves to the next */
	int listen_fd;
	int signals;
	uid_t uid;
	gid_t gid;
	bool stop;
	bool failed;	/* the exit status is not 0 */
	bool was_ready; /* an inspector of ours has run: from now on a failing one is replaced */
	__u64 started_ns;
	/* the inspector */
	enum hk_child child;
	pid_t pid;
	int channel;
	char child_error[HK_REQUEST_TEXT]; /* why it could not begin, in its own words */
	__u64 child_since_ns;
	__u64 child_next_ns; /* HK_CHILD_NONE: when to try again */
	unsigned backoff_ms;
	unsigned restarts;
	unsigned quick_ends;   /* in a row: inspectors that lived for less than HEALTHY_NS */
	bool drops_keys;       /* the next inspector begins without the keys of the control socket */
	unsigned keys_dropped; /* that way, so far */
	bool armed;
	__u64 ports_next_ns;
	struct hk_device_link link[HK_PORTS_MAX];
	bool link_seen;	    /* looked at once, at least */
	bool metadata_seen; /* a packet reached a worker: the drivers carry metadata */
	__u64 metadata_failed_before;
	/* keys-dir: inotify, and the one change that the inspector is asked to take */
	int watch;
	struct hk_starter_events *events;
	bool keys_asked; /* `asked` went to the inspector and it has not answered */
	struct hk_request_keys asked;
	int asked_fd; /* -1: the file is gone */
	/* reload */
	struct hk_config *next_config;
	struct hk_files next_files;
	__u64 generation;
	__u64 reload_deadline_ns; /* 0: none is under way */
	bool reload_swaps;	  /* the inspector was told to swap: receivers that go have gone */
	bool reload_wanted;
	unsigned reloads;
	unsigned reload_failures;
	char reload_error[HK_REQUEST_TEXT];
};

/* starter.c */
void hk_starter_say_status(struct hk_starter *starter);

/* starter_ports.c: links that went away or came back; now and then, called at least every second */
void hk_starter_watch_ports(struct hk_starter *starter, __u64 now_ns);

/* starter_child.c: begin one; look after it, called at least every 100 ms; it said `request` */
int hk_starter_spawn(struct hk_starter *starter, struct hk_error *error);
void hk_starter_watch(struct hk_starter *starter);
void hk_starter_stop_child(struct hk_starter *starter);

/* starter_keys.c: watch the directories of a configuration; look what happened; what the inspector answers */
int hk_starter_keys_watch(struct hk_starter *starter, const struct hk_config *config, struct hk_error *error);
void hk_starter_keys_serve(struct hk_starter *starter);
void hk_starter_keys_taken(struct hk_starter *starter, const struct hk_request_answer *answer);
void hk_starter_keys_end(struct hk_starter *starter);

/* starter_reload.c: begin; what the inspector answers; it died or is too slow */
void hk_starter_reload(struct hk_starter *starter);
void hk_starter_built(struct hk_starter *starter, const struct hk_request_answer *answer);
void hk_starter_swapped(struct hk_starter *starter, const struct hk_request_answer *answer);
void hk_starter_reload_fail(struct hk_starter *starter, const char *why);

#endif

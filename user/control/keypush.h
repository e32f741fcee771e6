/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New keys for a running box: one text in the key file syntax (keyfile.h), as
 * one atomic change to one domain. It takes effect whole, between two batches of packets,
 * or not at all. Beside key lines the text may hold lines that take keys away:
 *
 *   slot=1 generation=8 side=enc receiver=192.0.2.1 key=<64 hex> not-before=<time> not-after=<time>
 *   receiver=192.0.2.1 spi=0x1000 suite=ctr-hmac side=enc key=<64 hex> salt=<8 hex>
 *   retire slot=0 generation=7 receiver=192.0.2.1
 *   retire receiver=192.0.2.1 spi=0x1000 suite=ctr-hmac
 *
 * Times are seconds since 1970 or 2026-11-21T15:00:00Z; both fields are
 * optional: a key waits before not-before, and is wiped at not-after. A line
 * that is in force already, letter by letter, is no error: pushing again is safe.
 *
 * The text goes to the daemon as a sealed descriptor, never inside a request,
 * and never comes back. Keys that came this way live until they are retired or
 * expire, over reloads and crashes of the inspector, or until halfkeyd ends;
 * what must outlast that belongs into the domain's `keys-dir` (write a file NAME.keys with mode 0600 under
 * another name, then rename it: the whole file is one atomic change as well).
 */
#ifndef HK_CONTROL_KEYPUSH_H
#define HK_CONTROL_KEYPUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "user/base/error.h"

struct hk_key_push {
	const char *socket; /* the daemon's control socket */
	const char *domain; /* its name */
	const char *text;   /* the caller wipes it */
	size_t size;
	/* the older generations, in any slot, of each master key given live only this much longer */
	bool rotate;
	__u32 grace_s;
};

struct hk_key_pushed {
	unsigned added;
	unsigned known; /* were in force already */
	unsigned retired;
	unsigned graced; /* got an end by `rotate` */
	unsigned filed;	 /* of the retired and graced: a file holds them still */
	char file[256];	 /* one such file; "": none */
};

/* 0, or negative errno and the daemon's sentence; nothing changed then. `done` may be NULL. */
int hk_control_push_keys(const struct hk_key_push *push, struct hk_key_pushed *done, struct hk_error *error);

#endif

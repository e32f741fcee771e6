/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a receiver remembers of the packets it took: a replay window and the sender
 * for each SPI or context, in one table for all that it opens.
 *
 * A tunnel's table is a file of its state directory, mapped: what is taken is in it
 * before it is delivered, and stays when the process ends in whatever way, so that
 * the next one takes no recorded packet again. There is no system call for a packet;
 * what the kernel had not written yet is lost with the machine's power alone.
 * Captures have a table of their own that ends with them.
 *
 * Not keys: fingerprints, addresses and numbers. One thread, one process.
 */
#ifndef HK_ENDPOINT_WINDOWS_H
#define HK_ENDPOINT_WINDOWS_H

#include <halfkey/address.h>

#include "user/base/error.h"
#include "user/endpoint/replay.h"
#include "user/endpoint/statefile.h"

#define HK_WINDOWS 4096

/* As in the file, in this machine's byte order. */
struct hk_window {
	__u8 id[8];	/* of the keys and all that makes the series of numbers another one; 0: free */
	__u8 family[8]; /* of epochs that follow each other; 0: none */
	__u32 epoch;
	__u32 claimed_s;	  /* when a process last asked for it */
	struct hk_address sender; /* who was first; nobody else may */
	struct hk_replay replay;
};

struct hk_windows;

/*
 * The table `name` of place->directory, where place->windows; else, or with NULL, one
 * in memory. 0, or negative errno and a sentence.
 */
int hk_windows_open(struct hk_windows **out, const struct hk_state_place *place, const char *name,
	struct hk_error *error);
void hk_windows_close(struct hk_windows *windows); /* NULL is fine */

/*
 * The window of `id`, made for `sender` where there is none. It stays where it is until it
 * is given back. Without room one that nobody asked for in this process gives way, the
 * oldest; NULL: there is none.
 */
struct hk_window *hk_windows_claim(
	struct hk_windows *windows, const __u8 id[8], const struct hk_address *sender);
/* Its keys are gone for now: it is remembered as long as there is room. */
void hk_windows_release(struct hk_windows *windows, struct hk_window *window);

/* False: a later epoch of the family was taken before. */
bool hk_windows_is_latest(const struct hk_windows *windows, const __u8 family[8], __u32 epoch);
/* Forgets the earlier epochs of the family, which hk_windows_is_latest() refuses from now on. */
void hk_windows_end_before(struct hk_windows *windows, const __u8 family[8], __u32 epoch);

#endif

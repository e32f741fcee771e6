/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a sender keeps what must outlive it: a directory with one file for each
 * series of numbers (nonces.h) and of epochs (epoch.h).
 */
#ifndef HK_ENDPOINT_STATEFILE_H
#define HK_ENDPOINT_STATEFILE_H

#include <stdbool.h>

#include "user/base/error.h"

#define HK_STATE_DIRECTORY "/var/lib/halfkey-endpoint"
#define HK_SENDER_TEXT	   64

struct hk_state_place {
	const char *directory;
	const char *sender; /* who seals: its address, or a word */
	bool first_use;	    /* makes the state, and refuses when there is any */
	bool fresh;	    /* nobody ever had these keys nor will again: nothing is kept (a key server's) */
	bool windows;	    /* receivers keep their replay windows here (windows.h) */
	bool prepare;	    /* the state is made for another process to use: what is there is left alone */
	/* Opens an existing file for whom has no right to any more; NULL: open(2). */
	int (*opener)(void *context, const char *name);
	int (*later)(void *context, const char *name); /* what `opener` will be once rights are gone */
	void *context;
};

/* Makes the directory (0700) when it is missing; refuses one that others could write. */
int hk_state_directory(const char *directory, struct hk_error *error);
/* One word of at most HK_SENDER_TEXT - 1 characters. */
int hk_state_sender(const char *sender, struct hk_error *error);

/*
 * Opens the existing file `name` for reading and writing, or makes it (0600)
 * where place->first_use. A descriptor, or negative errno.
 */
int hk_state_file(const struct hk_state_place *place, const char *name);

/*
 * What a state file holds: one line, written in place within one disk sector and
 * synced. Behind it stand the file's inode number, the time and a sum: a copy has
 * another inode, and a file written over by a restore has another change time,
 * which no one can set. So numbers from before never come back unseen.
 */
#define HK_STATE_TEXT 256		      /* at most, with its NUL */
int hk_state_write(int fd, const char *text); /* 0 or -EIO; errno says more */
/* 0; -EUCLEAN: not to be used, and `why` ("is corrupt"); or another negative errno. */
int hk_state_read(int fd, char text[HK_STATE_TEXT], const char **why);

#endif

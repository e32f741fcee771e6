/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a key set that was pulled goes: into a file that halfkeyd reads, or
 * straight into a running halfkeyd over its control socket. Either replaces
 * the set before as a whole; when it is refused, that one stays.
 */
#ifndef HK_CMD_KEYS_PUT_H
#define HK_CMD_KEYS_PUT_H

#include "user/cmd/command.h"

/* An inspector: in a container the next one may have the same process id, but not the same start. */
struct hk_key_holder {
	long long process; /* 0: none yet */
	long long started_ns;
};

struct hk_key_place {
	const char *file; /* NULL: none */
	bool reload;	  /* halfkeyd reads the file's set when this returns */
	bool reader;	  /* reader keys (side=reader) and nothing else; they stand beside the others */
	const char *into; /* or a domain of the running daemon; its master keys that came over the
			   * control socket are what was put last, and nothing else */
	struct hk_options daemon;
	struct hk_key_holder holder; /* who got the keys */
};

/* 0: the set is where it belongs. A set with a line that this role may not hold is refused. */
int hk_keys_put(struct hk_key_place *place, const char *lines, struct hk_error *error);
/* The process that `into` was put into is gone, and the keys with it: -ESTALE and a sentence. */
int hk_keys_still_there(const struct hk_key_place *place, struct hk_error *error);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the user asks of an envelope: options by name, alike on the command line
 * (--name VALUE) and in the tunnel's YAML (name: VALUE). Which there are is in
 * the speakers' rows (speaker.h); here are the values, as text, and the one
 * reader of them.
 */
#ifndef HK_ENDPOINT_WISHES_H
#define HK_ENDPOINT_WISHES_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

#include "user/base/error.h"
#include "user/base/options.h"

#define HK_WISHES_MAX 48

/* Where an option may stand. */
enum { HK_USE_SEAL = 1, HK_USE_OPEN = 2, HK_USE_TUNNEL = 4, HK_USE_PEER = 8 };

/* An option of an envelope. */
struct hk_wish {
	const char *name;
	const char *argument; /* what the help calls its value; NULL: a flag, in YAML yes or no */
	unsigned uses;	      /* HK_USE_*; PEER: a tunnel's peer may have one of its own */
	const char *text;
};

/* Values by the row of hk_wish_rows(); NULL: not said. */
struct hk_wishes {
	char *values[HK_WISHES_MAX];  /* malloc'ed */
	const struct hk_wishes *host; /* a peer's: the tunnel's own, which hold where it says nothing */
};

/* The options of all envelopes, each name once; what stands under one name has one form. */
const struct hk_wish *hk_wish_rows(unsigned *count);

/* Those for this use as rows of a command line, and the empty row behind them; `place` is the row. `out` has
 * room for HK_WISHES_MAX + 1. */
void hk_wish_options(struct hk_option *out, unsigned uses, hk_option_take take);
/* Takes one of them; `text` NULL: the flag. */
void hk_wish_set(struct hk_wishes *wishes, unsigned row, const char *text);
void hk_wishes_clear(struct hk_wishes *wishes);
/* For --help: the options of every envelope for this use. */
void hk_wishes_help(unsigned uses, FILE *out);

/* The value of `name`; NULL: not said. */
const char *hk_wish(const struct hk_wishes *wishes, const char *name);
bool hk_wish_flag(const struct hk_wishes *wishes, const char *name);
/* A number from 0 to `max`; `otherwise` where nothing is said. 0, or -EINVAL and a sentence. */
int hk_wish_number(const struct hk_wishes *wishes, const char *name, __u64 otherwise, __u64 max, __u64 *out,
	struct hk_error *error);

#endif

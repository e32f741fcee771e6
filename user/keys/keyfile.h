/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Key files, line by line. The same reader serves the box and the endpoints;
 * what each may hold is decided by the caller (the box's keyring refuses
 * authentication keys in a `split` domain).
 *
 *   # comment
 *   slot=0 generation=1 side=enc|auth|single key=<64 hex> [receiver=<prefix>] [id=<number>]
 *   receiver=<address> spi=<number> version=<psp version> side=... key=<32|64 hex>
 *   receiver=<address> spi=<number> suite=<name> side=... key=<64 hex> salt=<8 hex>
 *   receiver=<address> spi=<number> side=... root=<64 hex>
 *   level=<name> generation=<number> side=... key=<64 hex>
 *   slot=0 generation=1 side=... from=<g1>[/<g2>[/<g3>]] [receiver=<prefix>] [id=<number>]
 *   sender=<address> spis=<number>/<mask>
 *   sender=<address> id=<number>
 *
 * The first form is a master key (side=reader: for reader tags), the next three explicit keys of
 * one SPI; a root is what the keys of an EESP SA's sub-SAs are expanded from. An id is
 * the number that packets carry of their master key (without one: the domain's
 * mkid). A level line is a root of one of the domain's levels; the last form is a
 * master key combined of one generation of each level's root (levels.h). Each
 * of these takes not-before=<time> and not-after=<time>: seconds since 1970, or
 * 2026-11-21T15:00:00Z. Sender lines hold no key: they say, in an end host's file, who
 * alone sends with these SPIs, or under this id. Every refusal names file and line; no key byte is in a
 * message.
 *
 * An update (not a file) may hold "retire" in front of what names a key: no
 * side, key, salt or times then.
 */
#ifndef HK_KEYS_KEYFILE_H
#define HK_KEYS_KEYFILE_H

#include <stdbool.h>

#include <halfkey/address.h>

#include "user/base/error.h"
#include "user/crypto/kdf.h"

/* The forms of a line; each is a row of the table in keyfile.c. */
enum hk_key_form {
	HK_KEY_MASTER,
	HK_KEY_PSP,
	HK_KEY_ESP,
	HK_KEY_LEVEL,
	HK_KEY_COMBINED,
	HK_KEY_ROOT,
	HK_KEY_SENDER
};

#define HK_KEY_LEVELS	  3  /* trust region, user group, task group */
#define HK_KEY_LEVEL_NAME 16 /* bytes; part of the derivation */

struct hk_key_line {
	unsigned line; /* 1 is the first */
	enum hk_key_form form;
	bool is_explicit; /* one SPI's key, not a master key */
	bool retire;	  /* names a key that goes; no key here */
	enum hk_side side;
	bool has_receiver;
	struct hk_prefix receiver;
	__u8 slot;	  /* master: 0..3 */
	__u32 generation; /* master */
	bool has_id;
	__u32 id;	     /* master: what packets call it */
	__u32 spi;	     /* explicit */
	int version;	     /* explicit PSP, else -1 */
	enum hk_suite suite; /* explicit ESP, else HK_SUITE_NONE */
	__u8 key[32];
	__u8 key_size; /* 16 or 32 */
	__u8 salt[4];
	bool has_salt;
	char level[HK_KEY_LEVEL_NAME + 1]; /* level line */
	__u32 from[HK_KEY_LEVELS];	   /* combined: the generation of each level's root */
	unsigned from_count;
	__u64 not_before, not_after; /* seconds since 1970; 0: no such end */
	struct hk_address sender;    /* sender line: with has_id its id, else the SPIs */
	__u32 mask;		     /* sender line: of `spi` */
};

/*
 * Calls `take` for each key line of `text`; stops at the first refusal, the
 * reader's or take()'s (negative errno). `name` is the file's name for messages.
 * The line struct is wiped after each call; the caller wipes `text`.
 */
int hk_keyfile_read(const char *name, const char *text, struct hk_error *error,
	int (*take)(void *context, const struct hk_key_line *line, struct hk_error *error), void *context);

/* The same for an update, where lines may begin with "retire". */
int hk_keyfile_read_update(const char *name, const char *text, struct hk_error *error,
	int (*take)(void *context, const struct hk_key_line *line, struct hk_error *error), void *context);

#endif

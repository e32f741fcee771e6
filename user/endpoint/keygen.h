/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making keys. `keygen.c` reads the command line, `keygen_write.c` draws keys
 * and writes the files:
 *
 *   box.keys            for the box: the encryption side of every receiver (split), or the single key
 *   NAME.keys           for the host NAME: its own master keys, both sides, to receive with, and
 *                       derived keys of its own SPIs towards every other host to send with
 *   NAME.tunnel.yaml    for `halfkey-endpoint tunnel -c`
 *   domain.yaml         for halfkeyd's configuration
 *
 * A sender never gets another receiver's master keys: it could speak for the
 * other senders. SPIs are never shared between senders.
 */
#ifndef HK_ENDPOINT_KEYGEN_H
#define HK_ENDPOINT_KEYGEN_H

#include "user/endpoint/seal.h"

#define HK_KEYGEN_HOSTS 64
#define HK_KEYGEN_INNER 8

struct hk_keygen_host {
	char name[32];
	struct hk_address address;
	char inner[HK_KEYGEN_INNER][64]; /* as written: ADDRESS/LENGTH or a prefix behind the host */
	bool inner_is_address[HK_KEYGEN_INNER];
	unsigned inner_count;
	__u8 enc[32], auth[32]; /* master keys of this receiver */
};

struct hk_keygen {
	__u8 envelope, variant, profile;
	__u8 slot;
	__u16 mkid;
	__u32 generation;
	unsigned spis; /* per sender and receiver */
	const char *out, *domain, *carrier;
	struct hk_keygen_host hosts[HK_KEYGEN_HOSTS];
	unsigned hosts_count;
};

/* Draws keys and writes all files, or none. Prints what it wrote. 0 or negative errno and a sentence. */
int hk_keygen_write(struct hk_keygen *keygen, struct hk_error *error);

#endif

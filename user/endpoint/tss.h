/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TSS at the end host (docs/wire-formats.md, section 2): seals and opens PDS
 * payloads, not IP packets, so it stands beside seal.h. Key files and refusals
 * are shared with it.
 *
 *   PDS ── hk_tss_seal() ──► outer IP packet ── hk_tss_open() ──► PDS, or why it is refused
 *
 * A struct hk_tss holds the keys of one SDI and slot (AN) and derives what each
 * packet's epoch, counter and ends call for. One thread at a time uses it.
 */
#ifndef HK_ENDPOINT_TSS_H
#define HK_ENDPOINT_TSS_H

#include "user/crypto/tss.h"
#include "user/endpoint/hostkeys.h"
#include "user/endpoint/nonces.h"

#define HK_TSS_OVERHEAD_MAX (40 + 8 + HK_TSS_HEADER_SIZE + HK_TSS_SSI_SIZE + HK_TSS_ICV_SIZE)
#define HK_TSS_COUNTER_BITS 48

struct hk_tss;

/* How a domain does TSS, as the box's configuration says it in words. */
struct hk_tss_setup {
	struct hk_tss_options options;
	__u8 protocol; /* of TSS over IP alone */
};

/* "mode=cluster,ssi=yes,...": the keys of the box's `tss:` mapping; servers are joined by '+'. */
int hk_tss_setup_parse(struct hk_tss_setup *out, const char *text, struct hk_error *error);

/* `auth`: the authentication side's key; NULL where one key serves both (`single`). 0 or negative errno. */
int hk_tss_new(struct hk_tss **out, const struct hk_tss_setup *setup, __u32 sdi, unsigned an,
	const __u8 enc[32], const __u8 *auth, struct hk_error *error);
/* From a host's key file: highest generation of the SDI and slot. */
int hk_tss_from_keys(struct hk_tss **out, const struct hk_tss_setup *setup, __u32 sdi, unsigned an,
	const struct hk_host_keys *keys, const char *name, struct hk_error *error);
void hk_tss_free(struct hk_tss *tss); /* wipes; NULL is fine */
/* When the time of its key is over, seconds since 1970; 0: it has no end. */
__u64 hk_tss_not_after(const struct hk_tss *tss);

/* Who sends to whom, and by what. */
struct hk_tss_shape {
	struct hk_address source, destination;
	bool udp;	  /* UDP 4793, else IP alone */
	bool sole_sender; /* no other host seals with these keys */
	__u16 entropy;	  /* UDP source port, or the field of native IP */
	__u32 ssi;	  /* the sender's, where the domain has SSIs */
};

/*
 * The nonce rules: whether a nonce could come twice although every sender
 * counts properly. 0, or -EPERM and a sentence.
 */
int hk_tss_may_send(const struct hk_tss *tss, const struct hk_tss_shape *shape, struct hk_error *error);

/* The nonce state of this sender in this epoch; see nonces.h. Counters are the state's IVs. */
int hk_tss_nonces_open(struct hk_nonce_state **out, const struct hk_state_place *place,
	const struct hk_tss *tss, const struct hk_tss_shape *shape, __u16 epoch, struct hk_error *error);

/*
 * Seals `length` bytes of PDS; the size of the outer IP packet in `out`, or
 * -EPERM (hk_tss_may_send() says why), -EINVAL (mixed IP versions), -EMSGSIZE,
 * -EIO. A (epoch, counter) never comes twice: the caller's promise.
 */
int hk_tss_seal(struct hk_tss *tss, const struct hk_tss_shape *shape, __u16 epoch, __u64 counter,
	const __u8 *payload, __u32 length, __u8 *out, __u32 room);

struct hk_tss_opened {
	const __u8 *payload; /* in `out` */
	__u32 length;
	__u16 epoch;
	__u64 counter;
};

/* Verifies, then decrypts an outer IP packet into `out` of `length` bytes. enum hk_refusal. */
unsigned hk_tss_open(
	struct hk_tss *tss, const __u8 *packet, __u32 length, __u8 *out, struct hk_tss_opened *opened);
/* The same of what hk_sealed_outer() gave. */
unsigned hk_tss_open_sealed(
	struct hk_tss *tss, const struct hk_sealed *sealed, __u8 *out, struct hk_tss_opened *opened);

#endif

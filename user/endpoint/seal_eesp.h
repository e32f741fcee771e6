/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EESP and WESP at the end host (docs/wire-formats.md, sections 3 and 4): SAs
 * with sub-SAs, and derived-key contexts without any state but their name.
 *
 * One struct hk_eesp is one sub-SA or one context: one sender, one direction.
 * The caller guarantees that no IV comes twice under it, and that an epoch never
 * comes back after a restart (epoch.h). One thread at a time.
 */
#ifndef HK_ENDPOINT_SEAL_EESP_H
#define HK_ENDPOINT_SEAL_EESP_H

#include "user/endpoint/seal.h"

#define HK_EESP_CONTEXTS 256 /* that a receiver keeps windows for */

struct hk_eesp;

struct hk_eesp_name {
	__u8 envelope;	/* HK_ENVELOPE_EESP or _WESP */
	bool derived;	/* a derived-key context; else a sub-SA (EESP alone) */
	bool split;	/* two keys */
	bool reader;	/* derived and split: with a reader tag */
	bool transport; /* EESP: the full format. WESP has ESP's trailer in both modes */
	bool sn, iv;	/* EESP: which of them packets carry */
	__u8 slot;	/* derived */
	__u16 session;	/* EESP */
	__u32 spi, mkid, epoch;
	__u64 context; /* ContextID */
};

/*
 * Master keys (derived) or roots (sub-SA), 32 bytes each; NULL what the name does not need. The reader
 * key is a sender's alone: the ICV covers the tag, so a receiver opens and verifies without it.
 */
struct hk_eesp_keys {
	const __u8 *enc, *auth, *reader;
};

/* 0, or negative errno and a sentence. */
int hk_eesp_new(struct hk_eesp **out, struct hk_crypto *crypto, const struct hk_eesp_name *name,
	const struct hk_eesp_keys *keys, struct hk_error *error);
void hk_eesp_free(struct hk_eesp *sa); /* wipes; NULL is fine */

struct hk_eesp_numbers {
	__u64 sn; /* WESP: 32 bits */
	__u64 iv;
};

struct hk_eesp_shape {
	struct hk_address source, destination; /* tunnel: the outer ones; transport: the packet's own */
	__u8 protocol;			       /* 17: in UDP 4500; else the IP protocol */
	__u8 crypt_offset;   /* EESP: 4-byte units of the payload in the clear, with that option */
	__u8 offset_size;    /* of that option's data: 2 or 4; 0: no such option */
	const __u8 *options; /* EESP: more options, behind the context's */
	__u8 options_size;
	bool pad;	     /* WESP: the header's padding (IPv6) */
	const __u8 *padding; /* tests only: the full format's padding */
	__u8 padding_size;
};

/* The outer IP packet's size, -EPERM (a reader tag without its key); -EINVAL, -EMSGSIZE, -EIO as
 * hk_seal_packet(). */
int hk_eesp_seal(struct hk_eesp *sa, const struct hk_eesp_shape *shape, const struct hk_eesp_numbers *numbers,
	const __u8 *inner, __u32 length, __u8 *out, __u32 room);

/* The envelope alone, as a socket sends it; tunnel mode. */
int hk_eesp_envelope(struct hk_eesp *sa, const struct hk_eesp_shape *shape,
	const struct hk_eesp_numbers *numbers, const __u8 *inner, __u32 length, __u8 *out, __u32 room);
/* The most that an envelope adds to an inner packet in tunnel mode. */
unsigned hk_eesp_overhead(const struct hk_eesp_name *name, const struct hk_eesp_shape *shape);

/* --- the receiving host --- */

struct hk_eesp_host;
struct hk_windows;

struct hk_eesp_policy {
	struct hk_address local;
	__u8 envelope;
	__u8 protocol; /* the IP protocol besides UDP 4500; 0: none */
	bool derived, split;
	bool sn, iv;	 /* sub-SA */
	__u32 spi, mkid; /* sub-SA: whose roots the keys are; derived: whose master keys */
	__u8 slot;
	/*
	 * The keys of what a packet from `sender` names, instead of one set for all, of the nth generation
	 * from the highest: enum hk_refusal. `derived`, `split`, `spi`, `mkid` and `slot` above do not
	 * count then.
	 */
	unsigned (*find)(void *context, const struct hk_eesp_name *name, const struct hk_address *sender,
		unsigned nth, struct hk_eesp_keys *keys);
	void *context;
	struct hk_windows *windows; /* the host's from now on; NULL: it remembers as long as it lives */
};

/* Keys as above, copied. NULL and errno. */
struct hk_eesp_host *hk_eesp_host_new(const struct hk_eesp_policy *policy, const struct hk_eesp_keys *keys);
void hk_eesp_host_free(struct hk_eesp_host *host);
/* find() gives other keys from now on: windows of keys that it has no longer are forgotten. */
void hk_eesp_host_rekey(struct hk_eesp_host *host);

/*
 * Opens what hk_sealed_outer() gave: verifies first, then refuses what came
 * before, an epoch that is over, the other profile. enum hk_refusal. `out` has
 * HK_OPEN_ROOM(outer->length) bytes; on a refusal it holds no plaintext.
 */
unsigned hk_eesp_host_open(
	struct hk_eesp_host *host, const struct hk_sealed *outer, __u8 *out, struct hk_opened *opened);

#endif

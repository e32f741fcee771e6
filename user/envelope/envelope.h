/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The openers: from metadata to key request, nonce, ciphertext span and inner
 * packet. One file per envelope and one row in the table of envelope.c.
 *
 * A packet goes through three calls, a batch through each of them together:
 *
 *   plan()     what to derive and from which key; which bytes are ciphertext, AAD, tag
 *   (derive: one CMAC pass for all packets; one HKDF pass for those with a root)
 *   cipher()   from the derived material to key, nonce and cipher job
 *   (open: one pass per cipher)
 *   rebuild()  from plaintext to the inner IP packet; RFC 5879 plausibility follows in the pipeline
 *
 * Openers do no cryptography themselves and allocate nothing. The exception are
 * envelopes whose packets carry any number of records: for them the pipeline has
 * nothing to derive and no cipher job, and rebuild() opens them one by one.
 */
#ifndef HK_ENVELOPE_ENVELOPE_H
#define HK_ENVELOPE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include <halfkey/config.h>
#include <halfkey/crypto.h>
#include <halfkey/meta.h>

#include "user/crypto/kdf.h"
#include "user/keys/children.h"
#include "user/crypto/tss.h"
#include "user/keys/keyring.h"

#define HK_OPEN_HEADROOM   128 /* in front of the plaintext: room for a rebuilt IP header and a link header */
#define HK_KDF_MESSAGE_MAX (HK_KDF_TSS_MESSAGES * HK_KDF_TSS_BLOCKS * 16) /* the longest of all */

enum hk_cipher { HK_CIPHER_NONE, HK_CIPHER_CTR, HK_CIPHER_GCM, HK_CIPHER_CBC };

/* EESP: whether four bytes stand in front of the payload. */
enum hk_eesp_format { HK_EESP_EITHER, HK_EESP_FULL, HK_EESP_OPTIMIZED };

/* One packet on its way through the open stage. Host byte order. */
struct hk_envelope_ops;

struct hk_opening {
	/* given */
	const __u8 *frame;
	__u32 frame_length;
	const struct hk_meta *meta;
	const struct hk_opening *before;  /* a packet of this batch that has its key already, or NULL */
	__u8 *message;			  /* room for HK_KDF_MESSAGE_MAX bytes */
	unsigned index;			  /* of the packet in the batch */
	struct hk_streams *streams;	  /* of the pipeline; NULL: no domain needs any */
	struct hk_crypto *crypto;	  /* of the pipeline: for openers of records */
	const struct hk_keyring *keyring; /* set by their plan() */
	const __u64 *now_ns;		  /* of the batch */
	__u8 *expanded;			  /* HK_HKDF_OUT bytes: what becomes `material` with HKDF */
	/* what packets of a kind share, and again() finds filled in: from here ... */
	const struct hk_envelope_ops *ops;
	const struct hk_domain_config *domain;
	struct hk_address outer_src, outer_dst;
	/* plan() */
	struct hk_key_choice key;
	__u8 variant;  /* PSP version or enum hk_suite */
	__u8 cipher;   /* enum hk_cipher */
	__u8 messages; /* PRF messages to derive; 0 with an explicit key */
	__u8 blocks;   /* blocks in each */
	__u8 key_size;
	__u8 slot;			  /* of the master key */
	__u32 key_id;			  /* of the master key: the packet's own, or the domain's mkid */
	__u32 head;			  /* the envelope's first bytes, where again() compares them */
	__u16 aad_offset, aad_length;	  /* in the frame */
	__u16 clear_offset, clear_length; /* sent in the clear, part of the inner packet (crypt offset) */
	__u16 skip_length; /* PSP: plaintext in front of the inner packet (an encrypted PSP cookie) */
	__u16 cipher_offset;
	__u8 iv_size;
	__u8 next_header; /* PSP: by plan(), from the header; ESP: by rebuild(), from the trailer */
	const __u8 *aad;  /* NULL: in the frame; else by cipher(): aad_length bytes in front of `plain` */
	__u8 info_size;	  /* with key.root: HKDF-Expand of `info` instead of messages; 0: none */
	__u8 refused;	  /* by cipher(), enum hk_reason: the material shows that this must not be opened; 0:
			     nothing */
	const struct hk_kdf_key *reader; /* verify the 8 bytes behind the ciphertext with it; NULL: do not */
	/* ... to here */
	__u16 cipher_length, tag_offset;
	__u8 info[HK_HKDF_INFO_MAX];
	__u8 format;	   /* EESP: enum hk_eesp_format */
	__u16 iv_offset;   /* EESP, WESP: the 8 bytes that are the IV */
	__u16 tail_length; /* plaintext behind the inner packet (a reader tag, where the ICV is verified) */
	const __u8 *kcv;   /* derived-key context: 4 bytes in the frame */
	__u8 *reader_message; /* given: room as for message */
	bool has_material;    /* by again(): `material` is that of `before`, nothing is to be derived */
	/* derive */
	__u8 *material; /* 16 bytes a message; with HKDF: key(32) and salt */
	__u8 *reader_material;
	/* cipher() */
	__u8 nonce[16]; /* GCM: 12 bytes; CTR: first counter block; CBC: IV */
	const __u8 *cipher_key;
	__u8 reader_nonce[12];
	/* open: plaintext = clear part, then decrypted part, back to back */
	__u8 *plain; /* set before cipher(); HK_OPEN_HEADROOM bytes in front of it are ours */
	__u32 plain_length;
	/* rebuild() */
	__u8 *inner;
	__u32 inner_length;
	__u8 auth;    /* before rebuild(): whether the ICV verified */
	__u8 suspect; /* 1: legal, but rare; plausibility looks harder */
	__u8 not_ip;  /* 1: inner is no IP packet but a payload with the outer addresses */
	/* of envelopes of records: the first one opened, whose nonce is in `nonce` */
	__u8 has_record;
	__u8 part_refused; /* enum hk_reason: of a part that did not open; the packet's, where no hook drops
			      the rest; 0: none */
	__u8 record_icv[16];
	__u32 *epoch; /* TSS: of its key, see hk_keyring_epoch() */
	/* inline keying */
	__u8 creation_size; /* of the creation header that was in front; 0: none */
	struct hk_child_place child;
};

struct hk_envelope_ops {
	/* all return enum hk_reason; HK_REASON_OK goes on */
	unsigned (*plan)(struct hk_opening *opening, const struct hk_keyring *keyring);
	/*
	 * Optional: plan() for a packet like `before`, which was planned with a
	 * master key: equal in metadata (but for SPI, end and hash) and outer
	 * addresses, and no SPI has a key of its own. Fills in what is not shared.
	 * False: not so alike, or something is wrong: plan() will tell.
	 */
	bool (*again)(struct hk_opening *opening);
	void (*cipher)(struct hk_opening *opening);
	unsigned (*rebuild)(struct hk_opening *opening);
	/* Optional: what rebuild() made of the packet turned out to be plausible, or not. */
	void (*settle)(struct hk_opening *opening, bool plausible);
};

#define HK_OPENING_SHARED     offsetof(struct hk_opening, ops)
#define HK_OPENING_SHARED_END offsetof(struct hk_opening, cipher_length)

const struct hk_envelope_ops *hk_envelope_ops(unsigned envelope); /* NULL: none */

#endif

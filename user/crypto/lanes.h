/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AES for keys that serve one packet: x86's AES and carry-less multiplication
 * instructions, two packets or two blocks side by side ("lanes").
 *
 * A packet library is made for keys that stay: it expands them one by one, and
 * for GCM prepares more powers of the hash key than a short packet has blocks.
 * Here keys are fresh with every packet, so two are expanded at once, and only as
 * many powers are made as the packet needs: a key that was seen before would
 * save so little that none is kept.
 *
 * lanes_body.h says how, once; lanes_vaes.c and lanes_aesni.c say what a pair of
 * lanes is. Nothing branches or indexes on secrets. CTR output, and tags for
 * comparison alone: nothing here produces either for a packet to send.
 */
#ifndef HK_CRYPTO_LANES_H
#define HK_CRYPTO_LANES_H

#include <halfkey/crypto.h>

#define HK_LANES_SLICE	16 /* packets in work: their schedules and powers stay in the first cache */
#define HK_LANES_ROUNDS 15
#define HK_LANES_POWERS 8 /* of a hash key, at most */

/* Schedules and hash keys of one slice; its owner wipes it. */
struct hk_lanes_space {
	__u8 schedules[HK_LANES_SLICE][HK_LANES_ROUNDS]
		      [32]; /* round keys of two packets each, where they suit */
	__u8 powers[HK_LANES_SLICE][HK_LANES_POWERS / 2][32];
	__u8 masks[HK_LANES_SLICE][16]; /* what GCM adds to the hash */
} __attribute__((aligned(64)));

/* The calls of backend.h. Jobs need not be of one key size. */
struct hk_lanes {
	void (*cmac)(
		const struct hk_kdf_key *key, __u32 count, __u32 blocks, const __u8 *messages, __u8 *out);
	void (*ctr)(struct hk_lanes_space *space, const struct hk_ctr_job *jobs, __u32 count);
	void (*cbc)(struct hk_lanes_space *space, const struct hk_cbc_job *jobs, __u32 count);
	void (*gcm_open)(struct hk_lanes_space *space, struct hk_gcm_job *jobs, __u32 count);
};

extern const struct hk_lanes hk_lanes_vaes;  /* VAES and VPCLMULQDQ on 256-bit registers */
extern const struct hk_lanes hk_lanes_aesni; /* AES-NI, PCLMULQDQ and SSE4.1 */

/* The best that this CPU runs; NULL: none. */
const struct hk_lanes *hk_lanes_choose(void);

#endif

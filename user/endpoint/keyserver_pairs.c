// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pairs. In EESP and WESP the keys of a packet are derived from a context that
 * changes with every start of the sender, so the sender needs master keys. Each
 * sender and receiver have some of their own, which nobody else has but this
 * server: what one of them could forge with them reaches the two of them alone.
 *
 *   MKID = receiver number 10 | sender number 10
 *   MK_x(receiver, sender) = HKDF-SHA-256-Expand(MK_x of the receiver's generation,
 *      "DKp1" || x || [envelope]_8 || [MKID]_32 || receiver(16) || sender(16), 32)
 *
 * with x = e, a, r. So they live and end with the receiver's generation, and are in
 * no store. A number is one name's at one address, for the life of the domain: who gets
 * the address of another that is gone, or swaps with it, gets none of its keys, and that
 * one can go on with none.
 */
#include <string.h>

#include "user/base/bytes.h"
#include "user/base/text.h"
#include "user/endpoint/keyserver.h"

#define LABEL "DKp1"
#define INFO  (4 + 1 + 1 + 4 + 16 + 16)

__u32 hk_ks_pair_id(const struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender)
{
	const struct hk_ks_receiver *receivers = ks->domains[domain].receivers;

	return receivers[host].number << HK_KS_NUMBER_BITS | receivers[sender].number;
}

static void derive(
	struct hk_crypto *crypto, const __u8 root[32], __u8 side, __u8 message[INFO + 1], __u8 out[32])
{
	struct hk_hmac_key key;
	struct hk_hmac_job job = {.key = &key, .message = message, .out = out, .length = INFO + 1};

	message[4] = side;
	hk_hmac_key_init(&key, root, 32);
	hk_crypto_hmac(crypto, &job, 1);
	hk_wipe(&key, sizeof(key));
}

void hk_ks_pair_keys(struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender,
	const struct hk_ks_generation *row, struct hk_ks_sides *out)
{
	const struct hk_ks_domain *config = &ks->config->domains[domain];
	__u8 message[INFO + 1] = LABEL;

	message[5] = config->envelope;
	hk_put32(message + 6, hk_ks_pair_id(ks, domain, host, sender));
	memcpy(message + 10, &config->hosts[host].receiver, 16);
	memcpy(message + 26, &config->hosts[sender].receiver, 16);
	message[INFO] = 1; /* HKDF-Expand's first block is all there is */
	derive(ks->crypto, row->enc, 'e', message, out->enc);
	derive(ks->crypto, row->auth, 'a', message, out->auth);
	derive(ks->crypto, row->reader, 'r', message, out->reader);
}

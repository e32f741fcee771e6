// SPDX-License-Identifier: GPL-2.0-or-later
/* DTLS 1.2 records at the end host: see seal_dtls.h. */
#include "user/endpoint/seal_dtls.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/kdf.h"
#include "user/endpoint/replay.h"
#include "user/endpoint/sa.h"

#define TYPE_CID  25
#define CID_MARK  0xd1
#define VERSION	  0xfefd
#define CID_SIZE  12
#define HEADER	  25
#define NONCE	  8
#define KCV	  2
#define AAD_SIZE  (8 + 1 + 1 + HEADER - 2 + 2)
#define SEQUENCES (1ull << 48)

struct hk_dtls {
	struct hk_dtls_name name;
	struct hk_protection protection;
	__u8 salt_enc[4], salt_auth[4], kcv[KCV];
	__u64 next;
	struct hk_replay replay;
};

struct nonces {
	__u8 enc[16], auth[12];
};

int hk_dtls_draw_context(__u64 *context)
{
	return RAND_bytes((unsigned char *)context, sizeof(*context)) == 1 ? 0 : -EIO;
}

static __u8 flags_of(const struct hk_dtls_name *name)
{
	return (__u8)((name->server ? 1 : 0) | (name->split ? 2 : 0));
}

/* `material` of one side. */
static void derive(__u8 material[HK_KDF108_OUTPUT], struct hk_crypto *crypto, const struct hk_dtls_name *name,
	const struct hk_kdf_key *master, enum hk_side side)
{
	__u8 context[HK_KDF108_CONTEXT], messages[HK_KDF108_MESSAGES * HK_KDF108_BLOCKS * 16], id[8];

	hk_put64(id, name->context);
	hk_kdf_dtls_context(context, flags_of(name), name->mkid, id, name->epoch);
	hk_kdf108_messages(messages, side, context);
	hk_crypto_cmac(crypto, master, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS, messages, material);
}

int hk_dtls_new(struct hk_dtls **out, struct hk_crypto *crypto, const struct hk_dtls_name *name,
	const struct hk_kdf_key *enc, const struct hk_kdf_key *auth, struct hk_error *error)
{
	__u8 enc_material[HK_KDF108_OUTPUT], auth_material[HK_KDF108_OUTPUT];
	struct hk_dtls *dtls;
	int status;

	if (!enc || name->split != (auth != NULL) || !name->epoch)
		return hk_error_set(error, EINVAL,
			"MKID %u: split records need both sides of the key, others the single key alone, and "
			"epoch 1 or more",
			name->mkid);
	dtls = calloc(1, sizeof(*dtls));
	if (!dtls)
		return hk_error_set(error, ENOMEM, "no memory for a DTLS context");
	dtls->name = *name;
	derive(enc_material, crypto, name, enc, HK_SIDE_ENC);
	memcpy(dtls->salt_enc, enc_material + 32, sizeof(dtls->salt_enc));
	memcpy(dtls->kcv, enc_material + HK_KDF_DTLS_KCV, sizeof(dtls->kcv));
	if (auth) {
		derive(auth_material, crypto, name, auth, HK_SIDE_AUTH);
		memcpy(dtls->salt_auth, auth_material + 32, sizeof(dtls->salt_auth));
	}
	status = hk_protection_init(&dtls->protection, auth ? HK_SUITE_GCM_SPLIT : HK_SUITE_GCM, 32,
		enc_material, auth ? auth_material : NULL);
	hk_wipe(enc_material, sizeof(enc_material));
	hk_wipe(auth_material, sizeof(auth_material));
	if (status) {
		hk_dtls_free(dtls);
		return hk_error_set(error, -status, "the crypto library took no key for MKID %u", name->mkid);
	}
	*out = dtls;
	return 0;
}

void hk_dtls_free(struct hk_dtls *dtls)
{
	if (!dtls)
		return;
	hk_protection_clear(&dtls->protection);
	hk_wipe(dtls, sizeof(*dtls));
	free(dtls);
}

/* The job both directions share: `record` in front of its text, which begins at `text`. */
static void make_job(const struct hk_dtls *dtls, const __u8 *record, __u8 *text, __u32 length,
	struct nonces *nonces, __u8 aad[AAD_SIZE], struct hk_protect_job *job)
{
	memset(nonces, 0, sizeof(*nonces));
	memcpy(nonces->enc, dtls->salt_enc, 4);
	memcpy(nonces->enc + 4, record + HEADER, NONCE);
	nonces->enc[15] = 2;
	memcpy(nonces->auth, dtls->salt_auth, 4);
	memcpy(nonces->auth + 4, record + HEADER, NONCE);
	memset(aad, 0xff, 8); /* RFC 9146 5.3 */
	aad[8] = TYPE_CID;
	aad[9] = CID_SIZE;
	memcpy(aad + 10, record, HEADER - 2);
	hk_put16(aad + AAD_SIZE - 2, (__u16)length);
	*job = (struct hk_protect_job){.iv = nonces->enc,
		.nonce_auth = nonces->auth,
		.aad = aad,
		.aad_length = AAD_SIZE,
		.text = text,
		.length = length};
}

static void write_header(const struct hk_dtls *dtls, __u32 fragment, __u8 *out)
{
	const struct hk_dtls_name *name = &dtls->name;

	out[0] = TYPE_CID;
	hk_put16(out + 1, VERSION);
	hk_put64(out + 3, (__u64)name->epoch << 48 | dtls->next);
	out[11] = CID_MARK;
	out[12] = flags_of(name);
	hk_put16(out + 13, name->mkid);
	hk_put64(out + 15, name->context);
	hk_put16(out + 23, (__u16)fragment);
	memcpy(out + HEADER, out + 3, NONCE); /* the nonce is epoch and sequence; the key knows the epoch */
	if (name->split)
		memcpy(out + HEADER, dtls->kcv, KCV);
}

int hk_dtls_seal(struct hk_dtls *dtls, __u8 type, const __u8 *content, __u32 length, __u32 padding, __u8 *out,
	__u32 room)
{
	__u8 *text = out + HEADER + NONCE, aad[AAD_SIZE];
	struct hk_protect_job job;
	struct nonces nonces;
	__u32 plain;

	if (length > HK_DTLS_CONTENT_MAX || padding > HK_DTLS_CONTENT_MAX - length)
		return -EMSGSIZE;
	plain = length + 1 + padding;
	if (room < HEADER + NONCE + plain + HK_TAG_SIZE)
		return -EMSGSIZE;
	if (dtls->next >= SEQUENCES)
		return -EOVERFLOW;
	write_header(dtls, NONCE + plain + HK_TAG_SIZE, out);
	dtls->next++; /* spent, whatever happens now */
	memcpy(text, content, length);
	text[length] = type;
	memset(text + length + 1, 0, padding);
	make_job(dtls, out, text, plain, &nonces, aad, &job);
	if (hk_protection_seal(&dtls->protection, &job, text + plain))
		return -EIO;
	return (int)(HEADER + NONCE + plain + HK_TAG_SIZE);
}

unsigned hk_dtls_read_name(const __u8 *record, __u32 length, struct hk_dtls_name *out)
{
	__u32 fragment;

	if (length < 1 || record[0] != TYPE_CID)
		return HK_REFUSAL_NOT_SEALED;
	if (length < HEADER)
		return HK_REFUSAL_SHORT;
	fragment = hk_get16(record + 23);
	if (fragment > length - HEADER || fragment < NONCE + 1 + HK_TAG_SIZE)
		return HK_REFUSAL_SHORT;
	if (hk_get16(record + 1) != VERSION || record[11] != CID_MARK || record[12] & ~3)
		return HK_REFUSAL_WRONG_ENVELOPE;
	*out = (struct hk_dtls_name){.context = hk_get64(record + 15),
		.mkid = hk_get16(record + 13),
		.epoch = hk_get16(record + 3),
		.server = record[12] & 1,
		.split = record[12] & 2};
	return out->epoch ? HK_REFUSAL_NONE : HK_REFUSAL_WRONG_ENVELOPE;
}

static bool same_name(const struct hk_dtls_name *a, const struct hk_dtls_name *b)
{
	return a->context == b->context && a->mkid == b->mkid && a->epoch == b->epoch &&
	       a->server == b->server;
}

unsigned hk_dtls_open(
	struct hk_dtls *dtls, const __u8 *record, __u32 length, __u8 *out, struct hk_dtls_opened *opened)
{
	struct hk_protect_job job;
	struct hk_dtls_name name;
	struct nonces nonces;
	__u8 aad[AAD_SIZE];
	__u32 plain;
	unsigned refusal = hk_dtls_read_name(record, length, &name);
	int status;

	if (refusal)
		return refusal;
	if (!same_name(&name, &dtls->name))
		return HK_REFUSAL_NO_KEY;
	if (name.split != dtls->name.split)
		return HK_REFUSAL_DOWNGRADE;
	plain = hk_get16(record + 23) - NONCE - HK_TAG_SIZE;
	memcpy(out, record + HEADER + NONCE, plain);
	make_job(dtls, record, out, plain, &nonces, aad, &job);
	status = hk_protection_open(&dtls->protection, &job, record + HEADER + NONCE + plain);
	if (status)
		return status == -EBADMSG ? HK_REFUSAL_BAD_ICV : HK_REFUSAL_CIPHER;
	opened->sequence = hk_get64(record + 3) & (SEQUENCES - 1);
	opened->size = HEADER + NONCE + plain + HK_TAG_SIZE;
	while (plain && !out[plain - 1])
		plain--;
	if (!plain || !hk_replay_fresh(&dtls->replay, opened->sequence)) {
		hk_wipe(out, plain);
		return plain ? HK_REFUSAL_REPLAY : HK_REFUSAL_INNER;
	}
	hk_replay_take(&dtls->replay, opened->sequence);
	opened->type = out[plain - 1];
	opened->content = out;
	opened->length = plain - 1;
	return HK_REFUSAL_NONE;
}

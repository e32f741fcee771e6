// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DTLS 1.2 datagrams (docs/wire-formats.md, section 6): all records of one are
 * opened, and the application data in them goes on as one payload, in order.
 *
 *   record in the clear      passed over: handshake, change cipher spec, alerts
 *   record with a context    content | type(1) | zeros      of the plaintext
 *
 * A datagram has one fate: the first record that is refused decides it. In
 * `split` nothing depends on the zeros but where the type stands, and a type
 * that nobody defines is implausible plaintext, as a wrong key makes it.
 */
#include "user/envelope/openers.h"

#include <string.h>

#include "bpf/parse/dtls.h"
#include "user/base/bytes.h"

#define AAD_SIZE (8 + 1 + 1 + 1 + 2 + 8 + HK_DTLS_CID_SIZE + 2)

/* A record that can be opened. Offsets count from the frame's first byte. */
struct record {
	__u32 header;
	__u32 text; /* ciphertext */
	__u32 length;
	__u32 plain; /* in opening->plain */
	__u8 key[32], salt[4];
	__u8 aad[AAD_SIZE];
};

struct datagram {
	struct hk_opening *opening;
	unsigned count;
	__u32 plain_length;
	struct record records[HK_DTLS_RECORDS_MAX];
};

static unsigned add_record(struct datagram *datagram, __u32 at, __u32 size)
{
	struct record *record = &datagram->records[datagram->count];

	if (datagram->count == HK_DTLS_RECORDS_MAX)
		return HK_REASON_DTLS_RECORDS;
	record->header = at;
	record->text = at + HK_DTLS_CID_HEADER_SIZE + HK_DTLS_NONCE_SIZE;
	record->length = size - HK_DTLS_CID_HEADER_SIZE - HK_DTLS_NONCE_SIZE - HK_DTLS_TAG_SIZE;
	record->plain = datagram->plain_length;
	datagram->plain_length += record->length;
	datagram->count++;
	return HK_REASON_OK;
}

/* Finds the records; those in the clear are told apart and passed over. */
static unsigned split_datagram(struct datagram *datagram)
{
	const struct hk_opening *opening = datagram->opening;
	hk_frame_source source = {.data = opening->frame, .data_end = opening->frame + opening->frame_length};
	unsigned reason = HK_REASON_OK, seen;
	struct hk_cursor cursor;
	__u32 size;

	hk_cursor_init(&cursor, &source, opening->meta->envelope_offset, opening->meta->end_offset);
	for (seen = 0; reason == HK_REASON_OK && hk_cursor_left(&cursor); seen++) {
		if (seen == HK_DTLS_RECORDS_MAX)
			return HK_REASON_DTLS_RECORDS;
		size = 0; /* a refusal names none */
		reason = hk_dtls_read_record(&cursor, &size);
		if (reason == HK_REASON_TO_WORKER)
			reason = add_record(datagram, cursor.at, size);
		else if (reason == HK_REASON_DTLS_CONTROL)
			reason = HK_REASON_OK;
		hk_cursor_skip(&cursor, size);
	}
	if (reason == HK_REASON_OK && !datagram->count)
		return HK_REASON_DTLS_CONTROL;
	return reason;
}

/* RFC 9146 5.3: placeholder || 25 || CID length || 25 || version || epoch || sequence || CID || plaintext
 * length */
static void write_aad(const __u8 *header, __u32 length, __u8 aad[AAD_SIZE])
{
	memset(aad, 0xff, 8);
	aad[8] = HK_DTLS_TYPE_CID;
	aad[9] = HK_DTLS_CID_SIZE;
	memcpy(aad + 10, header, HK_DTLS_CID_HEADER_SIZE - 2);
	hk_put16(aad + AAD_SIZE - 2, length);
}

/* Records of one writer follow each other: with the same context they share its key. */
static bool same_context(const __u8 *frame, const struct record *a, const struct record *b)
{
	return memcmp(frame + a->header + 3, frame + b->header + 3, 2) == 0 &&
	       memcmp(frame + a->header + 11, frame + b->header + 11, HK_DTLS_CID_SIZE) == 0;
}

static void derive(
	struct hk_crypto *crypto, const struct hk_kdf_key *master, const __u8 *header, struct record *record)
{
	__u8 context[HK_KDF108_CONTEXT], messages[HK_KDF_MESSAGE_MAX], material[HK_KDF108_OUTPUT];
	unsigned i;

	hk_kdf_dtls_context(context, header[12], hk_get16(header + 13), header + 15, hk_get16(header + 3));
	for (i = 0; i < HK_KDF108_MESSAGES; i++)
		hk_kdf108_message(messages + 32 * i, hk_kdf_label(HK_SIDE_ENC), context, (__u8)(i + 1));
	hk_crypto_cmac(crypto, master, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS, messages, material);
	memcpy(record->key, material, 32);
	memcpy(record->salt, material + 32, 4);
	hk_wipe(material, sizeof(material));
}

/* Another generation than the keyring's choice is tried for all records with the first one's MKID. */
static bool has_given_key(const struct datagram *datagram, const __u8 *header)
{
	const struct hk_opening *opening = datagram->opening;
	const __u8 *first = opening->frame + datagram->records[0].header;

	return opening->key_given && memcmp(first + 13, header + 13, 2) == 0;
}

static unsigned find_key(
	struct datagram *datagram, unsigned i, const struct hk_keyring *keyring, struct hk_crypto *crypto)
{
	struct hk_opening *opening = datagram->opening;
	struct record *record = &datagram->records[i];
	const __u8 *header = opening->frame + record->header;
	bool split = header[12] & HK_DTLS_FLAG_SPLIT;
	struct hk_key_choice first = opening->key;
	unsigned reason = HK_REASON_OK;

	if (split != (opening->domain->profile == HK_PROFILE_SPLIT))
		return HK_REASON_PROFILE_MISMATCH;
	write_aad(header, record->length, record->aad);
	if (i && same_context(opening->frame, record, record - 1)) {
		memcpy(record->key, record[-1].key, 32);
		memcpy(record->salt, record[-1].salt, 4);
		return HK_REASON_OK;
	}
	if (!has_given_key(datagram, header))
		reason = hk_opening_choose_id(opening, keyring, 0, hk_get16(header + 13));
	if (reason == HK_REASON_OK && !opening->key.master)
		reason = HK_REASON_NO_KEY;
	if (reason == HK_REASON_OK)
		derive(crypto, opening->key.master, header, record);
	if (i)
		opening->key = first; /* the datagram's, for flows and anomalies */
	return reason;
}

static void open_split(struct datagram *datagram, struct hk_crypto *crypto)
{
	struct hk_ctr_job jobs[HK_DTLS_RECORDS_MAX];
	const struct record *record;
	unsigned i;

	for (i = 0; i < datagram->count; i++) {
		record = &datagram->records[i];
		jobs[i] = (struct hk_ctr_job){.key = record->key,
			.key_size = 32,
			.in = datagram->opening->frame + record->text,
			.out = datagram->opening->plain + record->plain,
			.length = record->length,
			.counter = {[15] = 2}};
		memcpy(jobs[i].counter, record->salt, 4);
		memcpy(jobs[i].counter + 4, jobs[i].in - HK_DTLS_NONCE_SIZE, HK_DTLS_NONCE_SIZE);
	}
	hk_crypto_ctr(crypto, jobs, datagram->count);
	hk_wipe(jobs, sizeof(jobs));
}

static unsigned open_single(struct datagram *datagram, struct hk_crypto *crypto)
{
	const struct hk_opening *opening = datagram->opening;
	struct hk_gcm_job jobs[HK_DTLS_RECORDS_MAX];
	const struct record *record;
	bool verified = true;
	unsigned i;

	for (i = 0; i < datagram->count; i++) {
		record = &datagram->records[i];
		jobs[i] = (struct hk_gcm_job){.key = record->key,
			.key_size = 32,
			.in = opening->frame + record->text,
			.out = opening->plain + record->plain,
			.length = record->length,
			.aad = record->aad,
			.aad_length = AAD_SIZE,
			.tag = opening->frame + record->text + record->length,
			.cache_id = (opening->key.id << 32 ^ opening->meta->spi) | 1ull << 63};
		memcpy(jobs[i].nonce, record->salt, 4);
		memcpy(jobs[i].nonce + 4, jobs[i].in - HK_DTLS_NONCE_SIZE, HK_DTLS_NONCE_SIZE);
	}
	hk_crypto_gcm_open(crypto, jobs, datagram->count);
	for (i = 0; i < datagram->count; i++)
		verified &= jobs[i].verified;
	hk_wipe(jobs, sizeof(jobs));
	return verified ? HK_REASON_OK : HK_REASON_BAD_ICV;
}

/* The type is the last byte that is not zero (RFC 9146 4); 0: there is none. */
static __u8 content_type(const __u8 *plain, __u32 *length)
{
	while (*length && !plain[*length - 1])
		(*length)--;
	return *length ? plain[--*length] : 0;
}

/* Moves the application data together; what is of other types stays unseen. */
static unsigned join(struct datagram *datagram)
{
	struct hk_opening *opening = datagram->opening;
	unsigned i, data = 0;
	__u32 at = 0, length;
	__u8 type;

	for (i = 0; i < datagram->count; i++) {
		length = datagram->records[i].length;
		type = content_type(opening->plain + datagram->records[i].plain, &length);
		if (type < HK_DTLS_CCS || type > HK_DTLS_HEARTBEAT)
			return HK_REASON_DTLS_TYPE;
		if (type != HK_DTLS_DATA)
			continue;
		memmove(opening->plain + at, opening->plain + datagram->records[i].plain, length);
		at += length;
		data++;
	}
	opening->inner = opening->plain;
	opening->inner_length = opening->plain_length = at;
	opening->not_ip = 1;
	return data ? HK_REASON_OK : HK_REASON_DTLS_CONTROL;
}

/* What the pipeline asks of a packet with one nonce: the first record's. */
static void describe(const struct datagram *datagram)
{
	struct hk_opening *opening = datagram->opening;
	const struct record *first = &datagram->records[0];

	memset(opening->nonce, 0, sizeof(opening->nonce));
	memcpy(opening->nonce, first->salt, 4);
	memcpy(opening->nonce + 4, opening->frame + first->text - HK_DTLS_NONCE_SIZE, HK_DTLS_NONCE_SIZE);
	memcpy(opening->record_icv, opening->frame + first->text + first->length, HK_DTLS_TAG_SIZE);
	opening->has_record = 1;
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	opening->keyring = keyring;
	opening->cipher = HK_CIPHER_NONE;
	opening->key = (struct hk_key_choice){.id = 0}; /* rebuild() looks for it */
	opening->own_key = true;
	opening->messages = 0;
	opening->clear_length = opening->cipher_length = 0;
	return HK_REASON_OK;
}

static void cipher(struct hk_opening *opening)
{
	(void)opening;
}

static unsigned rebuild(struct hk_opening *opening)
{
	const struct hk_keyring *keyring = opening->keyring;
	struct hk_crypto *crypto = opening->crypto;
	struct datagram datagram = {.opening = opening};
	unsigned i, reason = split_datagram(&datagram);

	for (i = 0; reason == HK_REASON_OK && i < datagram.count; i++)
		reason = find_key(&datagram, i, keyring, crypto);
	if (reason == HK_REASON_OK && opening->domain->profile == HK_PROFILE_SPLIT) {
		open_split(&datagram, crypto);
	} else if (reason == HK_REASON_OK) {
		reason = open_single(&datagram, crypto);
		opening->auth = reason == HK_REASON_OK ? HK_AUTH_VERIFIED : HK_AUTH_NONE;
	}
	if (reason == HK_REASON_OK) {
		describe(&datagram);
		reason = join(&datagram);
	}
	if (reason != HK_REASON_OK)
		hk_wipe(opening->plain, datagram.plain_length);
	hk_wipe(&datagram, sizeof(datagram));
	return reason;
}

const struct hk_envelope_ops hk_dtls_ops = {.plan = plan, .cipher = cipher, .rebuild = rebuild};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DTLS 1.2 datagrams (docs/wire-formats.md, section 6): all records of one are
 * opened, and the application data in them goes on as one payload, in order.
 *
 *   record in the clear      passed over: handshake, change cipher spec, alerts
 *   record with a context    content | type(1) | zeros      of the plaintext
 *
 * Each record has a key of its own, and where that does not open it, the other
 * generations of its slot: the ICV decides in `single`, in `split` the check
 * value that stands in the nonce. What opens goes to the hooks, whatever else is
 * in the datagram; a record that is refused then decides the datagram's fate, the
 * first of several, unless a hook drops what the others said. In `split` nothing
 * depends on the zeros but where the type stands, and a type that nobody defines
 * is implausible plaintext.
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
	unsigned reason;
	struct hk_key_choice master;
	__u8 key[32], salt[4], kcv[HK_DTLS_KCV_SIZE];
	__u8 aad[AAD_SIZE];
};

struct datagram {
	struct hk_opening *opening;
	unsigned count;
	unsigned refused;	 /* what the first record that cannot be tried is refused for; 0: none such */
	unsigned before_refused; /* of `records` */
	__u32 plain_length;
	struct record records[HK_DTLS_RECORDS_MAX];
};

static void refuse(struct datagram *datagram, unsigned reason)
{
	if (datagram->refused)
		return;
	datagram->refused = reason;
	datagram->before_refused = datagram->count;
}

static void add_record(struct datagram *datagram, __u32 at, __u32 size)
{
	struct record *record = &datagram->records[datagram->count++];

	record->header = at;
	record->text = at + HK_DTLS_CID_HEADER_SIZE + HK_DTLS_NONCE_SIZE;
	record->length = size - HK_DTLS_CID_HEADER_SIZE - HK_DTLS_NONCE_SIZE - HK_DTLS_TAG_SIZE;
	record->plain = datagram->plain_length;
	datagram->plain_length += record->length;
}

/* Finds the records; those in the clear are passed over, and so are refused ones that have an end. */
static void split_datagram(struct datagram *datagram)
{
	const struct hk_opening *opening = datagram->opening;
	hk_frame_source source = {.data = opening->frame, .data_end = opening->frame + opening->frame_length};
	struct hk_cursor cursor;
	unsigned reason, seen;
	__u32 size = 1;

	hk_cursor_init(&cursor, &source, opening->meta->envelope_offset, opening->meta->end_offset);
	for (seen = 0; size && hk_cursor_left(&cursor); seen++) {
		if (seen == HK_DTLS_RECORDS_MAX) {
			refuse(datagram, HK_REASON_DTLS_RECORDS);
			return;
		}
		reason = hk_dtls_read_record(&cursor, &size);
		if (reason == HK_REASON_TO_WORKER)
			add_record(datagram, cursor.at, size);
		else if (reason != HK_REASON_DTLS_CONTROL)
			refuse(datagram, reason);
		hk_cursor_skip(&cursor, size);
	}
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

static bool is_split(const struct datagram *datagram)
{
	return datagram->opening->domain->profile == HK_PROFILE_SPLIT;
}

/* Records of one writer follow each other: with the same context and master key they share its key. */
static bool same_key(const __u8 *frame, const struct record *a, const struct record *b)
{
	return a->master.id == b->master.id && memcmp(frame + a->header + 3, frame + b->header + 3, 2) == 0 &&
	       memcmp(frame + a->header + 11, frame + b->header + 11, HK_DTLS_CID_SIZE) == 0;
}

/* The master key that the rules name first. */
static unsigned choose(struct datagram *datagram, struct record *record)
{
	struct hk_opening *opening = datagram->opening;
	const __u8 *header = opening->frame + record->header;
	unsigned reason;

	if (!(header[12] & HK_DTLS_FLAG_SPLIT) == is_split(datagram))
		return HK_REASON_PROFILE_MISMATCH;
	reason = hk_opening_choose_id(opening, opening->keyring, 0, hk_get16(header + 13));
	if (reason != HK_REASON_OK)
		return reason;
	record->master = opening->key;
	return record->master.master ? HK_REASON_OK : HK_REASON_NO_KEY;
}

static void derive(struct datagram *datagram, struct record *record)
{
	__u8 context[HK_KDF108_CONTEXT], messages[HK_KDF108_MESSAGES * 32], material[HK_KDF108_OUTPUT];
	const __u8 *header = datagram->opening->frame + record->header;
	const struct record *before = record - 1;

	if (record > datagram->records && same_key(datagram->opening->frame, record, before)) {
		memcpy(record->key, before->key, sizeof(record->key));
		memcpy(record->salt, before->salt, sizeof(record->salt));
		memcpy(record->kcv, before->kcv, sizeof(record->kcv));
		return;
	}
	hk_kdf_dtls_context(context, header[12], hk_get16(header + 13), header + 15, hk_get16(header + 3));
	hk_kdf108_messages(messages, HK_SIDE_ENC, context);
	hk_crypto_cmac(datagram->opening->crypto, record->master.master, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS,
		messages, material);
	memcpy(record->key, material, sizeof(record->key));
	memcpy(record->salt, material + 32, sizeof(record->salt));
	memcpy(record->kcv, material + HK_KDF_DTLS_KCV, sizeof(record->kcv));
	hk_wipe(material, sizeof(material));
}

/* The key, and whether it can be the record's. */
static void prepare(struct datagram *datagram, struct record *record)
{
	derive(datagram, record);
	record->reason = HK_REASON_OK;
	if (is_split(datagram) && !hk_equal(datagram->opening->frame + record->text - HK_DTLS_NONCE_SIZE,
					  record->kcv, HK_DTLS_KCV_SIZE))
		record->reason = HK_REASON_WRONG_KCV;
}

/* The type is the last byte that is not zero (RFC 9146 4); 0: there is none. */
static __u8 content_type(const __u8 *plain, __u32 *length)
{
	while (*length && !plain[*length - 1])
		(*length)--;
	return *length ? plain[--*length] : 0;
}

static unsigned check_type(const struct datagram *datagram, const struct record *record)
{
	__u32 length = record->length;
	__u8 type = content_type(datagram->opening->plain + record->plain, &length);

	return type < HK_DTLS_CCS || type > HK_DTLS_HEARTBEAT ? HK_REASON_DTLS_TYPE : HK_REASON_OK;
}

static void open_split(struct datagram *datagram, struct record *records, unsigned count)
{
	struct hk_ctr_job jobs[HK_DTLS_RECORDS_MAX];
	const struct record *record;
	unsigned jobs_count = 0;
	struct hk_ctr_job *job;

	for (record = records; record < records + count; record++) {
		if (record->reason != HK_REASON_OK)
			continue;
		job = &jobs[jobs_count++];
		*job = (struct hk_ctr_job){.key = record->key,
			.key_size = sizeof(record->key),
			.in = datagram->opening->frame + record->text,
			.out = datagram->opening->plain + record->plain,
			.length = record->length,
			.counter = {[15] = 2}};
		memcpy(job->counter, record->salt, 4);
		memcpy(job->counter + 4, job->in - HK_DTLS_NONCE_SIZE, HK_DTLS_NONCE_SIZE);
	}
	hk_crypto_ctr(datagram->opening->crypto, jobs, jobs_count);
	hk_wipe(jobs, sizeof(jobs));
}

static void fill_gcm(const struct datagram *datagram, const struct record *record, struct hk_gcm_job *job)
{
	const struct hk_opening *opening = datagram->opening;
	const __u8 *text = opening->frame + record->text;

	*job = (struct hk_gcm_job){.key = record->key,
		.key_size = sizeof(record->key),
		.in = text,
		.out = opening->plain + record->plain,
		.length = record->length,
		.aad = record->aad,
		.aad_length = AAD_SIZE,
		.tag = text + record->length};
	memcpy(job->nonce, record->salt, 4);
	memcpy(job->nonce + 4, text - HK_DTLS_NONCE_SIZE, HK_DTLS_NONCE_SIZE);
}

static void open_single(struct datagram *datagram, struct record *records, unsigned count)
{
	struct hk_gcm_job jobs[HK_DTLS_RECORDS_MAX];
	unsigned i, jobs_count = 0;

	for (i = 0; i < count; i++)
		if (records[i].reason == HK_REASON_OK)
			fill_gcm(datagram, &records[i], &jobs[jobs_count++]);
	hk_crypto_gcm_open(datagram->opening->crypto, jobs, jobs_count);
	for (i = jobs_count = 0; i < count; i++)
		if (records[i].reason == HK_REASON_OK && !jobs[jobs_count++].verified)
			records[i].reason = HK_REASON_BAD_ICV;
	hk_wipe(jobs, sizeof(jobs));
}

/* Those whose reason is OK, each with its key; says in their reasons what came of it. */
static void open_records(struct datagram *datagram, struct record *records, unsigned count)
{
	unsigned i;

	if (is_split(datagram))
		open_split(datagram, records, count);
	else
		open_single(datagram, records, count);
	for (i = 0; i < count; i++)
		if (records[i].reason == HK_REASON_OK)
			records[i].reason = check_type(datagram, &records[i]);
}

/* Reasons that another generation's record has; what verified is no other's. */
static bool may_be_wrong_key(const struct datagram *datagram, unsigned reason)
{
	return reason == HK_REASON_BAD_ICV || reason == HK_REASON_WRONG_KCV ||
	       (reason == HK_REASON_DTLS_TYPE && is_split(datagram));
}

/* A slot's other generations, each once; the one that opens is tried first from now on. */
static void try_others(struct datagram *datagram, struct record *record)
{
	const struct hk_keyring *keyring = datagram->opening->keyring;
	const struct hk_key_choice first = record->master;
	const unsigned reason = record->reason;
	unsigned n;

	for (n = 0; hk_keyring_other(keyring, &first, n, &record->master); n++) {
		prepare(datagram, record);
		open_records(datagram, record, 1);
		if (record->reason == HK_REASON_OK) {
			hk_keyring_prefer(keyring, &record->master);
			return;
		}
	}
	record->master = first;
	record->reason = reason;
	if (reason != HK_REASON_DTLS_TYPE && hk_keyring_retired(keyring, &first))
		record->reason = HK_REASON_STALE_KEY;
}

static void open_all(struct datagram *datagram)
{
	struct record *record, *end = datagram->records + datagram->count;

	for (record = datagram->records; record < end; record++) {
		record->reason = choose(datagram, record);
		if (record->reason != HK_REASON_OK)
			continue;
		write_aad(datagram->opening->frame + record->header, record->length, record->aad);
		prepare(datagram, record);
	}
	open_records(datagram, datagram->records, datagram->count);
	for (record = datagram->records; record < end; record++)
		if (may_be_wrong_key(datagram, record->reason))
			try_others(datagram, record);
}

/* What the pipeline asks of a packet with one key and one nonce: those of the first record that opened. */
static void describe(struct hk_opening *opening, const struct record *first)
{
	const __u8 *text = opening->frame + first->text;

	memset(opening->nonce, 0, sizeof(opening->nonce));
	memcpy(opening->nonce, first->salt, 4);
	memcpy(opening->nonce + 4, text - HK_DTLS_NONCE_SIZE, HK_DTLS_NONCE_SIZE);
	memcpy(opening->record_icv, text + first->length, HK_DTLS_TAG_SIZE);
	opening->has_record = 1;
	opening->key = first->master;
}

/* Moves the application data together; what is of other types stays unseen. How many records had some. */
static unsigned join(struct datagram *datagram)
{
	struct hk_opening *opening = datagram->opening;
	const struct record *record, *end = datagram->records + datagram->count;
	__u32 at = 0, length;
	unsigned data = 0;

	for (record = datagram->records; record < end; record++) {
		length = record->length;
		if (record->reason != HK_REASON_OK ||
			content_type(opening->plain + record->plain, &length) != HK_DTLS_DATA)
			continue;
		if (!data++)
			describe(opening, record);
		memmove(opening->plain + at, opening->plain + record->plain, length);
		at += length;
	}
	hk_wipe(opening->plain + at, datagram->plain_length - at);
	opening->inner = opening->plain;
	opening->inner_length = opening->plain_length = at;
	opening->not_ip = 1;
	return data;
}

/* In the datagram's order. */
static unsigned first_refused(const struct datagram *datagram)
{
	unsigned i, end = datagram->refused ? datagram->before_refused : datagram->count;

	for (i = 0; i < end; i++)
		if (datagram->records[i].reason != HK_REASON_OK)
			return datagram->records[i].reason;
	return datagram->refused;
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	opening->keyring = keyring;
	opening->cipher = HK_CIPHER_NONE;
	opening->key = (struct hk_key_choice){.id = 0}; /* rebuild() looks for those of the records */
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
	struct datagram datagram = {.opening = opening};
	unsigned data, refused;

	split_datagram(&datagram);
	open_all(&datagram);
	data = join(&datagram);
	refused = first_refused(&datagram);
	hk_wipe(&datagram, sizeof(datagram));
	if (!data)
		return refused ? refused : HK_REASON_DTLS_CONTROL;
	opening->part_refused = (__u8)refused;
	opening->auth = opening->domain->profile == HK_PROFILE_SPLIT ? HK_AUTH_NONE : HK_AUTH_VERIFIED;
	return HK_REASON_OK;
}

const struct hk_envelope_ops hk_dtls_ops = {.plan = plan, .cipher = cipher, .rebuild = rebuild};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS 1.2 with AES-GCM over TCP (RFC 5246, RFC 5288; docs/wire-formats.md): the
 * one envelope with a session, since its sequence numbers are counted and not
 * sent. A segment is put into its stream; when it completes records they are
 * verified and opened, and their application data goes on as one payload with
 * the connection's ends. The segments themselves are only ever forwarded.
 *
 *   in order      synced at SYN: hello → randoms, change cipher spec → keys, then
 *                 record numbers are counted
 *   after a gap   lost: a segment in which a record header stands begins anew; the
 *                 record's number is guessed (the explicit nonce counts along) and
 *                 the tag says whether the guess was right
 */
#include "user/envelope/openers.h"

#include <string.h>

#include "bpf/parse/tls.h"
#include "user/base/bytes.h"
#include "user/envelope/hello.h"
#include "user/envelope/tls_keys.h"
#include "user/keys/connections.h"

#define RECORD_HEADER 5
#define RECORD_MAX    (16384 + 2048)
#define NONCE	      8
#define TAG	      16
#define AAD	      13
#define GUESSES	      8 /* record numbers tried after a gap, beside those the nonce suggests */
#define HOLD_NS	      (60ull * 1000000000)

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23, HEARTBEAT = 24 };

/* One segment on its way through. */
struct segment {
	struct hk_opening *opening;
	struct hk_streams *streams;
	struct hk_stream *stream;
	__u8 *plain; /* room for what is ready; NULL: none yet */
	__u32 plain_length;
	unsigned records, data; /* taken from the stream; with application data */
};

/* --- records --- */

static bool open_with(struct segment *segment, const __u8 *record, __u32 length, __u64 sequence)
{
	struct hk_stream *stream = segment->stream;
	__u8 aad[AAD];
	struct hk_gcm_job job = {.key = stream->key,
		.key_size = stream->key_size,
		.in = record + RECORD_HEADER + NONCE,
		.out = segment->plain + segment->plain_length,
		.length = length - NONCE - TAG,
		.aad = aad,
		.aad_length = AAD,
		.tag = record + RECORD_HEADER + length - TAG};

	hk_put32(aad, (__u32)(sequence >> 32));
	hk_put32(aad + 4, (__u32)sequence);
	memcpy(aad + 8, record, 3);
	hk_put16(aad + 11, job.length);
	memcpy(job.nonce, stream->iv, 4);
	memcpy(job.nonce + 4, record + RECORD_HEADER, NONCE);
	hk_crypto_gcm_open(segment->opening->crypto, &job, 1);
	if (job.verified) {
		stream->sequence = sequence + 1;
		stream->proven = true;
	}
	return job.verified;
}

static __u64 nonce_of(const __u8 *record)
{
	return (__u64)hk_get32(record + RECORD_HEADER) << 32 | hk_get32(record + RECORD_HEADER + 4);
}

/* The record's number is not known: what the nonce says, then the next few. */
static bool open_guessing(struct segment *segment, const __u8 *record, __u32 length)
{
	struct hk_stream *stream = segment->stream;
	__u64 nonce = nonce_of(record), from = stream->sequence, guess;

	if (stream->nonce_known && from &&
		open_with(segment, record, length, from - 1 + (nonce - stream->nonce)))
		return true;
	if (open_with(segment, record, length, nonce))
		return true;
	for (guess = from; guess < from + GUESSES; guess++)
		if (open_with(segment, record, length, guess))
			return true;
	return false;
}

/* What the pipeline asks of a packet with one nonce: the first record's. */
static void describe(struct segment *segment, const __u8 *record, __u32 length)
{
	struct hk_opening *opening = segment->opening;

	if (segment->data)
		return;
	memset(opening->nonce, 0, sizeof(opening->nonce));
	memcpy(opening->nonce, segment->stream->iv, 4);
	memcpy(opening->nonce + 4, record + RECORD_HEADER, NONCE);
	memcpy(opening->record_icv, record + RECORD_HEADER + length - TAG, TAG);
	opening->has_record = 1;
	opening->key.id = segment->stream->key_id;
}

static bool open_record(struct segment *segment, const __u8 *record, __u32 length)
{
	return segment->stream->sure ? open_with(segment, record, length, segment->stream->sequence)
				     : open_guessing(segment, record, length);
}

/*
 * Keys given for two ends may be those of a connection before, between the same
 * ports. Until they opened something, what they do not open says nothing, and the
 * randoms may know better.
 */
static bool is_doubtful(struct segment *segment)
{
	struct hk_stream *stream = segment->stream;

	if (!stream->by_tuple || stream->proven)
		return false;
	hk_tls_find_by_hello(stream, segment->opening->keyring);
	return true;
}

/* Records that cannot be opened are counted all the same: a key that comes later fits. */
static unsigned pass_over(struct hk_stream *stream)
{
	stream->sequence++;
	return stream->stale ? HK_REASON_STALE_KEY : HK_REASON_NO_KEY;
}

static void took_record(struct segment *segment, const __u8 *record, __u32 length)
{
	struct hk_stream *stream = segment->stream;

	stream->sure = stream->nonce_known = true;
	stream->nonce = nonce_of(record);
	if (record[0] == DATA) {
		describe(segment, record, length);
		segment->plain_length += length - NONCE - TAG;
		segment->data++;
	}
	if (record[0] == CHANGE_CIPHER_SPEC) { /* renegotiated: the new keys are nobody's we know */
		hk_stream_unkey(stream);
		stream->rekeyed = true;
		stream->sequence = 0;
	}
}

static unsigned read_encrypted(struct segment *segment, const __u8 *record, __u32 length)
{
	struct hk_stream *stream = segment->stream;
	bool opened;

	if (stream->serial != hk_keyring_serial(segment->opening->keyring))
		hk_tls_find_keys(stream, segment->opening->keyring);
	if (stream->ignored)
		return stream->ignored;
	if (!stream->keyed)
		return pass_over(stream);
	if (length < NONCE + TAG)
		return HK_REASON_TLS_RECORD;
	opened = open_record(segment, record, length);
	if (!opened && is_doubtful(segment)) {
		if (stream->ignored || stream->by_tuple)
			return stream->ignored ? stream->ignored : pass_over(stream);
		opened = open_record(segment, record, length);
	}
	if (!opened)
		return stream->sure ? HK_REASON_BAD_ICV : HK_REASON_TLS_GAP;
	took_record(segment, record, length);
	return HK_REASON_OK;
}

static unsigned read_clear(struct segment *segment, const __u8 *record, __u32 length)
{
	struct hk_stream *stream = segment->stream;
	struct hk_tls_tuple tuple;

	switch (record[0]) {
	case HANDSHAKE:
		tuple = hk_tls_tuple_of(stream);
		hk_hello_read(&tuple, stream->server, record + RECORD_HEADER, length);
		return HK_REASON_OK;
	case CHANGE_CIPHER_SPEC:
		stream->encrypted = true;
		stream->sequence = 0;
		stream->sure = true;
		stream->serial = 0; /* keys are looked for with the first record under them */
		stream->rekeyed = false;
		return HK_REASON_OK;
	case ALERT: return HK_REASON_OK;
	case DATA: /* TLS 1.3 without its imitation of a change cipher spec */
		hk_tls_find_keys(stream, segment->opening->keyring);
		return stream->ignored ? stream->ignored : HK_REASON_TLS_RECORD;
	default: return HK_REASON_TLS_RECORD;
	}
}

static bool is_header(const __u8 *bytes)
{
	return bytes[0] >= CHANGE_CIPHER_SPEC && bytes[0] <= HEARTBEAT && bytes[1] == 3 && bytes[2] <= 4 &&
	       hk_get16(bytes + 3) <= RECORD_MAX;
}

static bool is_keyless(unsigned reason)
{
	return reason == HK_REASON_NO_KEY || reason == HK_REASON_STALE_KEY;
}

/* The record at `record`, of which `ready` bytes are there. 0: it is not whole yet. */
static __u32 whole_record(const __u8 *record, __u32 ready)
{
	__u32 size;

	if (ready < RECORD_HEADER)
		return 0;
	size = RECORD_HEADER + hk_get16(record + 3);
	return ready < size ? 0 : size;
}

/*
 * All records that are whole, in order; without a key they are counted all the same.
 * They leave the stream together: a window may hold thousands of them, and whatever
 * is behind moves up with each that leaves alone.
 */
static unsigned read_records(struct segment *segment)
{
	struct hk_stream *stream = segment->stream;
	unsigned reason, result = HK_REASON_OK;
	__u32 ready, at = 0, size;
	const __u8 *bytes = hk_stream_ready(stream, &ready);

	while (ready - at >= RECORD_HEADER) {
		if (!is_header(bytes + at)) {
			result =
				stream->encrypted && !stream->sure ? HK_REASON_TLS_GAP : HK_REASON_TLS_RECORD;
			break;
		}
		size = whole_record(bytes + at, ready - at);
		if (!size)
			break;
		reason = stream->encrypted ? read_encrypted(segment, bytes + at, size - RECORD_HEADER)
					   : read_clear(segment, bytes + at, size - RECORD_HEADER);
		if (reason != HK_REASON_OK)
			result = reason;
		if (reason != HK_REASON_OK && !is_keyless(reason))
			break;
		at += size;
		segment->records++;
	}
	hk_stream_take(segment->streams, stream, at);
	return result;
}

static unsigned finish(struct segment *segment, unsigned reason)
{
	struct hk_opening *opening = segment->opening;

	if (reason != HK_REASON_OK) {
		if (segment->plain)
			hk_wipe(segment->plain, segment->plain_length);
		if (!is_keyless(reason) && reason != segment->stream->ignored)
			hk_stream_lose(segment->streams, segment->stream);
		return reason;
	}
	if (!segment->data)
		return segment->records ? HK_REASON_TLS_CONTROL : HK_REASON_TLS_PARTIAL;
	opening->auth = HK_AUTH_VERIFIED;
	opening->not_ip = 1;
	opening->inner = segment->plain;
	opening->inner_length = opening->plain_length = segment->plain_length;
	return HK_REASON_OK;
}

/* --- segments --- */

/* After a gap: where in this segment a record may begin; `length` when nowhere. */
static __u32 find_header(const __u8 *data, __u32 length)
{
	__u32 at;

	for (at = 0; at + RECORD_HEADER <= length; at++)
		if (data[at] >= CHANGE_CIPHER_SPEC && data[at] <= DATA && data[at + 1] == 3 &&
			data[at + 2] == 3 && hk_get16(data + at + 3) <= RECORD_MAX &&
			hk_get16(data + at + 3) >= NONCE + TAG)
			return at;
	return length;
}

static unsigned resync(struct segment *segment, __u32 sequence, const __u8 *data, __u32 length)
{
	struct hk_stream *stream = segment->stream;
	__u32 at = find_header(data, length);

	if (at == length)
		return HK_STREAM_GAP;
	stream->lost = false;
	stream->sure = false;
	stream->encrypted = true;
	stream->next = sequence + at;
	return hk_stream_put(segment->streams, stream, stream->next, data + at, length - at);
}

static unsigned put(struct segment *segment, __u32 sequence, const __u8 *data, __u32 length)
{
	unsigned result;

	if (segment->stream->lost)
		return resync(segment, sequence, data, length);
	result = hk_stream_put(segment->streams, segment->stream, sequence, data, length);
	if (result != HK_STREAM_GAP)
		return result;
	hk_stream_lose(segment->streams, segment->stream);
	resync(segment, sequence, data, length); /* what is whole in it comes with the next segment */
	return HK_STREAM_GAP;
}

static unsigned read_segment(struct segment *segment, __u32 sequence, const __u8 *data, __u32 length)
{
	__u32 ready;

	if (segment->stream->blocked) {
		segment->stream->dropped_ns = *segment->opening->now_ns;
		return HK_REASON_FLOW_DROP;
	}
	if (segment->stream->ignored)
		return segment->stream->ignored;
	switch (put(segment, sequence, data, length)) {
	case HK_STREAM_WAITING: return HK_REASON_TLS_PARTIAL;
	case HK_STREAM_REPEATED: return HK_REASON_TLS_REPEATED;
	case HK_STREAM_OVERLAP: return HK_REASON_TLS_OVERLAP;
	case HK_STREAM_GAP: return HK_REASON_TLS_GAP;
	case HK_STREAM_NO_ROOM:
		hk_stream_lose(segment->streams, segment->stream);
		return HK_REASON_TLS_NO_ROOM;
	default: break;
	}
	hk_stream_ready(segment->stream, &ready);
	segment->plain = hk_streams_room(segment->streams, ready);
	if (!segment->plain) {
		hk_stream_lose(segment->streams, segment->stream);
		return HK_REASON_TLS_NO_ROOM;
	}
	return finish(segment, read_records(segment));
}

/* The ports are used again: what a connection before agreed on is not said of this one. */
static void forget_hello(const struct hk_stream *stream)
{
	struct hk_tls_tuple tuple = hk_tls_tuple_of(stream);

	hk_hello_forget(&tuple);
}

/* Who serves is told by the ports; where both are servers', by who answers the SYN. */
static bool sent_by_server(const struct hk_opening *opening, const __u8 *tcp)
{
	const __u16 *ports = opening->domain->tls.ports;
	bool from = hk_tls_is_port(ports, hk_get16(tcp)), to = hk_tls_is_port(ports, hk_get16(tcp + 2));

	if (from && to && (tcp[13] & HK_TCP_SYN))
		return tcp[13] & HK_TCP_ACK;
	return !to;
}

static struct hk_stream *begin_stream(
	struct segment *segment, const struct hk_stream_name *name, const __u8 *tcp, __u32 next)
{
	struct hk_stream *stream = hk_streams_make(segment->streams, name);

	stream->server = sent_by_server(segment->opening, tcp);
	stream->next = next;
	return stream;
}

/* A stream that a hook dropped is done with when its ports rested; a SYN or RST alone would set it free. */
static bool is_held(struct hk_stream *stream, const struct hk_opening *opening)
{
	return stream->blocked && *opening->now_ns - stream->dropped_ns < HOLD_NS;
}

/*
 * A SYN that counts from elsewhere: the ports are used again, or somebody wants
 * us to believe so, which the end host would not. So the stream goes on until a
 * handshake comes where the SYN said, and nothing else could stand there.
 */
static bool begins_again(const struct hk_stream *stream, __u32 sequence, const __u8 *data, __u32 length)
{
	return stream->has_syn && length && sequence == stream->syn_next && sequence != stream->next &&
	       data[0] == HANDSHAKE;
}

static void take_syn(struct hk_stream *stream, __u32 next)
{
	stream->has_syn = next != stream->next; /* else it is the stream's own, once more */
	stream->syn_next = next;
}

/* The end host takes a reset at the next byte it waits for, and no other. */
static void take_reset(struct segment *segment, struct hk_stream *stream, __u32 sequence)
{
	__u32 ready;

	hk_stream_ready(stream, &ready);
	if (stream->lost || sequence == stream->next + ready)
		hk_streams_end(segment->streams, stream);
}

/* The stream of the segment, made if need be: with a SYN from its first byte, else where nobody knows. */
static struct hk_stream *stream_of(
	struct segment *segment, const __u8 *tcp, __u32 sequence, const __u8 *data, __u32 length)
{
	const struct hk_opening *opening = segment->opening;
	struct hk_stream_name name = {.src = opening->outer_src,
		.dst = opening->outer_dst,
		.src_port = hk_get16(tcp),
		.dst_port = hk_get16(tcp + 2),
		.domain = opening->meta->domain};
	struct hk_stream *stream = hk_streams_find(segment->streams, &name);
	bool syn = tcp[13] & HK_TCP_SYN, again = false;

	if (stream && is_held(stream, opening))
		return stream;
	if (tcp[13] & HK_TCP_RST) {
		if (stream)
			take_reset(segment, stream, sequence);
		return NULL;
	}
	if (stream && syn && !stream->lost)
		take_syn(stream, sequence);
	again = stream && begins_again(stream, sequence, data, length);
	if (stream && !again && !(syn && stream->lost))
		return stream;
	stream = begin_stream(segment, &name, tcp, sequence);
	stream->lost = !syn && !again;
	if (!stream->server && !stream->lost)
		forget_hello(stream);
	return stream;
}

static unsigned plan(struct hk_opening *opening, const struct hk_keyring *keyring)
{
	const struct hk_meta *meta = opening->meta;

	if (meta->envelope_offset + HK_TCP_HEADER_SIZE > meta->payload_offset)
		return HK_REASON_META_INVALID;
	opening->keyring = keyring;
	opening->cipher = HK_CIPHER_NONE;
	opening->messages = 0;
	opening->clear_length = opening->cipher_length = 0;
	opening->key.master = NULL;
	return HK_REASON_OK;
}

static void cipher(struct hk_opening *opening)
{
	(void)opening;
}

static unsigned rebuild(struct hk_opening *opening)
{
	const struct hk_meta *meta = opening->meta;
	const __u8 *tcp = opening->frame + meta->envelope_offset;
	const __u8 *data = opening->frame + meta->payload_offset;
	struct segment segment = {.opening = opening, .streams = opening->streams};
	__u32 length = (__u32)meta->end_offset - meta->payload_offset, sequence = hk_get32(tcp + 4);
	unsigned reason;

	if (!segment.streams) /* the last TLS domain went with a reload while this was on its way */
		return HK_REASON_TLS_NO_ROOM;
	if (tcp[13] & HK_TCP_SYN)
		sequence++;
	segment.stream = stream_of(&segment, tcp, sequence, data, length);
	if (!segment.stream || !length || (tcp[13] & HK_TCP_RST))
		return HK_REASON_TLS_CONTROL;
	reason = read_segment(&segment, sequence, data, length);
	if (reason == HK_REASON_OK)
		hk_streams_note(segment.streams, opening->index, segment.stream);
	return reason;
}

const struct hk_envelope_ops hk_tls_ops = {.plan = plan, .cipher = cipher, .rebuild = rebuild};

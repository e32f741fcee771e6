// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DTLS 1.2 records as a speaker: options, contexts and its row (speaker.h). The
 * record layer is seal_dtls.c's. It carries UDP payloads, not IP packets: those to
 * and from a port become records, and payloads again. Each sender draws contexts
 * of its own at random, so no state of numbers outlives it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/endpoint/inner.h"
#include "user/endpoint/seal_dtls.h"
#include "user/endpoint/speak.h"

#define READERS	    64 /* contexts that one receiver opens */
#define PAYLOAD_MAX 65536
#define BOTH_WAYS   (HK_USE_SEAL | HK_USE_OPEN)
#define APPLICATION 23 /* content type */

static const struct hk_wish wishes_[] = {
	{"mkid", "N", BOTH_WAYS, "number of the master key (default: the key file's)"},
	{"port", "N", BOTH_WAYS, "UDP port of the servers (default: 4433)"},
	{"records", "N", HK_USE_SEAL, "records a datagram is cut into, 1 to 16 (default: 1)"},
	{"padding", "N", HK_USE_SEAL, "zeros behind each record's content (default: 0)"},
	{0},
};

struct dtls_speech {
	struct hk_speech speech;
	bool only_mkid;
	__u16 mkid, port;
	unsigned records, padding;
};

struct dtls_sender {
	struct hk_sender sender;
	struct hk_dtls *writers[2]; /* client, server */
	__u8 payload[PAYLOAD_MAX];
};

struct reader {
	struct hk_dtls *dtls;
	struct hk_dtls_name name;
	__u64 not_after; /* of its key; 0: no end */
};

struct dtls_receiver {
	struct hk_receiver receiver;
	const struct hk_host_keys *keys;
	struct reader readers[READERS];
	unsigned count;
	__u8 payload[PAYLOAD_MAX];
};

static struct dtls_speech *dtls_speech(const struct hk_speech *speech)
{
	return (struct dtls_speech *)speech;
}

static int plan(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	struct dtls_speech *dtls;
	__u64 mkid, port, records, padding;

	(void)local;
	if (hk_wish_number(wishes, "mkid", 0, 0xffff, &mkid, error) ||
		hk_wish_number(wishes, "port", 4433, 0xffff, &port, error) ||
		hk_wish_number(wishes, "records", 1, 16, &records, error) ||
		hk_wish_number(wishes, "padding", 0, 1024, &padding, error))
		return -EINVAL;
	if (!port || !records)
		return hk_error_set(error, EINVAL, "%s '0': must be 1 or more", port ? "records" : "port");
	dtls = calloc(1, sizeof(*dtls));
	if (!dtls)
		return hk_error_set(error, ENOMEM, "no memory for an envelope");
	dtls->only_mkid = hk_wish(wishes, "mkid");
	dtls->mkid = (__u16)mkid;
	dtls->port = (__u16)port;
	dtls->records = (unsigned)records;
	dtls->padding = (unsigned)padding;
	*out = &dtls->speech;
	return 0;
}

static void end(struct hk_speech *speech)
{
	free(speech);
}

/* A context of `name` with these keys. 0 or negative errno and a sentence. */
static int make_context(const struct hk_speech *speech, const struct hk_dtls_name *name,
	const struct hk_master *master, struct hk_dtls **out, struct hk_error *error)
{
	struct hk_kdf_key enc, auth;
	int status = hk_kdf_key_init(&enc, master->enc);

	if (!status && master->auth)
		status = hk_kdf_key_init(&auth, master->auth);
	status = status ? hk_error_set(error, EIO, "the crypto library took no key for MKID %u", name->mkid)
			: hk_dtls_new(out, speech->crypto, name, &enc, master->auth ? &auth : NULL, error);
	hk_wipe(&enc, sizeof(enc));
	hk_wipe(&auth, sizeof(auth));
	return status;
}

/* A UDP datagram to or from the port; NULL: none. */
static const __u8 *find_udp(const struct dtls_speech *dtls, const __u8 *packet, __u32 length,
	struct hk_inner_ip *ip, __u32 *udp_length)
{
	const __u8 *udp;

	if (hk_inner_ip_parse(packet, length, ip) || ip->fragment || ip->protocol != IPPROTO_UDP ||
		length < ip->header_size + 8u)
		return NULL;
	udp = packet + ip->header_size;
	*udp_length = length - ip->header_size;
	return hk_get16(udp + 4) == *udp_length &&
			       (hk_get16(udp) == dtls->port || hk_get16(udp + 2) == dtls->port)
		       ? udp
		       : NULL;
}

/* --- the sender ----------------------------------------------------------------------------------- */

static void sender_free(struct hk_sender *base, bool undo)
{
	struct dtls_sender *sender = (struct dtls_sender *)base;

	(void)undo; /* no state */
	hk_dtls_free(sender->writers[0]);
	hk_dtls_free(sender->writers[1]);
	hk_wipe(sender, sizeof(*sender));
	free(sender);
}

static int draw_writers(struct dtls_sender *sender, const struct hk_speech *speech,
	const struct hk_master *master, struct hk_error *error)
{
	struct hk_dtls_name name = {.mkid = (__u16)master->id, .epoch = 1, .split = master->auth};
	int status = 0;
	unsigned i;

	for (i = 0; i < 2 && !status; i++) {
		name.server = i;
		if (hk_dtls_draw_context(&name.context))
			return hk_error_set(error, EIO, "the system gives no random numbers");
		status = make_context(speech, &name, master, &sender->writers[i], error);
	}
	return status;
}

static int sender_new(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error)
{
	const struct dtls_speech *dtls = dtls_speech(speech);
	const struct hk_master_wish wish = {
		.receiver = sending->to, .has_id = dtls->only_mkid, .id = dtls->mkid, .has_slot = true};
	struct dtls_sender *sender;
	struct hk_master master;
	int status;

	if (!hk_host_keys_master(sending->keys, &wish, &master))
		return hk_error_set(error, ENOKEY,
			"%s: no master key in slot=0 to seal records with: %s; name its id with --mkid",
			sending->source, hk_refusal_text(master.refusal));
	sender = calloc(1, sizeof(*sender));
	if (!sender)
		return hk_error_set(error, ENOMEM, "no memory for DTLS contexts");
	sender->sender.not_after = master.not_after;
	status = draw_writers(sender, speech, &master, error);
	if (status)
		sender_free(&sender->sender, false);
	else
		*out = &sender->sender;
	return status;
}

/* The payload in sender->payload as records: their size, or negative errno. */
static int seal_payload(struct dtls_sender *sender, const struct dtls_speech *dtls, bool server,
	const __u8 *data, __u32 length)
{
	__u32 at = 0, done = 0, size;
	unsigned i;
	int sealed;

	for (i = 0; i < dtls->records; i++) {
		size = (length - done) / (dtls->records - i);
		sealed = hk_dtls_seal(sender->writers[server], APPLICATION, data + done, size, dtls->padding,
			sender->payload + at, PAYLOAD_MAX - at);
		if (sealed < 0)
			return sealed;
		at += (__u32)sealed;
		done += size;
	}
	return (int)at;
}

static int seal_packet(struct hk_sender *base, const __u8 *packet, __u32 length, __u8 *out, __u32 room)
{
	struct dtls_sender *sender = (struct dtls_sender *)base;
	const struct dtls_speech *dtls = dtls_speech(base->speech);
	struct hk_inner_ip ip;
	__u32 size = 0;
	const __u8 *udp = find_udp(dtls, packet, length, &ip, &size);
	int records, total;

	if (!udp)
		return -ENOMSG;
	records = seal_payload(sender, dtls, hk_get16(udp + 2) != dtls->port, udp + 8, size - 8);
	if (records < 0)
		return records;
	total = hk_outer_build(&ip.source, &ip.destination, IPPROTO_UDP, hk_get16(udp), hk_get16(udp + 2),
		sender->payload, (__u32)records, out, room);
	if (total > 0)
		hk_udp_checksum(out);
	return total;
}

/* --- the receiver --------------------------------------------------------------------------------- */

static int receiver_new(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error)
{
	struct dtls_receiver *receiver = calloc(1, sizeof(*receiver));

	(void)speech;
	(void)place; /* windows end with the process */
	if (!receiver)
		return hk_error_set(error, ENOMEM, "no memory for the receiving side");
	receiver->keys = keys;
	*out = &receiver->receiver;
	return 0;
}

static void forget_all(struct dtls_receiver *receiver)
{
	while (receiver->count)
		hk_dtls_free(receiver->readers[--receiver->count].dtls);
}

static bool same_name(const struct hk_dtls_name *a, const struct hk_dtls_name *b)
{
	return a->context == b->context && a->mkid == b->mkid && a->epoch == b->epoch &&
	       a->server == b->server && a->split == b->split;
}

/* Keys for this one packet, until it verifies. */
static unsigned try_context(
	struct dtls_receiver *receiver, const struct hk_dtls_name *name, unsigned nth, struct reader *out)
{
	const struct hk_speech *speech = receiver->receiver.speech;
	const struct dtls_speech *dtls = dtls_speech(speech);
	const struct hk_master_wish wish = {.receiver = speech->has_local ? &speech->local : NULL,
		.has_id = true,
		.id = name->mkid,
		.has_slot = true,
		.nth = (__u8)nth};
	struct hk_master master;

	if (dtls->only_mkid && name->mkid != dtls->mkid)
		return HK_REFUSAL_NO_KEY;
	if (!hk_host_keys_master(receiver->keys, &wish, &master))
		return master.refusal;
	if (name->split != (master.auth != NULL))
		return HK_REFUSAL_DOWNGRADE;
	*out = (struct reader){.name = *name, .not_after = master.not_after};
	return make_context(speech, name, &master, &out->dtls, NULL) ? HK_REFUSAL_CIPHER : HK_REFUSAL_NONE;
}

static unsigned open_known(const struct reader *reader, const __u8 *record, __u32 length, __u8 *out,
	struct hk_dtls_opened *opened)
{
	if (reader->not_after && hk_host_keys_now() >= reader->not_after)
		return HK_REFUSAL_KEY_EXPIRED;
	return hk_dtls_open(reader->dtls, record, length, out, opened);
}

/* With each generation that there is: the tag says which one it is. */
static unsigned open_first(struct dtls_receiver *receiver, const struct hk_dtls_name *name,
	const __u8 *record, __u32 length, __u8 *out, struct hk_dtls_opened *opened)
{
	unsigned refusal = HK_REFUSAL_NO_KEY, i, now;
	struct reader reader = {0};

	for (i = 0; i < HK_HOST_GENERATIONS; i++) {
		now = try_context(receiver, name, i, &reader);
		if (now)
			return i ? refusal : now;
		refusal = hk_dtls_open(reader.dtls, record, length, out, opened);
		if (!refusal)
			receiver->readers[receiver->count++] = reader;
		else
			hk_dtls_free(reader.dtls);
		if (refusal != HK_REFUSAL_BAD_ICV)
			break;
	}
	return refusal;
}

static unsigned open_record(struct dtls_receiver *receiver, const __u8 *record, __u32 length, __u8 *out,
	struct hk_dtls_opened *opened)
{
	struct hk_dtls_name name;
	unsigned refusal = hk_dtls_read_name(record, length, &name), i;

	if (refusal)
		return refusal;
	for (i = 0; i < receiver->count; i++)
		if (same_name(&receiver->readers[i].name, &name))
			return open_known(&receiver->readers[i], record, length, out, opened);
	if (receiver->count == READERS)
		return HK_REFUSAL_SPI_FULL;
	return open_first(receiver, &name, record, length, out, opened);
}

/* All of a datagram's data: all records of it verify, or it is refused. */
static unsigned open_payload(struct dtls_receiver *receiver, const __u8 *data, __u32 length, __u32 *done)
{
	struct hk_dtls_opened record;
	unsigned refusal = HK_REFUSAL_NONE;
	__u32 at;

	*done = 0;
	for (at = 0; at < length && !refusal; at += record.size) {
		record.size = 0;
		refusal = open_record(receiver, data + at, length - at, receiver->payload + *done, &record);
		if (!refusal && record.type == APPLICATION)
			*done += record.length;
	}
	return refusal;
}

static unsigned open_sealed(
	struct hk_receiver *base, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	struct dtls_receiver *receiver = (struct dtls_receiver *)base;
	const struct dtls_speech *dtls = dtls_speech(base->speech);
	unsigned refusal;
	__u32 done;

	if (sealed->protocol != IPPROTO_UDP ||
		(sealed->source_port != dtls->port && sealed->port != dtls->port))
		return HK_REFUSAL_NOT_SEALED;
	if (!hk_speech_receives(base->speech, sealed))
		return HK_REFUSAL_NOT_OURS;
	refusal = open_payload(receiver, sealed->data, sealed->length, &done);
	if (!refusal)
		refusal = hk_datagram_deliver(
			sealed, sealed->source_port, sealed->port, receiver->payload, done, out, opened);
	hk_wipe(receiver->payload, sealed->length);
	return refusal;
}

static void receiver_free(struct hk_receiver *receiver)
{
	forget_all((struct dtls_receiver *)receiver);
	free(receiver);
}

const struct hk_speaker hk_speak_dtls = {
	.envelope = HK_ENVELOPE_DTLS,
	.cargo = "UDP payloads, not IP packets",
	.wishes = wishes_,
	.plan = plan,
	.end = end,
	.sender = sender_new,
	.seal_packet = seal_packet,
	.sender_free = sender_free,
	.receiver = receiver_new,
	.open = open_sealed,
	.receiver_free = receiver_free,
};

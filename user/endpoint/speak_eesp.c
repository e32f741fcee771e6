// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * EESP and WESP as speakers: options, keys, numbers and both rows (speaker.h).
 * The envelopes are seal_eesp.c's and open_eesp.c's.
 *
 * A sender is a derived-key context, each epoch of which has keys and numbers of
 * its own (epoch.h), or a sub-SA, whose numbers have a state file (nonces.h). The
 * epochs of a context belong to the speech: a sender with new keys goes on with
 * the epochs of the one it takes the place of.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/epoch.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/nonces.h"
#include "user/endpoint/seal_eesp.h"
#include "user/endpoint/speak.h"
#include "user/endpoint/windows.h"

#define SPI_OF_CONTEXTS 256 /* says nothing there: the context names the keys */
#define SN_OF_WESP	0xffffffffull
#define SENDING		(HK_USE_SEAL | HK_USE_PEER)

#define COMMON                                                                                           \
	{"mkid", "N", SENDING | HK_USE_OPEN,                                                             \
		"number of the master key (default: the key file's for the receiver)"},                  \
		{"slot", "N", SENDING, "its slot (default: that of the highest generation)"},            \
		{"context", "N", HK_USE_SEAL | HK_USE_PEER,                                              \
			"ContextID: one sender's, one direction's (default: 1)"},                        \
		{"spi", "NUMBER", HK_USE_SEAL | HK_USE_PEER, "SPI (default: that of the root, or 256)"}, \
	{                                                                                                \
		"reader", NULL, HK_USE_SEAL | HK_USE_TUNNEL, "with a reader tag (split)"                 \
	}

static const struct hk_wish eesp_wishes[] = {
	COMMON,
	{"protocol", "N", HK_USE_SEAL | HK_USE_OPEN | HK_USE_TUNNEL, "IP protocol instead of UDP 4500"},
	{"sub-sa", NULL, SENDING | HK_USE_TUNNEL, "a sub-SA of an SA with a root, not a derived-key context"},
	{"session", "N", HK_USE_SEAL | HK_USE_PEER, "session ID of the sub-SA (default: 0)"},
	{"transport", NULL, HK_USE_SEAL, "transport mode: the full format"},
	{"crypt-offset", "N", HK_USE_SEAL, "4-byte units that stay readable, 0 to 63"},
	{0},
};

static const struct hk_wish wesp_wishes[] = {
	COMMON,
	{"protocol", "N", HK_USE_SEAL | HK_USE_OPEN | HK_USE_TUNNEL, "141 instead of UDP 4500"},
	{"transport", NULL, HK_USE_SEAL, "transport mode"},
	{0},
};

/* The epochs of a context, as long as there is a sender of it. */
struct context {
	__u32 mkid;
	__u64 id;
	unsigned senders;
	struct hk_epochs *epochs;
	struct context *next;
};

struct eesp_speech {
	struct hk_speech speech;
	struct hk_eesp_shape shape;
	bool transport, reader, only_mkid;
	__u32 mkid; /* that alone is opened */
	struct context *contexts;
};

struct eesp_sender {
	struct hk_sender sender;
	struct hk_eesp_name name;
	struct hk_eesp_shape shape;
	__u8 enc[32], auth[32], reader[32];
	struct hk_eesp *sa;	       /* of the epoch in use; NULL: none yet */
	struct context *context;       /* derived, started */
	struct hk_nonce_state *nonces; /* sub-SA */
	__u64 number;		       /* the last of this epoch */
};

struct eesp_receiver {
	struct hk_receiver receiver;
	const struct hk_host_keys *keys;
	struct hk_eesp_host *host;
};

static struct eesp_speech *eesp_speech(const struct hk_speech *speech)
{
	return (struct eesp_speech *)speech;
}

static struct eesp_sender *eesp_sender(struct hk_sender *sender)
{
	return (struct eesp_sender *)sender;
}

static bool is_wesp(const struct hk_speech *speech)
{
	return speech->speaker->envelope == HK_ENVELOPE_WESP;
}

/* --- the speech ----------------------------------------------------------------------------------- */

static int judge_numbers(struct eesp_speech *eesp, const struct hk_wishes *wishes, bool wesp,
	const struct hk_address *local, struct hk_error *error)
{
	__u64 protocol, offset = 0, mkid;

	if (hk_wish_number(wishes, "protocol", IPPROTO_UDP, 255, &protocol, error) ||
		hk_wish_number(wishes, "mkid", 0, 0xffffffff, &mkid, error) ||
		(!wesp && hk_wish_number(wishes, "crypt-offset", 0, 63, &offset, error)))
		return -EINVAL;
	if (!protocol || (wesp && protocol != IPPROTO_UDP && protocol != HK_WESP_PROTOCOL))
		return hk_error_set(error, EINVAL, "protocol '%llu': must be %s",
			(unsigned long long)protocol, wesp ? "141" : "from 1 to 255");
	eesp->only_mkid = hk_wish(wishes, "mkid");
	eesp->mkid = (__u32)mkid;
	eesp->shape = (struct hk_eesp_shape){
		.protocol = (__u8)protocol, .crypt_offset = (__u8)offset, .offset_size = offset ? 2 : 0};
	if (local)
		eesp->shape.source = *local;
	eesp->shape.pad = wesp && local && !hk_address_is_v4(local);
	return 0;
}

static int plan(struct hk_speech **out, bool wesp, const struct hk_wishes *wishes,
	const struct hk_address *local, struct hk_error *error)
{
	struct eesp_speech *eesp = calloc(1, sizeof(*eesp));

	if (!eesp)
		return hk_error_set(error, ENOMEM, "no memory for an envelope");
	if (judge_numbers(eesp, wishes, wesp, local, error)) {
		free(eesp);
		return -EINVAL;
	}
	eesp->transport = hk_wish_flag(wishes, "transport");
	eesp->reader = hk_wish_flag(wishes, "reader");
	eesp->speech.protocol = eesp->shape.protocol;
	eesp->speech.port = HK_UDP_PORT_ESP;
	*out = &eesp->speech;
	return 0;
}

static int plan_eesp(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	return plan(out, false, wishes, local, error);
}

static int plan_wesp(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	return plan(out, true, wishes, local, error);
}

static void end(struct hk_speech *speech)
{
	free(speech); /* the last sender took the last context with it */
}

/* What a tunnel's envelopes add at most. */
static unsigned inner_max(const struct hk_speech *speech, unsigned room)
{
	const struct eesp_speech *eesp = eesp_speech(speech);
	const struct hk_eesp_name name = {.envelope = (__u8)speech->speaker->envelope,
		.derived = true,
		.reader = eesp->reader,
		.sn = true,
		.iv = true};

	return room - hk_eesp_overhead(&name, &eesp->shape);
}

/* --- senders -------------------------------------------------------------------------------------- */

/* Whether the sender towards `to` is a sub-SA: told so, or a root is all there is. */
static bool wants_sub_sa(const struct hk_speech *speech, const struct hk_sending *sending)
{
	const struct hk_master_wish any = {.receiver = sending->to};
	struct hk_master master;
	__u32 spi;

	if (is_wesp(speech) || hk_wish_flag(sending->wishes, "sub-sa"))
		return !is_wesp(speech);
	return !hk_host_keys_master(sending->keys, &any, &master) &&
	       hk_host_keys_roots(sending->keys, sending->to, &spi, 1);
}

static unsigned spis(
	const struct hk_speech *speech, const struct hk_sending *sending, __u32 *out, unsigned max)
{
	if (wants_sub_sa(speech, sending))
		return hk_host_keys_roots(sending->keys, sending->to, out, max);
	out[0] = SPI_OF_CONTEXTS;
	return 1;
}

static int read_name(struct eesp_sender *sender, const struct hk_speech *speech,
	const struct hk_sending *sending, struct hk_error *error)
{
	const struct eesp_speech *eesp = eesp_speech(speech);
	__u64 context, session = 0;

	if (hk_wish_number(sending->wishes, "context", 1, ~0ull, &context, error) ||
		(!is_wesp(speech) && hk_wish_number(sending->wishes, "session", 0, 0xffff, &session, error)))
		return -EINVAL;
	if (sending->context)
		context = sending->context;
	sender->name = (struct hk_eesp_name){.envelope = (__u8)speech->speaker->envelope,
		.derived = !wants_sub_sa(speech, sending),
		.reader = eesp->reader,
		.transport = eesp->transport,
		.sn = !is_wesp(speech),
		.iv = true,
		.session = (__u16)session,
		.spi = sending->spi,
		.context = context};
	if (!sender->name.derived)
		sender->name.context = 0;
	return 0;
}

static int find_master(struct eesp_sender *sender, const struct hk_sending *sending, struct hk_master *master,
	struct hk_error *error)
{
	struct hk_master_wish wish = {.receiver = sending->to};
	char to[HK_ADDRESS_TEXT];
	__u64 mkid, slot;

	if (hk_wish_number(sending->wishes, "mkid", 0, 0xffffffff, &mkid, error) ||
		hk_wish_number(sending->wishes, "slot", 0, 3, &slot, error))
		return -EINVAL;
	wish.has_id = hk_wish(sending->wishes, "mkid");
	wish.has_slot = hk_wish(sending->wishes, "slot");
	wish.id = (__u32)mkid;
	wish.slot = (__u8)slot;
	if (!sender->name.derived)
		return hk_host_keys_root(sending->keys, sending->to, sending->spi, master)
			       ? 0
			       : hk_error_set(error, ENOKEY, "%s: no root= to send to %s with SPI 0x%08x: %s",
					 sending->source, hk_address_format(sending->to, to), sending->spi,
					 hk_refusal_text(master->refusal));
	if (!hk_host_keys_master(sending->keys, &wish, master))
		return hk_error_set(error, ENOKEY, "%s: no master key%s%s%s%s to send to %s with: %s",
			sending->source, wish.has_id ? " with id=" : "",
			wish.has_id ? hk_wish(sending->wishes, "mkid") : "", wish.has_slot ? " in slot=" : "",
			wish.has_slot ? hk_wish(sending->wishes, "slot") : "",
			hk_address_format(sending->to, to), hk_refusal_text(master->refusal));
	sender->name.mkid = master->id;
	sender->name.slot = master->slot;
	return 0;
}

static int copy_keys(struct eesp_sender *sender, const struct hk_sending *sending,
	const struct hk_master *master, struct hk_error *error)
{
	sender->name.split = master->auth;
	if (sender->name.reader && (!master->auth || !master->reader || !sender->name.derived))
		return hk_error_set(error, ENOKEY,
			"%s: no reader key (side=reader) of MKID %u: reader tags need one, in a split "
			"derived-key context",
			sending->source, master->id);
	memcpy(sender->enc, master->enc, 32);
	if (master->auth)
		memcpy(sender->auth, master->auth, 32);
	if (sender->name.reader)
		memcpy(sender->reader, master->reader, 32);
	return 0;
}

/* Everything that makes this sender another one than those beside it. */
static void name_sender(struct eesp_sender *sender)
{
	static const __u8 label[32] = "halfkey EESP sender";
	__u8 bytes[32 + 20];

	memcpy(bytes, sender->enc, 32);
	hk_put64(bytes + 32, sender->name.context);
	hk_put32(bytes + 40, sender->name.mkid);
	hk_put32(bytes + 44, sender->name.spi);
	hk_put16(bytes + 48, sender->name.session);
	bytes[50] = sender->name.slot;
	bytes[51] = sender->name.derived;
	hk_crypto_fingerprint(label, bytes, sizeof(bytes), sender->sender.fingerprint);
	hk_wipe(bytes, sizeof(bytes));
	sender->sender.spi = sender->name.spi;
}

static void sender_free(struct hk_sender *base, bool undo);

static int sender_new(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error)
{
	struct eesp_sender *sender = calloc(1, sizeof(*sender));
	struct hk_master master;
	int status;

	if (!sender)
		return hk_error_set(error, ENOMEM, "no memory for SPI 0x%08x", sending->spi);
	sender->sender.speech = speech;
	sender->shape = eesp_speech(speech)->shape;
	sender->shape.destination = *sending->to;
	status = read_name(sender, speech, sending, error);
	if (!status)
		status = find_master(sender, sending, &master, error);
	if (!status)
		status = copy_keys(sender, sending, &master, error);
	if (status) {
		sender_free(&sender->sender, false);
		return status;
	}
	name_sender(sender);
	sender->sender.not_after = master.not_after;
	*out = &sender->sender;
	return 0;
}

/* The keys of the next epoch, or of the sub-SA. -EOVERFLOW, -EROFS, -EIO. */
static int next_keys(struct eesp_sender *sender, struct hk_error *error)
{
	const struct hk_eesp_keys keys = {.enc = sender->enc,
		.auth = sender->name.split ? sender->auth : NULL,
		.reader = sender->name.reader ? sender->reader : NULL};
	int status = 0;

	if (sender->name.derived)
		status = hk_epoch_next(sender->context->epochs, &sender->name.epoch, error);
	if (status)
		return status == -EOVERFLOW ? status : -EROFS;
	hk_eesp_free(sender->sa);
	sender->sa = NULL;
	sender->number = 0;
	return hk_eesp_new(&sender->sa, sender->sender.speech->crypto, &sender->name, &keys, error) ? -EIO
												    : 0;
}

static int open_context(
	struct eesp_sender *sender, const struct hk_state_place *place, struct hk_error *error)
{
	struct eesp_speech *eesp = eesp_speech(sender->sender.speech);
	struct context *context;
	int status;

	for (context = eesp->contexts; context; context = context->next)
		if (context->mkid == sender->name.mkid && context->id == sender->name.context)
			break;
	if (!context) {
		context = calloc(1, sizeof(*context));
		if (!context)
			return hk_error_set(error, ENOMEM, "no memory for a context");
		context->mkid = sender->name.mkid;
		context->id = sender->name.context;
		status = hk_epochs_open(&context->epochs, place, context->mkid, context->id, error);
		if (status) {
			free(context);
			return status;
		}
		context->next = eesp->contexts;
		eesp->contexts = context;
	}
	context->senders++;
	sender->context = context;
	return 0;
}

/* Filed under the root and the sub-SA. */
static int open_numbers(
	struct eesp_sender *sender, const struct hk_state_place *place, struct hk_error *error)
{
	static const __u8 label[32] = "halfkey nonce state fingerprint";
	__u8 bytes[34], fingerprint[8];
	const struct hk_nonce_series series = {.envelope = HK_ENVELOPE_EESP,
		.spi = sender->name.spi,
		.fingerprint = fingerprint,
		.iv_max = ~0ull};

	memcpy(bytes, sender->enc, 32);
	hk_put16(bytes + 32, sender->name.session);
	hk_crypto_fingerprint(label, bytes, sizeof(bytes), fingerprint);
	hk_wipe(bytes, sizeof(bytes));
	return hk_nonce_state_open_at(&sender->nonces, place, &series, error);
}

static int start(struct hk_sender *base, const struct hk_state_place *place, struct hk_error *error)
{
	struct eesp_sender *sender = eesp_sender(base);

	if (sender->name.derived)
		return open_context(sender, place, error);
	return open_numbers(sender, place, error);
}

static int next_numbers(struct eesp_sender *sender, struct hk_eesp_numbers *out)
{
	bool used_up = sender->name.envelope == HK_ENVELOPE_WESP && sender->number == SN_OF_WESP;
	struct hk_numbers numbers;
	int status = 0;

	if (!sender->sa || used_up)
		status = next_keys(sender, NULL);
	if (status)
		return status;
	if (sender->name.derived) {
		out->sn = out->iv = ++sender->number;
		return 0;
	}
	status = hk_nonce_state_next(sender->nonces, &numbers);
	out->sn = out->iv = numbers.iv; /* as high as the IV, so that it never falls */
	return status == -EIO ? -EROFS : status;
}

static int seal(struct hk_sender *base, const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	struct eesp_sender *sender = eesp_sender(base);
	struct hk_eesp_numbers numbers;
	int status = next_numbers(sender, &numbers);

	return status ? status
		      : hk_eesp_envelope(sender->sa, &sender->shape, &numbers, inner, length, out, room);
}

static int seal_packet(struct hk_sender *base, const __u8 *packet, __u32 length, __u8 *out, __u32 room)
{
	struct eesp_sender *sender = eesp_sender(base);
	struct hk_eesp_numbers numbers;
	struct hk_inner_ip inner;
	int status;

	if (sender->name.transport && !hk_inner_ip_parse(packet, length, &inner) &&
		memcmp(&inner.destination, &sender->shape.destination, sizeof(inner.destination)) != 0)
		return -ENOMSG;
	status = next_numbers(sender, &numbers);
	return status ? status
		      : hk_eesp_seal(sender->sa, &sender->shape, &numbers, packet, length, out, room);
}

static void leave_context(struct eesp_sender *sender, bool undo)
{
	struct context **place = &eesp_speech(sender->sender.speech)->contexts, *context = sender->context;

	if (--context->senders)
		return;
	while (*place != context)
		place = &(*place)->next;
	*place = context->next;
	hk_epochs_close(context->epochs, undo);
	free(context);
}

static void sender_free(struct hk_sender *base, bool undo)
{
	struct eesp_sender *sender = eesp_sender(base);

	if (sender->context)
		leave_context(sender, undo);
	if (undo)
		hk_nonce_state_discard(sender->nonces);
	else
		hk_nonce_state_close(sender->nonces);
	hk_eesp_free(sender->sa);
	hk_wipe(sender, sizeof(*sender));
	free(sender);
}

/* --- the receiver --------------------------------------------------------------------------------- */

/* A packet in one of our own contexts is one that somebody sent back to us. */
static bool is_ours(const struct eesp_speech *eesp, const struct hk_eesp_name *name)
{
	const struct context *context;

	for (context = eesp->contexts; context; context = context->next)
		if (name->derived && context->mkid == name->mkid && context->id == name->context)
			return true;
	return false;
}

static unsigned find(void *context, const struct hk_eesp_name *name, const struct hk_address *sender,
	unsigned nth, struct hk_eesp_keys *keys)
{
	const struct eesp_receiver *receiver = context;
	const struct hk_speech *speech = receiver->receiver.speech;
	const struct eesp_speech *eesp = eesp_speech(speech);
	const struct hk_master_wish wish = {.receiver = &speech->local,
		.has_id = true,
		.has_slot = true,
		.id = name->mkid,
		.slot = name->slot,
		.nth = (__u8)nth};
	struct hk_master master = {.refusal = HK_REFUSAL_NO_KEY};
	bool found;

	if (name->derived ? eesp->only_mkid && name->mkid != eesp->mkid : nth)
		return HK_REFUSAL_NO_KEY;
	found = receiver->keys &&
		(name->derived ? hk_host_keys_master(receiver->keys, &wish, &master)
			       : hk_host_keys_root(receiver->keys, &speech->local, name->spi, &master));
	if (!found)
		return master.refusal;
	*keys = (struct hk_eesp_keys){.enc = master.enc, .auth = master.auth};
	if (!hk_host_keys_sends(
		    receiver->keys, sender, name->derived, name->derived ? name->mkid : name->spi))
		return HK_REFUSAL_OTHER_SENDER;
	return is_ours(eesp, name) ? HK_REFUSAL_OTHER_SENDER : HK_REFUSAL_NONE;
}

static int receiver_new(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error)
{
	struct hk_eesp_policy policy = {.local = speech->local,
		.envelope = (__u8)speech->speaker->envelope,
		.protocol = speech->protocol == IPPROTO_UDP ? 0 : speech->protocol,
		.sn = true,
		.iv = true,
		.find = find};
	struct eesp_receiver *receiver;
	int status = hk_speech_windows(&policy.windows, speech, place, error);

	if (status)
		return status;
	receiver = calloc(1, sizeof(*receiver));
	if (receiver) {
		receiver->receiver.speech = speech;
		receiver->keys = keys;
		policy.context = receiver;
		receiver->host = hk_eesp_host_new(&policy, NULL);
	}
	if (!receiver || !receiver->host) {
		hk_windows_close(policy.windows);
		free(receiver);
		return hk_error_set(error, ENOMEM, "no memory for the receiving side");
	}
	*out = &receiver->receiver;
	return 0;
}

static void rekey(struct hk_receiver *receiver, const struct hk_host_keys *keys)
{
	((struct eesp_receiver *)receiver)->keys = keys;
	hk_eesp_host_rekey(((struct eesp_receiver *)receiver)->host);
}

static unsigned open_sealed(
	struct hk_receiver *receiver, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	return hk_eesp_host_open(((struct eesp_receiver *)receiver)->host, sealed, out, opened);
}

static void receiver_free(struct hk_receiver *receiver)
{
	hk_eesp_host_free(((struct eesp_receiver *)receiver)->host);
	free(receiver);
}

#define BOTH                                                                                           \
	.served = HK_SERVED_CONTEXTS, .seal_from = true, .seal_to = true, .open_to = true, .end = end, \
	.spis = spis, .sender = sender_new, .start = start, .seal = seal, .seal_packet = seal_packet,  \
	.sender_free = sender_free, .receiver = receiver_new, .rekey = rekey, .open = open_sealed,     \
	.receiver_free = receiver_free, .inner_max = inner_max

const struct hk_speaker hk_speak_eesp = {
	.envelope = HK_ENVELOPE_EESP, .wishes = eesp_wishes, .plan = plan_eesp, BOTH};
const struct hk_speaker hk_speak_wesp = {
	.envelope = HK_ENVELOPE_WESP, .wishes = wesp_wishes, .plan = plan_wesp, BOTH};

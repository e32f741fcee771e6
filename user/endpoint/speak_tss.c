// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UEC TSS as a speaker: options, numbers and its row (speaker.h). The envelope
 * is seal_tss.c's. It carries packet delivery (PDS), not IP packets: what is
 * sealed is a datagram of UDP 4793, types 2 to 14, of one sender, between the same
 * addresses and with the same entropy; what is opened becomes such a datagram again.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/endpoint/inner.h"
#include "user/endpoint/speak.h"
#include "user/endpoint/tss.h"

#define BOTH_WAYS (HK_USE_SEAL | HK_USE_OPEN)

static const struct hk_wish wishes_[] = {
	{"tss", "SETUP", BOTH_WAYS, "as in the box's `tss:` mapping, in one word: mode=cluster,ssi=yes,..."},
	{"sdi", "N", BOTH_WAYS, "secure domain"},
	{"an", "N", BOTH_WAYS, "key slot, 0 (default) or 1"},
	{"epoch", "N", HK_USE_SEAL, "epoch of the counter"},
	{"ssi", "N", HK_USE_SEAL, "the sender's SSI, where the domain has SSIs"},
	{"carrier", "NAME", HK_USE_SEAL, "udp (default) or ip: behind the entropy header"},
	{"sole-sender", NULL, HK_USE_SEAL, "no other host seals with these keys"},
	{0},
};

struct tss_speech {
	struct hk_speech speech;
	struct hk_tss_setup setup;
	struct hk_tss_shape shape;
	__u32 sdi;
	unsigned an;
	__u16 epoch;
};

struct tss_sender {
	struct hk_sender sender;
	struct hk_tss_shape shape;
	bool to_all;
	struct hk_tss *tss;
	struct hk_nonce_state *nonces;
};

struct tss_receiver {
	struct hk_receiver receiver;
	struct hk_tss *tss;
	__u8 plain[65536];
};

static struct tss_speech *tss_speech(const struct hk_speech *speech)
{
	return (struct tss_speech *)speech;
}

static struct tss_sender *tss_sender(struct hk_sender *sender)
{
	return (struct tss_sender *)sender;
}

/* --- the speech ----------------------------------------------------------------------------------- */

static int judge_numbers(struct tss_speech *tss, const struct hk_wishes *wishes, struct hk_error *error)
{
	__u64 sdi, an, epoch, ssi;

	if (!hk_wish(wishes, "tss") || !hk_wish(wishes, "sdi"))
		return hk_error_set(error, EINVAL, "--%s is missing", hk_wish(wishes, "tss") ? "sdi" : "tss");
	if (hk_tss_setup_parse(&tss->setup, hk_wish(wishes, "tss"), error) ||
		hk_wish_number(wishes, "sdi", 0, HK_TSS_SDI_MAX, &sdi, error) ||
		hk_wish_number(wishes, "an", 0, 1, &an, error) ||
		hk_wish_number(wishes, "epoch", 0, 0xffff, &epoch, error) ||
		hk_wish_number(wishes, "ssi", 0, 0xffffffff, &ssi, error))
		return -EINVAL;
	tss->sdi = (__u32)sdi;
	tss->an = (unsigned)an;
	tss->epoch = (__u16)epoch;
	tss->shape.ssi = (__u32)ssi;
	return 0;
}

static int judge_shape(struct tss_speech *tss, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	const char *carrier = hk_wish(wishes, "carrier"), *ssi = hk_wish(wishes, "ssi");
	bool ip = carrier && strcmp(carrier, "ip") == 0;

	if (carrier && !ip && strcmp(carrier, "udp") != 0)
		return hk_error_set(error, EINVAL, "carrier '%s': must be udp or ip", carrier);
	if (ssi && !tss->setup.options.ssi)
		return hk_error_set(error, EINVAL,
			"ssi '%s': this domain has no SSIs (ssi=yes in --tss, if it has)", ssi);
	tss->shape.udp = !ip;
	tss->shape.sole_sender = hk_wish_flag(wishes, "sole-sender");
	if (local)
		tss->shape.source = *local;
	return 0;
}

static int plan(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	struct tss_speech *tss = calloc(1, sizeof(*tss));

	if (!tss)
		return hk_error_set(error, ENOMEM, "no memory for an envelope");
	if (judge_numbers(tss, wishes, error) || judge_shape(tss, wishes, local, error)) {
		free(tss);
		return -EINVAL;
	}
	*out = &tss->speech;
	return 0;
}

static void end(struct hk_speech *speech)
{
	free(speech);
}

/* --- the sender ----------------------------------------------------------------------------------- */

static int check_said(const struct tss_speech *tss, const struct hk_sending *sending, struct hk_error *error)
{
	if (!hk_wish(sending->wishes, "epoch"))
		return hk_error_set(error, EINVAL, "--epoch is missing");
	if (tss->setup.options.ssi && !hk_wish(sending->wishes, "ssi"))
		return hk_error_set(error, EINVAL, "--ssi is missing: this domain has SSIs");
	if (!sending->to && tss->setup.options.mode == HK_TSS_SERVER)
		return hk_error_set(
			error, EINVAL, "--to is missing: in mode server each client has a key of its own");
	return 0;
}

static int sender_new(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error)
{
	struct tss_speech *tss = tss_speech(speech);
	struct tss_sender *sender;
	int status = check_said(tss, sending, error);

	if (status)
		return status;
	sender = calloc(1, sizeof(*sender));
	if (!sender)
		return hk_error_set(error, ENOMEM, "no memory for the keys of SDI %u", tss->sdi);
	sender->shape = tss->shape;
	sender->to_all = !sending->to;
	/* to all: one of the same IP version stands for them */
	sender->shape.destination = sending->to ? *sending->to : tss->shape.source;
	status = hk_tss_from_keys(
		&sender->tss, &tss->setup, tss->sdi, tss->an, sending->keys, sending->source, error);
	if (status) {
		free(sender);
		return status;
	}
	sender->sender.not_after = hk_tss_not_after(sender->tss);
	*out = &sender->sender;
	return 0;
}

static int start(struct hk_sender *sender, const struct hk_state_place *place, struct hk_error *error)
{
	return hk_tss_nonces_open(&tss_sender(sender)->nonces, place, tss_sender(sender)->tss,
		&tss_sender(sender)->shape, tss_speech(sender->speech)->epoch, error);
}

/* A PDS datagram of our sender; NULL: it is none. */
static const __u8 *find_pds(const struct tss_sender *sender, const __u8 *packet, __u32 length,
	struct hk_inner_ip *ip, __u32 *udp_length)
{
	const __u8 *udp;

	if (hk_inner_ip_parse(packet, length, ip) || ip->fragment || ip->protocol != IPPROTO_UDP ||
		length < ip->header_size + 9u || memcmp(&ip->source, &sender->shape.source, 16) != 0)
		return NULL;
	udp = packet + ip->header_size;
	*udp_length = length - ip->header_size;
	if (hk_get16(udp + 2) != HK_UDP_PORT_TSS || hk_get16(udp + 4) != *udp_length ||
		udp[8] >> 3 < HK_PDS_TYPE_FIRST || udp[8] >> 3 > HK_PDS_TYPE_LAST)
		return NULL;
	return sender->to_all || memcmp(&ip->destination, &sender->shape.destination, 16) == 0 ? udp : NULL;
}

static int seal_packet(struct hk_sender *base, const __u8 *packet, __u32 length, __u8 *out, __u32 room)
{
	struct tss_sender *sender = tss_sender(base);
	struct hk_tss_shape shape = sender->shape;
	struct hk_numbers numbers;
	struct hk_inner_ip ip;
	__u32 size = 0;
	const __u8 *udp = find_pds(sender, packet, length, &ip, &size);
	int status;

	if (!udp)
		return -ENOMSG;
	status = hk_nonce_state_next(sender->nonces, &numbers);
	if (status)
		return status == -EIO ? -EROFS : status;
	shape.destination = ip.destination;
	shape.entropy = hk_get16(udp);
	return hk_tss_seal(sender->tss, &shape, tss_speech(base->speech)->epoch, numbers.iv, udp + 8,
		size - 8, out, room);
}

static void sender_free(struct hk_sender *sender, bool undo)
{
	if (undo)
		hk_nonce_state_discard(tss_sender(sender)->nonces);
	else
		hk_nonce_state_close(tss_sender(sender)->nonces);
	hk_tss_free(tss_sender(sender)->tss);
	free(sender);
}

/* --- the receiver --------------------------------------------------------------------------------- */

static int receiver_new(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error)
{
	struct tss_speech *tss = tss_speech(speech);
	struct tss_receiver *receiver = calloc(1, sizeof(*receiver));
	int status;

	(void)place; /* TSS has no window */
	if (!receiver)
		return hk_error_set(error, ENOMEM, "no memory for the receiving side");
	status =
		hk_tss_from_keys(&receiver->tss, &tss->setup, tss->sdi, tss->an, keys, "the key file", error);
	if (status)
		free(receiver);
	else
		*out = &receiver->receiver;
	return status;
}

static unsigned open_sealed(
	struct hk_receiver *base, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	struct tss_receiver *receiver = (struct tss_receiver *)base;
	bool udp = sealed->protocol == IPPROTO_UDP;
	struct hk_tss_opened plain;
	unsigned refusal;

	if (!hk_speech_receives(base->speech, sealed))
		return HK_REFUSAL_NOT_OURS;
	if (hk_tss_not_after(receiver->tss) && hk_host_keys_now() >= hk_tss_not_after(receiver->tss))
		return HK_REFUSAL_KEY_EXPIRED;
	refusal = hk_tss_open_sealed(receiver->tss, sealed, receiver->plain, &plain);
	if (refusal)
		return refusal;
	refusal = hk_datagram_deliver(sealed, udp ? sealed->source_port : hk_get16(sealed->data),
		HK_UDP_PORT_TSS, plain.payload, plain.length, out, opened);
	hk_wipe(receiver->plain, plain.length);
	return refusal;
}

static void receiver_free(struct hk_receiver *receiver)
{
	hk_tss_free(((struct tss_receiver *)receiver)->tss);
	free(receiver);
}

const struct hk_speaker hk_speak_tss = {
	.envelope = HK_ENVELOPE_TSS,
	.cargo = "UEC packet delivery, not IP packets",
	.wishes = wishes_,
	.seal_from = true,
	.plan = plan,
	.end = end,
	.sender = sender_new,
	.start = start,
	.seal_packet = seal_packet,
	.sender_free = sender_free,
	.receiver = receiver_new,
	.open = open_sealed,
	.receiver_free = receiver_free,
};

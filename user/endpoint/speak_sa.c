// SPDX-License-Identifier: GPL-2.0-or-later
/* What PSP and ESP have in common as speakers: see speak_sa.h. */
#include "user/endpoint/speak_sa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/host.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/nonces.h"

struct sa_sender {
	struct hk_sender sender;
	struct hk_sa *sa;
	struct hk_nonce_state *nonces;
};

struct sa_receiver {
	struct hk_receiver receiver;
	struct hk_host *host;
};

static struct hk_sa_speech *sa_speech(const struct hk_speech *speech)
{
	return (struct hk_sa_speech *)speech;
}

static struct sa_sender *sa_sender(struct hk_sender *sender)
{
	return (struct sa_sender *)sender;
}

static struct hk_host *host_of(struct hk_receiver *receiver)
{
	return ((struct sa_receiver *)receiver)->host;
}

void hk_speak_sa_end(struct hk_speech *speech)
{
	free(speech);
}

unsigned hk_speak_sa_spis(
	const struct hk_speech *speech, const struct hk_sending *sending, __u32 *spis, unsigned max)
{
	return hk_host_keys_spis(
		sending->keys, speech->speaker->envelope, sa_speech(speech)->variant, sending->to, spis, max);
}

int hk_speak_sa_sender(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error)
{
	struct hk_sa_name name = {(__u8)speech->speaker->envelope, sa_speech(speech)->variant,
		sa_speech(speech)->mkid, sending->spi, *sending->to};
	struct sa_sender *sender = calloc(1, sizeof(*sender));
	char to[HK_ADDRESS_TEXT];
	unsigned refusal;

	if (!sender)
		return hk_error_set(error, ENOMEM, "no memory for SPI 0x%08x", sending->spi);
	refusal = hk_host_keys_sa(sending->keys, speech->crypto, &name, 0, &sender->sa);
	if (refusal) {
		free(sender);
		return hk_error_set(error, ENOKEY, "%s: no key to send to %s with SPI 0x%08x: %s",
			sending->source, hk_address_format(sending->to, to), sending->spi,
			hk_refusal_text(refusal));
	}
	sender->sender.spi = sending->spi;
	sender->sender.not_after = hk_sa_not_after(sender->sa);
	memcpy(sender->sender.fingerprint, hk_sa_fingerprint(sender->sa), 8);
	*out = &sender->sender;
	return 0;
}

int hk_speak_sa_start(struct hk_sender *sender, const struct hk_state_place *place, struct hk_error *error)
{
	return hk_nonce_state_open(&sa_sender(sender)->nonces, place, sa_sender(sender)->sa, error);
}

static int next_numbers(struct sa_sender *sender, struct hk_numbers *numbers)
{
	int status = hk_nonce_state_next(sender->nonces, numbers);

	return status == -EIO ? -EROFS : status;
}

int hk_speak_sa_seal(struct hk_sender *sender, const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	const struct hk_seal_shape *shape = &sa_speech(sender->speech)->shape;
	struct hk_numbers numbers;
	int status = next_numbers(sa_sender(sender), &numbers);

	return status ? status
		      : hk_seal_envelope(sa_sender(sender)->sa, shape, &numbers, inner, length, out, room);
}

int hk_speak_sa_seal_packet(struct hk_sender *sender, const __u8 *packet, __u32 length, __u8 *out, __u32 room)
{
	const struct hk_seal_shape *shape = &sa_speech(sender->speech)->shape;
	struct hk_numbers numbers;
	struct hk_inner_ip inner;
	int status;

	if (shape->transport && !hk_inner_ip_parse(packet, length, &inner) &&
		memcmp(&inner.destination, &hk_sa_name(sa_sender(sender)->sa)->receiver, 16) != 0)
		return -ENOMSG;
	status = next_numbers(sa_sender(sender), &numbers);
	return status ? status
		      : hk_seal_packet(sa_sender(sender)->sa, shape, &numbers, packet, length, out, room);
}

void hk_speak_sa_sender_free(struct hk_sender *sender, bool undo)
{
	if (undo)
		hk_nonce_state_discard(sa_sender(sender)->nonces);
	else
		hk_nonce_state_close(sa_sender(sender)->nonces);
	hk_sa_free(sa_sender(sender)->sa);
	free(sender);
}

int hk_speak_sa_receiver(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error)
{
	struct hk_host_options options = {
		.keys = keys,
		.local = speech->local,
		.envelope = (__u8)speech->speaker->envelope,
		.profile = speech->profile,
		.suite = sa_speech(speech)->variant,
		.mkid = sa_speech(speech)->mkid,
	};
	struct sa_receiver *receiver;
	int status = hk_speech_windows(&options.windows, speech, place, error);

	if (status)
		return status;
	receiver = calloc(1, sizeof(*receiver));
	if (receiver)
		receiver->host = hk_host_new(&options);
	if (!receiver || !receiver->host) {
		hk_windows_close(options.windows);
		free(receiver);
		return hk_error_set(error, ENOMEM, "no memory for the receiving side");
	}
	*out = &receiver->receiver;
	return 0;
}

void hk_speak_sa_rekey(struct hk_receiver *receiver, const struct hk_host_keys *keys)
{
	hk_host_rekey(host_of(receiver), keys);
}

unsigned hk_speak_sa_open(
	struct hk_receiver *receiver, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	struct hk_sealed read = *sealed;
	unsigned refusal = hk_sealed_read(&read);

	return refusal ? refusal : hk_host_open(host_of(receiver), &read, out, opened);
}

void hk_speak_sa_receiver_free(struct hk_receiver *receiver)
{
	hk_host_free(host_of(receiver));
	free(receiver);
}

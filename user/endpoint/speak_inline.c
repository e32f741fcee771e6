// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inline keying as a speaker: its options and its row (speaker.h). A sender is a
 * parent towards a peer; sender and receiver of one speech share the host that
 * makes children for both directions (inline_host.h).
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/inline_host.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/speak.h"

#define EVERYWHERE   (HK_USE_SEAL | HK_USE_OPEN | HK_USE_TUNNEL)
#define OUTER_MAX    1500 /* a creation goes along where the outer packet stays within it */
#define PARENTS_MAX  512
#define LIFETIME_MAX 86400

static const struct hk_wish wishes_[] = {
	{"children", "WHICH", HK_USE_SEAL | HK_USE_TUNNEL,
		"to ask a peer for: host (default: one for all its packets), flow, range or none"},
	{"range", "FIRST-LAST", HK_USE_SEAL | HK_USE_TUNNEL,
		"with children range: the addresses of hosts that may send on one"},
	{"lifetime", "SECONDS", HK_USE_SEAL | HK_USE_TUNNEL, "of children (default: 3600)"},
	{"creations", "N", EVERYWHERE, "children under one parent's secret (default: 65536)"},
	{"next-header", "N", EVERYWHERE, "ESP next header of creations (default: 254)"},
	{"carrier", "NAME", HK_USE_SEAL | HK_USE_TUNNEL, "udp (port 4500, default) or ip (protocol 50)"},
	{"spi", "NUMBER", HK_USE_SEAL | HK_USE_PEER, "SPI (default: all parents towards the peer)"},
	{0},
};

struct inline_speech {
	struct hk_speech speech;
	struct hk_inline_host_options options;
	struct hk_inline_host *host; /* made when first asked for */
	__u8 carried;		     /* protocol that carries envelopes: for seal */
};

struct inline_sender {
	struct hk_sender sender;
	struct hk_inline_own *own;
};

struct inline_receiver {
	struct hk_receiver receiver;
	const struct hk_host_keys *keys;
	bool watches;		     /* a capture, where nobody seals: children are found in what we sent */
	struct hk_state_place place; /* for parents to come */
	char directory[256], name[HK_SENDER_TEXT];
};

static struct inline_speech *speech_of(const struct hk_speech *speech)
{
	return (struct inline_speech *)speech;
}

static struct hk_inline_own *own_of(struct hk_sender *sender)
{
	return ((struct inline_sender *)sender)->own;
}

static __u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (__u64)time.tv_sec * 1000000000ull + (__u64)time.tv_nsec;
}

/* --- options ---------------------------------------------------------------------------------- */

/* FIRST-LAST, of one IP version and in this order. */
static int plan_range(
	const struct hk_wishes *wishes, struct hk_inline_host_options *out, struct hk_error *error)
{
	const char *text = hk_wish(wishes, "range"), *last = text ? strchr(text, '-') : NULL;
	char first[HK_ADDRESS_TEXT] = "";

	if (!text != (out->share != HK_INLINE_SHARE_RANGE))
		return hk_error_set(error, EINVAL, "children range and range FIRST-LAST go together");
	if (!text)
		return 0;
	if (last && (size_t)(last - text) < sizeof(first))
		memcpy(first, text, (size_t)(last - text));
	if (!last || hk_address_parse(first, &out->low) || hk_address_parse(last + 1, &out->high) ||
		hk_address_is_v4(&out->low) != hk_address_is_v4(&out->high) ||
		memcmp(&out->low, &out->high, sizeof(out->low)) > 0)
		return hk_error_set(error, EINVAL,
			"range '%.100s': must be two addresses of one IP version, FIRST-LAST", text);
	return 0;
}

static int plan_children(
	const struct hk_wishes *wishes, struct hk_inline_host_options *out, struct hk_error *error)
{
	const char *children = hk_wish(wishes, "children");
	__u64 lifetime, creations, next_header;

	if (hk_wish_number(wishes, "lifetime", HK_INLINE_LIFETIME, LIFETIME_MAX, &lifetime, error) ||
		hk_wish_number(wishes, "creations", HK_INLINE_CREATIONS, 1048576, &creations, error) ||
		hk_wish_number(wishes, "next-header", HK_CREATION_NEXT, 254, &next_header, error))
		return -EINVAL;
	if (!lifetime || !creations || !next_header)
		return hk_error_set(error, EINVAL, "lifetime, creations and next-header must not be 0");
	out->share = HK_INLINE_SHARE_HOST;
	if (children && strcmp(children, "flow") == 0)
		out->share = HK_INLINE_SHARE_FLOW;
	else if (children && strcmp(children, "range") == 0)
		out->share = HK_INLINE_SHARE_RANGE;
	else if (children && strcmp(children, "none") == 0)
		out->share = HK_INLINE_SHARE_NONE;
	else if (children && strcmp(children, "host") != 0)
		return hk_error_set(
			error, EINVAL, "children '%s': must be host, flow, range or none", children);
	out->lifetime = (__u32)lifetime;
	out->creations = (__u32)creations;
	out->next_header = (__u8)next_header;
	return plan_range(wishes, out, error);
}

static int plan(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	const char *carrier = hk_wish(wishes, "carrier");
	bool ip = carrier && strcmp(carrier, "ip") == 0;
	struct hk_inline_host_options options = {0};
	struct inline_speech *speech;

	if (carrier && !ip && strcmp(carrier, "udp") != 0)
		return hk_error_set(
			error, EINVAL, "carrier '%s': must be udp (port 4500) or ip (protocol 50)", carrier);
	if (plan_children(wishes, &options, error))
		return -EINVAL;
	if (local)
		options.local = *local;
	speech = calloc(1, sizeof(*speech));
	if (!speech)
		return hk_error_set(error, ENOMEM, "no memory for an envelope");
	speech->options = options;
	speech->speech.profile = HK_PROFILE_SPLIT;
	speech->speech.protocol = ip ? IPPROTO_ESP : IPPROTO_UDP;
	speech->speech.port = HK_UDP_PORT_ESP;
	*out = &speech->speech;
	return 0;
}

static void end(struct hk_speech *speech)
{
	hk_inline_host_free(speech_of(speech)->host);
	free(speech);
}

static int need_host(struct hk_speech *speech, struct hk_error *error)
{
	struct inline_speech *own = speech_of(speech);

	own->options.crypto = speech->crypto;
	if (!own->host)
		own->host = hk_inline_host_new(&own->options);
	return own->host ? 0 : hk_error_set(error, ENOMEM, "no memory for inline keying");
}

/* --- senders ---------------------------------------------------------------------------------- */

static unsigned spis(
	const struct hk_speech *speech, const struct hk_sending *sending, __u32 *out, unsigned max)
{
	(void)speech;
	return hk_host_keys_roots(sending->keys, sending->to, out, max);
}

static bool find_secrets(const struct hk_host_keys *keys, const struct hk_address *receiver, __u32 spi,
	struct hk_inline_keys *out, struct hk_master *root)
{
	if (!hk_host_keys_root(keys, receiver, spi, root) || !root->auth)
		return false;
	memcpy(out->enc, root->enc, sizeof(out->enc));
	memcpy(out->auth, root->auth, sizeof(out->auth));
	return true;
}

static bool in_range(const struct hk_inline_host_options *options, const struct hk_address *peer)
{
	return options->share != HK_INLINE_SHARE_RANGE ||
	       (memcmp(peer, &options->low, sizeof(*peer)) >= 0 &&
		       memcmp(peer, &options->high, sizeof(*peer)) <= 0);
}

static int make_sender(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error)
{
	struct inline_sender *sender;
	struct hk_inline_keys keys;
	struct hk_master root;
	char to[HK_ADDRESS_TEXT];
	int status = need_host(speech, error);

	if (status)
		return status;
	if (!in_range(&speech_of(speech)->options, sending->to))
		return hk_error_set(error, EINVAL,
			"range: does not hold the peer %s, which could never send on a child",
			hk_address_format(sending->to, to));
	if (!find_secrets(sending->keys, sending->to, sending->spi, &keys, &root) && root.refusal &&
		root.refusal != HK_REFUSAL_NO_KEY)
		return hk_error_set(error, ENOKEY, "%s: parent SA towards %s with SPI 0x%08x: %s",
			sending->source, hk_address_format(sending->to, to), sending->spi,
			hk_refusal_text(root.refusal));
	if (root.refusal || !root.auth)
		return hk_error_set(error, ENOKEY,
			"%s: no parent SA towards %s with SPI 0x%08x: it is given by receiver=, spi= and "
			"root=, side=enc and side=auth",
			sending->source, hk_address_format(sending->to, to), sending->spi);
	sender = calloc(1, sizeof(*sender));
	if (!sender) {
		hk_wipe(&keys, sizeof(keys));
		return hk_error_set(error, ENOMEM, "no memory for SPI 0x%08x", sending->spi);
	}
	status = hk_inline_own_new(
		&sender->own, speech_of(speech)->host, sending->to, sending->spi, &keys, error);
	hk_wipe(&keys, sizeof(keys));
	if (status) {
		free(sender);
		return status;
	}
	sender->sender.spi = sending->spi;
	sender->sender.not_after = root.not_after;
	memcpy(sender->sender.fingerprint, hk_inline_own_fingerprint(sender->own), 8);
	*out = &sender->sender;
	return 0;
}

static int start(struct hk_sender *sender, const struct hk_state_place *place, struct hk_error *error)
{
	return hk_inline_own_start(own_of(sender), place, error);
}

static unsigned inner_max(const struct hk_speech *speech, unsigned room)
{
	(void)speech;
	return (room - HK_ESP_HEADER_SIZE - HK_INLINE_NONCE - HK_ESP_IV_SIZE - HK_ESP_ICV_SIZE) / 4 * 4 - 2;
}

static unsigned headers(const struct hk_speech *speech)
{
	return (hk_address_is_v4(&speech->local) ? 20 : 40) + (speech->protocol == IPPROTO_UDP ? 8 : 0);
}

static int seal(struct hk_sender *sender, const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	return hk_inline_own_seal(own_of(sender), now(), inner, length,
		inner_max(sender->speech, OUTER_MAX - headers(sender->speech)), out, room);
}

static int seal_packet(struct hk_sender *sender, const __u8 *packet, __u32 length, __u8 *out, __u32 room)
{
	static _Thread_local __u8 envelope[65536];
	int size = seal(sender, packet, length, envelope, sizeof(envelope));

	if (size < 0)
		return size;
	return hk_outer_build(&sender->speech->local, hk_inline_own_peer(own_of(sender)),
		sender->speech->protocol, HK_UDP_PORT_ESP, HK_UDP_PORT_ESP, envelope, (__u32)size, out, room);
}

static int due(struct hk_sender *sender, __u8 *out, __u32 room)
{
	return hk_inline_own_due(own_of(sender), now(), out, room);
}

static void sender_free(struct hk_sender *sender, bool undo)
{
	hk_inline_own_free(own_of(sender), undo);
	free(sender);
}

/* --- receivers -------------------------------------------------------------------------------- */

/* All parents towards us; `say`: one that is refused is logged and left out. */
static int take_parents(struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, bool say, struct hk_error *error)
{
	struct hk_inline_host *host = speech_of(speech)->host;
	__u32 list[PARENTS_MAX];
	unsigned count = hk_host_keys_roots(keys, &speech->local, list, PARENTS_MAX), i;
	struct hk_inline_keys secrets;
	struct hk_master root;
	struct hk_error why;
	int status = 0;

	for (i = 0; i < count && !status; i++) {
		memset(&why, 0, sizeof(why));
		if (!find_secrets(keys, &speech->local, list[i], &secrets, &root))
			continue;
		status = hk_inline_host_receive(host, list[i], &secrets, place, &why);
		if (status && say)
			hk_log_warn("%s", why.text);
		if (status && !say)
			hk_error_set(error, -status, "%s", why.text);
		status = say ? 0 : status;
	}
	hk_wipe(&secrets, sizeof(secrets));
	hk_inline_host_sweep(host);
	return status;
}

/* What is left of the place of the start when rights are gone. */
static void keep_place(struct inline_receiver *receiver, const struct hk_state_place *place)
{
	receiver->place = *place;
	snprintf(receiver->directory, sizeof(receiver->directory), "%s", place->directory);
	snprintf(receiver->name, sizeof(receiver->name), "%s", place->sender);
	receiver->place.directory = receiver->directory;
	receiver->place.sender = receiver->name;
	receiver->place.first_use = false; /* was said for the keys of the start */
	receiver->place.opener = place->later;
}

static int make_receiver(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error)
{
	struct inline_receiver *receiver;
	struct hk_windows *windows;
	bool watches;
	int status;

	if (!keys)
		return hk_error_set(error, EINVAL,
			"envelope inline takes its parent SAs from a key file, not from a key server: name "
			"it with --keys");
	status = need_host(speech, error);
	if (!status)
		status = hk_speech_windows(&windows, speech, place, error);
	if (status)
		return status;
	hk_inline_host_remember(speech_of(speech)->host, windows);
	watches = !hk_inline_host_peers(speech_of(speech)->host);
	status = take_parents(speech, keys, watches ? NULL : place, false, error);
	if (status)
		return status;
	receiver = calloc(1, sizeof(*receiver));
	if (!receiver)
		return hk_error_set(error, ENOMEM, "no memory for the receiving side");
	receiver->keys = keys;
	receiver->watches = watches;
	keep_place(receiver, place);
	*out = &receiver->receiver;
	return 0;
}

static void rekey(struct hk_receiver *receiver, const struct hk_host_keys *keys)
{
	((struct inline_receiver *)receiver)->keys = keys;
	take_parents(receiver->speech, keys, &((struct inline_receiver *)receiver)->place, true, NULL);
}

/* A capture holds what we sent as well: the creations in it. */
static void watch(struct inline_receiver *receiver, const struct hk_sealed *sealed, __u8 *out)
{
	struct hk_speech *speech = receiver->receiver.speech;
	struct hk_inline_keys keys;
	struct hk_master root;

	if (memcmp(&sealed->source, &speech->local, sizeof(sealed->source)) != 0 ||
		!find_secrets(receiver->keys, &sealed->destination, sealed->spi, &keys, &root))
		return;
	hk_inline_host_watch(speech_of(speech)->host, &keys, sealed, now(), out);
	hk_wipe(&keys, sizeof(keys));
}

/* A parent whose time it is not is none: it has gone, or has not come. */
static unsigned why_no_key(const struct inline_receiver *receiver, __u32 spi)
{
	struct hk_master root;

	return hk_host_keys_root(receiver->keys, &receiver->receiver.speech->local, spi, &root)
		       ? HK_REFUSAL_NO_KEY
		       : root.refusal;
}

static unsigned open_sealed(
	struct hk_receiver *receiver, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	struct hk_sealed read = *sealed;
	unsigned refusal = hk_sealed_read(&read);

	if (refusal)
		return refusal;
	if (read.envelope != HK_ENVELOPE_ESP)
		return HK_REFUSAL_WRONG_ENVELOPE;
	if (!hk_host_keys_sends(((struct inline_receiver *)receiver)->keys, &read.source, false, read.spi))
		return HK_REFUSAL_OTHER_SENDER;
	if (((struct inline_receiver *)receiver)->watches)
		watch((struct inline_receiver *)receiver, &read, out);
	refusal = hk_inline_host_open(speech_of(receiver->speech)->host, &read, now(), out, opened);
	return refusal == HK_REFUSAL_NO_KEY ? why_no_key((struct inline_receiver *)receiver, read.spi)
					    : refusal;
}

static void receiver_free(struct hk_receiver *receiver)
{
	free(receiver);
}

static void counts(const struct hk_speech *speech, hk_speaker_say say, void *context)
{
	const struct hk_inline_host *host = speech_of(speech)->host;
	const struct hk_inline_host_counts *count = hk_inline_host_counts(host);
	unsigned opening, sealing;

#define SAY(member, name) say(context, name, count->member);
	HK_INLINE_COUNTS(SAY)
#undef SAY
	hk_inline_host_alive(host, &opening, &sealing);
	say(context, "children-opening", opening);
	say(context, "children-sealing", sealing);
}

const struct hk_speaker hk_speak_inline = {
	.envelope = HK_ENVELOPE_INLINE,
	.wishes = wishes_,
	.seal_from = true,
	.seal_to = true,
	.open_to = true,
	.plan = plan,
	.end = end,
	.spis = spis,
	.sender = make_sender,
	.start = start,
	.seal = seal,
	.seal_packet = seal_packet,
	.due = due,
	.sender_free = sender_free,
	.receiver = make_receiver,
	.rekey = rekey,
	.open = open_sealed,
	.receiver_free = receiver_free,
	.inner_max = inner_max,
	.counts = counts,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* The envelopes an end host speaks, one row each, and what all rows have in common: see speaker.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/speak.h"
#include "user/endpoint/speaker.h"
#include "user/endpoint/windows.h"

static const struct hk_speaker *const speakers[] = {
	&hk_speak_psp,
	&hk_speak_esp,
	&hk_speak_inline,
	&hk_speak_eesp,
	&hk_speak_wesp,
	&hk_speak_tss,
	&hk_speak_dtls,
};

#define COUNT (sizeof(speakers) / sizeof(speakers[0]))

const struct hk_speaker *hk_speaker_at(unsigned index)
{
	return index < COUNT ? speakers[index] : NULL;
}

/* "psp, esp" of those that `has` finds, or of all. */
static const char *names(char *out, size_t room, const char *wish)
{
	const struct hk_wish *row;
	size_t used = 0, i;

	out[0] = '\0';
	for (i = 0; i < COUNT; i++) {
		for (row = speakers[i]->wishes; wish && row->name; row++)
			if (strcmp(row->name, wish) == 0)
				break;
		if ((!wish || row->name) && used < room)
			used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "",
				hk_envelope_name(speakers[i]->envelope));
	}
	return out;
}

const struct hk_speaker *hk_speaker_find(const char *name, struct hk_error *error)
{
	int envelope = hk_envelope_by_name(name);
	char known[128];
	size_t i;

	for (i = 0; i < COUNT; i++)
		if ((int)speakers[i]->envelope == envelope)
			return speakers[i];
	hk_error_set(
		error, EINVAL, "envelope '%s': must be one of %s", name, names(known, sizeof(known), NULL));
	return NULL;
}

static const struct hk_wish *find_wish(const struct hk_speaker *speaker, const char *name)
{
	const struct hk_wish *wish;

	for (wish = speaker->wishes; wish->name; wish++)
		if (strcmp(wish->name, name) == 0)
			return wish;
	return NULL;
}

/* Nothing is said that this envelope does not know, not here, or not in this form. */
static int check_wishes(const struct hk_speaker *speaker, const struct hk_wishes *wishes, unsigned use,
	struct hk_error *error)
{
	unsigned count, i;
	const struct hk_wish *rows = hk_wish_rows(&count), *wish;
	const char *envelope = hk_envelope_name(speaker->envelope), *value;
	char known[128];

	for (i = 0; i < count; i++) {
		value = wishes->values[i];
		if (!value)
			continue;
		wish = find_wish(speaker, rows[i].name);
		if (!wish)
			return hk_error_set(error, EINVAL, "%s '%s': %s knows no %s; it is of %s",
				rows[i].name, value, envelope, rows[i].name,
				names(known, sizeof(known), rows[i].name));
		if (!(wish->uses & use))
			return hk_error_set(error, EINVAL, "%s '%s': %s does not take it here", rows[i].name,
				value, envelope);
		if (!wish->argument && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return hk_error_set(error, EINVAL, "%s '%s': must be yes or no", rows[i].name, value);
	}
	return 0;
}

int hk_speech_plan(struct hk_speech **out, const struct hk_speaker *speaker, const struct hk_wishes *wishes,
	unsigned use, const struct hk_address *local, struct hk_error *error)
{
	struct hk_speech *speech = NULL;
	int status = check_wishes(speaker, wishes, use, error);

	if (!status)
		status = speaker->plan(&speech, wishes, local, error);
	if (status)
		return status;
	speech->speaker = speaker;
	speech->has_local = local;
	if (local)
		speech->local = *local;
	/* A key at a time: the portable backend is as fast and needs no special CPU. */
	speech->crypto = hk_crypto_new("libcrypto");
	if (!speech->crypto) {
		hk_speech_end(speech);
		return hk_error_set(error, ENOMEM, "the crypto library does not start");
	}
	*out = speech;
	return 0;
}

void hk_speech_end(struct hk_speech *speech)
{
	if (!speech)
		return;
	hk_crypto_free(speech->crypto);
	speech->speaker->end(speech);
}

bool hk_speech_receives(const struct hk_speech *speech, const struct hk_sealed *sealed)
{
	return !speech->has_local ||
	       memcmp(&sealed->destination, &speech->local, sizeof(sealed->destination)) == 0;
}

unsigned hk_sender_spis(struct hk_speech *speech, const struct hk_sending *sending, __u32 *spis, unsigned max)
{
	if (speech->speaker->spis)
		return speech->speaker->spis(speech, sending, spis, max);
	spis[0] = 0;
	return 1;
}

int hk_sender_new(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error)
{
	int status = check_wishes(speech->speaker, sending->wishes,
		sending->wishes->host ? HK_USE_PEER : HK_USE_SEAL | HK_USE_TUNNEL, error);

	if (!status)
		status = speech->speaker->sender(out, speech, sending, error);
	if (!status)
		(*out)->speech = speech;
	return status;
}

int hk_sender_start(struct hk_sender *sender, const struct hk_state_place *place, struct hk_error *error)
{
	const struct hk_speaker *speaker = sender->speech->speaker;

	return speaker->start ? speaker->start(sender, place, error) : 0;
}

bool hk_sender_same(const struct hk_sender *a, const struct hk_sender *b)
{
	return a->spi == b->spi && memcmp(a->fingerprint, b->fingerprint, sizeof(a->fingerprint)) == 0;
}

static bool over(const struct hk_sender *sender)
{
	return sender->not_after && hk_host_keys_now() >= sender->not_after;
}

static int count_sealed(struct hk_sender *sender, int size)
{
	sender->sealed += size > 0;
	return size;
}

int hk_sender_seal(struct hk_sender *sender, const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	if (over(sender))
		return -EKEYEXPIRED;
	return count_sealed(sender, sender->speech->speaker->seal(sender, inner, length, out, room));
}

int hk_sender_seal_packet(struct hk_sender *sender, const __u8 *packet, __u32 length, __u8 *out, __u32 room)
{
	if (over(sender))
		return -EKEYEXPIRED;
	return count_sealed(sender, sender->speech->speaker->seal_packet(sender, packet, length, out, room));
}

int hk_sender_due(struct hk_sender *sender, __u8 *out, __u32 room)
{
	const struct hk_speaker *speaker = sender->speech->speaker;

	return speaker->due && !over(sender) ? count_sealed(sender, speaker->due(sender, out, room)) : 0;
}

void hk_sender_free(struct hk_sender *sender, bool undo)
{
	if (sender)
		sender->speech->speaker->sender_free(sender, undo);
}

int hk_speech_windows(struct hk_windows **out, const struct hk_speech *speech,
	const struct hk_state_place *place, struct hk_error *error)
{
	char local[HK_ADDRESS_TEXT], name[HK_ADDRESS_TEXT + 32];

	snprintf(name, sizeof(name), "%s-%s.windows", hk_envelope_name(speech->speaker->envelope),
		hk_address_format(&speech->local, local));
	return hk_windows_open(out, place, name, error);
}

int hk_receiver_new(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error)
{
	int status = speech->speaker->receiver(out, speech, keys, place, error);

	if (status)
		return status;
	(*out)->speech = speech;
	(*out)->given = keys;
	(*out)->due = hk_host_keys_due(keys);
	return 0;
}

void hk_receiver_rekey(struct hk_receiver *receiver, const struct hk_host_keys *keys)
{
	receiver->speech->speaker->rekey(receiver, keys);
	receiver->given = keys;
	receiver->due = hk_host_keys_due(keys);
}

/* The time of a key has begun or is over: what was made of it goes, as with other keys. */
static void look_at_clock(struct hk_receiver *receiver)
{
	if (receiver->due && receiver->speech->speaker->rekey && hk_host_keys_now() >= receiver->due)
		hk_receiver_rekey(receiver, receiver->given);
}

unsigned hk_receiver_open(struct hk_receiver *receiver, unsigned parsed, const struct hk_sealed *sealed,
	__u8 *out, struct hk_opened *opened)
{
	unsigned refusal = parsed;

	look_at_clock(receiver);
	if (!refusal)
		refusal = receiver->speech->speaker->open(receiver, sealed, out, opened);
	if (refusal)
		opened->length = 0;
	receiver->counts[refusal]++;
	return refusal;
}

void hk_receiver_recount(struct hk_receiver *receiver, unsigned refusal)
{
	receiver->counts[HK_REFUSAL_NONE]--;
	receiver->counts[refusal]++;
}

void hk_receiver_free(struct hk_receiver *receiver)
{
	if (receiver)
		receiver->speech->speaker->receiver_free(receiver);
}

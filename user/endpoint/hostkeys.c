// SPDX-License-Identifier: GPL-2.0-or-later
/* Chooses from an end host's keys: see hostkeys.h. hostkeys_read.c reads them. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "user/base/text.h"
#include "user/endpoint/hostkeys_lines.h"
#include "user/endpoint/sa.h"

/* The side that says which key it is: the other sides are found from there. */
static bool is_base(const struct hk_key_line *line)
{
	return line->side == HK_SIDE_ENC || line->side == HK_SIDE_SINGLE;
}

/* --- times ---------------------------------------------------------------------------------------- */

static __u64 now_of_tests;

__u64 hk_host_keys_now(void)
{
	return now_of_tests ? now_of_tests : (__u64)time(NULL);
}

void hk_host_keys_set_now(__u64 now)
{
	now_of_tests = now;
}

/* As the box judges it (user/keys/load.c). */
static unsigned state_of(const struct hk_key_line *line)
{
	__u64 now = hk_host_keys_now();

	if (line->not_after && line->not_after <= now)
		return HK_REFUSAL_KEY_EXPIRED;
	return line->not_before > now ? HK_REFUSAL_KEY_NOT_YET : HK_REFUSAL_NONE;
}

static void sooner(__u64 when, __u64 now, __u64 *due)
{
	if (when > now && (!*due || when < *due))
		*due = when;
}

__u64 hk_host_keys_due(const struct hk_host_keys *keys)
{
	__u64 now = hk_host_keys_now(), due = 0;
	unsigned i;

	for (i = 0; keys && i < keys->count; i++) {
		sooner(keys->lines[i].not_before, now, &due);
		sooner(keys->lines[i].not_after, now, &due);
	}
	return due;
}

/* --- SAs ------------------------------------------------------------------------------------------ */

static bool explicit_of(const struct hk_key_line *line, const struct hk_sa_name *name)
{
	return (line->form == HK_KEY_PSP || line->form == HK_KEY_ESP) && line->spi == name->spi &&
	       (line->version >= 0) == (name->envelope == HK_ENVELOPE_PSP) &&
	       memcmp(&line->receiver.address, &name->receiver, 16) == 0;
}

static unsigned variant_of(const struct hk_key_line *line)
{
	return line->version >= 0 ? (unsigned)line->version : line->suite;
}

static const struct hk_key_line *find_explicit(const struct hk_host_keys *keys, const struct hk_sa_name *name)
{
	unsigned i;

	for (i = 0; i < keys->count; i++)
		if (is_base(&keys->lines[i]) && explicit_of(&keys->lines[i], name))
			return &keys->lines[i];
	return NULL;
}

static unsigned slot_of(const struct hk_sa_name *name)
{
	return name->envelope == HK_ENVELOPE_PSP ? name->spi >> 31 : name->spi >> 29 & 3;
}

static unsigned receiver_bits(const struct hk_key_line *line)
{
	return line->has_receiver ? line->receiver.length + 1u : 0;
}

static bool better(const struct hk_key_line *line, const struct hk_key_line *best)
{
	if (best && !state_of(line) != !state_of(best))
		return !state_of(line);
	return !best || receiver_bits(line) > receiver_bits(best) ||
	       (receiver_bits(line) == receiver_bits(best) && line->generation > best->generation);
}

/* Of the lines that fit: the best, or the nth generation below it of the same receiver whose time it is. */
static const struct hk_key_line *pick(const struct hk_host_keys *keys,
	bool (*fits)(const struct hk_key_line *line, const void *wish), const void *wish, unsigned nth)
{
	const struct hk_key_line *above = NULL, *best, *line;
	unsigned i, n;

	for (n = 0; n <= nth; n++, above = best) {
		best = NULL;
		for (i = 0; i < keys->count; i++) {
			line = &keys->lines[i];
			if (!fits(line, wish) ||
				(above && (receiver_bits(line) != receiver_bits(above) ||
						  line->generation >= above->generation || state_of(line))))
				continue;
			if (better(line, best))
				best = line;
		}
		if (!best)
			return NULL;
	}
	return above;
}

static bool serves(const struct hk_key_line *line, const void *wish)
{
	const struct hk_sa_name *name = wish;

	if (line->form != HK_KEY_MASTER || !is_base(line) || line->slot != slot_of(name))
		return false;
	/* A PSP master key belongs to one receiver: a line without one cannot be used. */
	return line->has_receiver ? hk_prefix_holds(&line->receiver, &name->receiver)
				  : name->envelope != HK_ENVELOPE_PSP;
}

static unsigned from_explicit(const struct hk_host_keys *keys, const struct hk_key_line *line,
	const struct hk_sa_name *name, struct hk_sa **out)
{
	const struct hk_key_line *auth =
		hk_host_key_is_single(line) ? NULL : hk_host_keys_other_side(keys, line);
	struct hk_sa_keys sa = {.key_size = line->key_size};
	int status;

	memcpy(sa.enc, line->key, line->key_size);
	memcpy(sa.salt_enc, line->salt, 4);
	if (auth) {
		memcpy(sa.auth, auth->key, auth->key_size);
		memcpy(sa.salt_auth, auth->salt, 4);
	}
	status = hk_sa_from_keys(out, name, &sa, NULL);
	hk_wipe(&sa, sizeof(sa));
	if (!status)
		(*out)->not_after = line->not_after;
	return status ? HK_REFUSAL_CIPHER : HK_REFUSAL_NONE;
}

static unsigned from_master(const struct hk_host_keys *keys, struct hk_crypto *crypto,
	const struct hk_key_line *line, const struct hk_sa_name *name, struct hk_sa **out)
{
	const struct hk_key_line *other =
		hk_host_key_is_single(line) ? NULL : hk_host_keys_other_side(keys, line);
	struct hk_kdf_key enc, auth;
	int status = hk_kdf_key_init(&enc, line->key);

	if (!status && other)
		status = hk_kdf_key_init(&auth, other->key);
	if (!status)
		status = hk_sa_derive(out, crypto, name, &enc, other ? &auth : NULL, NULL);
	hk_wipe(&enc, sizeof(enc));
	hk_wipe(&auth, sizeof(auth));
	if (status == -EINVAL)
		return HK_REFUSAL_SPI;
	if (!status)
		(*out)->not_after = line->not_after;
	return status ? HK_REFUSAL_CIPHER : HK_REFUSAL_NONE;
}

unsigned hk_host_keys_sa(const struct hk_host_keys *keys, struct hk_crypto *crypto,
	const struct hk_sa_name *name, unsigned nth, struct hk_sa **out)
{
	bool split = hk_sa_profile(name->envelope, name->variant) == HK_PROFILE_SPLIT;
	const struct hk_key_line *line = find_explicit(keys, name);

	if (line && nth)
		return HK_REFUSAL_NO_KEY;
	if (line && variant_of(line) != name->variant)
		return HK_REFUSAL_DOWNGRADE;
	if (line)
		return state_of(line) ? state_of(line) : from_explicit(keys, line, name, out);
	line = pick(keys, serves, name, nth);
	if (!line)
		return HK_REFUSAL_NO_KEY;
	if (hk_host_key_is_single(line) == split)
		return HK_REFUSAL_DOWNGRADE;
	return state_of(line) ? state_of(line) : from_master(keys, crypto, line, name, out);
}

bool hk_host_keys_sends(
	const struct hk_host_keys *keys, const struct hk_address *sender, bool is_id, __u32 number)
{
	bool named = false;
	unsigned i;

	for (i = 0; i < keys->senders_count; i++) {
		const struct hk_host_sender *row = &keys->senders[i];

		if (row->is_id != is_id || (number & row->mask) != row->number)
			continue;
		if (memcmp(&row->address, sender, sizeof(*sender)) == 0)
			return true;
		named = true;
	}
	return !named;
}

static bool in_use(const struct hk_key_line *line, bool early_or_late)
{
	return early_or_late || !state_of(line);
}

static unsigned list_spis(
	const struct hk_host_keys *keys, const struct hk_sa_name *name, bool all, __u32 *spis, unsigned max)
{
	struct hk_sa_name one = *name;
	unsigned i, count = 0;

	for (i = 0; i < keys->count && count < max; i++) {
		const struct hk_key_line *line = &keys->lines[i];

		one.spi = line->spi;
		if (is_base(line) && explicit_of(line, &one) && variant_of(line) == name->variant &&
			in_use(line, all))
			spis[count++] = line->spi;
	}
	return count;
}

unsigned hk_host_keys_spis(const struct hk_host_keys *keys, unsigned envelope, unsigned variant,
	const struct hk_address *receiver, __u32 *spis, unsigned max)
{
	const struct hk_sa_name name = {
		.envelope = (__u8)envelope, .variant = (__u8)variant, .receiver = *receiver};
	unsigned count = list_spis(keys, &name, false, spis, max);

	/* Where it is no key's time, whoever takes one learns why. */
	return count ? count : list_spis(keys, &name, true, spis, max);
}

static void make_master(
	const struct hk_host_keys *keys, const struct hk_key_line *line, struct hk_master *out)
{
	const struct hk_key_line *auth =
		hk_host_key_is_single(line) ? NULL : hk_host_keys_other_side(keys, line);
	const struct hk_key_line *reader =
		hk_host_key_is_single(line) ? NULL : hk_host_keys_of_side(keys, line, HK_SIDE_READER);

	*out = (struct hk_master){.id = line->has_id ? line->id : 0,
		.slot = line->slot,
		.not_after = line->not_after,
		.enc = line->key,
		.auth = auth ? auth->key : NULL,
		.reader = reader ? reader->key : NULL};
}

static bool wished(const struct hk_key_line *line, const void *context)
{
	const struct hk_master_wish *wish = context;

	if (line->form != HK_KEY_MASTER || !is_base(line))
		return false;
	if ((wish->has_id && (line->has_id ? line->id : 0) != wish->id) ||
		(wish->has_slot && line->slot != wish->slot))
		return false;
	if (!line->has_receiver)
		return true;
	return wish->receiver && hk_prefix_holds(&line->receiver, wish->receiver);
}

/* Of the line that was found, if it is its time. */
static bool take_master(
	const struct hk_host_keys *keys, const struct hk_key_line *line, struct hk_master *out)
{
	unsigned refusal = line ? state_of(line) : HK_REFUSAL_NO_KEY;

	if (!line || refusal) {
		*out = (struct hk_master){.refusal = refusal};
		return false;
	}
	make_master(keys, line, out);
	return true;
}

bool hk_host_keys_master(
	const struct hk_host_keys *keys, const struct hk_master_wish *wish, struct hk_master *out)
{
	const struct hk_key_line *line = pick(keys, wished, wish, wish->nth);

	return take_master(keys, line, out);
}

static bool root_of(const struct hk_key_line *line, const struct hk_address *receiver)
{
	return line->form == HK_KEY_ROOT && is_base(line) &&
	       memcmp(&line->receiver.address, receiver, sizeof(*receiver)) == 0;
}

bool hk_host_keys_root(
	const struct hk_host_keys *keys, const struct hk_address *receiver, __u32 spi, struct hk_master *out)
{
	const struct hk_key_line *line = NULL;
	unsigned i;

	for (i = 0; i < keys->count && !line; i++)
		if (root_of(&keys->lines[i], receiver) && keys->lines[i].spi == spi)
			line = &keys->lines[i];
	return take_master(keys, line, out);
}

static unsigned list_roots(const struct hk_host_keys *keys, const struct hk_address *receiver, bool all,
	__u32 *spis, unsigned max)
{
	unsigned i, count = 0;

	for (i = 0; i < keys->count && count < max; i++)
		if (root_of(&keys->lines[i], receiver) && in_use(&keys->lines[i], all))
			spis[count++] = keys->lines[i].spi;
	return count;
}

unsigned hk_host_keys_roots(
	const struct hk_host_keys *keys, const struct hk_address *receiver, __u32 *spis, unsigned max)
{
	unsigned count = list_roots(keys, receiver, false, spis, max);

	return count ? count : list_roots(keys, receiver, true, spis, max);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* An end host's keys: see hostkeys.h. */
#include "user/endpoint/hostkeys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/base/files.h"
#include "user/base/text.h"
#include "user/crypto/levels.h"
#include "user/endpoint/sa.h"
#include "user/endpoint/secret.h"
#include "user/keys/keyfile.h"

#define LINES_MAX 4096
#define FILE_MAX  (1u << 20)

/* Who alone sends with these SPIs, or under this id. */
struct sender {
	struct hk_address address;
	bool is_id;
	__u32 number, mask;
};

struct hk_host_keys {
	const char *name; /* for messages while reading */
	char levels[HK_KEY_LEVELS][HK_KEY_LEVEL_NAME + 1];
	unsigned levels_count;
	unsigned count, senders_count;
	struct hk_key_line lines[LINES_MAX];
	struct sender senders[LINES_MAX];
};

/* Same receiver as written, or both without one. */
static bool same_receiver(const struct hk_key_line *a, const struct hk_key_line *b)
{
	return a->has_receiver == b->has_receiver &&
	       (!a->has_receiver || (a->receiver.length == b->receiver.length &&
					    memcmp(&a->receiver.address, &b->receiver.address, 16) == 0));
}

/* One SPI, or one slot of one receiver: where two lines must not contradict each other. */
static bool same_place(const struct hk_key_line *a, const struct hk_key_line *b)
{
	if (a->form == HK_KEY_LEVEL || b->form == HK_KEY_LEVEL)
		return a->form == b->form && strcmp(a->level, b->level) == 0;
	if (a->is_explicit != b->is_explicit || !same_receiver(a, b))
		return false;
	if (a->is_explicit)
		return a->spi == b->spi && (a->version >= 0) == (b->version >= 0) &&
		       (a->form == HK_KEY_ROOT) == (b->form == HK_KEY_ROOT);
	return a->slot == b->slot && a->has_id == b->has_id && a->id == b->id;
}

static bool is_single(const struct hk_key_line *line)
{
	return line->side == HK_SIDE_SINGLE;
}

/* The side that says which key it is: the other sides are found from there. */
static bool is_base(const struct hk_key_line *line)
{
	return line->side == HK_SIDE_ENC || line->side == HK_SIDE_SINGLE;
}

static int check_pair(const char *name, const struct hk_key_line *old, const struct hk_key_line *line,
	struct hk_error *error)
{
	if (old->side != line->side && old->key_size == line->key_size &&
		hk_equal(old->key, line->key, line->key_size))
		return hk_error_set(error, EINVAL,
			"%s:%u: the key of line %u in another role: whoever holds one of them could forge; "
			"use a key "
			"of its own for each side",
			name, line->line, old->line);
	if (!same_place(old, line))
		return 0;
	if (is_single(old) != is_single(line))
		return hk_error_set(error, EINVAL,
			"%s:%u: side=single beside split keys of the same receiver on line %u: a master key "
			"belongs to "
			"one profile for life",
			name, line->line, old->line);
	if (old->side == line->side && (line->is_explicit || old->generation == line->generation))
		return hk_error_set(error, EINVAL, "%s:%u: the same key place as line %u: remove one", name,
			line->line, old->line);
	return 0;
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

/* A key lives within the times of all that it is made of. */
static void narrow(struct hk_key_line *line, const struct hk_key_line *other)
{
	if (other->not_before > line->not_before)
		line->not_before = other->not_before;
	if (other->not_after && (!line->not_after || other->not_after < line->not_after))
		line->not_after = other->not_after;
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

/* --- levels --------------------------------------------------------------------------------------- */

static const struct hk_key_line *find_level(
	const struct hk_host_keys *keys, const char *level, __u32 generation, enum hk_side side)
{
	unsigned i;

	for (i = 0; i < keys->count; i++)
		if (keys->lines[i].form == HK_KEY_LEVEL && keys->lines[i].generation == generation &&
			keys->lines[i].side == side && strcmp(keys->lines[i].level, level) == 0)
			return &keys->lines[i];
	return NULL;
}

static int check_level(
	const struct hk_host_keys *keys, const struct hk_key_line *line, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < keys->levels_count; i++)
		if (strcmp(keys->levels[i], line->level) == 0)
			return 0;
	return hk_error_set(error, EINVAL, "%s:%u: level=%s is not among the levels named (levels)",
		keys->name, line->line, line->level);
}

/* from=: the master key that the roots make, as the box makes it (user/keys/load.c). */
static int combine(const struct hk_host_keys *keys, struct hk_key_line *line, struct hk_error *error)
{
	struct hk_kdf_levels levels = {.count = keys->levels_count};
	const struct hk_key_line *root;
	int status = 0;
	unsigned i;

	if (line->from_count != keys->levels_count)
		return hk_error_set(error, EINVAL, "%s:%u: from= names %u levels, %u are named (levels)",
			keys->name, line->line, line->from_count, keys->levels_count);
	for (i = 0; i < levels.count && !status; i++) {
		root = find_level(keys, keys->levels[i], line->from[i], line->side);
		if (!root) {
			status = hk_error_set(error, ENOENT,
				"%s:%u: from=: there is no generation %u of level '%s' of this side (its "
				"line must stand before this one)",
				keys->name, line->line, line->from[i], keys->levels[i]);
			continue;
		}
		memcpy(levels.root[i], root->key, sizeof(levels.root[i]));
		memcpy(levels.id[i], keys->levels[i], sizeof(levels.id[i]));
		narrow(line, root);
	}
	if (!status) {
		hk_kdf_combine(&levels, line->side, line->key);
		line->key_size = 32;
		line->form = HK_KEY_MASTER;
	}
	hk_wipe(&levels, sizeof(levels));
	return status;
}

static int name_levels(struct hk_host_keys *keys, const char *levels, struct hk_error *error)
{
	const char *at = levels ? levels : "";
	size_t length;

	for (; *at; at += length + (at[length] == ',')) {
		length = strcspn(at, ",");
		if (!length || length > HK_KEY_LEVEL_NAME || keys->levels_count == HK_KEY_LEVELS)
			return hk_error_set(error, EINVAL,
				"levels '%s': up to %d names of at most %d characters, joined by ','", levels,
				HK_KEY_LEVELS, HK_KEY_LEVEL_NAME);
		memcpy(keys->levels[keys->levels_count++], at, length);
	}
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

static void take_sender(struct hk_host_keys *keys, const struct hk_key_line *line)
{
	keys->senders[keys->senders_count++] = (struct sender){.address = line->sender,
		.is_id = line->has_id,
		.number = line->has_id ? line->id : line->spi,
		.mask = line->has_id ? 0xffffffff : line->mask};
}

static int take(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct hk_host_keys *keys = context;
	struct hk_key_line *row = &keys->lines[keys->count];
	int status = 0;
	unsigned i;

	if (keys->count == LINES_MAX || keys->senders_count == LINES_MAX)
		return hk_error_set(error, EFBIG, "%s:%u: more than %u keys or senders in one file",
			keys->name, line->line, LINES_MAX);
	if (line->form == HK_KEY_SENDER) {
		take_sender(keys, line);
		return 0;
	}
	*row = *line;
	if (row->form == HK_KEY_LEVEL)
		status = check_level(keys, row, error);
	if (row->form == HK_KEY_COMBINED)
		status = combine(keys, row, error);
	for (i = 0; i < keys->count && !status; i++)
		status = check_pair(keys->name, &keys->lines[i], row, error);
	if (status)
		hk_wipe(row, sizeof(*row));
	else
		keys->count++;
	return status;
}

/* The line of another side of a split key: same place, same generation or SPI. NULL: missing. */
static const struct hk_key_line *of_side(
	const struct hk_host_keys *keys, const struct hk_key_line *line, enum hk_side wanted)
{
	unsigned i;

	for (i = 0; i < keys->count; i++) {
		const struct hk_key_line *other = &keys->lines[i];

		if (other->side == wanted && same_place(other, line) &&
			other->generation == line->generation && other->version == line->version &&
			other->suite == line->suite)
			return other;
	}
	return NULL;
}

static const struct hk_key_line *other_side(const struct hk_host_keys *keys, const struct hk_key_line *line)
{
	return of_side(keys, line, line->side == HK_SIDE_ENC ? HK_SIDE_AUTH : HK_SIDE_ENC);
}

static int check_sides(struct hk_host_keys *keys, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < keys->count; i++) {
		struct hk_key_line *line = &keys->lines[i];
		const struct hk_key_line *other = is_single(line) ? NULL : other_side(keys, line);

		if (other)
			narrow(line, other);
		if (!is_single(line) && !other)
			return hk_error_set(error, EINVAL,
				"%s:%u: side=%s without its side=%s: an end host needs both (is this the "
				"box's file?)",
				keys->name, line->line, line->side == HK_SIDE_ENC ? "enc" : "auth",
				line->side == HK_SIDE_ENC ? "auth" : "enc");
	}
	if (!keys->count)
		return hk_error_set(error, EINVAL, "%s: no keys in it", keys->name);
	return 0;
}

int hk_host_keys_parse(struct hk_host_keys **out, const char *name, const char *text, const char *levels,
	struct hk_error *error)
{
	struct hk_host_keys *keys = hk_secret_new(sizeof(*keys));
	int status;

	if (!keys)
		return hk_error_set(error, ENOMEM, "no memory for the keys of %s", name);
	keys->name = name;
	status = name_levels(keys, levels, error);
	if (!status)
		status = hk_keyfile_read(name, text, error, take, keys);
	if (!status)
		status = check_sides(keys, error);
	keys->name = NULL;
	if (status)
		hk_host_keys_free(keys);
	else
		*out = keys;
	return status;
}

/* Reads what `files` has of `path`, and closes it. */
static int load(struct hk_host_keys **out, const char *path, struct hk_files *files, const char *levels,
	struct hk_error *error)
{
	size_t size = 0;
	char *text = hk_files_read(files, path, FILE_MAX, &size, error);
	int status;

	hk_files_close(files);
	if (!text)
		return -EINVAL;
	status = hk_host_keys_parse(out, path, text, levels, error);
	hk_wipe(text, size);
	free(text);
	return status;
}

int hk_host_keys_load(struct hk_host_keys **out, const char *path, const char *levels, struct hk_error *error)
{
	struct hk_files files = {0};
	int status = hk_files_open(&files, HK_FILE_KEYS, ".", path, error);

	return status ? status : load(out, path, &files, levels, error);
}

int hk_host_keys_load_fd(
	struct hk_host_keys **out, const char *path, int fd, const char *levels, struct hk_error *error)
{
	struct hk_files files = {0};
	int status = hk_files_add(&files, HK_FILE_KEYS, path, fd);

	return status ? hk_error_set(error, -status, "%s: no memory for a file", path)
		      : load(out, path, &files, levels, error);
}

void hk_host_keys_free(struct hk_host_keys *keys)
{
	hk_secret_free(keys, sizeof(*keys));
}

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
	const struct hk_key_line *auth = is_single(line) ? NULL : other_side(keys, line);
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
	const struct hk_key_line *other = is_single(line) ? NULL : other_side(keys, line);
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
	if (is_single(line) == split)
		return HK_REFUSAL_DOWNGRADE;
	return state_of(line) ? state_of(line) : from_master(keys, crypto, line, name, out);
}

bool hk_host_keys_sends(
	const struct hk_host_keys *keys, const struct hk_address *sender, bool is_id, __u32 number)
{
	bool named = false;
	unsigned i;

	for (i = 0; i < keys->senders_count; i++) {
		const struct sender *row = &keys->senders[i];

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
	const struct hk_key_line *auth = is_single(line) ? NULL : other_side(keys, line);
	const struct hk_key_line *reader = is_single(line) ? NULL : of_side(keys, line, HK_SIDE_READER);

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

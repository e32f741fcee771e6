// SPDX-License-Identifier: GPL-2.0-or-later
/* Key lines, as user/keys/keyfile.h reads them: see keygen.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/keygen.h"

const char *hk_keygen_side(const struct hk_keygen *keygen)
{
	return keygen->profile == HK_PROFILE_SPLIT ? "enc" : "single";
}

static const __u8 *bytes_of(const struct hk_keygen_key *key, const char *side)
{
	return strcmp(side, "auth") == 0 ? key->auth : strcmp(side, "reader") == 0 ? key->reader : key->enc;
}

/* What names a key, up to its side. */
static void say_place(
	const struct hk_keygen *keygen, const struct hk_keygen_key *key, struct hk_secret_text *text)
{
	bool receiver = key->receiver != HK_KEYGEN_ALL && keygen->row->share != HK_KEYGEN_BY_PAIR;
	char address[HK_ADDRESS_TEXT];

	if (receiver)
		hk_secret_say(text, "receiver=%s ",
			hk_address_format(&keygen->hosts[key->receiver].address, address));
	if (keygen->row->roots)
		hk_secret_say(text, "spi=0x%08x ", key->spi);
	else
		hk_secret_say(text, "slot=%u generation=%u ", keygen->slot, keygen->generation);
	if (keygen->row->ids)
		hk_secret_say(text, "id=%u ", key->id);
}

static void say_from(
	const struct hk_keygen *keygen, const struct hk_keygen_key *key, struct hk_secret_text *text)
{
	unsigned i;

	hk_secret_say(text, "from=");
	for (i = 0; i + 1 < keygen->levels_count; i++)
		hk_secret_say(text, "%u/", keygen->levels[i].generation);
	hk_secret_say(text, "%u\n", key->root);
}

void hk_keygen_say_key(const struct hk_keygen *keygen, const struct hk_keygen_key *key, const char *side,
	bool combined, struct hk_secret_text *text)
{
	say_place(keygen, key, text);
	hk_secret_say(text, "side=%s ", side);
	if (combined && keygen->levels_count) {
		say_from(keygen, key, text);
		return;
	}
	hk_secret_say(text, keygen->row->roots ? "root=" : "key=");
	hk_secret_say_hex(text, bytes_of(key, side), 32);
	hk_secret_say(text, "\n");
}

void hk_keygen_say_both(
	const struct hk_keygen *keygen, const struct hk_keygen_key *key, struct hk_secret_text *text)
{
	hk_keygen_say_key(keygen, key, hk_keygen_side(keygen), false, text);
	if (keygen->profile == HK_PROFILE_SPLIT)
		hk_keygen_say_key(keygen, key, "auth", false, text);
}

/* --- roots of levels --- */

static void say_root(
	const char *level, __u32 generation, const char *side, const __u8 *key, struct hk_secret_text *text)
{
	hk_secret_say(text, "level=%s generation=%u side=%s key=", level, generation, side);
	hk_secret_say_hex(text, key, 32);
	hk_secret_say(text, "\n");
}

static void say_sides(const struct hk_keygen *keygen, const char *level, __u32 generation, const __u8 *enc,
	const __u8 *auth, struct hk_secret_text *text)
{
	say_root(level, generation, hk_keygen_side(keygen), enc, text);
	if (auth && keygen->profile == HK_PROFILE_SPLIT)
		say_root(level, generation, "auth", auth, text);
}

void hk_keygen_say_roots(const struct hk_keygen *keygen, unsigned which, struct hk_secret_text *text)
{
	bool both = which & HK_KEYGEN_ROOTS_BOTH;
	const struct hk_keygen_level *level;
	unsigned i;
	size_t k;

	for (i = 0; i + 1 < keygen->levels_count; i++) {
		level = &keygen->levels[i];
		if (level->fresh || !(which & HK_KEYGEN_ROOTS_NEW))
			say_sides(keygen, level->name, level->generation, level->enc,
				both ? level->auth : NULL, text);
	}
	for (k = 0; keygen->levels_count && k < keygen->keys_count; k++)
		say_sides(keygen, keygen->levels[i].name, keygen->keys[k].root, keygen->keys[k].root_enc,
			both ? keygen->keys[k].root_auth : NULL, text);
}

/* --- a host's --- */

/* Who alone sends with what: SPIs of their own, or a key of their own. */
static void say_senders(const struct hk_keygen *keygen, unsigned index, struct hk_secret_text *text)
{
	char sender[HK_ADDRESS_TEXT];
	unsigned i;
	size_t k;

	for (i = 0; i < keygen->hosts_count && keygen->row->derives; i++)
		if (hk_keygen_can_talk(keygen, index, i))
			hk_secret_say(text, "sender=%s spis=0x%08x/0x%08x\n",
				hk_address_format(&keygen->hosts[i].address, sender),
				hk_keygen_spi(keygen, i, 0) & HK_KEYGEN_SPI_SENDER, HK_KEYGEN_SPI_SENDER);
	for (k = 0; k < keygen->keys_count && keygen->row->share == HK_KEYGEN_BY_DIRECTION; k++) {
		const struct hk_keygen_key *key = &keygen->keys[k];

		if (key->receiver != index)
			continue;
		hk_secret_say(
			text, "sender=%s ", hk_address_format(&keygen->hosts[key->sender].address, sender));
		if (keygen->row->roots)
			hk_secret_say(text, "spis=0x%08x/0xffffffff\n", key->spi);
		else
			hk_secret_say(text, "id=%u\n", key->id);
	}
}

void hk_keygen_say_receiving(const struct hk_keygen *keygen, unsigned index, struct hk_secret_text *text)
{
	const struct hk_keygen_key *key;
	size_t i;

	for (i = 0; i < keygen->keys_count; i++) {
		key = &keygen->keys[i];
		if (key->receiver == index ||
			(keygen->row->share == HK_KEYGEN_BY_PAIR && key->sender == index))
			hk_keygen_say_both(keygen, key, text);
	}
	say_senders(keygen, index, text);
}

/* One side of one SPI. A cbc-hmac key, and the HMAC side of ctr-hmac, take no salt. */
static void say_spi(struct hk_secret_text *text, const struct hk_sa_name *name, const char *side,
	const __u8 *key, unsigned size, const __u8 *salt)
{
	bool psp = name->envelope == HK_ENVELOPE_PSP;
	char receiver[HK_ADDRESS_TEXT];

	hk_secret_say(
		text, "receiver=%s spi=0x%08x", hk_address_format(&name->receiver, receiver), name->spi);
	if (psp)
		hk_secret_say(text, " version=%u", name->variant);
	else
		hk_secret_say(text, " suite=%s", hk_suite_name(name->variant));
	hk_secret_say(text, " side=%s key=", side);
	hk_secret_say_hex(text, key, size);
	if (!psp && salt) {
		hk_secret_say(text, " salt=");
		hk_secret_say_hex(text, salt, 4);
	}
	hk_secret_say(text, "\n");
}

static int derive(const struct hk_keygen *keygen, struct hk_crypto *crypto, const struct hk_sa_name *name,
	const struct hk_keygen_key *master, struct hk_sa_keys *out, struct hk_error *error)
{
	struct hk_kdf_key enc, auth;
	int status = hk_kdf_key_init(&enc, master->enc);

	if (!status)
		status = hk_kdf_key_init(&auth, master->auth);
	if (!status)
		status = hk_sa_derive_keys(
			out, crypto, name, &enc, keygen->profile == HK_PROFILE_SPLIT ? &auth : NULL, error);
	hk_wipe(&enc, sizeof(enc));
	hk_wipe(&auth, sizeof(auth));
	return status;
}

/* One SPI of `sender`, with keys derived from the receiver's master keys. */
static int say_sa(const struct hk_keygen *keygen, struct hk_crypto *crypto, unsigned sender,
	const struct hk_keygen_key *master, unsigned serial, struct hk_secret_text *text,
	struct hk_error *error)
{
	struct hk_sa_name name = {keygen->row->envelope, keygen->variant, (__u16)keygen->mkid,
		hk_keygen_spi(keygen, sender, serial), keygen->hosts[master->receiver].address};
	bool esp = name.envelope == HK_ENVELOPE_ESP;
	struct hk_sa_keys keys;
	int status = derive(keygen, crypto, &name, master, &keys, error);

	if (!status) {
		say_spi(text, &name, hk_keygen_side(keygen), keys.enc, keys.key_size,
			esp && name.variant == HK_SUITE_CBC_HMAC ? NULL : keys.salt_enc);
		if (keygen->profile == HK_PROFILE_SPLIT)
			say_spi(text, &name, "auth", keys.auth, keys.key_size,
				esp && name.variant != HK_SUITE_GCM_SPLIT ? NULL : keys.salt_auth);
	}
	hk_wipe(&keys, sizeof(keys));
	return status;
}

/* The key under which `sender` sends to `receiver`. */
static const struct hk_keygen_key *find_key(
	const struct hk_keygen *keygen, unsigned sender, unsigned receiver)
{
	size_t i;

	for (i = 0; i < keygen->keys_count; i++)
		if (keygen->keys[i].receiver == receiver &&
			(keygen->row->derives || keygen->keys[i].sender == sender))
			return &keygen->keys[i];
	return NULL;
}

int hk_keygen_say_sending(const struct hk_keygen *keygen, struct hk_crypto *crypto, unsigned index,
	unsigned to, struct hk_secret_text *text, struct hk_error *error)
{
	const struct hk_keygen_key *key = find_key(keygen, index, to);
	unsigned serial;
	int status = 0;

	if (!key)
		return 0;
	for (serial = 0; keygen->row->derives && serial < keygen->spis && !status; serial++)
		status = say_sa(keygen, crypto, index, key, serial, text, error);
	if (keygen->row->derives)
		return status;
	hk_keygen_say_both(keygen, key, text);
	if (keygen->reader)
		hk_keygen_say_key(keygen, key, "reader", false, text);
	return 0;
}

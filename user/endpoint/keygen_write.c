// SPDX-License-Identifier: GPL-2.0-or-later
/* The files that `halfkey-endpoint keygen` writes: all of them, or none. See keygen.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/keygen.h"

int hk_keygen_put(
	struct hk_keygen_set *set, const char *name, const char *suffix, mode_t mode, struct hk_error *error)
{
	char file[64];
	int status = set->text.failed;

	snprintf(file, sizeof(file), "%s%s", name, suffix);
	if (status)
		return hk_error_set(error, -status, "%s: no memory for it", file);
	status = hk_newdir_write(&set->dir, file, mode, set->text.data, set->text.size, error);
	if (!status)
		hk_secret_say(&set->names, "  %s/%s\n", set->dir.path, file);
	return status;
}

/* --- keys --- */

/* Empties `set->text` for the next file, whatever became of this one. */
static int next_file(struct hk_keygen_set *set, int status)
{
	hk_secret_clear(&set->text);
	return status;
}

static void say_all(struct hk_keygen_set *set, const char *side)
{
	size_t i;

	for (i = 0; i < set->keygen->keys_count; i++)
		hk_keygen_say_key(
			set->keygen, &set->keygen->keys[i], side, strcmp(side, "reader") != 0, &set->text);
}

static int put_box(struct hk_keygen_set *set, struct hk_error *error)
{
	const struct hk_keygen *keygen = set->keygen;
	int status;

	hk_secret_say(&set->text,
		keygen->profile == HK_PROFILE_SPLIT
			? "# The box's keys: the encryption side alone. With them it sees and cannot forge.\n"
			: "# The box's keys, profile single: whoever holds them can forge as well.\n");
	hk_keygen_say_roots(keygen, 0, &set->text);
	say_all(set, hk_keygen_side(keygen));
	status = next_file(set, hk_keygen_put(set, "box", ".keys", 0600, error));
	if (status || !keygen->next)
		return status;
	hk_keygen_say_roots(keygen, HK_KEYGEN_ROOTS_NEW, &set->text);
	say_all(set, hk_keygen_side(keygen));
	return next_file(set, hk_keygen_put_accept(set, "box", error));
}

static int put_readers(struct hk_keygen_set *set, struct hk_error *error)
{
	int status;

	hk_secret_say(&set->text, "# Keys of reader tags, for boxes that verify them, beside box.keys. "
				  "Whoever holds them can make\n"
				  "# such tags, and so deceive other readers, but no host.\n");
	say_all(set, "reader");
	status = next_file(set, hk_keygen_put(set, "readers", ".keys", 0600, error));
	if (status || !set->keygen->next)
		return status;
	say_all(set, "reader");
	return next_file(set, hk_keygen_put_accept(set, "readers", error));
}

static int put_levels(struct hk_keygen_set *set, struct hk_error *error)
{
	hk_secret_say(&set->text,
		"# Both sides of the roots that keys are combined of: for who makes keys, with keygen --next "
		"or\n"
		"# --level NAME=THIS. Neither for a box nor for a host; keep it off the network.\n");
	hk_keygen_say_roots(set->keygen, HK_KEYGEN_ROOTS_BOTH, &set->text);
	return next_file(set, hk_keygen_put(set, "levels", ".keys", 0600, error));
}

static int put_options(
	struct hk_keygen_set *set, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	hk_keygen_say_options(set->keygen, wishes, &set->text);
	return next_file(set, hk_keygen_put(set, "keygen", ".options", 0644, error));
}

static int say_host(struct hk_keygen_set *set, unsigned index, struct hk_error *error)
{
	const struct hk_keygen *keygen = set->keygen;
	bool pair = keygen->row->share == HK_KEYGEN_BY_PAIR;
	unsigned i;
	int status = 0;

	hk_secret_say(&set->text,
		"# Keys of host %s. Both sides are in here: never put this file on the box.\n",
		keygen->hosts[index].name);
	hk_secret_say(&set->text,
		pair ? "# For each other host, both directions:\n" : "# What it receives with:\n");
	hk_keygen_say_receiving(keygen, index, &set->text);
	for (i = 0; i < keygen->hosts_count && !pair && !status; i++) {
		if (!hk_keygen_can_talk(keygen, index, i))
			continue;
		hk_secret_say(&set->text, "# What it sends to %s with; no other sender has it:\n",
			keygen->hosts[i].name);
		status = hk_keygen_say_sending(keygen, set->crypto, index, i, &set->text, error);
	}
	return status;
}

static int put_host(struct hk_keygen_set *set, unsigned index, struct hk_error *error)
{
	const struct hk_keygen_host *host = &set->keygen->hosts[index];
	int status = say_host(set, index, error);

	if (!status)
		status = hk_keygen_put(set, host->name, ".keys", 0600, error);
	if (!status && set->keygen->next && !host->fresh)
		status = hk_keygen_put_change(set, index, error);
	next_file(set, 0);
	if (status || !set->keygen->next || host->fresh)
		return status;
	hk_keygen_say_receiving(set->keygen, index, &set->text);
	return next_file(set, hk_keygen_put_accept(set, host->name, error));
}

/* TSS: one file for every host of the domain. Its packets say by which slot's key they are sealed. */
static int put_everybody(struct hk_keygen_set *set, struct hk_error *error)
{
	const struct hk_keygen *keygen = set->keygen;
	int status;

	hk_secret_say(&set->text, "# Keys of every host of this domain. Both sides are in here: never put "
				  "this file on the box.\n");
	hk_keygen_say_both(keygen, &keygen->keys[0], &set->text);
	status = next_file(set, hk_keygen_put(set, "hosts", ".keys", 0600, error));
	if (status || !keygen->next)
		return status;
	hk_keygen_say_both(keygen, &keygen->keys[0], &set->text);
	return next_file(set, hk_keygen_put_accept(set, "hosts", error));
}

/* --- configuration --- */

/* The routes to a host: its addresses as single ones, and the prefixes behind it. */
static void say_routes(struct hk_secret_text *text, const struct hk_keygen_host *host)
{
	unsigned i;

	hk_secret_say(text, ", routes: [");
	for (i = 0; i < host->inner_count; i++) {
		const char *inner = host->inner[i];

		hk_secret_say(text, "%s\"%.*s\"", i ? ", " : "",
			host->inner_is_address[i] ? (int)strcspn(inner, "/") : (int)strlen(inner), inner);
	}
	hk_secret_say(text, "]");
}

static void say_device(struct hk_secret_text *text, const struct hk_keygen_host *host)
{
	bool first = true;
	unsigned i;

	hk_secret_say(
		text, "device: {name: %s, addresses: [", hk_address_is_v4(&host->address) ? "hk0" : "hk6");
	for (i = 0; i < host->inner_count; i++) {
		if (!host->inner_is_address[i])
			continue;
		hk_secret_say(text, "%s\"%s\"", first ? "" : ", ", host->inner[i]);
		first = false;
	}
	hk_secret_say(text, "]}\n");
}

static int put_tunnel(struct hk_keygen_set *set, unsigned index, struct hk_error *error)
{
	const struct hk_keygen *keygen = set->keygen;
	const struct hk_keygen_host *host = &keygen->hosts[index], *peer;
	char address[HK_ADDRESS_TEXT];
	unsigned i;

	hk_secret_say(
		&set->text, "# halfkey-endpoint tunnel -c THIS; add --first-use at the very first start\n");
	hk_secret_say(&set->text, "keys: %s.keys\nstate: %s.state\nlocal: \"%s\"\nenvelope: %s\n", host->name,
		host->name, hk_address_format(&host->address, address),
		hk_envelope_name(keygen->row->envelope));
	keygen->row->say_tunnel(keygen, &set->text);
	say_device(&set->text, host);
	hk_secret_say(&set->text, "peers:\n");
	for (i = 0; i < keygen->hosts_count; i++) {
		peer = &keygen->hosts[i];
		if (!hk_keygen_can_talk(keygen, index, i))
			continue;
		hk_secret_say(&set->text, "  - {remote: \"%s\"", hk_address_format(&peer->address, address));
		if (peer->inner_count)
			say_routes(&set->text, peer);
		hk_secret_say(&set->text, "}\n");
	}
	return next_file(set, hk_keygen_put(set, host->name, ".tunnel.yaml", 0644, error));
}

static int put_domain(struct hk_keygen_set *set, struct hk_error *error)
{
	const struct hk_keygen *keygen = set->keygen;
	struct hk_secret_text *text = &set->text;
	char address[HK_ADDRESS_TEXT];
	unsigned i;

	hk_secret_say(text,
		"# For halfkeyd's configuration; `keys` is relative to the configuration's directory.\n");
	hk_secret_say(text, "domains:\n  - name: %s\n    envelope: %s\n    profile: %s\n", keygen->domain,
		hk_envelope_name(keygen->row->envelope), hk_profile_name(keygen->profile));
	if (keygen->row->say_domain)
		keygen->row->say_domain(keygen, text);
	for (i = 0; i < keygen->levels_count; i++)
		hk_secret_say(text, "%s%s", i ? ", " : "    levels: [", keygen->levels[i].name);
	hk_secret_say(text, "%s    receivers: [", i ? "]\n" : "");
	for (i = 0; i < keygen->hosts_count; i++)
		hk_secret_say(text, "%s\"%s\"", i ? ", " : "",
			hk_address_format(&keygen->hosts[i].address, address));
	for (i = 0; i < keygen->receivers_count; i++)
		hk_secret_say(text, "%s\"%s\"", i ? ", " : "", keygen->receivers[i]);
	hk_secret_say(text, "]\n    keys: box.keys\n");
	return next_file(set, hk_keygen_put(set, "domain", ".yaml", 0644, error));
}

/* --- all of it --- */

static int put_hosts(struct hk_keygen_set *set, struct hk_error *error)
{
	unsigned i;
	int status = 0;

	if (set->keygen->row->share == HK_KEYGEN_BY_DOMAIN)
		status = put_everybody(set, error);
	for (i = 0; i < set->keygen->hosts_count && !status; i++) {
		status = put_host(set, i, error);
		if (!status && set->keygen->row->say_tunnel)
			status = put_tunnel(set, i, error);
	}
	return status;
}

static int put_all(struct hk_keygen_set *set, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	int status = put_box(set, error);

	if (!status && set->keygen->reader)
		status = put_readers(set, error);
	if (!status && set->keygen->levels_count)
		status = put_levels(set, error);
	if (!status)
		status = put_hosts(set, error);
	if (!status)
		status = put_domain(set, error);
	return status ? status : put_options(set, wishes, error);
}

/* Whose key it is, for people. */
static void print_owner(const struct hk_keygen *keygen, const struct hk_keygen_key *key)
{
	bool named = key->receiver != HK_KEYGEN_ALL;
	char owner[80];

	if (!named)
		snprintf(owner, sizeof(owner), "everybody");
	else if (key->sender == HK_KEYGEN_ALL)
		snprintf(owner, sizeof(owner), "%s", keygen->hosts[key->receiver].name);
	else
		snprintf(owner, sizeof(owner), "%s %s %s", keygen->hosts[key->sender].name,
			keygen->row->share == HK_KEYGEN_BY_PAIR ? "and" : "to",
			keygen->hosts[key->receiver].name);
	printf("  %-16s", owner);
	if (keygen->row->ids)
		printf(" id=%u", key->id);
	if (keygen->row->roots)
		printf(" spi=0x%08x", key->spi);
}

static void print_key(
	const struct hk_keygen *keygen, const struct hk_keygen_key *key, const char *side, const __u8 *bytes)
{
	static const __u8 label[32] = "halfkey keygen fingerprint";
	__u8 fingerprint[8];
	char text[17];

	hk_crypto_fingerprint(label, bytes, 32, fingerprint);
	hk_hex_format(fingerprint, 8, text);
	print_owner(keygen, key);
	printf(" side=%-6s fingerprint %s\n", side, text);
}

static void report(const struct hk_keygen_set *set)
{
	const struct hk_keygen *keygen = set->keygen;
	bool split = keygen->profile == HK_PROFILE_SPLIT;
	size_t i;

	printf("wrote:\n%s", set->names.data);
	if (keygen->row->slots)
		printf("keys, slot %u, generation %u:\n", keygen->slot, keygen->generation);
	else
		printf("keys, generation %u:\n", keygen->generation);
	for (i = 0; i < keygen->keys_count; i++) {
		print_key(keygen, &keygen->keys[i], hk_keygen_side(keygen), keygen->keys[i].enc);
		if (split)
			print_key(keygen, &keygen->keys[i], "auth", keygen->keys[i].auth);
		if (keygen->reader)
			print_key(keygen, &keygen->keys[i], "reader", keygen->keys[i].reader);
	}
	if (!split)
		printf("note: profile single: whoever holds box.keys can forge packets\n");
	if (keygen->next)
		hk_keygen_print_steps(keygen);
}

int hk_keygen_write(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	struct hk_keygen_set set = {.keygen = keygen};
	int status = hk_newdir_begin(&set.dir, keygen->out, error);

	if (!status)
		status = hk_keygen_draw(keygen, wishes, error);
	set.crypto = hk_crypto_new("libcrypto");
	if (!status && !set.crypto)
		status = hk_error_set(error, ENOMEM, "the crypto library does not start");
	if (!status)
		status = put_all(&set, wishes, error);
	if (!status)
		status = hk_newdir_finish(&set.dir, error);
	if (!status)
		report(&set);
	hk_newdir_abort(&set.dir);
	hk_secret_text_free(&set.text);
	hk_secret_text_free(&set.names);
	hk_crypto_free(set.crypto);
	hk_secret_free(keygen->keys, keygen->keys_count * sizeof(*keygen->keys));
	return status;
}

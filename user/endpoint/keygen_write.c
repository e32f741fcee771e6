// SPDX-License-Identifier: GPL-2.0-or-later
/* Draws keys and writes the files keygen.h lists: all of them, or none. */
#include "user/endpoint/keygen.h"
#include "user/endpoint/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/text.h"

#define SPI_BASE 0x1000 /* well above the reserved ones */
#define FILES	 (2 * HK_KEYGEN_HOSTS + 2)
#define FILE_MAX (1u << 20)

/* A file being made: kept in memory until all are complete. */
struct draft {
	char path[600];
	mode_t mode;
	bool written;
	char *text; /* FILE_MAX bytes */
	size_t size;
};

struct drafts {
	struct draft rows[FILES];
	unsigned count;
	struct hk_crypto *crypto;
};

static __attribute__((format(printf, 2, 3))) void say(struct draft *draft, const char *format, ...)
{
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(draft->text + draft->size, FILE_MAX - draft->size, format, arguments);
	va_end(arguments);
	if (size > 0 && draft->size + (size_t)size < FILE_MAX)
		draft->size += (size_t)size;
}

static struct draft *begin(struct drafts *drafts, const struct hk_keygen *keygen, const char *name,
	const char *suffix, mode_t mode)
{
	struct draft *draft = &drafts->rows[drafts->count];

	draft->text = calloc(1, FILE_MAX);
	if (!draft->text)
		return NULL;
	drafts->count++;
	snprintf(draft->path, sizeof(draft->path), "%s/%s%s", keygen->out, name, suffix);
	draft->mode = mode;
	return draft;
}

static void say_key(struct draft *draft, const __u8 *key, unsigned size)
{
	char text[65];

	hk_hex_format(key, size, text);
	say(draft, " key=%s", text);
	hk_wipe(text, sizeof(text));
}

static void say_master(struct draft *draft, const struct hk_keygen *keygen, const struct hk_keygen_host *host,
	const char *side, const __u8 *key)
{
	char receiver[HK_ADDRESS_TEXT];

	say(draft, "receiver=%s slot=%u generation=%u side=%s", hk_address_format(&host->address, receiver),
		keygen->slot, keygen->generation, side);
	say_key(draft, key, 32);
	say(draft, "\n");
}

/* One side of one SPI. A cbc-hmac key, and the HMAC side of ctr-hmac, take no salt. */
static void say_explicit(struct draft *draft, const struct hk_sa_name *name, const char *side,
	const __u8 *key, unsigned size, const __u8 *salt)
{
	bool psp = name->envelope == HK_ENVELOPE_PSP;
	char receiver[HK_ADDRESS_TEXT], text[9];

	say(draft, "receiver=%s spi=0x%08x", hk_address_format(&name->receiver, receiver), name->spi);
	if (psp)
		say(draft, " version=%u side=%s", name->variant, side);
	else
		say(draft, " suite=%s side=%s", hk_suite_name(name->variant), side);
	say_key(draft, key, size);
	if (!psp && salt) {
		hk_hex_format(salt, 4, text);
		say(draft, " salt=%s", text);
		hk_wipe(text, sizeof(text));
	}
	say(draft, "\n");
}

static __u32 spi_of(const struct hk_keygen *keygen, unsigned sender, unsigned serial)
{
	unsigned shift = keygen->envelope == HK_ENVELOPE_PSP ? 31 : 29;

	return (__u32)keygen->slot << shift | (SPI_BASE + (sender << 8) + serial);
}

static int derive(struct drafts *drafts, const struct hk_keygen *keygen,
	const struct hk_keygen_host *receiver, const struct hk_sa_name *name, struct hk_sa_keys *out,
	struct hk_error *error)
{
	struct hk_kdf_key enc, auth;
	int status = hk_kdf_key_init(&enc, receiver->enc);

	if (!status)
		status = hk_kdf_key_init(&auth, receiver->auth);
	if (!status)
		status = hk_sa_derive_keys(out, drafts->crypto, name, &enc,
			keygen->profile == HK_PROFILE_SPLIT ? &auth : NULL, error);
	hk_wipe(&enc, sizeof(enc));
	hk_wipe(&auth, sizeof(auth));
	return status;
}

/* What `sender` needs to send to `receiver` with one SPI. */
static int say_sa(struct drafts *drafts, struct draft *draft, const struct hk_keygen *keygen, unsigned sender,
	const struct hk_keygen_host *receiver, unsigned serial, struct hk_error *error)
{
	struct hk_sa_name name = {keygen->envelope, keygen->variant, keygen->mkid,
		spi_of(keygen, sender, serial), receiver->address};
	bool split = keygen->profile == HK_PROFILE_SPLIT, cbc = false, auth_salt = false;
	struct hk_sa_keys keys;
	int status = derive(drafts, keygen, receiver, &name, &keys, error);

	if (keygen->envelope == HK_ENVELOPE_ESP) {
		cbc = keygen->variant == HK_SUITE_CBC_HMAC;
		auth_salt = keygen->variant == HK_SUITE_GCM_SPLIT;
	}
	if (!status) {
		say_explicit(draft, &name, split ? "enc" : "single", keys.enc, keys.key_size,
			cbc ? NULL : keys.salt_enc);
		if (split)
			say_explicit(draft, &name, "auth", keys.auth, keys.key_size,
				auth_salt ? keys.salt_auth : NULL);
	}
	hk_wipe(&keys, sizeof(keys));
	return status;
}

static bool can_talk(const struct hk_keygen_host *a, const struct hk_keygen_host *b)
{
	return a != b && hk_address_is_v4(&a->address) == hk_address_is_v4(&b->address);
}

static int draft_host_keys(
	struct drafts *drafts, const struct hk_keygen *keygen, unsigned index, struct hk_error *error)
{
	const struct hk_keygen_host *host = &keygen->hosts[index];
	struct draft *draft = begin(drafts, keygen, host->name, ".keys", 0600);
	bool split = keygen->profile == HK_PROFILE_SPLIT;
	unsigned i, serial;
	int status = 0;

	if (!draft)
		return -ENOMEM;
	say(draft, "# Keys of host %s. Both sides are in here: never put this file on the box.\n",
		host->name);
	say(draft, "# What it receives with:\n");
	say_master(draft, keygen, host, split ? "enc" : "single", host->enc);
	if (split)
		say_master(draft, keygen, host, "auth", host->auth);
	for (i = 0; i < keygen->hosts_count; i++) {
		if (!can_talk(host, &keygen->hosts[i]))
			continue;
		say(draft, "# What it sends to %s with; nobody else has these SPIs:\n",
			keygen->hosts[i].name);
		for (serial = 0; serial < keygen->spis && !status; serial++)
			status = say_sa(drafts, draft, keygen, index, &keygen->hosts[i], serial, error);
	}
	return status;
}

static int draft_box(struct drafts *drafts, const struct hk_keygen *keygen)
{
	struct draft *draft = begin(drafts, keygen, "box", ".keys", 0600);
	bool split = keygen->profile == HK_PROFILE_SPLIT;
	unsigned i;

	if (!draft)
		return -ENOMEM;
	say(draft,
		split ? "# The box's keys: the encryption side alone. With them it sees and cannot forge.\n"
		      : "# The box's keys, profile single: whoever holds them can forge as well.\n");
	for (i = 0; i < keygen->hosts_count; i++)
		say_master(draft, keygen, &keygen->hosts[i], split ? "enc" : "single", keygen->hosts[i].enc);
	return 0;
}

/* The routes to a host: its addresses as single ones, and the prefixes behind it. */
static void say_routes(struct draft *draft, const struct hk_keygen_host *host)
{
	unsigned i;

	say(draft, ", routes: [");
	for (i = 0; i < host->inner_count; i++) {
		const char *inner = host->inner[i];

		say(draft, "%s\"%.*s\"", i ? ", " : "",
			host->inner_is_address[i] ? (int)strcspn(inner, "/") : (int)strlen(inner), inner);
	}
	say(draft, "]");
}

static void say_device(struct draft *draft, const struct hk_keygen_host *host)
{
	bool first = true;
	unsigned i;

	say(draft, "device: {name: %s, addresses: [", hk_address_is_v4(&host->address) ? "hk0" : "hk6");
	for (i = 0; i < host->inner_count; i++) {
		if (!host->inner_is_address[i])
			continue;
		say(draft, "%s\"%s\"", first ? "" : ", ", host->inner[i]);
		first = false;
	}
	say(draft, "]}\n");
}

static int draft_tunnel(
	struct drafts *drafts, const struct hk_keygen *keygen, const struct hk_keygen_host *host)
{
	struct draft *draft = begin(drafts, keygen, host->name, ".tunnel.yaml", 0644);
	char text[HK_ADDRESS_TEXT];
	unsigned i;

	if (!draft)
		return -ENOMEM;
	say(draft, "# halfkey-endpoint tunnel -c THIS; add --first-use at the very first start\n");
	say(draft, "keys: %s.keys\nstate: %s.state\nlocal: \"%s\"\n", host->name, host->name,
		hk_address_format(&host->address, text));
	if (keygen->envelope == HK_ENVELOPE_PSP)
		say(draft, "envelope: psp\nversion: %u\n", keygen->variant);
	else
		say(draft, "envelope: esp\nsuite: %s\nmkid: %u\ncarrier: %s\n",
			hk_suite_name(keygen->variant), keygen->mkid, keygen->carrier);
	say_device(draft, host);
	say(draft, "peers:\n");
	for (i = 0; i < keygen->hosts_count; i++) {
		const struct hk_keygen_host *peer = &keygen->hosts[i];

		if (!can_talk(host, peer))
			continue;
		say(draft, "  - {remote: \"%s\"", hk_address_format(&peer->address, text));
		if (peer->inner_count)
			say_routes(draft, peer);
		say(draft, "}\n");
	}
	return 0;
}

static int draft_domain(struct drafts *drafts, const struct hk_keygen *keygen)
{
	struct draft *draft = begin(drafts, keygen, "domain", ".yaml", 0644);
	char text[HK_ADDRESS_TEXT];
	unsigned i;

	if (!draft)
		return -ENOMEM;
	say(draft, "# For halfkeyd's configuration; `keys` is relative to the configuration's directory.\n");
	say(draft, "domains:\n  - name: %s\n    envelope: %s\n    profile: %s\n", keygen->domain,
		hk_envelope_name(keygen->envelope), hk_profile_name(keygen->profile));
	if (keygen->envelope == HK_ENVELOPE_ESP)
		say(draft, "    suite: %s\n    mkid: %u\n", hk_suite_name(keygen->variant), keygen->mkid);
	say(draft, "    receivers: [");
	for (i = 0; i < keygen->hosts_count; i++)
		say(draft, "%s\"%s\"", i ? ", " : "", hk_address_format(&keygen->hosts[i].address, text));
	say(draft, "]\n    keys: box.keys\n");
	return 0;
}

static int draft_all(struct drafts *drafts, const struct hk_keygen *keygen, struct hk_error *error)
{
	int status = draft_box(drafts, keygen);
	unsigned i;

	for (i = 0; i < keygen->hosts_count && !status; i++) {
		status = draft_host_keys(drafts, keygen, i, error);
		if (!status)
			status = draft_tunnel(drafts, keygen, &keygen->hosts[i]);
	}
	if (!status)
		status = draft_domain(drafts, keygen);
	return status ? hk_error_set(error, -status, "the keys could not be made: %s", strerror(-status)) : 0;
}

static int write_file(struct draft *draft, struct hk_error *error)
{
	int status = hk_newfile_write(draft->path, draft->mode, draft->text, draft->size, error);

	draft->written = status == 0;
	return status;
}

/* All files or none: what was written before a failure goes again. */
static int write_all(struct drafts *drafts, struct hk_error *error)
{
	int status = 0;
	unsigned i;

	for (i = 0; i < drafts->count && !status; i++)
		status = write_file(&drafts->rows[i], error);
	for (i = 0; i < drafts->count && status; i++)
		if (drafts->rows[i].written)
			unlink(drafts->rows[i].path);
	return status;
}

static void report_key(const char *name, const char *side, const __u8 *key)
{
	static const __u8 label[32] = "halfkey keygen fingerprint";
	__u8 fingerprint[8];
	char text[17];

	hk_crypto_fingerprint(label, key, 32, fingerprint);
	hk_hex_format(fingerprint, 8, text);
	printf("  %-16s side=%-6s fingerprint %s\n", name, side, text);
}

static void report(const struct drafts *drafts, const struct hk_keygen *keygen)
{
	bool split = keygen->profile == HK_PROFILE_SPLIT;
	unsigned i;

	printf("wrote:\n");
	for (i = 0; i < drafts->count; i++)
		printf("  %s\n", drafts->rows[i].path);
	printf("master keys, slot %u, generation %u:\n", keygen->slot, keygen->generation);
	for (i = 0; i < keygen->hosts_count; i++) {
		report_key(keygen->hosts[i].name, split ? "enc" : "single", keygen->hosts[i].enc);
		if (split)
			report_key(keygen->hosts[i].name, "auth", keygen->hosts[i].auth);
	}
	if (!split)
		printf("note: profile single: whoever holds box.keys can forge packets\n");
}

static int draw_keys(struct hk_keygen *keygen, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < keygen->hosts_count; i++)
		if (RAND_priv_bytes(keygen->hosts[i].enc, 32) != 1 ||
			RAND_priv_bytes(keygen->hosts[i].auth, 32) != 1)
			return hk_error_set(error, EIO, "the system gives no random numbers");
	return 0;
}

int hk_keygen_write(struct hk_keygen *keygen, struct hk_error *error)
{
	struct drafts *drafts = calloc(1, sizeof(*drafts));
	int status = 0;
	unsigned i;

	if (!drafts)
		return hk_error_set(error, ENOMEM, "no memory for the files");
	drafts->crypto = hk_crypto_new("libcrypto");
	if (!drafts->crypto)
		status = hk_error_set(error, ENOMEM, "the crypto library does not start");
	if (!status && mkdir(keygen->out, 0700) && errno != EEXIST)
		status = hk_error_set(
			error, errno, "%s: cannot make the directory: %s", keygen->out, strerror(errno));
	if (!status)
		status = draw_keys(keygen, error);
	if (!status)
		status = draft_all(drafts, keygen, error);
	if (!status)
		status = write_all(drafts, error);
	if (!status)
		report(drafts, keygen);
	for (i = 0; i < drafts->count; i++) {
		hk_wipe(drafts->rows[i].text, FILE_MAX);
		free(drafts->rows[i].text);
	}
	hk_crypto_free(drafts->crypto);
	free(drafts);
	return status;
}

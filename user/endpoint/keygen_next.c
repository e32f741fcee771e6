// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From one generation to the next, without losing a packet: the box and every
 * host must be able to open what the new keys sealed before anybody seals with
 * them, and must go on with the old ones until the last packet of theirs is gone.
 * So `keygen --next` writes whole files, to be put in the place of one another:
 *
 *   box.accept.keys    both, then in the end box.keys; readers likewise
 *   NAME.accept.keys   sends as before, receives both
 *   NAME.change.keys   sends with the new keys, receives both
 *   NAME.keys          the new keys alone
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/files.h"
#include "user/base/text.h"
#include "user/endpoint/keygen.h"
#include "user/keys/keyfile.h"

#define FILE_MAX (16u << 20)
#define PATH	 (HK_NEWDIR_PATH + 64)

/* The lines of a host's old file that it receives with. */
struct receiving {
	const struct hk_keygen *keygen;
	const struct hk_address *address;
	const char *at; /* in the file */
	unsigned line;	/* that `at` begins */
	struct hk_secret_text *text;
};

static void skip_to(struct receiving *receiving, unsigned line)
{
	for (; receiving->line < line && *receiving->at; receiving->line++) {
		receiving->at += strcspn(receiving->at, "\n");
		receiving->at += *receiving->at == '\n';
	}
}

static int take_line(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct receiving *receiving = context;

	(void)error;
	if (receiving->keygen->row->share != HK_KEYGEN_BY_PAIR && line->form != HK_KEY_SENDER &&
		(!line->has_receiver || memcmp(&line->receiver.address, receiving->address,
						sizeof(*receiving->address)) != 0))
		return 0;
	skip_to(receiving, line->line);
	hk_secret_say(receiving->text, "%.*s\n", (int)strcspn(receiving->at, "\n"), receiving->at);
	return 0;
}

static char *read_old(const char *path, size_t *size, struct hk_error *error)
{
	struct hk_files files = {0};
	char *text = NULL;

	if (!hk_files_open(&files, HK_FILE_KEYS, ".", path, error))
		text = hk_files_read(&files, path, FILE_MAX, size, error);
	hk_files_close(&files);
	return text;
}

/* The file NAME.keys of the old directory; wiped and freed by the caller. NULL and a sentence. */
static char *read_named(const struct hk_keygen_set *set, const char *name, char path[PATH], size_t *size,
	struct hk_error *error)
{
	snprintf(path, PATH, "%.*s/%s.keys", HK_NEWDIR_PATH, set->keygen->next, name);
	return read_old(path, size, error);
}

int hk_keygen_put_accept(struct hk_keygen_set *set, const char *name, struct hk_error *error)
{
	struct hk_secret_text fresh = set->text;
	char path[PATH], *old;
	size_t size = 0;
	int status;

	old = read_named(set, name, path, &size, error);
	if (!old)
		return -EINVAL;
	memset(&set->text, 0, sizeof(set->text));
	hk_secret_say(&set->text, "%s# The next keys, to open with:\n%s", old, fresh.size ? fresh.data : "");
	status = hk_keygen_put(set, name, ".accept.keys", 0600, error);
	hk_secret_text_free(&fresh);
	hk_wipe(old, size);
	free(old);
	return status;
}

int hk_keygen_put_change(struct hk_keygen_set *set, unsigned index, struct hk_error *error)
{
	const struct hk_keygen_host *host = &set->keygen->hosts[index];
	struct receiving receiving = {
		.keygen = set->keygen, .address = &host->address, .line = 1, .text = &set->text};
	char path[PATH], *old;
	size_t size = 0;
	int status;

	old = read_named(set, host->name, path, &size, error);
	if (!old)
		return -EINVAL;
	receiving.at = old;
	hk_secret_say(&set->text, "# The keys before, to receive with while packets of theirs are about:\n");
	status = hk_keyfile_read(path, old, error, take_line, &receiving);
	hk_wipe(old, size);
	free(old);
	return status ? status : hk_keygen_put(set, host->name, ".change.keys", 0600, error);
}

/* A step of every host: `file` becomes its key file; then whoever seals with it hears of that. */
static void print_host_step(
	const struct hk_keygen *keygen, unsigned number, const char *file, const char *before_hangup)
{
	const char *name = keygen->row->share == HK_KEYGEN_BY_DOMAIN ? "hosts" : "NAME";

	printf("  %u. hosts: %s/%s%s in the place of %s.keys%s%s\n", number, keygen->out, name, file, name,
		before_hangup, keygen->row->say_tunnel ? ", SIGHUP to the tunnel" : "");
}

/* New SPIs need their nonce state first; a context goes on with the epochs it has. */
static const char *preparation(const struct hk_keygen *keygen)
{
	return keygen->row->say_tunnel && (keygen->row->derives || keygen->row->roots)
		       ? ",\n            halfkey-endpoint tunnel --first-use --prepare -c NAME.tunnel.yaml"
		       : "";
}

void hk_keygen_print_steps(const struct hk_keygen *keygen)
{
	printf("from the old keys to these without a loss, each step everywhere before the next:\n");
	printf("  1. box:   %s/box.accept.keys in the place of its key file, `halfkey reload`\n",
		keygen->out);
	print_host_step(keygen, 2, ".accept.keys", "");
	if (keygen->row->share == HK_KEYGEN_BY_DOMAIN)
		printf("  3. hosts: seal with slot %u (halfkey-endpoint seal --an %u)\n", keygen->slot,
			keygen->slot);
	else
		print_host_step(keygen, 3, ".change.keys", preparation(keygen));
	printf("     wait until the last packets under the old keys are through\n");
	print_host_step(keygen, 4, ".keys", "");
	printf("  5. box:   %s/box.keys in the place of its key file, `halfkey reload`\n", keygen->out);
}

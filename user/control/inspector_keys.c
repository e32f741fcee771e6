// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys that come and go while the inspector runs: from the control socket, from
 * files of a keys-dir that the starter watches, and by their own times. Each is
 * prepared here, then takes effect between two batches of all workers.
 */
#include "user/control/inspector_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "user/base/log.h"

#define LINE_BYTES 512
#define CONTROL	   "(control)"

static size_t text_max(const struct hk_inspector *inspector)
{
	return ((size_t)inspector->config->keys_max + 64) * LINE_BYTES;
}

/* Key text lies in memory that goes to no swap and no core file, and is wiped. */
struct text {
	char *bytes;
	size_t size;
};

static void text_free(struct text *text)
{
	if (!text->bytes)
		return;
	hk_wipe(text->bytes, text->size);
	munmap(text->bytes, text->size);
	text->bytes = NULL;
}

static int text_room(struct text *text, size_t size, const char *name, struct hk_error *error)
{
	text->size = size + 1;
	text->bytes = mmap(NULL, text->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (text->bytes == MAP_FAILED) {
		text->bytes = NULL;
		return hk_error_set(error, ENOMEM, "%s: out of memory", name);
	}
	(void)mlock(text->bytes, text->size); /* not everywhere allowed; said once, at the start */
	(void)madvise(text->bytes, text->size, MADV_DONTDUMP);
	return 0;
}

static int text_read(const struct hk_inspector *inspector, struct text *text, int fd, const char *name,
	struct hk_error *error)
{
	struct stat status;
	size_t at = 0;
	ssize_t got;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return hk_error_set(error, EINVAL, "%s: key lines come in a file", name);
	if (status.st_size < 0 || (size_t)status.st_size > text_max(inspector))
		return hk_error_set(
			error, EFBIG, "%s: is longer than %u keys can be", name, inspector->config->keys_max);
	if (text_room(text, (size_t)status.st_size, name, error) || !text->bytes)
		return -ENOMEM;
	while (at + 1 < text->size && (got = pread(fd, text->bytes + at, text->size - 1 - at, (off_t)at)) > 0)
		at += (size_t)got;
	if (memchr(text->bytes, '\0', at))
		return hk_error_set(error, EINVAL, "%s: holds a zero byte: this is not a text file", name);
	return 0;
}

struct committing {
	struct hk_key_change *change;
	struct hk_key_result *result;
	struct hk_error *error;
};

static int commit(void *context)
{
	struct committing *committing = context;
	int code = hk_keyring_commit(committing->change, committing->result, committing->error);

	return code ? code
		    : committing->result->retired + committing->result->expired +
				       committing->result->evicted >
			       0;
}

static int put_in_force(struct hk_inspector *inspector, struct hk_key_change *change,
	struct hk_key_result *result, struct hk_error *error)
{
	struct committing committing = {change, result, error};
	int code = hk_workers_change(inspector->workers, commit, &committing, error);

	hk_key_change_free(change);
	return code < 0 ? code : 0;
}

static int change_text(struct hk_inspector *inspector, struct hk_key_update *update, int fd,
	struct hk_key_result *result, struct hk_error *error)
{
	struct hk_key_change *change = NULL;
	struct text text = {0};
	int code = fd < 0 ? 0 : text_read(inspector, &text, fd, update->name, error);

	update->text = text.bytes ? text.bytes : "";
	if (!code)
		code = hk_keyring_prepare(&change, inspector->inspection->keyring, update, error);
	if (!code)
		code = put_in_force(inspector, change, result, error);
	text_free(&text);
	return code;
}

static const struct hk_domain_config *domain_named(const struct hk_inspector *inspector, const char *name)
{
	unsigned i;

	for (i = 0; i < inspector->config->domains_count; i++)
		if (strcmp(inspector->config->domains[i].name, name) == 0)
			return &inspector->config->domains[i];
	return NULL;
}

static void say_changed(const struct hk_domain_config *domain, const struct hk_key_result *result)
{
	hk_log_info("keys of domain %s: %u added, %u known, %u retired, %u with an end (control socket)",
		domain->name, result->added, result->known, result->retired, result->graced);
	if (result->filed)
		hk_log_warn(
			"keys of domain %s: %u of those with an end or retired stand in %s or other files: a "
			"new start would have them as the files say",
			domain->name, result->filed, result->file);
}

int hk_inspector_change_keys(struct hk_inspector *inspector, const struct hk_view_keys *wanted,
	struct hk_key_result *result, struct hk_error *error)
{
	struct hk_key_update update = {.domain = domain_named(inspector, wanted->domain),
		.name = CONTROL,
		.rotate = wanted->rotate,
		.grace_s = wanted->grace_s};
	int code;

	if (!update.domain)
		return hk_error_set(error, ENOENT, "there is no domain \"%.64s\"", wanted->domain);
	if (inspector->next)
		return hk_error_set(error, EBUSY, "a reload is under way: try again");
	code = change_text(inspector, &update, wanted->fd, result, error);
	if (!code)
		say_changed(update.domain, result);
	return code;
}

static void answer(const struct hk_inspector *inspector, int code, const struct hk_error *error)
{
	struct hk_request request = {.kind = HK_REQUEST_KEYS_TAKEN};

	request.answer.code = code;
	snprintf(request.answer.text, sizeof(request.answer.text), "%s", code ? error->text : "");
	if (hk_request_send(inspector->given.channel, &request, -1))
		hk_log_warn("the starter takes no answer");
}

void hk_inspector_keys_file(struct hk_inspector *inspector, const struct hk_request_keys *keys, int fd)
{
	struct hk_key_update update = {
		.domain = domain_named(inspector, keys->domain), .name = keys->path, .whole = true};
	struct hk_key_result result = {0};
	struct hk_error error = {0};
	int code = update.domain ? change_text(inspector, &update, fd, &result, &error)
				 : hk_error_set(&error, ENOENT, "there is no domain %s", keys->domain);

	answer(inspector, code, &error);
	if (!code && update.domain && update.domain->envelope != HK_ENVELOPE_TLS) /* logs grow all the time */
		hk_log_info("keys of domain %s: %u added, %u known, %u retired%s (%s)", update.domain->name,
			result.added, result.known, result.retired,
			result.withheld ? "; others stay away, the control socket retired or ended them" : "",
			keys->path);
	if (fd >= 0)
		close(fd);
}

void hk_inspector_keys_time(struct hk_inspector *inspector)
{
	struct hk_key_change *change = hk_keyring_due(inspector->inspection->keyring, (__u64)time(NULL));
	struct hk_key_result result = {0};
	struct hk_error error = {0};

	if (!change)
		return;
	if (put_in_force(inspector, change, &result, &error))
		hk_log_error("keys whose time came: %s", error.text);
	else
		hk_log_info(
			"keys: %u came into force, %u expired and are wiped", result.woken, result.expired);
}

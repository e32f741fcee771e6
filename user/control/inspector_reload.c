// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A reload as the inspector sees it: files arrive, then the configuration; the
 * next inspection is built beside the one in force, and takes its place only
 * when the starter says so. Every failure is a sentence for the starter, and
 * leaves what is in force alone.
 */
#include "user/control/inspector_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/control/config.h"
#include "user/control/fit.h"

#define TEXT_MAX (4u << 20)

void hk_inspector_forget(struct hk_inspector *inspector)
{
	hk_inspection_free(inspector->next);
	inspector->next = NULL;
	hk_config_free(inspector->next_config);
	inspector->next_config = NULL;
	hk_files_close(&inspector->next_files);
	memset(&inspector->next_files, 0, sizeof(inspector->next_files));
}

void hk_inspector_file(struct hk_inspector *inspector, const struct hk_request_file *file, int fd)
{
	/* the first file of a new reload ends whatever came of the last */
	if (inspector->next_config)
		hk_inspector_forget(inspector);
	if (hk_files_add(&inspector->next_files, (enum hk_file_kind)file->kind, file->path, fd))
		close(fd);
}

static char *text_read(int fd, __u64 size, struct hk_error *error)
{
	char *text = size <= TEXT_MAX ? malloc(size + 1) : NULL;
	ssize_t got = text ? pread(fd, text, size, 0) : -1;

	if (got < 0 || (__u64)got != size) {
		hk_error_set(error, EIO, "the new configuration did not arrive whole");
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

/* What only the keyring in force has, or knows of keys in files. */
static int keys_carry(struct hk_inspector *inspector, struct hk_error *error)
{
	int left = hk_keyring_carry(
		inspector->next->keyring, inspector->inspection->keyring, inspector->next_config);

	if (left < 0)
		return hk_error_set(error, -left,
			"no memory to look which keys of files were retired over the control socket: reload "
			"again when there is some");
	if (left)
		hk_log_warn("%d key%s from the control socket: no place in the new configuration, dropped",
			left, hk_plural(left));
	return 0;
}

static int next_build(struct hk_inspector *inspector, const struct hk_request_config *config, int fd,
	struct hk_error *error)
{
	char *text = text_read(fd, config->size, error);
	int err;

	if (!text)
		return -EIO;
	err = hk_config_parse(&inspector->next_config, config->path, text, config->size, HK_CONFIG_DAEMON,
		inspector->config, error);
	free(text);
	if (!err)
		err = hk_config_can_replace(inspector->config, inspector->next_config, error);
	if (!err)
		err = hk_inspection_new(&inspector->next, inspector->next_config, &inspector->next_files,
			inspector->arena, inspector->workers->count, error);
	if (!err)
		err = keys_carry(inspector, error);
	return err ? err : hk_fit_hooks(inspector->next->hooks, error);
}

static void answer(const struct hk_inspector *inspector, unsigned kind, __u64 generation, int code,
	const struct hk_error *error)
{
	struct hk_request request = {.kind = kind};

	request.answer.generation = generation;
	request.answer.code = code;
	snprintf(request.answer.text, sizeof(request.answer.text), "%s", code ? error->text : "");
	if (hk_request_send(inspector->given.channel, &request, -1))
		hk_log_warn("the starter takes no answer");
}

void hk_inspector_config(struct hk_inspector *inspector, const struct hk_request_config *config, int fd)
{
	struct hk_error error = {0};
	int err = next_build(inspector, config, fd, &error);

	close(fd);
	inspector->next_generation = config->generation;
	if (err)
		hk_inspector_forget(inspector);
	answer(inspector, HK_REQUEST_BUILT, config->generation, err, &error);
}

static int in_force(struct hk_inspector *inspector, __u64 generation, struct hk_error *error)
{
	int err;

	if (!inspector->next || generation != inspector->next_generation)
		return hk_error_set(error, ENOENT, "no configuration was built to put in force");
	err = hk_workers_swap(inspector->workers, inspector->next, error);
	if (err)
		return err;
	hk_keyring_inherit(inspector->next->keyring, inspector->inspection->keyring);
	hk_inspection_free(inspector->inspection);
	hk_config_free(inspector->own_config);
	inspector->inspection = inspector->next;
	inspector->config = inspector->own_config = inspector->next_config;
	inspector->next = NULL;
	inspector->next_config = NULL;
	hk_inspector_say_unlocked(inspector);
	return 0;
}

void hk_inspector_swap(struct hk_inspector *inspector, __u64 generation)
{
	struct hk_error error = {0}, feeds = {0};
	int err = in_force(inspector, generation, &error);

	/* the old outputs serve on where the new cannot be had */
	if (!err && inspector->given.feeds &&
		hk_feeds_reopen(inspector->given.feeds, inspector->config, &inspector->next_files, &feeds))
		hk_log_warn("%s", feeds.text);
	hk_inspector_forget(inspector);
	if (!err)
		hk_inspector_say_keyless(inspector);
	answer(inspector, HK_REQUEST_SWAPPED, generation, err, &error);
}

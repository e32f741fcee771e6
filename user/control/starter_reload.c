// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A reload as the starter sees it:
 *
 *   parse, open files ─► FILE… CONFIG ─► (inspector builds) ─► BUILT
 *     ─► receivers that go ─► SWAP ─► SWAPPED ─► receivers that come, policy
 *
 * Until BUILT says yes nothing has changed anywhere; a failure at any point
 * leaves the old configuration in force, with the sentence logged and kept.
 */
#include "user/control/starter_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/control/config.h"
#include "user/control/fit.h"
#include "user/dataplane/tables.h"
#include "user/dataplane/worker.h"

#define RELOAD_NS    (60ull * 1000000000)
#define CONFIG_BYTES (4u << 20)

static void next_forget(struct hk_starter *starter)
{
	hk_config_free(starter->next_config);
	starter->next_config = NULL;
	hk_files_close(&starter->next_files);
	memset(&starter->next_files, 0, sizeof(starter->next_files));
	starter->reload_deadline_ns = 0;
	starter->reload_swaps = false;
}

void hk_starter_reload_fail(struct hk_starter *starter, const char *why)
{
	/* the receivers that went come back: only a full kernel could refuse that */
	if (starter->reload_swaps)
		hk_loader_reload(starter->loader, starter->config, HK_TABLES_PUT, NULL);
	hk_log_error("reload refused, the old configuration stays in force: %s", why);
	snprintf(starter->reload_error, sizeof(starter->reload_error), "%s", why);
	starter->reload_failures++;
	next_forget(starter);
	hk_starter_say_status(starter);
}

/* The text once, so that what is parsed here and there cannot differ. */
static char *text_read(const struct hk_starter *starter, size_t *size, struct hk_error *error)
{
	struct hk_files files = {0};
	char *text = NULL;

	if (hk_files_open(&files, HK_FILE_SETTINGS, NULL, starter->path, error) == 0)
		text = hk_files_read(&files, starter->path, CONFIG_BYTES, size, error);
	hk_files_close(&files);
	return text;
}

static int outputs_open(const struct hk_config *config, struct hk_files *files, struct hk_error *error)
{
	const char *const paths[] = {config->feeds.eve_path, config->feeds.pcapng_path};
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < sizeof(paths) / sizeof(paths[0]); i++)
		if (paths[i])
			err = hk_files_open(files, HK_FILE_OUTPUT, config->directory, paths[i], error);
	return err;
}

static int next_open(struct hk_starter *starter, const char *text, size_t size, struct hk_error *error)
{
	int err = hk_config_parse(
		&starter->next_config, starter->path, text, size, HK_CONFIG_DAEMON, starter->config, error);

	if (!err)
		err = hk_config_can_replace(starter->config, starter->next_config, error);
	if (!err)
		err = hk_fit_config(starter->next_config, error);
	if (!err)
		err = hk_starter_keys_watch(starter, starter->next_config, error);
	if (!err)
		err = hk_config_open_files(starter->next_config, &starter->next_files, error);
	return err ? err : outputs_open(starter->next_config, &starter->next_files, error);
}

static int file_send(const struct hk_starter *starter, const struct hk_file *file)
{
	struct hk_request request = {.kind = HK_REQUEST_FILE};

	if (strlen(file->path) >= sizeof(request.file.path))
		return -ENAMETOOLONG;
	request.file.kind = file->kind;
	snprintf(request.file.path, sizeof(request.file.path), "%s", file->path);
	return hk_request_send(starter->channel, &request, file->fd);
}

static int config_send(struct hk_starter *starter, const char *text, size_t size)
{
	struct hk_request request = {.kind = HK_REQUEST_CONFIG};
	int fd = memfd_create("halfkey-config", MFD_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	request.config.generation = ++starter->generation;
	request.config.size = size;
	snprintf(request.config.path, sizeof(request.config.path), "%s", starter->path);
	if (write(fd, text, size) != (ssize_t)size)
		err = -EIO;
	if (!err)
		err = hk_request_send(starter->channel, &request, fd);
	close(fd);
	return err;
}

static int next_send(struct hk_starter *starter, const char *text, size_t size, struct hk_error *error)
{
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < starter->next_files.count; i++)
		err = file_send(starter, &starter->next_files.rows[i]);
	if (!err)
		err = config_send(starter, text, size);
	return err ? hk_error_set(error, -err, "the inspector takes no new configuration: %s", strerror(-err))
		   : 0;
}

void hk_starter_reload(struct hk_starter *starter)
{
	struct hk_error error = {0};
	size_t size = 0;
	char *text;

	if (starter->reload_deadline_ns || starter->child != HK_CHILD_READY) {
		starter->reload_wanted = true; /* one after the other */
		return;
	}
	starter->reload_wanted = false;
	text = text_read(starter, &size, &error);
	if (!text || next_open(starter, text, size, &error) || next_send(starter, text, size, &error))
		hk_starter_reload_fail(starter, error.text);
	else
		starter->reload_deadline_ns = hk_worker_clock(CLOCK_MONOTONIC) + RELOAD_NS;
	free(text);
}

void hk_starter_built(struct hk_starter *starter, const struct hk_request_answer *answer)
{
	struct hk_request request = {.kind = HK_REQUEST_SWAP, .number.generation = answer->generation};
	struct hk_error error = {0};
	int err;

	if (!starter->next_config || answer->generation != starter->generation)
		return;
	if (answer->code) {
		hk_starter_reload_fail(starter, answer->text);
		return;
	}
	starter->reload_swaps = true;
	err = hk_loader_reload(starter->loader, starter->next_config, HK_TABLES_REMOVE, &error);
	if (!err && hk_request_send(starter->channel, &request, -1))
		err = hk_error_set(&error, EPIPE, "the inspector does not answer");
	if (err)
		hk_starter_reload_fail(starter, error.text);
}

void hk_starter_swapped(struct hk_starter *starter, const struct hk_request_answer *answer)
{
	struct hk_error error = {0};

	if (!starter->next_config || answer->generation != starter->generation)
		return;
	if (answer->code) {
		hk_starter_reload_fail(starter, answer->text);
		return;
	}
	if (hk_loader_reload(starter->loader, starter->next_config, HK_TABLES_PUT, &error))
		hk_log_error("%s: the maps hold the old receivers or policy; reload again", error.text);
	if (starter->feeds)
		hk_feeds_reopen(starter->feeds, starter->next_config, &starter->next_files, NULL);
	hk_config_free(starter->config);
	hk_files_close(&starter->files);
	starter->config = starter->next_config;
	starter->files = starter->next_files;
	starter->next_config = NULL;
	memset(&starter->next_files, 0, sizeof(starter->next_files));
	next_forget(starter);
	starter->reloads++;
	starter->reload_error[0] = '\0';
	hk_log_info("reloaded: %u domain%s, %u hook%s in force", starter->config->domains_count,
		hk_plural(starter->config->domains_count), starter->config->hooks_count,
		hk_plural(starter->config->hooks_count));
	hk_starter_say_status(starter);
}

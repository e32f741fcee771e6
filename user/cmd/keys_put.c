// SPDX-License-Identifier: GPL-2.0-or-later
/* A pulled key set into a file or into halfkeyd: see keys_put.h. */
#include "user/cmd/keys_put.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/cmd/pages.h"
#include "user/control/client.h"
#include "user/control/keypush.h"
#include "user/keys/keyfile.h"

/* --- what is in it ---------------------------------------------------------------------------- */

struct name {
	struct hk_prefix receiver;
	__u8 slot;
	__u32 generation;
	long long id; /* negative: none */
};

struct names {
	bool reader;
	struct name *rows;
	unsigned count, room;
};

static int add_name(struct names *names, const struct hk_key_line *line)
{
	unsigned room = names->room ? 2 * names->room : 64;
	struct name *rows;

	if (names->count == names->room) {
		rows = realloc(names->rows, room * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		names->rows = rows;
		names->room = room;
	}
	names->rows[names->count++] = (struct name){
		line->receiver, line->slot, line->generation, line->has_id ? (long long)line->id : -1};
	return 0;
}

/* The server is asked for nothing else; this is for the day it errs, or is not ours any more. */
static int check_line(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	const struct names *names = context;

	if (names->reader ? line->side != HK_SIDE_READER
			  : line->side != HK_SIDE_ENC && line->side != HK_SIDE_SINGLE)
		return hk_error_set(error, EPERM,
			"the key server sent a key of a side that a %s must not hold: nothing is taken",
			names->reader ? "reader" : "box");
	if (line->form != HK_KEY_MASTER || !line->has_receiver)
		return hk_error_set(error, EPROTO,
			"the key server sent a line that is no receiver's master key: nothing is taken");
	return add_name(context, line);
}

/* --- into a file ------------------------------------------------------------------------------ */

static int write_whole(int fd, const char *text, size_t size)
{
	ssize_t some;

	while (size) {
		some = write(fd, text, size);
		if (some < 0 && errno != EINTR)
			return -errno;
		text += some > 0 ? some : 0;
		size -= some > 0 ? (size_t)some : 0;
	}
	return fsync(fd) ? -errno : 0;
}

static void sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(directory);
}

/* Under another name first, then renamed: no reader ever sees half of it. */
static int replace_file(const char *path, const char *text, struct hk_error *error)
{
	char *draft = NULL;
	int fd = -1, status = asprintf(&draft, "%s.new", path) < 0 ? -ENOMEM : 0;

	if (!status) {
		(void)unlink(draft);
		fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		status = fd < 0 ? -errno : write_whole(fd, text, strlen(text));
	}
	if (fd >= 0)
		close(fd);
	if (!status && rename(draft, path))
		status = -errno;
	if (status && draft && fd >= 0)
		(void)unlink(draft);
	free(draft);
	if (status)
		return hk_error_set(error, -status, "%s: cannot be written: %s", path, strerror(-status));
	sync_directory(path);
	return 0;
}

static int put_file(const struct hk_key_place *place, const char *lines, struct hk_error *error)
{
	char *argv[4] = {(char *)"reload", NULL, NULL, NULL};
	int argc = 1, status = replace_file(place->file, lines, error);

	if (status || !place->reload)
		return status;
	if (place->daemon.socket || place->daemon.instance) {
		argv[argc++] = (char *)(place->daemon.socket ? "-s" : "-i");
		argv[argc++] = (char *)(place->daemon.socket ? place->daemon.socket : place->daemon.instance);
	}
	optind = 0;
	if (hk_command_reload.run(argc, argv) == HK_EXIT_DONE)
		return 0;
	return hk_error_set(error, EIO, "%s is written, but halfkeyd did not take it", place->file);
}

/* --- into the running daemon ------------------------------------------------------------------ */

static bool named(const struct names *names, const json_t *row)
{
	long long slot = hk_number_of(row, "slot"), generation = hk_number_of(row, "generation");
	long long id = json_object_get(row, "id") ? hk_number_of(row, "id") : -1;
	struct hk_prefix receiver;
	unsigned i;

	if (hk_prefix_parse(hk_text_of(row, "receiver"), &receiver))
		return false;
	for (i = 0; i < names->count; i++)
		if (names->rows[i].slot == slot && names->rows[i].generation == generation &&
			names->rows[i].id == id &&
			memcmp(&names->rows[i].receiver, &receiver, sizeof(receiver)) == 0)
			return true;
	return false;
}

/* Put here by the control socket, and not in the set any more? */
static bool goes(const struct hk_key_place *place, const struct names *names, const json_t *row)
{
	return strcmp(hk_text_of(row, "domain"), place->into) == 0 &&
	       strcmp(hk_text_of(row, "kind"), "master") == 0 &&
	       (strcmp(hk_text_of(row, "side"), "reader") == 0) == place->reader &&
	       strcmp(hk_text_of(row, "source"), "the control socket") == 0 && !named(names, row);
}

/* Which of the daemon's keys the set has no more, as lines that take them away. */
static char *make_retired(const struct hk_key_place *place, const struct names *names)
{
	json_t *rows = hk_all_pages(&place->daemon, "keys", "keys"), *row;
	char *text = NULL;
	size_t size = 0, i;
	FILE *out = rows ? open_memstream(&text, &size) : NULL;

	json_array_foreach(rows, i, row)
	{
		if (!out || !goes(place, names, row))
			continue;
		fprintf(out, "retire slot=%lld generation=%lld receiver=%s", hk_number_of(row, "slot"),
			hk_number_of(row, "generation"), hk_text_of(row, "receiver"));
		if (json_object_get(row, "id"))
			fprintf(out, " id=%lld", hk_number_of(row, "id"));
		fputs(place->reader ? " side=reader\n" : "\n", out);
	}
	json_decref(rows);
	if (out)
		fclose(out);
	return text;
}

/* The whole change in the daemon's words. Wipe and free. */
static char *make_change(const struct hk_key_place *place, const struct names *names, const char *lines)
{
	char *retired = make_retired(place, names);
	size_t size = retired ? strlen(retired) + strlen(lines) + 1 : 0;
	char *text = retired ? malloc(size) : NULL;

	if (text)
		snprintf(text, size, "%s%s", retired, lines);
	free(retired);
	return text;
}

static struct hk_key_holder holder_of(const struct hk_key_place *place, struct hk_error *error)
{
	char *path = hk_socket_path(&place->daemon, error);
	json_t *status = path ? hk_control_ask(path, json_pack("{s:s}", "command", "status"), error) : NULL;
	const json_t *processes = json_object_get(status, "processes");
	struct hk_key_holder holder = {.process = hk_number_of(processes, "inspector"),
		.started_ns = hk_number_of(processes, "inspector_started_ns")};

	json_decref(status);
	free(path);
	return holder;
}

static int push(const struct hk_key_place *place, const char *text, struct hk_error *error)
{
	char *path = hk_socket_path(&place->daemon, error);
	struct hk_key_push change = {
		.socket = path, .domain = place->into, .text = text, .size = strlen(text)};
	struct hk_key_pushed done;
	int status = path ? hk_control_push_keys(&change, &done, error) : -EINVAL;

	if (!status)
		hk_log_info("halfkeyd, domain %s: %u keys added, %u known, %u retired", place->into,
			done.added, done.known, done.retired);
	free(path);
	return status;
}

static int put_daemon(
	struct hk_key_place *place, const struct names *names, const char *lines, struct hk_error *error)
{
	struct hk_key_holder holder = holder_of(place, error);
	char *text;
	int status;

	if (!holder.process)
		return -EIO;
	text = make_change(place, names, lines);
	if (!text)
		return hk_error_set(error, EIO, "halfkeyd does not say which keys it has");
	status = push(place, text, error);
	hk_wipe(text, strlen(text));
	free(text);
	if (!status)
		place->holder = holder;
	return status;
}

int hk_keys_put(struct hk_key_place *place, const char *lines, struct hk_error *error)
{
	struct names names = {.reader = place->reader};
	int status = hk_keyfile_read("key server", lines, error, check_line, &names);

	if (!status)
		status =
			place->into ? put_daemon(place, &names, lines, error) : put_file(place, lines, error);
	free(names.rows);
	return status;
}

int hk_keys_still_there(const struct hk_key_place *place, struct hk_error *error)
{
	const struct hk_key_holder *put = &place->holder;
	struct hk_error ignored = {{0}};
	struct hk_key_holder now;

	if (!put->process)
		return 0;
	now = holder_of(place, &ignored);
	if (now.process == put->process && now.started_ns == put->started_ns)
		return 0;
	return hk_error_set(
		error, ESTALE, "halfkeyd, domain %s: not the process that got the keys", place->into);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Epochs of derived-key contexts: see epoch.h. */
#include "user/endpoint/epoch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

struct hk_epochs {
	int fd;		/* -1: a fresh context, nothing is kept */
	bool untouched; /* made by this process, and nothing given out yet */
	__u32 last;
	char path[512], sender[HK_SENDER_TEXT];
};

static int failed(struct hk_error *error, const struct hk_epochs *epochs, int code, const char *what)
{
	return hk_error_set(
		error, code ? code : EIO, "%s: cannot %s the epoch: %s", epochs->path, what, strerror(code));
}

static int open_state(struct hk_epochs *epochs, const struct hk_state_place *place, const char *name,
	struct hk_error *error)
{
	epochs->fd = hk_state_file(place, name);
	if (epochs->fd == -EEXIST)
		return hk_error_set(error, EEXIST,
			"%s: this context was used before, so this is not its first use: start without "
			"--first-use",
			epochs->path);
	if (epochs->fd == -ENOENT)
		return hk_error_set(error, ENOENT,
			"%s: no epoch for this context: if it never sealed anything, start once with "
			"--first-use; if the state was lost, take another context",
			epochs->path);
	if (epochs->fd < 0)
		return failed(error, epochs, -epochs->fd, "open");
	if (!flock(epochs->fd, LOCK_EX | LOCK_NB))
		return 0;
	return hk_error_set(
		error, EBUSY, "%s: another process seals in this context: take another one", epochs->path);
}

static int read_state(struct hk_epochs *epochs, struct hk_error *error)
{
	char text[HK_STATE_TEXT], name[HK_SENDER_TEXT];
	const char *why = NULL;
	int status = hk_state_read(epochs->fd, text, &why), end = 0;

	if (status && status != -EUCLEAN)
		return failed(error, epochs, -status, "read");
	if (!status &&
		(sscanf(text, "halfkey-epoch 2 epoch=%u sender=%63s%n", &epochs->last, name, &end) != 2 ||
			text[end]))
		status = -EUCLEAN;
	if (status)
		return hk_error_set(error, EUCLEAN,
			"%s: the epoch state %s, so a key stream could repeat: take another context",
			epochs->path, why ? why : "is corrupt");
	if (strcmp(name, epochs->sender) != 0)
		return hk_error_set(error, EBUSY,
			"%s: this context belongs to sender '%s', not to '%s': a context has one sender",
			epochs->path, name, epochs->sender);
	return 0;
}

static int write_state(struct hk_epochs *epochs, __u32 epoch, struct hk_error *error)
{
	char text[HK_STATE_TEXT];

	if (epochs->fd < 0)
		return 0;
	snprintf(text, sizeof(text), "halfkey-epoch 2 epoch=%u sender=%s", epoch, epochs->sender);
	errno = 0;
	return hk_state_write(epochs->fd, text) ? failed(error, epochs, errno, "write") : 0;
}

static int open_fresh(struct hk_epochs **out, struct hk_error *error)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return hk_error_set(error, ENOMEM, "no memory for an epoch");
	(*out)->fd = -1;
	return 0;
}

int hk_epochs_open(struct hk_epochs **out, const struct hk_state_place *place, __u32 mkid, __u64 context,
	struct hk_error *error)
{
	struct hk_epochs *epochs;
	char name[64];
	bool opened;
	int status;

	if (place->fresh)
		return open_fresh(out, error);
	status = hk_state_sender(place->sender, error);
	if (!status && !place->opener)
		status = hk_state_directory(place->directory, error);
	epochs = status ? NULL : calloc(1, sizeof(*epochs));
	if (!epochs)
		return hk_error_set(error, status ? -status : ENOMEM, "no memory for an epoch");
	snprintf(name, sizeof(name), "dkc-%u-%016llx.epoch", mkid, (unsigned long long)context);
	snprintf(epochs->path, sizeof(epochs->path), "%.400s/%s", place->directory, name);
	snprintf(epochs->sender, sizeof(epochs->sender), "%s", place->sender);
	epochs->untouched = place->first_use;
	status = open_state(epochs, place, name, error);
	opened = !status;
	if (opened)
		status = place->first_use ? write_state(epochs, 0, error) : read_state(epochs, error);
	if (status)
		hk_epochs_close(epochs, opened); /* one that could not be written: as if never tried */
	else
		*out = epochs;
	return status;
}

int hk_epoch_next(struct hk_epochs *epochs, __u32 *epoch, struct hk_error *error)
{
	__u32 clock = (__u32)time(NULL);
	int status;

	if (epochs->last == 0xffffffff)
		return hk_error_set(
			error, EOVERFLOW, "%s: no epochs are left: take another context", epochs->path);
	*epoch = clock > epochs->last ? clock : epochs->last + 1;
	status = write_state(epochs, *epoch, error);
	if (status)
		return status;
	epochs->last = *epoch;
	epochs->untouched = false;
	return 0;
}

void hk_epochs_close(struct hk_epochs *epochs, bool undo)
{
	if (!epochs)
		return;
	if (undo && epochs->untouched)
		unlink(epochs->path);
	if (epochs->fd >= 0)
		close(epochs->fd);
	free(epochs);
}

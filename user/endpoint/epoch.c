// SPDX-License-Identifier: GPL-2.0-or-later
/* Epochs of derived-key contexts: see epoch.h. */
#include "user/endpoint/epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "user/endpoint/nonces.h"

#define RECORD 128

static int failed(struct hk_error *error, const char *path, const char *what)
{
	int code = errno;

	return hk_error_set(
		error, code ? code : EIO, "%s: cannot %s the epoch: %s", path, what, strerror(code));
}

static int open_state(const char *path, bool first_use, struct hk_error *error)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (first_use ? O_CREAT | O_EXCL : 0), 0600);

	if (fd < 0 && errno == EEXIST)
		return hk_error_set(error, EEXIST,
			"%s: this context was used before, so this is not its first use: start without "
			"--first-use",
			path);
	if (fd < 0 && errno == ENOENT)
		return hk_error_set(error, ENOENT,
			"%s: no epoch for this context: if it never sealed anything, start once with "
			"--first-use; if the state was lost, take another context",
			path);
	if (fd < 0)
		return failed(error, path, "open");
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return hk_error_set(
		error, EBUSY, "%s: another process seals in this context: take another one", path);
}

/* The last epoch of `sender`. */
static int read_state(int fd, const char *path, const char *sender, __u32 *last, struct hk_error *error)
{
	char text[RECORD + 1] = "", name[HK_SENDER_TEXT];

	if (pread(fd, text, RECORD, 0) < 0)
		return failed(error, path, "read");
	if (sscanf(text, "halfkey-epoch 1 epoch=%u sender=%63s end", last, name) != 2 ||
		!strstr(text, " end\n"))
		return hk_error_set(error, EUCLEAN,
			"%s: is no epoch state, so a key stream could repeat: take another context", path);
	if (strcmp(name, sender) != 0)
		return hk_error_set(error, EBUSY,
			"%s: this context belongs to sender '%s', not to '%s': a context has one sender",
			path, name, sender);
	return 0;
}

static int write_state(int fd, const char *path, const char *sender, __u32 epoch, struct hk_error *error)
{
	char text[RECORD];

	memset(text, '\n', sizeof(text));
	snprintf(text, sizeof(text), "halfkey-epoch 1 epoch=%u sender=%s end\n", epoch, sender);
	if (pwrite(fd, text, sizeof(text), 0) != sizeof(text) || fsync(fd))
		return failed(error, path, "write");
	return 0;
}

int hk_epoch_next(const char *directory, __u32 mkid, __u64 context, const char *sender, bool first_use,
	__u32 *epoch, int *fd, struct hk_error *error)
{
	__u32 last = 0, clock = (__u32)time(NULL);
	char path[512];
	int status;

	if (!*sender || strlen(sender) >= HK_SENDER_TEXT || strpbrk(sender, " \t\n="))
		return hk_error_set(error, EINVAL, "sender '%.80s': must be one word", sender);
	status = hk_nonce_state_directory(directory, error);
	if (status)
		return status;
	snprintf(path, sizeof(path), "%s/dkc-%u-%016llx.epoch", directory, mkid, (unsigned long long)context);
	*fd = open_state(path, first_use, error);
	if (*fd < 0)
		return *fd;
	if (!first_use)
		status = read_state(*fd, path, sender, &last, error);
	if (!status && last == 0xffffffff)
		status = hk_error_set(error, EOVERFLOW, "%s: no epochs are left: take another context", path);
	*epoch = clock > last ? clock : last + 1;
	if (!status)
		status = write_state(*fd, path, sender, *epoch, error);
	if (status) {
		close(*fd);
		*fd = -1;
	}
	return status;
}

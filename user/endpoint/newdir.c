// SPDX-License-Identifier: GPL-2.0-or-later
/* A directory of new files with keys: see newdir.h. */
#include "user/endpoint/newdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *text, size_t size)
{
	ssize_t done;

	for (; size; text += done, size -= (size_t)done) {
		done = write(fd, text, size);
		if (done < 0 && errno == EINTR)
			done = 0;
		if (done < 0)
			return -errno;
	}
	return 0;
}

static int write_new(const char *path, mode_t mode, const char *text, size_t size, struct hk_error *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int status;

	if (fd < 0 && errno == EEXIST)
		return hk_error_set(error, EEXIST,
			"%s exists: keys are never overwritten; choose another directory", path);
	if (fd < 0)
		return hk_error_set(error, errno, "%s: cannot write: %s", path, strerror(errno));
	status = write_all(fd, text, size);
	if (close(fd) && !status)
		status = -errno;
	if (!status)
		return 0;
	unlink(path);
	return hk_error_set(error, -status, "%s: cannot write all of it: %s", path, strerror(-status));
}

/* --- directories --- */

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int refuse_occupied(const char *path, struct hk_error *error)
{
	return hk_error_set(error, EEXIST,
		"%s is there already, and no empty directory: keys are never overwritten; choose another one",
		path);
}

/* 0: not there, or an empty directory. */
static int check_free(const char *path, struct hk_error *error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), status = 0;
	struct dirent *entry;
	DIR *list;

	if (fd < 0 && errno == ENOENT)
		return 0;
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		if (fd >= 0)
			close(fd);
		return refuse_occupied(path, error);
	}
	while (!status && (entry = readdir(list)))
		if (!is_dot(entry->d_name))
			status = refuse_occupied(path, error);
	closedir(list);
	return status;
}

static void hold_signals(struct hk_newdir *dir)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGPIPE);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &dir->signals);
}

int hk_newdir_begin(struct hk_newdir *dir, const char *path, struct hk_error *error)
{
	size_t length = strlen(path);
	int status;

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (!length || length + 8 > sizeof(dir->path))
		return hk_error_set(error, EINVAL, "directory '%.80s': must be a path of at most %zu bytes",
			path, sizeof(dir->path) - 8);
	snprintf(dir->path, sizeof(dir->path), "%.*s", (int)length, path);
	status = check_free(dir->path, error);
	if (status)
		return status;
	hold_signals(dir);
	snprintf(dir->stage, sizeof(dir->stage), "%.*s.XXXXXX", (int)length, path);
	if (mkdtemp(dir->stage)) { /* mode 0700 */
		dir->begun = true;
		return 0;
	}
	status = hk_error_set(error, errno, "%s: cannot be made: %s", dir->path, strerror(errno));
	sigprocmask(SIG_SETMASK, &dir->signals, NULL);
	return status;
}

int hk_newdir_write(struct hk_newdir *dir, const char *name, mode_t mode, const char *text, size_t size,
	struct hk_error *error)
{
	char path[2 * HK_NEWDIR_PATH];

	snprintf(path, sizeof(path), "%s/%s", dir->stage, name);
	return write_new(path, mode, text, size, error);
}

/* `sync`: fsync() for the names in it, syncfs() for hundreds of files in one go. */
static int sync_directory(const char *path, int (*sync)(int fd))
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;

	if (fd < 0)
		return -errno;
	status = sync(fd) ? -errno : 0;
	close(fd);
	return status;
}

/* The directory that holds it, so that its name is on disk as well. */
static int sync_parent(const char *path)
{
	char parent[HK_NEWDIR_PATH];
	const char *slash = strrchr(path, '/');

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	return sync_directory(parent, fsync);
}

int hk_newdir_finish(struct hk_newdir *dir, struct hk_error *error)
{
	int status = sync_directory(dir->stage, syncfs);

	if (!status && rename(dir->stage, dir->path))
		status = -errno;
	if (status == -ENOTEMPTY || status == -EEXIST || status == -ENOTDIR)
		status = refuse_occupied(dir->path, error);
	if (status) {
		hk_error_set(error, -status, "%s: cannot be made: %s", dir->path, strerror(-status));
		hk_newdir_abort(dir);
		return status;
	}
	dir->begun = false;
	status = sync_parent(dir->path);
	sigprocmask(SIG_SETMASK, &dir->signals, NULL);
	if (status)
		hk_error_set(error, -status, "%s: is there, but cannot be synced: %s", dir->path,
			strerror(-status));
	return status;
}

void hk_newdir_abort(struct hk_newdir *dir)
{
	struct dirent *entry;
	DIR *list;

	if (!dir->begun)
		return;
	list = opendir(dir->stage);
	while (list && (entry = readdir(list)))
		if (!is_dot(entry->d_name))
			unlinkat(dirfd(list), entry->d_name, 0);
	if (list)
		closedir(list);
	rmdir(dir->stage);
	dir->begun = false;
	sigprocmask(SIG_SETMASK, &dir->signals, NULL);
}

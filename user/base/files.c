// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files a configuration names: see files.h. Rules are checked on the open
 * descriptor, never on the path, so that nothing can change between check and use.
 */
#include "user/base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <halfkey/crypto.h>

static struct hk_file *find(const struct hk_files *files, const char *path)
{
	unsigned i;

	for (i = 0; i < files->count; i++)
		if (strcmp(files->rows[i].path, path) == 0)
			return &files->rows[i];
	return NULL;
}

static bool owner_is_trusted(const struct stat *status)
{
	return status->st_uid == 0 || status->st_uid == geteuid();
}

static int check_keys(const char *path, const struct stat *status, struct hk_error *error)
{
	if (!owner_is_trusted(status))
		return hk_error_set(error, EPERM,
			"%s: a key file must belong to root or to you, this one belongs to uid %u: chown it",
			path, status->st_uid);
	if (status->st_mode & 077)
		return hk_error_set(error, EPERM, "%s: mode %04o lets others at the keys: chmod 0600 it",
			path, status->st_mode & 07777);
	return 0;
}

static int check_settings(const char *path, const struct stat *status, struct hk_error *error)
{
	if (!owner_is_trusted(status))
		return hk_error_set(error, EPERM,
			"%s: must belong to root or to you, belongs to uid %u: chown it", path,
			status->st_uid);
	if (status->st_mode & 022)
		return hk_error_set(error, EPERM,
			"%s: mode %04o lets others than its owner write it: chmod go-w it", path,
			status->st_mode & 07777);
	return 0;
}

static int check_rules(enum hk_file_kind kind, const char *path, int fd, struct hk_error *error)
{
	struct stat status;

	if (fstat(fd, &status))
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return hk_error_set(error, EINVAL, "%s: is not a regular file", path);
	if (kind == HK_FILE_KEYS)
		return check_keys(path, &status, error);
	if (kind == HK_FILE_SETTINGS)
		return check_settings(path, &status, error);
	return 0;
}

/*
 * Settings may be links (a distribution's .so is one): what counts is who owns
 * and writes the file in the end. O_NONBLOCK: a FIFO must not hold us up.
 */
static int open_flags(enum hk_file_kind kind)
{
	switch (kind) {
	case HK_FILE_KEYS: return O_RDONLY | O_NOFOLLOW;
	case HK_FILE_SETTINGS: return O_RDONLY;
	case HK_FILE_OUTPUT: return O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW;
	}
	return -1;
}

static int open_in(const char *directory, const char *path, int flags)
{
	int at = AT_FDCWD, fd, code;

	if (directory && path[0] != '/') {
		at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (at < 0)
			return -errno;
	}
	fd = openat(at, path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	code = fd < 0 ? -errno : fd;
	if (at != AT_FDCWD)
		close(at);
	return code;
}

static int refuse_open(
	int code, enum hk_file_kind kind, const char *directory, const char *path, struct hk_error *error)
{
	if (code == ELOOP)
		return hk_error_set(error, code,
			"%s: is a symbolic link, which is not followed here: name the file itself", path);
	if (code == ENXIO)
		return hk_error_set(error, code, "%s: is not a regular file", path);
	if (path[0] != '/' && directory)
		return hk_error_set(error, code, "%s (in %s): cannot be %s: %s", path, directory,
			kind == HK_FILE_OUTPUT ? "opened for writing" : "read", strerror(code));
	return hk_error_set(error, code, "%s: cannot be %s: %s", path,
		kind == HK_FILE_OUTPUT ? "opened for writing" : "read", strerror(code));
}

int hk_files_add(struct hk_files *files, enum hk_file_kind kind, const char *path, int fd)
{
	struct hk_file *rows = realloc(files->rows, (files->count + 1) * sizeof(*rows));
	char *copy = strdup(path);

	if (rows)
		files->rows = rows;
	if (!rows || !copy) {
		free(copy);
		close(fd);
		return -ENOMEM;
	}
	rows[files->count++] = (struct hk_file){.kind = kind, .path = copy, .fd = fd};
	return 0;
}

int hk_files_open(struct hk_files *files, enum hk_file_kind kind, const char *directory, const char *path,
	struct hk_error *error)
{
	const struct hk_file *known = find(files, path);
	int fd, code;

	if (known && known->kind == kind)
		return 0;
	if (known)
		return hk_error_set(error, EINVAL, "%s: is named for two different purposes", path);
	fd = open_in(directory, path, open_flags(kind));
	if (fd < 0)
		return refuse_open(-fd, kind, directory, path, error);
	code = check_rules(kind, path, fd, error);
	if (code) {
		close(fd);
		return code;
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	code = hk_files_add(files, kind, path, fd);
	return code ? hk_error_set(error, -code, "%s: out of memory", path) : 0;
}

void hk_files_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* what is opened too much says so */
}

bool hk_files_is_key_name(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".keys") == 0;
}

static int check_directory(DIR *open, const char *path, struct hk_error *error)
{
	struct stat status;

	if (fstat(dirfd(open), &status))
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	return check_settings(path, &status, error);
}

static int open_named(struct hk_files *files, const char *directory, const char *path, const char *name,
	struct hk_error *error)
{
	char *whole = NULL;
	int code;

	if (asprintf(&whole, "%s/%s", path, name) < 0)
		return hk_error_set(error, ENOMEM, "%s: out of memory", path);
	code = hk_files_open(files, HK_FILE_KEYS, directory, whole, error);
	free(whole);
	return code;
}

static int is_key_entry(const struct dirent *entry)
{
	return hk_files_is_key_name(entry->d_name);
}

int hk_files_open_directory(
	struct hk_files *files, const char *directory, const char *path, struct hk_error *error)
{
	int fd = open_in(directory, path, O_RDONLY | O_DIRECTORY), code, count = 0, i;
	struct dirent **names = NULL;
	DIR *open;

	if (fd < 0)
		return refuse_open(-fd, HK_FILE_KEYS, directory, path, error);
	open = fdopendir(fd);
	if (!open) {
		close(fd);
		return hk_error_set(error, ENOMEM, "%s: out of memory", path);
	}
	code = check_directory(open, path, error);
	if (!code)
		count = scandirat(fd, ".", &names, is_key_entry, alphasort);
	if (count < 0)
		code = hk_error_set(error, errno, "%s: cannot be read: %s", path, strerror(errno));
	for (i = 0; i < count; i++) {
		if (!code)
			code = open_named(files, directory, path, names[i]->d_name, error);
		free(names[i]);
	}
	free(names);
	closedir(open);
	return code;
}

void hk_files_drop(struct hk_files *files, const char *path)
{
	struct hk_file *file = find(files, path);

	if (!file)
		return;
	close(file->fd);
	free(file->path);
	*file = files->rows[--files->count];
}

int hk_files_get(const struct hk_files *files, const char *path)
{
	const struct hk_file *file = find(files, path);

	if (!file)
		return -ENOENT;
	lseek(file->fd, 0, SEEK_SET);
	return file->fd;
}

static ssize_t read_all(int fd, char *text, size_t max)
{
	size_t size = 0;
	ssize_t got;

	while (size < max) {
		got = read(fd, text + size, max - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

/* One byte more than allowed, so that "exactly max" and "too long" can be told apart. */
static char *read_text(int fd, const char *path, size_t max, size_t *size, struct hk_error *error)
{
	struct stat status;
	char *text;
	ssize_t got;

	if (fstat(fd, &status) == 0 && status.st_size >= 0 && (size_t)status.st_size < max)
		max = (size_t)status.st_size > 4096 ? (size_t)status.st_size : (max < 4096 ? max : 4096);
	text = malloc(max + 2);
	if (!text) {
		hk_error_set(error, ENOMEM, "%s: out of memory", path);
		return NULL;
	}
	got = read_all(fd, text, max + 1);
	if (got < 0)
		hk_error_set(error, (int)-got, "%s: cannot be read: %s", path, strerror((int)-got));
	else if ((size_t)got > max)
		hk_error_set(error, EFBIG, "%s: is longer than %zu bytes", path, max);
	else if (memchr(text, '\0', (size_t)got))
		hk_error_set(error, EINVAL, "%s: holds a zero byte: this is not a text file", path);
	else
		goto out;
	hk_wipe(text, max + 2);
	free(text);
	return NULL;
out:
	text[got] = '\0';
	*size = (size_t)got;
	return text;
}

char *hk_files_read(
	const struct hk_files *files, const char *path, size_t max, size_t *size, struct hk_error *error)
{
	int fd = hk_files_get(files, path);
	size_t length = 0;
	char *text;

	if (fd < 0) {
		hk_error_set(error, ENOENT, "%s: was not opened", path);
		return NULL;
	}
	text = read_text(fd, path, max, &length, error);
	if (text && size)
		*size = length;
	return text;
}

void hk_files_close(struct hk_files *files)
{
	unsigned i;

	for (i = 0; i < files->count; i++) {
		close(files->rows[i].fd);
		free(files->rows[i].path);
	}
	free(files->rows);
	memset(files, 0, sizeof(*files));
}

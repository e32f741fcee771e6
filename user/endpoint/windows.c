// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of replay windows: see windows.h. */
#include "user/endpoint/windows.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char magic[16] = "halfkey-window1";

struct table {
	char magic[16];
	__u32 count, size; /* of rows; of one */
	__u8 reserved[8];
	struct hk_window rows[HK_WINDOWS];
};

_Static_assert(sizeof(struct hk_window) == 40 + 144, "the file's format");
_Static_assert(offsetof(struct table, rows) == 32, "the file's format");

struct hk_windows {
	struct table *table;
	int fd;			  /* -1: in memory */
	__u8 claimed[HK_WINDOWS]; /* by this process */
};

/* A file made now is all zeros: it gets its head. */
static int check_table(struct table *table, const char *path, struct hk_error *error)
{
	static const char zeros[sizeof(table->magic)];

	if (memcmp(table->magic, zeros, sizeof(zeros)) == 0 && !table->count) {
		memcpy(table->magic, magic, sizeof(magic));
		table->count = HK_WINDOWS;
		table->size = sizeof(table->rows[0]);
	}
	if (memcmp(table->magic, magic, sizeof(magic)) == 0 && table->count == HK_WINDOWS &&
		table->size == sizeof(table->rows[0]))
		return 0;
	return hk_error_set(error, EUCLEAN,
		"%s: is no table of replay windows: remove it, and recorded packets can be taken once more; "
		"or make new keys",
		path);
}

static int map_file(struct hk_windows *windows, const char *path, struct hk_error *error)
{
	struct stat status;
	int code;

	windows->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (windows->fd < 0 || fstat(windows->fd, &status))
		return hk_error_set(error, errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (flock(windows->fd, LOCK_EX | LOCK_NB))
		return hk_error_set(error, EBUSY,
			"%s: another process receives for this address: stop it first, or take another state "
			"directory",
			path);
	if (!S_ISREG(status.st_mode) || (status.st_size && status.st_size != sizeof(struct table)))
		return hk_error_set(error, EUCLEAN,
			"%s: %lld bytes are no table of replay windows: remove it, and recorded packets can "
			"be taken once more; or make new keys",
			path, (long long)status.st_size);
	/* its blocks are there before the first packet: a full disk would be a signal then */
	code = posix_fallocate(windows->fd, 0, sizeof(struct table));
	if (code)
		return hk_error_set(error, code, "%s: no room for it: %s", path, strerror(code));
	windows->table = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, windows->fd, 0);
	if (windows->table != MAP_FAILED)
		return check_table(windows->table, path, error);
	windows->table = NULL;
	return hk_error_set(error, errno, "%s: cannot be mapped: %s", path, strerror(errno));
}

static int open_file(struct hk_windows *windows, const struct hk_state_place *place, const char *name,
	struct hk_error *error)
{
	int status = hk_state_directory(place->directory, error);
	char path[512];

	if (!status && snprintf(path, sizeof(path), "%s/%s", place->directory, name) >= (int)sizeof(path))
		status = hk_error_set(
			error, ENAMETOOLONG, "%s: too long a path for the state directory", place->directory);
	return status ? status : map_file(windows, path, error);
}

int hk_windows_open(
	struct hk_windows **out, const struct hk_state_place *place, const char *name, struct hk_error *error)
{
	struct hk_windows *windows = calloc(1, sizeof(*windows));
	int status = 0;

	if (!windows)
		return hk_error_set(error, ENOMEM, "no memory for replay windows");
	windows->fd = -1;
	if (place && place->windows) {
		status = open_file(windows, place, name, error);
	} else {
		windows->table = calloc(1, sizeof(*windows->table));
		if (!windows->table)
			status = hk_error_set(error, ENOMEM, "no memory for replay windows");
	}
	if (status)
		hk_windows_close(windows);
	else
		*out = windows;
	return status;
}

void hk_windows_close(struct hk_windows *windows)
{
	if (!windows)
		return;
	if (windows->fd < 0) {
		free(windows->table);
	} else {
		if (windows->table) {
			(void)msync(windows->table, sizeof(*windows->table), MS_SYNC);
			(void)munmap(windows->table, sizeof(*windows->table));
		}
		close(windows->fd);
	}
	free(windows);
}

static bool is_set(const __u8 id[8])
{
	static const __u8 none[8];

	return memcmp(id, none, sizeof(none)) != 0;
}

/* The row of `id`, else a free one, else the unclaimed one that rested longest; NULL: none. */
static struct hk_window *find_row(struct hk_windows *windows, const __u8 id[8])
{
	struct hk_window *rows = windows->table->rows, *row, *best = NULL;

	for (row = rows; row < rows + HK_WINDOWS; row++) {
		if (memcmp(row->id, id, sizeof(row->id)) == 0)
			return row;
		if (windows->claimed[row - rows] || (best && !is_set(best->id)))
			continue;
		if (!best || !is_set(row->id) || row->claimed_s < best->claimed_s)
			best = row;
	}
	return best;
}

struct hk_window *hk_windows_claim(
	struct hk_windows *windows, const __u8 id[8], const struct hk_address *sender)
{
	struct hk_window *row = find_row(windows, id);

	if (!row)
		return NULL;
	if (memcmp(row->id, id, sizeof(row->id)) != 0) {
		memset(row, 0, sizeof(*row));
		row->sender = *sender;
		memcpy(row->id, id, sizeof(row->id));
	}
	row->claimed_s = (__u32)time(NULL);
	windows->claimed[row - windows->table->rows] = 1;
	return row;
}

void hk_windows_release(struct hk_windows *windows, struct hk_window *window)
{
	windows->claimed[window - windows->table->rows] = 0;
}

bool hk_windows_is_latest(const struct hk_windows *windows, const __u8 family[8], __u32 epoch)
{
	const struct hk_window *row = windows->table->rows, *end = row + HK_WINDOWS;

	for (; row < end; row++)
		if (is_set(row->id) && row->epoch > epoch && memcmp(row->family, family, 8) == 0)
			return false;
	return true;
}

void hk_windows_end_before(struct hk_windows *windows, const __u8 family[8], __u32 epoch)
{
	struct hk_window *rows = windows->table->rows, *row;

	for (row = rows; row < rows + HK_WINDOWS; row++)
		if (is_set(row->id) && row->epoch < epoch && memcmp(row->family, family, 8) == 0) {
			memset(row, 0, sizeof(*row));
			windows->claimed[row - rows] = 0;
		}
}

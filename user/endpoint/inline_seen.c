// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reply nonces that children were installed from, kept as long as their
 * parent's secret lives: see seal_inline.h.
 *
 *   HEADER (32 bytes: a mark, the secret's fingerprint, the file's inode, 0) | nonce(16) | nonce(16) | ...
 *
 * A nonce is on disk before its child seals anything. A file whose last record
 * is torn ends in an installation that did not happen: the record counts as a
 * whole one that nobody sends, and the file is refused, as is any other damage,
 * and a copy (it has another inode): nonces that came since would not be in it.
 */
#include "user/endpoint/inline_sa.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/text.h"

#define HEADER	 32
#define SEEN_MAX 1048576 /* records one file may hold */

struct hk_inline_seen {
	int fd;
	char path[512];
	unsigned count, room;
	__u8 (*nonces)[HK_INLINE_NONCE];
};

static int header_of(const struct hk_inline_seen *seen, const struct hk_inline *parent, __u8 out[HEADER])
{
	static const __u8 mark[8] = {'h', 'k', 's', 'e', 'e', 'n', '1', '\n'};
	struct stat stat;

	if (fstat(seen->fd, &stat))
		return -errno;
	memset(out, 0, HEADER);
	memcpy(out, mark, sizeof(mark));
	memcpy(out + 8, parent->fingerprint, 8);
	hk_put64(out + 16, (__u64)stat.st_ino);
	return 0;
}

static int refuse(struct hk_error *error, const struct hk_inline_seen *seen, int code, const char *why)
{
	return hk_error_set(error, code,
		"%s: %s: a creation that is played again could not be told: replace the parent SA first",
		seen->path, why);
}

static int keep(struct hk_inline_seen *seen, const __u8 *nonce)
{
	unsigned room = seen->room ? 2 * seen->room : 64;
	void *grown;

	if (seen->count == SEEN_MAX)
		return -ENOSPC;
	if (seen->count == seen->room) {
		grown = reallocarray(seen->nonces, room, sizeof(*seen->nonces));
		if (!grown)
			return -ENOMEM;
		seen->nonces = grown;
		seen->room = room;
	}
	memcpy(seen->nonces[seen->count++], nonce, HK_INLINE_NONCE);
	return 0;
}

static int read_all(struct hk_inline_seen *seen, const struct hk_inline *parent, struct hk_error *error)
{
	__u8 header[HEADER], wanted[HEADER], nonce[HK_INLINE_NONCE];
	ssize_t size;

	if (header_of(seen, parent, wanted) || read(seen->fd, header, HEADER) != HEADER ||
		memcmp(header, wanted, 16) != 0)
		return refuse(error, seen, EINVAL, "no record of this parent");
	if (memcmp(header, wanted, HEADER) != 0)
		return refuse(error, seen, EINVAL, "the record is a copy of another file");
	while ((size = read(seen->fd, nonce, sizeof(nonce))) == sizeof(nonce))
		if (keep(seen, nonce))
			return hk_error_set(error, ENOMEM, "%s: too many nonces", seen->path);
	return size ? refuse(error, seen, EINVAL, "the record is damaged") : 0;
}

static int start(struct hk_inline_seen *seen, const struct hk_inline *parent, struct hk_error *error)
{
	__u8 header[HEADER];

	errno = 0;
	if (header_of(seen, parent, header) || write(seen->fd, header, HEADER) != HEADER || fsync(seen->fd)) {
		hk_error_set(error, EIO, "%s: cannot be written: %s", seen->path,
			strerror(errno ? errno : ENOSPC));
		(void)unlink(seen->path); /* nothing was taken on it: the next start is the first */
		return -EIO;
	}
	return 0;
}

static int open_file(struct hk_inline_seen *seen, const struct hk_state_place *place, const char *name,
	struct hk_error *error)
{
	seen->fd = hk_state_file(place, name);
	if (seen->fd == -ENOENT)
		return refuse(error, seen, ENOENT,
			"missing (if this parent never carried anything, start once with --first-use)");
	if (seen->fd < 0)
		return hk_error_set(error, -seen->fd, "%s: %s%s", seen->path, strerror(-seen->fd),
			seen->fd == -EEXIST ? ": this parent was used before" : "");
	if (flock(seen->fd, LOCK_EX | LOCK_NB))
		return hk_error_set(error, EBUSY, "%s: another process uses this parent", seen->path);
	return 0;
}

int hk_inline_seen_open(struct hk_inline_seen **out, const struct hk_state_place *place,
	const struct hk_inline *parent, struct hk_error *error)
{
	struct hk_inline_seen *seen = calloc(1, sizeof(*seen));
	char fingerprint[17], name[64];
	int status;

	if (!seen)
		return hk_error_set(error, ENOMEM, "no memory for the record of a parent's nonces");
	hk_hex_format(parent->fingerprint, 8, fingerprint);
	snprintf(name, sizeof(name), "inline-%08x-%s.seen", parent->name.spi, fingerprint);
	snprintf(seen->path, sizeof(seen->path), "%.400s/%s", place->directory, name);
	status = open_file(seen, place, name, error);
	if (!status)
		status = place->first_use ? start(seen, parent, error) : read_all(seen, parent, error);
	if (status) {
		hk_inline_seen_close(seen);
		return status;
	}
	*out = seen;
	return 0;
}

void hk_inline_seen_close(struct hk_inline_seen *seen)
{
	if (!seen)
		return;
	if (seen->fd >= 0)
		close(seen->fd);
	free(seen->nonces);
	free(seen);
}

int hk_inline_seen_take(struct hk_inline_seen *seen, const __u8 nonce[HK_INLINE_NONCE], unsigned max)
{
	unsigned i;
	int status;
	off_t at;

	for (i = 0; i < seen->count; i++)
		if (memcmp(seen->nonces[i], nonce, HK_INLINE_NONCE) == 0)
			return -EEXIST;
	if (seen->count >= max)
		return -EDQUOT;
	status = keep(seen, nonce);
	if (status)
		return status;
	at = HEADER + (off_t)(seen->count - 1) * HK_INLINE_NONCE;
	if (pwrite(seen->fd, nonce, HK_INLINE_NONCE, at) != HK_INLINE_NONCE || fdatasync(seen->fd))
		return -EIO;
	return 0;
}

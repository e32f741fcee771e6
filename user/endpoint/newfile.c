// SPDX-License-Identifier: GPL-2.0-or-later
/* A new file with keys: see newfile.h. */
#include "user/endpoint/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int hk_newfile_write(const char *path, mode_t mode, const char *text, size_t size, struct hk_error *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int status = 0;

	if (fd < 0 && errno == EEXIST)
		return hk_error_set(error, EEXIST,
			"%s exists: keys are never overwritten; choose another directory", path);
	if (fd < 0)
		return hk_error_set(error, errno, "%s: cannot write: %s", path, strerror(errno));
	if (write(fd, text, size) != (ssize_t)size || fsync(fd)) {
		status = hk_error_set(error, EIO, "%s: cannot write all of it", path);
		unlink(path);
	}
	close(fd);
	return status;
}

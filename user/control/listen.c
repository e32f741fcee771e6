// SPDX-License-Identifier: GPL-2.0-or-later
/* Making the control socket, with the starter's rights: see server.h. */
#include "user/control/server.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <libgen.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int make_directory(const char *path, struct hk_error *error)
{
	char *copy = strdup(path), *directory;
	int code = 0;

	if (!copy)
		return hk_error_set(error, ENOMEM, "%s: out of memory", path);
	directory = dirname(copy);
	/* /run is empty after each boot, so its own folder is made; a wrong path is not made right */
	if (strcmp(directory, HK_RUN_DIRECTORY) == 0 && mkdir(directory, 0755) && errno != EEXIST)
		code = hk_error_set(error, errno, "%s: cannot make its directory: %s", path, strerror(errno));
	free(copy);
	return code;
}

/* Whether somebody answers there; a socket nobody listens on is a leftover. */
static bool is_alive(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return true;
	alive = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
	close(fd);
	return alive;
}

static int clear_path(const char *path, const struct sockaddr_un *address, struct hk_error *error)
{
	struct stat status;

	if (lstat(path, &status))
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return hk_error_set(error, EEXIST,
			"%s: is in the way and no socket: move it or name another `control`", path);
	if (is_alive(address))
		return hk_error_set(error, EADDRINUSE,
			"%s: another halfkeyd answers there: stop it, or give this one another `instance`",
			path);
	if (unlink(path))
		return hk_error_set(error, errno, "%s: cannot be replaced: %s", path, strerror(errno));
	return 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0177);
	int failed = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	umask(before);
	return failed || listen(fd, 16) ? -errno : 0;
}

int hk_control_listen(const char *path, struct hk_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, code;

	if (strlen(path) >= sizeof(address.sun_path))
		return hk_error_set(error, ENAMETOOLONG, "%s: is too long for a socket's path", path);
	strcpy(address.sun_path, path);
	code = make_directory(path, error);
	if (!code)
		code = clear_path(path, &address, error);
	if (code)
		return code;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return hk_error_set(error, errno, "%s: cannot make a socket: %s", path, strerror(errno));
	code = bind_and_listen(fd, &address);
	if (!code)
		return fd;
	close(fd);
	return hk_error_set(error, -code, "%s: cannot listen there: %s%s", path, strerror(-code),
		code == -ENOENT ? " (make its directory first)" : "");
}

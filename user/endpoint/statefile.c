// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of a sender's state: see statefile.h. */
#include "user/endpoint/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int hk_state_directory(const char *directory, struct hk_error *error)
{
	struct stat status;

	if ((mkdir(directory, 0700) && errno != EEXIST) || stat(directory, &status))
		return hk_error_set(error, errno, "%s: cannot be made or read as the state directory: %s",
			directory, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return hk_error_set(
			error, ENOTDIR, "%s: is no directory: name one for the nonce state", directory);
	if ((status.st_mode & 022) || (status.st_uid != geteuid() && status.st_uid != 0))
		return hk_error_set(error, EPERM,
			"%s: mode %04o lets others change the nonce state: chmod 700 it, and own it",
			directory, status.st_mode & 07777);
	return 0;
}

int hk_state_sender(const char *sender, struct hk_error *error)
{
	if (!*sender || strlen(sender) >= HK_SENDER_TEXT || strpbrk(sender, " \t\n="))
		return hk_error_set(error, EINVAL,
			"sender '%.80s': must be a word of at most %d characters without spaces and '='",
			sender, HK_SENDER_TEXT - 1);
	return 0;
}

int hk_state_file(const struct hk_state_place *place, const char *name)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (place->first_use ? O_CREAT | O_EXCL : 0), fd;
	char path[512];

	if (place->opener && !place->first_use)
		return place->opener(place->context, name);
	if (snprintf(path, sizeof(path), "%s/%s", place->directory, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags, 0600);
	return fd < 0 ? -errno : fd;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of a sender's state: see statefile.h. */
#include "user/endpoint/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/types.h>

#include "user/base/text.h"

#define RECORD	    512 /* one sector: written whole or not at all */
#define SUM	    32	/* hex digits */
#define CLOCK_GAP   5	/* seconds between the recorded time and the file's change time */
#define WRITE_TRIES 10

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

/* A sum against accidents, over the text up to it; it proves nothing against forgers. */
static void checksum(const char *text, size_t size, char out[SUM + 1])
{
	__u8 digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, size, digest);
	hk_hex_format(digest, SUM / 2, out);
}

static int write_record(int fd, const char *text, ino_t inode, time_t now)
{
	char record[RECORD], sum[SUM + 1];
	int size;

	memset(record, '\n', sizeof(record));
	size = snprintf(record, sizeof(record), "%.*s inode=%llu written=%lld sum=", HK_STATE_TEXT - 1, text,
		(unsigned long long)inode, (long long)now);
	checksum(record, (size_t)size, sum);
	memcpy(record + size, sum, SUM);
	record[size + SUM] = '\n';
	return pwrite(fd, record, sizeof(record), 0) != sizeof(record) || fdatasync(fd) ? -EIO : 0;
}

/* Again where we were held up between clock and file: the next reader would say that it was put back. */
int hk_state_write(int fd, const char *text)
{
	unsigned tries = WRITE_TRIES;
	struct stat status;
	time_t now;

	if (fstat(fd, &status))
		return -EIO;
	do {
		now = time(NULL);
		if (write_record(fd, text, status.st_ino, now) || fstat(fd, &status))
			return -EIO;
	} while (llabs((long long)now - (long long)status.st_ctime) > CLOCK_GAP && --tries);
	return 0;
}

/* The tail of a whole record that nobody changed, which begins at the result; NULL: none. */
static char *find_tail(char *record)
{
	char expected[SUM + 1], *sum = strstr(record, " sum="), *tail = strstr(record, " inode=");

	if (!sum || !tail || tail - record >= HK_STATE_TEXT)
		return NULL;
	sum += strlen(" sum=");
	checksum(record, (size_t)(sum - record), expected);
	return strncmp(sum, expected, SUM) == 0 && sum[SUM] == '\n' ? tail : NULL;
}

static const char *whats_wrong(int fd, const char *tail)
{
	unsigned long long inode;
	struct stat status;
	long long written;

	if (sscanf(tail, " inode=%llu written=%lld sum=", &inode, &written) != 2 || fstat(fd, &status))
		return "is corrupt";
	if (inode != status.st_ino)
		return "is a copy of another file";
	if (llabs(written - (long long)status.st_ctime) > CLOCK_GAP)
		return "was changed or put back by something else";
	return NULL;
}

int hk_state_read(int fd, char text[HK_STATE_TEXT], const char **why)
{
	char record[RECORD + 1] = "", *tail;
	ssize_t size = pread(fd, record, RECORD, 0);

	if (size < 0)
		return -errno;
	tail = size == RECORD ? find_tail(record) : NULL;
	*why = tail ? whats_wrong(fd, tail) : "is corrupt";
	if (*why)
		return -EUCLEAN;
	*tail = '\0';
	memcpy(text, record, (size_t)(tail - record) + 1);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of a sender's state: who may change them, and each way in which one is not to be used. */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/endpoint/statefile.h"

#define RECORD 512
#define GAP    5 /* seconds that the recorded time and the file's may differ */

static char directory[] = "/tmp/halfkey-statefile-XXXXXX";
static char path[96];

/* The clock as the seal side reads it: so many more reads of it are so much behind. */
static int late_reads, late_by;
time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);

time_t __wrap_time(time_t *out)
{
	time_t now = __real_time(out);

	if (late_reads <= 0)
		return now;
	late_reads--;
	return now - late_by;
}

static const char *in(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int new_file(const char *name)
{
	return open(in(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* What hk_state_read() says of it: "" is fine. */
static const char *read_state(int fd, char text[HK_STATE_TEXT])
{
	const char *why = NULL;
	int code = hk_state_read(fd, text, &why);

	if (!code)
		return why ? "both" : "";
	return code == -EUCLEAN && why ? why : "an error without a reason";
}

static void what_was_written_is_read(void)
{
	char text[HK_STATE_TEXT], longest[HK_STATE_TEXT + 1];
	int fd = new_file("plain");

	CU_ASSERT_EQUAL(hk_state_write(fd, "first"), 0);
	CU_ASSERT_EQUAL(hk_state_write(fd, "numbers 2 iv=7"), 0);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "");
	CU_ASSERT_STRING_EQUAL(text, "numbers 2 iv=7");
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_END), RECORD);
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	CU_ASSERT_EQUAL(hk_state_write(fd, longest), 0); /* one too long is cut */
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "");
	CU_ASSERT_EQUAL(strlen(text), HK_STATE_TEXT - 1);
	close(fd);
	CU_ASSERT_EQUAL(hk_state_write(fd, "closed"), -EIO);
	fd = open(in("plain"), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(hk_state_write(fd, "not for writing"), -EIO);
	close(fd);
	unlink(in("plain"));
}

/* --- records that hk_state_write() would not write --------------------------------------------------- */

/* `record` with a sum that holds, in `fd`. */
static void put(int fd, char record[RECORD])
{
	char *end = strstr(record, " sum=") + 5;
	__u8 digest[SHA256_DIGEST_LENGTH];
	char sum[33];

	SHA256((const unsigned char *)record, (size_t)(end - record), digest);
	hk_hex_format(digest, 16, sum);
	memcpy(end, sum, 32);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, record, RECORD, 0), RECORD);
}

static long long inode_of(int fd)
{
	struct stat status;

	CU_ASSERT_EQUAL_FATAL(fstat(fd, &status), 0);
	return (long long)status.st_ino;
}

/* A record of `text` that says it was written `age` seconds before it was. */
static void put_aged(int fd, const char *text, int age)
{
	char record[RECORD];
	struct stat status;
	time_t guess;
	int used;

	do { /* until the second that we took is the file's */
		guess = time(NULL);
		memset(record, '\n', sizeof(record));
		used = snprintf(record, sizeof(record), "%s inode=%lld written=%lld sum=", text, inode_of(fd),
			(long long)guess - age);
		CU_ASSERT_FATAL(used > 0 && used + 33 <= RECORD);
		record[used] = '\n';
		put(fd, record);
		CU_ASSERT_EQUAL_FATAL(fstat(fd, &status), 0);
	} while (status.st_ctime != guess);
}

static void put_back_by_something_else(void)
{
	static const char changed[] = "was changed or put back by something else";
	char text[HK_STATE_TEXT];
	int fd = new_file("aged");

	put_aged(fd, "state", GAP);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "");
	put_aged(fd, "state", -GAP);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "");
	CU_ASSERT_STRING_EQUAL(text, "state");
	put_aged(fd, "state", GAP + 1);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), changed);
	put_aged(fd, "state", -GAP - 1);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), changed);
	close(fd);
	unlink(in("aged"));
}

/* Held up between reading the clock and the write, as on a machine that stood still: written again. */
static void held_up_while_writing(void)
{
	char text[HK_STATE_TEXT];
	int fd = new_file("late");

	late_by = 3600;
	late_reads = 2;
	CU_ASSERT_EQUAL(hk_state_write(fd, "state"), 0);
	CU_ASSERT_EQUAL(late_reads, 0);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "");
	CU_ASSERT_STRING_EQUAL(text, "state");
	late_reads = 1000; /* a clock that always says so is not ours: it ends, and the next reader refuses */
	CU_ASSERT_EQUAL(hk_state_write(fd, "state"), 0);
	CU_ASSERT_TRUE(late_reads > 0);
	late_reads = 0;
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "was changed or put back by something else");
	close(fd);
	unlink(in("late"));
}

/* Its sum holds, so somebody made it so: no byte goes behind the room for the text. */
static void too_long_a_text_is_corrupt(void)
{
	struct {
		char text[HK_STATE_TEXT], behind[64];
	} room;
	char longer[HK_STATE_TEXT + 1];
	int fd = new_file("long");

	memset(&room, '#', sizeof(room));
	memset(longer, 'n', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	put_aged(fd, longer, 0);
	CU_ASSERT_STRING_EQUAL(read_state(fd, room.text), "is corrupt");
	CU_ASSERT_EQUAL(room.behind[0], '#');
	put_aged(fd, longer + 1, 0);
	CU_ASSERT_STRING_EQUAL(read_state(fd, room.text), "");
	CU_ASSERT_EQUAL(strlen(room.text), HK_STATE_TEXT - 1);
	CU_ASSERT_EQUAL(room.behind[0], '#');
	close(fd);
	unlink(in("long"));
}

static void what_is_corrupt(void)
{
	static const char *const records[] = {
		"state sum=", /* no tail */
		"state inode= written=1 sum=", "state inode=1 sum=", "state written=1 inode=1 sum=",
		"state sum= inode=1 written=1", /* the tail behind the sum is not covered by it */
	};
	char record[RECORD], text[HK_STATE_TEXT];
	int fd = new_file("corrupt");
	unsigned i;

	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		memset(record, '\n', sizeof(record));
		memcpy(record, records[i], strlen(records[i]));
		put(fd, record);
		CU_ASSERT_STRING_EQUAL(read_state(fd, text), "is corrupt");
	}
	memset(record, '\n', sizeof(record));
	memcpy(record, "nothing of all that", 19);
	CU_ASSERT_EQUAL(pwrite(fd, record, RECORD, 0), RECORD);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "is corrupt");
	/* each byte of a good one changed, and each end cut off */
	put_aged(fd, "state", 0);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "");
	CU_ASSERT_EQUAL_FATAL(pread(fd, record, RECORD, 0), RECORD);
	for (i = 0; i < RECORD && (i < 1 || record[i - 1] != '\n'); i++) {
		record[i] ^= 1;
		CU_ASSERT_EQUAL(pwrite(fd, record, RECORD, 0), RECORD);
		CU_ASSERT_STRING_EQUAL(read_state(fd, text), "is corrupt");
		record[i] ^= 1;
	}
	CU_ASSERT_TRUE(i > 60 && i < RECORD);
	CU_ASSERT_EQUAL(pwrite(fd, record, RECORD, 0), RECORD);
	CU_ASSERT_EQUAL(ftruncate(fd, RECORD - 1), 0);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "is corrupt");
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "is corrupt");
	close(fd);
	unlink(in("corrupt"));
}

static void a_copy_is_another_file(void)
{
	char record[RECORD], text[HK_STATE_TEXT];
	int fd = new_file("one"), copy = new_file("two");

	CU_ASSERT_EQUAL(hk_state_write(fd, "state"), 0);
	CU_ASSERT_EQUAL(pread(fd, record, RECORD, 0), RECORD);
	CU_ASSERT_EQUAL(pwrite(copy, record, RECORD, 0), RECORD);
	CU_ASSERT_STRING_EQUAL(read_state(copy, text), "is a copy of another file");
	CU_ASSERT_STRING_EQUAL(read_state(fd, text), "");
	close(fd);
	close(copy);
	unlink(in("one"));
	unlink(in("two"));
}

/* --- directories, files, senders --------------------------------------------------------------------- */

static int directory_code(const char *name, const char *says)
{
	struct hk_error error = {""};
	int code = hk_state_directory(in(name), &error);

	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, says));
	return code;
}

static void directories(void)
{
	struct stat status;
	mode_t mask = umask(0);
	int fd;

	CU_ASSERT_EQUAL(directory_code("state", ""), 0);
	umask(mask);
	CU_ASSERT_EQUAL(stat(in("state"), &status), 0);
	CU_ASSERT_EQUAL(status.st_mode, S_IFDIR | 0700);
	CU_ASSERT_EQUAL(directory_code("state", ""), 0); /* it is there already */
	CU_ASSERT_EQUAL(chmod(in("state"), 0755), 0);
	CU_ASSERT_EQUAL(directory_code("state", ""), 0); /* others may look */
	CU_ASSERT_EQUAL(chmod(in("state"), 0720), 0);
	CU_ASSERT_EQUAL(directory_code("state", "mode 0720 lets others change the nonce state"), -EPERM);
	CU_ASSERT_EQUAL(chmod(in("state"), 0702), 0);
	CU_ASSERT_EQUAL(directory_code("state", "mode 0702 lets others change"), -EPERM);
	CU_ASSERT_EQUAL(chmod(in("state"), 0700), 0);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(chown(in("state"), 65534, 65534), 0);
		CU_ASSERT_EQUAL(directory_code("state", "own it"), -EPERM);
		CU_ASSERT_EQUAL(seteuid(65534), 0); /* whose it is; and root's is as good */
		CU_ASSERT_EQUAL(directory_code("state", ""), 0);
		CU_ASSERT_EQUAL(seteuid(0), 0);
		CU_ASSERT_EQUAL(chown(in("state"), 0, 0), 0);
		CU_ASSERT_EQUAL(seteuid(65534), 0);
		CU_ASSERT_EQUAL(directory_code("state", ""), 0);
		CU_ASSERT_EQUAL(seteuid(0), 0);
	}
	rmdir(in("state"));
	CU_ASSERT_EQUAL(
		directory_code("none/state", "cannot be made or read as the state directory: No such"),
		-ENOENT);
	fd = new_file("file");
	close(fd);
	CU_ASSERT_EQUAL(directory_code("file", "is no directory"), -ENOTDIR);
	unlink(in("file"));
}

static int opened(void *context, const char *name)
{
	return strcmp(name, "state") == 0 ? *(int *)context : -ENOENT;
}

static void files(void)
{
	int given = 1234, fd;
	struct hk_state_place place = {.directory = directory, .first_use = true, .context = &given};
	char longest[600];
	struct stat status;
	mode_t mask;

	mask = umask(0);
	fd = hk_state_file(&place, "state");
	umask(mask);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(fstat(fd, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 0600);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	CU_ASSERT_EQUAL(hk_state_file(&place, "state"), -EEXIST); /* a first use finds nothing */
	place.first_use = false;
	fd = hk_state_file(&place, "state");
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	close(fd);
	CU_ASSERT_EQUAL(hk_state_file(&place, "other"), -ENOENT); /* and a later one makes nothing */
	CU_ASSERT_EQUAL(symlink("state", in("link")), 0);
	CU_ASSERT_EQUAL(hk_state_file(&place, "link"), -ELOOP);
	unlink(in("link"));
	place.opener = opened;
	CU_ASSERT_EQUAL(hk_state_file(&place, "state"), 1234);
	CU_ASSERT_EQUAL(hk_state_file(&place, "other"), -ENOENT);
	place.first_use = true; /* whom has the right to make one needs nobody */
	CU_ASSERT_EQUAL(hk_state_file(&place, "state"), -EEXIST);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[512 - strlen(directory) - 1] =
		'\0'; /* with the slash as long as the room: no place for NUL */
	CU_ASSERT_EQUAL(hk_state_file(&place, longest), -ENAMETOOLONG);
	unlink(in("state"));
}

static void senders(void)
{
	char longest[HK_SENDER_TEXT + 1];
	struct hk_error error = {""};
	unsigned i;

	memset(longest, 's', sizeof(longest) - 1);
	longest[HK_SENDER_TEXT] = '\0';
	CU_ASSERT_EQUAL(hk_state_sender("192.0.2.1", &error), 0);
	CU_ASSERT_EQUAL(hk_state_sender(longest + 1, &error), 0);
	CU_ASSERT_EQUAL(hk_state_sender(longest, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "a word of at most 63 characters"));
	CU_ASSERT_EQUAL(hk_state_sender("", &error), -EINVAL);
	for (i = 0; i < 4; i++) {
		char word[] = "a?b";

		word[1] = " \t\n="[i];
		CU_ASSERT_EQUAL(hk_state_sender(word, &error), -EINVAL);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"what was written is read", what_was_written_is_read},
		{"put back by something else", put_back_by_something_else},
		{"held up while writing", held_up_while_writing},
		{"too long a text is corrupt", too_long_a_text_is_corrupt},
		{"what is corrupt", what_is_corrupt},
		{"a copy is another file", a_copy_is_another_file},
		{"directories", directories},
		{"files", files},
		{"senders", senders},
		{0},
	};
	int status;

	if (!mkdtemp(directory))
		return 2;
	chmod(directory, 0711);
	status = run_tests("statefile", tests);
	rmdir(directory);
	return status;
}

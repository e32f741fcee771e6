// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole records into a file: see output.h. Used by the feed thread alone. */
#include "user/feed/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_SIZE    (256 * 1024)
#define OUTPUT_FLUSH   (64 * 1024)
#define OUTPUT_RECORDS 1024

struct hk_output {
	int fd;
	bool regular;
	bool untouched;
	struct hk_feed_counters *counters;
	char *name;
	char *path;
	__u64 size; /* of the file, in bytes */
	size_t used;
	size_t torn; /* bytes of the first record that are on the file already; 0: it is whole */
	unsigned records;
	__u32 ends[OUTPUT_RECORDS]; /* where each record ends in the buffer */
	char buffer[OUTPUT_SIZE];
};

/* A reader of a pipe or a socket may be slow: the feed thread does not wait for it. */
static void output_look(struct hk_output *output)
{
	struct stat status;
	int flags;

	if (fstat(output->fd, &status))
		return;
	output->regular = S_ISREG(status.st_mode);
	if (output->regular) {
		output->size = (__u64)status.st_size;
		return;
	}
	flags = fcntl(output->fd, F_GETFL);
	if (flags >= 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)))
		(void)fcntl(output->fd, F_SETFL, flags | O_NONBLOCK);
}

struct hk_output *hk_output_new(int fd, const char *name, const char *path, struct hk_feed_counters *counters)
{
	struct hk_output *output = calloc(1, sizeof(*output));

	if (!output) {
		close(fd);
		return NULL;
	}
	output->fd = fd;
	output->untouched = true;
	output->counters = counters;
	output->name = strdup(name);
	output->path = strdup(path);
	if (!output->name || !output->path) {
		hk_output_free(output);
		return NULL;
	}
	output_look(output);
	return output;
}

/* Keeps the rest of a record that is partly on the file; drops the whole ones behind it. */
static void output_keep_torn(struct hk_output *output, unsigned record, size_t start, size_t done)
{
	size_t end = output->ends[record];

	output->torn = (record == 0 ? output->torn : 0) + done - start;
	memmove(output->buffer, output->buffer + done, end - done);
	output->used = end - done;
	output->ends[0] = (__u32)output->used;
	hk_feed_raise(&output->counters->lost, output->records - record - 1);
	output->records = 1;
}

/* Of the buffer `done` bytes are on the file: which records does that make, and what becomes of the others?
 */
static void output_settle(struct hk_output *output, size_t done)
{
	unsigned whole = 0;
	size_t start;

	while (whole < output->records && output->ends[whole] <= done)
		whole++;
	hk_feed_raise(&output->counters->written, whole);
	start = whole ? output->ends[whole - 1] : 0;
	if (whole < output->records && (done > start || (whole == 0 && output->torn))) {
		output_keep_torn(output, whole, start, done);
		return;
	}
	hk_feed_raise(&output->counters->lost, output->records - whole);
	output->used = output->torn = 0;
	output->records = 0;
}

void hk_output_flush(struct hk_output *output)
{
	size_t done = 0;
	ssize_t wrote;

	if (!output->used)
		return;
	while (done < output->used) {
		wrote = write(output->fd, output->buffer + done, output->used - done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		done += (size_t)wrote;
	}
	if (done < output->used)
		hk_feed_failed(output->counters,
			"%s: cannot write to '%s': %s; records are lost until there is room", output->name,
			output->path, strerror(errno));
	if (done)
		output->untouched = false;
	output->size += done;
	output_settle(output, done);
}

void hk_output_append(struct hk_output *output, const void *record, size_t size)
{
	if (output->records == OUTPUT_RECORDS || size > OUTPUT_SIZE - output->used)
		hk_output_flush(output);
	if (output->records == OUTPUT_RECORDS || size > OUTPUT_SIZE - output->used) {
		hk_feed_raise(&output->counters->lost, 1);
		return;
	}
	memcpy(output->buffer + output->used, record, size);
	output->used += size;
	output->ends[output->records++] = (__u32)output->used;
	if (output->used >= OUTPUT_FLUSH)
		hk_output_flush(output);
}

__u64 hk_output_size(const struct hk_output *output)
{
	return output->size + output->used;
}

bool hk_output_untouched(const struct hk_output *output)
{
	return output->untouched && !output->used;
}

/* The rest of a record never got room: takes its beginning off the file again. */
static void output_mend(struct hk_output *output)
{
	struct stat status;

	if (!output->torn)
		return;
	hk_feed_raise(&output->counters->lost, 1);
	if (!output->regular || fstat(output->fd, &status) || (size_t)status.st_size < output->torn ||
		ftruncate(output->fd, status.st_size - (off_t)output->torn))
		hk_feed_failed(output->counters, "%s: the last record in '%s' is not whole", output->name,
			output->path);
}

void hk_output_free(struct hk_output *output)
{
	if (!output)
		return;
	hk_output_flush(output);
	output_mend(output);
	close(output->fd);
	free(output->name);
	free(output->path);
	free(output);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mirror feed: opened packets of both directions to one TAP interface, for
 * any reader of interfaces. A reader may come and go; what it cannot keep up
 * with it loses and counts itself. The write never waits.
 */
#include "user/feed/feeds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "user/feed/frame.h"
#include "user/feed/tap.h"

struct mirror {
	int fd;
	char *name;
	struct hk_feed_counters *counters;
};

static void mirror_write(void *state, const struct hk_record *record, const __u8 *data)
{
	struct mirror *mirror = state;
	__u8 header[HK_FRAME_HEADER];
	const struct iovec frame[2] = {
		{.iov_base = header, .iov_len = sizeof(header)},
		{.iov_base = (void *)(size_t)data, .iov_len = record->data_length},
	};
	ssize_t wrote;

	hk_frame_header(header, record->direction, data, hk_record_not_ip(record) ? 0 : record->data_length);
	do
		wrote = writev(mirror->fd, frame, 2);
	while (wrote < 0 && errno == EINTR);
	if (wrote >= 0) {
		hk_feed_raise(&mirror->counters->written, 1);
		return;
	}
	hk_feed_raise(&mirror->counters->lost, 1);
	if (errno == EIO)
		hk_feed_failed(mirror->counters,
			"mirror: interface '%s' is down: opened packets are lost: ip link set %s up",
			mirror->name, mirror->name);
	else if (errno != EAGAIN)
		hk_feed_failed(
			mirror->counters, "mirror: cannot write to '%s': %s", mirror->name, strerror(errno));
}

static void mirror_close(void *state)
{
	struct mirror *mirror = state;

	close(mirror->fd);
	free(mirror->name);
	free(mirror);
}

/* A reload keeps the interface: its readers stay, and whoever reloads has no rights to make another. */
static int mirror_fd(const struct hk_feed_setup *setup, const char *name, struct hk_error *error)
{
	const struct mirror *previous = setup->previous;
	int fd;

	if (setup->first)
		return hk_tap_open(name, error);
	if (!previous || strcmp(previous->name, name) != 0)
		return hk_error_set(error, EBUSY,
			"mirror: tap '%s' cannot be made by a reload: restart halfkeyd to change the mirror",
			name);
	fd = fcntl(previous->fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? hk_error_set(error, errno, "mirror: '%s': %s", name, strerror(errno)) : fd;
}

static int mirror_open(void **state, const struct hk_feed_setup *setup, struct hk_error *error)
{
	const char *name = setup->config->feeds.mirror_tap;
	int fd = mirror_fd(setup, name, error);
	struct mirror *mirror;

	if (fd < 0)
		return fd;
	mirror = calloc(1, sizeof(*mirror));
	if (mirror)
		mirror->name = strdup(name);
	if (!mirror || !mirror->name) {
		free(mirror);
		close(fd);
		return hk_error_set(error, ENOMEM, "mirror: out of memory");
	}
	mirror->fd = fd;
	mirror->counters = setup->counters;
	*state = mirror;
	return 0;
}

static const char *mirror_target(const struct hk_config *config)
{
	return config->feeds.mirror_tap;
}

const struct hk_feed_ops hk_feed_mirror = {
	.name = "mirror",
	.wants = HK_RECORD_WANTS(HK_RECORD_PACKET),
	.target = mirror_target,
	.open = mirror_open,
	.write = mirror_write,
	.close = mirror_close,
};

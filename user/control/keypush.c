// SPDX-License-Identifier: GPL-2.0-or-later
/* New keys for a running box: see keypush.h. */
#include "user/control/keypush.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/control/client.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* The text in memory that only its descriptors name, and that nobody can change any more. */
static int make_given(const struct hk_key_push *push, struct hk_error *error)
{
	int fd = memfd_create("halfkey-keys", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t sent = 0;
	ssize_t now;

	if (fd < 0)
		return hk_error_set(error, errno, "no memory for the keys: %s", strerror(errno));
	while (sent < push->size && (now = write(fd, push->text + sent, push->size - sent)) > 0)
		sent += (size_t)now;
	if (sent == push->size && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	close(fd);
	return hk_error_set(error, ENOMEM, "no memory for the keys");
}

static unsigned number_of(const json_t *answer, const char *key)
{
	return (unsigned)json_integer_value(json_object_get(answer, key));
}

static void pushed_read(const json_t *answer, struct hk_key_pushed *done)
{
	const char *file = json_string_value(json_object_get(answer, "file"));

	*done = (struct hk_key_pushed){.added = number_of(answer, "added"),
		.known = number_of(answer, "known"),
		.retired = number_of(answer, "retired"),
		.graced = number_of(answer, "graced"),
		.filed = number_of(answer, "still_in_files")};
	snprintf(done->file, sizeof(done->file), "%s", file ? file : "");
}

int hk_control_push_keys(const struct hk_key_push *push, struct hk_key_pushed *done, struct hk_error *error)
{
	json_t *request, *answer;
	int fd = make_given(push, error);

	if (fd < 0)
		return fd;
	request = json_pack("{s:s, s:s, s:b, s:i}", "command", "keys-change", "domain", push->domain,
		"rotate", push->rotate, "grace", (int)push->grace_s);
	answer = hk_control_ask_with(push->socket, request, fd, error);
	close(fd);
	if (!answer)
		return -EIO;
	if (done)
		pushed_read(answer, done);
	json_decref(answer);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers that never repeat: see nonces.h. */
#include "user/endpoint/nonces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "user/base/text.h"

#define SN_MAX 0xffffffffull

struct hk_nonce_state {
	int fd;
	bool sn_limited; /* ESP */
	bool untouched;	 /* made by this process, and nothing given out yet */
	char path[512];
	char sender[HK_SENDER_TEXT];
	__u32 spi;
	__u64 iv, sn; /* next to give out */
	__u64 iv_max;
	unsigned clock_shift;
	__u64 iv_limit, sn_limit; /* reserved: first numbers that may not go out yet */
};

/* What a record says. */
struct record {
	__u32 spi;
	__u64 iv, sn;
	char sender[HK_SENDER_TEXT];
};

static int io_error(struct hk_error *error, const char *path, const char *verb)
{
	int code = errno;

	return hk_error_set(error, code, "%s: cannot %s the nonce state: %s", path, verb, strerror(code));
}

static int open_error(const struct hk_nonce_state *nonces, struct hk_error *error, const char *verb)
{
	errno = -nonces->fd;
	return io_error(error, nonces->path, verb);
}

static int record_write(struct hk_nonce_state *nonces, __u64 iv, __u64 sn)
{
	char text[HK_STATE_TEXT];

	if (nonces->fd < 0)
		return 0; /* fresh: its number of the key server is its state */
	snprintf(text, sizeof(text), "halfkey-nonces 2 spi=0x%08x iv=%llu sn=%llu sender=%s", nonces->spi,
		(unsigned long long)iv, (unsigned long long)sn, nonces->sender);
	return hk_state_write(nonces->fd, text);
}

/* 0 or -EINVAL: not a record of ours. */
static int record_parse(const char *text, struct record *out)
{
	unsigned long long iv, sn;
	int end = 0;

	if (sscanf(text, "halfkey-nonces 2 spi=%x iv=%llu sn=%llu sender=%63s%n", &out->spi, &iv, &sn,
		    out->sender, &end) != 4 ||
		text[end])
		return -EINVAL;
	out->iv = iv;
	out->sn = sn;
	return 0;
}

static int refuse(struct hk_nonce_state *nonces, struct hk_error *error, const char *what)
{
	return hk_error_set(error, EUCLEAN,
		"%s: the nonce state %s, so a nonce of SPI 0x%08x could repeat: make new keys "
		"(halfkey-endpoint keygen) or "
		"use "
		"another SPI",
		nonces->path, what, nonces->spi);
}

static int record_check(struct hk_nonce_state *nonces, const struct record *record, struct hk_error *error)
{
	if (record->spi != nonces->spi)
		return refuse(nonces, error, "is of another SPI");
	if (strcmp(record->sender, nonces->sender) != 0)
		return hk_error_set(error, EBUSY,
			"%s: SPI 0x%08x belongs to sender '%s', not to '%s': give every sender an SPI of its "
			"own",
			nonces->path, nonces->spi, record->sender, nonces->sender);
	return 0;
}

static int state_read(struct hk_nonce_state *nonces, struct hk_error *error)
{
	char text[HK_STATE_TEXT];
	struct record record;
	const char *why;
	int status = hk_state_read(nonces->fd, text, &why);

	if (status == -EUCLEAN)
		return refuse(nonces, error, why);
	if (status) {
		errno = -status;
		return io_error(error, nonces->path, "read");
	}
	if (record_parse(text, &record))
		return refuse(nonces, error, "is corrupt");
	status = record_check(nonces, &record, error);
	nonces->iv = record.iv;
	nonces->sn = record.sn;
	return status;
}

/* The directory entry must be on disk as well before a number is used. */
static int sync_directory(const char *directory, struct hk_error *error)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status = 0;

	if (fd < 0 || fsync(fd))
		status = io_error(error, directory, "sync the directory of");
	if (fd >= 0)
		close(fd);
	return status;
}

static int state_create(struct hk_nonce_state *nonces, const struct hk_state_place *place, const char *name,
	struct hk_error *error)
{
	int status;

	nonces->fd = hk_state_file(place, name);
	if (nonces->fd == -EEXIST)
		return hk_error_set(error, EEXIST,
			"%s: SPI 0x%08x was used before, so this is not its first use: start without "
			"--first-use",
			nonces->path, nonces->spi);
	if (nonces->fd < 0)
		return open_error(nonces, error, "create");
	if (flock(nonces->fd, LOCK_EX | LOCK_NB))
		return io_error(error, nonces->path, "lock");
	nonces->iv = nonces->sn = 1;
	if (record_write(nonces, 1, 1)) {
		status = io_error(error, nonces->path, "write");
		(void)unlink(nonces->path); /* came to nothing: the next first use is one */
		return status;
	}
	return sync_directory(place->directory, error);
}

static int state_open(struct hk_nonce_state *nonces, const struct hk_state_place *place, const char *name,
	struct hk_error *error)
{
	nonces->fd = hk_state_file(place, name);
	if (nonces->fd == -ENOENT)
		return hk_error_set(error, ENOENT,
			"%s: no nonce state for SPI 0x%08x: if these keys never sealed anything, start once "
			"with --first-use; if the state was lost, make new keys (halfkey-endpoint keygen)",
			nonces->path, nonces->spi);
	if (nonces->fd < 0)
		return open_error(nonces, error, "open");
	if (flock(nonces->fd, LOCK_EX | LOCK_NB))
		return hk_error_set(error, EBUSY,
			"%s: another process seals with SPI 0x%08x: stop it, or use another SPI",
			nonces->path, nonces->spi);
	return state_read(nonces, error);
}

/* IVs start at the clock or the mark, whichever is higher: see nonces.h. */
static void start_at_clock(struct hk_nonce_state *nonces)
{
	struct timespec now;
	__u64 iv;

	clock_gettime(CLOCK_REALTIME, &now);
	iv = (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
	iv >>= nonces->clock_shift;
	if (iv > nonces->iv)
		nonces->iv = iv;
	nonces->iv_limit = nonces->iv;
	nonces->sn_limit = nonces->sn;
}

int hk_nonce_state_open(struct hk_nonce_state **out, const struct hk_state_place *place,
	const struct hk_sa *sa, struct hk_error *error)
{
	const struct hk_sa_name *name = hk_sa_name(sa);
	const struct hk_nonce_series series = {.envelope = name->envelope,
		.spi = name->spi,
		.fingerprint = hk_sa_fingerprint(sa),
		.sn_limited = name->envelope == HK_ENVELOPE_ESP,
		.iv_max = ~0ull};

	if (place->fresh)
		return hk_nonce_state_fresh(out, sa)
			       ? hk_error_set(error, ENOMEM, "no memory for SPI 0x%08x", name->spi)
			       : 0;
	return hk_nonce_state_open_at(out, place, &series, error);
}

static struct hk_nonce_state *new_state(
	const struct hk_state_place *place, const struct hk_nonce_series *series, const char *name)
{
	struct hk_nonce_state *nonces = calloc(1, sizeof(*nonces));

	if (!nonces)
		return NULL;
	nonces->fd = -1;
	nonces->spi = series->spi;
	nonces->sn_limited = series->sn_limited;
	nonces->iv_max = series->iv_max;
	nonces->clock_shift = series->clock_shift;
	snprintf(nonces->sender, sizeof(nonces->sender), "%s", place->sender);
	snprintf(nonces->path, sizeof(nonces->path), "%.400s/%s", place->directory, name);
	return nonces;
}

int hk_nonce_state_open_at(struct hk_nonce_state **out, const struct hk_state_place *place,
	const struct hk_nonce_series *series, struct hk_error *error)
{
	struct hk_nonce_state *nonces;
	char fingerprint[17], name[64];
	int status = hk_state_sender(place->sender, error);

	if (!status && !place->opener)
		status = hk_state_directory(place->directory, error);
	if (status)
		return status;
	hk_hex_format(series->fingerprint, 8, fingerprint);
	snprintf(name, sizeof(name), "%s-%08x-%s.nonces", hk_envelope_name(series->envelope), series->spi,
		fingerprint);
	nonces = new_state(place, series, name);
	if (!nonces)
		return hk_error_set(error, ENOMEM, "no memory for the nonce state");
	status = (place->first_use ? state_create : state_open)(nonces, place, name, error);
	if (status) {
		if (nonces->fd >= 0)
			close(nonces->fd);
		free(nonces);
		return status;
	}
	nonces->untouched = place->first_use;
	start_at_clock(nonces);
	*out = nonces;
	return 0;
}

int hk_nonce_state_fresh(struct hk_nonce_state **out, const struct hk_sa *sa)
{
	struct hk_nonce_state *nonces = calloc(1, sizeof(*nonces));

	if (!nonces)
		return -ENOMEM;
	nonces->fd = -1;
	nonces->spi = hk_sa_name(sa)->spi;
	nonces->sn_limited = hk_sa_name(sa)->envelope == HK_ENVELOPE_ESP;
	nonces->sn = 1;
	nonces->iv_max = ~0ull;
	start_at_clock(nonces);
	*out = nonces;
	return 0;
}

/* Puts the next block on disk before any number of it is used. */
static int reserve(struct hk_nonce_state *nonces)
{
	__u64 iv = nonces->iv + HK_NONCES_BLOCK, sn = nonces->sn + HK_NONCES_BLOCK;

	if (iv < nonces->iv || iv > nonces->iv_max)
		return -EOVERFLOW;
	if (nonces->sn_limited && sn > SN_MAX + 1)
		sn = SN_MAX + 1;
	if (nonces->sn_limited && nonces->sn > SN_MAX)
		return -EOVERFLOW; /* RFC 4303: a sequence number never wraps under one key */
	nonces->untouched = false;
	if (record_write(nonces, iv, sn))
		return -EIO;
	nonces->iv_limit = iv;
	nonces->sn_limit = sn;
	return 0;
}

int hk_nonce_state_next(struct hk_nonce_state *nonces, struct hk_numbers *out)
{
	int status;

	if (nonces->iv >= nonces->iv_limit || nonces->sn >= nonces->sn_limit) {
		status = reserve(nonces);
		if (status)
			return status;
	}
	out->iv = nonces->iv++;
	out->sn = (__u32)nonces->sn++;
	return 0;
}

void hk_nonce_state_close(struct hk_nonce_state *nonces)
{
	if (!nonces)
		return;
	/* On failure the reservation on disk stands: numbers are lost, none repeats. */
	(void)record_write(nonces, nonces->iv, nonces->sn);
	if (nonces->fd >= 0)
		close(nonces->fd);
	free(nonces);
}

void hk_nonce_state_discard(struct hk_nonce_state *nonces)
{
	if (nonces && nonces->untouched && nonces->fd >= 0)
		unlink(nonces->path);
	hk_nonce_state_close(nonces);
}

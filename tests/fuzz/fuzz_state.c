// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: a sender's state files, as they are and with the sum put
 * right: nonces and epochs. What is taken hands out nothing that the file says
 * was reserved before; what is refused is left as it was, with a sentence.
 *
 * SOURCES: user/endpoint/nonces.c user/endpoint/epoch.c user/endpoint/statefile.c
 * SOURCES: user/base/text.c user/base/names.c user/base/error.c
 * SOURCES: -lcrypto
 */
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "user/base/text.h"
#include "user/endpoint/epoch.h"
#include "user/endpoint/nonces.h"

/* What nonces.c asks of an SA, which nobody has here. */
const struct hk_sa_name *hk_sa_name(const struct hk_sa *sa)
{
	(void)sa;
	return NULL;
}

const __u8 *hk_sa_fingerprint(const struct hk_sa *sa)
{
	(void)sa;
	return NULL;
}

#ifdef WRITE_SEEDS

int main(int argc, char **argv)
{
	static const char *const seeds[] = {"spi=0x00000100 iv=65537 sn=65537 ",
		"spi=0x00000100 iv=18446744073709551000 sn=4294967296 ",
		"!halfkey-nonces 1 spi=0x00000100 iv=1 sn=1 inode=1 written=1 sender=fuzz sum=",
		"!halfkey-epoch 1 epoch=1700000000 sender=fuzz end\n",
		"!halfkey-epoch 1 epoch=4294967295 sender=fuzz end\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

#define RECORD 512

static int file = -1;

static int open_file(void *context, const char *name)
{
	(void)context, (void)name;
	return dup(file);
}

/* The input behind a '!' as it is, else as the numbers of a record that is whole. */
static void put(const char *text, size_t size)
{
	char record[RECORD + 1];
	__u8 digest[32];
	struct stat stat;
	int used;

	if (file >= 0)
		close(file); /* and with it the lock */
	file = memfd_create("state", MFD_CLOEXEC);
	demand(file >= 0 && fstat(file, &stat) == 0, "no file");
	memset(record, '\n', sizeof(record));
	if (size && text[0] == '!') {
		memcpy(record, text + 1, size - 1 < RECORD ? size - 1 : RECORD);
	} else {
		used = snprintf(record, 300, "halfkey-nonces 1 %.*sinode=%llu written=%lld sender=fuzz sum=",
			(int)(size < 150 ? size : 150), text, (unsigned long long)stat.st_ino,
			(long long)time(NULL));
		SHA256((const unsigned char *)record, (size_t)used, digest);
		hk_hex_format(digest, 16, record + used);
		record[used + 32] = '\n';
	}
	demand(pwrite(file, record, RECORD, 0) == RECORD, "no file");
}

static void check_nonces(const struct hk_state_place *place, __u64 iv, __u64 sn)
{
	static const __u8 fingerprint[8] = {1};
	const struct hk_nonce_series series = {.envelope = HK_ENVELOPE_ESP,
		.spi = 256,
		.fingerprint = fingerprint,
		.sn_limited = true,
		.iv_max = ~0ull};
	struct hk_error error = {""};
	struct hk_nonce_state *nonces;
	struct hk_numbers numbers;

	if (hk_nonce_state_open_at(&nonces, place, &series, &error)) {
		demand(error.text[0] != '\0', "a refusal without a sentence");
		return;
	}
	if (hk_nonce_state_next(nonces, &numbers) == 0) {
		demand(numbers.iv >= iv, "an IV that was reserved before");
		demand(numbers.sn >= sn && sn <= 0xffffffff, "a sequence number that was reserved before");
	}
	hk_nonce_state_close(nonces);
}

static void check_epochs(const struct hk_state_place *place, __u32 last)
{
	struct hk_error error = {""};
	struct hk_epochs *epochs;
	__u32 epoch;

	if (hk_epochs_open(&epochs, place, 1, 1, &error)) {
		demand(error.text[0] != '\0', "a refusal without a sentence");
		return;
	}
	if (hk_epoch_next(epochs, &epoch, &error) == 0)
		demand(epoch > last, "an epoch that was given out before");
	hk_epochs_close(epochs, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct hk_state_place place = {.directory = "/nowhere", .sender = "fuzz", .opener = open_file};
	char *text = malloc(size + 1);
	unsigned long long iv = 0, sn = 0;
	unsigned spi, last = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	if (sscanf(text, "spi=%x iv=%llu sn=%llu", &spi, &iv, &sn) != 3)
		iv = sn = 0;
	sscanf(text, "!halfkey-epoch 1 epoch=%u", &last);
	put(text, size);
	check_nonces(&place, iv, sn);
	put(text, size);
	check_epochs(&place, last);
	free(text);
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every fuzz target has: what it calls when something does not hold, and how it writes seeds. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void demand(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	abort();
}

/* One input to begin with, in the folder that WRITE_SEEDS is told; 0, or 1 when it cannot be written. */
static inline int write_seed(const char *folder, unsigned number, const void *bytes, size_t size)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%03u", folder, number);
	file = fopen(path, "wb");
	return !file || fwrite(bytes, 1, size, file) != size || fclose(file);
}

/* main() of WRITE_SEEDS where seeds are texts: one file each in the folder that is named. */
static inline int write_texts(int argc, char **argv, const char *const *texts, size_t count)
{
	unsigned i;

	if (argc != 2)
		return 1;
	for (i = 0; i < count; i++)
		if (write_seed(argv[1], i, texts[i], strlen(texts[i])))
			return 1;
	return 0;
}

#endif

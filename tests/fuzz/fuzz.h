/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every fuzz target has: what it calls when something does not hold, and how it writes seeds. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void demand(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	abort();
}

/* main() of WRITE_SEEDS where seeds are texts: one file each in the folder that is named. */
static inline int write_texts(int argc, char **argv, const char *const *texts, size_t count)
{
	char path[512];
	FILE *file;
	size_t i;

	if (argc != 2)
		return 1;
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%zu", argv[1], i);
		file = fopen(path, "wb");
		if (!file || fputs(texts[i], file) < 0 || fclose(file))
			return 1;
	}
	return 0;
}

#endif

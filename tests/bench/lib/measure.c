// SPDX-License-Identifier: GPL-2.0-or-later
/* What all benchmarks share: see measure.h. */
#include "tests/bench/lib/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

__u64 measure_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000u + (__u64)now.tv_nsec;
}

void samples_add(struct samples *samples, double value)
{
	if (samples->count < SAMPLES_MAX)
		samples->values[samples->count++] = value;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_median(struct samples *samples)
{
	const unsigned n = samples->count;

	if (!n)
		return 0;
	qsort(samples->values, n, sizeof(samples->values[0]), by_value);
	return n % 2 ? samples->values[n / 2] : (samples->values[n / 2 - 1] + samples->values[n / 2]) / 2;
}

double samples_quiet(struct samples *samples)
{
	samples_median(samples);
	return samples->count ? samples->values[samples->count / 10] : 0;
}

/* The value of a `key : value` line of /proc/cpuinfo. */
static void cpuinfo(const char *key, char *out, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[8192];

	out[0] = 0;
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, key, strlen(key)) != 0 || !colon)
			continue;
		snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
		break;
	}
	if (file)
		fclose(file);
}

json_t *measure_machine(void)
{
	static const char *const interesting[] = {
		"aes", "pclmulqdq", "avx2", "vaes", "vpclmulqdq", "avx512f", "gfni"};
	json_t *flags = json_array();
	char model[256], all[8192];
	struct utsname name;

	uname(&name);
	cpuinfo("model name", model, sizeof(model));
	cpuinfo("flags", all, sizeof(all));
	for (unsigned i = 0; i < sizeof(interesting) / sizeof(interesting[0]); i++) {
		char word[32];

		snprintf(word, sizeof(word), " %s ", interesting[i]);
		if (strstr(all, word))
			json_array_append_new(flags, json_string(interesting[i]));
	}
	return json_pack("{s:s, s:i, s:s, s:s, s:o}", "cpu", model, "cpus",
		(int)sysconf(_SC_NPROCESSORS_ONLN), "kernel", name.release, "machine", name.machine, "flags",
		flags);
}

int measure_write(const json_t *root, const char *path)
{
	char folder[256];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash) {
		*slash = 0;
		mkdir(folder, 0755);
	}
	if (!json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
		return 0;
	fprintf(stderr, "bench: cannot write %s\n", path);
	return -1;
}

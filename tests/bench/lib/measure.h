/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clock, medians, and the description of the machine that every result needs. */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stddef.h>
#include <jansson.h>
#include <linux/types.h>

#define SAMPLES_MAX 4096

/* A list of times; its median does not see the moments when somebody else had the core. */
struct samples {
	unsigned count;
	double values[SAMPLES_MAX];
};

__u64 measure_now_ns(void);
void samples_add(struct samples *samples, double value);
double samples_median(struct samples *samples); /* sorts; 0 when empty */
double samples_quiet(struct samples *samples);	/* the tenth percentile: when the core was ours */

json_t *measure_machine(void);
/* Writes `root` to `path`, making its folder. 0 or -1 with a message. */
int measure_write(const json_t *root, const char *path);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sink IFACE: counts and drops what arrives on IFACE, until SIGTERM or SIGINT;
 * then prints the median rate in Mpps over the tenths of a second with traffic
 * in them, the first and the last left out.
 */
#include <bpf/bpf.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/lib/measure.h"
#include "tests/bench/lib/xdp.h"

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static __u64 read_counter(int map)
{
	const __u32 zero = 0;
	__u64 value = 0;

	bpf_map_lookup_elem(map, &zero, &value);
	return value;
}

int main(int argc, char **argv)
{
	const unsigned ifindex = argc == 2 ? if_nametoindex(argv[1]) : 0;
	const struct sigaction action = {.sa_handler = stop};
	static struct samples rates;
	__u64 count, last = 0, now, then;
	int map, program;

	if (!ifindex) {
		fprintf(stderr, "usage: sink IFACE\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench_count", 4, 8, 1, NULL);
	program = map < 0 ? map : xdp_sink(map);
	if (program < 0 || xdp_attach(program, ifindex) < 0)
		return 1;
	then = measure_now_ns();
	for (unsigned quiet = 1; !stopped; last = count, then = now) {
		usleep(100000);
		now = measure_now_ns();
		count = read_counter(map);
		if (count == last) {
			if (!quiet && rates.count)
				rates.count--; /* the last one was cut short */
			quiet = 1;
		} else if (quiet) {
			quiet = 0; /* the first one is, too */
		} else {
			samples_add(&rates, (double)(count - last) * 1000 / (double)(now - then));
		}
	}
	printf("%.3f\n", samples_median(&rates));
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tiny XDP programs of the veth benchmark, written out as instructions: they are four lines each. */
#ifndef TESTS_BENCH_XDP_H
#define TESTS_BENCH_XDP_H

#include <linux/types.h>

/* All return a program descriptor, or negative errno with a message. */

/* Overwrites the frame with a random entry of array map `frames` (count a power of two) and sends it out of
 * `ifindex`. */
int xdp_sender(int frames, __u32 count, __u32 length, __u32 ifindex);
/* Counts each packet in entry 0 of array map `counter` (u64) and drops it. */
int xdp_sink(int counter);
/* Hands every packet of queue q to entry q of the XSKMAP; drops where there is no socket. */
int xdp_to_socket(int sockets);

/* Attaches natively; the link lives as long as the descriptor returned. */
int xdp_attach(int program, __u32 ifindex);

#endif

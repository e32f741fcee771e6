// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * AF_XDP without inspection, the yardstick of the veth benchmark:
 *
 *   plain drop IFACE            receives on queue 0 and drops
 *   plain forward IFACE OUT     receives on IFACE and sends out of OUT
 *
 * Until SIGTERM or SIGINT; then prints the median rate in Mpps as sink does.
 * The same rings, batches and copy mode as halfkeyd; nothing reads the packets.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include "tests/bench/lib/measure.h"
#include "tests/bench/lib/xdp.h"

#define FRAMES	   8192
#define FRAME_SIZE 2048
#define RING	   2048
#define BATCH	   64

struct port {
	struct xsk_socket *socket;
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod tx, fill;
};

static volatile sig_atomic_t stopped;
static struct xsk_umem *umem;
static struct port in, out;
static __u64 spare[FRAMES];
static unsigned spares;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static void fail(const char *what, int code)
{
	fprintf(stderr, "plain: %s: %s\n", what, strerror(code < 0 ? -code : code));
	exit(1);
}

static void open_port(struct port *port, const char *interface)
{
	const struct xsk_socket_config config = {.rx_size = RING,
		.tx_size = RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP};
	const int code = xsk_socket__create_shared(&port->socket, interface, 0, umem, &port->rx, &port->tx,
		&port->fill, &port->completion, &config);

	if (code)
		fail(interface, code);
}

static void open_umem(void)
{
	const struct xsk_umem_config config = {
		.fill_size = 2 * RING, .comp_size = RING, .frame_size = FRAME_SIZE, .flags = 0};
	static struct xsk_ring_prod fill;
	static struct xsk_ring_cons completion;
	void *area = mmap(NULL, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int code;

	if (area == MAP_FAILED)
		fail("memory", errno);
	code = xsk_umem__create(&umem, area, FRAMES * FRAME_SIZE, &fill, &completion, &config);
	if (code)
		fail("UMEM", code);
	for (__u64 i = 0; i < FRAMES; i++)
		spare[spares++] = i * FRAME_SIZE;
}

static void refill(void)
{
	unsigned room = xsk_prod_nb_free(&in.fill, BATCH), count;
	__u32 at;

	for (count = room < spares ? room : spares; count; count -= room) {
		room = count < BATCH ? count : BATCH;
		if (!xsk_ring_prod__reserve(&in.fill, room, &at))
			return;
		for (unsigned i = 0; i < room; i++)
			*xsk_ring_prod__fill_addr(&in.fill, at + i) = spare[--spares];
		xsk_ring_prod__submit(&in.fill, room);
	}
}

static void collect(void)
{
	__u32 at, count = xsk_ring_cons__peek(&out.completion, BATCH, &at);

	for (__u32 i = 0; i < count; i++)
		spare[spares++] = *xsk_ring_cons__comp_addr(&out.completion, at + i);
	xsk_ring_cons__release(&out.completion, count);
}

static bool sent(void)
{
	return __atomic_load_n(out.tx.consumer, __ATOMIC_ACQUIRE) == *out.tx.producer;
}

/* In copy mode a kick sends a few dozen frames; EAGAIN says that there are more. */
static void kick(void)
{
	for (unsigned tries = 0; tries < 16 && !sent() && xsk_ring_prod__needs_wakeup(&out.tx); tries++)
		if (sendto(xsk_socket__fd(out.socket), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
			errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
			return;
}

/* As halfkeyd waits: on a busy machine, who spins and who sleeps would decide the comparison. */
static void idle(void)
{
	struct pollfd wait = {.fd = xsk_socket__fd(in.socket), .events = POLLIN};

	poll(&wait, 1, 1);
}

/* Frames that find no room to leave are dropped. */
static void transmit(const struct xdp_desc *packets, __u32 count)
{
	__u32 at;

	collect();
	if (!xsk_ring_prod__reserve(&out.tx, count, &at)) {
		for (__u32 i = 0; i < count; i++)
			spare[spares++] = packets[i].addr;
	} else {
		for (__u32 i = 0; i < count; i++)
			*xsk_ring_prod__tx_desc(&out.tx, at + i) = packets[i];
		xsk_ring_prod__submit(&out.tx, count);
	}
	kick();
}

static __u32 serve(void)
{
	struct xdp_desc packets[BATCH];
	__u32 at, count = xsk_ring_cons__peek(&in.rx, BATCH, &at);

	for (__u32 i = 0; i < count; i++)
		packets[i] = *xsk_ring_cons__rx_desc(&in.rx, at + i);
	xsk_ring_cons__release(&in.rx, count);
	if (count && out.socket)
		transmit(packets, count);
	else
		for (__u32 i = 0; i < count; i++)
			spare[spares++] = packets[i].addr / FRAME_SIZE * FRAME_SIZE;
	if (out.socket)
		collect();
	refill();
	if (!count)
		idle();
	return count;
}

static double run(void)
{
	static struct samples rates;
	__u64 count = 0, then = measure_now_ns(), now;

	for (bool quiet = true; !stopped;) {
		for (unsigned i = 0; i < 16; i++)
			count += serve();
		now = measure_now_ns();
		if (now - then < 100000000)
			continue;
		if (!count && !quiet && rates.count)
			rates.count--;
		else if (count && !quiet)
			samples_add(&rates, (double)count * 1000 / (double)(now - then));
		quiet = !count;
		count = 0;
		then = now;
	}
	return samples_median(&rates);
}

int main(int argc, char **argv)
{
	const bool forward = argc == 4 && !strcmp(argv[1], "forward");
	const struct sigaction action = {.sa_handler = stop};
	int map, program, socket_fd;
	const __u32 zero = 0;

	if (!forward && !(argc == 3 && !strcmp(argv[1], "drop"))) {
		fprintf(stderr, "usage: plain drop IFACE | plain forward IFACE OUT\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	open_umem();
	open_port(&in, argv[2]);
	if (forward)
		open_port(&out, argv[3]);
	map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "bench_sockets", 4, 4, 1, NULL);
	program = map < 0 ? map : xdp_to_socket(map);
	if (program < 0)
		return 1;
	socket_fd = xsk_socket__fd(in.socket);
	if (bpf_map_update_elem(map, &zero, &socket_fd, 0))
		fail("XSKMAP", errno);
	refill();
	if (xdp_attach(program, if_nametoindex(argv[2])) < 0)
		return 1;
	fprintf(stderr, "plain: ready\n");
	printf("%.3f\n", run());
	return 0;
}

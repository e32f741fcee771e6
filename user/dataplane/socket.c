// SPDX-License-Identifier: GPL-2.0-or-later
/* AF_XDP sockets and their UMEM: see socket.h. */
#include "user/dataplane/socket.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "maps/layout.h"

#define KICKS_MAX   16 /* each sends up to 32 frames in copy mode */
#define SEND_BUFFER (8 << 20)

static int area_new(struct hk_queue *queue, struct hk_error *error)
{
	size_t size = (size_t)queue->frames * queue->frame_size;
	void *area =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (area == MAP_FAILED)
		return hk_error_set(error, errno, "queue %u: no %zu MiB of shared memory for %u frames: %s",
			queue->index, size >> 20, queue->frames, strerror(errno));
	queue->area = area;
	/* opened traffic passes near here; core files get none of it */
	madvise(area, size, MADV_DONTDUMP);
	return 0;
}

static int umem_new(struct hk_queue *queue, struct hk_error *error)
{
	struct xsk_umem_config config = {
		.fill_size = 2 * queue->ring_size,
		.comp_size = queue->ring_size,
		.frame_size = queue->frame_size,
	};
	struct hk_socket *first = &queue->socket[0];
	int err = area_new(queue, error);

	if (err)
		return err;
	err = xsk_umem__create(&queue->umem, queue->area, (__u64)queue->frames * queue->frame_size,
		&first->fill, &first->completion, &config);
	if (err) {
		queue->umem = NULL;
		return hk_error_set(error, -err, "queue %u: the kernel refuses a UMEM of %u frames: %s",
			queue->index, queue->frames, strerror(-err));
	}
	return 0;
}

static int socket_try(struct hk_queue *queue, unsigned port, const struct hk_queue_options *options)
{
	struct xsk_socket_config config = {
		.rx_size = queue->ring_size,
		.tx_size = queue->ring_size,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (__u16)(XDP_USE_NEED_WAKEUP | (options->native[port] ? 0 : XDP_COPY)),
	};
	struct hk_socket *row = &queue->socket[port];

	return xsk_socket__create_shared(&row->xsk, options->name[port], queue->index, queue->umem, &row->rx,
		&row->tx, &row->fill, &row->completion, &config);
}

static __u64 clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000 + (__u64)now.tv_nsec / 1000000;
}

/* The kernel takes a socket down after its close returned: a queue can stay busy for a while. */
static int socket_open(
	struct hk_queue *queue, unsigned port, const struct hk_queue_options *options, struct hk_error *error)
{
	static const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	__u64 deadline = clock_ms() + options->deadline_ms;
	struct hk_socket *row = &queue->socket[port];
	struct xdp_options mode = {0};
	socklen_t length = sizeof(mode);
	int err, buffer = SEND_BUFFER;

	while ((err = socket_try(queue, port, options)) == -EBUSY && clock_ms() < deadline)
		nanosleep(&pause, NULL);
	if (err) {
		row->xsk = NULL;
		return hk_error_set(error, -err, "%s: queue %u takes no AF_XDP socket: %s%s",
			options->name[port], queue->index, strerror(-err),
			err == -EBUSY ? "; another program holds this queue" : "");
	}
	row->fd = xsk_socket__fd(row->xsk);
	/* the default send buffer takes some 90 frames; not fatal where it cannot be raised */
	setsockopt(row->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	if (getsockopt(row->fd, SOL_XDP, XDP_OPTIONS, &mode, &length) == 0)
		row->zero_copy = mode.flags & XDP_OPTIONS_ZEROCOPY;
	return 0;
}

int hk_queue_open(struct hk_queue **out, const struct hk_queue_options *options, struct hk_error *error)
{
	struct hk_queue *queue = calloc(1, sizeof(*queue));
	unsigned port;
	int err;

	if (!queue)
		return hk_error_set(error, ENOMEM, "queue %u: out of memory", options->index);
	queue->index = options->index;
	queue->ports = options->ports;
	queue->frames = options->frames;
	queue->frame_size = options->frame_size;
	queue->ring_size = hk_queue_ring_size(options->frames);
	err = umem_new(queue, error);
	for (port = 0; !err && port < options->ports; port++)
		err = socket_open(queue, port, options, error);
	if (err) {
		hk_queue_close(queue);
		return err;
	}
	*out = queue;
	return 0;
}

int hk_queue_insert(const struct hk_queue *queue, int xsks_fd, struct hk_error *error)
{
	unsigned port;
	__u32 slot;

	for (port = 0; port < queue->ports; port++) {
		slot = HK_MAP_SLOT(port, queue->index);
		if (bpf_map_update_elem(xsks_fd, &slot, &queue->socket[port].fd, BPF_ANY))
			return hk_error_set(error, errno, "map xsks: no entry for port %u, queue %u: %s",
				port, queue->index, strerror(errno));
	}
	return 0;
}

void hk_queue_close(struct hk_queue *queue)
{
	unsigned port;

	if (!queue)
		return;
	for (port = 0; port < queue->ports; port++)
		if (queue->socket[port].xsk)
			xsk_socket__delete(queue->socket[port].xsk);
	if (queue->umem)
		xsk_umem__delete(queue->umem);
	if (queue->area)
		munmap(queue->area, (size_t)queue->frames * queue->frame_size);
	free(queue);
}

/*
 * rx_dropped counts frames without a buffer (an empty fill ring among them) or
 * too long for one; rx_ring_full those without a place in the ring. Adding
 * rx_fill_ring_empty_descs would count the first kind twice.
 */
__u64 hk_socket_lost(const struct hk_socket *socket)
{
	struct xdp_statistics statistics = {0};
	socklen_t length = sizeof(statistics);

	if (getsockopt(socket->fd, SOL_XDP, XDP_STATISTICS, &statistics, &length))
		return 0;
	return statistics.rx_dropped + statistics.rx_ring_full;
}

static bool tx_ring_empty(const struct hk_socket *socket)
{
	return __atomic_load_n(socket->tx.consumer, __ATOMIC_ACQUIRE) == *socket->tx.producer;
}

bool hk_socket_kick(struct hk_socket *socket)
{
	unsigned tries;

	for (tries = 0; tries < KICKS_MAX && !tx_ring_empty(socket); tries++) {
		if (!xsk_ring_prod__needs_wakeup(&socket->tx))
			return false; /* the driver is at it */
		if (sendto(socket->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			continue;
		if (errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
			return false;
	}
	return tx_ring_empty(socket);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's turn with AF_XDP: inline and passive mode; see worker.h. The
 * original bytes go out of the other port: the frame is lent to the other
 * port's tx ring, never copied and never written to.
 */
#include "user/dataplane/worker.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "maps/layout.h"

#define STATISTICS_NS (20ull * 1000 * 1000)
#define DRAIN_NS      (200ull * 1000 * 1000)
#define TX_WAIT_NS    (1000ull * 1000)
#define TX_TRIES      4

static enum hk_frame_owner kernel_owner(unsigned port)
{
	return port ? HK_FRAME_KERNEL_1 : HK_FRAME_KERNEL_0;
}

/* Completed frames are free again. */
static void completions_take(struct hk_worker *worker, unsigned port)
{
	struct hk_socket *socket = &worker->queue->socket[port];
	__u32 count, at, i;

	while ((count = xsk_ring_cons__peek(&socket->completion, HK_PIPELINE_BATCH, &at)) > 0) {
		for (i = 0; i < count; i++)
			hk_frames_move(&worker->frames,
				*xsk_ring_cons__comp_addr(&socket->completion, at + i), HK_FRAME_TX,
				HK_FRAME_FREE);
		xsk_ring_cons__release(&socket->completion, count);
	}
}

/*
 * Keeps each port's fill ring full, but never so full that the other starves:
 * three eighths of all frames each, so that a quarter stays for sending.
 */
static void fill_ring(struct hk_worker *worker, unsigned port)
{
	struct hk_socket *socket = &worker->queue->socket[port];
	enum hk_frame_owner owner = kernel_owner(port);
	__u32 share = worker->frames.total / 8 * (worker->ports == 1 ? 6 : 3), at, i, want;
	__u64 address;

	if (worker->frames.count[owner] >= share)
		return;
	want = share - worker->frames.count[owner];
	if (want > worker->frames.count[HK_FRAME_FREE])
		want = worker->frames.count[HK_FRAME_FREE];
	if (want > xsk_prod_nb_free(&socket->fill, want))
		want = xsk_prod_nb_free(&socket->fill, want);
	if (!want || xsk_ring_prod__reserve(&socket->fill, want, &at) != want)
		return;
	for (i = 0; i < want; i++) {
		/* cannot fail: `want` frames are free */
		hk_frames_take(&worker->frames, owner, &address);
		*xsk_ring_prod__fill_addr(&socket->fill, at + i) = address;
	}
	xsk_ring_prod__submit(&socket->fill, want);
}

static void tx_publish(struct hk_worker *worker, unsigned port)
{
	if (!worker->submitted[port])
		return;
	xsk_ring_prod__submit(&worker->queue->socket[port].tx, worker->submitted[port]);
	worker->submitted[port] = 0;
}

static bool tx_reserve(struct hk_worker *worker, unsigned port, __u32 *at)
{
	struct hk_socket *socket = &worker->queue->socket[port];
	unsigned tries;

	for (tries = 0; tries < TX_TRIES; tries++) {
		if (xsk_ring_prod__reserve(&socket->tx, 1, at) == 1)
			return true;
		tx_publish(worker, port);
		hk_socket_kick(socket);
		completions_take(worker, port);
	}
	return false;
}

/* Sends a frame that is `from`'s out of `port`; false: the port took no frame. */
static bool frame_send(
	struct hk_worker *worker, unsigned port, __u64 address, __u32 length, enum hk_frame_owner from)
{
	struct xdp_desc *descriptor;
	__u32 at;

	if (!tx_reserve(worker, port, &at))
		return false;
	descriptor = xsk_ring_prod__tx_desc(&worker->queue->socket[port].tx, at);
	descriptor->addr = address;
	descriptor->len = length;
	descriptor->options = 0;
	worker->submitted[port]++;
	hk_frames_move(&worker->frames, address, from, HK_FRAME_TX);
	return true;
}

/* A packet's end on the way out of the other port. */
static void packet_forward(struct hk_worker *worker, unsigned port, __u64 address, __u32 length,
	unsigned reason, enum hk_frame_owner from)
{
	if (frame_send(worker, port ^ 1u, address, length, from)) {
		hk_worker_count(worker, reason, length, false);
		return;
	}
	hk_frames_move(&worker->frames, address, from, HK_FRAME_FREE);
	hk_worker_count(worker, HK_REASON_TX_FAILED, length, true);
}

static void packet_end(struct hk_worker *worker, __u64 address, __u32 length, unsigned reason, bool dropped)
{
	hk_frames_move(&worker->frames, address, HK_FRAME_BATCH, HK_FRAME_FREE);
	hk_worker_count(worker, reason, length, dropped);
}

static void packet_hold(
	struct hk_worker *worker, unsigned port, __u64 address, __u32 length, const struct hk_fate *fate)
{
	struct hk_delayed packet = {
		.address = address,
		.release_ns = fate->release_ns,
		.length = length,
		.port = (__u8)port,
		.reason = fate->reason,
	};

	if (!hk_delay_put(
		    &worker->delay, hk_frames_number(&worker->frames, address), fate->delay_class, &packet))
		packet_end(worker, address, length, HK_REASON_DELAY_FULL, true);
	else
		hk_frames_move(&worker->frames, address, HK_FRAME_BATCH, HK_FRAME_HELD);
}

static void packet_carry(struct hk_worker *worker, unsigned port, unsigned i)
{
	const struct hk_fate *fate = &worker->fates[i];
	__u32 length = worker->batch[i].length;

	hk_worker_verdict_put(worker, &worker->batch[i], fate);
	if (worker->mode != HK_MODE_INLINE || fate->action == HK_ACTION_DROP)
		packet_end(
			worker, worker->addresses[i], length, fate->reason, fate->action == HK_ACTION_DROP);
	else if (fate->release_ns > worker->now_ns)
		packet_hold(worker, port, worker->addresses[i], length, fate);
	else
		packet_forward(worker, port, worker->addresses[i], length, fate->reason, HK_FRAME_BATCH);
}

/* One descriptor into the batch; false where the kernel hands out what it does not own. */
static bool batch_add(
	struct hk_worker *worker, unsigned port, const struct xdp_desc *descriptor, unsigned count)
{
	__u64 address = descriptor->addr, size = 1ull << worker->frames.shift, offset = address & (size - 1);
	struct hk_frame *frame = &worker->batch[count];

	if (offset < sizeof(frame->meta) || offset + descriptor->len > size) {
		worker->frames.errors++;
		return false;
	}
	if (!hk_frames_move(&worker->frames, address, kernel_owner(port), HK_FRAME_BATCH))
		return false;
	frame->data = worker->queue->area + address;
	frame->length = descriptor->len;
	frame->wall_ns = worker->wall_ns;
	__builtin_memcpy(&frame->meta, frame->data - sizeof(frame->meta), sizeof(frame->meta));
	/* the socket knows better than an area that others can write */
	frame->meta.port = (__u8)port;
	frame->meta.queue = (__u16)worker->index;
	worker->addresses[count] = address;
	return true;
}

static unsigned batch_receive(struct hk_worker *worker, unsigned port)
{
	struct hk_socket *socket = &worker->queue->socket[port];
	struct hk_heartbeat *beat = &worker->beats[HK_MAP_SLOT(port, worker->index)];
	struct hk_counts *counts = &worker->ledger->counts;
	__u32 found, at, i, count = 0, bytes = 0;

	found = xsk_ring_cons__peek(&socket->rx, HK_PIPELINE_BATCH, &at);
	if (!found)
		return 0;
	for (i = 0; i < found; i++) {
		const struct xdp_desc *descriptor = xsk_ring_cons__rx_desc(&socket->rx, at + i);

		if (!batch_add(worker, port, descriptor, count))
			continue;
		bytes += descriptor->len;
		count++;
	}
	xsk_ring_cons__release(&socket->rx, found);
	hk_count_raise(&counts->received, count);
	hk_count_raise(&counts->received_bytes, bytes);
	hk_count_raise(&beat->taken, found);
	return count;
}

static unsigned port_turn(struct hk_worker *worker, unsigned port)
{
	unsigned count = batch_receive(worker, port), i;

	if (!count)
		return 0;
	hk_pipeline_run(
		worker->pipeline, worker->inspection, worker->batch, count, worker->now_ns, worker->fates);
	for (i = 0; i < count; i++)
		packet_carry(worker, port, i);
	return count;
}

static void delayed_send(struct hk_worker *worker)
{
	struct hk_delayed packet;
	unsigned budget = 4 * HK_PIPELINE_BATCH;

	while (budget-- && hk_delay_take(&worker->delay, worker->now_ns, &packet))
		packet_forward(
			worker, packet.port, packet.address, packet.length, packet.reason, HK_FRAME_HELD);
}

/* What the kernel lost between XDP and the ring is off the ring, too. */
static void statistics_take(struct hk_worker *worker)
{
	unsigned port;
	__u64 lost;

	if (worker->now_ns < worker->next_statistics_ns)
		return;
	worker->next_statistics_ns = worker->now_ns + STATISTICS_NS;
	for (port = 0; port < worker->ports; port++) {
		lost = hk_socket_lost(&worker->queue->socket[port]);
		if (lost <= worker->lost_seen[port])
			continue;
		hk_count_raise(&worker->beats[HK_MAP_SLOT(port, worker->index)].taken,
			lost - worker->lost_seen[port]);
		hk_count_raise(&worker->ledger->ring_lost[port], lost - worker->lost_seen[port]);
		worker->lost_seen[port] = lost;
	}
}

static void rings_serve(struct hk_worker *worker)
{
	struct hk_socket *socket;
	unsigned port;

	for (port = 0; port < worker->ports; port++) {
		socket = &worker->queue->socket[port];
		tx_publish(worker, port);
		if (worker->frames.count[HK_FRAME_TX]) {
			hk_socket_kick(socket);
			completions_take(worker, port);
		}
	}
	for (port = 0; port < worker->ports; port++) {
		socket = &worker->queue->socket[port];
		fill_ring(worker, port);
		if (socket->zero_copy && xsk_ring_prod__needs_wakeup(&socket->fill))
			recvfrom(socket->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
}

unsigned hk_worker_turn_sockets(struct hk_worker *worker)
{
	unsigned port, count = 0;

	for (port = 0; port < worker->ports; port++)
		count += port_turn(worker, port);
	delayed_send(worker);
	rings_serve(worker);
	statistics_take(worker);
	return count;
}

void hk_worker_wait_sockets(struct hk_worker *worker, __u64 wait_ns)
{
	struct pollfd waits[HK_PORTS_MAX];
	struct timespec timeout;
	unsigned port;

	if (worker->frames.count[HK_FRAME_TX] && wait_ns > TX_WAIT_NS)
		wait_ns = TX_WAIT_NS;
	for (port = 0; port < worker->ports; port++)
		waits[port] = (struct pollfd){.fd = worker->queue->socket[port].fd, .events = POLLIN};
	timeout.tv_sec = (time_t)(wait_ns / 1000000000ull);
	timeout.tv_nsec = (long)(wait_ns % 1000000000ull);
	ppoll(waits, worker->ports, &timeout, NULL);
}

void hk_worker_finish_sockets(struct hk_worker *worker)
{
	__u64 begin = worker->now_ns;
	struct hk_delayed packet;

	while (hk_delay_take(&worker->delay, ~0ull, &packet)) {
		hk_frames_move(&worker->frames, packet.address, HK_FRAME_HELD, HK_FRAME_FREE);
		hk_worker_count(worker, HK_REASON_SHUTDOWN, packet.length, true);
	}
	while (worker->frames.count[HK_FRAME_TX] && worker->now_ns - begin < DRAIN_NS) {
		rings_serve(worker);
		hk_worker_wait_sockets(worker, TX_WAIT_NS);
		worker->now_ns = hk_worker_clock(CLOCK_MONOTONIC);
	}
	worker->next_statistics_ns = 0;
	statistics_take(worker);
}

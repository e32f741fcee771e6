// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tunnel's packet loop: batches from the TUN device to the network, and from
 * the network to the device. One thread; nothing is allocated per packet.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/tunnel.h"

#define PACKET_MAX 65536
#define DUE_MS	   100

/* The loop's buffers: allocated once. */
struct loop {
	struct hk_tunnel *tunnel;
	__u8 inner[PACKET_MAX];
	__u8 opened[HK_OPEN_ROOM(PACKET_MAX)];
	__u8 sealed[HK_TUNNEL_BATCH][PACKET_MAX]; /* to be sent */
	__u8 received[HK_TUNNEL_BATCH][PACKET_MAX];
	struct sockaddr_storage from[HK_TUNNEL_BATCH];
	struct iovec out_vectors[HK_TUNNEL_BATCH], in_vectors[HK_TUNNEL_BATCH];
	struct mmsghdr out[HK_TUNNEL_SOCKETS][HK_TUNNEL_BATCH]; /* by sending socket */
	struct mmsghdr in[HK_TUNNEL_BATCH];
	unsigned out_counts[HK_TUNNEL_SOCKETS], out_used;
	__u64 due_ms; /* when the envelope is asked next what it has to say */
};

/* --- out ------------------------------------------------------------------------------------- */

static unsigned unsent_of(int status)
{
	switch (status) {
	case -EMSGSIZE: return HK_UNSENT_TOO_BIG;
	case -EINVAL: return HK_UNSENT_INVALID;
	case -EROFS: return HK_UNSENT_STATE;
	default: return HK_UNSENT_CIPHER;
	}
}

/* The next sender's turn: this one has no numbers left, or its time is over. */
static unsigned give_up(
	struct hk_tunnel *tunnel, struct hk_tunnel_peer *peer, const struct hk_sender *sender, bool expired)
{
	char remote[HK_ADDRESS_TEXT];
	bool last = ++peer->sender_now == peer->senders_count;

	hk_address_format(&peer->remote, remote);
	if (expired)
		hk_log_warn("%s: the time of SPI 0x%08x to %s is over (not-after): %s", tunnel->device,
			sender->spi, remote,
			last ? "nothing is sent there until there are new keys (keygen --next, then SIGHUP)"
			     : "going on with the next");
	else
		hk_log_warn("%s: SPI 0x%08x to %s has used all its numbers: %s", tunnel->device, sender->spi,
			remote, last ? "new keys are needed" : "going on with the next");
	hk_tunnel_server_want(tunnel, peer);
	peer->why_none = expired ? HK_UNSENT_KEY_EXPIRED : HK_UNSENT_SPI_USED_UP;
	return peer->why_none;
}

/* Seals with the peer's next sender that still has numbers: the size, or -1 and `why`. */
static int seal(struct loop *loop, struct hk_tunnel_peer *peer, __u32 length, unsigned *why)
{
	struct hk_sender *sender;
	int size;

	*why = peer->senders_count ? peer->why_none : HK_UNSENT_NO_KEY;
	while (peer->sender_now < peer->senders_count) {
		sender = peer->senders[peer->sender_now];
		size = hk_sender_seal(sender, loop->inner, length, loop->sealed[loop->out_used], PACKET_MAX);
		if (size >= 0)
			return size;
		if (size != -EOVERFLOW && size != -EKEYEXPIRED) {
			*why = unsent_of(size);
			return -1;
		}
		*why = give_up(loop->tunnel, peer, sender, size == -EKEYEXPIRED);
	}
	return -1;
}

/* The next sealed buffer, of `size` bytes, waits for its socket. */
static void queue_sealed(struct loop *loop, const struct hk_tunnel_peer *peer, unsigned socket, int size)
{
	struct mmsghdr *message = &loop->out[socket][loop->out_counts[socket]++];
	unsigned slot = loop->out_used++;

	memset(message, 0, sizeof(*message));
	loop->out_vectors[slot] = (struct iovec){loop->sealed[slot], (size_t)size};
	message->msg_hdr.msg_iov = &loop->out_vectors[slot];
	message->msg_hdr.msg_iovlen = 1;
	message->msg_hdr.msg_name = (void *)&peer->to;
	message->msg_hdr.msg_namelen = peer->to_length;
}

/* Seals loop->inner and queues it for its socket. HK_UNSENT_COUNT: queued; else why not. */
static unsigned queue_packet(struct loop *loop, __u32 length)
{
	struct hk_tunnel *tunnel = loop->tunnel;
	struct hk_tunnel_peer *peer;
	struct hk_inner_ip inner;
	unsigned why;
	int size;

	if (hk_inner_ip_parse(loop->inner, length, &inner))
		return HK_UNSENT_INVALID;
	peer = hk_tunnel_route(tunnel, &inner.destination);
	if (!peer)
		return HK_UNSENT_NO_ROUTE;
	size = seal(loop, peer, length, &why);
	if (size < 0)
		return why;
	queue_sealed(loop, peer, hk_inner_hash(loop->inner, length) % tunnel->outlets_count, size);
	return HK_UNSENT_COUNT;
}

/* Sends what is queued on one socket. A packet the network does not take is lost, as on any link. */
static void flush_socket(struct loop *loop, unsigned socket)
{
	struct hk_tunnel *tunnel = loop->tunnel;
	unsigned done = 0, count = loop->out_counts[socket], i;
	int sent;

	while (done < count) {
		sent = sendmmsg(tunnel->outlets[socket], loop->out[socket] + done, count - done, 0);
		if (sent <= 0) {
			tunnel->unsent[errno == EMSGSIZE ? HK_UNSENT_TOO_BIG : HK_UNSENT_SEND]++;
			done++;
			continue;
		}
		for (i = done; i < done + (unsigned)sent; i++)
			tunnel->sealed_bytes += loop->out[socket][i].msg_len;
		tunnel->sealed += (unsigned)sent;
		done += (unsigned)sent;
	}
	loop->out_counts[socket] = 0;
}

static void flush(struct loop *loop)
{
	unsigned i;

	for (i = 0; i < loop->tunnel->outlets_count; i++)
		flush_socket(loop, i);
	loop->out_used = 0;
}

static void outgoing(struct loop *loop)
{
	ssize_t length;
	unsigned why, reads;

	for (reads = 0; reads < HK_TUNNEL_BATCH; reads++) {
		length = read(loop->tunnel->tun, loop->inner, sizeof(loop->inner));
		if (length <= 0)
			break;
		why = queue_packet(loop, (__u32)length);
		if (why != HK_UNSENT_COUNT)
			loop->tunnel->unsent[why]++;
	}
	flush(loop);
}

/* What the envelope itself has to tell each peer. */
static void outgoing_due(struct loop *loop)
{
	struct hk_tunnel *tunnel = loop->tunnel;
	struct hk_tunnel_peer *peer;
	unsigned i;
	int size;

	for (i = 0; i < tunnel->peers.count; i++) {
		peer = &tunnel->peers.rows[i];
		while (peer->sender_now < peer->senders_count && loop->out_used < HK_TUNNEL_BATCH &&
			(size = hk_sender_due(peer->senders[peer->sender_now], loop->sealed[loop->out_used],
				 PACKET_MAX)) > 0)
			queue_sealed(loop, peer, 0, size);
		flush(loop);
	}
}

/* --- in -------------------------------------------------------------------------------------- */

static struct hk_address address_of(const struct sockaddr_storage *from)
{
	if (from->ss_family == AF_INET)
		return hk_address_v4((const __u8 *)&((const struct sockaddr_in *)from)->sin_addr);
	return hk_address_v6((const __u8 *)&((const struct sockaddr_in6 *)from)->sin6_addr);
}

/* A raw IPv4 socket delivers the IP header as well; every other one the payload alone. */
static unsigned parse_received(const struct hk_tunnel *tunnel, const __u8 *data, __u32 length,
	const struct sockaddr_storage *from, struct hk_sealed *sealed)
{
	bool raw = tunnel->speech->protocol != IPPROTO_UDP;
	unsigned refusal = HK_REFUSAL_NONE;

	if (raw && hk_address_is_v4(&tunnel->local)) {
		refusal = hk_sealed_outer(data, length, sealed);
		sealed->ip = NULL;
		return refusal;
	}
	*sealed = (struct hk_sealed){
		.protocol = tunnel->speech->protocol,
		.port = raw ? 0 : tunnel->speech->port,
		.source = address_of(from),
		.destination = tunnel->local,
		.data = data,
		.length = length,
	};
	return refusal;
}

/* An inner source must lie behind the peer that sealed it, or peers could speak for each other. */
static bool source_allowed(
	struct hk_tunnel *tunnel, const struct hk_sealed *sealed, const struct hk_opened *opened)
{
	struct hk_tunnel_peer *peer;
	struct hk_inner_ip inner;

	if (hk_inner_ip_parse(opened->inner, opened->length, &inner))
		return false;
	peer = hk_tunnel_route(tunnel, &inner.source);
	return peer && memcmp(&peer->remote, &sealed->source, sizeof(peer->remote)) == 0;
}

static void receive_packet(struct loop *loop, unsigned index)
{
	struct hk_tunnel *tunnel = loop->tunnel;
	struct hk_opened opened = {0};
	struct hk_sealed sealed;
	unsigned refusal;

	refusal = parse_received(
		tunnel, loop->received[index], loop->in[index].msg_len, &loop->from[index], &sealed);
	if (hk_receiver_open(tunnel->receiver, refusal, &sealed, loop->opened, &opened))
		return;
	if (!source_allowed(tunnel, &sealed, &opened)) {
		hk_receiver_recount(tunnel->receiver, HK_REFUSAL_INNER_SOURCE);
		return;
	}
	tunnel->opened_bytes += opened.length;
	if (write(tunnel->tun, opened.inner, opened.length) != (ssize_t)opened.length)
		tunnel->tun_failed++;
}

static void incoming(struct loop *loop)
{
	int count, i;

	for (i = 0; i < HK_TUNNEL_BATCH; i++) {
		loop->in_vectors[i] = (struct iovec){loop->received[i], PACKET_MAX};
		loop->in[i].msg_hdr = (struct msghdr){
			.msg_iov = &loop->in_vectors[i],
			.msg_iovlen = 1,
			.msg_name = &loop->from[i],
			.msg_namelen = sizeof(loop->from[i]),
		};
	}
	count = recvmmsg(loop->tunnel->inlet, loop->in, HK_TUNNEL_BATCH, 0, NULL);
	for (i = 0; i < count; i++)
		receive_packet(loop, (unsigned)i);
}

/* --- loop ------------------------------------------------------------------------------------ */

/* False: time to stop. */
static bool handle_signal(struct hk_tunnel *tunnel)
{
	struct signalfd_siginfo info;

	if (read(tunnel->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGHUP)
		hk_tunnel_reload(tunnel);
	else
		hk_tunnel_stats_print(tunnel);
	hk_tunnel_stats_write(tunnel);
	return info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGHUP;
}

/* Milliseconds until outgoing_due() is due itself, which it is not where the envelope has no say. */
static int due_in(const struct loop *loop, __u64 now_ms)
{
	if (!loop->tunnel->speech->speaker->due)
		return -1;
	return now_ms >= loop->due_ms ? 0 : (int)(loop->due_ms - now_ms);
}

static __u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000 + (__u64)now.tv_nsec / 1000000;
}

/* Asks the envelope, if it is time to. How long poll() may wait then. */
static int ask_envelope(struct loop *loop)
{
	if (due_in(loop, now_ms()) == 0) {
		outgoing_due(loop);
		loop->due_ms = now_ms() + DUE_MS;
	}
	return due_in(loop, now_ms());
}

int hk_tunnel_run(struct hk_tunnel *tunnel, struct hk_error *error)
{
	struct pollfd fds[] = {
		{.fd = tunnel->tun, .events = POLLIN}, {.fd = tunnel->inlet, .events = POLLIN},
		{.fd = tunnel->signals, .events = POLLIN},
		{.fd = hk_tunnel_server_fd(tunnel), .events = POLLIN}, /* -1 is passed over */
	};
	struct loop *loop = calloc(1, sizeof(*loop));
	bool running = true;
	int status = 0;

	if (!loop)
		return hk_error_set(error, ENOMEM, "no memory for the packet loop");
	loop->tunnel = tunnel;
	if (tunnel->server)
		status = hk_tunnel_server_start(tunnel, error);
	running = !status;
	while (running) {
		if (poll(fds, 4, ask_envelope(loop)) < 0 && errno != EINTR) {
			status = hk_error_set(error, errno, "poll: %s", strerror(errno));
			break;
		}
		if (fds[0].revents & (POLLERR | POLLHUP)) {
			status = hk_error_set(error, ENODEV, "device '%s' is gone", tunnel->device);
			break;
		}
		if (fds[0].revents)
			outgoing(loop);
		if (fds[1].revents)
			incoming(loop);
		if (fds[2].revents)
			running = handle_signal(tunnel);
		if (fds[3].revents) {
			hk_tunnel_server_apply(tunnel);
			hk_tunnel_stats_write(tunnel);
		}
	}
	hk_wipe(loop, sizeof(*loop));
	free(loop);
	return status;
}

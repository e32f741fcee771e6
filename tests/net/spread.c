// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A pool's balancer at its worst: every frame to another box.
 *
 *   spread ONE MANY...
 *
 * Frames from the interface ONE leave by the next of MANY, in turn; what comes
 * from any of MANY leaves by ONE. An interface of MANY that is down loses its
 * turn. Prints `ready`; runs until it is killed. For tests of pools of boxes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY_MAX  8
#define FRAME_MAX 65536

static int port_open(const char *name)
{
	struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), on = 1, room = 8 << 20;

	here.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !here.sll_ifindex ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
		setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) ||
		bind(fd, (struct sockaddr *)&here, sizeof(here))) {
		fprintf(stderr, "spread: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	return fd;
}

/* False: this one is down. */
static int frame_send(int fd, const void *frame, size_t size)
{
	return send(fd, frame, size, 0) == (ssize_t)size;
}

int main(int argc, char **argv)
{
	static unsigned char frame[FRAME_MAX];
	struct pollfd ports[1 + MANY_MAX];
	int many = argc - 2, i, tries, turn = 0;
	ssize_t size;

	if (many < 1 || many > MANY_MAX) {
		fprintf(stderr, "usage: spread ONE MANY...\n");
		return 2;
	}
	for (i = 0; i <= many; i++)
		ports[i] = (struct pollfd){.fd = port_open(argv[1 + i]), .events = POLLIN};
	puts("ready");
	fflush(stdout);
	while (poll(ports, (nfds_t)many + 1, -1) >= 0 || errno == EINTR) {
		while ((size = recv(ports[0].fd, frame, sizeof(frame), 0)) > 0)
			for (tries = 0; tries < many; tries++) {
				turn = turn % many + 1;
				if (frame_send(ports[turn].fd, frame, (size_t)size))
					break;
			}
		for (i = 1; i <= many; i++)
			while ((size = recv(ports[i].fd, frame, sizeof(frame), 0)) > 0)
				frame_send(ports[0].fd, frame, (size_t)size);
	}
	return 1;
}

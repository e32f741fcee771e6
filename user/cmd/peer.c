// SPDX-License-Identifier: GPL-2.0-or-later
/* The other end of a veth pair: see peer.h. One question, one answer over a socket of its own. */
#include "user/cmd/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAMED_PLACE "/run/netns/"

/* A question with one attribute of four bytes at most; its answer comes in its place. */
struct message {
	union {
		struct nlmsghdr head;
		char bytes[16384];
	};
};

static void ask(struct message *message, unsigned type, const void *body, size_t size)
{
	memset(message, 0, sizeof(*message));
	message->head.nlmsg_len = (__u32)NLMSG_LENGTH(size);
	message->head.nlmsg_type = (__u16)type;
	message->head.nlmsg_flags = NLM_F_REQUEST;
	memcpy(NLMSG_DATA(&message->head), body, size);
}

static void ask_number(struct message *message, unsigned attribute, __u32 value)
{
	struct rtattr *place =
		(struct rtattr *)(message->bytes + NLMSG_ALIGN((size_t)message->head.nlmsg_len));

	place->rta_type = (__u16)attribute;
	place->rta_len = (__u16)RTA_LENGTH(sizeof(value));
	memcpy(RTA_DATA(place), &value, sizeof(value));
	message->head.nlmsg_len =
		(__u32)(NLMSG_ALIGN((size_t)message->head.nlmsg_len) + RTA_LENGTH(sizeof(value)));
}

static int answer(int fd, struct message *message, unsigned type)
{
	ssize_t got;

	if (send(fd, message->bytes, message->head.nlmsg_len, 0) < 0)
		return -errno;
	got = recv(fd, message->bytes, sizeof(message->bytes), 0);
	if (got < 0)
		return -errno;
	if (!NLMSG_OK(&message->head, (size_t)got))
		return -EPROTO;
	if (message->head.nlmsg_type == NLMSG_ERROR && message->head.nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
		return *(const int *)NLMSG_DATA(&message->head) ?: -EPROTO;
	return message->head.nlmsg_type == type ? 0 : -EPROTO;
}

/* An attribute of an answer whose fixed part is `fixed` bytes long, with at least `least` bytes; or NULL. */
static const struct rtattr *attribute(
	const struct message *message, size_t fixed, unsigned wanted, size_t least)
{
	const struct rtattr *row =
		(const struct rtattr *)(message->bytes + NLMSG_LENGTH(0) + NLMSG_ALIGN(fixed));
	int left = (int)message->head.nlmsg_len - (int)NLMSG_LENGTH(NLMSG_ALIGN(fixed));

	for (; RTA_OK(row, left); row = RTA_NEXT(row, left))
		if (row->rta_type == wanted)
			return RTA_PAYLOAD(row) >= least ? row : NULL;
	return NULL;
}

static bool number(const struct message *message, size_t fixed, unsigned wanted, void *out)
{
	const struct rtattr *row = attribute(message, fixed, wanted, sizeof(__u32));

	if (row)
		memcpy(out, RTA_DATA(row), sizeof(__u32));
	return row != NULL;
}

/* What the kernel says about an interface, in the namespace with that number (NULL: ours). */
static int ask_link(int fd, struct message *message, __u32 ifindex, const __s32 *netnsid)
{
	const struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};

	ask(message, RTM_GETLINK, &link, sizeof(link));
	if (netnsid)
		ask_number(message, IFLA_TARGET_NETNSID, (__u32)*netnsid);
	return answer(fd, message, RTM_NEWLINK);
}

static void find_name(int fd, struct message *message, struct hk_peer *peer)
{
	const struct rtattr *name;

	if (ask_link(fd, message, peer->ifindex, peer->elsewhere ? &peer->netnsid : NULL))
		return; /* not told to everybody */
	name = attribute(message, sizeof(struct ifinfomsg), IFLA_IFNAME, 2);
	if (name)
		snprintf(peer->name, sizeof(peer->name), "%.*s", (int)RTA_PAYLOAD(name),
			(const char *)RTA_DATA(name));
}

/* Whether the namespace at `path` has that number here. */
static bool is_netns(int fd, struct message *message, const char *path, __s32 netnsid)
{
	const struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};
	int place = open(path, O_RDONLY | O_CLOEXEC);
	__s32 found = NETNSA_NSID_NOT_ASSIGNED;

	if (place < 0)
		return false;
	ask(message, RTM_GETNSID, &any, sizeof(any));
	ask_number(message, NETNSA_FD, (__u32)place);
	if (answer(fd, message, RTM_NEWNSID) == 0)
		number(message, sizeof(any), NETNSA_NSID, &found);
	close(place);
	return found == netnsid;
}

static void find_netns(int fd, struct message *message, struct hk_peer *peer)
{
	glob_t found = {0};
	size_t i;

	if (glob(NAMED_PLACE "*", GLOB_NOSORT, NULL, &found) == 0)
		for (i = 0; i < found.gl_pathc && !peer->netns[0]; i++)
			if (is_netns(fd, message, found.gl_pathv[i], peer->netnsid))
				snprintf(peer->netns, sizeof(peer->netns), "%s",
					found.gl_pathv[i] + strlen(NAMED_PLACE));
	globfree(&found);
}

int hk_peer_query(struct hk_peer *out, __u32 ifindex)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err;
	struct message message;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return -errno;
	err = ask_link(fd, &message, ifindex, NULL);
	if (!err && !number(&message, sizeof(struct ifinfomsg), IFLA_LINK, &out->ifindex))
		err = -ENOENT;
	if (!err) {
		out->elsewhere = number(&message, sizeof(struct ifinfomsg), IFLA_LINK_NETNSID, &out->netnsid);
		find_name(fd, &message, out);
		if (out->elsewhere)
			find_netns(fd, &message, out);
	}
	close(fd);
	return err;
}

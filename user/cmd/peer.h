/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other end of a veth pair, as the kernel tells it over rtnetlink: an
 * interface of this network namespace, or of another one that has a number here
 * and perhaps a name.
 */
#ifndef HK_CMD_PEER_H
#define HK_CMD_PEER_H

#include <stdbool.h>
#include <net/if.h>
#include <linux/types.h>

struct hk_peer {
	__u32 ifindex;		/* in its own namespace */
	char name[IF_NAMESIZE]; /* there; empty: not told */
	bool elsewhere;		/* in another namespace, ... */
	__s32 netnsid;		/* ... which has this number in ours (`ip netns list-id`), ... */
	char netns[64];		/* ... and this name under /run/netns; empty: none */
};

/* 0; -ENOENT: that interface has no other end; or another negative errno. */
int hk_peer_query(struct hk_peer *out, __u32 ifindex);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a network interface is and can do: asked over ioctl(2), since /sys may
 * show another network namespace. Also what `halfkey doctor` reports.
 */
#ifndef HK_DATAPLANE_DEVICE_H
#define HK_DATAPLANE_DEVICE_H

#include <stdbool.h>
#include <linux/types.h>

#include "user/base/error.h"

#define HK_VLAN_ROOM 8 /* two tags */

struct hk_device {
	char name[16];
	__u32 ifindex;
	char driver[32]; /* as ethtool names it; "unknown" when it does not say */
	__u32 mtu;
	unsigned queues;    /* receive queues in use */
	unsigned tx_queues; /* transmit queues in use */
	bool up;
	bool promiscuous;
};

struct hk_device_link {
	bool gone;	  /* there is no such interface any more */
	bool up;	  /* set up, and the other end is there */
	__u32 speed_mbit; /* 0: not told */
};

/* 0, or negative errno and a sentence. */
int hk_device_query(struct hk_device *out, const char *name, struct hk_error *error);
/* The link of the interface with that index, now. */
void hk_device_link(struct hk_device_link *out, __u32 ifindex);
/* NULL, or why this kind of device has no native XDP and what to use instead. */
const char *hk_device_no_native(const struct hk_device *device);
/* The frame size (a power of two) for this MTU; 0: none fits; *mtu_max says what would. */
__u32 hk_device_frame_size(const struct hk_device *device, __u32 *mtu_max);
/* Takes every frame on the wire from now on, and is up. */
int hk_device_prepare(const struct hk_device *device, struct hk_error *error);
/* Undoes the promiscuous part. */
void hk_device_release(const char *name);

#endif

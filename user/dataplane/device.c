// SPDX-License-Identifier: GPL-2.0-or-later
/* What a network interface is and can do: see device.h. */
#include "user/dataplane/device.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/dataplane/socket.h"

#define FRAME_SMALL    2048
#define FRAME_LARGE    4096
#define NATIVE_MTU_MAX 3498 /* above, drivers need multi-buffer frames (xdp.frags) */

/* One ioctl on an interface's name. */
static int device_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	if (ioctl(fd, request, ifr))
		err = -errno;
	close(fd);
	return err;
}

static int device_ethtool(const char *name, void *command)
{
	struct ifreq ifr = {0};

	ifr.ifr_data = command;
	return device_ioctl(name, SIOCETHTOOL, &ifr);
}

static void driver_query(struct hk_device *device)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	if (device_ethtool(device->name, &info) || !info.driver[0])
		snprintf(info.driver, sizeof(info.driver), "unknown");
	snprintf(device->driver, sizeof(device->driver), "%.31s", info.driver);
}

/* A device without channels has one queue. */
static void queues_query(struct hk_device *device)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	device->queues = device->tx_queues = 1;
	if (device_ethtool(device->name, &channels))
		return;
	if (channels.combined_count + channels.rx_count)
		device->queues = channels.combined_count + channels.rx_count;
	if (channels.combined_count + channels.tx_count)
		device->tx_queues = channels.combined_count + channels.tx_count;
}

int hk_device_query(struct hk_device *out, const char *name, struct hk_error *error)
{
	struct ifreq ifr = {0};
	int err;

	memset(out, 0, sizeof(*out));
	if (strlen(name) >= sizeof(out->name))
		return hk_error_set(
			error, EINVAL, "port '%s': an interface name has at most 15 characters", name);
	snprintf(out->name, sizeof(out->name), "%s", name);
	err = device_ioctl(name, SIOCGIFINDEX, &ifr);
	if (err)
		return hk_error_set(error, -err, "port '%s': %s: see `ip link` for the interfaces there are",
			name, strerror(-err));
	out->ifindex = (__u32)ifr.ifr_ifindex;
	err = device_ioctl(name, SIOCGIFMTU, &ifr);
	out->mtu = err ? 0 : (__u32)ifr.ifr_mtu;
	if (!err)
		err = device_ioctl(name, SIOCGIFFLAGS, &ifr);
	if (err)
		return hk_error_set(error, -err, "port '%s': %s", name, strerror(-err));
	out->up = ifr.ifr_flags & IFF_UP;
	out->promiscuous = ifr.ifr_flags & IFF_PROMISC;
	driver_query(out);
	queues_query(out);
	return 0;
}

static __u32 speed_query(const char *name)
{
	struct ethtool_cmd settings = {.cmd = ETHTOOL_GSET};
	__u32 speed = device_ethtool(name, &settings) ? 0 : ethtool_cmd_speed(&settings);

	return speed == (__u32)SPEED_UNKNOWN ? 0 : speed;
}

void hk_device_link(struct hk_device_link *out, __u32 ifindex)
{
	const short both = IFF_UP | IFF_RUNNING;
	char name[IF_NAMESIZE];
	struct ifreq ifr = {0};

	*out = (struct hk_device_link){.gone = !if_indextoname(ifindex, name)};
	if (out->gone || device_ioctl(name, SIOCGIFFLAGS, &ifr))
		return;
	out->up = (ifr.ifr_flags & both) == both;
	out->speed_mbit = speed_query(name);
}

const char *hk_device_no_native(const struct hk_device *device)
{
	static const struct {
		const char *driver;
		const char *why;
	} rows[] = {
		{"802.1Q VLAN Support",
			"a VLAN device has no native XDP: use the device below it, tags are parsed"},
		{"bonding", "a bond has no AF_XDP queues of its own: use the devices it bonds"},
		{"team", "a team has no native XDP: use the devices it bundles"},
		{"bridge", "a bridge has no native XDP: use its ports"},
		{"macvlan", "a macvlan device has no native XDP: use the device below it"},
		{"ipvlan", "an ipvlan device has no native XDP: use the device below it"},
		{"dummy", "a dummy device receives nothing"},
	};
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].driver, device->driver) == 0)
			return rows[i].why;
	return NULL;
}

__u32 hk_device_frame_size(const struct hk_device *device, __u32 *mtu_max)
{
	static const __u32 sizes[] = {FRAME_SMALL, FRAME_LARGE};
	__u32 room, i;

	*mtu_max = NATIVE_MTU_MAX;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		room = hk_queue_frame_max(sizes[i]) - 14 - HK_VLAN_ROOM;
		if (device->mtu <= room && device->mtu <= NATIVE_MTU_MAX)
			return sizes[i];
	}
	return 0;
}

int hk_device_prepare(const struct hk_device *device, struct hk_error *error)
{
	struct ifreq ifr = {0};
	int err = device_ioctl(device->name, SIOCGIFFLAGS, &ifr);

	if (!err && (ifr.ifr_flags & (IFF_UP | IFF_PROMISC)) != (IFF_UP | IFF_PROMISC)) {
		ifr.ifr_flags |= IFF_UP | IFF_PROMISC;
		err = device_ioctl(device->name, SIOCSIFFLAGS, &ifr);
	}
	if (err)
		return hk_error_set(error, -err, "port '%s': cannot be made promiscuous: %s", device->name,
			strerror(-err));
	return 0;
}

void hk_device_release(const char *name)
{
	struct ifreq ifr = {0};

	if (device_ioctl(name, SIOCGIFFLAGS, &ifr) || !(ifr.ifr_flags & IFF_PROMISC))
		return;
	ifr.ifr_flags &= (short)~IFF_PROMISC;
	device_ioctl(name, SIOCSIFFLAGS, &ifr);
}

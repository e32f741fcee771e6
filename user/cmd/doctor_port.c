// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What `halfkey doctor` looks at on a port: see finding.h. On veth the peer
 * matters as much: it must take redirected frames and send whole checksums.
 */
#include "user/cmd/finding.h"

#include <bpf/libbpf.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/cmd/peer.h"

/* --- ethtool --- */

static int ask_ethtool(const char *name, void *command)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed;

	if (fd < 0)
		return -1;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_data = command;
	failed = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return failed ? -1 : 0;
}

/* A feature's state: 1 on, 0 off, -1 not told. */
static int ask_flag(const char *name, __u32 what)
{
	struct ethtool_value value = {.cmd = what};

	return ask_ethtool(name, &value) ? -1 : value.data != 0;
}

static int ask_bit(const char *name, __u32 bit)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};

	return ask_ethtool(name, &value) ? -1 : (value.data & bit) != 0;
}

/* --- veth --- */

static void look_at_delivery(
	struct hk_findings *findings, const char *subject, const char *peer, unsigned peer_index)
{
	__u32 program = 0;
	char todo[96];

	snprintf(todo, sizeof(todo), "ethtool -K %s gro on, or attach an XDP program there", peer);
	if (bpf_xdp_query_id((int)peer_index, 0, &program) == 0 && program)
		hk_finding(findings, HK_FINDING_OK, subject, NULL,
			"peer %s runs XDP: takes redirected frames", peer);
	else if (ask_flag(peer, ETHTOOL_GGRO) == 1)
		hk_finding(findings, HK_FINDING_OK, subject, NULL,
			"peer %s has GRO on: takes redirected frames", peer);
	else
		hk_finding(findings, HK_FINDING_FAIL, subject, todo,
			"peer %s has neither XDP nor GRO: what is redirected to it is lost silently", peer);
}

/* What is to be looked at beyond our reach: where, and with which command. */
static void look_elsewhere(struct hk_findings *findings, const char *subject, const struct hk_peer *peer)
{
	char todo[320], where[96] = "", end[48];

	snprintf(end, sizeof(end), "%s", peer->name);
	if (!peer->name[0])
		snprintf(end, sizeof(end), "the interface with index %u", peer->ifindex);
	if (peer->netns[0])
		snprintf(where, sizeof(where), "nsenter --net=/run/netns/%s ", peer->netns);
	snprintf(todo, sizeof(todo),
		"%sethtool -k %s shows whether GRO is on and tx checksumming off; %sethtool -K "
		"%s gro on tx off",
		where[0] ? where : "there: ", peer->name[0] ? peer->name : "PEER", where,
		peer->name[0] ? peer->name : "PEER");
	hk_finding(findings, HK_FINDING_WARN, subject, todo,
		"its peer is %s in another namespace, %s%s (link-netnsid %d): not looked at from here", end,
		peer->netns[0] ? "" : "one without a name", peer->netns, peer->netnsid);
}

static void look_at_peer(struct hk_findings *findings, const char *subject, const struct hk_device *device)
{
	struct hk_peer found;
	const char *peer = found.name;
	char todo[96];

	if (strcmp(device->driver, "veth") != 0)
		return;
	if (hk_peer_query(&found, device->ifindex)) {
		hk_finding(findings, HK_FINDING_WARN, subject, "there: ethtool -K PEER gro on tx off",
			"the kernel does not tell its peer");
		return;
	}
	if (found.elsewhere) {
		look_elsewhere(findings, subject, &found);
		return;
	}
	look_at_delivery(findings, subject, peer, found.ifindex);
	snprintf(todo, sizeof(todo), "ethtool -K %s tx off", peer);
	if (ask_flag(peer, ETHTOOL_GTXCSUM) == 1)
		hk_finding(findings, HK_FINDING_FAIL, subject, todo,
			"peer %s leaves checksums to be filled in: its TCP and UDP will be refused beyond "
			"the box",
			peer);
	else
		hk_finding(findings, HK_FINDING_OK, subject, NULL, "peer %s sends whole checksums", peer);
}

/* --- any device --- */

static void look_at_driver(struct hk_findings *findings, const char *subject, const struct hk_device *device,
	const struct hk_config *config)
{
	static const char *const native[] = {"veth", "tun", "virtio_net", "ixgbe", "ixgbevf", "i40e", "ice",
		"igb", "igc", "mlx4_en", "mlx5_core", "ena", "bnxt_en", "nfp", "qede", "sfc", "gve",
		"hv_netvsc", "mvneta", "mvpp2", "stmmac", "st_gmac", "fsl_dpaa2_eth", "fsl_enetc", "cpsw",
		"am65-cpsw-nuss", "tsnep", "thunder-nic", "vmxnet3", "lan966x-switch", "mana", "octeontx2"};
	const char *why = hk_device_no_native(device);
	unsigned i;

	if (why) {
		hk_finding(findings,
			config && config->attach == HK_ATTACH_GENERIC ? HK_FINDING_WARN : HK_FINDING_FAIL,
			subject, why, "driver %s", device->driver);
		return;
	}
	for (i = 0; i < sizeof(native) / sizeof(native[0]); i++)
		if (strcmp(native[i], device->driver) == 0) {
			hk_finding(findings, HK_FINDING_OK, subject, NULL, "driver %s, which has native XDP",
				device->driver);
			return;
		}
	hk_finding(findings, HK_FINDING_WARN, subject, "`halfkey status` shows the mode really in use",
		"driver %s: not known to have native XDP; generic mode is two to four times as slow",
		device->driver);
}

static void look_at_program(struct hk_findings *findings, const char *subject, const struct hk_device *device)
{
	__u32 program = 0;

	if (bpf_xdp_query_id((int)device->ifindex, 0, &program))
		hk_finding(findings, HK_FINDING_WARN, subject, "run as root",
			"what XDP program it runs is not told");
	else if (program)
		hk_finding(findings, HK_FINDING_OK, subject, NULL,
			"runs XDP program %u (bpftool net show tells whose)", program);
	else
		hk_finding(findings, HK_FINDING_OK, subject, NULL, "runs no XDP program yet");
}

static void look_at_mtu(struct hk_findings *findings, const char *subject, const struct hk_device *device)
{
	__u32 max = 0, frame = hk_device_frame_size(device, &max);
	char todo[96];

	snprintf(todo, sizeof(todo), "ip link set dev %s mtu %u", device->name, max);
	if (!frame)
		hk_finding(findings, HK_FINDING_FAIL, subject, todo,
			"MTU %u is more than the %u a frame can hold", device->mtu, max);
	else if (device->mtu < 1500)
		hk_finding(findings, HK_FINDING_WARN, subject, "raise it: envelopes add 40 bytes and more",
			"MTU %u is small", device->mtu);
	else
		hk_finding(findings, HK_FINDING_OK, subject, NULL, "MTU %u, frames of %u bytes", device->mtu,
			frame);
}

static void look_at_queues(struct hk_findings *findings, const char *subject, const struct hk_device *device,
	const struct hk_config *config)
{
	unsigned wanted = config && config->queues ? config->queues : device->queues;
	char todo[96];

	snprintf(todo, sizeof(todo), "ethtool -L %s combined %u (veth: rx %u tx %u)", device->name, wanted,
		wanted, wanted);
	if (device->queues != wanted)
		hk_finding(findings, HK_FINDING_FAIL, subject, todo,
			"%u receive queue%s, the configuration wants %u: every queue must have its worker",
			device->queues, hk_plural(device->queues), wanted);
	else if (device->tx_queues < wanted)
		hk_finding(findings, HK_FINDING_FAIL, subject, todo,
			"%u receive queue%s, but only %u to transmit on", device->queues,
			hk_plural(device->queues), device->tx_queues);
	else if (device->queues > HK_QUEUES_MAX)
		hk_finding(findings, HK_FINDING_FAIL, subject, todo, "%u queues, %u are the most",
			device->queues, HK_QUEUES_MAX);
	else
		hk_finding(findings, HK_FINDING_OK, subject, NULL, "%u queue%s", device->queues,
			hk_plural(device->queues));
}

static void look_at_offloads(
	struct hk_findings *findings, const char *subject, const struct hk_device *device)
{
	char todo[96];

	snprintf(todo, sizeof(todo), "ethtool -K %s rxvlan off", device->name);
	if (ask_bit(device->name, ETH_FLAG_RXVLAN) == 1)
		hk_finding(findings, HK_FINDING_WARN, subject, todo,
			"takes VLAN tags off before XDP sees them: tagged traffic loses its tag");
	else
		hk_finding(findings, HK_FINDING_OK, subject, NULL, "leaves VLAN tags in the frame");
	snprintf(todo, sizeof(todo), "ethtool -K %s lro off", device->name);
	if (ask_bit(device->name, ETH_FLAG_LRO) == 1)
		hk_finding(findings, HK_FINDING_FAIL, subject, todo,
			"joins received packets (LRO): native XDP refuses");
}

static void look_at_state(struct hk_findings *findings, const char *subject, const struct hk_device *device)
{
	if (device->up)
		hk_finding(findings, HK_FINDING_OK, subject, NULL, "is up%s",
			device->promiscuous ? ", promiscuous" : "");
	else
		hk_finding(
			findings, HK_FINDING_WARN, subject, "nothing to do: halfkeyd takes it up", "is down");
}

static bool is_link_local(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static void look_at_addresses(
	struct hk_findings *findings, const char *subject, const struct hk_device *device)
{
	struct ifaddrs *all = NULL, *one;
	unsigned count = 0;
	char todo[96];

	if (getifaddrs(&all))
		return;
	for (one = all; one; one = one->ifa_next)
		if (one->ifa_addr && strcmp(one->ifa_name, device->name) == 0 &&
			(one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6))
			count += !is_link_local(one->ifa_addr);
	freeifaddrs(all);
	snprintf(todo, sizeof(todo), "ip address flush dev %s", device->name);
	if (count)
		hk_finding(findings, HK_FINDING_WARN, subject, todo,
			"carries %u IP address%s: what is sent to them goes through the box, not to this "
			"host",
			count, count == 1 ? "" : "es");
}

void hk_doctor_port(struct hk_findings *findings, const char *name, const struct hk_config *config)
{
	struct hk_error error = {""};
	struct hk_device device;
	char subject[32];

	snprintf(subject, sizeof(subject), "%.15s", name);
	if (hk_device_query(&device, name, &error)) {
		hk_finding(findings, HK_FINDING_FAIL, subject, NULL, "%s", error.text); /* says what to do */
		return;
	}
	look_at_state(findings, subject, &device);
	look_at_driver(findings, subject, &device, config);
	look_at_program(findings, subject, &device);
	look_at_queues(findings, subject, &device, config);
	look_at_mtu(findings, subject, &device);
	look_at_offloads(findings, subject, &device);
	look_at_addresses(findings, subject, &device);
	look_at_peer(findings, subject, &device);
}

void hk_doctor_pair(struct hk_findings *findings, const char *first, const char *second)
{
	struct hk_error error = {""};
	struct hk_device a, b;

	if (hk_device_query(&a, first, &error) || hk_device_query(&b, second, &error))
		return;
	if (a.queues != b.queues)
		hk_finding(findings, HK_FINDING_FAIL, "both ports",
			"give both the same number with ethtool -L",
			"%s has %u queue%s and %s %u: worker q serves queue q of both", a.name, a.queues,
			hk_plural(a.queues), b.name, b.queues);
	else
		hk_finding(findings, HK_FINDING_OK, "both ports", NULL, "%u queue%s each", a.queues,
			hk_plural(a.queues));
	if (a.mtu != b.mtu)
		hk_finding(findings, HK_FINDING_WARN, "both ports", "ip link set dev PORT mtu ...",
			"MTU %u and %u: frames of the larger are lost on the smaller", a.mtu, b.mtu);
	else
		hk_finding(findings, HK_FINDING_OK, "both ports", NULL, "MTU %u each", a.mtu);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mirror's interface: see tap.h. What is written here is plaintext that an
 * attacker may have chosen, next to our own kernel's stack. Four things keep
 * them apart, each alone enough: frames are addressed to nobody (frame.h), the
 * interface has no address of either IP version, IPv6 is off on it, and a
 * filter drops everything it receives behind the point where captures look.
 */
#include "user/feed/tap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a 2048-byte UMEM frame can hold fits: readers size their buffers by it. */
#define TAP_MTU 2048

static int tap_check_name(const char *name, struct hk_error *error)
{
	if (!*name || strlen(name) >= IFNAMSIZ)
		return hk_error_set(error, EINVAL,
			"mirror: '%s' cannot be an interface name: it must have 1 to %d characters", name,
			IFNAMSIZ - 1);
	if (strpbrk(name, "/:% \t\n") || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return hk_error_set(error, EINVAL,
			"mirror: '%s' cannot be an interface name: leave out '/', ':', '%%' and spaces",
			name);
	if (if_nametoindex(name))
		return hk_error_set(error, EEXIST,
			"mirror: interface '%s' exists already: remove it or choose another name for the tap",
			name);
	return 0;
}

static int tap_create(const char *name, struct hk_error *error)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL};
	int code, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return hk_error_set(error, errno,
			"mirror: cannot open /dev/net/tun for '%s': %s: it needs root and the kernel's tun "
			"module",
			name, strerror(errno));
	memcpy(request.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	code = hk_error_set(error, errno, "mirror: cannot create interface '%s': %s%s", name, strerror(errno),
		errno == EBUSY ? ": the name is in use, choose another" : "");
	close(fd);
	return code;
}

/* Off before the interface is up: afterwards it would have a link-local address for a moment. */
static int tap_disable_ipv6(const char *name, struct hk_error *error)
{
	char path[96];
	int fd, code = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0; /* a kernel without IPv6 */
	if (fd < 0 || write(fd, "1", 1) != 1)
		code = hk_error_set(error, errno, "mirror: cannot turn IPv6 off on '%s' (%s): %s", name, path,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return code;
}

static int tap_configure(int control, const char *name)
{
	static const __u8 own[ETH_ALEN] = {0x02, 0x48, 0x4b, 0xff, 0xff, 0xff};
	struct ifreq request = {0};

	memcpy(request.ifr_name, name, strlen(name) + 1);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, own, ETH_ALEN);
	if (ioctl(control, SIOCSIFHWADDR, &request))
		return -errno;
	request.ifr_mtu = TAP_MTU;
	if (ioctl(control, SIOCSIFMTU, &request))
		return -errno;
	if (ioctl(control, SIOCGIFFLAGS, &request))
		return -errno;
	request.ifr_flags = (short)((request.ifr_flags | IFF_NOARP) & ~IFF_MULTICAST);
	return ioctl(control, SIOCSIFFLAGS, &request) ? -errno : 0;
}

static int tap_up(int control, const char *name)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, name, strlen(name) + 1);
	if (ioctl(control, SIOCGIFFLAGS, &request))
		return -errno;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(control, SIOCSIFFLAGS, &request) ? -errno : 0;
}

/* A classifier program on ingress: return TC_ACT_SHOT. Captures have seen the packet by then. */
static int tap_filter(const char *name)
{
	static const struct bpf_insn drop_all[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_tc_hook hook = {
		.sz = sizeof(hook), .ifindex = (int)if_nametoindex(name), .attach_point = BPF_TC_INGRESS};
	struct bpf_tc_opts options = {.sz = sizeof(options), .handle = 1, .priority = 1};
	int code, fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "hk_mirror_drop", "GPL", drop_all, 2, NULL);

	if (fd < 0)
		return fd;
	options.prog_fd = fd;
	code = bpf_tc_hook_create(&hook);
	if (!code)
		code = bpf_tc_attach(&hook, &options);
	close(fd);
	return code;
}

int hk_tap_open(const char *name, struct hk_error *error)
{
	int fd, control, code = tap_check_name(name, error);

	if (code)
		return code;
	fd = tap_create(name, error);
	if (fd < 0)
		return fd;
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	code = control < 0 ? -errno : tap_configure(control, name);
	if (code)
		hk_error_set(error, -code, "mirror: cannot set up '%s': %s", name, strerror(-code));
	if (!code)
		code = tap_disable_ipv6(name, error);
	if (!code && (code = tap_filter(name)))
		hk_error_set(error, -code,
			"mirror: cannot put the filter on '%s' that keeps opened packets from this machine's "
			"own "
			"stack: %s: the kernel needs sch_ingress and cls_bpf",
			name, strerror(-code));
	if (!code && (code = tap_up(control, name)))
		hk_error_set(error, -code, "mirror: cannot bring '%s' up: %s", name, strerror(-code));
	if (control >= 0)
		close(control);
	if (!code)
		return fd;
	close(fd);
	return code;
}

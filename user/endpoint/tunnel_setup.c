// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tunnel's device and sockets, made with privileges, and the end of those
 * privileges. Where the speech spreads (PSP), it sends from several ports, chosen
 * by the inner flow, so that the network spreads flows; else one socket does both.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/endpoint/tunnel.h"

#define SOCKET_BUFFER (4 << 20)

_Static_assert(IP_PMTUDISC_DO == IPV6_PMTUDISC_DO, "one value serves both");

static int system_error(struct hk_error *error, const char *what, const char *value)
{
	int code = errno;

	return hk_error_set(error, code, "%s '%s': %s%s", what, value, strerror(code),
		code == EPERM || code == EACCES ? " (root is needed)" : "");
}

/* --- device ---------------------------------------------------------------------------------- */

static int open_tun(struct hk_tunnel *tunnel, struct hk_error *error)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL};

	tunnel->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tunnel->tun < 0)
		return system_error(error, "device", "/dev/net/tun");
	memcpy(request.ifr_name, tunnel->device, sizeof(request.ifr_name));
	if (ioctl(tunnel->tun, TUNSETIFF, &request))
		return system_error(error, "TUN device", tunnel->device);
	return 0;
}

/* ADDRESS/LENGTH with host bits, unlike a prefix. */
static int parse_inner(const char *text, struct hk_address *address, unsigned *length)
{
	const char *slash = strchr(text, '/');
	char alone[HK_ADDRESS_TEXT];
	__u64 number;

	if (!slash || (size_t)(slash - text) >= sizeof(alone))
		return -EINVAL;
	memcpy(alone, text, (size_t)(slash - text));
	alone[slash - text] = '\0';
	if (hk_address_parse(alone, address) ||
		hk_number_parse(slash + 1, hk_address_is_v4(address) ? 32 : 128, &number))
		return -EINVAL;
	*length = (unsigned)number;
	return 0;
}

static int set_v4(int control, struct ifreq *request, const struct hk_address *address, unsigned length)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&request->ifr_addr;

	memset(v4, 0, sizeof(*v4));
	v4->sin_family = AF_INET;
	memcpy(&v4->sin_addr, address->bytes + 12, 4);
	if (ioctl(control, SIOCSIFADDR, request))
		return -1;
	v4->sin_addr.s_addr = length ? htonl(0xffffffffu << (32 - length)) : 0;
	return ioctl(control, SIOCSIFNETMASK, request);
}

static int set_v6(int index, const struct hk_address *address, unsigned length)
{
	struct in6_ifreq request = {.ifr6_prefixlen = length, .ifr6_ifindex = index};
	int control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), status;

	if (control < 0)
		return -1;
	memcpy(&request.ifr6_addr, address->bytes, 16);
	status = ioctl(control, SIOCSIFADDR, &request);
	close(control);
	return status;
}

static int set_address(int control, struct ifreq *request, const char *text, struct hk_error *error)
{
	struct hk_address address;
	unsigned length;
	int status;

	if (parse_inner(text, &address, &length))
		return hk_error_set(error, EINVAL, "inner address '%s': must be ADDRESS/LENGTH", text);
	if (hk_address_is_v4(&address))
		status = set_v4(control, request, &address, length);
	else
		status = set_v6((int)if_nametoindex(request->ifr_name), &address, length);
	return status ? system_error(error, "inner address", text) : 0;
}

static int set_device(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), status = 0;
	struct ifreq request = {0};
	unsigned i;

	if (control < 0)
		return system_error(error, "device", tunnel->device);
	memcpy(request.ifr_name, tunnel->device, sizeof(request.ifr_name));
	request.ifr_mtu = (int)tunnel->mtu;
	if (ioctl(control, SIOCSIFMTU, &request))
		status = system_error(error, "MTU of device", tunnel->device);
	request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_POINTOPOINT | IFF_NOARP;
	if (!status && ioctl(control, SIOCSIFFLAGS, &request))
		status = system_error(error, "device", tunnel->device);
	for (i = 0; i < config->device.addresses_count && !status; i++)
		status = set_address(control, &request, config->device.addresses[i], error);
	close(control);
	return status;
}

/* --- sockets --------------------------------------------------------------------------------- */

/* UDP checksum 0, as PSP senders do (RFC 6935): the ICV is the check. Outer packets are never fragmented. */
static void tune(int fd, bool v4, bool raw)
{
	int one = 1, discover = IP_PMTUDISC_DO, size = SOCKET_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
		&discover, sizeof(discover));
	if (raw)
		return;
	if (v4) {
		(void)setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one));
		return;
	}
	(void)setsockopt(fd, IPPROTO_UDP, UDP_NO_CHECK6_TX, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, &one, sizeof(one));
}

static int open_socket(struct hk_tunnel *tunnel, in_port_t port, struct hk_error *error)
{
	bool v4 = hk_address_is_v4(&tunnel->local), raw = tunnel->speech->protocol != IPPROTO_UDP;
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	char text[HK_ADDRESS_TEXT];
	int fd, status;

	fd = socket(v4 ? AF_INET : AF_INET6, (raw ? SOCK_RAW : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
		raw ? tunnel->speech->protocol : 0);
	hk_address_format(&tunnel->local, text);
	if (fd < 0)
		return system_error(error, "socket for local address", text);
	memcpy(&a4.sin_addr, tunnel->local.bytes + 12, 4);
	memcpy(&a6.sin6_addr, tunnel->local.bytes, 16);
	tune(fd, v4, raw);
	status = v4 ? bind(fd, (struct sockaddr *)&a4, sizeof(a4))
		    : bind(fd, (struct sockaddr *)&a6, sizeof(a6));
	if (!status)
		return fd;
	status = hk_error_set(error, errno, "local address '%s', port %u: %s", text, port, strerror(errno));
	close(fd);
	return status;
}

static int open_sockets(struct hk_tunnel *tunnel, struct hk_error *error)
{
	const struct hk_speech *speech = tunnel->speech;
	unsigned i;

	tunnel->inlet = open_socket(tunnel, speech->protocol == IPPROTO_UDP ? speech->port : 0, error);
	if (tunnel->inlet < 0)
		return tunnel->inlet;
	tunnel->outlets[0] = tunnel->inlet;
	tunnel->outlets_count = 1;
	for (i = 0; speech->spread && i < HK_TUNNEL_SOCKETS; i++) {
		tunnel->outlets[i] = open_socket(tunnel, 0, error); /* a port of the system's choice */
		if (tunnel->outlets[i] < 0)
			return tunnel->outlets[i];
		tunnel->outlets_count = i + 1;
	}
	return 0;
}

/* --- the rest -------------------------------------------------------------------------------- */

static int open_stats(struct hk_tunnel *tunnel, const char *path, struct hk_error *error)
{
	if (!path)
		return 0;
	tunnel->stats_fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	return tunnel->stats_fd < 0 ? system_error(error, "statistics file", path) : 0;
}

static int open_signals(struct hk_tunnel *tunnel, struct hk_error *error)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tunnel->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return tunnel->signals < 0 ? system_error(error, "signals", "signalfd") : 0;
}

static int drop_privileges(const char *user, struct hk_error *error)
{
	struct passwd *entry = getpwnam(user);
	cap_t none = cap_init();
	int status = 0;

	if (!entry) {
		status = hk_error_set(
			error, ENOENT, "user '%s': no such user: name another with --user", user);
	} else if (geteuid() == 0 &&
		   (setgroups(0, NULL) || setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) ||
			   setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid))) {
		status = system_error(error, "becoming user", user);
	} else if (!none || cap_set_proc(none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		   prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) {
		status = system_error(error, "dropping capabilities as", user);
	}
	cap_free(none);
	return status;
}

int hk_tunnel_setup(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	int status = open_signals(tunnel, error);

	if (!status)
		status = open_stats(tunnel, config->stats, error);
	if (!status)
		status = open_sockets(tunnel, error);
	if (!status)
		status = open_tun(tunnel, error);
	if (!status)
		status = set_device(tunnel, config, error);
	(void)mlockall(MCL_CURRENT); /* keys stay out of swap where the system allows it */
	return status ? status : drop_privileges(config->user ? config->user : "nobody", error);
}

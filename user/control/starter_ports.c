// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ports while the daemon runs. A link that is down is said and waited for.
 * An interface that is gone took its XDP program and sockets with it, and one
 * that comes back under its name has neither: only a new start can serve it, so
 * this run ends, as a failure, for whoever restarts it.
 */
#include "user/control/starter_state.h"

#include "user/base/log.h"

#define LOOK_NS 500000000ull

static void port_gone(struct hk_starter *starter, const struct hk_device *device)
{
	hk_log_error(
		"port %s (ifindex %u) is gone, and its XDP program with it: nothing is forwarded; halfkeyd "
		"ends: start it again when the interface is back",
		device->name, device->ifindex);
	starter->stop = starter->failed = true;
}

static void port_look(struct hk_starter *starter, unsigned port)
{
	const struct hk_device *device = &hk_loader_port(starter->loader, port)->device;
	struct hk_device_link *known = &starter->link[port], now;
	bool was_up = known->up || !starter->link_seen;

	hk_device_link(&now, device->ifindex);
	if (now.gone) {
		port_gone(starter, device);
		return;
	}
	if (was_up && !now.up)
		hk_log_warn("port %s: its link is down: nothing comes in or goes out there", device->name);
	if (!was_up && now.up)
		hk_log_info("port %s: its link is up again", device->name);
	if (now.up != known->up || now.speed_mbit != known->speed_mbit) {
		*known = now;
		hk_starter_say_status(starter);
	}
}

void hk_starter_watch_ports(struct hk_starter *starter, __u64 now_ns)
{
	unsigned port;

	if (now_ns < starter->ports_next_ns)
		return;
	starter->ports_next_ns = now_ns + LOOK_NS;
	for (port = 0; port < hk_loader_ports(starter->loader) && !starter->stop; port++)
		port_look(starter, port);
	starter->link_seen = true;
}

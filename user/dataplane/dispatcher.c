// SPDX-License-Identifier: GPL-2.0-or-later
/* Attaching through libxdp's dispatcher: see dispatcher.h. */
#include "user/dataplane/dispatcher.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "halfkey.skel.h"
#include "user/base/log.h"

static int libxdp_say(enum libxdp_print_level level, const char *format, va_list arguments)
{
	if (level != LIBXDP_DEBUG)
		hk_log_library("libxdp", format, arguments);
	return 0;
}

bool hk_dispatcher_possible(void)
{
	libxdp_set_print(libxdp_say);
	return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) == 1;
}

static void pin_name(unsigned port, __u32 ifindex, char name[40])
{
	snprintf(name, 40, "dispatch-%u-%u", port, ifindex);
}

/* libxdp attaches a lone program without a dispatcher when it cannot have one: that is not what we came for.
 */
static bool shares(__u32 ifindex)
{
	struct xdp_multiprog *multi = xdp_multiprog__get_from_ifindex((int)ifindex);
	bool dispatcher = !libxdp_get_error(multi) && !xdp_multiprog__is_legacy(multi);

	if (!libxdp_get_error(multi))
		xdp_multiprog__close(multi);
	return dispatcher;
}

static int program_attach(
	struct xdp_program *program, const struct hk_device *device, enum xdp_attach_mode mode)
{
	int err = xdp_program__attach(program, (int)device->ifindex, mode, 0);

	if (err)
		return err;
	if (shares(device->ifindex))
		return 0;
	xdp_program__detach(program, (int)device->ifindex, mode, 0);
	return -EOPNOTSUPP;
}

/* The program of an earlier run off the interface it is on. */
static void pinned_remove(const char *path, __u32 ifindex)
{
	struct xdp_program *old = xdp_program__from_pin(path);

	if (!libxdp_get_error(old)) {
		xdp_program__detach(old, (int)ifindex, XDP_MODE_UNSPEC, 0);
		xdp_program__close(old);
	}
	unlink(path);
}

int hk_dispatcher_attach(
	const struct hk_pins *pins, unsigned port, const struct hk_device *device, bool native)
{
	struct halfkey_bpf *skeleton = halfkey_bpf__open();
	struct xdp_program *program;
	char name[40], path[HK_PIN_PATH];
	int err, before = 0;

	if (!skeleton)
		return -errno;
	pin_name(port, device->ifindex, name);
	hk_pins_path(pins, name, path);
	err = hk_pins_adopt(pins, skeleton->obj, NULL);
	program = err < 0 ? NULL : xdp_program__from_bpf_obj(skeleton->obj, "xdp");
	if (err >= 0)
		err = (int)libxdp_get_error(program);
	if (!err)
		err = program_attach(program, device, native ? XDP_MODE_NATIVE : XDP_MODE_SKB);
	if (!err) {
		before = access(path, F_OK) == 0;
		if (before)
			pinned_remove(path, device->ifindex);
		err = xdp_program__pin(program, path);
		if (err)
			xdp_program__detach(program, (int)device->ifindex, XDP_MODE_UNSPEC, 0);
	}
	if (program && !libxdp_get_error(program))
		xdp_program__close(program);
	halfkey_bpf__destroy(skeleton);
	return err ? err : before;
}

__u32 hk_dispatcher_remove(const struct hk_pins *pins, unsigned port, __u32 except)
{
	char prefix[40], path[HK_PIN_PATH];
	DIR *directory = opendir(pins->directory);
	struct dirent *entry;
	__u32 ifindex, removed = 0;
	size_t length = (size_t)snprintf(prefix, sizeof(prefix), "dispatch-%u-", port);

	while (directory && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, prefix, length) != 0)
			continue;
		ifindex = (__u32)strtoul(entry->d_name + length, NULL, 10);
		if (ifindex == except)
			continue;
		hk_pins_path(pins, entry->d_name, path);
		pinned_remove(path, ifindex);
		removed = ifindex;
	}
	if (directory)
		closedir(directory);
	return removed;
}

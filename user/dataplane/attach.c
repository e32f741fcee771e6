// SPDX-License-Identifier: GPL-2.0-or-later
/* The XDP program on an interface: see attach.h. */
#include "user/dataplane/attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <glob.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "maps/layout.h"
#include "user/dataplane/dispatcher.h"

static void link_path(const struct hk_pins *pins, unsigned port, char path[HK_PIN_PATH])
{
	char name[16];

	snprintf(name, sizeof(name), "link-%u", port);
	hk_pins_path(pins, name, path);
}

/* The interface a link is on; 0: it is gone. */
static __u32 link_ifindex(int fd)
{
	struct bpf_link_info info = {0};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.xdp.ifindex;
}

static bool mode_native(__u32 ifindex)
{
	struct bpf_xdp_query_opts query = {.sz = sizeof(query)};

	return bpf_xdp_query((int)ifindex, 0, &query) == 0 && query.attach_mode != XDP_ATTACHED_SKB;
}

static int link_create(int program_fd, const struct hk_device *device, __u32 flags)
{
	struct bpf_link_create_opts options = {.sz = sizeof(options), .flags = flags};
	int fd = bpf_link_create(program_fd, (int)device->ifindex, BPF_XDP, &options);

	return fd < 0 ? -errno : fd;
}

static __u32 link_program(int fd)
{
	struct bpf_link_info info = {0};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.prog_id;
}

/*
 * "vN/NAME" of the pinned instance whose program runs on that interface; false: it is
 * none of ours. By the program, since an index means something in one namespace alone.
 */
static bool link_instance(__u32 ifindex, char *out, size_t size)
{
	glob_t found = {0};
	__u32 program = 0;
	size_t i, used;
	int fd;

	out[0] = '\0';
	if (bpf_xdp_query_id((int)ifindex, 0, &program) || !program ||
		glob(HK_PIN_ROOT "/v*/*/link-*", GLOB_NOSORT, NULL, &found))
		return false;
	for (i = 0; i < found.gl_pathc && !out[0]; i++) {
		fd = bpf_obj_get(found.gl_pathv[i]);
		if (fd < 0)
			continue;
		if (link_program(fd) == program) {
			snprintf(out, size, "%s", found.gl_pathv[i] + sizeof(HK_PIN_ROOT));
			used = strcspn(out, "/") + 1;
			out[used + strcspn(out + used, "/")] = '\0';
		}
		close(fd);
	}
	globfree(&found);
	return out[0] != '\0';
}

static int link_taken(const struct hk_device *device, int code, struct hk_error *error)
{
	char place[96];

	if (link_instance(device->ifindex, place, sizeof(place)))
		return hk_error_set(error, -code,
			"port '%s': Halfkey's instance '%s' has it (" HK_PIN_ROOT "/%s): stop that halfkeyd, "
			"and take it away with `halfkey detach -i %s`",
			device->name, strchr(place, '/') + 1, place, strchr(place, '/') + 1);
	return hk_error_set(error, -code,
		"port '%s': another XDP program is attached, and this kernel's dispatcher cannot share the "
		"interface: remove it (`ip link set %s xdp off`, or that program's own way)",
		device->name, device->name);
}

static int link_refused(const struct hk_device *device, unsigned attach, int code, struct hk_error *error)
{
	const char *why = hk_device_no_native(device);

	if (code == -EBUSY || code == -EEXIST)
		return link_taken(device, code, error);
	if (why)
		return hk_error_set(
			error, -code, "port '%s' (driver %s): %s", device->name, device->driver, why);
	return hk_error_set(error, -code, "port '%s' (driver %s, MTU %u): no %s XDP: %s%s", device->name,
		device->driver, device->mtu, attach == HK_ATTACH_GENERIC ? "generic" : "native",
		strerror(-code),
		attach == HK_ATTACH_NATIVE ? "; `attach: auto` would run it in the slow generic mode" : "");
}

static int link_new(const char *path, const struct hk_device *device, int program_fd, unsigned attach,
	struct hk_error *error)
{
	int fd, code;

	/* said before the kernel falls back for us: generic mode on these is never what was meant */
	if (attach != HK_ATTACH_GENERIC && hk_device_no_native(device))
		return link_refused(device, attach, -EOPNOTSUPP, error);
	fd = link_create(
		program_fd, device, attach == HK_ATTACH_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	if (fd < 0 && attach == HK_ATTACH_AUTO && fd != -EBUSY && fd != -EEXIST)
		fd = link_create(program_fd, device, XDP_FLAGS_SKB_MODE);
	if (fd < 0)
		return link_refused(device, attach, fd, error);
	code = bpf_obj_pin(fd, path) ? errno : 0;
	close(fd);
	return code ? hk_error_set(error, code, "%s: cannot be pinned: %s", path, strerror(code)) : 0;
}

/* 1: the link pinned there carries the new program now. 0: there is none that fits. */
static int link_adopt(const char *path, const struct hk_device *device, int program_fd, unsigned attach)
{
	int fd = bpf_obj_get(path), fits;

	if (fd < 0)
		return 0;
	fits = link_ifindex(fd) == device->ifindex &&
	       (attach == HK_ATTACH_AUTO || mode_native(device->ifindex) == (attach == HK_ATTACH_NATIVE)) &&
	       bpf_link_update(fd, program_fd, NULL) == 0;
	close(fd);
	return fits;
}

/* Native where it can be had, as for a link; false: a plain link must do. */
static bool dispatcher_try(struct hk_attachment *out, const struct hk_pins *pins, unsigned port,
	const struct hk_device *device, unsigned attach)
{
	int result = -EOPNOTSUPP;

	if (!hk_dispatcher_possible() || (attach != HK_ATTACH_GENERIC && hk_device_no_native(device)))
		return false;
	if (attach != HK_ATTACH_GENERIC)
		result = hk_dispatcher_attach(pins, port, device, true);
	if (result < 0 && attach != HK_ATTACH_NATIVE)
		result = hk_dispatcher_attach(pins, port, device, false);
	out->dispatcher = result >= 0;
	out->adopted = result > 0;
	return out->dispatcher;
}

static void port_release(__u32 ifindex)
{
	char name[IF_NAMESIZE];

	if (ifindex && if_indextoname(ifindex, name))
		hk_device_release(name);
}

static bool link_remove(const char *path, __u32 except)
{
	__u32 ifindex;
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return false;
	ifindex = link_ifindex(fd);
	if (ifindex && ifindex == except) {
		close(fd);
		return false;
	}
	bpf_link_detach(fd); /* now, not when the last reference goes */
	close(fd);
	unlink(path);
	port_release(ifindex);
	return true;
}

bool hk_attach_remove(const struct hk_pins *pins, unsigned port, __u32 except)
{
	__u32 ifindex = hk_dispatcher_remove(pins, port, except);
	char path[HK_PIN_PATH];

	port_release(ifindex);
	link_path(pins, port, path);
	return link_remove(path, except) || ifindex;
}

int hk_attach_port(struct hk_attachment *out, const struct hk_pins *pins, unsigned port,
	const struct hk_device *device, int program_fd, unsigned attach, struct hk_error *error)
{
	char path[HK_PIN_PATH];
	int err = 0;

	link_path(pins, port, path);
	out->dispatcher = false;
	out->adopted = link_adopt(path, device, program_fd, attach);
	if (!out->adopted) {
		link_remove(path, 0); /* in another mode than is demanded now */
		if (!dispatcher_try(out, pins, port, device, attach)) {
			hk_attach_remove(pins, port, 0);
			err = link_new(path, device, program_fd, attach, error);
		}
		/* link_remove() may have ended what hk_device_prepare() began */
		if (!err)
			err = hk_device_prepare(device, error);
	}
	out->native = mode_native(device->ifindex);
	return err;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The XDP side as the starter sees it: see loader.h. */
#include "user/dataplane/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "halfkey.skel.h"
#include "maps/counters.h"
#include "maps/layout.h"
#include "maps/rings.h"
#include "maps/settings.h"
#include "user/base/log.h"
#include "user/dataplane/pins.h"
#include "user/dataplane/socket.h"
#include "user/dataplane/tables.h"

#define LOCK_WAIT_MS 3000 /* an inspector whose starter was killed needs a moment to go */

struct hk_loader {
	struct hk_pins pins;
	struct halfkey_bpf *skeleton;
	struct hk_settings settings;
	struct hk_loader_port port[HK_PORTS_MAX];
	unsigned ports;
	unsigned queues;
	unsigned adopted;
	__u32 frame_size;
	int copies[HK_QUEUES_MAX];
	struct hk_heartbeat *beats;
	const struct hk_handed *handed;
};

#define BEATS_SIZE  (HK_MAP_SLOTS * sizeof(struct hk_heartbeat))
#define HANDED_SIZE (HK_MAP_SLOTS * sizeof(struct hk_handed))

static int libbpf_say(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level != LIBBPF_DEBUG)
		hk_log_library("libbpf", format, arguments);
	return 0;
}

static int port_query(
	struct hk_loader *loader, unsigned port, const struct hk_config *config, struct hk_error *error)
{
	struct hk_device *device = &loader->port[port].device;
	int err = hk_device_query(device, config->ports[port], error);
	__u32 size, mtu_max;

	if (err)
		return err;
	size = hk_device_frame_size(device, &mtu_max);
	if (!size)
		return hk_error_set(error, EMSGSIZE,
			"port '%s': its MTU is %u, and at most %u fits a frame: `ip link set %s mtu %u`",
			device->name, device->mtu, mtu_max, device->name, mtu_max);
	if (size > loader->frame_size)
		loader->frame_size = size;
	if (device->queues > HK_QUEUES_MAX)
		return hk_error_set(error, E2BIG,
			"port '%s' has %u queues, at most %u are served: "
			"`ethtool -L %s combined %u`",
			device->name, device->queues, HK_QUEUES_MAX, device->name, HK_QUEUES_MAX);
	return 0;
}

/* Worker q owns queue q of both ports: their numbers must be equal, and all queues be served. */
static int queues_check(struct hk_loader *loader, const struct hk_config *config, struct hk_error *error)
{
	const struct hk_device *first = &loader->port[0].device,
			       *other = &loader->port[loader->ports - 1].device;
	unsigned port;

	if (first->queues != other->queues)
		return hk_error_set(error, EINVAL,
			"ports '%s' and '%s' have %u and %u queues: they must have equally many (`ethtool "
			"-L`)",
			first->name, other->name, first->queues, other->queues);
	if (config->queues && config->queues != first->queues)
		return hk_error_set(error, EINVAL,
			"queues: %u wanted, but port '%s' has %u, and a queue without a worker would go "
			"uninspected: "
			"set `ethtool -L %s` or leave `queues` out",
			config->queues, first->name, first->queues, first->name);
	for (port = 0; config->mode == HK_MODE_INLINE && port < loader->ports; port++)
		if (loader->port[port].device.tx_queues < first->queues)
			return hk_error_set(error, EINVAL,
				"port '%s' has %u receive but %u transmit queues: it needs as many to send "
				"on",
				loader->port[port].device.name, first->queues,
				loader->port[port].device.tx_queues);
	loader->queues = first->queues;
	return 0;
}

static int ports_query(struct hk_loader *loader, const struct hk_config *config, struct hk_error *error)
{
	unsigned port;
	int err = 0;

	if (!config->ports_count || (config->mode != HK_MODE_PASSIVE && config->ports_count != 2))
		return hk_error_set(error, EINVAL,
			"ports: %u given, mode inline and monitor need two, passive one",
			config->ports_count);
	loader->ports = config->ports_count;
	for (port = 0; !err && port < loader->ports; port++)
		err = port_query(loader, port, config, error);
	if (!err && loader->ports == 2 && loader->port[0].device.ifindex == loader->port[1].device.ifindex)
		err = hk_error_set(error, EINVAL, "ports: '%s' stands there twice", config->ports[0]);
	return err ? err : queues_check(loader, config, error);
}

static int program_load(struct hk_loader *loader, struct hk_error *error)
{
	int adopted, err;

	libbpf_set_print(libbpf_say);
	loader->skeleton = halfkey_bpf__open();
	if (!loader->skeleton)
		return hk_error_set(error, errno, "the XDP program cannot be opened: %s", strerror(errno));
	adopted = hk_pins_adopt(&loader->pins, loader->skeleton->obj, error);
	if (adopted < 0)
		return adopted;
	loader->adopted = (unsigned)adopted;
	err = halfkey_bpf__load(loader->skeleton);
	if (err)
		return hk_error_set(error, -err,
			"the kernel refuses the XDP program: %s (run with -v for its words)", strerror(-err));
	return hk_pins_complete(&loader->pins, loader->skeleton->obj, error);
}

static int maps_map(struct hk_loader *loader, struct hk_error *error)
{
	void *beats = mmap(NULL, BEATS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		bpf_map__fd(loader->skeleton->maps.heartbeat), 0);
	void *handed =
		mmap(NULL, HANDED_SIZE, PROT_READ, MAP_SHARED, bpf_map__fd(loader->skeleton->maps.handed), 0);

	loader->beats = beats == MAP_FAILED ? NULL : beats;
	loader->handed = handed == MAP_FAILED ? NULL : handed;
	if (!loader->beats || !loader->handed)
		return hk_error_set(
			error, errno, "map heartbeat or handed: cannot be mapped: %s", strerror(errno));
	return 0;
}

/* One ring buffer a queue, new at each start: what an old one still holds is nobody's. */
static int copies_make(struct hk_loader *loader, struct hk_error *error)
{
	int outer = bpf_map__fd(loader->skeleton->maps.copies);
	__u32 queue;

	for (queue = 0; queue < HK_QUEUES_MAX; queue++) {
		if (loader->settings.mode != HK_MODE_MONITOR || queue >= loader->queues) {
			bpf_map_delete_elem(outer, &queue);
			continue;
		}
		loader->copies[queue] =
			bpf_map_create(BPF_MAP_TYPE_RINGBUF, "hk_copies", 0, 0, HK_COPY_RING_SIZE, NULL);
		if (loader->copies[queue] < 0 ||
			bpf_map_update_elem(outer, &queue, &loader->copies[queue], BPF_ANY))
			return hk_error_set(
				error, errno, "queue %u: no ring buffer: %s", queue, strerror(errno));
	}
	return 0;
}

static void settings_fill(struct hk_loader *loader, const struct hk_config *config)
{
	struct hk_settings *settings = &loader->settings;
	__u32 ring = hk_queue_ring_size(config->frames);
	unsigned port;

	settings->version = HK_MAPS_VERSION;
	settings->mode = config->mode;
	settings->armed = 0;
	settings->ports = (__u8)loader->ports;
	settings->queues = (__u8)loader->queues;
	for (port = 0; port < loader->ports; port++)
		settings->ifindex[port] = loader->port[port].device.ifindex;
	/* a batch of room: what is handed while `taken` is being raised must still fit */
	settings->ring_limit = ring > 128 ? ring - 64 : ring / 2;
	settings->frame_max = hk_loader_frame_max(loader);
	settings->heartbeat_ns = config->heartbeat_ms * 1000000ull;
}

static int maps_fill(struct hk_loader *loader, const struct hk_config *config, struct hk_error *error)
{
	int err = maps_map(loader, error);

	settings_fill(loader, config);
	if (!err)
		err = hk_tables_settings(
			bpf_map__fd(loader->skeleton->maps.settings), &loader->settings, error);
	if (!err)
		err = hk_tables_tx_ports(bpf_map__fd(loader->skeleton->maps.tx_ports),
			loader->settings.ifindex, loader->ports, error);
	if (!err)
		err = hk_loader_reload(loader, config, HK_TABLES_REMOVE | HK_TABLES_PUT, error);
	return err ? err : copies_make(loader, error);
}

static int port_attach(
	struct hk_loader *loader, unsigned port, const struct hk_config *config, struct hk_error *error)
{
	struct hk_loader_port *row = &loader->port[port];
	struct hk_device again;
	int err = hk_device_prepare(&row->device, error);

	if (!err)
		err = hk_attach_port(&row->attachment, &loader->pins, port, &row->device,
			bpf_program__fd(loader->skeleton->progs.halfkey_xdp), config->attach, error);
	/* some drivers change their channels when a program is attached */
	if (!err)
		err = hk_device_query(&again, row->device.name, error);
	if (!err && again.queues != loader->queues)
		err = hk_error_set(error, EINVAL,
			"port '%s' had %u queues and has %u with a program attached: set `ethtool -L %s` and "
			"try again",
			row->device.name, loader->queues, again.queues, row->device.name);
	return err;
}

static int ports_attach(struct hk_loader *loader, const struct hk_config *config, struct hk_error *error)
{
	unsigned port;
	int err = 0;

	for (port = 0; !err && port < loader->ports; port++)
		err = port_attach(loader, port, config, error);
	return err;
}

/*
 * Off interfaces that are no longer ports, or another one, before the maps name the ports that are:
 * the program on an old one would send into a new one. Whether there were any.
 */
static bool ports_leave(struct hk_loader *loader)
{
	bool left = false;
	unsigned port;

	for (port = 0; port < HK_PORTS_MAX; port++)
		left |= hk_attach_remove(
			&loader->pins, port, port < loader->ports ? loader->port[port].device.ifindex : 0);
	return left;
}

int hk_loader_new(struct hk_loader **out, const struct hk_config *config, struct hk_error *error)
{
	struct hk_loader *loader = calloc(1, sizeof(*loader));
	bool fresh = false;
	unsigned i;
	int err;

	if (!loader)
		return hk_error_set(error, ENOMEM, "loader: out of memory");
	loader->pins.lock = -1;
	for (i = 0; i < HK_QUEUES_MAX; i++)
		loader->copies[i] = -1;
	err = ports_query(loader, config, error);
	if (!err)
		err = hk_pins_open(&loader->pins, config->instance, LOCK_WAIT_MS, error);
	if (!err)
		err = program_load(loader, error);
	if (!err) {
		fresh = ports_leave(loader) || !loader->adopted;
		err = maps_fill(loader, config, error);
	}
	if (!err)
		err = ports_attach(loader, config, error);
	if (err) {
		/* what an earlier run left on these ports stays as it was; what only we made goes */
		if (fresh)
			hk_loader_free(loader), hk_loader_detach(config->instance, NULL);
		else
			hk_loader_free(loader);
		return err;
	}
	*out = loader;
	return 0;
}

void hk_loader_free(struct hk_loader *loader)
{
	unsigned i;

	if (!loader)
		return;
	if (loader->beats)
		munmap(loader->beats, BEATS_SIZE);
	if (loader->handed)
		munmap((void *)(unsigned long)loader->handed, HANDED_SIZE);
	for (i = 0; i < HK_QUEUES_MAX; i++)
		if (loader->copies[i] >= 0)
			close(loader->copies[i]);
	halfkey_bpf__destroy(loader->skeleton);
	hk_pins_close(&loader->pins);
	free(loader);
}

void hk_loader_surrender(struct hk_loader *loader)
{
	halfkey_bpf__destroy(loader->skeleton);
	loader->skeleton = NULL;
}

const char *hk_loader_directory(const struct hk_loader *loader)
{
	return loader->pins.directory;
}

const struct hk_loader_port *hk_loader_port(const struct hk_loader *loader, unsigned port)
{
	return &loader->port[port];
}

unsigned hk_loader_ports(const struct hk_loader *loader)
{
	return loader->ports;
}

unsigned hk_loader_queues(const struct hk_loader *loader)
{
	return loader->queues;
}

__u32 hk_loader_frame_size(const struct hk_loader *loader)
{
	return loader->frame_size;
}

__u32 hk_loader_frame_max(const struct hk_loader *loader)
{
	return hk_queue_frame_max(loader->frame_size);
}

unsigned hk_loader_adopted(const struct hk_loader *loader)
{
	return loader->adopted;
}

int hk_loader_arm(struct hk_loader *loader, bool armed, struct hk_error *error)
{
	loader->settings.armed = armed;
	return hk_tables_settings(bpf_map__fd(loader->skeleton->maps.settings), &loader->settings, error);
}

int hk_loader_reload(
	struct hk_loader *loader, const struct hk_config *config, unsigned steps, struct hk_error *error)
{
	int err = hk_tables_receivers(bpf_map__fd(loader->skeleton->maps.receivers), config, steps, error);

	if (!err && (steps & HK_TABLES_PUT))
		err = hk_tables_policy(bpf_map__fd(loader->skeleton->maps.policy), config, error);
	return err;
}

int hk_loader_xsks(const struct hk_loader *loader)
{
	return bpf_map__fd(loader->skeleton->maps.xsks);
}

int hk_loader_copies(const struct hk_loader *loader, unsigned queue)
{
	return loader->copies[queue];
}

struct hk_heartbeat *hk_loader_beats(const struct hk_loader *loader)
{
	return loader->beats;
}

const struct hk_handed *hk_loader_handed(const struct hk_loader *loader)
{
	return loader->handed;
}

__u64 hk_loader_counted(const struct hk_loader *loader, unsigned reason)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct hk_counter_value *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	__u64 packets = 0;

	if (values && bpf_map_lookup_elem(bpf_map__fd(loader->skeleton->maps.counters), &reason, values) == 0)
		for (cpu = 0; cpu < cpus; cpu++)
			packets += values[cpu].packets;
	free(values);
	return packets;
}

static int pin_open(const struct hk_loader *loader, const char *name, __u32 flags)
{
	struct bpf_obj_get_opts options = {.sz = sizeof(options), .file_flags = flags};
	char path[HK_PIN_PATH];
	int fd;

	hk_pins_path(&loader->pins, name, path);
	fd = bpf_obj_get_opts(path, &options);
	return fd < 0 ? -errno : fd;
}

int hk_loader_open_counters(const struct hk_loader *loader)
{
	return pin_open(loader, "counters", BPF_F_RDONLY);
}

int hk_loader_open_verdicts(const struct hk_loader *loader)
{
	return pin_open(loader, "verdicts", 0);
}

int hk_loader_detach(const char *instance, struct hk_error *error)
{
	struct hk_pins pins;
	unsigned port;
	int err = hk_pins_find(&pins, instance, LOCK_WAIT_MS, error);

	if (err)
		return err;
	for (port = 0; port < HK_PORTS_MAX; port++)
		hk_attach_remove(&pins, port, 0);
	hk_pins_remove(&pins);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The XDP program in a namespace of its own: see fixture.h. */
#include "tests/bpf/fixture.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "maps/policy.h"
#include "maps/rings.h"
#include "tests/bpf/frames.h"
#include "tests/unit/reasons.h"
#include "user/envelope/outer.h"

#define SOCKET_FRAMES 64

static struct xsk_umem *umem;
static struct xsk_socket *xsk_sockets[2];
static void *umem_area;

static int make_ports(struct fixture *fixture)
{
	static const char command[] = "ip link set lo up && "
				      "ip link add hk0 numrxqueues 2 numtxqueues 2 type veth "
				      "peer name hk1 numrxqueues 2 numtxqueues 2 && "
				      "ip link set hk0 up && ip link set hk1 up";

	if (unshare(CLONE_NEWNET))
		return -errno;
	if (system(command))
		return -EIO;
	fixture->ifindex[0] = (int)if_nametoindex("hk0");
	fixture->ifindex[1] = (int)if_nametoindex("hk1");
	return fixture->ifindex[0] && fixture->ifindex[1] ? 0 : -ENODEV;
}

static int make_umem(void)
{
	static struct xsk_ring_prod fill;
	static struct xsk_ring_cons completion;
	size_t size = SOCKET_FRAMES * 2048;

	umem_area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (umem_area == MAP_FAILED)
		return -errno;
	return xsk_umem__create(&umem, umem_area, size, &fill, &completion, NULL);
}

/* Sockets on queue 0 of both ports; queue 1 has none. */
static int make_sockets(struct fixture *fixture)
{
	struct xsk_socket_config config = {.rx_size = SOCKET_FRAMES,
		.tx_size = SOCKET_FRAMES,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY};
	static struct xsk_ring_cons rx[2], completion;
	static struct xsk_ring_prod tx[2], fill;
	static const char *const names[] = {"hk0", "hk1"};
	__u32 slot;
	int i, fd, error = make_umem();

	for (i = 0; i < 2 && !error; i++) {
		error = xsk_socket__create_shared(
			&xsk_sockets[i], names[i], 0, umem, &rx[i], &tx[i], &fill, &completion, &config);
		if (error)
			break;
		fd = xsk_socket__fd(xsk_sockets[i]);
		slot = HK_MAP_SLOT((__u32)i, 0);
		error = bpf_map_update_elem(bpf_map__fd(fixture->bpf->maps.xsks), &slot, &fd, BPF_ANY);
	}
	return error;
}

static int fill_tx_ports(struct fixture *fixture)
{
	__u32 port, other;
	int error = 0;

	for (port = 0; port < 2 && !error; port++) {
		other = (__u32)fixture->ifindex[!port];
		error = bpf_map_update_elem(bpf_map__fd(fixture->bpf->maps.tx_ports), &port, &other, BPF_ANY);
	}
	return error;
}

int fixture_receivers(struct fixture *fixture, const struct hk_config *config)
{
	int map = bpf_map__fd(fixture->bpf->maps.receivers), count, i, error = 0;
	struct hk_receiver_entry *entries = NULL;
	struct hk_receiver_key key;

	while (bpf_map_get_next_key(map, NULL, &key) == 0 && !error)
		error = bpf_map_delete_elem(map, &key);
	count = hk_receivers_build(config, &entries);
	for (i = 0; i < count && !error; i++)
		error = bpf_map_update_elem(map, &entries[i].key, &entries[i].value, BPF_ANY);
	free(entries);
	return count < 0 ? count : error;
}

/* One ring buffer, for queue 0. */
static int fill_copies(struct fixture *fixture)
{
	int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "copy", 0, 0, 4096, NULL), error;
	__u32 queue = 0;

	if (ring < 0)
		return ring;
	error = bpf_map_update_elem(bpf_map__fd(fixture->bpf->maps.copies), &queue, &ring, BPF_ANY);
	close(ring);
	return error;
}

static int map_ledgers(struct fixture *fixture)
{
	fixture->heartbeat = mmap(NULL, HK_MAP_SLOTS * sizeof(struct hk_heartbeat), PROT_READ | PROT_WRITE,
		MAP_SHARED, bpf_map__fd(fixture->bpf->maps.heartbeat), 0);
	fixture->handed = mmap(NULL, HK_MAP_SLOTS * sizeof(struct hk_handed), PROT_READ | PROT_WRITE,
		MAP_SHARED, bpf_map__fd(fixture->bpf->maps.handed), 0);
	return fixture->heartbeat == MAP_FAILED || fixture->handed == MAP_FAILED ? -errno : 0;
}

int fixture_start(struct fixture *fixture, const char *suite)
{
	int error = make_ports(fixture);

	if (error) {
		printf("skip %s - no network namespace with a veth pair: %s\n", suite, strerror(-error));
		return 1;
	}
	fixture->bpf = halfkey_bpf__open_and_load();
	if (!fixture->bpf) {
		printf("not ok %s - the XDP program does not load: %s\n", suite, strerror(errno));
		exit(2);
	}
	fixture->program = bpf_program__fd(fixture->bpf->progs.halfkey_xdp);
	error = make_sockets(fixture);
	if (error) {
		printf("skip %s - no AF_XDP socket on a veth: %s\n", suite, strerror(-error));
		return 1;
	}
	if (fill_tx_ports(fixture) || fixture_receivers(fixture, frames_config()) || fill_copies(fixture) ||
		map_ledgers(fixture)) {
		printf("not ok %s - filling the maps: %s\n", suite, strerror(errno));
		exit(2);
	}
	fixture_reset(fixture);
	return 0;
}

void fixture_stop(struct fixture *fixture)
{
	__u32 i;

	for (i = 0; i < HK_REASON_COUNT; i++)
		if (fixture_counter(fixture, i).packets)
			reason_met(i);
	for (i = 0; i < 2; i++)
		if (xsk_sockets[i])
			xsk_socket__delete(xsk_sockets[i]);
	if (umem)
		xsk_umem__delete(umem);
	if (fixture->bpf)
		halfkey_bpf__destroy(fixture->bpf);
}

void fixture_put_settings(struct fixture *fixture)
{
	__u32 zero = 0;

	bpf_map_update_elem(bpf_map__fd(fixture->bpf->maps.settings), &zero, &fixture->settings, BPF_ANY);
}

void fixture_policy(struct fixture *fixture, unsigned reason, unsigned action)
{
	struct hk_policy_value value = {.action = action};
	__u32 key = reason;

	bpf_map_update_elem(bpf_map__fd(fixture->bpf->maps.policy), &key, &value, BPF_ANY);
}

static __u64 monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000u + (__u64)now.tv_nsec;
}

void fixture_beat(struct fixture *fixture)
{
	int slot;

	for (slot = 0; slot < HK_MAP_SLOTS; slot++)
		fixture->heartbeat[slot].beat_ns = monotonic_ns();
}

static void clear_verdicts(struct fixture *fixture)
{
	int map = bpf_map__fd(fixture->bpf->maps.verdicts);
	struct hk_verdict_key key;

	while (bpf_map_get_next_key(map, NULL, &key) == 0)
		bpf_map_delete_elem(map, &key);
}

void fixture_reset(struct fixture *fixture)
{
	unsigned i;

	fixture->settings = (struct hk_settings){.version = HK_MAPS_VERSION,
		.mode = HK_MODE_INLINE,
		.armed = 1,
		.ports = 2,
		.queues = 2,
		.ifindex = {(__u32)fixture->ifindex[0], (__u32)fixture->ifindex[1]},
		.ring_limit = FIXTURE_RING_LIMIT,
		.frame_max = FIXTURE_FRAME_MAX,
		.heartbeat_ns = 600000000000ull};
	fixture_put_settings(fixture);
	for (i = 0; i < HK_REASON_COUNT; i++)
		fixture_policy(fixture, i, HK_ACTION_PASS);
	for (i = 0; i < HK_MAP_SLOTS; i++)
		fixture->handed[i].packets = fixture->heartbeat[i].taken = 0;
	clear_verdicts(fixture);
	fixture_beat(fixture);
}

/* BPF_PROG_RUN gives metadata and frame in one piece; the context says where the frame begins. */
static void take_apart(const __u8 *bytes, unsigned size, const struct xdp_md *context, struct outcome *out)
{
	out->has_meta = context->data == sizeof(out->meta);
	if (out->has_meta)
		memcpy(&out->meta, bytes, sizeof(out->meta));
	out->length = size - context->data;
	memcpy(out->frame, bytes + context->data, out->length);
}

int fixture_run(struct fixture *fixture, const void *frame, unsigned length, unsigned port, unsigned queue,
	struct outcome *out)
{
	struct xdp_md in = {.data_end = length,
		.ingress_ifindex = (__u32)fixture->ifindex[port],
		.rx_queue_index = queue};
	struct xdp_md context = {0};
	__u8 bytes[4096 + sizeof(struct hk_meta)];
	struct bpf_test_run_opts options = {.sz = sizeof(options),
		.data_in = frame,
		.data_size_in = length,
		.data_out = bytes,
		.data_size_out = sizeof(bytes),
		.ctx_in = &in,
		.ctx_size_in = sizeof(in),
		.ctx_out = &context,
		.ctx_size_out = sizeof(context),
		.repeat = 1};
	int error = bpf_prog_test_run_opts(fixture->program, &options);

	if (error)
		return error;
	memset(out, 0, sizeof(*out));
	out->fate = (int)options.retval;
	take_apart(bytes, options.data_size_out, &context, out);
	return 0;
}

struct hk_counter_value fixture_counter(struct fixture *fixture, __u32 row)
{
	struct hk_counter_value per_cpu[256], sum = {0};
	int cpus = libbpf_num_possible_cpus(), i;

	if (cpus > 256 || bpf_map_lookup_elem(bpf_map__fd(fixture->bpf->maps.counters), &row, per_cpu))
		return sum;
	for (i = 0; i < cpus; i++) {
		sum.packets += per_cpu[i].packets;
		sum.bytes += per_cpu[i].bytes;
		sum.dropped += per_cpu[i].dropped;
	}
	return sum;
}

void fixture_totals(struct fixture *fixture, struct totals *totals)
{
	__u32 row;

	for (row = 0; row < HK_COUNTER_END; row++)
		totals->rows[row] = fixture_counter(fixture, row);
}

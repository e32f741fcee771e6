/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The hook ABI: how a firewall, an IDS or a shaper looks at opened packets.
 *
 * A hook is a table of functions, `const struct hk_hook hk_hook`, in a shared
 * object (a path in the configuration) or built in. The core calls it with a
 * batch of up to HK_HOOK_BATCH_MAX packets. The batch is one memory area in
 * which everything is found by offset: no pointer leads out of it, so that a
 * hook can be moved to a process of its own without a change.
 *
 *   area ┌──────────────────────┐ 0
 *        │ struct hk_hook_batch │
 *        ├──────────────────────┤ packet_offset   packet_count × packet_stride
 *        │ hk_hook_packet[]     │
 *        ├──────────────────────┤ event_offset    event_capacity × event_stride
 *        │ hk_hook_event[]      │
 *        ├──────────────────────┤ class_offset    class_count × u32
 *        │ queued[]             │
 *        ├──────────────────────┤
 *        │ opened packets       │ packet.data_offset, packet.data_length
 *        └──────────────────────┘ area_size
 *
 * Byte order: host, except addresses and the packets themselves. Offsets count
 * from the area's first byte, those of headers from the packet's first byte.
 *
 * Ownership: the core owns the area. A hook may write the fields marked OUT and
 * append events; it must not keep a pointer into the area after process() returns.
 *
 * Threads: process() runs on the worker threads, at the same time for different
 * `worker` numbers, never twice at once for the same. create(), destroy() and
 * adopt() run on the control thread. process() runs neither during create() nor
 * during destroy(). At adopt() the old state has seen its last packet, but the
 * new one may be in process() already. process() must not block, allocate or
 * make system calls: what it needs is allocated in create(), per worker.
 *
 * Verdicts: each packet enters the chain accepted. The core keeps the strongest
 * verdict of all hooks, and the latest release among delays; what a later hook
 * weakened is restored. A hook sees what those before it decided and may skip
 * dropped packets. An unknown verdict, a delay class that is not the hook's or
 * an event for no packet is a hook error, as a negative answer of process() is.
 *
 * Trust: packets of a `split` domain are unauthenticated: whoever can flip bits
 * on the wire can choose what a hook sees. Build no long-lived allow state from
 * them (`auth` says which is which), and treat every byte as hostile.
 */
#ifndef HALFKEY_HOOK_H
#define HALFKEY_HOOK_H

#include <stddef.h>
#include <linux/types.h>

#include <halfkey/address.h>

#define HK_HOOK_ABI	  1
#define HK_HOOK_BATCH_MAX 64

/* Order is strength: a later hook can strengthen a verdict, never weaken it. */
enum hk_verdict { HK_VERDICT_ACCEPT = 0, HK_VERDICT_DELAY = 1, HK_VERDICT_DROP = 2 };

#define HK_PACKET_PORTS	   0x01 /* src_port, dst_port valid (TCP, UDP, SCTP; ICMP: type, code) */
#define HK_PACKET_FRAGMENT 0x02 /* the inner packet is a fragment; ports only in the first */
#define HK_PACKET_NOT_IP   0x04 /* not an IP packet: a payload with the outer addresses */

/* One opened packet. 192 bytes; stride may grow, fields are only ever appended. */
struct hk_hook_packet {
	__u32 data_offset; /* the inner IP packet, from the area's start */
	__u32 data_length;
	__u16 l4_offset;      /* transport header, from the packet's start; 0: none */
	__u16 payload_offset; /* behind the transport header; 0: none */
	__u32 payload_length;
	__u8 ip_version; /* 4, 6; 0 with HK_PACKET_NOT_IP */
	__u8 protocol;	 /* transport protocol behind all IPv6 extension headers */
	__u8 tcp_flags;
	__u8 flags;	/* HK_PACKET_* */
	__u8 auth;	/* enum hk_auth */
	__u8 direction; /* the port it came in by: 0 or 1 */
	__u8 envelope;	/* enum hk_envelope */
	__u8 reserved0;
	__u16 domain; /* see hk_hook_setup.domain_id */
	__u16 src_port;
	__u16 dst_port;
	__u16 reserved1;
	__u32 spi;
	__u32 flow_hash; /* of the inner 5-tuple, equal for both directions */
	__u32 reserved2[2];
	struct hk_address src; /* inner */
	struct hk_address dst;
	struct hk_address outer_src;
	struct hk_address outer_dst;
	/* OUT: the verdict on this packet; use hk_hook_drop() and hk_hook_delay() */
	__u64 release_ns;  /* DELAY: CLOCK_MONOTONIC, not before this time */
	__u32 rule;	   /* the rule that decided, as the hook numbers them; 0: none */
	__u16 delay_class; /* DELAY: class_base + the hook's own class number */
	__u8 verdict;	   /* enum hk_verdict */
	/*
	 * OUT, optional: the same verdict for the rest of this inner flow, whose
	 * packets then meet no hook. A drop of any hook wins; an accept ends where
	 * another hook drops or delays the packet.
	 */
	__u8 flow_verdict;	/* HK_VERDICT_ACCEPT or HK_VERDICT_DROP */
	__u32 flow_lifetime_ms; /* 0: none. An ACCEPT for an unauthenticated flow is ignored */
	__u8 reserved3[60];
};

/* What a hook wants written down: an alert or a log line. Text is NUL-terminated. */
struct hk_hook_event {
	__u32 packet; /* index in the batch */
	__u32 gid;    /* generator, signature and revision, as Suricata numbers them */
	__u32 sid;
	__u32 rev;
	__u32 priority; /* 1 is highest */
	__u8 kind;	/* enum hk_event_kind */
	__u8 blocked;	/* 1: the packet is dropped because of it */
	__u16 reserved;
	char message[160];
	char category[72];
};

enum hk_event_kind { HK_EVENT_ALERT = 1, HK_EVENT_LOG = 2 };

struct hk_hook_batch {
	__u32 abi; /* HK_HOOK_ABI */
	__u32 area_size;
	__u32 packet_count;
	__u32 packet_offset;
	__u32 packet_stride;
	__u32 event_offset;
	__u32 event_stride;
	__u32 event_capacity;
	__u32 event_count; /* OUT: hk_hook_report() raises it */
	__u32 event_lost;  /* OUT: events that had no room; counted and reported by the core */
	__u32 class_offset;
	__u32 class_count;
	__u64 now_ns;  /* CLOCK_MONOTONIC, taken once for the batch */
	__u64 wall_ns; /* CLOCK_REALTIME */
};

_Static_assert(sizeof(struct hk_hook_packet) == 192, "hk_hook_packet is ABI");
_Static_assert(offsetof(struct hk_hook_packet, src) == 48, "hk_hook_packet is ABI");
_Static_assert(offsetof(struct hk_hook_packet, release_ns) == 112, "hk_hook_packet is ABI");
_Static_assert(sizeof(struct hk_hook_event) == 256, "hk_hook_event is ABI");
_Static_assert(sizeof(struct hk_hook_batch) == 64, "hk_hook_batch is ABI");

enum hk_mode { HK_MODE_INLINE = 1, HK_MODE_MONITOR = 2, HK_MODE_PASSIVE = 3 };

/* What create() gets, and what it answers. */
struct hk_hook_setup {
	__u32 abi;
	__u32 worker_count;
	__u8 mode;	 /* enum hk_mode */
	__u8 per_packet; /* OUT, optional; 1: the hook gives no flow verdicts: flows need not be kept for it
			  */
	__u8 reserved[2];
	__u32 class_base;	   /* the first delay class that is this hook's */
	int settings_fd;	   /* the hook's own file, open for reading at 0, or -1; core closes it */
	const char *settings_path; /* for messages only: the hook may lack the right to open it */
	void *core;
	int (*domain_id)(void *core, const char *name); /* id, or -1: no such domain */
	/* OUT; both 0, or neither. Refused outside `inline` and beyond half the UMEM's frames */
	__u32 class_count; /* delay classes used; 0: the hook never delays */
	__u32 delayed_max; /* packets its queues may hold, all classes together, at worst on one worker */
};

struct hk_hook_stat {
	char name[48]; /* e.g. "rule.12.hits" */
	__u64 value;
};

struct hk_hook {
	__u32 abi;	   /* HK_HOOK_ABI: anything else is refused */
	__u32 packet_size; /* sizeof(struct hk_hook_packet) the hook was built with */
	const char *name;
	const char *summary; /* one line for `halfkey check` */
	/* 0, or -1 and a sentence in `error` that names file, line and value */
	int (*create)(struct hk_hook_setup *setup, void **state, char *error, size_t error_size);
	/* 0, or negative: the whole batch counts as hook-error and follows that policy */
	int (*process)(void *state, unsigned worker, struct hk_hook_batch *batch);
	void (*destroy)(void *state);
	/*
	 * optional: after a reload take over what should survive (bucket levels, counters).
	 * Called only between states of one build of the hook: layouts are equal.
	 */
	void (*adopt)(void *state, void *old_state);
	/* optional: fills up to `max` counters, returns how many; any thread, any time */
	size_t (*stats)(void *state, struct hk_hook_stat *out, size_t max);
};

static inline struct hk_hook_packet *hk_hook_packet(struct hk_hook_batch *batch, __u32 index)
{
	return (struct hk_hook_packet *)((char *)batch + batch->packet_offset +
					 (size_t)index * batch->packet_stride);
}

static inline const __u8 *hk_hook_data(const struct hk_hook_batch *batch, const struct hk_hook_packet *packet)
{
	return (const __u8 *)batch + packet->data_offset;
}

/* Packets that wait in delay class `id` (class_base + own number), over all workers. */
static inline __u32 hk_hook_queued(const struct hk_hook_batch *batch, __u32 id)
{
	return id < batch->class_count ? ((const __u32 *)((const char *)batch + batch->class_offset))[id] : 0;
}

static inline void hk_hook_drop(struct hk_hook_packet *packet, __u32 rule)
{
	if (packet->verdict == HK_VERDICT_DROP)
		return;
	packet->verdict = HK_VERDICT_DROP;
	packet->rule = rule;
}

static inline void hk_hook_delay(struct hk_hook_packet *packet, __u16 delay_class, __u64 release_ns)
{
	if (packet->verdict == HK_VERDICT_DROP || packet->release_ns > release_ns)
		return;
	packet->verdict = HK_VERDICT_DELAY;
	packet->delay_class = delay_class;
	packet->release_ns = release_ns;
}

/* A zeroed event for packet `index`, or NULL (and counted as lost) when the batch has no room. */
static inline struct hk_hook_event *hk_hook_report(struct hk_hook_batch *batch, __u32 index)
{
	struct hk_hook_event *event;

	if (batch->event_count >= batch->event_capacity) {
		batch->event_lost++;
		return NULL;
	}
	event = (struct hk_hook_event *)((char *)batch + batch->event_offset +
					 (size_t)batch->event_count++ * batch->event_stride);
	__builtin_memset(event, 0, sizeof(*event));
	event->packet = index;
	return event;
}

#endif

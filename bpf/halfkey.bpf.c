// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/*
 * The XDP program: every frame of both ports enters here, is parsed once,
 * gets one reason and leaves through one exit that counts it.
 *
 *   parse ─► verdict cache ─► worker alive? ─► AF_XDP (monitor: a copy) ─┐
 *     └──────────┴────────────────┴──────────────────────────────────────┴─► finish()
 *
 * It holds no key and looks at no sealed byte. It must not use a helper or map
 * type newer than Linux 6.1, and has no global data: each map it makes is one
 * of maps/, and all of them are pinned.
 *
 * What the modes do with a frame:
 *             for a worker               `pass`                  `drop`
 *   inline    redirected to its socket   out of the other port   dropped
 *   monitor   copied to its ring buffer  out of the other port   dropped
 *             and out of the other port
 *   passive   redirected to its socket   taken off the wire      taken off, counted as dropped
 *
 * A passive port hangs on a mirror: nothing on it is meant for this host, its
 * original is long on its way, and what an attacker puts there must not reach
 * the host's own stack (which answers for any of its addresses on any port).
 * So nothing is ever passed up, whatever the policy says.
 *
 * Pinning is the loader's: it gives each map its pin path (maps/layout.h)
 * before the load, so that libbpf adopts a pinned map of equal type, sizes and
 * flags and refuses another; `settings.version` guards the meaning.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include <halfkey/hook.h>
#include <halfkey/meta.h>
#include <halfkey/reason.h>

#include "bpf/maps.h"
#include "bpf/parse/outer.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* One frame on its way through. */
struct hk_passage {
	struct xdp_md *ctx;
	const struct hk_settings *settings;
	__u64 now_ns;
	__u32 length;
	__u32 port;
	__u32 queue;
	__u32 slot;
	__u8 mode; /* read once: all of a frame's way is in one mode */
};

static const struct hk_receiver_value *hk_receiver_find(const void *table, const struct hk_address *address)
{
	struct hk_receiver_key key = {.prefixlen = 128, .address = *address};

	(void)table;
	return bpf_map_lookup_elem(&receivers, &key);
}

/*
 * The verdict cache. Looked up for every packet that has a domain, not only
 * where the domain is declared flow-per-spi: an operator may put a verdict by
 * hand at any time, and it must hold even while no worker lives. That costs one
 * hash lookup; a flag that says "empty" would have to be kept right across
 * crashes to save it.
 */
static __always_inline unsigned passage_cached_verdict(
	const struct hk_passage *passage, const struct hk_packet *packet, const struct hk_meta *meta)
{
	struct hk_verdict_key key = {
		.src = packet->src, .dst = packet->dst, .spi = meta->spi, .envelope = meta->envelope};
	const struct hk_verdict_value *value = bpf_map_lookup_elem(&verdicts, &key);

	if (!value || value->expires_ns <= passage->now_ns)
		return HK_REASON_TO_WORKER;
	if (value->verdict == HK_VERDICT_DROP)
		return HK_REASON_VERDICT_DROP;
	return value->verdict == HK_VERDICT_ACCEPT ? HK_REASON_VERDICT_ACCEPT : HK_REASON_TO_WORKER;
}

/* HK_REASON_TO_WORKER while the packet loop that serves this queue lives. */
static __always_inline unsigned passage_check_worker(
	const struct hk_passage *passage, const struct hk_heartbeat *beat)
{
	__u64 beat_ns = *(volatile const __u64 *)&beat->beat_ns;

	/* signed: the loop may have written a time after ours was taken */
	if (!beat_ns || (__s64)(passage->now_ns - beat_ns) > (__s64)passage->settings->heartbeat_ns)
		return HK_REASON_HEARTBEAT;
	if (passage->length > passage->settings->frame_max)
		return HK_REASON_FRAME_SIZE;
	return HK_REASON_TO_WORKER;
}

/* Puts `meta` right in front of the frame, whatever another program left there. */
static __always_inline unsigned passage_write_meta(struct xdp_md *ctx, const struct hk_meta *meta)
{
	long present = (long)ctx->data - (long)ctx->data_meta;
	struct hk_meta *room;

	if (bpf_xdp_adjust_meta(ctx, (int)(present - (long)sizeof(*meta))))
		return HK_REASON_META_FAILED;
	room = (struct hk_meta *)(long)ctx->data_meta;
	if ((void *)(room + 1) > (void *)(long)ctx->data)
		return HK_REASON_META_FAILED;
	*room = *meta;
	return HK_REASON_TO_WORKER;
}

/*
 * inline, passive: the frame itself, through AF_XDP. Socket and heartbeat are
 * looked at first; the redirect comes last and can still find the socket gone.
 */
static __always_inline unsigned passage_hand_over(
	const struct hk_passage *passage, const struct hk_heartbeat *beat, const struct hk_meta *meta)
{
	struct hk_handed *ledger = bpf_map_lookup_elem(&handed, &passage->slot);
	__u64 taken = *(volatile const __u64 *)&beat->taken;
	unsigned reason;

	if (!ledger || !bpf_map_lookup_elem(&xsks, &passage->slot))
		return HK_REASON_NO_SOCKET;
	reason = passage_check_worker(passage, beat);
	if (reason != HK_REASON_TO_WORKER)
		return reason;
	if ((__s64)(ledger->packets - taken) >= (__s64)passage->settings->ring_limit)
		return HK_REASON_RING_FULL;
	reason = passage_write_meta(passage->ctx, meta);
	if (reason != HK_REASON_TO_WORKER)
		return reason;
	if (bpf_redirect_map(&xsks, passage->slot, 0) != XDP_REDIRECT)
		return HK_REASON_NO_SOCKET;
	__sync_fetch_and_add(&ledger->packets, 1);
	return HK_REASON_TO_WORKER;
}

/* Reservations have a size that is known at load time, hence the classes. */
static __always_inline int passage_copy_class(
	const struct hk_passage *passage, void *ring, const struct hk_meta *meta, const __u32 size)
{
	struct hk_copy *copy = bpf_ringbuf_reserve(ring, sizeof(*copy) + size, 0);
	__u32 length = passage->length;

	if (!copy)
		return -1;
	copy->meta = *meta;
	copy->length = length;
	copy->time_ns = passage->now_ns;
	asm volatile("" : "+r"(length)); /* the bound below is for the verifier: do not fold it away */
	if (length == 0 || length > size || bpf_xdp_load_bytes(passage->ctx, 0, copy + 1, length)) {
		bpf_ringbuf_discard(copy, BPF_RB_NO_WAKEUP);
		return -1;
	}
	bpf_ringbuf_submit(copy, 0);
	return 0;
}

static __always_inline int passage_copy(
	const struct hk_passage *passage, void *ring, const struct hk_meta *meta)
{
	if (passage->length <= 256)
		return passage_copy_class(passage, ring, meta, 256);
	if (passage->length <= 640)
		return passage_copy_class(passage, ring, meta, 640);
	if (passage->length <= 1600)
		return passage_copy_class(passage, ring, meta, 1600);
	return passage_copy_class(passage, ring, meta, HK_COPY_FRAME_MAX);
}

static __always_inline void count(__u32 row, __u32 bytes, int dropped)
{
	struct hk_counter_value *value = bpf_map_lookup_elem(&counters, &row);

	if (!value)
		return;
	value->packets++;
	value->bytes += bytes;
	value->dropped += dropped ? 1 : 0;
}

/* monitor: a copy into the ring buffer of the queue; the frame itself goes on in any case. */
static __always_inline unsigned passage_hand_copy(
	const struct hk_passage *passage, const struct hk_heartbeat *beat, const struct hk_meta *meta)
{
	void *ring = bpf_map_lookup_elem(&copies, &passage->queue);
	unsigned reason;

	if (!ring)
		return HK_REASON_NO_SOCKET;
	reason = passage_check_worker(passage, beat);
	if (reason != HK_REASON_TO_WORKER)
		return reason;
	if (passage->length > HK_COPY_FRAME_MAX)
		return HK_REASON_FRAME_SIZE;
	if (passage_copy(passage, ring, meta)) {
		count(HK_COUNTER_COPY_LOST, passage->length, 0);
		return HK_REASON_RING_FULL;
	}
	count(HK_COUNTER_COPIED, passage->length, 0);
	return HK_REASON_TO_WORKER;
}

static __always_inline unsigned passage_to_worker(const struct hk_passage *passage, struct hk_meta *meta)
{
	const struct hk_heartbeat *beat;

	if (!passage->settings->armed)
		return HK_REASON_DISARMED;
	if (passage->queue >= HK_MAP_QUEUES_MAX)
		return HK_REASON_NO_SOCKET;
	beat = bpf_map_lookup_elem(&heartbeat, &passage->slot);
	if (!beat)
		return HK_REASON_NO_SOCKET;
	meta->port = (__u8)passage->port;
	meta->queue = (__u16)passage->queue;
	if (passage->mode == HK_MODE_MONITOR)
		return passage_hand_copy(passage, beat, meta);
	return passage_hand_over(passage, beat, meta);
}

static __always_inline int policy_drops(__u32 reason)
{
	const struct hk_policy_value *value;

	if (reason == HK_REASON_TO_WORKER || reason == HK_REASON_VERDICT_ACCEPT)
		return 0;
	if (reason == HK_REASON_VERDICT_DROP)
		return 1;
	value = bpf_map_lookup_elem(&policy, &reason);
	return value && value->action == HK_ACTION_DROP;
}

/* The only exit: carries the reason out and counts the packet, once. */
static __always_inline int passage_finish(const struct hk_passage *passage, __u32 reason)
{
	int dropped = policy_drops(reason);
	int fate = XDP_DROP;

	if (reason == HK_REASON_TO_WORKER && passage->mode != HK_MODE_MONITOR) {
		fate = XDP_REDIRECT; /* to the socket, as passage_hand_over() set it up */
	} else if (!dropped && passage->mode != HK_MODE_PASSIVE) {
		fate = (int)bpf_redirect_map(&tx_ports, passage->port, XDP_DROP);
		dropped = fate != XDP_REDIRECT; /* no other port: the count must not claim it went out */
	}
	count(HK_COUNTER_RECEIVED, passage->length, dropped);
	count(reason, passage->length, dropped);
	return fate;
}

SEC("xdp")
int halfkey_xdp(struct xdp_md *ctx)
{
	struct hk_passage passage = {.ctx = ctx, .queue = ctx->rx_queue_index};
	struct hk_packet packet = {};
	struct hk_meta meta = {};
	unsigned reason;
	__u32 zero = 0;

	passage.settings = bpf_map_lookup_elem(&settings, &zero);
	if (!passage.settings)
		return XDP_ABORTED; /* an array of one: cannot be */
	passage.mode = *(volatile const __u8 *)&passage.settings->mode;
	passage.port = passage.settings->ports > 1 && ctx->ingress_ifindex == passage.settings->ifindex[1];
	passage.slot = HK_MAP_SLOT(passage.port, passage.queue);
	passage.length = (__u32)((long)ctx->data_end - (long)ctx->data);
	reason = hk_outer_run(ctx, 0, &packet, &meta);
	if (reason == HK_REASON_TO_WORKER) {
		passage.now_ns = bpf_ktime_get_ns();
		reason = passage_cached_verdict(&passage, &packet, &meta);
	}
	if (reason == HK_REASON_TO_WORKER)
		reason = passage_to_worker(&passage, &meta);
	return passage_finish(&passage, reason);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Counters that outlive an inspector: see ledger.h. */
#include "user/dataplane/ledger.h"

#include <sys/mman.h>

#include "maps/layout.h"

struct hk_ledger *hk_ledger_new(unsigned workers)
{
	struct hk_ledger *ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (ledger == MAP_FAILED)
		return NULL;
	ledger->workers = workers;
	return ledger;
}

void hk_ledger_free(struct hk_ledger *ledger)
{
	if (ledger)
		munmap(ledger, sizeof(*ledger));
}

static void worker_settle(struct hk_counts *counts)
{
	__u64 ended = 0, bytes = 0;
	struct hk_count *row = &counts->reasons[HK_REASON_SHUTDOWN];
	unsigned i;

	for (i = 0; i < HK_REASON_COUNT; i++) {
		ended += counts->reasons[i].packets;
		bytes += counts->reasons[i].bytes;
	}
	if (counts->received > ended) {
		row->packets += counts->received - ended;
		row->dropped += counts->received - ended;
		row->bytes += counts->received_bytes - bytes;
	} else {
		/* it died between the two: what ended had been received */
		counts->received = ended;
		counts->received_bytes = bytes;
	}
	counts->flows = 0;
}

/* Brings `taken` up to `handed`, and forgets old beats. */
static void slots_settle(struct hk_heartbeat *beats, const volatile struct hk_handed *handed)
{
	unsigned slot;

	for (slot = 0; slot < HK_MAP_SLOTS; slot++) {
		beats[slot].beat_ns = 0;
		beats[slot].taken = handed[slot].packets;
	}
}

/*
 * From the totals and not from the gaps: a worker that dies between raising
 * `taken` and raising its own count would leave the two apart.
 */
static void lost_settle(struct hk_ledger *ledger, __u64 to_worker)
{
	__u64 known = ledger->handed_before;
	unsigned i, port;

	for (i = 0; i < ledger->workers; i++) {
		known += ledger->worker[i].counts.received;
		for (port = 0; port < HK_PORTS_MAX; port++)
			known += ledger->worker[i].ring_lost[port];
	}
	ledger->ring_lost = to_worker > known ? to_worker - known : 0;
}

void hk_ledger_settle(struct hk_ledger *ledger, struct hk_heartbeat *beats,
	const volatile struct hk_handed *handed, __u64 to_worker)
{
	unsigned i;

	for (i = 0; i < ledger->workers; i++)
		worker_settle(&ledger->worker[i].counts);
	slots_settle(beats, handed);
	lost_settle(ledger, to_worker);
}

void hk_ledger_begin(struct hk_ledger *ledger, struct hk_heartbeat *beats,
	const volatile struct hk_handed *handed, __u64 to_worker)
{
	slots_settle(beats, handed);
	ledger->handed_before = to_worker;
}

__u64 hk_ledger_lost(const struct hk_ledger *ledger)
{
	__u64 lost = ledger->ring_lost;
	unsigned i, port;

	for (i = 0; i < ledger->workers; i++)
		for (port = 0; port < HK_PORTS_MAX; port++)
			lost += __atomic_load_n(&ledger->worker[i].ring_lost[port], __ATOMIC_RELAXED);
	return lost;
}

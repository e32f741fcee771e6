// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The receiving end host: see host.h.
 *
 * A packet of an unknown SPI is opened with keys made for it alone; only when
 * it verifies do they, and a replay window, go into the table. So strangers
 * cannot fill it.
 */
#include "user/endpoint/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/bytes.h"

#define BUCKETS 8192

struct entry {
	struct hk_sa *sa;
	struct hk_window *window;
	struct entry *next;
};

struct hk_host {
	struct hk_host_options options;
	struct hk_crypto *crypto;
	unsigned used;
	struct entry *buckets[BUCKETS];
};

struct hk_host *hk_host_new(const struct hk_host_options *options)
{
	struct hk_host *host = calloc(1, sizeof(*host));

	if (!host)
		return NULL;
	host->options = *options;
	/* A key at a time: the portable backend is as fast and needs no special CPU. */
	host->crypto = hk_crypto_new("libcrypto");
	if (host->crypto && (options->windows || !hk_windows_open(&host->options.windows, NULL, "", NULL)))
		return host;
	hk_crypto_free(host->crypto);
	free(host);
	return NULL;
}

void hk_host_free(struct hk_host *host)
{
	struct entry *entry, *next;
	unsigned i;

	if (!host)
		return;
	for (i = 0; i < BUCKETS; i++) {
		for (entry = host->buckets[i]; entry; entry = next) {
			next = entry->next;
			hk_sa_free(entry->sa);
			free(entry);
		}
	}
	hk_windows_close(host->options.windows);
	hk_crypto_free(host->crypto);
	free(host);
}

static bool same_key(const struct hk_sa *a, const struct hk_sa *b)
{
	return hk_sa_name(a)->spi == hk_sa_name(b)->spi && hk_sa_name(a)->variant == hk_sa_name(b)->variant &&
	       hk_equal(hk_sa_fingerprint(a), hk_sa_fingerprint(b), 8);
}

/* Would the same packet still find the same keys, and be its sender's? */
static bool still_known(const struct hk_host *host, const struct entry *entry)
{
	const struct hk_sa_name *name = hk_sa_name(entry->sa);
	struct hk_sa *sa = NULL;
	bool same = false;
	unsigned n;

	if (!host->options.keys)
		return false;
	for (n = 0; !same && n < HK_HOST_GENERATIONS; n++) {
		if (hk_host_keys_sa(host->options.keys, host->crypto, name, n, &sa))
			break;
		same = same_key(sa, entry->sa);
		hk_sa_free(sa);
	}
	return same && hk_host_keys_sends(host->options.keys, &entry->window->sender, false, name->spi);
}

void hk_host_rekey(struct hk_host *host, const struct hk_host_keys *keys)
{
	struct entry **place, *entry;
	unsigned i;

	host->options.keys = keys;
	for (i = 0; i < BUCKETS; i++) {
		for (place = &host->buckets[i]; *place;) {
			entry = *place;
			if (still_known(host, entry)) {
				place = &entry->next;
				continue;
			}
			*place = entry->next;
			hk_windows_release(host->options.windows, entry->window);
			hk_sa_free(entry->sa);
			free(entry);
			host->used--;
		}
	}
}

/* SPIs of verified packets only: an honest sender's choice, so a plain mix will do. */
static struct entry **bucket(struct hk_host *host, __u32 spi)
{
	return &host->buckets[(spi * 2654435761u) >> 19];
}

/* What can be refused without touching a key. */
static unsigned admit(const struct hk_host *host, const struct hk_sealed *sealed, unsigned *variant)
{
	const struct hk_host_options *options = &host->options;

	if (sealed->envelope != options->envelope)
		return HK_REFUSAL_WRONG_ENVELOPE;
	if (memcmp(&sealed->destination, &options->local, sizeof(options->local)) != 0)
		return HK_REFUSAL_NOT_OURS;
	*variant = sealed->envelope == HK_ENVELOPE_PSP ? sealed->version : options->suite;
	if (hk_sa_profile(sealed->envelope, *variant) != options->profile)
		return HK_REFUSAL_DOWNGRADE;
	return HK_REFUSAL_NONE;
}

static __u64 number_of(const struct hk_host *host, const struct hk_numbers *numbers)
{
	return host->options.envelope == HK_ENVELOPE_PSP ? numbers->iv : numbers->sn;
}

/* The packet verified, whatever is wrong with what was inside. */
static bool verified(unsigned refusal)
{
	return refusal == HK_REFUSAL_NONE || refusal == HK_REFUSAL_INNER ||
	       refusal == HK_REFUSAL_NEXT_HEADER || refusal == HK_REFUSAL_DUMMY;
}

/* `refusal` of a packet that verified, unless its sender or its number is refused. */
static unsigned take(const struct hk_host *host, struct hk_window *window, const struct hk_sealed *sealed,
	const struct hk_numbers *numbers, unsigned refusal)
{
	if (memcmp(&window->sender, &sealed->source, sizeof(window->sender)) != 0)
		return HK_REFUSAL_OTHER_SENDER;
	if (!hk_replay_fresh(&window->replay, number_of(host, numbers)))
		return HK_REFUSAL_REPLAY;
	hk_replay_take(&window->replay, number_of(host, numbers));
	return refusal;
}

static unsigned open_known(struct hk_host *host, struct entry *entry, const struct hk_sealed *sealed,
	__u8 *out, struct hk_opened *opened)
{
	unsigned refusal = hk_open_packet(entry->sa, sealed, out, opened);

	return verified(refusal) ? take(host, entry->window, sealed, &opened->numbers, refusal) : refusal;
}

/* The window of these keys and this SPI, perhaps of a process before. */
static struct hk_window *claim(struct hk_host *host, const struct hk_sa *sa, const struct hk_address *sender)
{
	static const __u8 label[32] = "halfkey replay window";
	const struct hk_sa_name *name = hk_sa_name(sa);
	__u8 bytes[16] = {0}, id[8];

	memcpy(bytes, hk_sa_fingerprint(sa), 8);
	hk_put32(bytes + 8, name->spi);
	bytes[12] = name->envelope;
	bytes[13] = name->variant;
	hk_crypto_fingerprint(label, bytes, sizeof(bytes), id);
	return hk_windows_claim(host->options.windows, id, sender);
}

static struct entry *insert(struct hk_host *host, struct hk_sa *sa, const struct hk_sealed *sealed)
{
	struct entry **place = bucket(host, sealed->spi), *entry;

	entry = host->used < HK_HOST_SPIS ? calloc(1, sizeof(*entry)) : NULL;
	if (entry)
		entry->window = claim(host, sa, &sealed->source);
	if (!entry || !entry->window) {
		free(entry);
		return NULL;
	}
	entry->sa = sa;
	entry->next = *place;
	*place = entry;
	host->used++;
	return entry;
}

/* Packets of this SPI that verified before: its keys are tried first. NO_KEY: there were none. */
static unsigned open_as_before(struct hk_host *host, unsigned variant, const struct hk_sealed *sealed,
	__u8 *out, struct hk_opened *opened)
{
	unsigned refusal = HK_REFUSAL_NO_KEY;
	struct entry *entry;

	for (entry = *bucket(host, sealed->spi); entry; entry = entry->next) {
		if (hk_sa_name(entry->sa)->spi != sealed->spi || hk_sa_name(entry->sa)->variant != variant)
			continue;
		refusal = open_known(host, entry, sealed, out, opened);
		if (refusal != HK_REFUSAL_BAD_ICV)
			return refusal;
	}
	return refusal;
}

/* Keeps `sa` when the packet verifies. */
static unsigned open_first(struct hk_host *host, struct hk_sa *sa, const struct hk_sealed *sealed, __u8 *out,
	struct hk_opened *opened)
{
	unsigned refusal = hk_host_keys_sends(host->options.keys, &sealed->source, false, sealed->spi)
				   ? hk_open_packet(sa, sealed, out, opened)
				   : HK_REFUSAL_OTHER_SENDER;
	struct entry *entry = verified(refusal) ? insert(host, sa, sealed) : NULL;

	if (entry)
		return take(host, entry->window, sealed, &opened->numbers, refusal);
	hk_sa_free(sa);
	return verified(refusal) ? HK_REFUSAL_SPI_FULL : refusal;
}

static bool was_tried(struct hk_host *host, const struct hk_sa *sa)
{
	const struct entry *entry;

	for (entry = *bucket(host, hk_sa_name(sa)->spi); entry; entry = entry->next)
		if (same_key(entry->sa, sa))
			return true;
	return false;
}

/*
 * With each generation of the SPI's slot that nothing came under yet: the ICV decides.
 * `refusal` is of those that were tried.
 */
static unsigned open_unknown(struct hk_host *host, unsigned variant, unsigned refusal,
	const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	const struct hk_sa_name name = {
		.envelope = sealed->envelope,
		.variant = (__u8)variant,
		.mkid = host->options.mkid,
		.spi = sealed->spi,
		.receiver = host->options.local,
	};
	struct hk_sa *sa = NULL;
	unsigned n, now;

	for (n = 0; n < HK_HOST_GENERATIONS; n++) {
		now = host->options.keys ? hk_host_keys_sa(host->options.keys, host->crypto, &name, n, &sa)
					 : HK_REFUSAL_NO_KEY;
		if (now) /* no more of them */
			return refusal == HK_REFUSAL_NO_KEY ? now : refusal;
		if (was_tried(host, sa)) {
			hk_sa_free(sa);
			continue;
		}
		refusal = open_first(host, sa, sealed, out, opened);
		if (refusal != HK_REFUSAL_BAD_ICV)
			break;
	}
	return refusal;
}

unsigned hk_host_open(
	struct hk_host *host, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	unsigned variant = 0, refusal = admit(host, sealed, &variant);

	if (!refusal) {
		refusal = open_as_before(host, variant, sealed, out, opened);
		if (refusal == HK_REFUSAL_NO_KEY || refusal == HK_REFUSAL_BAD_ICV)
			refusal = open_unknown(host, variant, refusal, sealed, out, opened);
	}
	if (refusal)
		opened->length = 0;
	return refusal;
}

unsigned hk_host_spis(const struct hk_host *host)
{
	return host->used;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SPIs: an SPI tells by itself which host it was given to, so that a receiver
 * that has a line for each sender needs no list of SPIs, however many there are:
 *
 *   PSP  | slot 1 |   | sender 10 | second 21 |
 *   ESP  |   0    | slot 2 | sender 10 | second 19 |
 *
 * In EESP and WESP the MKID tells it (keyserver_pairs.c), and what is given out is a
 * ContextID, in which the same two numbers stand: | sender 24 | second 40 |.
 *
 * The sender's number belongs to its address for life (of a pair, to its name and address). The second is the
 * one it is given out in, by the clock: a state directory that was put back from an older copy gives no SPI
 * out again as long as the clock is right, and a server gives none out in the second it starts in, as an
 * earlier run may have. One SPI a second is enough for a sender and receiver. Seconds come round after 24
 * days (PSP) or 6 (ESP): no generation is used that long, and one that comes back to a slot long before has
 * other SPIs than the last.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/keyserver.h"

#define SENDERS_MAX ((1u << HK_KS_NUMBER_BITS) - 1) /* 0 is nobody's */
#define SPI_OF_PAIR HK_ESP_SPI_RESERVED		    /* the lowest there can be */

_Static_assert(HK_KS_HOSTS <= SENDERS_MAX, "every host has a number");

static unsigned slot_shift(unsigned envelope)
{
	return envelope == HK_ENVELOPE_PSP ? 31 : 29;
}

static unsigned second_bits(unsigned envelope)
{
	return slot_shift(envelope) - HK_KS_NUMBER_BITS;
}

__s64 hk_ks_spis_last(const struct hk_ks_domain *domain)
{
	return 1ll << (hk_ks_has_pairs(domain) ? HK_KS_SERIAL_SHIFT : second_bits(domain->envelope));
}

__u32 hk_ks_sender_mask(const struct hk_ks_domain *domain)
{
	return SENDERS_MAX << second_bits(domain->envelope);
}

__u32 hk_ks_sender_spis(const struct hk_ks_domain *domain, __u32 number)
{
	return number << second_bits(domain->envelope);
}

__u32 hk_ks_spi(const struct hk_ks_domain *domain, unsigned slot, __u64 serial)
{
	__u32 second = (__u32)(serial & (__u64)(hk_ks_spis_last(domain) - 1));

	if (hk_ks_has_pairs(domain))
		return SPI_OF_PAIR;
	return (__u32)slot << slot_shift(domain->envelope) |
	       hk_ks_sender_spis(domain, (__u32)(serial >> HK_KS_SERIAL_SHIFT)) | second;
}

int hk_ks_allocate(struct hk_ks *ks, unsigned domain, unsigned host, unsigned sender, __u32 *spi,
	__u64 *context, struct hk_error *error)
{
	const struct hk_ks_domain *config = &ks->config->domains[domain];
	const struct hk_ks_generation *row = hk_ks_current(ks, domain, host);
	__u64 serial =
		(__u64)ks->domains[domain].receivers[sender].number << HK_KS_SERIAL_SHIFT | (__u64)ks->now;
	int status;

	if (!row || ks->now <= ks->started || ks->now < row->created ||
		ks->now - row->created >= hk_ks_spis_last(config))
		return -EAGAIN;
	status = hk_ks_store_allocate(ks->store, config->name, config->hosts[host].name, row->generation,
		config->hosts[sender].name, serial, error);
	if (!status) {
		*spi = hk_ks_spi(config, row->slot, serial);
		if (context)
			*context = hk_ks_has_pairs(config) ? serial : 0;
		ks->counters[HK_KS_SPIS]++;
	}
	return status;
}

static bool is_member(const void *context, const char *address)
{
	const struct hk_ks_domain *domain = context;
	struct hk_address parsed;
	unsigned i;

	/* Keys of pairs bear numbers before anything is given out: there one is never another's. */
	if (hk_ks_has_pairs(domain))
		return true;
	if (hk_address_parse(address, &parsed))
		return false;
	for (i = 0; i < domain->hosts_count; i++)
		if (memcmp(&domain->hosts[i].receiver, &parsed, sizeof(parsed)) == 0)
			return true;
	return false;
}

int hk_ks_number_host(struct hk_ks *ks, unsigned domain, unsigned host, struct hk_error *error)
{
	const struct hk_ks_domain *config = &ks->config->domains[domain];
	char address[HK_ADDRESS_TEXT], whose[HK_ADDRESS_TEXT + 1 + HK_PUSH_NAME];

	hk_address_format(&config->hosts[host].receiver, address);
	snprintf(whose, sizeof(whose), hk_ks_has_pairs(config) ? "%s %s" : "%s", address,
		config->hosts[host].name);
	return hk_ks_store_number(ks->store, config->name, whose, SENDERS_MAX, is_member, config,
		&ks->domains[domain].receivers[host].number, error);
}

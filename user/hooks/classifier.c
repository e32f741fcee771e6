// SPDX-License-Identifier: GPL-2.0-or-later
/* The classifier's life, and the lookup: see classifier.h. */
#include <stdlib.h>
#include <string.h>

#include "user/hooks/classifier_table.h"

int hk_classifier_new(struct hk_classifier **out, const struct hk_selector *selectors, unsigned count,
	struct hk_hooks_refusal *refusal)
{
	struct hk_classifier *c;

	*out = NULL;
	if (count > HK_CLASSIFIER_MAX)
		return hk_hooks_refuse(
			refusal, "%u rules, at most %u fit: merge some", count, HK_CLASSIFIER_MAX);
	c = calloc(1, sizeof(*c));
	if (!c || hk_classifier_build(c, selectors, count)) {
		hk_classifier_free(c);
		return hk_hooks_refuse(refusal,
			"%u rules need more memory than there is or than 512 MiB: name fewer nested prefixes "
			"and ranges",
			count);
	}
	hk_rows_finish(&c->rows);
	*out = c;
	return 0;
}

void hk_classifier_free(struct hk_classifier *c)
{
	unsigned i;

	if (!c)
		return;
	for (i = 0; i < HK_CLASSIFIER_FIELDS; i++) {
		free(c->any[i]);
		free(c->any_summary[i]);
	}
	for (i = 0; i < 2; i++) {
		free(c->addresses[i].starts4);
		free(c->addresses[i].rows4);
		hk_intervals_free(&c->addresses[i].six);
		free(c->ports[i]);
	}
	free(c->numbers);
	free(c->ends);
	free(c->domains);
	free(c->domain_rows);
	hk_rows_free(&c->rows);
	free(c);
}

/* --- the packet path ------------------------------------------------------------------------- */

/* The place of the last start that is not above `value`; the first is 0. Without branches. */
#define LAST_START(starts, count, value)                                         \
	({                                                                       \
		const __typeof__(*(starts)) *base_ = (starts);                   \
		size_t left_ = (count), half_;                                   \
                                                                                 \
		for (; left_ > 1; left_ -= half_) {                              \
			half_ = left_ / 2;                                       \
			base_ = base_[half_] <= (value) ? base_ + half_ : base_; \
		}                                                                \
		base_ - (starts);                                                \
	})

static __u32 find_address(const struct hk_classifier_addresses *addresses, const struct hk_address *address)
{
	__u64 high, low;
	hk_value value;

	memcpy(&high, address->bytes, 8);
	memcpy(&low, address->bytes + 8, 8);
	high = __builtin_bswap64(high);
	low = __builtin_bswap64(low);
	if (high == 0 && low >> 32 == 0xffff)
		return addresses->rows4[LAST_START(addresses->starts4, addresses->count4, (__u32)low)];
	value = (hk_value)high << 64 | low;
	return addresses->six.rows[LAST_START(addresses->six.starts, addresses->six.count, value)];
}

static __u32 find_domain(const struct hk_classifier *c, __u16 domain, unsigned auth)
{
	size_t low = 0, high = c->domains_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->domains[middle] == domain)
			return c->domain_rows[HK_AUTH_COUNT * middle + auth];
		if (c->domains[middle] < domain)
			low = middle + 1;
		else
			high = middle;
	}
	return c->domain_rows[HK_AUTH_COUNT * c->domains_count + auth];
}

void hk_classifier_look_up(
	const struct hk_classifier *c, const struct hk_hook_packet *packet, struct hk_classifier_key *key)
{
	bool ports = hk_packet_has_ports(packet);
	unsigned i;

	key->own[SOURCE] = c->rows.arena + find_address(&c->addresses[0], &packet->src);
	key->own[DESTINATION] = c->rows.arena + find_address(&c->addresses[1], &packet->dst);
	key->own[SOURCE_PORT] = c->rows.arena + c->ports[0][ports ? packet->src_port : NO_PORTS];
	key->own[DESTINATION_PORT] = c->rows.arena + c->ports[1][ports ? packet->dst_port : NO_PORTS];
	key->own[PROTOCOL] = c->rows.arena + c->protocols[packet->protocol];
	key->own[DOMAIN_AUTH] = c->rows.arena + find_domain(c, packet->domain, hk_selector_auth(packet));
	for (i = 0; i < HK_CLASSIFIER_FIELDS; i++)
		__builtin_prefetch(key->own[i]);
}

/* Word `w` of a row: how many of its words come before it says where it lies. */
static __u64 own_word(const __u64 *own, unsigned summaries, unsigned w)
{
	unsigned rank = summaries, i;
	__u64 here = own[w / 64];

	if (!(here >> (w % 64) & 1))
		return 0;
	for (i = 0; i < w / 64; i++)
		rank += (unsigned)__builtin_popcountll(own[i]);
	rank += (unsigned)__builtin_popcountll(here & ((1ull << w % 64) - 1));
	return own[rank];
}

static __u64 match_word(const struct hk_classifier *c, const struct hk_classifier_key *key, unsigned w)
{
	__u64 bits = ~0ull;
	unsigned field;

	for (field = 0; field < HK_CLASSIFIER_FIELDS && bits; field++)
		bits &= c->any[field][w] | own_word(key->own[field], c->rows.summaries, w);
	return bits;
}

static __u64 match_summary(const struct hk_classifier *c, const struct hk_classifier_key *key, unsigned s)
{
	__u64 bits = ~0ull;
	unsigned field;

	for (field = 0; field < HK_CLASSIFIER_FIELDS; field++)
		bits &= c->any_summary[field][s] | key->own[field][s];
	return bits;
}

/* The first number from `from` on in one word's matches; numbers ascend within a word. */
static __u32 first_number(const struct hk_classifier *c, unsigned w, __u64 bits, unsigned from)
{
	for (; bits; bits &= bits - 1) {
		__u32 number = c->numbers[w * 64 + (unsigned)__builtin_ctzll(bits)];

		if (number >= from)
			return number;
	}
	return NO_SELECTOR;
}

int hk_classifier_next(const struct hk_classifier *c, const struct hk_classifier_key *key, unsigned from)
{
	__u32 best = NO_SELECTOR;
	unsigned start = 0, s;

	for (s = 0; s < c->rows.summaries; s++) {
		__u64 words = match_summary(c, key, s);

		for (; words; words &= words - 1) {
			unsigned w = s * 64 + (unsigned)__builtin_ctzll(words);
			__u32 number;

			/* behind a group's first match, and behind the best one, there is nothing to win */
			if (w < start || c->numbers[w * 64] >= best)
				continue;
			number = first_number(c, w, match_word(c, key, w), from);
			if (number == NO_SELECTOR)
				continue;
			best = number < best ? number : best;
			start = c->ends[w];
		}
	}
	return best == NO_SELECTOR ? -1 : (int)best;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The receivers map's content: inheritance, order, refusals, and a comparison with the plain definition. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout.h"
#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/envelope/outer.h"

#define RANDOM_PREFIXES 300

static struct hk_prefix prefix(const char *text)
{
	struct hk_prefix out = {0};

	CU_ASSERT_EQUAL(hk_prefix_parse(text, &out), 0);
	return out;
}

static const struct hk_receiver_value *find(
	const struct hk_receiver_entry *entries, int count, const struct hk_address *address)
{
	struct hk_prefix own;
	int i;

	for (i = 0; i < count; i++) {
		own = (struct hk_prefix){
			.address = entries[i].key.address, .length = (__u8)entries[i].key.prefixlen};
		if (hk_prefix_holds(&own, address))
			return &entries[i].value; /* longest first */
	}
	return NULL;
}

static void children_inherit(void)
{
	struct hk_prefix psp[] = {prefix("192.0.2.0/24"), prefix("2001:db8::/32")};
	struct hk_prefix esp[] = {prefix("192.0.2.64/26"), prefix("192.0.0.0/16")};
	struct hk_prefix inner[] = {prefix("192.0.2.65")};
	struct hk_domain_config domains[] = {
		{.id = 1,
			.envelope = HK_ENVELOPE_PSP,
			.receivers = psp,
			.receivers_count = 2,
			.flow_per_spi = true},
		{.id = 2,
			.envelope = HK_ENVELOPE_ESP,
			.suite = HK_SUITE_CTR_HMAC,
			.receivers = esp,
			.receivers_count = 2},
		{.id = 3,
			.envelope = HK_ENVELOPE_ESP,
			.suite = HK_SUITE_CBC_HMAC,
			.receivers = inner,
			.receivers_count = 1},
	};
	struct hk_config config = {.domains = domains, .domains_count = 3};
	const struct hk_receiver_value *value;
	struct hk_receiver_entry *entries;
	struct hk_prefix at;
	int count = hk_receivers_build(&config, &entries);

	CU_ASSERT_EQUAL_FATAL(count, 5);
	CU_ASSERT_EQUAL(entries[0].key.prefixlen, 128);
	CU_ASSERT_EQUAL(entries[4].key.prefixlen, 32);
	at = prefix("192.0.2.65");
	value = find(entries, count, &at.address);
	CU_ASSERT_EQUAL(value->domain[HK_ENVELOPE_PSP], 1);
	CU_ASSERT_EQUAL(value->flags[HK_ENVELOPE_PSP], HK_RECEIVER_FLOW_PER_SPI);
	CU_ASSERT_EQUAL(value->domain[HK_ENVELOPE_ESP], 3);
	CU_ASSERT_EQUAL(value->suite[HK_ENVELOPE_ESP], HK_SUITE_CBC_HMAC);
	at = prefix("192.0.2.1");
	value = find(entries, count, &at.address);
	CU_ASSERT_EQUAL(value->domain[HK_ENVELOPE_PSP], 1);
	CU_ASSERT_EQUAL(value->domain[HK_ENVELOPE_ESP], 2);
	at = prefix("192.0.99.1");
	value = find(entries, count, &at.address);
	CU_ASSERT_EQUAL(value->domain[HK_ENVELOPE_PSP], HK_NO_DOMAIN);
	CU_ASSERT_EQUAL(value->domain[HK_ENVELOPE_ESP], 2);
	at = prefix("198.51.100.1");
	CU_ASSERT_PTR_NULL(find(entries, count, &at.address));
	free(entries);
}

static void one_prefix_in_two_domains(void)
{
	struct hk_prefix shared[] = {prefix("192.0.2.0/24")};
	struct hk_domain_config domains[] = {
		{.id = 1, .envelope = HK_ENVELOPE_PSP, .receivers = shared, .receivers_count = 1},
		{.id = 2, .envelope = HK_ENVELOPE_ESP, .receivers = shared, .receivers_count = 1},
	};
	struct hk_config config = {.domains = domains, .domains_count = 2};
	struct hk_receiver_entry *entries = NULL;

	CU_ASSERT_EQUAL_FATAL(hk_receivers_build(&config, &entries), 1);
	CU_ASSERT_EQUAL(entries[0].value.domain[HK_ENVELOPE_PSP], 1);
	CU_ASSERT_EQUAL(entries[0].value.domain[HK_ENVELOPE_ESP], 2);
	free(entries);
	domains[1].envelope = HK_ENVELOPE_PSP;
	entries = NULL;
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), -EEXIST);
	CU_ASSERT_PTR_NULL(entries);
	CU_ASSERT_PTR_NULL(hk_outer_new(&config));
	CU_ASSERT_EQUAL(errno, EEXIST);
}

static void a_prefix_named_twice_is_one_entry(void)
{
	struct hk_prefix twice[] = {prefix("192.0.2.0/24"), prefix("192.0.2.0/24")};
	struct hk_domain_config domain = {
		.id = 1, .envelope = HK_ENVELOPE_PSP, .receivers = twice, .receivers_count = 2};
	struct hk_config config = {.domains = &domain, .domains_count = 1};
	struct hk_receiver_entry *entries = NULL;

	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), 1);
	free(entries);
}

/* ::/0 is IPv6 alone, although IPv4 lies inside it in the map. */
static void ip6_prefixes_leave_ip4_alone(void)
{
	struct hk_prefix wide[] = {prefix("::/0"), prefix("198.51.100.0/24")};
	struct hk_domain_config domain = {
		.id = 1, .envelope = HK_ENVELOPE_PSP, .receivers = wide, .receivers_count = 1};
	struct hk_config config = {.domains = &domain, .domains_count = 1};
	struct hk_receiver_entry *entries;

	CU_ASSERT_EQUAL_FATAL(hk_receivers_build(&config, &entries), 2);
	CU_ASSERT_EQUAL(entries[0].key.prefixlen, 96);
	CU_ASSERT_EQUAL(entries[0].value.domain[HK_ENVELOPE_PSP], HK_NO_DOMAIN);
	CU_ASSERT_EQUAL(entries[1].key.prefixlen, 0);
	CU_ASSERT_EQUAL(entries[1].value.domain[HK_ENVELOPE_PSP], 1);
	free(entries);
	domain.receivers_count = 2;
	CU_ASSERT_EQUAL_FATAL(hk_receivers_build(&config, &entries), 3);
	CU_ASSERT_EQUAL(entries[0].key.prefixlen, 96 + 24);
	free(entries);
	wide[1] = prefix("0.0.0.0/0");
	CU_ASSERT_EQUAL_FATAL(hk_receivers_build(&config, &entries), 2);
	CU_ASSERT_EQUAL(entries[0].value.domain[HK_ENVELOPE_PSP], 1);
	free(entries);
	/* a prefix behind the wide one covers no IPv4: it is fenced off all the same */
	wide[1] = prefix("2001:db8::/32");
	CU_ASSERT_EQUAL_FATAL(hk_receivers_build(&config, &entries), 3);
	CU_ASSERT_EQUAL(entries[0].key.prefixlen, 96);
	CU_ASSERT_EQUAL(entries[0].value.domain[HK_ENVELOPE_PSP], HK_NO_DOMAIN);
	free(entries);
	/* the narrowest that covers it, and one beside it */
	wide[0] = prefix("::fffe:0:0/95");
	domain.receivers_count = 1;
	CU_ASSERT_EQUAL_FATAL(hk_receivers_build(&config, &entries), 2);
	CU_ASSERT_EQUAL(entries[0].key.prefixlen, 96);
	free(entries);
	wide[0] = prefix("::fffe:0:0/96");
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), 1);
	free(entries);
}

static void what_no_map_can_hold(void)
{
	struct hk_prefix at = prefix("192.0.2.0/24");
	struct hk_domain_config domain = {
		.id = 1, .envelope = HK_ENVELOPE_PSP, .receivers = &at, .receivers_count = 1};
	struct hk_config config = {.domains = &domain, .domains_count = 1};
	struct hk_receiver_entry *entries = NULL;

	at.length = 129;
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), -EINVAL);
	at.length = 128;
	domain.envelope = HK_ENVELOPE_MAX;
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), -EINVAL);
	CU_ASSERT_PTR_NULL(entries);
	domain.envelope = HK_ENVELOPE_MAX - 1;
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), 1);
	free(entries);
}

/* As many as there is room for, and one more; the fence needs room, too. */
static void as_many_as_there_is_room_for(void)
{
	struct hk_prefix *many = calloc(HK_MAP_RECEIVERS_MAX + 1, sizeof(*many));
	struct hk_domain_config domain = {.id = 1, .envelope = HK_ENVELOPE_PSP, .receivers = many};
	struct hk_config config = {.domains = &domain, .domains_count = 1};
	struct hk_receiver_entry *entries = NULL;
	unsigned i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	for (i = 0; i < HK_MAP_RECEIVERS_MAX + 1; i++)
		many[i] = (struct hk_prefix){
			.address = {.bytes = {0x20, (__u8)(i >> 16), (__u8)(i >> 8), (__u8)i}},
			.length = 128};
	domain.receivers_count = HK_MAP_RECEIVERS_MAX;
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), HK_MAP_RECEIVERS_MAX);
	free(entries);
	entries = NULL;
	domain.receivers_count++;
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), -E2BIG);
	CU_ASSERT_PTR_NULL(entries);
	many[0] = prefix("::/0");
	domain.receivers_count--;
	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), -E2BIG);
	free(many);
}

static void nothing_configured(void)
{
	struct hk_config config = {0};
	struct hk_receiver_entry *entries = NULL;

	CU_ASSERT_EQUAL(hk_receivers_build(&config, &entries), 0);
	free(entries);
}

static struct hk_prefix random_prefix(__u64 *state)
{
	struct hk_prefix out = {.length = (__u8)(random_next(state) % 12)};
	__u8 byte = (__u8)random_next(state);

	out.address.bytes[0] = out.length < 8 ? byte & (__u8)(0xff00 >> out.length) : byte;
	out.address.bytes[1] = out.length > 8 ? (__u8)(random_next(state) & (0xff00 >> (out.length - 8))) : 0;
	return out;
}

/* The definition: the longest prefix of this envelope around the address. */
static unsigned plain_lookup(
	const struct hk_config *config, unsigned envelope, const struct hk_address *address)
{
	unsigned i, j, best = HK_NO_DOMAIN;
	int length = -1;

	for (i = 0; i < config->domains_count; i++)
		for (j = 0; j < config->domains[i].receivers_count; j++)
			if (config->domains[i].envelope == envelope &&
				config->domains[i].receivers[j].length > length &&
				hk_prefix_holds(&config->domains[i].receivers[j], address)) {
				length = config->domains[i].receivers[j].length;
				best = config->domains[i].id;
			}
	return best;
}

static void compare_all(const struct hk_config *config, const struct hk_receiver_entry *entries, int count)
{
	struct hk_address address = {.bytes = {[15] = 1}};
	const struct hk_receiver_value *value;
	unsigned i, envelope, wrong = 0;

	for (i = 0; i < 65536; i += 13) {
		address.bytes[0] = (__u8)(i >> 8);
		address.bytes[1] = (__u8)i;
		value = find(entries, count, &address);
		for (envelope = HK_ENVELOPE_PSP; envelope <= HK_ENVELOPE_ESP; envelope++)
			wrong += plain_lookup(config, envelope, &address) !=
				 (value ? value->domain[envelope] : HK_NO_DOMAIN);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void same_as_the_definition(void)
{
	static struct hk_prefix lists[2][RANDOM_PREFIXES];
	struct hk_domain_config domains[2] = {
		{.id = 10,
			.envelope = HK_ENVELOPE_PSP,
			.receivers = lists[0],
			.receivers_count = RANDOM_PREFIXES / 6},
		{.id = 11,
			.envelope = HK_ENVELOPE_ESP,
			.receivers = lists[1],
			.receivers_count = RANDOM_PREFIXES},
	};
	struct hk_config config = {.domains = domains, .domains_count = 2};
	struct hk_receiver_entry *entries;
	__u64 state = 7;
	unsigned i;
	int count;

	for (i = 0; i < RANDOM_PREFIXES; i++) {
		lists[0][i] = random_prefix(&state);
		lists[1][i] = random_prefix(&state);
	}
	count = hk_receivers_build(&config, &entries);
	CU_ASSERT_FATAL(count > 100);
	compare_all(&config, entries, count);
	free(entries);
}

int main(void)
{
	static const struct test tests[] = {
		{"a longer prefix says what shorter ones say", children_inherit},
		{"one prefix in two domains", one_prefix_in_two_domains},
		{"a prefix named twice is one entry", a_prefix_named_twice_is_one_entry},
		{"IPv6 prefixes leave IPv4 alone", ip6_prefixes_leave_ip4_alone},
		{"what no map can hold", what_no_map_can_hold},
		{"as many as there is room for", as_many_as_there_is_room_for},
		{"nothing configured, nothing in the map", nothing_configured},
		{"lookups agree with the definition", same_as_the_definition},
		{0},
	};

	return run_tests("receivers", tests);
}

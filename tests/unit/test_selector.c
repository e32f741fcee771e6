// SPDX-License-Identifier: GPL-2.0-or-later
/* What a selector's words mean: each protocol's number, bounds of ports, marks, domains. */
#include "tests/unit/harness.h"
#include "tests/unit/hook_settings.h"

#include <stdlib.h>

#include "user/hooks/selector.h"

static struct hk_hooks_refusal refusal;
static char said[512];

/* 0: parsed, and the selector is the caller's. */
static int parse(struct hk_selector *out, const struct hk_selector_text *text)
{
	const struct hk_hook_setup setup = {.domain_id = test_domain};

	memset(out, 0, sizeof(*out));
	said[0] = '\0';
	refusal = (struct hk_hooks_refusal){.text = said, .size = sizeof(said), .path = "FILE"};
	return hk_selector_parse(out, text, "rule 1", &setup, &refusal);
}

static unsigned protocols_in(const struct hk_selector *selector)
{
	unsigned i, count = 0;

	for (i = 0; i < 256; i++)
		count += selector->protocols[i / 8] >> i % 8 & 1;
	return count;
}

/* The numbers of IANA's registry. */
static void protocols(void)
{
	static const struct {
		const char *name;
		__u8 number;
	} rows[] = {{"icmp", 1}, {"igmp", 2}, {"tcp", 6}, {"udp", 17}, {"dccp", 33}, {"gre", 47}, {"esp", 50},
		{"icmp6", 58}, {"icmpv6", 58}, {"ospf", 89}, {"sctp", 132}, {"udplite", 136}, {"0", 0},
		{"255", 255}};
	struct hk_selector_text text = {0};
	struct hk_hook_packet packet = {0};
	struct hk_selector selector;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text.protocol = (char *)(unsigned long)rows[i].name;
		CU_ASSERT_EQUAL_FATAL(parse(&selector, &text), 0);
		CU_ASSERT_FALSE(selector.any_protocol);
		CU_ASSERT_EQUAL(protocols_in(&selector), 1);
		packet.protocol = rows[i].number;
		CU_ASSERT_TRUE(hk_selector_matches(&selector, &packet));
		packet.protocol ^= 1;
		CU_ASSERT_FALSE(hk_selector_matches(&selector, &packet));
		hk_selector_free(&selector);
	}
	text.protocol = (char *)"any";
	CU_ASSERT_EQUAL_FATAL(parse(&selector, &text), 0);
	CU_ASSERT_TRUE(selector.any_protocol);
	for (packet.protocol = 0; packet.protocol < 255; packet.protocol++)
		CU_ASSERT_TRUE(hk_selector_matches(&selector, &packet));
	hk_selector_free(&selector);
	text.protocol = (char *)"256";
	CU_ASSERT_EQUAL(parse(&selector, &text), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "is no protocol"));
}

/* Ranges hold both their ends; ports are asked of protocols that have some, and of no fragment. */
static void ports(void)
{
	static const struct {
		__u16 port;
		bool inside;
	} rows[] = {{79, false}, {80, true}, {81, false}, {1023, false}, {1024, true}, {1030, true},
		{1031, false}};
	struct hk_selector_text text = {
		.protocol = (char *)"udp", .destination_port = (char *)"80, 1024-1030"};
	struct hk_hook_packet packet = {.protocol = 17, .flags = HK_PACKET_PORTS};
	struct hk_selector selector;
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(parse(&selector, &text), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		packet.dst_port = rows[i].port;
		CU_ASSERT_EQUAL(hk_selector_matches(&selector, &packet), rows[i].inside);
	}
	packet.dst_port = 80;
	packet.flags = 0;
	CU_ASSERT_FALSE(hk_selector_matches(&selector, &packet));
	hk_selector_free(&selector);
	text.destination_port = (char *)"0-65535";
	CU_ASSERT_EQUAL(parse(&selector, &text), 0);
	hk_selector_free(&selector);
	text.destination_port = (char *)"65536";
	CU_ASSERT_EQUAL(parse(&selector, &text), -1);
	text.destination_port = (char *)"2-1";
	CU_ASSERT_EQUAL(parse(&selector, &text), -1);
	text.destination_port = (char *)"7-7";
	CU_ASSERT_EQUAL(parse(&selector, &text), 0);
	hk_selector_free(&selector);
}

static int any_id(void *core, const char *name)
{
	(void)core;
	return atoi(name);
}

static void domains(void)
{
	const struct hk_hook_setup setup = {.domain_id = any_id};
	struct hk_selector_text text = {.domain = (char *)"0, 65535"};
	struct hk_hook_packet packet = {0};
	struct hk_selector selector = {0};

	CU_ASSERT_EQUAL_FATAL(hk_selector_parse(&selector, &text, "rule 1", &setup, &refusal), 0);
	CU_ASSERT_TRUE(hk_selector_matches(&selector, &packet));
	packet.domain = 65535;
	CU_ASSERT_TRUE(hk_selector_matches(&selector, &packet));
	packet.domain = 1;
	CU_ASSERT_FALSE(hk_selector_matches(&selector, &packet));
	hk_selector_free(&selector);
	text.domain = (char *)"north";
	CU_ASSERT_EQUAL(parse(&selector, &text), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "north"));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "is no domain of the configuration"));
}

static void marks(void)
{
	struct hk_selector_text text = {.auth = (char *)"unauthenticated"};
	struct hk_hook_packet packet = {.auth = HK_AUTH_NONE};
	struct hk_selector selector;

	CU_ASSERT_EQUAL_FATAL(parse(&selector, &text), 0);
	CU_ASSERT_TRUE(hk_selector_matches(&selector, &packet));
	packet.auth = HK_AUTH_COUNT; /* what nobody defined counts as none */
	CU_ASSERT_TRUE(hk_selector_matches(&selector, &packet));
	packet.auth = HK_AUTH_VERIFIED;
	CU_ASSERT_FALSE(hk_selector_matches(&selector, &packet));
	hk_selector_free(&selector);
	text.auth = (char *)"trusted";
	CU_ASSERT_EQUAL(parse(&selector, &text), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "auth"));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "trusted"));
}

int main(void)
{
	static const struct test tests[] = {
		{"protocols", protocols},
		{"ports", ports},
		{"domains", domains},
		{"marks", marks},
		{0},
	};
	return run_tests("selector", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a reload of the key server carries over: what counts as confirmed, and what
 * clients have, when hosts join, come back, move or swap their addresses.
 */
#include "tests/unit/keyserver_help.h"

static struct hk_ks_host later_hosts[3];
static struct hk_ks_domain later_domain;
static struct hk_ks_config later = {.domains = &later_domain, .domains_count = 1};
static struct hk_ks_client box, sender;

static void subscribe(struct hk_ks_client *client, unsigned role, const char *name, unsigned index)
{
	*client = (struct hk_ks_client){.who = {.role = role}, .domain = &domain, .host_index = index};
	snprintf(client->who.name, sizeof(client->who.name), "%s", name);
	client->next = ks.clients;
	ks.clients = client;
}

/* All three hosts, the box and the sender b; everybody has confirmed everything. */
static void start(unsigned envelope)
{
	domain.envelope = (__u8)envelope;
	domain.variant = envelope == HK_ENVELOPE_PSP ? HK_PSP_SPLIT_256 : 0;
	begin();
	memcpy(later_hosts, hosts, sizeof(hosts));
	later_domain = domain;
	later_domain.hosts = later_hosts;
	subscribe(&box, HK_PUSH_BOX, "box", 0);
	subscribe(&sender, HK_PUSH_HOST, "b", 1);
	hk_ks_serve(&ks);
	box.acked = box.sent;
	sender.acked = sender.sent;
}

/* The configuration in force becomes `later`: what SIGHUP does, without certificates. */
static void reload(void)
{
	struct hk_ks next = {.config = &later, .store = ks.store};
	struct hk_ks_client *client;

	CU_ASSERT_EQUAL_FATAL(hk_ks_start(&next, &error), 0);
	hk_ks_carry(&ks, &next);
	for (client = ks.clients; client; client = client->next)
		CU_ASSERT(hk_ks_move_client(client, &later));
	hk_ks_stop(&ks);
	ks.config = &later;
	ks.crypto = next.crypto;
	memcpy(ks.domains, next.domains, sizeof(ks.domains));
}

static void finish(void)
{
	end();
	ks.config = &config;
	domain.envelope = HK_ENVELOPE_PSP;
	domain.variant = HK_PSP_SPLIT_256;
	domain.hosts_count = 3;
}

static bool confirmed(unsigned host)
{
	return hk_ks_confirmed(&ks, 0, host, hk_ks_current(&ks, 0, host));
}

static void ask_to(const char *to)
{
	json_t *request = json_pack("{s:s,s:s}", "op", "spi", "to", to);

	CU_ASSERT(hk_ks_answer(&ks, &sender, request));
	json_decref(request);
	hk_ks_serve(&ks);
}

/* Each host has a line for each sender there: whoever joined, all wait for the box. */
static void pairs_are_confirmed_again(void)
{
	start(HK_ENVELOPE_EESP);
	CU_ASSERT(confirmed(0) && confirmed(2));
	reload();
	hk_ks_serve(&ks); /* the sets go out, and the box has a while to confirm its own */
	CU_ASSERT_FALSE(confirmed(0) || confirmed(2));
	sent[0] = '\0';
	ask_to("192.0.2.1");
	CU_ASSERT_PTR_NULL(strstr(sent, "context"));
	box.acked = box.sent;
	CU_ASSERT(confirmed(0) && confirmed(2));
	ask_to("192.0.2.1");
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "context"));
	finish();
}

/* In PSP the lines of those that stay are the same ones: nobody waits. */
static void what_stays_stays_confirmed(void)
{
	start(HK_ENVELOPE_PSP);
	reload();
	hk_ks_serve(&ks);
	CU_ASSERT(box.acked < box.sent);
	CU_ASSERT(confirmed(0) && confirmed(1) && confirmed(2));
	finish();
}

/* One that left comes back with generations that are on disk: the box has not seen them for long, or never.
 */
static void who_comes_back_is_confirmed_anew(void)
{
	start(HK_ENVELOPE_PSP);
	later_domain.hosts_count = 2; /* c leaves */
	reload();
	hk_ks_serve(&ks);
	box.acked = box.sent;
	sender.acked = sender.sent;
	ks.config = &config; /* and is back: what was in force is `later` again by another name */
	domain.hosts_count = 2;
	box.domain = sender.domain = &domain;
	later_domain.hosts_count = 3;
	reload();
	hk_ks_serve(&ks);
	CU_ASSERT(confirmed(0));
	CU_ASSERT_FALSE(confirmed(2));
	box.acked = box.sent;
	CU_ASSERT(confirmed(2));
	finish();
}

/* Two hosts swap addresses. Made in one second, their generations bear one number. */
static void who_moves_is_another_receiver(void)
{
	start(HK_ENVELOPE_PSP);
	CU_ASSERT_EQUAL(hk_ks_current(&ks, 0, 0)->generation, hk_ks_current(&ks, 0, 2)->generation);
	ask_to("192.0.2.1");
	CU_ASSERT_EQUAL_FATAL(sender.wants_count, 1);
	CU_ASSERT_NOT_EQUAL(sender.wants[0].generation, 0);
	later_hosts[0].receiver = hosts[2].receiver;
	later_hosts[2].receiver = hosts[0].receiver;
	reload();
	CU_ASSERT_EQUAL(sender.wants[0].receiver, 2);
	sent[0] = '\0';
	hk_ks_serve(&ks);
	CU_ASSERT(confirmed(1));
	CU_ASSERT_FALSE(confirmed(0) || confirmed(2)); /* their lines have other addresses */
	CU_ASSERT_PTR_NULL(strstr(sent, "\"type\":\"spi\""));
	box.acked = box.sent;
	ks.now++;
	hk_ks_serve(&ks); /* the sender's SPI is of a key that the receiver there has not */
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"type\":\"spi\",\"to\":\"192.0.2.1\""));
	finish();
}

/* A sender with another address: its contexts are of pairs that are no more. */
static void a_sender_that_moves_gets_other_contexts(void)
{
	start(HK_ENVELOPE_WESP);
	ask_to("192.0.2.1");
	CU_ASSERT_NOT_EQUAL(sender.wants[0].generation, 0);
	later_hosts[1].receiver = hk_address_v4((const __u8[4]){192, 0, 2, 77});
	reload();
	hk_ks_serve(&ks);
	box.acked = box.sent;
	ks.now++;
	sent[0] = '\0';
	hk_ks_serve(&ks);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(sent, " id=1028 ")); /* 1 << 10 | 4: the address has a number of its own */
	finish();
}

/* Nothing is asked again for what stays. */
static void what_was_given_stays_given(void)
{
	start(HK_ENVELOPE_PSP);
	ask_to("192.0.2.1");
	ks.now++;
	sent[0] = '\0';
	reload();
	hk_ks_serve(&ks);
	CU_ASSERT_PTR_NULL(strstr(sent, "\"type\":\"spi\""));
	finish();
}

int main(void)
{
	static const struct test tests[] = {
		{"pairs are confirmed again", pairs_are_confirmed_again},
		{"what stays stays confirmed", what_stays_stays_confirmed},
		{"who comes back is confirmed anew", who_comes_back_is_confirmed_anew},
		{"who moves is another receiver", who_moves_is_another_receiver},
		{"a sender that moves gets other contexts", a_sender_that_moves_gets_other_contexts},
		{"what was given stays given", what_was_given_stays_given},
		{0},
	};

	hk_log_init(HK_LOG_ERROR, "test");
	return run_tests("keyserver_carry", tests);
}

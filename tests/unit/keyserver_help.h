/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A key server without its network, for tests: three hosts, a box and a reader
 * in one domain, state in a directory of its own. Messages that would be sent
 * are kept in `sent` instead.
 */
#ifndef HK_TESTS_KEYSERVER_HELP_H
#define HK_TESTS_KEYSERVER_HELP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/base/log.h"
#include "user/endpoint/keyserver.h"

static char sent[1 << 20];

void hk_ks_send(struct hk_ks_client *client, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);

	(void)client;
	if (text && strlen(sent) + strlen(text) + 2 < sizeof(sent))
		strcat(strcat(sent, text), "\n");
	free(text);
	json_decref(message);
}

static char directory[64];
static struct hk_ks_host hosts[3] = {{.name = (char *)"a"}, {.name = (char *)"b"}, {.name = (char *)"c"}};
static char *boxes[] = {(char *)"box"}, *readers[] = {(char *)"reader"};
static struct hk_ks_domain domain = {.name = (char *)"d",
	.hosts = hosts,
	.hosts_count = 3,
	.boxes = boxes,
	.boxes_count = 1,
	.readers = readers,
	.readers_count = 1,
	.envelope = HK_ENVELOPE_PSP,
	.variant = HK_PSP_SPLIT_256,
	.profile = HK_PROFILE_SPLIT,
	.lifetime = 100,
	.ahead = 10,
	.grace = 20};
static struct hk_ks_config config = {.domains = &domain, .domains_count = 1};
static struct hk_ks ks;
static struct hk_error error;

static void begin(void)
{
	unsigned i;

	strcpy(directory, "/tmp/halfkey-unit-ks.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	for (i = 0; i < 3; i++)
		hosts[i].receiver = hk_address_v4((const __u8[4]){192, 0, 2, (__u8)(i + 1)});
	memset(&ks, 0, sizeof(ks));
	memset(&error, 0, sizeof(error));
	ks.config = &config;
	CU_ASSERT_EQUAL_FATAL(hk_ks_store_open(&ks.store, directory, true, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_ks_start(&ks, &error), 0);
	ks.now = ks.started + 5;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	sent[0] = '\0';
}

static void end(void)
{
	char command[128];

	hk_ks_stop(&ks);
	hk_ks_store_close(ks.store);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static __attribute__((unused)) void again(void)
{
	hk_ks_stop(&ks);
	hk_ks_store_close(ks.store);
	memset(ks.domains, 0, sizeof(ks.domains));
	CU_ASSERT_EQUAL_FATAL(hk_ks_store_open(&ks.store, directory, true, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_ks_start(&ks, &error), 0);
}

static __attribute__((unused)) struct hk_ks_client client_of(unsigned role, const char *name)
{
	struct hk_ks_client client = {.who = {.role = role}};

	snprintf(client.who.name, sizeof(client.who.name), "%s", name);
	return client;
}

/* A request as it came from `client`, and what it sets going. False: the connection ends. */
static __attribute__((unused)) bool ask(struct hk_ks_client *client, const char *text)
{
	json_t *request = json_loads(text, 0, NULL);
	bool go_on;

	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	go_on = hk_ks_answer(&ks, client, request);
	json_decref(request);
	ks.clients = client;
	hk_ks_serve(&ks);
	ks.clients = NULL;
	return go_on;
}

#endif

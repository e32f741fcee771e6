// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: what a client of the key server says, as each role: bytes to
 * JSON to answers. A box or reader is sent no SPI's keys, whatever it asks; every
 * message that goes out is whole; too many refusals end the connection.
 *
 * SOURCES: user/endpoint/keyserver_answer.c user/push/tls.c user/base/files.c user/base/log.c
 * SOURCES: user/base/text.c user/base/names.c user/base/error.c
 * SOURCES: -ljansson -lssl -lcrypto
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/keyserver.h"

static struct hk_ks ks;
static struct hk_ks_client client;
static bool said_refused;

/* --- what the answers need of the server's other files ---------------------------------------- */

void hk_ks_send(struct hk_ks_client *to, json_t *message)
{
	const char *type = json_string_value(json_object_get(message, "type"));

	demand(to == &client && type, "a message without a type");
	said_refused |= strcmp(type, "refused") == 0;
	if (strcmp(type, "spi") == 0 || strcmp(type, "inbound") == 0)
		demand(client.who.role == HK_PUSH_HOST, "an SPI's keys for one who may not have them");
	json_decref(message);
}

char *hk_ks_lines(struct hk_ks *server, const struct hk_ks_client *to, size_t *size)
{
	(void)server, (void)size;
	demand(to->domain && hk_ks_belongs(&client, to->domain), "keys for one who does not belong");
	return strdup("side=enc\n");
}

char *hk_ks_spi_lines(
	struct hk_ks *server, unsigned domain, unsigned host, const struct hk_ks_generation *row, __u32 spi)
{
	(void)server, (void)domain, (void)row, (void)spi;
	demand(client.who.role == HK_PUSH_HOST && host != client.host_index, "an SPI for nobody, or oneself");
	return strdup("side=auth\n");
}

char *hk_ks_pair_lines(struct hk_ks *server, unsigned domain, unsigned host, unsigned sender,
	const struct hk_ks_generation *row, __u64 context)
{
	(void)server, (void)domain, (void)row;
	demand(client.who.role == HK_PUSH_HOST && sender == client.host_index && host != sender && context,
		"a pair's keys for one who is not its sender");
	return strdup("side=auth\n");
}

char *hk_ks_inbound_lines(struct hk_ks *server, unsigned domain, unsigned host)
{
	(void)server, (void)domain;
	demand(client.who.role == HK_PUSH_HOST && host == client.host_index, "another's SPIs");
	return strdup("side=auth\n");
}

int hk_ks_allocate(struct hk_ks *server, unsigned domain, unsigned host, unsigned sender, __u32 *spi,
	__u64 *context, struct hk_error *error)
{
	(void)error;
	demand(sender == client.host_index && host != sender, "an SPI in another's name");
	*spi = 256;
	*context = hk_ks_has_pairs(&server->config->domains[domain]) ? 7 : 0;
	return 0;
}

struct hk_ks_generation *hk_ks_current(struct hk_ks *server, unsigned domain, unsigned host)
{
	return &server->domains[domain].receivers[host].rows[0];
}

bool hk_ks_confirmed(
	const struct hk_ks *server, unsigned domain, unsigned host, const struct hk_ks_generation *row)
{
	(void)server, (void)domain, (void)host, (void)row;
	return true;
}

void hk_ks_complain(struct hk_ks *server, const struct hk_error *error)
{
	(void)server, (void)error;
}

#ifdef WRITE_SEEDS

#define HELLO(role)	"{\"op\":\"hello\",\"role\":\"" role "\"}\n"
#define SUBSCRIBE(more) "{\"op\":\"subscribe\",\"domain\":\"d\"," more "}\n"
#define ACK(serial)	"{\"op\":\"ack\",\"serial\":" serial "}\n"
#define SPI(to, have)	"{\"op\":\"spi\",\"to\":\"" to "\",\"have\":" have "}\n"

/* A digit says who speaks, then one message stands in each line. */
int main(int argc, char **argv)
{
	static const char *const seeds[] = {"2" HELLO("host") SUBSCRIBE("\"inbound\":true") ACK("7")
						    SPI("192.0.2.2", "1") "{\"op\":\"pong\"}\n",
		"3" HELLO("box") SUBSCRIBE("\"side\":\"enc\"") SPI("192.0.2.1", "0") ACK("-1"),
		"4" SUBSCRIBE("\"side\":\"reader\"") SUBSCRIBE("\"side\":5"),
		"8" SUBSCRIBE("\"side\":\"both\"") SPI("192.0.2.2", "0"),
		"8" SUBSCRIBE("\"inbound\":true") SPI("192.0.2.2", "0"),
		"7" SUBSCRIBE("\"side\":\"auth\"") ACK("1e9") HELLO("host") "{}\n[]\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

/* --- one conversation -------------------------------------------------------------------------- */

static struct hk_ks_host hosts[] = {{.name = "a"}, {.name = "b"}};
static char *names[] = {"box", "a"};
static struct hk_ks_domain domain = {.name = "d",
	.envelope = HK_ENVELOPE_PSP,
	.hosts = hosts,
	.hosts_count = 2,
	.boxes = names,
	.boxes_count = 2,
	.readers = names,
	.readers_count = 2};
static struct hk_ks_config config = {.domains = &domain, .domains_count = 1};
static struct hk_ks_receiver receivers[2];

/* The role from 2 on, round and round; every second round the domain is `single`, the third and fourth
 * have pairs. */
static void begin(unsigned who)
{
	hk_log_init(HK_LOG_ERROR, "fuzz");
	hk_address_parse("192.0.2.1", &hosts[0].receiver);
	hk_address_parse("192.0.2.2", &hosts[1].receiver);
	domain.profile = who / 3 % 2 ? HK_PROFILE_SINGLE : HK_PROFILE_SPLIT;
	domain.envelope = who / 6 % 2 ? HK_ENVELOPE_EESP : HK_ENVELOPE_PSP;
	ks = (struct hk_ks){.config = &config, .clients = &client, .now = 1000};
	ks.domains[0] = (struct hk_ks_domain_state){.serial = 7, .receivers = receivers};
	receivers[0].tokens = receivers[1].tokens = 3;
	receivers[0].rows[0].generation = receivers[1].rows[0].generation = 2;
	memset(&client, 0, sizeof(client));
	client.who = (struct hk_push_identity){.role = HK_PUSH_HOST + who % 3, .name = "a"};
}

static bool say(const char *text, size_t size)
{
	json_t *request = hk_push_parse(text, size);
	unsigned refusals = client.refusals;
	bool goes_on;

	if (!request)
		return false; /* malformed: the connection ends */
	said_refused = false;
	goes_on = hk_ks_answer(&ks, &client, request);
	demand(said_refused == (client.refusals != refusals), "a refusal that is not told, or not counted");
	demand(goes_on || client.refusals == 16, "a connection that ends for nothing");
	demand(!client.domain || client.domain == &domain, "another domain");
	demand(client.acked <= client.sent, "a set confirmed that was never sent");
	demand(client.wants_count <= HK_KS_WANTS && (!client.wants_count || client.who.role == HK_PUSH_HOST),
		"wants of one who has none");
	demand(!client.inbound || (client.who.role == HK_PUSH_HOST && !hk_ks_has_pairs(&domain)),
		"inbound SPIs for no host, or where there are none");
	json_decref(request);
	hk_ks_serve(&ks);
	return goes_on;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1, *end = (const char *)data + size, *stop;

	if (!size)
		return 0;
	begin((unsigned)data[0] - 48 - HK_PUSH_HOST);
	for (; text < end; text = stop + 1) {
		stop = memchr(text, '\n', (size_t)(end - text));
		stop = stop ? stop : end;
		if (!say(text, (size_t)(stop - text)))
			break;
	}
	return 0;
}

#endif

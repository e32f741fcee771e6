// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The key server without its network: what requests of each role come to, and
 * generations over time.
 */
#include <errno.h>

#include "tests/unit/keyserver_help.h"
#include "user/endpoint/keynews.h"

/* Words that requests are made of; every combination of them is tried at random. */
static const char *const ops[] = {"hello", "subscribe", "ack", "spi", "pong", "keys", "auth", ""};
static const char *const keys[] = {"role", "domain", "side", "inbound", "to", "serial", "name", "op"};
static const char *const values[] = {"\"host\"", "\"box\"", "\"d\"", "\"auth\"", "\"both\"", "\"single\"",
	"\"reader\"", "\"enc\"", "true", "1", "\"192.0.2.2\"", "\"a\"", "null", "[]", "{}", "\"\\u0001\""};

static void random_request(__u64 *seed, char *out, size_t room)
{
	unsigned i, count = (unsigned)(random_next(seed) % 4);
	size_t used = (size_t)snprintf(out, room, "{\"op\":\"%s\"", ops[random_next(seed) % 8]);

	for (i = 0; i < count; i++)
		used += (size_t)snprintf(out + used, room - used, ",\"%s\":%s", keys[random_next(seed) % 7],
			values[random_next(seed) % 16]);
	snprintf(out + used, room - used, "}");
}

static void try_all(unsigned role, const char *name, const char *never_one, const char *never_two)
{
	__u64 seed = 20261121 + role;
	char request[512];
	unsigned round;

	begin();
	for (round = 0; round < 4000; round++) {
		struct hk_ks_client client = client_of(role, name);
		unsigned i;

		sent[0] = '\0';
		for (i = 0; i < 4; i++) {
			random_request(&seed, request, sizeof(request));
			ask(&client, request);
		}
		ask(&client, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
		CU_ASSERT_PTR_NOT_NULL(strstr(sent, "key=")); /* it does get something */
		CU_ASSERT_PTR_NULL(strstr(sent, never_one));
		CU_ASSERT_PTR_NULL(strstr(sent, never_two));
	}
	end();
}

static void box_never_gets_auth(void)
{
	try_all(HK_PUSH_BOX, "box", "side=auth", "side=reader");
}

static void reader_gets_reader_alone(void)
{
	try_all(HK_PUSH_READER, "reader", "side=auth", "side=enc");
}

static void host_gets_its_own(void)
{
	struct hk_ks_client client = client_of(HK_PUSH_HOST, "a");

	begin();
	ask(&client, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	ask(&client, "{\"op\":\"spi\",\"to\":\"192.0.2.2\"}");
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "receiver=192.0.2.1 slot=1 generation="));
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "side=auth"));
	CU_ASSERT_PTR_NULL(strstr(sent, "receiver=192.0.2.2 slot"));
	CU_ASSERT_PTR_NULL(strstr(sent, "receiver=192.0.2.3"));
	end();
}

/* A request that names what is not its sender's to name: refused, counted, and without effect. */
static void out_of_line(struct hk_ks_client *client, const char *request)
{
	__u64 before = ks.counters[HK_KS_REFUSED];

	sent[0] = '\0';
	ask(client, request);
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"refused\""));
	CU_ASSERT_PTR_NULL(strstr(sent, "key="));
	CU_ASSERT_EQUAL(ks.counters[HK_KS_REFUSED], before + 1);
}

static void what_is_not_theirs_to_say(void)
{
	static const char twice[] = "{\"op\":\"hello\",\"op\":\"spi\"}";
	struct hk_ks_client host = client_of(HK_PUSH_HOST, "a"), box = client_of(HK_PUSH_BOX, "box");

	begin();
	out_of_line(&box, "{\"op\":\"subscribe\",\"domain\":\"d\",\"inbound\":true}");
	CU_ASSERT_EQUAL(ks.counters[HK_KS_REFUSED_AUTH], 1);
	ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	out_of_line(&host, "{\"op\":\"ack\",\"serial\":1000000}");
	out_of_line(&host, "{\"op\":\"ack\",\"serial\":0}");
	out_of_line(&host, "{\"op\":\"ack\",\"serial\":-1}");
	CU_ASSERT_EQUAL(host.acked, 0);
	out_of_line(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}");
	out_of_line(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.77\"}");
	CU_ASSERT_PTR_NULL(hk_push_parse(twice, strlen(twice)));
	/* who asked for all the SPIs of a while waits */
	ks.domains[0].receivers[host.host_index].tokens = 0;
	sent[0] = '\0';
	ask(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.2\"}");
	CU_ASSERT_PTR_NULL(strstr(sent, "key="));
	ks.domains[0].receivers[host.host_index].tokens = 1;
	ks.clients = &host;
	hk_ks_serve(&ks);
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "side=auth"));
	CU_ASSERT_EQUAL(ks.domains[0].receivers[host.host_index].tokens, 0);
	ks.clients = NULL;
	end();
}

static const struct {
	unsigned profile, role;
	const char *name, *sides; /* the sides that the role may name, each behind a blank */
} may_name[] = {
	{HK_PROFILE_SPLIT, HK_PUSH_HOST, "a", " both enc auth"},
	{HK_PROFILE_SPLIT, HK_PUSH_BOX, "box", " enc"},
	{HK_PROFILE_SPLIT, HK_PUSH_READER, "reader", " reader"},
	{HK_PROFILE_SINGLE, HK_PUSH_HOST, "a", " both single"},
	{HK_PROFILE_SINGLE, HK_PUSH_BOX, "box", " single"},
	{HK_PROFILE_SINGLE, HK_PUSH_READER, "reader", " reader"},
};

/* Every side by every role in both profiles; and a name of one role is no member as another. */
static void sides_belong_to_roles(void)
{
	static const char *const sides[] = {"both", "enc", "auth", "single", "reader", "", "Enc"};
	char request[128], word[16];
	unsigned i, k;

	for (i = 0; i < sizeof(may_name) / sizeof(may_name[0]); i++) {
		domain.profile = (__u8)may_name[i].profile;
		domain.variant = domain.profile == HK_PROFILE_SPLIT ? HK_PSP_SPLIT_256 : HK_PSP_GCM_256;
		begin();
		for (k = 0; k < sizeof(sides) / sizeof(sides[0]); k++) {
			struct hk_ks_client client = client_of(may_name[i].role, may_name[i].name);
			bool may;

			snprintf(word, sizeof(word), " %s", sides[k]);
			may = sides[k][0] && strstr(may_name[i].sides, word);
			snprintf(request, sizeof(request),
				"{\"op\":\"subscribe\",\"domain\":\"d\",\"side\":\"%s\"}", sides[k]);
			if (may)
				ask(&client, request);
			else
				out_of_line(&client, request);
			CU_ASSERT_EQUAL(client.domain != NULL, may);
			client = client_of(may_name[i].role % 3 + HK_PUSH_HOST, may_name[i].name);
			out_of_line(&client, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
		}
		end();
	}
	domain.profile = HK_PROFILE_SPLIT;
	domain.variant = HK_PSP_SPLIT_256;
}

/* What a host has asked for is noted once a receiver, from when it first asked, until it is served. */
static void wants_are_noted_once(void)
{
	struct hk_ks_client host = client_of(HK_PUSH_HOST, "b");
	char request[64];
	unsigned i;
	__s64 first;

	begin();
	ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	CU_ASSERT_NOT_EQUAL(host.sent, 0);
	snprintf(request, sizeof(request), "{\"op\":\"ack\",\"serial\":%llu}", host.sent);
	ask(&host, request);
	CU_ASSERT_EQUAL(host.acked, host.sent);
	ask(&host, "{\"op\":\"ack\",\"serial\":1}"); /* late: what was confirmed since stays so */
	CU_ASSERT_EQUAL(host.acked, host.sent);
	ks.domains[0].receivers[host.host_index].tokens = 0; /* has to wait */
	ask(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}");
	first = ks.now;
	ks.now += 3;
	ask(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.3\"}");
	ask(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}");
	CU_ASSERT_EQUAL(host.wants_count, 2);
	CU_ASSERT_EQUAL(host.wants[0].since, first);
	CU_ASSERT_EQUAL(host.wants[1].since, ks.now);
	ks.domains[0].receivers[host.host_index].tokens = 9;
	sent[0] = '\0';
	ask(&host, "{\"op\":\"pong\"}");
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"to\":\"192.0.2.1\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"to\":\"192.0.2.3\""));
	CU_ASSERT(host.wants[0].since == 0 && host.wants[1].since == 0);
	CU_ASSERT_EQUAL(ks.domains[0].receivers[host.host_index].tokens, 7);
	for (i = 0; i < HK_KS_WANTS; i++)
		host.wants[i].receiver = 2;
	host.wants_count = HK_KS_WANTS;
	ks.domains[0].receivers[host.host_index].tokens = 0;
	out_of_line(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}");
	host.wants_count = 0;
	end();
}

/* The time that stands behind `what` in the first line with `which`; 0: none. */
static long long time_in(const char *which, const char *what)
{
	const char *line = strstr(sent, which), *end = line ? strstr(line, "\\n") : NULL;
	const char *found = line ? strstr(line, what) : NULL;

	return found && found < end ? atoll(found + strlen(what)) : 0;
}

static void delegation_has_an_end(void)
{
	static const char first[] = "receiver=192.0.2.1 slot=1", next[] = "receiver=192.0.2.1 slot=0";
	struct hk_ks_client box = client_of(HK_PUSH_BOX, "box"), host = client_of(HK_PUSH_HOST, "a");

	domain.delegation = 30;
	begin();
	ask(&box, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	CU_ASSERT_EQUAL(time_in(first, "not-before="), ks.now - 5);
	CU_ASSERT_EQUAL(time_in(first, "not-after="), ks.now + 100 + 20 + 30);
	sent[0] = '\0';
	ks.now += 95; /* late: the next one is not there yet */
	box.sent = 0;
	ks.clients = &box;
	hk_ks_serve(&ks);
	CU_ASSERT_EQUAL(time_in(first, "not-after="), ks.now + 10 + 20 + 30);
	box.acked = box.sent;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0); /* next */
	box.acked = box.sent;
	ks.now += 10;
	sent[0] = '\0';
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0); /* current; the ends have changed, and are told */
	CU_ASSERT_EQUAL(time_in(first, "not-after="), ks.now + 20);
	ks.now += 20;
	sent[0] = '\0';
	box.sent = 0;
	hk_ks_serve(&ks); /* over, though not retired yet: its line would be refused */
	CU_ASSERT_EQUAL(time_in(first, "not-after="), 0);
	CU_ASSERT_EQUAL(time_in(next, "not-after="), ks.now - 20 + 150);
	domain.delegation = HK_KS_UNLIMITED;
	sent[0] = '\0';
	box.sent = 0;
	hk_ks_serve(&ks);
	CU_ASSERT_EQUAL(time_in(next, "not-after="), 0);
	domain.delegation = 30;
	ks.clients = NULL;
	sent[0] = '\0';
	ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "side=auth"));
	CU_ASSERT_PTR_NULL(strstr(sent, "not-")); /* its own keys are a host's until they are taken */
	domain.delegation = 0;
	end();
}

static void refusals_end_a_connection(void)
{
	struct hk_ks_client client = client_of(HK_PUSH_BOX, "box");
	unsigned i;

	begin();
	for (i = 0; i < 15; i++)
		CU_ASSERT(ask(&client, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}"));
	CU_ASSERT_FALSE(ask(&client, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}"));
	CU_ASSERT_EQUAL(ks.counters[HK_KS_REFUSED_AUTH], 16);
	end();
}

static unsigned states(unsigned host)
{
	unsigned i, out = 0;

	for (i = 0; i < HK_KS_GENERATIONS; i++)
		if (ks.domains[0].receivers[host].rows[i].generation)
			out |= 1u << ks.domains[0].receivers[host].rows[i].state;
	return out;
}

static void generations_follow_each_other(void)
{
	__s64 start;
	unsigned second;

	begin();
	start = ks.now;
	for (second = 0; second < 500; second++) {
		ks.now = start + second;
		CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
		CU_ASSERT(states(0) & 1u << HK_KS_CURRENT);
		if (second % 100 == 95)
			CU_ASSERT_EQUAL(states(0), 1u << HK_KS_CURRENT | 1u << HK_KS_NEXT);
		if (second > 100 && second % 100 == 10)
			CU_ASSERT_EQUAL(states(0), 1u << HK_KS_CURRENT | 1u << HK_KS_PREVIOUS);
		if (second % 100 == 50) {
			again();	    /* a crash changes nothing */
			ks.started = start; /* nobody waits for clients here, however long a start takes */
		}
	}
	CU_ASSERT_EQUAL(ks.counters[HK_KS_ROTATIONS], 4 * 3);
	CU_ASSERT_EQUAL(hk_ks_current(&ks, 0, 0)->slot, 1);
	end();
}

static void next_waits_for_the_box(void)
{
	struct hk_ks_client box = client_of(HK_PUSH_BOX, "box");
	__u32 first;

	begin();
	first = hk_ks_current(&ks, 0, 0)->generation;
	ask(&box, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	ks.clients = &box;
	ks.now += 90;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	ks.now += 10;
	box.sent_at = ks.now; /* it was told just now */
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	CU_ASSERT_EQUAL(hk_ks_current(&ks, 0, 0)->generation, first);
	CU_ASSERT(hk_ks_waits_for(&ks, &box, 0, 0, &ks.domains[0].receivers[0].rows[0]) ||
		  hk_ks_waits_for(&ks, &box, 0, 0, &ks.domains[0].receivers[0].rows[1]) ||
		  hk_ks_waits_for(&ks, &box, 0, 0, &ks.domains[0].receivers[0].rows[2]));
	box.acked = box.sent;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	CU_ASSERT(hk_ks_current(&ks, 0, 0)->generation > first);
	ks.clients = NULL;
	end();
}

/* Senders that lost the connection hear of a rotation before what they use goes. */
static void after_a_start_clients_come_first(void)
{
	__s64 back;

	begin();
	ks.now += 95;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	again();
	ks.started = ks.now = back = ks.now + 200; /* the next one is overdue for long */
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	ks.now = back + HK_KS_SETTLE_S - 1;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	CU_ASSERT_EQUAL(states(0), 1u << HK_KS_CURRENT | 1u << HK_KS_NEXT);
	ks.now = back + HK_KS_SETTLE_S;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	CU_ASSERT_EQUAL(states(0), 1u << HK_KS_CURRENT | 1u << HK_KS_PREVIOUS);
	again();
	ks.started = ks.now = back = ks.now + 50; /* and so is the end of the one before */
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	CU_ASSERT_EQUAL(states(0), 1u << HK_KS_CURRENT | 1u << HK_KS_PREVIOUS);
	ks.now = back + HK_KS_SETTLE_S;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	CU_ASSERT_EQUAL(states(0), 1u << HK_KS_CURRENT);
	end();
}

/* A sender that comes back goes on with the SPI it has, as long as its generation is current. */
static void sessions_are_resumed(void)
{
	struct hk_ks_client host = client_of(HK_PUSH_HOST, "a"), same = host, older = host;
	char request[128];
	__u32 generation;

	begin();
	generation = hk_ks_current(&ks, 0, 1)->generation;
	ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	ask(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.2\",\"have\":0}");
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"type\":\"spi\""));
	ask(&same, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	snprintf(request, sizeof(request), "{\"op\":\"spi\",\"to\":\"192.0.2.2\",\"have\":%u}", generation);
	sent[0] = '\0';
	ask(&same, request);
	CU_ASSERT_PTR_NULL(strstr(sent, "\"type\":\"spi\""));
	ks.now++; /* an SPI a second */
	ask(&older, "{\"op\":\"subscribe\",\"domain\":\"d\"}");
	ask(&older, "{\"op\":\"spi\",\"to\":\"192.0.2.2\",\"have\":1}");
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"type\":\"spi\""));
	ks.now += 95; /* and the next generation's comes by itself */
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	ks.now += 10;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	sent[0] = '\0';
	ks.clients = &same;
	hk_ks_serve(&ks);
	ks.clients = NULL;
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"type\":\"spi\""));
	end();
}

/* --- clocks ------------------------------------------------------------------------------------ */

static void time_never_goes_back(void)
{
	begin();
	ks.now = 0;
	hk_ks_clock(&ks, 1000000, 50);
	CU_ASSERT_EQUAL(ks.now, 1000000);
	hk_ks_clock(&ks, 1000003, 53);
	CU_ASSERT_EQUAL(ks.now, 1000003);
	hk_ks_clock(&ks, 996403, 53); /* an hour back */
	CU_ASSERT_EQUAL(ks.now, 1000003);
	hk_ks_clock(&ks, 996410, 60);
	CU_ASSERT_EQUAL(ks.now, 1000010);
	hk_ks_clock(&ks, 1000200, 70);
	CU_ASSERT_EQUAL(ks.now, 1000200);
	end();
}

/* A run whose clock was years ahead; the next one's is right. */
static void state_from_the_future_is_left_behind(void)
{
	__u32 future, before, spi;
	unsigned i;

	begin();
	ks.now += 5 * 365 * 86400ll;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	ks.now += 10;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	future = hk_ks_current(&ks, 0, 1)->generation;
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &before, NULL, &error), 0);
	again();
	ks.now = ks.started;
	for (i = 0; i < 60; i++) {
		ks.now++;
		CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	}
	CU_ASSERT(hk_ks_current(&ks, 0, 1)->generation > future); /* out of it without an operator */
	CU_ASSERT(hk_ks_current(&ks, 0, 1)->activates <= ks.now);
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), 0);
	CU_ASSERT_EQUAL(states(1), 1u << HK_KS_CURRENT); /* and the old one's end came, too */
	end();
}

static void keys_have_one_use_for_life(void)
{
	begin();
	hk_ks_stop(&ks);
	memset(ks.domains, 0, sizeof(ks.domains));
	domain.profile = HK_PROFILE_SINGLE;
	domain.variant = HK_PSP_GCM_256;
	CU_ASSERT_EQUAL(hk_ks_start(&ks, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "psp split 5"));
	hk_ks_stop(&ks);
	memset(ks.domains, 0, sizeof(ks.domains));
	domain.profile = HK_PROFILE_SPLIT;
	domain.variant = HK_PSP_SPLIT_256;
	CU_ASSERT_EQUAL(hk_ks_start(&ks, &error), 0);
	end();
}

static void formats_refuse_half_keys(void)
{
	static const char enc[] =
		"receiver=192.0.2.1 spi=0x1000 suite=ctr-hmac side=enc "
		"key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f salt=01020304\n";
	struct hk_key_formatting formatting = {.format = HK_FORMAT_XFRM, .has_from = true};

	formatting.from = hk_address_v4((const __u8[4]){192, 0, 2, 9});
	formatting.out = tmpfile();
	CU_ASSERT_PTR_NOT_NULL_FATAL(formatting.out);
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(hk_key_format(&formatting, "t", enc, &error), -EINVAL);
	CU_ASSERT_PTR_NULL(strstr(error.text, "000102"));
	CU_ASSERT_EQUAL(hk_key_format(&formatting, "t", "# from=192.0.2.9\n", &error), 0);
	fclose(formatting.out);
}

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define SA(spi)                                                                                 \
	"# from=192.0.2.1 (a)\nreceiver=192.0.2.9 spi=" spi " suite=ctr-hmac side=enc key=" KEY \
	" salt=01020304\nreceiver=192.0.2.9 spi=" spi " suite=ctr-hmac side=auth key=" KEY "\n"

/* What hk_key_news() writes for `lines`. */
static const char *news_of(struct hk_key_news *news, unsigned format, const char *lines)
{
	static char out[4096];
	struct hk_key_formatting formatting = {.format = format, .reqid = 1};
	size_t size;

	formatting.out = tmpfile();
	CU_ASSERT_PTR_NOT_NULL_FATAL(formatting.out);
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(hk_key_news(news, &formatting, lines, &error), 0);
	rewind(formatting.out);
	size = fread(out, 1, sizeof(out) - 1, formatting.out);
	out[size] = '\0';
	fclose(formatting.out);
	return out;
}

static void each_key_is_news_once(void)
{
	struct hk_key_news news = {0};
	const char *out = news_of(&news, HK_FORMAT_XFRM, SA("0x00001000"));

	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, "ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x00001000"));
	CU_ASSERT_STRING_EQUAL(news_of(&news, HK_FORMAT_XFRM, SA("0x00001000")), "");
	out = news_of(&news, HK_FORMAT_XFRM, SA("0x00001000") SA("0x20001000"));
	CU_ASSERT_PTR_NULL(strstr(out, "0x00001000"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "spi 0x20001000"));
	out = news_of(&news, HK_FORMAT_XFRM, SA("0x20001000"));
	CU_ASSERT_STRING_EQUAL(
		out, "ip xfrm state delete src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x00001000\n");
	CU_ASSERT_STRING_EQUAL(news_of(&news, HK_FORMAT_WIRESHARK, ""), ""); /* a table takes nothing away */
	out = news_of(&news, HK_FORMAT_KEYS, SA("0x00001000"));
	CU_ASSERT_STRING_EQUAL(out, SA("0x00001000")); /* gone is gone: it would be new */
	hk_key_news_free(&news);
}

int main(void)
{
	static const struct test tests[] = {
		{"a box never gets an authentication key, whatever it asks", box_never_gets_auth},
		{"a reader gets MK_r alone", reader_gets_reader_alone},
		{"a host gets its own alone", host_gets_its_own},
		{"what is not theirs to say", what_is_not_theirs_to_say},
		{"sides belong to roles", sides_belong_to_roles},
		{"wants are noted once", wants_are_noted_once},
		{"what is delegated has an end, which moves on", delegation_has_an_end},
		{"refusals are counted and end a connection", refusals_end_a_connection},
		{"generations follow each other", generations_follow_each_other},
		{"the next generation waits for the box", next_waits_for_the_box},
		{"after a start clients come first", after_a_start_clients_come_first},
		{"sessions are resumed", sessions_are_resumed},
		{"time never goes back", time_never_goes_back},
		{"state from the future is left behind", state_from_the_future_is_left_behind},
		{"a domain's keys have one use for life", keys_have_one_use_for_life},
		{"each key is news once", each_key_is_news_once},
		{"formats refuse half a key", formats_refuse_half_keys},
		{0},
	};

	hk_log_init(HK_LOG_ERROR, "test");
	return run_tests("keyserver", tests);
}

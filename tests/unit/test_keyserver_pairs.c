// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pairs of the key server (EESP, WESP): who gets which of their keys, what a pair's
 * key is bound to, contexts that never come twice, and how many hosts there can be.
 */
#include <errno.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/unit/keyserver_help.h"
#include "user/base/bytes.h"
#include "user/base/text.h"
#include "user/endpoint/hostkeys.h"

static void begin_pairs(unsigned envelope, unsigned profile)
{
	domain.envelope = (__u8)envelope;
	domain.variant = 0;
	domain.profile = (__u8)profile;
	begin();
}

static void end_pairs(void)
{
	end();
	domain.envelope = HK_ENVELOPE_PSP;
	domain.variant = HK_PSP_SPLIT_256;
	domain.profile = HK_PROFILE_SPLIT;
}

/* How often `what` stands in what was sent. */
static unsigned times_of(const char *what)
{
	const char *at = sent;
	unsigned count = 0;

	for (; (at = strstr(at, what)); at++)
		count++;
	return count;
}

/* The line of the set that begins so and has this side; its key in hex. */
static bool key_of(const char *begins, const char *side, char hex[65])
{
	const char *line = strstr(sent, begins), *end;

	for (; line; line = strstr(line + 1, begins)) {
		const char *found = strstr(line, side), *key = strstr(line, " key=");

		end = strstr(line, "\\n");
		if (!end || !found || found > end || !key || key > end)
			continue;
		snprintf(hex, 65, "%.64s", key + 5);
		return true;
	}
	return false;
}

/* --- who gets what -------------------------------------------------------------------------------- */

static void a_host_gets_what_it_receives_with(void)
{
	struct hk_ks_client host = client_of(HK_PUSH_HOST, "a");

	begin_pairs(HK_ENVELOPE_EESP, HK_PROFILE_SPLIT);
	CU_ASSERT(ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	CU_ASSERT_EQUAL(times_of("key="), 4); /* two senders, two sides */
	CU_ASSERT_EQUAL(times_of("side=reader"), 0);
	CU_ASSERT_EQUAL(times_of("receiver=192.0.2.1 "), 4);
	CU_ASSERT_EQUAL(times_of(" id=1026 "), 2); /* 1 << 10 | 2 */
	CU_ASSERT_EQUAL(times_of(" id=1027 "), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "sender=192.0.2.2 id=1026\\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "sender=192.0.2.3 id=1027\\n"));
	CU_ASSERT_EQUAL(times_of("sender="), 2);
	CU_ASSERT_PTR_NULL(strstr(sent, "not-")); /* its own keys are a host's until they are taken */
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"envelope\":\"eesp\""));
	end_pairs();
}

static void a_sender_gets_its_pair_alone(void)
{
	struct hk_ks_client host = client_of(HK_PUSH_HOST, "b"), other = client_of(HK_PUSH_HOST, "c");

	begin_pairs(HK_ENVELOPE_WESP, HK_PROFILE_SPLIT);
	CU_ASSERT(ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	sent[0] = '\0';
	CU_ASSERT(ask(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}"));
	CU_ASSERT_EQUAL(times_of("key="), 3);
	CU_ASSERT_EQUAL(times_of("receiver=192.0.2.1 "), 3);
	CU_ASSERT_EQUAL(times_of(" id=1026 "), 3);
	CU_ASSERT(times_of("side=enc") == 1 && times_of("side=auth") == 1 && times_of("side=reader") == 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"spi\":256,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "\"context\":"));
	/* whoever asks for the same receiver gets another pair's */
	CU_ASSERT(ask(&other, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	sent[0] = '\0';
	CU_ASSERT(ask(&other, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}"));
	CU_ASSERT_EQUAL(times_of(" id=1027 "), 3);
	CU_ASSERT_EQUAL(times_of(" id=1026 "), 0);
	/* and nobody a context towards itself, or for a stock stack */
	sent[0] = '\0';
	CU_ASSERT(ask(&other, "{\"op\":\"spi\",\"to\":\"192.0.2.3\"}"));
	CU_ASSERT_EQUAL(times_of("key="), 0);
	host = client_of(HK_PUSH_HOST, "b");
	CU_ASSERT(ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\",\"inbound\":true}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(sent, "no stock stack speaks its envelope"));
	CU_ASSERT_EQUAL(times_of("key="), 0);
	end_pairs();
}

static void box_and_reader_get_their_side(void)
{
	struct hk_ks_client box = client_of(HK_PUSH_BOX, "box"), reader = client_of(HK_PUSH_READER, "reader");

	domain.delegation = 30;
	begin_pairs(HK_ENVELOPE_EESP, HK_PROFILE_SPLIT);
	CU_ASSERT(ask(&box, "{\"op\":\"subscribe\",\"domain\":\"d\",\"side\":\"auth\"}"));
	CU_ASSERT(ask(&box, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}"));
	CU_ASSERT_EQUAL(ks.counters[HK_KS_REFUSED_AUTH], 2);
	CU_ASSERT_EQUAL(times_of("key="), 0);
	CU_ASSERT(ask(&box, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	CU_ASSERT_EQUAL(times_of("key="), 6); /* three receivers of two senders each */
	CU_ASSERT_EQUAL(times_of("side=enc"), 6);
	CU_ASSERT_EQUAL(times_of(" not-after="), 6);
	CU_ASSERT_EQUAL(times_of("sender="), 0);
	sent[0] = '\0';
	CU_ASSERT(ask(&reader, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	CU_ASSERT_EQUAL(times_of("key="), 6);
	CU_ASSERT_EQUAL(times_of("side=reader"), 6);
	CU_ASSERT_EQUAL(times_of(" not-after="), 6);
	end_pairs();
	domain.delegation = 0;
}

static void single_has_one_key(void)
{
	struct hk_ks_client box = client_of(HK_PUSH_BOX, "box"), host = client_of(HK_PUSH_HOST, "a");

	begin_pairs(HK_ENVELOPE_WESP, HK_PROFILE_SINGLE);
	CU_ASSERT(ask(&box, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	CU_ASSERT(ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	CU_ASSERT(ask(&host, "{\"op\":\"spi\",\"to\":\"192.0.2.2\"}"));
	CU_ASSERT_EQUAL(times_of("key="), 6 + 2 + 1);
	CU_ASSERT_EQUAL(times_of("side=single"), 6 + 2 + 1);
	end_pairs();
}

/* --- what a key is bound to ----------------------------------------------------------------------- */

/* The formula, by another library. */
static void expected(__u8 side, const __u8 *root, __u8 out[32])
{
	__u8 message[43] = "DKp1";
	unsigned size = 0;

	message[4] = side;
	message[5] = domain.envelope;
	hk_put32(message + 6, ks.domains[0].receivers[0].number << 10 | ks.domains[0].receivers[1].number);
	memcpy(message + 10, &hosts[0].receiver, 16);
	memcpy(message + 26, &hosts[1].receiver, 16);
	message[42] = 1;
	CU_ASSERT_PTR_NOT_NULL(HMAC(EVP_sha256(), root, 32, message, sizeof(message), out, &size));
	CU_ASSERT_EQUAL(size, 32);
}

static void a_key_is_its_pairs(void)
{
	struct hk_ks_client box = client_of(HK_PUSH_BOX, "box"), host = client_of(HK_PUSH_HOST, "a"),
			    sender = client_of(HK_PUSH_HOST, "b");
	char held[65], seals[65], opens[65], wire[65];
	struct hk_ks_generation *row;
	struct hk_ks_sides keys, again_keys;
	__u8 want[32];

	begin_pairs(HK_ENVELOPE_EESP, HK_PROFILE_SPLIT);
	row = hk_ks_current(&ks, 0, 0);
	hk_ks_pair_keys(&ks, 0, 0, 1, row, &keys);
	expected('e', row->enc, want);
	CU_ASSERT_EQUAL(memcmp(want, keys.enc, 32), 0);
	expected('a', row->auth, want);
	CU_ASSERT_EQUAL(memcmp(want, keys.auth, 32), 0);
	expected('r', row->reader, want);
	CU_ASSERT_EQUAL(memcmp(want, keys.reader, 32), 0);
	hk_hex_format(keys.enc, 32, wire);
	/* all three have the same one */
	CU_ASSERT(ask(&host, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	CU_ASSERT(key_of("receiver=192.0.2.1 slot=1 id=1026", "side=enc", opens));
	sent[0] = '\0';
	CU_ASSERT(ask(&box, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	CU_ASSERT(key_of("receiver=192.0.2.1 slot=1 id=1026", "side=enc", held));
	CU_ASSERT(ask(&sender, "{\"op\":\"subscribe\",\"domain\":\"d\"}"));
	sent[0] = '\0';
	CU_ASSERT(ask(&sender, "{\"op\":\"spi\",\"to\":\"192.0.2.1\"}"));
	CU_ASSERT(key_of("receiver=192.0.2.1 slot=1 id=1026", "side=enc", seals));
	CU_ASSERT(!strcmp(wire, opens) && !strcmp(wire, held) && !strcmp(wire, seals));
	/* another sender, direction, generation, envelope or address: another key; no root ever leaves */
	hk_ks_pair_keys(&ks, 0, 0, 2, row, &again_keys);
	CU_ASSERT_NOT_EQUAL(memcmp(keys.enc, again_keys.enc, 32), 0);
	hk_ks_pair_keys(&ks, 0, 1, 0, hk_ks_current(&ks, 0, 1), &again_keys);
	CU_ASSERT_NOT_EQUAL(memcmp(keys.enc, again_keys.enc, 32), 0);
	domain.envelope = HK_ENVELOPE_WESP;
	hk_ks_pair_keys(&ks, 0, 0, 1, row, &again_keys);
	CU_ASSERT_NOT_EQUAL(memcmp(keys.enc, again_keys.enc, 32), 0);
	domain.envelope = HK_ENVELOPE_EESP;
	hosts[1].receiver.bytes[15]++;
	hk_ks_pair_keys(&ks, 0, 0, 1, row, &again_keys);
	CU_ASSERT_NOT_EQUAL(memcmp(keys.enc, again_keys.enc, 32), 0);
	hk_hex_format(row->enc, 32, wire);
	CU_ASSERT_PTR_NULL(strstr(sent, wire));
	hk_hex_format(row->auth, 32, wire);
	CU_ASSERT_PTR_NULL(strstr(sent, wire));
	end_pairs();
}

/* --- contexts -------------------------------------------------------------------------------------- */

/* As after kill -9: the disk and the clock are all there is. The clock is the test's. */
static void come_back(void)
{
	again();
	ks.started = ks.now - 1;
}

static void contexts_never_repeat(void)
{
	__u64 context, last = 0;
	__u32 generation;
	unsigned i, given = 0;
	__u32 spi;

	begin_pairs(HK_ENVELOPE_EESP, HK_PROFILE_SPLIT);
	for (i = 0; i < 200; i++) {
		if (i % 50 == 49)
			come_back();
		if (i % 2)
			ks.now++;
		if (hk_ks_allocate(&ks, 0, 1, 0, &spi, &context, &error))
			continue;
		CU_ASSERT_EQUAL(spi, 256);
		CU_ASSERT_EQUAL(context >> 40, ks.domains[0].receivers[0].number);
		CU_ASSERT(context > last);
		last = context;
		given++;
	}
	CU_ASSERT_EQUAL(given, 101);
	/* not even of another generation: the MKID is the same */
	generation = hk_ks_current(&ks, 0, 1)->generation;
	for (i = 0; i < 120; i++) {
		ks.now++;
		CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	}
	CU_ASSERT(hk_ks_current(&ks, 0, 1)->generation > generation);
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, &context, &error), 0);
	CU_ASSERT(context > last);
	/* each sender and receiver have their own */
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 2, &spi, &last, &error), 0);
	CU_ASSERT_NOT_EQUAL(context, last);
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, &last, &error), -EAGAIN); /* one a second */
	end_pairs();
}

/* Where PSP's numbers would come round, contexts go on. */
static void contexts_do_not_come_round(void)
{
	__u64 context;
	__u32 spi;

	begin_pairs(HK_ENVELOPE_WESP, HK_PROFILE_SPLIT);
	ks.now += 400ll * 86400;
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, &context, &error), 0);
	CU_ASSERT_EQUAL(context & ((1ull << 40) - 1), (__u64)ks.now);
	end_pairs();
}

/* --- bounds ---------------------------------------------------------------------------------------- */

/* As many hosts as there can be, three generations each, IPv6: a box's set fits a message. */
static void the_largest_set_fits(void)
{
	static struct hk_ks_host many[HK_KS_PAIR_HOSTS];
	static char names[HK_KS_PAIR_HOSTS][8];
	struct hk_ks_client box = client_of(HK_PUSH_BOX, "box");
	struct hk_ks_receiver *receivers;
	size_t size = 0, lines = 0;
	unsigned i, j;
	char *text, *at;

	for (i = 0; i < HK_KS_PAIR_HOSTS; i++) {
		snprintf(names[i], sizeof(names[i]), "h%u", i);
		many[i].name = names[i];
		memset(many[i].receiver.bytes, 0xfd, 16);
		many[i].receiver.bytes[15] = (__u8)i;
	}
	domain.delegation = 30;
	begin_pairs(HK_ENVELOPE_EESP, HK_PROFILE_SPLIT);
	receivers = ks.domains[0].receivers;
	ks.domains[0].receivers = calloc(HK_KS_PAIR_HOSTS, sizeof(*receivers));
	CU_ASSERT_PTR_NOT_NULL_FATAL(ks.domains[0].receivers);
	domain.hosts = many;
	domain.hosts_count = HK_KS_PAIR_HOSTS;
	for (i = 0; i < HK_KS_PAIR_HOSTS; i++) {
		ks.domains[0].receivers[i].number = 1023 - i;
		for (j = 0; j < HK_KS_GENERATIONS; j++)
			ks.domains[0].receivers[i].rows[j] =
				(struct hk_ks_generation){.generation = 0xffffffff,
					.slot = 1,
					.state = HK_KS_CURRENT,
					.activates = ks.now};
	}
	box.domain = &domain;
	text = hk_ks_lines(&ks, &box, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (at = text; (at = strchr(at, '\n')); at++)
		lines++;
	CU_ASSERT_EQUAL(lines, 3 * HK_KS_PAIR_HOSTS * (HK_KS_PAIR_HOSTS - 1));
	CU_ASSERT(size + lines + 256 < HK_PUSH_ANSWER); /* JSON writes an end of line as two bytes */
	free(text);
	free(ks.domains[0].receivers);
	ks.domains[0].receivers = receivers;
	domain.hosts = hosts;
	domain.hosts_count = 3;
	end_pairs();
	domain.delegation = 0;
}

static void numbers_are_never_another_address(void)
{
	__u32 number;

	begin_pairs(HK_ENVELOPE_EESP, HK_PROFILE_SPLIT);
	hosts[0].receiver = hk_address_v4((const __u8[4]){192, 0, 2, 9}); /* a moves: 1 stays with .1 */
	again();
	CU_ASSERT_EQUAL(ks.domains[0].receivers[0].number, 4);
	hosts[0].receiver = hk_address_v4((const __u8[4]){192, 0, 2, 1});
	again();
	number = ks.domains[0].receivers[0].number;
	CU_ASSERT_EQUAL(number, 1);
	CU_ASSERT(hk_ks_pair_id(&ks, 0, 0, 1) == 1026 && hk_ks_pair_id(&ks, 0, 1, 0) == 2049);
	end_pairs();
}

/* A new host has the address of one that is gone, or two swap theirs: other numbers, so other keys. */
static void an_address_brings_no_keys(void)
{
	char *name = hosts[1].name;
	struct hk_ks_sides before, after;

	begin_pairs(HK_ENVELOPE_EESP, HK_PROFILE_SPLIT);
	hk_ks_pair_keys(&ks, 0, 0, 1, hk_ks_current(&ks, 0, 0), &before);
	hosts[1].name = (char *)"a-name-of-thirty-one-characters";
	again();
	CU_ASSERT_EQUAL(hk_ks_pair_id(&ks, 0, 0, 1), 1 << 10 | 4);
	hk_ks_pair_keys(&ks, 0, 0, 1, hk_ks_current(&ks, 0, 0), &after);
	CU_ASSERT_NOT_EQUAL(memcmp(before.enc, after.enc, 32), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(before.auth, after.auth, 32), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(before.reader, after.reader, 32), 0);
	hosts[1].name = hosts[2].name;
	hosts[2].name = name;
	again();
	CU_ASSERT_EQUAL(hk_ks_pair_id(&ks, 0, 1, 2), 5 << 10 | 6);
	hosts[2].name = hosts[1].name;
	hosts[1].name = name;
	again();
	CU_ASSERT_EQUAL(hk_ks_pair_id(&ks, 0, 0, 1), 1026); /* what it was before is its own for good */
	hk_ks_pair_keys(&ks, 0, 0, 1, hk_ks_current(&ks, 0, 0), &after);
	CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(before)), 0);
	end_pairs();
}

/* What a host gets is whole, in the words of its own reader. */
static void hosts_read_their_sets(void)
{
	struct hk_ks_client client = {.who = {.role = HK_PUSH_HOST}, .domain = &domain, .host_index = 1};
	struct hk_master_wish wish = {
		.receiver = &hosts[1].receiver, .has_id = true, .has_slot = true, .id = 2049, .slot = 1};
	struct hk_host_keys *keys = NULL;
	struct hk_master master;
	char *lines;

	begin_pairs(HK_ENVELOPE_WESP, HK_PROFILE_SPLIT);
	lines = hk_ks_lines(&ks, &client, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lines);
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "key server", lines, NULL, &error), 0);
	CU_ASSERT(hk_host_keys_master(keys, &wish, &master));
	CU_ASSERT_PTR_NOT_NULL(master.auth);
	CU_ASSERT(hk_host_keys_sends(keys, &hosts[0].receiver, true, 2049));
	CU_ASSERT_FALSE(hk_host_keys_sends(keys, &hosts[2].receiver, true, 2049));
	hk_host_keys_free(keys);
	free(lines);
	lines = hk_ks_pair_lines(&ks, 0, 0, 1, hk_ks_current(&ks, 0, 0), 77);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lines);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, "# context=77\n"));
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "key server", lines, NULL, &error), 0);
	wish = (struct hk_master_wish){.receiver = &hosts[0].receiver};
	CU_ASSERT(hk_host_keys_master(keys, &wish, &master));
	CU_ASSERT(master.id == 1026 && master.auth && master.reader);
	hk_host_keys_free(keys);
	free(lines);
	end_pairs();
}

int main(void)
{
	static const struct test tests[] = {
		{"a host gets what it receives with", a_host_gets_what_it_receives_with},
		{"a sender gets its pair alone", a_sender_gets_its_pair_alone},
		{"box and reader get their side", box_and_reader_get_their_side},
		{"single has one key", single_has_one_key},
		{"a key is its pair's and nobody else's", a_key_is_its_pairs},
		{"an address brings no keys", an_address_brings_no_keys},
		{"contexts never repeat", contexts_never_repeat},
		{"contexts do not come round", contexts_do_not_come_round},
		{"the largest set fits a message", the_largest_set_fits},
		{"a number is never another address's", numbers_are_never_another_address},
		{"hosts read their sets", hosts_read_their_sets},
		{0},
	};

	hk_log_init(HK_LOG_ERROR, "test");
	return run_tests("keyserver_pairs", tests);
}

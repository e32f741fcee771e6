// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of envelopes at the end host: rows are whole, options are read in one
 * way, every refusal has its counter, and what a row says fits into a packet does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/endpoint/sa.h"
#include "user/endpoint/speaker.h"

#define KEY(a) a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a /* 32 times */

static struct hk_error error;

static void say(struct hk_wishes *wishes, const char *name, const char *text)
{
	unsigned count, i;
	const struct hk_wish *rows = hk_wish_rows(&count);

	for (i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0) {
			hk_wish_set(wishes, i, text);
			return;
		}
	CU_FAIL("no such option");
}

static void rows_are_whole(void)
{
	const struct hk_speaker *row;
	const struct hk_wish *wish;
	unsigned i;

	for (i = 0; (row = hk_speaker_at(i)); i++) {
		CU_ASSERT_PTR_EQUAL(hk_speaker_find(hk_envelope_name(row->envelope), &error), row);
		CU_ASSERT(row->wishes && row->plan && row->end && row->sender);
		CU_ASSERT(row->start ||
			  row->envelope == HK_ENVELOPE_DTLS); /* its contexts are fresh in any case */
		CU_ASSERT(row->seal_packet && row->sender_free && row->receiver && row->open);
		CU_ASSERT_PTR_NOT_NULL(row->receiver_free);
		CU_ASSERT_EQUAL(!row->cargo, row->seal && row->rekey && row->inner_max);
		for (wish = row->wishes; wish->name; wish++) {
			CU_ASSERT(wish->uses && wish->text);
			CU_ASSERT(!row->cargo || !(wish->uses & (HK_USE_TUNNEL | HK_USE_PEER)));
		}
	}
	CU_ASSERT(i >= 6);
	memset(&error, 0, sizeof(error));
	CU_ASSERT_PTR_NULL(hk_speaker_find("carrier-pigeon", &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "psp, esp"));
}

/* A plan with one option is refused with these words. */
static void plan_refused(
	const char *envelope, unsigned use, const char *name, const char *text, const char *words)
{
	const struct hk_speaker *speaker = hk_speaker_find(envelope, &error);
	struct hk_speech *speech = NULL;
	struct hk_wishes wishes = {0};

	memset(&error, 0, sizeof(error));
	say(&wishes, name, text);
	CU_ASSERT_EQUAL(hk_speech_plan(&speech, speaker, &wishes, use, NULL, &error), -EINVAL);
	CU_ASSERT_PTR_NULL(speech);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words));
	if (!strstr(error.text, words))
		printf("wanted '%s', got '%s'\n", words, error.text);
	hk_wishes_clear(&wishes);
}

static void options_are_judged(void)
{
	plan_refused("psp", HK_USE_SEAL, "suite", "gcm", "psp knows no suite; it is of esp");
	plan_refused("psp", HK_USE_SEAL, "version", "2", "must be 0, 1 (single), 4 or 5");
	plan_refused("psp", HK_USE_SEAL, "version", "x", "must be a number from 0 to 15");
	plan_refused("psp", HK_USE_TUNNEL, "cookie", "0102030405060708", "does not take it here");
	plan_refused("psp", HK_USE_SEAL, "cookie", "01", "16 hexadecimal digits");
	plan_refused("psp", HK_USE_SEAL, "transport", "maybe", "must be yes or no");
	plan_refused("esp", HK_USE_SEAL, "suite", "rot13", "must be ctr-hmac, gcm-split");
	plan_refused("esp", HK_USE_SEAL, "mkid", "65536", "must be a number from 0 to 65535");
	plan_refused("esp", HK_USE_TUNNEL, "carrier", "pigeon", "must be udp");
	plan_refused("eesp", HK_USE_SEAL, "crypt-offset", "64", "must be a number from 0 to 63");
	plan_refused("eesp", HK_USE_SEAL, "protocol", "0", "must be from 1 to 255");
	plan_refused("wesp", HK_USE_SEAL, "protocol", "253", "must be 141");
	plan_refused("wesp", HK_USE_SEAL, "session", "1", "wesp knows no session");
	plan_refused("tss", HK_USE_SEAL, "sdi", "1", "--tss is missing");
	plan_refused("tss", HK_USE_SEAL, "tss", "mode=cluster", "--sdi is missing");
	plan_refused("dtls", HK_USE_SEAL, "port", "0", "must be 1 or more");
	plan_refused("dtls", HK_USE_SEAL, "records", "17", "must be a number from 0 to 16");
}

/* --- counters ------------------------------------------------------------------------------------- */

static unsigned answer;

static unsigned fake_open(
	struct hk_receiver *receiver, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	(void)receiver;
	(void)sealed;
	(void)out;
	opened->length = 99;
	return answer;
}

static __u64 sum(const struct hk_receiver *receiver)
{
	__u64 total = 0;
	unsigned i;

	for (i = 0; i < HK_REFUSAL_COUNT; i++)
		total += receiver->counts[i];
	return total;
}

static void every_refusal_is_counted(void)
{
	static const struct hk_speaker fake = {.open = fake_open};
	struct hk_speech speech = {.speaker = &fake};
	struct hk_receiver receiver = {.speech = &speech};
	struct hk_sealed sealed = {0};
	struct hk_opened opened;
	unsigned i;

	for (i = 0; i < HK_REFUSAL_COUNT; i++) {
		CU_ASSERT(hk_refusal_name(i) && hk_refusal_text(i));
		answer = i;
		CU_ASSERT_EQUAL(hk_receiver_open(&receiver, HK_REFUSAL_NONE, &sealed, NULL, &opened), i);
		CU_ASSERT_EQUAL(receiver.counts[i], 1);
		CU_ASSERT_EQUAL(opened.length, i ? 0 : 99);
		CU_ASSERT_EQUAL(sum(&receiver), i + 1);
	}
	/* what the outer headers were refused for is counted as well, and never opened */
	CU_ASSERT_EQUAL(hk_receiver_open(&receiver, HK_REFUSAL_FRAGMENT, &sealed, NULL, &opened),
		HK_REFUSAL_FRAGMENT);
	CU_ASSERT_EQUAL(receiver.counts[HK_REFUSAL_FRAGMENT], 2);
	hk_receiver_recount(&receiver, HK_REFUSAL_INNER_SOURCE);
	CU_ASSERT_EQUAL(receiver.counts[HK_REFUSAL_NONE], 0);
	CU_ASSERT_EQUAL(receiver.counts[HK_REFUSAL_INNER_SOURCE], 2);
}

/* --- what fits ------------------------------------------------------------------------------------ */

static const char key_text[] = "receiver=192.0.2.9 spi=0x1000 version=5 side=enc key=" KEY(
	"11") "\n"
	      "receiver=192.0.2.9 spi=0x1000 version=5 side=auth key=" KEY(
		      "22") "\n"
			    "receiver=192.0.2.9 spi=0x2000 suite=ctr-hmac side=enc key=" KEY(
				    "33") " salt=01020304\n"
					  "receiver=192.0.2.9 spi=0x2000 suite=ctr-hmac side=auth key=" KEY(
						  "44") "\n"
							"receiver=192.0.2.9 spi=0x3000 suite=cbc-hmac "
							"side=enc key=" KEY(
								"55") "\n"
								      "receiver=192.0.2.9 spi=0x3000 "
								      "suite=cbc-hmac side=auth key=" KEY(
									      "66") "\n"
										    "receiver=192.0.2.9 "
										    "slot=2 generation=1 "
										    "id=9 side=enc key=" KEY(
											    "77") "\n"
												  "receiver="
												  "192.0.2.9 "
												  "slot=2 "
												  "generation"
												  "=1 id=9 "
												  "side=auth "
												  "key=" KEY(
													  "8"
													  "8") "\n"
													       "receiver=192.0.2.9 slot=2 generation=1 id=9 side=reader key=" KEY(
														       "99") "\n";

static struct hk_sender *sender_of(struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_wishes *wishes, const char *directory)
{
	struct hk_state_place place = {.directory = directory, .sender = "192.0.2.1", .first_use = true};
	struct hk_sending sending = {.keys = keys, .source = "host.keys", .wishes = wishes};
	struct hk_sender *sender = NULL;
	struct hk_address to;

	CU_ASSERT_EQUAL(hk_address_parse("192.0.2.9", &to), 0);
	sending.to = &to;
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(hk_sender_spis(speech, &sending, &sending.spi, 1), 1);
	CU_ASSERT_EQUAL_FATAL(hk_sender_new(&sender, speech, &sending, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_sender_start(sender, &place, &error), 0);
	return sender;
}

static int sealed_size(struct hk_sender *sender, unsigned length)
{
	static __u8 packet[2048] = {0x45, [8] = 64, [9] = 17}, out[4096];

	hk_put16(packet + 2, (__u16)length);
	return hk_sender_seal(sender, packet, length, out, sizeof(out));
}

/* An envelope of the largest inner packet has at most `room` bytes, one of a byte more has more. */
static void fits(const char *envelope, const char *option, const char *text)
{
	const struct hk_speaker *speaker = hk_speaker_find(envelope, &error);
	char directory[] = "/tmp/halfkey-speakers.XXXXXX", command[64];
	struct hk_host_keys *keys = NULL;
	struct hk_speech *speech = NULL;
	struct hk_wishes wishes = {0};
	struct hk_sender *sender;
	struct hk_address local;
	unsigned room, inner;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_EQUAL(hk_address_parse("192.0.2.1", &local), 0);
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "host.keys", key_text, NULL, &error), 0);
	if (option)
		say(&wishes, option, text);
	CU_ASSERT_EQUAL_FATAL(hk_speech_plan(&speech, speaker, &wishes, HK_USE_TUNNEL, &local, &error), 0);
	sender = sender_of(speech, keys, &wishes, directory);
	for (room = 1400; room < 1480; room++) {
		inner = speaker->inner_max(speech, room);
		CU_ASSERT(sealed_size(sender, inner) > 0 && sealed_size(sender, inner) <= (int)room);
		CU_ASSERT(sealed_size(sender, inner + 1) > (int)room ||
			  strcmp(envelope, "wesp") == 0); /* up to 3 bytes of padding are set aside */
		CU_ASSERT(sealed_size(sender, inner + 5) > (int)room);
	}
	CU_ASSERT(sender->sealed > 100);
	hk_sender_free(sender, true);
	hk_speech_end(speech);
	hk_host_keys_free(keys);
	hk_wishes_clear(&wishes);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void largest_packets_fit(void)
{
	fits("psp", NULL, NULL);
	fits("esp", NULL, NULL);
	fits("esp", "suite", "cbc-hmac");
	fits("eesp", NULL, NULL);
	fits("eesp", "reader", "yes");
	fits("wesp", NULL, NULL);
	fits("wesp", "protocol", "141");
	fits("wesp", "reader", "yes");
}

/* --- contexts ------------------------------------------------------------------------------------- */

/* Both hosts have one master key, as files that name no receiver give it. */
static const char shared_text[] = "slot=0 generation=1 id=1 side=enc key=" KEY(
	"11") "\n"
	      "slot=0 generation=1 id=1 side=auth key=" KEY("22") "\n";

struct end {
	struct hk_speech *speech;
	struct hk_sender *sender;
	struct hk_receiver *receiver;
};

static void end_up(struct end *end, const char *local, const struct hk_host_keys *keys, const char *directory)
{
	struct hk_wishes wishes = {0};
	struct hk_address address;

	CU_ASSERT_EQUAL(hk_address_parse(local, &address), 0);
	CU_ASSERT_EQUAL_FATAL(hk_speech_plan(&end->speech, hk_speaker_find("eesp", &error), &wishes,
				      HK_USE_SEAL, &address, &error),
		0);
	if (directory)
		end->sender = sender_of(end->speech, keys, &wishes, directory);
	CU_ASSERT_EQUAL_FATAL(hk_receiver_new(&end->receiver, end->speech, keys, NULL, &error), 0);
}

static void end_down(struct end *end)
{
	hk_sender_free(end->sender, true);
	hk_receiver_free(end->receiver);
	hk_speech_end(end->speech);
}

/* Opens `packet` as if it had these outer addresses. */
static unsigned arrives(struct end *end, const __u8 *packet, __u32 size, const char *from, const char *to)
{
	static __u8 out[HK_OPEN_ROOM(2048)];
	struct hk_opened opened;
	struct hk_sealed sealed;
	unsigned refusal = hk_sealed_outer(packet, size, &sealed);

	CU_ASSERT_EQUAL(hk_address_parse(from, &sealed.source), 0);
	CU_ASSERT_EQUAL(hk_address_parse(to, &sealed.destination), 0);
	return hk_receiver_open(end->receiver, refusal, &sealed, out, &opened);
}

static void contexts_have_one_sender(void)
{
	char directory[] = "/tmp/halfkey-speakers.XXXXXX", command[64];
	static __u8 inner[100] = {0x45, [3] = 100, [8] = 64, [9] = 17}, packet[3][2048];
	struct hk_host_keys *keys = NULL;
	struct end a = {0}, b = {0};
	int size = 0, i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "host.keys", shared_text, NULL, &error), 0);
	end_up(&a, "192.0.2.1", keys, directory);
	end_up(&b, "192.0.2.9", keys, NULL);
	for (i = 0; i < 3; i++)
		size = hk_sender_seal_packet(a.sender, inner, 100, packet[i], sizeof(packet[i]));
	CU_ASSERT_FATAL(size > 0);
	/* sent back to who sealed it, under the one key of both directions */
	CU_ASSERT_EQUAL(
		arrives(&a, packet[0], (__u32)size, "192.0.2.9", "192.0.2.1"), HK_REFUSAL_OTHER_SENDER);
	CU_ASSERT_EQUAL(arrives(&b, packet[0], (__u32)size, "192.0.2.1", "192.0.2.9"), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(
		arrives(&b, packet[1], (__u32)size, "192.0.2.7", "192.0.2.9"), HK_REFUSAL_OTHER_SENDER);
	CU_ASSERT_EQUAL(arrives(&b, packet[1], (__u32)size, "192.0.2.1", "192.0.2.8"), HK_REFUSAL_NOT_OURS);
	CU_ASSERT_EQUAL(arrives(&b, packet[1], (__u32)size, "192.0.2.1", "192.0.2.9"), HK_REFUSAL_NONE);
	/* new keys that are the same: the window stays; none: it goes */
	hk_receiver_rekey(b.receiver, keys);
	CU_ASSERT_EQUAL(arrives(&b, packet[1], (__u32)size, "192.0.2.1", "192.0.2.9"), HK_REFUSAL_REPLAY);
	hk_receiver_rekey(b.receiver, NULL);
	CU_ASSERT_EQUAL(arrives(&b, packet[2], (__u32)size, "192.0.2.1", "192.0.2.9"), HK_REFUSAL_NO_KEY);
	CU_ASSERT_EQUAL(b.receiver->counts[HK_REFUSAL_NONE], 2);
	CU_ASSERT_EQUAL(b.receiver->counts[HK_REFUSAL_OTHER_SENDER], 1);
	end_down(&a);
	end_down(&b);
	hk_host_keys_free(keys);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

int main(void)
{
	static const struct test tests[] = {
		{"rows are whole", rows_are_whole},
		{"options are judged in one way", options_are_judged},
		{"every refusal is counted", every_refusal_is_counted},
		{"the largest packets fit", largest_packets_fit},
		{"contexts have one sender, and it is not us", contexts_have_one_sender},
		{0},
	};

	return run_tests("speakers", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A slot of several generations at the receiving host: whatever of them a packet was sealed with, the ICV
 * finds it, in any order and with windows of their own; a generation that nobody holds, or that went, is
 * refused, and nothing is taken twice.
 */
#include "tests/unit/seal_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/endpoint/host.h"
#include "user/endpoint/speaker.h"

#define GENERATIONS 4 /* sealed with; the host never holds more than three that count */
#define PACKETS	    6
#define ROOM	    2048

struct packet {
	__u8 bytes[ROOM];
	__u32 size;
};

static struct hk_error error;
static struct hk_address sender_address, receiver_address;
static struct packet packets[GENERATIONS][PACKETS];

/* The generations from `low` to `high`, as a host's file has them. */
static struct hk_host_keys *keys_of(unsigned low, unsigned high)
{
	struct hk_host_keys *keys = NULL;
	char text[2048];
	size_t used = 0;
	unsigned n, side;

	for (n = low; n <= high; n++)
		for (side = 0; side < 2; side++)
			used += (size_t)snprintf(text + used, sizeof(text) - used,
				"receiver=192.0.2.9 slot=0 generation=%u id=1 side=%s key=%060u%02u%02u\n",
				n + 1, side ? "auth" : "enc", 0u, n + 1, side + 1);
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "host.keys", text, NULL, &error), 0);
	return keys;
}

static void inner_packet(__u8 inner[100], unsigned n)
{
	static const __u8 start[28] = {0x45, [3] = 100, [5] = 7, [8] = 64, [9] = 17, 192, 0, [14] = 2, 1, 192,
		0, 2, 9, 0x10, 0, 4433 >> 8, 4433 & 0xff, 0, 80};

	memset(inner, (int)n, 100);
	memcpy(inner, start, sizeof(start));
	inner[12] = 192;
	inner[13] = 0;
	inner[14] = 2;
	inner[15] = 1;
}

/* --- hosts: what a packet meets ----------------------------------------------------------------- */

struct taker {
	struct hk_host *host;	  /* PSP */
	struct hk_speech *speech; /* the others */
	struct hk_receiver *receiver;
};

static unsigned arrives(struct taker *taker, const struct packet *packet)
{
	static __u8 out[HK_OPEN_ROOM(ROOM)];
	struct hk_opened opened = {0};
	struct hk_sealed sealed;
	unsigned refusal = hk_sealed_outer(packet->bytes, packet->size, &sealed);

	CU_ASSERT_EQUAL(refusal, HK_REFUSAL_NONE);
	if (!taker->host)
		return hk_receiver_open(taker->receiver, refusal, &sealed, out, &opened);
	refusal = hk_sealed_read(&sealed);
	return refusal ? refusal : hk_host_open(taker->host, &sealed, out, &opened);
}

static void rekey(struct taker *taker, const struct hk_host_keys *keys)
{
	if (taker->host)
		hk_host_rekey(taker->host, keys);
	else
		hk_receiver_rekey(taker->receiver, keys);
}

/* The next unused packet of each generation in turn; how many of them meet `wanted`. */
static unsigned met(
	struct taker *taker, const unsigned *order, unsigned count, unsigned place, unsigned wanted)
{
	unsigned i, got = 0;

	for (i = 0; i < count; i++)
		got += arrives(taker, &packets[order[i]][place]) == wanted;
	return got;
}

static void rotate(struct taker *taker, bool can_rekey)
{
	static const unsigned any[] = {1, 0, 2}, last[] = {2, 1}, foreign[] = {3};
	struct hk_host_keys *few;
	unsigned place;

	for (place = 0; place < 3; place++)
		CU_ASSERT_EQUAL(met(taker, any, 3, place, HK_REFUSAL_NONE), 3);
	CU_ASSERT_EQUAL(met(taker, any, 3, 1, HK_REFUSAL_REPLAY), 3);
	CU_ASSERT_EQUAL(met(taker, foreign, 1, 0, HK_REFUSAL_NONE), 0);
	if (!can_rekey)
		return;
	/* the oldest goes: its packets are refused, new and old ones; the others' windows stay */
	few = keys_of(1, 2);
	rekey(taker, few);
	CU_ASSERT_EQUAL(met(taker, last, 2, 2, HK_REFUSAL_REPLAY), 2);
	CU_ASSERT_EQUAL(met(taker, last, 2, 3, HK_REFUSAL_NONE), 2);
	CU_ASSERT_EQUAL(met(taker, any + 1, 1, 3, HK_REFUSAL_NONE), 0);
	CU_ASSERT_EQUAL(met(taker, any + 1, 1, 0, HK_REFUSAL_NONE), 0);
	rekey(taker, NULL);
	hk_host_keys_free(few);
}

/* --- PSP ------------------------------------------------------------------------------------------ */

static void seal_psp(struct hk_crypto *crypto, unsigned generation)
{
	const struct hk_sa_name name = {HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0, 0x1234, receiver_address};
	const struct hk_seal_shape shape = {.source = sender_address};
	struct hk_host_keys *keys = keys_of(generation, generation);
	struct hk_sa *sa = NULL;
	__u8 inner[100];
	unsigned i;
	int size;

	CU_ASSERT_EQUAL_FATAL(hk_host_keys_sa(keys, crypto, &name, 0, &sa), HK_REFUSAL_NONE);
	for (i = 0; i < PACKETS; i++) {
		const struct hk_numbers numbers = {.iv = 100 + i};

		inner_packet(inner, i);
		size = hk_seal_packet(sa, &shape, &numbers, inner, 100, packets[generation][i].bytes, ROOM);
		CU_ASSERT_FATAL(size > 0);
		packets[generation][i].size = (__u32)size;
	}
	hk_sa_free(sa);
	hk_host_keys_free(keys);
}

static void psp(void)
{
	struct hk_host_options options = {
		.local = receiver_address, .envelope = HK_ENVELOPE_PSP, .profile = HK_PROFILE_SPLIT};
	struct hk_crypto *crypto = hk_crypto_new("libcrypto");
	struct hk_host_keys *keys = keys_of(0, 2);
	struct taker taker = {0};
	unsigned generation;

	CU_ASSERT_PTR_NOT_NULL_FATAL(crypto);
	for (generation = 0; generation < GENERATIONS; generation++)
		seal_psp(crypto, generation);
	options.keys = keys;
	taker.host = hk_host_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(taker.host);
	rotate(&taker, true);
	hk_host_free(taker.host);
	hk_host_keys_free(keys);
	hk_crypto_free(crypto);
}

/* --- envelopes that have a speaker of contexts ----------------------------------------------------- */

static void name_context(struct hk_wishes *wishes, unsigned context)
{
	unsigned count, i;
	const struct hk_wish *rows = hk_wish_rows(&count);
	char text[16];

	snprintf(text, sizeof(text), "%u", context);
	for (i = 0; i < count; i++)
		if (strcmp(rows[i].name, "context") == 0)
			hk_wish_set(wishes, i, text);
}

static void seal_spoken(struct hk_speech *speech, unsigned generation)
{
	char directory[] = "/tmp/halfkey-generations.XXXXXX", command[64];
	struct hk_state_place place = {.directory = directory, .sender = "192.0.2.1", .first_use = true};
	struct hk_host_keys *keys = keys_of(generation, generation);
	struct hk_wishes wishes = {0};
	struct hk_sending sending = {
		.keys = keys, .source = "host.keys", .to = &receiver_address, .wishes = &wishes, .spi = 256};
	struct hk_sender *sender = NULL;
	__u8 inner[100];
	unsigned i;
	int size;

	/* else the next one's epoch ends those before */
	if (speech->speaker->envelope != HK_ENVELOPE_DTLS)
		name_context(&wishes, generation + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_EQUAL_FATAL(hk_sender_new(&sender, speech, &sending, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_sender_start(sender, &place, &error), 0);
	for (i = 0; i < PACKETS; i++) {
		inner_packet(inner, i);
		size = hk_sender_seal_packet(sender, inner, 100, packets[generation][i].bytes, ROOM);
		CU_ASSERT_FATAL(size > 0);
		packets[generation][i].size = (__u32)size;
	}
	hk_sender_free(sender, true);
	hk_host_keys_free(keys);
	hk_wishes_clear(&wishes);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static struct hk_speech *plan(const char *envelope, unsigned use, const struct hk_address *local)
{
	const struct hk_wishes wishes = {0};
	struct hk_speech *speech = NULL;

	CU_ASSERT_EQUAL_FATAL(
		hk_speech_plan(&speech, hk_speaker_find(envelope, &error), &wishes, use, local, &error), 0);
	return speech;
}

static void spoken(const char *envelope, bool can_rekey)
{
	struct hk_host_keys *keys = keys_of(0, 2);
	struct hk_speech *speech;
	struct taker taker = {0};
	unsigned generation;

	for (generation = 0; generation < GENERATIONS; generation++) {
		speech = plan(envelope, HK_USE_SEAL, &sender_address);
		seal_spoken(speech, generation);
		hk_speech_end(speech);
	}
	taker.speech = plan(envelope, HK_USE_OPEN, &receiver_address);
	CU_ASSERT_EQUAL_FATAL(hk_receiver_new(&taker.receiver, taker.speech, keys, NULL, &error), 0);
	rotate(&taker, can_rekey);
	hk_receiver_free(taker.receiver);
	hk_speech_end(taker.speech);
	hk_host_keys_free(keys);
}

static void eesp(void)
{
	spoken("eesp", true);
}

static void wesp(void)
{
	spoken("wesp", true);
}

static void dtls(void)
{
	spoken("dtls", false);
}

/* --- a receiver that starts anew ------------------------------------------------------------------- */

static unsigned at_a_new_receiver(const char *envelope, const struct hk_host_keys *keys,
	const struct hk_state_place *place, unsigned which)
{
	struct taker taker = {.speech = plan(envelope, HK_USE_OPEN, &receiver_address)};
	unsigned refusal;

	CU_ASSERT_EQUAL_FATAL(hk_receiver_new(&taker.receiver, taker.speech, keys, place, &error), 0);
	refusal = arrives(&taker, &packets[which / PACKETS][which % PACKETS]);
	hk_receiver_free(taker.receiver);
	hk_speech_end(taker.speech);
	return refusal;
}

static void nothing_twice_after_a_restart(const char *envelope)
{
	char directory[] = "/tmp/halfkey-restart.XXXXXX", command[64];
	const struct hk_state_place place = {.directory = directory, .sender = "192.0.2.9", .windows = true};
	struct hk_host_keys *keys = keys_of(0, 0);
	struct hk_speech *speech = plan(envelope, HK_USE_SEAL, &sender_address);

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	seal_spoken(speech, 0);
	hk_speech_end(speech);
	CU_ASSERT_EQUAL(at_a_new_receiver(envelope, keys, &place, 2), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(at_a_new_receiver(envelope, keys, &place, 2), HK_REFUSAL_REPLAY);
	CU_ASSERT_EQUAL(at_a_new_receiver(envelope, keys, &place, 0), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(at_a_new_receiver(envelope, keys, &place, 0), HK_REFUSAL_REPLAY);
	CU_ASSERT_EQUAL(at_a_new_receiver(envelope, keys, &place, 3), HK_REFUSAL_NONE);
	/* captures remember nothing */
	CU_ASSERT_EQUAL(at_a_new_receiver(envelope, keys, NULL, 3), HK_REFUSAL_NONE);
	hk_host_keys_free(keys);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void restarts(void)
{
	nothing_twice_after_a_restart("eesp");
	nothing_twice_after_a_restart("wesp");
}

int main(void)
{
	static const struct test tests[] = {
		{"PSP", psp},
		{"EESP", eesp},
		{"WESP", wesp},
		{"DTLS", dtls},
		{"a receiver that starts anew takes nothing twice", restarts},
		{0},
	};

	if (hk_address_parse("192.0.2.1", &sender_address) ||
		hk_address_parse("192.0.2.9", &receiver_address))
		return 2;
	return run_tests("host generations", tests);
}

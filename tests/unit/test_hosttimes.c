// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * not-before and not-after at an end host while it runs: which key is chosen as
 * time goes on, that an SPI which is open closes when its key's time is over, and
 * that nothing is sealed any more. The clock is the test's.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/speaker.h"

#define KEY(a)		 a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a /* 32 times */
#define OURS		 "receiver=192.0.2.9 "
#define BASE		 1900000000 /* of all times here */
#define AT(what, second) " not-" what "=19000000" second

static struct hk_error error;
static struct hk_address here, there;
static const struct hk_wishes no_wishes;

static struct hk_host_keys *parse(const char *text, const char *levels)
{
	struct hk_host_keys *keys = NULL;

	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "t", text, levels, &error), 0);
	return keys;
}

static void clock_at(unsigned second)
{
	hk_host_keys_set_now(BASE + second);
}

/* The generation (first byte of its key) that is chosen now, or the refusal below 0. */
static int chosen(const struct hk_host_keys *keys)
{
	const struct hk_master_wish wish = {.receiver = &here};
	struct hk_master master;

	return hk_host_keys_master(keys, &wish, &master) ? master.enc[0] : -(int)master.refusal;
}

static void the_key_whose_time_it_is(void)
{
	struct hk_host_keys *keys =
		parse(OURS "slot=0 generation=1 side=single key=" KEY("01")
				AT("after", "20") "\n" OURS "slot=0 generation=2 side=single key=" KEY("02")
					AT("before", "10") AT("after", "30") "\n",
			NULL);

	clock_at(5);
	CU_ASSERT_EQUAL(chosen(keys), 1);
	CU_ASSERT_EQUAL(hk_host_keys_due(keys), BASE + 10);
	clock_at(10);
	CU_ASSERT_EQUAL(chosen(keys), 2);
	CU_ASSERT_EQUAL(hk_host_keys_due(keys), BASE + 20);
	clock_at(29);
	CU_ASSERT_EQUAL(chosen(keys), 2);
	clock_at(30);
	CU_ASSERT(chosen(keys) == -HK_REFUSAL_KEY_EXPIRED);
	CU_ASSERT_EQUAL(hk_host_keys_due(keys), 0);
	hk_host_keys_free(keys);
	keys = parse(OURS "slot=0 generation=1 side=single key=" KEY("01") AT("before", "20") "\n", NULL);
	clock_at(19);
	CU_ASSERT(chosen(keys) == -HK_REFUSAL_KEY_NOT_YET);
	clock_at(20);
	CU_ASSERT_EQUAL(chosen(keys), 1);
	hk_host_keys_free(keys);
}

/* Two sides, and roots of levels, bound each other. */
static void within_all_it_is_made_of(void)
{
	struct hk_host_keys *keys = parse(OURS
		"slot=0 generation=1 side=enc key=" KEY("01") AT("before",
			"10") "\n" OURS "slot=0 generation=1 side=auth key=" KEY("02") AT("after", "20") "\n",
		NULL);

	clock_at(9);
	CU_ASSERT(chosen(keys) == -HK_REFUSAL_KEY_NOT_YET);
	clock_at(10);
	CU_ASSERT_EQUAL(chosen(keys), 1);
	clock_at(20);
	CU_ASSERT(chosen(keys) == -HK_REFUSAL_KEY_EXPIRED);
	hk_host_keys_free(keys);
	keys = parse("level=a generation=1 side=single key=" KEY("01")
			     AT("before", "10") "\n"
						"level=b generation=1 side=single key=" KEY("02") AT("after",
							"20") "\n" OURS
							      "slot=0 generation=1 side=single from=1/1" AT(
								      "after", "25") "\n",
		"a,b");
	clock_at(9);
	CU_ASSERT(chosen(keys) == -HK_REFUSAL_KEY_NOT_YET);
	clock_at(19);
	CU_ASSERT(chosen(keys) >= 0);
	clock_at(20);
	CU_ASSERT(chosen(keys) == -HK_REFUSAL_KEY_EXPIRED);
	hk_host_keys_free(keys);
}

/* SPIs that are over are offered only where there are no others: whoever takes one learns why. */
static void spis_whose_time_it_is(void)
{
	static const char form[] = OURS "spi=0x1000 version=1 side=single key=%s" AT(
		"after", "20") "\n" OURS "spi=0x1001 version=1 side=single key=%s" AT("after",
		"30") "\n" OURS "spi=0x2000 side=single root=%s" AT("before",
		"10") "\n" OURS "spi=0x2001 side=single root=%s" AT("before", "20") "\n";
	char text[1024];
	struct hk_host_keys *keys;
	struct hk_master root;
	__u32 spis[4];

	snprintf(text, sizeof(text), form, KEY("01"), KEY("02"), KEY("03"), KEY("04"));
	keys = parse(text, NULL);
	clock_at(5);
	CU_ASSERT_EQUAL(hk_host_keys_spis(keys, HK_ENVELOPE_PSP, 1, &here, spis, 4), 2);
	CU_ASSERT_EQUAL(hk_host_keys_roots(keys, &here, spis, 4), 2);
	CU_ASSERT_FALSE(hk_host_keys_root(keys, &here, 0x2000, &root));
	CU_ASSERT_EQUAL(root.refusal, HK_REFUSAL_KEY_NOT_YET);
	CU_ASSERT_FALSE(hk_host_keys_root(keys, &here, 0x2007, &root));
	CU_ASSERT_EQUAL(root.refusal, HK_REFUSAL_NO_KEY);
	clock_at(15);
	CU_ASSERT_EQUAL(hk_host_keys_roots(keys, &here, spis, 4), 1);
	CU_ASSERT_EQUAL(spis[0], 0x2000);
	CU_ASSERT(hk_host_keys_root(keys, &here, 0x2000, &root));
	clock_at(25);
	CU_ASSERT_EQUAL(hk_host_keys_spis(keys, HK_ENVELOPE_PSP, 1, &here, spis, 4), 1);
	CU_ASSERT_EQUAL(spis[0], 0x1001);
	clock_at(35);
	CU_ASSERT_EQUAL(hk_host_keys_spis(keys, HK_ENVELOPE_PSP, 1, &here, spis, 4), 2);
	hk_host_keys_free(keys);
}

/* --- while packets flow ----------------------------------------------------------------------------- */

struct scene {
	struct hk_wishes wishes;
	struct hk_speech *sending, *receiving;
	struct hk_sender *sender;
	struct hk_receiver *receiver;
	struct hk_host_keys *senders, *receivers;
	char directory[64];
};

static void say(struct hk_wishes *wishes, const char *name, const char *text)
{
	unsigned count, i;
	const struct hk_wish *rows = hk_wish_rows(&count);

	for (i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			hk_wish_set(wishes, i, text);
}

static void scene_make(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	strcpy(scene->directory, "/tmp/halfkey-unit-times.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(scene->directory));
}

/* Both ends; the sender's options are the scene's. */
static void scene_speak(struct scene *scene, const struct hk_speaker *speaker,
	const struct hk_wishes *opening, unsigned use, const char *senders, const char *receivers)
{
	struct hk_state_place place = {
		.directory = scene->directory, .sender = "192.0.2.1", .first_use = true};
	struct hk_sending sending = {.source = "t", .to = &here, .wishes = &scene->wishes, .spi = 0x1000};

	sending.keys = scene->senders = parse(senders, NULL);
	scene->receivers = parse(receivers, NULL);
	CU_ASSERT_EQUAL_FATAL(
		hk_speech_plan(&scene->sending, speaker, &scene->wishes, HK_USE_SEAL, &there, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_speech_plan(&scene->receiving, speaker, opening, use, &here, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_sender_new(&scene->sender, scene->sending, &sending, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_sender_start(scene->sender, &place, &error), 0);
	CU_ASSERT_EQUAL_FATAL(
		hk_receiver_new(&scene->receiver, scene->receiving, scene->receivers, &place, &error), 0);
}

static void scene_begin(struct scene *scene, const char *envelope, const char *option, const char *value,
	const char *senders, const char *receivers)
{
	scene_make(scene);
	say(&scene->wishes, option, value);
	scene_speak(scene, hk_speaker_find(envelope, &error), &no_wishes, HK_USE_TUNNEL, senders, receivers);
}

static void scene_end(struct scene *scene)
{
	char command[128];

	hk_sender_free(scene->sender, false);
	hk_receiver_free(scene->receiver);
	hk_speech_end(scene->sending);
	hk_speech_end(scene->receiving);
	hk_host_keys_free(scene->senders);
	hk_host_keys_free(scene->receivers);
	hk_wishes_clear(&scene->wishes);
	snprintf(command, sizeof(command), "rm -rf %s", scene->directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* One packet from end to end: enum hk_refusal, or what sealing came to. */
static int carry(struct scene *scene)
{
	static const __u8 inner[20] = {0x45, 0, 0, 20, [8] = 64, 59, [12] = 10, 0, 0, 1, 10, 0, 0, 2};
	__u8 sealed[2048], opened[HK_OPEN_ROOM(2048)];
	struct hk_opened result = {0};
	int size = hk_sender_seal(scene->sender, inner, sizeof(inner), sealed, sizeof(sealed));
	struct hk_sealed packet = {.protocol = scene->receiving->protocol,
		.port = scene->receiving->port,
		.source = there,
		.destination = here,
		.data = sealed,
		.length = (__u32)size};

	return size < 0 ? size : (int)hk_receiver_open(scene->receiver, 0, &packet, opened, &result);
}

/* With keys of these sides: "%s" is their times. */
static void through_time(const char *envelope, const char *option, const char *value, const char *form)
{
	char unbound[1024], bound[1024];
	struct scene scene;

	snprintf(unbound, sizeof(unbound), form, "", "");
	snprintf(bound, sizeof(bound), form, AT("before", "10") AT("after", "20"), "");
	clock_at(5);
	scene_begin(&scene, envelope, option, value, unbound, bound); /* the receiver's have times */
	CU_ASSERT_EQUAL(carry(&scene), HK_REFUSAL_KEY_NOT_YET);
	clock_at(10);
	CU_ASSERT_EQUAL(carry(&scene), HK_REFUSAL_NONE);
	clock_at(19);
	CU_ASSERT_EQUAL(carry(&scene), HK_REFUSAL_NONE);
	clock_at(20);
	CU_ASSERT_EQUAL(carry(&scene), HK_REFUSAL_KEY_EXPIRED); /* though the SPI is open */
	CU_ASSERT_EQUAL(scene.receiver->counts[HK_REFUSAL_KEY_NOT_YET], 1);
	CU_ASSERT_EQUAL(scene.receiver->counts[HK_REFUSAL_KEY_EXPIRED], 1);
	CU_ASSERT_EQUAL(scene.receiver->counts[HK_REFUSAL_NONE], 2);
	scene_end(&scene);
	clock_at(15);
	scene_begin(&scene, envelope, option, value, bound, unbound); /* the sender's */
	CU_ASSERT_EQUAL(carry(&scene), HK_REFUSAL_NONE);
	clock_at(20);
	CU_ASSERT_EQUAL(carry(&scene), -EKEYEXPIRED);
	CU_ASSERT_EQUAL(scene.sender->sealed, 1);
	scene_end(&scene);
}

static void psp_through_time(void)
{
	through_time("psp", "spi", "0x1000",
		OURS "slot=0 generation=1 side=enc key=" KEY(
			"01") "%s\n" OURS "slot=0 generation=1 side=auth key=" KEY("02") "%s\n");
}

static void esp_through_time(void)
{
	through_time("esp", "spi", "0x1000",
		OURS "slot=0 generation=1 side=enc key=" KEY(
			"01") "%s\n" OURS "slot=0 generation=1 side=auth key=" KEY("02") "%s\n");
}

static void contexts_through_time(void)
{
	static const char form[] = OURS "slot=0 generation=1 side=enc key=" KEY(
		"01") "%s\n" OURS "slot=0 generation=1 side=auth key=" KEY("02") "%s\n";

	through_time("eesp", "context", "7", form);
	through_time("wesp", "context", "7", form);
}

/* The same of envelopes that captures alone have: an IP packet from end to end. */
static int carry_packet(struct scene *scene, __u16 port)
{
	static const __u8 payload[] = {0x10, 1, 2, 3}; /* in TSS's port: PDS */
	__u8 plain[128], sealed[2048], opened[HK_OPEN_ROOM(2048)];
	struct hk_opened result = {0};
	struct hk_sealed packet;
	int size;

	size = hk_outer_build(
		&there, &here, IPPROTO_UDP, 40000, port, payload, sizeof(payload), plain, sizeof(plain));
	CU_ASSERT_TRUE_FATAL(size > 0);
	size = hk_sender_seal_packet(scene->sender, plain, (__u32)size, sealed, sizeof(sealed));
	if (size < 0)
		return size;
	CU_ASSERT_EQUAL(hk_sealed_outer(sealed, (__u32)size, &packet), HK_REFUSAL_NONE);
	return (int)hk_receiver_open(scene->receiver, 0, &packet, opened, &result);
}

static void packets_through_time(const char *envelope, const char *senders, const char *receivers, int last)
{
	const struct hk_speaker *speaker = hk_speaker_find(envelope, &error);
	bool tss = strcmp(envelope, "tss") == 0;
	__u16 port = tss ? HK_UDP_PORT_TSS : 4433;
	struct hk_wishes opening = no_wishes;
	struct scene scene;

	clock_at(15);
	memset(&error, 0, sizeof(error));
	scene_make(&scene);
	if (tss) {
		say(&scene.wishes, "tss", "mode=cluster");
		say(&scene.wishes, "sdi", "171");
		say(&opening, "tss", "mode=cluster");
		say(&opening, "sdi", "171");
		say(&scene.wishes, "epoch", "1");
	}
	scene_speak(&scene, speaker, &opening, HK_USE_OPEN, senders, receivers);
	CU_ASSERT_EQUAL(carry_packet(&scene, port), HK_REFUSAL_NONE);
	clock_at(19);
	CU_ASSERT_EQUAL(carry_packet(&scene, port), HK_REFUSAL_NONE);
	clock_at(20);
	CU_ASSERT_EQUAL(carry_packet(&scene, port), last);
	scene_end(&scene);
	hk_wishes_clear(&opening);
}

static void captures_through_time(void)
{
	static const char form[] = "slot=0 generation=1 id=171 side=enc key=" KEY(
		"01") "%s\nslot=0 generation=1 id=171 side=auth key=" KEY("02") "%s\n";
	char unbound[1024], bound[1024];

	snprintf(unbound, sizeof(unbound), form, "", "");
	snprintf(bound, sizeof(bound), form, AT("before", "10") AT("after", "20"), "");
	packets_through_time("tss", unbound, bound, HK_REFUSAL_KEY_EXPIRED);
	packets_through_time("tss", bound, unbound, -EKEYEXPIRED);
	packets_through_time("dtls", unbound, bound, HK_REFUSAL_KEY_EXPIRED);
	packets_through_time("dtls", bound, unbound, -EKEYEXPIRED);
}

static void nothing_begins_outside_its_time(void)
{
	struct hk_sending sending = {.source = "t.keys", .to = &here, .spi = 0x1000};
	struct hk_wishes wishes = no_wishes;
	struct hk_speech *speech = NULL;
	struct hk_sender *sender = NULL;
	struct hk_host_keys *keys = parse(OURS "slot=0 generation=1 side=single key=" KEY("01")
						  AT("before", "10") AT("after", "20") "\n",
		NULL);

	say(&wishes, "version", "1");
	CU_ASSERT_EQUAL_FATAL(
		hk_speech_plan(&speech, hk_speaker_find("psp", &error), &wishes, HK_USE_SEAL, &there, &error),
		0);
	sending.keys = keys;
	sending.wishes = &wishes;
	clock_at(5);
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(hk_sender_new(&sender, speech, &sending, &error), -ENOKEY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "t.keys: no key to send to 192.0.2.9 with SPI 0x00001000"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "time has not begun (not-before)"));
	clock_at(20);
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL(hk_sender_new(&sender, speech, &sending, &error), -ENOKEY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "time is over (not-after)"));
	hk_host_keys_free(keys);
	hk_speech_end(speech);
	hk_wishes_clear(&wishes);
}

int main(void)
{
	static const struct test tests[] = {
		{"the key whose time it is", the_key_whose_time_it_is},
		{"a key lives within all it is made of", within_all_it_is_made_of},
		{"the SPIs whose time it is", spis_whose_time_it_is},
		{"psp: an open SPI closes with its key", psp_through_time},
		{"esp: an open SPI closes with its key", esp_through_time},
		{"eesp, wesp: an open context closes with its key", contexts_through_time},
		{"tss, dtls: an open context closes with its key", captures_through_time},
		{"nothing begins outside its time", nothing_begins_outside_its_time},
		{0},
	};

	here = hk_address_v4((const __u8[4]){192, 0, 2, 9});
	there = hk_address_v4((const __u8[4]){192, 0, 2, 1});
	return run_tests("hosttimes", tests);
}

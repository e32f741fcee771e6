// SPDX-License-Identifier: GPL-2.0-or-later
/* The keyring: which key opens what, what is refused, and what becomes of the memory. */
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "tests/unit/ring_help.h"
#include "user/crypto/kdf.h"
#include "user/keys/arena.h"

#define R2 " receiver=192.0.2.2"

static void receiver_then_slot_then_generation(void)
{
	static const char keys[] =
		"slot=0 generation=1 side=enc key=" KEY("01") " receiver=192.0.2.0/24\n"
							      "slot=0 generation=1 side=enc key=" KEY("02") R1
		"\n"
		"slot=0 generation=3 side=enc key=" KEY("03") R1
		"\n"
		"slot=0 generation=2 side=enc key=" KEY("04") R1 "\n"
								 "slot=1 generation=1 side=enc key=" KEY("05")
									 R1
		"\n"
		"slot=1 generation=1 side=enc key=" KEY("06") " receiver=2001:db8::/64\n";
	struct hk_key_choice choice;
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, keys);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 6);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 7, 0, 4, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 3);
	CU_ASSERT_EQUAL(choice.generation, 3);
	CU_ASSERT_TRUE(choice.id != 0);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 7, 1, 4, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 5);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.200", 7, 0, 4, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 1);
	/* the longest receiver decides, also when it has no key in this slot */
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.200", 7, 1, 4, &choice), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(choose_key(&ring, "2001:db8::77", 7, 1, 4, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 6);
	CU_ASSERT_EQUAL(choose_key(&ring, "2001:db8:1::77", 7, 1, 4, &choice), HK_REASON_NO_KEY);
	CU_ASSERT_EQUAL(choose_key(&ring, "198.51.100.1", 7, 0, 4, &choice), HK_REASON_NO_KEY);
	ring_free(&ring);
}

static void explicit_keys_come_first(void)
{
	static const char keys[] = "slot=0 generation=1 side=single key=" KEY("01") R1
		"\n"
		"receiver=192.0.2.1 spi=9 version=0 side=single key=00112233445566778899aabbccddee02\n"
		"receiver=192.0.2.1 spi=9 version=1 side=single key=" KEY("03") "\n";
	struct hk_key_choice choice;
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SINGLE, 0, keys);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 9, 0, 0, &choice), HK_REASON_OK);
	CU_ASSERT_PTR_NULL(choice.master);
	CU_ASSERT_EQUAL(choice.key_size, 16);
	CU_ASSERT_EQUAL(last_byte(&choice), 2);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 9, 0, 1, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(choice.key_size, 32);
	CU_ASSERT_EQUAL(last_byte(&choice), 3);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 8, 0, 0, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 1);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.2", 9, 0, 0, &choice), HK_REASON_NO_KEY);
	ring_free(&ring);
}

static void esp_keys_may_serve_the_whole_domain(void)
{
	static const char keys[] =
		"slot=3 generation=1 side=enc key=" KEY("01") "\n"
							      "slot=2 generation=1 side=enc key=" KEY("02") R1
		"\n"
		"receiver=192.0.2.3 spi=0x80000100 suite=ctr-hmac side=enc key=" KEY("03") " salt=0a0b0c0d\n";
	struct hk_key_choice choice;
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, keys);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.9", 300, 3, HK_SUITE_CTR_HMAC, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 1);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 300, 2, HK_SUITE_CTR_HMAC, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 2);
	CU_ASSERT_EQUAL(
		choose_key(&ring, "192.0.2.3", 0x80000100, 0, HK_SUITE_CTR_HMAC, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 3);
	CU_ASSERT_EQUAL(choice.salt[0], 0x0a);
	ring_free(&ring);
}

/* What names no receiver, or no secure domain, is held against what the domain itself says. */
static void absent_words_are_the_domains(void)
{
	static const char key[] = "slot=0 generation=1 side=enc key=" KEY("01");
	static const struct {
		unsigned envelope;
		__u32 mkid;
		const char *says; /* NULL: taken */
	} rows[] = {{HK_ENVELOPE_ESP, 1, NULL}, {HK_ENVELOPE_TSS, 1, NULL},
		{HK_ENVELOPE_TSS, 0, "id= is missing"}};
	struct hk_keyring *keyring;
	struct box box;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		keyring = NULL;
		box_init(&box);
		box_domain(&box, rows[i].envelope, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, key);
		box.domains[0].receivers_count = 1; /* IPv4 alone */
		box.domains[0].mkid = (__u16)rows[i].mkid;
		CU_ASSERT_EQUAL(hk_keyring_new(&keyring, box.arena, &box.config, &box.files, &box.error),
			rows[i].says ? -EINVAL : 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(box.error.text, rows[i].says ? rows[i].says : ""));
		hk_keyring_free(keyring);
		box_free(&box);
	}
}

/* An IPv6 prefix, however short, says nothing about IPv4; a line without receiver serves both. */
static void short_prefixes_keep_to_their_ip_version(void)
{
	static const char keys[] = "slot=0 generation=1 side=enc key=" KEY(
		"01") " receiver=::/0\n"
		      "slot=0 generation=1 side=enc key=" KEY("02") "\n";
	struct hk_key_choice choice;
	struct ring ring;

	ring_init(&ring, HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, keys);
	CU_ASSERT_EQUAL(choose_key(&ring, "2001:db8::1", 300, 0, HK_SUITE_CTR_HMAC, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 1);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 300, 0, HK_SUITE_CTR_HMAC, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(last_byte(&choice), 2);
	ring_free(&ring);
}

static const struct {
	unsigned envelope, profile, suite;
	const char *keys;
	const char *says;
} refusals[] = {
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "# box\nslot=0 generation=1 side=auth key=" KEY("01") R1,
		"0.keys:2: side=auth: an authentication-side key"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SINGLE, 0, "slot=0 generation=1 side=auth key=" KEY("01") R1,
		"side=auth: an authentication-side key"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "receiver=192.0.2.1 spi=1 version=5 side=auth key=" KEY("01"),
		"side=auth: an authentication-side key"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=single key=" KEY("01") R1,
		"which is split"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SINGLE, 0, "slot=0 generation=1 side=enc key=" KEY("01") R1,
		"which is single"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=enc key=" KEY("01"),
		"a PSP master key belongs to one receiver"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "slot=2 generation=1 side=enc key=" KEY("01") R1,
		"slot=2: PSP has slots 0 and 1"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=reader key=" KEY("01") R1,
		"side=reader in domain 'domain0', which is psp"},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC,
		"receiver=192.0.2.1 spi=256 side=enc root=" KEY("01"),
		"root= in domain 'domain0', which is esp"},
	{HK_ENVELOPE_EESP, HK_PROFILE_SINGLE, 0, "slot=0 generation=1 side=reader key=" KEY("01"),
		"side=reader in domain 'domain0', which is single"},
	{HK_ENVELOPE_EESP, HK_PROFILE_SPLIT, 0, "receiver=192.0.2.1 spi=256 side=auth root=" KEY("01"),
		"side=auth: an authentication-side key"},
	{HK_ENVELOPE_WESP, HK_PROFILE_SPLIT, 0, "receiver=192.0.2.1 spi=256 side=enc root=" KEY("01"),
		"only master keys mean something"},
	{HK_ENVELOPE_EESP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc key=" KEY("01") "\nslot=0 generation=1 side=reader key=" KEY(
			"01"),
		"a reader key must be a key of its own"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=enc key=" KEY("01") R1 " id=7",
		"id=7 in domain 'domain0', which is psp: its packets carry none"},
	{HK_ENVELOPE_DTLS, HK_PROFILE_SPLIT, 0, "slot=1 generation=1 side=enc id=7 key=" KEY("01"),
		"slot=1: DTLS has slot 0 alone"},
	{HK_ENVELOPE_DTLS, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=enc id=65536 key=" KEY("01"),
		"id=65536: a DTLS connection id carries an MKID from 0 to 65535"},
	{HK_ENVELOPE_DTLS, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=auth id=7 key=" KEY("01"),
		"side=auth"},
	{HK_ENVELOPE_DTLS, HK_PROFILE_SPLIT, 0,
		"receiver=192.0.2.9 spi=0x1234 version=5 side=enc key=" KEY("01"), "spi= in domain"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SINGLE, 0, "receiver=192.0.2.1 spi=1 version=5 side=enc key=" KEY("01"),
		"version=5 is of the other profile"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"receiver=192.0.2.1 spi=1 version=1 side=single key=" KEY("01"),
		"version=1 is of the other profile"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"receiver=192.0.2.1 spi=256 suite=gcm-split side=enc salt=00000000 key=" KEY("01"),
		"which is psp"},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=enc id=7 key=" KEY("01") R1,
		"belongs to its SDI"},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=enc id=0x1000000 key=" KEY("01"),
		"an SDI is at most"},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0, "slot=2 generation=1 side=enc id=7 key=" KEY("01"),
		"slots 0 and 1"},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=auth id=7 key=" KEY("01"),
		"side=auth"},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0, "receiver=192.0.2.1 spi=1 version=5 side=enc key=" KEY("01"),
		"which is tss"},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc id=7 key=" KEY(
			"01") "\nslot=1 generation=1 side=enc id=7 key=" KEY("01"),
		"belongs to one SDI"},
	{HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc id=7 key=" KEY(
			"01") "\nslot=0 generation=1 side=enc id=8 key=" KEY("01"),
		"belongs to one SDI"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc receiver=198.51.100.1 key=" KEY("01"),
		"not among the receivers"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc key=" KEY("01") R1
		"\nslot=1 generation=4 side=enc key=" KEY("01") R2,
		"0.keys:2: the same key as 0.keys:1: two receivers"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc key=" KEY("01") R1
		"\nslot=0 generation=2 side=enc key=" KEY("01") R1,
		"a new generation needs a new key"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc key=" KEY("01") R1
		"\nslot=0 generation=1 side=enc key=" KEY("02") R1,
		"0.keys:2: the same receiver, slot and generation as 0.keys:1"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"receiver=192.0.2.1 spi=1 version=5 side=enc key=" KEY(
			"01") "\nreceiver=192.0.2.1 spi=1 version=5 side=enc key=" KEY("02"),
		"0.keys:2: the same receiver, SPI"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"receiver=192.0.2.1 spi=1 version=5 side=enc key=" KEY(
			"01") "\nreceiver=192.0.2.1 spi=2 version=5 side=enc key=" KEY("01"),
		"two SPIs with one key"},
	{HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=0 generation=1 side=enc key=" KEY("01") R1
		"\nreceiver=192.0.2.1 spi=2 version=5 side=enc key=" KEY("01"),
		"must never be equal"},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC,
		"receiver=192.0.2.1 spi=256 suite=gcm side=single salt=00000000 key=" KEY("01"),
		"of the other profile"},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC,
		"receiver=192.0.2.1 spi=256 suite=cbc-hmac side=enc key=" KEY("01"),
		"whose suite is ctr-hmac"},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC,
		"receiver=192.0.2.1 spi=256 version=5 side=enc key=" KEY("01"), "which is esp"},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, "slot=0 generation=1 side=auth key=" KEY("01"),
		"authentication-side key"},
	{HK_ENVELOPE_ESP, HK_PROFILE_SINGLE, HK_SUITE_GCM, "slot=0 generation=1 side=enc key=" KEY("01"),
		"which is single"},
	{HK_ENVELOPE_ESP, HK_PROFILE_SPLIT, HK_SUITE_CTR_HMAC, "sender=192.0.2.1 id=1",
		"sender= is of end hosts"},
};

static void what_would_break_the_profile_is_refused(void)
{
	struct ring ring;
	unsigned i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		CU_ASSERT_EQUAL(ring_new(&ring, refusals[i].envelope, refusals[i].profile, refusals[i].suite,
					refusals[i].keys),
			-EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(ring.box.error.text, refusals[i].says));
		CU_ASSERT_PTR_NOT_NULL(strstr(ring.box.error.text, "0.keys:"));
		CU_ASSERT_PTR_NULL(strstr(ring.box.error.text, "8899aabb"));
		if (!strstr(ring.box.error.text, refusals[i].says))
			printf("# wanted '%s', said: %s\n", refusals[i].says, ring.box.error.text);
		ring_free(&ring);
	}
}

static void one_key_never_serves_two_profiles(void)
{
	struct hk_keyring *keyring = NULL;
	struct box box;

	box_init(&box);
	box_domain(
		&box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "slot=0 generation=1 side=enc key=" KEY("01") R1);
	box_domain(&box, HK_ENVELOPE_ESP, HK_PROFILE_SINGLE, HK_SUITE_GCM,
		"slot=0 generation=1 side=single key=" KEY("01"));
	CU_ASSERT_EQUAL(hk_keyring_new(&keyring, box.arena, &box.config, &box.files, &box.error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(box.error.text, "1.keys:1: the same key as 0.keys:1: a key belongs to one profile"));
	box_free(&box);
}

/* One fabric behind two domains may share its keys, as long as both derive alike; nobody else may. */
static int share_tss(unsigned envelope, __u8 mode)
{
	static const char key[] = "slot=0 generation=1 side=enc key=" KEY("01");
	struct hk_keyring *keyring = NULL;
	struct hk_domain_config *domain;
	struct box box;
	int result;

	box_init(&box);
	box_domain(&box, HK_ENVELOPE_TSS, HK_PROFILE_SPLIT, 0, key)->tss.mode = HK_TSS_CLUSTER;
	domain = box_domain(
		&box, envelope, HK_PROFILE_SPLIT, envelope == HK_ENVELOPE_ESP ? HK_SUITE_CTR_HMAC : 0, key);
	domain->tss.mode = mode;
	result = hk_keyring_new(&keyring, box.arena, &box.config, &box.files, &box.error);
	hk_keyring_free(keyring);
	box_free(&box);
	return result;
}

static void tss_keys_derive_in_one_way(void)
{
	CU_ASSERT_EQUAL(share_tss(HK_ENVELOPE_TSS, HK_TSS_CLUSTER), 0);
	CU_ASSERT_EQUAL(share_tss(HK_ENVELOPE_TSS, HK_TSS_DIRECT), -EINVAL);
	CU_ASSERT_EQUAL(share_tss(HK_ENVELOPE_ESP, 0), -EINVAL);
}

/* A key keeps its epoch over a reload, another key in its place does not get it. */
static void epochs_stay_with_their_keys(void)
{
	struct hk_key_choice choice;
	struct ring before, after;
	__u32 *epoch;

	CU_ASSERT_EQUAL_FATAL(ring_new(&before, HK_ENVELOPE_TSS, HK_PROFILE_SINGLE, 0,
				      "slot=0 generation=1 side=single key=" KEY(
					      "01") "\nslot=1 generation=1 side=single key=" KEY("02")),
		0);
	CU_ASSERT_EQUAL(choose_key(&before, "192.0.2.1", 7, 1, 1, &choice), HK_REASON_OK);
	epoch = hk_keyring_epoch(before.keyring, &choice);
	CU_ASSERT_EQUAL(*epoch, 0);
	*epoch = HK_KEY_EPOCH | 22;
	CU_ASSERT_EQUAL(choose_key(&before, "192.0.2.1", 7, 0, 1, &choice), HK_REASON_OK);
	epoch = hk_keyring_epoch(before.keyring, &choice);
	CU_ASSERT_EQUAL(*epoch, 0);
	*epoch = HK_KEY_EPOCH | 11;
	CU_ASSERT_EQUAL_FATAL(ring_new(&after, HK_ENVELOPE_TSS, HK_PROFILE_SINGLE, 0,
				      "slot=1 generation=1 side=single key=" KEY(
					      "02") "\nslot=0 generation=2 side=single key=" KEY("03")),
		0);
	hk_keyring_adopt(after.keyring, before.keyring);
	CU_ASSERT_EQUAL(choose_key(&after, "192.0.2.1", 7, 1, 1, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(*hk_keyring_epoch(after.keyring, &choice), HK_KEY_EPOCH | 22);
	CU_ASSERT_EQUAL(choose_key(&after, "192.0.2.1", 7, 0, 1, &choice), HK_REASON_OK);
	CU_ASSERT_EQUAL(*hk_keyring_epoch(after.keyring, &choice), 0);
	ring_free(&before);
	ring_free(&after);
}

static void many_keys(char *text, size_t room, unsigned count)
{
	unsigned i;
	size_t used = 0;

	for (i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, room - used,
			"slot=0 generation=%u side=enc key=%064x receiver=192.0.2.1\n", i, i + 1);
}

static void a_full_arena_is_a_refusal(void)
{
	static char text[65 * 128];
	struct ring ring;

	many_keys(text, sizeof(text), 64);
	CU_ASSERT_EQUAL(ring_new(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, text), 0);
	ring_free(&ring);
	many_keys(text, sizeof(text), 65);
	CU_ASSERT_EQUAL(ring_new(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, text), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ring.box.error.text, "0.keys:65: no room for another key: keys_max is 64"));
	ring_free(&ring);
}

static void two_keyrings_fit_and_a_third_does_not(void)
{
	struct hk_keyring *second = NULL, *third = NULL;
	struct hk_key_choice choice;
	__u64 first_id;
	struct ring ring;

	CU_ASSERT_EQUAL_FATAL(ring_new(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
				      "slot=0 generation=1 side=enc key=" KEY("01") R1),
		0);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 0, 4, &choice), HK_REASON_OK);
	first_id = choice.id;
	CU_ASSERT_EQUAL(
		hk_keyring_new(&second, ring.box.arena, &ring.box.config, &ring.box.files, &ring.box.error),
		0);
	CU_ASSERT_EQUAL(
		hk_keyring_new(&third, ring.box.arena, &ring.box.config, &ring.box.files, &ring.box.error),
		-EBUSY);
	hk_keyring_free(ring.keyring);
	ring.keyring = second;
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 0, 4, &choice), HK_REASON_OK);
	CU_ASSERT_TRUE(choice.id > first_id);
	CU_ASSERT_EQUAL(
		hk_keyring_new(&third, ring.box.arena, &ring.box.config, &ring.box.files, &ring.box.error),
		0);
	hk_keyring_free(third);
	ring_free(&ring);
}

static void a_retired_slot_is_stale(void)
{
	struct hk_key_choice choice;
	struct hk_keyring *old;
	struct ring ring;

	CU_ASSERT_EQUAL_FATAL(ring_new(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
				      "slot=0 generation=1 side=enc key=" KEY("01") R1
				      "\nslot=1 generation=2 side=enc key=" KEY("02") R1),
		0);
	old = ring.keyring;
	hk_files_close(&ring.box.files);
	ring.box.config.domains_count = 0;
	box_domain(&ring.box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
		"slot=1 generation=2 side=enc key=" KEY("02") R1);
	CU_ASSERT_EQUAL_FATAL(hk_keyring_new(&ring.keyring, ring.box.arena, &ring.box.config, &ring.box.files,
				      &ring.box.error),
		0);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 0, 4, &choice), HK_REASON_NO_KEY);
	hk_keyring_adopt(ring.keyring, old);
	hk_keyring_free(old);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 0, 4, &choice), HK_REASON_STALE_KEY);
	CU_ASSERT_EQUAL(choose_key(&ring, "192.0.2.1", 1, 1, 4, &choice), HK_REASON_OK);
	ring_free(&ring);
}

static int collect(void *context, const struct hk_key_row *row)
{
	struct hk_key_row *rows = context;

	rows[row->slot] = *row;
	return 0;
}

static void the_list_shows_fingerprints_only(void)
{
	struct hk_key_row rows[2] = {{0}};
	struct ring ring;

	CU_ASSERT_EQUAL_FATAL(ring_new(&ring, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0,
				      "slot=0 generation=1 side=enc key=" KEY("01") R1
				      "\nslot=1 generation=2 side=enc key=" KEY("02") R1),
		0);
	CU_ASSERT_EQUAL(hk_keyring_list(ring.keyring, collect, rows), 0);
	CU_ASSERT_EQUAL(rows[1].generation, 2);
	CU_ASSERT_EQUAL(rows[1].side, HK_SIDE_ENC);
	CU_ASSERT_NOT_EQUAL(memcmp(rows[0].fingerprint, rows[1].fingerprint, 8), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(rows[0].fingerprint, "\x00\x11\x22\x33\x44\x55\x66\x77", 8), 0);
	ring_free(&ring);
}

static void cells_are_wiped(void)
{
	struct hk_arena *arena = hk_arena_new(4);
	struct hk_arena_part *part = hk_arena_take(arena);
	__u8 *cells[4], zero[HK_ARENA_CELL] = {0};
	unsigned i;

	for (i = 0; i < 4; i++) {
		cells[i] = hk_arena_cell(part);
		CU_ASSERT_PTR_NOT_NULL_FATAL(cells[i]);
		CU_ASSERT_EQUAL((uintptr_t)cells[i] % 64, 0);
		memset(cells[i], 0xa5, HK_ARENA_CELL);
	}
	CU_ASSERT_PTR_NULL(hk_arena_cell(part));
	hk_arena_give_back(part);
	for (i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(memcmp(cells[i], zero, sizeof(zero)), 0);
	hk_arena_free(arena);
}

static bool dies_reading(const volatile __u8 *at)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		_exit(*at & 0);
	}
	return waitpid(child, &status, 0) == child && status != 0;
}

static void pages_around_the_keys_are_closed(void)
{
	struct hk_arena *arena = hk_arena_new(64); /* 64 cells of 256 and of 64 bytes: five pages */
	struct hk_arena_part *part = hk_arena_take(arena);
	__u8 *first = hk_arena_cell(part);

	CU_ASSERT_TRUE(dies_reading(first - 1));
	CU_ASSERT_TRUE(dies_reading(first + 5 * sysconf(_SC_PAGESIZE)));
	CU_ASSERT_FALSE(dies_reading(first));
	hk_arena_free(arena);
}

/* A forked child must not find the keys: the pages are empty there, or gone. */
static void a_child_finds_no_keys(void)
{
	struct hk_arena *arena = hk_arena_new(4);
	__u8 *cell = hk_arena_cell(hk_arena_take(arena));
	int status = -1;
	pid_t child;

	memset(cell, 0xa5, HK_ARENA_CELL);
	child = fork();
	if (child == 0)
		_exit(cell[0] == 0 && cell[HK_ARENA_CELL - 1] == 0 ? 0 : 1);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(cell[0], 0xa5);
	hk_arena_free(arena);
}

/* What the kernel says of the mapping: not dumped, wiped on fork, locked when we may. */
static void the_kernel_knows_the_arena_is_secret(void)
{
	struct hk_arena *arena = hk_arena_new(4);
	void *cell = hk_arena_cell(hk_arena_take(arena));
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	char line[512];
	int inside = 0, seen = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (unsigned long)cell >= from && (unsigned long)cell < to;
		if (!inside || strncmp(line, "VmFlags:", 8) != 0)
			continue;
		seen = 1;
		CU_ASSERT_PTR_NOT_NULL(strstr(line, " dd"));
		CU_ASSERT_PTR_NOT_NULL(strstr(line, " wf"));
#ifndef __SANITIZE_ADDRESS__ /* its mlock does nothing */
		CU_ASSERT_EQUAL(strstr(line, " lo") != NULL, hk_arena_locked(arena));
#endif
	}
	fclose(maps);
	CU_ASSERT_TRUE(seen);
	hk_arena_free(arena);
}

int main(void)
{
	static const struct test tests[] = {
		{"a key without receiver or id is the domain's", absent_words_are_the_domains},
		{"receiver, then slot, then generation", receiver_then_slot_then_generation},
		{"explicit keys come first", explicit_keys_come_first},
		{"ESP keys may serve the whole domain", esp_keys_may_serve_the_whole_domain},
		{"short prefixes keep to their IP version", short_prefixes_keep_to_their_ip_version},
		{"what would break the profile is refused", what_would_break_the_profile_is_refused},
		{"one key never serves two profiles", one_key_never_serves_two_profiles},
		{"a full arena is a refusal", a_full_arena_is_a_refusal},
		{"two keyrings fit and a third does not", two_keyrings_fit_and_a_third_does_not},
		{"a retired slot is stale", a_retired_slot_is_stale},
		{"the list shows fingerprints only", the_list_shows_fingerprints_only},
		{"cells are wiped", cells_are_wiped},
		{"pages around the keys are closed", pages_around_the_keys_are_closed},
		{"a child finds no keys", a_child_finds_no_keys},
		{"the kernel knows the arena is secret", the_kernel_knows_the_arena_is_secret},
		{"TSS keys derive in one way", tss_keys_derive_in_one_way},
		{"epochs stay with their keys", epochs_stay_with_their_keys},
		{0},
	};
	return run_tests("keyring", tests);
}

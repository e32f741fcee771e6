// SPDX-License-Identifier: GPL-2.0-or-later
/* SPIs of the key server: none comes twice, whatever restarts and clocks do, and each tells its sender. */
#include <errno.h>

#include "tests/unit/keyserver_help.h"
#include "user/endpoint/hostkeys.h"

static void spis_never_repeat(void)
{
	__u32 last = 0, spi;
	unsigned i, given = 0;

	begin();
	for (i = 0; i < 300; i++) {
		if (i % 50 == 49) {
			again();
			ks.started = ks.now - 1; /* the clock is the test's, however long a start takes */
		}
		if (i % 3 == 2)
			ks.now++;
		if (hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error))
			continue;
		CU_ASSERT(
			!given || ((spi - last - 1) & 0x1fffff) < 10); /* higher, round the end of numbers */
		last = spi;
		given++;
	}
	CU_ASSERT_EQUAL(given, 101);
	/* a second has one number, and no more: whoever starts anew in the next one repeats none */
	ks.now++;
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), 0);
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), -EAGAIN);
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 2, 0, &spi, NULL, &error), 0); /* of this receiver */
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 2, &spi, NULL, &error), 0); /* and this sender */
	ks.now++;
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), 0);
	ks.started = ++ks.now; /* an earlier run may have used this second */
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), -EAGAIN);
	ks.started -= 10;
	ks.now = hk_ks_current(&ks, 0, 1)->created - 1; /* a clock that was wrong, then or now */
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), -EAGAIN);
	ks.now += 25 * 86400; /* numbers would come round, and no rotation happened */
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), -EAGAIN);
	end();
}

/* A slot that comes back with another key comes with other SPIs: who still has the old one is not misread. */
static void slots_come_back_with_other_spis(void)
{
	__u32 first = 0, later = 0;
	unsigned i;

	begin();
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &first, NULL, &error), 0);
	for (i = 0; i < 200; i++) {
		ks.now++;
		CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	}
	CU_ASSERT_EQUAL(hk_ks_current(&ks, 0, 1)->slot, 1);
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &later, NULL, &error), 0);
	CU_ASSERT_EQUAL(first >> 21, later >> 21);
	CU_ASSERT(((later - first) & 0x1fffff) >= 190);
	end();
}

/* --- whose an SPI is ----------------------------------------------------------------------------- */

static const struct hk_address *address_of(unsigned host)
{
	return &hosts[host].receiver;
}

/* What a host gets, as it reads it. */
static struct hk_host_keys *keys_of(unsigned host)
{
	struct hk_ks_client client = {.who = {.role = HK_PUSH_HOST}, .domain = &domain, .host_index = host};
	struct hk_host_keys *keys = NULL;
	char *lines = hk_ks_lines(&ks, &client, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(lines);
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "key server", lines, NULL, &error), 0);
	free(lines);
	return keys;
}

/* In both envelopes and every slot, the receiver knows each SPI's sender without having heard of the SPI. */
static void an_spi_tells_its_sender(void)
{
	static const __u8 envelopes[] = {HK_ENVELOPE_PSP, HK_ENVELOPE_ESP};
	struct hk_host_keys *keys;
	unsigned i, second, slot, sender;
	__u64 serial;
	__u32 spi;

	for (i = 0; i < 2; i++) {
		domain.envelope = envelopes[i];
		domain.variant = i ? HK_SUITE_CTR_HMAC : HK_PSP_SPLIT_256;
		begin();
		keys = keys_of(1);
		for (second = 0; second < 400; second++, ks.now++)
			for (sender = 0; sender < 3; sender += 2) {
				slot = second % (i ? 4 : 2);
				serial = (__u64)ks.domains[0].receivers[sender].number << HK_KS_SERIAL_SHIFT;
				spi = hk_ks_spi(&domain, slot, serial | ((__u64)ks.now * 7919 & 0xffffffff));
				CU_ASSERT_EQUAL(spi >> (i ? 29 : 31), slot);
				CU_ASSERT(hk_host_keys_sends(keys, address_of(sender), false, spi));
				CU_ASSERT_FALSE(hk_host_keys_sends(keys, address_of(2 - sender), false, spi));
			}
		CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), 0);
		CU_ASSERT(hk_host_keys_sends(keys, address_of(0), false, spi));
		CU_ASSERT_FALSE(hk_host_keys_sends(keys, address_of(2), false, spi));
		hk_host_keys_free(keys);
		end();
	}
	domain.envelope = HK_ENVELOPE_PSP;
	domain.variant = HK_PSP_SPLIT_256;
}

static bool is_any(const void *context, const char *address)
{
	(void)context, (void)address;
	return true;
}

static bool is_it(const void *context, const char *address)
{
	return context && strcmp(context, address) == 0;
}

/* An address keeps its number for life; another one gets it when all SPIs of the first are gone. */
static void numbers_stay_with_their_addresses(void)
{
	__u32 number, spi;

	begin();
	CU_ASSERT_EQUAL(ks.domains[0].receivers[0].number, 1);
	CU_ASSERT_EQUAL(ks.domains[0].receivers[2].number, 3);
	hosts[0].receiver = hk_address_v4((const __u8[4]){192, 0, 2, 9}); /* a moves */
	again();
	CU_ASSERT_EQUAL(ks.domains[0].receivers[0].number, 4);
	CU_ASSERT_EQUAL(ks.domains[0].receivers[2].number, 3);
	ks.now = ks.started + 5;
	CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), 0);
	/* of four, 1 is free, 4 has an SPI, the others are members */
	CU_ASSERT_EQUAL(hk_ks_store_number(ks.store, "d", "192.0.2.9", 4, is_it, NULL, &number, &error), 0);
	CU_ASSERT_EQUAL(number, 4);
	CU_ASSERT_EQUAL(
		hk_ks_store_number(ks.store, "d", "192.0.2.77", 4, is_it, "192.0.2.2", &number, &error), 0);
	CU_ASSERT_EQUAL(number, 1);
	CU_ASSERT_EQUAL(
		hk_ks_store_number(ks.store, "d", "192.0.2.78", 4, is_it, "192.0.2.77", &number, &error), 0);
	CU_ASSERT_EQUAL(number, 2);
	CU_ASSERT_EQUAL(
		hk_ks_store_number(ks.store, "d", "192.0.2.79", 1, is_any, NULL, &number, &error), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "divide the domain"));
	end();
}

static void copy_state(const char *from, const char *to)
{
	char command[256];

	snprintf(command, sizeof(command), "cp %s/%s %s/%s", directory, from, directory, to);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* A state directory that was put back: what came after the copy was given out, and is forgotten. */
static void an_old_copy_repeats_nothing(void)
{
	__u32 given[64], generation, spi;
	unsigned i, j, count = 0;

	begin();
	copy_state("keyserver.db", "copy");
	for (; count < 60; count++, ks.now++)
		if (hk_ks_allocate(&ks, 0, 1, 0, &given[count], NULL, &error))
			break;
	CU_ASSERT(count == 60);
	ks.now += 35;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	ks.now += 10;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	generation = hk_ks_current(&ks, 0, 1)->generation;
	copy_state("copy", "keyserver.db");
	again();
	ks.started = ks.now;
	ks.now += 1; /* nothing is given out in the second of a start */
	CU_ASSERT(hk_ks_current(&ks, 0, 1)->generation < generation); /* it is the old copy */
	for (i = 0; i < 60; i++, ks.now++) {
		CU_ASSERT_EQUAL(hk_ks_allocate(&ks, 0, 1, 0, &spi, NULL, &error), 0);
		for (j = 0; j < count; j++)
			CU_ASSERT(spi != given[j]);
	}
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0); /* late by now: the next one */
	ks.now += 10;
	CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
	CU_ASSERT(hk_ks_current(&ks, 0, 1)->generation > generation); /* never that number again */
	end();
}

int main(void)
{
	static const struct test tests[] = {
		{"SPIs never repeat, over restarts and clocks", spis_never_repeat},
		{"slots come back with other SPIs", slots_come_back_with_other_spis},
		{"an SPI tells its sender", an_spi_tells_its_sender},
		{"numbers stay with their addresses", numbers_stay_with_their_addresses},
		{"an old copy of the state repeats nothing", an_old_copy_repeats_nothing},
		{0},
	};

	hk_log_init(HK_LOG_ERROR, "test");
	return run_tests("keyserver_spis", tests);
}

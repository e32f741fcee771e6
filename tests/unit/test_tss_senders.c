// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may send TSS: the nonce rules that keep senders apart, counters that are
 * never given out twice, setups that are refused, and a forger who holds what
 * the box holds.
 */
#include "tests/unit/tss_help.h"

/* --- nonce rules ------------------------------------------------------------------------------- */

static int may_send(const char *setup, const char *from, const char *to, bool sole, const char *says)
{
	struct tss_sample sample = tss_plain(true, true);
	struct hk_tss_setup parsed_setup;
	struct hk_error error = {{0}};
	struct hk_tss *tss = NULL;
	__u8 key[32] = {1};
	int status;

	CU_ASSERT_EQUAL_FATAL(hk_tss_setup_parse(&parsed_setup, setup, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_tss_new(&tss, &parsed_setup, TSS_SDI, 0, key, NULL, &error), 0);
	sample.shape.source = address(from);
	sample.shape.destination = address(to);
	sample.shape.sole_sender = sole;
	status = hk_tss_may_send(tss, &sample.shape, &error);
	CU_ASSERT_EQUAL(hk_tss_seal(tss, &sample.shape, 1, 1, sample.payload, sample.size, sample.frame,
				BOX_FRAME) > 0,
		status == 0);
	if (says && !strstr(error.text, says))
		printf("# wanted '%s', said: %s\n", says, error.text);
	CU_ASSERT(!says || strstr(error.text, says));
	hk_tss_free(tss);
	return status;
}

#define V6_SERVER "2001:db8:0:1::1"
#define SERVE	  "mode=server,servers=192.0.2.9+2001:db8:0:1::/64"

static void nonce_rules(void)
{
	CU_ASSERT_EQUAL(may_send("mode=cluster", "192.0.2.1", "192.0.2.9", false, NULL), 0);
	CU_ASSERT_EQUAL(may_send("mode=cluster,iv-word=sdi", "2001:db8::1", "2001:db8::9", false, NULL), 0);
	/* server mode: the IV must differ by direction */
	CU_ASSERT_EQUAL(may_send(SERVE, "192.0.2.1", "192.0.2.9", false, NULL), 0);
	CU_ASSERT_EQUAL(may_send(SERVE, "192.0.2.9", "192.0.2.1", false, NULL), 0);
	CU_ASSERT_EQUAL(may_send(SERVE, "192.0.2.1", "192.0.2.2", false, "one end is a server"), -EPERM);
	CU_ASSERT_EQUAL(may_send(SERVE, "2001:db8::1", V6_SERVER, false, "same SDI"), -EPERM);
	CU_ASSERT_EQUAL(may_send(SERVE, V6_SERVER, "2001:db8::1", true, "same SDI"), -EPERM);
	CU_ASSERT_EQUAL(may_send(SERVE ",iv-word=sdi", "192.0.2.1", "192.0.2.9", false, "same SDI"), -EPERM);
	CU_ASSERT_EQUAL(may_send(SERVE ",ssi=yes", "192.0.2.1", "192.0.2.9", false, "client's"), -EPERM);
	CU_ASSERT_EQUAL(may_send(SERVE ",ssi=yes", "2001:db8::1", V6_SERVER, false, NULL), 0);
	CU_ASSERT_EQUAL(may_send(SERVE ",ssi=yes,context=small", "2001:db8::1", V6_SERVER, false, "client's"),
		-EPERM);
	/* direct mode: one sender, where nothing in the IV names it */
	CU_ASSERT_EQUAL(may_send("mode=direct", "192.0.2.1", "192.0.2.9", false, NULL), 0);
	CU_ASSERT_EQUAL(may_send("mode=direct,ssi=yes", "2001:db8::1", "2001:db8::9", false, NULL), 0);
	CU_ASSERT_EQUAL(may_send("mode=direct", "2001:db8::1", "2001:db8::9", false, "sole-sender"), -EPERM);
	CU_ASSERT_EQUAL(may_send("mode=direct", "2001:db8::1", "2001:db8::9", true, NULL), 0);
	CU_ASSERT_EQUAL(
		may_send("mode=direct,iv-word=sdi", "192.0.2.1", "192.0.2.9", false, "sole-sender"), -EPERM);
}

/* SP is constant per domain: the setup says it, no packet can. Counters have 48 bits. */
static void one_shape_per_domain(void)
{
	struct tss_sample sample = tss_plain(true, true);
	static struct tss_world world;
	__u64 seed = 13;

	tss_world_make(&world, "mode=cluster,ssi=yes", true, "libcrypto", 0, &seed);
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	CU_ASSERT_EQUAL(sample.frame[42] & HK_TSS_SP, HK_TSS_SP);
	sample.counter = 1ull << 48;
	CU_ASSERT_EQUAL(tss_seal(&world, &sample), -EINVAL);
	sample.counter = 1;
	sample.shape.destination = address("2001:db8::9");
	CU_ASSERT_EQUAL(tss_seal(&world, &sample), -EINVAL);
	tss_world_free(&world);
}

/* Every (sender, epoch, key) has a file of its own, and a counter of 48 bits in it. */
static void counters(void)
{
	char directory[] = "/tmp/halfkey-tss.XXXXXX", command[64];
	struct tss_sample sample = tss_plain(true, true);
	struct hk_nonce_state *first = NULL, *second = NULL;
	static struct tss_world world;
	struct hk_error error = {{0}};
	struct hk_numbers a, b;
	__u64 seed = 16;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	tss_world_make(&world, "mode=cluster", true, "libcrypto", 0, &seed);
#define OPEN(out, epoch, first)                                                                       \
	hk_tss_nonces_open(out,                                                                       \
		&(struct hk_state_place){.directory = directory, .sender = "me", .first_use = first}, \
		world.sender[0], &sample.shape, epoch, &error)
	CU_ASSERT_EQUAL(OPEN(&first, 7, false), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(OPEN(&first, 7, true), 0);
	CU_ASSERT_EQUAL(OPEN(&second, 7, false), -EBUSY); /* one process at a time */
	CU_ASSERT_EQUAL(hk_nonce_state_next(first, &a), 0);
	CU_ASSERT_EQUAL(hk_nonce_state_next(first, &b), 0);
	CU_ASSERT_EQUAL(b.iv, a.iv + 1);
	CU_ASSERT(b.iv >> HK_TSS_COUNTER_BITS == 0);
	CU_ASSERT_EQUAL_FATAL(OPEN(&second, 8, true), 0); /* another epoch */
	hk_nonce_state_close(second);
	sample.shape.source = address("192.0.2.2"); /* another sender, another key */
	CU_ASSERT_EQUAL_FATAL(OPEN(&second, 7, true), 0);
	hk_nonce_state_close(second);
	hk_nonce_state_close(first);
	sample.shape.source = address("192.0.2.1");
	CU_ASSERT_EQUAL_FATAL(OPEN(&first, 7, false), 0);
	CU_ASSERT_EQUAL(hk_nonce_state_next(first, &a), 0);
	CU_ASSERT(a.iv > b.iv);
	hk_nonce_state_close(first);
#undef OPEN
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
	tss_world_free(&world);
}

/* The last counters of 48 bits are not given out, rather than any twice. */
static void counters_end(void)
{
	char directory[] = "/tmp/halfkey-tss.XXXXXX", command[64];
	const __u8 fingerprint[8] = {1};
	const struct hk_state_place place = {.directory = directory, .sender = "me", .first_use = true};
	struct hk_nonce_series series = {.envelope = HK_ENVELOPE_TSS,
		.spi = 0x080000ab,
		.fingerprint = fingerprint,
		.iv_max = HK_NONCES_BLOCK + 10,
		.clock_shift = 63};
	struct hk_nonce_state *state = NULL;
	struct hk_error error = {{0}};
	struct hk_numbers numbers;
	unsigned given = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_EQUAL_FATAL(hk_nonce_state_open_at(&state, &place, &series, &error), 0);
	while (!hk_nonce_state_next(state, &numbers) && given <= series.iv_max)
		given++;
	CU_ASSERT_EQUAL(given, HK_NONCES_BLOCK);
	CU_ASSERT_EQUAL(hk_nonce_state_next(state, &numbers), -EOVERFLOW);
	hk_nonce_state_close(state);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void setups_that_are_refused(void)
{
	static const char *const bad[] = {"", "ssi=yes", "mode", "mode=", "mode=other", "mode=cluster,x=1",
		"mode=cluster,ssi=2", "mode=cluster,rekey-shift=48", "mode=direct,rekey-mask=1",
		"mode=cluster,rekey-mask=0x1ffffffff", "mode=server,servers=1.2.3", "mode=server",
		"mode=cluster,servers=10.0.0.1", "mode=cluster,protocol=256"};
	struct hk_tss_setup setup;
	struct hk_error error;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error.text[0] = '\0';
		CU_ASSERT_EQUAL(hk_tss_setup_parse(&setup, bad[i], &error), -EINVAL);
		CU_ASSERT(error.text[0]);
	}
}

/* --- the forger -------------------------------------------------------------------------------- */

/* What the box holds of a split domain, put to use: both sides from SDK_e, single-key, other labels. */
static void forger_fails(void)
{
	static const char *const ways[] = {"mode=cluster", "mode=direct", "mode=cluster,kdf-length=32"};
	struct tss_sample sample = tss_plain(true, true), forged;
	static struct tss_world world;
	struct hk_tss_opened opened;
	struct hk_tss_setup setup;
	struct hk_tss *forger;
	__u64 seed = 14;
	__u8 other[32];
	unsigned i;
	int size;

	tss_world_make(&world, "mode=cluster", true, "libcrypto", 0, &seed);
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	CU_ASSERT_EQUAL(tss_deliver(&world, &sample, &opened), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(
		hk_tss_new(&forger, &world.setup, TSS_SDI, 0, world.enc[0], world.enc[0], NULL), -EPERM);
	for (i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
		random_fill(&seed, other, sizeof(other));
		CU_ASSERT_EQUAL_FATAL(hk_tss_setup_parse(&setup, ways[i / 2], NULL), 0);
		CU_ASSERT_EQUAL_FATAL(
			hk_tss_new(&forger, &setup, TSS_SDI, 0, world.enc[0], i & 1 ? other : NULL, NULL), 0);
		forged = sample;
		size = hk_tss_seal(forger, &forged.shape, sample.epoch, sample.counter, sample.payload,
			sample.size, forged.frame + 14, BOX_FRAME - 14);
		CU_ASSERT_FATAL(size > 0);
		CU_ASSERT_EQUAL(tss_deliver(&world, &forged, &opened), HK_REFUSAL_BAD_ICV);
		/* its ciphertext with the genuine tag */
		memcpy(forged.frame + forged.length - 16, sample.frame + sample.length - 16, 16);
		forged.frame[54] ^= 1;
		CU_ASSERT_EQUAL(tss_deliver(&world, &forged, &opened), HK_REFUSAL_BAD_ICV);
		hk_tss_free(forger);
	}
	tss_world_free(&world);
}

/* The same attack does succeed where one key does both jobs: the tools are good. */
static void forger_can_forge_single(void)
{
	struct tss_sample sample = tss_plain(true, true);
	static struct tss_world world;
	struct hk_tss_opened opened;
	struct hk_tss *forger = NULL;
	__u64 seed = 15;

	tss_world_make(&world, "mode=cluster", false, "libcrypto", 0, &seed);
	CU_ASSERT_EQUAL_FATAL(hk_tss_new(&forger, &world.setup, TSS_SDI, 0, world.enc[0], NULL, NULL), 0);
	hk_tss_free(world.sender[0]);
	world.sender[0] = forger;
	CU_ASSERT_FATAL(tss_seal(&world, &sample) > 0);
	CU_ASSERT_EQUAL(tss_deliver(&world, &sample, &opened), HK_REFUSAL_NONE);
	tss_world_free(&world);
}

int main(void)
{
	static const struct test tests[] = {
		{"nonce rules", nonce_rules},
		{"one shape per domain", one_shape_per_domain},
		{"counters: a file for each sender and epoch", counters},
		{"counters end before they repeat", counters_end},
		{"setups that are refused", setups_that_are_refused},
		{"a split domain's box cannot forge", forger_fails},
		{"the forger's tools do forge a single-key packet", forger_can_forge_single},
		{0},
	};

	return run_tests("tss senders", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of TLS connections in a keyring that is in use: added, replaced, retired,
 * read from a log that grows, giving way to others, carried over a reload; what
 * is found must be what was said last, and what went must be wiped.
 */
#include "tests/unit/ring_help.h"
#include "user/keys/connections.h"

#define ROOM 64 /* keys_max of box_init() */

static void log_init(struct ring *ring, const char *log)
{
	ring_init(ring, HK_ENVELOPE_TLS, HK_PROFILE_SINGLE, 0, log);
}

static int push(struct ring *ring, const char *text)
{
	return change_with(ring,
		&(struct hk_key_update){.domain = &ring->box.domains[0], .name = "(control)", .text = text});
}

static int grown(struct ring *ring, const char *text)
{
	return whole(ring, ring->box.domains[0].keys, text);
}

/* A line for connection `n` with secret `s`. */
static const char *line(unsigned n, unsigned s)
{
	static char lines[4][256];
	static unsigned next;
	char *out = lines[next++ % 4];

	snprintf(out, 256, "CLIENT_RANDOM %064x %096x\n", n, s);
	return out;
}

static const char *lines(unsigned from, unsigned to)
{
	static char text[256 * 256];
	unsigned n;

	text[0] = '\0';
	for (n = from; n < to; n++)
		strcat(text, line(n, n));
	return text;
}

/* The last byte of the secret of connection `n`; -1: none. */
static int secret_of(const struct ring *ring, unsigned n)
{
	struct hk_tls_choice choice;
	__u8 client_random[32] = {0};

	client_random[30] = (__u8)(n >> 8);
	client_random[31] = (__u8)n;
	return hk_keyring_tls_random(ring->keyring, 0, client_random, &choice) ? choice.secret->master[47]
									       : -1;
}

static void added_and_retired(void)
{
	struct ring ring;
	__u64 serial;
	char retire[128];

	log_init(&ring, line(1, 1));
	CU_ASSERT_EQUAL(secret_of(&ring, 1), 1);
	CU_ASSERT_EQUAL(secret_of(&ring, 2), -1);
	serial = hk_keyring_serial(ring.keyring);
	CU_ASSERT_EQUAL(push(&ring, line(2, 2)), 0);
	CU_ASSERT_EQUAL(ring.result.added, 1);
	CU_ASSERT_NOT_EQUAL(hk_keyring_serial(ring.keyring), serial);
	CU_ASSERT_EQUAL(secret_of(&ring, 2), 2);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 2);
	CU_ASSERT_EQUAL(push(&ring, line(2, 2)), 0);
	CU_ASSERT_EQUAL(ring.result.added, 0);
	CU_ASSERT_EQUAL(ring.result.known, 1);
	CU_ASSERT_EQUAL(push(&ring, line(2, 9)), 0); /* the later line counts */
	CU_ASSERT_EQUAL(ring.result.retired, 1);
	CU_ASSERT_EQUAL(secret_of(&ring, 2), 9);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 2);
	snprintf(retire, sizeof(retire), "retire client-random=%064x\n", 1);
	CU_ASSERT_EQUAL(push(&ring, retire), 0);
	CU_ASSERT_EQUAL(ring.result.retired, 1);
	CU_ASSERT_EQUAL(secret_of(&ring, 1), -1);
	CU_ASSERT_EQUAL(push(&ring, retire), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "no such connection"));
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
	ring_free(&ring);
}

static void all_or_nothing(void)
{
	char text[1024];
	struct ring ring;

	log_init(&ring, line(1, 1));
	snprintf(text, sizeof(text), "%sretire client-random=%064x\nCLIENT_RANDOM 00 00\n", line(5, 5), 1);
	CU_ASSERT_EQUAL(push(&ring, text), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "(control):3:"));
	CU_ASSERT_EQUAL(secret_of(&ring, 1), 1);
	CU_ASSERT_EQUAL(secret_of(&ring, 5), -1);
	snprintf(text, sizeof(text), "retire client-random=%064x\n", 1);
	CU_ASSERT_EQUAL(push(&ring, text), 0); /* the refused one left no mark on it */
	CU_ASSERT_EQUAL(change_with(&ring, &(struct hk_key_update){.domain = &ring.box.domains[0],
						   .name = "(control)",
						   .text = line(1, 1),
						   .rotate = true}),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ring.error.text, "no generations"));
	ring_free(&ring);
}

static void a_log_grows(void)
{
	char text[4096], retire[128];
	struct ring ring;

	log_init(&ring, line(1, 1));
	snprintf(text, sizeof(text), "%s%sCLIENT_RANDOM 0011", line(1, 1), line(2, 2));
	CU_ASSERT_EQUAL(grown(&ring, text), 0);
	CU_ASSERT_EQUAL(ring.result.added, 1);
	CU_ASSERT_EQUAL(secret_of(&ring, 2), 2);
	snprintf(retire, sizeof(retire), "retire client-random=%064x\n", 1);
	CU_ASSERT_EQUAL(push(&ring, retire), 0);
	snprintf(text, sizeof(text), "%s%s%s", line(1, 1), line(2, 2), line(3, 3));
	CU_ASSERT_EQUAL(grown(&ring, text), 0);
	CU_ASSERT_EQUAL(ring.result.added, 1);
	CU_ASSERT_EQUAL(secret_of(&ring, 1), -1); /* what was taken away does not come back with a new line */
	CU_ASSERT_EQUAL(secret_of(&ring, 3), 3);
	/* another log under the same name: what it does not say goes */
	CU_ASSERT_EQUAL(push(&ring, line(8, 8)), 0);
	snprintf(text, sizeof(text), "%s%s%s%s", line(3, 3), line(4, 4), line(5, 5), line(6, 6));
	CU_ASSERT_EQUAL(grown(&ring, text), 0);
	CU_ASSERT_EQUAL(ring.result.added, 3);
	CU_ASSERT_EQUAL(ring.result.retired, 1);
	CU_ASSERT_EQUAL(secret_of(&ring, 2), -1);
	CU_ASSERT_EQUAL(secret_of(&ring, 3), 3);
	CU_ASSERT_EQUAL(secret_of(&ring, 8), 8); /* came another way */
	CU_ASSERT_EQUAL(grown(&ring, ""), 0);
	CU_ASSERT_EQUAL(ring.result.retired, 4);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
	ring_free(&ring);
}

static void the_idlest_gives_way(void)
{
	struct ring ring;
	unsigned n, there = 0;

	log_init(&ring, "");
	CU_ASSERT_EQUAL(push(&ring, lines(0, ROOM)), 0);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), ROOM);
	CU_ASSERT_EQUAL(secret_of(&ring, 0), 0); /* somebody asks for the oldest */
	CU_ASSERT_EQUAL(push(&ring, lines(100, 110)), 0);
	CU_ASSERT_EQUAL(ring.result.evicted, 10);
	CU_ASSERT_EQUAL(hk_keyring_tls_evicted(ring.keyring), 10);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), ROOM);
	CU_ASSERT_EQUAL(secret_of(&ring, 0), 0);
	for (n = 1; n <= 10; n++)
		CU_ASSERT_EQUAL(secret_of(&ring, n), -1);
	for (n = 11; n < ROOM; n++)
		there += secret_of(&ring, n) == (int)n;
	for (n = 100; n < 110; n++)
		there += secret_of(&ring, n) == (int)n;
	CU_ASSERT_EQUAL(there, ROOM - 11 + 10);
	/* more at once than there is room for: the last ones count */
	CU_ASSERT_EQUAL(push(&ring, lines(120, 220)), 0);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), ROOM);
	CU_ASSERT_EQUAL(secret_of(&ring, 219), 219);
	CU_ASSERT_EQUAL(secret_of(&ring, 120), -1);
	ring_free(&ring);
}

/* Random adding and retiring against a plain array. */
static void against_a_model(void)
{
	unsigned step, n, wrong = 0;
	int model[200];
	struct ring ring;
	char text[256];
	__u64 seed = 4;

	log_init(&ring, "");
	memset(model, 0xff, sizeof(model));
	for (step = 0; step < 4000; step++) {
		n = (unsigned)(random_next(&seed) % 200);
		if (model[n] >= 0)
			snprintf(text, sizeof(text), "retire client-random=%064x\n", n);
		else if (hk_keyring_count(ring.keyring) < ROOM)
			snprintf(text, sizeof(text), "%s", line(n, step % 100));
		else
			continue;
		CU_ASSERT_EQUAL_FATAL(push(&ring, text), 0);
		model[n] = model[n] >= 0 ? -1 : (int)(step % 100);
		for (n = step % 7; n < 200; n += 7)
			wrong += secret_of(&ring, n) != model[n];
	}
	CU_ASSERT_EQUAL(wrong, 0);
	ring_free(&ring);
}

struct seen {
	unsigned count, randoms, tuples;
	char text[4096];
};

static int see(void *context, const struct hk_key_row *row)
{
	struct seen *seen = context;

	seen->count++;
	seen->randoms += row->tls_random != NULL;
	seen->tuples += row->tls_tuple != NULL;
	CU_ASSERT_EQUAL(row->state, HK_KEY_CURRENT);
	hk_hex_format(row->fingerprint, 8, seen->text + strlen(seen->text));
	strcat(seen->text, " ");
	strcat(seen->text, row->source);
	strcat(seen->text, "\n");
	return 0;
}

#define KEY16 "0123456789abcdef0123456789abcdef"

static void listed(void)
{
	struct seen seen = {0};
	struct ring ring;

	log_init(&ring, line(1, 1));
	CU_ASSERT_EQUAL(
		push(&ring, "TLS_KEYS 10.0.0.1 1 10.0.0.2 443 " KEY16 " 00112233 " KEY16 " 44556677\n"), 0);
	CU_ASSERT_EQUAL(hk_keyring_list(ring.keyring, see, &seen), 0);
	CU_ASSERT_EQUAL(seen.count, 2);
	CU_ASSERT_EQUAL(seen.randoms, 1);
	CU_ASSERT_EQUAL(seen.tuples, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, ring.box.domains[0].keys));
	CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "the control socket"));
	CU_ASSERT_PTR_NULL(strstr(seen.text, "01234567"));
	CU_ASSERT_EQUAL(
		push(&ring, "retire client=10.0.0.1 client-port=1 server=10.0.0.2 server-port=443\n"), 0);
	CU_ASSERT_EQUAL(hk_keyring_count(ring.keyring), 1);
	ring_free(&ring);
}

/* What came over the control socket outlives a reload, and knows which keyring it is in. */
static void carried(void)
{
	struct hk_keyring *next = NULL, *before;
	struct hk_tls_choice old, new;
	__u8 client_random[32] = {[31] = 2};
	struct ring ring;

	log_init(&ring, line(1, 1));
	CU_ASSERT_EQUAL(push(&ring, line(2, 2)), 0);
	CU_ASSERT_TRUE_FATAL(hk_keyring_tls_random(ring.keyring, 0, client_random, &old));
	CU_ASSERT_TRUE(hk_keyring_tls_holds(ring.keyring, old.place, old.id));
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring.box.arena, &ring.box.config, &ring.box.files, &ring.box.error), 0);
	CU_ASSERT_EQUAL(hk_keyring_carry(next, ring.keyring, &ring.box.config), 0);
	CU_ASSERT_NOT_EQUAL(hk_keyring_serial(next), hk_keyring_serial(ring.keyring));
	CU_ASSERT_FALSE(hk_keyring_tls_holds(next, old.place, old.id));
	CU_ASSERT_TRUE_FATAL(hk_keyring_tls_random(next, 0, client_random, &new));
	CU_ASSERT_EQUAL(new.secret->master[47], 2);
	before = ring.keyring;
	ring.keyring = next;
	CU_ASSERT_EQUAL(secret_of(&ring, 1), 1);
	CU_ASSERT_EQUAL(hk_keyring_count(next), 2);
	hk_keyring_free(before);
	ring.box.domains[0].envelope = HK_ENVELOPE_PSP; /* the domain is another one by now */
	ring.box.config.domains_count = 0;
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&next, ring.box.arena, &ring.box.config, &ring.box.files, &ring.box.error), 0);
	ring.box.config.domains_count = 1;
	CU_ASSERT_EQUAL(hk_keyring_carry(next, ring.keyring, &ring.box.config), 1);
	hk_keyring_free(next);
	ring_free(&ring);
}

/* A secret that went is nowhere in the arena any more. */
static void wiped(void)
{
	struct hk_tls_choice choice;
	const __u8 *cell;
	__u8 client_random[32] = {[31] = 7};
	struct ring ring;
	char retire[128];
	unsigned i, left = 0;

	log_init(&ring, line(7, 77));
	CU_ASSERT_TRUE_FATAL(hk_keyring_tls_random(ring.keyring, 0, client_random, &choice));
	cell = (const __u8 *)choice.secret;
	snprintf(retire, sizeof(retire), "retire client-random=%064x\n", 7);
	CU_ASSERT_EQUAL(push(&ring, retire), 0);
	for (i = 0; i < sizeof(*choice.secret); i++)
		left |= cell[i];
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_FALSE(hk_keyring_tls_holds(ring.keyring, choice.place, choice.id));
	ring_free(&ring);
}

int main(void)
{
	static const struct test tests[] = {
		{"added, replaced, retired", added_and_retired},
		{"a change is whole or not made", all_or_nothing},
		{"a log that grows", a_log_grows},
		{"the idlest gives way", the_idlest_gives_way},
		{"against a model", against_a_model},
		{"listed by name and fingerprint", listed},
		{"carried over a reload", carried},
		{"wiped", wiped},
		{0},
	};

	return run_tests("connections", tests);
}

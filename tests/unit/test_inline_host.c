// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two end hosts that speak inline keying with each other, on a clock that the
 * test turns: who seals on what, renewals, repetitions, restarts of either,
 * creations that are played again, one child for each flow, limits.
 */
#include "tests/unit/inline_help.h"
#include "user/endpoint/inline_host.h"
#include "user/endpoint/speaker.h"
#include "user/endpoint/sa.h"

#define INNER_MAX 1400
#define A_TO_B	  0x1001
#define B_TO_A	  0x1002
#define LIFETIME  60

struct host {
	struct hk_inline_host *host;
	struct hk_inline_host_options options;
	struct hk_inline_own *own;
	char directory[64];
};

struct wire {
	struct host a, b;
	struct hk_inline_keys keys[2]; /* of the parents A to B, B to A */
	__u64 now_ns, seed;
	unsigned port; /* of the inner flow, at A */
};

/* What one packet came to. */
struct passed {
	__u8 envelope[BOX_FRAME];
	int size;
	__u32 spi;
	unsigned refusal;
};

static struct hk_state_place place_of(const struct host *host, bool first_use)
{
	return (struct hk_state_place){
		.directory = host->directory, .sender = "test", .first_use = first_use};
}

static void host_start(struct wire *wire, struct host *host, bool first_use)
{
	bool is_a = host == &wire->a;
	struct hk_address remote = address(is_a ? "192.0.2.9" : "192.0.2.1");
	struct hk_state_place place = place_of(host, first_use);
	struct hk_error error = {{0}};

	host->host = hk_inline_host_new(&host->options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(host->host);
	CU_ASSERT_EQUAL_FATAL(
		hk_inline_host_receive(host->host, is_a ? B_TO_A : A_TO_B, &wire->keys[is_a], &place, &error),
		0);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_new(&host->own, host->host, &remote, is_a ? A_TO_B : B_TO_A,
				      &wire->keys[!is_a], &error),
		0);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_start(host->own, &place, &error), 0);
}

static void host_stop(struct host *host)
{
	hk_inline_own_free(host->own, false);
	hk_inline_host_free(host->host);
	host->own = NULL;
	host->host = NULL;
}

static void host_restart(struct wire *wire, struct host *host)
{
	host_stop(host);
	host_start(wire, host, false);
}

static void wire_open(struct wire *wire, enum hk_inline_share share)
{
	struct hk_inline_host_options options = {.crypto = crypto, .share = share, .lifetime = LIFETIME};

	memset(wire, 0, sizeof(*wire));
	wire->seed = 5;
	wire->now_ns = BOX_NOW;
	wire->port = 0x1234;
	random_fill(&wire->seed, (__u8 *)wire->keys, sizeof(wire->keys));
	wire->a.options = wire->b.options = options;
	wire->a.options.local = address("192.0.2.1");
	wire->b.options.local = address("192.0.2.9");
	strcpy(wire->a.directory, "/tmp/halfkey-inline-XXXXXX");
	strcpy(wire->b.directory, "/tmp/halfkey-inline-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(wire->a.directory));
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(wire->b.directory));
	host_start(wire, &wire->a, true);
	host_start(wire, &wire->b, true);
}

static void wire_close(struct wire *wire)
{
	char command[160];

	host_stop(&wire->a);
	host_stop(&wire->b);
	snprintf(command, sizeof(command), "rm -rf %s %s", wire->a.directory, wire->b.directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static const struct hk_inline_host_counts *counts(const struct host *host)
{
	return hk_inline_host_counts(host->host);
}

static struct host *other(struct wire *wire, const struct host *host)
{
	return host == &wire->a ? &wire->b : &wire->a;
}

/* An envelope of `from` at the other end, as its socket delivers it. */
static unsigned arrive(struct wire *wire, struct host *from, const __u8 *envelope, int size)
{
	static __u8 out[HK_OPEN_ROOM(BOX_FRAME)];
	struct host *to = other(wire, from);
	struct hk_sealed sealed = {.protocol = IPPROTO_UDP,
		.port = HK_UDP_PORT_ESP,
		.source = from->options.local,
		.destination = to->options.local,
		.data = envelope,
		.length = (__u32)size};
	struct hk_opened opened;

	CU_ASSERT_EQUAL_FATAL(hk_sealed_read(&sealed), HK_REFUSAL_NONE);
	return hk_inline_host_open(to->host, &sealed, wire->now_ns, out, &opened);
}

static void seal_size(struct wire *wire, struct host *from, __u32 payload, struct passed *out)
{
	bool is_a = from == &wire->a;
	struct hk_address source = address(is_a ? "10.9.0.1" : "10.9.0.9"),
			  destination = address(is_a ? "10.9.0.9" : "10.9.0.1");
	__u8 inner[2048];
	__u32 length = inner_udp(&source, &destination, &wire->seed, payload, inner);

	hk_put16(inner + (is_a ? 20 : 22), wire->port);
	hk_put16(inner + (is_a ? 22 : 20), 53);
	out->size = hk_inline_own_seal(
		from->own, wire->now_ns, inner, length, INNER_MAX, out->envelope, BOX_FRAME);
	CU_ASSERT_FATAL(out->size > 0);
	out->spi = hk_get32(out->envelope);
}

/* Seals, and delivers. The SPI says what it went on. */
static struct passed pass(struct wire *wire, struct host *from)
{
	struct passed out;

	seal_size(wire, from, 40, &out);
	out.refusal = arrive(wire, from, out.envelope, out.size);
	return out;
}

/* Creations that wait for no packet; how many. */
static unsigned tick(struct wire *wire, struct host *from)
{
	__u8 envelope[BOX_FRAME];
	unsigned count = 0;
	int size;

	while ((size = hk_inline_own_due(from->own, wire->now_ns, envelope, sizeof(envelope)))) {
		CU_ASSERT_FATAL(size > 0 && count < 100);
		CU_ASSERT_EQUAL(arrive(wire, from, envelope, size), HK_REFUSAL_CREATION_ALONE);
		count++;
	}
	return count;
}

static bool is_child(const struct passed *passed)
{
	return passed->spi >> 31;
}

/* Both ends have the other's child: what follows goes on children. */
static void settle(struct wire *wire)
{
	struct passed passed;

	CU_ASSERT_EQUAL(pass(wire, &wire->a).spi, A_TO_B);
	passed = pass(wire, &wire->b); /* with B's creation, so on its parent */
	CU_ASSERT_EQUAL(passed.spi, B_TO_A);
	passed = pass(wire, &wire->a);
	CU_ASSERT_TRUE(is_child(&passed));
	passed = pass(wire, &wire->b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
}

static void a_child_in_two_packets(void)
{
	struct wire wire;
	unsigned opening, sealing;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	hk_inline_host_alive(wire.a.host, &opening, &sealing);
	CU_ASSERT_EQUAL(opening, 1);
	CU_ASSERT_EQUAL(sealing, 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->created, 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->installed, 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->parent_sealed, 1);
	CU_ASSERT_EQUAL(counts(&wire.b)->child_opened, 1);
	wire_close(&wire);
}

/* Ten packets a second each way, for `seconds`: all of them arrive. How many went on parents. */
static unsigned talk(struct wire *wire, unsigned seconds)
{
	unsigned i, on_parent = 0, refused = 0;
	struct passed passed;

	for (i = 0; i < 10 * seconds; i++) {
		wire->now_ns += SECOND / 10;
		passed = pass(wire, &wire->a);
		on_parent += !is_child(&passed);
		refused += passed.refusal != HK_REFUSAL_NONE;
		passed = pass(wire, &wire->b);
		on_parent += !is_child(&passed);
		refused += passed.refusal != HK_REFUSAL_NONE;
		tick(wire, &wire->a);
		tick(wire, &wire->b);
	}
	CU_ASSERT_EQUAL(refused, 0);
	return on_parent;
}

static void renewal_loses_nothing(void)
{
	struct wire wire;
	unsigned on_parent;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	on_parent = talk(&wire, 10 * LIFETIME);
	CU_ASSERT_EQUAL(counts(&wire.a)->renewed, 10 * LIFETIME / (LIFETIME / 4 * 3));
	CU_ASSERT_EQUAL(counts(&wire.b)->renewed, counts(&wire.a)->renewed);
	CU_ASSERT_EQUAL(counts(&wire.a)->installed, counts(&wire.b)->created);
	CU_ASSERT_EQUAL(counts(&wire.a)->replaced, 0);
	/* parents carry the creations and nothing else: once a second each way, and when one is new */
	CU_ASSERT_TRUE(on_parent <= 2 * (10 * LIFETIME + 10 * 2));
	CU_ASSERT_EQUAL(counts(&wire.a)->known, counts(&wire.b)->offered - counts(&wire.a)->installed);
	wire_close(&wire);
}

/* One side only receives: its creations travel alone, and are renewed all the same. */
static void one_way(void)
{
	struct wire wire;
	struct passed passed;
	unsigned i, alone = 0, on_parent = 0;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	for (i = 0; i < 30 * LIFETIME; i++) {
		wire.now_ns += SECOND / 10;
		passed = pass(&wire, &wire.b);
		CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
		on_parent += !is_child(&passed);
		alone += tick(&wire, &wire.a);
	}
	CU_ASSERT_TRUE(alone >= 3 * LIFETIME - 3 && alone <= 3 * LIFETIME + 3);
	CU_ASSERT_TRUE(counts(&wire.a)->renewed >= 3);
	CU_ASSERT_TRUE(on_parent <= 3 * LIFETIME + 3); /* B's own creations */
	/* and where nothing flows nothing is sent */
	wire.now_ns += 100 * SECOND;
	tick(&wire, &wire.a);
	wire.now_ns += 100 * SECOND;
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 0);
	wire_close(&wire);
}

/* After the lifetime nothing is sealed on a child that was not renewed. */
static void idle(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	wire.now_ns += LIFETIME * SECOND;
	passed = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(passed.spi, B_TO_A);
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, A_TO_B); /* each with a new creation */
	passed = pass(&wire, &wire.a);
	CU_ASSERT_TRUE(is_child(&passed));
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* No room behind the packet: it goes out without the creation, which follows alone. */
static void full_packets(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	seal_size(&wire, &wire.a, INNER_MAX - 28 - HK_CREATION_SIZE + 1, &passed);
	CU_ASSERT_EQUAL(counts(&wire.a)->offered, 0);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 1);
	CU_ASSERT_EQUAL(counts(&wire.a)->alone, 1);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	wire.now_ns += SECOND;
	seal_size(&wire, &wire.a, INNER_MAX - 28 - HK_CREATION_SIZE, &passed);
	CU_ASSERT_EQUAL(counts(&wire.a)->offered, 2);
	wire_close(&wire);
}

/* The creator comes back with nothing: its first packet, sent alone, moves the peer over. */
static void creator_restarts(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	host_restart(&wire, &wire.a);
	wire.now_ns += SECOND / 10;
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NO_KEY);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 1);
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	talk(&wire, 3);
	/* was that first packet lost, the unknown SPI asks for another, once a second */
	host_restart(&wire, &wire.a);
	hk_inline_own_due(wire.a.own, wire.now_ns, passed.envelope, BOX_FRAME);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NO_KEY);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 0);
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 1);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* The peer comes back with its record, but without children: it seals on its parent until there is a new one.
 */
static void peer_restarts(void)
{
	struct wire wire;
	unsigned before;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	host_restart(&wire, &wire.b);
	wire.now_ns += SECOND / 10;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NO_KEY); /* on B's child of before */
	CU_ASSERT_EQUAL(tick(&wire, &wire.b), 1);
	before = (unsigned)counts(&wire.b)->installed;
	CU_ASSERT_EQUAL(before, 0);
	talk(&wire, 6);
	CU_ASSERT_EQUAL(counts(&wire.a)->replaced, 1);
	CU_ASSERT_TRUE(counts(&wire.b)->old >= 3); /* refused: never twice from one nonce */
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	CU_ASSERT_TRUE(counts(&wire.b)->child_sealed > 0);
	wire_close(&wire);
}

/* A packet a second takes a creation along each time, and so goes on the parent: that is no silence. */
static void slow(void)
{
	struct wire wire;
	unsigned i;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	for (i = 0; i < 30; i++) {
		wire.now_ns += SECOND;
		CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
		CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NONE);
	}
	CU_ASSERT_EQUAL(counts(&wire.a)->parent_opened, 30);
	CU_ASSERT_EQUAL(counts(&wire.a)->replaced, 0);
	wire_close(&wire);
}

/* An old creation, played again: refused by its number; after a restart, by its nonce. */
static void played_again(void)
{
	struct wire wire;
	struct passed first;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	first = pass(&wire, &wire.a);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, first.envelope, first.size), HK_REFUSAL_REPLAY);
	host_restart(&wire, &wire.b);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, first.envelope, first.size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 0);
	CU_ASSERT_EQUAL(counts(&wire.b)->old, 1);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).spi, B_TO_A);
	wire_close(&wire);
}

/* A machine put back to a snapshot installs a child once more; its nonces do not repeat all the same. */
static void snapshot(void)
{
	struct wire wire;
	struct passed first, before, after;
	char command[128];

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	first = pass(&wire, &wire.a);
	pass(&wire, &wire.b); /* with B's creation */
	before = pass(&wire, &wire.b);
	host_stop(&wire.b);
	snprintf(command, sizeof(command), "truncate -s 32 %s/*.seen", wire.b.directory);
	CU_ASSERT_EQUAL(system(command), 0);
	host_start(&wire, &wire.b, false);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, first.envelope, first.size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 1);
	seal_size(&wire, &wire.b, 40, &after);
	seal_size(&wire, &wire.b, 40, &after);
	CU_ASSERT_TRUE(is_child(&before));
	CU_ASSERT_EQUAL(after.spi, before.spi);
	CU_ASSERT_TRUE(hk_get64(after.envelope + 8) > hk_get64(before.envelope + 8));
	CU_ASSERT_EQUAL(arrive(&wire, &wire.b, after.envelope, after.size), HK_REFUSAL_REPLAY);
	wire_close(&wire);
}

/*
 * Somebody keeps a creation from the peer and delivers it when its creator is
 * gone: it is genuine, so it is installed, and the next real one wins again.
 */
static void held_back(void)
{
	struct wire wire;
	struct passed held, passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	seal_size(&wire, &wire.a, 40, &held);
	host_restart(&wire, &wire.a);
	wire.now_ns += SECOND;
	settle(&wire);
	wire.now_ns++;
	CU_ASSERT_EQUAL(arrive(&wire, &wire.a, held.envelope, held.size), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2);
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NO_KEY); /* for that long */
	wire.now_ns += SECOND;
	passed = pass(&wire, &wire.a); /* names the real one again */
	CU_ASSERT_EQUAL(passed.spi, A_TO_B);
	pass(&wire, &wire.b); /* with B's creation */
	passed = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&passed));
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* A child for each flow: one flow's packets never go on another's. */
static void flows(void)
{
	struct wire wire;
	struct passed first, second, turn;
	unsigned i, opening, sealing;

	wire_open(&wire, HK_INLINE_SHARE_FLOW);
	settle(&wire);
	first = pass(&wire, &wire.b);
	wire.port = 0x4321;
	turn = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(turn.spi, B_TO_A); /* not on the first's child */
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, A_TO_B);
	second = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(is_child(&second));
	CU_ASSERT_NOT_EQUAL(first.spi, second.spi);
	wire.port = 0x1234;
	CU_ASSERT_EQUAL(pass(&wire, &wire.b).spi, first.spi);
	/* more flows than a peer has children for */
	for (i = 0; i < 2 * HK_INLINE_CHILDREN; i++) {
		wire.port = 0x5000 + i;
		CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
		CU_ASSERT_EQUAL(pass(&wire, &wire.b).refusal, HK_REFUSAL_NONE);
		wire.now_ns++;
	}
	hk_inline_host_alive(wire.a.host, &opening, &sealing);
	CU_ASSERT_EQUAL(opening, HK_INLINE_CHILDREN);
	CU_ASSERT_EQUAL(sealing, HK_INLINE_CHILDREN);
	wire_close(&wire);
}

/* At the limit of a secret both ends go on with their parents. */
static void limited(void)
{
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	host_stop(&wire.b);
	wire.b.options.creations = 2;
	host_start(&wire, &wire.b, false);
	settle(&wire);
	talk(&wire, 3 * LIFETIME);
	CU_ASSERT_EQUAL(counts(&wire.b)->created, 2);
	CU_ASSERT_TRUE(counts(&wire.b)->not_created > 0);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2);
	CU_ASSERT_TRUE(counts(&wire.b)->not_installed > 0);
	CU_ASSERT_TRUE(
		counts(&wire.a)->replaced > 0 && counts(&wire.a)->replaced < 8); /* ever longer apart */
	passed = pass(&wire, &wire.a);
	CU_ASSERT_EQUAL(passed.spi, A_TO_B);
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

static void without_children(void)
{
	struct wire wire;

	wire_open(&wire, HK_INLINE_SHARE_NONE);
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, A_TO_B);
	CU_ASSERT_EQUAL(tick(&wire, &wire.a), 0);
	talk(&wire, 5);
	CU_ASSERT_EQUAL(counts(&wire.a)->created, 0);
	CU_ASSERT_EQUAL(counts(&wire.b)->parent_opened, 51);
	wire_close(&wire);
}

/* State that was lost is no first use; what is there is used, or left alone where it is only prepared. */
static void state(void)
{
	struct hk_state_place place;
	struct hk_error error = {{0}};
	struct wire wire;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	host_stop(&wire.a);
	wire.a.host = hk_inline_host_new(&wire.a.options);
	place = place_of(&wire.a, true);
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, B_TO_A, &wire.keys[1], &place, &error), 0);
	hk_inline_host_sweep(wire.a.host);
	hk_inline_host_sweep(wire.a.host); /* not named any more: gone, and its lock */
	place = place_of(&wire.b, false);  /* no state of A's there */
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, B_TO_A, &wire.keys[1], &place, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "replace the parent"));
	place = place_of(&wire.b, true); /* B has it in use */
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, A_TO_B, &wire.keys[0], &place, &error), -EBUSY);
	place.prepare = true;
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, A_TO_B, &wire.keys[0], &place, &error), 0);
	hk_inline_host_free(wire.a.host);
	wire.a.host = NULL;
	wire_close(&wire);
}

static int no_file(void *context, const char *name)
{
	(void)context;
	(void)name;
	return -ENOENT;
}

/* B's keys change while it runs: the parent from A goes, with what was made on it; it comes back, and its
 * record late. */
static void rekeyed(void)
{
	struct hk_state_place place;
	struct hk_error error = {{0}};
	struct wire wire;
	struct passed passed;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	hk_inline_host_sweep(wire.b.host);
	hk_inline_host_sweep(wire.b.host);
	wire.now_ns += SECOND / 10;
	passed = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(passed.spi, B_TO_A); /* its child is gone with the parent */
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NO_KEY);
	place = place_of(&wire.b, false);
	place.opener = no_file;
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.b.host, A_TO_B, &wire.keys[0], &place, &error), 0);
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).refusal, HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(counts(&wire.b)->not_installed, 1);
	place.opener = NULL;
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.b.host, A_TO_B, &wire.keys[0], &place, &error), 0);
	talk(&wire, 6);
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2); /* the second when the first was found to be lost */
	passed = pass(&wire, &wire.b);
	CU_ASSERT_EQUAL(passed.refusal, HK_REFUSAL_NONE);
	wire_close(&wire);
}

/* A sends on another parent: what was asked for on the first opens until the keys change again. */
static void another_parent(void)
{
	struct hk_inline_keys keys;
	struct hk_inline_own *first;
	struct hk_address remote = address("192.0.2.9");
	struct hk_state_place place;
	struct hk_error error = {{0}};
	struct wire wire;
	struct passed late;
	unsigned opening, sealing;

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	settle(&wire);
	random_fill(&wire.seed, (__u8 *)&keys, sizeof(keys));
	first = wire.a.own;
	place = place_of(&wire.a, true);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_new(&wire.a.own, wire.a.host, &remote, 0x1003, &keys, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_start(wire.a.own, &place, &error), 0);
	place = place_of(&wire.b, true);
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.b.host, 0x1003, &keys, &place, &error), 0);
	hk_inline_own_free(first, false);
	seal_size(&wire, &wire.b, 40, &late); /* on the child of the first */
	CU_ASSERT_TRUE(is_child(&late));
	CU_ASSERT_EQUAL(arrive(&wire, &wire.b, late.envelope, late.size), HK_REFUSAL_NONE);
	seal_size(&wire, &wire.b, 40, &late);
	wire.now_ns += SECOND;
	CU_ASSERT_EQUAL(pass(&wire, &wire.a).spi, 0x1003); /* with a creation of its own */
	CU_ASSERT_EQUAL(counts(&wire.b)->installed, 2);
	CU_ASSERT_EQUAL(hk_inline_host_receive(wire.a.host, B_TO_A, &wire.keys[1], NULL, &error), 0);
	hk_inline_host_sweep(wire.a.host);
	CU_ASSERT_EQUAL(arrive(&wire, &wire.b, late.envelope, late.size), HK_REFUSAL_NO_KEY);
	hk_inline_host_alive(wire.a.host, &opening, &sealing);
	CU_ASSERT_EQUAL(opening, 1);
	talk(&wire, 3);
	wire_close(&wire);
}

/* In a capture: who only opens finds its children in what it sent. */
static void watched(void)
{
	struct hk_inline_host *reader;
	struct hk_sealed sealed = {.protocol = IPPROTO_UDP, .port = HK_UDP_PORT_ESP};
	struct hk_error error = {{0}};
	struct passed first, second, third;
	struct hk_opened opened;
	struct wire wire;
	static __u8 out[HK_OPEN_ROOM(BOX_FRAME)];

	wire_open(&wire, HK_INLINE_SHARE_HOST);
	first = pass(&wire, &wire.a); /* with A's creation */
	second = pass(&wire, &wire.b);
	third = pass(&wire, &wire.b);
	CU_ASSERT_TRUE(!is_child(&second) && is_child(&third));
	reader = hk_inline_host_new(&wire.a.options);
	CU_ASSERT_EQUAL_FATAL(hk_inline_host_receive(reader, B_TO_A, &wire.keys[1], NULL, &error), 0);
	sealed.source = wire.a.options.local;
	sealed.destination = wire.b.options.local;
	sealed.data = first.envelope;
	sealed.length = (__u32)first.size;
	CU_ASSERT_EQUAL(hk_sealed_read(&sealed), HK_REFUSAL_NONE);
	hk_inline_host_watch(reader, &wire.keys[0], &sealed, wire.now_ns, out);
	sealed.source = wire.b.options.local;
	sealed.destination = wire.a.options.local;
	sealed.data = second.envelope;
	sealed.length = (__u32)second.size;
	CU_ASSERT_EQUAL(hk_sealed_read(&sealed), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(hk_inline_host_open(reader, &sealed, wire.now_ns, out, &opened), HK_REFUSAL_NONE);
	sealed.data = third.envelope;
	sealed.length = (__u32)third.size;
	CU_ASSERT_EQUAL(hk_sealed_read(&sealed), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(hk_inline_host_open(reader, &sealed, wire.now_ns, out, &opened), HK_REFUSAL_NONE);
	hk_inline_host_free(reader);
	wire_close(&wire);
}

/* --- the row ---------------------------------------------------------------------------------- */

static int plan_with(struct hk_speech **out, const char *name, const char *value, struct hk_error *error)
{
	const struct hk_speaker *speaker = hk_speaker_find("inline", error);
	struct hk_address local = address("192.0.2.1");
	struct hk_wishes wishes = {0};
	unsigned count, i;
	const struct hk_wish *rows = hk_wish_rows(&count);
	int status;

	CU_ASSERT_PTR_NOT_NULL_FATAL(speaker);
	for (i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			hk_wish_set(&wishes, i, value);
	status = hk_speech_plan(out, speaker, &wishes, HK_USE_TUNNEL, &local, error);
	hk_wishes_clear(&wishes);
	return status;
}

/* Options that mean nothing, and keys that a server cannot give. */
static void refused_options(void)
{
	static const char *const wrong[][2] = {{"children", "some"}, {"lifetime", "0"}, {"lifetime", "86401"},
		{"creations", "0"}, {"next-header", "255"}, {"carrier", "pigeon"}, {"suite", "gcm"}};
	struct hk_state_place place = {.directory = "/nonexistent", .sender = "test"};
	struct hk_receiver *receiver;
	struct hk_speech *speech;
	struct hk_error error;
	unsigned i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memset(&error, 0, sizeof(error));
		CU_ASSERT_EQUAL(plan_with(&speech, wrong[i][0], wrong[i][1], &error), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, wrong[i][0]));
	}
	memset(&error, 0, sizeof(error));
	CU_ASSERT_EQUAL_FATAL(plan_with(&speech, "children", "flow", &error), 0);
	CU_ASSERT_EQUAL(hk_receiver_new(&receiver, speech, NULL, &place, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "--keys"));
	hk_speech_end(speech);
}

int main(void)
{
	static const struct test tests[] = {
		{"a child in two packets", a_child_in_two_packets},
		{"renewals lose nothing", renewal_loses_nothing},
		{"who only receives renews too", one_way},
		{"nothing on a child past its lifetime", idle},
		{"a creation that does not fit follows alone", full_packets},
		{"the creator restarts", creator_restarts},
		{"the peer restarts", peer_restarts},
		{"a packet a second", slow},
		{"a creation that is played again", played_again},
		{"a machine put back to a snapshot", snapshot},
		{"a creation that was held back", held_back},
		{"a child for each flow", flows},
		{"the limit of a secret", limited},
		{"without children", without_children},
		{"state", state},
		{"the keys change: parents towards us", rekeyed},
		{"the keys change: parents towards a peer", another_parent},
		{"a capture of both ends", watched},
		{"options that mean nothing", refused_options},
		{0},
	};
	int result;

	crypto = hk_crypto_new(NULL);
	result = run_tests("inline-host", tests);
	hk_crypto_free(crypto);
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two end hosts that speak inline keying with each other, on a clock that the test turns. */
#ifndef TESTS_UNIT_INLINE_WIRE_H
#define TESTS_UNIT_INLINE_WIRE_H

#include "tests/unit/inline_help.h"
#include "user/endpoint/inline_host.h"
#include "user/endpoint/speaker.h"
#include "user/endpoint/sa.h"
#include "user/endpoint/windows.h"

#define INNER_MAX 1400
#define A_TO_B	  0x1001
#define B_TO_A	  0x1002
#define LIFETIME  60

struct host {
	struct hk_inline_host *host;
	struct hk_inline_host_options options;
	struct hk_inline_own *own;
	char directory[64];
	bool remembers; /* windows that outlive it */
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

static inline struct hk_state_place place_of(const struct host *host, bool first_use)
{
	return (struct hk_state_place){
		.directory = host->directory, .sender = "test", .first_use = first_use};
}

static inline void host_start(struct wire *wire, struct host *host, bool first_use)
{
	bool is_a = host == &wire->a;
	struct hk_address remote = address(is_a ? "192.0.2.9" : "192.0.2.1");
	struct hk_state_place place = place_of(host, first_use);
	struct hk_windows *windows = NULL;
	struct hk_error error = {{0}};

	host->host = hk_inline_host_new(&host->options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(host->host);
	if (host->remembers) {
		place.windows = true;
		CU_ASSERT_EQUAL_FATAL(hk_windows_open(&windows, &place, "test.windows", &error), 0);
		hk_inline_host_remember(host->host, windows);
	}
	CU_ASSERT_EQUAL_FATAL(
		hk_inline_host_receive(host->host, is_a ? B_TO_A : A_TO_B, &wire->keys[is_a], &place, &error),
		0);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_new(&host->own, host->host, &remote, is_a ? A_TO_B : B_TO_A,
				      &wire->keys[!is_a], &error),
		0);
	CU_ASSERT_EQUAL_FATAL(hk_inline_own_start(host->own, &place, &error), 0);
}

static inline void host_stop(struct host *host)
{
	hk_inline_own_free(host->own, false);
	hk_inline_host_free(host->host);
	host->own = NULL;
	host->host = NULL;
}

static inline void host_restart(struct wire *wire, struct host *host)
{
	host_stop(host);
	host_start(wire, host, false);
}

static inline void wire_open(struct wire *wire, enum hk_inline_share share)
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

static inline void wire_close(struct wire *wire)
{
	char command[160];

	host_stop(&wire->a);
	host_stop(&wire->b);
	snprintf(command, sizeof(command), "rm -rf %s %s", wire->a.directory, wire->b.directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static inline const struct hk_inline_host_counts *counts(const struct host *host)
{
	return hk_inline_host_counts(host->host);
}

static inline struct host *other(struct wire *wire, const struct host *host)
{
	return host == &wire->a ? &wire->b : &wire->a;
}

/* An envelope of `from` at the other end, as its socket delivers it. */
static inline unsigned arrive(struct wire *wire, struct host *from, const __u8 *envelope, int size)
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

static inline void seal_size(struct wire *wire, struct host *from, __u32 payload, struct passed *out)
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
static inline struct passed pass(struct wire *wire, struct host *from)
{
	struct passed out;

	seal_size(wire, from, 40, &out);
	out.refusal = arrive(wire, from, out.envelope, out.size);
	return out;
}

/* Creations that wait for no packet; how many. */
static inline unsigned tick(struct wire *wire, struct host *from)
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

static inline bool is_child(const struct passed *passed)
{
	return passed->spi >> 31;
}

/* Both ends have the other's child: what follows goes on children. */
static inline void settle(struct wire *wire)
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

/* Ten packets a second each way, for `seconds`: all of them arrive. How many went on parents. */
static inline unsigned talk(struct wire *wire, unsigned seconds)
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

#endif

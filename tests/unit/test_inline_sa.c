// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What SAs of inline keying keep to at the end host: the four scopes in both
 * directions, when sealing and when opening; lifetimes and grace; numbers and
 * senders; children under one secret.
 */
#include "tests/unit/inline_help.h"
#include "user/endpoint/inline_sa.h"

#define OTHER_PORT 54

/* A creator, its peer and one child: what the peer seals on and what the creator opens with. */
struct pair {
	struct hk_address creator, peer;
	struct hk_inline *parent, *seals, *opens;
	struct hk_inline_seen *seen;
	struct hk_creation creation;
	char directory[64];
	__u64 seed;
	__u32 number;
};

static void pair_open(struct pair *pair, unsigned scope, bool by_b)
{
	struct hk_inline_name name = {.spi = PARENT_SPI};
	struct hk_error error = {{0}};
	struct hk_inline_keys keys;

	memset(pair, 0, sizeof(*pair));
	pair->seed = scope + 10 * by_b;
	pair->creator = address(by_b ? "192.0.2.9" : "192.0.2.1");
	pair->peer = name.receiver = address(by_b ? "192.0.2.1" : "192.0.2.9");
	random_fill(&pair->seed, keys.enc, 32);
	random_fill(&pair->seed, keys.auth, 32);
	CU_ASSERT_EQUAL_FATAL(hk_inline_parent(&pair->parent, crypto, &name, &keys, &error), 0);
	strcpy(pair->directory, "/tmp/halfkey-inline-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(pair->directory));
	CU_ASSERT_EQUAL_FATAL(open_seen(&pair->seen, pair->directory, pair->parent, true, &error), 0);
	pair->creation = (struct hk_creation){
		.scope = (__u8)scope, .spi = 0x2002, .lifetime = 600, .sequence = 1, .reply_nonce = {1}};
	if (scope == HK_SCOPE_RANGE) {
		pair->creation.low = address(by_b ? "192.0.2.1" : "192.0.2.8");
		pair->creation.high = address(by_b ? "192.0.2.3" : "192.0.2.9");
	}
	if (scope >= HK_SCOPE_PROTOCOL)
		pair->creation.protocol = IPPROTO_UDP;
	if (scope == HK_SCOPE_PORTS) {
		pair->creation.creator_port = 53;
		pair->creation.peer_port = 0x1234;
	}
	CU_ASSERT_EQUAL_FATAL(hk_inline_install(&pair->seals, pair->parent, pair->seen, &pair->creation,
				      &pair->creator, BOX_NOW, &error),
		0);
	CU_ASSERT_EQUAL_FATAL(hk_inline_expect(&pair->opens, pair->parent, &pair->creation, &pair->creator,
				      BOX_NOW, &error),
		0);
}

static void pair_close(struct pair *pair)
{
	char command[96];

	hk_inline_free(pair->parent);
	hk_inline_free(pair->seals);
	hk_inline_free(pair->opens);
	hk_inline_seen_close(pair->seen);
	snprintf(command, sizeof(command), "rm -rf %s", pair->directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* An inner packet of the pair's flow, with one thing different. */
struct oddity {
	const char *source; /* the outer address it comes from; NULL: the peer's */
	bool tcp, other_source_port, other_destination_port, fragment, turned;
};

static __u32 odd_packet(struct pair *pair, const struct oddity *odd, __u8 *inner)
{
	struct hk_address from = address("10.1.0.1"), to = address("10.1.0.2");
	__u32 length = inner_udp(&from, &to, &pair->seed, 40, inner);

	if (odd->tcp)
		inner[9] = IPPROTO_TCP;
	if (odd->fragment)
		inner[6] = 0x20;
	if (odd->other_source_port)
		inner[20] ^= 1;
	if (odd->other_destination_port)
		inner[23] = OTHER_PORT;
	if (odd->turned)
		memcpy(inner + 20, (const __u8[]){0, 53, 0x12, 0x34}, 4);
	hk_put16(inner + 10, 0);
	hk_put16(inner + 10, ip_checksum(inner));
	return length;
}

static int seal_at(struct pair *pair, struct hk_inline *sa, const struct oddity *odd, __u64 now_ns, __u8 *out)
{
	struct hk_seal_shape shape = {.source = odd->source ? address(odd->source) : pair->peer};
	struct hk_numbers numbers = {.iv = pair->number + 1, .sn = pair->number + 1};
	__u8 inner[256];
	struct hk_inline_packet packet = {.inner = inner, .now_ns = now_ns};

	pair->number++;
	packet.length = odd_packet(pair, odd, inner);
	return hk_inline_seal(sa, &shape, &numbers, &packet, out, BOX_FRAME);
}

static unsigned open_at(struct hk_inline *sa, const __u8 *packet, int size, __u64 now_ns)
{
	static __u8 out[HK_OPEN_ROOM(BOX_FRAME)];
	struct hk_creation creation;
	struct hk_opened opened;
	struct hk_sealed sealed;

	CU_ASSERT_EQUAL_FATAL(hk_sealed_parse(packet, (__u32)size, &sealed), HK_REFUSAL_NONE);
	return hk_inline_open(sa, &sealed, now_ns, out, &opened, &creation);
}

/* A peer that has the keys and does not keep to the scope. */
static int seal_unbound(struct pair *pair, const struct oddity *odd, __u8 *out)
{
	struct hk_inline *sa = pair->seals;
	struct hk_inline kept = *sa;
	int size;

	sa->creation.scope = HK_SCOPE_HOST;
	memset(&sa->low, 0, sizeof(sa->low));
	memset(&sa->high, 0xff, sizeof(sa->high));
	size = seal_at(pair, sa, odd, BOX_NOW, out);
	sa->creation = kept.creation;
	sa->low = kept.low;
	sa->high = kept.high;
	return size;
}

static void check_odd(struct pair *pair, const struct oddity *odd, unsigned refusal)
{
	__u8 out[BOX_FRAME];
	int size = seal_at(pair, pair->seals, odd, BOX_NOW, out);

	CU_ASSERT_EQUAL(size, refusal ? -EACCES : size);
	CU_ASSERT_EQUAL(size > 0, !refusal);
	size = seal_unbound(pair, odd, out);
	CU_ASSERT_FATAL(size > 0);
	CU_ASSERT_EQUAL(open_at(pair->opens, out, size, BOX_NOW), refusal);
}

/* What each scope lets through, in both directions. */
static void scopes(void)
{
	static const struct {
		struct oddity odd; /* sources: for A's child, for B's */
		const char *by_b;
		unsigned refused_from; /* the first scope that refuses; 0: all, 9: none */
		unsigned refusal;
	} cases[] = {
		{{0}, NULL, 9, 0},
		{{.tcp = true}, NULL, HK_SCOPE_PROTOCOL, HK_REFUSAL_CHILD_SCOPE},
		{{.other_source_port = true}, NULL, HK_SCOPE_PORTS, HK_REFUSAL_CHILD_SCOPE},
		{{.other_destination_port = true}, NULL, HK_SCOPE_PORTS, HK_REFUSAL_CHILD_SCOPE},
		{{.turned = true}, NULL, HK_SCOPE_PORTS, HK_REFUSAL_CHILD_SCOPE},
		{{.fragment = true}, NULL, HK_SCOPE_PORTS, HK_REFUSAL_CHILD_SCOPE},
		{{.source = "192.0.2.8"}, "192.0.2.3", HK_SCOPE_HOST, HK_REFUSAL_OTHER_SENDER},
		{{.source = "192.0.2.7"}, "192.0.2.4", 0, HK_REFUSAL_OTHER_SENDER},
		{{.source = "192.0.2.10"}, "192.0.2.0", 0, HK_REFUSAL_OTHER_SENDER},
	};
	unsigned scope, by_b, i;
	struct oddity odd;
	struct pair pair;

	for (scope = HK_SCOPE_RANGE; scope <= HK_SCOPE_PORTS; scope++)
		for (by_b = 0; by_b < 2; by_b++) {
			pair_open(&pair, scope, by_b);
			for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
				odd = cases[i].odd;
				if (by_b)
					odd.source = cases[i].by_b;
				check_odd(&pair, &odd, scope >= cases[i].refused_from ? cases[i].refusal : 0);
			}
			pair_close(&pair);
		}
}

/* Sealing ends with the lifetime, opening with the grace; to the nanosecond. */
static void lifetimes(void)
{
	const struct oddity plain = {0};
	__u64 end = BOX_NOW + 600 * SECOND, over = BOX_NOW + hk_child_honoured(600) * SECOND;
	__u8 out[BOX_FRAME];
	struct pair pair;
	int size;

	pair_open(&pair, HK_SCOPE_HOST, false);
	CU_ASSERT_TRUE(over == end + 240 * SECOND + 600 / 32 * SECOND);
	size = seal_at(&pair, pair.seals, &plain, end - 1, out);
	CU_ASSERT_FATAL(size > 0);
	CU_ASSERT_EQUAL(open_at(pair.opens, out, size, over), HK_REFUSAL_CHILD_EXPIRED);
	CU_ASSERT_EQUAL(open_at(pair.opens, out, size, over - 1), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(seal_at(&pair, pair.seals, &plain, end, out), -ETIME);
	CU_ASSERT_TRUE(hk_inline_seals_at(pair.parent, ~0ull)); /* a parent lives as long as its key line */
	CU_ASSERT_TRUE(hk_inline_opens_at(pair.parent, ~0ull));
	pair_close(&pair);
}

/* The first number comes last: too old to tell. `sa` may be a parent, both ends of it. */
static void check_window(struct pair *pair, struct hk_inline *seals, struct hk_inline *opens)
{
	const struct oddity plain = {0};
	__u8 first[BOX_FRAME], out[BOX_FRAME];
	int first_size, size, i;

	first_size = seal_at(pair, seals, &plain, BOX_NOW, first);
	for (i = 0; i < 3; i++) {
		size = seal_at(pair, seals, &plain, BOX_NOW, out);
		out[size - 1] ^= 1;
		CU_ASSERT_EQUAL(open_at(opens, out, size, BOX_NOW), HK_REFUSAL_BAD_ICV);
		out[size - 1] ^= 1; /* what did not verify took no number */
		CU_ASSERT_EQUAL(open_at(opens, out, size, BOX_NOW), HK_REFUSAL_NONE);
		CU_ASSERT_EQUAL(open_at(opens, out, size, BOX_NOW), HK_REFUSAL_REPLAY);
	}
	pair->number += HK_REPLAY_WINDOW;
	size = seal_at(pair, seals, &plain, BOX_NOW, out);
	CU_ASSERT_EQUAL(open_at(opens, out, size, BOX_NOW), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(open_at(opens, first, first_size, BOX_NOW), HK_REFUSAL_REPLAY);
}

static void replays(void)
{
	const struct oddity plain = {0}, stranger = {.source = "192.0.2.77"};
	struct hk_address creator;
	__u8 out[BOX_FRAME];
	struct pair pair;
	int size;

	pair_open(&pair, HK_SCOPE_HOST, false);
	check_window(&pair, pair.seals, pair.opens);
	check_window(&pair, pair.parent, pair.parent);
	/* whoever verified first is the parent's sender */
	size = seal_at(&pair, pair.parent, &stranger, BOX_NOW, out);
	CU_ASSERT_EQUAL(open_at(pair.parent, out, size, BOX_NOW), HK_REFUSAL_OTHER_SENDER);
	size = seal_at(&pair, pair.parent, &plain, BOX_NOW, out);
	CU_ASSERT_EQUAL(open_at(pair.parent, out, size, BOX_NOW), HK_REFUSAL_NONE);
	pair_close(&pair);
	/* numbers below the child's first were never sent on it */
	pair_open(&pair, HK_SCOPE_HOST, false);
	creator = pair.creator;
	hk_inline_free(pair.seals);
	hk_inline_free(pair.opens);
	pair.creation.sequence = 10;
	pair.creation.reply_nonce[0]++;
	CU_ASSERT_EQUAL_FATAL(hk_inline_install(&pair.seals, pair.parent, pair.seen, &pair.creation, &creator,
				      BOX_NOW, NULL),
		0);
	CU_ASSERT_EQUAL_FATAL(
		hk_inline_expect(&pair.opens, pair.parent, &pair.creation, &creator, BOX_NOW, NULL), 0);
	pair.number = 8;
	size = seal_at(&pair, pair.seals, &plain, BOX_NOW, out);
	CU_ASSERT_EQUAL(open_at(pair.opens, out, size, BOX_NOW), HK_REFUSAL_REPLAY);
	size = seal_at(&pair, pair.seals, &plain, BOX_NOW, out);
	CU_ASSERT_EQUAL(open_at(pair.opens, out, size, BOX_NOW), HK_REFUSAL_NONE);
	pair_close(&pair);
}

/* So many children under one secret at either end, also after the record was read again. */
static void limits(void)
{
	struct hk_error error = {{0}};
	struct hk_inline *child;
	struct pair pair;
	unsigned i;

	pair_open(&pair, HK_SCOPE_HOST, false); /* one at each end by now */
	pair.parent->name.creations = 3;
	for (i = 0; i < 2; i++) {
		pair.creation.reply_nonce[0]++;
		CU_ASSERT_EQUAL_FATAL(
			hk_inline_expect(&child, pair.parent, &pair.creation, &pair.creator, BOX_NOW, &error),
			0);
		hk_inline_free(child);
		CU_ASSERT_EQUAL_FATAL(hk_inline_install(&child, pair.parent, pair.seen, &pair.creation,
					      &pair.creator, BOX_NOW, &error),
			0);
		hk_inline_free(child);
	}
	hk_inline_seen_close(pair.seen);
	CU_ASSERT_EQUAL_FATAL(open_seen(&pair.seen, pair.directory, pair.parent, false, &error), 0);
	CU_ASSERT_EQUAL(hk_inline_install(&child, pair.parent, pair.seen, &pair.creation, &pair.creator,
				BOX_NOW, &error),
		-EEXIST);
	memset(&error, 0, sizeof(error));
	pair.creation.reply_nonce[0]++;
	CU_ASSERT_EQUAL(hk_inline_install(&child, pair.parent, pair.seen, &pair.creation, &pair.creator,
				BOX_NOW, &error),
		-EDQUOT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "replace the parent"));
	CU_ASSERT_EQUAL(hk_inline_expect(&child, pair.parent, &pair.creation, &pair.creator, BOX_NOW, &error),
		-EDQUOT);
	pair_close(&pair);
}

int main(void)
{
	static const struct test tests[] = {
		{"four scopes, both directions, sealing and opening", scopes},
		{"sealing ends with the lifetime, opening with the grace", lifetimes},
		{"no number twice, no other sender", replays},
		{"children under one secret are limited at both ends", limits},
		{0},
	};

	return run_tests_with(&crypto, NULL, "inline-sa", tests);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The children a host asks its peers for: one for all packets of a peer, and,
 * where the host wants that, one for each flow. See inline_host.h for when.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <string.h>

#include "user/base/log.h"
#include "user/endpoint/inline_peer.h"

#define SECOND	     1000000000ull
#define REPEAT	     (HK_INLINE_REPEAT * 1000000ull)
#define SILENT_MAX   4	/* creations sent, nothing on the child: the peer does not have it */
#define TRIES	     64 /* to draw an SPI that is free */
#define SPI_CHILDREN 0x80000000u

static __u64 lifetime_ns(const struct hk_inline_host *host)
{
	return host->options.lifetime * SECOND;
}

static void remove_at(struct hk_inline_peer *peer, unsigned index)
{
	hk_inline_free(peer->asked[index].sa);
	peer->asked[index] = peer->asked[--peer->asked_count];
	memset(&peer->asked[peer->asked_count], 0, sizeof(peer->asked[0]));
}

void hk_inline_ask_orphan(struct hk_inline_peer *peer, const struct hk_inline *parent)
{
	unsigned i;

	for (i = 0; i < peer->asked_count; i++) {
		if (peer->asked[i].parent != parent)
			continue;
		peer->asked[i].parent = NULL;
		peer->asked[i].current = false;
	}
}

void hk_inline_ask_drop_orphans(struct hk_inline_peer *peer)
{
	unsigned i = 0;

	while (i < peer->asked_count)
		if (peer->asked[i].parent)
			i++;
		else
			remove_at(peer, i);
}

void hk_inline_ask_expire(struct hk_inline_peer *peer, __u64 now_ns)
{
	unsigned i = 0;

	while (i < peer->asked_count)
		if (hk_inline_opens_at(peer->asked[i].sa, now_ns))
			i++;
		else
			remove_at(peer, i);
}

/* Does this child answer packets of the flow, as we send them? */
static bool answers(const struct hk_inline_asked *asked, const struct hk_inline_flow *sent)
{
	const struct hk_creation *creation = hk_inline_creation(asked->sa);

	if (!sent || creation->scope < HK_SCOPE_PROTOCOL)
		return !sent && creation->scope < HK_SCOPE_PROTOCOL;
	return creation->protocol == sent->protocol &&
	       (creation->scope == HK_SCOPE_PROTOCOL ||
		       (sent->has_ports && creation->creator_port == sent->source_port &&
			       creation->peer_port == sent->destination_port));
}

static struct hk_inline_asked *find_current(struct hk_inline_peer *peer, const struct hk_inline_flow *sent)
{
	unsigned i;

	for (i = 0; i < peer->asked_count; i++)
		if (peer->asked[i].current && peer->asked[i].parent == peer->parent &&
			answers(&peer->asked[i], sent))
			return &peer->asked[i];
	return NULL;
}

/* Room for one more: the oldest that another took the place of goes first, then the oldest flow. */
static struct hk_inline_asked *make_room(struct hk_inline_peer *peer)
{
	unsigned i, oldest = 0;

	if (peer->asked_count < HK_INLINE_CHILDREN)
		return &peer->asked[peer->asked_count];
	for (i = 1; i < peer->asked_count; i++) {
		const struct hk_inline_asked *a = &peer->asked[i], *b = &peer->asked[oldest];

		if (a->current != b->current ? !a->current : a->born_ns < b->born_ns)
			oldest = i;
	}
	remove_at(peer, oldest);
	return &peer->asked[peer->asked_count];
}

static bool spi_is_free(const struct hk_inline_host *host, __u32 spi)
{
	unsigned i, j;

	for (i = 0; i < host->peers_count; i++)
		for (j = 0; j < host->peers[i]->asked_count; j++)
			if (host->peers[i]->asked[j].spi == spi)
				return false;
	return true;
}

/* Children have the upper half of the SPIs to themselves. */
static int draw_spi(const struct hk_inline_host *host, __u32 *out)
{
	unsigned i;

	for (i = 0; i < TRIES; i++) {
		if (RAND_bytes((unsigned char *)out, sizeof(*out)) != 1)
			return -EIO;
		*out |= SPI_CHILDREN;
		if (spi_is_free(host, *out))
			return 0;
	}
	return -EIO;
}

static int draw_creation(const struct hk_inline_host *host, const struct hk_inline_peer *peer,
	const struct hk_inline_flow *sent, struct hk_creation *out)
{
	memset(out, 0, sizeof(*out));
	out->scope = sent ? sent->has_ports ? HK_SCOPE_PORTS : HK_SCOPE_PROTOCOL : HK_SCOPE_HOST;
	if (host->options.share == HK_INLINE_SHARE_RANGE) {
		out->scope = HK_SCOPE_RANGE;
		out->low = host->options.low;
		out->high = host->options.high;
	}
	if (sent) {
		out->protocol = sent->protocol;
		out->creator_port = sent->source_port;
		out->peer_port = sent->destination_port;
	}
	out->lifetime = host->options.lifetime;
	out->sequence = 1;
	memcpy(out->peer_nonce, peer->reply_nonce, HK_INLINE_NONCE);
	return draw_spi(host, &out->spi) || hk_inline_draw(out) ? -EIO : 0;
}

static void say_limit(struct hk_inline_peer *peer, const struct hk_error *error)
{
	if (!peer->limit_said)
		hk_log_warn("%s", error->text);
	peer->limit_said = true;
}

static struct hk_inline_asked *make(struct hk_inline_host *host, struct hk_inline_peer *peer,
	const struct hk_inline_flow *sent, __u64 now_ns)
{
	struct hk_inline_asked *old, *asked;
	struct hk_error error = {{0}};
	struct hk_creation creation;
	struct hk_inline *sa = NULL;

	if (!peer->parent || draw_creation(host, peer, sent, &creation))
		return NULL;
	if (hk_inline_expect(&sa, peer->parent, &creation, &host->options.local, now_ns, &error)) {
		say_limit(peer, &error);
		host->counts.not_created++;
		return NULL;
	}
	old = find_current(peer, sent);
	if (old)
		old->current = false;
	asked = make_room(peer);
	*asked = (struct hk_inline_asked){
		.sa = sa, .parent = peer->parent, .spi = creation.spi, .current = true, .born_ns = now_ns};
	peer->asked_count++;
	host->counts.created++;
	return asked;
}

void hk_inline_ask_watched(struct hk_inline_peer *peer, struct hk_inline *sa, __u32 spi, __u64 now_ns)
{
	*make_room(peer) = (struct hk_inline_asked){.sa = sa, .spi = spi, .born_ns = now_ns};
	peer->asked_count++;
}

/*
 * A child that sent many creations and heard nothing has no other end: the peer
 * came back without it, and never installs it again. Each try waits twice as long.
 */
static bool is_lost(struct hk_inline_peer *peer, const struct hk_inline_asked *asked, __u64 now_ns)
{
	return asked->silent >= SILENT_MAX && now_ns >= peer->replace_after_ns;
}

static void note_replacement(struct hk_inline_host *host, struct hk_inline_peer *peer, __u64 now_ns)
{
	peer->replace_gap_ns = peer->replace_gap_ns ? 2 * peer->replace_gap_ns : SILENT_MAX * REPEAT;
	if (peer->replace_gap_ns > lifetime_ns(host))
		peer->replace_gap_ns = lifetime_ns(host);
	peer->replace_after_ns = now_ns + peer->replace_gap_ns;
	host->counts.replaced++;
}

struct hk_inline_asked *hk_inline_ask(struct hk_inline_host *host, struct hk_inline_peer *peer,
	const struct hk_inline_flow *sent, __u64 now_ns)
{
	struct hk_inline_asked *asked, *next;

	if (host->options.share == HK_INLINE_SHARE_NONE)
		return NULL;
	if (host->options.share != HK_INLINE_SHARE_FLOW)
		sent = NULL;
	asked = find_current(peer, sent);
	if (asked && now_ns - asked->born_ns < lifetime_ns(host) / 4 * 3)
		return asked;
	next = make(host, peer, sent, now_ns);
	if (next && asked)
		host->counts.renewed++;
	return next ? next : asked;
}

bool hk_inline_ask_due(const struct hk_inline_asked *asked, const struct hk_inline *parent, __u64 now_ns)
{
	return asked->current && asked->parent == parent && asked->wanted &&
	       (!asked->sent || now_ns - asked->sent_ns >= REPEAT);
}

/* The flow of a packet that came, as our own packets of it look. */
static struct hk_inline_flow turned(const struct hk_inline_flow *flow)
{
	struct hk_inline_flow out = *flow;

	out.source_port = flow->destination_port;
	out.destination_port = flow->source_port;
	return out;
}

void hk_inline_ask_stranger(struct hk_inline_host *host, struct hk_inline_peer *peer, __u64 now_ns)
{
	struct hk_inline_asked *asked = hk_inline_ask(host, peer, NULL, now_ns);

	if (asked)
		asked->wanted = true;
}

void hk_inline_ask_heard(struct hk_inline_host *host, struct hk_inline_peer *peer,
	struct hk_inline_asked *asked, bool offers, const struct hk_inline_flow *received, __u64 now_ns)
{
	struct hk_inline_flow sent = turned(received);
	bool by_flow = host->options.share == HK_INLINE_SHARE_FLOW;
	struct hk_inline_asked *wanted = find_current(peer, by_flow ? &sent : NULL);

	if (asked)
		asked->silent = 0;
	if (asked && asked->current)
		peer->replace_gap_ns = 0;
	if (wanted) /* else the next packet we send asks */
		wanted = hk_inline_ask(host, peer, by_flow ? &sent : NULL, now_ns);
	if (!wanted)
		return;
	wanted->wanted = true;
	if (asked || offers || !is_lost(peer, wanted, now_ns))
		return;
	wanted = make(host, peer, by_flow ? &sent : NULL, now_ns);
	if (!wanted)
		return;
	wanted->wanted = true;
	note_replacement(host, peer, now_ns);
}

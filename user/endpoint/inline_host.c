// SPDX-License-Identifier: GPL-2.0-or-later
/* An end host that speaks inline keying: see inline_host.h. */
#include "user/endpoint/inline_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/endpoint/inline_peer.h"
#include "user/endpoint/windows.h"

#define PEERS_MAX 256

struct hk_inline_host *hk_inline_host_new(const struct hk_inline_host_options *options)
{
	struct hk_inline_host *host = calloc(1, sizeof(*host));

	if (!host)
		return NULL;
	host->options = *options;
	if (!host->options.lifetime)
		host->options.lifetime = HK_INLINE_LIFETIME;
	host->peers = calloc(PEERS_MAX, sizeof(struct hk_inline_peer *));
	if (host->peers)
		return host;
	free(host);
	return NULL;
}

static void drop_parent(struct hk_inline_host *host, unsigned index)
{
	unsigned i;

	for (i = 0; i < host->peers_count; i++)
		hk_inline_given_drop(host->peers[i], host->parents[index].sa);
	hk_inline_seen_close(host->parents[index].seen);
	hk_inline_free(host->parents[index].sa);
	host->parents[index] = host->parents[--host->parents_count];
}

static void leave_peer(struct hk_inline_host *host, struct hk_inline_peer *peer)
{
	unsigned i;

	if (--peer->owners)
		return;
	for (i = 0; i < peer->asked_count; i++)
		hk_inline_free(peer->asked[i].sa);
	for (i = 0; i < peer->given_count; i++)
		hk_inline_free(peer->given[i].sa);
	for (i = 0; host->peers[i] != peer; i++)
		;
	host->peers[i] = host->peers[--host->peers_count];
	free(peer);
}

void hk_inline_host_free(struct hk_inline_host *host)
{
	if (!host)
		return;
	while (host->parents_count)
		drop_parent(host, 0);
	while (host->peers_count) /* those that were watched alone */
		leave_peer(host, host->peers[0]);
	hk_windows_close(host->windows);
	free(host->peers);
	free(host);
}

void hk_inline_host_remember(struct hk_inline_host *host, struct hk_windows *windows)
{
	host->windows = windows;
}

static int make_parent(struct hk_inline_host *host, __u32 spi, const struct hk_address *receiver,
	const struct hk_inline_keys *keys, struct hk_inline **out, struct hk_error *error)
{
	struct hk_inline_name name = {.spi = spi,
		.receiver = *receiver,
		.next_header = host->options.next_header,
		.creations = host->options.creations};

	return hk_inline_parent(out, host->options.crypto, &name, keys, error);
}

/* --- parents towards us ----------------------------------------------------------------------- */

static struct hk_inline_parent_in *find_parent(struct hk_inline_host *host, __u32 spi)
{
	unsigned i;

	for (i = 0; i < host->parents_count; i++)
		if (hk_inline_spi(host->parents[i].sa) == spi)
			return &host->parents[i];
	return NULL;
}

/* With first_use what is missing is made; what is there is used all the same, unless by another process. */
static int open_seen(struct hk_inline_seen **out, const struct hk_inline *sa,
	const struct hk_state_place *place, struct hk_error *error)
{
	struct hk_state_place again = *place;
	struct hk_error first = {{0}};
	int status;

	if (place->first_use) {
		status = hk_state_directory(place->directory, &first);
		if (!status)
			status = hk_inline_seen_open(out, place, sa, &first);
		if (status != -EEXIST)
			return status ? hk_error_set(error, -status, "%s", first.text) : 0;
		again.first_use = false;
	}
	return place->prepare ? 0 : hk_inline_seen_open(out, &again, sa, error);
}

static int add_parent(struct hk_inline_host *host, struct hk_inline *sa, const struct hk_state_place *place,
	struct hk_error *error)
{
	struct hk_inline_parent_in *parent = &host->parents[host->parents_count];
	int status;

	if (host->parents_count == HK_INLINE_PARENTS)
		return hk_error_set(
			error, ENOSPC, "more than %u parent SAs towards this host", HK_INLINE_PARENTS);
	*parent = (struct hk_inline_parent_in){.sa = sa, .anyone = !place, .named = true};
	hk_inline_keep_window(sa, host->windows);
	status = place ? open_seen(&parent->seen, sa, place, error) : 0;
	if (status == -ENOENT && place->opener)
		status = 0; /* came by a reload: it opens, and creates when its record was made */
	host->parents_count += status == 0;
	return status;
}

/* One that came without a record may have got it since. */
static int find_record(
	struct hk_inline_parent_in *parent, const struct hk_state_place *place, struct hk_error *error)
{
	int status = parent->seen ? 0 : open_seen(&parent->seen, parent->sa, place, error);

	return status == -ENOENT ? 0 : status;
}

int hk_inline_host_receive(struct hk_inline_host *host, __u32 spi, const struct hk_inline_keys *keys,
	const struct hk_state_place *place, struct hk_error *error)
{
	struct hk_inline_parent_in *old = find_parent(host, spi);
	struct hk_inline *sa = NULL;
	int status = make_parent(host, spi, &host->options.local, keys, &sa, error);

	if (status)
		return status;
	if (old && memcmp(hk_inline_fingerprint(old->sa), hk_inline_fingerprint(sa), 8) == 0) {
		old->named = true;
		hk_inline_free(sa);
		return place ? find_record(old, place, error) : 0;
	}
	if (old) /* the SPI has other secrets now */
		drop_parent(host, (unsigned)(old - host->parents));
	status = add_parent(host, sa, place, error);
	if (status)
		hk_inline_free(sa);
	return status;
}

void hk_inline_host_sweep(struct hk_inline_host *host)
{
	unsigned i;

	for (i = 0; i < host->peers_count; i++)
		hk_inline_ask_drop_orphans(host->peers[i]);
	i = 0;
	while (i < host->parents_count) {
		if (!host->parents[i].named) {
			drop_parent(host, i);
			continue;
		}
		host->parents[i++].named = false;
	}
}

/* --- peers, and parents towards them ---------------------------------------------------------- */

static struct hk_inline_peer *find_peer(struct hk_inline_host *host, const struct hk_address *address)
{
	unsigned i;

	for (i = 0; i < host->peers_count; i++)
		if (memcmp(&host->peers[i]->address, address, sizeof(*address)) == 0)
			return host->peers[i];
	return NULL;
}

static struct hk_inline_peer *need_peer(struct hk_inline_host *host, const struct hk_address *address)
{
	struct hk_inline_peer *peer = find_peer(host, address);

	if (peer || host->peers_count == PEERS_MAX)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->address = *address;
	host->peers[host->peers_count++] = peer;
	return peer;
}

int hk_inline_own_new(struct hk_inline_own **out, struct hk_inline_host *host, const struct hk_address *to,
	__u32 spi, const struct hk_inline_keys *keys, struct hk_error *error)
{
	struct hk_inline_own *own = calloc(1, sizeof(*own));
	int status;

	if (!own)
		return hk_error_set(error, ENOMEM, "no memory for the parent 0x%08x", spi);
	status = make_parent(host, spi, to, keys, &own->sa, error);
	if (!status)
		own->peer = need_peer(host, to);
	if (!status && !own->peer)
		status = hk_error_set(error, ENOSPC, "no room for another peer: %u are possible", PEERS_MAX);
	if (status) {
		hk_inline_free(own->sa);
		free(own);
		return status;
	}
	own->host = host;
	own->peer->owners++;
	*out = own;
	return 0;
}

int hk_inline_own_start(struct hk_inline_own *own, const struct hk_state_place *place, struct hk_error *error)
{
	const struct hk_nonce_series series = {.envelope = HK_ENVELOPE_INLINE,
		.spi = hk_inline_spi(own->sa),
		.fingerprint = hk_inline_fingerprint(own->sa),
		.sn_limited = true,
		.iv_max = ~0ull};

	return hk_nonce_state_open_at(&own->nonces, place, &series, error);
}

const struct hk_address *hk_inline_own_peer(const struct hk_inline_own *own)
{
	return &own->peer->address;
}

const __u8 *hk_inline_own_fingerprint(const struct hk_inline_own *own)
{
	return hk_inline_fingerprint(own->sa);
}

void hk_inline_own_free(struct hk_inline_own *own, bool undo)
{
	if (!own)
		return;
	if (undo)
		hk_nonce_state_discard(own->nonces);
	else
		hk_nonce_state_close(own->nonces);
	hk_inline_ask_orphan(own->peer, own->sa);
	if (own->peer->parent == own->sa)
		own->peer->parent = NULL;
	leave_peer(own->host, own->peer);
	hk_inline_free(own->sa);
	free(own);
}

/* --- sealing ---------------------------------------------------------------------------------- */

static int seal_on_child(struct hk_inline_host *host, struct hk_inline_given *given,
	const struct hk_inline_packet *packet, __u8 *out, __u32 room)
{
	const struct hk_seal_shape shape = {.source = host->options.local};
	/* whatever comes of it: no number twice */
	const struct hk_numbers numbers = {.iv = given->iv++, .sn = (__u32)given->next++};
	int size;

	size = hk_inline_seal_envelope(given->sa, &shape, &numbers, packet, out, room);
	host->counts.child_sealed += size > 0;
	return size;
}

static int seal_on_parent(
	struct hk_inline_own *own, const struct hk_inline_packet *packet, __u8 *out, __u32 room)
{
	const struct hk_seal_shape shape = {.source = own->host->options.local};
	struct hk_numbers numbers;
	int size = hk_nonce_state_next(own->nonces, &numbers);

	if (size)
		return size == -EIO ? -EROFS : size;
	size = hk_inline_seal_envelope(own->sa, &shape, &numbers, packet, out, room);
	own->host->counts.parent_sealed += size > 0;
	return size;
}

static void note_sent(struct hk_inline_host *host, struct hk_inline_asked *asked, __u64 now_ns)
{
	asked->sent = true;
	asked->wanted = false;
	asked->sent_ns = now_ns;
	asked->silent++;
	host->counts.offered++;
}

/* With the creation that is due, on the parent. 0: none is, or it does not fit. */
static int seal_and_offer(struct hk_inline_own *own, const struct hk_inline_packet *plain,
	const struct hk_inline_flow *flow, __u32 inner_max, __u8 *out, __u32 room)
{
	struct hk_inline_asked *asked = hk_inline_ask(own->host, own->peer, flow, plain->now_ns);
	struct hk_inline_packet packet = *plain;
	int size;

	if (!asked)
		return 0;
	asked->wanted = true;
	if (!hk_inline_ask_due(asked, own->sa, plain->now_ns) ||
		plain->length + hk_inline_creation(asked->sa)->size > inner_max)
		return 0;
	packet.creation = hk_inline_creation(asked->sa);
	size = seal_on_parent(own, &packet, out, room);
	if (size > 0)
		note_sent(own->host, asked, plain->now_ns);
	return size;
}

int hk_inline_own_seal(struct hk_inline_own *own, __u64 now_ns, const __u8 *inner, __u32 length,
	__u32 inner_max, __u8 *out, __u32 room)
{
	const struct hk_inline_packet packet = {.inner = inner, .length = length, .now_ns = now_ns};
	struct hk_inline_given *given;
	struct hk_inline_flow flow;
	int size;

	if (!hk_inline_flow(inner, length, &flow))
		return -EINVAL;
	own->peer->parent = own->sa;
	size = seal_and_offer(own, &packet, &flow, inner_max, out, room);
	if (size && size != -EOVERFLOW)
		return size;
	given = hk_inline_given_for(own->host, own->peer, inner, length, now_ns);
	return given ? seal_on_child(own->host, given, &packet, out, room)
		     : seal_on_parent(own, &packet, out, room);
}

static int offer(
	struct hk_inline_own *own, struct hk_inline_asked *asked, __u64 now_ns, __u8 *out, __u32 room)
{
	struct hk_inline_packet packet = {.creation = hk_inline_creation(asked->sa), .now_ns = now_ns};
	int size = seal_on_parent(own, &packet, out, room);

	note_sent(own->host, asked, now_ns); /* also when it failed: not before the next time */
	own->host->counts.alone += size > 0;
	return size;
}

/* Whoever starts has no children, but its peer may seal on those it had before. */
static void greet(struct hk_inline_host *host, struct hk_inline_peer *peer, __u64 now_ns)
{
	if (!peer->greeted)
		hk_inline_ask_stranger(host, peer, now_ns);
	peer->greeted = true;
}

int hk_inline_own_due(struct hk_inline_own *own, __u64 now_ns, __u8 *out, __u32 room)
{
	struct hk_inline_peer *peer = own->peer;
	unsigned i;
	int size;

	peer->parent = own->sa;
	greet(own->host, peer, now_ns);
	hk_inline_ask_expire(peer, now_ns);
	hk_inline_given_expire(peer, now_ns);
	for (i = 0; i < peer->asked_count; i++) {
		if (!hk_inline_ask_due(&peer->asked[i], own->sa, now_ns))
			continue;
		size = offer(own, &peer->asked[i], now_ns, out, room);
		if (size > 0)
			return size;
	}
	return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static struct hk_inline_asked *find_asked(struct hk_inline_peer *peer, __u32 spi)
{
	unsigned i;

	for (i = 0; i < peer->asked_count; i++)
		if (peer->asked[i].spi == spi)
			return &peer->asked[i];
	return NULL;
}

/* Where creations on a child are recorded: with a parent. We send none there; others may. */
static struct hk_inline_seen *seen_for(struct hk_inline_host *host, struct hk_inline_parent_in *parent)
{
	return parent ? parent->seen : host->parents_count ? host->parents[0].seen : NULL;
}

/* What a packet that was accepted means for the children of both directions. */
static void learn(struct hk_inline_host *host, struct hk_inline_peer *peer,
	struct hk_inline_parent_in *parent, struct hk_inline_asked *asked, const struct hk_opened *opened,
	const struct hk_creation *creation, __u64 now_ns)
{
	struct hk_inline_seen *seen = seen_for(host, parent);
	struct hk_inline_flow flow;

	if (opened->length && hk_inline_flow(opened->inner, opened->length, &flow))
		hk_inline_ask_heard(host, peer, asked, creation->size, &flow, now_ns);
	if (creation->size)
		hk_inline_given_take(host, peer, parent ? parent->sa : asked->sa, seen, creation, now_ns);
}

static unsigned open_on(struct hk_inline_host *host, struct hk_inline_peer *peer,
	struct hk_inline_parent_in *parent, struct hk_inline_asked *asked, const struct hk_sealed *sealed,
	__u64 now_ns, __u8 *out, struct hk_opened *opened)
{
	struct hk_creation creation;
	unsigned refusal =
		hk_inline_open(parent ? parent->sa : asked->sa, sealed, now_ns, out, opened, &creation);

	if (refusal && refusal != HK_REFUSAL_CREATION_ALONE)
		return refusal;
	if (parent)
		host->counts.parent_opened++;
	else
		host->counts.child_opened++;
	if (refusal)
		opened->length = 0;
	if (peer)
		learn(host, peer, parent, asked, opened, &creation, now_ns);
	return refusal;
}

unsigned hk_inline_host_open(struct hk_inline_host *host, const struct hk_sealed *sealed, __u64 now_ns,
	__u8 *out, struct hk_opened *opened)
{
	struct hk_inline_peer *peer = find_peer(host, &sealed->source);
	struct hk_inline_parent_in *parent = find_parent(host, sealed->spi);
	struct hk_inline_asked *asked = peer && !parent ? find_asked(peer, sealed->spi) : NULL;

	if (memcmp(&sealed->destination, &host->options.local, sizeof(sealed->destination)) != 0)
		return HK_REFUSAL_NOT_OURS;
	if ((parent && (peer || parent->anyone)) || asked)
		return open_on(host, peer, parent, asked, sealed, now_ns, out, opened);
	if (peer)
		hk_inline_ask_stranger(host, peer, now_ns);
	return HK_REFUSAL_NO_KEY;
}

/* Ours is the parent that it was made on: the same child again is none. */
static void expect_watched(struct hk_inline_host *host, struct hk_inline *parent,
	const struct hk_sealed *sealed, const struct hk_creation *creation, __u64 now_ns)
{
	struct hk_inline_peer *peer = need_peer(host, &sealed->destination);
	struct hk_inline *sa = NULL;

	if (!peer)
		return;
	peer->owners = 1;
	if (find_asked(peer, creation->spi) ||
		hk_inline_expect(&sa, parent, creation, &host->options.local, now_ns, NULL))
		return;
	hk_inline_ask_watched(peer, sa, creation->spi, now_ns);
}

void hk_inline_host_watch(struct hk_inline_host *host, const struct hk_inline_keys *keys,
	const struct hk_sealed *sealed, __u64 now_ns, __u8 *out)
{
	struct hk_creation creation;
	struct hk_inline *parent;
	struct hk_opened opened;
	unsigned refusal;

	if (make_parent(host, sealed->spi, &sealed->destination, keys, &parent, NULL))
		return;
	refusal = hk_inline_open(parent, sealed, now_ns, out, &opened, &creation);
	if (creation.size && (!refusal || refusal == HK_REFUSAL_CREATION_ALONE))
		expect_watched(host, parent, sealed, &creation, now_ns);
	hk_wipe(out, HK_OPEN_ROOM(sealed->length));
	hk_inline_free(parent);
}

/* --- what it did ------------------------------------------------------------------------------ */

const struct hk_inline_host_counts *hk_inline_host_counts(const struct hk_inline_host *host)
{
	return &host->counts;
}

unsigned hk_inline_host_peers(const struct hk_inline_host *host)
{
	return host->peers_count;
}

void hk_inline_host_alive(const struct hk_inline_host *host, unsigned *opening, unsigned *sealing)
{
	unsigned i;

	*opening = *sealing = 0;
	for (i = 0; i < host->peers_count; i++) {
		*opening += host->peers[i]->asked_count;
		*sealing += host->peers[i]->given_count;
	}
}

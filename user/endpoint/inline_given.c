// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The children peers ask a host for. Of those that may carry a packet the one
 * whose creation came last is taken: so a peer that came back moves us off what
 * it forgot, and an old creation that somebody holds back and plays later loses
 * to the next repetition of the real one.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "user/base/log.h"
#include "user/endpoint/inline_peer.h"

static void remove_at(struct hk_inline_peer *peer, unsigned index)
{
	hk_inline_free(peer->given[index].sa);
	peer->given[index] = peer->given[--peer->given_count];
	memset(&peer->given[peer->given_count], 0, sizeof(peer->given[0]));
}

void hk_inline_given_drop(struct hk_inline_peer *peer, const struct hk_inline *parent)
{
	unsigned i = 0;

	while (i < peer->given_count)
		if (peer->given[i].parent != parent)
			i++;
		else
			remove_at(peer, i);
}

void hk_inline_given_expire(struct hk_inline_peer *peer, __u64 now_ns)
{
	unsigned i = 0;

	while (i < peer->given_count)
		if (hk_inline_seals_at(peer->given[i].sa, now_ns))
			i++;
		else
			remove_at(peer, i);
}

struct hk_inline_given *hk_inline_given_for(struct hk_inline_host *host, struct hk_inline_peer *peer,
	const __u8 *inner, __u32 length, __u64 now_ns)
{
	struct hk_inline_given *best = NULL, *given;
	unsigned i;

	for (i = 0; i < peer->given_count; i++) {
		given = &peer->given[i];
		if ((best && given->named_ns <= best->named_ns) || given->next > 0xffffffff ||
			!hk_inline_seals_at(given->sa, now_ns) ||
			!hk_inline_allows(given->sa, &host->options.local, inner, length))
			continue;
		best = given;
	}
	return best;
}

static struct hk_inline_given *find_given(struct hk_inline_peer *peer, const struct hk_creation *creation)
{
	unsigned i;

	for (i = 0; i < peer->given_count; i++)
		if (memcmp(hk_inline_creation(peer->given[i].sa)->reply_nonce, creation->reply_nonce,
			    HK_INLINE_NONCE) == 0)
			return &peer->given[i];
	return NULL;
}

static struct hk_inline_given *make_room(struct hk_inline_peer *peer)
{
	unsigned i, oldest = 0;

	if (peer->given_count < HK_INLINE_CHILDREN)
		return &peer->given[peer->given_count];
	for (i = 1; i < peer->given_count; i++)
		if (peer->given[i].named_ns < peer->given[oldest].named_ns)
			oldest = i;
	remove_at(peer, oldest);
	return &peer->given[peer->given_count];
}

/*
 * IVs start at the clock, as those of nonces.h do: a machine that was put back
 * to a snapshot, with its record of nonces, may install a child twice, and
 * still does not repeat a nonce under its key.
 */
static __u64 first_iv(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

static void install(struct hk_inline_host *host, struct hk_inline_peer *peer, const struct hk_inline *parent,
	struct hk_inline_seen *seen, const struct hk_creation *creation, __u64 now_ns)
{
	struct hk_error error = {{0}};
	struct hk_inline *sa = NULL;
	int status;

	if (!seen) { /* no record yet: nothing that was played again could be told */
		host->counts.not_installed++;
		return;
	}
	status = hk_inline_install(&sa, parent, seen, creation, &peer->address, now_ns, &error);
	if (status == -EEXIST) {
		host->counts.old++;
		return;
	}
	if (status) {
		if (!peer->limit_said)
			hk_log_warn("%s", error.text);
		peer->limit_said = true;
		host->counts.not_installed++;
		return;
	}
	*make_room(peer) = (struct hk_inline_given){
		.sa = sa, .parent = parent, .next = creation->sequence, .iv = first_iv(), .named_ns = now_ns};
	peer->given_count++;
	host->counts.installed++;
}

void hk_inline_given_take(struct hk_inline_host *host, struct hk_inline_peer *peer,
	const struct hk_inline *parent, struct hk_inline_seen *seen, const struct hk_creation *creation,
	__u64 now_ns)
{
	struct hk_inline_given *given = find_given(peer, creation);

	memcpy(peer->reply_nonce, creation->reply_nonce, HK_INLINE_NONCE);
	if (given) {
		given->named_ns = now_ns;
		host->counts.known++;
		return;
	}
	install(host, peer, parent, seen, creation, now_ns);
}

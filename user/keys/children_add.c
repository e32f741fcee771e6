// SPDX-License-Identifier: GPL-2.0-or-later
/* A packet creates an SPI: room for it, its family, its keys; or why not. See children.h. */
#include "user/keys/children_table.h"

/* Of two, the one to go first: tentative before confirmed, then the older. */
static bool goes_first(const struct hk_child_slot *a, const struct hk_child_slot *b)
{
	bool a_confirmed = __atomic_load_n(&a->confirmed, __ATOMIC_RELAXED);
	bool b_confirmed = __atomic_load_n(&b->confirmed, __ATOMIC_RELAXED);

	return a_confirmed != b_confirmed ? b_confirmed : a->created_ns < b->created_ns;
}

static bool evict(struct hk_children *children, __u32 index)
{
	if (index == HK_CHILD_NONE)
		return false;
	hk_child_drop(children, index);
	hk_child_count_up(&children->counts.evicted);
	return true;
}

/* Which of a full bucket goes first; `spared` stays: it is creating. */
static __u32 worst_of(const struct hk_children *children, __u32 first, __u32 spared)
{
	__u32 i, worst = HK_CHILD_NONE;

	for (i = first; i < first + HK_CHILD_WAYS; i++)
		if (i != spared &&
			(worst == HK_CHILD_NONE || goes_first(&children->slots[i], &children->slots[worst])))
			worst = i;
	return worst;
}

/* The family of a root, new if it has none; HK_CHILD_NONE when there are too many. */
static __u32 need_family(struct hk_children *children, __u64 identity)
{
	__u32 i, empty = HK_CHILD_NONE;

	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++) {
		if (children->families[i].identity == identity)
			return i;
		if (!children->families[i].identity && empty == HK_CHILD_NONE)
			empty = i;
	}
	if (empty == HK_CHILD_NONE)
		return HK_CHILD_NONE;
	children->families[empty] = (struct hk_child_family){.identity = identity, .kept = true};
	children->family_count++;
	return empty;
}

/* Who creates, as the table knows it. */
struct creator {
	const struct hk_hmac_key *secret;
	__u32 family;
	__u32 creations;
	struct hk_child_place place; /* index HK_CHILD_NONE: a root */
	__u16 depth;
};

static bool find_creator(
	struct hk_children *children, const struct hk_child_creator *given, struct creator *out)
{
	struct hk_child_slot *slot;

	if (given->root) {
		out->family = need_family(children, hk_child_identity(given->root));
		if (out->family == HK_CHILD_NONE)
			return false;
		out->secret = given->root;
		out->creations =
			__atomic_load_n(&children->families[out->family].creations, __ATOMIC_RELAXED);
		out->place = (struct hk_child_place){.index = HK_CHILD_NONE};
		out->depth = 0;
		return true;
	}
	slot = &children->slots[given->place.index];
	if (slot->generation != given->place.generation || !slot->used || slot->depth >= HK_CHILD_DEPTH_MAX)
		return false;
	out->secret = &children->secrets[given->place.index].parent;
	out->family = slot->family;
	out->creations = __atomic_load_n(&slot->creations, __ATOMIC_RELAXED);
	out->place = given->place;
	out->depth = slot->depth;
	return true;
}

/* The same header under the same family: its nonces and F name the child. */
static bool is_known(const struct hk_children *children, const struct hk_child_name *name,
	const struct creator *creator, const __u8 *header, __u32 size)
{
	__u32 first = hk_child_bucket(name), i;
	const struct hk_child_slot *slot;

	for (i = first; i < first + HK_CHILD_WAYS; i++) {
		slot = &children->slots[i];
		if (slot->used && slot->family == creator->family && slot->depth == creator->depth + 1 &&
			slot->size == size && hk_child_same_name(&slot->name, name) &&
			memcmp(children->secrets[i].header + 1, header + 1, size - 1) == 0)
			return true; /* the next header (byte 0) is the packet's, not the child's */
	}
	return false;
}

/* The creation under its secret, in 8 bytes that nobody can aim at. */
static __u64 digest_of(
	const struct creator *creator, const struct hk_child_name *name, const __u8 *header, __u32 size)
{
	const __u64 *seed = hk_hash_seed();
	__u64 digest = hk_hash_address(seed, &name->receiver, hk_child_identity(creator->secret)), word;
	__u32 at;

	for (at = 0; at < size; at += sizeof(word)) {
		memcpy(&word, header + at, sizeof(word));
		if (!at)
			*(__u8 *)&word = 0; /* the next header is the packet's, not the child's */
		digest = hk_hash_fold(digest ^ seed[0], word ^ seed[3]);
	}
	return digest | 1;
}

static __u32 find_free(const struct hk_children *children, __u32 first)
{
	__u32 i;

	for (i = first; i < first + HK_CHILD_WAYS; i++)
		if (!children->slots[i].used)
			return i;
	return HK_CHILD_NONE;
}

static __u32 find_room(struct hk_children *children, __u32 first, __u32 spared)
{
	__u32 index = find_free(children, first);

	if (index != HK_CHILD_NONE)
		return index;
	evict(children, worst_of(children, first, spared));
	return find_free(children, first);
}

/* What becomes an entry. */
struct entry {
	const struct hk_child_name *name;
	const __u8 *header;
	__u32 size;
	__u64 digest, now_ns, expires_ns;
};

static void fill(struct hk_children *children, __u32 index, const struct creator *creator,
	const struct entry *entry, const struct hk_child_secrets *secrets)
{
	struct hk_child_slot *slot = &children->slots[index];
	struct hk_child_secret *secret = &children->secrets[index];

	hk_child_begin_change(slot);
	memcpy(secret->key, secrets->key, 32);
	memcpy(&secret->key[8], secrets->salt, 4);
	hk_hmac_key_init(&secret->parent, secrets->parent, sizeof(secrets->parent));
	memcpy(secret->header, entry->header, entry->size);
	secret->digest = entry->digest;
	secret->creator = creator->place;
	slot->name = *entry->name;
	slot->family = creator->family;
	slot->depth = creator->depth + 1;
	slot->creations = 0;
	slot->confirmed = slot->misses = 0;
	slot->size = (__u16)entry->size;
	slot->created_ns = entry->now_ns;
	slot->expires_ns = entry->expires_ns;
	slot->used = 1;
	hk_child_end_change(slot);
	hk_child_line_up(children, index, false);
	children->families[creator->family].alive++;
	__atomic_fetch_add(&children->counts.alive, 1, __ATOMIC_RELAXED);
}

static enum hk_child_added add(struct hk_children *children, struct hk_crypto *crypto,
	const struct hk_child_creator *given, const struct hk_child_name *name, const __u8 *header,
	__u32 size, const struct hk_child_limits *limits, __u64 now_ns)
{
	struct entry entry = {.name = name, .header = header, .size = size, .now_ns = now_ns};
	struct hk_child_secrets secrets;
	struct hk_creation creation;
	struct creator creator;
	__u32 index;

	hk_child_drop_expired(children, hk_child_bucket(name), now_ns);
	if (!find_creator(children, given, &creator))
		return HK_CHILD_REFUSED;
	if (is_known(children, name, &creator, header, size))
		return HK_CHILD_KNOWN;
	hk_creation_parse(header, size, &creation);
	entry.expires_ns = now_ns + hk_child_honoured(creation.lifetime) * 1000000000ull;
	entry.digest = digest_of(&creator, name, header, size);
	if (hk_child_past_find(&children->past, entry.digest, &entry.expires_ns) &&
		entry.expires_ns <= now_ns)
		return HK_CHILD_OVER;
	if (creator.creations >= limits->creations || !limits->children)
		return HK_CHILD_REFUSED;
	if (children->families[creator.family].alive >= limits->children &&
		!evict(children, hk_child_line_first(children, creator.family, creator.place.index)))
		return HK_CHILD_REFUSED;
	index = find_room(children, hk_child_bucket(name), creator.place.index);
	if (index == HK_CHILD_NONE)
		return HK_CHILD_REFUSED;
	hk_inline_child(crypto, creator.secret, HK_SIDE_ENC, header, size, &secrets);
	fill(children, index, &creator, &entry, &secrets);
	hk_wipe(&secrets, sizeof(secrets));
	return HK_CHILD_ADDED;
}

enum hk_child_added hk_children_add(struct hk_children *children, struct hk_crypto *crypto,
	const struct hk_child_creator *creator, const struct hk_child_name *name, const __u8 *header,
	__u32 size, const struct hk_child_limits *limits, __u64 now_ns)
{
	enum hk_child_added added = HK_CHILD_BUSY;

	if (hk_children_try_lock(children, HK_CHILD_LOCK_SPINS)) {
		added = add(children, crypto, creator, name, header, size, limits, now_ns);
		hk_children_unlock(children);
	}
	switch (added) {
	case HK_CHILD_ADDED: hk_child_count_up(&children->counts.created); break;
	case HK_CHILD_KNOWN: hk_child_count_up(&children->counts.known); break;
	case HK_CHILD_OVER: hk_child_count_up(&children->counts.over); break;
	default: hk_child_count_up(&children->counts.refused); break;
	}
	return added;
}
